//! What is remembered of a dialog: which backend has it, how far it is, when it ends.

use std::time::Duration;

/// How long a dialog is remembered that has ended: messages are repeated for 64 × T1 (RFC 3261 §17.1.1.2), twice that for
/// who answers late.
pub const LINGER: Duration = Duration::from_secs(64);

/// An entry of the map of dialogs. Times are CLOCK_MONOTONIC in ns, as coarse as the kernel's tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialog {
    /// Number of its backend; [`super::Slots::NONE`] as long as an INVITE in mode observe waits for one to speak of it.
    pub backend: u16,
    /// How it came in.
    pub entered: Entered,
    /// The initial INVITE was answered with 2xx: what is refused later does not end it.
    pub answered: bool,
    /// When its last packet came, to within a second.
    pub last: u64,
    /// When it is forgotten; 0: not for anything but silence.
    pub ends: u64,
    /// When its initial INVITE was sent on; 0 once there was a response, and without one. As long as it waits for that the
    /// dialog ends [`LINGER`] after it: who sent the INVITE gives up after half of that (RFC 3261 §17.1.1.2, Timer B).
    pub asked: u64,
}

/// How a dialog came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered {
    /// A client's request was given to the backend.
    Steered,
    /// The backend was heard speaking of it.
    Learned,
}

impl Dialog {
    /// Whether it is to be forgotten by `now`.
    pub fn is_over(&self, now: u64, idle: Duration) -> bool {
        let since = now.wrapping_sub(self.last).cast_signed();
        let ended = self.ends != 0 && now.wrapping_sub(self.ends).cast_signed() >= 0;
        ended || since >= i64::try_from(idle.as_nanos()).unwrap_or(i64::MAX)
    }
}
