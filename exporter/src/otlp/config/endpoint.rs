//! Endpoints as the Collector reads them: text in, scheme, authority and path out.

use hyper::Uri;
use pipeline::settings::Problems;

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// With TLS.
    pub tls: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port; the scheme's own where none was written.
    pub port: u16,
    /// Path with a leading slash; for gRPC always `/`.
    pub path: String,
}

impl Endpoint {
    /// `https://host:port/path`.
    pub fn uri(&self) -> Uri {
        let text = format!("{}://{}{}", if self.tls { "https" } else { "http" }, self.authority(), self.path);
        text.parse().expect("it was taken from a URI")
    }

    /// `host:port`, an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        let brackets = self.host.contains(':');
        let (open, close) = if brackets { ("[", "]") } else { ("", "") };
        format!("{open}{}{close}:{}", self.host, self.port)
    }

    /// The same with `path` appended.
    pub(super) fn below(&self, path: &str) -> Self {
        Self { path: format!("{}{path}", self.path.trim_end_matches('/')), ..self.clone() }
    }
}

/// Reads `host:port`, `http://host:port` or `https://host:port`. An empty one is none, which is no error here.
pub(super) fn grpc(text: &str, insecure: bool, problems: &mut Problems) -> Option<Endpoint> {
    if text.is_empty() {
        return None;
    }
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None => (if insecure { "http" } else { "https" }.to_owned(), text),
    };
    let help = "write it as \"http://127.0.0.1:4317\" (no TLS), \"https://host:4317\" or \"host:4317\"";
    let endpoint = parse(&scheme, rest).filter(|endpoint| endpoint.path == "/");
    match &endpoint {
        None => problems.error("endpoint", "it is no endpoint for gRPC", help),
        Some(Endpoint { port, .. }) if !text.contains("://") && !text.ends_with(&format!(":{port}")) => {
            problems.warning(
                "endpoint",
                format!("no port is written, so it is {port}; OTLP over gRPC usually has 4317"),
                help,
            );
        }
        Some(_) => {}
    }
    endpoint
}

/// Reads `http://host[:port][/path]` or the same with `https`. An empty one is none, which is no error here.
pub(super) fn http(key: &str, text: &str, problems: &mut Problems) -> Option<Endpoint> {
    if text.is_empty() {
        return None;
    }
    let endpoint = text.split_once("://").and_then(|(scheme, rest)| parse(&scheme.to_ascii_lowercase(), rest));
    if endpoint.is_none() {
        let help = "write it with its scheme: \"http://127.0.0.1:4318\" or \"https://host/otlp\"";
        problems.error(key, "it is no endpoint for HTTP", help);
    }
    endpoint
}

/// What the text was is never shown: it may hold a password.
fn parse(scheme: &str, rest: &str) -> Option<Endpoint> {
    let (tls, default) = match scheme {
        "http" => (false, 80),
        "https" => (true, 443),
        _ => return None,
    };
    let uri: Uri = format!("{scheme}://{rest}").parse().ok()?;
    let authority = uri.authority()?;
    // `http` itself lets a port out of range and a user pass.
    let port = match authority.as_str().strip_prefix(authority.host())? {
        "" => default,
        port => port.strip_prefix(':')?.parse().ok().filter(|port| *port != 0)?,
    };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let plain = uri.query().is_none() && !host.is_empty();
    plain.then(|| Endpoint { tls, host: host.to_owned(), port, path: uri.path().to_owned() })
}
