//! Ticks that mean something: seconds with too few INVITEs join the next.

use std::ops::AddAssign;

use super::Delays;
use crate::steer::BackendCounters;

/// What was counted in a second, of one backend or of all of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Initial INVITEs sent there, retransmissions not among them.
    pub invites: u64,
    /// Final responses 503 to INVITE.
    pub unavailable: u64,
    /// Final responses 408 to INVITE.
    pub timeouts: u64,
    /// From INVITE to first response, of those that had one.
    pub delays: Delays,
}

impl Sample {
    /// What was counted of a backend between two readings. A counter that began anew counts from 0.
    pub fn between(earlier: &BackendCounters, now: &BackendCounters) -> Self {
        let since = |now: u64, earlier: u64| now.checked_sub(earlier).unwrap_or(now);
        Self {
            invites: since(now.invites, earlier.invites),
            unavailable: since(now.unavailable, earlier.unavailable),
            timeouts: since(now.timeouts, earlier.timeouts),
            delays: &Delays(now.first_response) - &Delays(earlier.first_response),
        }
    }
}

impl AddAssign<&Self> for Sample {
    fn add_assign(&mut self, other: &Self) {
        self.invites += other.invites;
        self.unavailable += other.unavailable;
        self.timeouts += other.timeouts;
        self.delays += &other.delays;
    }
}

/// INVITEs that make a tick.
pub(super) const ENOUGH: u64 = 20;

/// Seconds after which too few INVITEs count as good ones.
pub(super) const QUIET: u32 = 30;

/// What a second completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tick {
    /// Nothing yet: there are too few.
    Joined,
    /// A tick with this in it.
    Complete(Box<Sample>),
    /// There have been too few for so long that this second counts as a good tick.
    Quiet,
}

/// Joins seconds until there are enough INVITEs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Joining {
    sum: Sample,
    seconds: u32,
    quiet: bool,
}

impl Joining {
    /// Takes what was counted in a second.
    pub(super) fn second(&mut self, sample: &Sample) -> Tick {
        self.sum += sample;
        self.seconds += 1;
        if self.sum.invites >= ENOUGH {
            return Tick::Complete(Box::new(std::mem::take(self).sum));
        }
        if self.seconds >= QUIET {
            *self = Self { quiet: true, ..Self::default() };
        }
        if self.quiet { Tick::Quiet } else { Tick::Joined }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_what_came_between_two_readings() {
        let mut earlier = BackendCounters { invites: 100, timeouts: 7, ..BackendCounters::default() };
        let mut now = BackendCounters { invites: 130, unavailable: 2, timeouts: 3, ..BackendCounters::default() };
        (earlier.first_response[20], now.first_response[20]) = (90, 117);
        let sample = Sample::between(&earlier, &now);
        assert_eq!((sample.invites, sample.unavailable, sample.timeouts), (30, 2, 3), "timeouts began anew");
        assert_eq!((sample.delays.count(), sample.delays.0[20]), (27, 27));
    }

    #[test]
    fn seconds_join_until_there_are_twenty_invites_and_half_a_minute_without_counts_as_good() {
        let mut joining = Joining::default();
        let few = Sample { invites: 7, ..Sample::default() };
        assert_eq!([joining.second(&few), joining.second(&few)], [Tick::Joined, Tick::Joined]);
        assert_eq!(joining.second(&few), Tick::Complete(Box::new(Sample { invites: 21, ..Sample::default() })));
        let none = Sample::default();
        assert!((1..QUIET).all(|_| joining.second(&none) == Tick::Joined));
        assert!((0..2 * QUIET).all(|_| joining.second(&none) == Tick::Quiet));
        assert!(matches!(joining.second(&Sample { invites: 20, ..none }), Tick::Complete(_)));
        assert_eq!(joining.second(&none), Tick::Joined);
    }
}
