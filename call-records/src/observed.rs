//! A message as records see it.

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use foldhash::quality::RandomState;
use pipeline::CallsWanted;
use pipeline::call::ladder::{self, Owner, SpanId, Transaction, Trunks};
use pipeline::settings::network::IpNet;
use pipeline::{SipFrame, Slot};
use sip::{Message, Via};
use wire::{Tap, Timestamp};

use crate::change::{CallId, DialogId};
use crate::config::{Config, Raw, SpanIds};
use crate::identity::{self, Identity, TransactionSide, side_span};

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
            tap: self.tap_of_request(),
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
            below_remote: false,
            rare: None,
        }
    }

    /// The span of its transaction: named by the side that is here, by this instance where none is known to be.
    pub fn transaction_span(&self, identity: &Identity, span_ids: SpanIds) -> SpanId {
        let (cseq, branch) = (identity::cseq(self.message), self.message.via.branch);
        match (span_ids, self.tap_of_request()) {
            (SpanIds::Opensips, _) => identity::opensips_span(identity.call_id(self.message), cseq, branch),
            (SpanIds::Own, Tap::Sender) => self.sides_span(TransactionSide::Client, branch, identity),
            (SpanIds::Own, Tap::Recipient) => self.sides_span(TransactionSide::Server, branch, identity),
            (SpanIds::Own, Tap::Between) => identity.span("txn", cseq, branch),
        }
    }

    /// The span of the same transaction on the host that sent its request here, where that is one of the fleet.
    pub fn span_of_sender(&self, fleet: &[IpNet], identity: &Identity) -> Option<SpanId> {
        self.is_from(fleet).then(|| self.sides_span(TransactionSide::Client, self.message.via.branch, identity))
    }

    /// The same of a request outside dialogs: its sender tells of the transaction it received, where there was one, and of
    /// none below that.
    pub fn span_of_sender_of_single(&self, fleet: &[IpNet], identity: &Identity) -> Option<SpanId> {
        if !self.is_from(fleet) {
            return None;
        }
        let above = self.message.vias().nth(1);
        Some(match above {
            Some(above) => self.sides_span(TransactionSide::Server, above.branch, identity),
            None => self.sides_span(TransactionSide::Client, self.message.via.branch, identity),
        })
    }

    /// A host of the fleet sent its request here.
    fn is_from(&self, fleet: &[IpNet]) -> bool {
        let sender = if self.message.is_request() { self.frame.source } else { self.frame.destination };
        self.tap_of_request() == Tap::Recipient
            && fleet.iter().any(|network| network.contains(&sender.ip().to_canonical()))
    }

    fn sides_span(&self, side: TransactionSide, branch: &[u8], identity: &Identity) -> SpanId {
        side_span(side, identity.call_id(self.message), identity::cseq(self.message), branch)
    }

    /// Where its request is captured: a response goes the other way.
    fn tap_of_request(&self) -> Tap {
        match self.frame.tap {
            Tap::Sender if !self.message.is_request() => Tap::Recipient,
            Tap::Recipient if !self.message.is_request() => Tap::Sender,
            tap => tap,
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
            copy: false,
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
    /// Networks of the hosts that send traces too.
    pub fleet: &'a [IpNet],
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
