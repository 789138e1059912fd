//! `pipeline.toml` in the root: it runs as it is, shows every key with its default, and is right when a key
//! is taken out of its comment.

use std::fs;
use std::path::Path;

use crate::program::{Folder, run};

fn checked_in() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pipeline.toml");
    fs::read_to_string(path).expect("it stands in the root")
}

/// A line that is a key or a table in a comment: no space after the `#`.
fn hidden(line: &str) -> Option<&str> {
    line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '['))
}

fn is_header(line: &str) -> bool {
    line.starts_with('[') || hidden(line).is_some_and(|line| line.starts_with('['))
}

/// The table a line stands in, by its header.
fn table<'a>(lines: &[&'a str], number: usize) -> Option<&'a str> {
    let header = lines[..=number].iter().rev().find(|line| is_header(line))?;
    Some(hidden(header).unwrap_or(header).trim_matches(['[', ']']))
}

/// What is there together or not at all, for a component needs a place in a pipeline and a pipeline components, and an
/// extension needs to be named.
#[derive(Clone, Copy, PartialEq)]
enum Together {
    Traces,
    Console,
    Probes,
    Recorder,
}

/// With what a line, which stands in `table`, is there.
fn together(table: &str, content: &str) -> Option<Together> {
    match table {
        "processors.sampling" | "exporters.otlp_grpc" | "exporters.otlp_http" | "service.pipelines.traces" => {
            Some(Together::Traces)
        }
        "receivers.sip_probe" | "service.pipelines.\"metrics/probes\"" => Some(Together::Probes),
        "extensions.console" | "extensions.probe_endpoint" | "extensions.file_storage" => Some(Together::Console),
        "exporters.pcap" | "service.pipelines.\"metrics/recorder\"" => Some(Together::Recorder),
        "service" if content.starts_with("extensions") => Some(Together::Console),
        _ => None,
    }
}

/// The file with those lines out of their comments that make its tables stand, and those that `also` says.
fn uncommented(text: &str, with: Option<Together>, also: impl Fn(usize) -> bool) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let shown = lines.iter().enumerate().map(|(at, line)| match hidden(line) {
        Some(content) if with.is_some_and(|with| stands(&lines, at, with)) || also(at) => content,
        _ => line,
    });
    shown.collect::<Vec<_>>().join("\n")
}

/// Whether the tables of `with` do not stand without the line at `at`.
fn stands(lines: &[&str], at: usize, with: Together) -> bool {
    let (Some(content), Some(table)) = (hidden(lines[at]), table(lines, at)) else { return false };
    let needed = is_header(lines[at])
        || ["endpoint", "extensions", "targets", "modules", "allow"].iter().any(|key| content.starts_with(key))
        || table.starts_with("service.pipelines.");
    together(table, content) == Some(with) && needed
}

fn effective(text: &str) -> Result<toml::Table, String> {
    let folder = Folder::new();
    folder.write("pipeline.toml", text);
    let outcome = run(folder.path(), &["print-config"]);
    match outcome.code {
        0 => Ok(outcome.stdout.parse().expect("it prints TOML")),
        _ => Err(outcome.stderr),
    }
}

/// Keys whose line shows an example, because there is no default worth showing.
const EXAMPLES: [&str; 30] = [
    "user",
    "tls_server_config.client_auth_type",
    "tls_server_config.min_version",
    "telemetry.logs.processors",
    "telemetry.metrics.readers",
    "telemetry.traces.processors",
    "sending_queue.storage",
    "buckets",
    "tls_server_config.cert_file",
    "tls_server_config.key_file",
    "tls_server_config.client_ca_file",
    "basic_auth_users",
    "services",
    "codecs",
    "modules.default",
    "allow.cidrs",
    "allow.names",
    "targets",
    "username",
    "password_file",
    "carriers",
    "user_agents",
    "queues",
    "transaction_timeout",
    "telemetry.resource",
    "tls.ca_file",
    "tls.cert_file",
    "tls.key_file",
    "tls.server_name_override",
    "trace_url",
];

#[test]
fn what_the_readme_adds_for_traces_is_valid_beside_it() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(readme).expect("it stands in the root");
    let (_, rest) = readme.split_once("```toml\n").expect("it shows a configuration");
    let (added, _) = rest.split_once("```").expect("which ends");
    let folder = Folder::new();
    folder.write("pipeline.toml", checked_in());
    folder.write("traces.toml", added);
    let outcome = run(folder.path(), &["print-config", "--config", "pipeline.toml", "--config", "traces.toml"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert!(outcome.stdout.contains("[service.pipelines.traces]"), "{}", outcome.stdout);
}

#[test]
fn it_runs_capture_dialog_enrich_and_prometheus() {
    let table = effective(&checked_in()).expect("it is valid");
    let pipeline = &table["service"]["pipelines"]["metrics"];
    assert_eq!(pipeline["receivers"].to_string(), "[\"ebpf_sip\"]");
    assert_eq!(pipeline["processors"].to_string(), "[\"dialog\", \"enrich\"]");
    assert_eq!(pipeline["exporters"].to_string(), "[\"prometheus\"]");
    assert_eq!(table["processors"]["enrich"]["carriers"].to_string(), "[]");
}

#[test]
fn each_key_in_a_comment_is_right_and_shows_its_default() {
    let text = checked_in();
    let lines: Vec<&str> = text.lines().collect();
    let alone = |with| effective(&uncommented(&text, with, |_| false)).unwrap_or_else(|error| panic!("{error}"));
    let [plain, traced, shown, asked, recorded] =
        [None, Some(Together::Traces), Some(Together::Console), Some(Together::Probes), Some(Together::Recorder)]
            .map(alone);
    let mut count = 0;
    for (number, line) in lines.iter().enumerate().filter(|(_, line)| hidden(line).is_some()) {
        let table = table(&lines, number).expect("keys stand in tables");
        let with = together(table, hidden(line).unwrap_or(line));
        let is_of_files = table == "receivers.pcap";
        let header = (0..=number).rev().find(|at| is_header(lines[*at]));
        // A certificate is nothing without its key, and a user without the password.
        let pair = |at: usize| {
            [("#tls.cert_file", "#tls.key_file"), ("#username", "#password_file")].iter().any(|(one, other)| {
                lines[at].starts_with(other) && lines[number].starts_with(one)
                    || lines[at].starts_with(one) && lines[number].starts_with(other)
            })
        };
        let near = |at: usize| at.abs_diff(number) == 1;
        // Its keys make sense together.
        let is_server = |at: usize| lines[at].starts_with("#tls_server_config.");
        // The queue on disk is nothing without its extension.
        let extended = |at| line.starts_with("#sending_queue.storage") && stands(&lines, at, Together::Console);
        let also = |at| {
            at == number
                || Some(at) == header
                || near(at) && pair(at)
                || extended(at)
                || is_server(number) && is_server(at)
        };
        let changed = effective(&uncommented(&text, with, also));
        let changed = changed.unwrap_or_else(|error| panic!("line {}: {error}", number + 1));
        let is_example = EXAMPLES.iter().any(|key| line.starts_with(&format!("#{key} ")));
        if !is_of_files && !is_example {
            let expected = match with {
                None => &plain,
                Some(Together::Traces) => &traced,
                Some(Together::Console) => &shown,
                Some(Together::Probes) => &asked,
                Some(Together::Recorder) => &recorded,
            };
            assert_eq!(&changed, expected, "line {} shows another value than the default: {line}", number + 1);
        }
        count += 1;
    }
    assert!(count > 80, "only {count} keys found");
}

#[test]
fn all_keys_out_of_their_comments_are_right_together() {
    let text = checked_in();
    let all: Vec<&str> = text.lines().map(|line| hidden(line).unwrap_or(line)).collect();
    let table = effective(&all.join("\n")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(table["processors"]["dialog"]["transaction_timeout"].as_str(), Some("32s"));
}

#[test]
fn every_key_there_is_stands_in_it() {
    let text = checked_in();
    let all: Vec<&str> = text.lines().map(|line| hidden(line).unwrap_or(line)).collect();
    let written: toml::Table = all.join("\n").parse().expect("it is TOML");
    let table = effective(&all.join("\n")).unwrap_or_else(|error| panic!("{error}"));
    let mut missing = Vec::new();
    compare(&mut Vec::new(), &table, &written, &mut missing);
    assert_eq!(missing, Vec::<String>::new());
}

/// Adds the path of every key of `there` that `written` lacks.
fn compare(path: &mut Vec<String>, there: &toml::Table, written: &toml::Table, missing: &mut Vec<String>) {
    for (key, value) in there {
        path.push(key.clone());
        match (value, written.get(key)) {
            // Its keys are the operator's.
            _ if path.join(".") == "service.telemetry.resource" => {}
            (toml::Value::Table(there), Some(toml::Value::Table(written))) => compare(path, there, written, missing),
            (_, Some(_)) => {}
            (_, None) => missing.push(path.join(".")),
        }
        path.pop();
    }
}

#[test]
fn every_key_there_is_has_a_row_in_the_documentation() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = fs::read_to_string(path).expect("it is checked in");
    let all = checked_in().lines().map(|line| hidden(line).unwrap_or(line).to_owned() + "\n").collect::<String>();
    let table = effective(&all).unwrap_or_else(|error| panic!("{error}"));
    for (kind, component) in ["receivers", "processors", "exporters", "extensions"].iter().flat_map(|kind| {
        let section = table[*kind].as_table().expect("a section is a table");
        section.keys().map(move |component| (*kind, component))
    }) {
        let heading = format!("`[{kind}.{component}]`");
        let start = page.find(&heading).unwrap_or_else(|| panic!("no {heading}"));
        let rows = page[start + heading.len()..].split("\n`[").next().expect("a split has a first part");
        for key in keys(&table[kind][component]) {
            assert!(rows.contains(&format!("\n| `{key}` |")), "no row for `{key}` under {heading}");
        }
    }
}

/// Dotted paths of all values in a table.
fn keys(value: &toml::Value) -> Vec<String> {
    let toml::Value::Table(table) = value else { return vec![String::new()] };
    let below = |(key, value): (&String, &toml::Value)| {
        keys(value)
            .into_iter()
            .map(|rest| if rest.is_empty() { key.clone() } else { format!("{key}.{rest}") })
            .collect::<Vec<_>>()
    };
    table.iter().flat_map(below).collect()
}
