//! Failures at their call: what a request that failed, or was given up, makes of its attempt, registration attempt or dialog
//! (`sip-metrics.md` 2.5, 2.6, 3.2, 3.3, 4.5).

use pipeline::Measure;
use pipeline::event::{End, Fact, RegistrationOutcome};
use sip::Method;
use wire::Timestamp;

use crate::attempt::{Failed, FailedBy};
use crate::hash::Tag;
use crate::list::At;
use crate::observed::pair;
use crate::request::{Progress, Request};
use crate::transaction::Failure;
use crate::turn::Turn;

impl Turn<'_> {
    /// A request was decided by a final of 300 or more (2.5).
    pub fn on_request_failed(&mut self, at: At, failure: Failure, now: Timestamp) {
        let timeout = self.config.timeout();
        let request = self.request_mut(at);
        request.decide(failure.status, now, timeout);
        let (until, initial) = (request.progress.until(), request.is_initial_invite());
        let (serial, method, recording) = (request.serial, request.method, request.recording);
        self.wake(until);
        self.settled = true;
        match method {
            _ if initial => self.on_invite_failed(at, failure, now),
            _ if recording => {}
            Method::Register => self.on_register_failed(serial, at, failure),
            Method::Bye => self.on_bye_failed(at, failure),
            Method::Cancel => self.on_given_up_refused(at),
            Method::Ack => {}
            _ => self.on_in_dialog_failed(at, failure.status, failure.at),
        }
    }

    /// An initial INVITE was decided by a final of 300 or more.
    fn on_invite_failed(&mut self, at: At, failure: Failure, now: Timestamp) {
        let request = self.request(at);
        let (serial, slot) = (request.serial, request.slot);
        self.push(slot, Fact::InviteFailed(failure.status));
        let Some(invite) = self.call.invite(self.pools, serial) else { return };
        let (attempt, first_180) = (invite.attempt, invite.first_180);
        let attempt = self.call.find_attempt(self.pools, attempt);
        if let Some(since) = first_180 {
            self.on_rang(attempt, Measure::RingUnanswered, failure.at - since);
        }
        self.end_early_dialogs(serial, now);
        self.on_attempt_failed(serial, failure.at, FailedBy::Final { status: failure.status, cause: failure.cause });
    }

    /// An INVITE failed: what that makes of its attempt, which waits until none of its INVITEs is open (2.6).
    pub fn on_attempt_failed(&mut self, serial: u32, at: Timestamp, by: FailedBy) {
        let Some(invite) = self.call.invite(self.pools, serial) else { return };
        let (attempt, given_up) = (invite.attempt, invite.given_up);
        let Some(of) = self.call.find_attempt(self.pools, attempt) else { return };
        let latest = self.attempt(of).latest;
        // One without any response that a newer one has overtaken is not waited for.
        if serial != latest && matches!(by, FailedBy::Timeout { answered: false, .. }) {
            return;
        }
        let open = |request: &Request| {
            request.serial != serial
                && request.is_open()
                && request.is_initial_invite()
                && (request.serial == latest || !matches!(request.progress, Progress::Calling { .. }))
                && self
                    .call
                    .invites
                    .iter(&self.pools.invites)
                    .any(|(_, invite)| invite.serial == request.serial && invite.attempt == attempt)
        };
        if self.call.requests.find(&self.pools.requests, open).is_some() {
            return;
        }
        let ended = self.attempt(of).on_failure(Failed { serial, at, by, given_up });
        if let Some(ended) = ended {
            self.on_attempt_ended(of, ended);
        }
        let (hold, window) = (self.config.fork_hold, self.config.retry_window);
        let due = self.attempt(of).due(hold, window);
        self.wake(due);
    }

    /// The initial INVITE that a CANCEL, or a BYE before any answer, of its caller gives up (2.6).
    pub fn invite_given_up(&self, request: At) -> Option<At> {
        let by = self.request(request);
        let of_caller = |invite: &Request| invite.is_initial_invite() && invite.from == by.from;
        if by.method == Method::Cancel {
            let branch = by.transactions.iter(&self.pools.transactions).map(|(_, tx)| tx.branch).next()?;
            let of_branch = self.call.find_transaction(self.pools, branch, Method::Invite).map(|at| at.request);
            let named = |invite: &Request| of_caller(invite) && invite.cseq == by.cseq;
            return of_branch.or_else(|| self.call.requests.find(&self.pools.requests, named));
        }
        self.call.requests.find(&self.pools.requests, of_caller)
    }

    /// The caller gave up an INVITE.
    pub fn on_given_up(&mut self, invite: At) {
        let request = self.request(invite);
        let (open, status) = (request.is_open(), request.status());
        // Taps reorder: also after its 487.
        if open || status == Some(487) {
            self.set_given_up(invite, true);
        }
    }

    /// What gave up an INVITE was refused.
    fn on_given_up_refused(&mut self, request: At) {
        if let Some(invite) = self.invite_given_up(request) {
            self.set_given_up(invite, false);
        }
    }

    fn set_given_up(&mut self, invite: At, given_up: bool) {
        let serial = self.request(invite).serial;
        for branch in self.branches(invite, true) {
            self.on_trunk_cancel(branch, given_up);
        }
        let Some(invite) = self.call.invite(self.pools, serial) else { return };
        invite.given_up = given_up;
        let attempt = invite.attempt;
        if let Some(at) = self.call.find_attempt(self.pools, attempt) {
            self.attempt(at).on_given_up(serial, given_up);
            let (hold, window) = (self.config.fork_hold, self.config.retry_window);
            let due = self.attempt(at).due(hold, window);
            self.wake(due);
        }
    }

    /// What gave up an INVITE succeeded: that is over 32 s after it was sent, unless a final comes before (2.3).
    pub fn on_given_up_acknowledged(&mut self, request: At) {
        let sent = self.request(request).t1;
        let over_by = sent + self.config.timeout();
        let Some(at) = self.invite_given_up(request) else { return };
        for branch in self.branches(at, true) {
            self.on_trunk_cancelled(branch, sent);
        }
        let serial = self.request(at).serial;
        let Some(invite) = self.call.invite(self.pools, serial).filter(|invite| invite.given_up) else { return };
        invite.over_by = Some(over_by);
        self.request_mut(at).over_by(over_by);
        self.wake(over_by);
    }

    /// A REGISTER was decided by a final of 300 or more.
    fn on_register_failed(&mut self, serial: u32, at: At, failure: Failure) {
        let request = self.request(at);
        let (slot, delay, counted) = (request.slot, failure.at - request.t1, request.is_counted());
        if counted && failure.status < 400 {
            self.measure(Some(serial), slot, Measure::RegistrationRedirect, delay);
        }
        self.on_register_decided(serial, failure.status, failure.at);
    }

    /// A REGISTER has its final: what that makes of its attempt.
    pub fn on_register_decided(&mut self, serial: u32, status: u16, at: Timestamp) {
        let (waits, window) = (self.config.registration_waits(), self.config.retry_window);
        let Some(registration) = self.registration_of(serial) else { return };
        let outcome = registration.on_final(serial, status, at, waits);
        let (slot, delay, due) = (registration.slot, registration.since_start(at), registration.due(window));
        self.wake(due);
        if outcome == Some(RegistrationOutcome::Success) {
            self.measure(Some(serial), slot, Measure::RegistrationStrict, delay);
        }
        if let Some(outcome) = outcome {
            self.on_registration_ended(slot, outcome);
        }
    }

    /// A BYE was decided by a final of 300 or more.
    fn on_bye_failed(&mut self, request: At, failure: Failure) {
        let by = self.request(request);
        let (tags, counted) = (pair(by.from, by.to), by.is_counted());
        let at = self.call.find_dialog(self.pools, tags);
        let Some(at) = at.filter(|at| self.call.dialogs.get(&self.pools.dialogs, *at).is_up()) else {
            return self.on_given_up_refused(request);
        };
        let (open, holds) = (self.call.open_byes(self.pools, tags), self.config.holds());
        let dialog = self.dialog(at);
        dialog.on_bye_final(failure.status, failure.retry_after, counted, open, failure.at, holds);
        let due = dialog.due();
        self.wake(due);
    }

    /// A request within a dialog failed (3.2): what is left of the dialog, only a re-INVITE or UPDATE tells.
    pub fn on_in_dialog_failed(&mut self, request: At, status: u16, at: Timestamp) {
        let end = match status {
            481 => End::Gone,
            408 => End::Timeout,
            _ => return,
        };
        let request = self.request(request);
        let tags = pair(request.from, request.to);
        if !matches!(request.method, Method::Invite | Method::Update) || request.to == Tag::NONE {
            return;
        }
        if let Some(dialog) = self.call.find_dialog(self.pools, tags) {
            let until = at + self.config.session_expires_default;
            self.dialog(dialog).on_broken(until, end);
            self.wake(until);
        }
    }
}
