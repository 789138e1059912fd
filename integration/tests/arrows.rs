//! Which crate may depend on which: every arrow between crates of the workspace points to a lower floor.
//!
//! What tests and benchmarks depend on besides (`dev-dependencies`) is free.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use toml::{Table, Value};

/// From the ground up. No crate knows another of its floor: no stage another, and none the engine.
const FLOORS: [&[&str]; 6] = [
    &["wire", "sip", "rtp", "endpoint", "ladder", "testnet"],
    &["affinity", "anonymize", "pipeline", "corpus"],
    &["config", "metrics", "intake", "call-views", "call-records", "recordings"],
    &["call-filter"],
    &[
        "engine",
        "receiver-ebpf-sip",
        "receiver-pcap",
        "receiver-sip-probe",
        "processor-dialog",
        "processor-enrich",
        "processor-sampling",
        "processor-media",
        "processor-affinity",
        "exporter",
        "extension-console",
        "call-screen",
    ],
    &["ringside", "steer", "dashboards", "integration"],
];

/// All that a processor may know of the workspace.
const OF_PROCESSORS: [&str; 6] = ["wire", "sip", "rtp", "affinity", "pipeline", "call-records"];

/// Crates, each with those it depends on, its own and others.
type Crates = BTreeMap<String, Vec<String>>;

fn manifest(path: &Path) -> Table {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Names of what a manifest, or its part for one platform, depends on, a renamed crate by its own name.
fn dependencies(table: &Table) -> Vec<String> {
    let lists = ["dependencies", "build-dependencies"].into_iter().filter_map(|list| table.get(list)?.as_table());
    let name = |(key, value): (&String, &Value)| {
        value.get("package").and_then(Value::as_str).map_or_else(|| key.clone(), str::to_owned)
    };
    let platforms = table.get("target").and_then(Value::as_table).into_iter().flatten();
    let theirs = platforms.filter_map(|(_, table)| table.as_table()).flat_map(dependencies);
    lists.flatten().map(name).chain(theirs).collect()
}

fn workspace() -> Crates {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let members = manifest(&root.join("Cargo.toml"))["workspace"]["members"].clone();
    let members = members.as_array().expect("a list of folders").iter();
    members
        .map(|folder| {
            let table = manifest(&root.join(folder.as_str().expect("a folder")).join("Cargo.toml"));
            let name = table["package"]["name"].as_str().expect("a name").to_owned();
            (name, dependencies(&table))
        })
        .collect()
}

fn floor(name: &str) -> Option<usize> {
    FLOORS.iter().position(|names| names.contains(&name))
}

/// What is wrong, a line each.
fn faults(crates: &Crates) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, dependencies) in crates {
        let Some(own) = floor(name) else {
            faults.push(format!("{name} stands on no floor"));
            continue;
        };
        for dependency in dependencies.iter().filter(|dependency| crates.contains_key(*dependency)) {
            if floor(dependency).is_some_and(|other| other >= own) {
                faults.push(format!("{name} depends on {dependency}, which is not below it"));
            }
            if name.starts_with("processor-") && !OF_PROCESSORS.contains(&dependency.as_str()) {
                faults.push(format!("{name} depends on {dependency}, which is not the contract"));
            }
        }
    }
    faults
}

#[test]
fn every_arrow_between_crates_points_down() {
    let crates = workspace();
    assert_eq!(faults(&crates), Vec::<String>::new());
    let gone = FLOORS.concat().into_iter().filter(|name| !crates.contains_key(*name));
    assert_eq!(gone.collect::<Vec<_>>(), Vec::<&str>::new(), "crates that are no more");
}

/// Everything of the workspace that a crate is built of.
fn built_of<'a>(crates: &'a Crates, name: &'a str) -> BTreeSet<&'a str> {
    let mut all = BTreeSet::from([name]);
    let mut next = vec![name];
    while let Some(name) = next.pop() {
        let parts = crates[name].iter().map(String::as_str).filter(|part| crates.contains_key(*part));
        next.extend(parts.filter(|part| all.insert(part)));
    }
    all
}

/// The collector cannot change a packet: what could is in no crate that it is built of.
#[test]
fn nothing_of_the_collector_can_steer() {
    let crates = workspace();
    assert!(!built_of(&crates, "ringside").contains("steer"));
    assert!(built_of(&crates, "ringside").contains("affinity"), "the model that changes nothing may be there");
}

#[test]
fn an_arrow_that_points_up_or_across_is_found() {
    let names = |names: &str| names.split_whitespace().map(str::to_owned).collect();
    let crates: Crates = [
        ("pipeline", "sip engine serde"),
        ("sip", ""),
        ("engine", "metrics exporter"),
        ("exporter", "pipeline"),
        ("metrics", "pipeline"),
        ("processor-enrich", "pipeline metrics"),
        ("attic", "engine"),
    ]
    .map(|(name, dependencies)| (name.to_owned(), names(dependencies)))
    .into();
    assert_eq!(
        faults(&crates),
        [
            "attic stands on no floor",
            "engine depends on exporter, which is not below it",
            "pipeline depends on engine, which is not below it",
            "processor-enrich depends on metrics, which is not the contract",
        ]
    );
}

#[test]
fn a_dependency_counts_by_its_own_name_on_every_platform() {
    let table: Table = r#"
        [dependencies]
        sip.workspace = true
        rows = { package = "metrics", path = "../metrics" }
        [target.'cfg(unix)'.dependencies]
        engine = { path = "../engine" }
        [dev-dependencies]
        ladder.workspace = true
    "#
    .parse()
    .expect("it is TOML");
    assert_eq!(dependencies(&table), ["metrics", "sip", "engine"]);
}
