//! One series as a visitor sees it: its labels and its value.

use pipeline::LabelSet;
use pipeline::labels::{Name, Named, Pair};

use wire::Timestamp;

use super::buckets::Buckets;
use super::exemplars::{Bucket, Exemplar, Held};
use super::native::{CELLS, Native};

/// Which series of its family: the same in every snapshot of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesId {
    /// `None` where there is no `carrier` and `ua_type`.
    pub set: Option<LabelSet>,
    /// `None` where there is no single name.
    pub name: Option<Name>,
    /// Index into the product of the values of the further labels.
    pub variant: usize,
}

/// The labels of a series.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    /// The series itself.
    pub id: SeriesId,
    /// `carrier` and `ua_type`; `None` for families without them.
    pub pair: Option<&'a Pair>,
    /// The name of the configuration that the series is about; `None` where it is about callers or about all.
    pub named: Option<&'a Named>,
    /// The others. Their values need no escaping.
    pub further: &'a [(&'static str, &'a str)],
    /// When the series was 0: since its labels were counted first, whether it was shown or not.
    pub created: Timestamp,
}

impl<'a> Labels<'a> {
    /// The labels of the configuration as the Prometheus text formats write them; `None` without any.
    pub(super) fn block(&self) -> Option<&'a str> {
        self.pair.map(|pair| &*pair.block).or(self.named.map(|named| &*named.block))
    }

    /// Names and values, unescaped, those of the configuration first.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let pair = self.pair.map(|pair| [("carrier", &*pair.carrier), ("ua_type", &*pair.ua_type)]);
        let within = self.named.and_then(|named| named.within.as_ref()).map(|(label, value)| (*label, &**value));
        let named = self.named.map(|named| (named.label, &*named.value));
        pair.into_iter().flatten().chain(within).chain(named).chain(self.further.iter().copied())
    }
}

/// The value of a series.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Of a counter.
    Counter(u64),
    /// Of a gauge.
    Gauge(i64),
    /// Percent, or a mean; `None` is undefined: nothing to divide by.
    Ratio(Option<f64>),
    /// Of a gauge that is no whole number.
    Real(f64),
    /// Of a histogram.
    Histogram(Histogram<'a>),
}

/// One bound of a histogram.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    /// Among all that the family has.
    pub index: usize,
    /// In the family's unit.
    pub upper: f64,
    /// Samples at or below it.
    pub below: u64,
    /// Of a sample above the bound that is shown before it, with its value in the family's unit.
    pub exemplar: Option<(&'a Exemplar, f64)>,
}

/// One histogram series.
#[derive(Clone, Copy, Debug)]
pub struct Histogram<'a> {
    pub(super) buckets: Buckets,
    /// Those of its buckets, then the two halves of the sum.
    pub(super) cells: &'a [u64],
    /// With the first of its buckets; `None` where there never are any.
    pub(super) exemplars: Option<(&'a Held, Bucket)>,
    /// Which bounds are shown; `None` is all of them.
    pub(super) shown: Option<&'a [bool]>,
    /// None unless they were asked for, and are kept.
    pub(super) native: Option<&'a [u64; CELLS]>,
}

impl<'a> Histogram<'a> {
    /// One without exemplars, of cells in the order of a row.
    pub(super) const fn plain(buckets: Buckets, cells: &'a [u64]) -> Self {
        Self { buckets, cells, exemplars: None, shown: None, native: None }
    }

    /// The same samples in buckets that grow by the eighth root of two, where they are kept. It may lack those of an instant.
    pub fn native(&self) -> Option<Native<'a>> {
        Some(Native { cells: self.native?, unit: self.buckets.unit })
    }

    /// Samples in all; the sum of all buckets, so that the two cannot disagree.
    pub fn count(&self) -> u64 {
        self.cells[..=self.buckets.bounds.len()].iter().sum()
    }

    /// Sum of the samples in the family's unit.
    pub fn sum(&self) -> f64 {
        self.in_unit(self.total())
    }

    /// The exact sum: nanoseconds, or what was counted.
    pub fn total(&self) -> u128 {
        let [.., fine, coarse] = *self.cells else { return 0 };
        join(coarse, fine)
    }

    /// A sum, or a difference of sums, in the family's unit.
    pub fn in_unit(&self, total: u128) -> f64 {
        total as f64 / self.buckets.unit.scale()
    }

    /// Samples in each bucket: at or below each finite bound but above the one before, then above the last.
    pub fn counts(&self) -> &'a [u64] {
        &self.cells[..=self.buckets.bounds.len()]
    }

    /// The finite bounds in the family's unit.
    pub fn bounds(&self) -> impl Iterator<Item = f64> + 'a {
        let scale = self.buckets.unit.scale();
        self.buckets.bounds.iter().map(move |bound| *bound as f64 / scale)
    }

    /// The exemplar of a bucket, by its index in [`Histogram::counts`], and its value in the family's unit.
    pub fn exemplar(&self, index: usize) -> Option<(&'a Exemplar, f64)> {
        let (exemplars, first) = self.exemplars.filter(|(exemplars, _)| !exemplars.is_empty())?;
        let bucket = Bucket { index: u8::try_from(index).ok()?, ..first };
        let exemplar = exemplars.get(&bucket)?;
        let nanos = u64::try_from(exemplar.value.as_nanos()).unwrap_or(u64::MAX);
        Some((exemplar, nanos as f64 / self.buckets.unit.scale()))
    }

    /// Each bound that is shown, infinity last.
    pub fn cumulative(&self) -> impl Iterator<Item = Bound<'a>> {
        let histogram = *self;
        let (mut below, mut exemplar) = (0, None);
        histogram.counts().iter().enumerate().filter_map(move |(index, count)| {
            below += count;
            // Of what falls together the largest is the one to look at.
            exemplar = histogram.exemplar(index).or(exemplar);
            let bound = histogram.buckets.bounds.get(index);
            if bound.is_some() && histogram.shown.is_some_and(|shown| !shown[index]) {
                return None;
            }
            let upper = bound.map_or(f64::INFINITY, |bound| *bound as f64 / histogram.buckets.unit.scale());
            Some(Bound { index, upper, below, exemplar: exemplar.take() })
        })
    }
}

/// Bits of a sample that go to the fine half of a sum.
///
/// One 64-bit sum of nanoseconds would overflow after fourteen hours of 2,000 calls/s of three minutes. Two sums
/// without a carry between them each only grow, so a reader between the two stores never sees time run
/// back; they last for 10^12 samples.
const FINE_BITS: u32 = 24;

pub(super) const fn split(value: u64) -> (u64, u64) {
    (value >> FINE_BITS, value & ((1 << FINE_BITS) - 1))
}

/// The exact sum from its two halves.
pub(super) const fn join(coarse: u64, fine: u64) -> u128 {
    ((coarse as u128) << FINE_BITS) + fine as u128
}
