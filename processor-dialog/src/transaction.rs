//! Transactions: which messages are new, which are repeats, copies or hops (`sip-metrics.md` 2.1 to 2.4).
//!
//! A transaction is one request and its responses on one hop; it belongs to a [`crate::logical_request`], of
//! which only the transactions with none above them, its roots, count.

use pipeline::Facts;
use pipeline::event::Fact;
use sip::Method;
use wire::Timestamp;

use crate::calls::Kind;
use crate::chain::Chain;
use crate::entries::Handle;
use crate::items::{Item, Items, MAX_ITEMS};
use crate::key::{Key, Mark};
use crate::logical_request::Waits;
use crate::state::{Seen, State};
use crate::transaction_table::Found;

/// One request and its responses on one hop.
pub struct Transaction {
    /// What it is found by (2.1).
    pub key: Key,
    /// The logical request it belongs to.
    pub request: Handle,
    /// The next transaction of the same logical request.
    pub next: Handle,
    /// Sent-by and branch of its top Via.
    pub via: Mark,
    /// The Vias below that: the hops it came through.
    pub through: Chain,
    /// What was seen on it, each with the five-tuple of its first sighting (2.2).
    pub items: Items,
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

impl State {
    /// Takes a request.
    pub(crate) fn on_request(&mut self, seen: &Seen<'_>, out: &mut Facts) {
        let message = seen.message;
        let method = message.method();
        // An ACK of a failure and a CANCEL carry the branch of the INVITE they are about (RFC 3261 §9.1, §17.1.1.3).
        let invite = match method {
            Method::Ack | Method::Cancel => {
                self.find_transaction(self.keys.transaction(seen.call, seen.via, message, Method::Invite), seen, out)
            }
            _ => None,
        };
        if method == Method::Ack
            && let Some(handle) = invite
            && self.transactions.get(handle).is_some_and(|tx| tx.failure.is_some() && !tx.succeeded)
        {
            return self.on_failure_ack(handle, seen, out);
        }
        let key = seen.transaction;
        // Most are new: that none of its call has the key is known sooner of all than of each.
        let known = self.find_in_all(key, seen, out);
        if let Some(handle) = known
            && self.transactions.get(handle).is_some_and(|tx| tx.request_seen)
        {
            return self.on_repeat(handle, REQUEST, seen, out);
        }
        let request = match known {
            // Its responses came first.
            Some(handle) => self.claim(handle, invite, seen, out),
            None => self.request_behind(invite, seen, out),
        };
        let transaction = match known.filter(|&handle| self.transactions.get(handle).is_some()) {
            Some(handle) => Some(handle),
            None => self.attach(key, request, seen, out),
        };
        let Some(transaction) = transaction else { return out.push(self.slot_of(request), Fact::MessageSeen) };
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
        let dialog = lr.dialog;
        out.push(lr.slot, Fact::Requested(method));
        let (waits, time) = match method {
            _ if lr.final_status != 0 => (Waits::ToBeForgotten, self.timeout()),
            Method::Ack => (Waits::ToBeForgotten, self.timeout()),
            // A provisional response came before it.
            Method::Invite if lr.answered_at_all => (Waits::ForFinal, self.config.proceeding),
            _ => (Waits::ForFinal, self.timeout()),
        };
        self.wait(request, waits, seen.frame.first + time);
        self.dialogs.touch(dialog);
        match method {
            Method::Invite if message.to.tag.is_empty() => self.on_initial_invite(request, seen, out),
            Method::Ack => self.on_ack(request, invite.is_some(), out),
            Method::Bye => self.on_bye(request, seen, out),
            Method::Cancel => self.on_cancel(request, invite, seen, out),
            Method::Register => self.on_register(request, seen, out),
            _ => {}
        }
    }

    /// The transaction with a key: one that is likely to be known.
    fn find_transaction(&mut self, key: Key, seen: &Seen<'_>, out: &mut Facts) -> Option<Handle> {
        self.find_in_call(key, seen.call).or_else(|| self.find_in_all(key, seen, out))
    }

    /// The transaction with a key, of whatever call, also where all of that is at rest.
    fn find_in_all(&mut self, key: Key, seen: &Seen<'_>, out: &mut Facts) -> Option<Handle> {
        let mut found = self.transactions.find(key, |name| self.key_at_rest(name));
        if let Some(Found::Resting(name)) = found {
            self.wake_group(self.groups.handle(name.group()), false, seen.now(), out);
            found = self.transactions.find(key, |name| self.key_at_rest(name));
        }
        let Some(Found::Followed(handle)) = found else { return None };
        self.note_crossing(handle, seen.call);
        Some(handle)
    }

    /// The transaction with a key under the Call-ID of the message, where that has few.
    fn find_in_call(&self, key: Key, call: Key) -> Option<Handle> {
        let requests = self.under(call, |group| group.requests);
        if requests.is_crowded() {
            return None;
        }
        for request in self.requests.of(requests) {
            let lr = self.requests.get(request)?;
            if lr.transactions > MAX_WALKED {
                return None;
            }
            let mut next = lr.first;
            while let Some(tx) = self.transactions.get(next) {
                if tx.key == key {
                    return Some(next);
                }
                next = tx.next;
            }
        }
        None
    }

    /// Takes a response.
    pub(crate) fn on_response(&mut self, status: u16, seen: &Seen<'_>, out: &mut Facts) {
        let message = seen.message;
        let key = seen.transaction;
        let transaction = match self.find_transaction(key, seen, out) {
            Some(handle) => handle,
            None => match self.open_orphan(key, seen, out) {
                Some(handle) => handle,
                None => return,
            },
        };
        let rseq = if status < 200 { message.rseq() } else { None };
        let item = self.keys.item(status, message.to.tag, rseq);
        if self.find_item(transaction, item).is_some() {
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
        let fresh = self.count_item(request, transaction, item);
        if fresh {
            out.push(slot, Fact::Responded(status));
        }
        let Some(lr) = self.requests.get_mut(request) else { return };
        if lr.timed_out {
            if fresh {
                out.push(slot, Fact::RespondedLate);
            }
            return;
        }
        let first_response = !std::mem::replace(&mut lr.answered_at_all, true);
        if first_response && lr.method == Method::Options && lr.counted {
            let delay = seen.now() - lr.t1;
            self.calls.measured(lr.record, slot, pipeline::Measure::Options, delay, out);
        }
        if let Some(invite) = &lr.invite {
            self.attempts.touch(invite.attempt);
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
        let first_tuple = self.find_item(transaction, item).map(|item| item.tuple);
        let Some(tx) = self.transactions.get(transaction) else { return };
        let slot = self.slot_of(tx.request);
        out.push(slot, Fact::MessageSeen);
        let request = seen.message.is_request();
        let (kind, fact) = match first_tuple {
            Some(tuple) if tuple != seen.tuple => (Kind::Copy, Fact::SeenElsewhere),
            _ => (Kind::Repeat, Fact::Retransmitted { request, first_hop: tx.root }),
        };
        self.calls.sighted(transaction, item, kind);
        out.push(slot, fact);
        self.requests.touch(tx.request);
    }

    /// The ACK of a non-2xx is an item of its INVITE's transaction (2.7).
    fn on_failure_ack(&mut self, invite: Handle, seen: &Seen<'_>, out: &mut Facts) {
        if self.find_item(invite, ACK).is_some() {
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

    fn find_item(&self, transaction: Handle, item: Mark) -> Option<Item> {
        self.transactions.get(transaction)?.items.find(&self.pool, item)
    }

    /// Counts the response that a transaction took last for its logical request, unless another transaction did, or
    /// as many are counted as may be (2.4, 3.7). Returns whether it counts.
    fn count_item(&mut self, request: Handle, transaction: Handle, item: Mark) -> bool {
        let Some(lr) = self.requests.get_mut(request) else { return false };
        if usize::from(lr.items_counted) == MAX_ITEMS {
            return false;
        }
        let mut next = lr.first;
        while let Some(tx) = self.transactions.get(next) {
            if tx.items.is_counted(&self.pool, item) {
                return false;
            }
            next = tx.next;
        }
        lr.items_counted += 1;
        if let Some(tx) = self.transactions.get_mut(transaction) {
            tx.items.count_last(&mut self.pool);
        }
        true
    }

    /// Remembers an item; `false` when [`MAX_ITEMS`] are remembered: whatever comes then is taken for a repeat.
    fn note_item(&mut self, transaction: Handle, item: Mark, tuple: u32) -> bool {
        let Some(tx) = self.transactions.get_mut(transaction) else { return false };
        self.requests.touch(tx.request);
        if !tx.items.add(&mut self.pool, Item { mark: item, tuple, counted: false }) {
            return false;
        }
        self.calls.sighted(transaction, item, Kind::First);
        true
    }
}

/// The request, as an item of its transaction. Marks of responses are hashes; that one equals these is as
/// likely as that two of them collide.
const REQUEST: Mark = 0;
/// The ACK of a non-2xx, as an item of the INVITE's transaction.
const ACK: Mark = 1;

/// Most transactions of a logical request that are walked along in search of one.
const MAX_WALKED: u8 = 8;
