//! Logical requests: requests as their originators made them, the transactions they consist of, which of those
//! are roots, how long they are waited for and remembered (`sip-metrics.md` 0.1, 2.3, 2.4).
//!
//! A logical request holds its labels' slot, its attempt or registration and its early dialogs; whichever way it
//! leaves, [`State::drop_request`] gives them back.

use pipeline::event::{Evicted, Fact};
use pipeline::{Facts, Slot};
use sip::Method;
use wire::Timestamp;

use crate::calls::Record;
use crate::chain::{Chain, Node};
use crate::entries::Handle;
use crate::invite::Invite;
use crate::items::{Items, MAX_ITEMS};
use crate::key::Key;
use crate::state::{Seen, State};
use crate::transaction::Transaction;
use crate::wheel::{Target, Timer};

/// A request as its originator made it, with all its hops and branches.
pub struct LogicalRequest {
    /// Whose labels it is counted under.
    pub slot: Slot,
    /// The record it is part of.
    pub record: Record,
    /// Its method.
    pub method: Method,
    /// Its CSeq number.
    pub cseq: u32,
    /// First byte of its first transmission; meaningful once `counted`.
    pub t1: Timestamp,
    /// The request was seen at a root and counted.
    pub counted: bool,
    /// No final came in time.
    pub timed_out: bool,
    /// The first final response at a root, 0 before.
    pub final_status: u16,
    /// A response was seen at a root.
    pub answered_at_all: bool,
    /// A Reason was counted for its finals.
    pub reason_counted: bool,
    /// Its transactions, linked by [`Transaction::next`].
    pub first: Handle,
    /// How many those are.
    pub transactions: u8,
    /// How many response items of its transactions are counted for it (2.4).
    pub items_counted: u8,
    /// Largest number of Vias seen on it.
    pub depth: u16,
    /// What it waits for, and until when.
    pub waits: Waits,
    /// The timer of that.
    pub timer: Timer,
    /// The request has a To tag.
    pub in_dialog: bool,
    /// A BYE that its dialog waits for.
    pub ends_dialog: bool,
    /// The dialog it is within, where that is known.
    pub dialog: Handle,
    /// The registration attempt a REGISTER belongs to.
    pub registration: Handle,
    /// What only an initial INVITE has.
    pub invite: Option<Invite>,
}

/// What happens when a logical request's timer fires (2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// It has timed out.
    ForFinal,
    /// A fork seen from below is decided (2.5).
    ForAnotherBranch,
    /// It is forgotten.
    ToBeForgotten,
}

impl LogicalRequest {
    /// One without transactions.
    pub fn new(method: Method, cseq: u32, slot: Slot) -> Self {
        Self {
            slot,
            record: Record::None,
            method,
            cseq,
            t1: Timestamp::ZERO,
            counted: false,
            timed_out: false,
            final_status: 0,
            answered_at_all: false,
            reason_counted: false,
            first: Handle::NONE,
            transactions: 0,
            items_counted: 0,
            depth: 0,
            waits: Waits::ToBeForgotten,
            timer: Timer::default(),
            in_dialog: false,
            ends_dialog: false,
            dialog: Handle::NONE,
            registration: Handle::NONE,
            invite: None,
        }
    }

    /// It waits for nothing but to be forgotten.
    pub fn is_over(&self) -> bool {
        let decided = self.final_status != 0 || self.timed_out || self.method == Method::Ack;
        decided && self.waits == Waits::ToBeForgotten
    }
}

impl State {
    /// The logical request of a request that was not seen before on this hop; a new one if it was on none.
    /// `invite`: the transaction that an ACK or a CANCEL is about.
    pub(crate) fn request_behind(&mut self, invite: Option<Handle>, seen: &Seen<'_>, out: &mut Facts) -> Handle {
        let key = self.keys.logical_request(seen.call, seen.message);
        if let Some(request) = self.find_request(seen.call, key) {
            return request;
        }
        let dialog = self.dialog_around(seen);
        let slot = self.slot_of_request(invite, dialog, seen, out);
        let request = self.open_request(key, seen, slot, out);
        if let Some(lr) = self.requests.get_mut(request) {
            lr.dialog = dialog;
        }
        request
    }

    /// The logical request of a request whose responses came first: one that another hop of it belongs to, or
    /// it takes over all that was known of the orphan.
    pub(crate) fn claim(
        &mut self,
        transaction: Handle,
        invite: Option<Handle>,
        seen: &Seen<'_>,
        out: &mut Facts,
    ) -> Handle {
        let orphan = self.transactions.get(transaction).map_or(Handle::NONE, |tx| tx.request);
        if self.requests.get(orphan).is_some_and(|lr| lr.counted) {
            return orphan;
        }
        let request = self.request_behind(invite, seen, out);
        self.merge(orphan, request, seen.now(), out);
        request
    }

    /// The dialog a request is within. One whose callee knows no tags (RFC 2543) is ended and acknowledged
    /// without a To tag.
    fn dialog_around(&self, seen: &Seen<'_>) -> Handle {
        let message = seen.message;
        if message.to.tag.is_empty() && !matches!(message.method(), Method::Bye | Method::Ack) {
            return Handle::NONE;
        }
        self.find_dialog(seen.call, self.keys.dialog(seen.call, message)).unwrap_or(Handle::NONE)
    }

    /// The dialog that a final is about: that of its request, or the one it names itself.
    pub(crate) fn dialog_answered(&self, request: Handle, seen: &Seen<'_>) -> Option<Handle> {
        let within = self.requests.get(request).map_or(Handle::NONE, |lr| lr.dialog);
        match self.dialogs.get(within) {
            Some(_) => Some(within),
            None => self.find_dialog(seen.call, self.keys.dialog(seen.call, seen.message)),
        }
    }

    /// Whose labels a request has (0.4), with one holder for the caller.
    fn slot_of_request(&mut self, invite: Option<Handle>, dialog: Handle, seen: &Seen<'_>, out: &mut Facts) -> Slot {
        if let Some(tx) = invite.and_then(|handle| self.transactions.get(handle)) {
            return self.slots.hold(self.requests.get(tx.request).map_or(Slot::OTHER, |lr| lr.slot));
        }
        if let Some(dialog) = self.dialogs.get(dialog) {
            return self.slots.hold(dialog.request_slot);
        }
        let slot = self.slots.open();
        let user_agent = seen.message.user_agent();
        out.open(slot, seen.frame.source.ip(), user_agent.as_deref().unwrap_or_default());
        slot
    }

    fn open_request(&mut self, key: Key, seen: &Seen<'_>, slot: Slot, out: &mut Facts) -> Handle {
        while self.requests.is_full() {
            self.evict_request(seen.now(), out);
        }
        let message = seen.message;
        let request = LogicalRequest::new(message.cseq.method, message.cseq.number, slot);
        let handle = self.requests.insert(&mut self.groups, seen.call, key, request);
        self.wait(handle, Waits::ToBeForgotten, seen.now() + self.timeout());
        handle
    }

    /// A response without its request: counted, under `other`, once per logical request (2.3).
    pub(crate) fn open_orphan(&mut self, key: Key, seen: &Seen<'_>, out: &mut Facts) -> Option<Handle> {
        let orphan = self.keys.orphan(seen.call, seen.message);
        let request = match self.find_request(seen.call, orphan) {
            Some(request) => request,
            None => {
                out.push(Slot::OTHER, Fact::ResponseUnmatched);
                self.open_request(orphan, seen, Slot::OTHER, out)
            }
        };
        let handle = self.attach(key, request, seen, out);
        if handle.is_none() {
            out.push(Slot::OTHER, Fact::MessageSeen);
        }
        handle
    }

    /// Adds a transaction to a logical request and ranks it among the others by their Vias. `None` when the
    /// request has [`MAX_TRANSACTIONS`] already: what comes then is treated as one more hop copy.
    pub(crate) fn attach(&mut self, key: Key, request: Handle, seen: &Seen<'_>, out: &mut Facts) -> Option<Handle> {
        if self.requests.get(request)?.transactions == MAX_TRANSACTIONS {
            return None;
        }
        while self.transactions.is_full() {
            self.evict_request(seen.now(), out);
        }
        // The request itself may have been the one idle longest.
        self.requests.get(request)?;
        let mut through = Chain::default();
        for via in seen.message.vias().skip(1) {
            let value = self.keys.via(&via);
            self.pool.push(&mut through, Node { value, of: 0 });
        }
        let handle = self.transactions.insert(Transaction {
            key,
            request,
            next: Handle::NONE,
            via: seen.via,
            through,
            items: Items::default(),
            root: true,
            request_seen: false,
            at_origin: false,
            succeeded: false,
            failure: None,
        });
        self.link(handle, request);
        self.requests.touch(request);
        Some(handle)
    }

    /// Puts a transaction under a logical request; whichever is below another of it is no root (2.4).
    fn link(&mut self, handle: Handle, request: Handle) {
        let Some(first) = self.requests.get(request).map(|lr| lr.first) else { return };
        let Some(new) = self.transactions.get(handle) else { return };
        let (new_via, new_through, mut root) = (new.via, new.through, new.root);
        let mut other = first;
        while let Some(tx) = self.transactions.get_mut(other) {
            if self.pool.iter(new_through).any(|node| node.value == tx.via) {
                root = false;
            }
            if self.pool.iter(tx.through).any(|node| node.value == new_via) {
                tx.root = false;
            }
            other = tx.next;
        }
        if let Some(new) = self.transactions.get_mut(handle) {
            new.root = root;
            new.request = request;
            new.next = first;
        }
        if let Some(lr) = self.requests.get_mut(request) {
            lr.first = handle;
            lr.transactions += 1;
        }
    }

    /// Moves what is known of an orphan to the logical request that turned out to be behind it. An orphan with
    /// more transactions than there is room for is forgotten instead.
    fn merge(&mut self, orphan: Handle, request: Handle, now: Timestamp, out: &mut Facts) {
        if orphan == request {
            return;
        }
        let held = |handle| self.requests.get(handle).map_or(0, |lr| lr.transactions);
        if held(orphan) + held(request) > MAX_TRANSACTIONS {
            return self.drop_request(orphan, now, out);
        }
        let Some(mut old) = self.requests.remove(&mut self.groups, orphan) else { return };
        self.wheel.cancel(&mut old.timer);
        self.slots.release(old.slot);
        let mut next = old.first;
        while let Some(tx) = self.transactions.get(next) {
            let after = tx.next;
            self.link(next, request);
            next = after;
        }
        let Some(lr) = self.requests.get_mut(request) else { return };
        lr.items_counted = (lr.items_counted + old.items_counted).min(MAX_ITEMS as u8);
        lr.answered_at_all |= old.answered_at_all;
        if lr.final_status == 0 {
            lr.final_status = old.final_status;
        }
    }

    /// Sets what a logical request waits for.
    pub(crate) fn wait(&mut self, request: Handle, waits: Waits, until: Timestamp) {
        if let Some(lr) = self.requests.get_mut(request) {
            lr.waits = waits;
            self.wheel.set(&mut lr.timer, until, Target::Request(request));
        }
    }

    /// A logical request's timer fired (2.3).
    pub(crate) fn on_request_timer(&mut self, request: Handle, now: Timestamp, out: &mut Facts) {
        let Some(lr) = self.requests.get_mut(request) else { return };
        lr.timer = Timer::default();
        let (waits, is_initial_invite) = (lr.waits, lr.invite.is_some());
        match waits {
            Waits::ForAnotherBranch => self.decide_fork(request, now, out),
            Waits::ToBeForgotten => self.forget_request(request, now, out),
            Waits::ForFinal if is_initial_invite && self.has_failed_branch(request) => {
                self.decide_fork(request, now, out);
            }
            Waits::ForFinal => {
                let Some(lr) = self.requests.get_mut(request) else { return };
                lr.timed_out = true;
                let (slot, method) = (lr.slot, lr.method);
                out.push(slot, Fact::TransactionTimedOut(method));
                self.cool_request(request, now);
                self.record_timeout(request, now, out);
                self.wait(request, Waits::ToBeForgotten, now + self.timeout());
                match method {
                    Method::Register => self.on_register_timeout(request, out),
                    Method::Bye => self.on_bye_timeout(request, now, out),
                    Method::Cancel => {}
                    _ if is_initial_invite => self.on_invite_timeout(request, now, out),
                    _ => self.on_in_dialog_timeout(request, now),
                }
            }
        }
    }

    /// A logical request leaves memory after its time.
    fn forget_request(&mut self, request: Handle, now: Timestamp, out: &mut Facts) {
        if self.requests.get(request).is_some_and(|lr| lr.invite.is_some()) {
            self.settle_invite(request, now, out);
        }
        self.drop_request(request, now, out);
    }

    /// The logical request idle longest makes room; what hangs on it ends without a trace in any ratio (3.7).
    fn evict_request(&mut self, now: Timestamp, out: &mut Facts) {
        // What is over goes first; where none of it is in the tables, it rests.
        while !self.requests.oldest().and_then(|oldest| self.requests.get(oldest)).is_some_and(LogicalRequest::is_over)
            && self.wake_oldest(now, out)
        {
            if !self.requests.is_full() && !self.transactions.is_full() {
                return;
            }
        }
        let Some(request) = self.requests.oldest() else { return };
        out.push(Slot::OTHER, Fact::Evicted(Evicted::LogicalRequests));
        self.end_early_dialogs(request, now, out);
        self.abandon_bye(request, now, out);
        self.drop_request(request, now, out);
    }

    fn drop_request(&mut self, request: Handle, now: Timestamp, out: &mut Facts) {
        let Some(mut lr) = self.requests.remove(&mut self.groups, request) else { return };
        self.wheel.cancel(&mut lr.timer);
        if let Some(invite) = &mut lr.invite {
            // An answered INVITE is remembered as long as its dialog.
            match self.dialogs.get_mut(invite.primary) {
                Some(dialog) => dialog.via_depth = Some(lr.depth),
                None => out.push(lr.slot, Fact::ViaDepth(lr.depth)),
            }
            self.pool.clear(&mut invite.early);
            self.release_attempt(invite.attempt, now);
        }
        self.release_registration(lr.registration);
        self.single_forgotten(lr.record, out);
        self.drop_transactions(lr.first);
        self.slots.release(lr.slot);
    }

    /// A transaction leaves memory, and those linked behind it.
    fn drop_transactions(&mut self, first: Handle) {
        let mut next = first;
        while let Some(mut tx) = self.transactions.remove(next) {
            tx.items.clear(&mut self.pool);
            self.pool.clear(&mut tx.through);
            next = tx.next;
        }
    }

    /// The labels of a logical request.
    pub(crate) fn slot_of(&self, request: Handle) -> Slot {
        self.requests.get(request).map_or(Slot::OTHER, |lr| lr.slot)
    }
}

/// Most transactions followed within one logical request.
const MAX_TRANSACTIONS: u8 = 64;
