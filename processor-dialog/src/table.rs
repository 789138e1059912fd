//! Tables of what is found by a key: entries, and an index by the key's hash.

use crate::entries::{Entries, Handle};
use crate::index::Index;
use crate::key::Key;

/// Entries by key, at most `capacity` of them.
pub struct Table<T> {
    entries: Entries<(Key, T)>,
    index: Index,
}

impl<T> Table<T> {
    /// An empty table; memory is taken as entries come.
    pub fn new(capacity: usize) -> Self {
        Self { entries: Entries::new(capacity), index: Index::default() }
    }

    /// Entries held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Changes the bound; what is over it leaves as new entries come.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.entries.set_capacity(capacity);
    }

    /// `true` when an entry has to leave before another may come.
    pub fn is_full(&self) -> bool {
        self.entries.is_full()
    }

    /// The entry whose last activity is longest ago.
    pub fn oldest(&mut self) -> Option<Handle> {
        self.entries.oldest()
    }

    /// Finds the entry with `key`.
    pub fn find(&self, key: Key) -> Option<Handle> {
        let is_it = |place| self.entries.at(place).is_some_and(|(known, _)| *known == key);
        self.index.find(key.hash(), is_it).map(|place| self.entries.handle(place))
    }

    /// Asks for the place where a key is looked up to be brought near.
    pub fn fetch_index(&self, key: Key) {
        self.index.fetch(key.hash());
    }

    /// Asks for what may be the entry with a key to be brought near. Returns its place.
    pub fn fetch(&self, key: Key) -> Option<u32> {
        let place = self.index.find(key.hash(), |_| true)?;
        self.entries.fetch(place);
        Some(place)
    }

    /// The entry at a place.
    pub fn at(&self, place: u32) -> Option<&T> {
        self.entries.at(place).map(|(_, value)| value)
    }

    /// The entry, unless it is gone.
    pub fn get(&self, handle: Handle) -> Option<&T> {
        self.entries.get(handle).map(|(_, value)| value)
    }

    /// The entry, unless it is gone.
    pub fn get_mut(&mut self, handle: Handle) -> Option<&mut T> {
        self.entries.get_mut(handle).map(|(_, value)| value)
    }

    /// The key an entry was added under.
    pub fn key(&self, handle: Handle) -> Option<Key> {
        self.entries.get(handle).map(|(key, _)| *key)
    }

    /// Adds an entry that is found by `key` from now on, also when an older one had the same key: that one
    /// then lives on by its handle alone.
    pub fn insert(&mut self, key: Key, value: T) -> Handle {
        if let Some(old) = self.find(key) {
            self.index.remove(key.hash(), old.index());
        }
        let handle = self.insert_apart(key, value);
        self.entries.touch(handle);
        handle
    }

    /// Adds an entry whose key no other has, and that makes no room until it is touched.
    pub fn insert_apart(&mut self, key: Key, value: T) -> Handle {
        let handle = self.entries.add((key, value));
        self.index.insert(key.hash(), handle.index());
        handle
    }

    /// The name of the entry that lives at a place.
    pub fn handle(&self, place: u32) -> Handle {
        self.entries.handle(place)
    }

    /// Takes an entry out.
    pub fn remove(&mut self, handle: Handle) -> Option<T> {
        let ((key, value), pages_went) = self.entries.remove(handle)?;
        self.index.remove(key.hash(), handle.index());
        if pages_went {
            self.index.shrink();
        }
        Some(value)
    }

    /// Notes activity: the entry is now the last to be evicted.
    pub fn touch(&mut self, handle: Handle) {
        self.entries.touch(handle);
    }

    /// The entry makes no room until it is touched again.
    pub fn set_apart(&mut self, handle: Handle) {
        self.entries.set_apart(handle);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(number: u64) -> Key {
        Key::for_test(number)
    }

    #[test]
    fn what_was_taken_out_is_not_found() {
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
