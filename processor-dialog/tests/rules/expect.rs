//! Plays a ladder and compares what is exported after its last line.

use std::collections::BTreeMap;

use pipeline::metrics::{Family, Labels, Registry, Value, Visitor};
use pipeline::recorder::Recorder;
use pipeline::{CallRecord, Facts, FrameBatch, Processor, SipFrame, Transport};
use processor_dialog::{Config, Dialogs};
use wire::Timestamp;

/// What is exported after a ladder, by name without prefix and labels besides `carrier` and `ua_type`.
pub struct Exported(BTreeMap<String, Number>);

enum Number {
    Plain(f64),
    Undefined,
    Histogram { count: u64, sum: f64 },
}

/// Plays `ladder` with the default configuration and compares as [`Exported::expect`] does.
#[track_caller]
pub fn expect(ladder: &str, expected: &str) {
    expect_with(Config::default(), ladder, expected);
}

/// The same with a configuration.
#[track_caller]
pub fn expect_with(config: Config, ladder: &str, expected: &str) {
    play(config, ladder, Labelled::No).0.expect(expected);
}

/// Plays with labels: `carrier` is the address of the origin, `ua_type` its User-Agent.
#[track_caller]
pub fn expect_labelled(ladder: &str, expected: &str) {
    play(Config::default(), ladder, Labelled::Yes).0.expect(expected);
}

/// The calls of a ladder: those that ended, then those still up.
pub fn calls(config: Config, ladder: &str) -> Vec<CallRecord> {
    play(config, ladder, Labelled::No).1
}

#[derive(PartialEq)]
enum Labelled {
    Yes,
    No,
}

fn play(config: Config, ladder: &str, labelled: Labelled) -> (Exported, Vec<CallRecord>) {
    let epoch = Timestamp::from_nanos(1_767_225_600_000_000_000);
    let registry = Registry::new("sip_exporter");
    let mut recorder = Recorder::new(registry.shard());
    let mut dialogs = Dialogs::new(config, true);
    let mut facts = Facts::default();
    let mut calls = Vec::new();
    for step in ladder::play(ladder) {
        let at = epoch + step.at;
        let mut batch = FrameBatch { now: at, ..FrameBatch::default() };
        // Keep-alives only move the clock.
        if step.bytes.iter().any(|byte| !b"\r\n".contains(byte)) {
            batch.frames.push(SipFrame {
                range: 0..step.bytes.len(),
                first: at,
                at,
                wall_offset: 0,
                source: step.source,
                destination: step.destination,
                transport: Transport::Udp,
                truncated: false,
            });
            batch.bytes = step.bytes;
        }
        facts.clear();
        dialogs.process(&batch, &mut facts);
        if labelled == Labelled::Yes {
            for origin in std::mem::take(&mut facts.origins) {
                let ua_type = String::from_utf8_lossy(&facts.text[origin.user_agent.clone()]).into_owned();
                let set = registry.label_sets().intern(&origin.address.to_string(), &ua_type);
                facts.label(origin.slot, set);
            }
        }
        recorder.record(&batch, &facts);
        calls.append(&mut facts.calls);
    }
    facts.clear();
    dialogs.drain(&mut facts);
    calls.append(&mut facts.calls);
    let mut seen = Collector { labelled: labelled == Labelled::Yes, ..Collector::default() };
    registry.walk(&mut seen);
    (Exported(seen.series), calls)
}

impl Exported {
    /// `expected` is a list as in the public scenarios: `name value; name{label=value} value; name undefined;
    /// histogram n=2 sum=1.5; histogram n=0`, separated by `;` or line ends. A series that is absent is 0.
    #[track_caller]
    pub fn expect(&self, expected: &str) {
        let mut wrong = Vec::new();
        for item in expected.split([';', '\n']).map(str::trim).filter(|item| !item.is_empty()) {
            let (name, value) = item.split_once(' ').unwrap_or_else(|| panic!("{item:?} has no value"));
            let got = self.0.get(name);
            if !agrees(got, value.trim()) {
                wrong.push(format!("{item}: got {}", show(got)));
            }
        }
        assert!(wrong.is_empty(), "\n{}\nall:\n{}", wrong.join("\n"), self.all());
    }

    fn all(&self) -> String {
        let shown = self.0.iter().filter(|(_, number)| !matches!(number, Number::Plain(0.0)));
        shown.map(|(name, number)| format!("  {name} {}\n", show(Some(number)))).collect()
    }
}

fn agrees(got: Option<&Number>, expected: &str) -> bool {
    let close = |a: f64, b: f64| (a - b).abs() < 1e-6;
    match (got, expected) {
        (None | Some(Number::Undefined), "undefined") => true,
        (_, "undefined") => false,
        (Some(Number::Histogram { count, sum }), expected) => {
            let mut words = expected.split_whitespace();
            let count_agrees = words.next() == Some(&format!("n={count}"));
            let sum_agrees = words.next().is_none_or(|word| {
                word.strip_prefix("sum=").is_some_and(|s| close(s.parse().expect("a number"), *sum))
            });
            count_agrees && sum_agrees
        }
        (None, "n=0" | "0") => true,
        (Some(Number::Plain(value)), expected) => close(expected.parse().expect("a number"), *value),
        _ => false,
    }
}

fn show(number: Option<&Number>) -> String {
    match number {
        None => "nothing".to_owned(),
        Some(Number::Plain(value)) => value.to_string(),
        Some(Number::Undefined) => "undefined".to_owned(),
        Some(Number::Histogram { count, sum }) => format!("n={count} sum={sum}"),
    }
}

#[derive(Default)]
struct Collector {
    labelled: bool,
    name: &'static str,
    series: BTreeMap<String, Number>,
}

impl Visitor for Collector {
    fn family(&mut self, family: &'static Family) {
        self.name = family.name;
    }

    fn series(&mut self, labels: &Labels<'_>, value: &Value<'_>) {
        let shown: Vec<String> = labels
            .iter()
            .filter(|(name, _)| self.labelled || !["carrier", "ua_type"].contains(name))
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let labels = if shown.is_empty() { String::new() } else { format!("{{{}}}", shown.join(",")) };
        let number = match value {
            Value::Counter(value) => Number::Plain(*value as f64),
            Value::Gauge(value) => Number::Plain(*value as f64),
            Value::Ratio(Some(value)) => Number::Plain(*value),
            Value::Ratio(None) => Number::Undefined,
            Value::Histogram(histogram) => Number::Histogram { count: histogram.count(), sum: histogram.sum() },
        };
        self.series.insert(format!("{}{labels}", self.name), number);
    }
}
