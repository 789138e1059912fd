//! One call as people see it: everything under one Call-ID, from its first INVITE to its end.
//!
//! The dialog processor makes records, later stages read them: sampling decides which leave, exporters turn them
//! into spans, commands and pages draw them. Privacy is applied when a record is made: what may not be shown is
//! not in it, so no later stage can give it away. [`ladder`] holds the parts, [`media`] what callers heard, [`verdict`] says what is an error, [`sent`] what was
//! sent, [`live`] what may be asked of calls that are up.

pub mod ladder;
pub mod live;
pub mod media;
pub mod queue;
pub mod sent;
pub mod verdict;
pub mod watch;

use std::sync::Arc;
use std::time::Duration;

use ladder::{Endpoint, LadderForm, Message, Ringing, Session, SpanId, Transaction};
use wire::Timestamp;

use crate::affinity::Steer;
use crate::event::Measure;
use crate::event::Slot;
use crate::frame::Transport;

/// A call that went as far as its record says, handed from stage to stage. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// What is known of it.
    pub record: Arc<CallRecord>,
    /// It was chosen by chance: the threshold of consistent probability sampling (56 bits; 0 = every call), which
    /// goes into `tracestate` as `ot=th:`. `None` when it was chosen for what it is.
    pub threshold: Option<u64>,
}

/// Spans of other records that a record hangs together with, in the same trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Related {
    /// The span of the first request on the host that sent it here, which that host sends: the parent of [`CallRecord::span`];
    /// `None` where the record is the first to tell of the call.
    pub parent: Option<SpanId>,
    /// The span of the request that a [`Subject::Request`] repeats with credentials.
    pub follows: Option<SpanId>,
}

/// What the record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An INVITE and all that followed under its Call-ID.
    Call,
    /// One request outside any dialog: REGISTER, OPTIONS, MESSAGE and the like. The record has its root
    /// transaction alone; `sip.hops` below it are only counted.
    Request,
    /// A telephone's report of voice quality about a call whose record has left, or that was not seen. The record names
    /// that call, is in its trace, and has the report in [`CallRecord::media`] and nothing else.
    Report,
}

/// A call that ended, a piece of one that goes on, or (after a drain) one that is still in progress.
///
/// Times are on the clock people see: capture times moved by the wall clock offset of the first message, so that
/// differences between them are those of the capture clock.
#[derive(Clone, Debug, PartialEq)]
pub struct CallRecord {
    /// A call or a single request.
    pub subject: Subject,
    /// 1, or more when pieces of the same call left before (`emit = "progressive"`, `max_segment`; never where
    /// [`crate::CallsWanted::pieces`] is off). Parts listed in an earlier piece are not listed again, nor are
    /// delays in `measured`; what is said of the call as a whole is repeated as it stands now, endpoints included.
    pub piece: u32,
    /// Nothing of this call follows.
    pub last: bool,
    /// The call, as stages of one pipeline know it; nothing outside does.
    pub key: u64,
    /// Whose labels the call has: those of its first INVITE.
    pub slot: Slot,

    /// Call-ID, or its hash (`privacy.call_id`, or because it has a number or address in it that privacy hides).
    pub call_id: Box<str>,
    /// The trace it is, unless a context of the caller's is adopted: ask [`CallRecord::trace`].
    pub trace_id: [u8; 16],
    /// What the caller offered to join (`traceparent`), where the configuration names carriers that are trusted.
    pub offered: Option<Box<Offered>>,
    /// The span of the call as a whole; of a [`Subject::Request`] that of its transaction, of a [`Subject::Report`] its own.
    pub span: SpanId,
    /// How it hangs together with what other records tell; `None` where it stands alone.
    pub related: Option<Box<Related>>,
    /// Marked for debugging by its caller (RFC 8497, `logme` in Session-ID).
    pub debug: bool,

    /// First byte of the first INVITE.
    pub start: Timestamp,
    /// The last message seen, or the time it was given up.
    pub until: Timestamp,
    /// User part of From; `None` when dropped for privacy or absent.
    pub caller: Option<Box<str>>,
    /// User part of To; `None` when dropped for privacy or absent.
    pub callee: Option<Box<str>>,
    /// Somebody looks for a number, and this call has it (From, To, P-Asserted-Identity or Request-URI).
    pub has_number: bool,
    /// User-Agent of the first INVITE, cleared of numbers; `None` without one.
    pub user_agent: Option<Box<str>>,
    /// Host and port of the first Request-URI; `None` for a URI without host (`tel:`).
    pub server: Option<(Box<str>, Option<u16>)>,
    /// Sender of the first INVITE: an index into `endpoints`.
    pub source: u16,
    /// Recipient of the first INVITE: an index into `endpoints`.
    pub destination: u16,
    /// Transport of the first INVITE.
    pub transport: Transport,

    /// Outcome of the last attempt (`sip-metrics.md` 2.6), or `in_progress`. Of a [`Subject::Request`] `final`,
    /// `timeout` or `in_progress`.
    pub outcome: &'static str,
    /// Final status of the last attempt; `None` without one.
    pub status: Option<u16>,
    /// How the answered call ended (`sip-metrics.md` 3.3); `None` when it was not answered or still is up.
    pub end: Option<&'static str>,
    /// Who hung up; `None` without a BYE.
    pub disconnected_by: Option<Side>,
    /// Cause of the first Q.850 Reason header on a BYE, CANCEL or final (RFC 3326).
    pub hangup_cause: Option<u16>,
    /// Cause of the first Reason header there whose protocol is SIP.
    pub sip_cause: Option<u16>,
    /// First INVITE to first 101-199, else to the deciding final (RFC 6076 §4.3).
    pub setup: Option<Duration>,
    /// First 180 to the answer or the deciding final.
    pub ring: Option<Duration>,
    /// First 2xx to the first BYE, or to the end without one.
    pub duration: Option<Duration>,
    /// Messages seen, retransmissions and hop copies included.
    pub messages: u32,
    /// Retransmissions among them, requests and responses.
    pub retransmissions: u32,
    /// Delays and durations as they were counted in the histograms, for exemplars.
    pub measured: Vec<(Measure, Duration)>,

    /// Everybody who sent or received, in the order they were first seen.
    pub endpoints: Vec<Endpoint>,
    /// Requests with their responses, one for each hop, in the order they began; ACK has none.
    pub transactions: Vec<Transaction>,
    /// Early dialogs at the root, one for each To tag.
    pub ringing: Vec<Ringing>,
    /// Answered intervals, one for each confirmed dialog and segment.
    pub sessions: Vec<Session>,
    /// What was seen, in order; a retransmission is a number on its first sighting. Empty when `ladder = "off"`.
    pub ladder: Vec<Message>,
    /// Header fields of each message of the ladder, a line each, as far as privacy allows; an empty text where none
    /// were kept. No element at all unless somebody asked ([`crate::CallsWanted::watched`]).
    pub headers: Box<[Box<str>]>,
    /// The messages of the ladder themselves, and when they were sent again; `None` where there is nothing of either.
    pub sent: Option<Box<sent::Sent>>,
    /// Messages beyond the bound of the ladder: counted, not listed.
    pub ladder_cut: u32,
    /// How exporters of traces show the ladder.
    pub ladder_form: LadderForm,
    /// Of addresses only the network may be shown (`privacy.ip`).
    pub hides_addresses: bool,
    /// What its callers heard; `None` where nobody listened, or there was nothing.
    pub media: Option<Box<media::CallMedia>>,
    /// Which service and backend its first INVITE went to; `None` where nobody looked, or it went to none of the configuration.
    pub steer: Option<Box<Steer>>,
}

/// One of the two ends of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Who sent the first INVITE.
    Caller,
    /// The other.
    Callee,
}

impl Side {
    /// The attribute value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Callee => "callee",
        }
    }
}

/// A trace the caller offered to join: W3C `traceparent` of the first INVITE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Its trace id.
    pub trace_id: [u8; 16],
    /// The span that is to be the parent of the call's.
    pub parent: SpanId,
    /// Carriers whose offers are adopted (`trace_id.trusted_carriers`).
    pub trusted: Arc<[Box<str>]>,
}

/// Where in which trace a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Its trace id.
    pub id: [u8; 16],
    /// The parent of the call's own span; `None` when that is the root.
    pub parent: Option<SpanId>,
}

impl CallRecord {
    /// The whole of a call, or of a request, of which nothing is known but when it began: not who took part in it, nor any
    /// label or id. Allocates nothing.
    pub fn begun(subject: Subject, start: Timestamp) -> Self {
        Self {
            subject,
            piece: 1,
            last: true,
            key: 0,
            slot: Slot::OTHER,
            call_id: Box::default(),
            trace_id: [0; 16],
            offered: None,
            span: SpanId([0; 8]),
            related: None,
            debug: false,
            start,
            until: start,
            caller: None,
            callee: None,
            has_number: false,
            user_agent: None,
            server: None,
            source: 0,
            destination: 0,
            transport: Transport::Udp,
            outcome: IN_PROGRESS,
            status: None,
            end: None,
            disconnected_by: None,
            hangup_cause: None,
            sip_cause: None,
            setup: None,
            ring: None,
            duration: None,
            messages: 0,
            retransmissions: 0,
            measured: Vec::new(),
            endpoints: Vec::new(),
            transactions: Vec::new(),
            ringing: Vec::new(),
            sessions: Vec::new(),
            ladder: Vec::new(),
            headers: Box::default(),
            sent: None,
            ladder_cut: 0,
            ladder_form: LadderForm::Events,
            hides_addresses: false,
            media: None,
            steer: None,
        }
    }

    /// Where the spans of this call belong, given the `carrier` label it got.
    pub fn trace(&self, carrier: &str) -> Trace {
        match &self.offered {
            Some(offered) if offered.trusted.iter().any(|name| **name == *carrier) => {
                Trace { id: offered.trace_id, parent: Some(offered.parent) }
            }
            _ => Trace { id: self.trace_id, parent: self.parent() },
        }
    }

    /// See [`Related::parent`].
    pub fn parent(&self) -> Option<SpanId> {
        self.related.as_ref()?.parent
    }

    /// See [`Related::follows`].
    pub fn follows(&self) -> Option<SpanId> {
        self.related.as_ref()?.follows
    }

    /// How many spans it comes to, without one for each message.
    pub fn spans(&self) -> u64 {
        let parts = self.transactions.len() + self.ringing.len() + self.sessions.len();
        let call = self.last && self.subject == Subject::Call;
        let reports = self.media.as_ref().filter(|_| self.last).map_or(0, |media| media.reports.len());
        parts as u64 + u64::from(call) + reports as u64
    }

    /// The same without its messages, for those who keep calls and show no messages.
    pub fn without_messages(self: &Arc<Self>) -> Arc<Self> {
        match &self.sent {
            Some(sent) if !sent.messages.is_empty() => Arc::new(Self { sent: None, ..(**self).clone() }),
            _ => Arc::clone(self),
        }
    }

    /// The endpoint a part names by its index.
    pub fn endpoint(&self, index: u16) -> &Endpoint {
        &self.endpoints[usize::from(index)]
    }
}

/// What [`CallRecord::outcome`] is while an attempt is undecided or a call goes on.
pub const IN_PROGRESS: &str = "in_progress";
