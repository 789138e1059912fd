//! `replay --export`: what reaches a server, what is said when it does not, and what never leaves.

use std::collections::BTreeSet;
use std::net::TcpListener;

use hyper::StatusCode;
use ladder::Step;

use crate::backend::{Backend, texts};
use crate::program::{EPOCH, Folder, Outcome, run};

/// An answered call, one that fails, one that goes on, and two single requests of which one fails.
const CALLS: &str = "
     0.000  alice -> bob  INVITE sdp call=answered ua=Yealink
     0.040  alice <- bob  100 call=answered
     0.500  alice <- bob  180 call=answered
     4.000  alice <- bob  200 sdp call=answered
     4.010  alice -> bob  ACK call=answered
    64.000  alice -> bob  BYE call=answered
    64.020  alice <- bob  200 call=answered
    70.000  carol -> bob  INVITE call=failed
    70.100  carol <- bob  503 call=failed
    70.110  carol -> bob  ACK call=failed
    71.000  carol -> bob  OPTIONS call=fine
    71.010  carol <- bob  200 call=fine
    72.000  carol -> bob  REGISTER call=refused
    72.010  carol <- bob  403 call=refused
   100.000  carol -> bob  INVITE call=live
   100.100  carol <- bob  200 call=live
   100.110  carol -> bob  ACK call=live
";

/// Both signals to one server over HTTP.
fn configuration(endpoint: &str) -> String {
    format!(
        "
        [processors.dialog]
        [processors.enrich]
        carriers = [{{ name = 'alpha', cidrs = ['192.0.2.0/24', '10.0.0.0/8'] }}]
        [exporters.otlp_http]
        endpoint = '{endpoint}'
        [exporters.otlp_http.retry_on_failure]
        initial_interval = '10ms'
        max_interval = '10ms'
        max_elapsed_time = '50ms'
        [receivers.pcap]
        [service.pipelines.metrics]
        receivers = ['pcap']
        processors = ['dialog', 'enrich']
        exporters = ['otlp_http']
        [service.pipelines.traces]
        receivers = ['pcap']
        processors = ['dialog', 'enrich']
        exporters = ['otlp_http']
        "
    )
}

fn write(folder: &Folder, name: &str, steps: &[Step]) {
    folder.write(name, ladder::pcap::write(steps, EPOCH));
}

/// Replays `ladder` to `endpoint`.
fn export(folder: &Folder, ladder: &str, endpoint: &str, more: &[&str]) -> Outcome {
    write(folder, "calls.pcap", &ladder::play(ladder));
    folder.write("pipeline.toml", configuration(endpoint));
    run(folder.path(), &[&["replay", "calls.pcap", "--export"], more].concat())
}

#[test]
fn calls_and_metrics_arrive_before_it_ends() {
    let (folder, backend) = (Folder::new(), Backend::start());
    let outcome = export(&folder, CALLS, &backend.endpoint, &[]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    assert!(outcome.stdout.contains("sip_exporter_session_attempts_total{"), "metrics are printed as ever");
    let spans = backend.spans();
    let roots: Vec<_> = spans.iter().filter(|span| span.name == "SIP call").collect();
    let outcomes: BTreeSet<String> =
        roots.iter().map(|root| texts(&root.attributes)["sip.call.outcome"].clone()).collect();
    assert_eq!(outcomes, ["answered", "in_progress", "ineffective"].map(str::to_owned).into());
    let alone: Vec<&str> =
        spans.iter().map(|span| span.name.as_str()).filter(|name| ["OPTIONS", "REGISTER"].contains(name)).collect();
    assert_eq!(alone, ["REGISTER"], "single requests leave when they failed");
    let attempts = backend.metrics().into_iter().filter(|metric| metric.name == "sip_exporter_session_attempts_total");
    assert_eq!(attempts.count(), 1);
}

#[test]
fn a_call_arrives_with_its_ladder_and_its_labels() {
    let (folder, backend) = (Folder::new(), Backend::start());
    let outcome = export(&folder, CALLS, &backend.endpoint, &[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let spans = backend.spans();
    let answered = |span: &&opentelemetry_proto::tonic::trace::v1::Span| {
        span.name == "SIP call" && texts(&span.attributes)["sip.call_id"] == "answered"
    };
    let root = spans.iter().find(answered).expect("it was sent");
    let call: Vec<_> = spans.iter().filter(|span| span.trace_id == root.trace_id).collect();
    let names: Vec<(&str, usize)> = call.iter().map(|span| (span.name.as_str(), span.events.len())).collect();
    assert_eq!(names, [("SIP call", 0), ("INVITE", 4), ("BYE", 2), ("ringing", 0), ("session", 1)]);
    let attributes = texts(&root.attributes);
    assert_eq!((attributes["carrier"].as_str(), attributes["sip.call.duration"].as_str()), ("alpha", "60"));
    let resource = &backend.resources()[0];
    assert_eq!(texts(&resource.attributes)["service.name"], "ringside");
}

#[test]
fn messages_go_out_as_log_records_where_that_is_asked_for() {
    let (folder, backend) = (Folder::new(), Backend::start());
    let outcome = export(&folder, CALLS, &backend.endpoint, &["--set", "processors.dialog.calls.ladder=logs"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    let (spans, logs) = (backend.spans(), backend.logs());
    assert!(spans.iter().all(|span| span.events.is_empty()));
    let ids: BTreeSet<_> = spans.iter().map(|span| (&span.trace_id, &span.span_id)).collect();
    assert!(!logs.is_empty() && logs.iter().all(|log| ids.contains(&(&log.trace_id, &log.span_id))));
}

#[test]
fn a_server_that_refuses_is_a_failure_with_the_count() {
    let (folder, backend) = (Folder::new(), Backend::answering(StatusCode::BAD_REQUEST));
    let outcome = export(&folder, CALLS, &backend.endpoint, &[]);
    assert_eq!(outcome.code, 1);
    let last = outcome.stderr.lines().last().expect("it says why");
    assert!(last.contains("--export: not all has arrived: exporters.otlp_http: "), "{last}");
    assert!(last.contains(" spans, ") && last.contains(" data points"), "{last}");
    assert!(outcome.stdout.contains("sip_exporter_session_attempts_total{"));
}

#[test]
fn a_server_that_is_not_there_is_given_up() {
    let folder = Folder::new();
    let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("it listens").port();
    let outcome = export(&folder, CALLS, &format!("http://127.0.0.1:{port}"), &[]);
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    assert!(outcome.stderr.contains(" spans"), "{}", outcome.stderr);
}

#[test]
fn without_an_otlp_exporter_there_is_nowhere_to_push_to() {
    let folder = Folder::new();
    write(&folder, "calls.pcap", &ladder::play(CALLS));
    let outcome = run(folder.path(), &["replay", "calls.pcap", "--export"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""));
    assert!(outcome.stderr.contains("no pipeline has an OTLP exporter"), "{}", outcome.stderr);
}

#[test]
fn where_only_traces_are_configured_no_metrics_leave() {
    let (folder, backend) = (Folder::new(), Backend::start());
    write(&folder, "calls.pcap", &ladder::play(CALLS));
    let configuration = configuration(&backend.endpoint);
    let (head, tail) = configuration.split_once("[service.pipelines.metrics]").expect("it is there");
    let (_, traces) = tail.split_once("[service.pipelines.traces]").expect("it is there");
    folder.write("pipeline.toml", format!("{head}[service.pipelines.traces]{traces}"));
    let outcome = run(folder.path(), &["replay", "calls.pcap", "--export"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    assert!(!backend.spans().is_empty() && backend.metrics().is_empty());
}

/// Many more calls than wait in front of an exporter.
fn many_calls() -> String {
    let call = |n: u32| {
        format!(
            "{0}.000 alice -> bob INVITE call=c{n}\n{0}.100 alice <- bob 486 call=c{n}\n{0}.110 alice -> bob ACK call=c{n}\n",
            n / 5
        )
    };
    (0..1000).map(call).collect()
}

#[test]
fn reading_waits_for_sending_so_that_every_call_arrives() {
    let (folder, backend) = (Folder::new(), Backend::start());
    let outcome = export(&folder, &many_calls(), &backend.endpoint, &[]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    assert_eq!(backend.spans().iter().filter(|span| span.name == "SIP call").count(), 1000);
}

/// One call over a proxy.
const PROXIED: &str = "
     0.000  alice -> proxy INVITE sdp
     0.001  alice <- proxy 100
     0.002  proxy -> bob   INVITE fwd
     0.100  proxy <- bob   180
     0.101  alice <- proxy 180 fwd
     2.000  proxy <- bob   200 sdp
     2.001  alice <- proxy 200 fwd
     2.010  alice -> proxy ACK
     2.011  proxy -> bob   ACK fwd
     9.000  alice -> proxy BYE
     9.001  proxy -> bob   BYE fwd
     9.010  proxy <- bob   200 of=BYE
     9.011  alice <- proxy 200 fwd of=BYE
";

#[test]
fn two_observers_of_the_two_sides_of_a_proxy_make_one_trace() {
    let backend = Backend::start();
    let steps = ladder::play(PROXIED);
    for name in ["alice", "bob"] {
        let folder = Folder::new();
        let address = ladder::endpoint::address(name);
        let side: Vec<Step> =
            steps.iter().filter(|step| [step.source, step.destination].contains(&address)).cloned().collect();
        assert!(side.len() >= 6 && side.len() < steps.len());
        write(&folder, "side.pcap", &side);
        folder.write("pipeline.toml", configuration(&backend.endpoint));
        let instance = format!("service.telemetry.resource.\"service.instance.id\"=observer-of-{name}");
        let outcome = run(folder.path(), &["replay", "side.pcap", "--export", "--set", &instance]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    }
    let spans = backend.spans();
    let traces: BTreeSet<_> = spans.iter().map(|span| &span.trace_id).collect();
    let ids: BTreeSet<_> = spans.iter().map(|span| &span.span_id).collect();
    let roots: Vec<_> = spans.iter().filter(|span| span.parent_span_id.is_empty()).collect();
    assert_eq!((traces.len(), roots.len(), ids.len()), (1, 2, spans.len()));
    assert!(roots.iter().all(|root| root.name == "SIP call"));
    let parents: BTreeSet<_> = spans.iter().map(|span| &span.parent_span_id).filter(|id| !id.is_empty()).collect();
    assert!(parents.is_subset(&ids), "every parent was sent");
    let instances: BTreeSet<String> =
        backend.resources().iter().map(|one| texts(&one.attributes)["service.instance.id"].clone()).collect();
    assert_eq!(instances.len(), 2);
}

#[test]
fn one_observer_of_both_sides_shows_the_hop_below() {
    let (folder, backend) = (Folder::new(), Backend::start());
    let outcome = export(&folder, PROXIED, &backend.endpoint, &[]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    let spans = backend.spans();
    let invites: Vec<_> = spans.iter().filter(|span| span.name == "INVITE").collect();
    assert_eq!(invites.len(), 2);
    assert_eq!(invites[1].parent_span_id, invites[0].span_id);
    let byes: Vec<_> = spans.iter().filter(|span| span.name == "BYE").collect();
    assert_eq!(byes.len(), 2);
    assert_eq!(byes[1].parent_span_id, byes[0].span_id);
}
