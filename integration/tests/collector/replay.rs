//! `ringside replay --export`: a capture file into a collector.

use std::collections::BTreeMap;
use std::fs;
use std::process::Output;

use integration::collector::{Site, place};
use integration::exposition::Exposition;
use integration::ringside::binary;
use integration::scratch::Folder;
use testnet::{Namespace, skipped};

use crate::calls::{self, CALLS};
use crate::push::same_metrics;

#[test]
fn what_replay_prints_is_what_the_collector_gets() {
    for (exporter, endpoint) in [("otlp_grpc", "http://127.0.0.1:4317"), ("otlp_http", "http://127.0.0.1:4318")] {
        let Some((namespace, program)) = place(&format!("replay by {exporter}")) else { return };
        let folder = Folder::new("capture");
        let site = Site::new(&namespace, program);
        let collector = site.start();
        let output = replay(&namespace, &folder, exporter, endpoint);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{exporter}: {}: {said}", output.status);
        let printed = Exposition::parse(std::str::from_utf8(&output.stdout).expect("the exposition is UTF-8"));
        same_metrics(&printed, &collector);
        collector.stop();

        let text = fs::read_to_string(folder.join("calls.json")).expect("a line for each call");
        let calls = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        let field = |call: &serde_json::Value, key: &str| call[key].as_str().expect("a text").to_owned();
        let calls: BTreeMap<_, _> = calls.map(|call| (field(&call, "trace_id"), field(&call, "outcome"))).collect();
        let roots = site.spans().into_iter().filter_map(|span| Some((span.trace, span.outcome?)));
        assert_eq!(calls.len(), CALLS);
        assert_eq!(roots.collect::<BTreeMap<_, _>>(), calls);
    }
}

#[test]
fn a_collector_that_is_not_there_is_a_failure_with_a_count() {
    let namespace = match Namespace::new() {
        Ok(namespace) => namespace,
        Err(error) => return skipped("replay to nobody", &format!("network namespaces are refused: {error}")),
    };
    let folder = Folder::new("capture");
    let output = replay(&namespace, &folder, "otlp_grpc", "http://127.0.0.1:4317");
    assert_eq!(output.status.code(), Some(1));
    assert!(!output.stdout.is_empty(), "what was counted is printed all the same");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("spans"), "{said}");
}

/// Replays the capture of these tests; calls go to `calls.json`.
fn replay(namespace: &Namespace, folder: &Folder, exporter: &str, endpoint: &str) -> Output {
    let config = format!(
        "[receivers.pcap]\n[processors.dialog]\n\
         [exporters.{exporter}]\nendpoint = \"{endpoint}\"\n\
         retry_on_failure = {{ initial_interval = \"20ms\", max_elapsed_time = \"500ms\" }}\n\
         [service.pipelines.metrics]\nreceivers = [\"pcap\"]\nprocessors = [\"dialog\"]\nexporters = [\"{exporter}\"]\n\
         [service.pipelines.traces]\nreceivers = [\"pcap\"]\nprocessors = [\"dialog\"]\nexporters = [\"{exporter}\"]\n"
    );
    fs::write(folder.join("pipeline.toml"), config).expect("a configuration");
    let capture = calls::capture(folder);
    let mut command = namespace.command(binary());
    command.args(["replay", "--export", "--config", "pipeline.toml", "--calls", "calls.json"]).arg(capture);
    command.current_dir(folder.path()).output().expect("ringside starts")
}
