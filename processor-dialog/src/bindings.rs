//! Bindings: which contacts are registered for an address-of-record, and until when (`sip-metrics.md` 4.5; RFC 3261 §10).
//!
//! The one thing that is held across calls: a REGISTER with another Call-ID may refresh what an earlier one bound.

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
    /// Scratch for contacts and their seconds.
    named: Vec<(u64, u32)>,
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
    /// Which contact it is.
    contact: u64,
    /// Under which Call-ID it was registered last.
    call: Key,
    expires: Timestamp,
    slot: Slot,
}

/// What a REGISTER asked for.
#[derive(Debug, Default)]
pub struct Asked {
    /// The contacts it named: nearly always one.
    first: Option<u64>,
    others: Vec<u64>,
    /// `Contact: *`: all that are bound.
    all: bool,
}

impl Asked {
    /// What a REGISTER asks for.
    pub fn new(seen: &Observed<'_>, hashes: &Hashes) -> Self {
        let mut asked = Self::default();
        for contact in seen.message.contacts().take(MAX_CONTACTS as usize) {
            match contact {
                Contact::Star => asked.all = true,
                Contact::Address { uri, .. } if asked.first.is_none() => asked.first = Some(hashes.contact(uri)),
                Contact::Address { uri, .. } => asked.others.push(hashes.contact(uri)),
            }
        }
        asked
    }

    /// Whether it asked for a contact to be bound, or no longer.
    fn names(&self, contact: u64) -> bool {
        self.all || self.first == Some(contact) || self.others.contains(&contact)
    }
}

/// What the bindings share with the calls.
pub struct Shared<'a> {
    pub hashes: &'a Hashes,
    pub slots: &'a mut Slots,
    pub wheel: &'a mut Wheel,
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
            named: Vec::new(),
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

    /// A 2xx to REGISTER sets the bindings that its Contact list names. Of the others those go that the same Call-ID
    /// registered, or that the request named; some registrars list only the contact asked for.
    pub fn bind(&mut self, slot: Slot, seen: &Observed<'_>, asked: &Asked, shared: Shared<'_>, out: &mut Facts) {
        let Shared { hashes, slots, wheel } = shared;
        self.text.clear();
        uri::address_of_record(seen.message.to.uri, &mut self.text);
        let key = hashes.address_of_record(&self.text);
        let place = self.index.find(key.0, |place| self.places[place].key == key);
        let mut before = match place {
            Some(place) => std::mem::take(&mut self.places[place].contacts),
            None => Chain::default(),
        };
        self.note_named(seen, hashes, out);
        let named = std::mem::take(&mut self.named);
        let mut after = Chain::default();
        let (mut count, mut was, mut first) = (0, 0, Timestamp::NEVER);
        while let Some(binding) = before.pop(&mut self.contacts) {
            was += 1;
            let is_named = named.iter().any(|(contact, _)| *contact == binding.contact);
            let goes = binding.call == seen.call || asked.names(binding.contact);
            if is_named || goes {
                out.push(binding.slot, Fact::BindingsChanged(-1));
                slots.release(binding.slot);
                continue;
            }
            first = first.min(binding.expires);
            count += 1;
            after.push(&mut self.contacts, binding);
        }
        let mut new = 0;
        for &(contact, lifetime) in named.iter().filter(|(_, lifetime)| *lifetime > 0) {
            if count == MAX_CONTACTS {
                out.push(Slot::OTHER, Fact::Evicted(Evicted::Bindings));
                continue;
            }
            let expires = seen.now() + Duration::from_secs(lifetime.into());
            first = first.min(expires);
            after.push(&mut self.contacts, Binding { contact, call: seen.call, expires, slot: slots.hold(slot) });
            (count, new) = (count + 1, new + 1);
        }
        self.named = named;
        if new > 0 {
            out.push(slot, Fact::BindingsChanged(new));
        }
        self.held += count as usize;
        self.held -= was;
        let place = match place {
            Some(place) => place,
            None if count == 0 => return,
            None => self.open(key, seen.now()),
        };
        let registered = &mut self.places[place];
        (registered.contacts, registered.count) = (after, count);
        registered.links.touch(seen.now());
        if count == 0 {
            self.remove(place, slots, wheel, out);
            return;
        }
        wheel.set(&mut registered.timer, first, Target::Bindings(place));
        while self.held > self.max
            && let Some((oldest, _)) = self.idle.longest(&mut self.places, Some(place))
        {
            for _ in 0..self.remove(oldest, slots, wheel, out) {
                out.push(Slot::OTHER, Fact::Evicted(Evicted::Bindings));
            }
        }
    }

    /// Notes the contacts a response names, each once, and the seconds it gives them.
    fn note_named(&mut self, seen: &Observed<'_>, hashes: &Hashes, out: &mut Facts) {
        let default = seen.message.expires().unwrap_or(DEFAULT_EXPIRES);
        self.named.clear();
        for contact in seen.message.contacts() {
            let Contact::Address { uri, expires } = contact else { continue };
            let (contact, lifetime) = (hashes.contact(uri), expires.unwrap_or(default));
            match self.named.iter().position(|(known, _)| *known == contact) {
                Some(at) => self.named[at].1 = lifetime,
                None if self.named.len() == MAX_CONTACTS as usize => {
                    out.push(Slot::OTHER, Fact::Evicted(Evicted::Bindings));
                }
                None => self.named.push((contact, lifetime)),
            }
        }
    }

    fn open(&mut self, key: Key, now: Timestamp) -> u32 {
        let place = self.places.alloc();
        self.places[place] = Registered { key, ..Registered::default() };
        self.index.insert(key.0, place);
        self.places[place].links.touch(now);
        self.idle.link(&mut self.places, place);
        place
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
