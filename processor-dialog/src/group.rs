//! Groups: the logical requests under one Call-ID, so that what belongs together can be put to rest together.

use crate::key::Key;
use crate::state::State;
use crate::table::Handle;

/// What is followed under one Call-ID; there is one as long as a logical request is.
pub struct Group {
    /// The latest of its logical requests, linked by [`Member::next`].
    pub first: Handle,
    /// How many those are.
    pub requests: usize,
    /// A message of another Call-ID belonged to a transaction of it. What hangs on what is then uncertain.
    pub crossed: bool,
}

/// A logical request's place in its group.
#[derive(Clone, Copy)]
pub struct Member {
    /// The key of its Call-ID.
    pub call: Key,
    group: Handle,
    previous: Handle,
    /// The one that joined before it.
    pub next: Handle,
}

impl Default for Member {
    fn default() -> Self {
        Self { call: Key::default(), group: Handle::NONE, previous: Handle::NONE, next: Handle::NONE }
    }
}

impl State {
    /// A logical request began under a Call-ID.
    pub(crate) fn join_group(&mut self, request: Handle, call: Key) {
        let group = match self.groups.find(call) {
            Some(group) => group,
            None => self.groups.insert(call, Group { first: Handle::NONE, requests: 0, crossed: false }),
        };
        let Some(entry) = self.groups.get_mut(group) else { return };
        let next = std::mem::replace(&mut entry.first, request);
        entry.requests += 1;
        if let Some(lr) = self.requests.get_mut(next) {
            lr.member.previous = request;
        }
        if let Some(lr) = self.requests.get_mut(request) {
            lr.member = Member { call, group, previous: Handle::NONE, next };
        }
    }

    /// A logical request is about to leave memory.
    pub(crate) fn leave_group(&mut self, request: Handle) {
        let Some(lr) = self.requests.get(request) else { return };
        let Member { group, previous, next, .. } = lr.member;
        if let Some(lr) = self.requests.get_mut(next) {
            lr.member.previous = previous;
        }
        if let Some(lr) = self.requests.get_mut(previous) {
            lr.member.next = next;
        }
        let Some(entry) = self.groups.get_mut(group) else { return };
        entry.requests -= 1;
        if entry.first == request {
            entry.first = next;
        }
        if entry.requests == 0 {
            self.groups.remove(group);
        }
    }

    /// A message under `call` belongs to a transaction: of its own Call-ID, or of another.
    pub(crate) fn note_crossing(&mut self, transaction: Option<Handle>, call: Key) {
        let Some(tx) = transaction.and_then(|handle| self.transactions.get(handle)) else { return };
        let Some(lr) = self.requests.get(tx.request) else { return };
        if lr.member.call != call
            && let Some(group) = self.groups.get_mut(lr.member.group)
        {
            group.crossed = true;
        }
    }
}
