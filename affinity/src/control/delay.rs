//! Delays from INVITE to first response as a kernel can count them: four buckets to each doubling, from 66 µs to 8.6 s.
//!
//! What a bucket is needs shifts alone, so that a program in the kernel finds it without a division.

use std::ops::{AddAssign, Sub};
use std::time::Duration;

/// Buckets of a histogram; the last holds everything from 7.5 s on.
pub const BUCKETS: usize = 64;

/// The unit is 2^16 ns, 65.5 µs.
const UNIT: u32 = 16;

/// How many delays fell into each bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delays(pub [u64; BUCKETS]);

impl Default for Delays {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

/// The bucket of a delay in nanoseconds: its two bits behind the highest one, and which one that is.
pub const fn bucket(nanos: u64) -> usize {
    let units = nanos >> UNIT;
    if units < 4 {
        return units as usize;
    }
    let highest = units.ilog2();
    let bucket = (highest as usize - 1) * 4 + ((units >> (highest - 2)) & 3) as usize;
    if bucket < BUCKETS { bucket } else { BUCKETS - 1 }
}

/// Where a bucket ends and the next begins, in nanoseconds. Buckets beyond the last end nowhere, and are as the last.
pub const fn end(bucket: usize) -> u64 {
    let bucket = if bucket < BUCKETS { bucket as u64 } else { BUCKETS as u64 - 1 };
    if bucket < 4 {
        return (bucket + 1) << UNIT;
    }
    (5 + bucket % 4) << (bucket / 4 - 1) << UNIT
}

impl Delays {
    /// Counts one delay.
    pub fn record(&mut self, delay: Duration) {
        self.0[bucket(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX))] += 1;
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The median, as if delays were spread evenly within a bucket; `None` without any.
    pub fn median(&self) -> Option<Duration> {
        let all = self.count();
        let mut below = 0;
        for (bucket, count) in self.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            if (below + count) * 2 >= all {
                let begin = bucket.checked_sub(1).map_or(0, end);
                let width = u128::from(end(bucket) - begin);
                // Half of all less what lies below, in twos so that nothing is cut.
                let part = u128::from(all.saturating_sub(below * 2)) * width / (u128::from(*count) * 2);
                return Some(Duration::from_nanos(begin + part as u64));
            }
            below += count;
        }
        None
    }
}

impl AddAssign<&Self> for Delays {
    fn add_assign(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine += theirs);
    }
}

impl Sub for &Delays {
    type Output = Delays;

    /// What came since an earlier reading of the same counters; a counter that began anew counts from 0.
    fn sub(self, earlier: Self) -> Delays {
        let since = |place: usize| self.0[place].checked_sub(earlier.0[place]).unwrap_or(self.0[place]);
        Delays(std::array::from_fn(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_begins_where_the_one_before_ends() {
        for place in 0..BUCKETS - 1 {
            assert_eq!((bucket(end(place) - 1), bucket(end(place))), (place, place + 1));
        }
        assert_eq!((bucket(0), bucket(u64::MAX)), (0, BUCKETS - 1));
        assert_eq!(end(BUCKETS - 1), 8 << 30, "8.6 s");
    }

    #[test]
    fn the_median_is_within_an_eighth_of_the_true_one() {
        for millis in [1, 3, 20, 160, 200, 450, 2000, 7000] {
            let mut delays = Delays::default();
            (0..101).for_each(|step| delays.record(Duration::from_millis(millis) * (50 + step) / 100));
            let (median, exact) = (delays.median().expect("there are some"), Duration::from_millis(millis));
            assert!(median.abs_diff(exact) <= exact / 8, "{median:?} for {exact:?}");
        }
        assert_eq!(Delays::default().median(), None);
    }

    #[test]
    fn counters_that_began_anew_count_from_nothing() {
        let (mut before, mut now) = (Delays::default(), Delays::default());
        (before.0[3], before.0[4]) = (7, 9);
        (now.0[3], now.0[4]) = (9, 2);
        assert_eq!(((&now - &before).0[3], (&now - &before).0[4]), (2, 2));
    }
}
