//! The SDK's encoder as the oracle of ours: what we say of a call, told to the SDK as spans of its own kind, comes out of its
//! encoder as the same messages.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::common::v1::{self as common};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind as Kind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{self as proto};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use pipeline::CallRecord;
use pipeline::call::ladder::LadderForm;

use super::call::tell;
use super::encoder::Labels;
use super::sample::{call, kept};

/// What the SDK would have been told.
fn told(span: &proto::Span) -> SpanData {
    let mut events = SpanEvents::default();
    events.events = span.events.iter().map(event).collect();
    events.dropped_count = span.dropped_events_count;
    let mut links = SpanLinks::default();
    links.links = span.links.iter().map(link).collect();
    links.dropped_count = span.dropped_links_count;
    let status = span.status.clone().unwrap_or_default();
    SpanData {
        span_context: context(&span.trace_id, &span.span_id, span.flags, false, &span.trace_state),
        parent_span_id: span.parent_span_id.as_slice().try_into().map_or(SpanId::INVALID, SpanId::from_bytes),
        parent_span_is_remote: span.flags & REMOTE != 0,
        span_kind: match span.kind() {
            Kind::Client => SpanKind::Client,
            Kind::Server => SpanKind::Server,
            Kind::Internal => SpanKind::Internal,
            other => panic!("{other:?}"),
        },
        name: span.name.clone().into(),
        start_time: time(span.start_time_unix_nano),
        end_time: time(span.end_time_unix_nano),
        attributes: attributes(&span.attributes),
        dropped_attributes_count: span.dropped_attributes_count,
        events,
        links,
        status: match status.code() {
            StatusCode::Unset => Status::Unset,
            StatusCode::Ok => Status::Ok,
            StatusCode::Error => Status::error(status.message.clone()),
        },
        instrumentation_scope: InstrumentationScope::builder("ringside").build(),
    }
}

fn context(trace: &[u8], span: &[u8], flags: u32, remote: bool, state: &str) -> SpanContext {
    let trace = TraceId::from_bytes(trace.try_into().expect("sixteen bytes"));
    let span = SpanId::from_bytes(span.try_into().expect("eight bytes"));
    SpanContext::new(trace, span, TraceFlags::new(flags as u8), remote, state.parse::<TraceState>().expect("a state"))
}

fn event(event: &proto::span::Event) -> Event {
    let attributes = attributes(&event.attributes);
    Event::new(event.name.clone(), time(event.time_unix_nano), attributes, event.dropped_attributes_count)
}

fn link(link: &proto::span::Link) -> Link {
    let context = context(&link.trace_id, &link.span_id, link.flags, link.flags & REMOTE != 0, &link.trace_state);
    Link::new(context, attributes(&link.attributes), link.dropped_attributes_count)
}

fn attributes(all: &[common::KeyValue]) -> Vec<KeyValue> {
    let one = |one: &common::KeyValue| {
        let value = match one.value.as_ref().and_then(|any| any.value.clone()).expect("a value") {
            any_value::Value::StringValue(text) => Value::from(text),
            any_value::Value::BoolValue(value) => value.into(),
            any_value::Value::IntValue(value) => value.into(),
            any_value::Value::DoubleValue(value) => value.into(),
            other => panic!("{other:?}"),
        };
        KeyValue::new(one.key.clone(), value)
    };
    all.iter().map(one).collect()
}

fn time(nanos: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanos)
}

#[test]
fn the_sdk_would_have_written_the_same() {
    for form in [LadderForm::Events, LadderForm::Spans] {
        let kept = kept(CallRecord { ladder_form: form, ..call() });
        let encoded = tell(&kept, Labels { carrier: "telecom-alpha", ua_type: "yealink" });
        assert!(encoded.spans.len() > 4, "a call of several transactions");
        for span in &encoded.spans {
            let mut ours = span.clone();
            // Left out where it is not set, which says the same.
            ours.status.get_or_insert_default();
            assert_eq!(ours, proto::Span::from(told(span)), "{form:?}");
        }
    }
}

/// The parent, or what is linked, is of another process (OTLP, `SpanFlags`).
const REMOTE: u32 = 0x200;
