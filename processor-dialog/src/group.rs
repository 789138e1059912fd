//! Groups: what is followed under one Call-ID. A message finds its group first, and everything else through it.

use std::cell::Cell;

use crate::attempt::Attempt;
use crate::call_table::{Member, Members};
use crate::dialog::Dialog;
use crate::entries::Handle;
use crate::key::Key;
use crate::logical_request::LogicalRequest;
use crate::registration::Registration;
use crate::rest::Resting;
use crate::state::State;
use crate::table::Table;

/// Everything under one Call-ID; there is one as long as there is anything.
#[derive(Default)]
pub struct Group {
    /// Its logical requests.
    pub requests: Members,
    /// Its dialogs.
    pub dialogs: Members,
    /// Its session attempts.
    pub attempts: Members,
    /// Its registration attempts.
    pub registrations: Members,
    /// What of it is packed.
    pub resting: Option<Resting>,
    /// It is to be put to rest in a moment.
    pub cooling: bool,
    /// It is to be put to rest at the end of the batch.
    pub ending: bool,
    /// Should it not be quiet then, it is to cool.
    pub cools: bool,
    /// A message of another Call-ID belonged to a transaction of it. What hangs on what is then uncertain.
    pub crossed: bool,
}

impl Group {
    fn is_empty(&self) -> bool {
        let followed = [self.requests, self.dialogs, self.attempts, self.registrations];
        self.resting.is_none() && followed.iter().all(|members| members.len() == 0)
    }
}

impl Member for LogicalRequest {
    fn members(group: &mut Group) -> &mut Members {
        &mut group.requests
    }
}

impl Member for Dialog {
    fn members(group: &mut Group) -> &mut Members {
        &mut group.dialogs
    }
}

impl Member for Attempt {
    fn members(group: &mut Group) -> &mut Members {
        &mut group.attempts
    }
}

impl Member for Registration {
    fn members(group: &mut Group) -> &mut Members {
        &mut group.registrations
    }
}

/// All groups, by Call-ID. In order are those that rest, by when they were last packed.
pub struct Groups {
    table: Table<Group>,
    /// The one asked for last: a message asks for its own several times.
    last: Cell<(Key, Handle)>,
}

impl Default for Groups {
    fn default() -> Self {
        // Never more than what is in them.
        Self { table: Table::new(usize::MAX), last: Cell::default() }
    }
}

impl Groups {
    /// The group of a Call-ID.
    pub fn find(&self, call: Key) -> Option<Handle> {
        let (key, handle) = self.last.get();
        if key == call && self.table.get(handle).is_some() {
            return Some(handle);
        }
        let handle = self.table.find(call)?;
        self.last.set((call, handle));
        Some(handle)
    }

    /// The group of a Call-ID, a new one where there was none.
    pub fn open(&mut self, call: Key) -> Handle {
        if let Some(handle) = self.find(call) {
            return handle;
        }
        let handle = self.table.insert_apart(call, Group::default());
        self.last.set((call, handle));
        handle
    }

    /// Asks for the place where a Call-ID is looked up to be brought near.
    pub fn fetch_index(&self, call: Key) {
        self.table.fetch_index(call);
    }

    /// Asks for what may be the group of a Call-ID to be brought near. Returns its place.
    pub fn fetch(&self, call: Key) -> Option<u32> {
        self.table.fetch(call)
    }

    /// The group at a place.
    pub fn at(&self, place: u32) -> Option<&Group> {
        self.table.at(place)
    }

    /// The group, unless it is gone.
    pub fn get(&self, handle: Handle) -> Option<&Group> {
        self.table.get(handle)
    }

    /// The group, unless it is gone.
    pub fn get_mut(&mut self, handle: Handle) -> Option<&mut Group> {
        self.table.get_mut(handle)
    }

    /// The group at a place where there is one: whatever is in it knows that there is.
    pub fn at_mut(&mut self, place: u32) -> &mut Group {
        self.table.get_mut(self.table.handle(place)).expect("a group stays as long as anything is in it")
    }

    /// The name of the group at a place.
    pub fn handle(&self, place: u32) -> Handle {
        self.table.handle(place)
    }

    /// Its Call-ID.
    pub fn key(&self, handle: Handle) -> Option<Key> {
        self.table.key(handle)
    }

    /// Groups.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// The one that has rested longest.
    pub fn longest_at_rest(&mut self) -> Option<Handle> {
        self.table.oldest()
    }

    /// It rests from now on.
    pub fn lay(&mut self, handle: Handle, resting: Resting) {
        if let Some(group) = self.table.get_mut(handle) {
            group.resting = Some(resting);
            self.table.touch(handle);
        }
    }

    /// It rests no longer.
    pub fn raise(&mut self, handle: Handle) -> Option<Resting> {
        let resting = self.table.get_mut(handle)?.resting.take()?;
        self.table.set_apart(handle);
        Some(resting)
    }

    /// Forgets a group that nothing is in.
    pub fn close_if_empty(&mut self, place: u32) {
        let handle = self.table.handle(place);
        if self.table.get(handle).is_some_and(Group::is_empty) {
            self.table.remove(handle);
        }
    }
}

impl State {
    /// The members of one kind under a Call-ID.
    pub(crate) fn under(&self, call: Key, kind: impl Fn(&Group) -> Members) -> Members {
        self.groups.find(call).and_then(|group| self.groups.get(group)).map(kind).unwrap_or_default()
    }

    /// The dialog of a Call-ID with a key.
    pub(crate) fn find_dialog(&self, call: Key, key: Key) -> Option<Handle> {
        self.dialogs.find(self.under(call, |group| group.dialogs), key)
    }

    /// The logical request of a Call-ID with a key.
    pub(crate) fn find_request(&self, call: Key, key: Key) -> Option<Handle> {
        self.requests.find(self.under(call, |group| group.requests), key)
    }

    /// The Call-ID of a logical request.
    pub(crate) fn call_of(&self, request: Handle) -> Option<Key> {
        self.groups.key(self.groups.handle(self.requests.group(request)?))
    }

    /// A message under `call` belongs to a transaction: of its own Call-ID, or of another.
    pub(crate) fn note_crossing(&mut self, transaction: Handle, call: Key) {
        let Some(tx) = self.transactions.get(transaction) else { return };
        let Some(group) = self.requests.group(tx.request) else { return };
        if self.groups.key(self.groups.handle(group)) != Some(call) {
            self.groups.at_mut(group).crossed = true;
        }
    }
}
