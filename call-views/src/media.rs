//! What callers heard, in JSON: `media` of a call object.

use std::net::SocketAddr;
use std::time::Duration;

use pipeline::call::media::{CallMedia, ExtendedRecord, IntervalRecord, ReportRecord, StreamRecord};
use serde::{Serialize, Serializer};
use sip::Quality;

/// The media of a call. Numbers have four decimals at most.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Media {
    /// In the order they began.
    pub streams: Vec<Stream>,
    /// Those that gave a sample, in the order they ended.
    pub intervals: Vec<Interval>,
    /// The newest round trips.
    pub rtt_ms: RoundTrip,
    /// VoIP metrics in RTCP XR.
    pub xr: Vec<Extended>,
    /// Reports of voice quality.
    pub vq_reports: Vec<Report>,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

/// One stream; `direction` is who sends.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stream {
    /// `0x` and eight hex digits.
    #[serde(serialize_with = "hex")]
    pub ssrc: u32,
    /// `caller` or `callee`.
    pub direction: &'static str,
    /// Sender.
    pub src: SocketAddr,
    /// Recipient.
    pub dst: SocketAddr,
    /// The label `codec`.
    pub codec: &'static str,
    /// When its first packet came; RFC 3339.
    #[serde(serialize_with = "crate::summary::time")]
    pub first: wire::Timestamp,
    /// When its last packet came, or the newest of a call that is up.
    #[serde(serialize_with = "crate::summary::time")]
    pub last: wire::Timestamp,
    /// Distinct packets that came.
    pub received: u32,
    /// Packets there should have been.
    pub expected: u32,
    /// Packets that did not come.
    pub lost: u32,
    /// The same as RFC 3550 counts it.
    pub lost_rfc3550: i64,
    /// Repeats.
    pub duplicates: u32,
    /// Packets after one of a higher number.
    pub reordered: u32,
    /// Packets too late for the emulated jitter buffer.
    pub discarded: u32,
    /// Lost, in percent.
    #[serde(serialize_with = "decimals")]
    pub loss_pct: f64,
    /// Jitter at the end.
    #[serde(serialize_with = "decimals")]
    pub jitter_ms: f64,
    /// The most jitter there was.
    #[serde(serialize_with = "decimals")]
    pub jitter_max_ms: f64,
    /// How much longer missing packets follow one another than by chance.
    #[serde(serialize_with = "decimals")]
    pub burst_ratio: f64,
    /// It is beyond what the model was checked for.
    pub extrapolated: bool,
    /// Rating of listening quality.
    #[serde(serialize_with = "decimals")]
    pub r_lq: f64,
    /// Opinion of listening quality.
    #[serde(serialize_with = "decimals")]
    pub mos_lq: f64,
    /// Rating of conversational quality.
    #[serde(serialize_with = "decimals")]
    pub r_cq: f64,
    /// Opinion of conversational quality.
    #[serde(serialize_with = "decimals")]
    pub mos_cq: f64,
    /// Share of missing packets within bursts.
    #[serde(serialize_with = "decimals")]
    pub burst_density: f64,
    /// Share of missing packets within gaps.
    #[serde(serialize_with = "decimals")]
    pub gap_density: f64,
    /// Mean length of bursts.
    #[serde(serialize_with = "decimals")]
    pub burst_ms: f64,
    /// Mean length of gaps.
    #[serde(serialize_with = "decimals")]
    pub gap_ms: f64,
}

/// One interval of a stream.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// `0x` and eight hex digits.
    #[serde(serialize_with = "hex")]
    pub ssrc: u32,
    /// `caller` or `callee`.
    pub direction: &'static str,
    /// When it ended; RFC 3339.
    #[serde(serialize_with = "crate::summary::time")]
    pub at: wire::Timestamp,
    /// Packets that became expected.
    pub expected: u32,
    /// Those lost.
    pub lost: u32,
    /// Those discarded.
    pub discarded: u32,
    /// Lost, in percent.
    #[serde(serialize_with = "decimals")]
    pub loss_pct: f64,
    /// Jitter at its end.
    #[serde(serialize_with = "decimals")]
    pub jitter_ms: f64,
    /// Opinion of listening quality.
    #[serde(serialize_with = "decimals")]
    pub mos_lq: f64,
    /// Opinion of conversational quality.
    #[serde(serialize_with = "decimals")]
    pub mos_cq: f64,
}

/// The newest round trips, in milliseconds; `null` where none was reported.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RoundTrip {
    /// Between here and the callee.
    #[serde(serialize_with = "maybe")]
    pub observer_to_callee: Option<f64>,
    /// Between here and the caller.
    #[serde(serialize_with = "maybe")]
    pub observer_to_caller: Option<f64>,
    /// Both together.
    #[serde(serialize_with = "maybe")]
    pub total: Option<f64>,
}

/// One VoIP metrics report (RFC 3611 §4.7); shares are 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Extended {
    /// `0x` and eight hex digits.
    #[serde(serialize_with = "hex")]
    pub ssrc: u32,
    /// Whose stream: `caller` or `callee`.
    pub direction: &'static str,
    /// Lost.
    #[serde(serialize_with = "decimals")]
    pub loss: f64,
    /// Discarded.
    #[serde(serialize_with = "decimals")]
    pub discard: f64,
    /// Missing within bursts.
    #[serde(serialize_with = "decimals")]
    pub burst_density: f64,
    /// Missing within gaps.
    #[serde(serialize_with = "decimals")]
    pub gap_density: f64,
    /// Mean length of bursts.
    pub burst_ms: u16,
    /// Mean length of gaps.
    pub gap_ms: u16,
    /// Round trip between the RTP interfaces.
    pub rtd_ms: u16,
    /// Delay within the end system.
    pub esd_ms: u16,
    /// R factor.
    pub r_factor: Option<u8>,
    /// Opinion of listening quality.
    #[serde(serialize_with = "maybe")]
    pub mos_lq: Option<f64>,
    /// Opinion of conversational quality.
    #[serde(serialize_with = "maybe")]
    pub mos_cq: Option<f64>,
}

/// One report of voice quality (RFC 6035); what is not there was not reported.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// `VQSessionReport`, `VQIntervalReport` or `VQAlertReport`.
    pub kind: &'static str,
    /// The call it is about: Call-ID, or its hash.
    pub call_id: Box<str>,
    /// When it was accepted; RFC 3339.
    #[serde(serialize_with = "crate::summary::time")]
    pub at: wire::Timestamp,
    /// What its writer received.
    pub local: Values,
    /// What the other party received.
    #[serde(skip_serializing_if = "Values::is_empty")]
    pub remote: Values,
}

/// The values of a report under their names there, those that were reported.
#[derive(Clone, Debug, PartialEq)]
pub struct Values(Vec<(&'static str, f64)>);

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fault {
    /// The label `fault`.
    pub fault: &'static str,
    /// The label `direction`.
    pub direction: &'static str,
    /// When; RFC 3339.
    #[serde(serialize_with = "crate::summary::time")]
    pub at: wire::Timestamp,
}

impl Media {
    /// The media of the call with this Call-ID as it is shown.
    pub fn new(media: &CallMedia, call_id: &str) -> Self {
        let millis = |duration: Option<Duration>| duration.map(|duration| duration.as_secs_f64() * 1e3);
        let fault = |fault: &pipeline::call::media::FaultRecord| Fault {
            fault: fault.fault.as_str(),
            direction: fault.toward.as_str(),
            at: fault.at,
        };
        Self {
            streams: media.streams.iter().map(Stream::new).collect(),
            intervals: media.intervals.iter().map(Interval::new).collect(),
            rtt_ms: RoundTrip {
                observer_to_callee: millis(media.round_trip.to_callee),
                observer_to_caller: millis(media.round_trip.to_caller),
                total: millis(media.round_trip.total),
            },
            xr: media.extended.iter().map(Extended::new).collect(),
            vq_reports: media.reports.iter().map(|report| Report::new(report, call_id)).collect(),
            faults: media.faults.iter().map(fault).collect(),
        }
    }
}

impl Stream {
    fn new(stream: &StreamRecord) -> Self {
        let StreamRecord { summary, rating, ptime, .. } = stream;
        let millis = |nanos: f64| nanos / 1e6;
        let length = |packets: f64| packets * ptime.as_secs_f64() * 1e3;
        Self {
            ssrc: stream.ssrc,
            direction: stream.side.as_str(),
            src: stream.source,
            dst: stream.destination,
            codec: stream.codec.label(),
            first: stream.first,
            last: stream.last,
            received: summary.received,
            expected: summary.expected,
            lost: summary.lost(),
            lost_rfc3550: summary.lost_rfc3550(),
            duplicates: summary.duplicates,
            reordered: summary.reordered,
            discarded: summary.discarded,
            loss_pct: stream.loss_percent(),
            jitter_ms: millis(summary.jitter),
            jitter_max_ms: millis(summary.jitter_max),
            burst_ratio: summary.burst_ratio,
            extrapolated: stream.is_extrapolated(),
            r_lq: rating.r_lq,
            mos_lq: rating.mos_lq,
            r_cq: rating.r_cq,
            mos_cq: rating.mos_cq,
            burst_density: summary.bursts.burst_density,
            gap_density: summary.bursts.gap_density,
            burst_ms: length(summary.bursts.burst_packets),
            gap_ms: length(summary.bursts.gap_packets),
        }
    }
}

impl Interval {
    fn new(interval: &IntervalRecord) -> Self {
        let IntervalRecord { ssrc, side, at, expected, lost, discarded, jitter_ms, mos_lq, mos_cq } = *interval;
        Self {
            ssrc,
            direction: side.as_str(),
            at,
            expected,
            lost,
            discarded,
            loss_pct: 100.0 * f64::from(lost) / f64::from(expected.max(1)),
            jitter_ms: jitter_ms.into(),
            mos_lq: mos_lq.into(),
            mos_cq: mos_cq.into(),
        }
    }
}

impl Extended {
    fn new(ExtendedRecord { side, quality }: &ExtendedRecord) -> Self {
        let share = |byte: u8| f64::from(byte) / 256.0;
        let opinion = |tenths: Option<u8>| tenths.map(|tenths| f64::from(tenths) / 10.0);
        Self {
            ssrc: quality.ssrc,
            direction: side.as_str(),
            loss: share(quality.loss),
            discard: share(quality.discard),
            burst_density: share(quality.burst_density),
            gap_density: share(quality.gap_density),
            burst_ms: quality.burst_ms,
            gap_ms: quality.gap_ms,
            rtd_ms: quality.round_trip_ms,
            esd_ms: quality.end_system_ms,
            r_factor: quality.r_factor,
            mos_lq: opinion(quality.mos_lq),
            mos_cq: opinion(quality.mos_cq),
        }
    }
}

impl Report {
    fn new(report: &ReportRecord, call_id: &str) -> Self {
        let (local, remote) = (Values::new(&report.local), Values::new(&report.remote));
        Self { kind: report.kind.name(), call_id: call_id.into(), at: report.at, local, remote }
    }
}

impl Values {
    fn new(quality: &Quality) -> Self {
        let values = [
            ("nlr", quality.loss),
            ("jdr", quality.discard),
            ("bld", quality.burst_loss),
            ("bd_ms", quality.burst_ms),
            ("gld", quality.gap_loss),
            ("gd_ms", quality.gap_ms),
            ("rtd_ms", quality.round_trip_ms),
            ("esd_ms", quality.end_system_ms),
            ("iaj_ms", quality.jitter_ms),
            ("rlq", quality.r_lq),
            ("rcq", quality.r_cq),
            ("moslq", quality.mos_lq),
            ("moscq", quality.mos_cq),
        ];
        Self(values.into_iter().filter_map(|(name, value)| Some((name, value?.into()))).collect())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(name, value)| (name, rounded(*value))))
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

fn decimals<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(rounded(*value))
}

fn maybe<S: Serializer>(value: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    value.map(rounded).serialize(to)
}

fn hex<S: Serializer>(ssrc: &u32, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&format_args!("0x{ssrc:08x}"))
}
