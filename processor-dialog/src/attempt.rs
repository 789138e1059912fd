//! Session attempts: initial INVITEs joined over challenges, their outcomes and the delays that run from the
//! first of them (`sip-metrics.md` 2.6, 4.6; RFC 6076 §4.3).

use std::time::Duration;

use pipeline::event::{Evicted, Fact, Outcome};
use pipeline::{Facts, Measure, Slot};
use wire::Timestamp;

use crate::calls::{Part, Record};
use crate::chain::{Chain, Node};
use crate::entries::Handle;
use crate::state::{Seen, State};
use crate::transaction::Failure;
use crate::wheel::{Target, Timer};

/// What RFC 6076 counts.
pub struct Attempt {
    /// Whose labels it has: those of its first INVITE.
    pub slot: Slot,
    /// The record of its call.
    pub record: Handle,
    /// First byte of the first INVITE; of the one before a redirect where there was one.
    pub t0: Timestamp,
    /// Its latest INVITE.
    pub request: Handle,
    /// CSeq number of that.
    pub cseq: u32,
    /// How far it went.
    pub phase: Phase,
    /// A 180 was seen at a root.
    pub alerted: bool,
    /// Session request delays in nanoseconds, each of a To tag ([`UNTAGGED`] without one).
    pub delays: Chain,
    /// Logical requests that belong to it and are remembered.
    pub requests: u32,
    /// Of a challenge or redirect.
    pub timer: Timer,
}

/// How far an attempt went.
#[derive(Clone, Copy, Debug)]
pub enum Phase {
    /// Its latest INVITE is undecided.
    Open,
    /// A retryable final came; a retry may join.
    Challenged(Failure),
    /// Redirected: a new attempt may inherit its start.
    Redirected { at: Timestamp },
    /// Any other end.
    Ended,
    /// Answered: further branches still give delays.
    Answered,
}

impl State {
    /// The attempt a new initial INVITE belongs to: the one it retries, or a new one.
    pub(crate) fn attempt_for(&mut self, request: Handle, seen: &Seen<'_>, out: &mut Facts) -> Handle {
        let key = self.keys.attempt(seen.call, seen.message.from.tag);
        let (now, cseq) = (seen.now(), seen.message.cseq.number);
        let before = self.attempts.find(self.under(seen.call, |group| group.attempts), key);
        if let Some(attempt) = before.and_then(|handle| self.attempts.get(handle))
            && cseq > attempt.cseq
        {
            let earlier = attempt.request;
            self.force_decision(earlier, now, out);
        }
        let mut t0 = seen.frame.first;
        if let Some(handle) = before
            && let Some(attempt) = self.attempts.get_mut(handle)
            && cseq > attempt.cseq
        {
            match attempt.phase {
                Phase::Challenged(failure) if now - failure.at < self.config.retry_window => {
                    attempt.phase = Phase::Open;
                    attempt.request = request;
                    attempt.cseq = cseq;
                    attempt.requests += 1;
                    self.wheel.cancel(&mut attempt.timer);
                    self.attempts.touch(handle);
                    return handle;
                }
                Phase::Redirected { at } if now - at < self.config.retry_window => t0 = attempt.t0,
                _ => {}
            }
        }
        while self.attempts.is_full() {
            self.evict_attempt(now, out);
        }
        let slot = self.slots.hold(self.slot_of(request));
        out.push(slot, Fact::AttemptOpened);
        let record = self.call_attempted(seen, slot, out);
        let attempt = Attempt {
            slot,
            record,
            t0,
            request,
            cseq,
            phase: Phase::Open,
            alerted: false,
            delays: Chain::default(),
            requests: 1,
            timer: Timer::default(),
        };
        self.attempts.insert(&mut self.groups, seen.call, key, attempt)
    }

    /// The record of its call.
    pub(crate) fn record_of_attempt(&self, attempt: Handle) -> Handle {
        self.attempts.get(attempt).map_or(Handle::NONE, |attempt| attempt.record)
    }

    /// Its labels; `other` once it is gone.
    pub(crate) fn slot_of_attempt(&self, attempt: Handle) -> Slot {
        self.attempts.get(attempt).map_or(Slot::OTHER, |attempt| attempt.slot)
    }

    /// A 180 was seen.
    pub(crate) fn attempt_alerted(&mut self, attempt: Handle) {
        if let Some(attempt) = self.attempts.get_mut(attempt) {
            attempt.alerted = true;
        }
    }

    /// A 101-199, or another branch's 2xx: one delay for each dialog created (RFC 6076 §5.4). Without a To tag
    /// it gives a delay only when there is no other.
    pub(crate) fn attempt_progressed(&mut self, attempt: Handle, seen: &Seen<'_>, out: &mut Facts) {
        let of = self.tag_mark(seen);
        let Some(attempt) = self.attempts.get_mut(attempt) else { return };
        let known = self.pool.iter(attempt.delays).any(|node| node.of == of || of == UNTAGGED);
        if known || self.pool.iter(attempt.delays).count() >= MAX_DELAYS {
            return;
        }
        let delay = seen.now() - attempt.t0;
        self.pool.push(&mut attempt.delays, Node { value: nanos(delay), of });
        self.calls.progressed(attempt.record, delay);
        if matches!(attempt.phase, Phase::Answered) {
            let record = Record::Call(attempt.record);
            self.calls.measured(record, attempt.slot, Measure::SetupSuccess, delay, out);
        }
    }

    /// The first 2xx.
    pub(crate) fn attempt_answered(&mut self, handle: Handle, status: u16, seen: &Seen<'_>, out: &mut Facts) {
        let of = self.tag_mark(seen);
        let Some(attempt) = self.attempts.get_mut(handle) else { return };
        let delay = seen.now() - attempt.t0;
        let (slot, record) = (attempt.slot, Record::Call(attempt.record));
        // A dialog that never rang was created by its 2xx, unless an untagged 1xx alone already stands for it.
        let only_untagged = self.pool.iter(attempt.delays).all(|node| node.of == UNTAGGED);
        let none = self.pool.iter(attempt.delays).next().is_none();
        if none || !only_untagged && self.pool.iter(attempt.delays).all(|node| node.of != of) {
            self.pool.push(&mut attempt.delays, Node { value: nanos(delay), of });
        }
        for node in self.pool.iter(attempt.delays) {
            self.calls.measured(record, slot, Measure::SetupSuccess, Duration::from_nanos(node.value), out);
        }
        self.calls.measured(record, slot, Measure::Answer, delay, out);
        out.push(slot, Fact::AttemptEnded { outcome: Outcome::Answered, status: Some(status), effective: true });
        attempt.phase = Phase::Answered;
        let record = attempt.record;
        self.wheel.cancel(&mut attempt.timer);
        self.attempts.retire(handle);
        self.calls.progressed(record, delay);
        self.call_decided(record, Outcome::Answered, Some(status), seen.now());
    }

    /// Its INVITE was decided by a final of 300 or more.
    pub(crate) fn attempt_failed(&mut self, handle: Handle, failure: Failure, cancelled: bool, out: &mut Facts) {
        let Some(attempt) = self.attempts.get_mut(handle) else { return };
        if is_retryable(failure.status) {
            attempt.phase = Phase::Challenged(failure);
            let due = failure.at + self.config.retry_window;
            return self.wheel.set(&mut attempt.timer, due, Target::Attempt(handle));
        }
        let outcome = outcome_of(failure.status, cancelled);
        if outcome == Outcome::Redirected {
            attempt.phase = Phase::Redirected { at: failure.at };
            let due = failure.at + self.config.retry_window;
            self.wheel.set(&mut attempt.timer, due, Target::Attempt(handle));
        } else {
            attempt.phase = Phase::Ended;
            let (slot, record) = (attempt.slot, Record::Call(attempt.record));
            let mut any = false;
            for node in self.pool.iter(attempt.delays) {
                any = true;
                self.calls.measured(record, slot, Measure::SetupFailure, Duration::from_nanos(node.value), out);
            }
            if !any {
                self.calls.measured(record, slot, Measure::SetupFailure, failure.at - attempt.t0, out);
            }
        }
        self.calls.progressed(attempt.record, failure.at - attempt.t0);
        if outcome != Outcome::Redirected {
            self.attempts.retire(handle);
        }
        self.end_attempt(handle, outcome, Some(failure), failure.at, out);
    }

    /// Its INVITE got no final: `rang` when it got anything at all.
    pub(crate) fn attempt_unanswered(&mut self, handle: Handle, rang: bool, now: Timestamp, out: &mut Facts) {
        let Some(attempt) = self.attempts.get_mut(handle) else { return };
        attempt.phase = Phase::Ended;
        self.attempts.retire(handle);
        let outcome = if rang { Outcome::NoFinal } else { Outcome::Timeout };
        self.end_attempt(handle, outcome, None, now, out);
    }

    /// The retry that a challenge waited for did not come, or nobody can inherit from a redirect any more.
    pub(crate) fn on_attempt_timer(&mut self, handle: Handle, now: Timestamp, out: &mut Facts) {
        let Some(attempt) = self.attempts.get_mut(handle) else { return };
        attempt.timer = Timer::default();
        let phase = std::mem::replace(&mut attempt.phase, Phase::Ended);
        if let Phase::Challenged(failure) = phase {
            self.end_attempt(handle, Outcome::ChallengeAbandoned, Some(failure), now, out);
        }
        self.drop_attempt_if_done(handle, now);
    }

    fn end_attempt(
        &mut self,
        handle: Handle,
        outcome: Outcome,
        failure: Option<Failure>,
        at: Timestamp,
        out: &mut Facts,
    ) {
        let by_cause = self.config.ner_use_q850;
        let Some(attempt) = self.attempts.get(handle) else { return };
        let effective = failure.is_some_and(|failure| is_effective(failure, attempt.alerted, by_cause));
        let (record, status) = (attempt.record, failure.map(|failure| failure.status));
        out.push(attempt.slot, Fact::AttemptEnded { outcome, status, effective });
        self.call_decided(record, outcome, status, at);
    }

    /// A logical request of it left memory.
    pub(crate) fn release_attempt(&mut self, handle: Handle, now: Timestamp) {
        if let Some(attempt) = self.attempts.get_mut(handle) {
            attempt.requests -= 1;
            self.drop_attempt_if_done(handle, now);
        }
    }

    /// Nothing can happen to an attempt whose requests are forgotten, unless a timer still waits for the next.
    fn drop_attempt_if_done(&mut self, handle: Handle, now: Timestamp) {
        let waits = |attempt: &Attempt| matches!(attempt.phase, Phase::Challenged(_) | Phase::Redirected { .. });
        if self.attempts.get(handle).is_some_and(|attempt| attempt.requests == 0 && !waits(attempt)) {
            self.drop_attempt(handle, now);
        }
    }

    fn evict_attempt(&mut self, now: Timestamp, out: &mut Facts) {
        let Some(oldest) = self.attempts.oldest() else { return };
        let over = |attempt: &Attempt| matches!(attempt.phase, Phase::Answered | Phase::Ended);
        if !self.attempts.get(oldest).is_some_and(over) {
            out.push(Slot::OTHER, Fact::Evicted(Evicted::Attempts));
        }
        self.drop_attempt(oldest, now);
    }

    fn drop_attempt(&mut self, handle: Handle, now: Timestamp) {
        if let Some(mut attempt) = self.attempts.remove(&mut self.groups, handle) {
            if matches!(attempt.phase, Phase::Open | Phase::Challenged(_)) {
                self.call_lost(attempt.record, Part::Attempt, now);
            }
            self.wheel.cancel(&mut attempt.timer);
            self.pool.clear(&mut attempt.delays);
            self.slots.release(attempt.slot);
        }
    }

    fn tag_mark(&self, seen: &Seen<'_>) -> u32 {
        match seen.message.to.tag {
            [] => UNTAGGED,
            tag => self.keys.short_mark(tag) | 1,
        }
    }
}

/// Finals after which the caller may try again under the same Call-ID (2.6): challenges (RFC 3261 §22), what the
/// request itself can mend (§8.1.3.5), 422 (RFC 4028), 494 (RFC 3329).
pub fn is_retryable(status: u16) -> bool {
    matches!(status, 401 | 407 | 413 | 415 | 416 | 420 | 421 | 422 | 494)
}

fn outcome_of(status: u16, cancelled: bool) -> Outcome {
    match status {
        ..400 => Outcome::Redirected,
        486 | 600 => Outcome::Busy,
        480 => Outcome::NoAnswer,
        603 => Outcome::Declined,
        487 if cancelled => Outcome::Cancelled,
        408 | 500 | 503 | 504 => Outcome::Ineffective,
        400..500 => Outcome::ClientError,
        500..600 => Outcome::ServerError,
        600.. => Outcome::GlobalError,
    }
}

/// Whether a failed attempt enters the numerator of the E.425 NER (4.3).
fn is_effective(failure: Failure, alerted: bool, by_cause: bool) -> bool {
    match failure.cause {
        Some(cause) if by_cause => matches!(cause, 16..=19 | 21),
        _ => match failure.status {
            480 | 486 | 600 | 603 => true,
            408 | 487 => alerted,
            _ => false,
        },
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// In place of a To tag's mark: the response had none.
const UNTAGGED: u32 = 0;
/// Most session request delays kept of one attempt: as many dialogs may one INVITE create.
const MAX_DELAYS: usize = 64;
