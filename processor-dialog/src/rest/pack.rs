//! The way from the tables into a string, and back.

use pipeline::Facts;
use wire::Timestamp;

use super::contents::{self, Contents, DialogRef};
use super::quiet::{Few, Quiet};
use super::{MAX_GROUPS, MAX_RESTING, Resting};
use crate::attempt::{self, Attempt};
use crate::calls::Record;
use crate::chain::{Chain, Node};
use crate::dialog::Dialog;
use crate::entries::Handle;
use crate::invite::{Decision, Invite};
use crate::items::{Item, Items};
use crate::key::Key;
use crate::logical_request::{LogicalRequest, Waits};
use crate::registration::{self, Registration};
use crate::state::State;
use crate::transaction::{Failure, Transaction};
use crate::transaction_table::Name;
use crate::wheel::{Target, Timer};

impl State {
    /// Puts a group to rest, if no dialog of it lives and nothing of it waits for more than to be forgotten.
    pub(super) fn put_to_rest(&mut self, group: Handle, now: Timestamp) -> bool {
        if self.rest.len() >= MAX_RESTING || group.index() >= MAX_GROUPS {
            return false;
        }
        let Some(members) = self.quiet_members(group) else { return false };
        let mut packed = std::mem::take(&mut self.rest.contents);
        packed.clear();
        self.describe(&members, &mut packed);
        let fits = packed.write(now, &self.keys, &mut self.rest.writer);
        if fits {
            self.keep_written(group);
            self.take_out(group, &members);
            self.count_at_rest(&packed, 1);
            self.await_next_forgotten(group, &packed, now);
        }
        self.rest.contents = packed;
        fits
    }

    /// Keeps what was written of `packed`, all of whose entries have left the tables before.
    pub(super) fn lay_down(&mut self, group: Handle, packed: &Contents, now: Timestamp) {
        self.keep_written(group);
        for (place, tx) in packed.transactions.iter().enumerate() {
            self.transactions.add_name(tx.key, Name::new(group.index(), place));
        }
        self.count_at_rest(packed, 1);
        self.await_next_forgotten(group, packed, now);
    }

    /// Takes what rests of a group, to be put back into the tables or to be forgotten.
    pub(super) fn pick_up(&mut self, group: Handle) -> Option<Contents> {
        let Resting { cell, mut timer } = self.groups.raise(group)?;
        self.wheel.cancel(&mut timer);
        let mut packed = std::mem::take(&mut self.rest.contents);
        packed.read(self.rest.cells.get(cell), &self.keys);
        for (place, tx) in packed.transactions.iter().enumerate() {
            self.transactions.remove_name(tx.key, Name::new(group.index(), place));
        }
        self.transactions.shrink();
        self.rest.cells.remove(cell);
        self.rest.groups -= 1;
        self.count_at_rest(&packed, -1);
        Some(packed)
    }

    fn count_at_rest(&mut self, packed: &Contents, sign: isize) {
        self.requests.keep_elsewhere(sign * packed.requests.len() as isize);
        self.transactions.keep_elsewhere(sign * packed.transactions.len() as isize);
    }

    /// Sets the time when the first of a group at rest is forgotten.
    fn await_next_forgotten(&mut self, group: Handle, packed: &Contents, now: Timestamp) {
        let due = self.next_forgotten(packed).unwrap_or(now);
        if let Some(resting) = self.groups.get_mut(group).and_then(|group| group.resting.as_mut()) {
            self.wheel.set(&mut resting.timer, due, Target::Rested(group));
        }
    }

    fn dialog_ref(&self, handle: Handle, members: &Quiet) -> DialogRef {
        match (members.dialogs.place(handle), self.dialogs.get(handle)) {
            (Some(place), _) => DialogRef::Here(place),
            (None, Some(_)) => DialogRef::InTable(handle),
            (None, None) => DialogRef::None,
        }
    }

    /// Describes the members.
    fn describe(&self, members: &Quiet, packed: &mut Contents) {
        let due = |timer| self.wheel.due(timer).unwrap_or(Timestamp::NEVER);
        for handle in members.attempts.iter() {
            let (Some(key), Some(attempt)) = (self.attempts.key(handle), self.attempts.get(handle)) else { continue };
            let before = packed.delays.len();
            packed.delays.extend(self.pool.iter(attempt.delays).map(|node| node.of));
            packed.attempts.push(contents::Attempt {
                key,
                slot: attempt.slot,
                t0: attempt.t0,
                cseq: attempt.cseq,
                answered: matches!(attempt.phase, attempt::Phase::Answered),
                alerted: attempt.alerted,
                request: members.requests.place(attempt.request),
                requests: attempt.requests,
                delays: packed.delays.len() - before,
            });
        }
        for handle in members.registrations.iter() {
            let Some(key) = self.registrations.key(handle) else { continue };
            let Some(&Registration { slot, cseq, requests, .. }) = self.registrations.get(handle) else { continue };
            packed.registrations.push(contents::Registration { key, slot, cseq, requests });
        }
        for handle in members.dialogs.iter() {
            let (Some(key), Some(dialog)) = (self.dialogs.key(handle), self.dialogs.get(handle)) else { continue };
            packed.dialogs.push(contents::Dialog {
                key,
                request_slot: dialog.request_slot,
                attempt_slot: dialog.attempt_slot,
                cseq: dialog.cseq,
                primary: dialog.primary,
                acknowledged: dialog.acknowledged,
                via_depth: dialog.via_depth,
                due: due(dialog.timer),
            });
        }
        for handle in members.requests.iter() {
            let (Some(key), Some(lr)) = (self.requests.key(handle), self.requests.get(handle)) else { continue };
            let invite = lr.invite.as_ref().map(|invite| contents::Invite {
                attempt: members.attempts.place(invite.attempt),
                primary: self.dialog_ref(invite.primary, members),
                failed: invite.decision == Decision::Failed,
                provisional: invite.provisional,
                dialed: invite.dialed,
                answered_200: invite.answered_200,
                cancelled: invite.cancelled,
            });
            packed.requests.push(contents::Request {
                key,
                slot: lr.slot,
                method: lr.method,
                cseq: lr.cseq,
                counted: lr.counted,
                timed_out: lr.timed_out,
                answered_at_all: lr.answered_at_all,
                reason_counted: lr.reason_counted,
                in_dialog: lr.in_dialog,
                final_status: lr.final_status,
                depth: lr.depth,
                items_counted: lr.items_counted,
                record: match lr.record {
                    Record::None => contents::Record::None,
                    Record::Call(_) => contents::Record::Call,
                    Record::Request(_) => contents::Record::Request,
                },
                due: due(lr.timer),
                dialog: self.dialog_ref(lr.dialog, members),
                registration: members.registrations.place(lr.registration),
                invite,
                transactions: lr.transactions.into(),
            });
            let mut next = lr.first;
            while let Some(tx) = self.transactions.get(next) {
                self.describe_transaction(tx, packed);
                next = tx.next;
            }
        }
    }

    fn describe_transaction(&self, tx: &Transaction, packed: &mut Contents) {
        let (hops, items) = (packed.through.len(), packed.items.len());
        packed.through.extend(self.pool.iter(tx.through).map(|node| node.value));
        packed.items.extend(tx.items.iter(&self.pool));
        packed.transactions.push(contents::Transaction {
            key: tx.key,
            via: tx.via,
            root: tx.root,
            request_seen: tx.request_seen,
            at_origin: tx.at_origin,
            succeeded: tx.succeeded,
            failed: tx.failure.is_some(),
            through: packed.through.len() - hops,
            items: packed.items.len() - items,
        });
    }

    /// Takes the members out of the tables. Their slots stay held, their transactions are found by name.
    fn take_out(&mut self, group: Handle, members: &Quiet) {
        let mut place = 0;
        for handle in members.requests.iter() {
            let Some(mut lr) = self.requests.remove(&mut self.groups, handle) else { continue };
            self.wheel.cancel(&mut lr.timer);
            if let Some(invite) = &mut lr.invite {
                self.pool.clear(&mut invite.early);
            }
            let mut next = lr.first;
            while let Some(mut tx) = self.transactions.lay(next, Name::new(group.index(), place)) {
                place += 1;
                tx.items.clear(&mut self.pool);
                self.pool.clear(&mut tx.through);
                next = tx.next;
            }
        }
        for handle in members.attempts.iter() {
            if let Some(mut attempt) = self.attempts.remove(&mut self.groups, handle) {
                self.wheel.cancel(&mut attempt.timer);
                self.pool.clear(&mut attempt.delays);
            }
        }
        for handle in members.registrations.iter() {
            if let Some(mut registration) = self.registrations.remove(&mut self.groups, handle) {
                self.wheel.cancel(&mut registration.timer);
            }
        }
        for handle in members.dialogs.iter() {
            if let Some(mut dialog) = self.dialogs.remove(&mut self.groups, handle) {
                self.wheel.cancel(&mut dialog.timer);
            }
        }
    }

    /// What is under a Call-ID is in the tables again.
    pub(crate) fn wake(&mut self, call: Key, now: Timestamp, out: &mut Facts) {
        if self.rest.len() > 0
            && let Some(group) = self.groups.find(call)
            && self.groups.get(group).is_some_and(|group| group.resting.is_some())
        {
            self.wake_group(group, false, now, out);
        }
    }

    /// The group that has rested longest is in the tables again, its requests the first to make room. Returns whether
    /// any did.
    pub(crate) fn wake_oldest(&mut self, now: Timestamp, out: &mut Facts) -> bool {
        let Some(group) = self.groups.longest_at_rest() else { return false };
        self.wake_group(group, true, now, out);
        true
    }

    /// What rests of a group is in the tables again. `to_leave`: its requests are the first to make room.
    pub(crate) fn wake_group(&mut self, group: Handle, to_leave: bool, now: Timestamp, out: &mut Facts) {
        let Some(mut packed) = self.pick_up(group) else { return };
        self.forget_due(&mut packed, now, out);
        self.restore(group, &packed, to_leave);
        self.rest.contents = packed;
        if !to_leave {
            // More of what woke it may come: it is packed again once that is over, not after each message.
            if let Some(call) = self.groups.key(group) {
                self.cool(call, now);
            }
        }
        self.groups.close_if_empty(group.index());
    }

    /// Puts entries back into the tables.
    pub(super) fn restore(&mut self, group: Handle, packed: &Contents, to_leave: bool) {
        let Some(call) = self.groups.key(group) else { return };
        let mut dialogs = Few::default();
        for rested in &packed.dialogs {
            let mut dialog = Dialog::over(rested.request_slot, rested.attempt_slot, rested.cseq);
            dialog.primary = rested.primary;
            dialog.acknowledged = rested.acknowledged;
            dialog.via_depth = rested.via_depth;
            let handle = self.dialogs.insert(&mut self.groups, call, rested.key, dialog);
            self.dialogs.retire(handle);
            dialogs.add(handle);
        }
        let mut attempts = Few::default();
        let mut delays = packed.delays.iter();
        for rested in &packed.attempts {
            let mut chain = Chain::default();
            for of in delays.by_ref().take(rested.delays) {
                self.pool.push(&mut chain, Node { value: 0, of: *of });
            }
            let phase = if rested.answered { attempt::Phase::Answered } else { attempt::Phase::Ended };
            let attempt = Attempt {
                slot: rested.slot,
                record: Handle::NONE,
                t0: rested.t0,
                request: Handle::NONE,
                cseq: rested.cseq,
                phase,
                alerted: rested.alerted,
                delays: chain,
                requests: rested.requests,
                timer: Timer::default(),
            };
            let handle = self.attempts.insert(&mut self.groups, call, rested.key, attempt);
            self.attempts.retire(handle);
            attempts.add(handle);
        }
        let mut registrations = Few::default();
        for rested in &packed.registrations {
            let registration = Registration {
                slot: rested.slot,
                t0: Timestamp::ZERO,
                cseq: rested.cseq,
                phase: registration::Phase::Ended,
                requests: rested.requests,
                timer: Timer::default(),
            };
            let handle = self.registrations.insert(&mut self.groups, call, rested.key, registration);
            self.registrations.retire(handle);
            registrations.add(handle);
        }
        let dialog = |dialog: DialogRef| match dialog {
            DialogRef::None => Handle::NONE,
            DialogRef::InTable(handle) => handle,
            DialogRef::Here(place) => dialogs.handles[place],
        };
        let named = |list: &Few, place: Option<usize>| place.map_or(Handle::NONE, |place| list.handles[place]);
        let mut parts = (packed.transactions.iter(), packed.through.iter(), packed.items.iter());
        for (place, rested) in packed.requests.iter().enumerate() {
            let mut lr = LogicalRequest::new(rested.method, rested.cseq, rested.slot);
            lr.counted = rested.counted;
            lr.timed_out = rested.timed_out;
            lr.answered_at_all = rested.answered_at_all;
            lr.reason_counted = rested.reason_counted;
            lr.in_dialog = rested.in_dialog;
            lr.final_status = rested.final_status;
            lr.depth = rested.depth;
            lr.items_counted = rested.items_counted;
            // Its record has left: it names one that is in no table.
            lr.record = match rested.record {
                contents::Record::None => Record::None,
                contents::Record::Call => Record::Call(Handle::NONE),
                contents::Record::Request => Record::Request(Handle::NONE),
            };
            lr.dialog = dialog(rested.dialog);
            lr.registration = named(&registrations, rested.registration);
            lr.invite = rested.invite.map(|invite| {
                let mut early = Chain::default();
                // Dialogs that ended are kept in sight here, to rest with it again.
                for handle in dialogs.iter() {
                    self.pool.push(&mut early, Node { value: handle.to_bits(), of: 0 });
                }
                Invite {
                    attempt: named(&attempts, invite.attempt),
                    primary: dialog(invite.primary),
                    early,
                    first_180: None,
                    decision: if invite.failed { Decision::Failed } else { Decision::Answered },
                    provisional: invite.provisional,
                    dialed: invite.dialed,
                    answered_200: invite.answered_200,
                    cancelled: invite.cancelled,
                }
            });
            let request = self.requests.insert(&mut self.groups, call, rested.key, lr);
            self.restore_transactions(request, rested, &mut parts);
            self.wait(request, Waits::ToBeForgotten, rested.due);
            if to_leave {
                self.requests.retire(request);
            }
            for (rested, handle) in packed.attempts.iter().zip(attempts.iter()) {
                if rested.request == Some(place)
                    && let Some(attempt) = self.attempts.get_mut(handle)
                {
                    attempt.request = request;
                }
            }
        }
        for (rested, handle) in packed.dialogs.iter().zip(dialogs.iter()) {
            if let Some(dialog) = self.dialogs.get_mut(handle) {
                self.wheel.set(&mut dialog.timer, rested.due, Target::Dialog(handle));
            }
        }
    }

    fn restore_transactions<'a>(
        &mut self,
        request: Handle,
        rested: &contents::Request,
        (transactions, through, items): &mut (
            impl Iterator<Item = &'a contents::Transaction>,
            impl Iterator<Item = &'a u64>,
            impl Iterator<Item = &'a Item>,
        ),
    ) {
        let mut before = Handle::NONE;
        for place in 0..rested.transactions {
            let Some(tx) = transactions.next() else { break };
            let mut hops = Chain::default();
            for value in through.take(tx.through) {
                self.pool.push(&mut hops, Node { value: *value, of: 0 });
            }
            let mut seen = Items::default();
            for item in items.take(tx.items) {
                seen.add(&mut self.pool, *item);
            }
            // Decided: of a failure only matters that there was one.
            let failure = Failure { status: rested.final_status, at: Timestamp::ZERO, cause: None };
            let handle = self.transactions.insert(Transaction {
                key: tx.key,
                request,
                next: Handle::NONE,
                via: tx.via,
                through: hops,
                items: seen,
                root: tx.root,
                request_seen: tx.request_seen,
                at_origin: tx.at_origin,
                succeeded: tx.succeeded,
                failure: tx.failed.then_some(failure),
            });
            if let Some(before) = self.transactions.get_mut(before) {
                before.next = handle;
            }
            before = handle;
            if place == 0
                && let Some(lr) = self.requests.get_mut(request)
            {
                lr.first = handle;
            }
        }
        if let Some(lr) = self.requests.get_mut(request) {
            lr.transactions = rested.transactions as u8;
        }
    }
}
