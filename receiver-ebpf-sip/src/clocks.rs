//! The two clocks of a capture: packets have the wall clock's time, records of eBPF programs the monotonic one's.
//!
//! Records are told at once, packets up to [`RETIRE_MS`] late: a record waits until every packet before it has been read.

use std::time::Duration;

use intake::IDLE_LAG;
use nix::time::ClockId;
use wire::Timestamp;

use crate::ring::RETIRE_MS;
use crate::sys;

/// How long a record waits for packets that were seen before it: twice as long as the ring holds them back, and not so
/// long that time that passes without packets could overtake it.
const HOLD_BACK: Duration = Duration::from_millis(2 * RETIRE_MS as u64);

/// How often records are looked for: their kernel side wakes nobody, since that would be the dearest part of it.
pub const POLL_EVERY: Duration = Duration::from_millis(20);

const _: () = assert!(HOLD_BACK.as_millis() + POLL_EVERY.as_millis() < IDLE_LAG.as_millis());

/// The times of two clocks at one moment, in nanoseconds: what leads from one to the other.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// CLOCK_MONOTONIC.
    pub monotonic: u64,
    /// CLOCK_REALTIME, since 1970.
    pub wall: u64,
}

impl Clocks {
    /// Reads them.
    pub fn read() -> Self {
        Self { monotonic: sys::clock(ClockId::CLOCK_MONOTONIC), wall: sys::clock(ClockId::CLOCK_REALTIME) }
    }

    /// The time on people's clock when the monotonic one stood at `monotonic`.
    pub fn wall_at(self, monotonic: u64) -> Timestamp {
        let ago = self.monotonic.saturating_sub(monotonic);
        let ahead = monotonic.saturating_sub(self.monotonic);
        Timestamp::from_nanos(self.wall.saturating_sub(ago).saturating_add(ahead))
    }

    /// What was seen until then no packet can be before any more, where none waits.
    pub fn due(self) -> Timestamp {
        Timestamp::from_nanos(self.wall.saturating_sub(HOLD_BACK.as_nanos() as u64))
    }
}
