//! One vector: its file in, capture, configuration and expected values out.

use std::path::PathBuf;

use serde_json::Value;

/// What a vector's file says.
pub struct Vector {
    pub title: String,
    pub capture: PathBuf,
    /// Values worked by hand.
    pub expected: Vec<Value>,
    /// Every series that is not zero.
    pub complete: Vec<Value>,
    configuration: Value,
}

impl Vector {
    #[track_caller]
    pub fn load(id: &str) -> Self {
        let folder = integration::shared::path("spec/public-vectors");
        let text = std::fs::read_to_string(folder.join(format!("{id}.json"))).expect("a vector");
        let vector: Value = serde_json::from_str(&text).expect("JSON");
        let list = |value: &Value| value.as_array().expect("a list").clone();
        Self {
            title: vector["title"].as_str().expect("a title").to_owned(),
            capture: folder.join(vector["file"].as_str().expect("a file")),
            expected: list(&vector["expect"]),
            complete: list(&vector["complete"]["metrics"]),
            configuration: vector["config"].clone(),
        }
    }

    /// The configuration file: carriers and user agents belong to enrich, everything else to dialog.
    pub fn configuration(&self) -> String {
        let mut enrich = String::new();
        let mut dialog = String::new();
        for (key, value) in self.configuration.as_object().expect("a table") {
            let section = if matches!(key.as_str(), "carriers" | "user_agents") { &mut enrich } else { &mut dialog };
            section.push_str(&format!("{key} = {}\n", toml(value)));
        }
        format!(
            "[receivers.ebpf_sip]\n[processors.dialog]\n{dialog}[processors.enrich]\n{enrich}[exporters.prometheus]\n\
             [service.pipelines.metrics]\nreceivers = [\"ebpf_sip\"]\n\
             processors = [\"dialog\", \"enrich\"]\nexporters = [\"prometheus\"]\n"
        )
    }
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
