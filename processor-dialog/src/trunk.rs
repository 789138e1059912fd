//! Trunk attempts: INVITEs from or to a configured carrier, joined over what it was offered again before an outcome
//! (`sip-metrics.md` 4.7, 2.6).
//!
//! A trunk is one hop: its attempts consist of transactions, whatever is above or below them. An attempt knows these by
//! branch, how far each came, and nothing else. What comes in is what was seen on them, what goes out is how the attempt
//! went on. It takes no more than 64 bytes, and its answered call no more either.

use std::time::Duration;

use pipeline::event::{Direction, Outcome, Trunk};
use pipeline::labels::Name;
use wire::Timestamp;

use crate::attempt::{Join, outcome_of_status, waits_for_caller};
use crate::hash::{Branch, Tag};
use crate::list::{At, List, Pool};

/// An attempt over one trunk.
#[derive(Debug)]
pub struct TrunkAttempt {
    /// First byte of its first INVITE; of the one before a redirect where there was one.
    t0: Timestamp,
    last: Last,
    /// Its transactions.
    transactions: List<TrunkTransaction>,
    from: Tag,
    carrier: Name,
    direction: Direction,
    stage: Stage,
}

/// With its link in the pool it takes 64 bytes.
const _: () = assert!(size_of::<Option<TrunkAttempt>>() <= 56);

/// How far an attempt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// A transaction of it is waited for.
    Open,
    /// All failed; another may join.
    Held,
    /// It was redirected: a new attempt may inherit its start.
    Redirected,
    /// It was answered, and the dialog of the answer has not ended.
    Up,
    /// Nothing of it counts any more.
    Over,
}

/// What decided it, or would if nothing followed. One struct for all, since an enum of them would take half as much again.
#[derive(Clone, Copy, Debug)]
struct Last {
    at: Timestamp,
    /// Of an answer its To tag, of a failure the branch.
    key: u32,
    what: What,
}

/// What [`Last`] is.
#[derive(Clone, Copy, Debug)]
enum What {
    Nothing,
    Answered,
    Failed {
        /// What it makes of the attempt unless that was given up.
        outcome: Outcome,
        /// The caller may go on after it.
        waits_for_caller: bool,
        given_up: bool,
    },
}

/// A transaction of it.
#[derive(Clone, Copy, Debug)]
pub struct TrunkTransaction {
    /// Its state lasts until then unless something happens.
    until: Timestamp,
    branch: Branch,
    state: TransactionState,
    given_up: bool,
    /// A 101-198 was seen.
    set_up: bool,
}

/// How far a transaction came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TransactionState {
    /// No response.
    Silent,
    /// Provisional ones alone.
    Working,
    /// Given up, which was acknowledged: it is over soon, whatever is heard of it (2.3).
    Abandoned,
    /// It has a final, timed out, or its answer passed unseen.
    Over,
}

/// How long is waited for what (0.3).
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// For another try of the network.
    pub fork_hold: Duration,
    /// For another try of the caller.
    pub retry_window: Duration,
}

impl TrunkTransaction {
    /// A transaction of which the INVITE was seen; it has timed out at `until`.
    pub fn new(branch: Branch, until: Timestamp) -> Self {
        Self { until, branch, state: TransactionState::Silent, given_up: false, set_up: false }
    }
}

impl TrunkAttempt {
    /// One that begins with an INVITE of a caller, whose first byte was seen at `t0`.
    pub fn new(
        pool: &mut Pool<TrunkTransaction>,
        trunk: Trunk,
        from: Tag,
        t0: Timestamp,
        transaction: TrunkTransaction,
    ) -> Self {
        let mut transactions = List::default();
        transactions.push(pool, transaction);
        let Trunk { carrier, direction } = trunk;
        let last = Last { at: t0, key: 0, what: What::Nothing };
        Self { t0, last, transactions, from, carrier, direction, stage: Stage::Open }
    }

    /// Whose attempt it is.
    pub fn trunk(&self) -> Trunk {
        Trunk { carrier: self.carrier, direction: self.direction }
    }

    /// Whether an INVITE of a caller over a trunk may join it.
    pub fn is_of(&self, trunk: Trunk, from: Tag) -> bool {
        self.trunk() == trunk && self.from == from
    }

    /// Another INVITE joins as long as there is no outcome.
    pub fn join(
        &mut self,
        pool: &mut Pool<TrunkTransaction>,
        transaction: TrunkTransaction,
        now: Timestamp,
        retry_window: Duration,
    ) -> Join {
        match self.stage {
            Stage::Open | Stage::Held => {
                self.stage = Stage::Open;
                self.transactions.push(pool, transaction);
                Join::Joined
            }
            Stage::Redirected if now - self.last.at < retry_window => Join::Inherits(self.t0),
            _ => Join::Begins,
        }
    }

    /// A transaction is one of it.
    pub fn has(&self, pool: &Pool<TrunkTransaction>, branch: Branch) -> bool {
        self.find(pool, branch).is_some()
    }

    /// Whether any of its transactions is one of `branches`.
    pub fn has_any(&self, pool: &Pool<TrunkTransaction>, mut branches: impl Iterator<Item = Branch>) -> bool {
        branches.any(|branch| self.has(pool, branch))
    }

    /// No outcome yet.
    pub fn is_undecided(&self) -> bool {
        matches!(self.stage, Stage::Open | Stage::Held)
    }

    /// Neither can anything happen to it, nor inherit from it.
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// The tags of the dialog that answered it, the caller's first, and when; `None` unless that is up.
    pub fn call(&self) -> Option<([Tag; 2], Timestamp)> {
        (self.stage == Stage::Up).then(|| ([self.from, Tag::of_bits(self.last.key)], self.last.at))
    }

    /// A 1xx on a transaction of it: that has time until then. Returns how long the set-up took, where this is it.
    pub fn on_provisional(
        &mut self,
        pool: &mut Pool<TrunkTransaction>,
        branch: Branch,
        status: u16,
        now: Timestamp,
        until: Timestamp,
        abandoned: bool,
    ) -> Option<Duration> {
        let at = self.find(pool, branch)?;
        let first = status > 100 && status < 199 && !self.is_set_up(pool);
        let transaction = self.transactions.get_mut(pool, at);
        match transaction.state {
            TransactionState::Silent | TransactionState::Working => {
                transaction.state = if abandoned { TransactionState::Abandoned } else { TransactionState::Working };
                transaction.until = until;
            }
            TransactionState::Abandoned => {}
            TransactionState::Over => return None,
        }
        if !first || !self.is_undecided() {
            return None;
        }
        self.transactions.get_mut(pool, at).set_up = true;
        Some(now - self.t0)
    }

    /// A 2xx on a transaction of it. Returns whether it answers the attempt, and how long the set-up took where this is
    /// it.
    pub fn on_success(
        &mut self,
        pool: &mut Pool<TrunkTransaction>,
        branch: Branch,
        tag: Tag,
        now: Timestamp,
    ) -> Option<Option<Duration>> {
        self.end_transaction(pool, branch)?;
        if !self.is_undecided() {
            return None;
        }
        self.stage = Stage::Up;
        self.last = Last { at: now, key: tag.bits(), what: What::Answered };
        Some((!self.is_set_up(pool)).then(|| now - self.t0))
    }

    /// A final of 300 or more on a transaction of it. Returns the outcome where nothing can follow.
    pub fn on_failure(
        &mut self,
        pool: &mut Pool<TrunkTransaction>,
        branch: Branch,
        status: u16,
        now: Timestamp,
    ) -> Option<Outcome> {
        let transaction = self.end_transaction(pool, branch)?;
        self.fail(transaction, outcome_of_status(status), waits_for_caller(status), now);
        self.decide(pool)
    }

    /// The answer of a transaction passed unseen.
    pub fn on_unseen(&mut self, pool: &mut Pool<TrunkTransaction>, branch: Branch, now: Timestamp) {
        if let Some(transaction) = self.end_transaction(pool, branch) {
            self.fail(transaction, Outcome::Unseen, false, now);
            self.decide(pool);
        }
    }

    /// A transaction was given up, or that was refused. `after`: it had a 487 before, as taps reorder.
    pub fn on_given_up(&mut self, pool: &mut Pool<TrunkTransaction>, branch: Branch, given_up: bool, after: bool) {
        let Some(at) = self.find(pool, branch) else { return };
        let transaction = self.transactions.get_mut(pool, at);
        if transaction.state != TransactionState::Over || after || !given_up {
            transaction.given_up = given_up;
        }
        let (now, branch) = (transaction.given_up, transaction.branch);
        if let What::Failed { given_up, .. } = &mut self.last.what
            && self.last.key == branch.bits()
        {
            *given_up = now;
        }
    }

    /// What gave up a transaction succeeded: it is over then, unless a final comes before (2.3).
    pub fn on_abandoned(&mut self, pool: &mut Pool<TrunkTransaction>, branch: Branch, over_by: Timestamp) {
        let Some(at) = self.find(pool, branch) else { return };
        let transaction = self.transactions.get_mut(pool, at);
        if transaction.given_up && transaction.state == TransactionState::Working && over_by < transaction.until {
            (transaction.state, transaction.until) = (TransactionState::Abandoned, over_by);
        }
    }

    /// A transaction is given up.
    pub fn is_given_up(&self, pool: &Pool<TrunkTransaction>, branch: Branch) -> bool {
        self.find(pool, branch).is_some_and(|at| self.transactions.get(pool, at).given_up)
    }

    /// The dialog of its answer has ended.
    pub fn on_dialog_ended(&mut self) {
        self.stage = Stage::Over;
    }

    /// When something happens to it by itself.
    pub fn due(&self, pool: &Pool<TrunkTransaction>, waits: Waits) -> Timestamp {
        let transactions = || self.transactions.iter(pool).map(|(_, transaction)| transaction);
        let open = || {
            transactions()
                .filter(|transaction| transaction.state != TransactionState::Over)
                .map(|transaction| transaction.until)
        };
        match self.stage {
            Stage::Open => open().min().unwrap_or(Timestamp::NEVER),
            Stage::Held => open().fold(self.last.held_until(waits), Timestamp::min),
            Stage::Redirected => self.last.at + waits.retry_window,
            Stage::Up | Stage::Over => Timestamp::NEVER,
        }
    }

    /// Something fell due. Returns the outcome, if it is that.
    pub fn on_due(&mut self, pool: &mut Pool<TrunkTransaction>, at: Timestamp, waits: Waits) -> Option<Outcome> {
        if self.stage == Stage::Redirected {
            self.stage = Stage::Over;
            return None;
        }
        let newest = self.transactions.iter(pool).next().map(|(_, transaction)| transaction.branch);
        while let Some(due) = self
            .transactions
            .find(pool, |transaction| transaction.state != TransactionState::Over && transaction.until <= at)
        {
            let transaction = self.transactions.get_mut(pool, due);
            let outcome = match transaction.state {
                TransactionState::Silent => Outcome::Timeout,
                TransactionState::Abandoned => Outcome::Cancelled,
                TransactionState::Working | TransactionState::Over => Outcome::NoFinal,
            };
            transaction.state = TransactionState::Over;
            let transaction = *transaction;
            // Only that of the newest counts.
            if Some(transaction.branch) == newest {
                self.fail(transaction, outcome, false, at);
            }
        }
        if let Some(outcome) = self.decide(pool) {
            return Some(outcome);
        }
        let is_due = self.stage == Stage::Held && self.last.held_until(waits) <= at;
        is_due.then(|| self.settle()).flatten()
    }

    /// Its failure waits for nothing but another try of the network, or more digits: at the end of a capture none
    /// follows.
    pub fn settles(&self) -> bool {
        self.stage == Stage::Held && self.last.outcome() != Some(Outcome::ChallengeAbandoned)
    }

    /// Nothing can follow its failure: the outcome.
    pub fn settle(&mut self) -> Option<Outcome> {
        self.stage = Stage::Over;
        self.last.outcome()
    }

    /// Frees what it has in the pool.
    pub fn clear(&mut self, pool: &mut Pool<TrunkTransaction>) {
        while self.transactions.pop(pool).is_some() {}
    }

    fn fail(&mut self, transaction: TrunkTransaction, outcome: Outcome, waits_for_caller: bool, at: Timestamp) {
        if self.is_undecided() {
            let what = What::Failed { outcome, waits_for_caller, given_up: transaction.given_up };
            self.last = Last { at, key: transaction.branch.bits(), what };
        }
    }

    /// It has failed once none of its transactions is waited for; one without any response that a newer one has overtaken
    /// is not. Returns the outcome where nothing can follow: after a redirect.
    fn decide(&mut self, pool: &Pool<TrunkTransaction>) -> Option<Outcome> {
        let waited = |(place, (_, transaction)): (usize, (At, &TrunkTransaction))| match transaction.state {
            TransactionState::Silent => place == 0,
            TransactionState::Working | TransactionState::Abandoned => true,
            TransactionState::Over => false,
        };
        let outcome = self.last.outcome()?;
        if !self.is_undecided() || self.transactions.iter(pool).enumerate().any(waited) {
            return None;
        }
        let redirected = outcome == Outcome::Redirected;
        self.stage = if redirected { Stage::Redirected } else { Stage::Held };
        redirected.then_some(Outcome::Redirected)
    }

    /// A transaction has its final, or as good as: it, as it was; `None` when it is over already.
    fn end_transaction(&mut self, pool: &mut Pool<TrunkTransaction>, branch: Branch) -> Option<TrunkTransaction> {
        let at = self.find(pool, branch)?;
        let transaction = self.transactions.get_mut(pool, at);
        (transaction.state != TransactionState::Over).then(|| {
            transaction.state = TransactionState::Over;
            *transaction
        })
    }

    fn is_set_up(&self, pool: &Pool<TrunkTransaction>) -> bool {
        self.transactions.iter(pool).any(|(_, transaction)| transaction.set_up)
    }

    fn find(&self, pool: &Pool<TrunkTransaction>, branch: Branch) -> Option<At> {
        self.transactions.find(pool, |transaction| transaction.branch == branch)
    }
}

impl Last {
    /// When it gives the outcome.
    fn held_until(self, waits: Waits) -> Timestamp {
        let for_caller = matches!(self.what, What::Failed { waits_for_caller: true, given_up: false, .. });
        self.at + if for_caller { waits.retry_window } else { waits.fork_hold }
    }

    /// The outcome of a failure.
    fn outcome(self) -> Option<Outcome> {
        let What::Failed { outcome, given_up, .. } = self.what else { return None };
        // A timeout says by itself whether it was given up (2.6).
        let decided = matches!(outcome, Outcome::Timeout | Outcome::NoFinal);
        Some(if given_up && !decided { Outcome::Cancelled } else { outcome })
    }
}
