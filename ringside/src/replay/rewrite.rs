//! The configuration as `replay` runs it: capture files in place of the pipelines' receivers.

use pipeline::config::node::Value;
use pipeline::config::{ComponentId, Node, Place};

use crate::cli::Replay;

/// The receiver that reads files.
const PCAP: &str = "pcap";
/// The receiver whose ports it takes over.
const LIVE: &str = "ebpf_sip";

/// Changes a tree that is free of errors.
pub fn for_replay(tree: &mut Node, replay: &Replay) {
    tree.put("receivers", Node::with(PCAP, pcap(tree, replay)));
    for (name, section) in tree.entries_mut() {
        match name {
            "service" => section.entries_mut().filter(|(key, _)| *key == "pipelines").for_each(|(_, pipelines)| {
                let receivers = || list("replay", [Value::Text(PCAP.to_owned())]);
                pipelines.entries_mut().for_each(|(_, pipeline)| pipeline.put("receivers", receivers()));
            }),
            "processors" => section.entries_mut().filter(|(id, _)| is_dialog(id)).for_each(|(_, dialog)| {
                // The user holds the file already: hiding its numbers from them protects nobody.
                let plain = Node::new(Value::Text("plain".to_owned()), Place::file("replay"));
                dialog.set_default(&["calls", "privacy", "numbers"], plain);
            }),
            _ => {}
        }
    }
}

/// The table of the receiver: what was written of it, these files, and ports of the command line, its own
/// or those of the live receiver.
fn pcap(tree: &Node, replay: &Replay) -> Node {
    let receiver = |id: &str| Some(&tree.get("receivers")?.node.get(id)?.node);
    let mut pcap = receiver(PCAP).cloned().unwrap_or_else(|| Node::empty(Place::file("replay")));
    let files = replay.captures.iter().map(|path| Value::Text(path.display().to_string()));
    pcap.put("files", list("replay", files));
    if !replay.ports.is_empty() {
        let ports = replay.ports.iter().map(|port| Value::Integer((*port).into()));
        pcap.put("ports", list("--ports", ports));
    }
    if let Some(ports) = receiver(LIVE).and_then(|live| live.get("ports")) {
        pcap.set_default(&["ports"], ports.node.clone());
    }
    pcap
}

fn is_dialog(id: &str) -> bool {
    ComponentId::parse(id).is_some_and(|id| id.kind() == "dialog")
}

fn list(place: &str, items: impl IntoIterator<Item = Value>) -> Node {
    let place = Place::file(place);
    let items = items.into_iter().map(|item| Node::new(item, place.clone())).collect();
    Node::new(Value::List(items), place)
}
