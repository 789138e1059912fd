//! The configuration as commands over capture files run it: these in place of the pipelines' receivers.

use config::Node;
use config::graph::Signal;
use config::node::Value;
use pipeline::ComponentId;
use pipeline::settings::Place;

use crate::cli::{Captures, Port};
use crate::settings::share_ports;

/// The receiver that reads files.
const PCAP: &str = "pcap";

/// The processor of affinity.
const AFFINITY: &str = "affinity";

/// The processor of media.
const MEDIA: &str = "media";

/// Where an error would say that these values are written.
const PLACE: &str = "command line";

/// Changes a tree that is free of errors.
pub fn for_captures(tree: &mut Node, captures: &Captures) {
    tree.set_default(&["receivers", PCAP], Node::empty(Place::file(PLACE)));
    share_ports(tree);
    tree.put("receivers", Node::with(PCAP, pcap(tree, captures)));
    if leave_out_probes(tree) {
        tree.set_default(&["processors", "dialog"], Node::empty(Place::file(PLACE)));
    }
    let services =
        tree.entries_mut().filter(|(name, _)| *name == "service").flat_map(|(_, service)| service.entries_mut());
    for (_, pipelines) in services.filter(|(key, _)| *key == "pipelines") {
        let receivers = || list(PLACE, [Value::Text(PCAP.to_owned())]);
        pipelines.entries_mut().for_each(|(_, pipeline)| pipeline.put("receivers", receivers()));
        add_metrics(pipelines);
    }
}

/// Nobody is asked: pipelines of probes alone are none, unless there is no other; that one then follows calls.
/// Says whether a `dialog` is needed for that.
fn leave_out_probes(tree: &mut Node) -> bool {
    let services =
        tree.entries_mut().filter(|(name, _)| *name == "service").flat_map(|(_, service)| service.entries_mut());
    let pipelines = services.filter(|(key, _)| *key == "pipelines").map(|(_, pipelines)| &mut pipelines.value);
    let Some(Value::Table(entries)) = pipelines.last() else { return false };
    let asks = |id: &Node| matches!(&id.value, Value::Text(id) if is(id, "sip_probe"));
    let only_asks = |pipeline: &Node| {
        let receivers = pipeline.get("receivers").map(|list| &list.node.value);
        matches!(receivers, Some(Value::List(ids)) if !ids.is_empty() && ids.iter().all(asks))
    };
    let all = !entries.is_empty() && entries.values().all(|entry| only_asks(&entry.node));
    let mut kept = false;
    entries.retain(|_, entry| {
        let keep = !only_asks(&entry.node) || (all && !std::mem::replace(&mut kept, true));
        if keep && all {
            entry.node.put("processors", list(PLACE, [Value::Text("dialog".to_owned())]));
        }
        keep
    });
    all
}

/// Has numbers shown unless the configuration says otherwise: the user holds the file already, so that hiding them
/// protects nobody.
pub fn with_numbers(tree: &mut Node) {
    for (_, section) in tree.entries_mut().filter(|(name, _)| *name == "processors") {
        section.entries_mut().filter(|(id, _)| is(id, "dialog")).for_each(|(_, dialog)| {
            dialog.set_default(&["calls", "privacy", "numbers"], text("plain"));
        });
    }
}

/// Has Call-IDs, addresses and numbers shown as they are.
pub fn without_privacy(tree: &mut Node) {
    for (_, section) in tree.entries_mut().filter(|(name, _)| *name == "processors") {
        for (_, dialog) in section.entries_mut().filter(|(id, _)| is(id, "dialog")) {
            dialog.set_default(&["calls", "privacy", "numbers"], text("plain"));
            let calls =
                dialog.entries_mut().filter(|(name, _)| *name == "calls").flat_map(|(_, calls)| calls.entries_mut());
            for (_, privacy) in calls.filter(|(name, _)| *name == "privacy") {
                ["numbers", "call_id", "ip"].into_iter().for_each(|key| privacy.put(key, text("plain")));
            }
        }
    }
}

/// Has media listened to in every metrics pipeline, with default settings where there are none.
pub fn with_media(tree: &mut Node) {
    add_processor(tree, MEDIA, |processors| processors.len());
}

/// Has balanced services looked at in every metrics pipeline, with default settings where there are none.
pub fn with_affinity(tree: &mut Node) {
    add_processor(tree, AFFINITY, |_| 0);
}

/// Puts a processor at a `place` in every metrics pipeline that follows calls and has none of its kind.
fn add_processor(tree: &mut Node, added: &str, place: impl Fn(&[Node]) -> usize) {
    tree.set_default(&["processors", added], Node::empty(Place::file(PLACE)));
    let services =
        tree.entries_mut().filter(|(name, _)| *name == "service").flat_map(|(_, service)| service.entries_mut());
    let pipelines = services.filter(|(key, _)| *key == "pipelines").flat_map(|(_, all)| all.entries_mut());
    let metrics = pipelines.filter(|(name, _)| Signal::of(name) == Some(Signal::Metrics));
    let lists = metrics.flat_map(|(_, pipeline)| pipeline.entries_mut()).filter(|(list, _)| *list == "processors");
    for (_, list) in lists {
        let Value::List(processors) = &mut list.value else { continue };
        let has = |kind: &str| processors.iter().any(|id| matches!(&id.value, Value::Text(id) if is(id, kind)));
        if has("dialog") && !has(added) {
            processors.insert(place(processors), text(added));
        }
    }
}

/// Whether a pipeline carries metrics.
pub fn has_metrics(tree: &Node) -> bool {
    let pipelines = tree.get("service").and_then(|service| service.node.get("pipelines"));
    let Some(Value::Table(pipelines)) = pipelines.map(|entry| &entry.node.value) else { return false };
    pipelines.keys().any(|name| Signal::of(name) == Some(Signal::Metrics))
}

/// Has records keep their messages, whatever becomes of these in traces.
pub fn with_messages(tree: &mut Node) {
    let of = |table: &'static str| move |(name, _): &(&str, &mut Node)| *name == table;
    let processors = tree.entries_mut().filter(of("processors")).flat_map(|(_, section)| section.entries_mut());
    let dialogs = processors.filter(|(id, _)| is(id, "dialog"));
    for (_, calls) in dialogs.flat_map(|(_, dialog)| dialog.entries_mut().filter(of("calls"))) {
        if calls.get("ladder").is_some() {
            calls.put("ladder", text("events"));
        }
    }
}

/// Has everything of calls shown that the configuration does not hide: numbers, messages, the messages themselves.
pub fn for_the_eye(tree: &mut Node) {
    with_numbers(tree);
    with_messages(tree);
    let hides = |calls: &Node| {
        let privacy = calls.get("privacy").map(|privacy| &privacy.node);
        ["numbers", "call_id", "ip"].into_iter().any(|key| {
            let value = privacy.and_then(|privacy| privacy.get(key)).map(|value| &value.node.value);
            matches!(value, Some(Value::Text(value)) if value != "plain")
        })
    };
    let processors = tree.get("processors").map(|processors| &processors.node.value);
    let hidden = match processors {
        Some(Value::Table(processors)) => processors
            .iter()
            .filter(|(id, _)| is(id, "dialog"))
            .any(|(_, dialog)| dialog.node.get("calls").is_some_and(|calls| hides(&calls.node))),
        _ => false,
    };
    if !hidden {
        with_raw(tree);
    }
}

/// Has records keep the messages themselves.
pub fn with_raw(tree: &mut Node) {
    for (_, section) in tree.entries_mut().filter(|(name, _)| *name == "processors") {
        for (_, dialog) in section.entries_mut().filter(|(id, _)| is(id, "dialog")) {
            dialog.set_default(&["calls", "raw"], text("full"));
            for (_, calls) in dialog.entries_mut().filter(|(name, _)| *name == "calls") {
                calls.put("raw", text("full"));
            }
        }
    }
}

/// Where calls are only traced, those that are not chosen would not be seen: a pipeline like the first, with all.
fn add_metrics(pipelines: &mut Node) {
    let mut metrics = None;
    for (name, pipeline) in pipelines.entries_mut() {
        match Signal::of(name) {
            Some(Signal::Metrics) => return,
            Some(Signal::Traces) => metrics = metrics.or_else(|| Some(pipeline.clone())),
            None => {}
        }
    }
    let Some(mut metrics) = metrics else { return };
    for (_, list) in metrics.entries_mut().filter(|(list, _)| *list == "processors") {
        if let Value::List(processors) = &mut list.value {
            processors.retain(|id| !matches!(&id.value, Value::Text(id) if is(id, "sampling")));
        }
    }
    pipelines.put("metrics", metrics);
}

/// The table of the receiver: what was written of it, these files, and the ports of the command line.
fn pcap(tree: &Node, captures: &Captures) -> Node {
    let written = tree.get("receivers").and_then(|receivers| receivers.node.get(PCAP));
    let mut pcap = written.expect("an empty one was put there").node.clone();
    let files = captures.paths.iter().map(|path| Value::Text(path.display().to_string()));
    pcap.put("files", list(PLACE, files));
    let numbers: Vec<Value> = captures
        .ports
        .iter()
        .filter_map(|port| match port {
            Port::Number(port) => Some(Value::Integer((*port).into())),
            Port::Any => None,
        })
        .collect();
    if !numbers.is_empty() {
        pcap.put("ports", list("--ports", numbers));
    }
    pcap
}

/// Whether an id is of a type of components.
fn is(id: &str, kind: &str) -> bool {
    ComponentId::parse(id).is_some_and(|id| id.kind() == kind)
}

fn text(value: &str) -> Node {
    Node::new(Value::Text(value.to_owned()), Place::file(PLACE))
}

fn list(place: &str, items: impl IntoIterator<Item = Value>) -> Node {
    let place = Place::file(place);
    let items = items.into_iter().map(|item| Node::new(item, place.clone())).collect();
    Node::new(Value::List(items), place)
}

#[cfg(test)]
mod tests {
    use config::Sources;
    use pipeline::settings::Problems;

    use super::*;

    fn tree(text: &str) -> Node {
        let sources =
            Sources { files: vec![("test".to_owned(), text.to_owned())], set: Vec::new(), may_be_unset: None };
        sources.load(&|_| None, &mut Problems::default()).expect("it is TOML")
    }

    fn texts(tree: &Node, path: &[&str]) -> Vec<String> {
        let node = path.iter().try_fold(tree, |node, key| Some(&node.get(key)?.node)).expect("it is there");
        let items = if let Value::List(items) = &node.value { items.iter().collect() } else { vec![node] };
        let text = |item: &Node| if let Value::Text(text) = &item.value { text.clone() } else { panic!("no text") };
        items.into_iter().map(text).collect()
    }

    #[test]
    fn where_calls_are_only_traced_all_of_them_are_shown() {
        let mut only_traces = tree(
            "service.pipelines.'traces/b' = { receivers = ['ebpf_sip'], \
             processors = ['dialog', 'enrich', 'sampling/few'], exporters = ['otlp_http/b'] }",
        );
        for_captures(&mut only_traces, &Captures::default());
        let metrics = ["service", "pipelines", "metrics"];
        assert_eq!(texts(&only_traces, &[&metrics[..], &["processors"]].concat()), ["dialog", "enrich"]);
        assert_eq!(texts(&only_traces, &[&metrics[..], &["receivers"]].concat()), ["pcap"]);
        assert_eq!(texts(&only_traces, &["service", "pipelines", "traces/b", "processors"]).len(), 3);

        let mut counted = tree("service.pipelines.'metrics/a' = {}\nservice.pipelines.traces = {}");
        for_captures(&mut counted, &Captures::default());
        assert!(counted.get("service").and_then(|all| all.node.get("pipelines")?.node.get("metrics")).is_none());
    }

    #[test]
    fn nobody_is_asked_while_files_are_read() {
        let pipelines = ["service", "pipelines"];
        let mut beside = tree(
            "service.pipelines.metrics = { receivers = ['ebpf_sip', 'sip_probe'], processors = ['dialog'] }\n\
             service.pipelines.'metrics/p' = { receivers = ['sip_probe'] }",
        );
        for_captures(&mut beside, &Captures::default());
        assert_eq!(texts(&beside, &[&pipelines[..], &["metrics", "receivers"]].concat()), ["pcap"]);
        let names = |tree: &Node| match &tree
            .get("service")
            .expect("it is there")
            .node
            .get("pipelines")
            .expect("they are")
            .node
            .value
        {
            Value::Table(entries) => entries.keys().cloned().collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(names(&beside), ["metrics"]);
        let mut alone = tree(
            "service.pipelines.'metrics/p' = { receivers = ['sip_probe'] }\n\
             service.pipelines.'metrics/q' = { receivers = ['sip_probe/2'] }",
        );
        for_captures(&mut alone, &Captures::default());
        assert_eq!(names(&alone), ["metrics/p"]);
        assert_eq!(texts(&alone, &[&pipelines[..], &["metrics/p", "processors"]].concat()), ["dialog"]);
        assert!(alone.get("processors").is_some_and(|all| all.node.get("dialog").is_some()));
    }

    #[test]
    fn media_are_listened_to_once_where_dialogs_are_followed() {
        let mut plain = tree(
            "processors.dialog = {}\nservice.pipelines.metrics.processors = ['dialog', 'enrich']\n\
             service.pipelines.'metrics/bare'.processors = []\n\
             service.pipelines.'metrics/own'.processors = ['dialog', 'media/mine']",
        );
        with_media(&mut plain);
        let processors = |pipeline: &str| texts(&plain, &["service", "pipelines", pipeline, "processors"]);
        assert_eq!(processors("metrics"), ["dialog", "enrich", "media"]);
        assert_eq!(processors("metrics/own"), ["dialog", "media/mine"]);
        assert_eq!(processors("metrics/bare"), Vec::<String>::new());
        assert!(plain.get("processors").is_some_and(|all| all.node.get("media").is_some()));
    }

    #[test]
    fn services_are_looked_at_before_dialogs_are_followed() {
        let mut plain = tree(
            "processors.dialog = {}\nservice.pipelines.metrics.processors = ['dialog', 'enrich']\n\
             service.pipelines.'metrics/own'.processors = ['affinity/mine', 'dialog']",
        );
        with_affinity(&mut plain);
        let processors = |pipeline: &str| texts(&plain, &["service", "pipelines", pipeline, "processors"]);
        assert_eq!(processors("metrics"), ["affinity", "dialog", "enrich"]);
        assert_eq!(processors("metrics/own"), ["affinity/mine", "dialog"]);
    }

    #[test]
    fn ladders_are_drawn_where_traces_have_none() {
        let mut off = tree("processors.'dialog/a'.calls = { ladder = 'off', emit = 'on_end' }\nprocessors.dialog = {}");
        with_messages(&mut off);
        assert_eq!(texts(&off, &["processors", "dialog/a", "calls", "ladder"]), ["events"]);
        assert_eq!(texts(&off, &["processors", "dialog/a", "calls", "emit"]), ["on_end"]);
    }
}
