//! Calls to queues: what is inferred of a caller's wait from signalling (`sip-metrics.md` 4.8).
//!
//! A queue answers before its caller waits, so that the answer alone says nothing. Somebody has taken the call when the
//! queue's side transfers it or changes its session, or when another answer comes than the queue's own. A call to a queue
//! knows the attempt it is, the dialog it was answered by, and when the wait began; what comes in is what happened there,
//! what goes out is how the wait ended.

use std::time::Duration;

use pipeline::event::{Outcome, QueueEnd};
use pipeline::labels::Name;
use wire::Timestamp;

use crate::hash::Tag;

/// A caller in a queue, or on the way there.
#[derive(Clone, Copy, Debug)]
pub struct QueueCall {
    /// Which queue.
    pub queue: Name,
    /// Number of its attempt.
    pub attempt: u32,
    /// From tag of its caller.
    pub from: Tag,
    state: State,
}

/// Where the caller is.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Nobody has said anything, since the INVITE.
    Calling { since: Timestamp },
    /// In the queue, by a 182 with this tag.
    Queued { since: Timestamp, tag: Tag },
    /// In the queue, which answered with this tag.
    Answered { since: Timestamp, tag: Tag },
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Left {
    /// How.
    pub end: QueueEnd,
    /// How long it was.
    pub waited: Duration,
}

impl QueueCall {
    /// One that begins with an INVITE, whose first byte was seen at `since`.
    pub fn new(queue: Name, attempt: u32, from: Tag, since: Timestamp) -> Self {
        Self { queue, attempt, from, state: State::Calling { since } }
    }

    /// The pair of tags of the dialog it was answered by; `None` before.
    pub fn tags(&self) -> Option<[Tag; 2]> {
        let State::Answered { tag, .. } = self.state else { return None };
        Some([self.from, tag])
    }

    /// The first 182 puts the caller into the queue.
    pub fn on_queued(&mut self, tag: Tag, now: Timestamp) {
        if let State::Calling { .. } = self.state {
            self.state = State::Queued { since: now, tag };
        }
    }

    /// A 2xx: the queue's own, or somebody has taken the call: after a 182 with another tag, or after an answer.
    pub fn on_answer(&mut self, tag: Tag, now: Timestamp) -> Option<Left> {
        match self.state {
            State::Queued { tag: queue, .. } | State::Answered { tag: queue, .. } if tag != queue => {
                Some(self.left(QueueEnd::Served, now))
            }
            State::Answered { .. } => None,
            State::Calling { .. } | State::Queued { .. } => {
                self.state = State::Answered { since: now, tag };
                None
            }
        }
    }

    /// A REFER, re-INVITE or UPDATE within its dialog: from the queue's side somebody takes the call.
    pub fn on_moved(&self, sender: Tag, now: Timestamp) -> Option<Left> {
        let moved = self.tags().is_some() && sender != self.from;
        moved.then(|| self.left(QueueEnd::Served, now))
    }

    /// The first BYE within its dialog.
    pub fn on_bye(&self, sender: Tag, now: Timestamp) -> Option<Left> {
        let end = if sender == self.from { QueueEnd::Abandoned } else { QueueEnd::Ended };
        self.tags().map(|_| self.left(end, now))
    }

    /// Its attempt ended otherwise than answered; `None` where nothing is known of the answer.
    pub fn on_failed(&self, outcome: Outcome, status: Option<u16>, at: Timestamp) -> Option<Left> {
        let end = match outcome {
            Outcome::Answered | Outcome::Unseen => return None,
            Outcome::Cancelled => QueueEnd::Abandoned,
            Outcome::Timeout | Outcome::NoFinal => QueueEnd::Timeout,
            _ if status == Some(REQUEST_TIMEOUT) => QueueEnd::Timeout,
            _ => QueueEnd::Refused,
        };
        Some(self.left(end, at))
    }

    fn left(&self, end: QueueEnd, at: Timestamp) -> Left {
        let (State::Calling { since } | State::Queued { since, .. } | State::Answered { since, .. }) = self.state;
        Left { end, waited: at - since }
    }
}

/// 408: the callee could not be reached in time (RFC 3261 §21.4.9).
const REQUEST_TIMEOUT: u16 = 408;
