//! Initial INVITEs: what their responses mean, forks seen from below, the decision (`sip-metrics.md` 2.5, 2.6, 3.1).

use std::time::Duration;

use pipeline::event::{DialogState, Fact};
use pipeline::{Facts, Measure};
use wire::Timestamp;

use crate::calls::Record;
use crate::chain::{Chain, Node};
use crate::dialog::Dialog;
use crate::entries::Handle;
use crate::logical_request::Waits;
use crate::state::{Seen, State};
use crate::transaction::{Failure, Transaction};

/// What an initial INVITE has beyond any request.
pub struct Invite {
    /// The attempt it belongs to.
    pub attempt: Handle,
    /// The dialog of its first 2xx.
    pub primary: Handle,
    /// Dialogs its provisional responses opened, as handles, ended ones too.
    pub early: Chain,
    /// The first 180.
    pub first_180: Option<Timestamp>,
    /// What became of it.
    pub decision: Decision,
    /// A 1xx was seen: TTR was measured.
    pub provisional: bool,
    /// A 101-199 or 2xx was seen: PDD was measured.
    pub dialed: bool,
    /// A 200 was seen: `N200`.
    pub answered_200: bool,
    /// The caller's CANCEL was seen at a root.
    pub cancelled: bool,
}

/// What became of an initial INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing yet.
    Open,
    /// A 2xx.
    Answered,
    /// Any other final, or none in time.
    Failed,
}

impl State {
    /// An initial INVITE was seen for the first time.
    pub(crate) fn on_initial_invite(&mut self, request: Handle, seen: &Seen<'_>, out: &mut Facts) {
        out.push(self.slot_of(request), Fact::InvitedInitially);
        let attempt = self.attempt_for(request, seen, out);
        if let Some(lr) = self.requests.get_mut(request) {
            lr.invite = Some(Invite {
                attempt,
                primary: Handle::NONE,
                early: Chain::default(),
                first_180: None,
                decision: Decision::Open,
                provisional: false,
                dialed: false,
                answered_200: false,
                cancelled: false,
            });
        }
    }

    /// Another branch of it, whose parent is not visible (2.5), or a hop above what was taken for the root.
    pub(crate) fn on_another_root(&mut self, request: Handle, seen: &Seen<'_>) {
        let Some(lr) = self.requests.get(request) else { return };
        if lr.waits == Waits::ForAnotherBranch {
            self.wait(request, Waits::ForFinal, seen.now() + self.timeout());
        }
    }

    /// A response to an initial INVITE, at a root. `fresh`: its item was not counted before.
    pub(crate) fn on_invite_response(
        &mut self,
        request: Handle,
        transaction: Handle,
        status: u16,
        fresh: bool,
        seen: &Seen<'_>,
        out: &mut Facts,
    ) {
        match status {
            ..200 if fresh => self.on_invite_provisional(request, status, seen, out),
            ..200 => self.on_plain_provisional(request, seen),
            200..300 if fresh => self.on_invite_success(request, status, seen, out),
            200..300 => {}
            300.. => self.on_invite_failure(request, transaction, status, fresh, seen, out),
        }
    }

    fn on_invite_provisional(&mut self, request: Handle, status: u16, seen: &Seen<'_>, out: &mut Facts) {
        let now = seen.now();
        let Some(lr) = self.requests.get_mut(request) else { return };
        let (slot, t1, record) = (lr.slot, lr.t1, lr.record);
        let Some(invite) = lr.invite.as_mut() else { return };
        let attempt = invite.attempt;
        if invite.decision == Decision::Failed {
            return;
        }
        if invite.decision == Decision::Open {
            if !std::mem::replace(&mut invite.provisional, true) {
                self.calls.measured(record, slot, Measure::FirstResponse, now - t1, out);
            }
            if status > 100 && !std::mem::replace(&mut invite.dialed, true) {
                self.calls.measured(record, slot, Measure::PostDial, now - t1, out);
            }
            if status == 180 && invite.first_180.is_none() {
                invite.first_180 = Some(now);
                self.attempt_alerted(attempt);
            }
        }
        if status > 100 {
            self.attempt_progressed(attempt, seen, out);
            if !seen.message.to.tag.is_empty() {
                self.open_early(request, seen, out);
            }
        }
        self.on_plain_provisional(request, seen);
    }

    fn on_invite_success(&mut self, request: Handle, status: u16, seen: &Seen<'_>, out: &mut Facts) {
        let now = seen.now();
        let Some(lr) = self.requests.get_mut(request) else { return };
        let (slot, t1, record) = (lr.slot, lr.t1, lr.record);
        let Some(invite) = lr.invite.as_mut() else { return };
        let attempt = invite.attempt;
        let before = invite.decision;
        if before == Decision::Failed {
            out.push(slot, Fact::AnsweredLate);
            return self.confirm_late(request, status, seen, out);
        }
        let first_200 = status == 200 && !std::mem::replace(&mut invite.answered_200, true);
        if first_200 {
            out.push(slot, Fact::InviteAnswered);
        }
        if before == Decision::Open {
            invite.decision = Decision::Answered;
            let dialed = std::mem::replace(&mut invite.dialed, true);
            let rang = invite.first_180;
            lr.final_status = status;
            if !dialed {
                self.calls.measured(record, slot, Measure::PostDial, now - t1, out);
            }
            if let Some(since) = rang {
                self.rang(attempt, Measure::RingAnswered, now - since, out);
            }
            self.wait(request, Waits::ToBeForgotten, now + self.timeout());
            self.attempt_answered(attempt, status, seen, out);
        } else {
            self.attempt_progressed(attempt, seen, out);
        }
        // Without its attempt, which was evicted, it is outside the ratios too (3.7).
        let primary = before == Decision::Open && self.attempts.get(attempt).is_some();
        let dialog = self.confirm(request, primary, seen, out);
        if status == 200 {
            self.open_seed_session(dialog, first_200, seen, out);
        }
        if before == Decision::Open
            && let Some(invite) = self.requests.get_mut(request).and_then(|lr| lr.invite.as_mut())
        {
            invite.primary = dialog;
        }
    }

    fn on_invite_failure(
        &mut self,
        request: Handle,
        transaction: Handle,
        status: u16,
        fresh: bool,
        seen: &Seen<'_>,
        out: &mut Facts,
    ) {
        if fresh {
            self.count_reasons_of_final(request, status, seen, out);
        }
        let Some(lr) = self.requests.get(request) else { return };
        if lr.invite.as_ref().is_none_or(|invite| invite.decision != Decision::Open) {
            return;
        }
        let Some(tx) = self.transactions.get(transaction) else { return };
        let Some(failure) = tx.failure else { return };
        if tx.at_origin {
            return self.fail_invite(request, failure, out);
        }
        // Seen from below a proxy: another branch may still win (2.5).
        if self.every_branch_failed(request) {
            self.wait(request, Waits::ForAnotherBranch, seen.now() + self.config.fork_hold);
        }
    }

    fn every_branch_failed(&self, request: Handle) -> bool {
        self.roots(request).all(|tx| tx.failure.is_some())
    }

    /// A branch at a root has a failure that was not final for the whole.
    pub(crate) fn has_failed_branch(&self, request: Handle) -> bool {
        self.roots(request).any(|tx| tx.failure.is_some())
    }

    /// The transactions of a logical request that have none above them.
    fn roots(&self, request: Handle) -> impl Iterator<Item = &Transaction> {
        let mut next = self.requests.get(request).map_or(Handle::NONE, |lr| lr.first);
        std::iter::from_fn(move || {
            let tx = self.transactions.get(next)?;
            next = tx.next;
            Some(tx)
        })
        .filter(|tx| tx.root)
    }

    /// Decides a fork seen from below as the proxy above would (RFC 3261 §16.7 step 6), dated by its last final.
    pub(crate) fn decide_fork(&mut self, request: Handle, now: Timestamp, out: &mut Facts) {
        let failures = || self.roots(request).filter_map(|tx| tx.failure);
        let Some(best) = failures().min_by_key(|failure| (rank(failure.status), failure.at)) else { return };
        let last = failures().map(|failure| failure.at).max().unwrap_or(now);
        self.fail_invite(request, Failure { at: last, ..best }, out);
    }

    /// Still undecided, but no branch of it can be waited for any longer: its caller has gone on.
    pub(crate) fn force_decision(&mut self, request: Handle, now: Timestamp, out: &mut Facts) {
        let open = self
            .requests
            .get(request)
            .and_then(|lr| lr.invite.as_ref())
            .is_some_and(|invite| invite.decision == Decision::Open);
        if open && self.has_failed_branch(request) {
            self.decide_fork(request, now, out);
        }
    }

    /// A non-2xx final decides.
    fn fail_invite(&mut self, request: Handle, failure: Failure, out: &mut Facts) {
        let Some(lr) = self.requests.get_mut(request) else { return };
        let slot = lr.slot;
        lr.final_status = failure.status;
        let Some(invite) = lr.invite.as_mut() else { return };
        invite.decision = Decision::Failed;
        let (attempt, rang, cancelled) = (invite.attempt, invite.first_180, invite.cancelled);
        self.wait(request, Waits::ToBeForgotten, failure.at + self.timeout());
        out.push(slot, Fact::InviteFailed(failure.status));
        if let Some(since) = rang {
            self.rang(attempt, Measure::RingUnanswered, failure.at - since, out);
        }
        self.end_early_dialogs(request, failure.at, out);
        self.attempt_failed(attempt, failure, cancelled, out);
    }

    /// Ringing ended.
    fn rang(&mut self, attempt: Handle, measure: Measure, delay: Duration, out: &mut Facts) {
        let (slot, record) = (self.slot_of_attempt(attempt), self.record_of_attempt(attempt));
        self.calls.measured(Record::Call(record), slot, measure, delay, out);
        self.calls.rang(record, delay);
    }

    /// No final came: 32 s without any response, or `proceeding` after the last provisional.
    pub(crate) fn on_invite_timeout(&mut self, request: Handle, now: Timestamp, out: &mut Facts) {
        let Some(lr) = self.requests.get_mut(request) else { return };
        let rang = lr.answered_at_all;
        let Some(invite) = lr.invite.as_mut() else { return };
        invite.decision = Decision::Failed;
        let attempt = invite.attempt;
        self.end_early_dialogs(request, now, out);
        self.attempt_unanswered(attempt, rang, now, out);
    }

    /// 32 s after the first 2xx: early dialogs of other branches lost (RFC 3261 §13.2.2.4), and the ACK is overdue.
    pub(crate) fn settle_invite(&mut self, request: Handle, now: Timestamp, out: &mut Facts) {
        self.end_early_dialogs(request, now, out);
        let Some(invite) = self.requests.get(request).and_then(|lr| lr.invite.as_ref()) else { return };
        if let Some(primary) = self.dialogs.get(invite.primary)
            && !primary.acknowledged
        {
            out.push(primary.attempt_slot, Fact::AckMissing);
        }
    }

    /// A provisional response opened a dialog, or told again of one.
    fn open_early(&mut self, request: Handle, seen: &Seen<'_>, out: &mut Facts) {
        let key = self.keys.dialog(seen.call, seen.message);
        let known = self.find_dialog(seen.call, key).and_then(|handle| self.dialogs.get(handle));
        if known.is_some_and(Dialog::is_live) {
            return;
        }
        let handle = self.open_dialog(key, request, DialogState::Early, seen, out);
        if let Some(invite) = self.requests.get_mut(request).and_then(|lr| lr.invite.as_mut()) {
            self.pool.push(&mut invite.early, Node { value: handle.to_bits(), of: 0 });
        }
    }

    /// The dialogs that only provisional responses speak of have lost: to another branch, with the INVITE, or
    /// with what is known of it.
    pub(crate) fn end_early_dialogs(&mut self, request: Handle, at: Timestamp, out: &mut Facts) {
        let Some(invite) = self.requests.get_mut(request).and_then(|lr| lr.invite.as_mut()) else { return };
        let mut early = std::mem::take(&mut invite.early);
        let mut ended = Chain::default();
        while let Some(node) = self.pool.pop(&mut early) {
            self.end_early(Handle::from_bits(node.value), at, out);
            self.pool.push(&mut ended, node);
        }
        // They stay listed, to be put to rest with it.
        if let Some(invite) = self.requests.get_mut(request).and_then(|lr| lr.invite.as_mut()) {
            invite.early = ended;
        }
    }
}

/// Which failure a proxy would forward: any 6xx, else the lowest class, in it what the caller can mend first.
fn rank(status: u16) -> (u16, bool) {
    let class = if status >= 600 { 0 } else { status / 100 };
    (class, !matches!(status, 401 | 407 | 415 | 420 | 484))
}
