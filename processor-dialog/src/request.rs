//! Requests as their originators made them, with all their hops and branches: how far each came, how long it is waited
//! for and remembered (`sip-metrics.md` 0.1 "logical request", 2.3, 2.4, 2.5).
//!
//! A request knows its transactions and nothing else. What comes in is what a message turned out to be; what goes out is
//! what it changed. [`crate::turn`] tells attempts, dialogs and registrations of it.

use std::time::Duration;

use pipeline::Slot;
use sip::Method;
use wire::Timestamp;

use crate::hash::Tag;
use crate::list::{At, List, Pool};
use crate::observed::Observed;
use crate::transaction::{Failure, Final, ItemId, Sender, Transaction, TransactionPools};

/// A request with its transactions.
#[derive(Debug)]
pub struct Request {
    /// Its number among the requests of its call.
    pub serial: u32,
    /// Its method.
    pub method: Method,
    /// From tag.
    pub from: Tag,
    /// To tag of the request; [`Tag::NONE`] outside of dialogs, and while only responses were seen.
    pub to: Tag,
    /// CSeq number; see [`Observed::cseq`].
    pub cseq: u32,
    /// Whose labels it is counted under.
    pub slot: Slot,
    /// How far it came.
    pub progress: Progress,
    /// First byte of its first transmission; of what was seen first until the request itself was.
    pub t1: Timestamp,
    /// Largest number of Vias seen on it, 0 to 70.
    pub depth: u8,
    /// Causes of its finals were counted (4.6).
    pub reason_counted: bool,
    /// It opens a recording session (RFC 7866), which is no call (2.6).
    pub recording: bool,
    /// Its transactions.
    pub transactions: List<Transaction>,
}

/// With its link in the pool it takes 136 bytes.
const _: () = assert!(size_of::<Option<Request>>() <= 128);

/// How far a request came; each state until when it lasts unless something happens (2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The request was not seen at a root: only responses were, or hops whose root is elsewhere.
    Uncounted {
        /// Then it is forgotten.
        until: Timestamp,
        /// What answered it.
        heard: Heard,
    },
    /// No response yet.
    Calling {
        /// Then it has timed out.
        until: Timestamp,
    },
    /// A provisional response came.
    Proceeding {
        /// Then it has timed out.
        until: Timestamp,
    },
    /// Every branch failed, below a proxy; another may come (2.5).
    Forking {
        /// Then the best failure decides.
        until: Timestamp,
    },
    /// Nothing is waited for: an ACK.
    Remembered {
        /// Then it is forgotten.
        until: Timestamp,
    },
    /// A final decided it.
    Decided {
        /// Then it is forgotten.
        until: Timestamp,
        /// That final, 200 to 699.
        status: u16,
    },
    /// No final came in time, or the answer passed unseen (2.6).
    TimedOut {
        /// Then it is forgotten.
        until: Timestamp,
    },
}

/// What answered a request that was not seen itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing.
    Nothing,
    /// A provisional response.
    Provisional,
    /// A final: the first one.
    Final(u16),
}

/// What a request's deadline brought.
#[derive(Clone, Copy, Debug)]
pub enum Expired {
    /// It is forgotten.
    Forgotten,
    /// It got no final in time, after a provisional response or without any.
    TimedOut {
        /// A response had come.
        answered: bool,
    },
    /// The failure of its branches decides.
    Failed(Failure),
}

/// How long requests are waited for (0.3).
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// For a final.
    pub timeout: Duration,
    /// For the final of an INVITE after its last provisional.
    pub proceeding: Duration,
    /// For another branch, or another try.
    pub fork_hold: Duration,
}

impl Progress {
    /// When the state ends by itself.
    pub fn until(self) -> Timestamp {
        match self {
            Self::Uncounted { until, .. }
            | Self::Calling { until }
            | Self::Proceeding { until }
            | Self::Forking { until }
            | Self::Remembered { until }
            | Self::Decided { until, .. }
            | Self::TimedOut { until } => until,
        }
    }

    /// Nothing of it can be counted any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Remembered { .. } | Self::Decided { .. } | Self::TimedOut { .. })
    }
}

impl Request {
    /// One of which a message was seen, without transactions; it is forgotten at `until`.
    pub fn new(serial: u32, slot: Slot, to: Tag, seen: &Observed<'_>, until: Timestamp) -> Self {
        Self {
            serial,
            method: seen.method(),
            from: seen.from,
            to,
            cseq: seen.cseq,
            slot,
            progress: Progress::Uncounted { until, heard: Heard::Nothing },
            t1: seen.frame.first,
            depth: 0,
            reason_counted: false,
            recording: false,
            transactions: List::default(),
        }
    }

    /// Whether a request message is of it (0.1).
    pub fn is_named(&self, seen: &Observed<'_>) -> bool {
        self.is_behind(seen) && self.to == seen.to
    }

    /// Whether a response whose request was never seen is of it (2.3): the same but for the To tag.
    pub fn is_behind(&self, seen: &Observed<'_>) -> bool {
        (self.cseq, self.method, self.from) == (seen.cseq, seen.method(), seen.from)
    }

    /// The request was seen at a root.
    pub fn is_counted(&self) -> bool {
        !matches!(self.progress, Progress::Uncounted { .. })
    }

    /// It waits for a final.
    pub fn is_open(&self) -> bool {
        matches!(self.progress, Progress::Calling { .. } | Progress::Proceeding { .. } | Progress::Forking { .. })
    }

    /// Every branch seen failed, and another is waited for.
    pub fn is_forking(&self) -> bool {
        matches!(self.progress, Progress::Forking { .. })
    }

    /// The request was seen, at a root or below: its labels are its own.
    pub fn slot_is_own(&self) -> bool {
        self.is_counted() || self.slot != Slot::OTHER
    }

    /// It is an INVITE without To tag that was seen, and no recording session.
    pub fn is_initial_invite(&self) -> bool {
        self.method == Method::Invite && self.to == Tag::NONE && self.is_counted() && !self.recording
    }

    /// The final that decided it.
    pub fn status(&self) -> Option<u16> {
        match self.progress {
            Progress::Decided { status, .. } | Progress::Uncounted { heard: Heard::Final(status), .. } => Some(status),
            _ => None,
        }
    }

    /// Whether a transaction of a request with the same name belongs to it: one above or below one of its own always, any
    /// other while it is open (2.5).
    pub fn takes(
        &self,
        pool: &Pool<Transaction>,
        pools: &TransactionPools,
        new: &Transaction,
        now: Timestamp,
        fork_hold: Duration,
    ) -> bool {
        let mut transactions = self.transactions.iter(pool).map(|(_, tx)| tx);
        if transactions.any(|tx| tx.is_below(new, pools) || new.is_below(tx, pools)) {
            return true;
        }
        match self.progress {
            Progress::Decided { .. } | Progress::TimedOut { .. } => false,
            Progress::Remembered { .. } => now - self.t1 < fork_hold,
            // To another server it is the same request tried elsewhere (RFC 3263 §4.3), from another sender the same passed
            // on; again to a server that has been silent so long it is a new ping, redial or login.
            _ => !self.roots(pool).any(|tx| {
                new.sender != Sender::Proxy
                    && tx.sender == new.sender
                    && tx.is_open()
                    && new.began - tx.began >= fork_hold
            }),
        }
    }

    /// Adds a transaction and ranks it among the others by their Vias: whichever is below another is no root (2.4). An
    /// error when it has as many as may be: what comes then is one more hop copy.
    pub fn attach(
        &mut self,
        pool: &mut Pool<Transaction>,
        pools: &TransactionPools,
        mut new: Transaction,
    ) -> Result<At, Transaction> {
        if self.transactions.iter(pool).count() >= MAX_TRANSACTIONS {
            return Err(new);
        }
        self.transactions.for_each(pool, |other| {
            new.root &= !new.is_below(other, pools);
            other.root &= !other.is_below(&new, pools);
        });
        Ok(self.transactions.push(pool, new))
    }

    /// The request is counted: its first sighting at a root, at `began`.
    pub fn count(&mut self, began: Timestamp, waits: Waits) {
        let heard = match self.progress {
            Progress::Uncounted { heard, .. } => heard,
            _ => Heard::Nothing,
        };
        self.t1 = began;
        let until = began + waits.timeout;
        self.progress = match heard {
            Heard::Final(status) => Progress::Decided { until, status },
            _ if self.method == Method::Ack => Progress::Remembered { until },
            Heard::Provisional if self.method == Method::Invite => {
                Progress::Proceeding { until: began + waits.proceeding }
            }
            Heard::Provisional => Progress::Proceeding { until },
            Heard::Nothing => Progress::Calling { until },
        };
    }

    /// Another root, or one above the root: the earlier first byte counts. Its final is waited for as well.
    pub fn on_another_root(&mut self, pool: &Pool<Transaction>, began: Timestamp, waits: Waits) {
        self.t1 = self.t1.min(began);
        let later = began + waits.timeout;
        let proceeds = self.method == Method::Invite && self.roots(pool).any(|tx| matches!(tx.outcome, Final::None));
        match &mut self.progress {
            Progress::Forking { .. } => self.progress = Progress::Proceeding { until: later },
            Progress::Calling { until } => *until = later.max(*until),
            Progress::Proceeding { until } if !proceeds => *until = later.max(*until),
            _ => {}
        }
    }

    /// Counts a response item, unless a transaction of it counted it before, or as many are counted as may be (2.4).
    pub fn count_item(
        &mut self,
        pool: &mut Pool<Transaction>,
        pools: &mut TransactionPools,
        at: At,
        item: ItemId,
    ) -> bool {
        let mut counted = 0;
        for (other, tx) in self.transactions.iter(pool) {
            counted += u32::from(tx.counted());
            if other != at && tx.counts(item, pools) {
                return false;
            }
        }
        if counted >= MAX_ITEMS {
            return false;
        }
        self.transactions.get_mut(pool, at).count(item, pools);
        true
    }

    /// A provisional response at a root, repeated or not. An INVITE has more time with each (2.3).
    pub fn on_provisional(&mut self, now: Timestamp, proceeding: Duration) {
        let invite = self.method == Method::Invite;
        let longer = now + proceeding;
        match &mut self.progress {
            Progress::Calling { until } => {
                let until = if invite { longer } else { *until };
                self.progress = Progress::Proceeding { until };
            }
            Progress::Proceeding { until } if invite => *until = longer,
            Progress::Uncounted { until, heard } if !matches!(heard, Heard::Final(_)) => {
                *heard = Heard::Provisional;
                if invite {
                    *until = longer;
                }
            }
            _ => {}
        }
    }

    /// It is over at `at` unless a final comes before (RFC 3261 §9.1): given up, and that was acknowledged.
    pub fn over_by(&mut self, at: Timestamp) {
        if let Progress::Proceeding { until } = &mut self.progress {
            *until = at.min(*until);
        }
    }

    /// A final decides it, or the first one where the request was not seen; it is then remembered for `timeout`.
    pub fn decide(&mut self, status: u16, at: Timestamp, timeout: Duration) {
        let until = at + timeout;
        self.progress = match self.progress {
            Progress::Uncounted { .. } => Progress::Uncounted { until, heard: Heard::Final(status) },
            _ => Progress::Decided { until, status },
        };
    }

    /// A root has a final of 300 or more: the failure that decides, if it does now (2.5). Else what it waits for is set.
    pub fn on_branch_failed(
        &mut self,
        pool: &Pool<Transaction>,
        pools: &TransactionPools,
        waits: Waits,
    ) -> Option<Failure> {
        let mut silent_until = Timestamp::ZERO;
        let mut from_proxy = false;
        for tx in self.roots(pool) {
            from_proxy |= tx.sender == Sender::Proxy;
            match tx.outcome {
                Final::Failure => {}
                Final::Silent => silent_until = silent_until.max(tx.began + waits.timeout),
                // Somebody still works on it.
                Final::None | Final::Success => return None,
            }
        }
        let failure = self.failure(pool, pools)?;
        if silent_until > failure.at {
            self.progress = Progress::Proceeding { until: silent_until };
            return None;
        }
        if from_proxy {
            self.progress = Progress::Forking { until: failure.at + waits.fork_hold };
            return None;
        }
        Some(failure)
    }

    /// The failure that decides: where every root has one Via the last one, else the one a proxy would forward (RFC 3261
    /// §16.7 step 6), dated by the last one.
    pub fn failure(&self, pool: &Pool<Transaction>, pools: &TransactionPools) -> Option<Failure> {
        let failures = || self.roots(pool).filter_map(|tx| tx.failure(pools));
        let last = failures().max_by_key(|failure| failure.at)?;
        if self.roots(pool).all(|tx| tx.sender != Sender::Proxy) {
            return Some(last);
        }
        let best = failures().min_by_key(|failure| (rank(failure.status), failure.at))?;
        Some(Failure { at: last.at, ..best })
    }

    /// Its deadline came. It is then remembered for `timeout` more if it timed out.
    pub fn on_due(
        &mut self,
        pool: &Pool<Transaction>,
        pools: &TransactionPools,
        at: Timestamp,
        waits: Waits,
    ) -> Expired {
        let answered = match self.progress {
            Progress::Forking { .. } | Progress::Proceeding { .. } => true,
            Progress::Calling { .. } => false,
            _ => return Expired::Forgotten,
        };
        let working = self.roots(pool).any(|tx| matches!(tx.outcome, Final::None | Final::Success));
        if !working && let Some(failure) = self.failure(pool, pools) {
            // Branches seen from below have the last one's silence for their hold.
            return Expired::Failed(failure);
        }
        self.progress = Progress::TimedOut { until: at + waits.timeout };
        Expired::TimedOut { answered }
    }

    /// The answer passed unseen: its ACK belongs to nothing else (2.6). Returns whether it waited for one.
    pub fn on_unseen(&mut self, at: Timestamp, timeout: Duration) -> bool {
        let waits = matches!(self.progress, Progress::Calling { .. });
        if waits {
            self.progress = Progress::TimedOut { until: at + timeout };
        }
        waits
    }

    /// No more than one of its transactions is a root.
    pub fn has_one_root(&self, pool: &Pool<Transaction>) -> bool {
        self.roots(pool).nth(1).is_none()
    }

    fn roots<'a>(&'a self, pool: &'a Pool<Transaction>) -> impl Iterator<Item = &'a Transaction> {
        self.transactions.iter(pool).map(|(_, tx)| tx).filter(|tx| tx.root)
    }

    /// Takes over what is known of an orphan that turned out to be this request. Transactions there is no room for are
    /// returned.
    pub fn merge(
        &mut self,
        pool: &mut Pool<Transaction>,
        pools: &TransactionPools,
        mut orphan: Request,
    ) -> Vec<Transaction> {
        let mut left = Vec::new();
        while let Some(mut tx) = orphan.transactions.pop(pool) {
            tx.root = true;
            if let Err(tx) = self.attach(pool, pools, tx) {
                left.push(tx);
            }
        }
        if let (Progress::Uncounted { heard, .. }, Progress::Uncounted { heard: other, .. }) =
            (&mut self.progress, orphan.progress)
            && *heard == Heard::Nothing
        {
            *heard = other;
        }
        left
    }
}

/// Which failure a proxy would forward: any 6xx, else the lowest class, in it what the caller can mend first.
fn rank(status: u16) -> (u16, bool) {
    let class = if status >= 600 { 0 } else { status / 100 };
    (class, !matches!(status, 401 | 407 | 415 | 420 | 484))
}

/// Most transactions followed within one request (3.7).
const MAX_TRANSACTIONS: usize = 64;
/// Most response items counted for one request (3.7).
const MAX_ITEMS: u32 = 64;
