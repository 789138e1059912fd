//! One turn: a message, or a deadline, at the call it is about. What a rule returns is told here to whom it concerns,
//! stated as facts, and noted for records of calls.
//!
//! The rules themselves know one thing each ([`crate::request`], [`crate::attempt`], [`crate::dialog`],
//! [`crate::registration`]); none of them calls back.

use call_records::{Change, DialogId, RequestId, SightingKind, TransactionId};
use pipeline::call::ladder::Trunks;
use pipeline::event::{End, Fact, Outcome, ReasonProtocol, RegistrationOutcome, Trunk};
use pipeline::{Facts, Measure, Networks, Slot};
use sip::Method;
use std::time::Duration;
use wire::Timestamp;

use crate::attempt::{self, Attempt};
use crate::bindings::Asked;
use crate::call::{Call, Pools, TransactionAt};
use crate::causes;
use crate::config::Config;
use crate::dialog::{self, Dialog, Ending};
use crate::hash::{Branch, Hashes, Tag};
use crate::list::At;
use crate::observed::{Observed, pair};
use crate::queue::{Left, QueueCall};
use crate::queues::Queues;
use crate::registration::Registration;
use crate::request::{Progress, Request};
use crate::slots::Slots;
use crate::transaction::ItemId;

/// What a turn works with.
pub struct Turn<'a> {
    pub config: &'a Config,
    pub hashes: &'a Hashes,
    /// Whose trunks are counted; `None` where no carrier is configured.
    pub networks: Option<&'a dyn Networks>,
    pub queues: &'a mut Queues,
    pub call: &'a mut Call,
    pub pools: &'a mut Pools,
    pub slots: &'a mut Slots,
    pub held: &'a mut Held,
    pub out: &'a mut Facts,
    /// What records of calls are told; `None` where nobody asked for any.
    pub records: Option<&'a mut Told>,
    /// The time of the message, or of the deadline.
    pub now: Timestamp,
    /// The earliest deadline that was set.
    pub due: Timestamp,
    /// Something opened or ended: the rank of the call may be another.
    pub settled: bool,
}

/// What became of a message.
pub enum Taken {
    /// It was taken.
    Done,
    /// It was taken, and its contacts are to be bound under these labels, in place of what had been asked for.
    Binds(Slot, Asked),
    /// It waits for what caused it.
    Waits,
}

/// What records of calls are told of one turn.
#[derive(Default)]
pub struct Told {
    /// What the message turned out to be.
    pub sighting: Option<call_records::Sighting>,
    /// What changed, in order.
    pub changes: Vec<Change>,
    /// The carriers whose trunks the message is the first to show its transaction on.
    pub trunks: Trunks,
}

/// How many of each are held, over all calls (3.7).
#[derive(Default)]
pub struct Held {
    pub requests: usize,
    /// Those without an outcome.
    pub attempts: usize,
    /// Those without an outcome.
    pub registrations: usize,
    /// Those without an outcome.
    pub trunks: usize,
    /// Over ones too.
    pub dialogs: usize,
    /// Those that are not over, or whose per-INVITE session is up.
    pub live_dialogs: usize,
    /// Of those, the ones that nobody saw begin (3.6).
    pub unobserved: usize,
}

impl Held {
    /// A dialog that was up or early is over, and its per-INVITE session too.
    pub fn lose_dialog(&mut self, observed: bool) {
        self.live_dialogs -= 1;
        self.unobserved -= usize::from(!observed);
    }
}

impl Turn<'_> {
    /// States a fact.
    pub fn push(&mut self, slot: Slot, fact: Fact) {
        self.out.push(slot, fact);
    }

    /// Tells records of calls.
    pub fn tell(&mut self, change: Change) {
        if let Some(records) = &mut self.records {
            records.changes.push(change);
        }
    }

    /// Something falls due then.
    pub fn wake(&mut self, at: Timestamp) {
        self.due = self.due.min(at);
    }

    /// A delay or duration ended; `request` where it is of one request.
    pub fn measure(&mut self, request: Option<u32>, slot: Slot, measure: Measure, delay: Duration) {
        self.out.push(slot, Fact::Measured(measure, delay));
        if self.records.is_some() {
            let request = request.map(|serial| self.request_id(serial));
            self.tell(Change::Measured { request, measure, delay });
        }
    }

    /// A number for a request, unique while it is remembered.
    pub fn request_id(&self, serial: u32) -> RequestId {
        self.call.key.0.wrapping_add(u64::from(serial).wrapping_mul(SPREAD))
    }

    /// The request at a place.
    #[inline]
    pub fn request(&self, at: At) -> &Request {
        self.call.requests.get(&self.pools.requests, at)
    }

    /// The request at a place, to change it.
    pub fn request_mut(&mut self, at: At) -> &mut Request {
        self.call.requests.get_mut(&mut self.pools.requests, at)
    }

    /// The attempt at a place.
    pub fn attempt(&mut self, at: At) -> &mut Attempt {
        self.call.attempts.get_mut(&mut self.pools.attempts, at)
    }

    /// The dialog at a place.
    pub fn dialog(&mut self, at: At) -> &mut Dialog {
        self.call.dialogs.get_mut(&mut self.pools.dialogs, at)
    }

    /// A message is an item of a transaction (2.2): states what it turned out to be.
    pub fn see(&mut self, at: TransactionAt, item: ItemId, seen: &Observed<'_>) -> SightingKind {
        let request = self.call.requests.get_mut(&mut self.pools.requests, at.request);
        let (slot, serial, began) = (request.slot, request.serial, request.t1);
        let undecided = request.status().is_none() && !matches!(request.progress, Progress::TimedOut { .. });
        let tx = request.transactions.get_mut(&mut self.pools.transactions, at.transaction);
        let sighting = tx.see(item, seen.tuple, &mut self.pools.of_transactions);
        let (root, request_seen) = (tx.root, tx.request_seen);
        self.state_sighting(slot, sighting, root, seen);
        if self.records.is_some() {
            let method = if item == ItemId::ACK { Method::Invite } else { seen.method() };
            self.tell_sighting(call_records::Sighting {
                request: self.request_id(serial),
                slot,
                began,
                transaction: self.transaction_id(seen.branch, method),
                item: item.bits(),
                kind: sighting,
                root,
                only_root: root && self.request(at.request).has_one_root(&self.pools.transactions),
                request_seen,
                undecided,
            });
        }
        sighting
    }

    /// States what a message turned out to be; `root`: at a transaction with none above it.
    pub fn state_sighting(&mut self, slot: Slot, sighting: SightingKind, root: bool, seen: &Observed<'_>) {
        self.out.push(slot, Fact::MessageSeen);
        match sighting {
            SightingKind::First => {}
            SightingKind::Retransmission => {
                let request = seen.message.is_request();
                self.out.push(slot, Fact::Retransmitted { request, first_hop: root });
            }
            SightingKind::Copy => self.out.push(slot, Fact::SeenElsewhere),
        }
    }

    /// Tells records of calls what a message turned out to be.
    pub fn tell_sighting(&mut self, sighting: call_records::Sighting) {
        if let Some(records) = &mut self.records {
            records.sighting = Some(sighting);
        }
    }

    /// A number for a transaction of the call.
    pub fn transaction_id(&self, branch: Branch, method: Method) -> TransactionId {
        let within = u64::from(branch.bits()) << 8 | method.index() as u64;
        self.call.key.0.wrapping_add(within.wrapping_mul(SPREAD))
    }

    /// Counts each Reason value of a message (4.6). Returns whether there was any.
    pub fn count_reasons(&mut self, slot: Slot, seen: &Observed<'_>) -> bool {
        let mut any = false;
        for reason in seen.message.reasons() {
            let protocol = match reason.protocol {
                sip::ReasonProtocol::Q850 => ReasonProtocol::Q850,
                sip::ReasonProtocol::Sip => ReasonProtocol::Sip,
                sip::ReasonProtocol::Other => continue,
            };
            if let Some(cause) = reason.cause {
                any = true;
                self.push(slot, Fact::ReasonGiven { protocol, cause });
            }
        }
        any
    }

    /// Counts the Reason values of the first final of 300 or more of a request; of an INVITE without any, the cause its
    /// status stands for, where that is configured.
    pub fn count_reasons_of_final(&mut self, at: At, status: u16, seen: &Observed<'_>) {
        let request = self.request_mut(at);
        if std::mem::replace(&mut request.reason_counted, true) {
            return;
        }
        let (slot, invite) = (request.slot, request.method == Method::Invite);
        if !self.count_reasons(slot, seen)
            && self.config.derive_causes
            && invite
            && let Some(cause) = causes::of_status(status)
        {
            self.push(slot, Fact::ReasonGiven { protocol: ReasonProtocol::Derived, cause });
        }
    }

    /// An attempt ended.
    pub fn on_attempt_ended(&mut self, at: At, ended: attempt::Ended) {
        let attempt::Ended { outcome, status, effective, at: when } = ended;
        let (slot, since) = (self.attempt(at).slot, self.attempt(at).since_start(when));
        if status.is_some() && outcome != Outcome::ChallengeAbandoned {
            self.tell(Change::AttemptProgressed(since));
        }
        self.settled = true;
        self.held.attempts -= 1;
        self.push(slot, Fact::AttemptEnded { outcome, status, effective });
        // Nothing could join until now.
        self.tell(Change::AttemptEnded { outcome, status, at: self.now });
        let serial = self.attempt(at).serial;
        if outcome != Outcome::Answered
            && let Some(queued) = self.call.queued.find(&self.pools.queued, |call| call.attempt == serial)
        {
            match self.call.queued.get(&self.pools.queued, queued).on_failed(outcome, status, when) {
                Some(left) => self.leave_queue(queued, left),
                None => self.lose_queue_calls(|call| call.attempt == serial),
            }
        }
    }

    /// A caller's wait in a queue ended.
    pub fn leave_queue(&mut self, at: At, left: Left) {
        let call = self.call.queued.remove(&mut self.pools.queued, at);
        self.push(Slot::OTHER, Fact::QueueLeft(call.queue, left.end, left.waited));
    }

    /// Callers in queues of whom nothing more will be known.
    pub fn lose_queue_calls(&mut self, lost: impl Fn(&QueueCall) -> bool) {
        while let Some(at) = self.call.queued.find(&self.pools.queued, &lost) {
            let call = self.call.queued.remove(&mut self.pools.queued, at);
            self.push(Slot::OTHER, Fact::QueueLost(call.queue));
        }
    }

    /// The dialog with a pair of tags is over, or forgotten: nobody can take the call of it any more.
    pub fn lose_queue_calls_in(&mut self, tags: [Tag; 2]) {
        if !self.call.queued.is_empty() {
            self.lose_queue_calls(|call| call.tags().is_some_and(|[from, to]| pair(from, to) == tags));
        }
    }

    /// The first 2xx of an attempt.
    pub fn on_attempt_answered(&mut self, at: At, status: u16, seen: &Observed<'_>) {
        let attempt = self.call.attempts.get_mut(&mut self.pools.attempts, at);
        let (slot, delay) = (attempt.slot, attempt.since_start(seen.now()));
        let ended = attempt.on_answer(&mut self.pools.created, seen.to, status, seen.now());
        self.measure_setup(at, Measure::SetupSuccess, seen.now());
        self.measure(None, slot, Measure::Answer, delay);
        self.tell(Change::AttemptProgressed(delay));
        self.on_attempt_ended(at, ended);
    }

    /// Ringing ended.
    pub fn on_rang(&mut self, attempt: Option<At>, measure: Measure, delay: Duration) {
        let slot = attempt.map_or(Slot::OTHER, |at| self.attempt(at).slot);
        self.measure(None, slot, measure, delay);
        self.tell(Change::Rang(delay));
    }

    /// The session request delays of an attempt that ended; without any, the time to its end.
    pub fn measure_setup(&mut self, attempt: At, measure: Measure, at: Timestamp) {
        let attempt = self.call.attempts.get(&self.pools.attempts, attempt);
        let slot = attempt.slot;
        let mut any = false;
        for delay in attempt.delays(&self.pools.created) {
            any = true;
            self.out.push(slot, Fact::Measured(measure, delay));
            if let Some(records) = &mut self.records {
                records.changes.push(Change::Measured { request: None, measure, delay });
            }
        }
        if !any {
            let delay = attempt.since_start(at);
            self.measure(None, slot, measure, delay);
        }
    }

    /// The dialogs that only provisional responses to an INVITE speak of have lost: to another branch, with the INVITE, or
    /// with what is known of it.
    pub fn end_early_dialogs(&mut self, invite: u32, at: Timestamp) {
        let until = at + self.config.timeout();
        let (out, due, settled, held) = (&mut self.out, &mut self.due, &mut self.settled, &mut self.held);
        self.call.dialogs.for_each(&mut self.pools.dialogs, |dialog| {
            if dialog.invite == invite && dialog.end_early(until) {
                let from = Some(pipeline::event::DialogState::Early);
                out.push(dialog.attempt_slot, Fact::DialogMoved { from, to: None });
                *due = (*due).min(until);
                *settled = true;
                held.live_dialogs -= 1;
            }
        });
    }

    /// An early dialog ended, and is remembered until then.
    pub fn on_early_ended(&mut self, slot: Slot, until: Timestamp) {
        self.push(slot, Fact::DialogMoved { from: Some(pipeline::event::DialogState::Early), to: None });
        self.held.live_dialogs -= 1;
        self.settled = true;
        self.wake(until);
    }

    /// A confirmed dialog ended. It is remembered a little longer, for the labels of what comes late.
    pub fn on_dialog_ended(&mut self, at: At, ended: dialog::Ended) {
        let dialog::Ended { from, end, at: when, bye, duration, by } = ended;
        let until = when + self.config.timeout();
        let short_call = self.config.short_call;
        let dialog = self.dialog(at);
        let (slot, primary, tags) = (dialog.attempt_slot, dialog.primary, dialog.tags);
        dialog.remember(until);
        let (has_session, observed) = (dialog.session().is_some(), dialog.observed);
        if !has_session {
            self.held.lose_dialog(observed);
        }
        self.wake(until);
        self.settled = true;
        match by {
            Ending::Success(disconnect) | Ending::Failure(disconnect) if primary => {
                if let Some(disconnect) = disconnect {
                    let success = end == End::Bye;
                    let measure = if success { Measure::DisconnectSuccess } else { Measure::DisconnectFailure };
                    self.measure(None, slot, measure, disconnect);
                    self.measure(None, slot, Measure::DurationSuccess, duration);
                    if duration < short_call {
                        self.push(slot, Fact::CallWasShort);
                    }
                } else if end == End::ByeTimeout {
                    let duration = duration + self.config.timeout();
                    self.measure(None, slot, Measure::DurationFailure, duration);
                }
                // A 481 to BYE is completion: the BYE did not fail for lack of a response (3.3).
                if matches!(end, End::Bye | End::Gone) {
                    self.push(slot, Fact::SessionCompleted);
                }
            }
            _ => {}
        }
        self.push(slot, Fact::DialogMoved { from: Some(from), to: None });
        self.push(slot, Fact::SessionEnded(end));
        let duration = primary.then_some(duration);
        self.tell(Change::DialogEnded { dialog: dialog_id(tags), end, duration, at: when, settled: self.now });
        self.end_trunk_calls(tags, bye);
        self.lose_queue_calls_in(tags);
    }

    /// A trunk attempt has its outcome.
    pub fn on_trunk_ended(&mut self, trunk: Trunk, outcome: Outcome) {
        self.settled = true;
        self.held.trunks -= 1;
        self.push(Slot::OTHER, Fact::TrunkEnded(trunk, outcome));
    }

    /// The calls over trunks that the dialog with a pair of tags was have ended; `bye`: its first BYE (4.7).
    fn end_trunk_calls(&mut self, tags: [Tag; 2], bye: Option<Timestamp>) {
        let out = &mut self.out;
        self.call.trunks.for_each(&mut self.pools.trunks, |attempt| {
            if let Some(([from, to], answered)) = attempt.call()
                && pair(from, to) == tags
            {
                let duration = bye.map(|bye| bye - answered);
                out.push(Slot::OTHER, Fact::TrunkCallEnded(attempt.trunk(), duration));
                attempt.on_dialog_ended();
            }
        });
    }

    /// The registration attempt that a REGISTER belongs to.
    pub fn registration_of(&mut self, serial: u32) -> Option<&mut Registration> {
        let at = self.call.registrations.find(&self.pools.registrations, |registration| registration.has(serial))?;
        Some(self.call.registrations.get_mut(&mut self.pools.registrations, at))
    }

    /// The per-INVITE session of a dialog is completed: by a 200 to BYE, or by its time (3.5).
    pub fn complete_session(&mut self, at: At, by_bye: Option<Timestamp>) {
        let dialog = self.dialog(at);
        let slot = dialog.request_slot;
        let Some(session) = dialog.take_session() else { return };
        if let (Some(since), Some(now)) = (session.counts_since, by_bye) {
            self.measure(None, slot, Measure::PerInviteSession, now - since);
        }
        self.push(slot, Fact::PerInviteSessionClosed);
        if session.counts_since.is_some() {
            self.push(slot, Fact::PerInviteSessionCompleted);
        }
        self.settled = true;
        // It may be that nothing but the session held it.
        let dialog = self.dialog(at);
        let (due, live, observed) = (dialog.due(), dialog.is_live(), dialog.observed);
        if !live {
            self.held.lose_dialog(observed);
        }
        self.wake(due);
    }

    /// A registration attempt has its outcome.
    pub fn on_registration_ended(&mut self, slot: Slot, outcome: RegistrationOutcome) {
        self.settled = true;
        self.held.registrations -= 1;
        self.push(slot, Fact::RegistrationEnded(outcome));
    }

    /// Whose labels the INVITE behind a new dialog gives it: those of the request, and those of its attempt.
    pub fn slots_of_invite(&mut self, request: At) -> (Slot, Slot) {
        let request = self.request(request);
        let (serial, slot) = (request.serial, request.slot);
        let attempt = self.call.invite(self.pools, serial).map(|invite| invite.attempt);
        let attempt = attempt.and_then(|attempt| self.call.find_attempt(self.pools, attempt));
        let strict = attempt.map_or(slot, |attempt| self.attempt(attempt).slot);
        (slot, strict)
    }
}

/// The number of a dialog for records of calls.
pub fn dialog_id([a, b]: [Tag; 2]) -> DialogId {
    u64::from(a.bits()) << 32 | u64::from(b.bits())
}

/// Spreads small numbers over all bits.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
