//! Entries of one kind, each named by a handle, in order of last activity, and bounded.
//!
//! An entry never moves while it lives, a [`Handle`] to an entry that is gone finds nothing, and pages that emptied
//! after a peak go back to the allocator. Steady traffic allocates nothing. How entries are found is told by what is
//! built on this: [`crate::table`] by a key, [`crate::call_table`] by the Call-ID they belong to.

use crate::fetch::fetch;
use crate::order::{Order, Stamp};
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

    /// Its place, which is used again when it is gone.
    pub fn index(self) -> u32 {
        self.index
    }

    /// The inverse of [`Handle::to_bits`].
    pub fn from_bits(bits: u64) -> Self {
        Self { index: bits as u32, generation: (bits >> 32) as u32 }
    }
}

/// Entries, at most `capacity` of them.
pub struct Entries<T> {
    places: Slab<Entry<T>>,
    capacity: usize,
    /// Entries that are kept elsewhere and count too.
    elsewhere: usize,
    order: Order,
    generation: u32,
}

struct Entry<T> {
    value: Option<T>,
    generation: u32,
    stamp: Stamp,
}

impl<T> Default for Entry<T> {
    fn default() -> Self {
        Self { value: None, generation: 0, stamp: Stamp::NONE }
    }
}

impl<T> Entries<T> {
    /// None; memory is taken as entries come.
    pub fn new(capacity: usize) -> Self {
        Self {
            places: Slab::default(),
            capacity: capacity.max(1),
            elsewhere: 0,
            order: Order::default(),
            generation: 0,
        }
    }

    /// Entries held, elsewhere too.
    pub fn len(&self) -> usize {
        self.places.len() + self.elsewhere
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
    pub fn oldest(&mut self) -> Option<Handle> {
        let places = &self.places;
        let place = self.order.first(|place, stamp| stands(places, place, stamp))?;
        Some(self.handle(place))
    }

    /// The entry, unless it is gone.
    pub fn get(&self, handle: Handle) -> Option<&T> {
        let entry = self.places.get(handle.index)?;
        if entry.generation == handle.generation { entry.value.as_ref() } else { None }
    }

    /// The entry, unless it is gone.
    pub fn get_mut(&mut self, handle: Handle) -> Option<&mut T> {
        let entry = self.places.get_mut(handle.index)?;
        if entry.generation == handle.generation { entry.value.as_mut() } else { None }
    }

    /// What lives at a place.
    pub fn at(&self, place: u32) -> Option<&T> {
        self.places.get(place)?.value.as_ref()
    }

    /// What lives at a place.
    pub fn at_mut(&mut self, place: u32) -> Option<&mut T> {
        self.places.get_mut(place)?.value.as_mut()
    }

    /// The name of what lives at a place.
    pub fn handle(&self, place: u32) -> Handle {
        Handle { index: place, generation: self.places[place].generation }
    }

    /// Asks for what is at a place to be brought near.
    pub fn fetch(&self, place: u32) {
        if let Some(entry) = self.places.get(place) {
            fetch(entry);
        }
    }

    /// Adds an entry, apart from the order until it is touched.
    pub fn add(&mut self, value: T) -> Handle {
        let place = self.places.take();
        self.generation = self.generation.wrapping_add(1);
        let entry = &mut self.places[place];
        *entry = Entry { value: Some(value), generation: self.generation, stamp: Stamp::NONE };
        Handle { index: place, generation: self.generation }
    }

    /// Takes an entry out. Gives also whether pages went back to the allocator with it.
    pub fn remove(&mut self, handle: Handle) -> Option<(T, bool)> {
        let entry = self.entry_mut(handle)?;
        entry.stamp = Stamp::NONE;
        let value = entry.value.take()?;
        let pages_went = self.places.give(handle.index);
        if pages_went && self.order.is_roomy(self.places.len()) {
            self.sweep();
        }
        Some((value, pages_went))
    }

    /// Notes activity: the entry is now the last to be evicted.
    pub fn touch(&mut self, handle: Handle) {
        self.put(handle, Order::append);
    }

    /// The entry is only remembered: it is the first to make room.
    pub fn retire(&mut self, handle: Handle) {
        self.put(handle, Order::prepend);
    }

    /// The entry makes no room until it is touched again.
    pub fn set_apart(&mut self, handle: Handle) {
        if let Some(entry) = self.entry_mut(handle) {
            entry.stamp = Stamp::NONE;
        }
    }

    fn put(&mut self, handle: Handle, put: impl FnOnce(&mut Order, u32, &mut Stamp)) {
        if self.order.is_full() {
            self.sweep();
        }
        let Some(entry) = self.places.get_mut(handle.index) else { return };
        if entry.generation == handle.generation && entry.value.is_some() {
            put(&mut self.order, handle.index, &mut entry.stamp);
        }
    }

    #[cold]
    #[inline(never)]
    fn sweep(&mut self) {
        let places = &self.places;
        let bring_near = |place| {
            if let Some(entry) = places.get(place) {
                fetch(&entry.stamp);
            }
        };
        self.order.sweep(|place, stamp| stands(places, place, stamp), bring_near);
    }

    fn entry_mut(&mut self, handle: Handle) -> Option<&mut Entry<T>> {
        self.places.get_mut(handle.index).filter(|entry| entry.generation == handle.generation)
    }

    /// Pages held.
    #[cfg(test)]
    pub fn pages(&self) -> usize {
        self.places.pages()
    }
}

/// Whether what the order says of a place is what the entry says. What is gone is in no order.
fn stands<T>(places: &Slab<Entry<T>>, place: u32, stamp: Stamp) -> bool {
    places.get(place).is_some_and(|entry| entry.stamp == stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> (Entries<u64>, [Handle; 3]) {
        let mut entries = Entries::new(3);
        let handles = [0, 1, 2].map(|value| entries.add(value));
        handles.iter().for_each(|handle| entries.touch(*handle));
        (entries, handles)
    }

    #[test]
    fn a_handle_to_an_entry_that_is_gone_finds_nothing() {
        let mut entries = Entries::new(10);
        let old = entries.add("old");
        assert_eq!(entries.remove(old).map(|(value, _)| value), Some("old"));
        let new = entries.add("new");
        assert_eq!((old.index(), entries.get(old)), (new.index(), None));
        assert_eq!(entries.get(Handle::from_bits(new.to_bits())), Some(&"new"));
    }

    #[test]
    fn the_oldest_is_the_one_not_touched_longest() {
        let (mut entries, handles) = three();
        entries.touch(handles[0]);
        assert!(entries.is_full());
        assert_eq!(entries.oldest(), Some(handles[1]));
    }

    #[test]
    fn what_is_only_remembered_makes_room_first() {
        let (mut entries, handles) = three();
        entries.retire(handles[2]);
        assert_eq!(entries.oldest(), Some(handles[2]));
        entries.remove(handles[2]);
        assert_eq!(entries.oldest(), Some(handles[0]));
        entries.retire(handles[1]);
        entries.remove(handles[1]);
        entries.remove(handles[0]);
        assert_eq!(entries.oldest(), None);
    }

    #[test]
    fn what_is_set_apart_makes_no_room_until_it_is_touched() {
        let (mut entries, handles) = three();
        entries.set_apart(handles[0]);
        entries.set_apart(handles[0]);
        assert_eq!(entries.oldest(), Some(handles[1]));
        entries.touch(handles[0]);
        entries.remove(handles[1]);
        entries.remove(handles[2]);
        assert_eq!(entries.oldest(), Some(handles[0]));
        entries.set_apart(handles[0]);
        assert_eq!((entries.oldest(), entries.get(handles[0])), (None, Some(&0)));
    }

    #[test]
    fn pages_emptied_after_a_peak_are_given_back() {
        let mut entries = Entries::new(100_000);
        let handles: Vec<_> = (0..50_000).map(|value| entries.add(value)).collect();
        for handle in handles {
            entries.remove(handle);
        }
        assert!(entries.pages() < 10);
    }
}
