//! One message as it was sent: a record and a place in its ladder in; its lines, what it says of media, when it was sent
//! again and what is new in it beside the message it repeats out.
//!
//! Only where records keep messages. Everything is escaped: bytes of the wire become printable text, line by line.

mod media;
mod repeats;
mod text;

use pipeline::CallRecord;
use wire::Timestamp;

use crate::text::printable;

pub use media::Medium;
pub use repeats::{Repeats, Way};
pub use text::{Detail, all, difference, text};

/// A message that was kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Start line, header fields with their folds, and the body; each printable.
    pub lines: Vec<Line>,
    /// What its session description says of each medium.
    pub media: Vec<Medium>,
    /// The message it repeats; `None` where it is new.
    pub repeats: Option<Repeats>,
}

/// One line of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it stands.
    pub part: Part,
    /// Its characters, without line end.
    pub text: String,
}

/// A part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The request line or status line.
    Start,
    /// A header field, or a fold of one.
    Field,
    /// The body.
    Body,
}

impl Told {
    /// The message at a place of the ladder; `None` where it was not kept. `unicode`: characters beyond ASCII may be shown.
    pub fn of(record: &CallRecord, place: usize, unicode: bool) -> Option<Self> {
        let message = record.sent.as_ref()?.message(place)?;
        let repeats = Repeats::of(record, place, unicode);
        Some(Self { lines: lines(message, unicode), media: media::of(message), repeats })
    }

    /// Its lines, with an empty one before the body.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut body = false;
        for line in &self.lines {
            if line.part == Part::Body && !std::mem::replace(&mut body, true) {
                text.push('\n');
            }
            text += &line.text;
            text.push('\n');
        }
        text
    }
}

/// When the message at a place of the ladder was sent again, and whether that was another one.
pub fn again(record: &CallRecord, place: usize) -> impl Iterator<Item = (Timestamp, bool)> {
    let sent = record.sent.iter().flat_map(move |sent| sent.repeats_of(place));
    sent.map(|repeat| (repeat.at, repeat.other.is_some()))
}

/// The lines of a message.
fn lines(message: &[u8], unicode: bool) -> Vec<Line> {
    let (head, body) = split(message);
    let mut lines = Vec::new();
    let mut put = |part, bytes: &[u8]| {
        for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let text = String::from_utf8_lossy(line);
            // Blanks that are not blanks are told, tabs are as good as blanks.
            let text = printable(&text.replace('\t', " "), unicode).into_owned();
            let part = if at == 0 && part == Part::Field { Part::Start } else { part };
            lines.push(Line { part, text });
        }
    };
    put(Part::Field, head);
    if !body.is_empty() {
        put(Part::Body, body.strip_suffix(b"\n").unwrap_or(body));
    }
    lines
}

/// Head and body of a message, without what ends the head.
fn split(message: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if matches!(line, b"\r\n" | b"\n") {
            let head = &message[..at];
            let head = head.strip_suffix(b"\n").unwrap_or(head);
            return (head.strip_suffix(b"\r").unwrap_or(head), &message[at + line.len()..]);
        }
        at += line.len();
    }
    (message, &[])
}
