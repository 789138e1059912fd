//! Bindings: which contacts are registered for an address-of-record, and until when (`sip-metrics.md` 4.5; RFC 3261 §10).
//!
//! The one thing that is held across calls: a REGISTER with another Call-ID replaces what an earlier one bound.

use std::time::Duration;

use pipeline::event::{Evicted, Fact};
use pipeline::{Facts, Slot};
use sip::{Contact, uri};
use wire::Timestamp;

use crate::hash::{Hashes, Key};
use crate::idle::{Idle, Linked};
use crate::index::Index;
use crate::list::{Chain, Pool};
use crate::observed::Observed;
use crate::slab::Slab;
use crate::slots::Slots;
use crate::wheel::{Target, Timer, Wheel};

/// All bindings, by address-of-record.
pub struct Bindings {
    places: Slab<Registered>,
    index: Index,
    idle: Idle,
    contacts: Pool<Binding>,
    held: usize,
    max: usize,
    /// Scratch for an address-of-record.
    text: Vec<u8>,
}

/// The contacts bound to one address-of-record.
#[derive(Default)]
struct Registered {
    key: Key,
    contacts: Chain<Binding>,
    count: u32,
    timer: Timer,
    links: Linked,
}

/// One contact.
struct Binding {
    expires: Timestamp,
    slot: Slot,
}

impl Bindings {
    /// None yet, at most `max`.
    pub fn new(max: usize) -> Self {
        Self {
            places: Slab::default(),
            index: Index::default(),
            idle: Idle::default(),
            contacts: Pool::default(),
            held: 0,
            max,
            text: Vec::new(),
        }
    }

    /// Changes the bound.
    pub fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    /// Bindings held.
    pub fn len(&self) -> usize {
        self.held
    }

    /// A 2xx to REGISTER replaces all bindings of the To address-of-record by its Contact list.
    pub fn bind(
        &mut self,
        slot: Slot,
        seen: &Observed<'_>,
        hashes: &Hashes,
        slots: &mut Slots,
        wheel: &mut Wheel,
        out: &mut Facts,
    ) {
        self.text.clear();
        uri::address_of_record(seen.message.to.uri, &mut self.text);
        let key = hashes.address_of_record(&self.text);
        if let Some(old) = self.index.find(key.0, |place| self.places[place].key == key) {
            self.remove(old, slots, wheel, out);
        }
        let default = seen.message.expires().unwrap_or(DEFAULT_EXPIRES);
        let mut contacts = Chain::default();
        let (mut count, mut first) = (0, Timestamp::NEVER);
        for contact in seen.message.contacts() {
            let Contact::Address { expires, .. } = contact else { continue };
            let lifetime = expires.unwrap_or(default);
            if lifetime == 0 {
                continue;
            }
            if count == MAX_CONTACTS {
                out.push(Slot::OTHER, Fact::Evicted(Evicted::Bindings));
                continue;
            }
            let expires = seen.now() + Duration::from_secs(lifetime.into());
            first = first.min(expires);
            contacts.push(&mut self.contacts, Binding { expires, slot: slots.hold(slot) });
            count += 1;
        }
        if count == 0 {
            return;
        }
        while self.held + count as usize > self.max
            && let Some((oldest, _)) = self.idle.longest(&mut self.places, None)
        {
            for _ in 0..self.remove(oldest, slots, wheel, out) {
                out.push(Slot::OTHER, Fact::Evicted(Evicted::Bindings));
            }
        }
        self.held += count as usize;
        out.push(slot, Fact::BindingsChanged(count as i32));
        let place = self.places.alloc();
        self.places[place] =
            Registered { key, contacts, count, timer: Timer::default(), links: Linked::default() };
        wheel.set(&mut self.places[place].timer, first, Target::Bindings(place));
        self.index.insert(key.0, place);
        self.idle.link(&mut self.places, place, seen.now());
    }

    /// What of an address-of-record ran out by `now`.
    pub fn on_due(&mut self, place: u32, now: Timestamp, slots: &mut Slots, wheel: &mut Wheel, out: &mut Facts) {
        self.places[place].timer = Timer::default();
        let mut all = std::mem::take(&mut self.places[place].contacts);
        let mut first = Timestamp::NEVER;
        while let Some(binding) = all.pop(&mut self.contacts) {
            if binding.expires > now {
                first = first.min(binding.expires);
                self.places[place].contacts.push(&mut self.contacts, binding);
                continue;
            }
            out.push(binding.slot, Fact::BindingExpired);
            out.push(binding.slot, Fact::BindingsChanged(-1));
            slots.release(binding.slot);
            self.places[place].count -= 1;
            self.held -= 1;
        }
        if self.places[place].count == 0 {
            self.remove(place, slots, wheel, out);
        } else {
            wheel.set(&mut self.places[place].timer, first, Target::Bindings(place));
        }
    }

    /// Takes all bindings of an address-of-record out. Returns how many there were.
    fn remove(&mut self, place: u32, slots: &mut Slots, wheel: &mut Wheel, out: &mut Facts) -> u32 {
        self.idle.unlink(&mut self.places, place);
        let Registered { key, mut contacts, count, mut timer, .. } = std::mem::take(&mut self.places[place]);
        wheel.cancel(&mut timer);
        self.index.remove(key.0, place);
        while let Some(binding) = contacts.pop(&mut self.contacts) {
            out.push(binding.slot, Fact::BindingsChanged(-1));
            slots.release(binding.slot);
        }
        self.held -= count as usize;
        if self.places.free(place) {
            self.index.shrink();
        }
        count
    }
}

impl crate::idle::Place for Registered {
    fn links(&mut self) -> &mut Linked {
        &mut self.links
    }
}

/// Seconds a binding lives when neither its contact nor the response says (RFC 3261 §10.2.1.1 leaves it to the registrar).
const DEFAULT_EXPIRES: u32 = 3600;
/// Most contacts counted of one address-of-record.
const MAX_CONTACTS: u32 = 256;
