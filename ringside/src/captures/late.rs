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

/// By Call-ID, of calls that are over.
#[derive(Clone, Debug, Default)]
pub struct LateMessages(HashMap<u64, Late>);

impl LateMessages {
    /// What came after the call was over; `None` where nothing did, or where privacy hides Call-IDs.
    pub fn of(&self, call_id: &str) -> Option<Late> {
        self.0.get(&mark(call_id)).copied().filter(|late| late.messages > 0)
    }

    fn take(&mut self, batch: &FrameBatch, facts: &Facts) {
        let mut over = facts.calls.iter().map(|call| &*call.record);
        let is_wanted = |record: &&CallRecord| record.last && record.subject == Subject::Call;
        if self.0.is_empty() && !over.clone().any(|record| is_wanted(&record)) {
            return;
        }
        let came = batch.frames.iter().filter_map(|frame| Some((marked(batch.message(frame), frame)?, shown(frame))));
        let came: Vec<(u64, Timestamp)> = came.collect();
        for (mark, at) in &came {
            if let Some(late) = self.0.get_mut(mark) {
                *late = Late { messages: late.messages.saturating_add(1), last: *at };
            }
        }
        for record in over.by_ref().filter(is_wanted) {
            let mark = mark(&record.call_id);
            if let Some(late) = self.0.get_mut(&mark) {
                // Another call under the same Call-ID, whose messages were taken for late ones until now.
                late.messages = late.messages.saturating_sub(record.messages);
            } else if self.0.len() < MOST {
                let late = came.iter().filter(|(other, at)| *other == mark && *at > record.until);
                let messages = late.clone().count() as u32;
                self.0.insert(mark, Late { messages, last: late.map(|(_, at)| *at).max().unwrap_or(record.until) });
            }
        }
    }
}

/// Most calls that are followed after their end: 48 MB. Of those beyond it nothing is told.
const MOST: usize = 1 << 20;

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
