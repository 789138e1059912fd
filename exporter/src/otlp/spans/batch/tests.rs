use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

use super::super::call::tell;
use super::super::encoder::Labels;
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

/// A batcher whose limits stay.
struct Bench {
    batcher: Batcher,
    limits: Limits,
}

fn bench(limits: Limits) -> Bench {
    Bench { batcher: Batcher::new(&resource(), &scope()), limits }
}

impl Bench {
    fn add(&mut self, encoded: &EncodedCall, failed: bool) {
        self.batcher.add(encoded, failed, self.limits);
    }

    fn flush(&mut self) {
        self.batcher.flush();
    }

    /// What left so far.
    fn sent(&mut self) -> Vec<Payload> {
        self.batcher.take_ready()
    }

    /// How many items each request had.
    fn items(&mut self) -> Vec<u64> {
        self.sent().iter().map(|payload| payload.items).collect()
    }
}

/// A call of so many spans, each with a name of so many bytes.
fn encoded(spans: usize, bytes: usize) -> EncodedCall {
    let span = Span { name: "x".repeat(bytes), ..Span::default() };
    EncodedCall { spans: vec![span; spans], logs: Vec::new() }
}

fn decoded(payload: &Payload) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(payload.body.clone()).expect("a request")
}

#[test]
fn a_request_is_what_the_official_types_make_of_it() {
    let mut bench = bench(LIMITS);
    let encoded = tell(&sample::kept(sample::call()), Labels { carrier: "a", ua_type: "b" });
    bench.add(&encoded, false);
    bench.add(&encoded, false);
    bench.flush();
    let payload = bench.sent().remove(0);
    let spans = [encoded.spans.clone(), encoded.spans.clone()].concat();
    let expected = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource()),
            scope_spans: vec![ScopeSpans { scope: Some(scope()), spans, schema_url: SCHEMA_URL.to_owned() }],
            schema_url: SCHEMA_URL.to_owned(),
        }],
    };
    assert_eq!(decoded(&payload), expected);
    assert_eq!(payload.body, expected.encode_to_vec());
    assert_eq!((payload.signal, payload.items, payload.important), (Signal::Traces, 16, false));
    assert!(!bench.batcher.is_waiting());
}

#[test]
fn log_records_go_their_own_way() {
    let mut bench = bench(LIMITS);
    let log = LogRecord { event_name: "sip.message".to_owned(), ..LogRecord::default() };
    bench.add(&EncodedCall { spans: encoded(1, 1).spans, logs: vec![log.clone()] }, false);
    bench.flush();
    let payloads = bench.sent();
    assert_eq!(payloads.iter().map(|payload| payload.signal).collect::<Vec<_>>(), [Signal::Traces, Signal::Logs]);
    let expected = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource()),
            scope_logs: vec![ScopeLogs {
                scope: Some(scope()),
                log_records: vec![log],
                schema_url: SCHEMA_URL.to_owned(),
            }],
            schema_url: SCHEMA_URL.to_owned(),
        }],
    };
    assert_eq!(ExportLogsServiceRequest::decode(payloads[1].body.clone()).expect("a request"), expected);
}

#[test]
fn a_request_leaves_once_it_is_full_enough() {
    let mut bench = bench(Limits { min_items: 10, max_items: 20, ..LIMITS });
    bench.add(&encoded(9, 1), false);
    assert!(bench.items().is_empty());
    bench.add(&encoded(9, 1), false);
    assert_eq!(bench.items(), [18]);
}

#[test]
fn a_call_that_would_make_it_too_full_begins_the_next() {
    let mut bench = bench(Limits { min_items: 10, max_items: 12, ..LIMITS });
    bench.add(&encoded(9, 1), false);
    bench.add(&encoded(5, 1), false);
    assert_eq!(bench.items(), [9]);
    bench.flush();
    assert_eq!(bench.items(), [5]);
}

#[test]
fn a_call_is_not_cut_for_the_number_of_its_spans() {
    let mut bench = bench(Limits { min_items: 10, max_items: 12, ..LIMITS });
    bench.add(&encoded(50, 1), false);
    assert_eq!(bench.items(), [50]);
}

#[test]
fn failed_calls_have_requests_of_their_own() {
    let mut bench = bench(LIMITS);
    bench.add(&encoded(3, 1), true);
    bench.add(&encoded(4, 1), false);
    bench.flush();
    let encoded: Vec<(u64, bool)> = bench.sent().iter().map(|payload| (payload.items, payload.important)).collect();
    assert_eq!(encoded, [(3, true), (4, false)]);
}

#[test]
fn no_request_is_above_its_most_bytes_and_no_span_is_lost() {
    let limits = Limits { max_bytes: 10_000, ..LIMITS };
    let mut bench = bench(limits);
    let mut sent = 0;
    for spans in 1..60 {
        bench.add(&encoded(spans, 100 * (spans % 40) + 1), false);
        sent += spans as u64;
    }
    bench.flush();
    let payloads = bench.sent();
    assert!(payloads.iter().all(|payload| payload.body.len() <= limits.max_bytes));
    assert_eq!(payloads.iter().map(|payload| payload.items).sum::<u64>(), sent);
    for payload in &payloads {
        assert_eq!(decoded(payload).resource_spans[0].scope_spans[0].spans.len() as u64, payload.items);
    }
    assert_eq!(bench.batcher.take_too_large(), [(Signal::Traces, 0), (Signal::Logs, 0)]);
}

#[test]
fn a_call_that_fits_no_request_together_with_others_goes_alone() {
    let mut bench = bench(Limits { max_bytes: 2000, ..LIMITS });
    bench.add(&encoded(1, 1000), false);
    bench.add(&encoded(1, 1500), false);
    assert_eq!(bench.items(), [1]);
    bench.add(&encoded(3, 1000), false);
    bench.flush();
    assert_eq!(bench.items(), [1, 1, 1, 1]);
}

#[test]
fn a_span_that_fits_no_request_is_counted_and_the_others_leave() {
    let mut bench = bench(Limits { max_bytes: 2000, ..LIMITS });
    let mut encoded = encoded(3, 10);
    encoded.spans[1].name = "x".repeat(3000);
    bench.add(&encoded, false);
    bench.flush();
    assert_eq!(bench.items(), [2]);
    assert_eq!(bench.batcher.take_too_large(), [(Signal::Traces, 1), (Signal::Logs, 0)]);
    assert_eq!(bench.batcher.take_too_large(), [(Signal::Traces, 0), (Signal::Logs, 0)]);
}

#[test]
fn new_limits_hold_from_the_next_call_on() {
    let mut bench = bench(LIMITS);
    bench.add(&encoded(5, 1), false);
    bench.limits = Limits { min_items: 6, ..LIMITS };
    bench.add(&encoded(1, 1), false);
    assert_eq!(bench.items(), [6]);
}

#[test]
fn nothing_waits_where_nothing_came() {
    let mut bench = bench(LIMITS);
    bench.add(&EncodedCall::default(), true);
    bench.flush();
    assert!(!bench.batcher.is_waiting());
    assert!(bench.items().is_empty());
}
