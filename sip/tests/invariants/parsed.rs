//! What must hold for every message, whatever the bytes: shared by the property tests and the fuzz target.

use sip::{AnomalyKind, Contact, Framing, Message, Start, parse, uri};

/// All ways in which a message can have been framed.
pub const FRAMINGS: [Framing; 4] = [
    Framing::Datagram { truncated: false },
    Framing::Datagram { truncated: true },
    Framing::Stream,
    Framing::WebSocket,
];

/// Parses `bytes` in every framing and calls every accessor.
pub fn check(bytes: &[u8]) {
    for framing in FRAMINGS {
        let first = parse(bytes, framing);
        assert_eq!(first, parse(bytes, framing), "parsing is deterministic");
        if let Ok(message) = first {
            usable(&message, bytes, framing);
        }
    }
}

fn usable(message: &Message<'_>, bytes: &[u8], framing: Framing) {
    let vias: Vec<_> = message.vias().collect();
    assert_eq!(vias.len(), usize::from(message.via_count), "every Via is counted");
    assert_eq!(vias.first(), Some(&message.via), "the first Via is the topmost one");
    assert!(message.via_count <= sip::MAX_VIAS);
    assert!(!message.call_id.is_empty());

    let mut slices = vec![message.call_id, message.cseq.name, message.body()];
    for via in vias {
        assert!(!via.host.is_empty());
        let _ = via.unique_branch();
        slices.extend([via.host, via.branch]);
    }
    for party in [message.from, message.to] {
        slices.extend([party.uri, party.tag]);
        slices.extend(uri::user(party.uri));
        let mut address_of_record = Vec::new();
        uri::address_of_record(party.uri, &mut address_of_record);
    }
    match message.start {
        Start::Request { method, name, uri } => {
            assert!(message.is_request() && message.status().is_none());
            assert_eq!((method, name), (message.cseq.method, message.cseq.name));
            slices.extend([name, uri]);
        }
        Start::Response { status, reason } => {
            assert!(!message.is_request() && message.status() == Some(status));
            assert!((100..700).contains(&status));
            slices.push(reason);
        }
    }
    assert_eq!(message.method(), message.cseq.method);
    for contact in message.contacts() {
        if let Contact::Address { uri, expires: _ } = contact {
            assert!(!uri.is_empty());
            slices.push(uri);
        }
    }
    for reason in message.reasons() {
        assert!(reason.cause.is_none_or(|cause| cause <= 999));
    }
    if let Some(user_agent) = message.user_agent() {
        assert!(!user_agent.is_empty() && !user_agent.contains(&b'\n'), "unfolded");
    }
    slices.extend(message.p_asserted_identity());
    slices.extend(message.session_id());
    slices.extend(message.content_type());
    assert!(!message.has_sdp() || !message.body().is_empty());
    let _ = (message.expires(), message.session_expires(), message.rseq(), message.retry_after());
    let _ = message.has_replaces();

    let whole = bytes.as_ptr_range();
    for slice in slices.into_iter().filter(|slice| !slice.is_empty()) {
        let part = slice.as_ptr_range();
        assert!(whole.start <= part.start && part.end <= whole.end, "fields are borrowed from the message");
    }
    let truncated = framing == Framing::Datagram { truncated: true };
    assert_eq!(message.anomalies.contains(AnomalyKind::Snaplen), truncated);
    let kinds = message.anomalies.iter().collect::<Vec<_>>();
    assert!(kinds.is_sorted() && kinds.len() <= AnomalyKind::ALL.len());
}
