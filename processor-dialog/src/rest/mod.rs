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
//! | `pack` | when a group may rest, and the way into the string and back |
//! | `contents` | the form of the string |
//! | `forget` | what is forgotten while it rests |
//! | `cells` | memory for the strings |
//!
//! A dialog that is up stays in its table while the requests that made it rest. In tables that are full, requests at
//! rest make room before any other.

mod cells;
mod contents;
mod forget;
mod pack;

use std::collections::VecDeque;
use std::time::Duration;

use wire::Timestamp;

use self::cells::{Cell, Cells};
use self::contents::{Contents, Writer};
use crate::index::Index;
use crate::key::{Key, Keys};
use crate::table::{Handle, Table};
use crate::wheel::Timer;

/// The groups at rest, by Call-ID.
pub struct Rest {
    table: Table<Rested>,
    cells: Cells,
    /// Every transaction at rest: the index of its group and its place there.
    transactions: Index,
    /// Call-IDs of which something came to its end, and when that is to be put to rest.
    cooling: VecDeque<(Timestamp, Key)>,
    /// Reused.
    contents: Contents,
    writer: Writer,
    /// What a test wants instead.
    #[cfg(test)]
    habit: tests::Habit,
}

/// A group at rest.
struct Rested {
    cell: Cell,
    /// When the next of it is forgotten.
    timer: Timer,
}

impl Default for Rest {
    fn default() -> Self {
        Self {
            // Never more than logical requests are remembered.
            table: Table::new(usize::MAX),
            cells: Cells::default(),
            transactions: Index::default(),
            cooling: VecDeque::new(),
            contents: Contents::default(),
            writer: Writer::default(),
            #[cfg(test)]
            habit: tests::Habit::default(),
        }
    }
}

impl Rest {
    /// Groups at rest.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Something under a Call-ID came to its end; what belongs to it may still come in the next moments.
    pub fn cool(&mut self, call: Key, now: Timestamp) {
        if self.cooling.len() < MAX_COOLING {
            self.cooling.push_back((now + COOLING, call));
        }
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

    /// The group a transaction at rest belongs to.
    fn group_of(&self, transaction: Key, keys: &Keys) -> Option<Handle> {
        let Self { table, cells, transactions, .. } = self;
        let is_it = |named| transaction_key(table, cells, keys, named) == transaction;
        let named = transactions.find(transaction.hash(), is_it)?;
        Some(table.handle(named >> PLACE_BITS))
    }

    /// Keeps what was written.
    fn insert(&mut self, call: Key, keys: &Keys) -> Handle {
        let cell = self.cells.insert(self.writer.written());
        let handle = self.table.insert(call, Rested { cell, timer: Timer::default() });
        let bytes = self.cells.get(cell);
        for place in 0..contents::transactions(bytes) {
            let key = contents::transaction_key(bytes, place, keys);
            self.transactions.insert(key.hash(), name(handle, place));
        }
        handle
    }

    /// Takes a group out: reads it into [`Rest::contents`] and gives its Call-ID and its timer.
    fn remove(&mut self, handle: Handle, keys: &Keys) -> Option<(Key, Timer)> {
        let call = self.table.key(handle)?;
        let Rested { cell, timer } = self.table.remove(handle)?;
        let bytes = self.cells.get(cell);
        self.contents.read(bytes, keys);
        for (place, tx) in self.contents.transactions.iter().enumerate() {
            self.transactions.remove(tx.key.hash(), name(handle, place));
        }
        self.cells.remove(cell);
        self.transactions.shrink();
        Some((call, timer))
    }
}

/// How a transaction is named in the index.
fn name(group: Handle, place: usize) -> u32 {
    group.index() << PLACE_BITS | place as u32
}

fn transaction_key(table: &Table<Rested>, cells: &Cells, keys: &Keys, named: u32) -> Key {
    let Some(rested) = table.get(table.handle(named >> PLACE_BITS)) else { return Key::default() };
    contents::transaction_key(cells.get(rested.cell), named as usize % MAX_TRANSACTIONS, keys)
}

/// Most groups at rest: as many as cells and the index of transactions can name. What comes then stays in the tables.
const MAX_RESTING: usize = 1 << 25;
/// Most transactions of a group at rest.
const MAX_TRANSACTIONS: usize = 1 << PLACE_BITS;
const PLACE_BITS: u32 = 4;
/// How long after an answer, a failure or a request within a dialog its repeats and its ACK are awaited before it is
/// put to rest, so that a short call is packed once.
const COOLING: Duration = Duration::from_secs(2);
/// Most Call-IDs that cool at a time: 1 MiB. What comes then is not put to rest.
const MAX_COOLING: usize = 1 << 16;

#[cfg(test)]
mod tests;
