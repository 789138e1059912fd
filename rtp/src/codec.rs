//! Codecs: what payload types stand for, by a name on the wire or by themselves (RFC 3551 §6), and as labels.

/// A codec as far as it makes a difference. A name of the wire never becomes a label: what is not known is `other`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722: its RTP clock is 8,000 Hz although it samples at 16,000.
    G722,
    /// G.723.1.
    G723,
    /// G.726 at 40 kbit/s.
    G726At40,
    /// G.726 at 32 kbit/s.
    G726At32,
    /// G.726 at 24 kbit/s.
    G726At24,
    /// G.726 at 16 kbit/s.
    G726At16,
    /// G.728.
    G728,
    /// G.729, with any annex.
    G729,
    /// GSM full rate.
    Gsm,
    /// GSM enhanced full rate.
    GsmEfr,
    /// AMR.
    Amr,
    /// AMR wideband.
    AmrWb,
    /// EVS.
    Evs,
    /// iLBC.
    Ilbc,
    /// Opus.
    Opus,
    /// Speex.
    Speex,
    /// Digits (RFC 4733): no speech.
    TelephoneEvent,
    /// Comfort noise (RFC 3389): no speech.
    Cn,
    /// Any other.
    #[default]
    Other,
}

/// How many there are.
pub const CODECS: usize = Codec::ALL.len();

impl Codec {
    /// All codecs, in the order of [`Self::index`].
    pub const ALL: [Self; 21] = [
        Self::Pcmu,
        Self::Pcma,
        Self::G722,
        Self::G723,
        Self::G726At40,
        Self::G726At32,
        Self::G726At24,
        Self::G726At16,
        Self::G728,
        Self::G729,
        Self::Gsm,
        Self::GsmEfr,
        Self::Amr,
        Self::AmrWb,
        Self::Evs,
        Self::Ilbc,
        Self::Opus,
        Self::Speex,
        Self::TelephoneEvent,
        Self::Cn,
        Self::Other,
    ];

    /// The values of the `codec` label.
    pub const LABELS: &[&str] = &[
        "PCMU",
        "PCMA",
        "G722",
        "G723",
        "G726",
        "G728",
        "G729",
        "GSM",
        "GSM-EFR",
        "AMR",
        "AMR-WB",
        "EVS",
        "iLBC",
        "opus",
        "speex",
        "telephone-event",
        "CN",
        "other",
    ];

    /// Position in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Name in a configuration: as on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::G723 => "G723",
            Self::G726At40 => "G726-40",
            Self::G726At32 => "G726-32",
            Self::G726At24 => "G726-24",
            Self::G726At16 => "G726-16",
            Self::G728 => "G728",
            Self::G729 => "G729",
            Self::Gsm => "GSM",
            Self::GsmEfr => "GSM-EFR",
            Self::Amr => "AMR",
            Self::AmrWb => "AMR-WB",
            Self::Evs => "EVS",
            Self::Ilbc => "iLBC",
            Self::Opus => "opus",
            Self::Speex => "speex",
            Self::TelephoneEvent => "telephone-event",
            Self::Cn => "CN",
            Self::Other => "other",
        }
    }

    /// Value of the `codec` label: the rates of G.726 have one.
    pub const fn label(self) -> &'static str {
        match self {
            Self::G726At40 | Self::G726At32 | Self::G726At24 | Self::G726At16 => "G726",
            other => other.name(),
        }
    }

    /// Position of [`Self::label`] in [`Self::LABELS`].
    pub const fn label_index(self) -> usize {
        match self {
            Self::G726At40 | Self::G726At32 | Self::G726At24 | Self::G726At16 => 4,
            other if (other as usize) < 4 => other as usize,
            other => other as usize - 3,
        }
    }

    /// The codec of a name, in any case.
    pub fn named(name: &[u8]) -> Self {
        let name =
            if name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"AAL2-")) { &name[5..] } else { name };
        let known = Self::ALL.into_iter().find(|codec| codec.name().as_bytes().eq_ignore_ascii_case(name));
        known.unwrap_or(Self::Other)
    }

    /// The codec and clock rate, in Hz, of a payload type that needs no description (RFC 3551 §6).
    pub const fn of_static(payload_type: u8) -> Option<(Self, u32)> {
        let codec = match payload_type {
            0 => Self::Pcmu,
            3 => Self::Gsm,
            4 => Self::G723,
            8 => Self::Pcma,
            9 => Self::G722,
            13 | 19 => Self::Cn,
            15 => Self::G728,
            18 => Self::G729,
            _ => return None,
        };
        Some((codec, 8000))
    }

    /// It carries speech: digits and comfort noise do not.
    pub const fn is_speech(self) -> bool {
        !matches!(self, Self::TelephoneEvent | Self::Cn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case_and_unknown_ones_are_other() {
        let cases: [(&[u8], Codec); 7] = [
            (b"pcmu", Codec::Pcmu),
            (b"OPUS", Codec::Opus),
            (b"AAL2-G726-32", Codec::G726At32),
            (b"ilbc", Codec::Ilbc),
            (b"x-secret", Codec::Other),
            (b"", Codec::Other),
            (b"AAL2-", Codec::Other),
        ];
        for (name, codec) in cases {
            assert_eq!(Codec::named(name), codec);
        }
    }

    #[test]
    fn each_stands_at_its_place_and_is_found_by_its_name() {
        for (index, codec) in Codec::ALL.into_iter().enumerate() {
            assert_eq!(Codec::LABELS[codec.label_index()], codec.label());
            assert_eq!((codec.index(), Codec::named(codec.name().as_bytes())), (index, codec));
        }
    }

    #[test]
    fn types_without_a_description_have_theirs() {
        assert_eq!(Codec::of_static(9), Some((Codec::G722, 8000)));
        assert_eq!(Codec::of_static(18), Some((Codec::G729, 8000)));
        assert_eq!(Codec::of_static(96), None);
    }
}
