//! A call over a chain of proxies, each host with an instance of its own, into one collector: one tree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use integration::collector::{Site, Span, place};
use integration::ringside::binary;
use integration::scratch::Folder;
use ladder::endpoint::address;
use testnet::Namespace;

#[test]
fn two_hosts_of_a_chain_send_one_tree() {
    one_tree(&["proxy", "dave"]);
}

#[test]
fn three_hosts_of_a_chain_send_one_tree() {
    one_tree(&["proxy", "dave", "bob"]);
}

fn one_tree(hosts: &[&str]) {
    let Some((namespace, program)) = place(&format!("a chain of {} hosts", hosts.len())) else { return };
    let site = Site::new(&namespace, program);
    let collector = site.start();
    for host in hosts {
        replay(&namespace, host, hosts);
    }
    collector.stop();
    let mut traces: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    for span in site.spans() {
        traces.entry(span.trace.clone()).or_default().push(span);
    }
    assert_eq!(traces.len(), 2, "the call and the registration");
    for spans in traces.values() {
        let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
        assert_eq!(ids.len(), spans.len(), "no span came twice");
        let names = |found: &dyn Fn(&&Span) -> bool| -> Vec<&str> {
            spans.iter().filter(found).map(|span| span.name.as_str()).collect()
        };
        assert_eq!(names(&|span| span.parent.is_empty()).len(), 1, "one root: {:?}", names(&|_| true));
        let orphans = names(&|span| !span.parent.is_empty() && !ids.contains(span.parent.as_str()));
        assert!(orphans.is_empty(), "below a span that nobody sent: {orphans:?}");
        let calls = names(&|span| span.name == "SIP call").len();
        assert!(calls == hosts.len() || calls == 0 && spans.len() == hosts.len(), "{:?}", names(&|_| true));
    }
}

/// What an instance on a host makes of what it saw.
fn replay(namespace: &Namespace, host: &str, fleet: &[&str]) {
    let folder = Folder::new("capture");
    let capture =
        ladder::pcap::seen_on(address(host).ip(), &ladder::play(ladder::CHAIN), Duration::from_secs(1_700_000_000));
    fs::write(folder.join("seen.pcap"), capture).expect("a capture");
    let observed: Vec<String> = fleet.iter().map(|name| format!("\"{}/32\"", address(name).ip())).collect();
    let config = format!(
        "[receivers.pcap]\n[processors.dialog]\n[processors.dialog.calls]\nobserved = [{}]\n\
         [exporters.otlp_grpc]\nendpoint = \"http://127.0.0.1:4317\"\n\
         [service.telemetry.resource]\n\"service.instance.id\" = \"{host}\"\n\
         [service.pipelines.traces]\nreceivers = [\"pcap\"]\nprocessors = [\"dialog\"]\nexporters = [\"otlp_grpc\"]\n",
        observed.join(", ")
    );
    fs::write(folder.join("pipeline.toml"), config).expect("a configuration");
    let mut command = namespace.command(binary());
    command.args(["replay", "--export", "--config", "pipeline.toml", "seen.pcap"]).current_dir(folder.path());
    let output = command.output().expect("ringside starts");
    assert!(output.status.success(), "{host}: {}", String::from_utf8_lossy(&output.stderr));
}
