//! Registration attempts and bindings (`sip-metrics.md` 4.5; RFC 6076 §4.1, §4.2; RFC 3261 §10).

use std::time::Duration;

use pipeline::event::{Evicted, Fact, RegistrationOutcome};
use pipeline::{Facts, Measure, Slot};
use sip::{Contact, uri};
use wire::Timestamp;

use crate::chain::{Chain, Node};
use crate::entries::Handle;
use crate::state::{Seen, State};
use crate::wheel::{Target, Timer};

/// A REGISTER, or several joined by challenges.
pub struct Registration {
    /// Whose labels it has: those of its first REGISTER.
    pub slot: Slot,
    /// First byte of the first REGISTER; of the one before a redirect where there was one.
    pub t0: Timestamp,
    /// CSeq number of its latest REGISTER.
    pub cseq: u32,
    /// How far it went.
    pub phase: Phase,
    /// Logical requests that belong to it and are remembered.
    pub requests: u32,
    /// Of a challenge or redirect.
    pub timer: Timer,
}

/// How far a registration attempt went.
#[derive(Clone, Copy)]
pub enum Phase {
    /// Undecided.
    Open,
    /// Challenged: a retry may join.
    Challenged {
        /// When.
        at: Timestamp,
    },
    /// Redirected: a new attempt may inherit its start.
    Redirected {
        /// When.
        at: Timestamp,
    },
    /// Any other end.
    Ended,
}

/// The contacts bound to one address-of-record.
pub struct Bindings {
    /// Expiry in nanoseconds of each, and whose labels it has.
    contacts: Chain,
    count: usize,
    timer: Timer,
}

impl State {
    /// The first sighting of a REGISTER.
    pub(crate) fn on_register(&mut self, request: Handle, seen: &Seen<'_>, out: &mut Facts) {
        let key = self.keys.registration(seen.call);
        let (now, cseq) = (seen.now(), seen.message.cseq.number);
        let window = self.config.retry_window;
        let mut t0 = seen.frame.first;
        if let Some(handle) = self.registrations.find(self.under(seen.call, |group| group.registrations), key)
            && let Some(before) = self.registrations.get_mut(handle)
            && cseq > before.cseq
        {
            match before.phase {
                Phase::Challenged { at } if now - at < window => {
                    before.phase = Phase::Open;
                    before.cseq = cseq;
                    before.requests += 1;
                    self.wheel.cancel(&mut before.timer);
                    self.registrations.touch(handle);
                    return self.set_registration(request, handle);
                }
                Phase::Redirected { at } if now - at < window => t0 = before.t0,
                _ => {}
            }
        }
        while self.registrations.is_full() {
            let Some(oldest) = self.registrations.oldest() else { break };
            let over = |registration: &Registration| matches!(registration.phase, Phase::Ended);
            if !self.registrations.get(oldest).is_some_and(over) {
                out.push(Slot::OTHER, Fact::Evicted(Evicted::Attempts));
            }
            self.drop_registration(oldest);
        }
        let slot = self.slots.hold(self.slot_of(request));
        out.push(slot, Fact::RegistrationOpened);
        let registration = Registration { slot, t0, cseq, phase: Phase::Open, requests: 1, timer: Timer::default() };
        let handle = self.registrations.insert(&mut self.groups, seen.call, key, registration);
        self.set_registration(request, handle);
    }

    fn set_registration(&mut self, request: Handle, registration: Handle) {
        if let Some(lr) = self.requests.get_mut(request) {
            lr.registration = registration;
        }
    }

    /// The final of a REGISTER.
    pub(crate) fn on_register_final(&mut self, request: Handle, status: u16, seen: &Seen<'_>, out: &mut Facts) {
        let now = seen.now();
        let Some(lr) = self.requests.get(request) else { return };
        let (slot, t1, handle, counted, record) = (lr.slot, lr.t1, lr.registration, lr.counted, lr.record);
        if counted && status == 200 {
            self.calls.measured(record, slot, Measure::Registration, now - t1, out);
        }
        if counted && (300..400).contains(&status) {
            self.calls.measured(record, slot, Measure::RegistrationRedirect, now - t1, out);
        }
        if status < 300 {
            self.bind(slot, seen, out);
        }
        let until = now + self.config.retry_window;
        let Some(registration) = self.registrations.get_mut(handle) else { return };
        let outcome = match status {
            200..300 => {
                let delay = now - registration.t0;
                self.calls.measured(record, registration.slot, Measure::RegistrationStrict, delay, out);
                RegistrationOutcome::Success
            }
            300..400 => {
                registration.phase = Phase::Redirected { at: now };
                self.wheel.set(&mut registration.timer, until, Target::Registration(handle));
                out.push(registration.slot, Fact::RegistrationEnded(RegistrationOutcome::Redirected));
                return;
            }
            401 | 407 | 423 => {
                registration.phase = Phase::Challenged { at: now };
                return self.wheel.set(&mut registration.timer, until, Target::Registration(handle));
            }
            402 => RegistrationOutcome::AuthAbandoned,
            400.. | ..200 => RegistrationOutcome::Failure,
        };
        registration.phase = Phase::Ended;
        out.push(registration.slot, Fact::RegistrationEnded(outcome));
        self.registrations.retire(handle);
    }

    /// A REGISTER got no final.
    pub(crate) fn on_register_timeout(&mut self, request: Handle, out: &mut Facts) {
        let Some(handle) = self.requests.get(request).map(|lr| lr.registration) else { return };
        if let Some(registration) = self.registrations.get_mut(handle) {
            registration.phase = Phase::Ended;
            out.push(registration.slot, Fact::RegistrationEnded(RegistrationOutcome::Timeout));
            self.registrations.retire(handle);
        }
    }

    /// A challenge was not answered, or nobody can inherit from a redirect any more.
    pub(crate) fn on_registration_timer(&mut self, handle: Handle, out: &mut Facts) {
        let Some(registration) = self.registrations.get_mut(handle) else { return };
        registration.timer = Timer::default();
        if let Phase::Challenged { .. } = std::mem::replace(&mut registration.phase, Phase::Ended) {
            out.push(registration.slot, Fact::RegistrationEnded(RegistrationOutcome::AuthAbandoned));
        }
        self.drop_registration_if_done(handle);
    }

    /// A logical request of it left memory.
    pub(crate) fn release_registration(&mut self, handle: Handle) {
        if let Some(registration) = self.registrations.get_mut(handle) {
            registration.requests -= 1;
            self.drop_registration_if_done(handle);
        }
    }

    fn drop_registration_if_done(&mut self, handle: Handle) {
        let done = |registration: &Registration| {
            registration.requests == 0 && matches!(registration.phase, Phase::Open | Phase::Ended)
        };
        if self.registrations.get(handle).is_some_and(done) {
            self.drop_registration(handle);
        }
    }

    fn drop_registration(&mut self, handle: Handle) {
        if let Some(mut registration) = self.registrations.remove(&mut self.groups, handle) {
            self.wheel.cancel(&mut registration.timer);
            self.slots.release(registration.slot);
        }
    }

    /// A 2xx replaces all bindings of the To address-of-record by its Contact list.
    fn bind(&mut self, slot: Slot, seen: &Seen<'_>, out: &mut Facts) {
        self.text.clear();
        uri::address_of_record(seen.message.to.uri, &mut self.text);
        let key = self.keys.address_of_record(&self.text);
        if let Some(old) = self.bindings.find(key) {
            self.drop_bindings(old, out);
        }
        let default = seen.message.expires().unwrap_or(DEFAULT_EXPIRES);
        let mut contacts = Chain::default();
        let mut count = 0;
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
            let expiry = seen.now() + Duration::from_secs(lifetime.into());
            self.slots.hold(slot);
            self.pool.push(&mut contacts, Node { value: expiry.as_nanos(), of: slot.0 });
            count += 1;
        }
        if count == 0 {
            return;
        }
        while self.bindings_held + count > self.config.max_calls || self.bindings.is_full() {
            let Some(oldest) = self.bindings.oldest() else { break };
            let evicted = self.drop_bindings(oldest, out);
            for _ in 0..evicted {
                out.push(Slot::OTHER, Fact::Evicted(Evicted::Bindings));
            }
        }
        self.bindings_held += count;
        out.push(slot, Fact::BindingsChanged(count as i32));
        let handle = self.bindings.insert(key, Bindings { contacts, count, timer: Timer::default() });
        self.arm_bindings(handle);
    }

    fn arm_bindings(&mut self, handle: Handle) {
        let Some(bindings) = self.bindings.get_mut(handle) else { return };
        if let Some(first) = self.pool.iter(bindings.contacts).map(|node| node.value).min() {
            self.wheel.set(&mut bindings.timer, Timestamp::from_nanos(first), Target::Bindings(handle));
        }
    }

    /// A binding ran out.
    pub(crate) fn on_bindings_timer(&mut self, handle: Handle, now: Timestamp, out: &mut Facts) {
        let Some(bindings) = self.bindings.get_mut(handle) else { return };
        bindings.timer = Timer::default();
        let mut all = std::mem::take(&mut bindings.contacts);
        let mut kept = Chain::default();
        while let Some(node) = self.pool.pop(&mut all) {
            if node.value > now.as_nanos() {
                self.pool.push(&mut kept, node);
                continue;
            }
            let slot = Slot(node.of);
            out.push(slot, Fact::BindingExpired);
            out.push(slot, Fact::BindingsChanged(-1));
            self.slots.release(slot);
            bindings.count -= 1;
            self.bindings_held -= 1;
        }
        bindings.contacts = kept;
        if bindings.count == 0 {
            self.bindings.remove(handle);
        } else {
            self.arm_bindings(handle);
        }
    }

    /// Takes all bindings of an address-of-record out. Returns how many there were.
    fn drop_bindings(&mut self, handle: Handle, out: &mut Facts) -> usize {
        let Some(mut bindings) = self.bindings.remove(handle) else { return 0 };
        self.wheel.cancel(&mut bindings.timer);
        while let Some(node) = self.pool.pop(&mut bindings.contacts) {
            out.push(Slot(node.of), Fact::BindingsChanged(-1));
            self.slots.release(Slot(node.of));
        }
        self.bindings_held -= bindings.count;
        bindings.count
    }
}

/// Seconds a binding lives when neither its contact nor the response says (RFC 3261 §10.2.1.1 leaves it to the registrar).
const DEFAULT_EXPIRES: u32 = 3600;
/// Most contacts counted of one address-of-record.
const MAX_CONTACTS: usize = 256;
