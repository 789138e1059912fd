//! A call while it is on record: what its [`CallRecord`] will say, and what is needed to go on with it.

use pipeline::CallRecord;
use pipeline::call::ladder::{Message, Ringing, Session, SpanId, Transaction};
use sip::Method;
use wire::Timestamp;

use crate::change::{DialogId, TransactionId};
use crate::headers::Kept;
use crate::identity::Identity;
use crate::kept;
use crate::lifetime::Life;
use crate::privacy::Own;

/// A call on record. All times but those of its life are on the clock people see.
pub struct Call {
    /// The first byte of its first INVITE, on the capture clock.
    pub began: Timestamp,
    /// What is said of the call as a whole. Its lists are those of pieces that leave, but for endpoints, which hold
    /// whole addresses until then.
    pub record: CallRecord,
    pub identity: Identity,
    pub own: Own,
    /// Nanoseconds to add to capture times.
    pub wall_offset: i64,
    /// Marks of the From tags of initial INVITEs; 0 is none.
    pub callers: [u32; MAX_CALLERS],
    pub life: Life,
    pub legs: Vec<Leg>,
    pub rings: Vec<Ring>,
    pub sessions: Vec<Answered>,
    pub ladder: Vec<LadderLine>,
    /// The header fields of each of them; none at all where nobody looks at calls.
    pub headers: Vec<Kept>,
    /// The messages themselves, and when they were sent again; `None` where there is nothing of either.
    pub kept: Option<Box<kept::Kept>>,
    /// What left with earlier pieces; `None` before the first.
    pub earlier: Option<Box<Earlier>>,
    /// A piece leaves when the message at hand is through.
    pub piece_due: bool,
    /// Bytes it was last counted with.
    pub weight: u32,
}

/// A transaction of the call.
pub struct Leg {
    pub entry: Transaction,
    pub transaction: TransactionId,
    /// Sent-by and branch of its top Via.
    pub via: u64,
    /// Those below it; `None` of a request that comes from its originator, as most do.
    pub above: Option<Box<Above>>,
    /// The latest provisional response to an INVITE; zero before the first.
    pub heard: Timestamp,
}

/// The Vias of the hops above, the nearest first.
pub struct Above(pub Box<[u64]>);

impl Leg {
    /// The Vias of the hops above, the nearest first.
    pub fn above(&self) -> &[u64] {
        self.above.as_ref().map_or(&[], |above| &above.0)
    }
}

/// An early dialog of the call.
pub struct Ring {
    pub entry: Ringing,
    /// Of its To tag.
    pub tag: u32,
}

/// A confirmed dialog of the call.
pub struct Answered {
    pub entry: Session,
    pub dialog: DialogId,
    /// Nothing is known of the dialog any more.
    pub forgotten: bool,
    /// CSeq number of its INVITE.
    pub cseq: u32,
    /// To tag of its 2xx.
    pub tag: Box<[u8]>,
}

/// A message of the call.
pub struct LadderLine {
    pub entry: Message,
    /// What it is, to find it by when it is repeated.
    pub mark: u32,
}

/// What left with earlier pieces, the latest of it.
#[derive(Default)]
pub struct Earlier {
    pub rings: Vec<SpanId>,
    pub transactions: Vec<Left>,
    pub sessions: Vec<Closed>,
}

/// What is remembered of a transaction that left with an earlier piece.
#[derive(Clone, Copy)]
pub struct Left {
    pub span: SpanId,
    pub method: Method,
    pub cseq: u32,
    pub via: u64,
    pub hop: bool,
}

/// What is remembered of a session that left with an earlier piece.
#[derive(Clone, Copy)]
pub struct Closed {
    pub dialog: DialogId,
    pub span: SpanId,
    pub segment: u32,
}

impl Call {
    /// A capture time as people see it.
    pub fn shown(&self, at: Timestamp) -> Timestamp {
        shown(at, self.wall_offset)
    }

    /// The call lasts until `at` at least.
    pub fn last_until(&mut self, at: Timestamp) {
        self.record.until = self.record.until.max(self.shown(at));
    }

    /// Whether a From tag is that of somebody who began the call.
    pub fn is_caller(&self, from: u32) -> bool {
        self.callers.contains(&from)
    }

    /// Whether a span is that of a transaction.
    pub fn has_span(&self, span: SpanId) -> bool {
        self.legs.iter().any(|leg| leg.entry.span == span) || self.left().any(|left| left.span == span)
    }

    /// Transactions that left with earlier pieces.
    pub fn left(&self) -> impl Iterator<Item = Left> {
        self.earlier.iter().flat_map(|earlier| &earlier.transactions).copied()
    }
}

/// A capture time with the offset of the wall clock.
pub fn shown(at: Timestamp, wall_offset: i64) -> Timestamp {
    Timestamp::from_nanos(at.as_nanos().saturating_add_signed(wall_offset))
}

/// Most From tags that began a call.
pub const MAX_CALLERS: usize = 4;
