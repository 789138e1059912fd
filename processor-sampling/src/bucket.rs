//! A token bucket on the capture clock: how many traces may leave now.
//!
//! It fills at the configured rate and holds one second's worth. The lower half is for errors alone: while calls
//! of every kind take what flows in, half a second's worth stands ready when the failures begin. Calls that chance chooses
//! are not turned away when it runs low: they are chosen ever more rarely, and say so, so that whoever scales them up counts
//! right.

use wire::Timestamp;

/// Counts in billionths of a token, so that one nanosecond at one token a second is one.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    /// Tokens a second, and the most it holds.
    rate: u64,
    /// Billionths of a token.
    held: u64,
    /// When it was filled last.
    filled: Timestamp,
}

/// One token.
const TOKEN: u64 = 1_000_000_000;

impl Bucket {
    /// Full.
    pub fn new(rate: u32) -> Self {
        let rate = u64::from(rate);
        Self { rate, held: rate * TOKEN, filled: Timestamp::ZERO }
    }

    /// Another rate from now on. What it holds beyond that is gone.
    pub fn set_rate(&mut self, rate: u32) {
        self.rate = u64::from(rate);
        self.held = self.held.min(self.rate * TOKEN);
    }

    /// Takes a token, if there is one for a call of this kind.
    pub fn take(&mut self, now: Timestamp, error: bool) -> bool {
        self.fill(now);
        // Whole tokens: of one a second none is reserved.
        let reserved = if error { 0 } else { self.rate / 2 * TOKEN };
        let enough = self.held >= reserved + TOKEN;
        if enough {
            self.held -= TOKEN;
        }
        enough
    }

    /// Which share of calls chance may choose now, 2^-16 to 1: all of them while a quarter of a second's worth is there, half as
    /// many for each 64th that is missing.
    pub fn share(&mut self, now: Timestamp) -> f64 {
        self.fill(now);
        let (held, rate) = (self.held as f64, (self.rate * TOKEN) as f64);
        // Of one a second nothing is reserved.
        let reserved = (self.rate / 2 * TOKEN) as f64;
        let missing = (0.5 - (held - reserved) / (rate - reserved)).clamp(0.0, 0.5);
        (-32.0 * missing).exp2()
    }

    /// Takes a token for a call that chance chose, whether there is one or not.
    pub fn spend(&mut self) {
        self.held = self.held.saturating_sub(TOKEN);
    }

    /// Time that runs backwards adds nothing.
    fn fill(&mut self, now: Timestamp) {
        let passed = u64::try_from(now.since(self.filled).as_nanos()).unwrap_or(u64::MAX);
        self.filled = self.filled.max(now);
        self.held = passed.saturating_mul(self.rate).saturating_add(self.held).min(self.rate * TOKEN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const START: Timestamp = Timestamp::from_nanos(1_767_225_600_000_000_000);

    fn taken(bucket: &mut Bucket, now: Timestamp, error: bool, tries: usize) -> usize {
        (0..tries).filter(|_| bucket.take(now, error)).count()
    }

    #[test]
    fn half_of_it_is_reserved_for_errors() {
        let mut bucket = Bucket::new(200);
        assert_eq!(taken(&mut bucket, START, false, 1000), 100);
        assert_eq!(taken(&mut bucket, START, true, 1000), 100);
    }

    #[test]
    fn errors_may_take_all_of_it() {
        let mut bucket = Bucket::new(200);
        assert_eq!(taken(&mut bucket, START, true, 1000), 200);
        assert_eq!(taken(&mut bucket, START, false, 1000), 0);
    }

    #[test]
    fn it_fills_at_its_rate_and_no_further() {
        let mut bucket = Bucket::new(200);
        taken(&mut bucket, START, true, 1000);
        let mut now = START + Duration::from_millis(10);
        assert_eq!(taken(&mut bucket, now, true, 10), 2);
        now = now + Duration::from_secs(3600);
        assert_eq!(taken(&mut bucket, now, true, 1000), 200);
    }

    #[test]
    fn calls_of_every_kind_may_use_the_whole_rate_while_nothing_fails() {
        let mut bucket = Bucket::new(200);
        taken(&mut bucket, START, false, 1000);
        let millis = (1..=1000).map(|n| START + Duration::from_millis(n));
        assert_eq!(millis.map(|now| taken(&mut bucket, now, false, 10)).sum::<usize>(), 200);
    }

    /// At any rate of calls as many leave as flow in, once what was stored is gone, and each stands for those that did not.
    #[test]
    fn the_share_settles_where_calls_times_share_is_the_rate() {
        for calls in [100_u64, 400, 4_000, 40_000] {
            let mut bucket = Bucket::new(200);
            let (mut left, mut stood_for, mut random) = (0.0, 0.0, 0x9E37_79B9_7F4A_7C15_u64);
            for call in 0..60 * calls {
                let share = bucket.share(START + Duration::from_nanos(call * 1_000_000_000 / calls));
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let chance = (random >> 11) as f64 / (1_u64 << 53) as f64;
                if chance < share {
                    bucket.spend();
                    left += 1.0;
                    stood_for += 1.0 / share;
                }
            }
            let (expected, all) = (60.0 * 200_f64.min(calls as f64), (60 * calls) as f64);
            assert!((left / expected - 1.0).abs() < 0.1, "{left} of {calls} calls a second");
            assert!((stood_for / all - 1.0).abs() < 0.05, "{stood_for} for {all}");
        }
    }

    #[test]
    fn while_there_is_room_chance_may_choose_everything() {
        let mut bucket = Bucket::new(200);
        for _ in 0..50 {
            assert_eq!(bucket.share(START), 1.0);
            bucket.spend();
        }
        bucket.spend();
        assert!(bucket.share(START) < 1.0);
        taken(&mut bucket, START, true, 1000);
        assert_eq!(bucket.share(START), (-16_f64).exp2(), "errors took all of it");
    }

    #[test]
    fn of_one_a_second_everybody_may_have_one() {
        let mut bucket = Bucket::new(1);
        assert!(bucket.take(START, false));
        assert!(!bucket.take(START, true));
        assert!(bucket.take(START + Duration::from_secs(1), false));
    }

    #[test]
    fn time_that_runs_backwards_adds_nothing() {
        let mut bucket = Bucket::new(2);
        taken(&mut bucket, START, true, 10);
        assert_eq!(taken(&mut bucket, Timestamp::ZERO, true, 10), 0);
        assert_eq!(taken(&mut bucket, START, true, 10), 0);
    }

    #[test]
    fn a_new_rate_takes_what_is_above_it() {
        let mut bucket = Bucket::new(200);
        bucket.set_rate(10);
        assert_eq!(taken(&mut bucket, START, true, 1000), 10);
    }

    #[test]
    fn the_end_of_time_does_not_overflow_it() {
        let mut bucket = Bucket::new(crate::MAX_RATE);
        assert!(bucket.take(Timestamp::NEVER, false));
    }
}
