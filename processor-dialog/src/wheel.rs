//! Timers in order of due time: a calendar of buckets whose nodes live in one pool.
//!
//! Setting, moving and cancelling cost a few nanoseconds; [`Wheel::pop`] yields exactly in order of due
//! time, then of setting (`sip-metrics.md` 0.2), because a bucket is sorted when its turn comes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use wire::Timestamp;

use crate::slab::Slab;

/// What a timer wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The call at a place.
    Call(u32),
    /// The bindings at a place.
    Bindings(u32),
}

/// A set timer's name; the owner keeps it to move or cancel. [`Timer::default`] is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer(u32);

impl Default for Timer {
    fn default() -> Self {
        Self(NIL)
    }
}

/// A timer.
#[derive(Default)]
struct Node {
    due: u64,
    /// When it was set, among others; goes round, so that it tells only near ones apart.
    order: u32,
    /// What it wakes; `None` when it is not set.
    target: Option<Target>,
    previous: u32,
    next: u32,
    bucket: u16,
}

const _: () = assert!(size_of::<Node>() <= 40);

/// All timers.
pub struct Wheel {
    nodes: Slab<Node>,
    heads: Box<[u32; LEVELS * BUCKETS]>,
    occupied: [[u64; BUCKETS / 64]; LEVELS],
    /// Tick (a unit of the finest level) that is firing; everything earlier has fired.
    tick: u64,
    /// The timers of that tick: due time, order of setting, node. An entry whose order is no longer its
    /// node's was moved or cancelled.
    firing: BinaryHeap<Reverse<(u64, u32, u32)>>,
    set: u32,
}

impl Default for Wheel {
    fn default() -> Self {
        Self {
            nodes: Slab::default(),
            heads: Box::new([NIL; LEVELS * BUCKETS]),
            occupied: [[0; BUCKETS / 64]; LEVELS],
            tick: 0,
            firing: BinaryHeap::new(),
            set: 0,
        }
    }
}

impl Wheel {
    /// Sets `timer`, or moves it where it is set already.
    pub fn set(&mut self, timer: &mut Timer, due: Timestamp, target: Target) {
        let bucket = self.bucket_of(due);
        let mut stays = false;
        if timer.0 == NIL {
            timer.0 = self.nodes.alloc();
        } else {
            // Most timers are moved to a later time. They stay where they are, whose turn comes first, and are placed
            // anew from there: the neighbours in two buckets need not be touched for each move.
            let from = self.nodes[timer.0].bucket;
            stays = bucket != FIRING && from != FIRING && tick_of(due) >= self.start_of(from);
            if !stays {
                self.unlink(timer.0);
            }
        }
        self.set = self.set.wrapping_add(1);
        let node = &mut self.nodes[timer.0];
        node.due = due.as_nanos();
        node.order = self.set;
        node.target = Some(target);
        if !stays {
            self.link(timer.0, bucket);
        }
    }

    /// Unsets `timer`; it may not be set.
    pub fn cancel(&mut self, timer: &mut Timer) {
        if timer.0 == NIL {
            return;
        }
        self.unlink(timer.0);
        self.free_node(timer.0);
        timer.0 = NIL;
    }

    /// Whether [`Wheel::pop`] may have something to do; nearly always `false`.
    #[inline]
    pub fn may_fire(&self, now: Timestamp) -> bool {
        tick_of(now) > self.tick || self.firing.peek().is_some_and(|Reverse((due, ..))| *due <= now.as_nanos())
    }

    /// The earliest timer due at or before `now`. Its node is freed: the owner's [`Timer`] is void then.
    pub fn pop(&mut self, now: Timestamp) -> Option<(Timestamp, Target)> {
        let last = tick_of(now);
        loop {
            while let Some(&Reverse((due, order, index))) = self.firing.peek() {
                // The page of one that was cancelled may be gone.
                let node = self.nodes.get(index).filter(|node| node.order == order);
                let target = node.and_then(|node| node.target);
                if target.is_some() && due > now.as_nanos() {
                    return None;
                }
                self.firing.pop();
                if let Some(target) = target {
                    self.free_node(index);
                    return Some((Timestamp::from_nanos(due), target));
                }
            }
            if self.nodes.len() == 0 {
                self.tick = self.tick.max(last);
                return None;
            }
            if self.tick >= last {
                return None;
            }
            self.advance(last);
        }
    }

    /// Timers set.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Moves to the next tick at which a bucket begins that holds a timer, not beyond `last`, and brings what lies
    /// in coarse buckets down to finer ones. Empty time costs nothing, however much of it passes.
    fn advance(&mut self, last: u64) {
        self.tick = self.next_start().unwrap_or(last).min(last);
        if self.tick.is_multiple_of(BUCKETS as u64) {
            self.cascade();
        }
        self.empty(self.tick as usize % BUCKETS);
    }

    /// The tick at which the next bucket with a timer begins. A level holds only what the next coarser one has no
    /// bucket of its own for yet, so the finest level with anything ahead knows; the coarsest goes round.
    fn next_start(&self) -> Option<u64> {
        let mut span = 1;
        for occupied in &self.occupied {
            let place = (self.tick / span) as usize % BUCKETS;
            if place + 1 < BUCKETS
                && let Some(bucket) = next_bit(occupied, place + 1)
            {
                return Some((self.tick / span + (bucket - place) as u64) * span);
            }
            span *= BUCKETS as u64;
        }
        span /= BUCKETS as u64;
        let round = self.tick / span - self.tick / span % BUCKETS as u64 + BUCKETS as u64;
        next_bit(&self.occupied[LEVELS - 1], 0).map(|bucket| (round + bucket as u64) * span)
    }

    /// Places every timer of a bucket anew, seen from the current tick.
    fn empty(&mut self, bucket: usize) {
        while self.heads[bucket] != NIL {
            let index = self.heads[bucket];
            self.unlink(index);
            let bucket = self.bucket_of(Timestamp::from_nanos(self.nodes[index].due));
            self.link(index, bucket);
        }
    }

    /// At the start of a round of the finest level: spreads the coarser buckets that begin now.
    fn cascade(&mut self) {
        for level in (1..LEVELS).rev() {
            let span = (BUCKETS as u64).pow(level as u32);
            if self.tick.is_multiple_of(span) {
                self.empty(level * BUCKETS + (self.tick / span) as usize % BUCKETS);
            }
        }
    }

    /// The tick at which a bucket's turn comes.
    fn start_of(&self, bucket: u16) -> u64 {
        let (level, place) = (usize::from(bucket) / BUCKETS, usize::from(bucket) % BUCKETS);
        let span = (BUCKETS as u64).pow(level as u32);
        let now = self.tick / span;
        let ahead = (place + BUCKETS - now as usize % BUCKETS) % BUCKETS;
        (now + ahead as u64) * span
    }

    /// Where a timer waits that is due then, seen from the current tick.
    fn bucket_of(&self, due: Timestamp) -> u16 {
        let due = tick_of(due);
        if due <= self.tick {
            return FIRING;
        }
        // What lies beyond the coarsest level waits in its farthest bucket and is placed anew from there.
        let mut level = 0;
        let mut shift = 0;
        while level + 1 < LEVELS && due >> (shift + BUCKET_BITS) != self.tick >> (shift + BUCKET_BITS) {
            level += 1;
            shift += BUCKET_BITS;
        }
        let farthest = (self.tick >> shift) + BUCKETS as u64 - 1;
        let place = (due >> shift).min(farthest) as usize % BUCKETS;
        (level * BUCKETS + place) as u16
    }

    fn link(&mut self, index: u32, bucket: u16) {
        let node = &mut self.nodes[index];
        node.bucket = bucket;
        if bucket == FIRING {
            self.firing.push(Reverse((node.due, node.order, index)));
            return;
        }
        let bucket = usize::from(bucket);
        let head = self.heads[bucket];
        node.previous = NIL;
        node.next = head;
        if head != NIL {
            self.nodes[head].previous = index;
        }
        self.heads[bucket] = index;
        let (level, place) = (bucket / BUCKETS, bucket % BUCKETS);
        self.occupied[level][place / 64] |= 1 << (place % 64);
    }

    fn unlink(&mut self, index: u32) {
        let Node { bucket, previous, next, .. } = self.nodes[index];
        if bucket == FIRING {
            return;
        }
        if next != NIL {
            self.nodes[next].previous = previous;
        }
        if previous != NIL {
            self.nodes[previous].next = next;
            return;
        }
        self.heads[bucket as usize] = next;
        if next == NIL {
            let (level, place) = (bucket as usize / BUCKETS, bucket as usize % BUCKETS);
            self.occupied[level][place / 64] &= !(1 << (place % 64));
        }
    }

    fn free_node(&mut self, index: u32) {
        self.nodes[index].target = None;
        self.nodes.free(index);
    }
}

/// The tick a time lies in.
fn tick_of(at: Timestamp) -> u64 {
    at.as_nanos() >> TICK_SHIFT
}

/// The first set bit at or after `from`.
fn next_bit(bits: &[u64; BUCKETS / 64], from: usize) -> Option<usize> {
    let mut word = from / 64;
    let mut rest = bits[word] & (u64::MAX << (from % 64));
    loop {
        if rest != 0 {
            return Some(word * 64 + rest.trailing_zeros() as usize);
        }
        word += 1;
        if word == bits.len() {
            return None;
        }
        rest = bits[word];
    }
}

/// A tick is 2^23 ns, 8.4 ms; three levels of 512 buckets reach 13 days ahead.
const TICK_SHIFT: u32 = 23;
const BUCKETS: usize = 1 << BUCKET_BITS;
const BUCKET_BITS: u32 = 9;
const LEVELS: usize = 3;
const NIL: u32 = u32::MAX;

/// In place of a bucket: the timer is in the heap of the current tick.
const FIRING: u16 = u16::MAX;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn targets(count: u32) -> Vec<Target> {
        (0..count).map(Target::Call).collect()
    }

    proptest! {
        #[test]
        fn timers_fire_in_order_of_due_time_then_of_setting(
            delays in prop::collection::vec((0u64..40_000_000_000_000, any::<bool>(), 0u64..2_000_000_000_000), 1..200),
        ) {
            let start = Timestamp::from_nanos(1_767_225_600_000_000_000);
            let mut wheel = Wheel::default();
            assert_eq!(wheel.pop(start), None);
            let targets = targets(delays.len() as u32);
            let mut expected = Vec::new();
            let mut timers = vec![Timer::default(); delays.len()];
            for (i, &(delay, moved, other)) in delays.iter().enumerate() {
                let due = start + Duration::from_nanos(delay);
                wheel.set(&mut timers[i], due, targets[i]);
                if moved && other % 3 == 0 {
                    wheel.cancel(&mut timers[i]);
                    continue;
                }
                let due = if moved { start + Duration::from_nanos(other) } else { due };
                if moved {
                    wheel.set(&mut timers[i], due, targets[i]);
                }
                expected.push((due, targets[i]));
            }
            expected.sort_by_key(|&(due, _)| due);
            let mut fired = Vec::new();
            let mut now = start;
            while wheel.len() > 0 {
                now = now + Duration::from_secs(7);
                while let Some((due, target)) = wheel.pop(now) {
                    prop_assert!(due <= now);
                    fired.push((due, target));
                }
            }
            prop_assert_eq!(fired, expected);
        }
    }

    proptest! {
        #[test]
        fn timers_that_are_moved_while_time_passes_fire_as_they_were_set_last(
            steps in prop::collection::vec((0usize..12, 0u8..8, 0u64..20_000_000_000_000, 0u32..14), 1..400),
        ) {
            let mut now = Timestamp::from_nanos(1_767_225_600_000_000_000);
            let mut wheel = Wheel::default();
            let targets = targets(12);
            let mut timers = [Timer::default(); 12];
            // When each is due, and when it was set.
            let mut expected: [Option<(Timestamp, usize)>; 12] = [None; 12];
            for (set, (timer, step, delay, fineness)) in steps.into_iter().enumerate() {
                let delay = Duration::from_nanos(delay >> (3 * fineness));
                match step {
                    0 => {
                        wheel.cancel(&mut timers[timer]);
                        expected[timer] = None;
                    }
                    1..5 => {
                        wheel.set(&mut timers[timer], now + delay, targets[timer]);
                        expected[timer] = Some((now + delay, set));
                    }
                    _ => now = now + delay,
                }
                loop {
                    let due = expected.iter().enumerate().filter_map(|(timer, due)| due.map(|due| (due, timer)));
                    let first = due.filter(|((due, _), _)| *due <= now).min();
                    prop_assert_eq!(wheel.pop(now), first.map(|((due, _), timer)| (due, targets[timer])));
                    let Some((_, timer)) = first else { break };
                    (timers[timer], expected[timer]) = (Timer::default(), None);
                }
                prop_assert_eq!(wheel.len(), expected.iter().flatten().count());
            }
        }
    }

    #[test]
    fn a_gap_of_days_fires_what_lies_in_it_once() {
        let mut wheel = Wheel::default();
        let start = Timestamp::from_nanos(5);
        wheel.pop(start);
        let targets = targets(2);
        let (mut a, mut b) = (Timer::default(), Timer::default());
        wheel.set(&mut a, start + Duration::from_secs(40 * 86_400), targets[0]);
        wheel.set(&mut b, start + Duration::from_secs(32), targets[1]);
        let end = start + Duration::from_secs(41 * 86_400);
        assert_eq!(wheel.pop(end).map(|(_, target)| target), Some(targets[1]));
        assert_eq!(wheel.pop(end).map(|(_, target)| target), Some(targets[0]));
        assert_eq!(wheel.pop(end), None);
    }

    #[test]
    fn a_gap_of_centuries_is_crossed_in_a_few_steps() {
        let mut wheel = Wheel::default();
        let targets = targets(3);
        let mut timers = [Timer::default(); 3];
        wheel.set(&mut timers[0], Timestamp::from_nanos(1 << 62), targets[0]);
        wheel.set(&mut timers[1], Timestamp::NEVER, targets[1]);
        wheel.set(&mut timers[2], Timestamp::from_nanos(7), targets[2]);
        let fired: Vec<_> = std::iter::from_fn(|| wheel.pop(Timestamp::NEVER)).map(|(_, target)| target).collect();
        assert_eq!(fired, [targets[2], targets[0], targets[1]]);
    }
}
