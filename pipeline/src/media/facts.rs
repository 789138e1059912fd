//! Facts about media: what callers hear, and what of it could not be read. Sections are those of `sip-metrics.md`.

use rtp::Codec;
use sip::ReportKind;
use wire::Timestamp;

use crate::call::Side;
use crate::event::Slot;

/// One fact about the media of a call. They stand beside other events, which are smaller.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heard {
    /// Whose labels it is counted under; [`Slot::OTHER`] for what has no carrier.
    pub slot: Slot,
    /// What.
    pub fact: MediaFact,
}

/// What happened to media. A side is who sends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MediaFact {
    /// A processor of media is at work: its metrics exist.
    Listening,
    /// So many packets of a stream came, repeats not among them (5.3).
    Packets {
        /// Who sends.
        side: Side,
        /// What they carry.
        codec: Codec,
        /// How many.
        count: u32,
    },
    /// A packet came again.
    Duplicate {
        /// Who sends.
        side: Side,
        /// What it carries.
        codec: Codec,
    },
    /// A packet came after one of a higher number.
    Reordered {
        /// Who sends.
        side: Side,
        /// What it carries.
        codec: Codec,
    },
    /// Time stamps of a stream did not go on (5.3).
    TimestampJumped,
    /// An interval of a stream ended (5.5).
    IntervalEnded(Interval),
    /// Records of our own were dropped in an interval, so that it gives no sample.
    IntervalIncomplete,
    /// Streams came or went that had a packet in the last 10 s.
    StreamsActive(i32),
    /// A datagram of RTCP came to an endpoint of a call.
    Rtcp,
    /// A report block about a stream of a call (5.4).
    Reported {
        /// Whose stream.
        side: Side,
        /// Lost, in 1/256.
        loss: u8,
        /// Jitter, in nanoseconds.
        jitter: u32,
    },
    /// A round trip (5.4).
    RoundTrip {
        /// Between whom.
        part: Part,
        /// In nanoseconds, at most 20 s.
        nanos: u64,
    },
    /// VoIP metrics in RTCP XR (5.6).
    Extended {
        /// Whose stream.
        side: Side,
    },
    /// A report of voice quality was accepted (5.6).
    Report(ReportKind),
    /// A value of it.
    ReportValue {
        /// Whose.
        party: Party,
        /// Which.
        measure: VqMeasure,
        /// In millionths, of times in nanoseconds.
        value: u64,
    },
    /// Something is wrong with the media of a call (5.7).
    Fault {
        /// What.
        fault: Fault,
        /// Which way.
        toward: Toward,
    },
    /// Something was refused because a table was full (5.2).
    Refused(MediaTable),
    /// A body or a packet could not be read.
    Unreadable(MediaError),
}

/// An interval that ended: what counters take, and a sample where it is long enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// When it ended.
    pub at: Timestamp,
    /// Who sends.
    pub side: Side,
    /// The codec of most of its packets.
    pub codec: Codec,
    /// Lost in it.
    pub lost: u32,
    /// Discarded since the last.
    pub discarded: u32,
    /// What histograms take.
    pub sample: Option<Sample>,
}

/// What histograms take of an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Share of packets lost, in millionths.
    pub loss: u32,
    /// Jitter, in nanoseconds.
    pub jitter: u32,
    /// MOS-LQ, in millionths.
    pub mos_lq: u32,
    /// MOS-CQ, in millionths.
    pub mos_cq: u32,
}

/// Defines an enum together with its label values.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident, $count:literal { $($(#[$value_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$value_doc])* $variant,)+
        }

        impl $name {
            /// All of them, in the order of [`Self::index`].
            pub const ALL: [Self; $count] = [$(Self::$variant,)+];

            /// Position in [`Self::ALL`].
            pub const fn index(self) -> usize {
                self as usize
            }

            /// The label value.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

labels! {
    /// What is wrong with the media of a call: `fault` of `media_faults_total` (5.7).
    Fault, 5 {
        /// Nothing came after the answer.
        NoMedia = "no_media",
        /// One side is heard, the other is not.
        OneWay = "one_way",
        /// A side that was heard fell silent.
        MediaStopped = "media_stopped",
        /// Something answered that is nobody.
        FasSuspect = "fas_suspect",
        /// Packets came after the end.
        LateMedia = "late_media",
    }
}

labels! {
    /// Which way a fault is: `direction` of `media_faults_total` (5.7).
    Toward, 5 {
        /// Neither.
        Neither = "none",
        /// Only the caller is heard.
        CallerOnly = "caller_only",
        /// Only the callee is heard.
        CalleeOnly = "callee_only",
        /// What the caller sends.
        Caller = "caller",
        /// What the callee sends.
        Callee = "callee",
    }
}

labels! {
    /// Between whom a round trip is: `part` of `rtcp_rtt_seconds` (5.4).
    Part, 3 {
        /// Here and the caller.
        Caller = "caller",
        /// Here and the callee.
        Callee = "callee",
        /// Both.
        Total = "total",
    }
}

labels! {
    /// Whose values a report of voice quality has: `party` (5.6).
    Party, 2 {
        /// Of who wrote it.
        Local = "local",
        /// Of the other.
        Remote = "remote",
    }
}

labels! {
    /// Which value a report of voice quality has (5.6).
    VqMeasure, 6 {
        /// MOSLQ.
        MosLq = "mos_lq",
        /// MOSCQ.
        MosCq = "mos_cq",
        /// NLR.
        Loss = "loss",
        /// JDR.
        Discard = "discard",
        /// RTD.
        RoundTrip = "rtd",
        /// IAJ.
        Jitter = "jitter",
    }
}

labels! {
    /// Tables of media that refuse what is beyond them: `table` of `media_evicted_total` (5.2).
    MediaTable, 6 {
        /// Streams in all.
        Streams = "streams",
        /// Streams of a dialog.
        DialogStreams = "dialog_streams",
        /// Endpoints in all, and of one description.
        Endpoints = "endpoints",
        /// Lines of a description.
        MediaLines = "media_lines",
        /// Dialogs of a call, and calls.
        Dialogs = "dialogs",
        /// What records keep of one call: intervals, reports.
        Records = "records",
    }
}

labels! {
    /// What could not be read: `reason` of `media_errors_total` (5.5).
    MediaError, 5 {
        /// A session description.
        Sdp = "sdp",
        /// A packet to an endpoint that is no RTP.
        Rtp = "rtp",
        /// A datagram that is no valid RTCP.
        Rtcp = "rtcp",
        /// An extended report that contradicts itself.
        Xr = "xr",
        /// A report of voice quality.
        Vq = "vq",
    }
}

impl Side {
    /// Position in lists of both: the caller first.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}
