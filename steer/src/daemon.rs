//! The daemon: the director, the kernel side, files and devices, held together.
//!
//! [`Daemon`] does what it is told when it is told, and waits for nothing; `run.rs` waits for time, signals, files and
//! clients, and tells it. Tests put a kernel side of their own in place.

mod answers;
mod devices;
mod inotify;
mod pages;
mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use affinity::steer::Tables;
use pipeline::settings::Problems;
use tokio::sync::broadcast;

use crate::config::{self, Path, Settings};
use crate::director::{Director, Hint, HintResult};
use crate::discovery::{Bounds, Discovery, MOST_FILES};
use crate::exposition::{Extras, exposition};
use crate::kernel::{Census, Kernel, KernelError};
use crate::node::Node;
use crate::policies::Policies;
use crate::probes::{Outcome, Target};
use crate::state::{Kept, StateDir};

use devices::Devices;

pub use answers::Then;
pub use run::{Ended, RunError, now, run};

/// Everything that runs, but for waiting.
pub struct Daemon<K> {
    kernel: K,
    director: Director,
    discovery: Discovery,
    state: StateDir,
    kept: Kept,
    devices: Devices,
    /// Its files, to be read again.
    files: Vec<PathBuf>,
    /// The name that discovery files know it by.
    node_name: String,
    applied: Option<Tables>,
    /// Seconds that were told.
    seconds: u64,
    /// In which of them dialogs are counted next.
    next_census: u64,
    extras: Extras,
    /// Policies of the node, where path `direct` has them looked for.
    policies: Option<Policies>,
    /// What is wrong with the files that were read last.
    config_problem: Option<String>,
    /// Keys that changed and need another start.
    restart_needed: Vec<&'static str>,
    events: broadcast::Sender<Arc<[u8]>>,
    watched: bool,
    /// What the kernel refused when it was asked last.
    failing: BTreeSet<&'static str>,
}

/// Decisions that a slow watcher may be behind.
const EVENTS: usize = 1024;

/// Most decisions that are handed on at once.
const EVENTS_AT_ONCE: usize = 4096;

/// Seconds between two counts of the dialogs, which goes through all of them.
const CENSUS: u64 = 5;

/// So many times as long as a count took nothing is counted, so that large maps cost no more than a twentieth of a processor.
const REST: u32 = 20;

impl<K: Kernel> Daemon<K> {
    /// A daemon that knows what is written in files and was kept, and has told the kernel nothing yet.
    pub fn new(
        kernel: K,
        settings: Settings,
        files: Vec<PathBuf>,
        state: StateDir,
        node: Node,
    ) -> Result<Self, RunError> {
        let (kept, told) = state.load()?;
        if let Some(told) = told {
            tracing::warn!("{told}");
        }
        let key = match settings.cluster_key {
            Some(key) => key,
            None => state.key()?,
        };
        let extras = Extras { capacity: settings.capacity, errors: no_errors(), ..Extras::default() };
        let director = Director::new(settings, key, kept.numbers.clone(), kept.overrides.clone());
        Ok(Self {
            kernel,
            director,
            discovery: Discovery::recall(kept.found.clone()),
            state,
            kept,
            devices: Devices::new(node),
            files,
            node_name: node_name(),
            applied: None,
            seconds: 0,
            next_census: 0,
            extras,
            policies: None,
            config_problem: None,
            restart_needed: Vec::new(),
            events: broadcast::channel(EVENTS).0,
            watched: false,
            failing: BTreeSet::new(),
        })
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        self.director.settings()
    }

    /// Begins: tables first, then devices. With CAP_NET_ADMIN, programs of others are seen on them.
    pub fn begin(&mut self, now: u64) -> Result<(), KernelError> {
        self.look(true, now);
        // What the maps of a daemon before hold is not to be overwritten by less than that.
        if let Err(errors) = self.devices.look(&self.director.settings().interfaces) {
            *self.extras.errors.entry("attach").or_default() += errors;
        }
        self.director.devices(self.devices.attached());
        self.place();
        let tables = self.director.tables();
        self.kernel.apply(&tables, now)?;
        self.applied = Some(tables);
        self.kernel.beat(now)?;
        // Somebody may have watched when the last daemon ended.
        let unwatched = self.kernel.watch(false);
        self.tried("watch", unwatched);
        self.scan_devices();
        self.apply(now);
        self.keep();
        Ok(())
    }

    /// Says that it lives, and hands on decisions; every 100 ms.
    pub fn beat(&mut self, now: u64) {
        let beaten = self.kernel.beat(now);
        self.tried("beat", beaten);
        let wanted = self.events.receiver_count() > 0;
        if wanted != self.watched {
            let switched = self.kernel.watch(wanted);
            self.watched = self.tried("watch", switched).is_some() && wanted;
        }
        if self.watched {
            self.hand_on_events();
        }
    }

    /// Looks at everything that was counted, at devices and routes, and makes the kernel obey what follows; once a second.
    pub fn second(&mut self, now: u64) {
        self.seconds += 1;
        let counted = self.seconds >= self.next_census;
        let census = if counted { self.count_dialogs(now) } else { None };
        let counters = self.kernel.counters();
        if let Some(counters) = self.tried("counters", counters) {
            for notice in self.director.second(counters, census) {
                match notice.is_warning() {
                    true => tracing::warn!("{notice}"),
                    false => tracing::info!("{notice}"),
                }
            }
        }
        if counted {
            self.place();
        }
        self.scan_devices();
        self.apply(now);
        self.keep();
    }

    /// Counts dialogs, and forgets those that are over.
    fn count_dialogs(&mut self, now: u64) -> Option<Census> {
        // It may take a while, in which no heart beats.
        let beaten = self.kernel.beat(now);
        self.tried("beat", beaten);
        let begun = Instant::now();
        let census = self.kernel.sweep(now);
        self.next_census = self.seconds + CENSUS.max((begun.elapsed() * REST).as_secs());
        self.tried("sweep", census)
    }

    /// Looks at discovery files, and makes the kernel obey what they say; every 30 s, and when one changes.
    pub fn noticed(&mut self, now: u64) {
        self.look(false, now);
        self.apply(now);
        self.keep();
    }

    /// Looks at discovery files. `anew`: also at those that were not written to.
    fn look(&mut self, anew: bool, now: u64) {
        let settings = self.director.settings();
        let services: Vec<String> = settings.services.iter().map(|service| service.name.clone()).collect();
        let bounds = Bounds { services: &services, allowed: &settings.allowed_backends, node: &self.node_name };
        let look = self.discovery.look(&settings.discovery, &bounds, anew, now);
        for (path, wrong) in look.wrong {
            tracing::error!("discovery file {} changes nothing: {wrong}", path.display());
            let errors = &mut self.extras.discovery_errors;
            let known = path.display().to_string();
            let label =
                if errors.contains_key(&known) || errors.len() < MOST_FILES { known } else { "other".to_owned() };
            *errors.entry(label).or_default() += 1;
        }
        if look.changed || anew {
            for refused in self.director.discovered(self.discovery.found().cloned().collect()) {
                tracing::error!("{refused}");
                *self.extras.errors.entry("backend_refused").or_default() += 1;
            }
            self.place();
        }
    }

    /// Reads its files again. A mistake in them changes nothing, and is told and counted.
    pub fn reload(&mut self, now: u64) {
        match config::load(&self.files, &|name| std::env::var(name).ok()) {
            Ok(loaded) => {
                warn_of(&loaded.warnings);
                self.take(loaded.settings);
                self.look(true, now);
                self.apply(now);
                self.keep();
                tracing::info!("the configuration was read again");
            }
            Err(problems) => {
                let text = config::refused(&problems);
                tracing::error!("it goes on with the configuration before: {text}");
                self.extras.config_errors += 1;
                self.config_problem = Some(text);
            }
        }
    }

    /// Takes settings, but for what only another start can change.
    fn take(&mut self, mut settings: Settings) {
        let old = self.director.settings();
        self.restart_needed.clear();
        let mut keep = |key, changed: bool| {
            if changed {
                tracing::warn!("{key} has changed, which needs another start: it stays as it was");
                self.restart_needed.push(key);
            }
        };
        keep("steer.path", settings.path != old.path);
        keep("steer.max_*", settings.capacity != old.capacity);
        keep("steer.state_dir", settings.state_dir != old.state_dir);
        keep("steer.pin_dir", settings.pin_dir != old.pin_dir);
        keep("steer.control", settings.control != old.control);
        keep("steer.cluster_key", settings.cluster_key != old.cluster_key);
        keep("metrics.endpoint", settings.metrics != old.metrics);
        keep("hints.listen", settings.hints != old.hints);
        keep("telemetry.logs", settings.logs != old.logs);
        let before = old.clone();
        settings.path = before.path;
        settings.capacity = before.capacity;
        settings.state_dir = before.state_dir;
        settings.pin_dir = before.pin_dir;
        settings.control = before.control;
        settings.cluster_key = before.cluster_key;
        settings.metrics = before.metrics;
        settings.hints = before.hints;
        settings.logs = before.logs;
        self.config_problem = None;
        self.director.reload(settings);
    }

    /// Takes what was seen of the node's policies.
    pub fn policed(&mut self, policies: Policies, now: u64) {
        if self.policies.as_ref() != Some(&policies) {
            self.director.unpoliced(policies == Policies::None);
            let path = self.director.path();
            match policies.told() {
                Some(told) if path == Path::Direct => tracing::warn!("{told}: path direct goes past that"),
                Some(told) => tracing::warn!("{told}: packets take path stack until it ends"),
                None => tracing::info!("this node drops nothing of what it forwards: packets take path direct"),
            }
            self.policies = Some(policies);
            // Before it begins there is nothing to apply that would not take something from a daemon before.
            if self.applied.is_some() {
                self.place();
                self.apply(now);
            }
        }
    }

    /// Takes the outcome of a probe.
    pub fn probed(&mut self, outcome: &Outcome) {
        self.director.probed(&outcome.target.service, &outcome.target.backend, outcome.answered);
    }

    /// Whom to probe, and how often.
    pub fn targets(&self) -> Vec<(Target, std::time::Duration)> {
        let mut targets = Vec::new();
        for service in self.director.view().services {
            let Some(probe) = service.probe else { continue };
            for backend in service.backends.iter().filter(|backend| !backend.gone) {
                // One that answers in one family answers.
                let Some(address) = backend.addresses.first() else { continue };
                let (service, backend, address) = (service.name.to_owned(), backend.name.to_owned(), *address);
                targets.push((Target { service, backend, address }, probe.interval));
            }
        }
        targets
    }

    /// Takes a hint.
    pub fn hint(&mut self, from: std::net::IpAddr, hint: Hint, now: u64) -> HintResult {
        let result = self.director.hint(from, hint);
        self.apply(now);
        result
    }

    /// The text of `/metrics`.
    pub fn metrics(&self, now: u64) -> String {
        let last = self.kernel.last_beat().ok().flatten();
        let extras = Extras {
            heartbeat_age: last.map(|last| now.saturating_sub(last) as f64 / 1e9),
            devices: self.kernel.attached().len(),
            ..self.extras.clone()
        };
        exposition(&self.director.view(), &extras)
    }

    /// Makes the kernel obey what follows from everything, if that is something else than before.
    fn apply(&mut self, now: u64) {
        let tables = self.director.tables();
        if self.applied.as_ref() == Some(&tables) {
            return;
        }
        let applied = self.kernel.apply(&tables, now);
        self.applied = self.tried("apply", applied).map(|()| tables);
    }

    /// Keeps numbers and commands for the next start, if they changed.
    fn keep(&mut self) {
        let (numbers, overrides) = self.director.kept();
        let found = self.discovery.said(&self.kept.found);
        if found.is_none() && (numbers, overrides) == (&self.kept.numbers, &self.kept.overrides) {
            return;
        }
        let found = found.unwrap_or_else(|| self.kept.found.clone());
        let kept = Kept { numbers: numbers.clone(), overrides: overrides.clone(), found };
        match self.state.save(&kept) {
            Ok(()) => self.kept = kept,
            Err(error) => {
                *self.extras.errors.entry("state").or_default() += 1;
                tracing::error!("{}", chain(&error));
            }
        }
    }

    /// What the kernel did; a failure is counted, and told when it is the first of several.
    fn tried<T>(&mut self, kind: &'static str, result: Result<T, KernelError>) -> Option<T> {
        match result {
            Ok(value) => {
                self.failing.remove(kind);
                Some(value)
            }
            Err(error) => {
                *self.extras.errors.entry(kind).or_default() += 1;
                if self.failing.insert(kind) {
                    tracing::error!("{}", chain(&error));
                }
                None
            }
        }
    }

    fn place(&mut self) {
        let addresses: Vec<_> = self.director.unplaced().collect();
        let places = self.devices.places(addresses);
        self.director.placed(places);
        let hops = self.devices.hops(&self.director.addresses());
        self.director.hops(hops);
    }

    fn scan_devices(&mut self) {
        let settings = self.director.settings();
        let errors = self.devices.scan(&mut self.kernel, &settings.interfaces, &settings.beside);
        if errors > 0 {
            *self.extras.errors.entry("attach").or_default() += errors;
        }
        let devices = self.devices.attached();
        // Pods came or went, or are led to by other routes.
        let has_changed = self.director.devices(devices) || self.devices.have_moved();
        if has_changed {
            self.place();
        }
    }

    fn hand_on_events(&mut self) {
        for _ in 0..EVENTS_AT_ONCE {
            let Some(event) = self.kernel.event() else { return };
            let line = self.event_line(&event);
            // Without a watcher nobody misses it.
            let _ = self.events.send(line.into());
        }
    }
}

/// Warnings of a configuration, to the log.
pub fn warn_of(problems: &Problems) {
    problems.iter().for_each(|problem| tracing::warn!("{problem}"));
}

/// An error with all its causes.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

/// The name of this node as Kubernetes has it, or the host's.
fn node_name() -> String {
    std::env::var("NODE_NAME").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| {
        let uname = nix::sys::utsname::uname().ok();
        uname.map(|names| names.nodename().to_string_lossy().into_owned()).unwrap_or_default()
    })
}

/// Errors by kind that the daemon counts, so that their series are there before the first.
const ERROR_KINDS: [&str; 8] = ["apply", "attach", "backend_refused", "beat", "counters", "state", "sweep", "watch"];

/// Extras in which nothing has happened.
fn no_errors() -> BTreeMap<&'static str, u64> {
    ERROR_KINDS.iter().map(|kind| (*kind, 0)).collect()
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod running;
#[cfg(test)]
mod tests;
