//! What a client accepts: `Accept` and `Accept-Encoding` in, a format and a coding out (RFC 9110 §12.5).
//!
//! Lenient: what cannot be read counts as not said. A client that accepts nothing we have gets the text
//! format all the same, which says more to a person than a 406.

use hyper::HeaderMap;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderName};
use metrics::Format;

/// OpenMetrics when the client names it and does not like the text format better; text format otherwise.
pub fn format(headers: &HeaderMap) -> Format {
    let mut openmetrics = None;
    let mut text = None;
    for item in items(headers, ACCEPT) {
        match item.name.to_ascii_lowercase().as_str() {
            "application/openmetrics-text" if item.version.is_none_or(|version| version == "1.0.0") => {
                openmetrics = openmetrics.max(Some(item.weight));
            }
            "text/plain" if item.version.is_none_or(|version| version == "0.0.4") => {
                text = text.max(Some(item.weight));
            }
            _ => {}
        }
    }
    match openmetrics {
        Some(weight) if weight > 0 && weight >= text.unwrap_or(0) => Format::OpenMetrics,
        _ => Format::Text,
    }
}

/// Whether the client takes gzip and does not like the plain body better.
pub fn gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    for item in items(headers, ACCEPT_ENCODING) {
        match item.name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => gzip = Some(item.weight),
            "*" => any = Some(item.weight),
            "identity" => identity = Some(item.weight),
            _ => {}
        }
    }
    let gzip = gzip.or(any).unwrap_or(0);
    gzip > 0 && gzip >= identity.unwrap_or(0)
}

/// One element of a list with weights.
struct Item<'a> {
    name: &'a str,
    version: Option<&'a str>,
    /// Thousandths; 1000 when not given.
    weight: u16,
}

fn items(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = Item<'_>> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(
        |element| {
            let mut parts = element.split(';').map(str::trim);
            let mut item = Item { name: parts.next().unwrap_or_default(), version: None, weight: 1000 };
            for (key, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
                let value = value.trim().trim_matches('"');
                match key.trim().to_ascii_lowercase().as_str() {
                    "version" => item.version = Some(value),
                    // A weight that cannot be read is the least there is.
                    "q" => item.weight = value.parse::<f64>().map_or(1, |q| (q.clamp(0.0, 1.0) * 1000.0) as u16),
                    _ => {}
                }
            }
            item
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &'static str) -> Format {
        format(&HeaderMap::from_iter([(ACCEPT, value.parse().expect("a header value"))]))
    }

    #[test]
    fn prometheus_gets_openmetrics() {
        for header in [
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            "application/openmetrics-text",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
             application/openmetrics-text;version=\"1.0.0\";escaping=allow-utf-8;q=0.5,text/plain;q=0.4",
            "Application/OpenMetrics-Text;Q=0.2, */*;q=0.9",
        ] {
            assert_eq!(accept(header), Format::OpenMetrics, "{header}");
        }
    }

    #[test]
    fn everybody_else_gets_the_text_format() {
        assert_eq!(format(&HeaderMap::new()), Format::Text);
        for header in [
            "*/*",
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "text/plain;version=0.0.4",
            "application/json",
            "application/openmetrics-text;q=0.3,text/plain;q=0.7",
            "application/openmetrics-text;version=0.0.1",
            "application/openmetrics-text;q=0",
            "application/*",
            ";;;,,q=,=;q=nonsense",
        ] {
            assert_eq!(accept(header), Format::Text, "{header}");
        }
    }

    #[test]
    fn gzip_is_used_when_it_is_wanted() {
        let wants = |value: &'static str| {
            gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, value.parse().expect("a header value"))]))
        };
        for header in ["gzip", "deflate, gzip;q=0.5", "br, GZIP", "*", "identity;q=0.5, gzip"] {
            assert!(wants(header), "{header}");
        }
        for header in ["", "identity", "gzip;q=0", "gzip;q=0.000", "*;q=0", "gzip;q=0, *", "identity, gzip;q=0.5", "br"]
        {
            assert!(!wants(header), "{header}");
        }
        assert!(!gzip(&HeaderMap::new()));
    }
}
