//! Records of whole calls, where somebody asked for them: one under each Call-ID, from its first INVITE until
//! nothing can join it any more, and one of each single request outside calls.
//!
//! This is the one place that keeps values of the wire. A message first goes through the rules; what it turned out to
//! be is noted on the way as a [`Sighting`], and when they are through `State::record_message` tells the record.
//! What comes under a Call-ID after its record has left (a late repeat, a request within a dialog that nobody saw
//! begin) is counted in metrics and is in no record; another initial INVITE begins another record of the same trace.
//!
//! | file | what it is about |
//! |---|---|
//! | `call`, `begin` | what is kept of a call while it is up, and what its first INVITE says |
//! | `story`, `sessions` | what a message adds: transactions, ringing, the ladder; answered intervals |
//! | `unanswered` | transactions without a final |
//! | `lifetime` | when a call is over, and when its record leaves |
//! | `pieces` | what leaves: hops under each other, pieces of long calls, privacy |
//! | `single` | requests outside calls |
//! | `live`, `headers` | for those who look at calls: those that are up, and what their messages said |
//! | `identity`, `privacy`, `config` | ids; what may be shown, and where the call's names stand in a text; what is configured |

mod begin;
mod call;
mod config;
mod headers;
mod identity;
mod lifetime;
mod live;
mod pieces;
mod privacy;
mod sessions;
mod single;
mod story;
mod unanswered;

use std::time::Duration;

pub use config::{Addresses, CallIds, Config, Emit, Ladder, Numbers, Privacy, SpanIds, TraceId, TraceSource};
pub use identity::trace_id;
pub use lifetime::Part;
use pipeline::event::Fact;
use pipeline::{CallRecord, CallsWanted, Facts, Measure, Slot, Telemetry};

use self::call::Call;
use self::live::Newest;
use self::single::Single;
use crate::entries::Handle;
use crate::key::{Key, Keys, Mark};
use crate::state::{Seen, State};
use crate::table::Table;
use crate::transaction_table::Transactions;

/// The records that are being made.
pub struct Calls {
    wanted: Option<CallsWanted>,
    table: Table<Box<Call>>,
    singles: Table<Box<Single>>,
    /// Only where calls are watched.
    newest: Newest,
    /// Bytes of header fields kept of calls that are up.
    header_bytes: usize,
    sighting: Sighting,
    counts: Counts,
}

/// What became of records.
#[derive(Default)]
struct Counts {
    calls: u64,
    pieces: u64,
    requests: u64,
    evicted: u64,
    cut: u64,
}

/// The record something belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Record {
    /// None, or none yet.
    #[default]
    None,
    /// That of a call.
    Call(Handle),
    /// That of a single request.
    Request(Handle),
}

/// What the message at hand turned out to be.
#[derive(Clone, Copy)]
pub struct Sighting {
    /// The transaction it belongs to.
    transaction: Handle,
    /// Which of its items it is.
    item: Mark,
    kind: Kind,
}

/// New or not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It belongs to nothing that is followed.
    Passed,
    /// Its first sighting on this hop.
    First,
    /// Sent again on this hop.
    Repeat,
    /// Seen again elsewhere.
    Copy,
}

impl Default for Sighting {
    fn default() -> Self {
        Self { transaction: Handle::NONE, item: 0, kind: Kind::Passed }
    }
}

/// What a record is made with besides the message.
struct Around<'a> {
    keys: &'a Keys,
    transactions: &'a Transactions,
    config: &'a Config,
    wanted: &'a CallsWanted,
    /// Header fields are kept: `Some(true)` while there is room for them.
    headers: Option<bool>,
}

impl Calls {
    /// No records yet, at most `capacity` of calls and as many of single requests.
    pub fn new(capacity: usize, wanted: Option<CallsWanted>) -> Self {
        Self {
            wanted,
            table: Table::new(capacity),
            singles: Table::new(capacity),
            newest: Newest::default(),
            header_bytes: 0,
            sighting: Sighting::default(),
            counts: Counts::default(),
        }
    }

    /// Changes the bound.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.table.set_capacity(capacity);
        self.singles.set_capacity(capacity);
    }

    /// Whether there is a record under a Call-ID.
    pub fn is_on_record(&self, call: Key) -> bool {
        self.wanted.is_some() && self.table.find(call).is_some()
    }

    /// Whether a record has not left yet.
    pub fn is_live(&self, record: Record) -> bool {
        match record {
            Record::None => false,
            Record::Call(handle) => self.table.get(handle).is_some(),
            Record::Request(handle) => self.singles.get(handle).is_some(),
        }
    }

    /// The message at hand is an item of a transaction.
    pub fn sighted(&mut self, transaction: Handle, item: Mark, kind: Kind) {
        if self.wanted.is_some() {
            self.sighting = Sighting { transaction, item, kind };
        }
    }

    /// A delay or duration ended: it is counted, and stands in the record it is of.
    pub fn measured(&mut self, record: Record, slot: Slot, measure: Measure, delay: Duration, out: &mut Facts) {
        out.push(slot, Fact::Measured(measure, delay));
        let record = match record {
            Record::None => None,
            Record::Call(handle) => self.table.get_mut(handle).map(|call| &mut call.record),
            Record::Request(handle) => self.singles.get_mut(handle).map(|single| &mut single.record),
        };
        if let Some(record) = record.filter(|record| record.measured.len() < MAX_MEASURED) {
            push_tight(&mut record.measured, (measure, delay), USUAL_MEASURED);
        }
    }

    /// An attempt went on: the first 101-199 or the deciding final came after `setup`.
    pub fn progressed(&mut self, call: Handle, setup: Duration) {
        if let Some(call) = self.table.get_mut(call) {
            call.record.setup.get_or_insert(setup);
        }
    }

    /// Ringing ended.
    pub fn rang(&mut self, call: Handle, ring: Duration) {
        if let Some(call) = self.table.get_mut(call) {
            call.record.ring = Some(ring);
        }
    }

    /// A record, or a piece of one, leaves.
    fn send(&mut self, record: CallRecord, out: &mut Facts) {
        self.counts.cut += u64::from(record.last && record.ladder_cut > 0);
        out.calls.push(pipeline::Call { record: record.into(), threshold: None });
    }

    /// Records held, by table.
    pub fn held(&self) -> [(&'static str, usize); 2] {
        [("calls", self.table.len()), ("single_requests", self.singles.len())]
    }

    /// What became of records; nothing where none are made.
    pub fn telemetry(&self, out: &mut Vec<Telemetry>) {
        if self.wanted.is_none() {
            return;
        }
        let counts = &self.counts;
        let mut counter = |name, labels, value: u64| {
            out.push(Telemetry { name, labels, counter: true, value: value as f64 });
        };
        for (kind, count) in [("call", counts.calls), ("piece", counts.pieces), ("request", counts.requests)] {
            counter("otelcol_processor_call_records", vec![("kind", kind.to_owned())], count);
        }
        counter("otelcol_processor_evicted_call_records", Vec::new(), counts.evicted);
        counter("otelcol_processor_cut_ladders", Vec::new(), counts.cut);
    }
}

impl State {
    /// All rules are through with a message: the record it belongs to takes it up.
    pub(crate) fn record_message(&mut self, seen: &Seen<'_>, out: &mut Facts) {
        let Some(wanted) = &self.calls.wanted else { return };
        let sighting = std::mem::take(&mut self.calls.sighting);
        let request = self.transactions.get(sighting.transaction).map_or(Handle::NONE, |tx| tx.request);
        let record = self.requests.get(request).map_or(Record::None, |lr| lr.record);
        if let Record::Request(single) = record {
            return self.single_seen(single, sighting, seen);
        }
        let Some(handle) = self.calls.table.find(seen.call) else {
            return self.single_seen_first(request, sighting, seen, out);
        };
        match (record, self.requests.get_mut(request)) {
            // What it belongs to has left.
            (Record::Call(other), _) if other != handle => return,
            (Record::None, Some(lr)) => lr.record = Record::Call(handle),
            _ => {}
        }
        let headers = wanted.watched.then_some(self.calls.header_bytes < headers::MAX_IN_ALL);
        let config = &self.config.calls;
        let around = Around { keys: &self.keys, transactions: &self.transactions, config, wanted, headers };
        let Some(call) = self.calls.table.get_mut(handle) else { return };
        let listed = call.headers.len();
        call.take(seen, sighting, &around);
        self.calls.header_bytes += headers::bytes(&call.headers[listed..]);
        let piece_due = std::mem::take(&mut call.piece_due);
        self.calls.table.touch(handle);
        if piece_due {
            self.send_piece(handle, None, out);
        }
    }

    /// A request got no final in time.
    pub(crate) fn record_timeout(&mut self, request: Handle, now: wire::Timestamp, out: &mut Facts) {
        match self.requests.get(request).map_or(Record::None, |lr| lr.record) {
            Record::None => {}
            Record::Request(single) => self.single_timed_out(single, now, out),
            Record::Call(handle) => {
                let Some(call) = self.calls.table.get_mut(handle) else { return };
                let transactions = &self.transactions;
                call.time_out(now, |leg| transactions.get(leg).is_some_and(|tx| tx.request == request));
            }
        }
    }
}

/// Adds an element, with room for as many as there usually are, then for little more: most lists of a call stay short,
/// and there are many calls.
fn push_tight<T>(list: &mut Vec<T>, element: T, usual: usize) {
    if list.len() == list.capacity() {
        let more = if list.is_empty() { usual } else { list.len().div_ceil(4) };
        list.reserve_exact(more);
    }
    list.push(element);
}

/// Delays and durations of an ordinary answered call.
const USUAL_MEASURED: usize = 8;
/// Messages of an ordinary answered call.
const USUAL_MESSAGES: usize = 7;
/// Most delays and durations in one record.
const MAX_MEASURED: usize = 64;
