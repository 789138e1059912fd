//! The store of per-INVITE sessions, kept beside the dialogs under the same key (`sip-metrics.md` 3.5).
//!
//! A session is taken up on the first 200 that starts a dialog and given back on a 200 to BYE or at expiry; nothing else
//! removes it. That it disagrees with the dialogs is the point: both readings are exported.

use std::time::Duration;

use wire::Timestamp;

/// One session of the store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Session {
    /// The 200 that started it, of the one whose completion counts for its initial INVITE; `None` of any other.
    pub counts_since: Option<Timestamp>,
    /// When it is completed by time.
    pub expires: Timestamp,
}

impl Session {
    /// One that a 200 starts at `now`. `counts`: its completion does, for its initial INVITE.
    pub fn new(counts: bool, now: Timestamp, interval: Duration) -> Self {
        Self { counts_since: counts.then_some(now), expires: now + interval }
    }

    /// Every 2xx to INVITE or UPDATE starts its expiry anew.
    pub fn refresh(&mut self, now: Timestamp, interval: Duration) {
        self.expires = now + interval;
    }
}
