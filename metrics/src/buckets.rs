//! Bucket bounds of the histograms (`sip-metrics.md` 4.6), written in milliseconds.

/// The bounds of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// What bounds and sum are rendered in.
    pub unit: Unit,
    /// Upper bounds (inclusive), ascending; nanoseconds unless the unit is [`Unit::Count`] or [`Unit::Millionths`].
    pub bounds: &'static [u64],
}

/// The unit in which a histogram is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Thousandths of a second.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// A plain number.
    Count,
    /// A plain number with six decimals.
    Millionths,
}

impl Unit {
    /// How many stored units one shown unit has.
    pub const fn scale(self) -> f64 {
        match self {
            Self::Milliseconds => 1e6,
            Self::Seconds => 1e9,
            Self::Count => 1.0,
            Self::Millionths => 1e6,
        }
    }
}

const fn nanos<const N: usize>(millis: [u64; N]) -> [u64; N] {
    let mut bounds = millis;
    let mut i = 0;
    while i < N {
        bounds[i] *= 1_000_000;
        i += 1;
    }
    bounds
}

/// `request_via_depth`.
pub const VIA_DEPTH: Buckets = Buckets { unit: Unit::Count, bounds: &[1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 70] };
/// `ttr`.
pub const TTR: Buckets = Buckets {
    unit: Unit::Milliseconds,
    bounds: &nanos([1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 4000, 8000, 16_000, 32_000]),
};
/// `pdd`.
pub const PDD: Buckets = Buckets {
    unit: Unit::Milliseconds,
    bounds: &nanos([
        50, 100, 200, 500, 1000, 1500, 2000, 3000, 4000, 5000, 6000, 8000, 10_000, 15_000, 20_000, 30_000, 60_000,
    ]),
};
const UP_TO_32_S: &[u64] = &nanos([1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 32_000]);
/// `rrd`, `lrd`, `ord`.
pub const REGISTER_MS: Buckets = Buckets { unit: Unit::Milliseconds, bounds: UP_TO_32_S };
/// `rrd_rfc6076_seconds`, `sdd_seconds`: one request and its final.
pub const EXCHANGE: Buckets = Buckets { unit: Unit::Seconds, bounds: UP_TO_32_S };
/// `queue_wait_seconds`.
pub const QUEUE_WAIT: Buckets = Buckets {
    unit: Unit::Seconds,
    bounds: &nanos([
        1000, 2000, 5000, 10_000, 20_000, 30_000, 60_000, 120_000, 180_000, 300_000, 600_000, 1_200_000, 1_800_000,
    ]),
};
/// `spd`, `sdt_seconds`.
pub const SESSION: Buckets = Buckets {
    unit: Unit::Seconds,
    bounds: &nanos([
        1000, 2000, 4000, 6000, 10_000, 15_000, 30_000, 60_000, 120_000, 180_000, 300_000, 600_000, 900_000, 1_200_000,
        1_800_000, 3_600_000, 7_200_000, 14_400_000,
    ]),
};
/// `srd_seconds`.
pub const SRD: Buckets = Buckets {
    unit: Unit::Seconds,
    bounds: &nanos([
        50, 100, 200, 500, 1000, 1500, 2000, 3000, 4000, 5000, 6000, 8000, 10_000, 15_000, 20_000, 30_000, 60_000,
        120_000, 180_000,
    ]),
};
/// `answer_delay_seconds`, `ring_seconds`.
pub const ANSWER: Buckets = Buckets {
    unit: Unit::Seconds,
    bounds: &nanos([
        500, 1000, 2000, 3000, 5000, 7500, 10_000, 15_000, 20_000, 30_000, 45_000, 60_000, 90_000, 120_000, 180_000,
    ]),
};
/// `rtp_jitter_seconds`, `rtcp_jitter_seconds`, `vq_jitter_seconds`.
pub const JITTER: Buckets =
    Buckets { unit: Unit::Seconds, bounds: &nanos([1, 2, 5, 10, 20, 30, 50, 80, 100, 200, 500]) };
/// `rtp_loss_ratio`, `rtcp_loss_ratio`, `vq_loss_ratio`, `vq_discard_ratio`.
pub const LOSS: Buckets = Buckets {
    unit: Unit::Millionths,
    bounds: &[0, 1_000, 5_000, 10_000, 20_000, 30_000, 50_000, 100_000, 200_000, 500_000],
};
/// `rtcp_rtt_seconds`, `vq_rtd_seconds`.
pub const ROUND_TRIP: Buckets =
    Buckets { unit: Unit::Seconds, bounds: &nanos([5, 10, 20, 50, 100, 150, 200, 300, 400, 500, 800, 1000, 2000]) };
/// `mos_lq`, `mos_cq`, `vq_mos_lq`, `vq_mos_cq`.
pub const OPINION: Buckets = Buckets {
    unit: Unit::Millionths,
    bounds: &[
        1_500_000, 2_000_000, 2_500_000, 2_800_000, 3_000_000, 3_100_000, 3_300_000, 3_500_000, 3_600_000, 3_800_000,
        4_000_000, 4_100_000, 4_200_000, 4_300_000, 4_400_000, 4_500_000,
    ],
};
