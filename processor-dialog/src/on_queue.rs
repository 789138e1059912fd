//! What a message means to a caller in a queue (`sip-metrics.md` 4.8), where queues are configured.

use pipeline::event::Fact;
use pipeline::{Slot, labels::Name};

use crate::hash::Tag;
use crate::observed::{Observed, pair};
use crate::queue::QueueCall;
use crate::turn::Turn;

impl Turn<'_> {
    /// An initial INVITE was seen at a root: it may begin a call to a queue, once in its attempt.
    pub fn on_queue_invite(&mut self, attempt: u32, seen: &Observed<'_>) {
        let known = |call: &QueueCall| call.attempt == attempt;
        if self.queues.is_empty() || self.call.queued.find(&self.pools.queued, known).is_some() {
            return;
        }
        let Some(queue) = self.queues.find(seen.message) else { return };
        self.enter_queue(queue, attempt, seen);
    }

    fn enter_queue(&mut self, queue: Name, attempt: u32, seen: &Observed<'_>) {
        let call = QueueCall::new(queue, attempt, seen.from, seen.frame.first);
        self.call.queued.push(&mut self.pools.queued, call);
        self.push(Slot::OTHER, Fact::QueueEntered(queue));
    }

    /// A 182 on an INVITE of an attempt.
    pub fn on_queued(&mut self, attempt: u32, seen: &Observed<'_>) {
        if let Some(at) = self.call.queued.find(&self.pools.queued, |call| call.attempt == attempt) {
            self.call.queued.get_mut(&mut self.pools.queued, at).on_queued(seen.to, seen.now());
        }
    }

    /// A 2xx to an INVITE of an attempt.
    pub fn on_queue_answer(&mut self, attempt: u32, seen: &Observed<'_>) {
        if let Some(at) = self.call.queued.find(&self.pools.queued, |call| call.attempt == attempt)
            && let Some(left) = self.call.queued.get_mut(&mut self.pools.queued, at).on_answer(seen.to, seen.now())
        {
            self.leave_queue(at, left);
        }
    }

    /// A REFER, re-INVITE or UPDATE within a dialog, from whoever sent it.
    pub fn on_queue_moved(&mut self, seen: &Observed<'_>) {
        if let Some(at) = self.queued_in(seen.tags())
            && let Some(left) = self.call.queued.get(&self.pools.queued, at).on_moved(seen.from, seen.frame.first)
        {
            self.leave_queue(at, left);
        }
    }

    /// The first BYE within a dialog.
    pub fn on_queue_bye(&mut self, seen: &Observed<'_>) {
        if let Some(at) = self.queued_in(seen.tags())
            && let Some(left) = self.call.queued.get(&self.pools.queued, at).on_bye(seen.from, seen.frame.first)
        {
            self.leave_queue(at, left);
        }
    }

    fn queued_in(&self, tags: [Tag; 2]) -> Option<crate::list::At> {
        let in_dialog = |call: &QueueCall| call.tags().is_some_and(|[from, to]| pair(from, to) == tags);
        self.call.queued.find(&self.pools.queued, in_dialog)
    }
}
