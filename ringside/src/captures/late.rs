//! Messages that came under a Call-ID after the record of its call had left: repeats that nobody stopped, requests within a
//! dialog that is over. They are in no record, and counted here.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use engine::Sink;
use pipeline::call::Subject;
use pipeline::{CallRecord, Facts, FrameBatch, SipFrame, Transport};
use sip::Group;
use wire::Timestamp;

/// What came after a call was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late {
    /// How many messages.
    pub messages: u32,
    /// When the last of them came, on the clock people see.
    pub last: Timestamp,
}

/// By Call-ID, of calls that are over, the newest last.
#[derive(Clone, Debug, Default)]
pub struct LateMessages {
    by_call_id: HashMap<u64, Vec<Over>>,
    calls: usize,
}

/// A call that is over.
#[derive(Clone, Debug)]
struct Over {
    /// When it began: one Call-ID may be used again and again.
    start: Timestamp,
    messages: u32,
    /// When the first [`TIMES`] of them came.
    came: Vec<Timestamp>,
    last: Timestamp,
}

impl Over {
    fn add(&mut self, at: Timestamp) {
        self.messages = self.messages.saturating_add(1);
        self.last = at;
        if self.came.len() < TIMES {
            self.came.push(at);
        }
    }

    /// Takes back the messages of another call that uses the Call-ID again.
    fn take_back(&mut self, other: &CallRecord) {
        let had_all = self.messages as usize == self.came.len();
        self.came.retain(|at| *at < other.start);
        let kept = self.came.len() as u32;
        self.messages = if had_all { kept } else { self.messages.saturating_sub(other.messages).max(kept) };
        self.last = self.came.last().copied().unwrap_or(self.last);
    }
}

impl LateMessages {
    /// What came after the call that began then was over; `None` where nothing did, or where privacy hides Call-IDs.
    pub fn of(&self, call_id: &str, start: Timestamp) -> Option<Late> {
        let over = self.by_call_id.get(&mark(call_id))?.iter().find(|over| over.start == start)?;
        (over.messages > 0).then_some(Late { messages: over.messages, last: over.last })
    }

    fn take(&mut self, batch: &FrameBatch, facts: &Facts) {
        let mut over = facts.calls.iter().map(|call| &*call.record);
        let is_wanted = |record: &&CallRecord| record.last && record.subject == Subject::Call;
        if self.calls == 0 && !over.clone().any(|record| is_wanted(&record)) {
            return;
        }
        let came = batch.frames.iter().filter_map(|frame| Some((marked(batch.message(frame), frame)?, shown(frame))));
        let came: Vec<(u64, Timestamp)> = came.collect();
        for (mark, at) in &came {
            if let Some(newest) = self.by_call_id.get_mut(mark).and_then(|calls| calls.last_mut()) {
                newest.add(*at);
            }
        }
        for record in over.by_ref().filter(is_wanted) {
            let mark = mark(&record.call_id);
            if let Some(before) = self.by_call_id.get_mut(&mark).and_then(|calls| calls.last_mut()) {
                before.take_back(record);
            }
            if self.calls == MOST {
                continue;
            }
            let mut over = Over { start: record.start, messages: 0, came: Vec::new(), last: record.until };
            came.iter().filter(|(other, at)| *other == mark && *at > record.until).for_each(|(_, at)| over.add(*at));
            self.by_call_id.entry(mark).or_default().push(over);
            self.calls += 1;
        }
    }
}

/// Most calls that are followed after their end: 128 MB. Of those beyond it nothing is told.
const MOST: usize = 1 << 20;
/// Times that are kept of one call.
const TIMES: usize = 64;

/// Counts for somebody who asks in the end.
#[derive(Clone, Default)]
pub struct Counter(pub Arc<Mutex<LateMessages>>);

impl Sink for Counter {
    fn take(&mut self, batch: &FrameBatch, facts: &Facts) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(batch, facts);
    }
}

/// What is kept of a Call-ID.
fn mark(call_id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    call_id.hash(&mut hasher);
    hasher.finish()
}

/// That of a message; `None` of registrations, and of what cannot be read.
fn marked(message: &[u8], frame: &SipFrame) -> Option<u64> {
    match sip::group(message, frame.is_cut() && frame.transport == Transport::Udp)? {
        Group::Call(call_id) => Some(mark(&String::from_utf8_lossy(call_id))),
        Group::Registrations => None,
    }
}

/// When a message was complete, as people are shown it.
fn shown(frame: &SipFrame) -> Timestamp {
    Timestamp::from_nanos(frame.at.as_nanos().saturating_add_signed(frame.wall_offset))
}
