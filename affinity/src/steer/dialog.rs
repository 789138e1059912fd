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
    /// It began before we knew of it, or what began it was answered with 2xx: what is refused within it does not end it.
    pub answered: bool,
    /// When its last packet came, to within a second.
    pub last: u64,
    /// When it is forgotten; 0: not for anything but silence.
    pub ends: u64,
    /// When the request was sent on that made this entry, as long as its backend has not taken it by a response, or by a request
    /// of its own; then 0. Until that the dialog ends [`LINGER`] after what the client said last: who sends an INVITE gives up
    /// after half of that (RFC 3261 §17.1.1.2, Timer B), and so does who sends another request (§17.1.2.2, Timer F).
    pub asked: u64,
    /// How many seconds it lasts after a 2xx to SUBSCRIBE: what the request asked for by Expires, which the answer may only
    /// shorten (RFC 6665 §4.2.1.1), and [`LINGER`]; 0: as long as calls do.
    pub life: u32,
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
    /// The backend has taken it.
    pub(super) fn take(&mut self, now: u64) {
        self.asked = 0;
        self.ends = if self.life == 0 { 0 } else { now + u64::from(self.life) * 1_000_000_000 };
    }

    /// Whether it is to be forgotten by `now`.
    pub fn is_over(&self, now: u64, idle: Duration) -> bool {
        let since = now.wrapping_sub(self.last).cast_signed();
        let ended = self.ends != 0 && now.wrapping_sub(self.ends).cast_signed() >= 0;
        ended || since >= i64::try_from(idle.as_nanos()).unwrap_or(i64::MAX)
    }
}
