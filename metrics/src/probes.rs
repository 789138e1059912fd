//! The families of probes (`sip-metrics.md` 6.1): rows of a receiver that asks in, series out.
//!
//! They stand beside the static schema of cells: their rows are named by the configuration and come and go with it.

use pipeline::probes::{ProbeCopy, ProbeNumbers, RTT_BOUNDS, Unexpected};

use super::buckets::{Buckets, Unit};
use super::label_values::UNEXPECTED;
use super::schema::{Family, Label, Source};
use super::series::{Histogram, Value, split};
use super::stored::FIRST_CODE;

/// What a family of probes shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Probes begun.
    Sent,
    /// Probes answered.
    Received,
    /// Probes that were not.
    Lost,
    /// Requests sent again.
    Retransmissions,
    /// What came besides.
    Unexpected,
    /// Responses by status, and ends without one.
    Status,
    /// Round trips.
    Rtt,
    /// How they vary.
    Jitter,
    /// Whether all addresses answered.
    Up,
    /// The newest status.
    LastStatus,
    /// When a certificate expires.
    TlsNotAfter,
    /// How long a handshake took.
    TlsHandshake,
    /// Constant 1, with the carrier.
    TargetInfo,
}

const fn counter(name: &'static str, probe: Probe, help: &'static str) -> Family {
    Family::counter(name, Source::Probe(probe), help).target()
}

const fn gauge(name: &'static str, probe: Probe, help: &'static str) -> Family {
    Family::gauge(name, Source::Probe(probe), help).target()
}

const RTT: Buckets = Buckets { unit: Unit::Seconds, bounds: &RTT_BOUNDS };

/// The families whose rows are targets.
pub static PROBES: &[Family] = &[
    counter("probe_sent_total", Probe::Sent, "Probes begun: those received, lost and under way (RFC 3261 §11)."),
    counter("probe_received_total", Probe::Received, "Probes that a final response came to, whichever (RFC 3261 §11)."),
    counter(
        "probe_lost_total",
        Probe::Lost,
        "Probes without a final response by the timeout, or that could not be asked (not in an RFC).",
    ),
    counter(
        "probe_retransmissions_total",
        Probe::Retransmissions,
        "Requests of probes sent again over UDP (RFC 3261 §17.1.2, Timer E).",
    ),
    Family {
        labels: &[Label::listed("reason", UNEXPECTED)],
        ..counter(
            "probe_unexpected_total",
            Probe::Unexpected,
            "Messages to a probe that end nothing: of no probe, too late, once more, or no SIP (RFC 3261 §17.1.3).",
        )
    },
    // `timeout` and `error` beside the numbers.
    Family {
        labels: &[Label::numbers("code", FIRST_CODE, 600)],
        ..counter(
            "probe_status_total",
            Probe::Status,
            "Responses to probes by status code; timeout and error where there was none (RFC 3261 §21).",
        )
    },
    Family::histogram(
        "probe_rtt_seconds",
        Source::Probe(Probe::Rtt),
        RTT,
        "Round trip of a probe: first request to its first final response, in seconds (RFC 3261 §17.1.2).",
    )
    .target(),
    gauge(
        "probe_jitter_seconds",
        Probe::Jitter,
        "Mean difference of successive round trips over the last ten answers, in seconds (not in an RFC).",
    ),
    gauge(
        "probe_up",
        Probe::Up,
        "1 when the newest probe got a final response other than 503, else 0 (not in an RFC).",
    ),
    gauge("probe_last_status", Probe::LastStatus, "Status of the newest probe, 0 without a response (RFC 3261 §21)."),
    gauge(
        "probe_tls_not_after_seconds",
        Probe::TlsNotAfter,
        "When the first certificate of the target expires, in seconds since 1970 (RFC 5280 §4.1.2.5).",
    ),
    gauge(
        "probe_tls_handshake_seconds",
        Probe::TlsHandshake,
        "How long the newest TLS handshake with the target took, in seconds (RFC 8446 §2).",
    ),
    gauge("probe_target_info", Probe::TargetInfo, "Constant 1; the carrier the target belongs to is its label."),
];

/// Takes a series of a row: its variant, its further label, its value.
pub(super) type See<'a> = dyn FnMut(usize, Option<(&'static str, &str)>, &Value<'_>) + 'a;

/// Codes that are shown before they were counted, so that their rate is known from the first.
const FROM_THE_START: u16 = 200;

impl Probe {
    /// Shows `see` each series of a row: its variant among those of the row, its label besides target and transport, its
    /// value.
    pub(super) fn series(self, row: &ProbeCopy, see: &mut See<'_>) {
        let ProbeNumbers { carrier, sent, received, lost, retransmissions, unexpected, .. } = &row.numbers;
        let now = row.numbers.now;
        let mut gauge = |value: Option<Value<'_>>| value.into_iter().for_each(|value| see(0, None, &value));
        match self {
            Self::Sent => see(0, None, &Value::Counter(*sent)),
            Self::Received => see(0, None, &Value::Counter(*received)),
            Self::Lost => see(0, None, &Value::Counter(*lost)),
            Self::Retransmissions => see(0, None, &Value::Counter(*retransmissions)),
            Self::Unexpected => {
                for what in Unexpected::ALL {
                    let index = what as usize;
                    see(index, Some(("reason", what.as_str())), &Value::Counter(unexpected[index]));
                }
            }
            Self::Status => {
                let ProbeNumbers { statuses, timeouts, errors, .. } = &row.numbers;
                if !statuses.contains_key(&FROM_THE_START) {
                    see(FROM_THE_START.into(), Some(("code", "200")), &Value::Counter(0));
                }
                for (status, count) in statuses {
                    let mut number = itoa::Buffer::new();
                    see((*status).into(), Some(("code", number.format(*status))), &Value::Counter(*count));
                }
                see(0, Some(("code", "timeout")), &Value::Counter(*timeouts));
                see(1, Some(("code", "error")), &Value::Counter(*errors));
            }
            Self::Rtt => {
                let mut cells = [0; RTT_BOUNDS.len() + 3];
                let (coarse, fine) = split(row.numbers.rtt_sum);
                cells[..=RTT_BOUNDS.len()].copy_from_slice(&row.numbers.rtt);
                cells[RTT_BOUNDS.len() + 1..].copy_from_slice(&[fine, coarse]);
                see(0, None, &Value::Histogram(Histogram::plain(RTT, &cells)));
            }
            Self::Jitter => gauge(now.and_then(|now| now.jitter).map(Value::Real)),
            Self::Up => gauge(now.map(|now| Value::Gauge(now.up.into()))),
            Self::LastStatus => gauge(now.map(|now| Value::Gauge(now.last_status.into()))),
            Self::TlsNotAfter => gauge(now.and_then(|now| now.not_after).map(Value::Gauge)),
            Self::TlsHandshake => gauge(now.and_then(|now| now.handshake).map(Value::Real)),
            Self::TargetInfo => see(0, Some(("carrier", carrier)), &Value::Gauge(1)),
        }
    }
}
