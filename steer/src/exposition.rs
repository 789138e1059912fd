//! Metrics of the daemon in Prometheus' text format 0.0.4. Labels are configured names and fixed words, never an address.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use affinity::control::Anomaly;
use affinity::steer::{
    Action, BackendCounters, Capacity, Counters, FIRST_RESPONSE_BUCKETS, General, Kind, ServiceCounters, StandardPath,
    first_response_bound,
};

use crate::config::State;
use crate::director::{BackendView, HintResult, Quality, ServiceView, View};

/// What only the daemon knows, beside the director.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extras {
    /// Since the last heartbeat, in seconds; `None` before the first.
    pub heartbeat_age: Option<f64>,
    /// Devices that have the programs.
    pub devices: usize,
    /// What failed in the daemon, by kind.
    pub errors: BTreeMap<&'static str, u64>,
    /// Mistakes in discovery files, by their path.
    pub discovery_errors: BTreeMap<String, u64>,
    /// Configurations that were refused at a reload.
    pub config_errors: u64,
    /// How much the maps hold.
    pub capacity: Capacity,
}

/// The whole text.
pub fn exposition(view: &View<'_>, extras: &Extras) -> String {
    let mut text = Text::default();
    messages(&mut text, view);
    backends(&mut text, view);
    services(&mut text, view);
    node(&mut text, view, extras);
    text.0
}

/// What is counted of a service before anything was.
fn service_counters<'a>(service: &ServiceView<'a>, none: &'a ServiceCounters) -> &'a ServiceCounters {
    service.counters.unwrap_or(none)
}

fn messages(text: &mut Text, view: &View<'_>) {
    let none = ServiceCounters::default();
    text.family(
        "packets_total",
        "counter",
        "SIP datagrams to a service by method and by what became of them. OTHER: other methods, and what is no SIP.",
    );
    for service in &view.services {
        for kind in Kind::all() {
            for action in Action::ALL {
                let count = service_counters(service, &none).packets(kind, action);
                let labels = [("service", service.name), ("method", kind.as_str()), ("action", action.as_str())];
                text.sample("packets_total", &labels, count);
            }
        }
    }
    text.family("pass_total", "counter", "Packets to a service that took the standard path, by reason.");
    for service in &view.services {
        for why in StandardPath::ALL {
            let labels = [("service", service.name), ("reason", why.as_str())];
            text.sample("pass_total", &labels, service_counters(service, &none).passed(why));
        }
    }
    text.family("drops_total", "counter", "Packets that a rule dropped, by its number from 1 and by where: tc.");
    for (service, rule, counted) in rules(view) {
        text.sample("drops_total", &[("service", service), ("rule", &rule), ("stage", "tc")], counted.dropped);
    }
    text.family("limited_total", "counter", "Packets over the limit of a rule, dropped or not, by its number from 1.");
    for (service, rule, counted) in rules(view) {
        text.sample("limited_total", &[("service", service), ("rule", &rule)], counted.limited);
    }
    text.family("emergency_total", "counter", "Emergency calls, within their limit and over it.");
    for service in &view.services {
        let counters = service_counters(service, &none);
        for (result, count) in [("within", counters.emergency), ("over", counters.emergency_over)] {
            text.sample("emergency_total", &[("service", service.name), ("result", result)], count);
        }
    }
}

/// Every rule there is: its service, its number and what was counted of it.
fn rules<'a>(view: &'a View<'_>) -> impl Iterator<Item = (&'a str, String, affinity::steer::RuleCounters)> {
    view.services.iter().flat_map(|service| {
        (1..=service.rules).map(|number| {
            let counted = service.counters.and_then(|counters| counters.rules.get(number).copied());
            (service.name, number.to_string(), counted.unwrap_or_default())
        })
    })
}

fn backends(text: &mut Text, view: &View<'_>) {
    let none = BackendCounters::default();
    let all = || view.services.iter().flat_map(|service| service.backends.iter().map(|one| (service.name, one)));
    let counted = |backend: &BackendView<'_>, of: fn(&BackendCounters) -> u64| backend.counters.map_or(0, of);
    type Of = fn(&BackendCounters) -> u64;
    let plain: [(&str, &str, Of); 2] = [
        ("new_dialogs_total", "Dialogs that were given to a backend.", |counters| counters.new_dialogs),
        ("requests_total", "Requests that were sent on to a backend.", |counters| counters.requests),
    ];
    for (name, help, of) in plain {
        text.family(name, "counter", help);
        for (service, backend) in all() {
            text.sample(name, &[("service", service), ("backend", backend.name)], counted(backend, of));
        }
    }
    text.family("responses_total", "counter", "Responses of a backend by class of their status.");
    for (service, backend) in all() {
        let counters = backend.counters.unwrap_or(&none);
        for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx", "6xx"].iter().zip(counters.responses) {
            text.sample("responses_total", &[("service", service), ("backend", backend.name), ("class", class)], count);
        }
    }
    text.family(
        "first_response_seconds",
        "histogram",
        "From an initial INVITE that was sent on to the first response of its backend.",
    );
    for (service, backend) in all() {
        histogram(text, &[("service", service), ("backend", backend.name)], backend.counters.unwrap_or(&none));
    }
    text.family("dialogs", "gauge", "Dialogs that are known.");
    for (service, backend) in all() {
        text.sample("dialogs", &[("service", service), ("backend", backend.name)], backend.dialogs);
    }
    text.family("backend_up", "gauge", "1 while a backend takes new dialogs, 0 while it drains or is down.");
    for (service, backend) in all() {
        let up = u64::from(backend.state == State::Up && !backend.down);
        text.sample("backend_up", &[("service", service), ("backend", backend.name)], up);
    }
    text.family(
        "weight",
        "gauge",
        "Weight of a backend, adapted and hinted. What adaptive = \"report\" computes is shown and not applied.",
    );
    for (service, backend) in all() {
        text.sample("weight", &[("service", service), ("backend", backend.name)], backend.effective_weight);
    }
    text.family("weight_changes_total", "counter", "Changes of a weight by reason: delay, errors, recovered.");
    for ((service, backend, reason), count) in &view.tally.weight_changes {
        let labels = [("service", service.as_str()), ("backend", backend), ("reason", reason)];
        text.sample("weight_changes_total", &labels, *count);
    }
}

/// Buckets of the kernel between two that are shown: two for each doubling.
const STEP: usize = 4;

fn histogram(text: &mut Text, labels: &[(&str, &str); 2], counters: &BackendCounters) {
    let mut sum = 0;
    for (bucket, count) in counters.first_response.iter().enumerate() {
        sum += count;
        // The last one ends nowhere.
        if (bucket + 1) % STEP == 0 && bucket + 1 < FIRST_RESPONSE_BUCKETS {
            let bound = (first_response_bound(bucket + 1) as f64 / 1e9).to_string();
            text.sample("first_response_seconds_bucket", &[labels[0], labels[1], ("le", &bound)], sum);
        }
    }
    text.sample("first_response_seconds_bucket", &[labels[0], labels[1], ("le", "+Inf")], sum);
    text.sample("first_response_seconds_sum", labels, counters.first_response_sum as f64 / 1e9);
    text.sample("first_response_seconds_count", labels, sum);
}

fn services(text: &mut Text, view: &View<'_>) {
    text.family("learned_dialogs_total", "counter", "Dialogs that a backend was heard speaking of first.");
    for service in &view.services {
        let learned: u64 = service.backends.iter().filter_map(|one| one.counters).map(|one| one.learned).sum();
        text.sample("learned_dialogs_total", &[("service", service.name)], learned);
    }
    text.family(
        "adoption_ratio",
        "gauge",
        "Requests within dialogs of the last minute whose dialog was known, 0 to 1; NaN without any.",
    );
    for service in &view.services {
        text.sample("adoption_ratio", &[("service", service.name)], service.adoption.unwrap_or(f64::NAN));
    }
    text.family("state", "gauge", "1 for the state that the steering of a service is in.");
    for service in &view.services {
        for quality in Quality::ALL {
            let labels = [("service", service.name), ("state", quality.as_str())];
            text.sample("state", &labels, u64::from(service.quality == quality));
        }
    }
    text.family(
        "anomalies_total",
        "counter",
        "How often something was found wrong with the steering of a service, by kind.",
    );
    for service in &view.services {
        for kind in Anomaly::ALL {
            let count = view.tally.anomalies.get(&(service.name.to_owned(), kind)).copied().unwrap_or(0);
            text.sample("anomalies_total", &[("service", service.name), ("kind", kind.as_str())], count);
        }
    }
    type Is = fn(&ServiceView<'_>) -> bool;
    let flags: [(&str, &str, Is); 2] = [
        ("overload", "1 while the rules of a service for overload apply.", |service| service.overload),
        ("panic", "1 while all backends of a service are down, and so treated as up.", |service| service.panic),
    ];
    for (name, help, is) in flags {
        text.family(name, "gauge", help);
        for service in &view.services {
            text.sample(name, &[("service", service.name)], u64::from(is(service)));
        }
    }
    let help = "1 while a service is steered past policies of this node, as allow_policy_bypass lets it.";
    text.family("policy_bypass", "gauge", help);
    for service in &view.services {
        text.sample("policy_bypass", &[("service", service.name)], u64::from(view.bypass));
    }
}

fn node(text: &mut Text, view: &View<'_>, extras: &Extras) {
    let counters: &Counters = view.counters;
    text.family("heartbeat_age_seconds", "gauge", "Since the daemon last said that it lives; NaN before it ever did.");
    text.sample("heartbeat_age_seconds", &[], extras.heartbeat_age.unwrap_or(f64::NAN));
    text.family("devices", "gauge", "Devices that have the programs.");
    text.sample("devices", &[], extras.devices as u64);
    let dialogs = view.census.dialogs.values().sum();
    let Capacity { dialogs: most_dialogs, flows, fragments, buckets } = extras.capacity;
    let maps = [
        ("dialogs", dialogs, most_dialogs, General::DialogsFull),
        ("flows", view.census.flows, flows, General::FlowsFull),
        ("fragments", view.census.fragments, fragments, General::FragmentsFull),
        ("buckets", view.census.buckets, buckets, General::BucketsFull),
    ];
    text.family("map_entries", "gauge", "Entries in a map of the kernel.");
    maps.iter().for_each(|(map, entries, ..)| text.sample("map_entries", &[("map", map)], *entries));
    text.family("map_limit", "gauge", "Most entries of a map of the kernel.");
    maps.iter().for_each(|(map, _, limit, _)| text.sample("map_limit", &[("map", map)], u64::from(*limit)));
    text.family("map_full_total", "counter", "Entries that a map of the kernel had no room for.");
    maps.iter().for_each(|(map, .., full)| text.sample("map_full_total", &[("map", map)], counters.general(*full)));
    text.family(
        "fragments_total",
        "counter",
        "Fragments: first ones remembered, later ones that followed theirs, later ones that came before it.",
    );
    for (result, which) in [
        ("first", General::FragmentsFirst),
        ("followed", General::FragmentsFollowed),
        ("early", General::FragmentsEarly),
    ] {
        text.sample("fragments_total", &[("result", result)], counters.general(which));
    }
    text.family("special_total", "counter", "Packets that are something besides: translated replies, super-datagrams, those that bypass the service, events that were lost.");
    for (kind, which) in [
        ("translated", General::Translated),
        ("super", General::Super),
        ("bypass", General::Bypass),
        ("spoofed", General::Spoofed),
        ("event_lost", General::EventsLost),
    ] {
        text.sample("special_total", &[("kind", kind)], counters.general(which));
    }
    text.family("errors_total", "counter", "What could not be done, in the kernel and in the daemon, by kind.");
    for (kind, which) in [
        ("unreadable", General::Unreadable),
        ("not_rewritten", General::NotRewritten),
        ("not_redirected", General::NotRedirected),
    ] {
        text.sample("errors_total", &[("kind", kind)], counters.general(which));
    }
    extras.errors.iter().for_each(|(kind, count)| text.sample("errors_total", &[("kind", kind)], *count));
    text.family("discovery_errors_total", "counter", "Mistakes found in a discovery file.");
    for (file, count) in &extras.discovery_errors {
        text.sample("discovery_errors_total", &[("file", file)], *count);
    }
    text.family("hints_total", "counter", "Hints of backends by what became of them.");
    for result in HintResult::ALL {
        let count = view.tally.hints.get(&result).copied().unwrap_or(0);
        text.sample("hints_total", &[("result", result.as_str())], count);
    }
    text.family("config_errors_total", "counter", "Configurations that were refused at a reload.");
    text.sample("config_errors_total", &[], extras.config_errors);
}

/// The text, a family after the other.
#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        writeln!(self.0, "# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {kind}").expect(INFALLIBLE);
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Into<Value>) {
        write!(self.0, "{PREFIX}{name}").expect(INFALLIBLE);
        for (place, (label, value)) in labels.iter().enumerate() {
            let before = if place == 0 { '{' } else { ',' };
            write!(self.0, "{before}{label}=\"").expect(INFALLIBLE);
            for character in value.chars() {
                match character {
                    '\n' => self.0.push_str("\\n"),
                    '"' | '\\' => self.0.extend(['\\', character]),
                    other => self.0.push(other),
                }
            }
            self.0.push('"');
        }
        let end = if labels.is_empty() { "" } else { "}" };
        writeln!(self.0, "{end} {}", value.into()).expect(INFALLIBLE);
    }
}

/// Before every name.
const PREFIX: &str = "sip_steer_";
const INFALLIBLE: &str = "writing to a String cannot fail";

enum Value {
    Whole(u64),
    Real(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(value) => value.fmt(f),
            Self::Real(value) => value.fmt(f),
        }
    }
}
