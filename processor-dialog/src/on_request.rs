//! A request at its call: whether it is new, and what it begins, ends or acknowledges (`sip-metrics.md` 2.3 to 2.7, 3.3,
//! 4.5).

use call_records::Change;
use pipeline::Slot;
use pipeline::event::{DialogState, Fact};
use sip::Method;

use crate::attempt::{self, Attempt};
use crate::call::{Invite, TransactionAt};
use crate::dialog::FirstBye;
use crate::hash::Tag;
use crate::list::At;
use crate::observed::{Observed, pair};
use crate::registration::{self, Registration};
use crate::request::{Progress, Request};
use crate::transaction::{Final, ItemId, RequestSeen, Sighting, Transaction};
use crate::turn::{Turn, dialog_id};

impl Turn<'_> {
    /// Takes a request.
    pub fn on_request(&mut self, seen: &Observed<'_>) {
        let method = seen.method();
        // An ACK of a failure and a CANCEL carry the branch of the INVITE they are about (RFC 3261 §9.1, §17.1.1.3).
        let invite = match method {
            Method::Ack | Method::Cancel => self.call.find_transaction(self.pools, seen.branch, Method::Invite),
            _ => None,
        };
        if method == Method::Ack
            && let Some(at) = invite
            && matches!(self.call.transaction(self.pools, at).outcome, Final::Failure(_))
        {
            return self.on_failure_ack(at, seen);
        }
        let known = self.call.find_transaction(self.pools, seen.branch, method);
        if let Some(at) = known
            && self.call.transaction(self.pools, at).request != RequestSeen::No
        {
            self.see(at, ItemId::REQUEST, seen);
            return;
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
        tx.request = if via_count == 1 { RequestSeen::FromOrigin } else { RequestSeen::FromProxy };
        if method == Method::Cancel {
            // Hop by hop: its single Via says nothing about ancestry (2.4).
            tx.root = root_of_invite.unwrap_or(true);
        }
        let root = tx.root;
        let (timeout, proceeding) = (self.config.timeout(), self.config.proceeding);
        let known = request.is_counted();
        match (root, known) {
            (true, true) => request.on_another_root(seen.frame.first, seen.now(), timeout),
            (true, false) => request.count(seen.frame.first, timeout, proceeding),
            (false, _) => {}
        }
        let (slot, until) = (request.slot, request.progress.until());
        self.wake(until);
        self.see(at, ItemId::REQUEST, seen);
        if !root || known {
            return;
        }
        self.settled = true;
        self.push(slot, Fact::Requested(method));
        match method {
            Method::Invite if seen.to == Tag::NONE => self.on_initial_invite(at.request, seen),
            Method::Ack => self.on_ack(at.request, invite.is_some(), seen),
            Method::Bye => self.on_bye(at.request, seen),
            Method::Cancel => self.on_cancel(slot, invite, seen),
            Method::Register => self.on_register(at.request, seen),
            _ => {}
        }
    }

    /// The ACK of a non-2xx is an item of its INVITE's transaction (2.7).
    fn on_failure_ack(&mut self, at: TransactionAt, seen: &Observed<'_>) {
        if self.see(at, ItemId::ACK, seen) == Sighting::First && self.call.transaction(self.pools, at).root {
            let slot = self.request(at.request).slot;
            self.push(slot, Fact::Requested(Method::Ack));
        }
    }

    /// A transaction for a request not seen on this hop before, under the request it belongs to, or a new one. An error
    /// where that has as many as may be: then it is one more hop copy.
    fn attach(&mut self, invite: Option<TransactionAt>, seen: &Observed<'_>) -> Result<TransactionAt, ()> {
        let known = self.call.requests.find(&self.pools.requests, |request| request.is_counted() && request.is_named(seen));
        let request = match known.or_else(|| self.find_uncounted(seen)) {
            Some(request) => request,
            None => {
                let slot = self.slot_of_request(invite, seen);
                self.open_request(slot, seen.to, seen)
            }
        };
        self.attach_to(request, seen)
    }

    /// A request that was seen, though not at a root: a CANCEL below another one.
    fn find_uncounted(&self, seen: &Observed<'_>) -> Option<At> {
        let requested = |request: &Request| {
            request.is_named(seen)
                && request.transactions.iter(&self.pools.transactions).any(|(_, tx)| tx.request != RequestSeen::No)
        };
        self.call.requests.find(&self.pools.requests, requested)
    }

    /// Adds a transaction to a request.
    pub fn attach_to(&mut self, request: At, seen: &Observed<'_>) -> Result<TransactionAt, ()> {
        let path = seen.message.vias().skip(1).map(|via| self.hashes.hop(&via));
        let tx = Transaction::new(seen, path, &mut self.pools.of_transactions);
        let owner = self.call.requests.get_mut(&mut self.pools.requests, request);
        match owner.attach(&mut self.pools.transactions, &self.pools.of_transactions, tx) {
            Ok(transaction) => Ok(TransactionAt { request, transaction }),
            Err(mut tx) => {
                let slot = owner.slot;
                tx.clear(&mut self.pools.of_transactions);
                self.push(slot, Fact::MessageSeen);
                Err(())
            }
        }
    }

    /// The request of a transaction whose responses came first: one that another hop of it belongs to takes over all that
    /// was known of the orphan, or the orphan becomes it.
    fn claim(
        &mut self,
        at: TransactionAt,
        invite: Option<TransactionAt>,
        seen: &Observed<'_>,
    ) -> Result<TransactionAt, ()> {
        if self.request(at.request).is_counted() {
            return Ok(at);
        }
        let named = self.call.requests.find(&self.pools.requests, |request| request.is_counted() && request.is_named(seen));
        let Some(into) = named else {
            let slot = self.slot_of_request(invite, seen);
            let request = self.request_mut(at.request);
            let before = std::mem::replace(&mut request.slot, slot);
            request.to = seen.to;
            self.slots.release(before);
            return Ok(at);
        };
        let orphan = self.call.requests.remove(&mut self.pools.requests, at.request);
        self.held.requests -= 1;
        self.call.request_count -= 1;
        self.slots.release(orphan.slot);
        let request = self.call.requests.get_mut(&mut self.pools.requests, into);
        for mut left in request.merge(&mut self.pools.transactions, &self.pools.of_transactions, orphan) {
            left.clear(&mut self.pools.of_transactions);
        }
        match self.call.find_transaction(self.pools, seen.branch, seen.method()) {
            Some(at) => Ok(at),
            None => self.attach_to(into, seen),
        }
    }

    /// A new request, of which a message was seen.
    pub fn open_request(&mut self, slot: Slot, to: Tag, seen: &Observed<'_>) -> At {
        let until = seen.now() + self.config.timeout();
        let serial = self.call.next_serial;
        self.call.next_serial = serial.wrapping_add(1);
        self.held.requests += 1;
        self.call.request_count += 1;
        self.wake(until);
        self.call.requests.push(&mut self.pools.requests, Request::new(serial, slot, to, seen, until))
    }

    /// Whose labels a request has (0.4), with one holder for it.
    fn slot_of_request(&mut self, invite: Option<TransactionAt>, seen: &Observed<'_>) -> Slot {
        if let Some(at) = invite {
            let slot = self.request(at.request).slot;
            return self.slots.hold(slot);
        }
        if let Some(dialog) = self.dialog_around(seen) {
            let slot = self.dialog(dialog).request_slot;
            return self.slots.hold(slot);
        }
        let slot = self.slots.open();
        let user_agent = seen.message.user_agent();
        self.out.open(slot, seen.frame.source.ip(), user_agent.as_deref().unwrap_or_default());
        slot
    }

    /// The dialog a request is within. One whose callee knows no tags (RFC 2543) is ended and acknowledged without a To
    /// tag.
    fn dialog_around(&self, seen: &Observed<'_>) -> Option<At> {
        if seen.to == Tag::NONE && !matches!(seen.method(), Method::Bye | Method::Ack) {
            return None;
        }
        self.call.find_dialog(self.pools, seen.tags())
    }

    /// An initial INVITE was seen for the first time.
    fn on_initial_invite(&mut self, request: At, seen: &Observed<'_>) {
        let (serial, slot) = (self.request(request).serial, self.request(request).slot);
        self.push(slot, Fact::InvitedInitially);
        let attempt = self.attempt_for(serial, slot, seen);
        let invite = Invite {
            serial,
            attempt,
            first_180: None,
            provisional: false,
            dialed: false,
            answered_200: false,
            cancelled: false,
        };
        self.call.invites.push(&mut self.pools.invites, invite);
    }

    /// The attempt a new initial INVITE belongs to: the one it retries, or a new one.
    fn attempt_for(&mut self, serial: u32, slot: Slot, seen: &Observed<'_>) -> u32 {
        let (now, window) = (seen.now(), self.config.retry_window);
        let newest = |attempt: &Attempt| attempt.from == seen.from;
        let mut t0 = seen.frame.first;
        if let Some(before) = self.call.attempts.find(&self.pools.attempts, newest) {
            let (latest, cseq) = (self.attempt(before).latest, self.attempt(before).cseq);
            if seen.cseq > cseq {
                self.force_decision(latest);
            }
            match self.attempt(before).join(serial, seen.cseq, now, window) {
                attempt::Join::Joined => return self.attempt(before).serial,
                attempt::Join::Inherits(start) => t0 = start,
                attempt::Join::Begins => {}
            }
        }
        let slot = self.slots.hold(slot);
        self.push(slot, Fact::AttemptOpened);
        self.tell(Change::AttemptOpened { slot });
        self.held.attempts += 1;
        self.call.attempts.push(&mut self.pools.attempts, Attempt::new(serial, seen.from, seen.cseq, slot, t0));
        serial
    }

    /// Still undecided, but no branch of it can be waited for any longer: its caller has gone on.
    fn force_decision(&mut self, serial: u32) {
        let Some(at) = self.call.find_request(self.pools, serial) else { return };
        let request = self.request(at);
        if request.is_open()
            && let Some(failure) = request.best_failure(&self.pools.transactions)
        {
            self.on_invite_failed(at, failure);
        }
    }

    /// An ACK other than of a failure: it acknowledges a dialog's 2xx, or belongs to nothing (2.3).
    fn on_ack(&mut self, request: At, of_known_invite: bool, seen: &Observed<'_>) {
        let slot = self.request(request).slot;
        match self.dialog_around(seen) {
            Some(at) => {
                let dialog = self.dialog(at);
                dialog.acknowledged |= dialog.cseq == seen.cseq;
            }
            None if !of_known_invite => self.push(slot, Fact::AckUnmatched),
            None => {}
        }
    }

    /// The first sighting of a CANCEL at a root: a 487 that follows is the caller's wish (2.6).
    fn on_cancel(&mut self, slot: Slot, invite: Option<TransactionAt>, seen: &Observed<'_>) {
        self.count_reasons(slot, seen);
        let Some(at) = invite else { return };
        let serial = self.request(at.request).serial;
        if let Some(invite) = self.call.invite(self.pools, serial) {
            invite.cancelled = true;
        }
    }

    /// The first sighting of a BYE: the session is over, whatever is answered (RFC 6076 §4.5).
    fn on_bye(&mut self, request: At, seen: &Observed<'_>) {
        let slot = self.request(request).slot;
        self.count_reasons(slot, seen);
        let Some(at) = self.call.find_dialog(self.pools, pair(seen.from, seen.to)) else { return };
        let Some(first) = self.dialog(at).on_bye(seen.frame.first) else { return };
        let dialog = self.dialog(at);
        let (slot, id) = (dialog.attempt_slot, dialog_id(dialog.tags));
        if first == FirstBye::Yes {
            let (from, to) = (Some(DialogState::Confirmed), Some(DialogState::Terminating));
            self.push(slot, Fact::DialogMoved { from, to });
        }
        self.tell(Change::HungUp { dialog: id });
        // Its final came first.
        if let Progress::Decided { status, .. } = self.request(request).progress {
            let open = self.call.open_byes(self.pools, seen.tags());
            let (now, window) = (seen.now(), self.config.retry_window);
            let ended = self.dialog(at).on_bye_final(status, false, true, open, now, window);
            self.on_bye_told(at, ended);
        }
    }

    /// The first sighting of a REGISTER.
    fn on_register(&mut self, request: At, seen: &Observed<'_>) {
        let (serial, slot) = (self.request(request).serial, self.request(request).slot);
        let mut t0 = seen.frame.first;
        if let Some(newest) = self.call.registrations.newest() {
            let before = self.call.registrations.get_mut(&mut self.pools.registrations, newest);
            match before.join(serial, seen.cseq, seen.now(), self.config.retry_window) {
                registration::Join::Joined => return,
                registration::Join::Inherits(start) => t0 = start,
                registration::Join::Begins => {}
            }
        }
        let slot = self.slots.hold(slot);
        self.push(slot, Fact::RegistrationOpened);
        self.held.registrations += 1;
        self.call.registrations.push(&mut self.pools.registrations, Registration::new(serial, seen.cseq, slot, t0));
    }
}
