//! Native (exponential) histograms: the same samples in buckets that grow by the eighth root of two, beside the classic
//! ones, where an exporter asked for them.
//!
//! Schema 3 of Prometheus, scale 3 of OTLP: any quantile is right to 4.4 %, whatever the delays are, and a series takes the
//! room of its samples, not of its bounds. 32 doublings are kept, from 61 µs to 72 hours where the unit is a time; what is
//! below is in the zero bucket, what is above in the last one.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::buckets::{Buckets, Unit};
use super::rows::bump;
use super::schema::{F, Kind, Scope};
use super::stored::STORED;

/// Prometheus' schema, OTLP's scale: eight buckets for each doubling.
pub const SCHEMA: i32 = 3;
/// Buckets for each doubling.
const PER_OCTAVE: i32 = 1 << SCHEMA;
/// Doublings that are kept.
const OCTAVES: i32 = 32;
/// The zero bucket, then the others.
pub(super) const CELLS: usize = (OCTAVES * PER_OCTAVE) as usize + 1;

/// The bounds within one doubling: powers of the eighth root of two.
const WITHIN: [f64; PER_OCTAVE as usize] = [
    1.0,
    1.090_507_732_665_257_7,
    1.189_207_115_002_721,
    1.296_839_554_651_009_6,
    std::f64::consts::SQRT_2,
    1.542_210_825_407_940_7,
    1.681_792_830_507_429,
    1.834_008_086_409_342_4,
];

/// The power of two up to which values count as zero, in the unit that is shown.
const fn floor(unit: Unit) -> i32 {
    match unit {
        // 61 µs.
        Unit::Seconds => -14,
        Unit::Milliseconds => -4,
        Unit::Count => -1,
        Unit::Millionths => -20,
    }
}

/// The cell of a stored value.
fn cell(value: u64, unit: Unit) -> usize {
    let value = value as f64 / unit.scale();
    let floor = floor(unit) * PER_OCTAVE;
    if value <= 0.0 {
        return 0;
    }
    let bits = value.to_bits();
    // Never subnormal: the smallest sample above 0 is a billionth.
    let exponent = (bits >> 52) as i32 - 1023;
    let fraction = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52);
    let within = WITHIN.iter().filter(|bound| **bound < fraction).count() as i32;
    // Bucket `index` holds what is at most 2^(index/8), and more than the bucket below.
    let index = exponent * PER_OCTAVE + within;
    (index - floor).clamp(0, OCTAVES * PER_OCTAVE) as usize
}

/// The native histograms of one row: one for each of its histograms, once that has a sample.
#[derive(Debug)]
pub(super) struct NativeRow(Box<[OnceLock<Box<[AtomicU64; CELLS]>>]>);

impl NativeRow {
    /// Of a row whose families have this scope.
    pub(super) fn new(scope: Scope) -> Self {
        let slots = if matches!(scope, Scope::Call) { SLOTS.1 } else { SLOTS.2 };
        Self((0..slots).map(|_| OnceLock::new()).collect())
    }

    /// Adds one value. One writer.
    pub(super) fn sample(&self, f: F, variant: usize, buckets: Buckets, value: u64) {
        if let Some(slot) = self.0.get(slot(f, variant)) {
            let cells = slot.get_or_init(|| Box::new([const { AtomicU64::new(0) }; CELLS]));
            bump(&cells[cell(value, buckets.unit)], 1);
        }
    }

    /// Each that has samples, by its slot.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &[AtomicU64; CELLS])> {
        self.0.iter().enumerate().filter_map(|(slot, cells)| Some((slot, &**cells.get()?)))
    }
}

/// Which of its row's native histograms a series is.
pub(super) fn slot(f: F, variant: usize) -> usize {
    SLOTS.0[f as usize] + variant
}

/// The first slot of each family, and how many a row of callers and one of a name have.
const SLOTS: ([usize; F::COUNT], usize, usize) = {
    let mut first = [0; F::COUNT];
    let (mut callers, mut named) = (0, 0);
    let mut i = 0;
    while i < F::COUNT {
        if let Kind::Histogram(_) = STORED[i].kind {
            let count = if let Scope::Call = STORED[i].scope { &mut callers } else { &mut named };
            first[i] = *count;
            *count += STORED[i].variants();
        }
        i += 1;
    }
    (first, callers, named)
};

/// Adds up the cells of shards, the last first, as the others are.
pub(super) fn add_up(to: &mut [u64; CELLS], from: &[AtomicU64; CELLS]) {
    for (to, from) in to.iter_mut().zip(from).rev() {
        *to = to.wrapping_add(from.load(Ordering::Acquire));
    }
}

/// A native histogram as a visitor sees it.
#[derive(Clone, Copy, Debug)]
pub struct Native<'a> {
    pub(super) cells: &'a [u64; CELLS],
    pub(super) unit: Unit,
}

impl<'a> Native<'a> {
    /// Samples in all: the sum of the buckets.
    pub fn count(&self) -> u64 {
        self.cells.iter().sum()
    }

    /// Values up to this, in the family's unit, are in the zero bucket.
    pub fn zero_threshold(&self) -> f64 {
        f64::from(floor(self.unit)).exp2()
    }

    /// Samples in the zero bucket.
    pub fn zero_count(&self) -> u64 {
        self.cells[0]
    }

    /// Index of the first of [`Native::counts`]: the bucket `index` holds what is at most 2^(index/8), but more than
    /// 2^((index-1)/8).
    pub fn first_index(&self) -> i32 {
        floor(self.unit) * PER_OCTAVE + 1
    }

    /// Samples of each bucket above the zero bucket, ascending.
    pub fn counts(&self) -> &'a [u64] {
        &self.cells[1..]
    }

    /// All of it, the zero bucket first: what differences are made of.
    pub fn cells(&self) -> &'a [u64] {
        self.cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_is_above_the_bound_below_and_at_most_its_own() {
        let index = |value, unit| cell(value, unit) as i32 + floor(unit) * PER_OCTAVE;
        // One second, and just above it.
        assert_eq!((index(1_000_000_000, Unit::Seconds), index(1_000_000_001, Unit::Seconds)), (0, 1));
        assert_eq!(index(2_000_000_000, Unit::Seconds), 8);
        // The same times in thousandths.
        assert_eq!(index(1_000_000_000, Unit::Milliseconds), 80, "1,000 is at most 2^(80/8)");
        assert_eq!((index(1, Unit::Count), index(2, Unit::Count), index(3, Unit::Count)), (0, 8, 13));
        assert_eq!(index(4_409_286, Unit::Millionths), 18, "an opinion of 4.41 is at most 2^(18/8), 4.76");
        for nanos in (0..63).map(|shift| (1_u64 << shift) / 3) {
            let (value, cell) = (nanos as f64 / 1e9, cell(nanos, Unit::Seconds) as i32);
            let upper = f64::from(cell + floor(Unit::Seconds) * PER_OCTAVE) / f64::from(PER_OCTAVE);
            assert!(cell as usize == CELLS - 1 || value <= upper.exp2() * (1.0 + 1e-12), "{nanos}");
            assert!(cell == 0 || value > (upper - 0.125).exp2() * (1.0 - 1e-12), "{nanos}");
        }
    }

    #[test]
    fn what_is_too_small_or_too_large_is_in_the_bucket_at_that_end() {
        for unit in [Unit::Seconds, Unit::Milliseconds, Unit::Count, Unit::Millionths] {
            assert_eq!(cell(0, unit), 0);
            assert_eq!(cell(u64::MAX, unit), CELLS - 1, "{unit:?}");
        }
        assert_eq!((cell(61_035, Unit::Seconds), cell(61_036, Unit::Seconds)), (0, 1), "the threshold is 2^-14 s");
        assert_eq!(cell(61_036, Unit::Milliseconds), 0, "and 2^-4 ms");
    }
}
