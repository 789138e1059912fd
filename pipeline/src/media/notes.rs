//! What a processor of media is told of calls, by the one that follows dialogs.
//!
//! Notes stand in the order in which things happened. Bytes they refer to are in [`crate::Facts::text`]: from the wire,
//! never logged.

use std::ops::Range;

use sip::Method;
use wire::Timestamp;

use super::Address;
use crate::event::Slot;

/// One thing that happened to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// When, on the capture clock.
    pub at: Timestamp,
    /// The call: the same as in [`crate::CallRecord::key`].
    pub call: u64,
    /// Whose labels it has. Held until [`NoteKind::Forgotten`].
    pub slot: Slot,
    /// What.
    pub kind: NoteKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// A message that may describe media, at its first sighting on a hop: INVITE, ACK, PRACK, UPDATE, BYE and their
    /// responses.
    Message(MessageNote),
    /// A dialog was confirmed by the message that was told before.
    Confirmed {
        /// Which: the same for the same pair of tags.
        dialog: u64,
    },
    /// A confirmed dialog ended, or is not followed any more.
    Ended {
        /// Which.
        dialog: u64,
    },
    /// A record of the call leaves.
    Leaves {
        /// Its place in [`crate::Facts::calls`].
        place: usize,
    },
    /// Everything about the call is forgotten.
    Forgotten,
    /// A report of voice quality was accepted (2xx).
    Report(ReportNote),
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageNote {
    /// Its method, or that of the request it answers.
    pub method: Method,
    /// Number of its CSeq.
    pub cseq: u32,
    /// Of a response.
    pub status: Option<u16>,
    /// Its From tag; 0 is none.
    pub from: u32,
    /// Its To tag; 0 is none.
    pub to: u32,
    /// The dialog of its pair of tags, whether there is one or not.
    pub dialog: u64,
    /// Where it came from.
    pub source: Address,
    /// Its session description; empty where it has none.
    pub sdp: Range<usize>,
    /// The capture cut it.
    pub cut: bool,
    /// Nanoseconds to add to capture times to get those people are shown.
    pub wall_offset: i64,
}

/// A report, by PUBLISH or NOTIFY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportNote {
    /// Its body.
    pub body: Range<usize>,
    /// It names a call that is remembered, which the note is about; else [`Note::call`] is that of the report itself.
    pub known: bool,
    /// Place in [`crate::Facts::calls`] of the record made for it ([`crate::call::Subject::Report`]); `None` where its call's
    /// is still to leave, or nobody wants records.
    pub record: Option<usize>,
}
