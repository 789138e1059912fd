//! A response at its call: what it decides, confirms or ends (`sip-metrics.md` 2.3 to 2.7, 3.1 to 3.6, 4.5, 4.6).

use call_records::{Change, SightingKind};
use pipeline::event::{DialogState, Fact};
use pipeline::{Measure, Slot};
use sip::Method;
use std::time::Duration;
use wire::Timestamp;

use crate::bindings::Asked;
use crate::call::TransactionAt;
use crate::dialog::Dialog;
use crate::hash::Tag;
use crate::list::At;
use crate::observed::Observed;
use crate::request::{Progress, Request};
use crate::session::Session;
use crate::transaction::ItemId;
use crate::turn::{Taken, Turn, dialog_id};

impl Turn<'_> {
    /// Takes a response. `may_wait`: not if its transaction is unknown, which is then returned.
    pub fn on_response(&mut self, status: u16, may_wait: bool, seen: &Observed<'_>) -> Taken {
        if seen.method() == Method::Bye {
            self.restore_byes(Timestamp::NEVER);
        }
        match self.call.find_transaction(self.pools, seen.branch, seen.method()) {
            Some(at) => self.on_response_of(at, status, seen),
            None if may_wait => return Taken::Waits,
            None => self.open_orphan(seen).and_then(|at| self.on_response_of(at, status, seen)),
        }
        .map_or(Taken::Done, |(slot, asked)| Taken::Binds(slot, asked))
    }

    /// Takes a response of a transaction. Returns what it binds, if it is a 2xx to REGISTER.
    fn on_response_of(&mut self, at: TransactionAt, status: u16, seen: &Observed<'_>) -> Option<(Slot, Asked)> {
        let rseq = if status < 200 { seen.message.rseq() } else { None };
        let item = ItemId::response(status, self.hashes.response(seen.to, rseq));
        if self.see(at, item, seen) != SightingKind::First {
            // A repeated provisional still shows that somebody waits (2.3).
            if status < 200 && self.call.transaction(self.pools, at).root {
                self.on_provisional(at.request, seen);
            }
            if status < 200 && !self.call.trunks.is_empty() && seen.method() == Method::Invite {
                self.on_trunk_response(status, seen);
            }
            return None;
        }
        let request = self.call.requests.get_mut(&mut self.pools.requests, at.request);
        let tx = request.transactions.get_mut(&mut self.pools.transactions, at.transaction);
        let late = tx.note_response(status, seen, &mut self.pools.of_transactions);
        let (root, began) = (tx.root, tx.began);
        if !self.call.trunks.is_empty() {
            match (seen.method(), status) {
                (Method::Invite, _) => self.on_trunk_response(status, seen),
                (Method::Cancel, 200..300) => self.on_trunk_cancelled(seen.branch, began),
                (Method::Cancel, 300..) => self.on_trunk_cancel(seen.branch, false),
                _ => {}
            }
        }
        if !root {
            return None;
        }
        let request = self.call.requests.get_mut(&mut self.pools.requests, at.request);
        let (transactions, pools) = (&mut self.pools.transactions, &mut self.pools.of_transactions);
        let fresh = request.count_item(transactions, pools, at.transaction, item);
        let (slot, serial, method) = (request.slot, request.serial, request.method);
        let (progress, t1) = (request.progress, request.t1);
        if fresh {
            self.push(slot, Fact::Responded(status));
        }
        if let Progress::TimedOut { .. } = progress {
            if fresh {
                self.push(slot, Fact::RespondedLate);
            }
            return None;
        }
        if let Progress::Calling { .. } = progress
            && method == Method::Options
        {
            self.measure(Some(serial), slot, Measure::Options, seen.now() - t1);
        }
        if self.request(at.request).is_initial_invite() {
            if !self.request(at.request).is_open() {
                self.restore_attempt();
            }
            self.on_invite_response(at, status, fresh, late, seen);
            return None;
        }
        if status < 200 {
            self.on_provisional(at.request, seen);
            return None;
        }
        if !fresh || late {
            return None;
        }
        if self.request(at.request).status().is_some() {
            // Another branch of an INVITE nobody saw was answered too (3.6).
            if status < 300 && method == Method::Invite && !self.request(at.request).is_counted() {
                self.on_in_dialog_success(at.request, status, seen);
            }
            return None;
        }
        if status >= 300 {
            self.on_failure(at, status, seen);
            return None;
        }
        let timeout = self.config.timeout();
        let request = self.request_mut(at.request);
        request.decide(status, seen.now(), timeout);
        let recording = request.recording;
        self.wake(seen.now() + timeout);
        self.settled = true;
        // What a 2xx means to dialogs and registrations.
        match method {
            Method::Register => return self.on_register_success(at.request, status, seen),
            Method::Bye => self.on_bye_success(at.request, status, seen),
            Method::Cancel => self.on_given_up_acknowledged(at.request),
            Method::Ack => {}
            _ if recording => {}
            _ => self.on_in_dialog_success(at.request, status, seen),
        }
        None
    }

    /// A final of 300 or more at a root: it decides, or others are waited for (2.5).
    fn on_failure(&mut self, at: TransactionAt, status: u16, seen: &Observed<'_>) {
        if !self.request(at.request).recording {
            self.count_reasons_of_final(at.request, status, seen);
        }
        let waits = self.config.request_waits();
        let request = self.call.requests.get_mut(&mut self.pools.requests, at.request);
        let counted = request.is_counted();
        if counted && !request.is_open() {
            return;
        }
        let failure = if counted {
            request.on_branch_failed(&self.pools.transactions, &self.pools.of_transactions, waits)
        } else {
            // What nobody saw the request of is told apart by nothing.
            let transaction = request.transactions.get(&self.pools.transactions, at.transaction);
            transaction.failure(&self.pools.of_transactions)
        };
        match failure {
            Some(failure) => self.on_request_failed(at.request, failure, seen.now()),
            None => {
                let until = request.progress.until();
                self.wake(until);
            }
        }
    }

    /// A response without its request: counted, under `other`, once per logical request (2.3).
    fn open_orphan(&mut self, seen: &Observed<'_>) -> Option<TransactionAt> {
        let orphan =
            |request: &Request| request.slot == Slot::OTHER && !request.is_counted() && request.is_behind(seen);
        let request = match self.call.requests.find(&self.pools.requests, orphan) {
            Some(request) => request,
            None => {
                self.push(Slot::OTHER, Fact::ResponseUnmatched);
                self.open_request(Slot::OTHER, Tag::NONE, seen)
            }
        };
        self.attach_to(request, seen).ok()
    }

    /// A 1xx gives an INVITE more time, unless it was given up, and nothing else any (2.3).
    fn on_provisional(&mut self, at: At, seen: &Observed<'_>) {
        let proceeding = self.config.proceeding;
        let request = self.request_mut(at);
        request.on_provisional(seen.now(), proceeding);
        let serial = request.serial;
        if request.is_initial_invite()
            && let Some(over_by) = self.call.invite(self.pools, serial).and_then(|invite| invite.over_by)
        {
            self.request_mut(at).over_by(over_by);
        }
    }

    /// A response to an initial INVITE, at a root. `fresh`: its item was not counted before; `late`: it is a 2xx on a
    /// transaction that had failed.
    fn on_invite_response(&mut self, at: TransactionAt, status: u16, fresh: bool, late: bool, seen: &Observed<'_>) {
        match status {
            ..200 if fresh => self.on_invite_provisional(at.request, status, seen),
            ..200 => self.on_provisional(at.request, seen),
            200..300 if fresh => self.on_invite_success(at.request, status, late, seen),
            200..300 => {}
            // Not counted again, it may still be the last that was waited for.
            300.. => self.on_failure(at, status, seen),
        }
    }

    fn on_invite_provisional(&mut self, at: At, status: u16, seen: &Observed<'_>) {
        let now = seen.now();
        let request = self.request(at);
        let (serial, slot, t1, open) = (request.serial, request.slot, request.t1, request.is_open());
        if !open && request.status().is_none_or(|status| status >= 300) {
            return;
        }
        let Some(invite) = self.call.invite(self.pools, serial) else { return };
        let attempt = invite.attempt;
        if status == QUEUED && open && !self.call.queued.is_empty() {
            self.on_queued(attempt, seen);
        }
        let Some(invite) = self.call.invite(self.pools, serial) else { return };
        let (mut first, mut dialed, mut rings) = (false, false, false);
        if open {
            first = !std::mem::replace(&mut invite.provisional, true);
            dialed = (101..199).contains(&status) && !std::mem::replace(&mut invite.dialed, true);
            rings = status == 180 && invite.first_180.is_none();
            if rings {
                invite.first_180 = Some(now);
            }
        }
        if first {
            self.measure(Some(serial), slot, Measure::FirstResponse, now - t1);
        }
        if dialed {
            self.measure(Some(serial), slot, Measure::PostDial, now - t1);
        }
        let attempt = self.call.find_attempt(self.pools, attempt);
        if let Some(attempt) = attempt
            && rings
        {
            self.attempt(attempt).on_alerted();
        }
        match status {
            100 => {}
            // The end of a branch (RFC 6228), no ringing.
            199 => self.end_early_dialog(seen),
            _ => {
                self.on_attempt_progress(attempt, seen);
                if seen.to != Tag::NONE {
                    self.open_early(at, seen);
                }
            }
        }
        self.on_provisional(at, seen);
    }

    /// A 101-199, or another branch's 2xx: one delay for each dialog created (RFC 6076 §5.4).
    fn on_attempt_progress(&mut self, attempt: Option<At>, seen: &Observed<'_>) {
        let Some(at) = attempt else { return };
        let attempt = self.call.attempts.get_mut(&mut self.pools.attempts, at);
        let slot = attempt.slot;
        let Some(progressed) = attempt.on_progress(&mut self.pools.created, seen.to, seen.now()) else { return };
        self.tell(Change::AttemptProgressed(progressed.delay));
        if progressed.counts {
            self.measure(None, slot, Measure::SetupSuccess, progressed.delay);
        }
    }

    /// A branch ended.
    fn end_early_dialog(&mut self, seen: &Observed<'_>) {
        let Some(at) = self.call.find_dialog(self.pools, seen.tags()) else { return };
        let until = seen.now() + self.config.timeout();
        let dialog = self.dialog(at);
        let slot = dialog.attempt_slot;
        if dialog.end_early(until) {
            self.on_early_ended(slot, until);
        }
    }

    fn on_invite_success(&mut self, at: At, status: u16, late: bool, seen: &Observed<'_>) {
        let (now, timeout) = (seen.now(), self.config.timeout());
        let request = self.request(at);
        let (serial, slot, t1, open) = (request.serial, request.slot, request.t1, request.is_open());
        let failed = !open && request.status().is_none_or(|status| status >= 300);
        let attempt = self.call.invite(self.pools, serial).map(|invite| invite.attempt);
        let attempt = attempt.and_then(|attempt| self.call.find_attempt(self.pools, attempt));
        let attempt_failed = attempt.is_some_and(|at| self.attempt(at).has_failed());
        if late || failed || attempt_failed {
            // A dialog outside all ratios (2.6, 3.6).
            self.push(slot, Fact::AnsweredLate);
            let dialog = self.confirm(at, Confirmed::Unobserved, seen);
            if status == 200 {
                self.open_session(dialog, false, seen);
            }
            return;
        }
        let Some(invite) = self.call.invite(self.pools, serial) else { return };
        let first_180 = invite.first_180;
        let first_200 = status == 200 && !std::mem::replace(&mut invite.answered_200, true);
        let dialed = !open || std::mem::replace(&mut invite.dialed, true);
        if first_200 {
            self.push(slot, Fact::InviteAnswered);
        }
        if open {
            self.request_mut(at).decide(status, now, timeout);
            self.wake(now + timeout);
            self.settled = true;
            if !dialed {
                self.measure(Some(serial), slot, Measure::PostDial, now - t1);
            }
            if let Some(since) = first_180 {
                self.on_rang(attempt, Measure::RingAnswered, now - since);
            }
        }
        // A further branch, or another INVITE of the attempt, answers what is answered.
        let primary = open && attempt.is_some_and(|at| self.attempt(at).is_undecided());
        match attempt {
            Some(attempt) if primary => self.on_attempt_answered(attempt, status, seen),
            _ => self.on_attempt_progress(attempt, seen),
        }
        let kind = if primary { Confirmed::Primary } else { Confirmed::Further };
        let dialog = self.confirm(at, kind, seen);
        if !self.call.queued.is_empty()
            && let Some(attempt) = self.call.invite(self.pools, serial).map(|invite| invite.attempt)
        {
            self.on_queue_answer(attempt, seen);
        }
        if status == 200 {
            self.open_session(dialog, first_200, seen);
            if primary {
                self.let_dialog_stand(at, dialog, seen.to);
            }
        }
    }

    /// A provisional response opened a dialog, or told again of one.
    fn open_early(&mut self, request: At, seen: &Observed<'_>) {
        let known = self.call.find_dialog(self.pools, seen.tags());
        if known.is_none_or(|at| !self.dialog(at).is_live()) {
            self.open_dialog(request, seen);
        }
    }

    /// Opens an early dialog under a request's labels, in place of any other with the same tags.
    fn open_dialog(&mut self, request: At, seen: &Observed<'_>) -> At {
        if let Some(former) = self.call.find_dialog(self.pools, seen.tags()) {
            self.forget_dialog(former, seen.now());
        }
        let (request_slot, attempt_slot) = self.slots_of_invite(request);
        let (serial, cseq) = (self.request(request).serial, self.request(request).cseq);
        let (request_slot, attempt_slot) = (self.slots.hold(request_slot), self.slots.hold(attempt_slot));
        self.push(attempt_slot, Fact::DialogMoved { from: None, to: Some(DialogState::Early) });
        self.held.dialogs += 1;
        self.held.live_dialogs += 1;
        self.settled = true;
        let dialog = Dialog::new(seen.tags(), request_slot, attempt_slot, serial, cseq);
        self.call.dialogs.push(&mut self.pools.dialogs, dialog)
    }

    /// A 2xx to an initial INVITE confirms the dialog of its To tag. Returns it.
    fn confirm(&mut self, request: At, kind: Confirmed, seen: &Observed<'_>) -> At {
        let primary = kind == Confirmed::Primary;
        let known = self.call.find_dialog(self.pools, seen.tags());
        let at = match known {
            // What the answer of a hop whose INVITE was not seen made (3.6) gives way to what is observed.
            Some(at) if !self.dialog(at).gives_way(primary) => at,
            _ => self.open_dialog(request, seen),
        };
        let max_age = self.config.max_dialog_age;
        let dialog = self.dialog(at);
        let observed = kind != Confirmed::Unobserved;
        if !dialog.confirm(primary, observed, seen.now(), seen.session_expires(), max_age) {
            return at;
        }
        let (slot, due, id) = (dialog.attempt_slot, dialog.due(), dialog_id(dialog.tags));
        self.held.unobserved += usize::from(!observed);
        self.wake(due);
        self.settled = true;
        self.push(slot, Fact::DialogMoved { from: Some(DialogState::Early), to: Some(DialogState::Confirmed) });
        self.tell(Change::DialogConfirmed { dialog: id });
        at
    }

    /// A 200 to INVITE started a dialog (3.5).
    fn open_session(&mut self, at: At, primary: bool, seen: &Observed<'_>) {
        let interval = self.session_interval(seen);
        let dialog = self.dialog(at);
        if dialog.session().is_some() || !dialog.is_live() {
            return;
        }
        let session = Session::new(primary, seen.now(), interval);
        dialog.set_session(session);
        let slot = dialog.request_slot;
        self.push(slot, Fact::PerInviteSessionOpened);
        self.wake(session.expires);
    }

    fn session_interval(&self, seen: &Observed<'_>) -> Duration {
        seen.session_expires().unwrap_or(self.config.session_expires_default)
    }

    /// The dialog that a final is about: that of its request, or the one it names itself.
    fn dialog_answered(&mut self, request: At, seen: &Observed<'_>) -> Option<At> {
        let request = self.request(request);
        let within = crate::observed::pair(request.from, request.to);
        let known = (request.to != Tag::NONE || request.method == Method::Bye)
            .then(|| self.call.find_dialog(self.pools, within))
            .flatten();
        known.or_else(|| self.call.find_dialog(self.pools, seen.tags()))
    }

    /// A 2xx to a request within a dialog, or to an INVITE nobody saw (3.2, 3.4, 3.6).
    fn on_in_dialog_success(&mut self, at: At, status: u16, seen: &Observed<'_>) {
        let request = self.request(at);
        let method = request.method;
        // A request that was seen without a To tag is in no dialog: OPTIONS, MESSAGE, SUBSCRIBE and the like.
        if request.is_counted() && request.to == Tag::NONE && method != Method::Invite {
            return;
        }
        match (self.dialog_answered(at, seen), method) {
            (Some(dialog), Method::Invite | Method::Update) => self.refresh(dialog, seen),
            (Some(dialog), _) => self.dialog(dialog).on_mended(),
            (None, Method::Invite) => {
                let dialog = self.confirm(at, Confirmed::Unobserved, seen);
                if status == 200 {
                    self.open_session(dialog, false, seen);
                }
            }
            (None, _) => {}
        }
    }

    /// A 2xx to a re-INVITE or UPDATE starts the timers of a dialog and its session anew.
    fn refresh(&mut self, at: At, seen: &Observed<'_>) {
        let (max_age, interval) = (self.config.max_dialog_age, self.session_interval(seen));
        let dialog = self.dialog(at);
        dialog.refresh(seen.now(), seen.session_expires(), max_age);
        dialog.on_mended();
        let mut expires = Timestamp::NEVER;
        if let Some(mut session) = dialog.session().copied() {
            session.refresh(seen.now(), interval);
            dialog.set_session(session);
            expires = session.expires;
        }
        let due = dialog.due().min(expires);
        self.wake(due);
    }

    /// A 2xx to a BYE (3.3).
    fn on_bye_success(&mut self, request: At, status: u16, seen: &Observed<'_>) {
        let now = seen.now();
        let dialog = self.dialog_answered(request, seen);
        let Some(at) =
            dialog.filter(|at| self.call.dialogs.get(&self.pools.dialogs, *at).shown() != Some(DialogState::Early))
        else {
            return self.on_given_up_acknowledged(request);
        };
        if status == 200 {
            self.complete_session(at, Some(now));
        }
        let (counted, holds) = (self.request(request).is_counted(), self.config.holds());
        let ended = self.dialog(at).on_bye_final(status, false, counted, 0, now, holds);
        if let Some(ended) = ended {
            self.on_dialog_ended(at, ended);
            self.let_dialog_keep_bye(request, at);
        }
    }

    /// A 2xx to a REGISTER.
    fn on_register_success(&mut self, at: At, status: u16, seen: &Observed<'_>) -> Option<(Slot, Asked)> {
        let now = seen.now();
        let request = self.request(at);
        let (serial, slot, t1, counted) = (request.serial, request.slot, request.t1, request.is_counted());
        if counted && status == 200 {
            self.measure(Some(serial), slot, Measure::Registration, now - t1);
        }
        let asked = self.registration_of(serial).map(|registration| std::mem::take(&mut registration.asked));
        self.on_register_decided(serial, status, now);
        Some((slot, asked.unwrap_or_default()))
    }
}

/// 182: in a queue (RFC 3261 §21.1.4).
const QUEUED: u16 = 182;

/// What a 2xx makes of the dialog it confirms.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Confirmed {
    /// The first of an attempt.
    Primary,
    /// Another one, by fork.
    Further,
    /// Nobody saw its INVITE, or that had failed (3.6).
    Unobserved,
}
