//! Services and their backends, listed and learned, and what was counted of each.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use affinity::{Maglev, SLOTS};
use pipeline::affinity::Moved;
use pipeline::labels::{LabelSets, Name};
use wire::Timestamp;

use crate::config::{Listed, Settings};
use crate::hash::{Hashed, Hashes};

/// What stands at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A service, by its number.
    Service(u16),
    /// A backend, by its number.
    Backend(u16),
}

/// A service that balances calls.
#[derive(Debug)]
pub struct Service {
    pub name: Arc<str>,
    pub addresses: Vec<SocketAddr>,
    /// What it is counted by; `None` of one that was learned, which is in no metric.
    pub label: Option<Name>,
    pub learned: bool,
    pub members: Vec<Member>,
    /// When it was last the source of a response.
    pub replied: Option<Timestamp>,
    pub counts: Counts,
    /// Dialogs by the slot of their Call-ID; empty before the first.
    pub slots: Box<[u32]>,
    table: Option<Maglev>,
}

/// A backend as one of a service.
#[derive(Debug)]
pub struct Member {
    /// Its number among all backends.
    pub backend: u16,
    pub name: Arc<str>,
    pub label: Option<Name>,
    /// Dialogs whose first request it took.
    pub dialogs: u64,
}

/// What was counted of a service.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// The first message to it and the last of it, as people see time; `None` before the first.
    pub span: Option<(Timestamp, Timestamp)>,
    pub dialogs: u64,
    pub moved: Moved,
    pub would_move: u64,
    pub off_port: u64,
    pub untranslated: u64,
    pub bypass: u64,
    pub unknown: u64,
}

/// A backend.
#[derive(Debug)]
pub struct Backend {
    pub addresses: Vec<SocketAddr>,
    /// When it was last a source; before it ever was, when it became known.
    pub sent: Timestamp,
    /// It was a source.
    answers: bool,
    /// When it was last sent a request that asks for an answer.
    pub asked: Option<Timestamp>,
}

/// All of them.
pub struct Services {
    pub services: Vec<Service>,
    pub backends: Vec<Backend>,
    places: HashMap<u64, Place, Hashed>,
    hashes: Hashes,
    max_learned: usize,
    max_backends: usize,
    /// Services that were not learned for want of room.
    pub refused_services: u64,
    /// Backends that were not.
    pub refused_backends: u64,
}

impl Services {
    /// Those of a configuration, with the names they are counted by.
    pub fn new(settings: &Settings, labels: &LabelSets, hashes: &Hashes) -> Self {
        let config = &settings.config;
        let (services, backends, places) = Default::default();
        let mut all = Self {
            services,
            backends,
            places,
            hashes: hashes.clone(),
            max_learned: config.max_services,
            max_backends: config.max_backends,
            refused_services: 0,
            refused_backends: 0,
        };
        for Listed { name, addresses, backends } in &settings.services {
            let label = labels.intern_name("service", name);
            let index = all.add(Arc::clone(name), addresses.clone(), label, false);
            for backend in backends {
                // One of several services stands at the same addresses.
                let known = backend.addresses.first().and_then(|address| all.at(*address));
                let number = match known {
                    Some(Place::Backend(number)) => number,
                    _ => all.add_backend(&backend.addresses, Timestamp::ZERO),
                };
                let label = labels.intern_within(("service", name), "backend", &backend.name);
                let member = Member { backend: number, name: Arc::clone(&backend.name), label, dialogs: 0 };
                all.services[usize::from(index)].members.push(member);
            }
        }
        all
    }

    /// What stands at an address.
    #[inline]
    pub fn at(&self, address: SocketAddr) -> Option<Place> {
        if self.places.is_empty() {
            return None;
        }
        self.places.get(&self.hashes.address(address)).copied()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    /// The same request was seen to `to`, then to `behind`: the service and the place of its backend, learned if need be and
    /// allowed; `None` where they are none.
    pub fn translated(
        &mut self,
        to: SocketAddr,
        behind: SocketAddr,
        learn: bool,
        now: Timestamp,
    ) -> Option<(u16, u16)> {
        let backend = match self.at(behind) {
            Some(Place::Service(_)) => return None,
            Some(Place::Backend(backend)) => Some(backend),
            None => None,
        };
        match self.at(to) {
            Some(Place::Backend(_)) => None,
            Some(Place::Service(service)) => {
                let of = &self.services[usize::from(service)];
                if let Some(member) = backend.and_then(|backend| of.member(backend)) {
                    return Some((service, member));
                }
                // A listed service takes listed ones only.
                let learned = of.learned && learn;
                learned.then(|| self.join(service, backend, behind, now)).flatten().map(|member| (service, member))
            }
            None if !learn => None,
            None if self.services.iter().filter(|service| service.learned).count() >= self.max_learned => {
                self.refused_services += 1;
                None
            }
            None if backend.is_none() && self.backends.len() >= self.max_backends => {
                self.refused_backends += 1;
                None
            }
            None => {
                let service = self.add(to.to_string().into(), vec![to], None, true);
                self.join(service, backend, behind, now).map(|member| (service, member))
            }
        }
    }

    /// Learns a backend of a service; `None` where there is no room.
    fn join(&mut self, service: u16, known: Option<u16>, address: SocketAddr, now: Timestamp) -> Option<u16> {
        if known.is_none() && self.backends.len() >= self.max_backends {
            self.refused_backends += 1;
            return None;
        }
        let backend = known.unwrap_or_else(|| self.add_backend(&[address], now));
        let service = &mut self.services[usize::from(service)];
        service.table = None;
        service.members.push(Member { backend, name: address.to_string().into(), label: None, dialogs: 0 });
        // There are no more members than backends.
        Some((service.members.len() - 1) as u16)
    }

    fn add(&mut self, name: Arc<str>, addresses: Vec<SocketAddr>, label: Option<Name>, learned: bool) -> u16 {
        // 64 are listed at most and 64 learned.
        let number = self.services.len() as u16;
        for address in &addresses {
            self.places.insert(self.hashes.address(*address), Place::Service(number));
        }
        let (members, replied, counts, slots, table) = Default::default();
        self.services.push(Service { name, addresses, label, learned, members, replied, counts, slots, table });
        number
    }

    fn add_backend(&mut self, addresses: &[SocketAddr], now: Timestamp) -> u16 {
        // Bounded by `max_backends`.
        let number = self.backends.len() as u16;
        for address in addresses {
            self.places.insert(self.hashes.address(*address), Place::Backend(number));
        }
        self.backends.push(Backend { addresses: addresses.to_vec(), sent: now, answers: false, asked: None });
        number
    }

    /// Whether at least two backends of a service answered anything within the last `window`.
    pub fn is_spread(&self, service: u16, window: Duration, now: Timestamp) -> bool {
        let members = self.services[usize::from(service)].members.iter();
        let answers = |member: &&Member| {
            let backend = &self.backends[usize::from(member.backend)];
            backend.answers && backend.sent + window >= now
        };
        members.filter(answers).take(2).count() == 2
    }
}

impl Service {
    /// The place of a backend.
    pub fn member(&self, backend: u16) -> Option<u16> {
        self.members.iter().position(|member| member.backend == backend).map(|place| place as u16)
    }

    /// A dialog began: counts the slot of its Call-ID.
    pub fn spread(&mut self, slot: u16) {
        if self.slots.is_empty() {
            self.slots = vec![0; usize::from(SLOTS)].into();
        }
        self.slots[usize::from(slot)] += 1;
    }

    /// Who would take which slot.
    pub fn table(&mut self, backends: &[Backend]) -> &Maglev {
        let Self { table, members, .. } = self;
        table.get_or_insert_with(|| {
            let first =
                |member: &Member| backends[usize::from(member.backend)].addresses.first().map(SocketAddr::to_string);
            let names: Vec<String> = members.iter().map(|member| first(member).unwrap_or_default()).collect();
            Maglev::new(&names)
        })
    }

    /// A message to it or of it was seen at `at`, as people see time.
    pub fn seen(&mut self, at: Timestamp) {
        let (from, until) = self.counts.span.unwrap_or((at, at));
        self.counts.span = Some((from.min(at), until.max(at)));
    }
}

impl Backend {
    /// It sent something.
    pub fn on_sent(&mut self, now: Timestamp) {
        self.answers = true;
        self.sent = self.sent.max(now);
    }

    /// It was sent something that asks for an answer, and sent nothing for `SILENT`.
    pub fn is_gone(&self, now: Timestamp) -> bool {
        now >= self.sent + SILENT && self.asked.is_some_and(|asked| asked > self.sent)
    }
}

/// So long a backend says nothing that is gone.
const SILENT: Duration = Duration::from_secs(10);
