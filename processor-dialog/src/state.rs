//! Everything that is followed, in one place: the tables, the clock's timers, and the way a message takes
//! through them. The rules stand in the modules named for what they rule.

use std::time::Duration;

use pipeline::event::{Fact, ReasonProtocol};
use pipeline::{CallsWanted, Facts, FrameBatch, SipFrame};
use sip::{Message, Method};
use wire::Timestamp;

use crate::ahead::{AHEAD, Read};
use crate::attempt::Attempt;
use crate::call_table::CallTable;
use crate::calls::Calls;
use crate::causes;
use crate::chain::Pool;
use crate::config::Config;
use crate::dialog::Dialog;
use crate::entries::Handle;
use crate::group::Groups;
use crate::key::{Key, Keys, Mark};
use crate::logical_request::LogicalRequest;
use crate::registration::{Bindings, Registration};
use crate::rest::Rest;
use crate::slots::Slots;
use crate::table::Table;
use crate::transaction_table::Transactions;
use crate::wheel::{Target, Wheel};

/// One message with all that is known of it before any rule.
pub struct Seen<'a> {
    /// The message.
    pub message: &'a Message<'a>,
    /// Its addresses and times.
    pub frame: &'a SipFrame,
    /// Its Call-ID.
    pub call: Key,
    /// Its transaction.
    pub transaction: Key,
    /// Its top Via.
    pub via: Mark,
    /// Its five-tuple.
    pub tuple: u32,
}

impl Seen<'_> {
    /// The time of the packet that completed it.
    pub fn now(&self) -> Timestamp {
        self.frame.at
    }

    /// Its Session-Expires.
    pub fn session_expires(&self) -> Option<Duration> {
        self.message.session_expires().map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// The first cause of a Q.850 Reason in it.
    pub fn q850_cause(&self) -> Option<u16> {
        let mut reasons = self.message.reasons().filter(|reason| reason.protocol == sip::ReasonProtocol::Q850);
        reasons.find_map(|reason| reason.cause)
    }
}

/// The tables and what they share.
pub struct State {
    pub(crate) config: Config,
    pub(crate) keys: Keys,
    pub(crate) groups: Groups,
    pub(crate) transactions: Transactions,
    pub(crate) requests: CallTable<LogicalRequest>,
    pub(crate) attempts: CallTable<Attempt>,
    pub(crate) dialogs: CallTable<Dialog>,
    pub(crate) registrations: CallTable<Registration>,
    pub(crate) rest: Rest,
    pub(crate) bindings: Table<Bindings>,
    pub(crate) bindings_held: usize,
    pub(crate) calls: Calls,
    pub(crate) pool: Pool,
    pub(crate) slots: Slots,
    pub(crate) wheel: Wheel,
    /// Scratch for values that must be normalised.
    pub(crate) text: Vec<u8>,
}

impl State {
    /// Nothing followed yet. `wanted`: also keep records of calls.
    pub fn new(config: Config, wanted: Option<CallsWanted>) -> Self {
        let calls = config.max_calls;
        Self {
            keys: Keys::default(),
            groups: Groups::default(),
            transactions: Transactions::new(calls.saturating_mul(4)),
            requests: CallTable::new(calls.saturating_mul(2)),
            attempts: CallTable::new(calls),
            dialogs: CallTable::new(calls),
            registrations: CallTable::new(calls),
            rest: Rest::default(),
            bindings: Table::new(calls),
            bindings_held: 0,
            calls: Calls::new(calls, wanted),
            pool: Pool::default(),
            slots: Slots::default(),
            wheel: Wheel::default(),
            text: Vec::new(),
            config,
        }
    }

    /// Takes new timeouts and bounds; timers that run keep the time they were set to.
    pub fn reconfigure(&mut self, config: Config) {
        let calls = config.max_calls;
        self.transactions.set_capacity(calls.saturating_mul(4));
        self.requests.set_capacity(calls.saturating_mul(2));
        self.attempts.set_capacity(calls);
        self.dialogs.set_capacity(calls);
        self.registrations.set_capacity(calls);
        self.bindings.set_capacity(calls);
        self.calls.set_capacity(calls);
        self.config = config;
    }

    /// Takes a batch: each frame after the timers due before it, then the timers due by the batch's end.
    pub fn take(&mut self, batch: &FrameBatch, out: &mut Facts) {
        self.slots.next_batch();
        let mut ahead = [const { None }; AHEAD];
        for frames in batch.frames.chunks(AHEAD) {
            let ahead = &mut ahead[..frames.len()];
            self.read_ahead(batch, frames, ahead);
            for read in ahead.iter().flatten() {
                self.fire_timers(read.frame.at, out);
                self.on_message(read, out);
            }
        }
        self.fire_timers(batch.now, out);
        self.rest_what_is_quiet(batch.now);
    }

    fn on_message(&mut self, read: &Read<'_>, out: &mut Facts) {
        let Read { frame, ref message, call, transaction, via } = *read;
        let message = match message {
            Ok(message) => message,
            Err(error) => return out.push(pipeline::Slot::OTHER, Fact::ParseFailed(*error)),
        };
        for kind in message.anomalies.iter() {
            out.push(pipeline::Slot::OTHER, Fact::Imperfect(kind));
        }
        let seen = Seen { message, frame, call, transaction, via, tuple: self.keys.tuple(frame) };
        self.wake(call, frame.at, out);
        match message.status() {
            None => self.on_request(&seen, out),
            Some(status) => self.on_response(status, &seen, out),
        }
        self.record_message(&seen, out);
        self.rest_after(&seen);
    }

    /// Fires what is due at or before `now`, in order of due time (0.2).
    fn fire_timers(&mut self, now: Timestamp, out: &mut Facts) {
        while let Some((due, target)) = self.wheel.pop(now) {
            match target {
                Target::Request(request) => self.on_request_timer(request, due, out),
                Target::Attempt(attempt) => self.on_attempt_timer(attempt, due, out),
                Target::Dialog(dialog) => self.on_dialog_timer(dialog, due, out),
                Target::Session(dialog) => self.on_session_timer(dialog, due, out),
                Target::Registration(registration) => self.on_registration_timer(registration, out),
                Target::Bindings(bindings) => self.on_bindings_timer(bindings, due, out),
                Target::Call(call) => self.on_call_timer(call, due, out),
                Target::CallPiece(call) => self.on_call_piece_timer(call, due, out),
                Target::SingleRequest(request) => self.on_single_timer(request, due, out),
                Target::Rested(rested) => self.on_rested_timer(rested, due, out),
            }
        }
    }

    /// `timeout` of 0.3: 64 times T1 unless configured otherwise.
    pub(crate) fn timeout(&self) -> Duration {
        self.config.timeout()
    }

    /// The first sighting of a CANCEL at a root: a 487 that follows is the caller's wish (2.6).
    pub(crate) fn on_cancel(&mut self, request: Handle, invite: Option<Handle>, seen: &Seen<'_>, out: &mut Facts) {
        self.count_reasons(request, seen, out);
        let Some(tx) = invite.and_then(|handle| self.transactions.get(handle)) else { return };
        if let Some(invite) = self.requests.get_mut(tx.request).and_then(|lr| lr.invite.as_mut()) {
            invite.cancelled = true;
        }
    }

    /// Counts each Reason value of a message (4.6). Returns whether there was any.
    pub(crate) fn count_reasons(&self, request: Handle, seen: &Seen<'_>, out: &mut Facts) -> bool {
        let slot = self.slot_of(request);
        let mut any = false;
        for reason in seen.message.reasons() {
            let protocol = match reason.protocol {
                sip::ReasonProtocol::Q850 => ReasonProtocol::Q850,
                sip::ReasonProtocol::Sip => ReasonProtocol::Sip,
                sip::ReasonProtocol::Other => continue,
            };
            if let Some(cause) = reason.cause {
                any = true;
                out.push(slot, Fact::ReasonGiven { protocol, cause });
            }
        }
        any
    }

    /// Counts the Reason values of the first final of 300 or more of a logical request; of an initial INVITE
    /// without any, the cause its status stands for, where that is configured.
    pub(crate) fn count_reasons_of_final(&mut self, request: Handle, status: u16, seen: &Seen<'_>, out: &mut Facts) {
        let Some(lr) = self.requests.get_mut(request) else { return };
        if std::mem::replace(&mut lr.reason_counted, true) {
            return;
        }
        let derives = self.config.derive_causes && lr.method == Method::Invite;
        let slot = lr.slot;
        if !self.count_reasons(request, seen, out)
            && derives
            && let Some(cause) = causes::of_status(status)
        {
            out.push(slot, Fact::ReasonGiven { protocol: ReasonProtocol::Derived, cause });
        }
    }
}
