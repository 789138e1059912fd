//! Maglev hashing: hashes in, backends out, evenly, and with little moved when a backend comes or goes (Eisenbud et al.,
//! "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, §3.4).

use crate::hash::{CallHash, Key};

/// Slots of a table: a prime, so that every backend's way through it reaches all of them.
pub const SLOTS: u16 = 4093;

/// Shares hashes out among backends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maglev {
    /// For each slot the place of its backend in the list; empty without backends.
    slots: Box<[u16]>,
}

/// A backend's way through the table.
struct Way {
    next: u16,
    skip: u16,
}

impl Maglev {
    /// A table for backends by names that are the same on every node; in what order they come changes nothing but the
    /// places that stand for them. Of more than [`SLOTS`] backends the rest gets nothing.
    pub fn new<N: AsRef<[u8]>>(names: &[N]) -> Self {
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_unstable_by_key(|place| names[*place].as_ref());
        order.truncate(usize::from(SLOTS));
        let mut ways: Vec<Way> = order.iter().map(|place| Way::of(names[*place].as_ref())).collect();
        let mut slots = vec![None; if ways.is_empty() { 0 } else { usize::from(SLOTS) }];
        let mut free = slots.len();
        while free > 0 {
            for (way, place) in ways.iter_mut().zip(&order).take(free) {
                while slots[usize::from(way.next)].is_some() {
                    way.step();
                }
                // At most SLOTS of them, which fit.
                slots[usize::from(way.next)] = Some(*place as u16);
                free -= 1;
            }
        }
        Self { slots: slots.into_iter().flatten().collect() }
    }

    /// The slot of a hash, below [`SLOTS`].
    pub fn slot(hash: CallHash) -> u16 {
        (hash.0 % u64::from(SLOTS)) as u16
    }

    /// The place of the backend at a slot; `None` without backends, or of a number that is no slot.
    pub fn at(&self, slot: u16) -> Option<u16> {
        self.slots.get(usize::from(slot)).copied()
    }

    /// The place of the backend that a hash falls to; `None` without backends.
    pub fn of(&self, hash: CallHash) -> Option<u16> {
        self.at(Self::slot(hash))
    }
}

impl Way {
    fn of(name: &[u8]) -> Self {
        const OFFSET: Key = Key::new([1; 16]);
        const SKIP: Key = Key::new([2; 16]);
        let slots = u64::from(SLOTS);
        Self { next: (OFFSET.hash(name).0 % slots) as u16, skip: (SKIP.hash(name).0 % (slots - 1) + 1) as u16 }
    }

    fn step(&mut self) {
        self.next = (self.next + self.skip) % SLOTS;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("10.244.1.{number}:5060")).collect()
    }

    fn shares(table: &Maglev, backends: usize) -> Vec<usize> {
        let mut shares = vec![0; backends];
        (0..SLOTS).filter_map(|slot| table.at(slot)).for_each(|place| shares[usize::from(place)] += 1);
        shares
    }

    #[test]
    fn backends_get_the_same_share_but_for_one_slot() {
        for backends in [1, 2, 4, 7, 100, 1024] {
            let shares = shares(&Maglev::new(&names(backends)), backends);
            let (least, most) = (shares.iter().min().expect("some"), shares.iter().max().expect("some"));
            assert!(most - least <= 1 && shares.iter().sum::<usize>() == usize::from(SLOTS), "{shares:?}");
        }
    }

    #[test]
    fn without_backends_nothing_is_found() {
        let table = Maglev::new::<&str>(&[]);
        assert_eq!((table.of(CallHash(7)), table.at(SLOTS)), (None, None));
    }

    #[test]
    fn one_backend_gone_moves_hardly_more_than_its_own_share() {
        let (before, after) = (Maglev::new(&names(5)), Maglev::new(&names(4)));
        let moved =
            (0..SLOTS).filter(|slot| before.at(*slot) != Some(4) && before.at(*slot) != after.at(*slot)).count();
        assert!(moved < usize::from(SLOTS) / 20, "{moved} slots of others moved");
    }

    proptest! {
        #[test]
        fn the_order_of_backends_means_nothing(order in Just((0..9usize).collect::<Vec<_>>()).prop_shuffle(), hash: u64) {
            let sorted = names(9);
            let shuffled: Vec<&String> = order.iter().map(|place| &sorted[*place]).collect();
            let found = |table: Maglev| usize::from(table.of(CallHash(hash)).expect("there are backends"));
            prop_assert_eq!(&sorted[found(Maglev::new(&sorted))], shuffled[found(Maglev::new(&shuffled))]);
        }
    }
}
