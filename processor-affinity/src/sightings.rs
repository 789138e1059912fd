//! Requests of the last second by their payload: the same one seen to another address was translated on its way.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use wire::Timestamp;

use crate::hash::Hashed;

/// How long after a payload the same one may be its copy behind a balancer.
pub const PAIR: Duration = Duration::from_secs(1);

/// Where a request was seen first.
#[derive(Clone, Copy, Debug)]
pub struct Sighting {
    /// Its sender there.
    pub source: SocketAddr,
    /// Its recipient there.
    pub destination: SocketAddr,
    /// When it was seen first.
    pub at: Timestamp,
    /// When it was seen last, there or elsewhere.
    pub last: Timestamp,
    /// The transaction it began, where its recipient was known for a service.
    pub transaction: Option<u64>,
}

/// The requests of the last second.
#[derive(Default)]
pub struct Sightings {
    seen: HashMap<u64, Sighting, Hashed>,
    /// When each was to be looked at for its age.
    due: VecDeque<(Timestamp, u64)>,
}

impl Sightings {
    /// What is known of a payload; `None` where it was not seen within the last second. Counts as seen now.
    pub fn again(&mut self, payload: u64, now: Timestamp) -> Option<&mut Sighting> {
        let sighting = self.seen.get_mut(&payload).filter(|sighting| now <= sighting.last + PAIR)?;
        sighting.last = now;
        Some(sighting)
    }

    /// A payload was seen for the first time. What is too old at `due` goes; of more than `max` the oldest, too: says whether
    /// one did.
    pub fn first(&mut self, payload: u64, sighting: Sighting, due: Timestamp, max: usize) -> bool {
        self.forget(due);
        let full = self.due.len() >= max;
        if full && let Some((_, oldest)) = self.due.pop_front() {
            self.seen.remove(&oldest);
        }
        self.due.push_back((sighting.at, payload));
        self.seen.insert(payload, sighting);
        full
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some((_, payload)) = self.due.pop_front_if(|(at, _)| *at + PAIR < now) {
            match self.seen.get(&payload) {
                // Seen since: it has another second.
                Some(sighting) if sighting.last + PAIR >= now => self.due.push_back((sighting.last, payload)),
                _ => _ = self.seen.remove(&payload),
            }
        }
    }

    /// How many are held.
    pub fn len(&self) -> usize {
        self.seen.len()
    }
}
