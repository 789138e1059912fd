//! Records of whole calls, where somebody asked for them: one under each Call-ID, from its first INVITE until
//! nothing can join it any more.
//!
//! This is the one place that keeps values of the wire. Privacy is applied when the record is made.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use pipeline::call::ladder::{Endpoint, LadderForm, SpanId};
use pipeline::call::{IN_PROGRESS, Subject};
use pipeline::event::{End, Outcome};
use pipeline::{CallRecord, Facts, Slot};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use wire::Timestamp;

use crate::key::Key;
use crate::state::{Seen, State};
use crate::table::{Handle, Table};
use crate::wheel::{Target, Timer};

/// `[processors.dialog.calls]` in pipeline.toml.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Config {
    /// What a record may hold.
    pub privacy: Privacy,
}

/// What a record may hold of who called whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Privacy {
    /// What becomes of phone numbers (the user parts of From and To). Default `drop`; `plain` in commands that
    /// read a file the user already holds.
    pub numbers: Numbers,
    /// The secret of `hmac`.
    pub key: String,
}

/// What becomes of phone numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Numbers {
    /// Not recorded.
    #[default]
    Drop,
    /// The first four digits; every further one is `*`.
    Mask,
    /// The first 16 hex digits of HMAC-SHA-256 under `privacy.key`.
    Hmac,
    /// As they are.
    Plain,
}

impl Privacy {
    /// What may be shown of a user part.
    pub fn number(&self, user: &[u8]) -> Option<String> {
        match self.numbers {
            Numbers::Drop => None,
            Numbers::Plain => Some(text(user)),
            Numbers::Mask => {
                let mut shown = 0;
                Some(
                    text(user)
                        .chars()
                        .map(|c| {
                            shown += u32::from(c != '+');
                            if shown > 4 { '*' } else { c }
                        })
                        .collect(),
                )
            }
            Numbers::Hmac => {
                let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_bytes()).expect("HMAC takes any key");
                mac.update(user);
                let digest = mac.finalize().into_bytes();
                Some(digest[..8].iter().map(|byte| format!("{byte:02x}")).collect())
            }
        }
    }
}

/// The trace a call is: MD5 over the Call-ID with its length as four bytes before it, as OpenSIPS makes it, so
/// that several observers agree without talking to each other.
pub fn trace_id(call_id: &[u8]) -> [u8; 16] {
    let mut md5 = Md5::new();
    md5.update(u32::try_from(call_id.len()).unwrap_or(u32::MAX).to_be_bytes());
    md5.update(call_id);
    md5.finalize().into()
}

/// The calls on record.
pub struct Calls {
    enabled: bool,
    table: Table<Call>,
}

struct Call {
    record: CallRecord,
    /// Attempts that are undecided or may be retried.
    attempts: u32,
    /// Confirmed dialogs.
    dialogs: u32,
    phase: Phase,
    timer: Timer,
}

/// What a call waits for.
#[derive(Clone, Copy)]
pub enum Part {
    /// The outcome of an attempt.
    Attempt,
    /// The end of a confirmed dialog.
    Dialog,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Up,
    /// Redirected: the next INVITE may still come.
    Redirected,
    /// Over; repeats and ACKs are still counted.
    Over,
}

impl Calls {
    /// No calls yet.
    pub fn new(capacity: usize, enabled: bool) -> Self {
        Self { enabled, table: Table::new(capacity) }
    }

    /// Changes the bound.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.table.set_capacity(capacity);
    }

    /// Calls on record.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// A message under some Call-ID.
    pub fn on_message(&mut self, call: Key) {
        if let Some(call) = self.find(call) {
            call.record.messages += 1;
        }
    }

    /// An attempt went on: the first 101-199 or the deciding final came after `setup`.
    pub fn on_progress(&mut self, call: Key, setup: Duration) {
        if let Some(call) = self.find(call) {
            call.record.setup.get_or_insert(setup);
        }
    }

    /// Ringing ended.
    pub fn on_rang(&mut self, call: Key, ring: Duration) {
        if let Some(call) = self.find(call) {
            call.record.ring = Some(ring);
        }
    }

    /// A dialog was confirmed.
    pub fn on_confirmed(&mut self, call: Key) {
        if let Some(call) = self.find(call) {
            call.dialogs += 1;
            call.phase = Phase::Up;
        }
    }

    fn find(&mut self, call: Key) -> Option<&mut Call> {
        if !self.enabled {
            return None;
        }
        let handle = self.table.find(call)?;
        self.table.get_mut(handle)
    }
}

impl State {
    /// An attempt began under a Call-ID: the first makes the record.
    pub(crate) fn call_attempted(&mut self, seen: &Seen<'_>, slot: Slot, out: &mut Facts) {
        if !self.calls.enabled {
            return;
        }
        if let Some(call) = self.calls.find(seen.call) {
            call.attempts += 1;
            call.phase = Phase::Up;
            // The record tells of the last attempt.
            (call.record.setup, call.record.ring, call.record.status) = (None, None, None);
            return self.wheel.cancel(&mut call.timer);
        }
        while self.calls.table.is_full() {
            let Some(oldest) = self.calls.table.oldest() else { break };
            // Reported before its end rather than not at all.
            self.report_call(oldest, out);
        }
        let message = seen.message;
        let privacy = &self.config.calls.privacy;
        let number = |uri| sip::uri::user(uri).and_then(|user| privacy.number(user));
        let start = seen.frame.first.as_nanos().saturating_add_signed(seen.frame.wall_offset);
        let trace_id = trace_id(message.call_id);
        let (source, destination) = (seen.frame.source, seen.frame.destination);
        let record = CallRecord {
            subject: Subject::Call,
            piece: 1,
            last: true,
            slot: self.slots.hold(slot),
            call_id: text(message.call_id).into(),
            trace_id,
            offered: None,
            span: SpanId(*trace_id.first_chunk().expect("a trace id is longer than a span id")),
            debug: false,
            start: Timestamp::from_nanos(start),
            until: Timestamp::from_nanos(start),
            caller: number(message.from.uri).map(Into::into),
            callee: number(message.to.uri).map(Into::into),
            has_number: false,
            user_agent: None,
            server: None,
            source: 0,
            destination: 1,
            transport: seen.frame.transport,
            outcome: IN_PROGRESS,
            status: None,
            end: None,
            disconnected_by: None,
            hangup_cause: None,
            setup: None,
            ring: None,
            duration: None,
            messages: 1,
            retransmissions: 0,
            measured: Vec::new(),
            endpoints: vec![Endpoint { address: source }, Endpoint { address: destination }],
            transactions: Vec::new(),
            ringing: Vec::new(),
            sessions: Vec::new(),
            ladder: Vec::new(),
            ladder_cut: 0,
            ladder_form: LadderForm::Events,
        };
        let call = Call { record, attempts: 1, dialogs: 0, phase: Phase::Up, timer: Timer::default() };
        self.calls.table.insert(seen.call, call);
    }

    /// An attempt ended.
    pub(crate) fn call_decided(&mut self, call: Key, outcome: Outcome, status: Option<u16>, at: Timestamp) {
        let retry = at + self.config.retry_window;
        let Some(handle) = self.calls.enabled.then(|| self.calls.table.find(call)).flatten() else { return };
        let Some(call) = self.calls.table.get_mut(handle) else { return };
        call.attempts = call.attempts.saturating_sub(1);
        call.record.outcome = outcome.as_str();
        call.record.status = status;
        if outcome == Outcome::Redirected {
            call.phase = Phase::Redirected;
            return self.wheel.set(&mut call.timer, retry, Target::Call(handle));
        }
        self.end_call_if_over(handle, at);
    }

    /// A confirmed dialog ended after `duration` (`None` for others than the primary one).
    pub(crate) fn call_hung_up(&mut self, call: Key, end: End, duration: Option<Duration>, at: Timestamp) {
        let Some(handle) = self.calls.enabled.then(|| self.calls.table.find(call)).flatten() else { return };
        let Some(call) = self.calls.table.get_mut(handle) else { return };
        call.dialogs = call.dialogs.saturating_sub(1);
        if duration.is_some() || call.record.end.is_none() {
            call.record.end = Some(end.as_str());
            call.record.duration = duration.or(call.record.duration);
        }
        self.end_call_if_over(handle, at);
    }

    /// A part of it that had not ended was forgotten, and cannot end any more.
    pub(crate) fn call_lost(&mut self, call: Key, part: Part, at: Timestamp) {
        let Some(handle) = self.calls.enabled.then(|| self.calls.table.find(call)).flatten() else { return };
        let Some(call) = self.calls.table.get_mut(handle) else { return };
        let parts = match part {
            Part::Attempt => &mut call.attempts,
            Part::Dialog => &mut call.dialogs,
        };
        *parts = parts.saturating_sub(1);
        self.end_call_if_over(handle, at);
    }

    fn end_call_if_over(&mut self, handle: Handle, at: Timestamp) {
        let linger = at + self.timeout();
        let Some(call) = self.calls.table.get_mut(handle) else { return };
        if call.attempts == 0 && call.dialogs == 0 && call.phase != Phase::Redirected {
            call.phase = Phase::Over;
            self.wheel.set(&mut call.timer, linger, Target::Call(handle));
        }
    }

    /// Nothing joined a redirected call, or nothing more is to be counted on one that is over.
    pub(crate) fn on_call_timer(&mut self, handle: Handle, now: Timestamp, out: &mut Facts) {
        let Some(call) = self.calls.table.get_mut(handle) else { return };
        call.timer = Timer::default();
        match call.phase {
            Phase::Redirected => {
                call.phase = Phase::Up;
                self.end_call_if_over(handle, now);
            }
            Phase::Over => self.report_call(handle, out),
            Phase::Up => {}
        }
    }

    /// Reports every call: those that are over with their outcome, the others as in progress.
    pub(crate) fn drain_calls(&mut self, out: &mut Facts) {
        while let Some(handle) = self.calls.table.oldest() {
            if let Some(call) = self.calls.table.get_mut(handle)
                && call.phase != Phase::Over
            {
                call.record.outcome = IN_PROGRESS;
            }
            self.report_call(handle, out);
        }
    }

    fn report_call(&mut self, handle: Handle, out: &mut Facts) {
        if let Some(mut call) = self.calls.table.remove(handle) {
            self.wheel.cancel(&mut call.timer);
            self.slots.release(call.record.slot);
            out.calls.push(pipeline::Call { record: call.record.into(), threshold: None });
        }
    }
}

/// What is shown of a value: bounded, and text whatever it holds.
fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(&value[..value.len().min(MAX_TEXT)]).into_owned()
}

/// Longest value kept of a header field (1.8).
const MAX_TEXT: usize = 1024;
