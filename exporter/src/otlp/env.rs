//! `OTEL_*` variables: what the configuration leaves out, they fill in.
//!
//! For each key: `--set`, file, variable of the signal, general variable, built-in. A variable of one signal counts
//! for an exporter that carries this signal alone; an exporter that carries both has one way out for both, so that
//! it takes only the endpoints over HTTP from them, and a warning names the others. An empty variable is an unset
//! one. Works on the tree of the configuration, so that the effective configuration shows what was taken.

mod pairs;

use config::node::{Value, path_text};
use config::{Node, Step};
use pipeline::ComponentId;
use pipeline::settings::{Place, Problems};

use super::payload::Signal;
use super::resource;

/// Tells the value of a variable; `None` if it is unset.
pub type LookUp<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The types of the exporters this is about.
pub const GRPC: &str = "otlp_grpc";
/// The same over HTTP.
pub const HTTP: &str = "otlp_http";

/// Whether the value at a path may be a variable that is not set: the endpoint of an OTLP exporter.
pub fn may_be_unset(path: &[Step]) -> bool {
    let [Step::Key(list), Step::Key(id), Step::Key(key)] = path else { return false };
    list == "exporters" && key == "endpoint" && protocol(id).is_some()
}

/// Fills in what is left out: keys of OTLP exporters and attributes of the resource.
pub fn complete(tree: &mut Node, look_up: LookUp<'_>, problems: &mut Problems) {
    let variables = Variables { look_up };
    for id in exporters(tree) {
        let Some(kind) = protocol(&id) else { continue };
        Completion { id: &id, kind, carries: carried(tree, &id), variables, tree, problems }.run();
    }
    complete_resource(tree, variables, problems);
}

/// What the built-in configuration gets besides Prometheus, as TOML to be merged over it; `None` when no variable
/// names an endpoint.
pub fn built_in(look_up: LookUp<'_>, problems: &mut Problems) -> Option<String> {
    let variables = Variables { look_up };
    if variables.get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return None;
    }
    let apart = OWN.iter().any(|signal| !variables.of_signal(*signal).is_empty());
    let mut tables = String::new();
    let mut pipelines = String::new();
    for signal in OWN {
        let name = signal.name();
        let exporter = format!("OTEL_{}_EXPORTER", name.to_ascii_uppercase());
        if variables.get(&exporter).is_some_and(|value| value == "none") {
            continue;
        }
        let Some(kind) = variables.protocol(signal, problems) else { continue };
        let id = if apart { format!("\"{kind}/{name}\"") } else { kind.to_owned() };
        let table = format!("[exporters.{id}]\n");
        if !tables.contains(&table) {
            tables += &table;
        }
        let quoted = if apart { id } else { format!("\"{id}\"") };
        pipelines += &match signal {
            Signal::Metrics => format!("[service.pipelines.metrics]\nexporters = [\"prometheus\", {quoted}]\n"),
            _ => format!(
                "[service.pipelines.traces]\nreceivers = [\"ebpf_sip\"]\nprocessors = [\"dialog\", \"enrich\"]\n\
                 exporters = [{quoted}]\n"
            ),
        };
    }
    (!pipelines.is_empty()).then(|| tables + &pipelines)
}

/// The signals of pipelines. Log records leave beside traces.
const OWN: [Signal; 2] = [Signal::Metrics, Signal::Traces];

#[derive(Clone, Copy)]
struct Variables<'a> {
    look_up: LookUp<'a>,
}

impl Variables<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.look_up)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The first of these that is set, with its name.
    fn first(&self, names: impl IntoIterator<Item = String>) -> Option<(String, String)> {
        names.into_iter().find_map(|name| self.get(&name).map(|value| (name, value)))
    }

    /// Variables of one signal that are set.
    fn of_signal(&self, signal: Signal) -> Vec<String> {
        let suffixes = KEYS.iter().map(|key| key.suffix).chain(["ENDPOINT", "PROTOCOL"]);
        suffixes.map(|suffix| variable(Some(signal), suffix)).filter(|name| self.get(name).is_some()).collect()
    }

    /// The type of exporter the built-in configuration uses for a signal; `None` without an endpoint.
    fn protocol(&self, signal: Signal, problems: &mut Problems) -> Option<&'static str> {
        let own_then_general = |suffix| [variable(Some(signal), suffix), variable(None, suffix)];
        let (_, endpoint) = self.first(own_then_general("ENDPOINT"))?;
        let Some((name, protocol)) = self.first(own_then_general("PROTOCOL")) else {
            let grpc = endpoint.trim_end_matches('/').ends_with(":4317");
            return Some(if grpc { GRPC } else { HTTP });
        };
        match protocol.as_str() {
            "grpc" => Some(GRPC),
            "http/protobuf" => Some(HTTP),
            _ => {
                let what = format!("{protocol:?} is no protocol that is spoken here");
                problems.error_at(&Place::file(&name), "", what, "set it to `grpc` or `http/protobuf`");
                None
            }
        }
    }
}

fn variable(signal: Option<Signal>, suffix: &str) -> String {
    let signal = signal.map_or(String::new(), |signal| format!("{}_", signal.name().to_ascii_uppercase()));
    format!("OTEL_EXPORTER_OTLP_{signal}{suffix}")
}

/// A key that a variable fills.
struct Key {
    suffix: &'static str,
    path: &'static [&'static str],
    form: Form,
}

/// How a variable's value is written in a file.
#[derive(Clone, Copy)]
enum Form {
    Text,
    /// A whole number of milliseconds.
    Milliseconds,
    /// `name=value,...`
    Pairs,
}

const KEYS: &[Key] = &[
    Key { suffix: "HEADERS", path: &["headers"], form: Form::Pairs },
    Key { suffix: "COMPRESSION", path: &["compression"], form: Form::Text },
    Key { suffix: "TIMEOUT", path: &["timeout"], form: Form::Milliseconds },
    Key { suffix: "INSECURE", path: &["tls", "insecure"], form: Form::Text },
    Key { suffix: "CERTIFICATE", path: &["tls", "ca_file"], form: Form::Text },
    Key { suffix: "CLIENT_KEY", path: &["tls", "key_file"], form: Form::Text },
    Key { suffix: "CLIENT_CERTIFICATE", path: &["tls", "cert_file"], form: Form::Text },
];

/// One exporter being completed.
struct Completion<'a> {
    id: &'a str,
    kind: &'static str,
    carries: Vec<Signal>,
    variables: Variables<'a>,
    tree: &'a mut Node,
    problems: &'a mut Problems,
}

impl Completion<'_> {
    fn run(mut self) {
        let only = if let [signal] = self.carries[..] { Some(signal) } else { None };
        self.endpoints(only);
        for key in KEYS {
            // Of a file's own, given in another way.
            if key.path == ["tls", "ca_file"] && self.is_given(&["tls", "ca_pem"]) {
                continue;
            }
            let names = only.map(|signal| variable(Some(signal), key.suffix)).into_iter();
            self.fill(key.path, key.form, names.chain([variable(None, key.suffix)]));
        }
        if self.carries.contains(&Signal::Metrics) {
            let preference = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE".to_owned();
            self.fill(&["temporality"], Form::Text, [preference]);
            let aggregation = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION".to_owned();
            self.fill(&["default_histogram_aggregation"], Form::Text, [aggregation]);
            self.fill(&["metric_export_interval"], Form::Milliseconds, ["OTEL_METRIC_EXPORT_INTERVAL".to_owned()]);
        }
        if only.is_none() {
            self.warn_of_unused();
        }
        self.check_endpoints();
    }

    fn endpoints(&mut self, only: Option<Signal>) {
        let general = variable(None, "ENDPOINT");
        if self.kind == GRPC {
            let names = only.map(|signal| variable(Some(signal), "ENDPOINT")).into_iter();
            return self.fill(&["endpoint"], Form::Text, names.chain([general]));
        }
        // What a file says of all signals comes before what a variable says of one.
        if !self.is_given(&["endpoint"]) {
            for signal in self.carries.clone().into_iter().chain(self.logs()) {
                self.fill(&[endpoint_key(signal)], Form::Text, [variable(Some(signal), "ENDPOINT")]);
            }
        }
        self.fill(&["endpoint"], Form::Text, [general]);
    }

    fn logs(&self) -> Option<Signal> {
        self.carries.contains(&Signal::Traces).then_some(Signal::Logs)
    }

    /// Takes the first of the variables that is set for a key that is not given.
    fn fill(&mut self, path: &[&str], form: Form, names: impl IntoIterator<Item = String>) {
        if self.is_given(path) {
            return;
        }
        let Some((name, value)) = self.variables.first(names) else { return };
        let place = Place::file(&name);
        let value = match form {
            Form::Text if path == ["temporality"] => Value::Text(temporality(&value)),
            Form::Text => Value::Text(value),
            // What is no number is told of as it is.
            Form::Milliseconds if value.bytes().all(|byte| byte.is_ascii_digit()) => Value::Text(value + "ms"),
            Form::Milliseconds => Value::Text(value),
            Form::Pairs => match pairs::parse(&value) {
                Some(pairs) => table(pairs, &place),
                None => {
                    let help = "write name=value, more behind commas, `%` and two digits for other characters";
                    return self.problems.error_at(&place, self.path(path), "it cannot be read", help);
                }
            },
        };
        let node = Node { value, place, variable: Some(name) };
        let path: Vec<&str> = ["exporters", self.id].iter().chain(path).copied().collect();
        remove_empty(self.tree, &path);
        self.tree.set_default(&path, node);
    }

    fn warn_of_unused(&mut self) {
        let unused = self.carries.iter().flat_map(|signal| self.variables.of_signal(*signal));
        let taken = |name: &String| self.kind == HTTP && name.ends_with("_ENDPOINT") || name.ends_with("_PROTOCOL");
        for name in unused.filter(|name| !taken(name)).collect::<Vec<_>>() {
            let what = format!("`{}` does not use it, for it carries metrics and traces", self.id);
            let help = "define an exporter for each, or set the variable without the signal in its name";
            self.problems.warning_at(&Place::file(&name), self.path(&[]), what, help);
        }
    }

    fn check_endpoints(&mut self) {
        for signal in self.carries.clone() {
            let own = self.kind == HTTP && self.is_given(&[endpoint_key(signal)]);
            if !own && !self.is_given(&["endpoint"]) {
                let path = self.path(&["endpoint"]);
                let steps = self.steps(&["endpoint"]);
                let place = self.tree.nearest(&steps).clone();
                let what = format!("nothing says where {} go", signal.name());
                return self.problems.error_at(&place, path, what, "write it, or set OTEL_EXPORTER_OTLP_ENDPOINT");
            }
        }
    }

    /// A value stands there, other than an empty text.
    fn is_given(&self, path: &[&str]) -> bool {
        let node = self.tree.at(&self.steps(path));
        node.is_some_and(|node| !matches!(&node.value, Value::Text(text) if text.is_empty()))
    }

    fn steps(&self, path: &[&str]) -> Vec<Step> {
        ["exporters", self.id].iter().chain(path).map(|key| Step::Key((*key).to_owned())).collect()
    }

    fn path(&self, path: &[&str]) -> String {
        path_text(&self.steps(path))
    }
}

const fn endpoint_key(signal: Signal) -> &'static str {
    match signal {
        Signal::Metrics => "metrics_endpoint",
        Signal::Traces => "traces_endpoint",
        Signal::Logs => "logs_endpoint",
    }
}

/// As the variable's words are written in a file: every counter and histogram here is one of those that `lowmemory`
/// makes delta.
fn temporality(value: &str) -> String {
    match value.to_ascii_lowercase().as_str() {
        "lowmemory" => "delta".to_owned(),
        other => other.to_owned(),
    }
}

/// An empty text is as good as nothing.
fn remove_empty(tree: &mut Node, path: &[&str]) {
    let Some((key, above)) = path.split_last() else { return };
    let mut node = tree;
    for key in above {
        let Some(next) = node.entries_mut().find(|(name, _)| name == key).map(|(_, next)| next) else { return };
        node = next;
    }
    node.remove_if(key, |node| matches!(&node.value, Value::Text(text) if text.is_empty()));
}

fn table(pairs: Vec<(String, String)>, place: &Place) -> Value {
    let mut table = Node::empty(place.clone());
    for (key, value) in pairs {
        table.put(&key, Node::new(Value::Text(value), place.clone()));
    }
    table.value
}

fn protocol(id: &str) -> Option<&'static str> {
    let id = ComponentId::parse(id)?;
    [GRPC, HTTP].into_iter().find(|kind| *kind == id.kind())
}

/// Names of all exporters.
fn exporters(tree: &mut Node) -> Vec<String> {
    let lists = tree.entries_mut().filter(|(name, _)| *name == "exporters");
    lists.flat_map(|(_, list)| list.entries_mut().map(|(id, _)| id.to_owned()).collect::<Vec<_>>()).collect()
}

/// What the pipelines with an exporter carry, as far as they can be read.
fn carried(tree: &Node, id: &str) -> Vec<Signal> {
    let pipelines = tree.get("service").and_then(|service| service.node.get("pipelines"));
    let Some(Value::Table(pipelines)) = pipelines.map(|pipelines| &pipelines.node.value) else { return Vec::new() };
    let mut carried = Vec::new();
    for (name, pipeline) in pipelines {
        let Some(Value::List(names)) = pipeline.node.get("exporters").map(|list| &list.node.value) else { continue };
        if !names.iter().any(|name| matches!(&name.value, Value::Text(name) if name == id)) {
            continue;
        }
        let signal = match config::graph::Signal::of(name) {
            Some(config::graph::Signal::Metrics) => Signal::Metrics,
            Some(config::graph::Signal::Traces) => Signal::Traces,
            None => continue,
        };
        if !carried.contains(&signal) {
            carried.push(signal);
        }
    }
    carried
}

/// Attributes that nobody wrote: from `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, and what is known of the host.
fn complete_resource(tree: &mut Node, variables: Variables<'_>, problems: &mut Problems) {
    // Tables that nobody wrote stand where all of it does.
    tree.set_default(&["service", "telemetry", "resource"], Node::empty(tree.place.clone()));
    let mut add = |key: &str, value: String, place: &Place| {
        let node = Node::new(Value::Text(value), place.clone());
        tree.set_default(&["service", "telemetry", "resource", key], node);
    };
    const NAME: &str = "OTEL_SERVICE_NAME";
    if let Some(name) = variables.get(NAME) {
        add("service.name", name, &Place::file(NAME));
    }
    const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
    if let Some(text) = variables.get(ATTRIBUTES) {
        let place = Place::file(ATTRIBUTES);
        match pairs::parse(&text) {
            Some(pairs) => pairs.into_iter().for_each(|(key, value)| add(&key, value, &place)),
            None => {
                let help = "write name=value, more behind commas, `%` and two digits for other characters";
                problems.error_at(&place, "service.telemetry.resource", "it cannot be read", help);
            }
        }
    }
    for (key, value) in resource::built_in(&resource::machine_id(), &resource::host_name()) {
        add(key, value, &Place::file("built-in"));
    }
}

#[cfg(test)]
mod tests;
