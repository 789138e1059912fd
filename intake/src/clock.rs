//! The capture clock: time stamps of packets in, time that never runs back out (`sip-metrics.md` 0.2).
//!
//! A time stamp slightly early is taken as the last one. A larger step, in either direction live and backwards in a
//! file, is counted and becomes an offset, so that intervals stay what they were; the offset is told with every
//! time, for those who show the packet's own. No clock is read here: a live receiver tells how much time passed.

use std::time::Duration;

use wire::Timestamp;

/// Larger deviations than this are steps of the clock.
const STEP: i64 = 1_000_000_000;

/// How far time that passes without packets stays behind the monotonic clock: far enough that it never overtakes a packet
/// that waits in the kernel's ring for its block to be handed over, nor what else a receiver holds back because of those.
pub const IDLE_LAG: Duration = Duration::from_millis(250);

/// Where time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockMode {
    /// From packets, and from a monotonic clock while there are none; a packet far ahead of it is a step.
    Live,
    /// From packets alone; a gap is just time.
    File,
}

/// One packet's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Never before that of the packet before.
    pub at: Timestamp,
    /// Nanoseconds to add to `at` to get the time people are shown.
    pub wall_offset: i64,
    /// The clock stepped before this packet.
    pub stepped: bool,
}

/// All times in nanoseconds. Signed, so that differences are; dates beyond 2262 count as the last of that year.
#[derive(Debug)]
pub(super) struct Clock {
    mode: ClockMode,
    last: i64,
    /// Capture time minus packet time.
    offset: i64,
    /// Monotonic time since the receiver began.
    elapsed: i64,
    /// Live, once there was a packet.
    lead: Option<Lead>,
}

/// How far capture time is ahead of the monotonic clock, as the packets least delayed tell it.
#[derive(Clone, Copy, Debug)]
struct Lead {
    nanos: i64,
    /// When it was last corrected.
    elapsed: i64,
}

impl Clock {
    pub const fn new(mode: ClockMode) -> Self {
        Self { mode, last: 0, offset: 0, elapsed: 0, lead: None }
    }

    pub fn now(&self) -> Timestamp {
        timestamp(self.last)
    }

    /// The time it is, with no packet at hand.
    pub fn stamp_of_now(&self) -> Stamp {
        Stamp { at: self.now(), wall_offset: self.offset.saturating_neg(), stepped: false }
    }

    /// The time of a packet stamped `packet`.
    pub fn stamp(&mut self, packet: Timestamp) -> Stamp {
        let packet = nanos(packet);
        let at = packet.saturating_add(self.offset);
        let expected = self.expected();
        let ahead = expected.is_some_and(|expected| at.saturating_sub(expected) > STEP);
        let behind = self.last.saturating_sub(at) > STEP;
        let stepped = ahead || behind;
        if stepped {
            self.last = expected.map_or(self.last, |expected| expected.max(self.last));
            self.offset = self.last.saturating_sub(packet);
        } else {
            self.last = at.max(self.last);
        }
        if self.mode == ClockMode::Live {
            self.correct(self.last);
        }
        Stamp { at: timestamp(self.last), wall_offset: self.offset.saturating_neg(), stepped }
    }

    /// Takes the monotonic time since the receiver began.
    pub fn elapsed(&mut self, since_start: Duration) {
        self.elapsed = i64::try_from(since_start.as_nanos()).unwrap_or(i64::MAX).max(self.elapsed);
    }

    /// The time it is when no packet waits.
    pub fn idle(&mut self) -> Timestamp {
        if let Some(expected) = self.expected() {
            self.last = expected.saturating_sub(IDLE_LAG.as_nanos() as i64).max(self.last);
        }
        timestamp(self.last)
    }

    /// The time it should be now by the monotonic clock.
    fn expected(&self) -> Option<i64> {
        self.lead.map(|lead| lead.nanos.saturating_add(self.elapsed))
    }

    /// Learns from a packet how far capture time leads. Delayed packets show too little, so the largest lead counts,
    /// and gives way slowly: by 1/64 of the time that passes, against small steps back that were no step.
    fn correct(&mut self, at: i64) {
        let seen = at.saturating_sub(self.elapsed);
        let nanos = self.lead.map_or(seen, |lead| {
            let give = self.elapsed.saturating_sub(lead.elapsed) / 64;
            seen.max(lead.nanos.saturating_sub(give))
        });
        self.lead = Some(Lead { nanos, elapsed: self.elapsed });
    }
}

fn nanos(timestamp: Timestamp) -> i64 {
    i64::try_from(timestamp.as_nanos()).unwrap_or(i64::MAX)
}

fn timestamp(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(nanos.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        timestamp(millis * 1_000_000)
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Start of a capture somewhere in 2026.
    const START: i64 = 1_767_225_600_000;

    #[track_caller]
    fn stamps(clock: &mut Clock, packet: i64, expected: i64, stepped: bool) {
        let stamp = clock.stamp(at(START + packet));
        assert_eq!((stamp.at, stamp.stepped), (at(START + expected), stepped));
        assert_eq!(stamp.wall_offset, clock.offset.saturating_neg());
    }

    #[test]
    fn a_stamp_up_to_a_second_early_is_taken_as_the_last() {
        let mut clock = Clock::new(ClockMode::File);
        stamps(&mut clock, 2000, 2000, false);
        stamps(&mut clock, 1000, 2000, false);
        stamps(&mut clock, 2500, 2500, false);
    }

    #[test]
    fn a_larger_step_back_becomes_an_offset_that_people_do_not_see() {
        let mut clock = Clock::new(ClockMode::File);
        stamps(&mut clock, 5000, 5000, false);
        stamps(&mut clock, 3999, 5000, true);
        stamps(&mut clock, 4999, 6000, false);
        assert_eq!(clock.stamp(at(START + 5999)).wall_offset, -1_001_000_000);
    }

    #[test]
    fn in_a_file_a_gap_is_just_time() {
        let mut clock = Clock::new(ClockMode::File);
        stamps(&mut clock, 0, 0, false);
        stamps(&mut clock, 86_400_000, 86_400_000, false);
    }

    #[test]
    fn live_a_packet_far_ahead_of_the_monotonic_clock_is_a_step() {
        let mut clock = Clock::new(ClockMode::Live);
        stamps(&mut clock, 0, 0, false);
        clock.elapsed(millis(500));
        stamps(&mut clock, 1500, 1500, false);
        clock.elapsed(millis(1000));
        stamps(&mut clock, 3_600_000, 2000, true);
        clock.elapsed(millis(1100));
        stamps(&mut clock, 3_600_100, 2100, false);
    }

    #[test]
    fn live_a_step_back_goes_on_from_the_monotonic_clock() {
        let mut clock = Clock::new(ClockMode::Live);
        stamps(&mut clock, 0, 0, false);
        clock.elapsed(millis(5000));
        stamps(&mut clock, -3_600_000, 5000, true);
        stamps(&mut clock, -3_599_990, 5010, false);
    }

    #[test]
    fn live_time_goes_on_without_packets_and_stays_behind_those_still_in_the_ring() {
        let mut clock = Clock::new(ClockMode::Live);
        clock.elapsed(millis(5000));
        assert_eq!(clock.idle(), Timestamp::ZERO);
        stamps(&mut clock, 0, 0, false);
        clock.elapsed(millis(5250));
        assert_eq!(clock.idle(), at(START));
        clock.elapsed(millis(5450));
        assert_eq!(clock.idle(), at(START + 200));
        stamps(&mut clock, 280, 280, false);
    }

    /// A reader that stood still for ten seconds finds ten seconds of packets at once.
    #[test]
    fn live_packets_that_waited_are_no_step() {
        let mut clock = Clock::new(ClockMode::Live);
        stamps(&mut clock, 0, 0, false);
        for round in 0..5 {
            clock.elapsed(millis(10_000 + round));
            for packet in 0..20 {
                let sent = i64::try_from(round).expect("small") * 2000 + packet * 100;
                stamps(&mut clock, sent, sent, false);
            }
        }
    }

    #[test]
    fn live_a_small_step_back_is_forgotten_in_time() {
        let mut clock = Clock::new(ClockMode::Live);
        stamps(&mut clock, 0, 0, false);
        let mut late = 0;
        for second in 1..120 {
            clock.elapsed(millis(second * 1000 - 100));
            clock.idle();
            clock.elapsed(millis(second * 1000));
            let packet = i64::try_from(second).expect("small") * 1000 - 800;
            let stamp = clock.stamp(at(START + packet));
            assert!(!stamp.stepped);
            late = stamp.at.since(at(START + packet)).as_millis();
        }
        assert_eq!(late, 0);
    }

    #[test]
    fn hostile_stamps_overflow_nothing() {
        for mode in [ClockMode::File, ClockMode::Live] {
            let mut clock = Clock::new(mode);
            let mut last = Timestamp::ZERO;
            for packet in [0, u64::MAX, 1, u64::MAX / 2, 0, u64::MAX] {
                clock.elapsed(Duration::MAX);
                let stamp = clock.stamp(Timestamp::from_nanos(packet));
                assert!(stamp.at >= last);
                last = stamp.at;
            }
        }
    }
}
