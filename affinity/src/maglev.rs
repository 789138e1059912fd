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
    /// Weight that has not been turned into slots yet.
    credit: u64,
}

impl Maglev {
    /// A table for backends by names that are the same on every node; in what order they come changes nothing but the
    /// places that stand for them. Of more than [`SLOTS`] backends the rest gets nothing.
    pub fn new<N: AsRef<[u8]>>(names: &[N]) -> Self {
        let weighted: Vec<(&[u8], u32)> = names.iter().map(|name| (name.as_ref(), 1)).collect();
        Self::weighted(&weighted)
    }

    /// A table for backends by name and weight: shares are as the weights, and a backend of weight 0 gets nothing. Only what
    /// weights are to each other counts. Names and their order are as in [`Self::new`].
    pub fn weighted<N: AsRef<[u8]>>(backends: &[(N, u32)]) -> Self {
        let mut order: Vec<usize> = (0..backends.len()).filter(|place| backends[*place].1 > 0).collect();
        order.sort_unstable_by_key(|place| backends[*place].0.as_ref());
        order.truncate(usize::from(SLOTS));
        let most = order.iter().map(|place| u64::from(backends[*place].1)).max().unwrap_or(0);
        let mut ways: Vec<Way> = order.iter().map(|place| Way::of(backends[*place].0.as_ref())).collect();
        let mut slots = vec![None; if ways.is_empty() { 0 } else { usize::from(SLOTS) }];
        let mut free = slots.len();
        while free > 0 {
            // The heaviest takes a slot in every round, the others in as many rounds as their weight is worth (§3.4).
            for (way, place) in ways.iter_mut().zip(&order) {
                way.credit += u64::from(backends[*place].1);
                if way.credit < most || free == 0 {
                    continue;
                }
                way.credit -= most;
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

    /// How many slots lead to another backend than in `other`; all of them when one of the two is empty and the other is not.
    /// Both are to have been made of the same list of backends.
    pub fn moved(&self, other: &Self) -> usize {
        if self.slots.len() != other.slots.len() {
            return usize::from(SLOTS);
        }
        self.slots.iter().zip(&other.slots).filter(|(mine, theirs)| mine != theirs).count()
    }

    /// For each slot the place of its backend in the list; empty without backends.
    pub fn slots(&self) -> &[u16] {
        &self.slots
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
        let (next, skip) = (OFFSET.hash(name).0 % slots, SKIP.hash(name).0 % (slots - 1) + 1);
        Self { next: next as u16, skip: skip as u16, credit: 0 }
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
    fn shares_are_as_the_weights() {
        let backends: Vec<(String, u32)> = names(4).into_iter().zip([100, 50, 0, 25]).collect();
        let shares = shares(&Maglev::weighted(&backends), 4);
        let all: usize = usize::from(SLOTS);
        for (share, weight) in shares.iter().zip([100, 50, 0, 25]) {
            assert!(share.abs_diff(all * weight / 175) <= 2, "{shares:?}");
        }
        let tenfold: Vec<(String, u32)> = backends.iter().map(|(name, weight)| (name.clone(), weight * 10)).collect();
        assert_eq!(Maglev::weighted(&backends), Maglev::weighted(&tenfold));
        assert_eq!(Maglev::weighted(&[("a", 0)]).of(CallHash(7)), None);
    }

    #[test]
    fn a_weight_that_falls_by_a_fifth_moves_hardly_more_than_what_it_loses() {
        for count in [2, 4, 10] {
            let mut backends: Vec<(String, u32)> = names(count).into_iter().map(|name| (name, 100)).collect();
            let before = Maglev::weighted(&backends);
            backends[0].1 = 80;
            let after = Maglev::weighted(&backends);
            let lost = shares(&before, count)[0] - shares(&after, count)[0];
            let moved = after.moved(&before);
            assert!(moved <= lost + usize::from(SLOTS) / 50, "{count} backends: {moved} moved, {lost} lost");
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
