//! Deadlines at their call, in order of due time (`sip-metrics.md` 0.2, 2.3, 2.6, 3.3, 3.5, 4.5).

use call_records::Change;
use pipeline::event::{End, Fact};
use sip::Method;
use wire::Timestamp;

use crate::hash::Tag;
use crate::list::At;
use crate::observed::pair;
use crate::request::Expired;
use crate::turn::Turn;

impl Turn<'_> {
    /// What is due at `at`: all of it, each part once. What falls due at the same time because of it is for the next turn.
    pub fn on_due(&mut self, at: Timestamp) {
        while let Some(request) = self.call.requests.find(&self.pools.requests, |request| request.progress.until() <= at) {
            self.on_request_due(request, at);
        }
        let window = self.config.retry_window;
        while let Some(attempt) = self.call.attempts.find(&self.pools.attempts, |attempt| attempt.due(window) <= at) {
            let ner_use_q850 = self.config.ner_use_q850;
            let serial = self.attempt(attempt).serial;
            if let Some(ended) = self.attempt(attempt).on_due(at, ner_use_q850) {
                self.on_attempt_ended(attempt, ended);
            }
            self.forget_attempt_if_done(serial, at);
        }
        while let Some(dialog) = self.call.dialogs.find(&self.pools.dialogs, |dialog| dialog.due() <= at) {
            match self.dialog(dialog).on_due(at) {
                Some(ended) => self.on_dialog_ended(dialog, ended),
                None => self.forget_dialog(dialog, at),
            }
        }
        let expired = |dialog: &crate::dialog::Dialog| dialog.session.is_some_and(|session| session.expires <= at);
        while let Some(dialog) = self.call.dialogs.find(&self.pools.dialogs, expired) {
            self.complete_session(dialog, None);
        }
        self.on_registrations_due(at);
    }

    /// A request's time is over (2.3).
    fn on_request_due(&mut self, at: At, now: Timestamp) {
        let timeout = self.config.timeout();
        let request = self.call.requests.get_mut(&mut self.pools.requests, at);
        let answered = match request.on_due(&self.pools.transactions, now, timeout) {
            Expired::Forgotten => {
                if request.is_initial_invite() {
                    self.settle_invite(at, now);
                }
                return self.forget_request(at, now);
            }
            Expired::ForkDecided => {
                let failure = self.request(at).best_failure(&self.pools.transactions).expect("a branch has failed");
                return self.on_invite_failed(at, failure);
            }
            Expired::TimedOut { answered } => answered,
        };
        self.wake(now + timeout);
        self.settled = true;
        let request = self.request(at);
        let (serial, slot, method) = (request.serial, request.slot, request.method);
        let (within, tags) = (request.to != Tag::NONE, pair(request.from, request.to));
        let initial = request.is_initial_invite();
        self.push(slot, Fact::TransactionTimedOut(method));
        if self.records.is_some() {
            let request = self.request_id(serial);
            self.tell(Change::RequestTimedOut { request, at: now });
        }
        match method {
            Method::Register => self.on_register_timeout(serial),
            Method::Bye => self.on_bye_timeout(tags, now),
            Method::Cancel => {}
            _ if initial => self.on_invite_timeout(serial, answered, now),
            _ if within => {
                let dialog = self.call.find_dialog(self.pools, tags);
                self.break_dialog(dialog, End::Timeout, now);
            }
            _ => {}
        }
    }

    /// 32 s after the first 2xx: early dialogs of other branches lost (RFC 3261 §13.2.2.4), and the ACK is overdue.
    fn settle_invite(&mut self, at: At, now: Timestamp) {
        let serial = self.request(at).serial;
        self.end_early_dialogs(serial, now);
        let primary = |dialog: &crate::dialog::Dialog| dialog.invite == serial && dialog.primary;
        if let Some(at) = self.call.dialogs.find(&self.pools.dialogs, primary)
            && !self.dialog(at).acknowledged
        {
            let slot = self.dialog(at).attempt_slot;
            self.push(slot, Fact::AckMissing);
        }
    }

    /// No final came: 32 s without any response, or `proceeding` after the last provisional.
    fn on_invite_timeout(&mut self, serial: u32, answered: bool, now: Timestamp) {
        self.end_early_dialogs(serial, now);
        let Some(invite) = self.call.invite(self.pools, serial) else { return };
        let attempt = invite.attempt;
        let Some(attempt) = self.call.find_attempt(self.pools, attempt) else { return };
        let ended = self.attempt(attempt).on_timeout(answered, now);
        self.on_attempt_ended(attempt, ended);
    }

    /// A BYE got no final in time.
    fn on_bye_timeout(&mut self, tags: [Tag; 2], now: Timestamp) {
        let Some(at) = self.call.find_dialog(self.pools, tags) else { return };
        let open = self.call.open_byes(self.pools, tags);
        let ended = self.dialog(at).on_bye_timeout(open, now);
        self.on_bye_told(at, ended);
    }

    /// A REGISTER got no final in time.
    fn on_register_timeout(&mut self, serial: u32) {
        let Some(registration) = self.registration_of(serial) else { return };
        let (outcome, slot) = (registration.on_timeout(), registration.slot);
        self.on_registration_ended(slot, outcome);
    }

    /// Challenges that were not answered, and redirects that nobody can inherit from any more.
    fn on_registrations_due(&mut self, at: Timestamp) {
        let window = self.config.retry_window;
        let due = |registration: &crate::registration::Registration| registration.due(window) <= at;
        while let Some(place) = self.call.registrations.find(&self.pools.registrations, due) {
            let registration = self.call.registrations.get_mut(&mut self.pools.registrations, place);
            let (outcome, slot, serial) = (registration.on_due(), registration.slot, registration.serial);
            if let Some(outcome) = outcome {
                self.on_registration_ended(slot, outcome);
            }
            self.forget_registration_if_done(serial);
        }
    }
}
