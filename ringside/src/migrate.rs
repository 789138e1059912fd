//! `ringside migrate`: what sip-exporter is configured by, in, a `pipeline.toml` out.
//!
//! Its variables come as `NAME=value` lines (a file for `docker --env-file`, or the environment), its lists of carriers and
//! User-Agents as YAML. What has no counterpart is a warning; what is written is checked as `validate` does.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use engine::Catalogue;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::cli::{Configured, Migrate, Run};
use crate::failure::Failure;
use crate::settings;
use crate::show::{print, say};

/// Converts, and prints or writes what came of it. Warnings go to standard error.
pub fn migrate(catalogue: &Catalogue, arguments: &Migrate) -> Result<(), Failure> {
    let variables = match &arguments.env_file {
        Some(path) => variables(&read(path)?),
        None => std::env::vars().filter(|(name, _)| name.starts_with(PREFIX)).collect(),
    };
    let named = |path: &Option<std::path::PathBuf>, variable: &str| {
        path.clone().or_else(|| variables.get(variable).filter(|path| !path.is_empty()).map(Into::into))
    };
    let carriers = match named(&arguments.carriers, CARRIERS) {
        Some(path) => yaml::<Carriers>(&path)?.carriers,
        None => Vec::new(),
    };
    let agents = match named(&arguments.user_agents, USER_AGENTS) {
        Some(path) => yaml::<UserAgents>(&path)?.user_agents,
        None => Vec::new(),
    };
    if variables.is_empty() && carriers.is_empty() && agents.is_empty() {
        let text = "there is nothing to convert: give --env-file, --carriers or --user-agents, or set the variables (SIP_EXPORTER_...)";
        return Err(Failure::Usage(text.to_owned()));
    }
    let (table, warnings) = converted(&variables, carriers, agents);
    let text = format!("# Made by `ringside migrate` of the configuration of sip-exporter.\n{table}");
    let checked = tempfile::Builder::new().prefix("migrated").suffix(".toml").tempfile();
    let checked = checked.and_then(|file| fs::write(file.path(), &text).map(|()| file));
    let checked = checked.map_err(|error| Failure::Failed(format!("no file can be made to check it in: {error}")))?;
    let run = Run {
        configured: Configured { files: vec![checked.path().to_owned()], ..Configured::default() },
        set: Vec::new(),
    };
    warnings.iter().for_each(|warning| say(&format!("ringside: warning: {warning}\n")));
    match settings::load(&run, catalogue) {
        Ok(loaded) => loaded
            .warnings
            .iter()
            .for_each(|problem| say(&format!("ringside: warning: {}: {}\n", problem.path, problem.what))),
        Err(problems) => problems.iter().for_each(|problem| {
            say(&format!("ringside: to be mended by hand: {}: {}; {}\n", problem.path, problem.what, problem.help));
        }),
    }
    match &arguments.output {
        None => print(&text),
        Some(path) => write_new(path, &text),
    }
}

/// A configuration that is there is somebody's work.
fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write;
    let file = fs::OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
        Failure::Failed(format!(
            "{}: cannot be written: {error}; a file that is there is left as it is",
            path.display()
        ))
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Carriers {
    carriers: Vec<Carrier>,
}

#[derive(Debug, Deserialize)]
struct Carrier {
    name: String,
    #[serde(default)]
    cidrs: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct UserAgents {
    user_agents: Vec<UserAgent>,
}

#[derive(Debug, Deserialize)]
struct UserAgent {
    regex: String,
    label: String,
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::Usage(format!("{}: cannot be read: {error}", path.display())))
}

fn yaml<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    serde_saphyr::from_str(&read(path)?)
        .map_err(|error| Failure::Usage(format!("{}: not what sip-exporter reads: {error}", path.display())))
}

/// The variables of a file: a line each, `export` before it, quotes around the value and comments as shells have them.
fn variables(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| {
        let line = line.trim().trim_start_matches("export ").trim_start();
        let (name, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
        let value = value.trim();
        let bare = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        Some((name.trim().to_owned(), bare.unwrap_or(value).to_owned()))
    });
    lines.filter(|(name, _)| name.starts_with(PREFIX)).collect()
}

/// The configuration, and what is to be said of it.
fn converted(
    variables: &BTreeMap<String, String>,
    carriers: Vec<Carrier>,
    agents: Vec<UserAgent>,
) -> (Table, Vec<String>) {
    let mut warnings = Vec::new();
    let mut receiver = Table::new();
    let mut service = Table::new();
    let mut prometheus = Table::new();
    let mut ports: Vec<Value> = Vec::new();
    for (name, value) in variables.iter().filter(|(_, value)| !value.is_empty()) {
        match name.trim_start_matches(PREFIX) {
            "INTERFACE" => {
                let names = value.split(',').map(|name| Value::from(name.trim())).collect();
                receiver.insert("interfaces".to_owned(), Value::Array(names));
            }
            "SIP_PORT" | "SIPS_PORT" | "SIP_PORTS" => match read_ports(value) {
                Some(given) => {
                    for port in given {
                        if !ports.contains(&port) {
                            ports.push(port);
                        }
                    }
                }
                None => warnings.push(format!("{name}: {value:?} is no list of ports")),
            },
            "HTTP_PORT" => _ = prometheus.insert("endpoint".to_owned(), format!("0.0.0.0:{value}").into()),
            "LOGGER_LEVEL" => match value.to_ascii_lowercase().as_str() {
                level @ ("debug" | "info" | "warn" | "error") => {
                    let logs = Table::from_iter([("level".to_owned(), Value::from(level))]);
                    service.insert(
                        "telemetry".to_owned(),
                        Table::from_iter([("logs".to_owned(), Value::Table(logs))]).into(),
                    );
                }
                _ => warnings.push(format!("{name}: there is no level {value:?}; it stays \"info\"")),
            },
            CARRIERS_KEY | USER_AGENTS_KEY | "OBJECT_FILE_PATH" => {}
            "RTP_STREAM_TTL" => {
                warnings.push(format!("{name}: media are looked at where `media` is in a pipeline, see docs/media.md"))
            }
            _ => warnings.push(format!("{name} has no counterpart")),
        }
    }
    if !ports.is_empty() {
        receiver.insert("ports".to_owned(), Value::Array(ports));
    }
    let mut enrich = Table::new();
    let carriers = carriers.into_iter().map(|Carrier { name, cidrs }| {
        let cidrs = cidrs.into_iter().map(Value::from).collect();
        Table::from_iter([("name".to_owned(), Value::from(name)), ("cidrs".to_owned(), Value::Array(cidrs))]).into()
    });
    let agents = agents.into_iter().map(|UserAgent { regex, label }| {
        Table::from_iter([("regex".to_owned(), Value::from(regex)), ("label".to_owned(), Value::from(label))]).into()
    });
    for (key, list) in [("carriers", carriers.collect::<Vec<Value>>()), ("user_agents", agents.collect())] {
        if !list.is_empty() {
            enrich.insert(key.to_owned(), Value::Array(list));
        }
    }
    let names = |names: &[&str]| Value::Array(names.iter().copied().map(Value::from).collect());
    let pipeline = Table::from_iter([
        ("receivers".to_owned(), names(&["ebpf_sip"])),
        ("processors".to_owned(), names(&["dialog", "enrich"])),
        ("exporters".to_owned(), names(&["prometheus"])),
    ]);
    service.insert("pipelines".to_owned(), Table::from_iter([("metrics".to_owned(), Value::Table(pipeline))]).into());
    let section = |entries: Vec<(&str, Table)>| {
        Value::Table(entries.into_iter().map(|(name, table)| (name.to_owned(), Value::Table(table))).collect())
    };
    let whole = Table::from_iter([
        ("receivers".to_owned(), section(vec![("ebpf_sip", receiver)])),
        ("processors".to_owned(), section(vec![("dialog", Table::new()), ("enrich", enrich)])),
        ("exporters".to_owned(), section(vec![("prometheus", prometheus)])),
        ("service".to_owned(), Value::Table(service)),
    ]);
    (escaped(whole), warnings)
}

/// Texts are taken over as they are, and so are written as references want it.
fn escaped(table: Table) -> Table {
    fn escape(value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(config::written(&text).into_owned()),
            Value::Array(items) => Value::Array(items.into_iter().map(escape).collect()),
            Value::Table(table) => Value::Table(escaped(table)),
            other => other,
        }
    }
    table.into_iter().map(|(key, value)| (key, escape(value))).collect()
}

fn read_ports(value: &str) -> Option<Vec<Value>> {
    let ports = value.split(',').map(|port| port.trim().parse::<u16>().ok().map(|port| Value::from(i64::from(port))));
    ports.collect()
}

const PREFIX: &str = "SIP_EXPORTER_";
const CARRIERS: &str = "SIP_EXPORTER_CARRIERS_CONFIG";
const CARRIERS_KEY: &str = "CARRIERS_CONFIG";
const USER_AGENTS: &str = "SIP_EXPORTER_USER_AGENTS_CONFIG";
const USER_AGENTS_KEY: &str = "USER_AGENTS_CONFIG";
