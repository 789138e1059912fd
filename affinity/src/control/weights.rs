//! Weights that follow how backends answer: less for one that is slow or refuses, back again when it is well.
//!
//! Guard rails: never below a quarter of what is configured, never more than half of the backends at once, and no tick
//! moves more than a tenth of the slots. A known dialog never moves, whatever is decided here.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::ticks::{Joining, Sample, Tick};
use super::{Delays, ticks};
use crate::maglev::{Maglev, SLOTS};

/// The whole of a configured weight, in thousandths.
pub const WHOLE: u32 = 1000;

/// The least that is left of it.
pub const FLOOR: u32 = 250;

/// What is taken of a weight at once: a fifth of what is left.
const REDUCED: (u32, u32) = (4, 5);

/// What is given back in a tick.
const RECOVERED: u32 = 50;

/// Ticks running over the target before a weight is reduced.
const SLOW: u32 = 3;

/// Ticks running well below the target before a weight recovers.
const GOOD: u32 = 5;

/// Seconds over which INVITEs without any response are told from those whose response is under way.
const SILENCE: usize = 10;

/// Slots that may lead elsewhere after a tick.
const MOST_MOVED: usize = SLOTS as usize / 10;

/// The weights of one service.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    backends: BTreeMap<String, Backend>,
}

/// A backend in one second.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its configured weight; 0 when new dialogs do not go there, for whatever reason.
    pub weight: u32,
    /// What was counted.
    pub sample: Sample,
}

/// A weight that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Of which backend.
    pub backend: String,
    /// Thousandths of the configured weight before.
    pub from: u32,
    /// And from now on.
    pub to: u32,
    /// Why.
    pub reason: Reason,
}

/// Why a weight changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its first responses are late, and later than those of the others.
    Delay,
    /// It refuses (503, 408) or is silent.
    Errors,
    /// It is well again.
    Recovered,
}

impl Reason {
    /// A word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delay => "delay",
            Self::Errors => "errors",
            Self::Recovered => "recovered",
        }
    }
}

#[derive(Clone, Debug)]
struct Backend {
    /// Thousandths of the configured weight, [`FLOOR`] to [`WHOLE`].
    factor: u32,
    joining: Joining,
    /// INVITEs and first responses of the last seconds.
    recent: VecDeque<(u64, u64)>,
    /// Delays of its last whole tick, for others to be compared with.
    delays: Delays,
    /// Ticks running over the target.
    slow: u32,
    /// Ticks running well below it.
    good: u32,
}

/// What a tick says about a backend.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Less, for this reason; the worse the greater the number.
    Less(Reason, u64),
    More,
    Same,
}

impl Weights {
    /// What a backend has of its configured weight, in thousandths.
    pub fn factor(&self, backend: &str) -> u32 {
        self.backends.get(backend).map_or(WHOLE, |backend| backend.factor)
    }

    /// Takes what was counted of all backends of the service in a second; says what changes. Who is not among them is
    /// forgotten.
    pub fn tick(&mut self, target: Duration, observed: &[Observed<'_>]) -> Vec<Change> {
        self.backends.retain(|name, _| observed.iter().any(|one| one.name == name));
        let whole: Vec<(&str, Option<Box<Sample>>, bool)> = observed
            .iter()
            .map(|one| {
                let backend = self.backends.entry(one.name.to_owned()).or_default();
                backend.remember(&one.sample);
                match backend.joining.second(&one.sample) {
                    Tick::Complete(sample) => (one.name, Some(sample), false),
                    Tick::Quiet => (one.name, None, true),
                    Tick::Joined => (one.name, None, false),
                }
            })
            .collect();
        for (name, sample, quiet) in &whole {
            let backend = self.backends.get_mut(*name).expect("it was put there");
            match sample {
                Some(sample) => backend.delays = sample.delays,
                None if *quiet => backend.delays = Delays::default(),
                None => {}
            }
        }
        let verdicts: Vec<(&str, Verdict)> = whole
            .iter()
            .map(|(name, sample, quiet)| {
                let others = self.others(name);
                let backend = self.backends.get_mut(*name).expect("it was put there");
                let verdict = match sample {
                    Some(sample) => backend.judge(target, sample, others),
                    None if *quiet => backend.well(),
                    None => Verdict::Same,
                };
                (*name, verdict)
            })
            .collect();
        let wanted = self.wanted(&verdicts, observed);
        self.take(wanted, observed)
    }

    /// The median of what all others answered in.
    fn others(&self, name: &str) -> Option<Duration> {
        let mut sum = Delays::default();
        self.backends.iter().filter(|(other, _)| *other != name).for_each(|(_, backend)| sum += &backend.delays);
        sum.median()
    }

    /// Changes that the verdicts ask for, within the floor and never more than half of the backends below their weight.
    fn wanted(&self, verdicts: &[(&str, Verdict)], observed: &[Observed<'_>]) -> Vec<Change> {
        let in_use = |name: &str| observed.iter().any(|one| one.name == name && one.weight > 0);
        let most = observed.iter().filter(|one| one.weight > 0).count() / 2;
        let mut reduced = observed.iter().filter(|one| one.weight > 0 && self.factor(one.name) < WHOLE).count();
        let mut less: Vec<(&str, Reason, u64)> = verdicts
            .iter()
            .filter_map(|(name, verdict)| match verdict {
                Verdict::Less(reason, badness) if in_use(name) => Some((*name, *reason, *badness)),
                _ => None,
            })
            .collect();
        // The worst first, for not all of them may be.
        less.sort_by_key(|(name, _, badness)| (std::cmp::Reverse(*badness), *name));
        let mut changes = Vec::new();
        for (name, reason, _) in less {
            let from = self.factor(name);
            if from == WHOLE && reduced >= most {
                continue;
            }
            reduced += usize::from(from == WHOLE);
            let to = (from * REDUCED.0 / REDUCED.1).max(FLOOR);
            changes.push(Change { backend: name.to_owned(), from, to, reason });
        }
        for (name, _) in verdicts.iter().filter(|(_, verdict)| *verdict == Verdict::More) {
            let from = self.factor(name);
            let to = (from + RECOVERED).min(WHOLE);
            changes.push(Change { backend: (*name).to_owned(), from, to, reason: Reason::Recovered });
        }
        changes.retain(|change| change.from != change.to);
        changes
    }

    /// Takes over changes, each cut to half as often as it takes for no more than a tenth of the slots to move.
    fn take(&mut self, mut changes: Vec<Change>, observed: &[Observed<'_>]) -> Vec<Change> {
        if changes.is_empty() {
            return changes;
        }
        let table = |factor: &dyn Fn(&str) -> u32| {
            let weighted = observed.iter().map(|one| (one.name, one.weight * factor(one.name)));
            Maglev::weighted(&weighted.collect::<Vec<_>>())
        };
        let before = table(&|name| self.factor(name));
        loop {
            let change = |name: &str| changes.iter().find(|change| change.backend == name);
            let after = table(&|name| change(name).map_or_else(|| self.factor(name), |change| change.to));
            if after.moved(&before) <= MOST_MOVED {
                break;
            }
            changes.iter_mut().for_each(|change| change.to = change.from.midpoint(change.to));
            changes.retain(|change| change.from != change.to);
        }
        for change in &changes {
            self.backends.get_mut(&change.backend).expect("it was judged").factor = change.to;
        }
        changes
    }
}

impl Backend {
    fn remember(&mut self, sample: &Sample) {
        self.recent.push_back((sample.invites, sample.delays.count()));
        if self.recent.len() > SILENCE {
            self.recent.pop_front();
        }
    }

    /// Judges a whole tick. `others` is the median of the others, `None` when nothing is known of any.
    fn judge(&mut self, target: Duration, sample: &Sample, others: Option<Duration>) -> Verdict {
        let median = sample.delays.median();
        self.slow = if median.is_some_and(|median| median > target) { self.slow + 1 } else { 0 };
        let errors = self.errors(sample);
        let failing = errors > 50;
        let good = !failing && median.is_some_and(|median| median < target * 4 / 5);
        if good {
            return self.well();
        }
        self.good = 0;
        let median = median.unwrap_or_default();
        let late = others.is_some_and(|others| median > others * 3 / 2);
        if failing {
            Verdict::Less(Reason::Errors, u64::from(WHOLE) + errors)
        } else if self.slow >= SLOW && late {
            Verdict::Less(Reason::Delay, u64::from(WHOLE).min(median.as_millis() as u64 / 10))
        } else {
            Verdict::Same
        }
    }

    /// A good tick, or a second that counts as one.
    fn well(&mut self) -> Verdict {
        self.slow = 0;
        self.good += 1;
        if self.good >= GOOD && self.factor < WHOLE { Verdict::More } else { Verdict::Same }
    }

    /// Refused, timed out and silent ones in a thousand INVITEs.
    fn errors(&self, sample: &Sample) -> u64 {
        let refused = (sample.unavailable + sample.timeouts) * 1000 / sample.invites.max(1);
        let (invites, answered) = self.recent.iter().fold((0, 0), |sum, second| (sum.0 + second.0, sum.1 + second.1));
        let silent = match invites >= ticks::ENOUGH && self.recent.len() == SILENCE {
            true => u64::saturating_sub(invites, answered) * 1000 / invites,
            false => 0,
        };
        refused + silent
    }
}

impl Default for Backend {
    fn default() -> Self {
        Self {
            factor: WHOLE,
            joining: Joining::default(),
            recent: VecDeque::with_capacity(SILENCE),
            delays: Delays::default(),
            slow: 0,
            good: 0,
        }
    }
}

#[cfg(test)]
mod tests;
