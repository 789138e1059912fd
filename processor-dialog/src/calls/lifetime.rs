//! When a call is over, and when its record leaves.
//!
//! A call is over when no dialog of it lives and no request can still join: at the final of its BYE or the end of its
//! dialog, at a final that is neither retryable nor 3xx, or `retry_window` after one that is. Early dialogs that a fork
//! left do not delay it. Its record leaves [`T4`] later, so that the ACK of a failure and late repeats are in it.

use std::time::Duration;

use pipeline::call::{IN_PROGRESS, Subject};
use pipeline::event::{End, Outcome};
use pipeline::{Facts, Slot};
use wire::Timestamp;

use super::begin;
use super::call::{Call, MAX_CALLERS};
use super::config::Emit;
use super::headers;
use super::privacy::Own;
use crate::entries::Handle;
use crate::key::Key;
use crate::state::{Seen, State};
use crate::wheel::{Target, Timer};

/// T4 of RFC 3261 §17.1.2.2: the longest time a message stays in the network.
pub const T4: Duration = Duration::from_secs(5);

/// What a call waits for.
#[derive(Default)]
pub struct Life {
    /// Attempts that are undecided or may be retried.
    attempts: u32,
    /// Confirmed dialogs.
    dialogs: u32,
    phase: Phase,
    /// The end of [`Phase::Redirected`] and [`Phase::Over`].
    ends: Timer,
    /// The next piece, and when it leaves.
    cut: Timer,
    cut_at: Timestamp,
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

/// What a call may lose without an end.
#[derive(Clone, Copy)]
pub enum Part {
    /// An attempt that was undecided.
    Attempt,
    /// A confirmed dialog.
    Dialog(Handle),
}

impl Life {
    /// Nothing is undecided and nothing is up.
    pub fn is_over(&self) -> bool {
        self.attempts == 0 && self.dialogs == 0
    }
}

impl State {
    /// An attempt began under a Call-ID: the first begins the record. Returns it.
    pub(crate) fn call_attempted(&mut self, seen: &Seen<'_>, slot: Slot, out: &mut Facts) -> Handle {
        let Some(wanted) = &self.calls.wanted else { return Handle::NONE };
        if let Some(handle) = self.calls.table.find(seen.call)
            && let Some(call) = self.calls.table.get_mut(handle)
        {
            call.life.attempts += 1;
            // The record tells of the last attempt.
            let record = &mut call.record;
            (record.setup, record.ring, record.status, record.outcome) = (None, None, None, IN_PROGRESS);
            self.call_goes_on(handle, seen.now());
            return handle;
        }
        let watched = wanted.watched;
        let config = &self.config.calls;
        let mut own = Own::default();
        own.learn(seen.message, &config.privacy);
        let identity = begin::identity(seen.message, wanted);
        let mut record = begin::record(Subject::Call, seen, self.slots.hold(slot), &own, config, wanted);
        record.span = begin::root_span(&identity, seen.message);
        let call = Call {
            record,
            identity,
            own,
            wall_offset: seen.frame.wall_offset,
            callers: [0; MAX_CALLERS],
            life: Life { attempts: 1, cut_at: seen.frame.first + config.max_segment, ..Life::default() },
            legs: Vec::new(),
            rings: Vec::new(),
            sessions: Vec::new(),
            ladder: Vec::new(),
            headers: Vec::new(),
            earlier: None,
            piece_due: false,
        };
        while self.calls.table.is_full() {
            let Some(oldest) = self.calls.table.oldest() else { break };
            // Told before its end rather than not at all.
            self.calls.counts.evicted += 1;
            self.send_whole(oldest, out);
        }
        let handle = self.calls.table.insert(seen.call, Box::new(call));
        if watched {
            let table = &self.calls.table;
            self.calls.newest.began(handle, |older| table.get(older).is_some());
        }
        self.call_goes_on(handle, seen.now());
        handle
    }

    /// A call is up, or up again.
    fn call_goes_on(&mut self, record: Handle, now: Timestamp) {
        let pieces = self.calls.wanted.as_ref().is_some_and(|wanted| wanted.pieces);
        let Some(call) = self.calls.table.get_mut(record) else { return };
        call.life.phase = Phase::Up;
        self.wheel.cancel(&mut call.life.ends);
        if pieces && call.life.cut == Timer::default() {
            let due = call.life.cut_at.max(now);
            self.wheel.set(&mut call.life.cut, due, Target::CallPiece(record));
        }
    }

    /// An attempt ended.
    pub(crate) fn call_decided(&mut self, record: Handle, outcome: Outcome, status: Option<u16>, at: Timestamp) {
        let retry = at + self.config.retry_window;
        let progressive = self.config.calls.emit == Emit::Progressive;
        let pieces = self.calls.wanted.as_ref().is_some_and(|wanted| wanted.pieces);
        let Some(call) = self.calls.table.get_mut(record) else { return };
        call.life.attempts = call.life.attempts.saturating_sub(1);
        call.record.outcome = outcome.as_str();
        call.record.status = status;
        call.piece_due |= progressive && pieces && outcome == Outcome::Answered && call.record.piece == 1;
        if outcome == Outcome::Redirected {
            call.life.phase = Phase::Redirected;
            return self.wheel.set(&mut call.life.ends, retry, Target::Call(record));
        }
        self.end_call_if_over(record, at);
    }

    /// A dialog was confirmed under a Call-ID.
    pub(crate) fn call_confirmed(&mut self, dialog: Handle, key: Key, seen: &Seen<'_>) {
        if self.calls.wanted.is_none() {
            return;
        }
        let Some(record) = self.calls.table.find(seen.call) else { return };
        let Some(call) = self.calls.table.get_mut(record) else { return };
        call.life.dialogs += 1;
        call.answered(key, dialog, seen);
        self.call_goes_on(record, seen.now());
        if let Some(dialog) = self.dialogs.get_mut(dialog) {
            dialog.record = record;
        }
    }

    /// A confirmed dialog ended after `duration` (`None` for others than the primary one).
    pub(crate) fn call_hung_up(&mut self, dialog: Handle, end: End, duration: Option<Duration>, at: Timestamp) {
        let record = self.dialogs.get(dialog).map_or(Handle::NONE, |dialog| dialog.record);
        let Some(call) = self.calls.table.get_mut(record) else { return };
        call.life.dialogs = call.life.dialogs.saturating_sub(1);
        call.hung_up(dialog, end, duration, at);
        self.end_call_if_over(record, at);
    }

    /// A part of it that had not ended was forgotten, and cannot end any more.
    pub(crate) fn call_lost(&mut self, record: Handle, part: Part, at: Timestamp) {
        let Some(call) = self.calls.table.get_mut(record) else { return };
        let parts = match part {
            Part::Attempt => &mut call.life.attempts,
            Part::Dialog(_) => &mut call.life.dialogs,
        };
        *parts = parts.saturating_sub(1);
        if let Part::Dialog(dialog) = part {
            call.forgotten(dialog);
        }
        self.end_call_if_over(record, at);
    }

    fn end_call_if_over(&mut self, record: Handle, at: Timestamp) {
        let Some(call) = self.calls.table.get_mut(record) else { return };
        let life = &mut call.life;
        if life.is_over() && life.phase == Phase::Up {
            life.phase = Phase::Over;
            self.wheel.cancel(&mut life.cut);
            self.wheel.set(&mut life.ends, at + T4, Target::Call(record));
        }
    }

    /// Nothing joined a redirected call, or nothing more is awaited of one that is over.
    pub(crate) fn on_call_timer(&mut self, record: Handle, now: Timestamp, out: &mut Facts) {
        let Some(call) = self.calls.table.get_mut(record) else { return };
        call.life.ends = Timer::default();
        match call.life.phase {
            Phase::Redirected => {
                call.life.phase = Phase::Up;
                self.end_call_if_over(record, now);
            }
            Phase::Over => {
                let key = self.calls.table.key(record);
                self.send_whole(record, out);
                // What was on record may rest from now on.
                key.into_iter().for_each(|call| self.cool(call, now));
            }
            Phase::Up => {}
        }
    }

    /// A call has come to the length of a segment.
    pub(crate) fn on_call_piece_timer(&mut self, record: Handle, now: Timestamp, out: &mut Facts) {
        let next = now + self.config.calls.max_segment;
        let Some(call) = self.calls.table.get_mut(record) else { return };
        (call.life.cut, call.life.cut_at) = (Timer::default(), next);
        self.wheel.set(&mut call.life.cut, next, Target::CallPiece(record));
        call.last_until(now);
        self.send_piece(record, Some(now), out);
    }

    /// Sends every record: of what is decided and not up with its outcome, of the rest as in progress.
    pub(crate) fn drain_calls(&mut self, out: &mut Facts) {
        while let Some(handle) = self.calls.table.oldest() {
            if let Some(call) = self.calls.table.get_mut(handle)
                && !call.life.is_over()
            {
                call.record.outcome = IN_PROGRESS;
            }
            self.send_whole(handle, out);
        }
        self.drain_singles(out);
    }

    /// The last that is told of a call.
    fn send_whole(&mut self, handle: Handle, out: &mut Facts) {
        let Some(mut call) = self.calls.table.remove(handle) else { return };
        self.wheel.cancel(&mut call.life.ends);
        self.wheel.cancel(&mut call.life.cut);
        self.slots.release(call.record.slot);
        self.calls.counts.calls += 1;
        if call.life.is_over() {
            call.close(self.config.timeout(), self.config.proceeding);
        }
        self.calls.header_bytes -= headers::bytes(&call.headers);
        let record = call.whole(&self.config.calls.privacy);
        self.calls.send(record, out);
    }
}
