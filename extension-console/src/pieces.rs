//! Calls that leave in pieces, put together again: a record with what earlier ones listed.
//!
//! A traces pipeline may let long calls leave in pieces (`emit`, `max_segment`); a ladder is wanted whole. What is kept
//! of a call is bounded as a record is, and so is the number of calls.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use pipeline::CallRecord;
use pipeline::call::ladder::{Message, Owner};
use pipeline::call::sent::{MAX_SENT, Sent};

use crate::entry::Key;

/// What left of calls that go on.
#[derive(Default)]
pub struct Pieces {
    calls: HashMap<Key, Arc<CallRecord>>,
    /// In the order they came.
    order: VecDeque<Key>,
    /// Bytes of their messages.
    sent: usize,
}

impl Pieces {
    /// Keeps a piece of a call that goes on; of `most` calls, the newest.
    pub fn keep(&mut self, key: Key, piece: &Arc<CallRecord>, most: usize) {
        let whole = self.joined(&key, piece);
        self.sent += sent(&whole);
        match self.calls.insert(key.clone(), whole) {
            Some(before) => self.sent -= sent(&before),
            None => self.order.push_back(key),
        }
        while self.order.len() > most {
            let oldest = self.order.pop_front().and_then(|oldest| self.calls.remove(&oldest));
            self.sent -= oldest.map_or(0, |oldest| sent(&oldest));
        }
    }

    /// Lets the messages of the oldest calls go until all have at most so many bytes.
    pub fn let_go(&mut self, most: usize) {
        for key in &self.order {
            if self.sent <= most {
                return;
            }
            if let Some(record) = self.calls.get_mut(key) {
                self.sent -= sent(record);
                *record = record.without_messages();
                self.sent += sent(record);
            }
        }
    }

    /// The last piece of a call with all before it.
    pub fn finish(&mut self, key: &Key, last: &Arc<CallRecord>) -> Arc<CallRecord> {
        let whole = self.joined(key, last);
        if let Some(before) = self.calls.remove(key) {
            self.sent -= sent(&before);
            self.order.retain(|kept| kept != key);
        }
        whole
    }

    /// A record with what left before it.
    pub fn joined(&self, key: &Key, record: &Arc<CallRecord>) -> Arc<CallRecord> {
        match self.calls.get(key) {
            Some(before) => Arc::new(join(before, record)),
            None => Arc::clone(record),
        }
    }
}

/// Bytes of the messages of a call.
pub fn sent(record: &CallRecord) -> usize {
    record.sent.as_ref().map_or(0, |sent| sent.bytes())
}

/// What `later` says of the call as a whole, with the parts of both.
fn join(before: &CallRecord, later: &CallRecord) -> CallRecord {
    let mut whole = later.clone();
    let (transactions, sessions) = (before.transactions.len(), before.sessions.len());
    let moved = |message: &Message| Message {
        owner: match message.owner {
            Owner::Transaction(index) => Owner::Transaction(index.saturating_add(transactions as u16)),
            Owner::Session(index) => Owner::Session(index.saturating_add(sessions as u16)),
            Owner::Call => Owner::Call,
        },
        ..*message
    };
    whole.transactions = chained(&before.transactions, later.transactions.iter().cloned());
    whole.ringing = chained(&before.ringing, later.ringing.iter().cloned());
    whole.sessions = chained(&before.sessions, later.sessions.iter().cloned());
    // Messages of what had not ended wait for a later piece: by time again, each with its headers.
    let headers = |record: &CallRecord, index: usize| record.headers.get(index).cloned().unwrap_or_default();
    let of_before = before.ladder.iter().enumerate().map(|(index, message)| (*message, headers(before, index)));
    let of_later = later.ladder.iter().enumerate().map(|(index, message)| (moved(message), headers(later, index)));
    let mut messages: Vec<(usize, (Message, Box<str>))> = of_before.chain(of_later).enumerate().collect();
    messages.sort_by_key(|(_, (message, _))| message.at);
    let beyond = messages.len().saturating_sub(MAX_MESSAGES);
    if beyond > 0 {
        // The beginning and the end say most; what is cut is counted.
        messages.drain(MAX_MESSAGES / 2..MAX_MESSAGES / 2 + beyond);
    }
    whole.ladder_cut = later.ladder_cut.max(before.ladder_cut) + beyond as u32;
    let said: Vec<Box<str>>;
    let places: Vec<usize>;
    (places, (whole.ladder, said)) = messages.into_iter().unzip();
    let mut sent = before.sent.as_deref().cloned().unwrap_or_default();
    sent.append(before.ladder.len(), later.sent.as_deref().unwrap_or(&Sent::default()), later.ladder.len());
    let mut sent = sent.rearranged(&places);
    sent.limit(MAX_SENT);
    whole.sent = (!sent.is_empty()).then(|| Box::new(sent));
    let said_nothing = said.iter().all(|lines| lines.is_empty());
    whole.headers = if said_nothing { Box::default() } else { said.into() };
    whole
}

fn chained<T: Clone>(before: &[T], later: impl Iterator<Item = T>) -> Vec<T> {
    before.iter().cloned().chain(later).take(MAX_PARTS).collect()
}

/// Most messages of a call that left in pieces.
const MAX_MESSAGES: usize = 1024;
/// Most parts of each kind.
const MAX_PARTS: usize = 512;

#[cfg(test)]
mod tests {
    use pipeline::call::Subject;
    use wire::Timestamp;

    use super::*;

    fn piece(bytes: usize) -> Arc<CallRecord> {
        let mut record = CallRecord::begun(Subject::Call, Timestamp::ZERO);
        record.sent = Some(Box::new(Sent { messages: vec![Some(vec![0; bytes].into())], ..Sent::default() }));
        Arc::new(record)
    }

    fn key(number: u64) -> Key {
        (number.to_string().into(), Timestamp::from_nanos(number + 1))
    }

    #[test]
    fn messages_of_the_oldest_calls_go_first_and_the_calls_stay() {
        let mut pieces = Pieces::default();
        (0..10).for_each(|number| pieces.keep(key(number), &piece(1000), 8));
        pieces.let_go(3000);
        assert!(pieces.sent <= 3000, "{}", pieces.sent);
        let with_messages = |pieces: &Pieces| {
            let numbers =
                (0..10).filter(|number| pieces.calls.get(&key(*number)).is_some_and(|call| call.sent.is_some()));
            numbers.collect::<Vec<_>>()
        };
        assert_eq!((pieces.calls.len(), with_messages(&pieces)), (8, vec![7, 8, 9]));
        (2..10).for_each(|number| _ = pieces.finish(&key(number), &piece(1)));
        assert_eq!((pieces.calls.len(), pieces.sent), (0, 0));
    }
}
