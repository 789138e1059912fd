//! Consistent probability sampling (OpenTelemetry specification, "TraceState: Probability Sampling"): a share and
//! a trace id in, a threshold out if the call is chosen.
//!
//! The low 56 bits of the trace id are the random value: uniform, since call traces are named by a hash. Whoever
//! uses a larger share also has what a smaller share chose, on whichever host.

/// One more than the largest random value.
const RANGE: u64 = 1 << 56;

/// What the random value must reach. [`RANGE`] is never reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Threshold(u64);

impl Threshold {
    /// For a share from 0 to 1.
    pub fn of(ratio: f64) -> Self {
        // Exact where the share is a multiple of 2^-53; within 0 to 2^56 for every share.
        Self(((1.0 - ratio) * RANGE as f64).round() as u64)
    }

    /// This, or that of a smaller share, of which four digits are enough.
    pub fn or_rarer(self, share: f64) -> Self {
        Self(self.0.max(Self::of(share).0 & !((1 << 40) - 1)))
    }

    /// The threshold, for `ot=th:`, if a trace with this id is chosen.
    pub fn choose(self, trace_id: [u8; 16]) -> Option<u64> {
        let [.., a, b, c, d, e, f, g] = trace_id;
        let random = u64::from_be_bytes([0, a, b, c, d, e, f, g]);
        (random >= self.0).then_some(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(random: u64) -> [u8; 16] {
        let mut id = [0xff; 16];
        id[9..].copy_from_slice(&random.to_be_bytes()[1..]);
        id
    }

    #[test]
    fn all_are_chosen_at_one_and_none_at_zero() {
        for random in [0, 1, RANGE / 2, RANGE - 1] {
            assert_eq!(Threshold::of(1.0).choose(id(random)), Some(0));
            assert_eq!(Threshold::of(0.0).choose(id(random)), None);
        }
    }

    /// The examples of the specification: 50 % is `8`, 25 % is `c`, 10 % is `e666…`, with trailing zeros left out.
    #[test]
    fn thresholds_are_those_of_the_specification() {
        assert_eq!(Threshold::of(0.5).0, 0x80_0000_0000_0000);
        assert_eq!(Threshold::of(0.25).0, 0xc0_0000_0000_0000);
        assert_eq!(Threshold::of(0.1).0 >> 16, 0xe6_6666_6666);
    }

    #[test]
    fn the_threshold_itself_is_chosen() {
        let half = Threshold::of(0.5);
        assert_eq!(half.choose(id(RANGE / 2)), Some(RANGE / 2));
        assert_eq!(half.choose(id(RANGE / 2 - 1)), None);
    }

    #[test]
    fn what_a_smaller_share_chooses_a_larger_one_chooses_too() {
        let (small, large) = (Threshold::of(0.01), Threshold::of(0.3));
        let step = RANGE / 1000;
        let ids = (0..1000).map(|n| id(n * step + step / 2));
        let chosen = |threshold: Threshold| ids.clone().filter(|id| threshold.choose(*id).is_some()).count();
        assert!(ids.clone().all(|id| small.choose(id).is_none() || large.choose(id).is_some()));
        assert_eq!((chosen(small), chosen(large)), (10, 300));
    }
}
