//! Tables of everything that is followed: paged storage, an index by key, order of last activity.
//!
//! An entry never moves while it lives, a [`Handle`] to an entry that is gone finds nothing, and pages
//! that emptied after a peak go back to the allocator. Steady traffic allocates nothing.

use hashbrown::HashTable;

use crate::key::Key;

/// Names one entry for as long as it lives: an index and the generation it was filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    index: u32,
    generation: u32,
}

impl Handle {
    /// Never names an entry.
    pub const NONE: Self = Self { index: u32::MAX, generation: 0 };

    /// Both halves in one word, for storage in a chain or a timer.
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// The inverse of [`Handle::to_bits`].
    pub fn from_bits(bits: u64) -> Self {
        Self { index: bits as u32, generation: (bits >> 32) as u32 }
    }
}

/// Entries of one kind, at most `capacity` of them.
pub struct Table<T> {
    pages: Vec<Option<Box<Page<T>>>>,
    index: HashTable<u32>,
    /// Pages below this one are full.
    first_open: usize,
    empty_pages: usize,
    capacity: usize,
    live: usize,
    oldest: u32,
    newest: u32,
    generation: u32,
}

struct Page<T> {
    entries: [Entry<T>; PAGE],
    /// A bit for each entry that lives.
    live: u64,
}

struct Entry<T> {
    key: Key,
    value: Option<T>,
    generation: u32,
    older: u32,
    newer: u32,
}

impl<T> Table<T> {
    /// An empty table; memory is taken as entries come.
    pub fn new(capacity: usize) -> Self {
        Self {
            pages: Vec::new(),
            index: HashTable::new(),
            first_open: 0,
            empty_pages: 0,
            capacity: capacity.max(1),
            live: 0,
            oldest: NIL,
            newest: NIL,
            generation: 0,
        }
    }

    /// Entries held.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Changes the bound; what is over it leaves as new entries come.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity.max(1);
    }

    /// `true` when an entry has to leave before another may come.
    pub fn is_full(&self) -> bool {
        self.live >= self.capacity
    }

    /// The entry whose last activity is longest ago.
    pub fn oldest(&self) -> Option<Handle> {
        (self.oldest != NIL).then(|| self.handle(self.oldest))
    }

    /// Finds the entry with `key`.
    pub fn find(&self, key: Key) -> Option<Handle> {
        let index = *self.index.find(key.hash(), |&i| self.entry(i).key == key)?;
        Some(self.handle(index))
    }

    /// The entry, unless it is gone.
    pub fn get(&self, handle: Handle) -> Option<&T> {
        let entry = self.pages.get(handle.index as usize / PAGE)?.as_ref()?;
        let entry = &entry.entries[handle.index as usize % PAGE];
        if entry.generation == handle.generation { entry.value.as_ref() } else { None }
    }

    /// The entry, unless it is gone.
    pub fn get_mut(&mut self, handle: Handle) -> Option<&mut T> {
        let page = self.pages.get_mut(handle.index as usize / PAGE)?.as_mut()?;
        let entry = &mut page.entries[handle.index as usize % PAGE];
        if entry.generation == handle.generation { entry.value.as_mut() } else { None }
    }

    /// Adds an entry that is found by `key` from now on, also when an older one had the same key: that one
    /// then lives on by its handle alone.
    pub fn insert(&mut self, key: Key, value: T) -> Handle {
        if let Some(old) = self.find(key) {
            self.unindex(old);
        }
        let index = self.free_index();
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let entry = self.entry_mut(index);
        entry.key = key;
        entry.value = Some(value);
        entry.generation = generation;
        self.live += 1;
        self.link_newest(index);
        let pages = &self.pages;
        self.index.insert_unique(key.hash(), index, |&i| entry_of(pages, i).key.hash());
        self.handle(index)
    }

    /// Takes an entry out.
    pub fn remove(&mut self, handle: Handle) -> Option<T> {
        self.get(handle)?;
        self.unindex(handle);
        self.unlink(handle.index);
        let value = self.entry_mut(handle.index).value.take();
        self.live -= 1;
        let number = handle.index as usize / PAGE;
        let page = self.pages[number].as_mut().expect("a live entry's page exists");
        page.live &= !(1 << (handle.index as usize % PAGE));
        self.first_open = self.first_open.min(number);
        if page.live == 0 {
            self.empty_pages += 1;
            self.give_back();
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
        let key = self.entry(handle.index).key;
        if let Ok(found) = self.index.find_entry(key.hash(), |&i| i == handle.index) {
            found.remove();
        }
    }

    fn handle(&self, index: u32) -> Handle {
        Handle { index, generation: self.entry(index).generation }
    }

    fn entry(&self, index: u32) -> &Entry<T> {
        entry_of(&self.pages, index)
    }

    fn entry_mut(&mut self, index: u32) -> &mut Entry<T> {
        let page = self.pages[index as usize / PAGE].as_mut().expect("an indexed entry's page exists");
        &mut page.entries[index as usize % PAGE]
    }

    /// A free place, in the first page that has one, so that late pages empty first.
    fn free_index(&mut self) -> u32 {
        loop {
            if self.first_open == self.pages.len() {
                self.pages.push(None);
            }
            let number = self.first_open;
            let page = &mut self.pages[number];
            let fresh = page.is_none();
            let page = page.get_or_insert_with(|| Box::new(Page::new()));
            if fresh {
                self.empty_pages += 1;
            }
            let place = page.live.trailing_ones() as usize;
            if place < PAGE {
                self.empty_pages -= usize::from(page.live == 0);
                page.live |= 1 << place;
                return (number * PAGE + place) as u32;
            }
            self.first_open += 1;
        }
    }

    /// Frees empty pages beyond a reserve, so that a load that swings does not allocate each time.
    fn give_back(&mut self) {
        let reserve = 2 + self.live / PAGE / 8;
        if self.empty_pages <= 2 * reserve {
            return;
        }
        for page in self.pages.iter_mut().rev() {
            if self.empty_pages <= reserve {
                break;
            }
            if page.as_ref().is_some_and(|page| page.live == 0) {
                *page = None;
                self.empty_pages -= 1;
            }
        }
        let pages = &self.pages;
        self.index.shrink_to(self.live * 2, |&i| entry_of(pages, i).key.hash());
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

impl<T> Page<T> {
    fn new() -> Self {
        let entries =
            std::array::from_fn(|_| Entry { key: Key::default(), value: None, generation: 0, older: NIL, newer: NIL });
        Self { entries, live: 0 }
    }
}

fn entry_of<T>(pages: &[Option<Box<Page<T>>>], index: u32) -> &Entry<T> {
    let page = pages[index as usize / PAGE].as_ref().expect("an indexed entry's page exists");
    &page.entries[index as usize % PAGE]
}

/// Entries in a page: as many as a word has bits.
const PAGE: usize = u64::BITS as usize;

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
        assert!(table.pages.iter().flatten().count() < 10);
        assert!(table.index.capacity() < 1_000);
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
