//! What leaves memory: when nothing can happen to it any more, or to make room (`sip-metrics.md` 2.3, 3.7).

use call_records::Change;
use pipeline::Slot;
use pipeline::event::Fact;
use sip::Method;
use wire::Timestamp;

use crate::dialog::Dialog;
use crate::list::At;
use crate::observed::pair;
use crate::registration::Registration;
use crate::request::Request;
use crate::trunk::TrunkAttempt;
use crate::turn::{Turn, dialog_id};

impl Turn<'_> {
    /// Takes a dialog out, with what the gauges show of it.
    pub fn forget_dialog(&mut self, at: At, now: Timestamp) {
        if self.dialog(at).stands_for_attempt {
            self.restore_attempt();
        }
        self.restore_byes(Timestamp::NEVER);
        let dialog = self.call.dialogs.remove(&mut self.pools.dialogs, at);
        self.held.dialogs -= 1;
        if dialog.is_live() || dialog.session().is_some() {
            self.held.lose_dialog(dialog.observed);
        }
        self.settled = true;
        if dialog.is_up() {
            self.lose_queue_calls_in(dialog.tags);
            self.tell(Change::DialogLost { dialog: dialog_id(dialog.tags), at: now });
        }
        if let Some(from) = dialog.shown() {
            self.push(dialog.attempt_slot, Fact::DialogMoved { from: Some(from), to: None });
        }
        if let Some(depth) = dialog.via_depth {
            self.push(dialog.request_slot, Fact::ViaDepth(depth.into()));
        }
        if dialog.session().is_some() {
            self.push(dialog.request_slot, Fact::PerInviteSessionClosed);
        }
        self.slots.release(dialog.request_slot);
        self.slots.release(dialog.attempt_slot);
        self.forget_trunks();
    }

    /// Takes an attempt out.
    pub fn forget_attempt(&mut self, at: At, now: Timestamp) {
        let mut attempt = self.call.attempts.remove(&mut self.pools.attempts, at);
        self.settled = true;
        if attempt.is_undecided() {
            self.held.attempts -= 1;
            self.lose_queue_calls(|call| call.attempt == attempt.serial);
            self.tell(Change::AttemptLost { at: now });
        }
        attempt.clear(&mut self.pools.created);
        self.slots.release(attempt.slot);
    }

    /// Forgets an attempt that nothing can happen to: its INVITEs are forgotten, and it awaits none.
    pub fn forget_attempt_if_done(&mut self, serial: u32, now: Timestamp) {
        let Some(at) = self.call.find_attempt(self.pools, serial) else { return };
        let has_invite = self.call.invites.find(&self.pools.invites, |invite| invite.attempt == serial).is_some();
        if !has_invite && !self.attempt(at).awaits_invite() {
            self.forget_attempt(at, now);
        }
    }

    /// Takes a registration attempt out.
    fn forget_registration(&mut self, at: At) {
        let registration = self.call.registrations.remove(&mut self.pools.registrations, at);
        self.held.registrations -= usize::from(registration.is_undecided());
        self.settled = true;
        self.slots.release(registration.slot);
    }

    /// Forgets the registration attempt of a REGISTER once all of them are forgotten, unless it awaits one.
    pub fn forget_registration_if_done(&mut self, serial: u32) {
        let remembered = |registration: &Registration| {
            let of_it = |request: &Request| request.method == Method::Register && registration.has(request.serial);
            self.call.requests.find(&self.pools.requests, of_it).is_some()
        };
        let done = |registration: &Registration| {
            registration.has(serial) && !registration.awaits_register() && !remembered(registration)
        };
        if let Some(at) = self.call.registrations.find(&self.pools.registrations, done) {
            self.forget_registration(at);
        }
    }

    /// Takes a request out, with its transactions and what hangs on it.
    pub fn forget_request(&mut self, at: At, now: Timestamp) {
        let mut request = self.call.requests.remove(&mut self.pools.requests, at);
        self.held.requests -= 1;
        self.call.request_count -= 1;
        self.settled = true;
        let serial = request.serial;
        while let Some(mut tx) = request.transactions.pop(&mut self.pools.transactions) {
            tx.clear(&mut self.pools.of_transactions);
        }
        let primary = |dialog: &Dialog| dialog.invite == serial && dialog.primary;
        let primary = self.call.dialogs.find(&self.pools.dialogs, primary);
        let stands = primary.is_some_and(|at| std::mem::take(&mut self.dialog(at).stands_for_attempt));
        let invite = self.call.invites.find(&self.pools.invites, |invite| invite.serial == serial);
        if stands || invite.is_some() {
            // An answered INVITE is remembered as long as its dialog.
            match primary {
                Some(dialog) => self.dialog(dialog).via_depth = Some(request.depth),
                None => self.push(request.slot, Fact::ViaDepth(request.depth.into())),
            }
        }
        if let Some(at) = invite {
            let invite = self.call.invites.remove(&mut self.pools.invites, at);
            self.forget_attempt_if_done(invite.attempt, now);
        }
        if request.method == Method::Register {
            self.forget_registration_if_done(serial);
        }
        if self.records.is_some() {
            let request = self.request_id(serial);
            self.tell(Change::RequestForgotten { request });
        }
        self.slots.release(request.slot);
        self.forget_trunks();
    }

    /// Forgets the trunk attempts to which nothing can happen: none of their transactions is remembered, and neither is an
    /// outcome waited for nor a dialog up. The call of an answer that no dialog came of has ended then.
    pub fn forget_trunks(&mut self) {
        if self.call.trunks.is_empty() {
            return;
        }
        while let Some(at) = self.call.trunks.find(&self.pools.trunks, |attempt| self.is_done(attempt)) {
            self.forget_trunk(at);
        }
    }

    fn is_done(&self, attempt: &TrunkAttempt) -> bool {
        let pools = &self.pools;
        let requests = self.call.requests.iter(&pools.requests);
        let invites = requests.filter(|(_, request)| request.method == Method::Invite);
        let branches = invites.flat_map(|(_, request)| request.transactions.iter(&pools.transactions));
        let up = attempt.call().is_some_and(|([from, to], _)| {
            let dialog = self.call.find_dialog(pools, pair(from, to));
            dialog.is_some_and(|at| self.call.dialogs.get(&pools.dialogs, at).is_live())
        });
        let ended = attempt.is_over() || attempt.call().is_some();
        ended && !up && !attempt.has_any(&pools.trunk_transactions, branches.map(|(_, tx)| tx.branch))
    }

    /// Takes a trunk attempt out, with what the gauge shows of it.
    fn forget_trunk(&mut self, at: At) {
        let mut attempt = self.call.trunks.remove(&mut self.pools.trunks, at);
        attempt.clear(&mut self.pools.trunk_transactions);
        self.held.trunks -= usize::from(attempt.is_undecided());
        self.settled = true;
        if attempt.call().is_some() {
            self.push(Slot::OTHER, Fact::TrunkCallEnded(attempt.trunk(), None));
        }
    }

    /// Takes everything of the call out: it makes room for others.
    pub fn forget_all(&mut self, now: Timestamp) {
        while let Some(at) = self.call.dialogs.newest() {
            self.forget_dialog(at, now);
        }
        while let Some(at) = self.call.requests.newest() {
            self.forget_request(at, now);
        }
        while let Some(at) = self.call.attempts.newest() {
            self.forget_attempt(at, now);
        }
        while let Some(at) = self.call.registrations.newest() {
            self.forget_registration(at);
        }
        while let Some(at) = self.call.trunks.newest() {
            self.forget_trunk(at);
        }
    }
}
