//! One vector: its file in, capture, configuration and expected values out.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// What a vector's file says.
pub struct Vector {
    pub id: String,
    pub title: String,
    pub capture: PathBuf,
    /// Values worked by hand.
    pub expected: Vec<Value>,
    /// Every series that is not zero, where all are listed.
    pub complete: Option<Vec<Value>>,
    /// Streams, intervals, reports and faults, where there are media.
    pub media: Value,
    configuration: Value,
}

impl Vector {
    /// One of a folder of `testdata/`.
    #[track_caller]
    pub fn load(folder: &str, id: &str) -> Self {
        let folder = testdata(folder);
        let vector = json(&folder.join(format!("{id}.json")));
        let text = |key: &str| vector[key].as_str().unwrap_or_else(|| panic!("{id} has no {key}")).to_owned();
        Self {
            id: text("id"),
            title: text("title"),
            capture: folder.join(text("file")),
            expected: vector["expect"].as_array().expect("a list").clone(),
            complete: vector["complete"]["metrics"].as_array().cloned(),
            media: vector["media"].clone(),
            configuration: vector["config"].clone(),
        }
    }

    /// All of a folder of `testdata/`, in order of their numbers.
    pub fn all(folder: &str) -> Vec<Self> {
        let files = fs::read_dir(testdata(folder)).expect("the folder is there");
        let id = |path: PathBuf| path.file_name()?.to_str()?.strip_suffix(".json").map(str::to_owned);
        let ids = files.filter_map(|entry| id(entry.expect("an entry").path())).filter(|id| id != "index");
        let mut vectors: Vec<Self> = ids.map(|id| Self::load(folder, &id)).collect();
        vectors.sort_by_key(|vector| vector.id[1..].parse::<u32>().expect("P and a number"));
        vectors
    }

    /// The configuration file: carriers and user agents belong to enrich, everything else to dialog.
    pub fn configuration(&self) -> String {
        let media = if self.media.is_null() { ("", "") } else { ("[processors.media]\n", ", \"media\"") };
        let mut enrich = String::new();
        let mut dialog = String::new();
        for (key, value) in self.configuration.as_object().expect("a table") {
            let section = if matches!(key.as_str(), "carriers" | "user_agents") { &mut enrich } else { &mut dialog };
            section.push_str(&format!("{key} = {}\n", toml(value)));
        }
        format!(
            "[receivers.ebpf_sip]\n[processors.dialog]\n{dialog}[processors.enrich]\n{enrich}{}[exporters.prometheus]\n\
             [service.pipelines.metrics]\nreceivers = [\"ebpf_sip\"]\n\
             processors = [\"dialog\", \"enrich\"{}]\nexporters = [\"prometheus\"]\n",
            media.0, media.1
        )
    }
}

fn testdata(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata").join(folder)
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A JSON value as TOML writes it on one line; only objects differ.
fn toml(value: &Value) -> String {
    match value {
        Value::Object(table) => {
            let entries: Vec<_> = table.iter().map(|(key, value)| format!("{key} = {}", toml(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(toml).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
