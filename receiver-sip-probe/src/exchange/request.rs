//! What an OPTIONS request says (RFC 3261 §8.1.1, §11.1): a form and the marks of one request in, its bytes out.
//!
//! Pure. The text of a form was checked when the configuration was read: nothing in it can end a header.

use std::fmt::Write;
use std::net::SocketAddr;

use pipeline::probes::CALL_ID_SUFFIX;

/// What a branch begins with (RFC 3261 §8.1.1.7).
const COOKIE: &str = "z9hG4bK";

/// What all requests to one target say alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// Request-URI, and the URI of To.
    pub request_uri: String,
    /// URI of From; empty for one of the address the request leaves from.
    pub from: String,
    /// User-Agent.
    pub user_agent: String,
    /// Max-Forwards.
    pub max_forwards: u8,
}

/// What carries a request, as its Via says it (RFC 3261 §18.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carrier {
    /// Datagrams: requests are repeated (Timer E).
    Udp,
    /// One connection.
    Tcp,
    /// One connection with TLS.
    Tls,
}

impl Carrier {
    /// As a Via writes it.
    const fn via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// As labels and `transport` of a URI write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// Whether nothing is lost on the way, so that nothing is repeated (§17.1.2.2).
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }
}

/// What tells one probe from all others, drawn by chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// Behind the cookie of the first request's branch.
    pub branch: u128,
    /// The same for the request that answers a challenge.
    pub second_branch: u128,
    /// Tag of From.
    pub tag: u64,
    /// Call-ID, before the suffix.
    pub call_id: u128,
    /// `cnonce` of the credentials.
    pub cnonce: u64,
}

impl Marks {
    /// Fresh ones from the system's source of randomness: a response that names them was meant for the probe.
    pub fn draw() -> Self {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes).expect("Linux gives random bytes to everybody");
        let half = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let whole = |at: usize| u128::from(half(at)) << 64 | u128::from(half(at + 8));
        Self { branch: whole(0), second_branch: whole(16), tag: half(32), call_id: whole(40), cnonce: half(56) }
    }
}

/// The branch of a request.
pub(super) fn branch(mark: u128) -> String {
    format!("{COOKIE}{mark:032x}")
}

/// One request.
pub(super) struct Request<'a> {
    pub form: &'a Form,
    pub carrier: Carrier,
    /// Where it leaves from: sent-by, Contact, and From where none is given.
    pub local: SocketAddr,
    pub marks: &'a Marks,
    pub branch: &'a str,
    pub cseq: u32,
    /// Name and value of a header with credentials.
    pub credentials: Option<(&'static str, &'a str)>,
}

impl Request<'_> {
    pub(super) fn write(&self) -> Vec<u8> {
        let Self { form: Form { request_uri, from, user_agent, max_forwards }, carrier, local, marks, branch, .. } =
            self;
        let Marks { tag, call_id, .. } = marks;
        let via = carrier.via();
        let host = host(*local);
        let own = format!("sip:ringside@{host}");
        let from = if from.is_empty() { &own } else { from };
        let transport = match carrier {
            Carrier::Udp => "",
            Carrier::Tcp => ";transport=tcp",
            Carrier::Tls => ";transport=tls",
        };
        let cseq = self.cseq;
        let mut text = format!(
            "OPTIONS {request_uri} SIP/2.0\r\n\
             Via: SIP/2.0/{via} {local};branch={branch};rport\r\n\
             Max-Forwards: {max_forwards}\r\n\
             From: <{from}>;tag={tag:016x}\r\n\
             To: <{request_uri}>\r\n\
             Call-ID: {call_id:032x}{CALL_ID_SUFFIX}\r\n\
             CSeq: {cseq} OPTIONS\r\n\
             Contact: <sip:ringside@{local}{transport}>\r\n\
             Accept: application/sdp\r\n\
             User-Agent: {user_agent}\r\n"
        );
        if let Some((name, value)) = self.credentials {
            write!(text, "{name}: {value}\r\n").expect("writing to a String cannot fail");
        }
        text.push_str("Content-Length: 0\r\n\r\n");
        text.into_bytes()
    }
}

/// An address as a host of a URI: IPv6 in brackets.
fn host(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    }
}
