//! What a message means to the trunks it went over (`sip-metrics.md` 4.7), where carriers are configured.
//!
//! Every transaction counts by itself, hop copies too: nothing here asks for roots but what a caller gave up.

use std::sync::Arc;

use pipeline::event::{Direction, Fact, Outcome, Trunk};
use sip::Method;
use wire::Timestamp;

use crate::attempt::Join;
use crate::call::TransactionAt;
use crate::hash::Branch;
use crate::list::At;
use crate::observed::Observed;
use crate::transaction::Final;
use crate::trunk::{TrunkAttempt, TrunkTransaction};
use crate::turn::Turn;

impl Turn<'_> {
    /// An initial INVITE was seen on a hop: its transaction counts for the carriers at both ends, each once. Of several
    /// pairs of addresses the first that matches decides, for each direction apart (2.2). `began`: when the first was
    /// seen.
    pub fn on_trunk_invite(&mut self, at: TransactionAt, began: Timestamp, seen: &Observed<'_>) {
        let Some(networks) = self.networks else { return };
        let ends = [(Direction::In, seen.frame.source), (Direction::Out, seen.frame.destination)];
        for (direction, address) in ends {
            let known = |attempt: &TrunkAttempt| {
                attempt.trunk().direction == direction && attempt.has(&self.pools.trunk_transactions, seen.branch)
            };
            if self.call.trunks.find(&self.pools.trunks, known).is_some() {
                continue;
            }
            if let Some(carrier) = networks.carrier_of(address.ip()) {
                self.begin_on_trunk(Trunk { carrier: carrier.name, direction }, began, seen);
                if let Some(records) = &mut self.records {
                    records.trunks[direction.index()] = Some(Arc::clone(carrier.text));
                }
                self.catch_up_on_trunk(at, seen);
            }
        }
    }

    /// A transaction over a trunk begins: within the newest attempt of its caller as long as that has no outcome, or within
    /// a new one.
    fn begin_on_trunk(&mut self, trunk: Trunk, began: Timestamp, seen: &Observed<'_>) {
        let transaction = TrunkTransaction::new(seen.branch, began + self.config.timeout());
        let window = self.config.retry_window;
        let of_caller = |attempt: &TrunkAttempt| attempt.is_of(trunk, seen.from);
        let mut t0 = began;
        if let Some(before) = self.call.trunks.find(&self.pools.trunks, of_caller) {
            let attempt = self.call.trunks.get_mut(&mut self.pools.trunks, before);
            match attempt.join(&mut self.pools.trunk_transactions, transaction, began, window) {
                Join::Joined => return self.wake_trunk(before),
                Join::Inherits(start) => t0 = start,
                Join::Begins => {}
            }
        }
        self.out.push(pipeline::Slot::OTHER, Fact::TrunkOpened(trunk));
        self.held.trunks += 1;
        self.settled = true;
        let attempt = TrunkAttempt::new(&mut self.pools.trunk_transactions, trunk, seen.from, t0, transaction);
        let at = self.call.trunks.push(&mut self.pools.trunks, attempt);
        self.wake_trunk(at);
    }

    /// Responses of a transaction may have been captured long before its INVITE.
    fn catch_up_on_trunk(&mut self, at: TransactionAt, seen: &Observed<'_>) {
        let transaction = self.call.transaction(self.pools, at);
        match (transaction.outcome, transaction.failure(&self.pools.of_transactions)) {
            (_, Some(failure)) => self.on_trunk_response(failure.status, seen),
            (Final::None, _) => self.on_trunk_response(100, seen),
            (Final::Success, _) => self.on_answered_unseen(seen),
            (Final::Silent | Final::Failure, _) => {}
        }
    }

    /// An INVITE was answered long before it was captured: by which dialog is not known any more, so that its call stays
    /// out of sight (3.6).
    fn on_answered_unseen(&mut self, seen: &Observed<'_>) {
        for at in self.trunks_with(seen.branch) {
            let attempt = self.call.trunks.get_mut(&mut self.pools.trunks, at);
            let trunk = attempt.trunk();
            if attempt.on_success(&mut self.pools.trunk_transactions, seen.branch, seen.to, seen.now()).is_some() {
                attempt.on_dialog_ended();
                self.on_trunk_ended(trunk, Outcome::Answered);
            }
        }
    }

    /// A response was seen on an INVITE transaction. A provisional one, repeated or not, gives it more time.
    pub fn on_trunk_response(&mut self, status: u16, seen: &Observed<'_>) {
        let (now, branch) = (seen.now(), seen.branch);
        for at in self.trunks_with(branch) {
            let attempt = self.call.trunks.get_mut(&mut self.pools.trunks, at);
            let (trunk, transactions) = (attempt.trunk(), &mut self.pools.trunk_transactions);
            match status {
                ..200 => {
                    let over_by = attempt.is_given_up(transactions, branch).then(|| self.over_by(branch)).flatten();
                    let until = now + self.config.proceeding;
                    let (until, abandoned) = over_by.filter(|by| *by < until).map_or((until, false), |by| (by, true));
                    let attempt = self.call.trunks.get_mut(&mut self.pools.trunks, at);
                    let set_up = attempt.on_provisional(
                        &mut self.pools.trunk_transactions,
                        branch,
                        status,
                        now,
                        until,
                        abandoned,
                    );
                    if let Some(delay) = set_up {
                        self.push_trunk(Fact::TrunkSetUp(trunk, delay));
                    }
                }
                200..300 => {
                    if let Some(set_up) = attempt.on_success(transactions, branch, seen.to, now) {
                        if let Some(delay) = set_up {
                            self.push_trunk(Fact::TrunkSetUp(trunk, delay));
                        }
                        self.on_trunk_ended(trunk, Outcome::Answered);
                        self.push_trunk(Fact::TrunkCallBegan(trunk));
                    }
                }
                300.. => {
                    if let Some(outcome) = attempt.on_failure(transactions, branch, status, now) {
                        self.on_trunk_ended(trunk, outcome);
                    }
                }
            }
            self.wake_trunk(at);
        }
    }

    /// A CANCEL of a transaction was seen on its hop, or was refused there.
    pub fn on_trunk_cancel(&mut self, branch: Branch, given_up: bool) {
        let invite = self.call.find_transaction(self.pools, branch, Method::Invite);
        let failure = invite.and_then(|at| self.call.transaction(self.pools, at).failure(&self.pools.of_transactions));
        let after = failure.is_some_and(|failure| failure.status == TERMINATED);
        for at in self.trunks_with(branch) {
            let attempt = self.call.trunks.get_mut(&mut self.pools.trunks, at);
            attempt.on_given_up(&mut self.pools.trunk_transactions, branch, given_up, after);
            self.wake_trunk(at);
        }
    }

    /// What gave up a transaction, sent at `sent`, got a 2xx on its hop.
    pub fn on_trunk_cancelled(&mut self, branch: Branch, sent: Timestamp) {
        let over_by = sent + self.config.timeout();
        for at in self.trunks_with(branch) {
            let attempt = self.call.trunks.get_mut(&mut self.pools.trunks, at);
            attempt.on_abandoned(&mut self.pools.trunk_transactions, branch, over_by);
            self.wake_trunk(at);
        }
    }

    /// The answer of an INVITE passed unseen, on all its ways.
    pub fn on_trunk_unseen(&mut self, request: At, now: Timestamp) {
        for branch in self.branches(request, false) {
            for at in self.trunks_with(branch) {
                let attempt = self.call.trunks.get_mut(&mut self.pools.trunks, at);
                attempt.on_unseen(&mut self.pools.trunk_transactions, branch, now);
                self.wake_trunk(at);
            }
        }
    }

    /// The branches of an INVITE, or those of its roots; none where no trunk is followed.
    pub fn branches(&self, request: At, roots: bool) -> Vec<Branch> {
        if self.call.trunks.is_empty() {
            return Vec::new();
        }
        let transactions = self.request(request).transactions.iter(&self.pools.transactions);
        transactions.filter(|(_, tx)| tx.root || !roots).map(|(_, tx)| tx.branch).collect()
    }

    /// Until when a transaction that was given up may last: its CANCEL got a 2xx.
    fn over_by(&self, branch: Branch) -> Option<Timestamp> {
        let at = self.call.find_transaction(self.pools, branch, Method::Cancel)?;
        let cancel = self.call.transaction(self.pools, at);
        matches!(cancel.outcome, Final::Success).then(|| cancel.began + self.config.timeout())
    }

    /// The attempts that a transaction is one of: two at most, one in each direction.
    fn trunks_with(&self, branch: Branch) -> impl Iterator<Item = At> + use<> {
        let mut with = self
            .call
            .trunks
            .iter(&self.pools.trunks)
            .filter(|(_, attempt)| attempt.has(&self.pools.trunk_transactions, branch));
        let both = [with.next(), with.next()].map(|found| found.map(|(at, _)| at));
        both.into_iter().flatten()
    }

    /// A trunk attempt may fall due earlier than anything else.
    fn wake_trunk(&mut self, at: At) {
        let attempt = self.call.trunks.get(&self.pools.trunks, at);
        let due = attempt.due(&self.pools.trunk_transactions, self.config.trunk_waits());
        self.wake(due);
    }

    fn push_trunk(&mut self, fact: Fact) {
        self.out.push(pipeline::Slot::OTHER, fact);
    }
}

/// 487: what a request that was cancelled ends with (RFC 3261 §9.2).
const TERMINATED: u16 = 487;
