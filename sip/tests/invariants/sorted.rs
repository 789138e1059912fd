//! What must hold for every datagram, whatever the bytes: shared by the property tests and the fuzz target.

use sip::{Framing, ParseError, Payload, parse, sort};

/// Sorts `payload`; what is called SIP must not be refused for its start line, and the other way round.
pub fn check(payload: &[u8]) {
    let kind = sort(payload);
    assert_eq!(sort(payload), kind, "sorting is deterministic");
    let parsed = parse(payload, Framing::Datagram { truncated: false });
    match kind {
        Payload::Sip(message) => {
            assert!(payload.ends_with(message));
            assert_ne!(parsed.err(), Some(ParseError::StartLine));
        }
        Payload::Crlf | Payload::StartLineError => assert!(parsed.is_err()),
        Payload::Stun | Payload::NonSip => {}
    }
}
