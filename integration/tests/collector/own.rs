//! The program's own log, numbers and spans, through OpenTelemetry's SDK.

use std::time::Duration;

use integration::collector::{Site, place};
use integration::exposition::Exposition;
use integration::ringside::{HTTP, Ringside};
use integration::scratch::Folder;
use integration::wait::eventually;

use crate::calls;

/// Longer than it takes to send what is left.
const END: Duration = Duration::from_secs(20);

#[test]
fn a_collector_is_told_about_the_program_too() {
    let Some((namespace, program)) = place("the program's own telemetry") else { return };
    let folder = Folder::new("capture");
    let capture = calls::capture(&folder);
    let site = Site::new(&namespace, program);
    let collector = site.start();
    let target = "exporter.otlp.endpoint = \"http://127.0.0.1:4317\"";
    let config = format!(
        "[receivers.pcap]\nfiles = [{capture:?}]\n[processors.dialog]\n[exporters.prometheus]\nendpoint = \"{HTTP}\"\n\
         [exporters.otlp_grpc]\nendpoint = \"http://127.0.0.1:4317\"\n\
         [service]\ntelemetry.logs.processors = [{{ batch = {{ {target} }} }}]\n\
         telemetry.metrics.readers = [{{ periodic = {{ interval = \"200ms\", {target} }} }}]\n\
         telemetry.traces.processors = [{{ batch = {{ {target} }} }}]\n\
         [service.pipelines.metrics]\nreceivers = [\"pcap\"]\nprocessors = [\"dialog\"]\nexporters = [\"prometheus\"]\n\
         [service.pipelines.traces]\nreceivers = [\"pcap\"]\nprocessors = [\"dialog\"]\nexporters = [\"otlp_grpc\"]\n"
    );
    let mut ringside = Ringside::start_with(&namespace, &config, &[]);
    let value = |scrape: &Exposition, name: &str| {
        let found = scrape.series().iter().filter(|series| series.name == name);
        found.map(|series| series.value).reduce(|sum, value| sum + value)
    };
    // The Collector's scrape page ends counters with `_total`.
    let packets = ringside.internal("otelcol_receiver_packets").expect("it has read the file");
    eventually("its numbers", || {
        let scrape = collector.scrape()?;
        let told = |name| value(&scrape, name);
        (told("otelcol_receiver_packets_total") >= Some(packets)
            && told("otelcol_config_last_reload_successful") == Some(1.0)
            && told("otelcol_process_memory_rss") > Some(1e6))
        .then_some(())
    });
    ringside.signal(libc::SIGHUP);
    eventually("it has read its configuration again", || {
        ringside.log().contains("configuration reloaded").then_some(())
    });
    ringside.signal(libc::SIGTERM);
    assert!(ringside.ended(END).success(), "{}", ringside.log());
    collector.stop();
    let names: Vec<String> = site.spans().into_iter().map(|span| span.name).collect();
    let count = |name: &str| names.iter().filter(|found| *found == name).count();
    assert_eq!(count("reload"), 1);
    assert!(count("deliver") > 0 && count("SIP call") > 0, "beside the calls");
    let logs = site.logs();
    assert!(logs.contains("configuration reloaded") && logs.contains("\"ringside\""), "{logs}");
}

#[test]
fn a_collector_that_is_not_there_keeps_nothing_waiting() {
    let Some((namespace, _)) = place("the program's own telemetry, without one") else { return };
    let folder = Folder::new("capture");
    let capture = calls::capture(&folder);
    let target = "exporter.otlp.endpoint = \"http://127.0.0.1:4317\"";
    let config = format!(
        "[receivers.pcap]\nfiles = [{capture:?}]\n[processors.dialog]\n[exporters.prometheus]\nendpoint = \"{HTTP}\"\n\
         [service]\nshutdown_timeout = \"3s\"\ntelemetry.logs.processors = [{{ batch = {{ {target} }} }}]\n\
         telemetry.metrics.readers = [{{ periodic = {{ interval = \"200ms\", {target} }} }}]\n\
         telemetry.traces.processors = [{{ batch = {{ {target} }} }}]\n\
         [service.pipelines.metrics]\nreceivers = [\"pcap\"]\nprocessors = [\"dialog\"]\nexporters = [\"prometheus\"]\n"
    );
    let mut ringside = Ringside::start_with(&namespace, &config, &[]);
    eventually("it counts", || (ringside.scrape().count("packets_total") > 0).then_some(()));
    ringside.signal(libc::SIGTERM);
    assert!(ringside.ended(END).success(), "{}", ringside.log());
}
