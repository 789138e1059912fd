//! What is checked in a file besides its form. Everything that is wrong is told, each thing where it is written.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::Path as FilePath;
use std::time::Duration;

use affinity::Key;
use affinity::control::ProbeRule;
use affinity::policy::Classes;
use affinity::steer::{
    self, Capacity, EMERGENCY_USER, MAX_BACKENDS, MAX_CIDRS, MAX_EMERGENCY_USERS, MAX_RULES, MAX_SERVICES, Times,
};
use glob::Pattern;
use ipnet::IpNet;
use pipeline::settings::{Problems, duration};

use super::rules::{self, limit};
use super::{Affinity, Backend, BackendTable, File, Probe, ProbeTable, Service, ServiceTable, Settings, Steer};

/// What the file comes to; `None` after an error.
pub(super) fn check(file: &File, problems: &mut Problems) -> Option<Settings> {
    let mut found = Problems::default();
    let allowed = networks(&file.steer.allowed_backends, "steer.allowed_backends", &mut found);
    let services = services(file, &allowed, &mut found);
    let settings = steer(&file.steer, &mut found).map(|steer| Settings {
        allowed_backends: allowed,
        discovery: patterns(&file.discovery.files, &mut found),
        metrics: endpoint(&file.metrics.endpoint, "metrics.endpoint", &mut found),
        hints: file.hints.listen.as_deref().map(|listen| endpoint(listen, "hints.listen", &mut found)),
        logs: file.telemetry.logs.clone(),
        services,
        ..steer
    });
    let settings = settings.filter(|_| !found.has_errors());
    problems.append(found);
    settings
}

/// Where the program and its state are when nothing is configured, for whoever only wants to take them out.
pub fn unconfigured() -> Settings {
    let nothing = Steer {
        interfaces: vec!["lo".to_owned()],
        allowed_backends: vec!["127.0.0.0/8".to_owned()],
        ..Steer::default()
    };
    steer(&nothing, &mut Problems::default()).expect("the defaults are sound")
}

fn steer(table: &Steer, problems: &mut Problems) -> Option<Settings> {
    if table.interfaces.is_empty() {
        let help = "name the devices by which packets of clients and replies of backends enter, for instance \
                    interfaces = [\"eth0\", \"veth*\"]";
        problems.error("steer.interfaces", "no device is named", help);
    }
    if table.allowed_backends.is_empty() {
        let help = "name the networks that backends lie in, for instance allowed_backends = [\"10.244.0.0/16\"]";
        problems.error("steer.allowed_backends", "no backend would be allowed", help);
    }
    let interfaces: Vec<Pattern> = table
        .interfaces
        .iter()
        .enumerate()
        .filter_map(|(place, name)| interface(name, &format!("steer.interfaces[{place}]"), problems))
        .collect();
    for (key, value) in [("grace", table.grace), ("settle", table.settle), ("dialog_idle", table.dialog_idle)] {
        within(value, Duration::from_secs(1)..=LONGEST, &format!("steer.{key}"), problems);
    }
    for (key, value) in [
        ("max_dialogs", table.max_dialogs),
        ("max_flows", table.max_flows),
        ("max_fragments", table.max_fragments),
        ("max_buckets", table.max_buckets),
    ] {
        if value == 0 || value > MOST_ENTRIES {
            let help = "all of them are allocated when the program starts; the default is right for most";
            problems.error(format!("steer.{key}"), not_between(value, 1, MOST_ENTRIES), help);
        }
    }
    for (key, path) in [("state_dir", &table.state_dir), ("pin_dir", &table.pin_dir), ("control", &table.control)] {
        if !path.is_absolute() {
            let what = format!("{path:?} is no absolute path");
            problems.error(format!("steer.{key}"), what, "begin it with /");
        }
    }
    let cluster_key = table.cluster_key.as_deref().and_then(|text| key(text, problems));
    Some(Settings {
        mode: table.mode,
        path: table.path,
        allow_policy_bypass: table.allow_policy_bypass,
        interfaces,
        allowed_backends: Vec::new(),
        cluster_key,
        times: Times { grace: table.grace, settle: table.settle, dialog_idle: table.dialog_idle },
        capacity: Capacity {
            dialogs: table.max_dialogs,
            flows: table.max_flows,
            fragments: table.max_fragments,
            buckets: table.max_buckets,
        },
        beside: table.beside.clone(),
        state_dir: table.state_dir.clone(),
        pin_dir: table.pin_dir.clone(),
        control: table.control.clone(),
        discovery: Vec::new(),
        metrics: SocketAddr::from(([127, 0, 0, 1], 0)),
        hints: None,
        logs: Default::default(),
        services: Vec::new(),
    })
}

/// Longest time that can be set.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// Most entries of one map: with more it would take gigabytes.
const MOST_ENTRIES: u32 = 1 << 24;

/// 32 hexadecimal digits.
fn key(text: &str, problems: &mut Problems) -> Option<Key> {
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match u128::from_str_radix(text, 16) {
        Ok(number) if digits => Some(Key::new(number.to_be_bytes())),
        _ => {
            let help = "write 32 hexadecimal digits, the same on all nodes; `openssl rand -hex 16` makes them";
            problems.error("steer.cluster_key", "it is no key", help);
            None
        }
    }
}

fn interface(name: &str, path: &str, problems: &mut Problems) -> Option<Pattern> {
    let fits = (1..=15).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':' | b'[' | b']'));
    if !fits {
        let help = "a name has 1 to 15 characters, of which * and ? stand for others";
        problems.error(path, format!("{name:?} names no device"), help);
        return None;
    }
    Pattern::new(name).ok()
}

fn patterns(files: &[String], problems: &mut Problems) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for (place, file) in files.iter().enumerate() {
        let path = format!("discovery.files[{place}]");
        let folder = FilePath::new(file).parent();
        let fixed = folder.is_some_and(|folder| !folder.to_string_lossy().contains(['*', '?', '[']));
        if !FilePath::new(file).is_absolute() || file.ends_with('/') || !fixed {
            let help =
                "write an absolute path, with * and ? in its last part at most: \"/etc/ringside/steer.d/*.json\"";
            problems.error(path, format!("{file:?} names no files"), help);
        } else {
            match Pattern::new(file) {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => problems.error(path, format!("{file:?} is no pattern"), error.msg),
            }
        }
    }
    patterns
}

fn endpoint(text: &str, path: &str, problems: &mut Problems) -> SocketAddr {
    endpoint::address(text).unwrap_or_else(|| {
        let help = "write address and port, for instance \"127.0.0.1:2114\" or \"[::1]:2114\"";
        problems.error(path, format!("{text:?} is no address to listen on"), help);
        SocketAddr::from(([127, 0, 0, 1], 0))
    })
}

/// Networks of a list, those that are some.
pub(super) fn networks(list: &[String], path: &str, problems: &mut Problems) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for (place, text) in list.iter().enumerate() {
        let alone = || text.parse::<IpAddr>().map(IpNet::from).ok();
        match text.parse::<IpNet>().ok().or_else(alone) {
            Some(network) => networks.push(network.trunc()),
            None => {
                let help = "write an address and the bits of its network, for instance \"10.244.0.0/16\"";
                problems.error(format!("{path}[{place}]"), format!("{text:?} is no network"), help);
            }
        }
    }
    networks
}

/// Whether an address is in one of these networks.
pub fn inside(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

fn services(file: &File, allowed: &[IpNet], problems: &mut Problems) -> Vec<Service> {
    let tables = &file.service;
    if tables.is_empty() {
        let help = "add `[[service]]` with a name, addresses and backends";
        problems.error("", "there is no service, so nothing would be steered", help);
    }
    too_many(tables.len(), usize::from(MAX_SERVICES), "services", "service", problems);
    let backends: usize = tables.iter().map(|table| table.backend.len()).sum();
    too_many(backends, usize::from(MAX_BACKENDS), "backends of all services", "service", problems);
    let discovered = !file.discovery.files.is_empty();
    let mut taken = Taken::default();
    let mut services = Vec::new();
    for (place, table) in tables.iter().enumerate() {
        let path = format!("service[{place}]");
        let other = tables[..place].iter().any(|other| other.name == table.name);
        name(&table.name, other, &path, problems);
        let addresses = taken.service(table, &path, problems);
        let backends = taken.backends(table, allowed, &path, problems);
        families(&addresses, &backends, discovered, &path, problems);
        within(table.latency_target, SHORTEST_TARGET..=LONGEST_TARGET, &format!("{path}.latency_target"), problems);
        services.push(Service {
            name: table.name.clone(),
            addresses,
            affinity: match table.affinity {
                Affinity::CallId => steer::Affinity::CallId,
                Affinity::Source => steer::Affinity::Source,
            },
            emergency: emergency(table, &path, problems),
            adaptive: table.adaptive,
            latency_target: table.latency_target,
            probe: table.probe.map(|probe| check_probe(probe, &path, problems)),
            backends,
            rules: rules::check(table, &path, problems),
        });
    }
    classes(&services, problems);
    services
}

/// Least and greatest `latency_target`: what the buckets of the kernel can tell apart.
const SHORTEST_TARGET: Duration = Duration::from_millis(5);
const LONGEST_TARGET: Duration = Duration::from_secs(60);

fn too_many(count: usize, most: usize, what: &str, path: &str, problems: &mut Problems) {
    if count > most {
        problems.error(path, format!("{count} {what}, and {most} are the most"), "leave some out");
    }
}

/// Checks a name that becomes a label, and that `SERVICE/BACKEND` is made of.
fn name(name: &str, twice: bool, path: &str, problems: &mut Problems) {
    let path = format!("{path}.name");
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(fits) {
        let help = format!("use 1 to {LONGEST_NAME} letters, digits and any of `_-.`");
        problems.error(path, format!("{name:?} is no name"), help);
    } else if twice {
        problems.error(path, format!("{name:?} is the name of another one too"), "give each a name of its own");
    }
}

/// Characters of a name: as many as a name of Kubernetes may have.
pub const LONGEST_NAME: usize = 253;

/// Which addresses are taken, and by whom.
#[derive(Default)]
struct Taken(HashMap<SocketAddr, String>);

impl Taken {
    /// Takes an address for somebody, unless it is nobody's or another's.
    fn take(&mut self, text: &str, whom: String, path: &str, problems: &mut Problems) -> Option<SocketAddr> {
        let address: Option<SocketAddr> = text.parse().ok();
        let usable = |address: &SocketAddr| {
            let ip = address.ip();
            let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
            address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast && ip == ip.to_canonical()
        };
        let Some(address) = address.filter(usable) else {
            let help = "write the address of one host and its port, for instance \"10.96.0.60:5060\" or \"[2001:db8::60]:5060\"";
            problems.error(path, format!("{text:?} is no address"), help);
            return None;
        };
        if let Some(other) = self.0.get(&address) {
            let help = "an address belongs to one service, or to one backend of one service";
            problems.error(path, format!("{text:?} is an address of {other} already"), help);
            return None;
        }
        self.0.insert(address, whom);
        Some(address)
    }

    fn service(&mut self, table: &ServiceTable, path: &str, problems: &mut Problems) -> Vec<SocketAddr> {
        if table.addresses.is_empty() {
            let help = "write those that clients send to, for instance addresses = [\"10.96.0.60:5060\"]";
            problems.error(path, "it has no address", help);
        }
        too_many(table.addresses.len(), MOST_ADDRESSES, "addresses", &format!("{path}.addresses"), problems);
        let places = table.addresses.iter().enumerate();
        let take = |(place, text): (usize, &String)| {
            self.take(text, format!("service {:?}", table.name), &format!("{path}.addresses[{place}]"), problems)
        };
        places.filter_map(take).collect()
    }

    fn backends(
        &mut self,
        table: &ServiceTable,
        allowed: &[IpNet],
        path: &str,
        problems: &mut Problems,
    ) -> Vec<Backend> {
        let mut backends = Vec::new();
        for (place, backend) in table.backend.iter().enumerate() {
            let path = format!("{path}.backend[{place}]");
            name(&backend.name, table.backend[..place].iter().any(|other| other.name == backend.name), &path, problems);
            if backend.weight > MOST_WEIGHT {
                let what = not_between(backend.weight, 0, MOST_WEIGHT);
                problems.error(format!("{path}.weight"), what, "100 is the default, 0 takes no new dialogs");
            }
            let addresses = self.backend(&table.name, backend, allowed, &path, problems);
            backends.push(Backend {
                name: backend.name.clone(),
                addresses,
                weight: backend.weight,
                state: backend.state,
                local: None,
            });
        }
        backends
    }

    fn backend(
        &mut self,
        service: &str,
        table: &BackendTable,
        allowed: &[IpNet],
        path: &str,
        problems: &mut Problems,
    ) -> Vec<SocketAddr> {
        if table.addresses.is_empty() {
            problems.error(path, "it has no address", "write one, for instance addresses = [\"10.244.1.11:5060\"]");
        }
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for (place, text) in table.addresses.iter().enumerate() {
            let path = format!("{path}.addresses[{place}]");
            let whom = format!("backend \"{service}/{}\"", table.name);
            let Some(address) = self.take(text, whom, &path, problems) else { continue };
            if !allowed.is_empty() && !inside(allowed, address.ip()) {
                let help = "add its network there if it is one of yours";
                problems.error(&path, format!("{text:?} is in none of `allowed_backends`"), help);
            }
            if addresses.iter().any(|other| other.is_ipv4() == address.is_ipv4()) {
                let help = "a backend has one for IPv4 and one for IPv6 at most; another address is another backend";
                problems.error(&path, "a second address of the same family", help);
            }
            addresses.push(address);
        }
        addresses
    }
}

/// Most addresses of a service.
const MOST_ADDRESSES: usize = 64;

/// Greatest weight.
pub const MOST_WEIGHT: u32 = 1000;

/// A family that clients can send by has somebody to take it.
fn families(addresses: &[SocketAddr], backends: &[Backend], discovered: bool, path: &str, problems: &mut Problems) {
    // Who comes from discovery files is not known yet.
    if discovered {
        return;
    }
    for (family, is_v4) in [("IPv4", true), ("IPv6", false)] {
        let has = |address: &SocketAddr| address.is_ipv4() == is_v4;
        if addresses.iter().any(has) && !backends.iter().any(|backend| backend.addresses.iter().any(has)) {
            let what = format!("it has an {family} address, and no backend has one");
            let help = "give a backend an address of that family, take the address out, or name discovery files";
            problems.error(path, what, help);
        }
    }
}

fn check_probe(probe: ProbeTable, path: &str, problems: &mut Problems) -> Probe {
    let path = format!("{path}.probe");
    let (shortest, longest) = (Duration::from_millis(100), Duration::from_secs(300));
    within(probe.interval, shortest..=longest, &format!("{path}.interval"), problems);
    for (key, value) in [("down_after", probe.down_after), ("up_after", probe.up_after)] {
        if !(1..=100).contains(&value) {
            problems.error(format!("{path}.{key}"), not_between(value, 1, 100), "it is a number of probes running");
        }
    }
    Probe { interval: probe.interval, rule: ProbeRule { down_after: probe.down_after, up_after: probe.up_after } }
}

fn emergency(table: &ServiceTable, path: &str, problems: &mut Problems) -> steer::Emergency {
    let (path, table) = (format!("{path}.emergency"), &table.emergency);
    too_many(table.users.len(), MAX_EMERGENCY_USERS, "users", &format!("{path}.users"), problems);
    for (place, user) in table.users.iter().enumerate() {
        let fits = (1..=EMERGENCY_USER).contains(&user.len())
            && user.bytes().all(|byte| byte.is_ascii_graphic() && !b"@:;?<>\"".contains(&byte));
        if !fits {
            let help = format!("write the user part of a Request-URI, 1 to {EMERGENCY_USER} characters: \"112\"");
            problems.error(format!("{path}.users[{place}]"), format!("{user:?} is no user"), help);
        }
    }
    let limit = table.limit.and_then(|rate| limit(rate.rate, rate.burst, &format!("{path}.limit"), problems));
    steer::Emergency { users: table.users.clone(), limit }
}

/// Rules of all services together name few enough networks.
fn classes(services: &[Service], problems: &mut Problems) {
    let lists = || services.iter().flat_map(|service| &service.rules).map(|rule| &rule.networks[..]);
    match Classes::of(lists()) {
        Err(error) => {
            problems.error("service", error.to_string(), "give rules that mean the same senders the same list")
        }
        Ok(classes) if classes.networks().len() > MAX_CIDRS => {
            too_many(classes.networks().len(), MAX_CIDRS, "networks in rules", "service", problems);
        }
        Ok(_) => {}
    }
}

fn within(value: Duration, range: std::ops::RangeInclusive<Duration>, path: &str, problems: &mut Problems) {
    if !range.contains(&value) {
        let [value, low, high] = [value, *range.start(), *range.end()].map(duration::format);
        problems.error(path, not_between(value, low, high), "the default is right for most");
    }
}

/// Checks how many rules a service has.
pub(super) fn few_rules(count: usize, path: &str, problems: &mut Problems) {
    too_many(count, MAX_RULES, "rules", &format!("{path}.rule"), problems);
}

/// A number in a message about a range.
pub(super) fn not_between(value: impl Display, low: impl Display, high: impl Display) -> String {
    format!("{value} is not between {low} and {high}")
}
