//! Call-IDs that are used for call after call: broken diallers and scanners do that.
//!
//! The trace of a call is named by its Call-ID, so that all calls of one would be one trace, which no store takes when it has
//! grown large. From the hundredth in an hour on each call has a trace of its own.

use std::collections::HashMap;
use std::time::Duration;

use wire::Timestamp;

use crate::change::CallId;

/// How often Call-IDs began a call within the hour. In two generations: when the young one is full, the old one is forgotten
/// and the young one becomes old, so that those that come back stay.
pub struct ReusedCallIds {
    young: HashMap<u32, u16>,
    old: HashMap<u32, u16>,
    since: Timestamp,
}

impl Default for ReusedCallIds {
    /// With all the room there will be: a quarter of a megabyte.
    fn default() -> Self {
        let room = || HashMap::with_capacity(MAX_CALL_IDS / 2);
        Self { young: room(), old: room(), since: Timestamp::ZERO }
    }
}

impl ReusedCallIds {
    /// A call begins. Whether its Call-ID has begun as many within the hour as one trace may hold.
    pub fn begins(&mut self, call: CallId, now: Timestamp) -> bool {
        if now >= self.since + WINDOW {
            self.young.clear();
            self.old.clear();
            self.since = now;
        }
        // Half of the hash tells enough of so few apart.
        let id = call as u32;
        let begun = self.young.get(&id).or_else(|| self.old.get(&id)).copied().unwrap_or_default();
        if self.young.len() >= MAX_CALL_IDS / 2 {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(id, begun.saturating_add(1));
        begun >= MAX_CALLS
    }
}

/// Most calls of one Call-ID in a trace, begun within [`WINDOW`]: some 300 kB of them.
const MAX_CALLS: u16 = 100;
const WINDOW: Duration = Duration::from_secs(3600);
/// Most Call-IDs remembered: one that comes back sooner than half as many others is found.
const MAX_CALL_IDS: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hundredth_within_an_hour_is_the_last_of_one_trace() {
        let mut reused = ReusedCallIds::default();
        let at = |seconds: u64| Timestamp::from_nanos(seconds * 1_000_000_000);
        let beyond = (0..150).filter(|call| reused.begins(7, at(*call))).count();
        assert_eq!(beyond, 50);
        assert!(!reused.begins(8, at(150)), "another one is another matter");
        assert!(!reused.begins(7, at(3600)), "an hour later it begins anew");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut reused = ReusedCallIds::default();
        for call in 0..3 * MAX_CALL_IDS as u64 {
            reused.begins(call, Timestamp::ZERO);
        }
        assert!(reused.young.len() + reused.old.len() <= MAX_CALL_IDS);
        assert!(reused.young.capacity() <= MAX_CALL_IDS);
    }
}
