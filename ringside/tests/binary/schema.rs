//! `ringside print-schema`: it takes every configuration that is checked in, refuses what has wrong keys and types, and has the
//! same keys as the documentation.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::Value;

use crate::program::{Folder, run};

fn schema() -> Value {
    let folder = Folder::new();
    let outcome = run(folder.path(), &["print-schema"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    serde_json::from_str(&outcome.stdout).expect("it prints JSON")
}

fn validator() -> Validator {
    jsonschema::draft7::new(&schema()).expect("it is a schema of draft 7")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A configuration as an editor looks at it.
fn read(path: &Path) -> Option<Value> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let table: toml::Table = text.parse().ok()?;
    Some(serde_json::to_value(table).expect("a table can be JSON"))
}

/// What is wrong with a configuration, each with its place.
fn faults(validator: &Validator, instance: &Value) -> Vec<String> {
    validator.iter_errors(instance).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// The TOML files of a folder.
fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).expect("the folder is checked in");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    assert!(!paths.is_empty(), "{folder}");
    paths
}

#[test]
fn every_right_configuration_that_is_checked_in_is_taken() {
    let validator = validator();
    let mut paths = files("ringside/tests/config/good");
    paths.extend(CHECKED_IN.iter().map(|path| root().join(path)));
    for path in paths {
        let instance = read(&path).unwrap_or_else(|| panic!("{} is no TOML", path.display()));
        assert_eq!(faults(&validator, &instance), Vec::<String>::new(), "{}", path.display());
    }
}

const CHECKED_IN: [&str; 3] = ["pipeline.toml", "deploy/compose/ringside.toml", "ringside/src/default.toml"];

#[test]
fn the_one_that_shows_every_key_is_taken_with_all_of_them() {
    let text = fs::read_to_string(root().join("pipeline.toml")).expect("it is checked in");
    let shown = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => rest.to_owned(),
        _ => line.to_owned(),
    };
    let all: Vec<String> = text.lines().map(shown).collect();
    let table: toml::Table = all.join("\n").parse().expect("it is TOML");
    let instance = serde_json::to_value(table).expect("a table can be JSON");
    assert_eq!(faults(&validator(), &instance), Vec::<String>::new());
}

#[test]
fn what_has_a_wrong_key_type_or_word_is_refused_at_its_place() {
    let validator = validator();
    for (name, place) in [
        ("bad_duration", "/processors/dialog"),
        ("missing_name", "/processors/enrich/carriers"),
        ("port_out_of_range", "/receivers/ebpf_sip/ports"),
        ("unknown_component", "/receivers"),
        ("unknown_key", "/"),
        ("bad_service", "/service"),
        ("everything_at_once", "/receivers"),
        ("no_mistake_hides_another", "/processors/enrich/carriers/0"),
    ] {
        let path = root().join(format!("ringside/tests/config/wrong/{name}.toml"));
        let found = faults(&validator, &read(&path).expect("it is TOML"));
        assert!(found.iter().any(|fault| fault.starts_with(place)), "{name}: {found:#?}");
    }
}

#[test]
fn a_value_may_be_a_variable_where_it_is_no_text() {
    let validator = validator();
    let taken = |text: &str| {
        let table: toml::Table = text.parse().expect("it is TOML");
        validator.is_valid(&serde_json::to_value(table).expect("a table can be JSON"))
    };
    for text in [
        "receivers.ebpf_sip.ports = '${env:PORTS:-[5060]}'",
        "service.shards = '${env:SHARDS}'",
        "service.shards = '2'",
        "service.shutdown_timeout = '${env:TIME}'",
        "service.telemetry.logs.level = '${env:LEVEL:-info}'",
        "receivers.ebpf_sip.promiscuous = 'true'",
        "[receivers.'ebpf_sip/second']",
    ] {
        assert!(taken(text), "{text}");
    }
    for text in [
        "service.shards = 'two'",
        "service.telemetry.logs.level = 'loud'",
        "receivers.ebpf_sip.promiscuous = 'yes'",
        "[receivers.ebpf_sip2]",
        "exporters.prometheus.buckets = 1",
    ] {
        assert!(!taken(text), "{text}");
    }
}

/// Of every kind and type its keys, as `docs/configuration.md` writes them.
fn keys(schema: &Value, prefix: &str, out: &mut BTreeSet<String>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        out.insert(prefix.to_owned());
        return;
    };
    for (key, below) in properties {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        keys(below, &path, out);
    }
}

#[test]
fn the_documentation_has_a_row_for_each_key_and_none_for_another() {
    let page = fs::read_to_string(root().join("docs/configuration.md")).expect("it is checked in");
    let schema = schema();
    let mut wrong = Vec::new();
    for kind in ["receivers", "processors", "exporters", "extensions"] {
        let types = schema["properties"][kind]["patternProperties"].as_object().expect("a table");
        for (pattern, table) in types {
            let name = pattern.trim_start_matches('^').split('(').next().expect("a split has a first part");
            let heading = format!("`[{kind}.{name}]`");
            let start = page.find(&heading).unwrap_or_else(|| panic!("no {heading}"));
            let rows = page[start + heading.len()..].split("\n`[").next().expect("a split has a first part");
            let rows = rows.split("\n## ").next().expect("a split has a first part");
            let mut expected = BTreeSet::new();
            keys(table, "", &mut expected);
            let written =
                rows.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned));
            // Below some keys stand names that the operator gives.
            let of_operator = |row: &String| {
                expected.iter().find(|key| row.strip_prefix(*key).is_some_and(|rest| rest.starts_with('.')))
            };
            let written: BTreeSet<String> = written.map(|row| of_operator(&row).cloned().unwrap_or(row)).collect();
            wrong.extend(expected.difference(&written).map(|key| format!("no row: {kind}.{name}.{key}")));
            wrong.extend(written.difference(&expected).map(|key| format!("no key: {kind}.{name}.{key}")));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}
