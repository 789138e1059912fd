//! The figures of now: a copy of the rows in, ratios and numbers for the page out.
//!
//! Ratios are computed from the same cells as those of a scrape, over all label sets and for each; those of the last
//! minutes from what was added since. A ratio with nothing to divide by is `null`.

use std::collections::{BTreeMap, VecDeque};

use metrics::label_values::Input;
use metrics::ratios::Inputs;
use metrics::schema::{Family, Source};
use metrics::{F, Labels, Ratio, Snapshot, Value, Visitor};
use pipeline::LabelSet;
use pipeline::probes::{ProbeCopy, ProbeNumbers};
use serde::Serialize;

/// What the rows say now.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// The thirteen ratios, in percent, since the start of the program.
    ratios: BTreeMap<&'static str, Option<f64>>,
    /// The same over the last `recent_seconds`.
    recent: BTreeMap<&'static str, Option<f64>>,
    recent_seconds: u64,
    /// Counters and gauges over all labels, by their names without prefix.
    totals: BTreeMap<&'static str, i64>,
    /// Session attempts by outcome.
    outcomes: BTreeMap<&'static str, i64>,
    /// Means of delays since the start, in the unit of the metric.
    means: BTreeMap<&'static str, f64>,
    /// Attempts and ratios for each pair of labels, the busiest first.
    parties: Vec<Party>,
    /// Who is probed, those that do not answer first.
    targets: Vec<Target>,
    /// Calls that were up, `up_every_seconds` apart over the last quarter of an hour, the oldest first, and those that are.
    up: Vec<i64>,
    up_every_seconds: u64,
}

/// A target of probes.
#[derive(Clone, Debug, Serialize)]
struct Target {
    name: String,
    transport: &'static str,
    carrier: String,
    /// `null` before the first result.
    up: Option<bool>,
    /// 0 when nothing came.
    last_status: u16,
    last_rtt_seconds: Option<f64>,
    sent: u64,
    lost: u64,
}

impl Target {
    fn of(row: &ProbeCopy) -> Self {
        let ProbeNumbers { carrier, sent, lost, now, .. } = &row.numbers;
        Self {
            name: row.target.name.clone(),
            transport: row.target.transport,
            carrier: carrier.clone(),
            up: now.map(|now| now.up),
            last_status: now.map_or(0, |now| now.last_status),
            last_rtt_seconds: now.and_then(|now| now.last_rtt),
            sent: *sent,
            lost: *lost,
        }
    }
}

/// What was counted under one pair of labels.
#[derive(Clone, Debug, Serialize)]
struct Party {
    carrier: Box<str>,
    ua_type: Box<str>,
    attempts: u64,
    asr_e425: Option<f64>,
    seer_rfc6076: Option<f64>,
    ner_e425: Option<f64>,
    sessions: i64,
}

/// What the inputs of ratios and the calls that are up were, for ratios of the last minutes and a trend.
#[derive(Debug, Default)]
pub struct Past {
    /// The oldest first, [`Past::EVERY_SECONDS`] apart.
    samples: VecDeque<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    sums: Sums,
    up: i64,
}

/// The inputs of ratios, summed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    inputs: [u64; Input::ALL.len()],
    sdc: u64,
}

impl Past {
    /// Samples are taken so far apart.
    pub const EVERY_SECONDS: u64 = 15;
    /// Samples kept: a quarter of an hour.
    const KEPT: usize = 60;
    /// Of those, the ones that ratios are recent over: five minutes.
    const RECENT: usize = 20;

    /// Takes a sample, [`Past::EVERY_SECONDS`] after the one before.
    pub fn sample(&mut self, snapshot: &Snapshot) {
        if self.samples.len() == Self::KEPT {
            self.samples.pop_front();
        }
        let rows = Rows::of(snapshot);
        self.samples.push_back(Sample { sums: rows.sums, up: rows.up() });
    }

    /// The inputs of ratios as they were when the last minutes began, and how many seconds these are.
    fn recent(&self) -> (Sums, u64) {
        let back = self.samples.len().min(Self::RECENT);
        let then = self.samples.get(self.samples.len() - back).map(|sample| sample.sums);
        (then.unwrap_or_default(), back as u64 * Self::EVERY_SECONDS)
    }
}

impl Figures {
    /// What `snapshot` says, compared with the `past`.
    pub fn of(snapshot: &Snapshot, past: &Past) -> Self {
        let rows = Rows::of(snapshot);
        let up = past.samples.iter().map(|sample| sample.up).chain([rows.up()]).collect();
        let mut totals = rows.totals;
        // Exact up to 2^63 attempts.
        totals.insert("session_attempts_total", rows.sums.n(Input::A) as i64);
        let (then, recent_seconds) = past.recent();
        let mut parties: Vec<Party> =
            rows.sets.into_values().filter(|party| party.sums.n(Input::A) > 0).map(Set::party).collect();
        parties.sort_by(|a, b| b.attempts.cmp(&a.attempts).then_with(|| a.carrier.cmp(&b.carrier)));
        parties.truncate(MOST_PARTIES);
        let mut targets: Vec<Target> = snapshot.probes().iter().map(Target::of).collect();
        targets.sort_by_key(|target| target.up != Some(false));
        targets.truncate(MOST_TARGETS);
        Self {
            ratios: rows.sums.ratios(),
            recent: rows.sums.since(&then).ratios(),
            recent_seconds,
            totals,
            outcomes: rows.outcomes,
            means: rows.means.into_iter().map(|(name, (sum, count))| (name, sum / count as f64)).collect(),
            parties,
            targets,
            up,
            up_every_seconds: Past::EVERY_SECONDS,
        }
    }
}

impl Sums {
    fn n(&self, input: Input) -> u64 {
        self.inputs[input.index()]
    }

    fn ratio(&self, ratio: Ratio) -> Option<f64> {
        ratio.of(Inputs { inputs: &self.inputs, sdc: self.sdc })
    }

    fn ratios(&self) -> BTreeMap<&'static str, Option<f64>> {
        let families = metrics::DERIVED.iter();
        let ratios = families.filter_map(|family| match family.source {
            Source::Ratio(ratio) => Some((family.name, self.ratio(ratio))),
            _ => None,
        });
        ratios.collect()
    }

    fn since(&self, then: &Self) -> Self {
        let inputs = std::array::from_fn(|index| self.inputs[index].saturating_sub(then.inputs[index]));
        Self { inputs, sdc: self.sdc.saturating_sub(then.sdc) }
    }
}

/// Adds up what a walk shows.
#[derive(Default)]
struct Rows {
    family: Option<&'static Family>,
    sums: Sums,
    totals: BTreeMap<&'static str, i64>,
    outcomes: BTreeMap<&'static str, i64>,
    /// Sum and count.
    means: BTreeMap<&'static str, (f64, u64)>,
    sets: BTreeMap<LabelSet, Set>,
}

#[derive(Default)]
struct Set {
    carrier: Box<str>,
    ua_type: Box<str>,
    sums: Sums,
    sessions: i64,
}

impl Set {
    fn party(self) -> Party {
        let Self { carrier, ua_type, sums, sessions } = self;
        Party {
            carrier,
            ua_type,
            attempts: sums.n(Input::A),
            asr_e425: sums.ratio(Ratio::AsrE425),
            seer_rfc6076: sums.ratio(Ratio::SeerRfc6076),
            ner_e425: sums.ratio(Ratio::NerE425),
            sessions,
        }
    }
}

impl Rows {
    fn of(snapshot: &Snapshot) -> Self {
        let mut rows = Self::default();
        snapshot.walk(&mut rows);
        rows
    }

    /// Calls that are up.
    fn up(&self) -> i64 {
        self.sets.values().map(|set| set.sessions).sum()
    }

    fn set(&mut self, labels: &Labels<'_>) -> Option<&mut Set> {
        let (set, pair) = labels.id.set.zip(labels.pair)?;
        Some(self.sets.entry(set).or_insert_with(|| Set {
            carrier: pair.carrier.clone(),
            ua_type: pair.ua_type.clone(),
            ..Set::default()
        }))
    }
}

impl Visitor for Rows {
    fn family(&mut self, family: &'static Family) {
        self.family = Some(family);
    }

    fn series(&mut self, labels: &Labels<'_>, value: &Value<'_>) {
        let Some(family) = self.family else { return };
        let Source::Stored(stored) = family.source else { return };
        let number = match *value {
            // Exact up to 2^63 events.
            Value::Counter(count) => count as i64,
            Value::Gauge(number) => number,
            Value::Ratio(_) | Value::Real(_) => return,
            Value::Histogram(histogram) => {
                let (sum, count) = self.means.entry(family.name).or_default();
                *sum += histogram.sum();
                *count += histogram.count();
                return;
            }
        };
        let variant = labels.id.variant;
        match stored {
            F::RatioInputs => {
                self.sums.inputs[variant] += number as u64;
                if let Some(set) = self.set(labels) {
                    set.sums.inputs[variant] += number as u64;
                }
                return;
            }
            F::SdcEvents => {
                self.sums.sdc += number as u64;
                if let Some(set) = self.set(labels) {
                    set.sums.sdc += number as u64;
                }
            }
            F::Sessions => {
                if let Some(set) = self.set(labels) {
                    set.sessions += number;
                }
            }
            F::SessionOutcomes => {
                if let Some(outcome) = pipeline::event::Outcome::ALL.get(variant) {
                    *self.outcomes.entry(outcome.as_str()).or_default() += number;
                }
            }
            _ => {}
        }
        *self.totals.entry(family.name).or_default() += number;
    }
}

/// Targets of probes that are shown.
const MOST_TARGETS: usize = 50;
/// Pairs of labels that are shown.
const MOST_PARTIES: usize = 50;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use metrics::Registry;
    use pipeline::probes::{ProbeEnd, ProbeTarget, Probes};
    use serde_json::json;

    use super::*;

    #[test]
    fn the_past_has_an_end() {
        let registry = Registry::new("sip_exporter");
        let mut past = Past::default();
        let figures = |past: &Past| {
            let figures = Figures::of(&registry.snapshot(), past);
            (figures.recent_seconds, figures.up.len())
        };
        assert_eq!(figures(&past), (0, 1));
        (0..3).for_each(|_| past.sample(&registry.snapshot()));
        assert_eq!(figures(&past), (45, 4));
        (0..100).for_each(|_| past.sample(&registry.snapshot()));
        assert_eq!(figures(&past), (300, 61));
    }

    #[test]
    fn targets_are_there_where_somebody_is_probed_those_that_are_silent_first() {
        let registry = Registry::new("sip_exporter");
        let targets = |registry: &Registry| {
            let figures = Figures::of(&registry.snapshot(), &Past::default());
            serde_json::to_value(figures).expect("it can be written")["targets"].clone()
        };
        assert_eq!(targets(&registry), json!([]));
        let probes = Arc::<Probes>::default();
        let row = |name: &str| {
            probes.row(&ProbeTarget { name: name.to_owned(), transport: "udp" }, if name == "a" { "alpha" } else { "" })
        };
        for (name, end) in
            [("a", ProbeEnd::Answered { status: 404, rtt: Duration::from_millis(20) }), ("b", ProbeEnd::Timeout)]
        {
            row(name).sent();
            row(name).ended("", end, None);
        }
        row("c");
        let target = |name: &str, carrier: &str, up, status: u16, rtt: Option<f64>, sent: u64, lost: u64| {
            let up: Option<bool> = up;
            json!({ "name": name, "transport": "udp", "carrier": carrier, "up": up, "last_status": status,
                    "last_rtt_seconds": rtt, "sent": sent, "lost": lost })
        };
        assert_eq!(
            targets(&registry.with_probes(Arc::clone(&probes))),
            json!([
                target("b", "", Some(false), 0, None, 1, 1),
                target("a", "alpha", Some(true), 404, Some(0.02), 1, 0),
                target("c", "", None, 0, None, 0, 0),
            ])
        );
    }
}
