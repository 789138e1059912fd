//! Tables of everything that is followed: paged storage, an index by key, order of last activity.
//!
//! An entry never moves while it lives, a [`Handle`] to an entry that is gone finds nothing, and pages
//! that emptied after a peak go back to the allocator. Steady traffic allocates nothing.

use crate::index::Index;
use crate::key::Key;
use crate::slab::Slab;

/// Names one entry for as long as it lives: an index and the generation it was filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    index: u32,
    generation: u32,
}

impl Default for Handle {
    fn default() -> Self {
        Self::NONE
    }
}

impl Handle {
    /// Never names an entry.
    pub const NONE: Self = Self { index: u32::MAX, generation: 0 };

    /// Both halves in one word, for storage in a chain or a timer.
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// Its place, which others have before and after it.
    pub fn index(self) -> u32 {
        self.index
    }

    /// The inverse of [`Handle::to_bits`].
    pub fn from_bits(bits: u64) -> Self {
        Self { index: bits as u32, generation: (bits >> 32) as u32 }
    }
}

/// Entries of one kind, at most `capacity` of them.
pub struct Table<T> {
    entries: Slab<Entry<T>>,
    index: Index,
    capacity: usize,
    /// Entries that are kept elsewhere and count too.
    elsewhere: usize,
    oldest: u32,
    newest: u32,
    generation: u32,
}

struct Entry<T> {
    key: Key,
    value: Option<T>,
    generation: u32,
    older: u32,
    newer: u32,
}

impl<T> Default for Entry<T> {
    fn default() -> Self {
        Self { key: Key::default(), value: None, generation: 0, older: NIL, newer: NIL }
    }
}

impl<T> Table<T> {
    /// An empty table; memory is taken as entries come.
    pub fn new(capacity: usize) -> Self {
        Self {
            entries: Slab::default(),
            index: Index::default(),
            capacity: capacity.max(1),
            elsewhere: 0,
            oldest: NIL,
            newest: NIL,
            generation: 0,
        }
    }

    /// Entries held, elsewhere too.
    pub fn len(&self) -> usize {
        self.entries.len() + self.elsewhere
    }

    /// So many more entries, or fewer, are kept elsewhere from now on.
    pub fn keep_elsewhere(&mut self, more: isize) {
        self.elsewhere = self.elsewhere.saturating_add_signed(more);
    }

    /// Changes the bound; what is over it leaves as new entries come.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity.max(1);
    }

    /// `true` when an entry has to leave before another may come.
    pub fn is_full(&self) -> bool {
        self.len() >= self.capacity
    }

    /// The entry whose last activity is longest ago.
    pub fn oldest(&self) -> Option<Handle> {
        (self.oldest != NIL).then(|| self.handle(self.oldest))
    }

    /// Finds the entry with `key`.
    pub fn find(&self, key: Key) -> Option<Handle> {
        let index = self.index.find(key.hash(), |index| self.entry(index).key == key)?;
        Some(self.handle(index))
    }

    /// The entry, unless it is gone.
    pub fn get(&self, handle: Handle) -> Option<&T> {
        let entry = self.entries.get(handle.index)?;
        if entry.generation == handle.generation { entry.value.as_ref() } else { None }
    }

    /// The entry, unless it is gone.
    pub fn get_mut(&mut self, handle: Handle) -> Option<&mut T> {
        let entry = self.entries.get_mut(handle.index)?;
        if entry.generation == handle.generation { entry.value.as_mut() } else { None }
    }

    /// Whether an entry is the one that is found by its key.
    pub fn is_found(&self, handle: Handle) -> bool {
        self.key(handle).is_some_and(|key| self.find(key) == Some(handle))
    }

    /// The key an entry was added under.
    pub fn key(&self, handle: Handle) -> Option<Key> {
        self.get(handle).map(|_| self.entry(handle.index).key)
    }

    /// Adds an entry that is found by `key` from now on, also when an older one had the same key: that one
    /// then lives on by its handle alone.
    pub fn insert(&mut self, key: Key, value: T) -> Handle {
        if let Some(old) = self.find(key) {
            self.unindex(old);
        }
        let index = self.entries.take();
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let entry = self.entry_mut(index);
        entry.key = key;
        entry.value = Some(value);
        entry.generation = generation;
        self.link_newest(index);
        self.index.insert(key.hash(), index);
        self.handle(index)
    }

    /// Takes an entry out.
    pub fn remove(&mut self, handle: Handle) -> Option<T> {
        self.get(handle)?;
        self.unindex(handle);
        self.unlink(handle.index);
        let value = self.entry_mut(handle.index).value.take();
        if self.entries.give(handle.index) {
            self.index.shrink();
        }
        value
    }

    /// Notes activity: the entry is now the last to be evicted.
    pub fn touch(&mut self, handle: Handle) {
        if self.newest == handle.index || self.get(handle).is_none() {
            return;
        }
        self.unlink(handle.index);
        self.link_newest(handle.index);
    }

    /// The entry is only remembered: it is the first to make room.
    pub fn retire(&mut self, handle: Handle) {
        if self.oldest == handle.index || self.get(handle).is_none() {
            return;
        }
        self.unlink(handle.index);
        let after = self.oldest;
        let entry = self.entry_mut(handle.index);
        entry.older = NIL;
        entry.newer = after;
        match after {
            NIL => self.newest = handle.index,
            _ => self.entry_mut(after).older = handle.index,
        }
        self.oldest = handle.index;
    }

    fn unindex(&mut self, handle: Handle) {
        self.index.remove(self.entry(handle.index).key.hash(), handle.index);
    }

    /// The entry that lives at a place.
    pub fn handle(&self, index: u32) -> Handle {
        Handle { index, generation: self.entry(index).generation }
    }

    fn entry(&self, index: u32) -> &Entry<T> {
        &self.entries[index]
    }

    fn entry_mut(&mut self, index: u32) -> &mut Entry<T> {
        &mut self.entries[index]
    }

    fn link_newest(&mut self, index: u32) {
        let before = self.newest;
        let entry = self.entry_mut(index);
        entry.older = before;
        entry.newer = NIL;
        match before {
            NIL => self.oldest = index,
            _ => self.entry_mut(before).newer = index,
        }
        self.newest = index;
    }

    fn unlink(&mut self, index: u32) {
        let (older, newer) = (self.entry(index).older, self.entry(index).newer);
        match older {
            NIL => self.oldest = newer,
            _ => self.entry_mut(older).newer = newer,
        }
        match newer {
            NIL => self.newest = older,
            _ => self.entry_mut(newer).older = older,
        }
    }
}

/// No entry.
const NIL: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(number: u64) -> Key {
        Key::for_test(number)
    }

    #[test]
    fn a_handle_to_an_entry_that_is_gone_finds_nothing() {
        let mut table = Table::new(10);
        let old = table.insert(key(1), "old");
        assert_eq!(table.remove(old), Some("old"));
        let new = table.insert(key(1), "new");
        assert_eq!(table.get(old), None);
        assert_eq!(table.find(key(1)), Some(new));
        assert_eq!(table.get(Handle::from_bits(new.to_bits())), Some(&"new"));
    }

    #[test]
    fn an_older_entry_with_the_same_key_lives_on_by_its_handle() {
        let mut table = Table::new(10);
        let old = table.insert(key(1), "old");
        let new = table.insert(key(1), "new");
        assert_eq!(table.find(key(1)), Some(new));
        assert_eq!(table.remove(old), Some("old"));
        assert_eq!(table.find(key(1)), Some(new));
    }

    #[test]
    fn the_oldest_is_the_one_not_touched_longest() {
        let mut table = Table::new(3);
        let handles: Vec<_> = (0..3).map(|i| table.insert(key(i), i)).collect();
        table.touch(handles[0]);
        assert!(table.is_full());
        assert_eq!(table.oldest(), Some(handles[1]));
    }

    #[test]
    fn what_is_only_remembered_makes_room_first() {
        let mut table = Table::new(3);
        let handles: Vec<_> = (0..3).map(|i| table.insert(key(i), i)).collect();
        table.retire(handles[2]);
        assert_eq!(table.oldest(), Some(handles[2]));
        table.remove(handles[2]);
        assert_eq!(table.oldest(), Some(handles[0]));
        table.retire(handles[1]);
        table.remove(handles[1]);
        table.remove(handles[0]);
        assert_eq!(table.oldest(), None);
    }

    #[test]
    fn pages_emptied_after_a_peak_are_given_back() {
        let mut table = Table::new(100_000);
        let handles: Vec<_> = (0..50_000).map(|i| table.insert(key(i), i)).collect();
        for handle in handles {
            table.remove(handle);
        }
        assert!(table.entries.pages() < 10);
    }

    proptest! {
        #[test]
        fn a_table_behaves_like_a_map_in_order_of_activity(steps in prop::collection::vec((0u8..3, 0u64..300), 1..2000)) {
            let mut table = Table::new(1000);
            let mut model: Vec<(u64, Handle)> = Vec::new();
            for (step, number) in steps {
                let place = model.iter().position(|(known, _)| *known == number);
                match (step, place) {
                    (0, None) => model.push((number, table.insert(key(number), number))),
                    (1, Some(place)) => {
                        let (_, handle) = model.remove(place);
                        prop_assert_eq!(table.remove(handle), Some(number));
                    }
                    (2, Some(place)) => {
                        let entry = model.remove(place);
                        table.touch(entry.1);
                        model.push(entry);
                    }
                    _ => {}
                }
                prop_assert_eq!(table.len(), model.len());
                prop_assert_eq!(table.oldest(), model.first().map(|(_, handle)| *handle));
            }
            for (number, handle) in model {
                prop_assert_eq!(table.find(key(number)), Some(handle));
                prop_assert_eq!(table.get(handle), Some(&number));
            }
        }
    }
}
