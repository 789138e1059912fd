//! `ringside run` on a capture file, pushing to a collector that is stopped and started.

use std::time::Duration;

use integration::collector::{Collector, Site, place};
use integration::exposition::{Exposition, Series};
use integration::ringside::{HTTP, Ringside};
use integration::scratch::Folder;
use integration::wait::{eventually, within};

use crate::calls::{self, CALLS};

/// Longer than it takes to write what is left.
const END: Duration = Duration::from_secs(20);

#[test]
fn over_grpc_a_collector_that_comes_and_goes_gets_what_was_counted() {
    comes_and_goes("otlp_grpc", "http://127.0.0.1:4317");
}

#[test]
fn over_http_a_collector_that_comes_and_goes_gets_what_was_counted() {
    comes_and_goes("otlp_http", "http://127.0.0.1:4318");
}

fn comes_and_goes(exporter: &str, endpoint: &str) {
    let Some((namespace, program)) = place(exporter) else { return };
    let folder = Folder::new("capture");
    let capture = calls::capture(&folder);
    let site = Site::new(&namespace, program);
    // One call in a request and one request at a time, so that the collector can be stopped in the middle.
    let config = format!(
        "[receivers.pcap]\nfiles = [{capture:?}]\n\
         [processors.dialog]\n[processors.enrich]\n\
         [exporters.prometheus]\nendpoint = \"{HTTP}\"\n\
         [exporters.{exporter}]\nendpoint = \"{endpoint}\"\nmetric_export_interval = \"200ms\"\n\
         retry_on_failure = {{ initial_interval = \"20ms\", max_interval = \"100ms\" }}\n\
         sending_queue = {{ num_consumers = 1, queue_size = \"64MiB\", batch = {{ min_size = 1, max_size = 1 }} }}\n\
         [service.pipelines.metrics]\nreceivers = [\"pcap\"]\nprocessors = [\"dialog\", \"enrich\"]\n\
         exporters = [\"prometheus\", \"{exporter}\"]\n\
         [service.pipelines.traces]\nreceivers = [\"pcap\"]\nprocessors = [\"dialog\", \"enrich\"]\n\
         exporters = [\"{exporter}\"]\n"
    );
    let mut ringside = Ringside::spawn(&namespace, &config, &[]);
    let counted = |name: &str| ringside.internal(&format!("otelcol_exporter_{name}")).unwrap_or(0.0);

    // Nobody is there: it goes on, and says that all is well.
    eventually("ringside serves", || ringside.health().ok().filter(|(status, _)| *status == 200));
    eventually("attempts", || (counted("retries") >= 3.0).then_some(()));
    assert_eq!(ringside.health().expect("it serves").0, 200);
    assert_eq!(counted("sent_spans"), 0.0);

    let first = site.start();
    eventually("the first spans arrive", || (counted("sent_spans") > 0.0).then_some(()));
    first.stop();
    let before = counted("sent_spans");
    let waiting = counted("queue_size");
    assert!(waiting > 0.0, "all {before} spans had arrived before the collector was stopped");
    let retries = counted("retries");
    eventually("further attempts", || (counted("retries") > retries + 3.0).then_some(()));

    let second = site.start();
    eventually("the queue is empty", || (counted("queue_size") == 0.0 && counted("sent_spans") > before).then_some(()));
    same_metrics(&ringside.scrape(), &second);
    for name in ["send_failed_spans", "enqueue_failed_spans", "send_failed_metric_points"] {
        assert_eq!(counted(name), 0.0, "{name}");
    }
    let sent = counted("sent_spans");
    ringside.signal(libc::SIGTERM);
    assert!(ringside.ended(END).success(), "{}", ringside.log());
    second.stop();

    let spans = site.spans();
    assert_eq!(spans.len() as f64, sent, "each span that was counted, and none besides");
    let roots: Vec<_> = spans.iter().filter_map(|span| span.outcome.as_deref()).collect();
    assert_eq!(roots.len(), CALLS);
    assert_eq!(roots.iter().filter(|outcome| **outcome == "busy").count(), calls::busy());
    let lines = ringside.log();
    let warnings = lines.lines().filter(|line| line.contains("does not arrive")).count();
    assert!((1..=2).contains(&warnings), "{lines}");
}

/// Waits until the collector shows every series that `/metrics` shows, with its value and labels, and no other. A ratio
/// that is undefined is the exception: it has no point.
#[track_caller]
pub fn same_metrics(scrape: &Exposition, collector: &Collector) {
    let mut differences = Vec::new();
    let same = within(END, || {
        let theirs = collector.scrape()?;
        differences = difference(scrape, &theirs);
        differences.is_empty().then_some(())
    });
    assert!(same.is_some(), "{}", differences.join("\n"));
}

fn difference(ours: &Exposition, theirs: &Exposition) -> Vec<String> {
    // What the program says of itself is not pushed.
    let is_told = |series: &&Series| !series.value.is_nan() && series.name.starts_with("sip_exporter_");
    let defined: Vec<_> = ours.series().iter().filter(is_told).collect();
    let pushed: Vec<_> = theirs.series().iter().filter(|series| series.name.starts_with("sip_exporter_")).collect();
    let found = |one: &Series, among: &[&Series], same: fn(&Series, &Series) -> bool| {
        among.iter().any(|other| same(one, other))
    };
    let missing = defined.iter().filter(|one| !found(one, &pushed, is_pushed));
    let made_up = pushed.iter().filter(|one| !found(one, &defined, |one, other| is_pushed(other, one)));
    let line = |what: &str, series: &Series| format!("{what}: {}{:?} {}", series.name, series.labels, series.value);
    missing.map(|one| line("missing", one)).chain(made_up.map(|one| line("made up", one))).collect()
}

/// The same series with the same value; the collector adds labels of its own.
fn is_pushed(ours: &Series, theirs: &Series) -> bool {
    let bound = |text: &str| text.parse::<f64>().ok();
    let same_label = |name: &str, value: &str| {
        let other = theirs.labels.get(name);
        other.is_some_and(|other| other == value || (name == "le" && bound(other) == bound(value)))
    };
    ours.name == theirs.name
        && ours.labels.iter().all(|(name, value)| same_label(name, value))
        && (ours.value - theirs.value).abs() <= ours.value.abs() * 1e-12
}
