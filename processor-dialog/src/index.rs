//! An index by hash: from the hash of a key to the places of entries, which stay where they are.
//!
//! Open addressing, slot after slot (Knuth 6.4, algorithm R for removal): removal shifts entries back and
//! leaves no tombstone, so that steady traffic never makes it grow; and growing looks at no entry.
//! At most two in three slots are taken, so that a look costs one cache line, also for what is not there.

use pipeline::prefetch::prefetch;

/// Places by hash; several may have the same.
#[derive(Default)]
pub struct Index {
    /// 0 where nothing is, else the upper half of the hash, and one more than the place.
    slots: Vec<u64>,
    len: usize,
}

impl Index {
    /// Places held.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The first place under a hash that is the right one.
    pub fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        self.slot_of(hash, is_it).map(|at| place(self.slots[at]))
    }

    /// Prefetches what [`Index::find`] looks at first.
    pub fn prefetch(&self, hash: u64) {
        if let Some(slot) = self.slots.get(self.home(hash)) {
            prefetch(slot);
        }
    }

    /// Adds a place.
    pub fn insert(&mut self, hash: u64, place: u32) {
        if (self.len + 1) * 3 > self.slots.len() * 2 {
            self.resize((self.slots.len() + self.slots.len() / 4).max(MIN_SLOTS));
        }
        self.put(hash & UPPER | (u64::from(place) + 1));
        self.len += 1;
    }

    /// Takes a place out. Returns whether it was there.
    pub fn remove(&mut self, hash: u64, place: u32) -> bool {
        let Some(mut hole) = self.slot_of(hash, |known| known == place) else { return false };
        let mut at = hole;
        loop {
            at = self.after(at);
            let slot = self.slots[at];
            if slot == 0 {
                break;
            }
            // What would be passed by on the way from its home may not stay behind the hole.
            if self.distance(self.home(slot), at) >= self.distance(hole, at) {
                self.slots[hole] = slot;
                hole = at;
            }
        }
        self.slots[hole] = 0;
        self.len -= 1;
        true
    }

    /// Gives memory back when most of it is not used.
    pub fn shrink(&mut self) {
        if self.slots.len() > MIN_SLOTS && self.len < self.slots.len() / 4 {
            self.resize((self.len * 2).max(MIN_SLOTS));
        }
    }

    fn slot_of(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<usize> {
        if self.len == 0 {
            return None;
        }
        let mut at = self.home(hash);
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return None;
            }
            if slot & UPPER == hash & UPPER && is_it(place(slot)) {
                return Some(at);
            }
            at = self.after(at);
        }
    }

    fn put(&mut self, slot: u64) {
        let mut at = self.home(slot);
        while self.slots[at] != 0 {
            at = self.after(at);
        }
        self.slots[at] = slot;
    }

    fn resize(&mut self, slots: usize) {
        let before = std::mem::replace(&mut self.slots, vec![0; slots]);
        before.into_iter().filter(|slot| *slot != 0).for_each(|slot| self.put(slot));
    }

    /// Where a hash belongs: as far into the slots as it is into all hashes, whatever their number.
    fn home(&self, hash: u64) -> usize {
        (((hash >> 32) * self.slots.len() as u64) >> 32) as usize
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() { 0 } else { at + 1 }
    }

    /// Slots from one to another, going round.
    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.slots.len() - from }
    }
}

fn place(slot: u64) -> u32 {
    slot as u32 - 1
}

/// The half of a hash that is kept.
const UPPER: u64 = !(u32::MAX as u64);
/// Slots that are never given back.
const MIN_SLOTS: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_place_is_found_until_it_is_taken_out(
            steps in prop::collection::vec((any::<bool>(), 0u32..400, 0u64..40), 1..1500),
        ) {
            let mut index = Index::default();
            let mut model: Vec<(u64, u32)> = Vec::new();
            // Few hashes, at the very ends too, so that many have the same home and some go round.
            let hash_of = |number: u64| if number == 39 { u64::MAX } else { (number * 0x0690_6906) << 32 };
            for (adds, place, number) in steps {
                let hash = hash_of(number);
                let known = model.iter().position(|entry| *entry == (hash, place));
                match (adds, known) {
                    (true, None) => {
                        index.insert(hash, place);
                        model.push((hash, place));
                    }
                    (false, known) => {
                        prop_assert_eq!(index.remove(hash, place), known.is_some());
                        known.map(|at| model.swap_remove(at));
                        index.shrink();
                    }
                    _ => {}
                }
                prop_assert_eq!(index.len(), model.len());
                for (hash, place) in &model {
                    prop_assert_eq!(index.find(*hash, |found| found == *place), Some(*place));
                }
            }
        }
    }

    #[test]
    fn what_comes_and_goes_evenly_never_makes_it_grow() {
        let mut index = Index::default();
        let hash = |number: u32| u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (0..1_000).for_each(|number| index.insert(hash(number), number));
        let slots = index.slots.len();
        for number in 1_000..200_000 {
            assert!(index.remove(hash(number - 1_000), number - 1_000));
            index.insert(hash(number), number);
        }
        assert_eq!(index.slots.len(), slots);
    }
}
