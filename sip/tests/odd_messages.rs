//! Odd messages of our own, one of each class of RFC 4475 (`testdata/odd-messages/`): each is read, or refused, as
//! `expected.json` beside them says (`sip-metrics.md` 1.10), and no prefix of one does harm.

use std::path::PathBuf;

use serde_json::{Value, json};
use sip::{Framing, Message, ParseError, Payload, Start, parse, sort, uri};

#[path = "invariants/parsed.rs"]
mod parsed;
#[path = "invariants/sorted.rs"]
mod sorted;

const DATAGRAM: Framing = Framing::Datagram { truncated: false };

/// Classes of RFC 4475.
const CLASSES: usize = 49;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/odd-messages"))
}

/// Each message with what is expected of it.
fn messages() -> Vec<(String, Vec<u8>, Value)> {
    let text = std::fs::read_to_string(folder().join("expected.json")).expect("expected values");
    let expected: serde_json::Map<String, Value> = serde_json::from_str(&text).expect("JSON");
    let read = |(class, expected)| {
        let bytes = std::fs::read(folder().join(format!("{class}.sip"))).expect("a message");
        (class, bytes, expected)
    };
    expected.into_iter().map(read).collect()
}

/// The reason of a refusal, or the imperfections of a message.
fn outcome(parsed: Result<&Message<'_>, ParseError>) -> Value {
    match parsed {
        Ok(message) => message.anomalies.iter().map(|kind| kind.label()).collect(),
        Err(error) => json!(error.reason()),
    }
}

fn text(bytes: &[u8]) -> Value {
    json!(String::from_utf8_lossy(bytes))
}

/// What a message says, by the names of `expected.json`.
fn said(name: &str, message: &Message<'_>) -> Value {
    let request_uri = match message.start {
        Start::Request { uri, .. } => uri,
        Start::Response { .. } => b"",
    };
    match name {
        "anomalies" => outcome(Ok(message)),
        "key" => json!(if message.via.unique_branch() { "branch" } else { "fallback" }),
        "method" => json!(message.method().as_str()),
        "status" => json!(message.status()),
        "cseq" => json!(message.cseq.number),
        "call_id" => text(message.call_id),
        "from_tag" => text(message.from.tag),
        "from_uri" => text(message.from.uri),
        "to_tag" => text(message.to.tag),
        "to_uri" => text(message.to.uri),
        "user" => text(uri::user(request_uri).unwrap_or_default()),
        "vias" => json!(message.via_count),
        "hosts" => message.vias().map(|via| text(via.host)).collect(),
        "ports" => message.vias().map(|via| via.port).collect(),
        "contacts" => json!(message.contacts().count()),
        "body" => json!(message.body().len()),
        "sdp" => json!(message.has_sdp()),
        _ => panic!("nobody knows what {name} is"),
    }
}

fn differences(class: &str, bytes: &[u8], expected: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |name: &str, found: &Value, wanted: &Value| {
        if found != wanted {
            differences.push(format!("{class}: {name} is {found}, not {wanted}"));
        }
    };
    let in_datagram = parse(bytes, DATAGRAM);
    let in_stream = outcome(parse(bytes, Framing::Stream).as_ref().map_err(|error| *error));
    for (name, wanted) in expected.as_object().expect("an object") {
        match (name.as_str(), &in_datagram) {
            ("rfc4475" | "about", _) => {}
            ("stream", _) => compare(name, &in_stream, wanted),
            ("error", parsed) => compare(name, &outcome(parsed.as_ref().map_err(|error| *error)), wanted),
            (name, Ok(message)) => compare(name, &said(name, message), wanted),
            (name, Err(error)) => compare(name, &json!(error.reason()), wanted),
        }
    }
    if expected.get("stream").is_none() {
        let as_in_datagram = outcome(in_datagram.as_ref().map_err(|error| *error));
        compare("stream", &in_stream, &as_in_datagram);
    }
    differences
}

#[test]
fn every_message_is_read_or_refused_as_its_class_says() {
    let messages = messages();
    assert_eq!(messages.len(), CLASSES);
    let differences: Vec<_> =
        messages.iter().flat_map(|(class, bytes, expected)| differences(class, bytes, expected)).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    for (class, bytes, expected) in &messages {
        assert_eq!(sort(bytes), Payload::Sip(bytes), "{class}");
        let [tracked, refused] = ["anomalies", "error"].map(|outcome| expected.get(outcome).is_some());
        assert!(tracked != refused, "{class} is either tracked or refused");
        assert!(refused || (expected.get("key").is_some() && expected.get("method").is_some()), "{class}");
    }
}

#[test]
fn every_prefix_of_every_message_is_harmless() {
    for (_, bytes, _) in messages() {
        for len in 0..=bytes.len() {
            sorted::check(&bytes[..len]);
            parsed::check(&bytes[..len]);
        }
    }
}

#[test]
fn numbers_beyond_their_range_are_clamped_once_their_cseq_is_mended() {
    for (class, broken) in [("scalar02", "99999999999999999999"), ("scalarlg", "4294967296")] {
        let text = std::fs::read_to_string(folder().join(format!("{class}.sip"))).expect("text");
        let text = text.replacen(broken, "1", 1);
        let message = parse(text.as_bytes(), DATAGRAM).expect("a message");
        assert_eq!(outcome(Ok(&message)), json!(["number"]), "{class}");
        assert_eq!(message.expires().or(message.retry_after()), Some(u32::MAX));
    }
}
