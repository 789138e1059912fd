//! The Prometheus text formats: a snapshot in, pieces of a `/metrics` body out.
//!
//! Text format 0.0.4 and OpenMetrics 1.0 from the same walk; they differ in the names of counters, in how
//! bounds are written and in the end mark. `replay` prints the same pieces that a scrape gets.

use std::fmt::Write;

use pipeline::labels::Escaped;

use super::buckets::Unit;
use super::exemplars::Exemplar;
use super::schema::{Family, Kind, Scope};
use super::series::{Bound, Histogram, Labels, Value};
use super::snapshot::{Cursor, Snapshot, Visitor};

/// Which text format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format 0.0.4.
    #[default]
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The media type of a response in this format.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// How a ratio with nothing in its denominator is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Undefined {
    /// As `NaN`.
    #[default]
    Nan,
    /// Not at all.
    Absent,
    /// As 0.
    Zero,
}

impl Undefined {
    /// What a ratio is shown as; `None` is not at all.
    pub fn shown(self, ratio: Option<f64>) -> Option<f64> {
        ratio.or(match self {
            Self::Nan => Some(f64::NAN),
            Self::Absent => None,
            Self::Zero => Some(0.0),
        })
    }
}

/// A body being written. Iterates over its pieces, each at least [`PIECE`] bytes long but for the last.
#[derive(Debug)]
pub struct Exposition {
    snapshot: Snapshot,
    cursor: Cursor,
    writer: Writer,
    /// Until the end is written.
    open: bool,
}

/// A piece is handed out once it is this long.
pub const PIECE: usize = 64 * 1024;

impl Exposition {
    /// Stands before the first family.
    pub fn new(snapshot: Snapshot, format: Format, undefined: Undefined) -> Self {
        let writer = Writer::new(snapshot.prefix(), format, undefined);
        Self { snapshot, cursor: Cursor::default(), writer, open: true }
    }

    /// Whether the end was reached: no further piece follows.
    pub fn is_finished(&self) -> bool {
        !self.open
    }

    /// The whole body.
    pub fn into_text(self) -> String {
        self.collect()
    }
}

impl Iterator for Exposition {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        while self.open && self.writer.out.len() < PIECE {
            self.open = self.snapshot.step(&mut self.cursor, &mut self.writer);
            if !self.open {
                self.writer.end();
            }
        }
        let piece = std::mem::take(&mut self.writer.out);
        (!piece.is_empty()).then_some(piece)
    }
}

/// Writes families and series as they come.
#[derive(Debug)]
struct Writer {
    format: Format,
    undefined: Undefined,
    out: String,
    /// `sip_exporter_`, or nothing.
    prefix: String,
    /// Name of the current family, with its prefix.
    name: String,
    /// `le` values of the current family.
    bounds: Vec<String>,
    /// Labels of the current family have values from the configuration, which may need escaping.
    named_by_people: bool,
}

impl Writer {
    fn new(prefix: String, format: Format, undefined: Undefined) -> Self {
        Self {
            format,
            undefined,
            out: String::with_capacity(PIECE * 2),
            prefix,
            name: String::new(),
            bounds: Vec::new(),
            named_by_people: false,
        }
    }

    fn end(&mut self) {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
    }

    fn push(&mut self, parts: &[&str]) {
        for part in parts {
            self.out.push_str(part);
        }
    }

    /// Name, labels and the space before the value.
    fn head(&mut self, suffix: &str, labels: &Labels<'_>, le: Option<usize>) {
        self.out.push_str(&self.name);
        self.out.push_str(suffix);
        let mut separator = "{";
        if let Some(block) = labels.block() {
            self.push(&[separator, block]);
            separator = ",";
        }
        for (name, value) in labels.further {
            self.push(&[separator, name, "=\""]);
            match self.named_by_people {
                true => write!(self.out, "{}", Escaped(value)).expect("writing to a String cannot fail"),
                false => self.out.push_str(value),
            }
            self.out.push('"');
            separator = ",";
        }
        if let Some(le) = le {
            let bound = self.bounds.get(le).map_or("+Inf", String::as_str);
            self.out.push_str(separator);
            self.out.push_str("le=\"");
            self.out.push_str(bound);
            self.out.push('"');
            separator = ",";
        }
        self.out.push_str(if separator == "{" { " " } else { "} " });
    }

    /// When the series was 0, in seconds since 1970; OpenMetrics alone has it.
    fn created(&mut self, labels: &Labels<'_>) {
        if self.format != Format::OpenMetrics {
            return;
        }
        // The sample of a counter is named `_total`, its family is not.
        let of = self.name.strip_suffix("_total").unwrap_or(&self.name).len();
        let whole = self.name.split_off(of);
        self.head("_created", labels, None);
        self.name.push_str(&whole);
        let millis = labels.created.as_nanos() / 1_000_000;
        writeln!(self.out, "{}.{:03}", millis / 1000, millis % 1000).expect("writing to a String cannot fail");
    }

    fn line(&mut self, suffix: &str, labels: &Labels<'_>, le: Option<usize>, value: u64) {
        self.head(suffix, labels, le);
        self.push(&[itoa::Buffer::new().format(value), "\n"]);
    }

    fn real(&mut self, labels: &Labels<'_>, value: f64) {
        self.head("", labels, None);
        self.push(&[float(&mut zmij::Buffer::new(), value), "\n"]);
    }

    fn bucket(&mut self, labels: &Labels<'_>, bound: &Bound<'_>) {
        self.head("_bucket", labels, Some(bound.index));
        self.out.push_str(itoa::Buffer::new().format(bound.below));
        if self.format == Format::OpenMetrics
            && let Some((exemplar, value)) = bound.exemplar
        {
            let Exemplar { trace_id, span_id, at, .. } = exemplar;
            let (trace_id, span_id) = (u128::from_be_bytes(*trace_id), u64::from_be_bytes(span_id.0));
            let (seconds, millis) = (at.as_nanos() / 1_000_000_000, at.as_nanos() / 1_000_000 % 1000);
            let value = float(&mut zmij::Buffer::new(), value).to_owned();
            write!(
                self.out,
                " # {{trace_id=\"{trace_id:032x}\",span_id=\"{span_id:016x}\"}} {value} {seconds}.{millis:03}"
            )
            .expect("writing to a String cannot fail");
        }
        self.out.push('\n');
    }

    fn histogram(&mut self, labels: &Labels<'_>, histogram: &Histogram<'_>) {
        for bound in histogram.cumulative() {
            self.bucket(labels, &bound);
        }
        self.head("_sum", labels, None);
        self.push(&[float(&mut zmij::Buffer::new(), histogram.sum()), "\n"]);
        self.line("_count", labels, None, histogram.count());
        self.created(labels);
    }
}

impl Visitor for Writer {
    fn family(&mut self, family: &'static Family) {
        self.name.clear();
        self.name.push_str(&self.prefix);
        self.name.push_str(family.name);
        let (kind, buckets) = match family.kind {
            Kind::Counter => ("counter", None),
            Kind::Gauge => ("gauge", None),
            Kind::Histogram(buckets) => ("histogram", Some(buckets)),
        };
        let openmetrics = self.format == Format::OpenMetrics;
        // OpenMetrics names the family; its counter's one sample is the family with `_total`.
        let named = if openmetrics { self.name.strip_suffix("_total").unwrap_or(&self.name) } else { &self.name };
        for part in ["# HELP ", named, " ", family.help, "\n# TYPE ", named, " ", kind, "\n"] {
            self.out.push_str(part);
        }
        if openmetrics && buckets.is_some_and(|buckets| buckets.unit == Unit::Seconds) && named.ends_with("_seconds") {
            for part in ["# UNIT ", named, " seconds\n"] {
                self.out.push_str(part);
            }
        }
        self.named_by_people = family.scope == Scope::Target;
        self.bounds.clear();
        if let Some(buckets) = buckets {
            self.bounds.extend(buckets.bounds.iter().map(|bound| {
                let mut buffer = zmij::Buffer::new();
                let bound = buffer.format(*bound as f64 / buckets.unit.scale());
                // OpenMetrics wants `1.0`, the older format is everywhere written `1`.
                if openmetrics { bound } else { whole(bound) }.to_owned()
            }));
        }
    }

    fn series(&mut self, labels: &Labels<'_>, value: &Value<'_>) {
        match value {
            Value::Counter(value) => {
                self.line("", labels, None, *value);
                self.created(labels);
            }
            Value::Gauge(value) => {
                self.head("", labels, None);
                self.push(&[itoa::Buffer::new().format(*value), "\n"]);
            }
            Value::Ratio(ratio) => {
                if let Some(value) = self.undefined.shown(*ratio) {
                    self.real(labels, value);
                }
            }
            Value::Real(value) => self.real(labels, *value),
            Value::Histogram(histogram) => self.histogram(labels, histogram),
        }
    }
}

/// A number as both formats read it: shortest decimal that gives back the same value.
pub fn float(buffer: &mut zmij::Buffer, value: f64) -> &str {
    if value.is_finite() {
        whole(buffer.format_finite(value))
    } else if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "+Inf"
    } else {
        "-Inf"
    }
}

fn whole(number: &str) -> &str {
    number.strip_suffix(".0").unwrap_or(number)
}
