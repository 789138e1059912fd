//! What a client accepts: `Accept` and `Accept-Encoding` in, a format and a coding out (RFC 9110 §12.5).
//!
//! Lenient: what cannot be read counts as not said. A client that accepts nothing we have gets the text
//! format all the same, which says more to a person than a 406.

use hyper::HeaderMap;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderName};
use metrics::Format;

use super::protobuf;

/// What a scrape is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// As a text.
    Text(Format),
    /// As messages behind their lengths.
    Protobuf,
}

impl Written {
    /// The media type of a response.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Text(format) => format.content_type(),
            Self::Protobuf => protobuf::CONTENT_TYPE,
        }
    }
}

/// Of what the client names, what it likes best: protobuf before OpenMetrics before the text format, which comes too where it
/// names nothing that there is.
pub(super) fn written(headers: &HeaderMap) -> Written {
    let mut protobuf = None;
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
            "application/vnd.google.protobuf" if item.is_delimited => protobuf = protobuf.max(Some(item.weight)),
            _ => {}
        }
    }
    let (protobuf, openmetrics, text) = (protobuf.unwrap_or(0), openmetrics.unwrap_or(0), text.unwrap_or(0));
    if protobuf > 0 && protobuf >= openmetrics.max(text) {
        Written::Protobuf
    } else if openmetrics > 0 && openmetrics >= text {
        Written::Text(Format::OpenMetrics)
    } else {
        Written::Text(Format::Text)
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
    /// Messages of families, each behind its length: the one encoding of protobuf that is spoken here.
    is_delimited: bool,
    /// Thousandths; 1000 when not given.
    weight: u16,
}

fn items(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = Item<'_>> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(
        |element| {
            let mut parts = element.split(';').map(str::trim);
            let mut item =
                Item { name: parts.next().unwrap_or_default(), version: None, is_delimited: true, weight: 1000 };
            for (key, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
                let value = value.trim().trim_matches('"');
                match key.trim().to_ascii_lowercase().as_str() {
                    "version" => item.version = Some(value),
                    "encoding" => item.is_delimited &= value == "delimited",
                    "proto" => item.is_delimited &= value == "io.prometheus.client.MetricFamily",
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

    fn accept(value: &'static str) -> Written {
        written(&HeaderMap::from_iter([(ACCEPT, value.parse().expect("a header value"))]))
    }

    #[test]
    fn prometheus_gets_openmetrics() {
        for header in [
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            "application/openmetrics-text",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.4,\
             application/openmetrics-text;version=\"1.0.0\";escaping=allow-utf-8;q=0.5,text/plain;q=0.4",
            "Application/OpenMetrics-Text;Q=0.2, */*;q=0.9",
        ] {
            assert_eq!(accept(header), Written::Text(Format::OpenMetrics), "{header}");
        }
    }

    #[test]
    fn protobuf_is_for_who_likes_it_best() {
        for header in [
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
             application/openmetrics-text;version=\"1.0.0\";escaping=allow-utf-8;q=0.5,text/plain;q=0.4",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
        ] {
            assert_eq!(accept(header), Written::Protobuf, "{header}");
        }
        for header in [
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
            "application/vnd.google.protobuf;proto=somebody.else;encoding=delimited",
        ] {
            assert_eq!(accept(header), Written::Text(Format::Text), "{header}");
        }
    }

    #[test]
    fn everybody_else_gets_the_text_format() {
        assert_eq!(written(&HeaderMap::new()), Written::Text(Format::Text));
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
            assert_eq!(accept(header), Written::Text(Format::Text), "{header}");
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
