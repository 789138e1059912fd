//! A message as records see it.

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use foldhash::quality::RandomState;
use pipeline::CallsWanted;
use pipeline::call::ladder::{self, Owner, SpanId, Transaction, Trunks};
use pipeline::{SipFrame, Slot};
use sip::{Message, Via};
use wire::Timestamp;

use crate::change::{CallId, DialogId};
use crate::config::{Config, Raw};

/// A message, its frame, and the numbers that stand for its values.
pub struct Observed<'a> {
    /// The message.
    pub message: &'a Message<'a>,
    /// Its addresses and times.
    pub frame: &'a SipFrame,
    /// Its Call-ID.
    pub call: CallId,
    /// The dialog of its pair of tags, whether there is one or not.
    pub dialog: DialogId,
    /// Its From tag.
    pub from: u32,
    /// Its To tag.
    pub to: u32,
    /// The carriers whose trunks it is the first to show its transaction on.
    pub trunks: &'a Trunks,
}

impl Observed<'_> {
    /// The time of the packet that completed it.
    pub fn now(&self) -> Timestamp {
        self.frame.at
    }

    /// The transaction it is the first of, with the span of that and the one above it, and the endpoints of its request.
    pub fn transaction(&self, spans: [SpanId; 2], branch: Box<str>, ends: [u16; 2], start: Timestamp) -> Transaction {
        let ([span, parent], [source, destination]) = (spans, ends);
        Transaction {
            span,
            parent,
            method: self.message.method(),
            cseq: self.message.cseq.number,
            branch,
            source,
            destination,
            transport: self.frame.transport,
            outgoing: false,
            hop: false,
            in_dialog: false,
            start,
            end: None,
            status: None,
            reason: None,
            cancelled: false,
            timed_out: false,
            retransmissions: 0,
            hops: 0,
            trunks: None,
        }
    }

    /// Its line in the ladder; `at`: as shown, `forward`: in the direction of the caller's requests.
    pub fn line(&self, at: Timestamp, [source, destination]: [u16; 2], owner: Owner, forward: bool) -> ladder::Message {
        ladder::Message {
            at,
            method: self.message.method(),
            status: self.message.status(),
            cseq: self.message.cseq.number,
            source,
            destination,
            owner,
            forward,
            sdp: self.message.has_sdp(),
            bytes: self.frame.range.len() as u32,
            retransmissions: 0,
        }
    }
}

/// Who counts how many hold a slot. A record holds that of its call until it has left.
pub trait SlotHolder {
    /// One more holder.
    fn hold(&mut self, slot: Slot) -> Slot;
    /// One holder fewer.
    fn release(&mut self, slot: Slot);
}

/// How long is waited for what (`sip-metrics.md` 0.3).
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// For a final response.
    pub timeout: Duration,
    /// For the final of an INVITE after its last provisional.
    pub proceeding: Duration,
    /// For the next INVITE after a redirect.
    pub retry_window: Duration,
}

/// What a record is made with besides the message.
pub struct Context<'a> {
    pub config: &'a Config,
    pub wanted: &'a CallsWanted,
    pub hashes: &'a RandomState,
    /// Header fields are kept: `Some(true)` while there is room for them.
    pub headers: Option<bool>,
}

impl Context<'_> {
    /// What is kept of the messages themselves: nothing where nobody looks at calls.
    pub fn raw(&self) -> Raw {
        if self.wanted.watched { self.config.raw } else { Raw::Off }
    }

    /// Sent-by and branch of a Via: what hops are told by.
    pub fn hop(&self, via: &Via<'_>) -> u64 {
        let mut hasher = self.hashes.build_hasher();
        hasher.write(via.branch);
        hasher.write_u16(via.port);
        via.host.iter().for_each(|byte| hasher.write_u8(byte.to_ascii_lowercase()));
        hasher.finish()
    }
}
