//! The ACK of a 2xx: a request that nobody answers, so that nothing is asked of it but whether it comes again
//! (`sip-metrics.md` 2.2, 2.7; RFC 3261 §13.2.2.4).
//!
//! The first one of a dialog is noted there as long as it is the only one. With another branch of it, or further on its
//! way, it becomes a request like any other.

use call_records::SightingKind;
use std::time::Duration;

use wire::Timestamp;

use crate::hash::{Branch, Hashes, Hop, Tag};
use crate::observed::Observed;

/// The ACK that confirmed a dialog, seen on one hop, with one Via.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// First byte of its first transmission.
    pub began: Timestamp,
    pub branch: Branch,
    pub hop: Hop,
    /// From tag.
    pub from: Tag,
    /// Five-tuple of its first sighting.
    pub tuple: u32,
}

impl Ack {
    /// One that is seen for the first time.
    pub fn new(seen: &Observed<'_>, hashes: &Hashes) -> Self {
        let hop = seen.hop(hashes);
        Self { began: seen.frame.first, branch: seen.branch, hop, from: seen.from, tuple: seen.tuple }
    }

    /// Whether it is known when a message comes: for `timeout` after it began.
    pub fn is_remembered(&self, now: Timestamp, timeout: Duration) -> bool {
        self.began + timeout > now
    }

    /// What a message of its branch turned out to be.
    pub fn see_again(&self, tuple: u32) -> SightingKind {
        if tuple == self.tuple { SightingKind::Retransmission } else { SightingKind::Copy }
    }
}
