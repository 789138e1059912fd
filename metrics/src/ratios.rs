//! The thirteen ratios: counts of one label set in, percent out (`sip-metrics.md` 4.3).
//!
//! Six count each initial INVITE, under the short names dashboards of this kind know (the specification's
//! seed side); seven count attempts as the standards do (its strict side). A ratio with nothing in its
//! denominator is undefined (RFC 6076 §4), never 0 and never 100.

use super::label_values::Input;

/// A ratio, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ratio {
    /// `ser`: N200 / (TI - N3xx).
    Ser,
    /// `seer`: (N200 + NUser) / (TI - N3xx).
    Seer,
    /// `isa`: NIneff / TI.
    Isa,
    /// `scr`: SDC / TI.
    Scr,
    /// `asr`: N200 / TI.
    Asr,
    /// `ner`: 100 - isa, undefined where isa is.
    Ner,
    /// `ser_rfc6076` (RFC 6076 §4.6): answered / (A' - redirected), A' = A - unseen.
    SerRfc6076,
    /// `seer_rfc6076` (RFC 6076 §4.7): (answered + rUser) / (A' - redirected).
    SeerRfc6076,
    /// `isa_rfc6076` (RFC 6076 §4.8): rIneff / A'.
    IsaRfc6076,
    /// `scr_rfc6076` (RFC 6076 §4.9): C / A'.
    ScrRfc6076,
    /// `asr_e425` (ITU-T E.425 §1.3): answered / A'.
    AsrE425,
    /// `ner_e425` (ITU-T E.425 §1.5): ner / A'.
    NerE425,
    /// `ira_rfc6076` (RFC 6076 §4.2): IRA / REG.
    IraRfc6076,
}

/// What the ratios of one label set are computed from.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Cells of `ratio_input_total`, indexed by [`Input`].
    pub inputs: &'a [u64],
    /// `sdc_total`.
    pub sdc: u64,
}

impl Ratio {
    /// The ratio in percent; `None` when nothing stands in its denominator.
    pub fn of(self, from: Inputs<'_>) -> Option<f64> {
        use Input::*;
        let n = |input: Input| from.inputs[input.index()];
        // Of an attempt whose answer passed unseen nothing is known.
        let seen = n(A).saturating_sub(n(Unseen));
        match self {
            Self::Ser => percent(n(N200), n(Ti).saturating_sub(n(N3xx))),
            Self::Seer => percent(n(N200) + n(NUser), n(Ti).saturating_sub(n(N3xx))),
            Self::Isa => percent(n(NIneff), n(Ti)),
            Self::Scr => percent(from.sdc, n(Ti)),
            Self::Asr => percent(n(N200), n(Ti)),
            Self::Ner => percent(n(NIneff), n(Ti)).map(|isa| 100.0 - isa),
            Self::SerRfc6076 => percent(n(Answered), seen.saturating_sub(n(Redirected))),
            Self::SeerRfc6076 => percent(n(Answered) + n(RUser), seen.saturating_sub(n(Redirected))),
            Self::IsaRfc6076 => percent(n(RIneff), seen),
            Self::ScrRfc6076 => percent(n(C), seen),
            Self::AsrE425 => percent(n(Answered), seen),
            Self::NerE425 => percent(n(Ner), seen),
            Self::IraRfc6076 => percent(n(Ira), n(Reg)),
        }
    }
}

fn percent(numerator: u64, denominator: u64) -> Option<f64> {
    (denominator != 0).then(|| 100.0 * numerator as f64 / denominator as f64)
}
