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
    /// An INVITE of it is undecided.
    Open,
    /// All failed, the last one so; another may join.
    Held(Failed),
    /// Redirected then: a new attempt may inherit its start.
    Redirected(Timestamp),
    /// Answered: further branches still give delays.
    Answered,
    /// Any other outcome.
    Ended,
}

/// How an INVITE of it failed.
#[derive(Clone, Copy, Debug)]
pub struct Failed {
    /// Its number among the requests of its call.
    pub serial: u32,
    /// By what.
    pub by: FailedBy,
    /// Its caller had given it up (2.6).
    pub given_up: bool,
}

/// By what an INVITE failed.
#[derive(Clone, Copy, Debug)]
pub enum FailedBy {
    /// A final of 300 or more.
    Final(Failure),
    /// No final in time, then.
    Timeout {
        at: Timestamp,
        /// A response had come.
        answered: bool,
        /// It was over 32 s after it was given up, and not before (2.3).
        abandoned: bool,
    },
    /// The answer passed unseen, its ACK did not, then.
    Unseen(Timestamp),
}

impl FailedBy {
    fn at(self) -> Timestamp {
        match self {
            Self::Final(failure) => failure.at,
            Self::Timeout { at, .. } | Self::Unseen(at) => at,
        }
    }

    fn status(self) -> Option<u16> {
        if let Self::Final(failure) = self { Some(failure.status) } else { None }
    }
}

/// The session request delay of a dialog (RFC 6076 §4.3, §5.4).
#[derive(Clone, Copy, Debug)]
pub struct Delay {
    tag: Tag,
    delay: Duration,
}

/// What a new INVITE is to the newest attempt with its Call-ID and From tag.
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
    /// When what decided it came.
    pub at: Timestamp,
}

impl Ended {
    /// Whether it gives session request delays (4.6).
    pub fn is_measured(&self) -> bool {
        use Outcome::{ChallengeAbandoned, NoFinal, Redirected, Timeout, Unseen};
        !matches!(self.outcome, Redirected | ChallengeAbandoned | Timeout | NoFinal | Unseen)
    }
}

impl Attempt {
    /// One that begins with an INVITE, whose first byte was seen at `t0`.
    pub fn new(serial: u32, from: Tag, slot: Slot, t0: Timestamp) -> Self {
        let (state, delays) = (State::Open, Chain::default());
        Self { serial, latest: serial, from, slot, t0, state, alerted: false, delays }
    }

    /// A new INVITE of its caller joins as long as there is no outcome.
    pub fn join(&mut self, serial: u32, now: Timestamp, retry_window: Duration) -> Join {
        match self.state {
            State::Open | State::Held(_) => {
                (self.state, self.latest) = (State::Open, serial);
                Join::Joined
            }
            State::Redirected(at) if now - at < retry_window => Join::Inherits(self.t0),
            _ => Join::Begins,
        }
    }

    /// No outcome yet.
    pub fn is_undecided(&self) -> bool {
        matches!(self.state, State::Open | State::Held(_))
    }

    /// It has a failing outcome: a 2xx is late.
    pub fn has_failed(&self) -> bool {
        matches!(self.state, State::Ended | State::Redirected(_))
    }

    /// It waits for another INVITE, or one may inherit from it.
    pub fn awaits_invite(&self) -> bool {
        matches!(self.state, State::Held(_) | State::Redirected(_))
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

    /// The last of its INVITEs failed: the outcome, where nothing can follow; else it is given when the wait is over.
    pub fn on_failure(&mut self, failed: Failed) -> Option<Ended> {
        if !matches!(self.state, State::Open | State::Held(_)) {
            return None;
        }
        match failed.by {
            FailedBy::Final(failure) if failure.status < 400 && !failed.given_up => {
                self.state = State::Redirected(failure.at);
                Some(Ended {
                    outcome: Outcome::Redirected,
                    status: Some(failure.status),
                    effective: false,
                    at: failure.at,
                })
            }
            _ => {
                self.state = State::Held(failed);
                None
            }
        }
    }

    /// An INVITE of it was given up, or that was refused, before the outcome.
    pub fn on_given_up(&mut self, serial: u32, given_up: bool) {
        if let State::Held(failed) = &mut self.state
            && failed.serial == serial
        {
            failed.given_up = given_up;
        }
    }

    /// When its outcome is given, or the next INVITE is too late to inherit from it.
    pub fn due(&self, fork_hold: Duration, retry_window: Duration) -> Timestamp {
        match self.state {
            State::Held(failed) => {
                let waits = failed.by.status().is_some_and(waits_for_caller);
                failed.by.at() + if waits && !failed.given_up { retry_window } else { fork_hold }
            }
            State::Redirected(at) => at + retry_window,
            _ => Timestamp::NEVER,
        }
    }

    /// Its failure waits for nothing but another try of the network, or more digits: at the end of a capture none follows.
    pub fn settles(&self) -> bool {
        let retryable = |failed: Failed| !failed.given_up && failed.by.status().is_some_and(is_retryable);
        matches!(self.state, State::Held(failed) if !retryable(failed))
    }

    /// Nothing joined in time: how it ended, or nobody can inherit from a redirect any more.
    pub fn on_due(&mut self, ner_use_q850: bool) -> Option<Ended> {
        let State::Held(failed) = std::mem::replace(&mut self.state, State::Ended) else { return None };
        let (outcome, status) = (outcome_of(failed), failed.by.status());
        let effective = match failed.by {
            FailedBy::Final(Failure { cause: Some(cause), .. }) if ner_use_q850 => matches!(cause, 16..=19 | 21),
            _ => match status {
                Some(480 | 486 | 600 | 603) => true,
                Some(408 | 487) => self.alerted,
                _ => self.alerted && outcome == Outcome::Cancelled,
            },
        };
        Some(Ended { outcome, status, effective, at: failed.by.at() })
    }

    /// The delays it gave so far.
    pub fn delays<'a>(&'a self, pool: &'a Pool<Delay>) -> impl Iterator<Item = Duration> {
        self.delays.iter(pool).map(|(_, delay)| delay.delay)
    }

    /// Frees what it has in the pool.
    pub fn clear(&mut self, pool: &mut Pool<Delay>) {
        while self.delays.pop(pool).is_some() {}
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

/// Whether the caller may go on after a final: with what it can mend, or with more digits (RFC 3578).
pub fn waits_for_caller(status: u16) -> bool {
    status == 484 || is_retryable(status)
}

fn outcome_of(failed: Failed) -> Outcome {
    match failed.by {
        FailedBy::Timeout { answered: false, .. } => Outcome::Timeout,
        FailedBy::Timeout { abandoned: true, .. } => Outcome::Cancelled,
        FailedBy::Timeout { .. } => Outcome::NoFinal,
        _ if failed.given_up => Outcome::Cancelled,
        FailedBy::Unseen(_) => Outcome::Unseen,
        FailedBy::Final(Failure { status, .. }) => outcome_of_status(status),
    }
}

/// What a final of 300 or more makes of an attempt that was not given up, when nothing follows it.
pub fn outcome_of_status(status: u16) -> Outcome {
    match status {
        _ if is_retryable(status) => Outcome::ChallengeAbandoned,
        ..400 => Outcome::Redirected,
        486 | 600 => Outcome::Busy,
        480 => Outcome::NoAnswer,
        603 => Outcome::Declined,
        408 | 500 | 503 | 504 => Outcome::Ineffective,
        400..500 => Outcome::ClientError,
        500..600 => Outcome::ServerError,
        600.. => Outcome::GlobalError,
    }
}

/// Most session request delays kept of one attempt: as many dialogs may one INVITE create.
const MAX_DELAYS: u32 = 64;
