//! Who has been idle longest, to the second: entries in lists by the second of their last activity (`sip-metrics.md` 3.7).
//!
//! An entry is linked once and looked at again only when room is needed: activity writes a second into it and moves
//! nothing. Whoever is found in the list of an earlier second than its own is moved on then.

use std::collections::VecDeque;

use wire::Timestamp;

use crate::slab::Slab;

/// The links an entry carries.
#[derive(Clone, Copy, Debug, Default)]
pub struct Linked {
    /// One more than the place before and behind; 0 at the ends.
    previous: u32,
    next: u32,
    /// Second of the list it is in, and of its last activity.
    listed: u32,
    touched: u32,
}

impl Linked {
    /// Something happened to it.
    pub fn touch(&mut self, now: Timestamp) {
        self.touched = second(now);
    }
}

/// What can be linked.
pub trait Place {
    /// Its links.
    fn links(&mut self) -> &mut Linked;
}

/// The lists, by second.
pub struct Idle {
    /// In order of the second; entries are linked from the head on.
    lists: VecDeque<List>,
    /// With so many lists those that are empty go.
    full: usize,
}

/// Entries last listed in the same second.
struct List {
    second: u32,
    /// One more than the places of the first and the last entry; 0 where there is none.
    head: u32,
    tail: u32,
}

impl Default for Idle {
    fn default() -> Self {
        Self { lists: VecDeque::new(), full: MIN_LISTS }
    }
}

impl Idle {
    /// Takes an entry out.
    pub fn unlink<T: Place + Default>(&mut self, places: &mut Slab<T>, place: u32) {
        let Linked { previous, next, listed, .. } = *places[place].links();
        if next != 0 {
            places[next - 1].links().previous = previous;
        } else if let Ok(at) = self.find(listed) {
            self.lists[at].tail = previous;
        }
        if previous != 0 {
            places[previous - 1].links().next = next;
        } else if let Ok(at) = self.find(listed) {
            self.lists[at].head = next;
        }
    }

    /// The entry idle longest, to the second, but for one that has to stay; and the second of its last activity.
    pub fn longest<T: Place + Default>(&mut self, places: &mut Slab<T>, but: Option<u32>) -> Option<(u32, u32)> {
        let (mut at, mut passed) = (0, 0);
        loop {
            let List { second, head, .. } = *self.lists.get(at)?;
            let first = if passed == 0 { head } else { places[passed - 1].links().next };
            let Some(place) = first.checked_sub(1) else {
                // Nothing is left in the list but, perhaps, what has to stay.
                match passed {
                    0 => _ = self.lists.remove(at),
                    _ => (at, passed) = (at + 1, 0),
                }
                continue;
            };
            if places[place].links().touched > second {
                self.unlink(places, place);
                self.link(places, place);
            } else if but == Some(place) {
                passed = place + 1;
            } else {
                return Some((place, second));
            }
        }
    }

    /// Puts an entry into the list of the second it was last active in.
    pub fn link<T: Place + Default>(&mut self, places: &mut Slab<T>, place: u32) {
        let touched = places[place].links().touched;
        let at = match self.lists.back() {
            Some(last) if last.second == touched => self.lists.len() - 1,
            _ => self.find(touched).unwrap_or_else(|_| self.open(touched)),
        };
        let list = &mut self.lists[at];
        let previous = std::mem::replace(&mut list.tail, place + 1);
        match previous {
            0 => list.head = place + 1,
            _ => places[previous - 1].links().next = place + 1,
        }
        let links = places[place].links();
        (links.previous, links.next, links.listed) = (previous, 0, touched);
    }

    fn open(&mut self, second: u32) -> usize {
        if self.lists.len() >= self.full {
            self.lists.retain(|list| list.head != 0);
            self.full = (2 * self.lists.len()).max(MIN_LISTS);
        }
        let at = self.find(second).unwrap_or_else(|at| at);
        self.lists.insert(at, List { second, head: 0, tail: 0 });
        at
    }

    fn find(&self, second: u32) -> Result<usize, usize> {
        self.lists.binary_search_by_key(&second, |list| list.second)
    }
}

/// Seconds since the epoch.
fn second(at: Timestamp) -> u32 {
    u32::try_from(at.as_nanos() / 1_000_000_000).unwrap_or(u32::MAX)
}

/// So many lists are kept although they may be empty.
const MIN_LISTS: usize = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    impl Place for Linked {
        fn links(&mut self) -> &mut Linked {
            self
        }
    }

    proptest! {
        #[test]
        fn the_longest_idle_is_found_whatever_came_touched_and_left(
            steps in prop::collection::vec((0usize..40, 0u8..6, 0u64..3_000), 1..400),
        ) {
            let (mut places, mut idle) = (Slab::<Linked>::default(), Idle::default());
            let mut model: Vec<(u32, u32)> = Vec::new();
            let mut now = Timestamp::from_nanos(1_767_225_600_000_000_000);
            for (which, step, pause) in steps {
                now = now + Duration::from_millis(pause);
                match (step, model.is_empty()) {
                    (0 | 1, _) | (_, true) => {
                        let place = places.alloc();
                        places[place].touch(now);
                        idle.link(&mut places, place);
                        model.push((place, second(now)));
                    }
                    (2 | 3, _) => {
                        let which = which % model.len();
                        places[model[which].0].touch(now);
                        model[which].1 = second(now);
                    }
                    (4, _) => {
                        let (place, _) = model.swap_remove(which % model.len());
                        idle.unlink(&mut places, place);
                        places.free(place);
                    }
                    _ => {
                        let (found, _) = idle.longest(&mut places, None).expect("there are some");
                        let oldest = model.iter().map(|(_, second)| *second).min();
                        let known = model.iter().find(|(place, _)| *place == found).map(|(_, second)| *second);
                        prop_assert_eq!(known, oldest);
                    }
                }
            }
        }
    }

    #[test]
    fn years_between_two_entries_take_no_room() {
        let (mut places, mut idle) = (Slab::<Linked>::default(), Idle::default());
        for year in 0..100u64 {
            let place = places.alloc();
            places[place].touch(Timestamp::from_nanos(year * 31_000_000_000_000_000));
            idle.link(&mut places, place);
        }
        assert!(idle.lists.len() <= 100);
        assert_eq!(idle.longest(&mut places, None), Some((0, 0)));
        assert_eq!(idle.longest(&mut places, Some(0)), Some((1, 31_000_000)));
    }
}
