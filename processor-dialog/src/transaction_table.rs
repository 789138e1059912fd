//! All transactions by their keys: those that are followed, and by name those that rest in a packed group.
//!
//! A response's own Call-ID leads to its transaction sooner; this is asked for requests, most of which are new, and for
//! what another Call-ID shares a branch with.

use crate::entries::{Entries, Handle};
use crate::index::Index;
use crate::key::Key;
use crate::transaction::Transaction;

/// Transactions, at most `capacity` of them.
pub struct Transactions {
    entries: Entries<Transaction>,
    index: Index,
}

/// Where a transaction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Here.
    Followed(Handle),
    /// In the packed group of that name.
    Resting(Name),
}

/// Names a transaction at rest: the place of its group, and its own there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name(u32);

impl Name {
    /// `place` is below [`MAX_NAMED`], the group's below [`MAX_GROUPS`].
    pub fn new(group: u32, place: usize) -> Self {
        Self(RESTS | group << PLACE_BITS | place as u32)
    }

    /// The place of its group.
    pub fn group(self) -> u32 {
        (self.0 & !RESTS) >> PLACE_BITS
    }

    /// Its place in there.
    pub fn place(self) -> usize {
        self.0 as usize % MAX_NAMED
    }
}

impl Transactions {
    /// None; memory is taken as they come.
    pub fn new(capacity: usize) -> Self {
        Self { entries: Entries::new(capacity), index: Index::default() }
    }

    /// How many are remembered, at rest too.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// So many more, or fewer, rest from now on.
    pub fn keep_elsewhere(&mut self, more: isize) {
        self.entries.keep_elsewhere(more);
    }

    /// Changes the bound; what is over it leaves as new ones come.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.entries.set_capacity(capacity);
    }

    /// `true` when one has to leave before another may come.
    pub fn is_full(&self) -> bool {
        self.entries.is_full()
    }

    /// The transaction, unless it is gone.
    pub fn get(&self, handle: Handle) -> Option<&Transaction> {
        self.entries.get(handle)
    }

    /// The transaction, unless it is gone.
    pub fn get_mut(&mut self, handle: Handle) -> Option<&mut Transaction> {
        self.entries.get_mut(handle)
    }

    /// Asks for the place where a key is looked up to be brought near.
    pub fn fetch_index(&self, key: Key) {
        self.index.fetch(key.hash());
    }

    /// Asks for one to be brought near.
    pub fn fetch(&self, handle: Handle) {
        self.entries.fetch(handle.index());
    }

    /// Finds the one with a key; `key_of` tells the key of one at rest.
    pub fn find(&self, key: Key, key_of: impl Fn(Name) -> Key) -> Option<Found> {
        let is_it = |place: u32| match place & RESTS {
            0 => self.entries.at(place).is_some_and(|tx| tx.key == key),
            _ => key_of(Name(place)) == key,
        };
        let place = self.index.find(key.hash(), is_it)?;
        Some(if place & RESTS == 0 { Found::Followed(self.entries.handle(place)) } else { Found::Resting(Name(place)) })
    }

    /// Adds one; nothing has its key.
    pub fn insert(&mut self, transaction: Transaction) -> Handle {
        let key = transaction.key;
        let handle = self.entries.add(transaction);
        self.index.insert(key.hash(), handle.index());
        handle
    }

    /// Takes one out.
    pub fn remove(&mut self, handle: Handle) -> Option<Transaction> {
        let (transaction, pages_went) = self.entries.remove(handle)?;
        self.index.remove(transaction.key.hash(), handle.index());
        if pages_went {
            self.index.shrink();
        }
        Some(transaction)
    }

    /// Takes one out that rests from now on, and is found by its name.
    pub fn lay(&mut self, handle: Handle, name: Name) -> Option<Transaction> {
        let (transaction, _) = self.entries.remove(handle)?;
        let was_there = self.index.replace(transaction.key.hash(), handle.index(), name.0);
        debug_assert!(was_there, "every transaction is in the index");
        Some(transaction)
    }

    /// One that rested is written anew.
    pub fn add_name(&mut self, key: Key, name: Name) {
        self.index.insert(key.hash(), name.0);
    }

    /// One rests no longer.
    pub fn remove_name(&mut self, key: Key, name: Name) {
        self.index.remove(key.hash(), name.0);
    }

    /// Gives memory back when most of what rested does not.
    pub fn shrink(&mut self) {
        self.index.shrink();
    }

    /// Names and places known.
    #[cfg(test)]
    pub fn known(&self) -> usize {
        self.index.len()
    }
}

/// Most transactions of a group at rest.
pub const MAX_NAMED: usize = 1 << PLACE_BITS;
/// Groups from this place on cannot rest: they cannot be named.
pub const MAX_GROUPS: u32 = 1 << 26;
const PLACE_BITS: u32 = 4;
/// Set in a name, not in a place: of those there are [`crate::MAX_CALLS`] times four at most.
const RESTS: u32 = 1 << 30;

const _: () = assert!(crate::MAX_CALLS * 4 < RESTS as usize);
