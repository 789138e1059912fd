use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

use super::super::call::{Labels, tell};
use super::super::sample;
use super::*;

const LIMITS: Limits = Limits { min_items: 512, max_items: 2048, max_bytes: 7 << 19 };

fn resource() -> Resource {
    let attributes = vec![KeyValue { key: "service.name".to_owned(), ..KeyValue::default() }];
    Resource { attributes, ..Resource::default() }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope { name: "ringside".to_owned(), version: "0.1.0".to_owned(), ..Default::default() }
}

fn batcher(limits: Limits) -> Batcher {
    Batcher::new(&resource(), &scope(), limits)
}

/// A call of so many spans, each with a name of so many bytes.
fn told(spans: usize, bytes: usize) -> Told {
    let span = Span { name: "x".repeat(bytes), ..Span::default() };
    Told { spans: vec![span; spans], logs: Vec::new() }
}

fn decoded(payload: &Payload) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(payload.body.clone()).expect("a request")
}

fn items(batcher: &mut Batcher) -> Vec<u64> {
    batcher.ready().map(|payload| payload.items).collect()
}

#[test]
fn a_request_is_what_the_official_types_make_of_it() {
    let mut batcher = batcher(LIMITS);
    let told = tell(&sample::kept(sample::call()), Labels { carrier: "a", ua_type: "b" });
    batcher.add(&told, false);
    batcher.add(&told, false);
    batcher.flush();
    let payload = batcher.ready().next().expect("one request");
    let spans = [told.spans.clone(), told.spans.clone()].concat();
    let expected = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource()),
            scope_spans: vec![ScopeSpans { scope: Some(scope()), spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    };
    assert_eq!(decoded(&payload), expected);
    assert_eq!(payload.body, expected.encode_to_vec());
    assert_eq!((payload.signal, payload.items, payload.important), (Signal::Traces, 16, false));
    assert!(!batcher.is_waiting());
}

#[test]
fn log_records_go_their_own_way() {
    let mut batcher = batcher(LIMITS);
    let log = LogRecord { event_name: "sip.message".to_owned(), ..LogRecord::default() };
    batcher.add(&Told { spans: told(1, 1).spans, logs: vec![log.clone()] }, false);
    batcher.flush();
    let payloads: Vec<Payload> = batcher.ready().collect();
    assert_eq!(payloads.iter().map(|payload| payload.signal).collect::<Vec<_>>(), [Signal::Traces, Signal::Logs]);
    let expected = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource()),
            scope_logs: vec![ScopeLogs { scope: Some(scope()), log_records: vec![log], ..ScopeLogs::default() }],
            ..ResourceLogs::default()
        }],
    };
    assert_eq!(ExportLogsServiceRequest::decode(payloads[1].body.clone()).expect("a request"), expected);
}

#[test]
fn a_request_leaves_once_it_is_full_enough() {
    let mut batcher = batcher(Limits { min_items: 10, max_items: 20, ..LIMITS });
    batcher.add(&told(9, 1), false);
    assert!(items(&mut batcher).is_empty());
    batcher.add(&told(9, 1), false);
    assert_eq!(items(&mut batcher), [18]);
}

#[test]
fn a_call_that_would_make_it_too_full_begins_the_next() {
    let mut batcher = batcher(Limits { min_items: 10, max_items: 12, ..LIMITS });
    batcher.add(&told(9, 1), false);
    batcher.add(&told(5, 1), false);
    assert_eq!(items(&mut batcher), [9]);
    batcher.flush();
    assert_eq!(items(&mut batcher), [5]);
}

#[test]
fn a_call_is_not_cut_for_the_number_of_its_spans() {
    let mut batcher = batcher(Limits { min_items: 10, max_items: 12, ..LIMITS });
    batcher.add(&told(50, 1), false);
    assert_eq!(items(&mut batcher), [50]);
}

#[test]
fn failed_calls_have_requests_of_their_own() {
    let mut batcher = batcher(LIMITS);
    batcher.add(&told(3, 1), true);
    batcher.add(&told(4, 1), false);
    batcher.flush();
    let told: Vec<(u64, bool)> = batcher.ready().map(|payload| (payload.items, payload.important)).collect();
    assert_eq!(told, [(3, true), (4, false)]);
}

#[test]
fn no_request_is_above_its_most_bytes_and_no_span_is_lost() {
    let limits = Limits { max_bytes: 10_000, ..LIMITS };
    let mut batcher = batcher(limits);
    let mut sent = 0;
    for spans in 1..60 {
        batcher.add(&told(spans, 100 * (spans % 40) + 1), false);
        sent += spans as u64;
    }
    batcher.flush();
    let payloads: Vec<Payload> = batcher.ready().collect();
    assert!(payloads.iter().all(|payload| payload.body.len() <= limits.max_bytes));
    assert_eq!(payloads.iter().map(|payload| payload.items).sum::<u64>(), sent);
    for payload in &payloads {
        assert_eq!(decoded(payload).resource_spans[0].scope_spans[0].spans.len() as u64, payload.items);
    }
    assert_eq!(batcher.take_too_large(), [(Signal::Traces, 0), (Signal::Logs, 0)]);
}

#[test]
fn a_call_that_fits_no_request_together_with_others_goes_alone() {
    let mut batcher = batcher(Limits { max_bytes: 2000, ..LIMITS });
    batcher.add(&told(1, 1000), false);
    batcher.add(&told(1, 1500), false);
    assert_eq!(items(&mut batcher), [1]);
    batcher.add(&told(3, 1000), false);
    batcher.flush();
    assert_eq!(items(&mut batcher), [1, 1, 1, 1]);
}

#[test]
fn a_span_that_fits_no_request_is_counted_and_the_others_leave() {
    let mut batcher = batcher(Limits { max_bytes: 2000, ..LIMITS });
    let mut told = told(3, 10);
    told.spans[1].name = "x".repeat(3000);
    batcher.add(&told, false);
    batcher.flush();
    assert_eq!(items(&mut batcher), [2]);
    assert_eq!(batcher.take_too_large(), [(Signal::Traces, 1), (Signal::Logs, 0)]);
    assert_eq!(batcher.take_too_large(), [(Signal::Traces, 0), (Signal::Logs, 0)]);
}

#[test]
fn new_limits_hold_from_the_next_call_on() {
    let mut batcher = batcher(LIMITS);
    batcher.add(&told(5, 1), false);
    batcher.set_limits(Limits { min_items: 6, ..LIMITS });
    batcher.add(&told(1, 1), false);
    assert_eq!(items(&mut batcher), [6]);
}

#[test]
fn nothing_waits_where_nothing_came() {
    let mut batcher = batcher(LIMITS);
    batcher.add(&Told::default(), true);
    batcher.flush();
    assert!(!batcher.is_waiting());
    assert!(items(&mut batcher).is_empty());
}
