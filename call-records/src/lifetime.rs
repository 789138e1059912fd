//! When a call is over, and when its record leaves.
//!
//! A call is over when no dialog of it lives and no request can still join: at the final of its BYE or the end of its
//! dialog, at a final that is neither retryable nor 3xx, or `retry_window` after one that is. Early dialogs that a fork
//! left do not delay it. Its record leaves [`T4`] later, so that the ACK of a failure and late repeats are in it.

use std::time::Duration;

use pipeline::call::{IN_PROGRESS, Related, Subject};
use pipeline::event::Outcome;
use pipeline::{Facts, Slot};
use wire::Timestamp;

use crate::call::{Call, MAX_CALLERS};
use crate::change::{CallId, DialogId};
use crate::config::Emit;
use crate::identity::{self, Identity};
use crate::kept::Holder;
use crate::observed::{Observed, SlotHolder};
use crate::privacy::Own;
use crate::records::Records;
use crate::timers::{Due, Timer};
use crate::{begin, headers};

/// T4 of RFC 3261 §17.1.2.2: the longest time a message stays in the network.
pub const T4: Duration = Duration::from_secs(5);

/// What a call waits for.
#[derive(Default)]
pub struct Life {
    /// Attempts that are undecided or may be retried.
    attempts: u32,
    /// Confirmed dialogs that are up, those beyond the bound of sessions too.
    dialogs: u32,
    phase: Phase,
    /// The end of [`Phase::Redirected`] and [`Phase::Over`].
    ends: Timer,
    /// The next piece.
    cut: Timer,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Up,
    /// Redirected: the next INVITE may still come.
    Redirected,
    /// Over; its last messages may still come.
    Over,
}

impl Life {
    /// Nothing is undecided and nothing is up.
    pub fn is_over(&self) -> bool {
        self.attempts == 0 && self.dialogs == 0
    }
}

impl Records {
    /// An attempt began under a Call-ID: the first begins the record.
    pub(crate) fn on_attempt_opened(
        &mut self,
        seen: &Observed<'_>,
        slot: Slot,
        slots: &mut impl SlotHolder,
        out: &mut Facts,
    ) {
        if let Some(call) = self.calls.get_mut(&seen.call) {
            call.life.attempts += 1;
            // The record tells of the last attempt.
            let record = &mut call.record;
            (record.setup, record.ring, record.status, record.outcome) = (None, None, None, IN_PROGRESS);
            return self.go_on(seen.call, seen.now());
        }
        let is_reused = self.reused.begins(seen.call, seen.frame.first);
        self.counts.reused += u64::from(is_reused);
        let config = &self.config;
        let mut own = Own::default();
        own.learn(seen.message, &config.privacy);
        let mut token = config.id_token(seen.message.call_id, &own);
        if is_reused {
            token = Some(Box::new(identity::of_reused(seen.message, token.as_deref())));
        }
        let identity = Identity::new(&self.wanted.instance, seen.message.call_id, token);
        let slot = slots.hold(slot);
        let ids = identity.call_id(seen.message);
        let mut record = begin::record(Subject::Call, seen, slot, &own, ids, config, &self.wanted);
        record.span = begin::root_span(&identity, seen.message);
        let parent = seen.span_of_sender(&self.fleet, &identity);
        record.related = parent.map(|parent| Box::new(Related { parent: Some(parent), follows: None }));
        let call = Call {
            began: seen.frame.first,
            record,
            identity,
            own,
            wall_offset: seen.frame.wall_offset,
            callers: [0; MAX_CALLERS],
            life: Life { attempts: 1, cut: Timer::unset(seen.frame.first + config.max_segment), ..Life::default() },
            legs: Vec::new(),
            rings: Vec::new(),
            sessions: Vec::new(),
            ladder: Vec::new(),
            headers: Vec::new(),
            kept: None,
            earlier: None,
            piece_due: false,
            weight: 0,
        };
        while self.calls.len() >= self.capacity
            && let Some((&oldest, _)) = self.calls.front()
        {
            // Sent before its end rather than not at all.
            self.counts.evicted += 1;
            self.send_whole(oldest, slots, out);
        }
        self.calls.insert(seen.call, Box::new(call));
        if self.wanted.watched {
            let calls = &self.calls;
            let is_up = |call, began| calls.get(&call).is_some_and(|call| call.began == began);
            self.newest.began(seen.call, seen.frame.first, is_up);
        }
        self.go_on(seen.call, seen.now());
    }

    /// A call is up, or up again.
    fn go_on(&mut self, id: CallId, now: Timestamp) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.life.phase = Phase::Up;
        self.timers.cancel(&mut call.life.ends);
        if self.wanted.pieces && !call.life.cut.is_set() {
            let due = call.life.cut.due().max(now);
            self.timers.set(&mut call.life.cut, due, Due::Piece(id));
        }
    }

    /// An attempt ended.
    pub(crate) fn on_attempt_ended(&mut self, id: CallId, outcome: Outcome, status: Option<u16>, at: Timestamp) {
        let progressive = self.config.emit == Emit::Progressive;
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.life.attempts = call.life.attempts.saturating_sub(1);
        call.record.outcome = outcome.as_str();
        call.record.status = status;
        call.piece_due |= progressive && self.wanted.pieces && outcome == Outcome::Answered && call.record.piece == 1;
        if outcome == Outcome::Redirected {
            call.life.phase = Phase::Redirected;
            return self.timers.set(&mut call.life.ends, at + self.waits.retry_window, Due::Call(id));
        }
        self.end_if_over(id, at);
    }

    /// A dialog was confirmed under a Call-ID.
    pub(crate) fn on_dialog_confirmed(&mut self, dialog: DialogId, seen: &Observed<'_>) {
        let Some(call) = self.calls.get_mut(&seen.call) else { return };
        if !call.has_up(dialog) {
            call.life.dialogs += 1;
        }
        call.answered(dialog, seen);
        self.go_on(seen.call, seen.now());
    }

    /// A confirmed dialog ended, and no other BYE of it is waited for.
    pub(crate) fn on_dialog_ended(&mut self, id: CallId, at: Timestamp) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.life.dialogs = call.life.dialogs.saturating_sub(1);
            self.end_if_over(id, at);
        }
    }

    /// An attempt that had not ended was forgotten, and cannot end any more.
    pub(crate) fn on_attempt_lost(&mut self, id: CallId, at: Timestamp) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.life.attempts = call.life.attempts.saturating_sub(1);
        self.end_if_over(id, at);
    }

    /// A confirmed dialog that had not ended was forgotten, and cannot end any more.
    pub(crate) fn on_dialog_lost(&mut self, id: CallId, dialog: DialogId, at: Timestamp) {
        let Some(call) = self.calls.get_mut(&id).filter(|call| call.has_up(dialog)) else { return };
        call.forgotten(dialog);
        self.on_dialog_ended(id, at);
    }

    fn end_if_over(&mut self, id: CallId, at: Timestamp) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let life = &mut call.life;
        if life.is_over() && life.phase == Phase::Up {
            life.phase = Phase::Over;
            self.timers.cancel(&mut life.cut);
            self.timers.set(&mut life.ends, at + T4, Due::Call(id));
        }
    }

    /// Nothing joined a redirected call, or nothing more is awaited of one that is over.
    pub(crate) fn on_call_due(&mut self, id: CallId, now: Timestamp, slots: &mut impl SlotHolder, out: &mut Facts) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.life.ends = Timer::default();
        match call.life.phase {
            Phase::Redirected => {
                call.life.phase = Phase::Up;
                self.end_if_over(id, now);
            }
            Phase::Over => self.send_whole(id, slots, out),
            Phase::Up => {}
        }
    }

    /// A call has come to the length of a segment.
    pub(crate) fn on_piece_due(&mut self, id: CallId, now: Timestamp, out: &mut Facts) {
        let next = now + self.config.max_segment;
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.life.cut = Timer::default();
        self.timers.set(&mut call.life.cut, next, Due::Piece(id));
        call.last_until(now);
        self.send_piece(id, Some(now), out);
    }

    /// The program ends: what is undecided or up is sent as in progress.
    pub(crate) fn send_unfinished(&mut self, id: CallId, slots: &mut impl SlotHolder, out: &mut Facts) {
        if let Some(call) = self.calls.get_mut(&id)
            && !call.life.is_over()
        {
            call.record.outcome = IN_PROGRESS;
        }
        self.send_whole(id, slots, out);
    }

    /// The last that is said of a call.
    pub(crate) fn send_whole(&mut self, id: CallId, slots: &mut impl SlotHolder, out: &mut Facts) {
        let Some(mut call) = self.calls.remove(&id) else { return };
        self.timers.cancel(&mut call.life.ends);
        self.timers.cancel(&mut call.life.cut);
        slots.release(call.record.slot);
        self.counts.calls += 1;
        if call.life.is_over() {
            call.close(self.waits.timeout, self.waits.proceeding);
        }
        self.header_bytes -= headers::bytes(&call.headers);
        self.room.set(Holder::Call(id), 0);
        self.weighed(call.weight, 0);
        let record = call.whole(&self.config.privacy);
        self.send(record, out);
    }
}
