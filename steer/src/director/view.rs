//! What is shown of it: to commands, in metrics, in `/health`.

use std::net::SocketAddr;

use affinity::control::WHOLE;
use affinity::steer::{BackendCounters, Counters, ServiceCounters};

use super::members::Service;
use super::{Director, Member, Tally};
use crate::config::{Adaptive, Mode, Path, Probe, State};
use crate::kernel::Census;

/// How the steering of a service is (§6 of the specification): the label `state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// Nothing is steered, as the mode says.
    Observing,
    /// Everything is steered.
    Healthy,
    /// Only known dialogs are, for something is wrong.
    ExistingOnly,
}

impl Quality {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Observing, Self::Healthy, Self::ExistingOnly];

    /// The value of the `state` label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observing => "observing",
            Self::Healthy => "healthy",
            Self::ExistingOnly => "existing_only",
        }
    }
}

/// Everything there is to see.
#[derive(Debug)]
pub struct View<'a> {
    /// In force.
    pub mode: Mode,
    /// In force.
    pub path: Path,
    /// Packets go past policies of the node.
    pub bypass: bool,
    /// Mode active waits for enough dialogs to be known.
    pub waiting: bool,
    /// In order of their names.
    pub services: Vec<ServiceView<'a>>,
    /// As of the last second.
    pub counters: &'a Counters,
    /// As of the last count.
    pub census: &'a Census,
    /// What the director counts.
    pub tally: &'a Tally,
}

/// A service.
#[derive(Debug)]
pub struct ServiceView<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its number.
    pub number: u16,
    /// Where clients send to.
    pub addresses: &'a [SocketAddr],
    /// How its steering is.
    pub quality: Quality,
    /// Its rules for overload apply.
    pub overload: bool,
    /// All of its backends are down, and treated as up.
    pub panic: bool,
    /// Requests within dialogs whose dialog was known, of the last minute: 0 to 1; `None` without any.
    pub adoption: Option<f64>,
    /// Counted since the maps were made; `None` before the first.
    pub counters: Option<&'a ServiceCounters>,
    /// In order of their names.
    pub backends: Vec<BackendView<'a>>,
    /// How it is probed.
    pub probe: Option<Probe>,
    /// How many rules it has.
    pub rules: usize,
}

/// A backend.
#[derive(Debug)]
pub struct BackendView<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its number.
    pub number: u16,
    /// Where it is.
    pub addresses: &'a [SocketAddr],
    /// What it takes.
    pub state: State,
    /// It does not answer; in a panic it may be up all the same.
    pub down: bool,
    /// It is on this node.
    pub local: bool,
    /// Packets get to it past the stack.
    pub direct: bool,
    /// Neither the configuration nor a file names it any more.
    pub gone: bool,
    /// What is written for it.
    pub weight: u32,
    /// What it has of new dialogs, in units of what is written.
    pub effective_weight: f64,
    /// Dialogs that are up.
    pub dialogs: u64,
    /// Counted since the maps were made; `None` before the first.
    pub counters: Option<&'a BackendCounters>,
}

impl Director {
    /// Everything there is to see.
    pub fn view(&self) -> View<'_> {
        View {
            mode: self.mode,
            path: self.path(),
            bypass: self.path() == Path::Direct && !self.unpoliced,
            waiting: self.waiting,
            services: self.services.keys().map(|name| self.service_view(name)).collect(),
            counters: &self.counters,
            census: &self.census,
            tally: &self.tally,
        }
    }

    fn service_view(&self, name: &str) -> ServiceView<'_> {
        let (service, configured) = (&self.services[name], self.configured(name));
        let quality = match self.mode {
            Mode::Observe => Quality::Observing,
            Mode::Active if service.anomalies.any() => Quality::ExistingOnly,
            Mode::Active => Quality::Healthy,
        };
        // What would be is shown too.
        let adaptive = if configured.adaptive == Adaptive::Off { Adaptive::Off } else { Adaptive::On };
        ServiceView {
            name: &service.name,
            number: service.number,
            addresses: &configured.addresses,
            quality,
            overload: service.is_overloaded(),
            panic: service.panic,
            adoption: service.adoption.ratio().value(),
            counters: self.counters.services.get(&service.number),
            backends: service.members.iter().map(|member| self.backend_view(service, member, adaptive)).collect(),
            probe: configured.probe,
            rules: configured.rules.len(),
        }
    }
    fn backend_view<'a>(&'a self, service: &'a Service, member: &'a Member, adaptive: Adaptive) -> BackendView<'a> {
        let weight = service.weight(member, &self.overrides, adaptive, self.seconds);
        BackendView {
            name: &member.name,
            number: member.number,
            addresses: &member.addresses,
            state: service.state(member, &self.overrides),
            down: service.health.is_down(&member.name),
            local: self.is_local(member),
            direct: self.path() == Path::Direct && self.hop(member).is_some(),
            gone: member.gone.is_some(),
            weight: self.overrides.weight(&service.name, &member.name, member.weight),
            effective_weight: f64::from(weight) / f64::from(WHOLE),
            dialogs: self.census.dialogs.get(&member.number).copied().unwrap_or(0),
            counters: self.counters.backends.get(&member.number),
        }
    }
}
