//! Call-IDs that are used for call after call: broken diallers and scanners do that.
//!
//! The trace of a call is named by its Call-ID, so that all calls of one would be one trace, which no store takes when it has
//! grown large. From the hundredth in an hour on each call has a trace of its own.

use std::time::Duration;

use hashlink::LinkedHashMap;
use wire::Timestamp;

use crate::change::CallId;

/// How often Call-IDs began a call lately, in order of their last.
#[derive(Default)]
pub struct ReusedCallIds(LinkedHashMap<CallId, Uses>);

/// Of one Call-ID.
#[derive(Clone, Copy)]
struct Uses {
    number: u32,
    since: Timestamp,
}

impl ReusedCallIds {
    /// A call begins. Whether its Call-ID has begun as many within the hour as one trace may hold.
    pub fn begins(&mut self, call: CallId, now: Timestamp) -> bool {
        let before = self.0.get(&call).copied().filter(|uses| now < uses.since + WINDOW);
        let Uses { number, since } = before.unwrap_or(Uses { number: 0, since: now });
        self.0.remove(&call);
        while self.0.len() >= MAX_CALL_IDS {
            self.0.pop_front();
        }
        self.0.insert(call, Uses { number: number.saturating_add(1), since });
        number >= MAX_CALLS
    }
}

/// Most calls of one Call-ID in a trace, begun within [`WINDOW`]: some 300 kB of them.
const MAX_CALLS: u32 = 100;
const WINDOW: Duration = Duration::from_secs(3600);
/// Most Call-IDs remembered: one that comes back sooner than so many others is found.
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
        assert_eq!(reused.0.len(), MAX_CALL_IDS);
    }
}
