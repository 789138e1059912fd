//! What the rules state about a call beside what is counted: facts that only a record of the call needs.

use std::time::Duration;

use pipeline::event::{End, Outcome};
use pipeline::{Measure, Slot};
use sip::Method;
use wire::Timestamp;

/// Everything under one Call-ID: a keyed hash of it.
pub type CallId = u64;
/// A request with all its hops; unique while it is remembered.
pub type RequestId = u64;
/// One request and its responses on one hop; the same again for the same branch and method of a call.
pub type TransactionId = u64;
/// A confirmed dialog: the same for the same pair of tags under one Call-ID.
pub type DialogId = u64;

/// What the message at hand turned out to be.
#[derive(Clone, Copy, Debug)]
pub struct Sighting {
    /// The request it belongs to.
    pub request: RequestId,
    /// Whose labels that is counted under.
    pub slot: Slot,
    /// When the first message of that request was seen.
    pub began: Timestamp,
    /// The transaction it belongs to.
    pub transaction: TransactionId,
    /// Which item of the transaction it is: the request, its ACK, a response.
    pub item: u64,
    /// New or not.
    pub kind: SightingKind,
    /// No transaction of the request is above this one.
    pub root: bool,
    /// It is the only one of the request with none above it.
    pub only_root: bool,
    /// The request of the transaction was seen, not only responses.
    pub request_seen: bool,
    /// The request was counted, and has no final yet but for the one at hand.
    pub undecided: bool,
}

/// New or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SightingKind {
    /// Its first sighting on this hop.
    First,
    /// Sent again on this hop.
    Retransmission,
    /// Seen again elsewhere.
    Copy,
}

/// One thing that changed, in the past tense.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// An attempt began.
    AttemptOpened {
        /// Whose labels it has.
        slot: Slot,
    },
    /// An attempt went on: the first 101-199, or what decided it, came this long after its first INVITE.
    AttemptProgressed(Duration),
    /// An attempt ended.
    AttemptEnded {
        /// How.
        outcome: Outcome,
        /// The status that decided it; `None` where none did.
        status: Option<u16>,
        /// Since when nothing can join it.
        at: Timestamp,
    },
    /// An attempt was forgotten that had not ended.
    AttemptLost {
        /// When.
        at: Timestamp,
    },
    /// Ringing ended after so long.
    Rang(Duration),
    /// A dialog was confirmed by the message at hand.
    DialogConfirmed {
        /// Which.
        dialog: DialogId,
    },
    /// The message at hand is a BYE that hangs up a dialog.
    HungUp {
        /// Which.
        dialog: DialogId,
    },
    /// A confirmed dialog ended.
    DialogEnded {
        /// Which.
        dialog: DialogId,
        /// How.
        end: End,
        /// From answer to BYE; `None` for others than the primary one.
        duration: Option<Duration>,
        /// When.
        at: Timestamp,
        /// Since when no other BYE is waited for.
        settled: Timestamp,
    },
    /// A confirmed dialog was forgotten that had not ended.
    DialogLost {
        /// Which.
        dialog: DialogId,
        /// When.
        at: Timestamp,
    },
    /// A delay or duration ended: of a request, or of the call where there is a record of that.
    Measured {
        /// Of which request; `None` for what is the call's.
        request: Option<RequestId>,
        /// Which delay.
        measure: Measure,
        /// How long.
        delay: Duration,
    },
    /// A request got no final in time.
    RequestTimedOut {
        /// Which.
        request: RequestId,
        /// Its method.
        method: Method,
        /// Its CSeq number.
        cseq: u32,
        /// When.
        at: Timestamp,
    },
    /// A request was forgotten.
    RequestForgotten {
        /// Which.
        request: RequestId,
    },
}
