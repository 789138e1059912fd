//! Services and their backends: who is there, who is gone, and what each may take.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use affinity::control::{self, Adoption, Anomalies, Overload, WHOLE, Weights};

use super::Director;
use super::hints::Hinted;
use super::overrides::Overrides;
use crate::config::{Adaptive, Backend, State, inside};

/// A service that is directed.
#[derive(Debug, Default)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) number: u16,
    pub(super) members: Vec<Member>,
    pub(super) weights: Weights,
    pub(super) overload: Overload,
    pub(super) anomalies: Anomalies,
    pub(super) adoption: Adoption,
    pub(super) health: control::Backends,
    /// All that could take new dialogs are down, and so treated as if they were up.
    pub(super) panic: bool,
    /// Enough of its backends say that they are overloaded.
    pub(super) hinted_overload: bool,
}

/// A backend of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Its name within the service.
    pub name: String,
    /// The number that the kernel knows it by.
    pub number: u16,
    /// One for each family at most.
    pub addresses: Vec<SocketAddr>,
    /// As it is configured, or was found.
    pub weight: u32,
    /// As it is configured, or was found.
    pub state: State,
    /// Whether it is on this node, where that was said.
    pub local: Option<bool>,
    /// Since which second neither the configuration nor a file names it.
    pub gone: Option<u64>,
    /// What it says of itself.
    pub(super) hinted: Hinted,
    /// It was told that it is down.
    pub(super) told_down: bool,
}

impl Service {
    /// The rules that ask for overload apply.
    pub(super) fn is_overloaded(&self) -> bool {
        self.overload.is_on() || self.hinted_overload
    }

    /// What a backend takes when nothing is counted, probed or heard: as configured, commanded, hinted.
    pub(super) fn meant(&self, member: &Member, overrides: &Overrides) -> State {
        if member.gone.is_some() {
            return State::Drain;
        }
        match overrides.state(&self.name, &member.name, member.state) {
            State::Up if member.hinted.drains() => State::Drain,
            state => state,
        }
    }

    /// What a backend takes.
    pub(super) fn state(&self, member: &Member, overrides: &Overrides) -> State {
        match self.meant(member, overrides) {
            _ if self.health.is_down(&member.name) && !self.panic => State::Down,
            state => state,
        }
    }

    /// What a backend weighs, in thousandths of what can be written.
    pub(super) fn weight(&self, member: &Member, overrides: &Overrides, adaptive: Adaptive, now: u64) -> u32 {
        let factor = match adaptive {
            Adaptive::On => self.weights.factor(&member.name),
            Adaptive::Report | Adaptive::Off => WHOLE,
        };
        let weight = overrides.weight(&self.name, &member.name, member.weight);
        weight * factor.min(member.hinted.weight(now))
    }

    /// Whether nobody who is meant to take new dialogs does.
    pub(super) fn judge_panic(&mut self, overrides: &Overrides) -> bool {
        let mut meant = self.members.iter().filter(|member| self.meant(member, overrides) == State::Up).peekable();
        meant.peek().is_some() && meant.all(|member| self.health.is_down(&member.name))
    }
}

impl Director {
    /// Brings members in line with what is configured and found. Tells what cannot be used.
    pub(super) fn recruit(&mut self) -> Vec<String> {
        let mut refused = Vec::new();
        self.dismiss_services();
        let mut taken: HashSet<SocketAddr> = HashSet::new();
        for service in &self.settings.services {
            taken.extend(&service.addresses);
            taken.extend(service.backends.iter().flat_map(|backend| &backend.addresses));
        }
        let configured = self.settings.services.clone();
        for service in &configured {
            let Some(number) = self.numbers.service(&service.name) else {
                refused.push(format!(
                    "service {:?} has to wait: dialogs of services that are gone are left",
                    service.name
                ));
                continue;
            };
            let state = self.services.entry(service.name.clone()).or_default();
            (state.name, state.number) = (service.name.clone(), number);
            let mut wanted = service.backends.clone();
            for found in self.found.iter().filter(|found| found.service == service.name) {
                let allowed = &self.settings.allowed_backends;
                let outside = found.backend.addresses.iter().find(|address| !inside(allowed, address.ip()));
                if let Some(address) = outside {
                    let name = &found.backend.name;
                    refused.push(format!(
                        "backend \"{}/{name}\": {address} is in none of `allowed_backends`",
                        service.name
                    ));
                } else if let Err(why) = accept(&found.backend, &wanted, &mut taken) {
                    refused.push(format!("backend \"{}/{}\" {why}", service.name, found.backend.name));
                } else {
                    wanted.push(found.backend.clone());
                }
            }
            self.enlist(&service.name, wanted, &mut refused);
        }
        self.hand_over();
        refused
    }

    /// An address that somebody has now is no longer that of who is gone, and of several who are gone only of the last.
    fn hand_over(&mut self) {
        let mut all: Vec<&Member> = self.services.values().flat_map(|service| &service.members).collect();
        all.sort_by_key(|member| std::cmp::Reverse(member.gone.unwrap_or(u64::MAX)));
        let mut owners: HashMap<SocketAddr, u16> = HashMap::new();
        for member in &all {
            member.addresses.iter().for_each(|address| _ = owners.entry(*address).or_insert(member.number));
        }
        for member in self.services.values_mut().flat_map(|service| &mut service.members) {
            member.addresses.retain(|address| owners[address] == member.number);
        }
    }

    /// Backends of an earlier life of the daemon of whom dialogs may be left.
    pub(super) fn recall(&mut self) {
        let allowed = &self.settings.allowed_backends;
        for (name, service) in &mut self.services {
            for (backend, number, addresses) in self.numbers.backends(name) {
                if !service.members.iter().any(|member| member.name == backend) {
                    service.members.push(Member {
                        name: backend.to_owned(),
                        number,
                        addresses: addresses.iter().copied().filter(|address| inside(allowed, address.ip())).collect(),
                        weight: 0,
                        state: State::Drain,
                        local: None,
                        gone: Some(0),
                        hinted: Hinted::default(),
                        told_down: false,
                    });
                }
            }
        }
        self.hand_over();
    }

    /// Lets go of services that are no longer configured.
    fn dismiss_services(&mut self) {
        let settings = &self.settings;
        self.services.retain(|name, _| settings.services.iter().any(|service| service.name == *name));
    }

    /// Makes these the members of a service. Who is none of them any more is gone, but not yet forgotten.
    fn enlist(&mut self, service: &str, wanted: Vec<Backend>, refused: &mut Vec<String>) {
        let now = self.seconds;
        let state = self.services.get_mut(service).expect("it was put there");
        for member in state.members.iter_mut().filter(|member| !wanted.iter().any(|one| one.name == member.name)) {
            member.gone.get_or_insert(now);
        }
        for backend in wanted {
            let Some(number) = self.numbers.backend(service, &backend.name, &backend.addresses) else {
                refused.push(format!("backend \"{service}/{}\" has to wait: 1024 are known", backend.name));
                continue;
            };
            let Backend { name, addresses, weight, state: said, local } = backend;
            self.overrides.lapse_backend(service, &name, said, weight);
            match state.members.iter_mut().find(|member| member.name == name) {
                Some(member) => {
                    if member.gone.is_some() || member.addresses != addresses {
                        // Another life of that name: what the last one hinted, and how it was, is not its.
                        (member.hinted, member.told_down) = (Hinted::default(), false);
                        state.health.keep(|known| known != name);
                    }
                    (member.addresses, member.weight, member.local) = (addresses, weight, local);
                    (member.state, member.gone) = (said, None);
                }
                None => state.members.push(Member {
                    name,
                    number,
                    addresses,
                    weight,
                    state: said,
                    local,
                    gone: None,
                    hinted: Hinted::default(),
                    told_down: false,
                }),
            }
        }
        state.members.sort_by(|one, other| one.name.cmp(&other.name));
    }

    /// Forgets members that are gone and of whom no dialog is left, or who have been gone for longer than a dialog is
    /// remembered. To be called after the dialogs were counted.
    pub(super) fn forget(&mut self) -> Vec<(String, String)> {
        let (now, idle) = (self.seconds, self.settings.times.dialog_idle.as_secs());
        let mut forgotten = Vec::new();
        for (name, service) in &mut self.services {
            service.members.retain(|member| {
                let Some(since) = member.gone else { return true };
                let left = self.census.dialogs.get(&member.number).copied().unwrap_or(0);
                // The count may be a moment older than the tables that name it no more.
                let over = now - since >= idle || (left == 0 && now - since >= SETTLED);
                if over {
                    forgotten.push((name.clone(), member.name.clone()));
                }
                !over
            });
            let members = &service.members;
            service.health.keep(|backend| members.iter().any(|member| member.name == backend));
        }
        for (service, backend) in &forgotten {
            self.numbers.free_backend(service, backend);
            self.overrides.forget(service, backend);
        }
        self.forget_numbers();
        forgotten
    }

    /// Numbers of services that are gone, once no dialog of their backends is left.
    fn forget_numbers(&mut self) {
        let left = |number: u16| self.census.dialogs.get(&number).is_some_and(|dialogs| *dialogs > 0);
        let gone: Vec<String> = self
            .numbers
            .services()
            .filter(|name| !self.services.contains_key(*name))
            .filter(|name| !self.numbers.backends(name).any(|(_, number, _)| left(number)))
            .map(str::to_owned)
            .collect();
        gone.iter().for_each(|name| self.numbers.free_service(name));
    }
}

/// Seconds after which nothing that was decided before is under way any more.
const SETTLED: u64 = 10;

/// A backend of a file beside those that are there already.
fn accept(backend: &Backend, others: &[Backend], taken: &mut HashSet<SocketAddr>) -> Result<(), &'static str> {
    if others.iter().any(|other| other.name == backend.name) {
        return Err("is named twice: in steer.toml and a discovery file, or in two of these");
    }
    if backend.addresses.iter().any(|address| taken.contains(address)) {
        return Err("has an address that a service or another backend has");
    }
    taken.extend(&backend.addresses);
    Ok(())
}
