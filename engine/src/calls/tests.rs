//! Calls on their way out: bounded, counted, and exemplars of what they were measured with.

use std::time::Duration;

use metrics::{Detail, Exposition, F, Format, Undefined};
use pipeline::call::Subject;
use pipeline::call::ladder::SpanId;
use pipeline::{Call, CallRecord, Measure, Reports, Slot};
use wire::Timestamp;

use super::*;

/// A call that was answered, of which nothing is known.
fn answered() -> CallRecord {
    CallRecord {
        call_id: "a".into(),
        trace_id: [1; 16],
        span: SpanId([1; 8]),
        outcome: "answered",
        status: Some(200),
        ..CallRecord::begun(Subject::Call, Timestamp::ZERO)
    }
}

fn measured(trace: u8, milliseconds: u64) -> Call {
    let mut record = answered();
    record.trace_id = [trace; 16];
    record.measured = vec![(Measure::FirstResponse, Duration::from_millis(milliseconds))];
    record.until = Timestamp::from_nanos(1_700_000_000_250_000_000);
    Call { record: Arc::new(record), threshold: None }
}

fn take(sink: &mut CallSink, calls: Vec<Call>) {
    let mut facts = Facts::default();
    facts.calls = calls;
    sink.take(&FrameBatch::default(), &facts);
}

fn refused(queue: &CallQueue) -> Vec<(String, f64)> {
    let mut told = Vec::new();
    queue.telemetry(&mut told);
    told.into_iter().map(|one| (one.labels[0].1.clone(), one.value)).collect()
}

#[test]
fn what_an_exporter_is_too_busy_for_is_counted_in_spans_and_nobody_waits() {
    let queue = Arc::new(CallQueue::new(2));
    let mut sink = CallSink::new([Arc::clone(&queue)], Arc::default(), Vec::new());
    take(&mut sink, (0..5).map(|trace| measured(trace, 1)).collect());
    let mut calls = queue.open().expect("nobody opened it before");
    assert!(queue.open().is_none());
    assert_eq!(calls.try_recv().map(|kept| kept.call.record.trace_id), Ok([0; 16]));
    assert_eq!(refused(&queue), [("exporter_busy".to_owned(), 3.0), ("exporter_ended".to_owned(), 0.0)]);
    drop(calls);
    take(&mut sink, vec![measured(9, 1)]);
    assert_eq!(refused(&queue)[1], ("exporter_ended".to_owned(), 1.0));
}

#[test]
fn a_queue_ends_when_every_shard_has() {
    let queue = Arc::new(CallQueue::new(2));
    let mut sink = CallSink::new([Arc::clone(&queue)], Arc::default(), Vec::new());
    queue.close();
    let mut calls = queue.open().expect("nobody opened it before");
    take(&mut sink, vec![measured(1, 1)]);
    drop(sink);
    assert!(calls.blocking_recv().is_some());
    assert!(calls.blocking_recv().is_none());
}

#[test]
fn the_newest_call_that_left_is_the_exemplar_of_its_bucket_in_openmetrics_alone() {
    let registry = Registry::new("sip");
    let set = registry.label_sets().intern("alpha", "yealink");
    let mut rows = registry.shard();
    for milliseconds in [7, 8, 33_000] {
        rows.observe(set, F::Ttr, 0, Duration::from_millis(milliseconds));
    }
    let queue = Arc::new(CallQueue::new(3));
    let mut sink = CallSink::new([Arc::clone(&queue)], Arc::clone(registry.label_sets()), vec![Arc::clone(&registry)]);
    let mut facts = Facts::default();
    facts.label(Slot(1), set);
    for (trace, milliseconds) in [(1, 7), (2, 8), (3, 33_000), (4, 7)] {
        let mut call = measured(trace, milliseconds);
        Arc::get_mut(&mut call.record).expect("nobody else has it").slot = Slot(1);
        facts.calls.push(call);
    }
    sink.take(&FrameBatch::default(), &facts);
    let text = |format| {
        Exposition::new(registry.snapshot_with(Detail { exemplars: true, ..Detail::default() }), format, Undefined::Nan)
            .into_text()
    };
    let openmetrics = text(Format::OpenMetrics);
    let exemplars: Vec<&str> =
        openmetrics.lines().filter(|line| line.contains('#') && !line.starts_with('#')).collect();
    let labels = r#"carrier="alpha",ua_type="yealink""#;
    let span = "0101010101010101";
    assert_eq!(
        exemplars,
        [
            // The fourth found the queue full: its trace does not exist.
            format!(
                "sip_ttr_bucket{{{labels},le=\"10.0\"}} 2 # {{trace_id=\"{}\",span_id=\"{span}\"}} 8 1700000000.250",
                "02".repeat(16)
            ),
            format!(
                "sip_ttr_bucket{{{labels},le=\"+Inf\"}} 3 # {{trace_id=\"{}\",span_id=\"{span}\"}} 33000 1700000000.250",
                "03".repeat(16)
            ),
        ]
    );
    assert!(!text(Format::Text).contains("trace_id"));
}
