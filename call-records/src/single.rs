//! Single requests outside calls (REGISTER, OPTIONS, MESSAGE and the like): a record of the root transaction each,
//! where somebody asked for them.
//!
//! It leaves [`T4`] after its final, so that late repeats are in it, or when none came in time. Transactions below the
//! root are counted; should one above show itself later, the record is that one's.

use pipeline::call::ladder::{Owner, SpanId, Transaction};
use pipeline::call::{Related, Subject};
use pipeline::event::Outcome;
use pipeline::{CallRecord, Facts, Slot};
use sip::{Method, ReasonProtocol};
use wire::Timestamp;

use crate::budget::{OF_THE_TABLE, texts};
use crate::call::{LadderLine, shown};
use crate::challenged::Challenged;
use crate::change::{RequestId, Sighting, SightingKind, TransactionId};
use crate::config::{Ladder, Raw};
use crate::identity::Identity;
use crate::kept::{Holder, Kept};
use crate::lifetime::T4;
use crate::observed::{Context, Observed, SlotHolder};
use crate::pieces::show_endpoints;
use crate::privacy::Own;
use crate::records::Records;
use crate::timeline::{MAX_MESSAGES, mark, method_original, reason};
use crate::timers::{Due, Timer};
use crate::{begin, identity, push_tight};

/// A single request on record.
pub struct Single {
    pub record: CallRecord,
    entry: Transaction,
    transaction: TransactionId,
    own: Own,
    wall_offset: i64,
    ladder: Vec<LadderLine>,
    pub kept: Option<Box<Kept>>,
    timer: Timer,
    /// Bytes it was last counted with.
    weight: u32,
}

impl Single {
    /// The record of a request at a root.
    fn new(seen: &Observed<'_>, sighting: &Sighting, slot: Slot, context: &Context<'_>) -> Self {
        let mut own = Own::default();
        own.learn(seen.message, &context.config.privacy);
        let (message, frame) = (seen.message, seen.frame);
        let token = context.config.id_token(message.call_id, &own);
        let identity = Identity::new(&context.wanted.instance, message.call_id, token);
        let ids = identity.call_id(message);
        let mut record = begin::record(Subject::Request, seen, slot, &own, ids, context.config, context.wanted);
        let (cseq, branch) = (identity::cseq(message), message.via.branch);
        let first = message.vias().last().map_or(branch, |via| via.branch);
        record.trace_id = identity::request_trace_id(ids, cseq, first);
        record.offered = None;
        record.span = seen.transaction_span(&identity, context.config.span_ids);
        let parent = seen.span_of_sender_of_single(context.fleet, &identity);
        record.related = parent.map(|parent| Box::new(Related { parent: Some(parent), follows: None }));
        let branch = context.config.privacy.branch(branch, &own);
        let ends = [record.source, record.destination];
        let mut entry = seen.transaction([record.span, record.span], branch, ends, record.start);
        entry.rare = method_original(seen, &own, context);
        let (transaction, wall_offset) = (sighting.transaction, frame.wall_offset);
        let (ladder, timer) = (Vec::new(), Timer::default());
        Self { record, entry, transaction, own, wall_offset, ladder, kept: None, timer, weight: 0 }
    }

    /// Bytes it takes, messages as they were sent aside.
    fn weigh(&self) -> u32 {
        let ladder = self.ladder.capacity() * size_of::<LadderLine>();
        let texts = self.own.len() + self.entry.branch.len() + texts(&self.record);
        u32::try_from(size_of::<Self>() + ladder + texts + OF_THE_TABLE).unwrap_or(u32::MAX)
    }

    /// It repeats a challenged request with credentials.
    fn follow(&mut self, challenged: Option<Challenged>) {
        if let Some(challenged) = challenged {
            self.record.trace_id = challenged.trace_id;
            self.record.related.get_or_insert_default().follows = Some(challenged.span);
        }
    }

    /// A transaction above it showed itself: the record is that one's from now on.
    fn become_root(&mut self, root: Self) {
        let hops = self.entry.hops + 1;
        let started = self.entry.start.min(root.entry.start);
        let (before, measured) = (self.record.clone(), std::mem::take(&mut self.record.measured));
        let (timer, weight) = (self.timer, self.weight);
        *self = root;
        (self.timer, self.weight) = (timer, weight);
        self.entry.hops = hops;
        (self.entry.start, self.record.start) = (started, started);
        self.record.messages = before.messages;
        self.record.retransmissions = before.retransmissions;
        self.record.ladder_cut = before.ladder_cut;
        self.record.until = before.until.max(self.record.until);
        self.record.measured = measured;
    }

    fn note(&mut self, seen: &Observed<'_>, item: u64, context: &Context<'_>) {
        if context.config.ladder == Ladder::Off {
            return;
        }
        let place = |address| self.record.endpoints.iter().position(|endpoint| endpoint.address == address);
        let places = (place(seen.frame.source), place(seen.frame.destination));
        let (Some(source), Some(destination), true) = (places.0, places.1, self.ladder.len() < MAX_MESSAGES) else {
            return self.record.ladder_cut += 1;
        };
        let ends = [source as u16, destination as u16];
        let at = shown(seen.now(), self.wall_offset);
        let entry = seen.line(at, ends, Owner::Transaction(0), seen.message.is_request());
        let mark = mark(SPAN, item);
        push_tight(&mut self.ladder, LadderLine { entry, mark }, 2);
        if context.raw() != Raw::Off {
            self.kept.get_or_insert_default().keep(mark, seen.message, context.raw());
        }
    }

    fn repeat(&mut self, seen: &Observed<'_>, sighting: &Sighting, context: &Context<'_>) {
        self.record.retransmissions += 1;
        if sighting.transaction != self.transaction {
            return;
        }
        self.entry.retransmissions += 1;
        let mark = mark(SPAN, sighting.item);
        if let Some(line) = self.ladder.iter_mut().find(|line| line.mark == mark) {
            line.entry.retransmissions = line.entry.retransmissions.saturating_add(1);
            if context.wanted.watched {
                let at = shown(seen.now(), self.wall_offset);
                self.kept.get_or_insert_default().again(mark, at, seen.message, context.raw());
            }
        }
    }
}

impl Records {
    /// A message of a request that has a record.
    pub(crate) fn on_single(&mut self, sighting: &Sighting, seen: &Observed<'_>) {
        let (id, is_request) = (sighting.request, seen.message.is_request());
        let context = Context {
            config: &self.config,
            wanted: &self.wanted,
            hashes: &self.hashes,
            fleet: &self.fleet,
            headers: None,
        };
        let challenged = self.challenged.before(seen, self.waits.retry_window);
        self.singles.to_back(&id);
        let Some(single) = self.singles.get_mut(&id) else { return };
        single.record.messages += 1;
        single.record.until = single.record.until.max(shown(seen.now(), single.wall_offset));
        match sighting.kind {
            SightingKind::Retransmission => {
                single.repeat(seen, sighting, &context);
                return self.hold_single(id);
            }
            SightingKind::Copy => return,
            SightingKind::First => {}
        }
        if sighting.transaction != single.transaction {
            if is_request && sighting.only_root {
                let mut root = Single::new(seen, sighting, single.record.slot, &context);
                root.follow(challenged);
                single.become_root(root);
            } else {
                single.entry.hops = single.entry.hops.saturating_add(u16::from(is_request && !sighting.root));
                return;
            }
        }
        single.note(seen, sighting.item, &context);
        let Some(status) = seen.message.status().filter(|status| *status >= 200 && single.entry.end.is_none()) else {
            return self.hold_single(id);
        };
        single.entry.end = Some(shown(seen.now(), single.wall_offset));
        single.entry.status = Some(status);
        if status >= 300 {
            single.own.learn(seen.message, &context.config.privacy);
            single.entry.reason = reason(seen, &single.own, &context);
            single.record.hangup_cause = seen.message.q850_cause();
            single.record.sip_cause = seen.message.cause(ReasonProtocol::Sip);
        }
        if matches!(status, 401 | 407) {
            self.challenged.note(seen, single.record.trace_id, single.record.span);
        }
        single.record.outcome = FINAL;
        single.record.status = Some(status);
        self.timers.set(&mut single.timer, seen.now() + T4, Due::Single(id));
        self.hold_single(id);
    }

    /// Counts what a single request keeps of its messages.
    fn hold_single(&mut self, id: RequestId) {
        if let Some(kept) = self.singles.get_mut(&id).and_then(|single| single.kept.as_deref_mut()) {
            self.room.take_refused(kept);
            let bytes = kept.bytes();
            self.hold(Holder::Single(id), bytes);
        }
    }

    /// A message of a request without a record, outside any call on record: it begins one, where it may.
    pub(crate) fn on_first_of_single(
        &mut self,
        sighting: &Sighting,
        seen: &Observed<'_>,
        slots: &mut impl SlotHolder,
        out: &mut Facts,
    ) {
        let begins = self.wanted.requests
            && sighting.kind == SightingKind::First
            && sighting.root
            && sighting.undecided
            && seen.message.is_request()
            && seen.message.to.tag.is_empty()
            && stands_alone(seen.message.method());
        if !begins {
            return;
        }
        let context = Context {
            config: &self.config,
            wanted: &self.wanted,
            hashes: &self.hashes,
            fleet: &self.fleet,
            headers: None,
        };
        let mut single = Single::new(seen, sighting, slots.hold(sighting.slot), &context);
        single.follow(self.challenged.before(seen, self.waits.retry_window));
        single.record.messages = 1;
        single.note(seen, sighting.item, &context);
        while self.singles.len() >= self.capacity
            && let Some((&oldest, _)) = self.singles.front()
        {
            self.counts.evicted += 1;
            self.send_single(oldest, slots, out);
        }
        self.singles.insert(sighting.request, Box::new(single));
        self.hold_single(sighting.request);
        self.weigh_single(sighting.request);
        self.keep_within(slots, out);
    }

    /// A message was added to a request on record.
    pub(crate) fn weigh_single(&mut self, id: RequestId) {
        let Some(single) = self.singles.get_mut(&id) else { return };
        let (before, now) = (single.weight, single.weigh());
        single.weight = now;
        self.weighed(before, now);
    }

    /// No final came in time.
    pub(crate) fn on_single_timed_out(
        &mut self,
        id: RequestId,
        now: Timestamp,
        slots: &mut impl SlotHolder,
        out: &mut Facts,
    ) {
        let Some(single) = self.singles.get_mut(&id) else { return };
        let at = shown(now, single.wall_offset);
        if single.entry.end.is_none() {
            single.entry.end = Some(at);
            single.entry.timed_out = true;
            single.record.outcome = Outcome::Timeout.as_str();
            single.record.until = single.record.until.max(at);
        }
        self.send_single(id, slots, out);
    }

    /// Nothing more is awaited of a single request, or its request was forgotten: what is not over by now never will be.
    pub(crate) fn send_single(&mut self, id: RequestId, slots: &mut impl SlotHolder, out: &mut Facts) {
        let Some(single) = self.singles.remove(&id) else { return };
        let Single { mut record, entry, ladder, kept, mut timer, weight, .. } = *single;
        self.weighed(weight, 0);
        self.room.set(Holder::Single(id), 0);
        self.timers.cancel(&mut timer);
        slots.release(record.slot);
        self.counts.requests += 1;
        record.transactions = vec![entry];
        record.sent = kept.and_then(|kept| kept.sent(ladder.iter()));
        record.ladder = ladder.into_iter().map(|line| line.entry).collect();
        show_endpoints(&mut record.endpoints, &self.config.privacy);
        self.send(record, out);
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
pub const FINAL: &str = "final";
