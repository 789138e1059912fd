//! Requests of a call: which one a message is of, that of a transaction whose responses came first, and new ones
//! (`sip-metrics.md` 0.4, 2.3 to 2.5).

use pipeline::Slot;
use pipeline::event::Fact;

use crate::call::TransactionAt;
use crate::hash::Tag;
use crate::list::At;
use crate::observed::Observed;
use crate::request::Request;
use crate::transaction::{Sender, Transaction};
use crate::turn::Turn;

impl Turn<'_> {
    /// A transaction for a request not seen on this hop before, under the newest request of its name where that takes it,
    /// else under a new one (2.5). An error where that has as many as may be: then it is one more hop copy.
    pub fn attach(&mut self, invite: Option<TransactionAt>, seen: &Observed<'_>) -> Result<TransactionAt, ()> {
        let tx = self.new_transaction(seen);
        let fork_hold = self.config.fork_hold;
        let named = |request: &Request| request.is_named(seen) && request.slot_is_own();
        let request = self.call.requests.find(&self.pools.requests, named).filter(|at| {
            let request = self.call.requests.get(&self.pools.requests, *at);
            request.takes(&self.pools.transactions, &self.pools.of_transactions, &tx, seen.now(), fork_hold)
        });
        let request = match request {
            Some(request) => request,
            None => {
                let slot = self.slot_of_request(invite, seen);
                self.open_request(slot, seen.to, seen)
            }
        };
        self.add(request, tx)
    }

    /// A transaction of which nothing was seen yet.
    fn new_transaction(&mut self, seen: &Observed<'_>) -> Transaction {
        let hop = seen.hop(self.hashes);
        let new = |sender| Transaction::new(seen.branch, hop, sender, seen.frame.first);
        if seen.message.via_count == 1 {
            return new(Sender::Origin(self.hashes.way(seen.frame)));
        }
        let path = seen.message.vias().skip(1).map(|via| self.hashes.hop(&via));
        new(Sender::Proxy).with_path(path, &mut self.pools.of_transactions)
    }

    /// Adds a transaction to a request.
    pub fn attach_to(&mut self, request: At, seen: &Observed<'_>) -> Result<TransactionAt, ()> {
        let tx = self.new_transaction(seen);
        self.add(request, tx)
    }

    /// The same of one that is made. An error where the request has as many as may be: it is one more hop copy.
    pub fn add(&mut self, request: At, tx: Transaction) -> Result<TransactionAt, ()> {
        let owner = self.call.requests.get_mut(&mut self.pools.requests, request);
        let added = owner.attach(&mut self.pools.transactions, &self.pools.of_transactions, tx);
        let slot = owner.slot;
        added.map(|transaction| TransactionAt { request, transaction }).map_err(|mut tx| {
            tx.clear(&mut self.pools.of_transactions);
            self.push(slot, Fact::MessageSeen);
        })
    }

    /// The request of a transaction whose responses came first: one that another hop of it belongs to takes over all that
    /// was known of the orphan, or the orphan becomes it.
    pub fn claim(
        &mut self,
        at: TransactionAt,
        invite: Option<TransactionAt>,
        seen: &Observed<'_>,
    ) -> Result<TransactionAt, ()> {
        if self.request(at.request).is_counted() {
            return Ok(at);
        }
        let named =
            self.call.requests.find(&self.pools.requests, |request| request.is_counted() && request.is_named(seen));
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
        if let Some(dialog) = self.call.dialog_around(self.pools, seen) {
            let slot = self.dialog(dialog).request_slot;
            return self.slots.hold(slot);
        }
        let slot = self.slots.open();
        let user_agent = seen.message.user_agent();
        self.out.open(slot, seen.frame.source.ip(), user_agent.as_deref().unwrap_or_default());
        slot
    }
}
