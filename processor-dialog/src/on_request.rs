//! A request at its call: whether it is new, and what it begins or ends (`sip-metrics.md` 2.3 to 2.7, 3.3, 4.5).

use call_records::{Change, SightingKind};
use pipeline::Slot;
use pipeline::event::{DialogState, Fact};
use sip::Method;

use wire::Timestamp;

use crate::attempt::{self, Attempt, FailedBy};
use crate::bindings::Asked;
use crate::call::{Invite, TransactionAt};
use crate::dialog::FirstBye;
use crate::hash::Tag;
use crate::list::At;
use crate::observed::Observed;
use crate::registration::{self, Registration};
use crate::request::{Progress, Request};
use crate::transaction::{Final, ItemId};
use crate::turn::{Taken, Turn, dialog_id};

impl Turn<'_> {
    /// Takes a request. `may_wait`: not if it came before what caused it.
    pub fn on_request(&mut self, may_wait: bool, seen: &Observed<'_>) -> Taken {
        if seen.method() == Method::Bye {
            self.restore_byes(Timestamp::NEVER);
        }
        if may_wait && self.call.must_wait(self.pools, seen) {
            return Taken::Waits;
        }
        self.take_request(seen);
        Taken::Done
    }

    fn take_request(&mut self, seen: &Observed<'_>) {
        let method = seen.method();
        // An ACK of a failure and a CANCEL carry the branch of the INVITE they are about (RFC 3261 §9.1, §17.1.1.3).
        let invite = match method {
            Method::Ack | Method::Cancel => self.call.find_transaction(self.pools, seen.branch, Method::Invite),
            _ => None,
        };
        if method == Method::Ack
            && let Some(at) = invite
            && matches!(self.call.transaction(self.pools, at).outcome, Final::Failure)
        {
            return self.on_failure_ack(at, seen);
        }
        let known = self.call.find_transaction(self.pools, seen.branch, method);
        if let Some(at) = known
            && self.call.transaction(self.pools, at).request_seen
        {
            let sighting = self.see(at, ItemId::REQUEST, seen);
            if sighting == SightingKind::Copy && self.networks.is_some() {
                let began = self.call.transaction(self.pools, at).began;
                self.on_hop_of_invite(at, began, seen);
            }
            return;
        }
        if method == Method::Ack && known.is_none() && self.take_ack_of_dialog(invite.is_some(), seen) {
            return;
        }
        if method == Method::Invite && seen.to == Tag::NONE {
            self.restore_attempt();
        }
        let at = match known {
            // Its responses came first.
            Some(at) => self.claim(at, invite, seen),
            None => self.attach(invite, seen),
        };
        let Ok(at) = at else { return };
        let root_of_invite = invite.map(|at| self.call.transaction(self.pools, at).root);
        let request = self.call.requests.get_mut(&mut self.pools.requests, at.request);
        let via_count = seen.message.via_count;
        request.depth = request.depth.max(u8::try_from(via_count).unwrap_or(u8::MAX));
        let tx = request.transactions.get_mut(&mut self.pools.transactions, at.transaction);
        tx.request_seen = true;
        if method == Method::Cancel {
            // Hop by hop: its single Via says nothing about ancestry (2.4).
            tx.root = root_of_invite.unwrap_or(true);
        }
        let root = tx.root;
        let waits = self.config.request_waits();
        let known = request.is_counted();
        match (root, known) {
            (true, true) => request.on_another_root(&self.pools.transactions, seen.frame.first, waits),
            (true, false) => request.count(seen.frame.first, waits),
            (false, _) => {}
        }
        let until = request.progress.until();
        self.wake(until);
        self.see(at, ItemId::REQUEST, seen);
        if root && !known {
            self.on_new_request(at.request, invite.is_some(), seen);
        }
        match method {
            Method::Invite if self.networks.is_some() => self.on_hop_of_invite(at, seen.frame.first, seen),
            Method::Cancel if !self.call.trunks.is_empty() => self.on_trunk_cancel(seen.branch, true),
            _ => {}
        }
    }

    /// The first sighting of a request at a root.
    fn on_new_request(&mut self, request: At, of_known_invite: bool, seen: &Observed<'_>) {
        let (slot, method) = (self.request(request).slot, seen.method());
        self.settled = true;
        self.push(slot, Fact::Requested(method));
        match method {
            Method::Invite if seen.to == Tag::NONE => self.on_initial_invite(request, seen),
            Method::Ack => self.on_ack(request, of_known_invite, seen),
            Method::Bye => self.on_bye(request, seen),
            Method::Cancel => self.on_cancel(request, seen),
            Method::Register => self.on_register(request, seen),
            Method::Invite | Method::Refer | Method::Update if !self.call.queued.is_empty() => {
                self.on_queue_moved(seen);
            }
            _ => {}
        }
    }

    /// An INVITE was seen on a hop where it had not been: one that begins a call counts for the trunks it went over.
    fn on_hop_of_invite(&mut self, at: TransactionAt, began: Timestamp, seen: &Observed<'_>) {
        if seen.method() == Method::Invite
            && seen.to == Tag::NONE
            && !self.request(at.request).recording
            && !is_recording(seen)
        {
            self.on_trunk_invite(at, began, seen);
        }
    }

    /// An initial INVITE was seen for the first time.
    fn on_initial_invite(&mut self, request: At, seen: &Observed<'_>) {
        let (serial, slot) = (self.request(request).serial, self.request(request).slot);
        if is_recording(seen) {
            self.request_mut(request).recording = true;
            return self.push(slot, Fact::RecordingOpened);
        }
        self.push(slot, Fact::InvitedInitially);
        // Branches below a proxy are not waited for any longer: the caller has gone on.
        let forking = |earlier: &Request| {
            earlier.serial != serial && earlier.from == seen.from && earlier.is_initial_invite() && earlier.is_forking()
        };
        while let Some(earlier) = self.call.requests.find(&self.pools.requests, forking) {
            self.decide_fork(earlier, seen.now());
        }
        let attempt = self.attempt_for(serial, slot, seen);
        self.call.invites.push(&mut self.pools.invites, Invite::new(serial, attempt));
        self.on_queue_invite(attempt, seen);
        if let Some(status) = self.request(request).status() {
            self.on_answered_before(request, attempt, status, seen);
        }
    }

    /// The final of an INVITE was captured long before it: that is its outcome all the same. What was answered stays
    /// unobserved (3.6).
    fn on_answered_before(&mut self, request: At, attempt: u32, status: u16, seen: &Observed<'_>) {
        let (serial, slot) = (self.request(request).serial, self.request(request).slot);
        if status >= 300 {
            self.push(slot, Fact::InviteFailed(status));
            return self.on_attempt_failed(serial, seen.now(), FailedBy::Final { status, cause: None });
        }
        if status == 200 {
            self.push(slot, Fact::InviteAnswered);
            if let Some(invite) = self.call.invite(self.pools, serial) {
                invite.answered_200 = true;
            }
        }
        let attempt = self.call.find_attempt(self.pools, attempt).filter(|at| self.attempt(*at).is_undecided());
        if let Some(attempt) = attempt {
            self.on_attempt_answered(attempt, status, seen);
            // By which dialog is not known any more.
            let serial = self.attempt(attempt).serial;
            self.lose_queue_calls(|call| call.attempt == serial);
        }
    }

    /// Every branch of a request failed, and no other is waited for.
    fn decide_fork(&mut self, at: At, now: Timestamp) {
        let failure = self
            .request(at)
            .failure(&self.pools.transactions, &self.pools.of_transactions)
            .expect("every branch has failed");
        self.on_request_failed(at, failure, now);
    }

    /// The attempt a new initial INVITE belongs to: the newest of its caller as long as that has no outcome, or a new one.
    fn attempt_for(&mut self, serial: u32, slot: Slot, seen: &Observed<'_>) -> u32 {
        let (now, window) = (seen.now(), self.config.retry_window);
        let newest = |attempt: &Attempt| attempt.from == seen.from;
        let mut t0 = seen.frame.first;
        if let Some(before) = self.call.attempts.find(&self.pools.attempts, newest) {
            match self.attempt(before).join(serial, now, window) {
                attempt::Join::Joined => return self.attempt(before).serial,
                attempt::Join::Inherits(start) => t0 = start,
                attempt::Join::Begins => {}
            }
        }
        let slot = self.slots.hold(slot);
        self.push(slot, Fact::AttemptOpened);
        self.tell(Change::AttemptOpened { slot });
        self.held.attempts += 1;
        self.call.attempts.push(&mut self.pools.attempts, Attempt::new(serial, seen.from, slot, t0));
        serial
    }

    /// The first sighting of a CANCEL at a root: the caller gives up (2.6).
    fn on_cancel(&mut self, request: At, seen: &Observed<'_>) {
        let slot = self.request(request).slot;
        self.count_reasons(slot, seen);
        if let Some(invite) = self.invite_given_up(request) {
            self.on_given_up(invite);
        }
    }

    /// The first sighting of a BYE: the session is over, whatever is answered (RFC 6076 §4.5).
    fn on_bye(&mut self, request: At, seen: &Observed<'_>) {
        let slot = self.request(request).slot;
        self.count_reasons(slot, seen);
        let dialog = self.call.find_dialog(self.pools, seen.tags());
        let first = dialog.and_then(|at| Some((at, self.dialog(at).on_bye(seen.frame.first)?)));
        let Some((at, first)) = first else {
            // It met no confirmed dialog: from the caller it gives up (RFC 3261 §15).
            if dialog.is_none_or(|at| self.dialog(at).is_live())
                && let Some(invite) = self.invite_given_up(request)
            {
                self.on_given_up(invite);
            }
            return;
        };
        let dialog = self.dialog(at);
        let (slot, id) = (dialog.attempt_slot, dialog_id(dialog.tags));
        if first == FirstBye::Yes {
            self.on_queue_bye(seen);
            let (from, to) = (Some(DialogState::Confirmed), Some(DialogState::Terminating));
            self.push(slot, Fact::DialogMoved { from, to });
        }
        self.tell(Change::HungUp { dialog: id });
        // Its final came first.
        if let Progress::Decided { status, .. } = self.request(request).progress {
            let (open, holds) = (self.call.open_byes(self.pools, seen.tags()), self.config.holds());
            let dialog = self.dialog(at);
            let ended = dialog.on_bye_final(status, false, true, open, seen.now(), holds);
            let due = dialog.due();
            self.wake(due);
            if let Some(ended) = ended {
                self.on_dialog_ended(at, ended);
            }
        }
    }

    /// The first sighting of a REGISTER.
    fn on_register(&mut self, request: At, seen: &Observed<'_>) {
        let (serial, slot) = (self.request(request).serial, self.request(request).slot);
        let forking =
            |earlier: &Request| earlier.serial != serial && earlier.method == Method::Register && earlier.is_forking();
        while let Some(earlier) = self.call.requests.find(&self.pools.requests, forking) {
            self.decide_fork(earlier, seen.now());
        }
        self.registration_for(serial, slot, seen);
        // Its final was captured long before it: that is its outcome all the same.
        if let Some(status) = self.request(request).status() {
            self.on_register_decided(serial, status, seen.now());
        }
    }

    /// The attempt a new REGISTER belongs to: the newest of its call as long as that has no outcome, or a new one.
    fn registration_for(&mut self, serial: u32, slot: Slot, seen: &Observed<'_>) {
        let began = seen.frame.first;
        let mut t0 = began;
        if let Some(newest) = self.call.registrations.newest() {
            let before = self.call.registrations.get_mut(&mut self.pools.registrations, newest);
            match before.join(serial, began, self.config.fork_hold, self.config.retry_window) {
                registration::Join::Joined => return before.asked = Asked::new(seen, self.hashes),
                registration::Join::Inherits(start) => t0 = start,
                registration::Join::Begins => {}
            }
        }
        let slot = self.slots.hold(slot);
        self.push(slot, Fact::RegistrationOpened);
        self.held.registrations += 1;
        let mut registration = Registration::new(serial, slot, t0, began);
        registration.asked = Asked::new(seen, self.hashes);
        self.call.registrations.push(&mut self.pools.registrations, registration);
    }
}

/// Whether an INVITE opens a recording session (RFC 7866 §5.2).
fn is_recording(seen: &Observed<'_>) -> bool {
    const OPTION: &[u8] = b"siprec";
    const MULTIPART: &[u8] = b"multipart/";
    // It says in a part of its body what is recorded (§5.1), so that others need not be looked through.
    let content_type = seen.message.content_type().and_then(|value| value.get(..MULTIPART.len()));
    let is_it = |option: &[u8]| option.trim_ascii().eq_ignore_ascii_case(OPTION);
    content_type.is_some_and(|start| start.eq_ignore_ascii_case(MULTIPART))
        && seen.message.field(b"Require").is_some_and(|value| value.split(|byte| *byte == b',').any(is_it))
}
