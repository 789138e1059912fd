//! Waits between attempts: longer each time, with jitter, until `max_elapsed_time` is over.
//!
//! As the Collector's `retry_on_failure`. Reads no clock: who asks says how much time has passed.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::super::config::Retry;

/// The waits of one request.
#[derive(Debug)]
pub(super) struct Backoff<'a> {
    settings: &'a Retry,
    next: Duration,
}

impl<'a> Backoff<'a> {
    pub(super) fn new(settings: &'a Retry) -> Self {
        Self { settings, next: settings.initial_interval }
    }

    /// How long to wait before the next attempt, at least the `after` the server asks for; `None` to give up.
    pub(super) fn next(&mut self, elapsed: Duration, after: Option<Duration>) -> Option<Duration> {
        if !self.settings.enabled {
            return None;
        }
        let wait = jittered(self.next, self.settings.randomization_factor, random()).max(after.unwrap_or_default());
        let grown = self.next.as_secs_f64() * self.settings.multiplier;
        self.next = Duration::try_from_secs_f64(grown).unwrap_or(Duration::MAX).min(self.settings.max_interval);
        let limit = self.settings.max_elapsed_time;
        (limit.is_zero() || elapsed.saturating_add(wait) <= limit).then_some(wait)
    }
}

/// `interval` × (1 ± `factor`), where `random` of 0 to 1 says where in between.
fn jittered(interval: Duration, factor: f64, random: f64) -> Duration {
    Duration::try_from_secs_f64(interval.as_secs_f64() * (1.0 - factor + 2.0 * factor * random)).unwrap_or(interval)
}

/// 0 to 1: enough to spread clients that were cut off at once, and nothing more is asked of it.
fn random() -> f64 {
    // A new state of the standard hasher differs from every other one.
    let bits = RandomState::new().hash_one(0u8);
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Retry {
        Retry {
            enabled: true,
            initial_interval: Duration::from_secs(5),
            max_interval: Duration::from_secs(30),
            max_elapsed_time: Duration::from_secs(300),
            multiplier: 1.5,
            randomization_factor: 0.0,
        }
    }

    #[test]
    fn waits_grow_to_the_longest_and_end_with_the_time_for_all() {
        let settings = settings();
        let mut backoff = Backoff::new(&settings);
        let mut elapsed = Duration::ZERO;
        let mut waits = Vec::new();
        while let Some(wait) = backoff.next(elapsed, None) {
            waits.push(wait.as_millis());
            elapsed += wait;
        }
        assert_eq!(waits[..6], [5000, 7500, 11250, 16875, 25312, 30000]);
        assert!(elapsed <= settings.max_elapsed_time && elapsed > Duration::from_secs(270), "{elapsed:?}");
    }

    #[test]
    fn what_the_server_asks_for_is_waited_at_least() {
        let settings = settings();
        let mut backoff = Backoff::new(&settings);
        let asked = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(backoff.next(Duration::ZERO, asked(60)), asked(60));
        assert_eq!(backoff.next(Duration::ZERO, asked(1)), Some(Duration::from_millis(7500)));
        assert_eq!(backoff.next(Duration::ZERO, asked(301)), None, "longer than all may take");
    }

    #[test]
    fn no_limit_means_for_ever_and_disabled_means_never() {
        let endless = Retry { max_elapsed_time: Duration::ZERO, ..settings() };
        assert!(Backoff::new(&endless).next(Duration::from_secs(1 << 40), None).is_some());
        let off = Retry { enabled: false, ..settings() };
        assert_eq!(Backoff::new(&off).next(Duration::ZERO, None), None);
    }

    #[test]
    fn jitter_stays_within_its_factor_and_spreads() {
        let second = Duration::from_secs(1);
        assert_eq!(jittered(second, 0.5, 0.0), Duration::from_millis(500));
        assert_eq!(jittered(second, 0.5, 1.0), Duration::from_millis(1500));
        let drawn: Vec<f64> = (0..1000).map(|_| random()).collect();
        assert!(drawn.iter().all(|one| (0.0..1.0).contains(one)));
        assert!(drawn.iter().any(|one| *one < 0.1) && drawn.iter().any(|one| *one > 0.9));
    }
}
