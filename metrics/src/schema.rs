//! The schema: what a metric is, and every metric of `sip-metrics.md` 4.1 to 4.8 once.
//!
//! [`FAMILIES`] are stored, [`F`] indexes them; [`DERIVED`] are other names for stored cells (`invite_total`
//! is `requests_total{method="INVITE"}`), ratios computed from them, and `build_info`; [`PROBES`] have rows of their own. Names stand without
//! their prefix and are the same in every output, so no backend's translation changes one: counters end
//! in `_total`, no unit is added by anybody.

use super::buckets::{Buckets, Unit};
use super::ratios::Ratio;

pub use super::derived::DERIVED;
pub use super::probes::{PROBES, Probe};
pub use super::stored::{F, FAMILIES, FIRST_CODE};

/// One metric: what a `# TYPE` line is to a scrape.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Name without the namespace, `_total` included.
    pub name: &'static str,
    /// One sentence with unit and source.
    pub help: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Whether it has `carrier` and `ua_type`, or another label of the configuration.
    pub scope: Scope,
    /// Labels besides `carrier` and `ua_type`, or `target` and `transport`. A variant is an index into the product of their values, the
    /// last label running fastest.
    pub labels: &'static [Label],
    /// When a series of it exists.
    pub presence: Presence,
    /// It is about media: it exists only where a processor of media is in the pipeline.
    pub media: bool,
    /// Where its values are.
    pub source: Source,
}

/// What kind of number a family holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from 0 at start.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of values up to each bound, and their sum.
    Histogram(Buckets),
}

/// Who is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One row per `carrier` and `ua_type`.
    Call,
    /// One row per `carrier` alone: trunks.
    Carrier,
    /// One row per `queue`.
    Queue,
    /// One row per `service` that balances calls.
    Service,
    /// One row per `service` and `backend` of it.
    Backend,
    /// One series (per further label) in all.
    Global,
    /// One row per `target` and `transport` of probes.
    Target,
}

/// When a series is shown. A label set is *touched* once anything was counted under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// From start with 0: global families, and for `other`/`other` what dashboards must find before the
    /// first call. Elsewhere when not 0.
    Start,
    /// With its label set, 0 included.
    Touched,
    /// When it is not 0 (a histogram: when it has a sample).
    Nonzero,
    /// Once the label set has an initial INVITE or a REGISTER (`sip-metrics.md` 4.3).
    Attempted,
    /// Once the label set has an initial INVITE, 0 included (4.2).
    Invited,
    /// Once the label set has a REGISTER, 0 included (4.2).
    Registered,
    /// Once the label set has media, 0 included (5.5).
    Heard,
    /// Never: others are computed from it.
    Hidden,
    /// Once the carrier has a trunk attempt in that direction, 0 included (4.2, 4.7).
    Trunked,
}

/// Where the values of a family come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Its own cells.
    Stored(F),
    /// One variant of another family: the same cell under a second name.
    View(F, usize),
    /// Computed from the cells of [`F::RatioInputs`] and [`F::SdcEvents`].
    Ratio(Ratio),
    /// The mean of the opinions in [`F::RecentOpinions`].
    Mean,
    /// Constant 1, with the labels of [`pipeline::Build`].
    Build,
    /// The rows of probes.
    Probe(Probe),
}

/// A label and its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// Label name.
    pub name: &'static str,
    /// The closed list of its values.
    pub values: Values,
}

/// The closed list of a label's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// These, in order of the variant.
    Listed(&'static [&'static str]),
    /// The numbers from `first` on, `count` of them. Kept in blocks that exist once one of theirs is counted.
    Numbers {
        /// The value of variant 0.
        first: u16,
        /// How many.
        count: u16,
    },
}

impl Label {
    /// A label with these values.
    pub const fn listed(name: &'static str, values: &'static [&'static str]) -> Self {
        Self { name, values: Values::Listed(values) }
    }

    /// A label whose values are `count` numbers from `first` on.
    pub const fn numbers(name: &'static str, first: u16, count: u16) -> Self {
        Self { name, values: Values::Numbers { first, count } }
    }
}

impl Values {
    /// How many values there are.
    pub const fn count(self) -> usize {
        match self {
            Self::Listed(values) => values.len(),
            Self::Numbers { count, .. } => count as usize,
        }
    }
}

impl Scope {
    /// The label of what has a row by its name, of a backend that besides its service; `None` of others.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Carrier => Some("carrier"),
            Self::Queue => Some("queue"),
            Self::Service => Some("service"),
            Self::Backend => Some("backend"),
            Self::Call | Self::Global | Self::Target => None,
        }
    }
}

impl Family {
    /// How many series the family has under one label set at most.
    pub const fn variants(&self) -> usize {
        let mut product = 1;
        let mut i = 0;
        while i < self.labels.len() {
            product *= self.labels[i].values.count();
            i += 1;
        }
        product
    }

    /// How many series of a scrape the family has under one label set at most, those of a histogram with its buckets.
    pub const fn series(&self) -> usize {
        match self.kind {
            // Its bounds, infinity, sum and count.
            Kind::Histogram(buckets) => self.variants() * (buckets.bounds.len() + 3),
            Kind::Counter | Kind::Gauge => self.variants(),
        }
    }

    /// The unit of its values, as UCUM writes it; `1` for plain numbers.
    pub fn unit(&self) -> &'static str {
        match (self.kind, self.source) {
            (Kind::Histogram(Buckets { unit: Unit::Milliseconds, .. }), _) => "ms",
            (Kind::Histogram(Buckets { unit: Unit::Seconds, .. }), _) => "s",
            (_, Source::Ratio(_)) => "%",
            _ if self.name.ends_with("_seconds") => "s",
            _ => "1",
        }
    }

    /// Whether the cells exist only in blocks: too many variants to keep for every label set.
    pub const fn is_sparse(&self) -> bool {
        let mut i = 0;
        while i < self.labels.len() {
            if let Values::Numbers { .. } = self.labels[i].values {
                return true;
            }
            i += 1;
        }
        false
    }

    pub(super) const fn new(name: &'static str, help: &'static str, kind: Kind, source: Source) -> Self {
        Self { name, help, kind, scope: Scope::Call, labels: &[], presence: Presence::Touched, media: false, source }
    }

    pub(super) const fn counter(name: &'static str, source: Source, help: &'static str) -> Self {
        Self::new(name, help, Kind::Counter, source)
    }

    pub(super) const fn gauge(name: &'static str, source: Source, help: &'static str) -> Self {
        Self::new(name, help, Kind::Gauge, source)
    }

    pub(super) const fn histogram(name: &'static str, source: Source, buckets: Buckets, help: &'static str) -> Self {
        Self::new(name, help, Kind::Histogram(buckets), source).when(Presence::Nonzero)
    }

    pub(super) const fn by(self, labels: &'static [Label]) -> Self {
        Self { labels, presence: Presence::Nonzero, ..self }
    }

    pub(super) const fn when(self, presence: Presence) -> Self {
        Self { presence, ..self }
    }

    pub(super) const fn media(self) -> Self {
        Self { media: true, ..self }
    }

    /// The first label is the direction.
    pub(super) const fn of_trunks(self, labels: &'static [Label]) -> Self {
        Self { scope: Scope::Carrier, labels, presence: Presence::Nonzero, ..self }
    }

    /// All of it exists once anything was counted for the queue.
    pub(super) const fn of_queues(self, labels: &'static [Label]) -> Self {
        Self { scope: Scope::Queue, labels, presence: Presence::Touched, ..self }
    }

    /// All of it exists once anything was counted for the service.
    pub(super) const fn of_services(self, labels: &'static [Label]) -> Self {
        Self { scope: Scope::Service, labels, presence: Presence::Touched, ..self }
    }

    /// It exists once anything was counted for the backend.
    pub(super) const fn of_backends(self) -> Self {
        Self { scope: Scope::Backend, presence: Presence::Touched, ..self }
    }

    pub(super) const fn global(self) -> Self {
        Self { scope: Scope::Global, presence: Presence::Start, ..self }
    }

    pub(super) const fn target(self) -> Self {
        Self { scope: Scope::Target, presence: Presence::Start, ..self }
    }
}

/// Every family that is ever shown, the stored ones first.
pub fn families() -> impl Iterator<Item = &'static Family> {
    FAMILIES.iter().chain(DERIVED).chain(PROBES).filter(|family| family.presence != Presence::Hidden)
}
