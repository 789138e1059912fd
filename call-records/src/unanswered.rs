//! Transactions that got no final: when each was given up.

use std::time::Duration;

use wire::Timestamp;

use crate::call::{Call, Leg};

impl Call {
    /// Transactions without a final at `now`, of those that `is_of` knows, got none.
    pub fn time_out(&mut self, now: Timestamp, is_of: impl Fn(&Leg) -> bool) {
        let at = self.shown(now);
        self.give_up(|leg| is_of(leg).then_some(at));
        self.last_until(now);
    }

    /// The call is over: transactions without a final by now got none, in time or at all.
    pub fn close(&mut self, timeout: Duration, proceeding: Duration) {
        let until = self.record.until;
        let due = |leg: &Leg| match leg.heard {
            Timestamp::ZERO => leg.entry.start + timeout,
            heard => heard + proceeding,
        };
        self.give_up(|leg| Some(due(leg).min(until)));
    }

    /// Ends transactions without a final where `at` says when.
    fn give_up(&mut self, at: impl Fn(&Leg) -> Option<Timestamp>) {
        for leg in self.legs.iter_mut().filter(|leg| leg.entry.end.is_none()) {
            let Some(at) = at(leg) else { continue };
            leg.entry.end = Some(at);
            leg.entry.timed_out = true;
            let span = leg.entry.span;
            for ring in self.rings.iter_mut().filter(|ring| ring.entry.parent == span) {
                ring.entry.end.get_or_insert(at);
            }
        }
    }
}
