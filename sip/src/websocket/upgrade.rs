//! How a WebSocket for SIP begins: a head of HTTP in, whether it asks for one or grants one out (RFC 6455 §4, RFC 7118 §4).

use httparse::{EMPTY_HEADER, Header, Request, Response, Status};

/// Longest head, bytes: browsers send cookies along.
pub(super) const MAX_HEAD: usize = 16 * 1024;

/// Most header fields of a head.
const MAX_FIELDS: usize = 64;

/// How a request for an upgrade and how its answer begin.
const BEGINNINGS: [&[u8]; 2] = [b"GET ", b"HTTP/"];

/// The only name RFC 7118 registers (§8).
const SUBPROTOCOL: &str = "sip";

const SWITCHING_PROTOCOLS: u16 = 101;

/// Whose head it is that asks for SIP, or grants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    Client,
    Server,
}

/// Whether a head may begin so, as far as there are bytes.
pub(super) fn may_begin(bytes: &[u8]) -> bool {
    BEGINNINGS.iter().any(|beginning| bytes.iter().zip(*beginning).all(|(byte, expected)| byte == expected))
}

/// Whether a head begins here.
pub(super) fn begins(bytes: &[u8]) -> bool {
    BEGINNINGS.iter().any(|beginning| bytes.starts_with(beginning))
}

/// Reads a whole head. `None`: it is no HTTP, or neither a request for a WebSocket with subprotocol `sip` nor its
/// acceptance.
pub(super) fn read(head: &[u8]) -> Option<Sender> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    if head.starts_with(BEGINNINGS[0]) {
        let mut request = Request::new(&mut fields);
        let Ok(Status::Complete(_)) = request.parse(head) else { return None };
        speaks_sip(request.headers).then_some(Sender::Client)
    } else {
        let mut response = Response::new(&mut fields);
        let Ok(Status::Complete(_)) = response.parse(head) else { return None };
        (response.code == Some(SWITCHING_PROTOCOLS) && speaks_sip(response.headers)).then_some(Sender::Server)
    }
}

fn speaks_sip(fields: &[Header<'_>]) -> bool {
    lists(fields, "Upgrade", "websocket") && lists(fields, "Sec-WebSocket-Protocol", SUBPROTOCOL)
}

/// Whether `word` is an element of the lists that the fields `name` hold, in any case.
fn lists(fields: &[Header<'_>], name: &str, word: &str) -> bool {
    let values = fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value);
    values
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|element| element.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}
