//! Places: addresses with a port that take part in media, by whom they are advertised, and what came to them.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use pipeline::call::Side;
use pipeline::media::{Address, MediaPorts};
use wire::Timestamp;

use crate::slab::Slab;

/// An address that takes part in media.
pub struct Place {
    pub address: Address,
    /// Packets of streams that came there, modulo 2^32.
    pub packets: u32,
    /// When the last one came; zero before the first.
    pub last: Timestamp,
    /// Who says that they receive there, in the order they said so.
    pub adverts: Vec<Advert>,
    /// Streams that begin or end there.
    pub streams: u32,
}

const _: () = assert!(size_of::<Place>() <= 64);

/// A party that receives at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advert {
    pub session: u32,
    pub side: Side,
}

/// All places, by address.
pub struct Places {
    slab: Slab<Place>,
    index: HashMap<Address, u32, RandomState>,
    max: usize,
    /// How often a place came or went.
    changes: u32,
    /// Where media may go: what a filter in the kernel looks in.
    ports: Option<Arc<MediaPorts>>,
}

impl Places {
    /// None yet, at most so many.
    pub fn new(max: usize, ports: Option<Arc<MediaPorts>>) -> Self {
        Self { slab: Slab::default(), index: HashMap::default(), max, changes: 0, ports }
    }

    /// Has media between all even ports above 1023 kept, or no more.
    pub fn open(&self, wanted: bool) {
        if let Some(ports) = &self.ports {
            ports.open(wanted);
        }
    }

    /// Places held.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// The place of an address.
    #[inline]
    pub fn find(&self, address: &Address) -> Option<u32> {
        self.index.get(address).copied()
    }

    /// A number that differs once a place has come or gone.
    pub fn changes(&self) -> u32 {
        self.changes
    }

    /// Loads a place ahead of its use.
    pub fn prefetch(&self, index: u32) {
        self.slab.prefetch(index);
    }

    /// The place at an index.
    #[inline]
    pub fn get(&self, index: u32) -> Option<&Place> {
        self.slab.get(index)
    }

    /// The place at an index, to change it.
    #[inline]
    pub fn get_mut(&mut self, index: u32) -> Option<&mut Place> {
        self.slab.get_mut(index)
    }

    /// The place of an address, a new one where there was none; `None` when there is no room.
    pub fn find_or_add(&mut self, address: Address) -> Option<u32> {
        if let Some(index) = self.find(&address) {
            return Some(index);
        }
        if self.slab.len() >= self.max {
            return None;
        }
        let place = Place { address, packets: 0, last: Timestamp::ZERO, adverts: Vec::new(), streams: 0 };
        let index = self.slab.insert(place);
        self.index.insert(address, index);
        self.changes = self.changes.wrapping_add(1);
        Some(index)
    }

    /// A party receives there.
    pub fn advertise(&mut self, index: u32, advert: Advert) {
        let Some(place) = self.slab.get_mut(index) else { return };
        if place.adverts.contains(&advert) {
            return;
        }
        place.adverts.push(advert);
        if place.adverts.len() == 1
            && let Some(ports) = &self.ports
        {
            ports.put(&place.address);
            ports.put(&place.address.with_port(place.address.port | 1));
        }
    }

    /// A party does not receive there any more.
    pub fn withdraw(&mut self, index: u32, advert: Advert) {
        let Some(place) = self.slab.get_mut(index) else { return };
        let before = place.adverts.len();
        place.adverts.retain(|other| *other != advert);
        if place.adverts.is_empty()
            && before > 0
            && let Some(ports) = &self.ports
        {
            ports.take(&place.address);
            ports.take(&place.address.with_port(place.address.port | 1));
        }
        self.drop_if_idle(index);
    }

    /// A stream begins or ends there.
    pub fn hold(&mut self, index: u32) {
        if let Some(place) = self.slab.get_mut(index) {
            place.streams += 1;
        }
    }

    /// It does not any more.
    pub fn release(&mut self, index: u32) {
        if let Some(place) = self.slab.get_mut(index) {
            place.streams -= 1;
            self.drop_if_idle(index);
        }
    }

    /// Forgets a place that nobody needs.
    pub fn drop_if_idle(&mut self, index: u32) {
        if let Some(place) = self.slab.get(index).filter(|place| place.streams == 0 && place.adverts.is_empty()) {
            self.index.remove(&place.address);
            self.changes = self.changes.wrapping_add(1);
            self.slab.remove(index);
        }
    }
}
