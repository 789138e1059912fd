//! Messages of a call that is on record, kept as they were sent, and when they were sent again.
//!
//! A message is kept as a whole or not at all, so many bytes a call and so many in all; where all are too many those of the
//! call that has kept some for longest go. Repeats are kept with their time, and with their bytes only where these differ.

use hashlink::LinkedHashMap;
use pipeline::call::sent::{MAX_SENT, Repeat, Sent};
use sip::Message;
use wire::Timestamp;

use crate::call::LadderLine;
use crate::change::{CallId, RequestId};
use crate::config::Raw;
use crate::credentials::blanked;

/// What is kept of the messages of one call, by the marks of its ladder.
#[derive(Clone, Default)]
pub struct Kept {
    messages: Vec<(u32, Box<[u8]>)>,
    repeats: Vec<Again>,
    bytes: usize,
    /// Messages there was no room for, since that was asked last.
    refused: usize,
}

/// A message was sent again.
#[derive(Clone)]
struct Again {
    mark: u32,
    at: Timestamp,
    /// What was sent, where that differs.
    other: Option<Box<[u8]>>,
}

/// Which record keeps messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    Call(CallId),
    Single(RequestId),
}

/// How much is kept of all.
#[derive(Default)]
pub struct Room {
    /// Bytes of each that keeps some, in the order they began to.
    held: LinkedHashMap<Holder, usize>,
    bytes: usize,
    refused: [u64; 2],
}

/// Why a message is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its call has no room for it.
    Call,
    /// It made room for newer ones.
    All,
}

impl Kept {
    /// Keeps a message where there is room.
    pub fn keep(&mut self, mark: u32, message: &Message<'_>, raw: Raw) {
        match self.fitting(message, raw) {
            Some(message) => {
                self.bytes += message.len();
                self.messages.push((mark, message));
            }
            None => self.refused += 1,
        }
    }

    /// A message was sent again; its bytes are kept where they differ and there is room.
    pub fn again(&mut self, mark: u32, at: Timestamp, message: &Message<'_>, raw: Raw) {
        if self.repeats.len() == MAX_REPEATS {
            return;
        }
        let first = self.messages.iter().find(|(known, _)| *known == mark).map(|(_, message)| message);
        let other = first.and_then(|first| {
            let again = self.fitting(message, raw)?;
            (again != *first).then_some(again)
        });
        self.bytes += other.as_ref().map_or(0, |other| other.len());
        self.repeats.push(Again { mark, at, other });
    }

    /// The message as it may be kept; `None` where there is no room or nothing is kept.
    fn fitting(&self, message: &Message<'_>, raw: Raw) -> Option<Box<[u8]>> {
        let bytes = match raw {
            Raw::Off => return None,
            Raw::Headers => message.head(),
            Raw::Full => message.bytes(),
        };
        let room = MAX_SENT - self.bytes;
        // `***` may be longer than what it stands for, by little.
        Some(bytes).filter(|bytes| bytes.len() <= room).map(blanked).filter(|bytes| bytes.len() <= room)
    }

    /// Bytes of messages.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Messages there was no room for, since this was asked last.
    pub fn take_refused(&mut self) -> usize {
        std::mem::take(&mut self.refused)
    }

    /// Lets the messages go; the times of repeats stay. How many they were.
    pub fn let_go(&mut self) -> usize {
        self.bytes = 0;
        self.repeats.iter_mut().for_each(|again| again.other = None);
        std::mem::take(&mut self.messages).len()
    }

    /// What was sent of these lines of the ladder.
    pub fn sent<'a>(&self, lines: impl Iterator<Item = &'a LadderLine>) -> Option<Box<Sent>> {
        let marks: Vec<u32> = lines.map(|line| line.mark).collect();
        let mut sent = Sent::default();
        if !self.messages.is_empty() {
            let of = |mark: &u32| self.messages.iter().find(|(known, _)| known == mark).map(|(_, bytes)| bytes.clone());
            sent.messages = marks.iter().map(of).collect();
        }
        sent.repeats.extend(self.repeats.iter().filter_map(|again| {
            let message = marks.iter().position(|known| *known == again.mark)? as u16;
            Some(Repeat { message, at: again.at, other: again.other.clone() })
        }));
        (!sent.is_empty()).then(|| Box::new(sent))
    }

    /// Lines of the ladder have left with a piece; those that `stays` knows have not.
    pub fn retain(&mut self, stays: impl Fn(u32) -> bool) {
        self.messages.retain(|(mark, _)| stays(*mark));
        self.repeats.retain(|again| stays(again.mark));
        let repeats = self.repeats.iter().filter_map(|again| again.other.as_ref());
        self.bytes = self.messages.iter().map(|(_, bytes)| bytes).chain(repeats).map(|bytes| bytes.len()).sum();
    }
}

impl Room {
    /// A record keeps so many bytes now.
    pub fn set(&mut self, holder: Holder, bytes: usize) {
        let before = match (bytes, self.held.get_mut(&holder)) {
            (0, _) => self.held.remove(&holder).unwrap_or(0),
            (_, Some(held)) => std::mem::replace(held, bytes),
            (_, None) => self.held.insert(holder, bytes).unwrap_or(0),
        };
        self.bytes = self.bytes - before + bytes;
    }

    /// The record that has kept some for longest, where all are more than `most` bytes.
    pub fn exceeds(&self, most: usize) -> Option<Holder> {
        (self.bytes > most).then(|| self.held.front().map(|(holder, _)| *holder)).flatten()
    }

    /// Counts what a call had no room for.
    pub fn take_refused(&mut self, kept: &mut Kept) {
        self.refuse(Why::Call, kept.take_refused());
    }

    /// Counts messages that were not kept, or let go.
    pub fn refuse(&mut self, why: Why, messages: usize) {
        self.refused[why as usize] += messages as u64;
    }

    /// Messages that were not kept, or let go, by [`Why`].
    pub fn refused(&self, why: Why) -> u64 {
        self.refused[why as usize]
    }
}

/// Most times of repeats kept of one record.
const MAX_REPEATS: usize = 64;
