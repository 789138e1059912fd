//! In which order the entries of a kind were last active.
//!
//! Activity is written at the end of a queue. What stood there of the same entry before is out of date, which its stamp
//! tells, and stays until its turn comes or the queue is swept. So activity touches the entry, which is at hand, and the
//! end of the queue. In a list of neighbours each move also touches those the entry leaves, which are anywhere: with the
//! calls of half a minute in memory that was a tenth of what a message cost.

use std::collections::VecDeque;

/// Which of an entry's places in the queue counts. An entry has one, [`Stamp::NONE`] while it is not in the order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp(u32);

impl Stamp {
    /// In no place.
    pub const NONE: Self = Self(0);
}

/// The places of entries, the one idle longest first.
#[derive(Default)]
pub struct Order {
    queue: VecDeque<(u32, Stamp)>,
    /// The last one given. Goes round, long after what was out of date a round ago was swept.
    last: Stamp,
}

impl Order {
    /// Whether it has to be swept before more is written.
    pub fn is_full(&self) -> bool {
        self.queue.len() == self.queue.capacity()
    }

    /// Whether most of its memory is for more entries than `entries`.
    pub fn is_roomy(&self, entries: usize) -> bool {
        self.queue.capacity() > MIN_ROOM && self.queue.capacity() / 8 > entries
    }

    /// Takes out what is out of date by `is_so`, told places and stamps; `fetch` brings near what that will look at. Leaves
    /// room for as many as stay, and memory for eight times as many at most.
    pub fn sweep(&mut self, is_so: impl Fn(u32, Stamp) -> bool, fetch: impl Fn(u32)) {
        let mut kept = 0;
        for at in 0..self.queue.len() {
            if let Some((place, _)) = self.queue.get(at + AHEAD) {
                fetch(*place);
            }
            let (place, stamp) = self.queue[at];
            if is_so(place, stamp) {
                self.queue.swap(kept, at);
                kept += 1;
            }
        }
        self.queue.truncate(kept);
        if self.queue.capacity() < 2 * kept || self.queue.capacity() == 0 {
            self.queue.reserve(kept.max(MIN_ROOM));
        } else if self.is_roomy(kept) {
            self.queue.shrink_to((4 * kept).max(MIN_ROOM));
        }
    }

    /// The entry at `place` is now the last.
    pub fn append(&mut self, place: u32, stamp: &mut Stamp) {
        if self.queue.back() != Some(&(place, *stamp)) {
            *stamp = self.stamp();
            self.queue.push_back((place, *stamp));
        }
    }

    /// The entry at `place` is now the first.
    pub fn prepend(&mut self, place: u32, stamp: &mut Stamp) {
        if self.queue.front() != Some(&(place, *stamp)) {
            *stamp = self.stamp();
            self.queue.push_front((place, *stamp));
        }
    }

    /// The place of the first entry; `is_so` as in [`Order::sweep`].
    pub fn first(&mut self, is_so: impl Fn(u32, Stamp) -> bool) -> Option<u32> {
        while let Some(&(place, stamp)) = self.queue.front() {
            if is_so(place, stamp) {
                return Some(place);
            }
            self.queue.pop_front();
        }
        None
    }

    fn stamp(&mut self) -> Stamp {
        self.last = Stamp(self.last.0.wrapping_add(1).max(1));
        self.last
    }
}

/// How many places ahead of the one that is looked at are brought near.
const AHEAD: usize = 16;
/// Room that is there from the first entry on: 512 bytes.
const MIN_ROOM: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_is_the_one_idle_longest_and_memory_is_for_as_many_as_there_are(
            steps in prop::collection::vec((0u32..100, 0u8..8), 1..2000),
        ) {
            let mut order = Order::default();
            let mut stamps = [Stamp::NONE; 100];
            let mut model: Vec<u32> = Vec::new();
            for (place, what) in steps {
                if order.is_full() {
                    order.sweep(|place, stamp| stamps[place as usize] == stamp, |_| {});
                }
                model.retain(|known| *known != place);
                match what {
                    0 => {
                        order.prepend(place, &mut stamps[place as usize]);
                        model.insert(0, place);
                    }
                    1..=2 => stamps[place as usize] = Stamp::NONE,
                    _ => {
                        order.append(place, &mut stamps[place as usize]);
                        model.push(place);
                    }
                }
                // Not at each step, so that there is something to sweep.
                if what == 7 {
                    let first = order.first(|place, stamp| stamps[place as usize] == stamp);
                    prop_assert_eq!(first, model.first().copied());
                }
                prop_assert!(order.queue.capacity() <= 1024);
            }
            while let Some(first) = order.first(|place, stamp| stamps[place as usize] == stamp) {
                prop_assert_eq!(first, model.remove(0));
                stamps[first as usize] = Stamp::NONE;
            }
            prop_assert!(model.is_empty());
        }
    }

    #[test]
    fn memory_falls_back_after_a_peak() {
        let mut order = Order::default();
        let mut stamps = vec![Stamp::NONE; 100_000];
        for (place, stamp) in (0..).zip(&mut stamps) {
            if order.is_full() {
                order.sweep(|_, _| true, |_| {});
            }
            order.append(place, stamp);
        }
        assert!(order.is_roomy(10));
        order.sweep(|place, _| place < 10, |_| {});
        assert!(!order.is_roomy(10) && order.queue.capacity() <= 2 * MIN_ROOM);
    }
}
