//! Requests sent to a service, by top Via branch and CSeq, for as long as an answer may say who took them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use hashlink::LinkedHashMap;
use pipeline::affinity::Cause;
use wire::Timestamp;

use crate::hash::Hashed;
use crate::sightings::PAIR;

/// A request to a service.
#[derive(Clone, Copy, Debug)]
pub struct Transaction {
    pub service: u16,
    /// When it was sent.
    pub at: Timestamp,
    /// Who sent it.
    pub client: SocketAddr,
    /// What client and service say to each other.
    pub flow: u64,
    /// The dialog it belongs to; `None` where none is followed.
    pub dialog: Option<u64>,
    pub part: Part,
    /// It is an INVITE without a To tag.
    pub initial: bool,
    pub taken: Taken,
    /// A response to it was seen.
    pub answered: bool,
    /// Its sender behind the translation; `None` where that was not seen.
    pub translated: Option<SocketAddr>,
    pub port: Port,
    pub reply: Reply,
}

/// What a request is to its dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It begins it, with an INVITE.
    Invite,
    /// It begins it, with another method.
    First,
    /// It repeats an INVITE after a challenge.
    Retry,
    /// It has a To tag. If it moved while the first backend is there, that is the cause.
    Within(Cause),
    /// A BYE with a To tag; the same.
    Bye(Cause),
    /// It was sent straight to a backend.
    Bypass,
    /// None of these.
    Other,
}

impl Part {
    /// Whether it matters which backend takes it: the cause, if that is another one than the first.
    pub fn moves(self) -> Option<Cause> {
        match self {
            Self::Retry => Some(Cause::AuthRetry),
            Self::Within(cause) | Self::Bye(cause) => Some(cause),
            Self::Invite | Self::First | Self::Bypass | Self::Other => None,
        }
    }
}

/// Who took a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It may still show.
    Open,
    /// The backend at this place of the service.
    By(u16),
    /// Another backend than took the first of its dialog.
    Elsewhere(u16),
    /// It does not show, and that was counted.
    Unknown,
}

/// Where responses are to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// The sender did not say (RFC 3261 §18.2.2).
    Any,
    /// Where the request came from (RFC 3581 §4).
    Same,
    /// The same, and one went elsewhere, which was counted.
    Missed,
}

/// Whether responses come from the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// As far as was seen.
    Fine,
    /// One with this status came from elsewhere, and not yet from the service.
    Waits(u16),
    /// One came from elsewhere alone, which was counted.
    Untranslated,
}

/// How long a request is remembered: 64 × T1 (RFC 3261 §17.1.1.2).
pub const KEPT: Duration = Duration::from_secs(32);

/// All requests of the last [`KEPT`], the oldest first.
#[derive(Default)]
pub struct Transactions {
    held: LinkedHashMap<u64, Transaction, Hashed>,
    /// Responses that may still come from the service.
    waiting: VecDeque<(Timestamp, u64)>,
    pub evicted: u64,
}

impl Transactions {
    pub fn get_mut(&mut self, key: u64) -> Option<&mut Transaction> {
        self.held.get_mut(&key)
    }

    pub fn contains(&self, key: u64) -> bool {
        self.held.contains_key(&key)
    }

    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// A request was sent. Of more than `max` the oldest goes, which is given.
    pub fn begin(&mut self, key: u64, transaction: Transaction, max: usize) -> Option<Transaction> {
        let oldest = if self.held.len() >= max { self.held.pop_front() } else { None };
        self.evicted += u64::from(oldest.is_some());
        self.held.insert(key, transaction);
        oldest.map(|(_, transaction)| transaction)
    }

    /// The oldest, if it has been there long enough at `now`.
    pub fn pop(&mut self, now: Timestamp) -> Option<Transaction> {
        self.held.front().filter(|(_, transaction)| transaction.at + KEPT <= now)?;
        self.held.pop_front().map(|(_, transaction)| transaction)
    }

    /// When the first of them is forgotten, or a response is not waited for any more.
    pub fn due(&self) -> Timestamp {
        let oldest = self.held.front().map(|(_, transaction)| transaction.at + KEPT);
        let waiting = self.waiting.front().map(|(due, _)| *due);
        oldest.into_iter().chain(waiting).min().unwrap_or(Timestamp::NEVER)
    }

    /// A response came from elsewhere than the service, which may follow. Where `max` wait already, this one is not waited for.
    pub fn wait(&mut self, key: u64, status: u16, now: Timestamp, max: usize) {
        if self.waiting.len() < max
            && let Some(transaction) = self.held.get_mut(&key)
        {
            transaction.reply = Reply::Waits(status);
            self.waiting.push_back((now + PAIR, key));
        }
    }

    /// The next one whose response did not follow by `now`; it is marked.
    pub fn untranslated(&mut self, now: Timestamp) -> Option<u16> {
        while let Some((_, key)) = self.waiting.pop_front_if(|(due, _)| *due < now) {
            if let Some(transaction) = self.held.get_mut(&key)
                && matches!(transaction.reply, Reply::Waits(_))
            {
                transaction.reply = Reply::Untranslated;
                return Some(transaction.service);
            }
        }
        None
    }
}
