//! When everything under a Call-ID may be put to rest: no dialog of it lives, and nothing of it waits for more than to be
//! forgotten.

use sip::Method;
use wire::Timestamp;

use super::MAX_NAMED;
use super::cells::MAX_LEN;
use super::near::TOGETHER;
use crate::attempt;
use crate::dialog::Dialog;
use crate::entries::Handle;
use crate::invite::Decision;
use crate::key::Key;
use crate::logical_request::LogicalRequest;
use crate::registration;
use crate::state::{Seen, State};
use crate::wheel::Timer;

/// The entries of a group, in the order they are written.
#[derive(Default)]
pub(super) struct Quiet {
    pub requests: Few,
    pub attempts: Few,
    pub registrations: Few,
    pub dialogs: Few,
}

/// A short list without memory of its own.
pub(super) struct Few {
    pub handles: [Handle; MAX_NAMED],
    len: usize,
}

impl Default for Few {
    fn default() -> Self {
        Self { handles: [Handle::NONE; MAX_NAMED], len: 0 }
    }
}

impl Few {
    /// Adds what is not in it yet; `None` when it is full.
    pub fn add(&mut self, handle: Handle) -> Option<()> {
        if self.place(handle).is_none() {
            *self.handles.get_mut(self.len)? = handle;
            self.len += 1;
        }
        Some(())
    }

    /// Turns the order round.
    fn reverse(&mut self) {
        self.handles[..self.len].reverse();
    }

    /// Puts those last that are found by their key, so that they are again when all come back. `None` where one that
    /// is not gave way to an entry that is not here.
    fn put_last(&mut self, is_found: impl Fn(Handle) -> bool, key: impl Fn(Handle) -> Option<Key>) -> Option<()> {
        self.handles[..self.len].sort_by_key(|handle| is_found(*handle));
        let (lost, found) = self.handles[..self.len].split_at(self.iter().filter(|handle| !is_found(*handle)).count());
        let heir = |lost: &Handle| found.iter().any(|found| key(*found) == key(*lost));
        lost.iter().all(heir).then_some(())
    }

    /// The place of an entry in it.
    pub fn place(&self, handle: Handle) -> Option<usize> {
        self.iter().position(|known| known == handle)
    }

    /// The entries in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Handle> + '_ {
        self.handles[..self.len].iter().copied()
    }
}

impl State {
    /// All rules are through with a message: what it ended may rest. What is likely to be followed by more (an ACK,
    /// a BYE) waits a moment.
    pub(crate) fn rest_after(&mut self, seen: &Seen<'_>) {
        #[cfg(test)]
        match self.rest.habit {
            super::tests::Habit::Usual => {}
            super::tests::Habit::Never => return,
            super::tests::Habit::Always => {
                if let Some(group) = self.groups.find(seen.call) {
                    self.put_to_rest(group, seen.now());
                }
                return;
            }
        }
        let message = seen.message;
        let is_final = message.status().is_some_and(|status| status >= 200);
        if !is_final && message.method() != Method::Ack {
            return;
        }
        if is_final && message.method() == Method::Invite {
            // Answered, it is up; its BYE asks again.
            if message.status() >= Some(300) {
                self.cool(seen.call, seen.now());
            }
            return;
        }
        let Some(group) = self.groups.find(seen.call) else { return };
        let cools = self.groups.get(group).is_some_and(|group| group.cooling);
        if cools || self.is_within_a_dialog_that_is_up(group) {
            return;
        }
        self.end_with_batch(group, is_final);
    }

    /// Whether the latest request of a group is of a dialog that lives.
    fn is_within_a_dialog_that_is_up(&self, group: Handle) -> bool {
        let latest = self.groups.get(group).and_then(|group| self.requests.of(group.requests).next());
        latest
            .and_then(|latest| self.requests.get(latest))
            .and_then(|lr| self.dialogs.get(lr.dialog))
            .is_some_and(Dialog::is_live)
    }

    /// A group is to be put to rest at the end of the batch, when many are brought near together; `cools`: in a moment,
    /// should it not be quiet then.
    fn end_with_batch(&mut self, group: Handle, cools: bool) {
        let Some(entry) = self.groups.get_mut(group) else { return };
        entry.cools |= cools;
        if !std::mem::replace(&mut entry.ending, true) {
            self.rest.ending.push(group);
        }
    }

    /// Puts to rest what ended with the batch, and what has cooled.
    pub(crate) fn rest_what_is_quiet(&mut self, now: Timestamp) {
        while let Some(call) = self.rest.cooled(now) {
            let Some(group) = self.groups.find(call) else { continue };
            if let Some(group) = self.groups.get_mut(group) {
                group.cooling = false;
            }
            self.end_with_batch(group, false);
        }
        let mut ending = std::mem::take(&mut self.rest.ending);
        for together in ending.chunks(TOGETHER) {
            self.bring_near(together);
            for &group in together {
                let Some(entry) = self.groups.get_mut(group) else { continue };
                entry.ending = false;
                let cools = std::mem::take(&mut entry.cools);
                // Since it was noted something may have ended whose ACK is awaited.
                if !entry.cooling
                    && !self.put_to_rest(group, now)
                    && cools
                    && let Some(call) = self.groups.key(group)
                {
                    self.cool(call, now);
                }
            }
        }
        ending.clear();
        self.rest.ending = ending;
    }

    /// Everything of a group; `None` when it may not rest.
    pub(super) fn quiet_members(&self, group: Handle) -> Option<Quiet> {
        let group_entry = self.groups.get(group)?;
        let requests = group_entry.requests;
        if group_entry.crossed || requests.len() == 0 || requests.len() > MAX_NAMED {
            return None;
        }
        if self.calls.is_on_record(self.groups.key(group)?) {
            return None;
        }
        let mut members = Quiet::default();
        let (mut transactions, mut items) = (0, 0);
        for request in self.requests.of(requests) {
            let lr = self.requests.get(request)?;
            if !lr.is_over() || lr.ends_dialog || self.calls.is_live(lr.record) {
                return None;
            }
            transactions += usize::from(lr.transactions);
            if transactions > MAX_NAMED {
                return None;
            }
            let mut next = lr.first;
            while let Some(tx) = self.transactions.get(next) {
                // What a failure was is not kept, and a request that is still to come asks.
                if tx.failure.is_some() && !lr.counted {
                    return None;
                }
                items += tx.items.len();
                next = tx.next;
            }
            // So that nobody can have what is too much described again and again.
            if items > MAX_ITEMS_AT_REST {
                return None;
            }
            members.requests.add(request)?;
            self.add_dialog(lr.dialog, &mut members)?;
            if self.registrations.get(lr.registration).is_some() {
                members.registrations.add(lr.registration)?;
            }
            if let Some(invite) = &lr.invite {
                if invite.decision == Decision::Open {
                    return None;
                }
                self.add_dialog(invite.primary, &mut members)?;
                for node in self.pool.iter(invite.early) {
                    self.add_dialog(Handle::from_bits(node.value), &mut members)?;
                }
                if self.attempts.get(invite.attempt).is_some() {
                    members.attempts.add(invite.attempt)?;
                }
            }
        }
        // The latest is the first in the list; the oldest is to be the first at rest.
        members.requests.reverse();
        members.attempts.put_last(|handle| self.attempts.is_found(handle), |handle| self.attempts.key(handle))?;
        members
            .registrations
            .put_last(|handle| self.registrations.is_found(handle), |handle| self.registrations.key(handle))?;
        let of = |test: &dyn Fn(&LogicalRequest) -> bool| {
            members.requests.iter().filter_map(|handle| self.requests.get(handle)).filter(|lr| test(lr)).count()
        };
        let over = members.attempts.iter().all(|handle| {
            let known = of(&|lr| lr.invite.as_ref().is_some_and(|invite| invite.attempt == handle));
            self.attempts.get(handle).is_some_and(|attempt| {
                matches!(attempt.phase, attempt::Phase::Answered | attempt::Phase::Ended)
                    && attempt.requests as usize == known
            })
        }) && members.registrations.iter().all(|handle| {
            let known = of(&|lr| lr.registration == handle);
            self.registrations.get(handle).is_some_and(|registration| {
                matches!(registration.phase, registration::Phase::Ended) && registration.requests as usize == known
            })
        });
        over.then_some(members)
    }

    /// A dialog that a request names: at rest with it when it has ended, else named by its handle. `None` when the
    /// group may not rest because of it.
    fn add_dialog(&self, handle: Handle, members: &mut Quiet) -> Option<()> {
        let Some(dialog) = self.dialogs.get(handle) else { return Some(()) };
        match dialog.state {
            Some(_) => None,
            None if may_rest(dialog) => members.dialogs.add(handle),
            None => Some(()),
        }
    }
}

/// It has ended, nothing of the seed's session is left, and no other Call-ID has to do with it.
fn may_rest(dialog: &Dialog) -> bool {
    dialog.state.is_none() && dialog.session.is_none() && !dialog.crossed && dialog.timer != Timer::default()
}

/// Items that may fit into a string: those of responses take seven bytes at least.
const MAX_ITEMS_AT_REST: usize = MAX_LEN / 7;
