//! What is forgotten while it rests: as [`State::forget_request`] and [`State::drop_dialog`] would forget it from
//! the tables, in the same order.

use pipeline::Facts;
use pipeline::event::Fact;
use wire::Timestamp;

use super::contents::{Contents, DialogRef, Request};
use crate::entries::Handle;
use crate::state::State;

/// What is forgotten next.
enum Next {
    Request(usize),
    Dialog(usize),
}

impl State {
    /// The time has come for something of a group at rest.
    pub(crate) fn on_rested_timer(&mut self, group: Handle, now: Timestamp, out: &mut Facts) {
        let Some(resting) = self.groups.get_mut(group).and_then(|group| group.resting.as_mut()) else { return };
        resting.forget_timer();
        let Some(mut packed) = self.pick_up(group) else { return };
        self.forget_due(&mut packed, now, out);
        if packed.requests.is_empty() && packed.dialogs.is_empty() {
            self.groups.close_if_empty(group.index());
        } else if packed.write(now, &self.keys, &mut self.rest.writer) {
            self.lay_down(group, &packed, now);
        } else {
            self.restore(group, &packed, false);
        }
        self.rest.contents = packed;
    }

    /// Forgets what is due at or before `now`, in order; requests before dialogs at the same time.
    pub(super) fn forget_due(&mut self, packed: &mut Contents, now: Timestamp, out: &mut Facts) {
        loop {
            let requests = packed.requests.iter().enumerate().map(|(place, lr)| (lr.due, Next::Request(place)));
            let dialogs = packed.dialogs.iter().enumerate().map(|(place, dialog)| (dialog.due, Next::Dialog(place)));
            match requests.chain(dialogs).filter(|(due, _)| *due <= now).min_by_key(|(due, _)| *due) {
                Some((_, Next::Request(place))) => self.forget_rested_request(packed, place, out),
                Some((_, Next::Dialog(place))) => self.forget_rested_dialog(packed, place, out),
                None => return,
            }
        }
    }

    fn forget_rested_request(&mut self, packed: &mut Contents, place: usize, out: &mut Facts) {
        let lr = packed.requests[place];
        if let Some(invite) = lr.invite {
            // 32 s after the 2xx (RFC 3261 §13.2.2.4): the ACK is overdue.
            let unacknowledged = match invite.primary {
                DialogRef::Here(at) => {
                    Some(&packed.dialogs[at]).filter(|dialog| !dialog.acknowledged).map(|dialog| dialog.attempt_slot)
                }
                DialogRef::InTable(handle) => {
                    self.dialogs.get(handle).filter(|dialog| !dialog.acknowledged).map(|dialog| dialog.attempt_slot)
                }
                DialogRef::None => None,
            };
            if let Some(slot) = unacknowledged {
                out.push(slot, Fact::AckMissing);
            }
            // An answered INVITE is remembered as long as its dialog.
            let depth = match invite.primary {
                DialogRef::Here(at) => Some(&mut packed.dialogs[at].via_depth),
                DialogRef::InTable(handle) => self.dialogs.get_mut(handle).map(|dialog| &mut dialog.via_depth),
                DialogRef::None => None,
            };
            match depth {
                Some(depth) => *depth = Some(lr.depth),
                None => out.push(lr.slot, Fact::ViaDepth(lr.depth)),
            }
            if let Some(at) = invite.attempt {
                self.release_rested_attempt(packed, at);
            }
        }
        if let Some(at) = lr.registration {
            self.release_rested_registration(packed, at);
        }
        self.slots.release(lr.slot);
        packed.forget_request(place);
    }

    fn release_rested_attempt(&mut self, packed: &mut Contents, place: usize) {
        packed.attempts[place].requests -= 1;
        if packed.attempts[place].requests == 0 {
            self.slots.release(packed.attempts[place].slot);
            packed.forget_attempt(place);
        }
    }

    fn release_rested_registration(&mut self, packed: &mut Contents, place: usize) {
        packed.registrations[place].requests -= 1;
        if packed.registrations[place].requests == 0 {
            self.slots.release(packed.registrations[place].slot);
            packed.forget_registration(place);
        }
    }

    fn forget_rested_dialog(&mut self, packed: &mut Contents, place: usize, out: &mut Facts) {
        let dialog = packed.dialogs[place];
        if let Some(depth) = dialog.via_depth {
            out.push(dialog.request_slot, Fact::ViaDepth(depth));
        }
        self.slots.release(dialog.request_slot);
        self.slots.release(dialog.attempt_slot);
        packed.forget_dialog(place);
    }

    /// When something is forgotten that is told of; when everything is, if nothing is told before. What leaves in
    /// silence may do so late: it is out before anybody asks for it.
    pub(super) fn next_forgotten(&self, packed: &Contents) -> Option<Timestamp> {
        let told = |lr: &&Request| {
            lr.invite.is_some_and(|invite| match invite.primary {
                DialogRef::None => true,
                DialogRef::Here(at) => !packed.dialogs[at].acknowledged || packed.dialogs[at].due < lr.due,
                DialogRef::InTable(handle) => self.dialogs.get(handle).is_none_or(|dialog| !dialog.acknowledged),
            })
        };
        let requests = packed.requests.iter().filter(told).map(|lr| lr.due);
        let dialogs = packed.dialogs.iter().map(|dialog| dialog.due);
        let last = packed.requests.iter().map(|lr| lr.due).max();
        requests.chain(dialogs).min().or(last)
    }
}

impl Contents {
    /// Takes a request out, with its transactions.
    fn forget_request(&mut self, place: usize) {
        let first: usize = self.requests[..place].iter().map(|lr| lr.transactions).sum();
        let own = first..first + self.requests[place].transactions;
        let before = |count: fn(&super::contents::Transaction) -> usize, of: &[super::contents::Transaction]| {
            of.iter().map(count).sum::<usize>()
        };
        let (earlier, these) = (&self.transactions[..first], &self.transactions[own.clone()]);
        let items = before(|tx| tx.items, earlier);
        let items = items..items + before(|tx| tx.items, these);
        let through = before(|tx| tx.through, earlier);
        let through = through..through + before(|tx| tx.through, these);
        self.items.drain(items);
        self.through.drain(through);
        self.transactions.drain(own);
        self.requests.remove(place);
        self.attempts.iter_mut().for_each(|attempt| attempt.request = without(attempt.request, place));
    }

    fn forget_attempt(&mut self, place: usize) {
        let first: usize = self.attempts[..place].iter().map(|attempt| attempt.delays).sum();
        self.delays.drain(first..first + self.attempts[place].delays);
        self.attempts.remove(place);
        for invite in self.requests.iter_mut().filter_map(|lr| lr.invite.as_mut()) {
            invite.attempt = without(invite.attempt, place);
        }
    }

    fn forget_registration(&mut self, place: usize) {
        self.registrations.remove(place);
        self.requests.iter_mut().for_each(|lr| lr.registration = without(lr.registration, place));
    }

    fn forget_dialog(&mut self, place: usize) {
        self.dialogs.remove(place);
        let without = |dialog: DialogRef| match dialog {
            DialogRef::Here(at) => without(Some(at), place).map_or(DialogRef::None, DialogRef::Here),
            other => other,
        };
        for lr in &mut self.requests {
            lr.dialog = without(lr.dialog);
            if let Some(invite) = &mut lr.invite {
                invite.primary = without(invite.primary);
            }
        }
    }
}

/// An index into a list out of which an element was taken.
fn without(index: Option<usize>, gone: usize) -> Option<usize> {
    index.filter(|index| *index != gone).map(|index| if index > gone { index - 1 } else { index })
}
