//! A call: everything that is known under one Call-ID, in one record. No key reaches beyond it, and it has one timer.
//!
//! Its first request stands in the record; further ones, and what only some calls have, are linked behind it.

use pipeline::event::Evicted;
use sip::Method;
use wire::Timestamp;

use crate::attempt::{Attempt, Created};
use crate::config::Config;
use crate::dialog::Dialog;
use crate::hash::{Branch, Key, Tag};
use crate::idle::{Linked, Place};
use crate::list::{At, Chain, List, Pool};
use crate::observed::Observed;
use crate::queue::QueueCall;
use crate::registration::Registration;
use crate::request::Request;
use crate::transaction::{Transaction, TransactionPools};
use crate::trunk::{TrunkAttempt, TrunkTransaction};
use crate::waiting::Waiting;
use crate::wheel::Timer;

/// Everything under one Call-ID.
#[derive(Default)]
pub struct Call {
    /// The hash of the Call-ID.
    pub key: Key,
    /// Fires when the first of its parts falls due, or earlier.
    pub timer: Timer,
    /// When that is.
    pub armed: Timestamp,
    /// Which calls make room before which; see [`Rank`]. `None` until its first message is taken.
    pub rank: Option<Rank>,
    /// Its place among the calls of its rank.
    pub links: Linked,
    /// The number of the next request.
    pub next_serial: u32,
    /// Its requests, and how many they are, with those that its dialogs keep.
    pub requests: List<Request>,
    pub request_count: u16,
    /// What its initial INVITEs have beyond any request.
    pub invites: Chain<Invite>,
    /// Its session attempts.
    pub attempts: Chain<Attempt>,
    /// Its dialogs.
    pub dialogs: Chain<Dialog>,
    /// Its registration attempts.
    pub registrations: Chain<Registration>,
    /// Messages that wait for one that caused them.
    pub waiting: Chain<Waiting>,
    /// Its trunk attempts, where carriers are configured.
    pub trunks: Chain<TrunkAttempt>,
    /// Its callers in queues, where those are configured.
    pub queued: Chain<QueueCall>,
}

const _: () = assert!(size_of::<Call>() <= 208);

/// Which calls make room first (3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Over, and only remembered.
    Over,
    /// Up, but nobody saw how it began (3.6).
    Unobserved,
    /// Something is undecided, and nothing is up.
    Undecided,
    /// A dialog of it is up, or its per-INVITE session.
    Up,
}

/// What an initial INVITE has beyond any request (2.5, 2.6, 4.6).
#[derive(Debug)]
pub struct Invite {
    /// Its number among the requests of its call.
    pub serial: u32,
    /// The attempt it belongs to.
    pub attempt: u32,
    /// The first 180.
    pub first_180: Option<Timestamp>,
    /// A 1xx was seen: TTR was measured.
    pub provisional: bool,
    /// A 101-199 or 2xx was seen: PDD was measured.
    pub dialed: bool,
    /// A 200 was seen: `N200`.
    pub answered_200: bool,
    /// The caller gave it up: a CANCEL, or a BYE that met no confirmed dialog (2.6).
    pub given_up: bool,
    /// Given up and acknowledged: it is over then, unless a final comes before (2.3).
    pub over_by: Option<Timestamp>,
}

/// With its link in the pool it takes 40 bytes.
const _: () = assert!(size_of::<Option<Invite>>() <= 32);

impl Invite {
    /// One of an attempt to which nothing has come.
    pub fn new(serial: u32, attempt: u32) -> Self {
        Self {
            serial,
            attempt,
            first_180: None,
            provisional: false,
            dialed: false,
            answered_200: false,
            given_up: false,
            over_by: None,
        }
    }
}

/// The lists of all calls.
#[derive(Default)]
pub struct Pools {
    pub requests: Pool<Request>,
    pub invites: Pool<Invite>,
    pub attempts: Pool<Attempt>,
    pub created: Pool<Created>,
    pub dialogs: Pool<Dialog>,
    pub registrations: Pool<Registration>,
    pub transactions: Pool<Transaction>,
    pub of_transactions: TransactionPools,
    pub waiting: Pool<Waiting>,
    pub trunks: Pool<TrunkAttempt>,
    pub trunk_transactions: Pool<TrunkTransaction>,
    pub queued: Pool<QueueCall>,
}

/// A transaction within its call.
#[derive(Clone, Copy, Debug)]
pub struct TransactionAt {
    /// Its request.
    pub request: At,
    /// Its place there.
    pub transaction: At,
}

impl Call {
    /// Nothing is known of it any more.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
            && self.attempts.is_empty()
            && self.dialogs.is_empty()
            && self.registrations.is_empty()
            && self.waiting.is_empty()
            && self.trunks.is_empty()
    }

    /// The transaction with a branch and method (2.1).
    pub fn find_transaction(&self, pools: &Pools, branch: Branch, method: Method) -> Option<TransactionAt> {
        self.requests.iter(&pools.requests).filter(|(_, request)| request.method == method).find_map(|(at, request)| {
            let transaction = request.transactions.find(&pools.transactions, |tx| tx.branch == branch)?;
            Some(TransactionAt { request: at, transaction })
        })
    }

    /// The transaction at a place.
    pub fn transaction<'a>(&'a self, pools: &'a Pools, at: TransactionAt) -> &'a Transaction {
        self.requests.get(&pools.requests, at.request).transactions.get(&pools.transactions, at.transaction)
    }

    /// What the initial INVITE with a number has beyond any request.
    pub fn invite<'a>(&'a mut self, pools: &'a mut Pools, serial: u32) -> Option<&'a mut Invite> {
        let at = self.invites.find(&pools.invites, |invite| invite.serial == serial)?;
        Some(self.invites.get_mut(&mut pools.invites, at))
    }

    /// The dialog with a pair of tags.
    pub fn find_dialog(&self, pools: &Pools, tags: [Tag; 2]) -> Option<At> {
        self.dialogs.find(&pools.dialogs, |dialog| dialog.tags == tags)
    }

    /// The dialog a request is within. One whose callee knows no tags (RFC 2543) is ended and acknowledged without a To
    /// tag.
    pub fn dialog_around(&self, pools: &Pools, seen: &Observed<'_>) -> Option<At> {
        if seen.to == Tag::NONE && !matches!(seen.method(), Method::Bye | Method::Ack) {
            return None;
        }
        self.find_dialog(pools, seen.tags())
    }

    /// The attempt with a number.
    pub fn find_attempt(&self, pools: &Pools, serial: u32) -> Option<At> {
        self.attempts.find(&pools.attempts, |attempt| attempt.serial == serial)
    }

    /// BYEs of a dialog that have no final yet (3.3).
    pub fn open_byes(&self, pools: &Pools, tags: [Tag; 2]) -> usize {
        let of_dialog = |request: &Request| {
            request.method == Method::Bye
                && request.is_open()
                && crate::observed::pair(request.from, request.to) == tags
        };
        self.requests.iter(&pools.requests).filter(|(_, request)| of_dialog(request)).count()
    }

    /// When the first of its parts falls due.
    pub fn due(&self, pools: &Pools, config: &Config) -> Timestamp {
        let window = config.retry_window;
        let requests = self.requests.iter(&pools.requests).map(|(_, request)| request.progress.until());
        let attempts = self.attempts.iter(&pools.attempts).map(|(_, attempt)| attempt.due(config.fork_hold, window));
        let dialogs = self.dialogs.iter(&pools.dialogs).map(|(_, dialog)| dialog.due());
        let sessions = self.dialogs.iter(&pools.dialogs).filter_map(|(_, dialog)| dialog.session().map(|s| s.expires));
        let registrations =
            self.registrations.iter(&pools.registrations).map(|(_, registration)| registration.due(window));
        let waiting = self.waiting.iter(&pools.waiting).map(|(_, waiting)| waiting.until);
        let waits = config.trunk_waits();
        let trunks = self.trunks.iter(&pools.trunks).map(|(_, attempt)| attempt.due(&pools.trunk_transactions, waits));
        let all =
            requests.chain(attempts).chain(dialogs).chain(sessions).chain(registrations).chain(waiting).chain(trunks);
        all.min().unwrap_or(Timestamp::NEVER)
    }

    /// Which calls make room before it.
    pub fn rank(&self, pools: &Pools) -> Rank {
        let mut rank = Rank::Over;
        for (_, dialog) in self.dialogs.iter(&pools.dialogs) {
            if dialog.is_up() || dialog.session().is_some() {
                if dialog.observed {
                    return Rank::Up;
                }
                rank = Rank::Unobserved;
            }
        }
        let undecided = || {
            self.requests.iter(&pools.requests).any(|(_, request)| request.is_open())
                || self.attempts.iter(&pools.attempts).any(|(_, attempt)| attempt.is_undecided())
                || self.registrations.iter(&pools.registrations).any(|(_, registration)| registration.is_undecided())
                || self.trunks.iter(&pools.trunks).any(|(_, attempt)| attempt.is_undecided())
        };
        if rank == Rank::Over && undecided() { Rank::Undecided } else { rank }
    }
}

impl Call {
    /// How much of it would still be counted in a table: what is lost when it makes room (3.7).
    pub fn live(&self, pools: &Pools, table: Evicted) -> usize {
        match table {
            Evicted::Dialogs => {
                let held = |dialog: &Dialog| dialog.is_live() || dialog.session().is_some();
                self.dialogs.iter(&pools.dialogs).filter(|(_, dialog)| held(dialog)).count()
            }
            Evicted::LogicalRequests => {
                self.requests.iter(&pools.requests).filter(|(_, request)| !request.progress.is_over()).count()
            }
            _ => {
                let attempts = self.attempts.iter(&pools.attempts).filter(|(_, attempt)| attempt.is_undecided());
                let registrations = self.registrations.iter(&pools.registrations);
                let trunks = self.trunks.iter(&pools.trunks).filter(|(_, attempt)| attempt.is_undecided());
                let registrations = registrations.filter(|(_, registration)| registration.is_undecided());
                attempts.count() + registrations.count() + trunks.count()
            }
        }
    }
}

impl Place for Call {
    fn links(&mut self) -> &mut Linked {
        &mut self.links
    }
}
