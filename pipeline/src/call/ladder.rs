//! The parts of a call: who took part, its transactions, its ringing, its sessions, and every message.
//!
//! Each part that becomes a span has its id from the beginning, and the id of its parent.

use std::net::SocketAddr;
use std::sync::Arc;

use sip::Method;
use wire::{Tap, Timestamp};

use crate::call::Side;
use crate::event::Direction;
use crate::frame::Transport;

/// Identity of a span, the same however often it is made: a hash of what the span stands for. Never all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanId(pub [u8; 8]);

/// One address that took part: what is shown of it. Two may look alike when only prefixes are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address, or its prefix (`privacy.ip`), and the port.
    pub address: SocketAddr,
}

/// One request and its responses on one hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Its span.
    pub span: SpanId,
    /// The transaction of the hop above. At the first hop: the INVITE that a CANCEL, or a PRACK or UPDATE before the
    /// answer is about, the session another request is within, else the call. The root of a
    /// [`super::Subject::Request`] names itself.
    pub parent: SpanId,
    /// Its method.
    pub method: Method,
    /// Its CSeq number.
    pub cseq: u32,
    /// Branch of its top Via; empty for one without (RFC 2543).
    pub branch: Box<str>,
    /// Sender of the request: an index into the endpoints.
    pub source: u16,
    /// Recipient of the request: an index into the endpoints.
    pub destination: u16,
    /// How the request travelled.
    pub transport: Transport,
    /// Where its request was captured.
    pub tap: Tap,
    /// Below another transaction of the same request (`sip-metrics.md` 2.4).
    pub hop: bool,
    /// The request has a To tag.
    pub in_dialog: bool,
    /// First byte of the request.
    pub start: Timestamp,
    /// First final response, or the time it was given up; `None` while it is open.
    pub end: Option<Timestamp>,
    /// The first final response; `None` without one.
    pub status: Option<u16>,
    /// Reason phrase of that response where it is not a 2xx, cleared of numbers.
    pub reason: Option<Box<str>>,
    /// Its caller cancelled it.
    pub cancelled: bool,
    /// No final came in time.
    pub timed_out: bool,
    /// Retransmissions of its request and of its responses.
    pub retransmissions: u32,
    /// Transactions below this one, where those are not listed ([`super::Subject::Request`]).
    pub hops: u16,
    /// Its parent is the span of the host that sent the request here, which that host sends.
    pub below_remote: bool,
    /// What few transactions have; `None` where it has nothing of it.
    pub rare: Option<Box<Rare>>,
}

/// What few transactions have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rare {
    /// The trunks that an INVITE went over (`sip-metrics.md` 4.7).
    pub trunks: Trunks,
    /// The method as it was sent, cleared of numbers, where it is none that is known by name.
    pub method_original: Option<Box<str>>,
}

/// Carriers at the ends of a transaction, by [`Direction`].
pub type Trunks = [Option<Arc<str>>; 2];

impl Transaction {
    /// The carrier it came from, or was sent to.
    pub fn carrier(&self, direction: Direction) -> Option<&Arc<str>> {
        self.rare.as_ref()?.trunks[direction.index()].as_ref()
    }

    /// The method as it was sent, where it is none that is known by name.
    pub fn method_original(&self) -> Option<&str> {
        self.rare.as_ref()?.method_original.as_deref()
    }

    /// Both, as far as there are any.
    pub fn carriers(&self) -> impl Iterator<Item = (Direction, &Arc<str>)> {
        Direction::ALL.into_iter().filter_map(|direction| Some((direction, self.carrier(direction)?)))
    }
}

/// An early dialog: one To tag of one INVITE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ringing {
    /// Its span.
    pub span: SpanId,
    /// The span of its INVITE.
    pub parent: SpanId,
    /// A 183 brought a session description: the caller may hear something.
    pub early_media: bool,
    /// The first 18x of the tag.
    pub start: Timestamp,
    /// The final response or the CANCEL; `None` while it rings.
    pub end: Option<Timestamp>,
    /// This branch was answered.
    pub winner: bool,
}

/// An answered interval, or a segment of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its span.
    pub span: SpanId,
    /// The span of the call.
    pub parent: SpanId,
    /// The segment before, which this one links to.
    pub previous: Option<SpanId>,
    /// 1, 2, ...; more than one where `max_segment` cuts.
    pub segment: u32,
    /// MD5 over the lengths and values of Call-ID and both tags, the tags sorted, as OpenSIPS makes it.
    pub dialog_id: [u8; 16],
    /// The 2xx, or where the segment begins.
    pub start: Timestamp,
    /// The BYE, the end without one, or where the segment ends; `None` while it is up.
    pub end: Option<Timestamp>,
    /// How it ended (`sip-metrics.md` 3.3); `None` for a segment with another behind it, or while it is up.
    pub ended: Option<&'static str>,
    /// Who hung up.
    pub disconnected_by: Option<Side>,
}

/// What a message is an event of: an index into that list of the same record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Its transaction.
    Transaction(u16),
    /// The ACK of a 2xx belongs to the session.
    Session(u16),
    /// Its part left with an earlier piece, or was not seen to begin. Listed in the last piece.
    Call,
}

/// How the messages of a call are to be shown in a trace (`ladder`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LadderForm {
    /// Events of the spans they belong to.
    #[default]
    Events,
    /// Spans without duration below the spans they belong to.
    Spans,
    /// Log records with the ids of the spans they belong to.
    Logs,
    /// Not at all: the record has no list of them.
    Off,
}

/// One message: its first sighting on one hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The time of the packet that completed it.
    pub at: Timestamp,
    /// The method of a request, or the one a response names in CSeq.
    pub method: Method,
    /// 100 to 699; `None` for a request.
    pub status: Option<u16>,
    /// Its CSeq number.
    pub cseq: u32,
    /// Sender: an index into the endpoints.
    pub source: u16,
    /// Recipient: an index into the endpoints.
    pub destination: u16,
    /// Whose event it is.
    pub owner: Owner,
    /// From the caller's side to the callee's, as the first INVITE went.
    pub forward: bool,
    /// It has a session description.
    pub sdp: bool,
    /// Its length in bytes.
    pub bytes: u32,
    /// How often it was sent again on this hop.
    pub retransmissions: u16,
    /// It was seen before between other addresses, with the same Via: behind a balancer that rewrites addresses.
    pub copy: bool,
}
