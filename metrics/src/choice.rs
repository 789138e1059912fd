//! What of the metrics somebody wants: which families, and which buckets of them.

use std::collections::{HashMap, HashSet};

use super::schema::{F, Family, Kind, Source, families};

/// The default is everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    hidden: HashSet<&'static str>,
    /// Which of its bounds are shown, of families that do not show all.
    bounds: HashMap<&'static str, Box<[bool]>>,
}

/// Why a choice cannot be made.
#[derive(Clone, Debug, PartialEq)]
pub enum Unknown {
    /// No metric has this name.
    Name,
    /// The metric is no histogram.
    NoHistogram,
    /// The histogram does not have this bound; it has these, in its unit.
    Bound(f64, Vec<f64>),
}

impl Choice {
    /// Leaves out each family that `is_shown` does not want, by its name without prefix.
    pub fn show(&mut self, is_shown: impl Fn(&str) -> bool) {
        self.hidden.extend(families().map(|family| family.name).filter(|name| !is_shown(name)));
    }

    /// Leaves out the other names of what `requests_total` and `responses_total` have by label: `invite_total`, `486_total`.
    pub fn hide_names_per_code(&mut self) {
        let is_second = |family: &&Family| matches!(family.source, Source::View(F::Requests | F::Responses, _));
        self.hidden.extend(families().filter(is_second).map(|family| family.name));
    }

    /// Of a histogram, shows these bounds alone; they are in its unit and among those it has.
    pub fn keep_bounds(&mut self, name: &str, wanted: &[f64]) -> Result<(), Unknown> {
        let family = families().find(|family| family.name == name).ok_or(Unknown::Name)?;
        let Kind::Histogram(buckets) = family.kind else { return Err(Unknown::NoHistogram) };
        let scale = buckets.unit.scale();
        let all: Vec<f64> = buckets.bounds.iter().map(|bound| *bound as f64 / scale).collect();
        if let Some(other) = wanted.iter().find(|bound| !all.contains(bound)) {
            return Err(Unknown::Bound(*other, all));
        }
        self.bounds.insert(family.name, all.iter().map(|bound| wanted.contains(bound)).collect());
        Ok(())
    }

    pub(super) fn is_hidden(&self, family: &Family) -> bool {
        self.hidden.contains(family.name)
    }

    pub(super) fn bounds(&self, family: &Family) -> Option<&[bool]> {
        self.bounds.get(family.name).map(AsRef::as_ref)
    }
}
