//! Where calls are held: records in pages, an index by Call-ID, and who has been idle longest.

use wire::Timestamp;

use crate::call::{Call, Rank};
use crate::hash::Key;
use crate::idle::Idle;
use crate::index::Index;
use crate::slab::Slab;
use pipeline::prefetch::prefetch;

/// All calls, by Call-ID.
#[derive(Default)]
pub struct Calls {
    places: Slab<Call>,
    index: Index,
    /// By [`Rank`].
    idle: [Idle; 4],
}

impl Calls {
    /// Calls held.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// The call at a place.
    pub fn get(&self, place: u32) -> &Call {
        &self.places[place]
    }

    /// The call at a place, to change it.
    pub fn get_mut(&mut self, place: u32) -> &mut Call {
        &mut self.places[place]
    }

    /// The place of the call with a key, a new one where there was none; `near`: where it was a moment ago. It is active at
    /// `now`.
    pub fn find_or_open(&mut self, key: Key, near: Option<u32>, now: Timestamp) -> u32 {
        let is_it = |place: &u32| self.places.get(*place).is_some_and(|call| call.key == key && call.rank.is_some());
        if let Some(place) = near.filter(is_it).or_else(|| self.find(key)) {
            self.places[place].links.touch(now);
            return place;
        }
        let place = self.places.alloc();
        self.places[place] = Call { key, ..Call::default() };
        self.places[place].links.touch(now);
        self.index.insert(key.0, place);
        place
    }

    /// The place of the call with a key.
    pub fn find(&self, key: Key) -> Option<u32> {
        self.index.find(key.0, |place| self.places[place].key == key)
    }

    /// What the calls are found by of which something may still be decided.
    pub fn unsettled(&self) -> Vec<Key> {
        let calls = self.places.taken().map(|place| &self.places[place]);
        calls.filter(|call| call.rank != Some(Rank::Over) || !call.waiting.is_empty()).map(|call| call.key).collect()
    }

    /// Prefetches what the call with a key is found by.
    pub fn prefetch_index(&self, key: Key) {
        self.index.prefetch(key.0);
    }

    /// Prefetches what may be the call with a key. Returns where that is.
    pub fn prefetch(&self, key: Key) -> Option<u32> {
        let place = self.index.find(key.0, |_| true)?;
        prefetch(self.places.get(place)?);
        Some(place)
    }

    /// Gives a call its rank.
    pub fn set_rank(&mut self, place: u32, rank: Rank) {
        let before = self.places[place].rank;
        if before != Some(rank) {
            if let Some(before) = before {
                self.idle[before as usize].unlink(&mut self.places, place);
            }
            self.places[place].rank = Some(rank);
            self.idle[rank as usize].link(&mut self.places, place);
        }
    }

    /// The call that has been idle longest, to the second, of the first group of ranks that has any; `but` only where
    /// nobody saw it begin.
    pub fn longest_idle(&mut self, groups: &[&[Rank]], but: u32) -> Option<u32> {
        groups.iter().find_map(|group| {
            let mut found: Option<(u32, u32)> = None;
            for rank in *group {
                let but = (*rank != Rank::Unobserved).then_some(but);
                if let Some(longest) = self.idle[*rank as usize].longest(&mut self.places, but)
                    && found.is_none_or(|(_, since)| longest.1 < since)
                {
                    found = Some(longest);
                }
            }
            found.map(|(place, _)| place)
        })
    }

    /// Forgets a call.
    pub fn close(&mut self, place: u32) {
        let Call { key, rank, .. } = self.places[place];
        if let Some(rank) = rank {
            self.idle[rank as usize].unlink(&mut self.places, place);
        }
        self.index.remove(key.0, place);
        self.places[place] = Call::default();
        if self.places.free(place) {
            self.index.shrink();
        }
    }
}
