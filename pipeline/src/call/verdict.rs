//! What is an error: for the status of a span, for the choice of traces, for `calls --failed`.

use sip::Method;

use super::ladder::Transaction;
use super::{CallRecord, IN_PROGRESS, Subject};
use crate::event::Outcome;

impl CallRecord {
    /// `error.type` of the call as a whole: the status that decided its last attempt, `timeout` without a final,
    /// `challenge_abandoned`. `None` when it is no error: answered, busy, declined and the like are the user's
    /// doing, and 404, 410 and 484 the caller's.
    pub fn error(&self) -> Option<ErrorType> {
        if self.subject == Subject::Request {
            return self.transactions.last().and_then(Transaction::error);
        }
        let is = |outcome: Outcome| self.outcome == outcome.as_str();
        if self.outcome == IN_PROGRESS {
            return None;
        }
        if is(Outcome::ChallengeAbandoned) {
            return Some(ErrorType::ChallengeAbandoned);
        }
        let failed = is(Outcome::Ineffective)
            || is(Outcome::Timeout)
            || is(Outcome::NoFinal)
            || is(Outcome::ServerError)
            || is(Outcome::GlobalError)
            || is(Outcome::ClientError) && !matches!(self.status, Some(404 | 410 | 484));
        failed.then(|| self.status.map_or(ErrorType::Timeout, ErrorType::Status))
    }
}

impl Transaction {
    /// `error.type` of one transaction; `None` when it is no error or still open.
    pub fn error(&self) -> Option<ErrorType> {
        match self.status {
            None => self.timed_out.then_some(ErrorType::Timeout),
            Some(status @ 400..500) => match status {
                401 | 402 | 404 | 407 | 410 | 413 | 415 | 416 | 420..=423 | 480 | 484 | 486 | 494 => None,
                487 if self.method == Method::Invite && self.cancelled => None,
                _ => Some(ErrorType::Status(status)),
            },
            Some(status @ 500..600) => Some(ErrorType::Status(status)),
            Some(600 | 603) => None,
            Some(status @ 600..) => Some(ErrorType::Status(status)),
            Some(_) => None,
        }
    }
}

/// The value of `error.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorType {
    /// The final status.
    Status(u16),
    /// There was no final.
    Timeout,
    /// A challenge, or another retryable final, without a retry.
    ChallengeAbandoned,
}

impl std::fmt::Display for ErrorType {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status) => write!(out, "{status}"),
            Self::Timeout => out.write_str("timeout"),
            Self::ChallengeAbandoned => out.write_str("challenge_abandoned"),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
