//! The checked-in dashboards are those of the source, and ask only for what is exported.

use std::collections::BTreeSet;
use std::fs;

use metrics::schema::families;

use super::{folder, rendered};

/// Metric names in a query that begin with `prefix`.
fn names<'a>(query: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    query.match_indices(prefix).map(move |(at, _)| {
        let rest = &query[at..];
        &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())]
    })
}

/// Every string in a JSON value that stands under `expr` or `query`.
fn queries(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(text) if name == "expr" || name == "query" => found.push(text.to_owned()),
                    _ => queries(value, found),
                }
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| queries(value, found)),
        _ => {}
    }
}

fn all_queries() -> Vec<String> {
    let mut found = Vec::new();
    for (_, json) in rendered(folder()).expect("the sources are dashboards") {
        queries(&serde_json::from_str(&json).expect("JSON"), &mut found);
    }
    found
}

#[test]
fn the_files_are_those_of_the_source() {
    for (path, json) in rendered(folder()).expect("the sources are dashboards") {
        let stored = fs::read_to_string(&path).unwrap_or_default();
        assert!(stored == json, "{} is stale: make dashboards", path.display());
    }
    let files = fs::read_dir(folder().join("grafana")).expect("a folder").count();
    let rendered = rendered(folder()).expect("the sources are dashboards");
    let here = rendered.iter().filter(|(path, _)| path.starts_with(folder().join("grafana"))).count();
    assert_eq!((files, rendered.len()), (here, here + 1), "a file without a source; one is with the daemon");
}

#[test]
fn every_metric_asked_for_is_exported() {
    let mut exported = BTreeSet::new();
    for family in families() {
        exported.insert(family.name.to_owned());
        if matches!(family.kind, metrics::Kind::Histogram(_)) {
            exported.remove(family.name);
            exported.extend(["bucket", "sum", "count"].map(|part| format!("{}_{part}", family.name)));
        }
    }
    let mut queries = all_queries();
    assert!(queries.len() > 100, "the queries are found");
    queries.push(fs::read_to_string(folder().join("../deploy/rules.yml")).expect("the alerts"));
    for query in &queries {
        for name in names(query, "sip_exporter_") {
            assert!(exported.contains(&name["sip_exporter_".len()..]), "{name} is not exported: {query}");
        }
    }
}

#[test]
fn every_series_is_filtered_by_what_the_reader_chose() {
    for query in all_queries() {
        for (at, _) in ["sip_exporter_", "otelcol_", "process_"].iter().flat_map(|prefix| query.match_indices(prefix)) {
            if query.starts_with("label_values") {
                continue;
            }
            let rest = &query[at..];
            let selector = &rest[..rest.find('}').unwrap_or(0)];
            assert!(selector.contains("instance=~\"$instance\""), "not filtered: {query}");
        }
    }
}

#[test]
fn panels_are_named_once_and_do_not_overlap() {
    for (path, json) in rendered(folder()).expect("the sources are dashboards") {
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let (mut titles, mut cells) = (BTreeSet::new(), BTreeSet::new());
        for panel in json["panels"].as_array().expect("panels") {
            let title = panel["title"].as_str().expect("a title");
            assert!(titles.insert(title), "{}: \"{title}\" is there twice", path.display());
            let place = |side: &str| panel["gridPos"][side].as_u64().expect("a place");
            assert!(place("x") + place("w") <= 24, "{title} is too wide");
            for x in place("x")..place("x") + place("w") {
                for y in place("y")..place("y") + place("h") {
                    assert!(cells.insert((x, y)), "{}: {title} covers another panel", path.display());
                }
            }
        }
    }
}
