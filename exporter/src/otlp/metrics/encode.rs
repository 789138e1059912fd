//! From series to data points, and from points to requests of a bearable size.
//!
//! Names and label names stay as they are scraped and units are left empty, so that no backend's translation moves
//! one. Counters are monotonic sums; gauges that count what is there are non-monotonic sums, cumulative in either
//! temporality; ratios are gauges, and where nothing was tried there is no point.

use std::collections::VecDeque;

use hyper::body::Bytes;
use metrics::schema::Source;
use metrics::{Cursor, Family, Histogram, Labels, SCHEMA, Snapshot, Value, Visitor};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, HistogramDataPoint,
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::baseline::{Baseline, Mark, Marked, Series};
use crate::otlp::Aggregation;
use crate::otlp::payload::{Payload, Signal};
use crate::otlp::resource::{SCHEMA_URL, text};

/// Most data points of a request.
pub(super) const MAX_POINTS: usize = 8192;

/// What every request says besides its points, and how large it may be.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Who speaks.
    pub resource: Resource,
    /// On whose behalf.
    pub scope: InstrumentationScope,
    /// The buckets of histograms.
    pub aggregation: Aggregation,
    /// Most bytes of a request.
    pub max_bytes: usize,
    /// Most data points of a request.
    pub max_points: usize,
}

/// Nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When everything was 0.
    pub start: u64,
    /// When the snapshot was taken.
    pub now: u64,
}

/// A request, and what the server knows once it has acknowledged it.
#[derive(Debug)]
pub struct Chunk {
    /// The request.
    pub payload: Payload,
    pub(super) marks: Vec<(Series, Mark)>,
}

/// The requests that a snapshot comes to, made one by one.
pub struct Chunks {
    snapshot: Snapshot,
    cursor: Cursor,
    ended: bool,
    writer: Writer,
}

impl Chunks {
    /// Cumulative, or delta from `baseline`.
    pub fn new(snapshot: Snapshot, times: Times, envelope: Envelope, baseline: Option<Baseline>) -> Self {
        let prefix = snapshot.prefix();
        let room = envelope.resource.encoded_len() + envelope.scope.encoded_len() + OVERHEAD;
        let max_bytes = envelope.max_bytes.saturating_sub(room);
        let (open, ready) = (Open::default(), VecDeque::new());
        let writer = Writer { times, envelope, max_bytes, baseline, prefix, family: None, open, ready };
        Self { snapshot, cursor: Cursor::default(), ended: false, writer }
    }
}

impl Iterator for Chunks {
    type Item = Chunk;

    fn next(&mut self) -> Option<Chunk> {
        while !self.ended && self.writer.ready.is_empty() {
            self.ended = !self.snapshot.step(&mut self.cursor, &mut self.writer);
            if self.ended {
                self.writer.close();
            }
        }
        self.writer.ready.pop_front()
    }
}

/// More than the heads around resource and scope take.
const OVERHEAD: usize = 64;
/// More than the head of a point or a metric takes, and more than the fields of a metric besides its texts.
const HEAD: usize = 32;

struct Writer {
    times: Times,
    envelope: Envelope,
    /// For metrics alone.
    max_bytes: usize,
    /// What deltas count from; `None` for cumulative.
    baseline: Option<Baseline>,
    /// `sip_exporter_`, or nothing.
    prefix: String,
    family: Option<&'static Family>,
    open: Open,
    ready: VecDeque<Chunk>,
}

/// The request being filled.
#[derive(Default)]
struct Open {
    metrics: Vec<Metric>,
    points: usize,
    bytes: usize,
    marks: Vec<(Series, Mark)>,
    /// The last metric is that of the current family.
    begun: bool,
}

/// One point, in the shape its kind wants.
enum Point {
    Number(NumberDataPoint),
    Histogram(HistogramDataPoint),
    Exponential(ExponentialHistogramDataPoint),
}

impl Visitor for Writer {
    fn family(&mut self, family: &'static Family) {
        self.family = Some(family);
        self.open.begun = false;
    }

    fn series(&mut self, labels: &Labels<'_>, value: &Value<'_>) {
        let family = self.family.expect("a series belongs to the family before it");
        let series = Series { family: family.name, id: labels.id };
        let attributes = || labels.iter().map(|(name, value)| text(name, value)).collect();
        match value {
            Value::Counter(count) => self.counter(family, series, *count, attributes),
            Value::Histogram(histogram) => self.histogram(family, series, histogram, attributes),
            Value::Gauge(number) => {
                let value = number_data_point::Value::AsInt(*number);
                self.push(family, Point::Number(self.number(self.times.start, value, attributes())), None);
            }
            Value::Ratio(Some(percent)) => {
                let value = number_data_point::Value::AsDouble(*percent);
                self.push(family, Point::Number(self.number(self.times.start, value, attributes())), None);
            }
            Value::Ratio(None) => {}
            Value::Real(number) => {
                let value = number_data_point::Value::AsDouble(*number);
                self.push(family, Point::Number(self.number(self.times.start, value, attributes())), None);
            }
        }
    }
}

impl Writer {
    fn counter(
        &mut self,
        family: &'static Family,
        series: Series,
        count: u64,
        attributes: impl FnOnce() -> Vec<KeyValue>,
    ) {
        let mut start = self.times.start;
        let mut shown = count;
        let mut mark = None;
        if let Some(baseline) = &self.baseline {
            if let Some(Mark { at, value: Marked::Counter(before) }) = baseline.mark(&series) {
                if before == count {
                    return;
                }
                (start, shown) = (at, count.saturating_sub(before));
            }
            mark = Some((series, Mark { at: self.times.now, value: Marked::Counter(count) }));
        }
        // A counter lasts for 10^11 years at ten million a second below that.
        let value = number_data_point::Value::AsInt(i64::try_from(shown).unwrap_or(i64::MAX));
        self.push(family, Point::Number(self.number(start, value, attributes())), mark);
    }

    fn histogram(
        &mut self,
        family: &'static Family,
        series: Series,
        histogram: &Histogram<'_>,
        attributes: impl FnOnce() -> Vec<KeyValue>,
    ) {
        let native = match self.is_exponential(family) {
            false => None,
            true => match histogram.native() {
                Some(native) => Some(native),
                // Of an instant: the next push has it.
                None => return,
            },
        };
        let mut counts = native.map_or_else(|| histogram.counts(), |native| native.cells()).to_vec();
        let mut total = histogram.total();
        let mut start = self.times.start;
        let mut mark = None;
        if let Some(baseline) = &self.baseline {
            let now = Marked::Histogram(counts.clone().into(), total);
            match baseline.mark(&series) {
                Some(Mark { value, .. }) if value == now => return,
                Some(Mark { at, value: Marked::Histogram(before, total_before) }) => {
                    counts.iter_mut().zip(&before).for_each(|(count, before)| *count = count.saturating_sub(*before));
                    total = total.saturating_sub(total_before);
                    start = at;
                }
                _ => {}
            }
            mark = Some((series, Mark { at: self.times.now, value: now }));
        }
        // Exemplars are of classic buckets; those that were in the point before are left out.
        let is_new = |index: usize, at: u64| if native.is_some() { at >= start } else { counts[index] > 0 };
        let exemplars = (0..histogram.counts().len()).filter_map(|index| Some((index, histogram.exemplar(index)?)));
        let exemplars = exemplars.filter(|(index, (exemplar, _))| is_new(*index, exemplar.at.as_nanos()));
        let exemplars = exemplars.map(|(_, found)| found).map(|(exemplar, value)| Exemplar {
            time_unix_nano: exemplar.at.as_nanos(),
            span_id: exemplar.span_id.0.to_vec(),
            trace_id: exemplar.trace_id.to_vec(),
            value: Some(exemplar::Value::AsDouble(value)),
            ..Exemplar::default()
        });
        let exemplars = exemplars.collect();
        let (sum, count) = (Some(histogram.in_unit(total)), counts.iter().sum());
        if count == 0 && mark.is_some() {
            // The sum is a moment ahead of the buckets: the next delta has both.
            return;
        }
        if let Some(native) = native {
            let point = ExponentialHistogramDataPoint {
                attributes: attributes(),
                start_time_unix_nano: start,
                time_unix_nano: self.times.now,
                count,
                sum,
                scale: SCHEMA,
                zero_count: counts[0],
                zero_threshold: native.zero_threshold(),
                positive: buckets(native.first_index(), &counts[1..]),
                exemplars,
                ..ExponentialHistogramDataPoint::default()
            };
            return self.push(family, Point::Exponential(point), mark);
        }
        let point = HistogramDataPoint {
            attributes: attributes(),
            start_time_unix_nano: start,
            time_unix_nano: self.times.now,
            count,
            sum,
            exemplars,
            explicit_bounds: histogram.bounds().collect(),
            bucket_counts: counts,
            ..HistogramDataPoint::default()
        };
        self.push(family, Point::Histogram(point), mark);
    }

    /// Rows of probes keep no native histograms.
    fn is_exponential(&self, family: &Family) -> bool {
        self.envelope.aggregation == Aggregation::Base2ExponentialBucketHistogram
            && !matches!(family.source, Source::Probe(_))
    }

    fn number(&self, start: u64, value: number_data_point::Value, attributes: Vec<KeyValue>) -> NumberDataPoint {
        NumberDataPoint {
            attributes,
            start_time_unix_nano: start,
            time_unix_nano: self.times.now,
            value: Some(value),
            ..NumberDataPoint::default()
        }
    }

    fn push(&mut self, family: &'static Family, point: Point, mark: Option<(Series, Mark)>) {
        let bytes = HEAD
            + match &point {
                Point::Number(point) => point.encoded_len(),
                Point::Histogram(point) => point.encoded_len(),
                Point::Exponential(point) => point.encoded_len(),
            };
        let around = self.prefix.len() + family.name.len() + family.help.len() + HEAD;
        let full = self.open.points >= self.envelope.max_points || self.open.bytes + bytes + around > self.max_bytes;
        if full && self.open.points > 0 {
            self.close();
        }
        if !self.open.begun {
            self.open.begun = true;
            self.open.bytes += around;
            self.open.metrics.push(self.metric(family));
        }
        let metric = self.open.metrics.last_mut().expect("it was begun");
        match (metric.data.as_mut().expect("a metric is made with it"), point) {
            (Data::Sum(sum), Point::Number(point)) => sum.data_points.push(point),
            (Data::Gauge(gauge), Point::Number(point)) => gauge.data_points.push(point),
            (Data::Histogram(histogram), Point::Histogram(point)) => histogram.data_points.push(point),
            (Data::ExponentialHistogram(histogram), Point::Exponential(point)) => histogram.data_points.push(point),
            _ => unreachable!("a family has values of its kind"),
        }
        self.open.points += 1;
        self.open.bytes += bytes;
        self.open.marks.extend(mark);
    }

    fn metric(&self, family: &Family) -> Metric {
        use metrics::Kind;
        let cumulative = AggregationTemporality::Cumulative as i32;
        let counted = match self.baseline {
            Some(_) => AggregationTemporality::Delta as i32,
            None => cumulative,
        };
        let sum = |aggregation_temporality, is_monotonic| {
            Data::Sum(Sum { aggregation_temporality, is_monotonic, ..Sum::default() })
        };
        let data = match (family.kind, family.source) {
            (Kind::Counter, _) => sum(counted, true),
            (Kind::Gauge, Source::Stored(_) | Source::View(..)) => sum(cumulative, false),
            (Kind::Gauge, Source::Ratio(_) | Source::Mean | Source::Build | Source::Probe(_)) => {
                Data::Gauge(Gauge::default())
            }
            (Kind::Histogram(_), _) if self.is_exponential(family) => {
                Data::ExponentialHistogram(ExponentialHistogram {
                    aggregation_temporality: counted,
                    ..Default::default()
                })
            }
            (Kind::Histogram(_), _) => Data::Histogram(opentelemetry_proto::tonic::metrics::v1::Histogram {
                aggregation_temporality: counted,
                ..Default::default()
            }),
        };
        Metric {
            name: format!("{}{}", self.prefix, family.name),
            description: family.help.to_owned(),
            data: Some(data),
            ..Metric::default()
        }
    }

    /// Makes a request of what is open; what follows of the same family begins anew in the next one.
    fn close(&mut self) {
        let Open { metrics, points, marks, .. } = std::mem::take(&mut self.open);
        if points == 0 {
            return;
        }
        let Envelope { resource, scope, .. } = &self.envelope;
        let scope_metrics = ScopeMetrics { scope: Some(scope.clone()), metrics, schema_url: SCHEMA_URL.to_owned() };
        let resource_metrics = ResourceMetrics {
            resource: Some(resource.clone()),
            scope_metrics: vec![scope_metrics],
            schema_url: SCHEMA_URL.to_owned(),
        };
        let request = ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] };
        let body = Bytes::from(request.encode_to_vec());
        let payload = Payload { signal: Signal::Metrics, body, items: points as u64, important: false };
        self.ready.push_back(Chunk { payload, marks });
    }
}

/// From the first bucket with samples to the last; `first` is the index that Prometheus gives the first of `counts`. OTLP
/// numbers buckets by their lower bound, Prometheus by the upper one.
fn buckets(first: i32, counts: &[u64]) -> Option<Buckets> {
    let from = counts.iter().position(|count| *count > 0)?;
    let to = counts.iter().rposition(|count| *count > 0)?;
    Some(Buckets { offset: first - 1 + from as i32, bucket_counts: counts[from..=to].to_vec() })
}
