//! Which message another one repeats: the same one hop before, or the request that was turned down. And what is new in it.

use pipeline::CallRecord;
use pipeline::call::ladder::{Message, Owner};
use serde::Serialize;
use sip::Method;

use super::{Line, Part, lines};

/// What a message repeats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Repeats {
    /// Which message: its place in the ladder.
    pub message: usize,
    /// Why it was sent once more.
    pub way: Way,
    /// Lines of that message that are not in this one.
    pub removed: Vec<String>,
    /// Lines of this message that are not in that one.
    pub added: Vec<String>,
}

/// Why a message was sent once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// It was passed on.
    Hop,
    /// It was challenged (401, 407), and has credentials now.
    Credentials,
    /// It was turned down for something that can be changed.
    Retry,
}

impl Way {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hop => "passed on",
            Self::Credentials => "sent again with credentials",
            Self::Retry => "sent again",
        }
    }
}

impl Repeats {
    /// What the message at a place of the ladder repeats; `None` where nothing, or where either was not kept.
    pub fn of(record: &CallRecord, place: usize, unicode: bool) -> Option<Self> {
        let sent = record.sent.as_ref()?;
        let (message, way) = before(record, place)?;
        let (old, new) = (sent.message(message)?, sent.message(place)?);
        let (removed, added) = difference(old, new, unicode);
        Some(Self { message, way, removed, added })
    }
}

/// Lines of the first message that are not in the second, and the other way round.
pub fn difference(old: &[u8], new: &[u8], unicode: bool) -> (Vec<String>, Vec<String>) {
    let (old, new) = (lines(old, unicode), lines(new, unicode));
    (missing(&old, &new), missing(&new, &old))
}

/// The message that the one at `place` repeats.
pub fn before(record: &CallRecord, place: usize) -> Option<(usize, Way)> {
    let message = record.ladder.get(place)?;
    if let Some(hop) = hop_before(record, place, message) {
        return Some((hop, Way::Hop));
    }
    if message.status.is_some() || matches!(message.method, Method::Ack | Method::Cancel) {
        return None;
    }
    let earlier = record.ladder[..place].iter().enumerate().rev();
    let mut same = earlier.filter(|(_, other)| {
        let ends = |message: &Message| (message.method, message.source, message.destination);
        other.status.is_none() && ends(other) == ends(message) && other.cseq < message.cseq
    });
    let (other, earlier) = same.next()?;
    let way = match transaction(record, earlier)?.status? {
        401 | 407 => Way::Credentials,
        415 | 416 | 420 | 421 | 422 | 423 | 484 | 491 | 494 => Way::Retry,
        _ => return None,
    };
    Some((other, way))
}

/// The same message one hop before: requests go down, responses come up.
fn hop_before(record: &CallRecord, place: usize, message: &Message) -> Option<usize> {
    let own = transaction(record, message);
    let mut earlier = record.ladder[..place].iter().enumerate().rev();
    let is_same = |other: &Message| {
        (other.method, other.status, other.cseq) == (message.method, message.status, message.cseq)
            && (other.source, other.destination) != (message.source, message.destination)
    };
    let is_above = |above: &Message, below: &Message| {
        transaction(record, above)
            .zip(transaction(record, below))
            .is_some_and(|(above, below)| below.hop && below.parent == above.span)
    };
    let (place, _) = earlier.find(|(_, other)| {
        // Where no transaction tells, the one that came to where this one goes on from.
        let follows = other.destination == message.source;
        is_same(other)
            && match (own, message.status) {
                (None, _) => follows,
                (Some(_), None) => is_above(other, message) || follows && other.method == Method::Ack,
                (Some(_), Some(_)) => is_above(message, other),
            }
    })?;
    Some(place)
}

fn transaction<'a>(record: &'a CallRecord, message: &Message) -> Option<&'a pipeline::call::ladder::Transaction> {
    match message.owner {
        Owner::Transaction(index) => record.transactions.get(usize::from(index)),
        Owner::Session(_) | Owner::Call => None,
    }
}

/// Lines that are in `these` more often than in `those`; blanks between parts of a message are none.
fn missing(these: &[Line], those: &[Line]) -> Vec<String> {
    let mut rest: Vec<&str> = those.iter().map(|line| line.text.as_str()).collect();
    let new = these.iter().filter(|line| {
        let known = rest.iter().position(|text| *text == line.text);
        known.map(|place| rest.swap_remove(place)).is_none()
    });
    new.filter(|line| !line.text.is_empty() || line.part != Part::Body).map(|line| line.text.clone()).collect()
}
