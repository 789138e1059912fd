//! Plays a ladder and compares what is exported after its last line.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ladder::Step;
use metrics::recorder::Recorder;
use metrics::{Family, Labels, Registry, Value, Visitor};
use pipeline::call::live::{LiveAsk, ShownNumber};
use pipeline::labels::{LabelSets, Name};
use pipeline::{CallRecord, CallsWanted, Carrier, Facts, FrameBatch, Networks, Processor, SipFrame};
use processor_dialog::{Config, Dialogs};
use wire::{Tap, Timestamp};

/// What is exported after a ladder, by name without prefix and labels besides `carrier` and `ua_type`; of trunks with
/// their carrier.
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

/// What is exported after a ladder.
pub fn exported(config: Config, ladder: &str) -> Exported {
    play(config, ladder, Labelled::No).0
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

/// The same for somebody who wants other records.
pub fn calls_for(wanted: CallsWanted, config: Config, ladder: &str) -> Vec<CallRecord> {
    let mut player = Player::wanting(wanted, config, Labelled::No);
    for step in ladder::play(ladder) {
        player.take(step.at, Some(step));
    }
    player.settle();
    player.drain()
}

/// Records of everything, in pieces where that is configured.
pub fn wanted() -> CallsWanted {
    CallsWanted { instance: "tests".into(), requests: true, pieces: true, number: None, watched: false }
}

/// Compares before the end: what waits for something that may still follow is not decided.
#[track_caller]
pub fn expect_so_far(ladder: &str, expected: &str) {
    let mut player = Player::new(Config::default(), Labelled::No);
    for step in ladder::play(ladder) {
        player.take(step.at, Some(step));
    }
    player.exported().expect(expected);
}

/// The only call of a ladder.
#[track_caller]
pub fn call(ladder: &str) -> CallRecord {
    call_with(Config::default(), ladder)
}

/// The only call of a ladder, with a configuration.
#[track_caller]
pub fn call_with(config: Config, ladder: &str) -> CallRecord {
    let mut calls = calls(config, ladder);
    assert_eq!(calls.len(), 1, "{calls:#?}");
    calls.remove(0)
}

/// Plays with carriers: `office` is alice, `alpha` bob and carol, `beta` dave.
#[track_caller]
pub fn expect_trunks(ladder: &str, expected: &str) {
    let mut player = Player::new(Config::default(), Labelled::No).with_carriers();
    player.play(ladder);
    player.settle();
    player.exported().expect(expected);
}

/// Whether series are told apart by `carrier` and `ua_type`.
#[derive(Clone, Copy, PartialEq)]
pub enum Labelled {
    /// `carrier` is the address of the origin, `ua_type` its User-Agent.
    Yes,
    /// All are summed up under no labels.
    No,
}

fn play(config: Config, ladder: &str, labelled: Labelled) -> (Exported, Vec<CallRecord>) {
    let mut player = Player::new(config, labelled);
    for step in ladder::play(ladder) {
        player.take(step.at, Some(step));
    }
    player.settle();
    let calls = player.drain();
    (player.exported(), calls)
}

/// The processor and the recorder behind it, fed one datagram after another.
pub struct Player {
    registry: Arc<Registry>,
    recorder: Recorder,
    dialogs: Dialogs,
    facts: Facts,
    labelled: Labelled,
    calls: Vec<CallRecord>,
    /// How far the wall clock is ahead, in nanoseconds.
    pub wall_offset: i64,
    /// The host that looks on and takes part; `None` where it is between others.
    pub host: Option<IpAddr>,
    now: Timestamp,
}

impl Player {
    /// Nothing played yet.
    pub fn new(config: Config, labelled: Labelled) -> Self {
        Self::wanting(wanted(), config, labelled)
    }

    /// Nothing played yet, for somebody who wants certain records.
    pub fn wanting(wanted: CallsWanted, config: Config, labelled: Labelled) -> Self {
        let registry = Registry::new("sip_exporter");
        Self {
            recorder: Recorder::new(registry.shard()),
            registry,
            dialogs: Dialogs::new(config, Some(wanted)),
            facts: Facts::default(),
            labelled,
            calls: Vec::new(),
            wall_offset: 0,
            host: None,
            now: Timestamp::ZERO,
        }
    }

    /// The same with the carriers of [`expect_trunks`].
    pub fn with_carriers(mut self) -> Self {
        let carriers = Carriers::new(self.registry.label_sets());
        self.dialogs.set_networks(Some(Arc::new(carriers)));
        self
    }

    /// The same that counts the callers of the queues that are configured.
    pub fn with_queues(mut self) -> Self {
        self.dialogs = self.dialogs.labelled(Arc::clone(self.registry.label_sets()));
        self
    }

    /// Plays a ladder, and does not end there.
    pub fn play(&mut self, ladder: &str) {
        for step in ladder::play(ladder) {
            self.take(step.at, Some(step));
        }
    }

    /// The clock comes to `at`, with a datagram or without.
    pub fn take(&mut self, at: Duration, step: Option<Step>) {
        let at = Timestamp::from_nanos(1_767_225_600_000_000_000) + at;
        let mut batch = FrameBatch { now: at, ..FrameBatch::default() };
        // Keep-alives only move the clock.
        if let Some(step) = step.filter(|step| step.bytes.iter().any(|byte| !b"\r\n".contains(byte))) {
            let frame = SipFrame::datagram(step.source, step.destination, at);
            let tap = match self.host {
                Some(host) if host == step.source.ip() => Tap::Sender,
                Some(host) if host == step.destination.ip() => Tap::Recipient,
                _ => Tap::Between,
            };
            batch.push(&step.bytes, SipFrame { wall_offset: self.wall_offset, tap, ..frame });
        }
        self.now = at;
        self.facts.clear();
        self.dialogs.process(&batch, &mut self.facts);
        self.record(&batch);
    }

    /// The capture is at its end (0.2).
    pub fn settle(&mut self) {
        self.facts.clear();
        self.dialogs.settle(self.now, &mut self.facts);
        self.record(&FrameBatch { now: self.now, ..FrameBatch::default() });
    }

    fn record(&mut self, batch: &FrameBatch) {
        if self.labelled == Labelled::Yes {
            for origin in std::mem::take(&mut self.facts.origins) {
                let ua_type = String::from_utf8_lossy(&self.facts.text[origin.user_agent.clone()]).into_owned();
                let set = self.registry.label_sets().intern(&origin.address.to_string(), &ua_type);
                self.facts.label(origin.slot, set);
            }
        }
        self.recorder.record(batch, &self.facts);
        self.calls.extend(self.facts.calls.drain(..).map(|call| CallRecord::clone(&call.record)));
    }

    /// The records that left so far.
    pub fn left(&self) -> &[CallRecord] {
        &self.calls
    }

    /// The records that left, and those of what is still up.
    pub fn drain(&mut self) -> Vec<CallRecord> {
        self.facts.clear();
        self.dialogs.drain(&mut self.facts);
        self.calls.extend(self.facts.calls.drain(..).map(|call| CallRecord::clone(&call.record)));
        std::mem::take(&mut self.calls)
    }

    /// Calls that are up, as they are told of.
    pub fn live(&mut self, ask: &LiveAsk) -> Vec<CallRecord> {
        let mut told = Vec::new();
        self.dialogs.live_calls(ask, &mut told);
        told
    }

    /// Gives it new settings; keys that need a restart.
    pub fn reconfigure(&mut self, config: Config) -> Vec<&'static str> {
        self.dialogs.reconfigure(Box::new(config))
    }

    /// How a number is shown.
    pub fn shown(&self, number: &str) -> Option<ShownNumber> {
        self.dialogs.shown_number(number)
    }

    /// What is exported now.
    pub fn exported(&self) -> Exported {
        let mut seen = Collector { labelled: self.labelled == Labelled::Yes, ..Collector::default() };
        self.registry.walk(&mut seen);
        Exported(seen.series)
    }

    /// What the processor tells of itself under a name, with a label value (empty: none).
    pub fn told(&self, name: &str, label: &str) -> f64 {
        let mut telemetry = Vec::new();
        self.dialogs.telemetry(&mut telemetry);
        let is_it = |number: &&pipeline::Telemetry| {
            number.name == name && number.labels.first().map_or("", |(_, value)| value.as_str()) == label
        };
        telemetry.iter().find(is_it).expect("it is told").value
    }

    /// Entries held, by table.
    pub fn held(&self) -> Vec<(String, f64)> {
        let mut telemetry = Vec::new();
        self.dialogs.telemetry(&mut telemetry);
        let tables = telemetry.into_iter().filter(|number| number.name == "otelcol_processor_table_entries");
        tables.map(|number| (number.labels[0].1.clone(), number.value)).collect()
    }
}

/// Carriers of the addresses that ladders know by name.
#[derive(Debug)]
struct Carriers([(IpAddr, Name, Arc<str>); 4]);

impl Carriers {
    fn new(label_sets: &LabelSets) -> Self {
        let all = [("alice", "office"), ("bob", "alpha"), ("carol", "alpha"), ("dave", "beta")];
        Self(all.map(|(host, name)| {
            let interned = label_sets.intern_name("carrier", name).expect("there is room");
            (ladder::endpoint::address(host).ip(), interned, name.into())
        }))
    }
}

impl Networks for Carriers {
    fn carrier_of(&self, address: IpAddr) -> Option<Carrier<'_>> {
        let (_, name, text) = self.0.iter().find(|(of, ..)| *of == address)?;
        Some(Carrier { name: *name, text })
    }
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

    /// The plain numbers, by series.
    pub fn numbers(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().filter_map(|(name, number)| match number {
            Number::Plain(value) => Some((name.as_str(), *value)),
            _ => None,
        })
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
            .filter(|(name, _)| self.labelled || labels.pair.is_none() || !["carrier", "ua_type"].contains(name))
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let labels = if shown.is_empty() { String::new() } else { format!("{{{}}}", shown.join(",")) };
        let number = match value {
            Value::Counter(value) => Number::Plain(*value as f64),
            Value::Gauge(value) => Number::Plain(*value as f64),
            Value::Real(value) | Value::Ratio(Some(value)) => Number::Plain(*value),
            Value::Ratio(None) => Number::Undefined,
            Value::Histogram(histogram) => Number::Histogram { count: histogram.count(), sum: histogram.sum() },
        };
        self.series.insert(format!("{}{labels}", self.name), number);
    }
}
