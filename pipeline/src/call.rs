//! One call as people see it: everything under one Call-ID, from its first INVITE to its end.

use std::net::SocketAddr;
use std::time::Duration;

use wire::Timestamp;

use crate::facts::Slot;
use crate::frame::Transport;

/// A call that ended, or (after a drain) one that is still in progress.
///
/// Privacy is applied when the record is made: what may not be shown is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRecord {
    /// Whose labels the call has: those of its first INVITE.
    pub slot: Slot,
    /// Call-ID, or its hash.
    pub call_id: String,
    /// MD5 over the Call-ID with its length before it, as OpenSIPS makes it.
    pub trace_id: [u8; 16],
    /// Time of the first INVITE, on the clock people see.
    pub start: Timestamp,
    /// User part of From; `None` when dropped for privacy or absent.
    pub caller: Option<String>,
    /// User part of To; `None` when dropped for privacy or absent.
    pub callee: Option<String>,
    /// Sender of the first INVITE.
    pub source: SocketAddr,
    /// Recipient of the first INVITE.
    pub destination: SocketAddr,
    /// Transport of the first INVITE.
    pub transport: Transport,
    /// Outcome of the last attempt (`sip-metrics.md` 2.6), or `in_progress`.
    pub outcome: &'static str,
    /// Final status of the last attempt; `None` without one.
    pub status: Option<u16>,
    /// How the answered call ended (`sip-metrics.md` 3.3); `None` when it was not answered or still is up.
    pub end: Option<&'static str>,
    /// First INVITE to first 101-199, else to the deciding final (RFC 6076 §4.3).
    pub setup: Option<Duration>,
    /// First 180 to the answer or the deciding final.
    pub ring: Option<Duration>,
    /// First 2xx to the first BYE, or to the end without one.
    pub duration: Option<Duration>,
    /// Messages seen, retransmissions and hop copies included.
    pub messages: u32,
}
