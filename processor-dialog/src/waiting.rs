//! Messages that were captured before the one that caused them: each waits for it up to `reorder_window` (`sip-metrics.md`
//! 2.3), since taps deliver the two directions of a call apart.
//!
//! A message that waits counts nowhere. It is kept as it came, at most [`MAX_WAITING`] of them and [`MAX_BYTES`] in all.

use std::collections::VecDeque;

use pipeline::{FrameBatch, SipFrame};
use wire::Timestamp;

use crate::call::{Call, Pools};
use crate::hash::{Key, Tag};
use crate::observed::Observed;
use crate::request::Request;
use crate::transaction::Final;

use sip::Method;

/// A message that waits.
pub struct Waiting {
    /// Its bytes and its frame, as they came.
    pub message: Box<[u8]>,
    pub frame: SipFrame,
    /// Then it is taken as it stands.
    pub until: Timestamp,
    /// Its place among all that came.
    pub number: u64,
}

/// How many wait, of all calls.
#[derive(Default)]
pub struct Queue {
    /// Whose message each is, in the order they came; those that wait no longer leave when they are first.
    order: VecDeque<(Key, u64)>,
    held: usize,
    bytes: usize,
    next: u64,
}

impl Queue {
    /// A message begins to wait.
    pub fn add(&mut self, call: Key, batch: &FrameBatch, frame: &SipFrame, until: Timestamp) -> Waiting {
        let message: Box<[u8]> = batch.message(frame).into();
        self.next += 1;
        self.held += 1;
        self.bytes += message.len();
        self.order.push_back((call, self.next));
        Waiting { message, frame: frame.clone(), until, number: self.next }
    }

    /// A message waits no longer.
    pub fn remove(&mut self, waiting: &Waiting) {
        self.held -= 1;
        self.bytes -= waiting.message.len();
        if self.held == 0 {
            self.order.clear();
        }
    }

    /// The call of the message that has waited longest and its number, if there are more than may be; it may have left.
    pub fn exceeds(&mut self) -> Option<(Key, u64)> {
        let full = self.held > MAX_WAITING || self.bytes > MAX_BYTES || self.order.len() > 2 * MAX_WAITING;
        full.then(|| self.order.pop_front()).flatten()
    }

    /// Messages that wait.
    pub fn len(&self) -> usize {
        self.held
    }
}

impl Call {
    /// Whether a request waits for what caused it: an ACK for the final it acknowledges, any other request within a dialog
    /// for that, while an INVITE of the call is undecided (2.3). Responses are asked for their transaction as they are taken.
    pub fn must_wait(&self, pools: &Pools, seen: &Observed<'_>) -> bool {
        if seen.to == Tag::NONE
            || self.find_dialog(pools, seen.tags()).is_some()
            || self.find_transaction(pools, seen.branch, seen.method()).is_some()
        {
            return false;
        }
        if seen.method() != Method::Ack {
            let undecided = |request: &Request| request.is_initial_invite() && request.is_open();
            return self.requests.find(&pools.requests, undecided).is_some();
        }
        let of_branch = self.find_transaction(pools, seen.branch, Method::Invite);
        let failed = of_branch.is_some_and(|at| matches!(self.transaction(pools, at).outcome, Final::Failure));
        let answered = |invite: &Request| {
            invite.method == Method::Invite
                && (invite.from, invite.cseq) == (seen.from, seen.cseq)
                && invite.status().is_some_and(|status| status < 300)
        };
        !failed && self.requests.find(&pools.requests, answered).is_none()
    }
}

/// Most messages that wait (1.8).
const MAX_WAITING: usize = 65_536;
/// Most bytes of them.
const MAX_BYTES: usize = 64 << 20;
