//! Tables of what belongs to a Call-ID: entries that are found through the [`Group`] of theirs.
//!
//! A call has few entries of a kind, and a message that asks for one has its group at hand. The group tells of most keys
//! that are new that nothing has them; what is known is a step or two from the latest. An index of all calls' entries would
//! be one more place in memory, each time somewhere else. Only a group with more than [`FEW`] entries of a kind has an
//! index of them, so that nobody can make a walk long.

use crate::entries::{Entries, Handle};
use crate::group::{Group, Groups};
use crate::index::Index;
use crate::key::Key;

/// The entries of one kind in a group: the latest, which names the one before it, and how many those are.
#[derive(Clone, Copy)]
pub struct Members {
    latest: u32,
    /// With [`CROWDED`] where that is so.
    len: u32,
    /// A bit for each key there was since there was none, so that of a new one, which most that are asked for are, it is
    /// known without a walk that it is not there.
    keys: u32,
}

impl Default for Members {
    fn default() -> Self {
        Self { latest: NIL, len: 0, keys: 0 }
    }
}

impl Members {
    /// How many.
    pub fn len(self) -> usize {
        (self.len & !CROWDED) as usize
    }

    /// They are too many to walk along.
    pub fn is_crowded(self) -> bool {
        self.len & CROWDED != 0
    }
}

/// What has a place in a group.
pub trait Member {
    /// Its kind's place there.
    fn members(group: &mut Group) -> &mut Members;
}

/// Entries of one kind, at most `capacity` of them.
pub struct CallTable<T> {
    entries: Entries<Entry<T>>,
    /// Those of crowded groups that are found: of a key one, so that no look is long either.
    crowd: Index,
}

struct Entry<T> {
    key: Key,
    value: T,
    /// Its group's place.
    group: u32,
    earlier: u32,
    later: u32,
    /// A later entry has the same key.
    hidden: bool,
}

impl<T: Member> CallTable<T> {
    /// An empty table; memory is taken as entries come.
    pub fn new(capacity: usize) -> Self {
        Self { entries: Entries::new(capacity), crowd: Index::default() }
    }

    /// Adds an entry under a Call-ID that is found by `key` from now on, also when an older one had the same key: that
    /// one then lives on by its handle alone.
    pub fn insert(&mut self, groups: &mut Groups, call: Key, key: Key, value: T) -> Handle {
        let group = groups.open(call);
        let of_kind = T::members(groups.at_mut(group.index()));
        if let Some(old) = self.find(*of_kind, key)
            && let Some(entry) = self.entries.get_mut(old)
        {
            entry.hidden = true;
            if of_kind.is_crowded() {
                self.crowd.remove(key.hash(), old.index());
            }
        }
        let before = of_kind.latest;
        let entry = Entry { key, value, group: group.index(), earlier: before, later: NIL, hidden: false };
        let handle = self.entries.add(entry);
        self.entries.touch(handle);
        if let Some(before) = self.entries.at_mut(before) {
            before.later = handle.index();
        }
        of_kind.latest = handle.index();
        of_kind.len += 1;
        of_kind.keys |= bit(key);
        if of_kind.is_crowded() {
            self.crowd.insert(key.hash(), handle.index());
        } else if of_kind.len() > FEW {
            of_kind.len |= CROWDED;
            let mut next = of_kind.latest;
            while let Some(entry) = self.entries.at(next) {
                if !entry.hidden {
                    self.crowd.insert(entry.key.hash(), next);
                }
                next = entry.earlier;
            }
        }
        handle
    }

    /// Takes an entry out; with the last of anything in it, its group.
    pub fn remove(&mut self, groups: &mut Groups, handle: Handle) -> Option<T> {
        let (entry, pages_went) = self.entries.remove(handle)?;
        let of_kind = T::members(groups.at_mut(entry.group));
        if of_kind.is_crowded() && !entry.hidden {
            self.crowd.remove(entry.key.hash(), handle.index());
        }
        if pages_went {
            self.crowd.shrink();
        }
        of_kind.len -= 1;
        if of_kind.len() == 0 {
            (of_kind.len, of_kind.keys) = (0, 0);
        }
        match self.entries.at_mut(entry.later) {
            Some(later) => later.earlier = entry.earlier,
            None => of_kind.latest = entry.earlier,
        }
        if let Some(earlier) = self.entries.at_mut(entry.earlier) {
            earlier.later = entry.later;
        }
        groups.close_if_empty(entry.group);
        Some(entry.value)
    }
}

impl<T> CallTable<T> {
    /// Entries held, elsewhere too.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// So many more entries, or fewer, are kept elsewhere from now on.
    pub fn keep_elsewhere(&mut self, more: isize) {
        self.entries.keep_elsewhere(more);
    }

    /// Changes the bound; what is over it leaves as new entries come.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.entries.set_capacity(capacity);
    }

    /// `true` when an entry has to leave before another may come.
    pub fn is_full(&self) -> bool {
        self.entries.is_full()
    }

    /// The entry whose last activity is longest ago.
    pub fn oldest(&mut self) -> Option<Handle> {
        self.entries.oldest()
    }

    /// Asks for the latest of a group to be brought near. Returns its place.
    pub fn fetch_latest(&self, members: Members) -> u32 {
        self.entries.fetch(members.latest);
        members.latest
    }

    /// Asks for the one before that at a place to be brought near. Returns its place.
    pub fn fetch_earlier(&self, place: u32) -> Option<u32> {
        let earlier = self.entries.at(place)?.earlier;
        self.entries.fetch(earlier);
        Some(earlier)
    }

    /// What is at a place.
    pub fn at(&self, place: u32) -> Option<&T> {
        self.entries.at(place).map(|entry| &entry.value)
    }

    /// Those of a group, the latest first.
    pub fn of(&self, members: Members) -> impl Iterator<Item = Handle> + '_ {
        let mut next = members.latest;
        std::iter::from_fn(move || {
            let entry = self.entries.at(next)?;
            let handle = self.entries.handle(next);
            next = entry.earlier;
            Some(handle)
        })
    }

    /// Finds one of a group by its key.
    pub fn find(&self, members: Members, key: Key) -> Option<Handle> {
        if members.keys & bit(key) == 0 {
            return None;
        }
        let is_it = |entry: &Entry<T>| entry.key == key && !entry.hidden;
        if members.is_crowded() {
            let place = self.crowd.find(key.hash(), |place| self.entries.at(place).is_some_and(is_it))?;
            return Some(self.entries.handle(place));
        }
        let mut next = members.latest;
        while let Some(entry) = self.entries.at(next) {
            if is_it(entry) {
                return Some(self.entries.handle(next));
            }
            next = entry.earlier;
        }
        None
    }

    /// The entry, unless it is gone.
    pub fn get(&self, handle: Handle) -> Option<&T> {
        self.entries.get(handle).map(|entry| &entry.value)
    }

    /// The entry, unless it is gone.
    pub fn get_mut(&mut self, handle: Handle) -> Option<&mut T> {
        self.entries.get_mut(handle).map(|entry| &mut entry.value)
    }

    /// The key an entry was added under.
    pub fn key(&self, handle: Handle) -> Option<Key> {
        self.entries.get(handle).map(|entry| entry.key)
    }

    /// The place of an entry's group.
    pub fn group(&self, handle: Handle) -> Option<u32> {
        self.entries.get(handle).map(|entry| entry.group)
    }

    /// Whether an entry is the one that is found by its key.
    pub fn is_found(&self, handle: Handle) -> bool {
        self.entries.get(handle).is_some_and(|entry| !entry.hidden)
    }

    /// Notes activity: the entry is now the last to be evicted.
    pub fn touch(&mut self, handle: Handle) {
        self.entries.touch(handle);
    }

    /// The entry is only remembered: it is the first to make room.
    pub fn retire(&mut self, handle: Handle) {
        self.entries.retire(handle);
    }
}

/// The bit of a key in [`Members`].
fn bit(key: Key) -> u32 {
    1 << (key.hash() % u64::from(u32::BITS))
}

/// No entry.
const NIL: u32 = u32::MAX;
/// Most entries of a kind that are walked along.
const FEW: usize = 8;
/// There were more than [`FEW`] since there was none, and those that are found are in the index.
const CROWDED: u32 = 1 << 31;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::attempt::Attempt;

    /// Any kind will do: an attempt's place is borrowed for numbers.
    struct Number(u64);

    impl Member for Number {
        fn members(group: &mut Group) -> &mut Members {
            Attempt::members(group)
        }
    }

    proptest! {
        #[test]
        fn the_latest_of_a_key_is_found_however_many_there_are(
            steps in prop::collection::vec((any::<bool>(), 0u64..3, 0u64..14), 1..400),
        ) {
            let (mut table, mut groups) = (CallTable::new(1000), Groups::default());
            // Call, key, number, handle; the latest last.
            let mut model: Vec<(u64, u64, u64, Handle)> = Vec::new();
            // Which of a call's key is found; another is only found again once it is the latest added.
            let mut found: std::collections::BTreeMap<(u64, u64), Handle> = Default::default();
            for (number, (adds, call, key)) in steps.into_iter().enumerate() {
                let (number, of) = (number as u64, Key::for_test(call));
                let own = Key::for_test(1000 * (call + 1) + 8 * key);
                if adds {
                    let handle = table.insert(&mut groups, of, own, Number(number));
                    model.push((call, key, number, handle));
                    found.insert((call, key), handle);
                } else if !model.is_empty() {
                    let (call, key, number, handle) = model.swap_remove((key * 31 + call) as usize % model.len());
                    prop_assert_eq!(table.remove(&mut groups, handle).map(|Number(number)| number), Some(number));
                    if found.get(&(call, key)) == Some(&handle) {
                        found.remove(&(call, key));
                    }
                }
                for call in 0..3 {
                    let members = groups.find(Key::for_test(call)).map(|group| *Number::members(groups.at_mut(group.index())));
                    let mut of_call: Vec<u64> = model.iter().filter(|entry| entry.0 == call).map(|entry| entry.2).collect();
                    of_call.sort_unstable();
                    let Some(members) = members else {
                        prop_assert!(of_call.is_empty());
                        continue;
                    };
                    let mut walked: Vec<u64> = table.of(members).filter_map(|handle| table.get(handle)).map(|n| n.0).collect();
                    walked.reverse();
                    prop_assert_eq!(walked, of_call);
                    for key in 0..14 {
                        let own = Key::for_test(1000 * (call + 1) + 8 * key);
                        prop_assert_eq!(table.find(members, own), found.get(&(call, key)).copied());
                    }
                }
                prop_assert_eq!(table.len(), model.len());
                prop_assert!(table.crowd.len() <= found.len());
            }
            for (.., handle) in model {
                table.remove(&mut groups, handle);
            }
            prop_assert_eq!((groups.len(), table.crowd.len()), (0, 0));
        }
    }
}
