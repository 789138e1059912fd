//! Deadlines at their call, in order of due time (`sip-metrics.md` 0.2, 2.3, 2.6, 3.3, 3.5, 4.5).

use call_records::Change;
use pipeline::Measure;
use pipeline::event::Fact;
use sip::Method;
use wire::Timestamp;

use crate::attempt::{Attempt, FailedBy};
use crate::dialog::Dialog;
use crate::hash::Tag;
use crate::list::At;
use crate::observed::pair;
use crate::registration::Registration;
use crate::request::{Expired, Request};
use crate::trunk::TrunkAttempt;
use crate::turn::Turn;

impl Turn<'_> {
    /// What is due at `at`: all of it, each part once. What falls due at the same time because of it is for the next turn.
    pub fn on_due(&mut self, at: Timestamp) {
        self.restore_byes(at);
        while let Some(request) =
            self.call.requests.find(&self.pools.requests, |request| request.progress.until() <= at)
        {
            self.on_request_due(request, at);
        }
        let (hold, window) = (self.config.fork_hold, self.config.retry_window);
        while let Some(attempt) =
            self.call.attempts.find(&self.pools.attempts, |attempt| attempt.due(hold, window) <= at)
        {
            self.on_attempt_due(attempt, at);
        }
        while let Some(dialog) = self.call.dialogs.find(&self.pools.dialogs, |dialog| dialog.due() <= at) {
            match self.dialog(dialog).on_due(at) {
                Some(ended) => self.on_dialog_ended(dialog, ended),
                None => self.forget_dialog(dialog, at),
            }
        }
        let expired = |dialog: &Dialog| dialog.session().is_some_and(|session| session.expires <= at);
        while let Some(dialog) = self.call.dialogs.find(&self.pools.dialogs, expired) {
            self.complete_session(dialog, None);
        }
        self.on_registrations_due(at);
        self.on_trunks_due(at);
    }

    /// Transactions over trunks that timed out, and attempts whose wait is over.
    fn on_trunks_due(&mut self, at: Timestamp) {
        if self.call.trunks.is_empty() {
            return;
        }
        let waits = self.config.trunk_waits();
        while let Some(place) = self
            .call
            .trunks
            .find(&self.pools.trunks, |attempt| attempt.due(&self.pools.trunk_transactions, waits) <= at)
        {
            let attempt = self.call.trunks.get_mut(&mut self.pools.trunks, place);
            let trunk = attempt.trunk();
            if let Some(outcome) = attempt.on_due(&mut self.pools.trunk_transactions, at, waits) {
                self.on_trunk_ended(trunk, outcome);
            }
        }
        self.forget_trunks();
    }

    /// The wait of an attempt is over, or nobody can inherit from it any more.
    fn on_attempt_due(&mut self, at: At, now: Timestamp) {
        let ner_use_q850 = self.config.ner_use_q850;
        let serial = self.attempt(at).serial;
        if let Some(ended) = self.attempt(at).on_due(ner_use_q850) {
            if ended.is_measured() {
                self.measure_setup(at, Measure::SetupFailure, ended.at);
            }
            self.on_attempt_ended(at, ended);
        }
        self.forget_attempt_if_done(serial, now);
    }

    /// A request's time is over (2.3).
    fn on_request_due(&mut self, at: At, now: Timestamp) {
        let waits = self.config.request_waits();
        let timeout = waits.timeout;
        let request = self.call.requests.get_mut(&mut self.pools.requests, at);
        let answered = match request.on_due(&self.pools.transactions, &self.pools.of_transactions, now, waits) {
            Expired::Forgotten => {
                if request.is_initial_invite() {
                    self.settle_invite(at, now);
                }
                return self.forget_request(at, now);
            }
            Expired::Failed(failure) => return self.on_request_failed(at, failure, now),
            Expired::TimedOut { answered } => answered,
        };
        self.wake(now + timeout);
        self.settled = true;
        let request = self.request(at);
        let (serial, slot, method) = (request.serial, request.slot, request.method);
        let tags = pair(request.from, request.to);
        let initial = request.is_initial_invite();
        self.push(slot, Fact::TransactionTimedOut(method));
        if self.records.is_some() {
            let (request, cseq) = (self.request_id(serial), self.request(at).cseq);
            self.tell(Change::RequestTimedOut { request, method, cseq, at: now });
        }
        match method {
            Method::Register => self.on_register_timeout(serial, now),
            Method::Bye => self.on_bye_timeout(tags, now),
            Method::Cancel => {}
            _ if initial => self.on_invite_timeout(serial, answered, now),
            _ => self.on_in_dialog_failed(at, TIMEOUT, now),
        }
    }

    /// 32 s after the first 2xx: early dialogs of other branches lost (RFC 3261 §13.2.2.4), and the ACK is overdue.
    fn settle_invite(&mut self, at: At, now: Timestamp) {
        let serial = self.request(at).serial;
        self.end_early_dialogs(serial, now);
        let primary = |dialog: &Dialog| dialog.invite == serial && dialog.primary;
        if let Some(at) = self.call.dialogs.find(&self.pools.dialogs, primary)
            && !self.dialog(at).acknowledged
            && self.dialog(at).is_live()
        {
            let slot = self.dialog(at).attempt_slot;
            self.push(slot, Fact::AckMissing);
        }
    }

    /// No final came: 32 s without any response, or `proceeding` after the last provisional.
    fn on_invite_timeout(&mut self, serial: u32, answered: bool, now: Timestamp) {
        self.end_early_dialogs(serial, now);
        let Some(invite) = self.call.invite(self.pools, serial) else { return };
        let abandoned = invite.given_up && invite.over_by.is_some_and(|over_by| over_by <= now);
        self.on_attempt_failed(serial, now, FailedBy::Timeout { answered, abandoned });
    }

    /// A BYE got no final in time.
    fn on_bye_timeout(&mut self, tags: [Tag; 2], now: Timestamp) {
        let Some(at) = self.call.find_dialog(self.pools, tags) else { return };
        let (open, holds) = (self.call.open_byes(self.pools, tags), self.config.holds());
        let dialog = self.dialog(at);
        dialog.on_bye_timeout(open, now, holds);
        let due = dialog.due();
        self.wake(due);
    }

    /// A REGISTER got no final in time.
    fn on_register_timeout(&mut self, serial: u32, now: Timestamp) {
        let (hold, window) = (self.config.fork_hold, self.config.retry_window);
        let Some(registration) = self.registration_of(serial) else { return };
        registration.on_timeout(serial, now, hold);
        let due = registration.due(window);
        self.wake(due);
    }

    /// Nothing can follow any more: what only waits for another try, another branch or more digits is decided as if that
    /// time had passed (0.2).
    pub fn settle(&mut self, now: Timestamp) {
        while let Some(request) = self.call.requests.find(&self.pools.requests, Request::is_forking) {
            self.on_request_due(request, now);
        }
        while let Some(attempt) = self.call.attempts.find(&self.pools.attempts, Attempt::settles) {
            self.on_attempt_due(attempt, now);
        }
        while let Some(dialog) = self.call.dialogs.find(&self.pools.dialogs, Dialog::settles) {
            if let Some(ended) = self.dialog(dialog).on_due(now) {
                self.on_dialog_ended(dialog, ended);
            }
        }
        while let Some(place) = self.call.registrations.find(&self.pools.registrations, Registration::settles) {
            self.on_registration_due(place);
        }
        while let Some(place) = self.call.trunks.find(&self.pools.trunks, TrunkAttempt::settles) {
            let attempt = self.call.trunks.get_mut(&mut self.pools.trunks, place);
            let trunk = attempt.trunk();
            if let Some(outcome) = attempt.settle() {
                self.on_trunk_ended(trunk, outcome);
            }
        }
    }

    /// Challenges that were not answered, and redirects that nobody can inherit from any more.
    fn on_registrations_due(&mut self, at: Timestamp) {
        let window = self.config.retry_window;
        let due = |registration: &Registration| registration.due(window) <= at;
        while let Some(place) = self.call.registrations.find(&self.pools.registrations, due) {
            self.on_registration_due(place);
        }
    }

    fn on_registration_due(&mut self, place: At) {
        let registration = self.call.registrations.get_mut(&mut self.pools.registrations, place);
        let (outcome, slot, serial) = (registration.on_due(), registration.slot, registration.serial);
        if let Some(outcome) = outcome {
            self.on_registration_ended(slot, outcome);
        }
        self.forget_registration_if_done(serial);
    }
}

/// What a request within a dialog that got no final failed with (RFC 3261 §8.1.3.1).
const TIMEOUT: u16 = 408;
