//! A record as text, to compare it with what a test expects: its spans as a tree, its messages as lines.

use pipeline::CallRecord;
use pipeline::call::ladder::{Owner, SpanId};
use wire::{Tap, Timestamp};

/// The spans of a record, each below its parent: name, interval, and what is said of it. What is below a span of
/// another record comes last, under `elsewhere`.
pub fn spans(record: &CallRecord) -> String {
    let all = all(record);
    let mut out = format!("call {} {}\n", record.outcome, interval(record.start, Some(record.until)));
    let mut shown = 0;
    below(record.span, 1, &all, &mut out, &mut shown);
    let strangers: Vec<&Span> = all
        .iter()
        .filter(|span| span.parent != record.span && all.iter().all(|other| other.id != span.parent))
        .collect();
    if !strangers.is_empty() {
        out += "elsewhere\n";
    }
    for span in strangers {
        out += &format!("  {}\n", span.text);
        shown += 1;
        below(span.id, 2, &all, &mut out, &mut shown);
    }
    let texts = all.iter().map(|span| format!("{:?} below {:?}: {}", span.id, span.parent, span.text));
    assert_eq!(shown, all.len(), "spans below themselves:\n{out}{:#?}", texts.collect::<Vec<_>>());
    out
}

/// A span of a record.
pub struct Span {
    pub id: SpanId,
    pub parent: SpanId,
    pub start: Timestamp,
    pub end: Option<Timestamp>,
    text: String,
}

/// The spans of a record, but the call's own.
pub fn all(record: &CallRecord) -> Vec<Span> {
    let transactions = record.transactions.iter().map(|told| {
        let mut text = told.method.as_str().to_owned();
        text += &told.status.map_or(String::new(), |status| format!(" {status}"));
        text += &format!(" {}", interval(told.start, told.end));
        for (is, word) in [
            (told.hop, "hop"),
            (told.in_dialog, "in-dialog"),
            (told.cancelled, "cancelled"),
            (told.timed_out, "timed-out"),
            (told.tap == Tap::Sender, "outgoing"),
        ] {
            text += &if is { format!(" {word}") } else { String::new() };
        }
        text += &if told.retransmissions > 0 { format!(" x{}", told.retransmissions) } else { String::new() };
        Span { id: told.span, parent: told.parent, start: told.start, end: told.end, text }
    });
    let ringing = record.ringing.iter().map(|told| {
        let name = if told.early_media { "early media" } else { "ringing" };
        let text = format!("{name} {}{}", interval(told.start, told.end), if told.winner { " winner" } else { "" });
        Span { id: told.span, parent: told.parent, start: told.start, end: told.end, text }
    });
    let sessions = record.sessions.iter().map(|told| {
        let mut text = format!("session {}", interval(told.start, told.end));
        text += &told.ended.map_or(String::new(), |ended| format!(" {ended}"));
        text += &told.disconnected_by.map_or(String::new(), |side| format!(" by {}", side.as_str()));
        text += &if told.segment > 1 { format!(" segment {}", told.segment) } else { String::new() };
        Span { id: told.span, parent: told.parent, start: told.start, end: told.end, text }
    });
    transactions.chain(ringing).chain(sessions).collect()
}

fn below(parent: SpanId, depth: usize, all: &[Span], out: &mut String, shown: &mut usize) {
    for span in all.iter().filter(|span| span.parent == parent && span.id != parent) {
        *out += &format!("{}{}\n", "  ".repeat(depth), span.text);
        *shown += 1;
        below(span.id, depth + 1, all, out, shown);
    }
}

/// The messages of a record: time, direction of the call, sender and recipient, what it is, and whose event.
pub fn ladder(record: &CallRecord) -> String {
    let line = |told: &pipeline::call::ladder::Message| {
        let name = |place| endpoint(record.endpoint(place).address);
        let what = told.status.map_or(told.method.as_str().to_owned(), |status| status.to_string());
        let owner = match told.owner {
            Owner::Transaction(place) => {
                let owner = &record.transactions[usize::from(place)];
                format!("{} {}{}", owner.cseq, owner.method.as_str(), if owner.hop { " hop" } else { "" })
            }
            Owner::Session(place) => format!("session {}", record.sessions[usize::from(place)].segment),
            Owner::Call => "call".to_owned(),
        };
        let direction = if told.forward { ">" } else { "<" };
        let sdp = if told.sdp { " sdp" } else { "" };
        let again = if told.retransmissions > 0 { format!(" x{}", told.retransmissions) } else { String::new() };
        let (from, to) = (name(told.source), name(told.destination));
        format!("{} {direction} {from} {to} {what}{sdp}{again} of {owner}\n", seconds(told.at))
    };
    record.ladder.iter().map(line).collect()
}

/// Compares line by line, whatever `expected` is indented by.
#[track_caller]
pub fn same(actual: &str, expected: &str) {
    let lines: Vec<&str> = expected.lines().filter(|line| !line.trim().is_empty()).collect();
    let indent = lines.iter().map(|line| line.len() - line.trim_start().len()).min().unwrap_or_default();
    let expected: String = lines.iter().map(|line| format!("{}\n", &line[indent..])).collect();
    assert!(actual == expected, "\nactual:\n{actual}\nexpected:\n{expected}");
}

/// The time of a record's clock that a ladder's seconds are.
pub fn at(seconds: f64) -> Timestamp {
    Timestamp::from_nanos(EPOCH) + std::time::Duration::from_secs_f64(seconds)
}

fn interval(start: Timestamp, end: Option<Timestamp>) -> String {
    format!("{}..{}", seconds(start), end.map_or(String::new(), seconds))
}

fn seconds(at: Timestamp) -> String {
    let millis = (at.as_nanos() - EPOCH) / 1_000_000;
    format!("{}.{}", millis / 1000, millis % 1000 / 100)
}

fn endpoint(address: std::net::SocketAddr) -> String {
    let names = ["alice", "bob", "carol", "dave", "proxy", "registrar"];
    let known = names.iter().find(|name| ladder::endpoint::address(name) == address);
    known.map_or_else(|| address.to_string(), |name| (*name).to_owned())
}

const EPOCH: u64 = 1_767_225_600_000_000_000;
