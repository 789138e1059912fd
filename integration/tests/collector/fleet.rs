//! A call over a chain of proxies, each host with an instance of its own, into one collector: one tree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use integration::collector::{Site, Span, place};
use integration::ringside::{HTTP, Ringside, binary};
use integration::scratch::Folder;
use integration::wait::{eventually, within};
use ladder::endpoint::address;
use testnet::Namespace;

use crate::calls;

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
    let traces = traces(site.spans());
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

fn traces(spans: Vec<Span>) -> BTreeMap<String, Vec<Span>> {
    let mut traces: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    for span in spans {
        traces.entry(span.trace.clone()).or_default().push(span);
    }
    traces
}

/// Takes from agents, and answers them when the sink has it.
fn forwarder(port: u16) -> String {
    format!(
        "receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: '127.0.0.1:{port}' }} }} }} }}\n\
         exporters:\n  otlp:\n    endpoint: 127.0.0.1:{SINK}\n    tls: {{ insecure: true }}\n    timeout: 2s\n    \
         sending_queue: {{ enabled: false }}\n    retry_on_failure: {{ enabled: false }}\n\
         service:\n  telemetry: {{ metrics: {{ level: none }} }}\n  \
         pipelines: {{ traces: {{ receivers: [otlp], exporters: [otlp] }} }}\n"
    )
}

fn sink() -> String {
    format!(
        "receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: '127.0.0.1:{SINK}' }} }} }} }}\n\
         exporters: {{ file: {{ path: traces.json, append: true }} }}\n\
         service:\n  telemetry: {{ metrics: {{ level: none }} }}\n  \
         pipelines: {{ traces: {{ receivers: [otlp], exporters: [file] }} }}\n"
    )
}

/// An instance that follows a file as if it were live, with its queue on disk.
fn agent(number: u16, capture: &str, storage: &Folder, collector: u16) -> String {
    format!(
        "[receivers.pcap]\nfiles = [{capture:?}]\n[processors.dialog]\n\
         [exporters.prometheus]\nendpoint = \"127.0.0.{number}:{port}\"\n\
         [exporters.otlp_grpc]\nendpoint = \"http://127.0.0.1:{collector}\"\n\
         retry_on_failure = {{ initial_interval = \"20ms\", max_interval = \"100ms\", max_elapsed_time = \"0s\" }}\n\
         sending_queue = {{ storage = \"file_storage\", queue_size = \"64MiB\", batch = {{ min_size = 20, max_size = 20 }} }}\n\
         [extensions.file_storage]\ndirectory = {storage:?}\n\
         [processors.sampling]\nmax_traces_per_second = 100000\n\
         [service]\nextensions = [\"file_storage\"]\ntelemetry.resource = {{ \"service.instance.id\" = \"{number}\" }}\n\
         [service.pipelines.metrics]\nreceivers = [\"pcap\"]\nprocessors = [\"dialog\"]\nexporters = [\"prometheus\"]\n\
         [service.pipelines.traces]\nreceivers = [\"pcap\"]\nprocessors = [\"dialog\", \"sampling\"]\nexporters = [\"otlp_grpc\"]\n",
        port = HTTP.port(),
        storage = storage.path(),
    )
}

/// Three agents, two collectors, a sink; one of each ends while calls go on, agent and collector by a kill, and each span arrives.
#[test]
fn a_fleet_that_loses_one_of_each_loses_no_span() {
    let Some((namespace, program)) = place("a fleet") else { return };
    let folder = Folder::new("captures");
    let last = Site::with(&namespace, program, &sink(), &[SINK]);
    let [left, right] = [LEFT, RIGHT].map(|port| Site::with(&namespace, program, &forwarder(port), &[port]));
    let storages = [1, 2, 3].map(|_| Folder::new("queue"));
    let captures = ["a", "b", "c"].map(|prefix| {
        let one = Folder::new("capture");
        let from = calls::capture_of(&one, prefix);
        let to = folder.join(&format!("{prefix}.pcap"));
        fs::copy(from, &to).expect("a capture");
        to.to_str().expect("a path").to_owned()
    });
    let (sinks, lefts, rights) = (last.start(), left.start(), right.start());
    let start = |index: usize, capture: &str| {
        let number = index as u16 + 1;
        let collector = if index < 2 { LEFT } else { RIGHT };
        let endpoint = std::net::SocketAddr::from(([127, 0, 0, number as u8], HTTP.port()));
        Ringside::start_at(&namespace, &agent(number, capture, &storages[index], collector), endpoint)
    };
    let mut agents: Vec<Ringside<'_>> = (0..3).map(|index| start(index, &captures[index])).collect();
    let counted = |agent: &Ringside<'_>, name: &str| agent.internal(&format!("otelcol_exporter_{name}")).unwrap_or(0.0);

    // The collector of two agents dies while they send, and later the sink of all.
    eventually("spans arrive", || agents.iter().all(|agent| counted(agent, "sent_spans") > 0.0).then_some(()));
    drop(lefts);
    // Its file is written a second late: killed, it would lose what it has acknowledged.
    sinks.stop();
    eventually("the queues fill", || {
        agents.iter().all(|agent| counted(agent, "queue_size") > 0.0 && counted(agent, "retries") > 0.0).then_some(())
    });
    // Every call has ended and waits on disk; one of the agents is killed, and started anew with nothing to follow.
    let done = |agent: &Ringside<'_>| agent.scrape().count("sessions_ended_total{end=\"bye\"}") == ANSWERED;
    eventually("all calls have ended", || agents.iter().all(done).then_some(()));
    let mut before = -1.0;
    eventually("what was counted waits", || {
        std::thread::sleep(FLUSHED);
        let now = counted(&agents[0], "queue_size");
        std::mem::replace(&mut before, now).eq(&now).then_some(())
    });
    let sent_before = counted(&agents[0], "sent_spans");
    drop(agents.remove(0));
    let nothing = folder.join("nothing.pcap");
    fs::write(&nothing, ladder::pcap::write(&[], Duration::ZERO)).expect("an empty capture");
    let first = start(0, nothing.to_str().expect("a path"));
    let (sinks, lefts) = (last.start(), left.start());
    agents.insert(0, first);
    let arrived = within(END, || agents.iter().all(|agent| counted(agent, "queue_size") == 0.0).then_some(()));
    assert!(arrived.is_some(), "{}", agents.iter().map(Ringside::log).collect::<String>());
    let sent: Vec<f64> = agents.iter().map(|agent| counted(agent, "sent_spans")).collect();
    for agent in &mut agents {
        assert_eq!([counted(agent, "send_failed_spans"), counted(agent, "enqueue_failed_spans")], [0.0, 0.0]);
        agent.signal(libc::SIGTERM);
        assert!(agent.ended(END).success(), "{}", agent.log());
    }
    [lefts, rights, sinks].into_iter().for_each(integration::collector::Collector::stop);

    let spans = last.spans();
    assert_eq!(sent_before + sent[0], sent[2], "what the killed one sent in both lives is what the third one sent");
    assert_eq!(spans.len() as f64, 3.0 * sent[2], "each span that was due, once");
    for (trace, spans) in traces(spans) {
        let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
        assert_eq!(spans.iter().filter(|span| span.parent.is_empty()).count(), 1, "{trace} has one root");
        assert!(spans.iter().all(|span| span.parent.is_empty() || ids.contains(&*span.parent)), "{trace} is whole");
    }
}

/// Where the sink listens, and the two collectors before it.
const SINK: u16 = 4337;
const LEFT: u16 = 4347;
const RIGHT: u16 = 4357;
/// Calls of a capture that were answered.
const ANSWERED: u64 = (calls::CALLS - calls::CALLS / 5) as u64;
/// Longer than spans wait to be put together.
const FLUSHED: Duration = Duration::from_secs(2);
/// Longer than it takes to send what has waited.
const END: Duration = Duration::from_secs(60);

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
