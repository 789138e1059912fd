//! Chance, from the system: so that targets are not asked in step and nobody can foresee when.

use std::time::Duration;

/// A number below `bound`, which is not 0. The bias of a remainder of 64 bits does not matter here.
pub fn below(bound: u64) -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("Linux gives random bytes to everybody");
    u64::from_le_bytes(bytes) % bound
}

/// Some part of `whole`, for the first wait.
pub fn part(whole: Duration) -> Duration {
    whole * u32::try_from(below(1 << 20)).expect("it is below 2^20") / (1 << 20)
}

/// `interval`, a tenth more or less (6.1).
pub fn about(interval: Duration) -> Duration {
    interval - interval / 10 + part(interval / 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_varies_by_a_tenth() {
        let second = Duration::from_secs(1);
        let all: Vec<Duration> = (0..2000).map(|_| about(second)).collect();
        let (least, most) = (all.iter().min().expect("some"), all.iter().max().expect("some"));
        assert!(
            (900..910).contains(&least.as_millis()) && (1090..=1100).contains(&most.as_millis()),
            "{least:?} {most:?}"
        );
        assert!((0..1000).all(|_| part(second) < second && below(3) < 3));
    }
}
