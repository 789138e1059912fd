//! An ACK at its call: of a failure it is an item of the INVITE's transaction, of a 2xx it confirms a dialog, and else it
//! belongs to nothing (`sip-metrics.md` 2.3, 2.6, 2.7).

use call_records::SightingKind;
use pipeline::Slot;
use pipeline::event::Fact;
use sip::Method;

use crate::ack::Ack;
use crate::attempt::FailedBy;
use crate::call::TransactionAt;
use crate::hash::Tag;
use crate::list::At;
use crate::observed::Observed;
use crate::request::Request;
use crate::transaction::{ItemId, Transaction};
use crate::turn::Turn;

impl Turn<'_> {
    /// The ACK of a non-2xx is an item of its INVITE's transaction (2.7).
    pub fn on_failure_ack(&mut self, at: TransactionAt, seen: &Observed<'_>) {
        if self.see(at, ItemId::ACK, seen) == SightingKind::First && self.call.transaction(self.pools, at).root {
            let slot = self.request(at.request).slot;
            self.push(slot, Fact::Requested(Method::Ack));
        }
    }

    /// Takes the ACK of the 2xx that confirmed a dialog where it is noted there, or can be. Returns whether it did; else it
    /// is a request like any other, and so is by now the one that was noted.
    pub fn take_ack_of_dialog(&mut self, of_known_invite: bool, seen: &Observed<'_>) -> bool {
        let Some(at) = self.call.dialog_around(self.pools, seen) else { return false };
        let timeout = self.config.timeout();
        let dialog = self.dialog(at);
        if dialog.cseq != seen.cseq {
            return false;
        }
        let slot = dialog.request_slot;
        if let Some(ack) = dialog.ack.filter(|ack| ack.is_remembered(seen.now(), timeout)) {
            if ack.from != seen.from {
                return false;
            }
            if ack.branch == seen.branch {
                self.tell_of_ack(&ack, ack.see_again(seen.tuple), slot, seen);
                return true;
            }
            self.dialog(at).ack = None;
            self.make_request(&ack, slot, seen);
            return false;
        }
        let named = |request: &Request| request.is_named(seen);
        if of_known_invite
            || seen.message.via_count != 1
            || self.call.requests.find(&self.pools.requests, named).is_some()
        {
            return false;
        }
        let ack = Ack::new(seen, self.hashes);
        let dialog = self.dialog(at);
        (dialog.ack, dialog.acknowledged) = (Some(ack), true);
        self.tell_of_ack(&ack, SightingKind::First, slot, seen);
        self.push(slot, Fact::Requested(Method::Ack));
        true
    }

    fn tell_of_ack(&mut self, ack: &Ack, sighting: SightingKind, slot: Slot, seen: &Observed<'_>) {
        self.state_sighting(slot, sighting, true, seen);
        if self.records.is_some() {
            // The number that no request has yet.
            let request = self.request_id(self.call.next_serial);
            self.tell_sighting(call_records::Sighting {
                request,
                slot,
                began: ack.began,
                transaction: self.transaction_id(seen.branch, Method::Ack),
                item: ItemId::REQUEST.bits(),
                kind: sighting,
                root: true,
                only_root: true,
                request_seen: true,
                undecided: true,
            });
        }
    }

    /// An ACK that was noted with its dialog becomes a request: another one of the same name is there.
    fn make_request(&mut self, ack: &Ack, slot: Slot, seen: &Observed<'_>) {
        let slot = self.slots.hold(slot);
        let request = self.open_request(slot, seen.to, seen);
        let transaction = Transaction::of_ack(ack, &mut self.pools.of_transactions);
        let waits = self.config.request_waits();
        let owner = self.request_mut(request);
        owner.count(ack.began, waits);
        let until = owner.progress.until();
        self.wake(until);
        self.add(request, transaction).expect("it has no other transaction");
    }

    /// An ACK other than of a failure: it acknowledges a dialog's 2xx, or belongs to nothing (2.3). Then the answer of its
    /// INVITE passed unseen (2.6).
    pub fn on_ack(&mut self, request: At, of_known_invite: bool, seen: &Observed<'_>) {
        let slot = self.request(request).slot;
        if let Some(at) = self.call.dialog_around(self.pools, seen) {
            let dialog = self.dialog(at);
            dialog.acknowledged |= dialog.cseq == seen.cseq;
            return;
        }
        if !of_known_invite && !self.answers_invite(seen) {
            self.push(slot, Fact::AckUnmatched);
        }
        let of_it =
            |invite: &Request| invite.is_initial_invite() && (invite.from, invite.cseq) == (seen.from, seen.cseq);
        if seen.to != Tag::NONE
            && let Some(at) = self.call.requests.find(&self.pools.requests, of_it)
        {
            let timeout = self.config.timeout();
            let invite = self.request_mut(at);
            let serial = invite.serial;
            if invite.on_unseen(seen.now(), timeout) {
                self.wake(seen.now() + timeout);
                self.settled = true;
                self.on_attempt_failed(serial, seen.now(), FailedBy::Unseen);
                self.on_trunk_unseen(at, seen.now());
            }
        }
    }

    /// An INVITE with the Call-ID, From tag and CSeq number of an ACK was answered with a 2xx.
    fn answers_invite(&self, seen: &Observed<'_>) -> bool {
        let answered = |invite: &Request| {
            invite.method == Method::Invite
                && (invite.from, invite.cseq) == (seen.from, seen.cseq)
                && invite.status().is_some_and(|status| status < 300)
        };
        self.call.requests.find(&self.pools.requests, answered).is_some()
    }
}
