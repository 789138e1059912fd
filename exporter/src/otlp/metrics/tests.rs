//! What is pushed is what is scraped; deltas add up to it; no backend moves a name.

mod temporality;
mod translation;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use metrics::label_values::Input;
use metrics::{Detail, Exposition, F, Format, Kind, Registry, Undefined};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint, number_data_point};
use pipeline::LabelSet;
use pipeline::probes::{ProbeEnd, ProbeTarget, Probes, TlsSeen};
use prost::Message;

use super::*;
use crate::otlp::Aggregation;
use crate::otlp::resource::{resource, scope};

const START: u64 = 1_000;
const NOW: u64 = 2_000;

fn envelope() -> Envelope {
    let attributes = BTreeMap::from([("service.name".to_owned(), "ringside".to_owned())]);
    let (aggregation, max_bytes) = (Aggregation::default(), 7 << 19);
    Envelope { resource: resource(&attributes), scope: scope(), aggregation, max_bytes, max_points: 8192 }
}

/// Every family counted under three label sets, or three carriers, and in several variants, one of them with characters that need care.
fn populated() -> Arc<Registry> {
    let registry = Registry::new("sip_exporter");
    let mut rows = registry.shard();
    rows.listen();
    let sets = [
        LabelSet::OTHER,
        registry.label_sets().intern("alpha", "yealink"),
        registry.label_sets().intern("be\"ta\\", "grand\nstream"),
    ];
    for (weight, set) in (1..).zip(sets) {
        // More was tried than came of it.
        for input in [Input::Ti, Input::A, Input::Reg] {
            rows.add(set, F::RatioInputs, input.index(), 1000 * weight);
        }
        rows.adjust(set, F::RecentOpinions, 0, 3_500_000);
        rows.adjust(set, F::RecentOpinions, 1, 1);
        for f in F::ALL.iter().filter(|f| **f != F::RecentOpinions) {
            let family = f.family();
            // All but the causes, of which there are thousands.
            let step = if family.variants() > 1000 { 500 } else { 1 };
            let name = family.scope.name().map(|label| {
                let value = registry.label_sets().names(set).0;
                registry.label_sets().intern_name(label, value).expect("there is room")
            });
            for variant in (0..family.variants()).step_by(step) {
                match family.kind {
                    Kind::Counter if let Some(name) = name => {
                        rows.add_named(name, *f, variant, weight * 10 + variant as u64);
                    }
                    Kind::Gauge if let Some(name) = name => {
                        rows.adjust_named(name, *f, variant, weight as i64 * 3 - 5);
                    }
                    Kind::Histogram(_) if let Some(name) = name => {
                        rows.observe_named(name, *f, variant, Duration::from_millis(weight * 700));
                    }
                    Kind::Counter => rows.add(set, *f, variant, weight * 10 + variant as u64),
                    Kind::Gauge => rows.adjust(set, *f, variant, weight as i64 * 3 - 5),
                    Kind::Histogram(_) if *f == F::RequestViaDepth => rows.observe_count(set, *f, variant, weight),
                    Kind::Histogram(buckets) => {
                        for bound in buckets.bounds {
                            rows.observe(set, *f, variant, Duration::from_nanos(*bound * weight / 2 + 1));
                        }
                    }
                }
            }
        }
    }
    registry.with_probes(probes())
}

/// A target that was asked twice.
fn probes() -> Arc<Probes> {
    let probes = Arc::<Probes>::default();
    let row = probes.row(&ProbeTarget { name: "a".to_owned(), transport: "tls" }, "be\"ta\\");
    row.secured("", TlsSeen { handshake: Some(Duration::from_millis(40)), not_after: Some(1_800_000_000) });
    for millis in [7, 9] {
        row.sent();
        row.ended("", ProbeEnd::Answered { status: 404, rtt: Duration::from_millis(millis) }, None);
    }
    probes
}

fn chunks(registry: &Registry, envelope: Envelope, now: u64, baseline: Option<Baseline>) -> Vec<Chunk> {
    Chunks::new(
        registry.snapshot_with(Detail { exemplars: true, native: true }),
        Times { start: START, now },
        envelope,
        baseline,
    )
    .collect()
}

/// The metrics of one request.
fn decode(chunk: &Chunk) -> Vec<Metric> {
    let request = ExportMetricsServiceRequest::decode(chunk.payload.body.clone()).expect("it is what it says");
    let [resource_metrics] = &request.resource_metrics[..] else { panic!("one resource speaks") };
    assert!(resource_metrics.resource.is_some());
    let [scope_metrics] = &resource_metrics.scope_metrics[..] else { panic!("in one scope") };
    assert_eq!(scope_metrics.scope.as_ref().map(|scope| scope.name.as_str()), Some("ringside"));
    scope_metrics.metrics.clone()
}

fn points(metric: &Metric) -> usize {
    match metric.data.as_ref().expect("it has data") {
        Data::Sum(sum) => sum.data_points.len(),
        Data::Gauge(gauge) => gauge.data_points.len(),
        Data::Histogram(histogram) => histogram.data_points.len(),
        Data::ExponentialHistogram(histogram) => histogram.data_points.len(),
        other => panic!("{other:?}"),
    }
}

/// `{a="b",c="d"}` with `le` last, as a scrape has it; nothing without labels.
fn labels(attributes: &[KeyValue], le: Option<&str>) -> String {
    let mut labels: Vec<String> = attributes
        .iter()
        .map(|KeyValue { key, value, .. }| {
            let Some(any_value::Value::StringValue(text)) = value.as_ref().and_then(|value| value.value.clone()) else {
                panic!("labels are texts")
            };
            format!("{key}=\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
        })
        .collect();
    labels.extend(le.map(|le| format!("le=\"{le}\"")));
    if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) }
}

fn value(point: &NumberDataPoint) -> String {
    match point.value.expect("a point has a value") {
        number_data_point::Value::AsInt(number) => number.to_string(),
        number_data_point::Value::AsDouble(number) => number.to_string(),
    }
}

/// The samples of a metric as lines of a scrape.
fn lines(metric: &Metric) -> Vec<String> {
    let name = &metric.name;
    let number = |point: &NumberDataPoint| format!("{name}{} {}", labels(&point.attributes, None), value(point));
    match metric.data.as_ref().expect("it has data") {
        Data::Sum(sum) => sum.data_points.iter().map(number).collect(),
        Data::Gauge(gauge) => gauge.data_points.iter().map(number).collect(),
        Data::Histogram(histogram) => {
            let mut lines = Vec::new();
            for point in &histogram.data_points {
                let mut total = 0;
                let bounds = point.explicit_bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
                for (bound, count) in bounds.zip(&point.bucket_counts) {
                    total += count;
                    lines.push(format!("{name}_bucket{} {total}", labels(&point.attributes, Some(&bound))));
                }
                assert_eq!(point.count, total);
                let labels = labels(&point.attributes, None);
                lines.push(format!("{name}_sum{labels} {}", point.sum.expect("it has a sum")));
                lines.push(format!("{name}_count{labels} {total}"));
            }
            lines
        }
        other => panic!("{other:?}"),
    }
}

fn sorted(lines: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.into_iter().collect();
    lines.sort();
    lines
}

#[test]
fn names_and_values_are_those_of_a_scrape_of_the_same_instant() {
    let registry = populated();
    let scrape = Exposition::new(registry.snapshot(), Format::Text, Undefined::Nan).into_text();
    // An undefined ratio is NaN in the one and no point in the other.
    let is_sample = |line: &&str| !line.starts_with('#') && !line.ends_with(" NaN");
    let scraped = sorted(scrape.lines().filter(is_sample).map(str::to_owned));
    let chunks = chunks(&registry, envelope(), NOW, None);
    let pushed = sorted(chunks.iter().flat_map(decode).flat_map(|metric| lines(&metric)));
    assert!(scraped.len() > 3000, "{}", scraped.len());
    for (scraped, pushed) in scraped.iter().zip(&pushed) {
        assert_eq!(scraped, pushed);
    }
    assert_eq!(scraped.len(), pushed.len());
    let families: std::collections::BTreeSet<String> =
        chunks.iter().flat_map(decode).map(|metric| metric.name).collect();
    assert_eq!(families.len(), metrics::schema::families().count(), "every family has a point");
}

#[test]
fn every_metric_has_a_description_no_unit_and_the_kind_that_its_backend_expects() {
    for metric in chunks(&populated(), envelope(), NOW, None).iter().flat_map(decode) {
        assert_eq!(metric.unit, "", "{}", metric.name);
        assert!(!metric.description.is_empty(), "{}", metric.name);
        let short = metric.name.strip_prefix("sip_exporter_").expect("the namespace is in front");
        match metric.data.expect("it has data") {
            Data::Sum(sum) => {
                assert_eq!(sum.aggregation_temporality, 2, "{short}");
                assert_eq!(sum.is_monotonic, short.ends_with("_total"), "{short}");
                let counts_what_is_there = [
                    "sessions",
                    "dialogs",
                    "registrations_active",
                    "rtp_streams_active",
                    "trunk_calls",
                    "queue_waiting",
                    "affinity_pinned_flows",
                ]
                .contains(&short);
                assert!(sum.is_monotonic || counts_what_is_there, "{short}");
                assert!(sum.data_points.iter().all(|point| point.start_time_unix_nano == START));
                assert!(sum.data_points.iter().all(|point| point.time_unix_nano == NOW));
            }
            Data::Histogram(histogram) => assert_eq!(histogram.aggregation_temporality, 2),
            Data::Gauge(_) => assert!(!short.ends_with("_total"), "{short}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_undefined_ratio_has_no_point() {
    let registry = Registry::new("sip_exporter");
    registry.shard().add(LabelSet::OTHER, F::Requests, sip::Method::Register.index(), 1);
    let scrape = Exposition::new(registry.snapshot(), Format::Text, Undefined::Nan).into_text();
    assert!(scrape.contains("sip_exporter_ser{carrier=\"other\",ua_type=\"other\"} NaN"));
    let metrics: Vec<Metric> = chunks(&registry, envelope(), NOW, None).iter().flat_map(decode).collect();
    assert!(metrics.iter().all(|metric| metric.name != "sip_exporter_ser"));
    assert!(metrics.iter().all(|metric| points(metric) > 0), "a metric without points says nothing");
}

#[test]
fn requests_are_split_by_points_and_by_bytes_and_together_say_the_same() {
    let registry = populated();
    let whole = chunks(&registry, envelope(), NOW, None);
    let all = sorted(whole.iter().flat_map(decode).flat_map(|metric| lines(&metric)));
    for (max_points, max_bytes) in [(7, 7 << 19), (100_000, 4_000), (8192, 64 << 10)] {
        let split = chunks(&registry, Envelope { max_points, max_bytes, ..envelope() }, NOW, None);
        assert!(split.len() > whole.len());
        for chunk in &split {
            let count: usize = decode(chunk).iter().map(points).sum();
            assert!(count <= max_points && count as u64 == chunk.payload.items, "{count}");
            assert!(chunk.payload.body.len() <= max_bytes, "{} > {max_bytes}", chunk.payload.body.len());
        }
        assert_eq!(sorted(split.iter().flat_map(decode).flat_map(|metric| lines(&metric))), all);
    }
}

#[test]
fn delays_carry_the_trace_and_span_of_a_kept_call() {
    let registry = Registry::new("sip_exporter");
    registry.shard().observe(LabelSet::OTHER, F::Ttr, 0, Duration::from_millis(7));
    let mut record = crate::otlp::spans::sample::call();
    record.measured = vec![(pipeline::Measure::FirstResponse, Duration::from_millis(7))];
    registry.exemplify(LabelSet::OTHER, [9; 16], &record);
    let metrics: Vec<Metric> = chunks(&registry, envelope(), NOW, None).iter().flat_map(decode).collect();
    let ttr = metrics.iter().find(|metric| metric.name == "sip_exporter_ttr").expect("it has a sample");
    let Some(Data::Histogram(histogram)) = &ttr.data else { panic!("it is a histogram") };
    let [exemplar] = &histogram.data_points[0].exemplars[..] else { panic!("one bucket has one") };
    assert_eq!(exemplar.trace_id, [9; 16]);
    assert_eq!(exemplar.span_id, record.span.0);
    assert_eq!(exemplar.time_unix_nano, record.until.as_nanos());
    use opentelemetry_proto::tonic::metrics::v1::exemplar::Value;
    assert_eq!(exemplar.value, Some(Value::AsDouble(7.0)), "in the unit of the family");
}
