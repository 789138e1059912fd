//! Session attempts: initial INVITEs joined over challenges, their outcomes and the delays that run from the first of
//! them (`sip-metrics.md` 2.6, 4.6; RFC 6076 §4.3).
//!
//! An attempt knows no request and no dialog. What comes in is what became of its INVITEs; what goes out is how it ended
//! and which delays that gives.

use std::time::Duration;

use pipeline::Slot;
use pipeline::event::Outcome;
use wire::Timestamp;

use crate::hash::Tag;
use crate::list::{Chain, Pool};
use crate::transaction::Failure;

/// What RFC 6076 counts.
#[derive(Debug)]
pub struct Attempt {
    /// Number of its first INVITE among the requests of its call.
    pub serial: u32,
    /// Number of its latest INVITE.
    pub latest: u32,
    /// From tag.
    pub from: Tag,
    /// CSeq number of its latest INVITE.
    pub cseq: u32,
    /// Whose labels it has: those of its first INVITE.
    pub slot: Slot,
    /// First byte of the first INVITE; of the one before a redirect where there was one.
    t0: Timestamp,
    state: State,
    /// A 180 was seen at a root.
    alerted: bool,
    /// Session request delays, one for each To tag; [`Tag::NONE`] of a response without one.
    delays: Chain<Delay>,
}

/// How far an attempt went.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Its latest INVITE is undecided.
    Open,
    /// A retryable final came; a retry may join.
    Challenged(Failure),
    /// Redirected then: a new attempt may inherit its start.
    Redirected(Timestamp),
    /// Answered: further branches still give delays.
    Answered,
    /// Any other end.
    Ended,
}

/// The session request delay of a dialog (RFC 6076 §4.3, §5.4).
#[derive(Clone, Copy, Debug)]
pub struct Delay {
    tag: Tag,
    delay: Duration,
}

/// What a new INVITE is to an attempt with its Call-ID and From tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// It goes on with the attempt.
    Joined,
    /// It begins another attempt, which inherits a start.
    Inherits(Timestamp),
    /// It begins another attempt.
    Begins,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ended {
    /// How.
    pub outcome: Outcome,
    /// The final status that decided it.
    pub status: Option<u16>,
    /// It enters the numerator of the E.425 NER (4.3).
    pub effective: bool,
    /// When.
    pub at: Timestamp,
}

impl Attempt {
    /// One that begins with an INVITE, whose first byte was seen at `t0`.
    pub fn new(serial: u32, from: Tag, cseq: u32, slot: Slot, t0: Timestamp) -> Self {
        Self {
            serial,
            latest: serial,
            from,
            cseq,
            slot,
            t0,
            state: State::Open,
            alerted: false,
            delays: Chain::default(),
        }
    }

    /// A new INVITE of its caller: whether it belongs to the attempt.
    pub fn join(&mut self, serial: u32, cseq: u32, now: Timestamp, retry_window: Duration) -> Join {
        if cseq <= self.cseq {
            return Join::Begins;
        }
        match self.state {
            State::Challenged(failure) if now - failure.at < retry_window => {
                (self.state, self.latest, self.cseq) = (State::Open, serial, cseq);
                Join::Joined
            }
            State::Redirected(at) if now - at < retry_window => Join::Inherits(self.t0),
            _ => Join::Begins,
        }
    }

    /// No outcome yet.
    pub fn is_undecided(&self) -> bool {
        matches!(self.state, State::Open | State::Challenged(_))
    }

    /// It waits for another INVITE, or one may inherit from it.
    pub fn awaits_invite(&self) -> bool {
        matches!(self.state, State::Challenged(_) | State::Redirected(_))
    }

    /// How long it has lasted.
    pub fn since_start(&self, now: Timestamp) -> Duration {
        now - self.t0
    }

    /// A 180 was seen.
    pub fn on_alerted(&mut self) {
        self.alerted = true;
    }

    /// A 101-199, or another branch's 2xx, with this To tag: the delay it gives, if it is the first of its dialog
    /// (RFC 6076 §5.4). Without a To tag it gives one only when there is no other.
    pub fn on_progress(&mut self, pool: &mut Pool<Delay>, tag: Tag, now: Timestamp) -> Option<Progressed> {
        let mut known = 0;
        for (_, delay) in self.delays.iter(pool) {
            known += 1;
            if delay.tag == tag || tag == Tag::NONE || known == MAX_DELAYS {
                return None;
            }
        }
        let delay = now - self.t0;
        self.delays.push(pool, Delay { tag, delay });
        Some(Progressed { delay, counts: matches!(self.state, State::Answered) })
    }

    /// The first 2xx.
    pub fn on_answer(&mut self, pool: &mut Pool<Delay>, tag: Tag, status: u16, now: Timestamp) -> Ended {
        // A dialog that never rang was created by its 2xx, unless an untagged 1xx alone already stands for it.
        let delays = || self.delays.iter(pool).map(|(_, delay)| delay.tag);
        let only_untagged = delays().all(|tag| tag == Tag::NONE);
        if delays().next().is_none() || !only_untagged && delays().all(|known| known != tag) {
            self.delays.push(pool, Delay { tag, delay: now - self.t0 });
        }
        self.state = State::Answered;
        Ended { outcome: Outcome::Answered, status: Some(status), effective: true, at: now }
    }

    /// An INVITE of it was decided by a final of 300 or more. `None` while a retry may come.
    pub fn on_failure(&mut self, failure: Failure, cancelled: bool, ner_use_q850: bool) -> Option<Ended> {
        if is_retryable(failure.status) {
            self.state = State::Challenged(failure);
            return None;
        }
        let outcome = outcome_of(failure.status, cancelled);
        self.state = if outcome == Outcome::Redirected { State::Redirected(failure.at) } else { State::Ended };
        Some(self.ended_by(outcome, failure, failure.at, ner_use_q850))
    }

    /// Its INVITE got no final: `answered` when it got anything at all.
    pub fn on_timeout(&mut self, answered: bool, at: Timestamp) -> Ended {
        self.state = State::Ended;
        let outcome = if answered { Outcome::NoFinal } else { Outcome::Timeout };
        Ended { outcome, status: None, effective: false, at }
    }

    /// When the next INVITE is too late.
    pub fn due(&self, retry_window: Duration) -> Timestamp {
        match self.state {
            State::Challenged(failure) => failure.at + retry_window,
            State::Redirected(at) => at + retry_window,
            _ => Timestamp::NEVER,
        }
    }

    /// The retry that a challenge waited for did not come, or nobody can inherit from a redirect any more.
    pub fn on_due(&mut self, at: Timestamp, ner_use_q850: bool) -> Option<Ended> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Challenged(failure) => {
                Some(self.ended_by(Outcome::ChallengeAbandoned, failure, at, ner_use_q850))
            }
            _ => None,
        }
    }

    /// The delays it gave so far.
    pub fn delays<'a>(&'a self, pool: &'a Pool<Delay>) -> impl Iterator<Item = Duration> {
        self.delays.iter(pool).map(|(_, delay)| delay.delay)
    }

    /// Frees what it has in the pool.
    pub fn clear(&mut self, pool: &mut Pool<Delay>) {
        while self.delays.pop(pool).is_some() {}
    }

    fn ended_by(&self, outcome: Outcome, failure: Failure, at: Timestamp, ner_use_q850: bool) -> Ended {
        Ended { outcome, status: Some(failure.status), effective: is_effective(failure, self.alerted, ner_use_q850), at }
    }
}

/// What a 101-199, or another branch's 2xx, gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progressed {
    /// From the first INVITE.
    pub delay: Duration,
    /// The attempt is answered: it counts now.
    pub counts: bool,
}

/// Finals after which the caller may try again under the same Call-ID (2.6): challenges (RFC 3261 §22), what the
/// request itself can mend (§8.1.3.5), 422 (RFC 4028), 494 (RFC 3329).
fn is_retryable(status: u16) -> bool {
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

/// Most session request delays kept of one attempt: as many dialogs may one INVITE create.
const MAX_DELAYS: u32 = 64;
