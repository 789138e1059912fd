//! How a stream sounds: a simplified E-model (ITU-T G.107, with the values of G.113 Appendix I; `sip-metrics.md` 5.5).
//!
//! A rating R of 0 to 93.2 becomes a mean opinion score of 1 to 4.41. Wideband codecs stand on the same narrow-band scale.

use crate::codec::{CODECS, Codec};

/// What a codec does to speech.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairment {
    /// Ie: the impairment of the codec itself.
    pub ie: f32,
    /// Bpl: how well it stands loss.
    pub bpl: f32,
    /// What it has to know ahead, in milliseconds.
    pub lookahead: f32,
}

/// What each codec does to speech, by [`Codec::index`].
#[derive(Clone, Debug, PartialEq)]
pub struct Table([Impairment; CODECS]);

impl Default for Table {
    /// The values of 5.5: G.711 with concealment, G.729 with annex A and silence suppression.
    fn default() -> Self {
        Self(Codec::ALL.map(|codec| {
            let (ie, bpl, lookahead) = match codec {
                Codec::Pcmu | Codec::Pcma => (0.0, 25.1, 0.0),
                Codec::G729 => (11.0, 19.0, 5.0),
                Codec::G723 => (15.0, 16.1, 7.5),
                Codec::GsmEfr | Codec::Amr => (5.0, 10.0, 5.0),
                Codec::G726At40 => (2.0, 10.0, 0.0),
                Codec::G726At32 => (7.0, 10.0, 0.0),
                Codec::G726At24 => (25.0, 10.0, 0.0),
                Codec::G726At16 => (50.0, 10.0, 0.0),
                Codec::G728 => (7.0, 10.0, 0.0),
                Codec::Gsm => (20.0, 10.0, 0.0),
                Codec::Ilbc => (11.0, 32.0, 5.0),
                Codec::G722 => (0.0, 18.0, 0.0),
                Codec::AmrWb => (0.0, 18.0, 5.0),
                Codec::Evs => (0.0, 18.0, 12.0),
                Codec::Opus => (0.0, 18.0, 6.5),
                Codec::Speex | Codec::TelephoneEvent | Codec::Cn | Codec::Other => (10.0, 10.0, 0.0),
            };
            Impairment { ie, bpl, lookahead }
        }))
    }
}

impl Table {
    /// What a codec does.
    pub fn of(&self, codec: Codec) -> Impairment {
        self.0[codec.index()]
    }

    /// Takes another value for a codec.
    pub fn set(&mut self, codec: Codec, impairment: Impairment) {
        self.0[codec.index()] = impairment;
    }
}

/// What was heard.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// Packets expected.
    pub expected: u32,
    /// Those lost or played too late.
    pub missing: u32,
    /// How much longer missing packets follow one another than by chance; at least 1.
    pub burst_ratio: f64,
    /// Round trip, packet and jitter buffer, in milliseconds, without what the codec adds.
    pub delay: f64,
}

/// How that sounds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rating {
    /// Rating of listening quality.
    pub r_lq: f64,
    /// Opinion of listening quality, 1 to 4.5.
    pub mos_lq: f64,
    /// Rating of conversational quality, delay included.
    pub r_cq: f64,
    /// Opinion of conversational quality, 1 to 4.5.
    pub mos_cq: f64,
}

/// Rates what was heard. `full_delay`: by the whole term of G.107 instead of its usual approximation.
pub fn rate(heard: Heard, impairment: Impairment, full_delay: bool) -> Rating {
    let Heard { expected, missing, burst_ratio, delay } = heard;
    let loss = 100.0 * f64::from(missing) / f64::from(expected.max(1));
    let (ie, bpl) = (f64::from(impairment.ie), f64::from(impairment.bpl));
    let effective = if missing == 0 { ie } else { ie + (95.0 - ie) * loss / (loss / burst_ratio + bpl) };
    let delay = delay + f64::from(impairment.lookahead);
    let r_lq = CLEAN - effective;
    let r_cq = r_lq - if full_delay { full_delay_term(delay) } else { delay_term(delay) };
    Rating { r_lq, mos_lq: opinion(r_lq), r_cq, mos_cq: opinion(r_cq) }
}

/// The opinion a rating stands for. The polynomial dips below 1 for ratings under 6.5.
pub fn opinion(r: f64) -> f64 {
    if r <= 0.0 {
        1.0
    } else if r >= 100.0 {
        4.5
    } else {
        (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0)
    }
}

/// The delay term as Cole and Rosenbluth fit it; delay in milliseconds.
fn delay_term(delay: f64) -> f64 {
    0.024 * delay + 0.11 * (delay - 177.3).max(0.0)
}

/// The delay term of G.107 (Idd).
fn full_delay_term(delay: f64) -> f64 {
    if delay <= 100.0 {
        return 0.0;
    }
    let x = (delay / 100.0).log2();
    25.0 * ((1.0 + x.powi(6)).powf(1.0 / 6.0) - 3.0 * (1.0 + (x / 3.0).powi(6)).powf(1.0 / 6.0) + 2.0)
}

/// The rating of a clean call by G.107's defaults, without a codec's impairment.
const CLEAN: f64 = 93.2;

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64) -> bool {
        (value - expected).abs() < 0.006
    }

    fn rated(codec: Codec, expected: u32, missing: u32, burst_ratio: f64, delay: f64) -> Rating {
        rate(Heard { expected, missing, burst_ratio, delay }, Table::default().of(codec), false)
    }

    #[test]
    fn the_checks_of_the_specification_hold() {
        let clean = rated(Codec::Pcmu, 500, 0, 1.0, 80.0);
        assert!(near(clean.r_lq, 93.2) && near(clean.mos_lq, 4.409));
        let lossy = rated(Codec::Pcmu, 100, 2, 1.4, 80.0);
        assert!(near(93.2 - lossy.r_lq, 7.162) && near(lossy.mos_lq, 4.230), "{lossy:?}");
        assert!(near(lossy.r_cq, 84.12) && near(lossy.mos_cq, 4.170), "{lossy:?}");
        let g729 = rated(Codec::G729, 300, 0, 1.0, 100.0);
        assert!(near(g729.r_cq, 79.68) && near(g729.mos_cq, 4.012), "{g729:?}");
    }

    #[test]
    fn an_opinion_is_never_below_1_nor_above_4_5() {
        for tenth in -200..1200 {
            let opinion = opinion(f64::from(tenth) / 10.0);
            assert!((1.0..=4.5).contains(&opinion), "{tenth}: {opinion}");
        }
        assert_eq!(rated(Codec::Other, 10, 10, 1.0, 1e6).mos_cq, 1.0);
        assert_eq!(rated(Codec::Other, 0, 0, 1.0, 0.0).r_lq, 83.2);
    }

    #[test]
    fn delay_counts_more_once_speakers_notice_it() {
        assert!(near(delay_term(177.3), 4.255) && near(delay_term(277.3), 4.255 + 13.4));
        assert!(near(full_delay_term(100.0), 0.0) && full_delay_term(400.0) > 20.0);
        let heard = Heard { expected: 100, missing: 0, burst_ratio: 1.0, delay: 90.0 };
        assert!(near(rate(heard, Table::default().of(Codec::Pcmu), true).r_cq, 93.2));
    }
}
