//! What falls due: by time, then in the order it was asked for. What a timer was for may be gone when it fires.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use wire::Timestamp;

/// What falls due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// An interval of the stream that began then.
    Interval { stream: u32, first: u64 },
    /// Whether the stream that began then still has packets.
    Silence { stream: u32, first: u64 },
    /// Whether either side of a session is heard.
    Judge { session: u32, serial: u64 },
    /// Whether a side of a session fell silent.
    Stopped { session: u32, serial: u64 },
    /// A session that is over is forgotten.
    Release { session: u32, serial: u64 },
}

/// All that falls due.
#[derive(Default)]
pub struct Timers {
    heap: BinaryHeap<Reverse<(Timestamp, u64, Due)>>,
    asked: u64,
}

impl Timers {
    /// Something falls due then.
    pub fn set(&mut self, at: Timestamp, due: Due) {
        self.asked += 1;
        self.heap.push(Reverse((at, self.asked, due)));
    }

    /// Whether something is due at `now`.
    #[inline]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.heap.peek().is_some_and(|Reverse((at, ..))| *at <= now)
    }

    /// The next that is due at `now`, and when it fell due.
    pub fn pop(&mut self, now: Timestamp) -> Option<(Timestamp, Due)> {
        if !self.is_due(now) {
            return None;
        }
        self.heap.pop().map(|Reverse((at, _, due))| (at, due))
    }
}
