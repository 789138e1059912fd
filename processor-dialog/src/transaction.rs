//! Transactions and logical requests: which messages are new, which are repeats, copies or hops
//! (`sip-metrics.md` 2.1 to 2.4).
//!
//! A transaction is one request and its responses on one hop. A logical request is the request as its
//! originator made it: all its transactions, of which those with none above them are roots. Only roots count.

use pipeline::event::{Evicted, Fact};
use pipeline::{Facts, Slot};
use sip::Method;
use wire::Timestamp;

use crate::chain::{Chain, Node};
use crate::invite::Invite;
use crate::key::{Key, Mark};
use crate::state::{Seen, State};
use crate::table::Handle;
use crate::wheel::{Target, Timer};

/// One request and its responses on one hop.
pub struct Transaction {
    /// The logical request it belongs to.
    pub request: Handle,
    /// The next transaction of the same logical request.
    pub next: Handle,
    /// Sent-by and branch of its top Via.
    pub via: Mark,
    /// The Vias below that: the hops it came through.
    pub through: Chain,
    /// What was seen on it, each with the five-tuple of its first sighting (2.2).
    pub items: Chain,
    items_held: u8,
    /// No transaction of the logical request is above it (2.4).
    pub root: bool,
    /// The request itself was seen, not only responses.
    pub request_seen: bool,
    /// The request had exactly one Via: its sender made it (2.5).
    pub at_origin: bool,
    /// A 2xx was seen.
    pub succeeded: bool,
    /// The first final of 300 or more, with its time and Q.850 cause.
    pub failure: Option<Failure>,
}

/// A final response of 300 or more.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// 300 to 699.
    pub status: u16,
    /// When it was complete.
    pub at: Timestamp,
    /// Cause of a Q.850 Reason in it.
    pub cause: Option<u16>,
}

/// A request as its originator made it, with all its hops and branches.
pub struct LogicalRequest {
    /// Whose labels it is counted under.
    pub slot: Slot,
    /// Everything under the same Call-ID.
    pub call: Key,
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
    transactions: u8,
    /// Response items counted: status, To tag and RSeq (2.4).
    pub items: Chain,
    items_held: u8,
    /// Largest number of Vias seen on it.
    pub depth: u16,
    /// What it waits for, and until when.
    pub waits: Waits,
    /// The timer of that.
    pub timer: Timer,
    /// The request has a To tag.
    pub in_dialog: bool,
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
    fn new(call: Key, method: Method, cseq: u32, slot: Slot) -> Self {
        Self {
            slot,
            call,
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
            items: Chain::default(),
            items_held: 0,
            depth: 0,
            waits: Waits::ToBeForgotten,
            timer: Timer::default(),
            in_dialog: false,
            dialog: Handle::NONE,
            registration: Handle::NONE,
            invite: None,
        }
    }
}

impl State {
    /// Takes a request.
    pub(crate) fn on_request(&mut self, seen: &Seen<'_>, out: &mut Facts) {
        let message = seen.message;
        let method = message.method();
        // An ACK of a failure and a CANCEL carry the branch of the INVITE they are about (RFC 3261 §9.1, §17.1.1.3).
        let invite = match method {
            Method::Ack | Method::Cancel => {
                self.transactions.find(self.keys.transaction(seen.call, message, Method::Invite))
            }
            _ => None,
        };
        if method == Method::Ack
            && let Some(handle) = invite
            && self.transactions.get(handle).is_some_and(|tx| tx.failure.is_some() && !tx.succeeded)
        {
            return self.on_failure_ack(handle, seen, out);
        }
        let key = self.keys.transaction(seen.call, message, method);
        let known = self.transactions.find(key);
        if let Some(handle) = known
            && self.transactions.get(handle).is_some_and(|tx| tx.request_seen)
        {
            return self.on_repeat(handle, REQUEST, seen, out);
        }
        let request_key = self.keys.logical_request(seen.call, message);
        let request = match self.requests.find(request_key) {
            Some(request) => request,
            None => {
                let slot = self.slot_of_request(invite, seen, out);
                self.open_request(request_key, seen, slot, out)
            }
        };
        let transaction = match known {
            // Its responses came first: the request takes over all that was known of the orphan.
            Some(handle) => {
                let orphan = self.transactions.get(handle).map_or(Handle::NONE, |tx| tx.request);
                self.merge(orphan, request);
                handle
            }
            None => match self.attach(key, request, seen, out) {
                Some(handle) => handle,
                None => return out.push(self.slot_of(request), Fact::MessageSeen),
            },
        };
        let root_of_invite = invite.and_then(|handle| self.transactions.get(handle)).map(|tx| tx.root);
        let Some(tx) = self.transactions.get_mut(transaction) else { return };
        tx.request_seen = true;
        tx.at_origin = message.via_count == 1;
        if method == Method::Cancel {
            // Hop by hop: its single Via says nothing about ancestry (2.4).
            tx.root = root_of_invite.unwrap_or(true);
        }
        let root = tx.root;
        self.note_item(transaction, REQUEST, seen.tuple);
        out.push(self.slot_of(request), Fact::MessageSeen);
        let Some(lr) = self.requests.get_mut(request) else { return };
        lr.depth = lr.depth.max(message.via_count);
        if !root {
            return;
        }
        if lr.counted {
            lr.t1 = lr.t1.min(seen.frame.first);
            return self.on_another_root(request, seen);
        }
        lr.counted = true;
        lr.t1 = seen.frame.first;
        lr.in_dialog = !message.to.tag.is_empty();
        if lr.in_dialog {
            lr.dialog = self.dialogs.find(self.keys.dialog(seen.call, message)).unwrap_or(Handle::NONE);
        }
        out.push(lr.slot, Fact::Requested(method));
        let kept = method == Method::Ack || lr.final_status != 0;
        let waits = if kept { Waits::ToBeForgotten } else { Waits::ForFinal };
        self.wait(request, waits, seen.frame.first + self.timeout());
        match method {
            Method::Invite if message.to.tag.is_empty() => self.on_initial_invite(request, seen, out),
            Method::Ack => self.on_ack(request, invite.is_some(), seen, out),
            Method::Bye => self.on_bye(request, seen, out),
            Method::Cancel => self.on_cancel(request, invite, seen, out),
            Method::Register => self.on_register(request, seen, out),
            _ => {}
        }
    }

    /// Takes a response.
    pub(crate) fn on_response(&mut self, status: u16, seen: &Seen<'_>, out: &mut Facts) {
        let message = seen.message;
        let key = self.keys.transaction(seen.call, message, message.cseq.method);
        let transaction = match self.transactions.find(key) {
            Some(handle) => handle,
            None => match self.open_orphan(key, seen, out) {
                Some(handle) => handle,
                None => return,
            },
        };
        let rseq = if status < 200 { message.rseq() } else { None };
        let item = self.keys.item(status, message.to.tag, rseq);
        if self.item_tuple(transaction, item).is_some() {
            self.on_repeat(transaction, item, seen, out);
            return self.on_repeated_response(transaction, status, seen);
        }
        if !self.note_item(transaction, item, seen.tuple) {
            return self.on_repeat(transaction, item, seen, out);
        }
        let Some(tx) = self.transactions.get_mut(transaction) else { return };
        match status {
            200..300 => tx.succeeded = true,
            300.. if tx.failure.is_none() => {
                tx.failure = Some(Failure { status, at: seen.now(), cause: seen.q850_cause() });
            }
            _ => {}
        }
        let (request, root) = (tx.request, tx.root);
        let Some(lr) = self.requests.get_mut(request) else { return };
        out.push(lr.slot, Fact::MessageSeen);
        if !root {
            return;
        }
        let slot = lr.slot;
        let fresh = lr.items_held < MAX_ITEMS && self.pool.iter(lr.items).all(|node| node.value != item);
        if fresh {
            lr.items_held += 1;
            self.pool.push(&mut lr.items, Node { value: item, of: 0 });
            out.push(slot, Fact::Responded(status));
        }
        if lr.timed_out {
            if fresh {
                out.push(slot, Fact::RespondedLate);
            }
            return;
        }
        let first_response = !std::mem::replace(&mut lr.answered_at_all, true);
        if first_response && lr.method == Method::Options && lr.counted {
            let delay = seen.now() - lr.t1;
            out.push(slot, Fact::Measured(pipeline::Measure::Options, delay));
        }
        if lr.invite.is_some() {
            return self.on_invite_response(request, transaction, status, fresh, seen, out);
        }
        if status < 200 {
            return self.on_plain_provisional(request, seen);
        }
        if !fresh {
            return;
        }
        if lr.final_status != 0 {
            // Another branch of an INVITE nobody saw was answered too (3.6).
            if status < 300 && lr.method == Method::Invite && !lr.counted {
                self.on_in_dialog_final(request, status, seen, out);
            }
            return;
        }
        lr.final_status = status;
        self.wait(request, Waits::ToBeForgotten, seen.now() + self.timeout());
        if status >= 300 {
            self.count_reasons_of_final(request, status, seen, out);
        }
        self.on_plain_final(request, status, seen, out);
    }

    /// What the final of anything but an initial INVITE means to dialogs and registrations.
    fn on_plain_final(&mut self, request: Handle, status: u16, seen: &Seen<'_>, out: &mut Facts) {
        let Some(lr) = self.requests.get(request) else { return };
        match lr.method {
            Method::Register => self.on_register_final(request, status, seen, out),
            Method::Bye => self.on_bye_final(request, status, seen, out),
            // A response to them says nothing about the dialog (2.6).
            Method::Cancel | Method::Ack => {}
            _ => self.on_in_dialog_final(request, status, seen, out),
        }
    }

    /// A repeated provisional still shows that somebody waits (2.3).
    fn on_repeated_response(&mut self, transaction: Handle, status: u16, seen: &Seen<'_>) {
        let Some(tx) = self.transactions.get(transaction) else { return };
        if status < 200 && tx.root {
            self.on_plain_provisional(tx.request, seen);
        }
    }

    /// A 1xx gives an INVITE more time, and nothing else any (2.3).
    pub(crate) fn on_plain_provisional(&mut self, request: Handle, seen: &Seen<'_>) {
        let Some(lr) = self.requests.get(request) else { return };
        let orphan = !lr.counted;
        if lr.method != Method::Invite || lr.timed_out || lr.final_status != 0 {
            return;
        }
        if lr.waits == Waits::ForFinal || orphan {
            let waits = lr.waits;
            self.wait(request, waits, seen.now() + self.config.proceeding);
        }
    }

    /// The same item of a transaction again (2.2 rule 2).
    fn on_repeat(&mut self, transaction: Handle, item: Mark, seen: &Seen<'_>, out: &mut Facts) {
        let first_tuple = self.item_tuple(transaction, item);
        let Some(tx) = self.transactions.get(transaction) else { return };
        let slot = self.slot_of(tx.request);
        out.push(slot, Fact::MessageSeen);
        let fact = if first_tuple.is_some_and(|tuple| tuple != seen.tuple) {
            Fact::SeenElsewhere
        } else {
            Fact::Retransmitted { request: seen.message.is_request(), first_hop: tx.root }
        };
        out.push(slot, fact);
        self.requests.touch(tx.request);
    }

    /// The ACK of a non-2xx is an item of its INVITE's transaction (2.7).
    fn on_failure_ack(&mut self, invite: Handle, seen: &Seen<'_>, out: &mut Facts) {
        if self.item_tuple(invite, ACK).is_some() {
            return self.on_repeat(invite, ACK, seen, out);
        }
        self.note_item(invite, ACK, seen.tuple);
        let Some(tx) = self.transactions.get(invite) else { return };
        let slot = self.slot_of(tx.request);
        out.push(slot, Fact::MessageSeen);
        if tx.root {
            out.push(slot, Fact::Requested(Method::Ack));
        }
        self.requests.touch(tx.request);
    }

    /// Whose labels a request has (0.4), with one holder for the caller.
    fn slot_of_request(&mut self, invite: Option<Handle>, seen: &Seen<'_>, out: &mut Facts) -> Slot {
        if let Some(tx) = invite.and_then(|handle| self.transactions.get(handle)) {
            return self.slots.hold(self.requests.get(tx.request).map_or(Slot::OTHER, |lr| lr.slot));
        }
        if !seen.message.to.tag.is_empty()
            && let Some(dialog) =
                self.dialogs.find(self.keys.dialog(seen.call, seen.message)).and_then(|handle| self.dialogs.get(handle))
        {
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
        let handle =
            self.requests.insert(key, LogicalRequest::new(seen.call, message.cseq.method, message.cseq.number, slot));
        self.wait(handle, Waits::ToBeForgotten, seen.now() + self.timeout());
        handle
    }

    /// A response without its request: counted, under `other`, once per logical request (2.3).
    fn open_orphan(&mut self, key: Key, seen: &Seen<'_>, out: &mut Facts) -> Option<Handle> {
        let orphan = self.keys.orphan(seen.call, seen.message);
        let request = match self.requests.find(orphan) {
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
    fn attach(&mut self, key: Key, request: Handle, seen: &Seen<'_>, out: &mut Facts) -> Option<Handle> {
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
        let handle = self.transactions.insert(
            key,
            Transaction {
                request,
                next: Handle::NONE,
                via: self.keys.via(&seen.message.via),
                through,
                items: Chain::default(),
                items_held: 0,
                root: true,
                request_seen: false,
                at_origin: false,
                succeeded: false,
                failure: None,
            },
        );
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

    /// Moves what is known of an orphan to the logical request that turned out to be behind it.
    fn merge(&mut self, orphan: Handle, request: Handle) {
        if orphan == request {
            return;
        }
        let Some(mut old) = self.requests.remove(orphan) else { return };
        self.wheel.cancel(&mut old.timer);
        self.slots.release(old.slot);
        let mut next = old.first;
        while let Some(tx) = self.transactions.get(next) {
            let after = tx.next;
            self.link(next, request);
            next = after;
        }
        let Some(lr) = self.requests.get_mut(request) else { return };
        while let Some(node) = self.pool.pop(&mut old.items) {
            self.pool.push(&mut lr.items, node);
        }
        lr.items_held = lr.items_held.saturating_add(old.items_held);
        lr.answered_at_all |= old.answered_at_all;
        if lr.final_status == 0 {
            lr.final_status = old.final_status;
        }
    }

    /// The five-tuple an item of a transaction was first seen with.
    fn item_tuple(&self, transaction: Handle, item: Mark) -> Option<u32> {
        let tx = self.transactions.get(transaction)?;
        self.pool.iter(tx.items).find(|node| node.value == item).map(|node| node.of)
    }

    /// Remembers an item; `false` when [`MAX_ITEMS`] are remembered: whatever comes then is taken for a repeat.
    fn note_item(&mut self, transaction: Handle, item: Mark, tuple: u32) -> bool {
        let Some(tx) = self.transactions.get_mut(transaction) else { return false };
        self.requests.touch(tx.request);
        if tx.items_held == MAX_ITEMS {
            return false;
        }
        tx.items_held += 1;
        self.pool.push(&mut tx.items, Node { value: item, of: tuple });
        true
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
        self.drop_request(request, out);
    }

    /// The logical request idle longest makes room; what hangs on it ends without a trace in any ratio (3.7).
    fn evict_request(&mut self, now: Timestamp, out: &mut Facts) {
        let Some(request) = self.requests.oldest() else { return };
        out.push(Slot::OTHER, Fact::Evicted(Evicted::LogicalRequests));
        self.abandon_invite(request, now, out);
        self.drop_request(request, out);
    }

    fn drop_request(&mut self, request: Handle, out: &mut Facts) {
        let Some(mut lr) = self.requests.remove(request) else { return };
        self.wheel.cancel(&mut lr.timer);
        if let Some(invite) = &mut lr.invite {
            // An answered INVITE is remembered as long as its dialog.
            match self.dialogs.get_mut(invite.primary) {
                Some(dialog) => dialog.via_depth = Some(lr.depth),
                None => out.push(lr.slot, Fact::ViaDepth(lr.depth)),
            }
            self.pool.clear(&mut invite.early);
            self.release_attempt(invite.attempt);
        }
        self.release_registration(lr.registration);
        let mut next = lr.first;
        while let Some(mut tx) = self.transactions.remove(next) {
            self.pool.clear(&mut tx.items);
            self.pool.clear(&mut tx.through);
            next = tx.next;
        }
        self.pool.clear(&mut lr.items);
        self.slots.release(lr.slot);
    }

    /// The labels of a logical request.
    pub(crate) fn slot_of(&self, request: Handle) -> Slot {
        self.requests.get(request).map_or(Slot::OTHER, |lr| lr.slot)
    }
}

/// The request, as an item of its transaction. Marks of responses are hashes; that one equals these is as
/// likely as that two of them collide.
const REQUEST: Mark = 0;
/// The ACK of a non-2xx, as an item of the INVITE's transaction.
const ACK: Mark = 1;

/// Most transactions followed within one logical request.
const MAX_TRANSACTIONS: u8 = 64;
/// Most items remembered of one transaction.
const MAX_ITEMS: u8 = 64;
