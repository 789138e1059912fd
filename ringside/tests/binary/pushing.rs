//! `run` with OTLP exporters: metrics and calls of a file at a server, exemplars in a scrape, an end in time.

use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::metrics::v1::metric::Data;

use crate::backend::Backend;
use crate::program::{EPOCH, Folder, Running};
use crate::running::get;

/// A call that fails, and one that is up when the file ends.
const CALLS: &str = "
     0.000  alice -> bob  INVITE
     0.040  alice <- bob  100
     2.000  alice <- bob  503
     2.010  alice -> bob  ACK
    70.000  carol -> bob  INVITE call=second
    70.100  carol <- bob  200 call=second
    70.110  carol -> bob  ACK call=second
";

fn folder(endpoint: &str, more: &str) -> Folder {
    let folder = Folder::new();
    folder.write("a.pcap", ladder::pcap::write(&ladder::play(CALLS), EPOCH));
    let text = format!(
        "[receivers.pcap]\nfiles = ['a.pcap']\n[processors.dialog]\n[exporters.prometheus]\nendpoint = '127.0.0.1:0'\n\
         [exporters.otlp_http]\nendpoint = '{endpoint}'\n{more}\n[service.pipelines.metrics]\nreceivers = ['pcap']\n\
         processors = ['dialog']\nexporters = ['prometheus', 'otlp_http']\n[service.pipelines.traces]\n\
         receivers = ['pcap']\nprocessors = ['dialog']\nexporters = ['otlp_http']\n"
    );
    folder.write("run.toml", text);
    folder
}

const RUN: [&str; 3] = ["run", "--config", "run.toml"];

/// Asks until the answer is as wanted.
fn until(what: &str, mut fits: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !fits() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} never came");
        std::thread::yield_now();
    }
}

#[test]
fn calls_and_metrics_arrive_and_the_end_brings_what_is_open() {
    let backend = Backend::start();
    let folder = folder(&backend.endpoint, "sending_queue.batch.flush_timeout = '10ms'");
    let (running, announced) = Running::start(folder.path(), &RUN);
    assert!(announced.contains("/v1/traces (OTLP/HTTP)"), "{announced}");
    let named = |name: &str| backend.spans().iter().filter(|span| span.name == name).count();
    until("the call that failed", || named("SIP call") == 1);
    running.signal(libc::SIGTERM);
    let (status, log) = running.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(named("SIP call"), 2, "the one in progress leaves at the end");
    let metrics = backend.metrics();
    let attempts = metrics.iter().rfind(|metric| metric.name == "sip_exporter_session_attempts_total");
    let Some(Data::Sum(sum)) = attempts.and_then(|metric| metric.data.clone()) else { panic!("it is a sum") };
    use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
    assert_eq!(sum.data_points[0].value, Some(Value::AsInt(2)), "although an interval is a minute");
}

#[test]
fn delays_of_a_scrape_name_the_trace_that_left() {
    let backend = Backend::start();
    let folder = folder(&backend.endpoint, "sending_queue.batch.flush_timeout = '10ms'");
    let (running, announced) = Running::start(folder.path(), &RUN);
    until("the call that failed", || !backend.spans().is_empty());
    let trace: String = backend.spans()[0].trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    let scrape = get(&announced, "/metrics HTTP/1.1\r\nAccept: application/openmetrics-text\r\nX:");
    let exemplar = format!(" # {{trace_id=\"{trace}\",span_id=\"");
    let line =
        scrape.lines().find(|line| line.contains(&exemplar)).unwrap_or_else(|| panic!("{trace} not in\n{scrape}"));
    assert!(line.contains("_bucket{"), "{line}");
    assert!(!get(&announced, "/metrics").contains("trace_id"), "the older format has none");
    let numbers = get(&announced, "/internal/metrics");
    for line in [
        "otelcol_exporter_queue_capacity{exporter=\"otlp_http\"} 4194304",
        "otelcol_exporter_enqueue_failed_spans{exporter=\"otlp_http\",reason=\"exporter_busy\"} 0",
        "otelcol_exporter_send_failed_spans{exporter=\"otlp_http\"} 0",
    ] {
        assert!(numbers.contains(line), "{line} not in\n{numbers}");
    }
    running.signal(libc::SIGTERM);
    assert_eq!(running.end().0.code(), Some(0));
}

#[test]
fn a_server_that_is_not_there_costs_neither_health_nor_a_late_end() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("it is bound");
    let folder = folder(&format!("http://{nobody}"), "[service]\nshutdown_timeout = '2s'");
    let (running, announced) = Running::start(folder.path(), &RUN);
    assert!(get(&announced, "/health").starts_with("HTTP/1.1 200"));
    running.signal(libc::SIGTERM);
    let begun = Instant::now();
    let (status, log) = running.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(begun.elapsed() < Duration::from_secs(20), "it was to end within two");
}
