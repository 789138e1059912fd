//! Delays from INVITE to first response, as the program in the kernel counts them.

use std::ops::{AddAssign, Sub};
use std::time::Duration;

use crate::steer::{FIRST_RESPONSE_BUCKETS, first_response_bound, first_response_bucket};

/// How many delays fell into each bucket ([`first_response_bucket`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delays(pub [u64; FIRST_RESPONSE_BUCKETS]);

impl Default for Delays {
    fn default() -> Self {
        Self([0; FIRST_RESPONSE_BUCKETS])
    }
}

impl Delays {
    /// Counts one delay.
    pub fn record(&mut self, delay: Duration) {
        self.0[first_response_bucket(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX))] += 1;
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
                let begin = first_response_bound(bucket);
                let width = u128::from(first_response_bound(bucket + 1) - begin);
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
    fn the_median_is_within_an_eighth_of_the_true_one() {
        for millis in [6, 20, 160, 200, 450, 2000, 7000, 32_000] {
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
