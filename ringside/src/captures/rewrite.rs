//! The configuration as commands over capture files run it: these in place of the pipelines' receivers.

use pipeline::config::node::Value;
use pipeline::config::{ComponentId, Node, Place};

use crate::cli::Captures;
use crate::settings::share_ports;

/// The receiver that reads files.
const PCAP: &str = "pcap";

/// Where an error would say that these values are written.
const PLACE: &str = "command line";

/// Changes a tree that is free of errors.
pub fn for_captures(tree: &mut Node, captures: &Captures) {
    tree.set_default(&["receivers", PCAP], Node::empty(Place::file(PLACE)));
    share_ports(tree);
    tree.put("receivers", Node::with(PCAP, pcap(tree, captures)));
    for (name, section) in tree.entries_mut() {
        match name {
            "service" => section.entries_mut().filter(|(key, _)| *key == "pipelines").for_each(|(_, pipelines)| {
                let receivers = || list(PLACE, [Value::Text(PCAP.to_owned())]);
                pipelines.entries_mut().for_each(|(_, pipeline)| pipeline.put("receivers", receivers()));
            }),
            "processors" => section.entries_mut().filter(|(id, _)| is_dialog(id)).for_each(|(_, dialog)| {
                // The user holds the file already: hiding its numbers from them protects nobody.
                let plain = Node::new(Value::Text("plain".to_owned()), Place::file(PLACE));
                dialog.set_default(&["calls", "privacy", "numbers"], plain);
            }),
            _ => {}
        }
    }
}

/// The table of the receiver: what was written of it, these files, and the ports of the command line.
fn pcap(tree: &Node, captures: &Captures) -> Node {
    let written = tree.get("receivers").and_then(|receivers| receivers.node.get(PCAP));
    let mut pcap = written.expect("an empty one was put there").node.clone();
    let files = captures.paths.iter().map(|path| Value::Text(path.display().to_string()));
    pcap.put("files", list(PLACE, files));
    if !captures.ports.is_empty() {
        let ports = captures.ports.iter().map(|port| Value::Integer((*port).into()));
        pcap.put("ports", list("--ports", ports));
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
