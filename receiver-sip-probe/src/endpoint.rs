//! Where a target is, as it is written: `udp://sip.example.net:5060` in, transport, host and port out.

use std::net::{IpAddr, Ipv6Addr};

use crate::exchange::Carrier;

/// A target's place before names are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What was said of the transport.
    pub scheme: Scheme,
    /// Name or address.
    pub host: Host,
    /// `None` leaves it to DNS, or to the default of the transport.
    pub port: Option<u16>,
}

/// What stands before `://`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// This transport.
    Over(Carrier),
    /// What DNS says, UDP where it is silent (RFC 3263 §4.1).
    Sip,
    /// TLS, found as RFC 3263 §4.1 finds it.
    Sips,
}

/// Name or address of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// To be looked up.
    Name(String),
    /// As it is.
    Address(IpAddr),
}

impl Endpoint {
    /// Reads `scheme://host`, `scheme://host:port`, the same without a scheme, IPv6 in brackets.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("sip", text));
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "udp" => Scheme::Over(Carrier::Udp),
            "tcp" => Scheme::Over(Carrier::Tcp),
            "tls" => Scheme::Over(Carrier::Tls),
            "sip" => Scheme::Sip,
            "sips" => Scheme::Sips,
            _ => return None,
        };
        if let Some(bracketed) = rest.strip_prefix('[') {
            let (address, rest) = bracketed.split_once(']')?;
            let host = Host::Address(IpAddr::V6(address.parse::<Ipv6Addr>().ok()?));
            return Some(Self { scheme, host, port: port(rest)? });
        }
        let end = rest.find(':').unwrap_or(rest.len());
        let (host, rest) = rest.split_at(end);
        let host = match host.parse::<IpAddr>() {
            Ok(address) => Host::Address(address),
            Err(_) if is_name(host) => Host::Name(host.to_ascii_lowercase()),
            Err(_) => return None,
        };
        Some(Self { scheme, host, port: port(rest)? })
    }

    /// The transport, where DNS says nothing else.
    pub const fn carrier(&self) -> Carrier {
        match self.scheme {
            Scheme::Over(carrier) => carrier,
            Scheme::Sip => Carrier::Udp,
            Scheme::Sips => Carrier::Tls,
        }
    }

    /// The same with another transport.
    pub fn over(self, carrier: Carrier) -> Self {
        Self { scheme: Scheme::Over(carrier), ..self }
    }

    /// The Request-URI of who wants nobody in particular there.
    pub fn uri(&self) -> String {
        let scheme = if self.scheme == Scheme::Sips { "sips" } else { "sip" };
        match self.port {
            Some(port) => format!("{scheme}:{}:{port}", self.host.in_uri()),
            None => format!("{scheme}:{}", self.host.in_uri()),
        }
    }
}

impl Host {
    /// As a URI writes it: IPv6 in brackets.
    pub fn in_uri(&self) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Address(IpAddr::V4(address)) => address.to_string(),
            Self::Address(IpAddr::V6(address)) => format!("[{address}]"),
        }
    }
}

/// The port where a transport is spoken unless something else is said (RFC 3261 §19.1.2).
pub const fn default_port(carrier: Carrier) -> u16 {
    match carrier {
        Carrier::Udp | Carrier::Tcp => 5060,
        Carrier::Tls => 5061,
    }
}

/// What follows a host: nothing, or a port. `None` for anything else.
fn port(rest: &str) -> Option<Option<u16>> {
    match rest.strip_prefix(':') {
        None => rest.is_empty().then_some(None),
        Some(port) => port.parse().ok().filter(|port| *port != 0).map(Some),
    }
}

/// Letters, digits, hyphens and underscores between dots (RFC 1123 §2.1; underscores are in use).
fn is_name(host: &str) -> bool {
    let label = |label: &str| {
        (1..64).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    host.len() < 254 && host.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_and_become_uris() {
        for (text, carrier, uri) in [
            ("udp://sip.example.net:5060", Carrier::Udp, "sip:sip.example.net:5060"),
            ("TCP://192.0.2.1", Carrier::Tcp, "sip:192.0.2.1"),
            ("tls://[2001:db8::1]:5061", Carrier::Tls, "sip:[2001:db8::1]:5061"),
            ("sip://[2001:db8::1]", Carrier::Udp, "sip:[2001:db8::1]"),
            ("sips://Example.net", Carrier::Tls, "sips:example.net"),
            ("sbc_1.example.net:5070", Carrier::Udp, "sip:sbc_1.example.net:5070"),
        ] {
            let endpoint = Endpoint::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((endpoint.carrier(), endpoint.uri().as_str()), (carrier, uri), "{text}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for text in [
            "",
            "udp://",
            "ws://x",
            "udp://x:",
            "udp://x:0",
            "udp://x:70000",
            "udp://a b",
            "udp://[::1",
            "udp://[x]",
            "udp://x/y",
            "udp://x:5060;transport=tcp",
            "udp://me@x",
            "udp://a..b",
            "2001:db8::1",
            "udp://x\r\nY: z",
        ] {
            assert_eq!(Endpoint::parse(text), None, "{text}");
        }
    }
}
