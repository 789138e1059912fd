//! `[processors.affinity]` in pipeline.toml: services and bounds in, settings or every problem out.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pipeline::settings::{Problems, duration};
use serde::{Deserialize, Serialize};

/// Which services are looked at, for how long, and how much is held.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
pub struct Config {
    /// Services that balance calls among backends; only these are counted in metrics. Default none.
    pub services: Vec<Service>,
    /// Find services that nobody listed: for reports alone. Default true.
    pub learn: bool,
    /// How far back calls of one client are looked at together. Default 10 min.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub window: Duration,
    /// How long the balancer remembers a silent flow: its `nf_conntrack_udp_timeout_stream`. Default 120 s.
    #[serde(with = "duration")]
    #[schemars(with = "pipeline::settings::duration::Written")]
    pub conntrack_timeout: Duration,
    /// Most services that are learned. Beyond it the newest is refused and counted. Default 64.
    pub max_services: usize,
    /// Most backends, listed and learned. Beyond it the newest is refused and counted. Default 1,024.
    pub max_backends: usize,
    /// Most dialogs that are followed. Beyond it the one idle longest goes and is counted. Default 100,000.
    pub max_dialogs: usize,
    /// Most clients of services, and most requests that wait for an answer. Beyond it the oldest goes and is counted. Default
    /// 65,536.
    pub max_flows: usize,
}

/// A service that balances calls among backends.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
pub struct Service {
    /// Value of the label `service`.
    pub name: String,
    /// Where clients send to: `address:port`.
    pub addresses: Vec<String>,
    /// Who takes it there.
    pub backends: Vec<Backend>,
}

/// A backend of a service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema, Serialize)]
pub struct Backend {
    /// Value of the label `backend`.
    pub name: String,
    /// Where it listens: `address:port`, one for each family.
    pub addresses: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            services: Vec::new(),
            learn: true,
            window: Duration::from_secs(600),
            conntrack_timeout: Duration::from_secs(120),
            max_services: 64,
            max_backends: 1024,
            max_dialogs: 100_000,
            max_flows: 65_536,
        }
    }
}

/// A checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub(crate) config: Config,
    pub(crate) services: Vec<Listed>,
}

/// A name with its addresses: a backend, or with its backends a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub name: Arc<str>,
    pub addresses: Vec<SocketAddr>,
    pub backends: Vec<Listed>,
}

impl Config {
    /// The settings; every value that cannot be worked with is named, and then there are none.
    pub fn check(self, problems: &mut Problems) -> Option<Settings> {
        let mut found = Problems::default();
        for (key, value, most, usual) in [
            ("max_services", self.max_services, 64, "64"),
            ("max_backends", self.max_backends, 1024, "1024"),
            ("max_dialogs", self.max_dialogs, MAX_ENTRIES, "100000"),
            ("max_flows", self.max_flows, MAX_ENTRIES, "65536"),
        ] {
            if value == 0 || value > most {
                found.error(key, format!("{value} is not between 1 and {most}"), format!("the default is {usual}"));
            }
        }
        let (second, day) = (Duration::from_secs(1), Duration::from_secs(86_400));
        for (key, value, usual) in
            [("window", self.window, "10m"), ("conntrack_timeout", self.conntrack_timeout, "120s")]
        {
            if value < second || value > day {
                found.error(key, "it is not between 1s and 24h", format!("the default is \"{usual}\""));
            }
        }
        let services = self.check_services(&mut found);
        let sound = !found.has_errors();
        problems.append(found);
        sound.then_some(Settings { config: self, services })
    }

    fn check_services(&self, problems: &mut Problems) -> Vec<Listed> {
        let mut check = Check { names: HashMap::new(), places: HashMap::new(), problems };
        if self.services.len() > 64 {
            let what = format!("{} services are more than 64", self.services.len());
            check.problems.error("services[64]", what, "list those that matter; others are learned");
        }
        let backends: usize = self.services.iter().map(|service| service.backends.len()).sum();
        if backends > self.max_backends {
            let what = format!("{backends} backends are more than max_backends = {}", self.max_backends);
            check.problems.error("services", what, "raise max_backends, or list fewer");
        }
        let services = self.services.iter().enumerate().map(|(index, service)| {
            let path = format!("services[{index}]");
            let Service { name, addresses, backends } = service;
            let addresses = check.listed(&path, "service", name, addresses, None);
            if backends.is_empty() {
                let help = "list them, or take the service out and let it be learned";
                check.problems.error(format!("{path}.backends"), format!("service {name:?} has no backends"), help);
            }
            let backends = backends.iter().enumerate().map(|(place, backend)| {
                let path = format!("{path}.backends[{place}]");
                let addresses = check.listed(&path, "backend", &backend.name, &backend.addresses, Some(index));
                Listed { name: backend.name.as_str().into(), addresses, backends: Vec::new() }
            });
            let backends = backends.collect();
            Listed { name: name.as_str().into(), addresses, backends }
        });
        services.collect()
    }
}

/// What was listed so far.
struct Check<'a> {
    /// Names of services, and of backends within one, with where they stand.
    names: HashMap<(Option<usize>, String), String>,
    /// Addresses, each with where it stands and the service it is a backend of; `None` of a service's own.
    places: HashMap<SocketAddr, (String, Option<usize>)>,
    problems: &'a mut Problems,
}

impl Check<'_> {
    /// The addresses of a service, or of a backend of the service `of`.
    fn listed(&mut self, path: &str, what: &str, name: &str, texts: &[String], of: Option<usize>) -> Vec<SocketAddr> {
        let key = format!("{path}.name");
        if name.trim().is_empty() {
            self.problems.error(&key, "the name is empty", "it is a label of metrics: write one");
        } else if let Some(before) = self.names.insert((of, name.to_owned()), path.to_owned()) {
            self.problems.error(&key, format!("{name:?} is used by {before} already"), "give each its own");
        }
        if texts.is_empty() {
            let help = "write address:port, such as \"10.96.0.60:5060\"";
            self.problems.error(format!("{path}.addresses"), format!("{what} {name:?} has no address"), help);
        }
        let address = |(index, text): (usize, &String)| {
            let path = format!("{path}.addresses[{index}]");
            let Ok(address) = text.parse::<SocketAddr>() else {
                let help = "write address:port, such as \"10.96.0.60:5060\" or \"[2001:db8::60]:5060\"";
                self.problems.error(path, format!("{text:?} is no address with a port"), help);
                return None;
            };
            let (before, other) = self.places.entry(address).or_insert_with(|| (path.clone(), of));
            // A backend may be one of several services, a service's own address is nobody else's.
            if *before != path && (of.is_none() || other.is_none() || *other == of) {
                let what = format!("{address} is {before} already");
                self.problems.error(path, what, "an address is a service's or a backend's, and listed once");
                return None;
            }
            Some(address)
        };
        texts.iter().enumerate().filter_map(address).collect()
    }
}

/// Most dialogs, or flows, that can be asked for: some 200 MB of each.
const MAX_ENTRIES: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let config: Config = toml::from_str(text).expect("it is TOML");
        let mut problems = Problems::default();
        assert_eq!(config.check(&mut problems).is_none(), problems.has_errors());
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_defaults_are_right_and_so_is_a_backend_of_two_services() {
        assert_eq!(problems(""), Vec::<String>::new());
        let service = |name, address| {
            format!(
                "{{ name = '{name}', addresses = ['{address}'], backends = [{{ name = 'x', addresses = ['10.0.0.9:5060'] }}] }}"
            )
        };
        let text = format!("services = [{}, {}]", service("a", "10.0.0.1:5060"), service("b", "[2001:db8::1]:5060"));
        assert_eq!(problems(&text), Vec::<String>::new());
    }

    #[test]
    fn an_address_of_a_service_is_nobody_elses() {
        let text = "services = [{ name = 'a', addresses = ['10.0.0.1:5060', '10.0.0.1:5060'], \
                    backends = [{ name = 'x', addresses = ['10.0.0.1:5060'] }] }]";
        let found = problems(text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|problem| problem.contains("is services[0].addresses[0] already")), "{found:?}");
    }
}
