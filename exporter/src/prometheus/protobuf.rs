//! The protobuf exposition: a snapshot in, `io.prometheus.client.MetricFamily` messages out, each behind its length.
//!
//! The one format of a scrape that carries native histograms; the classic buckets stand beside them. Each series is
//! encoded as it comes, so that a family is held in bytes once.

use metrics::exemplars::Exemplar;
use metrics::{Bound, Cursor, Family, Histogram, Kind, Labels, Native, SCHEMA, Snapshot, Undefined, Value, Visitor};
use pipeline::Telemetry;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_types::Timestamp;

use super::internal::Number;

/// The official messages.
#[allow(missing_docs, clippy::all, clippy::pedantic, rustdoc::all, reason = "made of proto/metrics.proto")]
mod client {
    include!(concat!(env!("OUT_DIR"), "/io.prometheus.client.rs"));
}

pub(super) const CONTENT_TYPE: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// A body being written. Iterates over its pieces, each a whole number of families.
pub struct Families {
    snapshot: Snapshot,
    cursor: Cursor,
    writer: Writer,
    open: bool,
}

impl Families {
    /// Stands before the first family.
    pub fn new(snapshot: Snapshot, undefined: Undefined) -> Self {
        let writer = Writer::new(snapshot.prefix(), undefined);
        Self { snapshot, cursor: Cursor::default(), writer, open: true }
    }

    /// Whether the end was reached: no further piece follows.
    pub fn is_finished(&self) -> bool {
        !self.open
    }
}

impl Iterator for Families {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        while self.open && self.writer.out.len() < metrics::text::PIECE {
            self.open = self.snapshot.step(&mut self.cursor, &mut self.writer);
            if !self.open {
                self.writer.close();
            }
        }
        let piece = std::mem::take(&mut self.writer.out);
        (!piece.is_empty()).then_some(piece)
    }
}

/// The program's numbers about itself.
pub(super) fn numbers(all: &[Number<'_>]) -> Vec<u8> {
    let mut writer = Writer::new(String::new(), Undefined::default());
    for Number { name, counter, help, series } in all {
        let kind = if *counter { client::MetricType::Counter } else { client::MetricType::Gauge };
        let name = if *counter { format!("{name}_total") } else { (*name).to_owned() };
        writer.begin(name, help.unwrap_or_default(), kind);
        for Telemetry { labels, value, .. } in series {
            let label = labels.iter().map(|(name, value)| pair(name, value)).collect();
            let mut metric = client::Metric { label, ..client::Metric::default() };
            match counter {
                true => metric.counter = Some(client::Counter { value: Some(*value), ..client::Counter::default() }),
                false => metric.gauge = Some(client::Gauge { value: Some(*value) }),
            }
            writer.push(&metric);
        }
    }
    writer.close();
    writer.out
}

struct Writer {
    undefined: Undefined,
    /// `sip_exporter_`, or nothing.
    prefix: String,
    /// The current family, without its length.
    family: Vec<u8>,
    /// Families that are whole.
    out: Vec<u8>,
}

impl Writer {
    fn new(prefix: String, undefined: Undefined) -> Self {
        Self { undefined, prefix, family: Vec::new(), out: Vec::new() }
    }

    fn begin(&mut self, name: String, help: &str, kind: client::MetricType) {
        self.close();
        let head = client::MetricFamily {
            name: Some(name),
            help: Some(help.to_owned()),
            r#type: Some(kind as i32),
            ..client::MetricFamily::default()
        };
        head.encode(&mut self.family).expect("a Vec has room");
    }

    fn push(&mut self, metric: &client::Metric) {
        // Field 4 of a family. Fields of one message may come one after another.
        encode_key(4, WireType::LengthDelimited, &mut self.family);
        encode_varint(metric.encoded_len() as u64, &mut self.family);
        metric.encode(&mut self.family).expect("a Vec has room");
    }

    /// The current family is whole.
    fn close(&mut self) {
        if !self.family.is_empty() {
            encode_varint(self.family.len() as u64, &mut self.out);
            self.out.append(&mut self.family);
        }
    }
}

impl Visitor for Writer {
    fn family(&mut self, family: &'static Family) {
        let kind = match family.kind {
            Kind::Counter => client::MetricType::Counter,
            Kind::Gauge => client::MetricType::Gauge,
            Kind::Histogram(_) => client::MetricType::Histogram,
        };
        self.begin(format!("{}{}", self.prefix, family.name), family.help, kind);
    }

    fn series(&mut self, labels: &Labels<'_>, value: &Value<'_>) {
        let label = labels.iter().map(|(name, value)| pair(name, value)).collect();
        let mut metric = client::Metric { label, ..client::Metric::default() };
        let gauge = |value| Some(client::Gauge { value: Some(value) });
        let created_timestamp = Some(time(labels.created));
        match value {
            Value::Counter(count) => {
                metric.counter =
                    Some(client::Counter { value: Some(*count as f64), exemplar: None, created_timestamp });
            }
            Value::Gauge(number) => metric.gauge = gauge(*number as f64),
            Value::Real(number) => metric.gauge = gauge(*number),
            Value::Ratio(ratio) => match self.undefined.shown(*ratio) {
                Some(value) => metric.gauge = gauge(value),
                None => return,
            },
            Value::Histogram(samples) => {
                metric.histogram = Some(client::Histogram { created_timestamp, ..histogram(samples) });
            }
        }
        self.push(&metric);
    }
}

fn histogram(histogram: &Histogram<'_>) -> client::Histogram {
    // Prometheus wants the native buckets to come to the count. What they lack of an instant the classic ones lack too.
    let count = histogram.native().map_or_else(|| histogram.count(), |native| native.count());
    let buckets = histogram.cumulative().map(|Bound { upper, below, exemplar, .. }| client::Bucket {
        cumulative_count: Some(below.min(count)),
        upper_bound: Some(upper),
        exemplar: exemplar.map(|(exemplar, value)| exemplify(exemplar, value)),
        ..client::Bucket::default()
    });
    let mut message = client::Histogram {
        sample_count: Some(count),
        sample_sum: Some(histogram.sum()),
        bucket: buckets.collect(),
        ..client::Histogram::default()
    };
    if let Some(native) = histogram.native() {
        fill(&mut message, &native);
    }
    message
}

/// Buckets without samples are left out: spans say where the others are, and each is the difference to the one before.
fn fill(message: &mut client::Histogram, native: &Native<'_>) {
    message.schema = Some(SCHEMA);
    message.zero_threshold = Some(native.zero_threshold());
    message.zero_count = Some(native.zero_count());
    // What follows the last bucket that was written.
    let (mut next, mut last) = (0, 0);
    for (index, count) in (native.first_index()..).zip(native.counts()).filter(|(_, count)| **count > 0) {
        match message.positive_span.last_mut().filter(|_| index == next) {
            Some(span) => span.length = span.length.map(|length| length + 1),
            // The offset of the first span is an index, that of another one a gap.
            None => message.positive_span.push(client::BucketSpan { offset: Some(index - next), length: Some(1) }),
        }
        message.positive_delta.push(*count as i64 - last);
        (next, last) = (index + 1, *count as i64);
    }
}

fn pair(name: &str, value: &str) -> client::LabelPair {
    client::LabelPair { name: Some(name.to_owned()), value: Some(value.to_owned()) }
}

fn exemplify(exemplar: &Exemplar, value: f64) -> client::Exemplar {
    let Exemplar { trace_id, span_id, at, .. } = exemplar;
    let (trace_id, span_id) = (u128::from_be_bytes(*trace_id), u64::from_be_bytes(span_id.0));
    client::Exemplar {
        label: vec![pair("trace_id", &format!("{trace_id:032x}")), pair("span_id", &format!("{span_id:016x}"))],
        value: Some(value),
        timestamp: Some(time(*at)),
    }
}

fn time(at: wire::Timestamp) -> Timestamp {
    let nanos = at.as_nanos();
    Timestamp { seconds: (nanos / 1_000_000_000) as i64, nanos: (nanos % 1_000_000_000) as i32 }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use metrics::{Detail, F, Registry};

    use super::*;

    fn families(registry: &Registry) -> Vec<client::MetricFamily> {
        let detail = Detail { exemplars: true, native: true };
        let bytes: Vec<u8> = Families::new(registry.snapshot_with(detail), Undefined::Nan).flatten().collect();
        let mut rest = bytes.as_slice();
        let mut all = Vec::new();
        while !rest.is_empty() {
            all.push(client::MetricFamily::decode_length_delimited(&mut rest).expect("a whole family"));
        }
        all
    }

    fn sampled(native: bool) -> Vec<client::MetricFamily> {
        let registry = Registry::new("sip_exporter");
        if native {
            registry.keep_native();
        }
        let mut rows = registry.shard();
        let set = registry.label_sets().intern("a", "p");
        rows.add(set, F::Packets, 0, 7);
        // In thousandths: one at 2^-4 and below, two in one bucket, one in the next, one far off.
        for micros in [50, 1000, 1000, 1050, 1_000_000] {
            rows.observe(set, F::Ttr, 0, Duration::from_micros(micros));
        }
        families(&registry)
    }

    #[track_caller]
    fn ttr(families: &[client::MetricFamily]) -> &client::Histogram {
        let family = families.iter().find(|family| family.name() == "sip_exporter_ttr").expect("it has samples");
        assert_eq!(family.r#type(), client::MetricType::Histogram);
        family.metric[0].histogram.as_ref().expect("a histogram")
    }

    #[test]
    fn every_family_of_the_text_is_there_with_its_labels() {
        let families = sampled(false);
        let packets = families.iter().find(|family| family.name() == "sip_exporter_packets_total").expect("counted");
        assert_eq!(packets.r#type(), client::MetricType::Counter);
        let of_a = packets.metric.iter().find(|metric| metric.label[0].value() == "a").expect("its labels");
        assert_eq!(of_a.label, [pair("carrier", "a"), pair("ua_type", "p")]);
        let counter = of_a.counter.as_ref().expect("a counter");
        assert_eq!(counter.value(), 7.0);
        assert!(counter.created_timestamp.expect("it was 0 once").seconds > 1_700_000_000);
        let mut names: Vec<&str> = families.iter().map(client::MetricFamily::name).collect();
        names.dedup();
        assert_eq!(names.len(), families.len(), "each stands together");
    }

    #[test]
    fn without_native_histograms_there_are_classic_ones_alone() {
        let families = sampled(false);
        let ttr = ttr(&families);
        assert_eq!((ttr.sample_count(), ttr.schema, ttr.positive_span.len()), (5, None, 0));
        assert_eq!(ttr.bucket.first().map(|bucket| (bucket.upper_bound(), bucket.cumulative_count())), Some((1.0, 3)));
        assert_eq!(ttr.bucket.last().map(client::Bucket::upper_bound), Some(f64::INFINITY));
    }

    #[test]
    fn native_buckets_are_spans_of_differences() {
        let families = sampled(true);
        let ttr = ttr(&families);
        assert_eq!((ttr.schema(), ttr.zero_threshold(), ttr.zero_count()), (3, 0.0625, 1));
        let spans: Vec<(i32, u32)> = ttr.positive_span.iter().map(|span| (span.offset(), span.length())).collect();
        // 1 ms is at most 2^0, 1.05 ms at most 2^(1/8), a second at most 2^(80/8) ms.
        assert_eq!(spans, [(0, 2), (78, 1)]);
        assert_eq!(ttr.positive_delta, [2, -1, 0]);
        assert_eq!((ttr.sample_count(), ttr.bucket.len()), (5, 16), "beside the classic buckets");
    }
}
