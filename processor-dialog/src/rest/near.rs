//! Bringing near what will be packed: many groups together, step by step, as [`crate::ahead`] does for messages.
//!
//! What is over was last looked at seconds ago, and all of it is read, unlinked and written. Packed where it ended it was
//! waited for entry after entry.

use crate::entries::Handle;
use crate::state::State;
use crate::wheel::Timer;

impl State {
    /// Asks for what a call has to be brought near: requests, their first transactions, dialog and attempt, the latest of
    /// their delays and early dialogs, and where timers and transactions are linked.
    pub(super) fn bring_near(&self, groups: &[Handle]) {
        let mut requests = [None; TOGETHER];
        let mut others = [None; TOGETHER];
        for (at, group) in groups.iter().take(TOGETHER).enumerate() {
            let Some(group) = self.groups.get(*group) else { continue };
            requests[at] = Some(self.requests.fetch_latest(group.requests));
            others[at] = Some((self.dialogs.fetch_latest(group.dialogs), self.attempts.fetch_latest(group.attempts)));
        }
        let mut linked = others.map(|others| {
            let (dialog, attempt) = others?;
            if let Some(attempt) = self.attempts.at(attempt) {
                self.pool.fetch(attempt.delays);
            }
            let timer = self.dialogs.at(dialog)?.timer;
            self.wheel.fetch(timer);
            Some((timer, Handle::NONE))
        });
        // A call has three requests, and of each the last step is one later.
        for _ in 0..4 {
            for (request, linked) in requests.iter_mut().zip(&mut linked) {
                if let Some((timer, transaction)) = linked.take() {
                    self.bring_links_near(timer, transaction);
                }
                let Some(lr) = request.and_then(|request| self.requests.at(request)) else { continue };
                self.transactions.fetch(lr.first);
                self.wheel.fetch(lr.timer);
                if let Some(invite) = &lr.invite {
                    self.pool.fetch(invite.early);
                }
                *linked = Some((lr.timer, lr.first));
                *request = request.and_then(|request| self.requests.fetch_earlier(request));
            }
        }
    }

    fn bring_links_near(&self, timer: Timer, transaction: Handle) {
        self.wheel.fetch_neighbours(timer);
        if let Some(transaction) = self.transactions.get(transaction) {
            self.transactions.fetch_index(transaction.key);
        }
    }
}

/// Groups brought near together.
pub(super) const TOGETHER: usize = 16;
