//! Single requests outside calls (REGISTER, OPTIONS, MESSAGE and the like): a record of the root transaction each,
//! where somebody asked for them.
//!
//! It leaves [`T4`] after its final, so that late repeats are in it, or when none came in time. Transactions below the
//! root are counted; should one above show itself later, the record is that one's.

use pipeline::call::Subject;
use pipeline::call::ladder::{Message, Owner, SpanId, Transaction};
use pipeline::event::Outcome;
use pipeline::{CallRecord, Facts, Slot};
use sip::Method;
use wire::Timestamp;

use super::call::{Noted, shown};
use super::config::{Ladder, SpanIds};
use super::lifetime::T4;
use super::pieces::show_endpoints;
use super::privacy::Own;
use super::story::{MAX_MESSAGES, mark, reason};
use super::{Around, Kind, Record, Sighting, begin, identity, push_tight};
use crate::entries::Handle;
use crate::state::{Seen, State};
use crate::wheel::{Target, Timer};

/// A single request on record.
pub struct Single {
    pub record: CallRecord,
    told: Transaction,
    transaction: Handle,
    own: Own,
    wall_offset: i64,
    ladder: Vec<Noted>,
    timer: Timer,
}

impl Single {
    /// The record of a request at a root.
    fn new(seen: &Seen<'_>, sighting: Sighting, slot: Slot, around: &Around<'_>) -> Self {
        let mut own = Own::default();
        own.learn(seen.message, &around.config.privacy);
        let (message, frame) = (seen.message, seen.frame);
        let mut record = begin::record(Subject::Request, seen, slot, &own, around.config, around.wanted);
        let (cseq, branch) = (identity::cseq(message), message.via.branch);
        record.trace_id = identity::request_trace_id(message.call_id, cseq, branch);
        record.offered = None;
        record.span = match around.config.span_ids {
            SpanIds::Own => begin::identity(message, around.wanted).span("txn", cseq, branch),
            SpanIds::Opensips => identity::opensips_span(message.call_id, cseq, branch),
        };
        let told = Transaction {
            span: record.span,
            parent: record.span,
            method: message.method(),
            cseq: message.cseq.number,
            branch: around.config.privacy.branch(branch, &own),
            source: record.source,
            destination: record.destination,
            transport: frame.transport,
            outgoing: frame.outgoing,
            hop: false,
            in_dialog: false,
            start: record.start,
            end: None,
            status: None,
            reason: None,
            cancelled: false,
            timed_out: false,
            retransmissions: 0,
            hops: 0,
        };
        let (transaction, wall_offset) = (sighting.transaction, frame.wall_offset);
        Self { record, told, transaction, own, wall_offset, ladder: Vec::new(), timer: Timer::default() }
    }

    /// A transaction above it showed itself: the record is that one's from now on.
    fn become_root(&mut self, root: Self) {
        let hops = self.told.hops + 1;
        let started = self.told.start.min(root.told.start);
        let (before, measured) = (self.record.clone(), std::mem::take(&mut self.record.measured));
        let timer = self.timer;
        *self = root;
        self.timer = timer;
        self.told.hops = hops;
        (self.told.start, self.record.start) = (started, started);
        self.record.messages = before.messages;
        self.record.retransmissions = before.retransmissions;
        self.record.ladder_cut = before.ladder_cut;
        self.record.until = before.until.max(self.record.until);
        self.record.measured = measured;
    }

    fn note(&mut self, seen: &Seen<'_>, item: crate::key::Mark, ladder: Ladder) {
        if ladder == Ladder::Off {
            return;
        }
        let message = seen.message;
        let forward = message.is_request();
        let place = |address| self.record.endpoints.iter().position(|endpoint| endpoint.address == address);
        let places = (place(seen.frame.source), place(seen.frame.destination));
        let (Some(source), Some(destination), true) = (places.0, places.1, self.ladder.len() < MAX_MESSAGES) else {
            return self.record.ladder_cut += 1;
        };
        let told = Message {
            at: shown(seen.now(), self.wall_offset),
            method: message.method(),
            status: message.status(),
            cseq: message.cseq.number,
            source: source as u16,
            destination: destination as u16,
            owner: Owner::Transaction(0),
            forward,
            sdp: message.has_sdp(),
            bytes: seen.frame.range.len() as u32,
            retransmissions: 0,
        };
        push_tight(&mut self.ladder, Noted { told, mark: mark(SPAN, item) }, 2);
    }

    fn repeat(&mut self, sighting: Sighting) {
        self.record.retransmissions += 1;
        if sighting.transaction != self.transaction {
            return;
        }
        self.told.retransmissions += 1;
        let mark = mark(SPAN, sighting.item);
        if let Some(noted) = self.ladder.iter_mut().find(|noted| noted.mark == mark) {
            noted.told.retransmissions = noted.told.retransmissions.saturating_add(1);
        }
    }
}

impl State {
    /// A message of a request that has a record.
    pub(super) fn single_seen(&mut self, handle: Handle, sighting: Sighting, seen: &Seen<'_>) {
        let Some(wanted) = &self.calls.wanted else { return };
        let config = &self.config.calls;
        let around = Around { keys: &self.keys, transactions: &self.transactions, config, wanted, headers: None };
        let Some(single) = self.calls.singles.get_mut(handle) else { return };
        single.record.messages += 1;
        single.record.until = single.record.until.max(shown(seen.now(), single.wall_offset));
        self.calls.singles.touch(handle);
        let Some(single) = self.calls.singles.get_mut(handle) else { return };
        match sighting.kind {
            Kind::Repeat => return single.repeat(sighting),
            Kind::Copy | Kind::Passed => return,
            Kind::First => {}
        }
        let is_request = seen.message.is_request();
        if sighting.transaction != single.transaction {
            let was_root = around.transactions.get(single.transaction).is_some_and(|tx| tx.root);
            let is_root = around.transactions.get(sighting.transaction).is_some_and(|tx| tx.root);
            if is_request && is_root && !was_root {
                let root = Single::new(seen, sighting, single.record.slot, &around);
                single.become_root(root);
            } else {
                single.told.hops = single.told.hops.saturating_add(u16::from(is_request && !is_root));
                return;
            }
        }
        single.note(seen, sighting.item, around.config.ladder);
        let Some(status) = seen.message.status().filter(|status| *status >= 200 && single.told.end.is_none()) else {
            return;
        };
        single.told.end = Some(shown(seen.now(), single.wall_offset));
        single.told.status = Some(status);
        if status >= 300 {
            single.own.learn(seen.message, &around.config.privacy);
            single.told.reason = reason(seen, &single.own, &around);
            single.record.hangup_cause = seen.q850_cause();
        }
        single.record.outcome = FINAL;
        single.record.status = Some(status);
        self.wheel.set(&mut single.timer, seen.now() + T4, Target::SingleRequest(handle));
    }

    /// A message of a request without a record, outside any call on record: it begins one, where it may.
    pub(super) fn single_seen_first(&mut self, request: Handle, sighting: Sighting, seen: &Seen<'_>, out: &mut Facts) {
        let Some(wanted) = self.calls.wanted.as_ref().filter(|wanted| wanted.requests) else { return };
        let Some(lr) = self.requests.get(request) else { return };
        let begins = sighting.kind == Kind::First
            && seen.message.is_request()
            && seen.message.to.tag.is_empty()
            && stands_alone(lr.method)
            && lr.counted
            && lr.final_status == 0;
        if !begins || !self.transactions.get(sighting.transaction).is_some_and(|tx| tx.root) {
            return;
        }
        let config = &self.config.calls;
        let around = Around { keys: &self.keys, transactions: &self.transactions, config, wanted, headers: None };
        let mut single = Single::new(seen, sighting, self.slots.hold(lr.slot), &around);
        single.record.messages = 1;
        single.note(seen, sighting.item, around.config.ladder);
        while self.calls.singles.is_full() {
            let Some(oldest) = self.calls.singles.oldest() else { break };
            self.calls.counts.evicted += 1;
            self.send_single(oldest, out);
        }
        let handle = self.calls.singles.insert(self.keys.single_request(request), Box::new(single));
        if let Some(lr) = self.requests.get_mut(request) {
            lr.record = Record::Request(handle);
        }
    }

    /// No final came in time.
    pub(super) fn single_timed_out(&mut self, handle: Handle, now: Timestamp, out: &mut Facts) {
        let Some(single) = self.calls.singles.get_mut(handle) else { return };
        let at = shown(now, single.wall_offset);
        if single.told.end.is_none() {
            single.told.end = Some(at);
            single.told.timed_out = true;
            single.record.outcome = Outcome::Timeout.as_str();
            single.record.until = single.record.until.max(at);
        }
        self.send_single(handle, out);
    }

    /// Its request was forgotten: what is not over by now never will be.
    pub(crate) fn single_forgotten(&mut self, record: Record, out: &mut Facts) {
        if let Record::Request(handle) = record {
            self.send_single(handle, out);
        }
    }

    /// Nothing more is awaited.
    pub(crate) fn on_single_timer(&mut self, handle: Handle, now: Timestamp, out: &mut Facts) {
        let Some(single) = self.calls.singles.get_mut(handle) else { return };
        single.timer = Timer::default();
        let request = self.transactions.get(single.transaction).map_or(Handle::NONE, |tx| tx.request);
        self.send_single(handle, out);
        // What was on record may rest from now on.
        self.cool_request(request, now);
    }

    pub(super) fn drain_singles(&mut self, out: &mut Facts) {
        while let Some(handle) = self.calls.singles.oldest() {
            self.send_single(handle, out);
        }
    }

    fn send_single(&mut self, handle: Handle, out: &mut Facts) {
        let Some(single) = self.calls.singles.remove(handle) else { return };
        let Single { mut record, told, ladder, mut timer, .. } = *single;
        self.wheel.cancel(&mut timer);
        self.slots.release(record.slot);
        self.calls.counts.requests += 1;
        record.transactions = vec![told];
        record.ladder = ladder.into_iter().map(|noted| noted.told).collect();
        show_endpoints(&mut record.endpoints, &self.config.calls.privacy);
        self.calls.send(record, out);
    }
}

/// Methods of requests that need no call: the others live in dialogs, or begin them.
fn stands_alone(method: Method) -> bool {
    use Method::{Ack, Bye, Cancel, Info, Invite, Prack, Update};
    !matches!(method, Invite | Ack | Bye | Cancel | Prack | Update | Info)
}

/// The one transaction there is, in marks of messages.
const SPAN: SpanId = SpanId([0; 8]);

/// What [`CallRecord::outcome`] is of a single request that has its final.
const FINAL: &str = "final";
