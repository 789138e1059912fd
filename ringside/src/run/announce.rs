//! What `run` tells on standard output once it runs: where to look, and what it captures.

use std::io::Write;

use engine::Engine;
use pipeline::{ComponentId, Health};

use crate::settings::Loaded;

/// Prints it. A closed standard output is no reason not to run.
pub fn announce(loaded: &Loaded, engine: &Engine) {
    let mut lines = engine.addresses();
    let kind = engine.status().capture().kind;
    for shard in &loaded.configuration.graph.shards {
        for receiver in shard.receivers.iter().filter(|_| !shard.shown_by.is_empty()) {
            lines.push(format!("probes   {receiver}: {}", whom(loaded, receiver)));
        }
        for receiver in shard.receivers.iter().filter(|_| shard.shown_by.is_empty()) {
            lines.push(format!("capture  {receiver} ({kind}): {}", what(loaded, receiver)));
        }
    }
    lines.push(format!("config   {}", loaded.files.join(", ")));
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{}", lines.join("\n")).and_then(|()| out.flush());
}

/// Whom a receiver that asks asks.
fn whom(loaded: &Loaded, receiver: &ComponentId) -> String {
    let targets = loaded.configuration.receivers[receiver].effective.get("targets").and_then(toml::Value::as_array);
    match targets.map_or(0, Vec::len) {
        1 => "1 target".to_owned(),
        count => format!("{count} targets"),
    }
}

/// The lists of a receiver's table: `interfaces any; ports 5060, 5061`. Where tunnels go to says nothing of SIP.
fn what(loaded: &Loaded, receiver: &ComponentId) -> String {
    let table = &loaded.configuration.receivers[receiver].effective;
    let lists = table.iter().filter(|(key, _)| key.as_str() != "vxlan_ports").filter_map(|(key, value)| {
        let text = |item: &toml::Value| item.as_str().map_or_else(|| item.to_string(), str::to_owned);
        let items: Vec<String> = value.as_array()?.iter().map(text).collect();
        (!items.is_empty()).then(|| format!("{key} {}", items.join(", ")))
    });
    lists.collect::<Vec<_>>().join("; ")
}
