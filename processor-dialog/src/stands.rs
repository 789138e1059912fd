//! What a dialog stands for: the attempt it answered (`sip-metrics.md` 2.6), and the BYE that ended it (3.3).
//!
//! An attempt of one INVITE that one dialog answered, as nearly all are, has nothing that is not known from these two: its
//! own record is let go, with what the INVITE has beyond any request. Both are made anew for a message that may ask for
//! them: another INVITE, or another response. So is the BYE for any message of a BYE.

use wire::Timestamp;

use crate::attempt::Attempt;
use crate::bye::Bye;
use crate::call::Invite;
use crate::dialog::Dialog;
use crate::hash::Tag;
use crate::list::At;
use crate::observed::pair;
use crate::request::Request;
use crate::turn::Turn;

impl Turn<'_> {
    /// The dialog with the To tag `answered` answered an INVITE: it stands for the attempt from now on, if that has no other
    /// INVITE and gave no other delay, and the call has no other attempt.
    pub fn let_dialog_stand(&mut self, request: At, dialog: At, answered: Tag) {
        let request = self.request(request);
        let (serial, from, began, slot) = (request.serial, request.from, request.t1, request.slot);
        let stands = self.call.dialogs.get(&self.pools.dialogs, dialog);
        let (Some(invite), Some(attempt)) =
            (self.call.invites.only(&self.pools.invites), self.call.attempts.only(&self.pools.attempts))
        else {
            return;
        };
        let of_dialog = stands.primary && stands.tags == pair(from, answered) && stands.attempt_slot == slot;
        let of_invite = self.call.invites.get(&self.pools.invites, invite).serial == serial;
        let of_attempt = self.call.attempts.get(&self.pools.attempts, attempt);
        if of_dialog && of_invite && of_attempt.is_told_by(&self.pools.created, serial, began, answered) {
            self.dialog(dialog).stands_for_attempt = true;
            self.call.invites.remove(&mut self.pools.invites, invite);
            let mut attempt = self.call.attempts.remove(&mut self.pools.attempts, attempt);
            attempt.clear(&mut self.pools.created);
            self.slots.release(attempt.slot);
        }
    }

    /// Makes the attempt anew that a dialog stands for, and what its INVITE has beyond any request.
    pub fn restore_attempt(&mut self) {
        let stands = |dialog: &Dialog| dialog.stands_for_attempt;
        let Some(at) = self.call.dialogs.find(&self.pools.dialogs, stands) else { return };
        let dialog = self.dialog(at);
        dialog.stands_for_attempt = false;
        let (serial, slot, [tag, other]) = (dialog.invite, dialog.attempt_slot, dialog.tags);
        let invite = |request: &Request| request.serial == serial;
        let invite = self.call.requests.find(&self.pools.requests, invite).expect("it is remembered as long");
        let (from, began) = (self.request(invite).from, self.request(invite).t1);
        let slot = self.slots.hold(slot);
        let mut attempt = Attempt::new(serial, from, slot, began);
        attempt.on_answer(&mut self.pools.created, if tag == from { other } else { tag }, 200, began);
        self.call.attempts.push(&mut self.pools.attempts, attempt);
        let invite = Invite { provisional: true, dialed: true, answered_200: true, ..Invite::new(serial, serial) };
        self.call.invites.push(&mut self.pools.invites, invite);
    }

    /// The dialog was ended by a BYE, which it keeps from now on, if nothing is known of that but its 2xx.
    pub fn let_dialog_keep_bye(&mut self, request: At, dialog: At) {
        let at = dialog;
        let dialog = self.call.dialogs.get(&self.pools.dialogs, at);
        let Some(until) = dialog.keeps_nothing() else { return };
        let bye = Bye::new(self.request(request), &self.pools.transactions, dialog.tags, dialog.request_slot, until);
        if let Some(bye) = bye {
            self.dialog(at).keep_bye(bye);
            let mut request = self.call.requests.remove(&mut self.pools.requests, request);
            request.transactions.pop(&mut self.pools.transactions);
        }
    }

    /// Makes the requests anew that dialogs keep, of those that are remembered until `until` at most. They have been counted
    /// as held all the time.
    pub fn restore_byes(&mut self, until: Timestamp) {
        let keeps = |dialog: &Dialog| dialog.keeps_bye_until().is_some_and(|kept| kept <= until);
        while let Some(at) = self.call.dialogs.find(&self.pools.dialogs, keeps) {
            let dialog = self.dialog(at);
            let Some((bye, until)) = dialog.give_bye() else { return };
            let request = bye.request(dialog.tags, dialog.request_slot, until);
            self.call.requests.push(&mut self.pools.requests, request);
        }
    }
}
