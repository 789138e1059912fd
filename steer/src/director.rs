//! The director: what was configured, found, commanded, hinted, probed and counted, made into tables.
//!
//! It knows no file, socket or clock: it is told, once a second among other things, and asked for [`Tables`]. Backends keep
//! their number for as long as any dialog of theirs may be left; one that vanished takes no new dialogs until then.

mod commands;
mod hints;
mod members;
mod notices;
mod numbers;
mod overrides;
mod second;
mod view;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use affinity::Key;
use affinity::policy::{self, Compiler};
use affinity::steer::{self, Counters, Device, Hop, Tables};

use crate::config::{Mode, Path, Settings, State};
use crate::discovery::Found;
use crate::kernel::Census;

pub use commands::{Refusal, Switched};
pub use hints::{Hint, HintResult, HintState};
pub use members::Member;
pub use notices::Notice;
pub use numbers::Numbers;
pub use overrides::Overrides;
pub use second::Tally;
pub use view::{BackendView, Quality, ServiceView, View};

use members::Service;

/// What directs the programs in the kernel.
#[derive(Debug)]
pub struct Director {
    settings: Settings,
    key: Key,
    /// In force.
    mode: Mode,
    /// Mode active was asked for, and waits until enough dialogs are known.
    waiting: bool,
    numbers: Numbers,
    overrides: Overrides,
    compiler: Compiler,
    services: BTreeMap<String, Service>,
    found: Vec<Found>,
    devices: BTreeMap<u32, Device>,
    /// Whether addresses of backends are on this node, where the routes tell.
    places: HashMap<IpAddr, bool>,
    /// How packets get to addresses of backends past the stack.
    hops: HashMap<IpAddr, Hop>,
    /// The node drops nothing of what it forwards, as far as is known.
    unpoliced: bool,
    /// Seconds that were told.
    seconds: u64,
    counters: Counters,
    census: Census,
    tally: Tally,
    flows: second::Flows,
}

impl Director {
    /// What a node begins with. Numbers and overrides are those of before, where there was a before.
    pub fn new(settings: Settings, key: Key, numbers: Numbers, overrides: Overrides) -> Self {
        let mut director = Self {
            mode: settings.mode,
            settings,
            key,
            waiting: false,
            numbers,
            overrides,
            compiler: Compiler::default(),
            services: BTreeMap::new(),
            found: Vec::new(),
            devices: BTreeMap::new(),
            places: HashMap::new(),
            hops: HashMap::new(),
            unpoliced: false,
            seconds: 0,
            counters: Counters::default(),
            census: Census::default(),
            tally: Tally::default(),
            flows: second::Flows::default(),
        };
        director.mode = director.overrides.mode(director.settings.mode);
        director.recruit();
        director.recall();
        director
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The key of the hash of Call-IDs.
    pub fn key(&self) -> Key {
        self.key
    }

    /// The mode in force.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Numbers and overrides, to be kept for the next start.
    pub fn kept(&self) -> (&Numbers, &Overrides) {
        (&self.numbers, &self.overrides)
    }

    /// Takes other settings. What holds maps and sockets stays as it was until the next start.
    pub fn reload(&mut self, settings: Settings) {
        self.settings = settings;
        self.overrides.lapse_mode(self.settings.mode);
        let mode = self.overrides.mode(self.settings.mode);
        if mode != self.mode {
            (self.mode, self.waiting) = (mode, false);
        }
        self.recruit();
    }

    /// Takes what all discovery files together say. Tells what cannot be used.
    pub fn discovered(&mut self, found: Vec<Found>) -> Vec<String> {
        self.found = found;
        self.recruit()
    }

    /// Takes which devices have the programs, and who sends through them. Whether that is another thing than before.
    pub fn devices(&mut self, devices: BTreeMap<u32, Device>) -> bool {
        let changed = self.devices != devices;
        self.devices = devices;
        changed
    }

    /// Addresses of backends of which only a route tells whether they are on this node.
    pub fn unplaced(&self) -> impl Iterator<Item = IpAddr> {
        let members = self.services.values().flat_map(|service| &service.members);
        members.filter(|member| member.local.is_none()).flat_map(|member| &member.addresses).map(|address| address.ip())
    }

    /// Takes what the routes tell.
    pub fn placed(&mut self, places: HashMap<IpAddr, bool>) {
        self.places = places;
    }

    /// Addresses of all backends.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let members = self.services.values().flat_map(|service| &service.members);
        members.flat_map(|member| &member.addresses).map(|address| address.ip()).collect()
    }

    /// Takes how packets get to addresses of backends past the stack.
    pub fn hops(&mut self, hops: HashMap<IpAddr, Hop>) {
        self.hops = hops;
    }

    /// Takes whether the node drops nothing of what it forwards. Until that is said it may.
    pub fn unpoliced(&mut self, unpoliced: bool) {
        self.unpoliced = unpoliced;
    }

    /// The path in force: `direct` turns to `stack` where the node has policies that it would go past.
    pub fn path(&self) -> Path {
        let may = self.unpoliced || self.settings.allow_policy_bypass;
        if may { self.settings.path } else { Path::Stack }
    }

    /// What the programs are to obey from now on.
    pub fn tables(&mut self) -> Tables {
        let services: Vec<policy::Service> = self
            .settings
            .services
            .iter()
            .filter_map(|configured| {
                let service = self.services.get(&configured.name)?;
                Some(policy::Service {
                    number: service.number,
                    addresses: configured.addresses.clone(),
                    affinity: configured.affinity,
                    existing_only: service.anomalies.any(),
                    overload: service.is_overloaded(),
                    emergency: configured.emergency.clone(),
                    backends: self.backends(configured.adaptive, service),
                    rules: configured.rules.clone(),
                })
            })
            .collect();
        let compiled =
            self.compiler.compile(&services).expect("combinations of networks were counted when it was loaded");
        Tables {
            mode: match self.mode {
                Mode::Observe => steer::Mode::Observe,
                Mode::Active => steer::Mode::Active,
            },
            path: match self.path() {
                Path::Stack => steer::Path::Stack,
                Path::Direct => steer::Path::Direct,
            },
            key: self.key,
            times: self.settings.times,
            capacity: self.settings.capacity,
            services: compiled.services,
            backends: compiled.backends,
            classes: compiled.classes,
            devices: self.devices.clone(),
        }
    }

    fn backends(&self, adaptive: crate::config::Adaptive, service: &Service) -> Vec<policy::Backend> {
        let backend = |member: &Member| policy::Backend {
            number: member.number,
            addresses: member.addresses.clone(),
            state: match service.state(member, &self.overrides) {
                State::Up => steer::State::Up,
                State::Drain => steer::State::Drain,
                State::Down => steer::State::Down,
            },
            local: self.is_local(member),
            hop: self.hop(member),
            weight: service.weight(member, &self.overrides, adaptive, self.seconds),
        };
        service.members.iter().map(backend).collect()
    }

    /// How packets get to a backend past the stack, if to all of its addresses alike.
    fn hop(&self, member: &Member) -> Option<Hop> {
        let mut hops = member.addresses.iter().map(|address| self.hops.get(&address.ip()).copied());
        let first = hops.next()??;
        hops.all(|hop| hop == Some(first)).then_some(first)
    }

    /// Whether a backend is on this node. Where nothing tells it is: then it serves everybody.
    fn is_local(&self, member: &Member) -> bool {
        let route = || member.addresses.iter().find_map(|address| self.places.get(&address.ip()).copied());
        member.local.or_else(route).unwrap_or(true)
    }

    /// The settings of a service; of one that is directed there are some.
    fn configured(&self, name: &str) -> &crate::config::Service {
        let mut services = self.settings.services.iter();
        services.find(|service| service.name == name).expect("a service that is directed is configured")
    }
}

#[cfg(test)]
mod tests;
