//! What callers heard: streams of a call, how they sounded, what is wrong with them (`sip-metrics.md` 5).
//!
//! Of names and addresses in reports nothing is kept; addresses of streams are those that privacy allows.

use std::net::SocketAddr;
use std::time::Duration;

use rtp::emodel::Rating;
use rtp::{Codec, Summary};
use sip::{Quality, ReportKind};
use wire::Timestamp;

use super::Side;
use crate::media::{Fault, Toward};

/// The media of a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallMedia {
    /// Streams in the order they began.
    pub streams: Vec<StreamRecord>,
    /// Intervals that gave a sample, in the order they ended.
    pub intervals: Vec<IntervalRecord>,
    /// The newest round trips.
    pub round_trip: RoundTrip,
    /// VoIP metrics in RTCP XR, in order.
    pub extended: Vec<ExtendedRecord>,
    /// Reports of voice quality, in order.
    pub reports: Vec<ReportRecord>,
    /// What is wrong, in order.
    pub faults: Vec<FaultRecord>,
}

/// One stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamRecord {
    /// Its source.
    pub ssrc: u32,
    /// Who sends.
    pub side: Side,
    /// Sender, as privacy allows.
    pub source: SocketAddr,
    /// Recipient, as privacy allows.
    pub destination: SocketAddr,
    /// The codec of its last packet of speech.
    pub codec: Codec,
    /// When its first packet came, on the clock people see.
    pub first: Timestamp,
    /// When its last packet came.
    pub last: Timestamp,
    /// What came and what did not.
    pub summary: Summary,
    /// How much speech a packet holds.
    pub ptime: Duration,
    /// How it sounds as a whole.
    pub rating: Rating,
    /// The worst MOS-CQ of an interval; `None` where none was long enough.
    pub worst: Option<f32>,
}

impl StreamRecord {
    /// Its burst ratio is beyond what the model was checked for: above 2 with more than 2 % missing.
    pub fn is_extrapolated(&self) -> bool {
        let missing = f64::from(self.summary.lost() + self.summary.discarded);
        self.summary.burst_ratio > 2.0 && missing > 0.02 * f64::from(self.summary.expected)
    }

    /// Lost in percent.
    pub fn loss_percent(&self) -> f64 {
        100.0 * f64::from(self.summary.lost()) / f64::from(self.summary.expected.max(1))
    }
}

/// One interval of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IntervalRecord {
    /// Of which stream.
    pub ssrc: u32,
    /// Who sends.
    pub side: Side,
    /// When it ended, on the clock people see.
    pub at: Timestamp,
    /// Packets that became expected.
    pub expected: u32,
    /// Those lost.
    pub lost: u32,
    /// Those discarded.
    pub discarded: u32,
    /// Jitter at its end, in milliseconds.
    pub jitter_ms: f32,
    /// MOS-LQ.
    pub mos_lq: f32,
    /// MOS-CQ.
    pub mos_cq: f32,
}

/// The newest round trips by reports of RTCP.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RoundTrip {
    /// Between here and the caller.
    pub to_caller: Option<Duration>,
    /// Between here and the callee.
    pub to_callee: Option<Duration>,
    /// Both together.
    pub total: Option<Duration>,
}

/// One VoIP metrics report in RTCP XR.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExtendedRecord {
    /// Whose stream.
    pub side: Side,
    /// What it says.
    pub quality: rtp::rtcp::VoiceQuality,
}

/// One report of voice quality.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportRecord {
    /// What it is about.
    pub kind: ReportKind,
    /// When it was accepted, on the clock people see.
    pub at: Timestamp,
    /// What its writer received.
    pub local: Quality,
    /// What the other party received.
    pub remote: Quality,
}

/// Something that is wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultRecord {
    /// What.
    pub fault: Fault,
    /// Which way.
    pub toward: Toward,
    /// When, on the clock people see.
    pub at: Timestamp,
}

/// An opinion below this is a poor one.
pub const POOR: f32 = 3.5;

impl CallMedia {
    /// The worst MOS-CQ of an interval; `None` where none was long enough.
    pub fn worst(&self) -> Option<f32> {
        self.streams.iter().filter_map(|stream| stream.worst).min_by(f32::total_cmp)
    }

    /// It has a fault, or an interval that sounded poor.
    pub fn is_poor(&self) -> bool {
        !self.faults.is_empty() || self.worst().is_some_and(|worst| worst < POOR)
    }

    /// There is nothing to tell.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
