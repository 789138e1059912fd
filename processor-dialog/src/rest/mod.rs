//! What is over and only remembered, packed: of an ended call some 200 bytes are kept where its entries in the tables
//! take seven times as much.
//!
//! Ended transactions are kept 32 s to absorb repeats and hop copies (`sip-metrics.md` 2.3), and most of them are
//! never asked for again. When nothing under a Call-ID waits for anything but to be forgotten, all of it is written
//! into a short string and leaves the tables. A message of the same Call-ID, or of one of its transactions, puts it
//! back as it was before any rule looks at it. So the rules know nothing of this, and it changes no count: only
//! memory, and how much of it a message has to touch.
//!
//! | file | what it is about |
//! |---|---|
//! | `quiet` | when a group may rest |
//! | `near` | bringing near what will be packed |
//! | `pack` | the way from the tables into a string, and back |
//! | `contents`, `form` | what the string says, and its bytes |
//! | `forget` | what is forgotten while it rests |
//! | `cells` | memory for the strings |
//!
//! A group with a dialog that is up does not rest: 32 s after its answer nothing of it is left but that. A dialog that
//! has ended stays in its table where the seed's session goes on, or another Call-ID has to do with it. In tables that
//! are full, requests at rest make room before any other.

mod cells;
mod contents;
mod forget;
mod form;
mod near;
mod pack;
mod quiet;

use std::collections::VecDeque;
use std::time::Duration;

use wire::Timestamp;

use self::cells::{Cell, Cells};
use self::contents::Contents;
use self::form::Writer;
use crate::entries::Handle;
use crate::key::Key;
use crate::state::State;
use crate::transaction_table::{MAX_GROUPS, MAX_NAMED, Name};
use crate::wheel::Timer;

/// A group at rest: where its string is, and when the next of it is forgotten.
pub struct Resting {
    cell: Cell,
    timer: Timer,
}

impl Resting {
    /// Its timer fired.
    fn forget_timer(&mut self) {
        self.timer = Timer::default();
    }
}

/// What is needed to put groups to rest, and the memory they rest in.
#[derive(Default)]
pub struct Rest {
    cells: Cells,
    /// Groups at rest.
    groups: usize,
    /// Call-IDs of which something came to its end, and when that is to be put to rest.
    cooling: VecDeque<(Timestamp, Key)>,
    /// Groups to be put to rest at the end of the batch: at most one for each message of it, and those that cooled.
    ending: Vec<Handle>,
    /// Reused.
    contents: Contents,
    writer: Writer,
    /// What a test wants instead.
    #[cfg(test)]
    habit: tests::Habit,
}

impl Rest {
    /// Groups at rest.
    pub fn len(&self) -> usize {
        self.groups
    }

    /// The next Call-ID that has cooled.
    fn cooled(&mut self, now: Timestamp) -> Option<Key> {
        let (at, call) = *self.cooling.front()?;
        if at > now {
            return None;
        }
        self.cooling.pop_front();
        Some(call)
    }
}

impl State {
    /// Something under a Call-ID came to its end; what belongs to it may still come in the next moments.
    pub(crate) fn cool(&mut self, call: Key, now: Timestamp) {
        let group = self.groups.find(call).and_then(|group| self.groups.get_mut(group));
        if let Some(group) = group.filter(|group| !group.cooling)
            && self.rest.cooling.len() < MAX_COOLING
        {
            group.cooling = true;
            self.rest.cooling.push_back((now + COOLING, call));
        }
    }

    /// The same of a logical request.
    pub(crate) fn cool_request(&mut self, request: Handle, now: Timestamp) {
        if let Some(call) = self.call_of(request) {
            self.cool(call, now);
        }
    }

    /// The key of a transaction at rest.
    pub(crate) fn key_at_rest(&self, name: Name) -> Key {
        let group = self.groups.get(self.groups.handle(name.group()));
        let Some(resting) = group.and_then(|group| group.resting.as_ref()) else { return Key::default() };
        contents::transaction_key(self.rest.cells.get(resting.cell), name.place(), &self.keys)
    }

    /// Keeps what was written of a group.
    fn keep_written(&mut self, group: Handle) {
        let cell = self.rest.cells.insert(self.rest.writer.written());
        self.groups.lay(group, Resting { cell, timer: Timer::default() });
        self.rest.groups += 1;
    }
}

/// Most groups at rest: as many as cells can name. What comes then stays in the tables.
const MAX_RESTING: usize = 1 << 25;
/// How long after a failure or the end of a request within a dialog its repeats and its ACK are awaited before it is
/// put to rest, so that a call is packed once.
const COOLING: Duration = Duration::from_secs(2);
/// Most Call-IDs that cool at a time: 1 MiB. What comes then is not put to rest.
const MAX_COOLING: usize = 1 << 16;

#[cfg(test)]
mod tests;
