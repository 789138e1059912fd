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
    /// What gave it session request delays, one for each To tag; [`Tag::NONE`] of a response without one.
    created: Chain<Created>,
}

/// With its link in the pool it takes 64 bytes.
const _: () = assert!(size_of::<Option<Attempt>>() <= 56);

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
    /// When.
    pub at: Timestamp,
    /// By what.
    pub by: FailedBy,
    /// Its caller had given it up (2.6).
    pub given_up: bool,
}

/// By what an INVITE failed.
#[derive(Clone, Copy, Debug)]
pub enum FailedBy {
    /// A final of 300 or more.
    Final {
        status: u16,
        /// Cause of a Q.850 Reason in it, 0 to 999.
        cause: Option<u16>,
    },
    /// No final in time.
    Timeout {
        /// A response had come.
        answered: bool,
        /// It was over 32 s after it was given up, and not before (2.3).
        abandoned: bool,
    },
    /// The answer passed unseen, its ACK did not.
    Unseen,
}

impl FailedBy {
    fn status(self) -> Option<u16> {
        if let Self::Final { status, .. } = self { Some(status) } else { None }
    }
}

/// A dialog was created, which gives a session request delay (RFC 6076 §4.3, §5.4).
#[derive(Clone, Copy, Debug)]
pub struct Created {
    tag: Tag,
    at: Timestamp,
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
        let (state, created) = (State::Open, Chain::default());
        Self { serial, latest: serial, from, slot, t0, state, alerted: false, created }
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
    pub fn on_progress(&mut self, pool: &mut Pool<Created>, tag: Tag, now: Timestamp) -> Option<Progressed> {
        let mut known = 0;
        for (_, created) in self.created.iter(pool) {
            known += 1;
            if created.tag == tag || tag == Tag::NONE || known == MAX_DELAYS {
                return None;
            }
        }
        self.created.push(pool, Created { tag, at: now });
        Some(Progressed { delay: now - self.t0, counts: matches!(self.state, State::Answered) })
    }

    /// The first 2xx.
    pub fn on_answer(&mut self, pool: &mut Pool<Created>, tag: Tag, status: u16, now: Timestamp) -> Ended {
        // A dialog that never rang was created by its 2xx, unless an untagged 1xx alone already stands for it.
        let tags = || self.created.iter(pool).map(|(_, created)| created.tag);
        let only_untagged = tags().all(|tag| tag == Tag::NONE);
        if tags().next().is_none() || !only_untagged && tags().all(|known| known != tag) {
            self.created.push(pool, Created { tag, at: now });
        }
        self.state = State::Answered;
        Ended { outcome: Outcome::Answered, status: Some(status), effective: true, at: now }
    }

    /// It is answered, and nothing is known of it but that one INVITE began it at `began`, and that the dialog with the To
    /// tag `answered` gave its only delay.
    pub fn is_told_by(&self, pool: &Pool<Created>, serial: u32, began: Timestamp, answered: Tag) -> bool {
        let alone = (self.serial, self.latest, self.t0) == (serial, serial, began);
        let delay = self.created.only(pool).is_some_and(|at| self.created.get(pool, at).tag == answered);
        alone && delay && matches!(self.state, State::Answered)
    }

    /// The last of its INVITEs failed: the outcome, where nothing can follow; else it is given when the wait is over.
    pub fn on_failure(&mut self, failed: Failed) -> Option<Ended> {
        if !matches!(self.state, State::Open | State::Held(_)) {
            return None;
        }
        match failed.by {
            FailedBy::Final { status: status @ ..400, .. } if !failed.given_up => {
                self.state = State::Redirected(failed.at);
                let (outcome, status) = (Outcome::Redirected, Some(status));
                Some(Ended { outcome, status, effective: false, at: failed.at })
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
                failed.at + if waits && !failed.given_up { retry_window } else { fork_hold }
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
            FailedBy::Final { cause: Some(cause), .. } if ner_use_q850 => matches!(cause, 16..=19 | 21),
            _ => match status {
                Some(480 | 486 | 600 | 603) => true,
                Some(408 | 487) => self.alerted,
                _ => self.alerted && outcome == Outcome::Cancelled,
            },
        };
        Some(Ended { outcome, status, effective, at: failed.at })
    }

    /// The delays it gave so far.
    pub fn delays<'a>(&'a self, pool: &'a Pool<Created>) -> impl Iterator<Item = Duration> {
        self.created.iter(pool).map(|(_, created)| created.at - self.t0)
    }

    /// Frees what it has in the pool.
    pub fn clear(&mut self, pool: &mut Pool<Created>) {
        while self.created.pop(pool).is_some() {}
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
        FailedBy::Unseen => Outcome::Unseen,
        FailedBy::Final { status, .. } => outcome_of_status(status),
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
