//! What must hold for every datagram, whatever the bytes: shared by the property tests and the fuzz target.

use sip::{AnomalyKind, Framing, ParseError, Payload, find_start_line, merged_size, parse, sort};

/// Sorts `payload`; what is called SIP must not be refused for its start line, and the other way round.
pub fn check(payload: &[u8]) {
    let kind = sort(payload);
    assert_eq!(sort(payload), kind, "sorting is deterministic");
    if let Some(size) = merged_size(payload) {
        assert!((1..payload.len()).contains(&size));
        for message in payload.chunks(size) {
            assert_eq!(sort(message), Payload::Sip(message));
            let anomalies = parse(message, Framing::Stream).map(|message| message.anomalies);
            assert!(!anomalies.is_ok_and(|anomalies| anomalies.iter().any(|kind| kind == AnomalyKind::TrailingBytes)));
        }
    }
    if let Some(start) = find_start_line(payload) {
        assert!(matches!(sort(&payload[start..]), Payload::Sip(_)));
    }
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
