//! Reports of voice quality by telephones: `application/vq-rtcpxr` (RFC 6035; `sip-metrics.md` 5.6).
//!
//! Read as devices write them: the first line may lack colon and kind, a name ends at the first `:` or `=` and is in any
//! case, order is free, a line without either goes on with the one above, unknown lines are skipped, every value may be
//! missing. What is out of its range is missing too. Of names and addresses of parties nothing is kept.

use crate::value;

/// Longest report looked at, in bytes.
pub const MAX_REPORT: usize = 65_536;

/// Bytes that are not a report of voice quality: their first line names none, or they are too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the first line names no report of voice quality")]
pub struct ReportError;

/// What a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportKind {
    /// A whole session.
    Session,
    /// A part of one.
    Interval,
    /// A threshold that was crossed.
    Alert,
}

impl ReportKind {
    /// All kinds, in the order of [`Self::index`].
    pub const ALL: [Self; 3] = [Self::Session, Self::Interval, Self::Alert];

    /// Position in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Value of the `kind` label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Interval => "interval",
            Self::Alert => "alert",
        }
    }

    /// The name of the report on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "VQSessionReport",
            Self::Interval => "VQIntervalReport",
            Self::Alert => "VQAlertReport",
        }
    }
}

/// One report. Debug output holds a Call-ID: for tests, never for logs.
#[derive(Clone, Debug, PartialEq)]
pub struct VqReport<'a> {
    /// What it is about.
    pub kind: ReportKind,
    /// The call it is about; `None` where it does not say.
    pub call_id: Option<&'a [u8]>,
    /// What its writer received.
    pub local: Quality,
    /// What the other party received, as far as its writer knows.
    pub remote: Quality,
}

/// What one party received. Values out of range are missing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quality {
    /// Lost in the network, percent (NLR).
    pub loss: Option<f32>,
    /// Discarded by the jitter buffer, percent (JDR).
    pub discard: Option<f32>,
    /// Lost within bursts, percent (BLD).
    pub burst_loss: Option<f32>,
    /// Mean length of bursts, milliseconds (BD).
    pub burst_ms: Option<f32>,
    /// Lost within gaps, percent (GLD).
    pub gap_loss: Option<f32>,
    /// Mean length of gaps, milliseconds (GD).
    pub gap_ms: Option<f32>,
    /// Round trip, milliseconds (RTD).
    pub round_trip_ms: Option<f32>,
    /// Delay within the end system, milliseconds (ESD).
    pub end_system_ms: Option<f32>,
    /// Jitter between arrivals, milliseconds (IAJ).
    pub jitter_ms: Option<f32>,
    /// Rating of listening quality, 0 to 120 (RLQ).
    pub r_lq: Option<f32>,
    /// Rating of conversational quality, 0 to 120 (RCQ).
    pub r_cq: Option<f32>,
    /// Opinion of listening quality, 1 to 5 (MOSLQ).
    pub mos_lq: Option<f32>,
    /// Opinion of conversational quality, 1 to 5 (MOSCQ).
    pub mos_cq: Option<f32>,
}

impl Quality {
    /// Nothing was reported.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes one `NAME=value`; a name that is unknown or there already changes nothing.
    fn set(&mut self, name: &[u8], value: &[u8]) {
        let known: [(&[u8], &mut Option<f32>, Range); 13] = [
            (b"NLR", &mut self.loss, PERCENT),
            (b"JDR", &mut self.discard, PERCENT),
            (b"BLD", &mut self.burst_loss, PERCENT),
            (b"BD", &mut self.burst_ms, MILLIS),
            (b"GLD", &mut self.gap_loss, PERCENT),
            (b"GD", &mut self.gap_ms, MILLIS),
            (b"RTD", &mut self.round_trip_ms, MILLIS),
            (b"ESD", &mut self.end_system_ms, MILLIS),
            (b"IAJ", &mut self.jitter_ms, MILLIS),
            (b"RLQ", &mut self.r_lq, RATING),
            (b"RCQ", &mut self.r_cq, RATING),
            (b"MOSLQ", &mut self.mos_lq, OPINION),
            (b"MOSCQ", &mut self.mos_cq, OPINION),
        ];
        for (known, place, range) in known {
            if known.eq_ignore_ascii_case(name) && place.is_none() {
                *place = number(value, &range);
            }
        }
    }
}

/// What a value may be; 127 stands for "unavailable" in ratings and opinions and is above both.
type Range = std::ops::RangeInclusive<f32>;
const PERCENT: Range = 0.0..=100.0;
const MILLIS: Range = 0.0..=65_535.0;
const RATING: Range = 0.0..=120.0;
const OPINION: Range = 1.0..=5.0;

/// Reads a report.
pub fn vq_report(bytes: &[u8]) -> Result<VqReport<'_>, ReportError> {
    if bytes.len() > MAX_REPORT {
        return Err(ReportError);
    }
    let mut lines = bytes.split(|byte| *byte == b'\n').map(value::trim);
    let first = lines.find(|line| !line.is_empty()).ok_or(ReportError)?;
    let named = |kind: &ReportKind| {
        let name = kind.name().as_bytes();
        let behind =
            first.get(..name.len()).filter(|start| start.eq_ignore_ascii_case(name)).map(|_| &first[name.len()..]);
        behind.is_some_and(|rest| rest.first().is_none_or(|byte| !byte.is_ascii_alphanumeric()))
    };
    let kind = ReportKind::ALL.into_iter().find(named).ok_or(ReportError)?;
    let mut report = VqReport { kind, call_id: None, local: Quality::default(), remote: Quality::default() };
    let mut section = Section::Local;
    let mut measures = false;
    for line in lines {
        let (name, value) = match memchr::memchr2(b':', b'=', line) {
            Some(end) => (value::trim(&line[..end]), value::trim(&line[end + 1..])),
            None => (&b""[..], line),
        };
        match name {
            b"" => {}
            name if name.eq_ignore_ascii_case(b"CallID") => {
                report.call_id = report.call_id.or((!value.is_empty()).then_some(value));
                measures = false;
                continue;
            }
            name if name.eq_ignore_ascii_case(b"LocalMetrics") => section = Section::Local,
            name if name.eq_ignore_ascii_case(b"RemoteMetrics") => section = Section::Remote,
            name => measures = MEASURES.iter().any(|known| known.eq_ignore_ascii_case(name)),
        }
        if measures {
            let quality = match section {
                Section::Local => &mut report.local,
                Section::Remote => &mut report.remote,
            };
            for pair in value.split(|byte| value::is_space(*byte) || matches!(byte, b',' | b';')) {
                if let Some(equals) = memchr::memchr(b'=', pair) {
                    quality.set(&pair[..equals], &pair[equals + 1..]);
                }
            }
        }
    }
    Ok(report)
}

/// Whose measures follow; without a heading they are the writer's own.
#[derive(Clone, Copy)]
enum Section {
    Local,
    Remote,
}

/// The lines that hold what is read.
const MEASURES: [&[u8]; 4] = [b"PacketLoss", b"BurstGapLoss", b"Delay", b"QualityEst"];

/// A finite number within a range.
fn number(value: &[u8], range: &Range) -> Option<f32> {
    let number: f32 = std::str::from_utf8(value).ok()?.trim_matches('"').parse().ok()?;
    range.contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As printed in RFC 6035 §4.6.1, shortened.
    const PRINTED: &str = "VQSessionReport: CallTerm\r\nCallID: 12345@example.com\r\nLocalID: <sip:alice@example.org>\r\n\
        RemoteID: <sip:bill@example.net>\r\nLocalAddr: IP=10.10.1.100 PORT=5000 SSRC=1a3b5c7d\r\nLocalMetrics:\r\n\
        Timestamps:START=2004-10-10T18:23:43Z STOP=2004-10-01T18:26:02Z\r\nJitterBuffer:JBA=3 JBR=2 JBN=40 JBM=80\r\n\
        PacketLoss:NLR=5.0 JDR=2.0\r\nBurstGapLoss:BLD=0 BD=0 GLD=2.0 GD=500 GMIN=16\r\n\
        Delay:RTD=200 ESD=140 SOWD=170 OWD=100 IAJ=2 MAJ=10\r\nQualityEst:RLQ=90 RCQ=85 EXTRI=90 MOSLQ=4.2 MOSCQ=4.3 \
        QoEEstAlg=P.564\r\nRemoteMetrics:\r\nPacketLoss:NLR=0 JDR=0\r\nQualityEst:MOSLQ=127 MOSCQ=NaN RLQ=127\r\n\
        DialogID:38419823470834;to-tag=8472761;from-tag=9123dh311\r\n";

    fn report(text: &str) -> VqReport<'_> {
        vq_report(text.as_bytes()).expect("a report")
    }

    #[test]
    fn a_report_is_read_as_printed_in_the_rfc() {
        let report = report(PRINTED);
        assert_eq!((report.kind, report.call_id), (ReportKind::Session, Some(&b"12345@example.com"[..])));
        let local = Quality {
            loss: Some(5.0),
            discard: Some(2.0),
            burst_loss: Some(0.0),
            burst_ms: Some(0.0),
            gap_loss: Some(2.0),
            gap_ms: Some(500.0),
            round_trip_ms: Some(200.0),
            end_system_ms: Some(140.0),
            jitter_ms: Some(2.0),
            r_lq: Some(90.0),
            r_cq: Some(85.0),
            mos_lq: Some(4.2),
            mos_cq: Some(4.3),
        };
        assert_eq!(report.local, local);
        assert_eq!(report.remote, Quality { loss: Some(0.0), discard: Some(0.0), ..Quality::default() });
    }

    #[test]
    fn a_report_is_read_as_devices_write_it() {
        let report = report(
            "\nvqintervalreport\nqualityest: moslq=4.1\n RCQ=80\nX-Vendor: NLR=9\nCALLID=1@x\nPACKETLOSS=NLR=1.0,JDR=0.5\n",
        );
        assert_eq!((report.kind, report.call_id), (ReportKind::Interval, Some(&b"1@x"[..])));
        let Quality { loss, discard, mos_lq, r_cq, .. } = report.local;
        assert_eq!((loss, discard, mos_lq, r_cq), (Some(1.0), Some(0.5), Some(4.1), None));
    }

    #[test]
    fn a_line_without_a_colon_goes_on_with_the_one_above() {
        let lines =
            "VQAlertReport: Type=NLR Severity=Critical Dir=local\nDelay: RTD=90\n ESD 1\nPacketLoss:\nnothing\n";
        assert_eq!(report(lines).local.round_trip_ms, Some(90.0));
        assert_eq!(report(lines).kind, ReportKind::Alert);
    }

    #[test]
    fn what_is_out_of_range_is_missing() {
        for value in ["NaN", "-1", "1e308", "1e999", "inf", "6", "0.9", "", "x"] {
            let text = format!("VQSessionReport:\nQualityEst: MOSLQ={value}\n");
            assert_eq!(report(&text).local.mos_lq, None, "{value}");
            assert!(report(&text).local.is_empty());
        }
    }

    #[test]
    fn what_is_no_report_is_refused() {
        for text in ["", "\r\n", "VQSession", "VQSessionReporter: x", "CallID: 1"] {
            assert_eq!(vq_report(text.as_bytes()), Err(ReportError), "{text}");
        }
        let long = format!("VQSessionReport\n{}", "x".repeat(MAX_REPORT));
        assert_eq!(vq_report(long.as_bytes()), Err(ReportError));
        assert!(vq_report(&long.as_bytes()[..MAX_REPORT]).is_ok());
    }
}
