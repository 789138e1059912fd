//! What callers heard, on the span of a session: attributes of the whole, and events where something began, went wrong, or
//! sounded poor. They come with the last piece of a call. What telephones report has spans of its own.

use opentelemetry_proto::tonic::trace::v1::span::Event;
use pipeline::call::Side;
use pipeline::call::ladder::SpanId;
use pipeline::call::media::{CallMedia, POOR, ReportRecord, StreamRecord};
use sip::Quality;
use wire::Timestamp;

use super::attribute::{self as a, Attribute, Attributes};

/// A stream begins.
pub const START: &str = "sip.media.start";
/// Something is wrong.
pub const FAULT: &str = "sip.media.fault";
/// An interval sounded poor, or well again.
pub const QUALITY: &str = "sip.media.quality";
/// The span of a report of voice quality (RFC 6035).
pub const REPORT: &str = "voice quality report";
/// What sounded poor sounds well again above this.
const WELL: f32 = 3.6;

/// The attributes of what one side sent.
struct OfSide {
    codec: Attribute,
    packets: Attribute,
    loss: Attribute,
    discard: Attribute,
    jitter: Attribute,
    mos_lq: Attribute,
    mos_cq: Attribute,
    worst: Attribute,
}

const CALLER: OfSide = OfSide {
    codec: a::MEDIA_CALLER_CODEC,
    packets: a::MEDIA_CALLER_PACKETS,
    loss: a::MEDIA_CALLER_LOSS_RATIO,
    discard: a::MEDIA_CALLER_DISCARD_RATIO,
    jitter: a::MEDIA_CALLER_JITTER,
    mos_lq: a::MEDIA_CALLER_MOS_LQ,
    mos_cq: a::MEDIA_CALLER_MOS_CQ,
    worst: a::MEDIA_CALLER_MOS_CQ_MIN,
};

const CALLEE: OfSide = OfSide {
    codec: a::MEDIA_CALLEE_CODEC,
    packets: a::MEDIA_CALLEE_PACKETS,
    loss: a::MEDIA_CALLEE_LOSS_RATIO,
    discard: a::MEDIA_CALLEE_DISCARD_RATIO,
    jitter: a::MEDIA_CALLEE_JITTER,
    mos_lq: a::MEDIA_CALLEE_MOS_LQ,
    mos_cq: a::MEDIA_CALLEE_MOS_CQ,
    worst: a::MEDIA_CALLEE_MOS_CQ_MIN,
};

/// Adds what was heard as a whole.
pub(super) fn describe(media: &CallMedia, attributes: &mut Attributes) {
    for (side, names) in [(Side::Caller, CALLER), (Side::Callee, CALLEE)] {
        let streams = media.streams.iter().filter(|stream| stream.side == side);
        if let Some(stream) = streams.max_by_key(|stream| stream.summary.received) {
            describe_side(stream, &names, attributes);
        }
    }
    if let Some(total) = media.round_trip.total {
        attributes.double(a::MEDIA_RTT, total.as_secs_f64());
    }
    if !media.faults.is_empty() {
        let faults: Vec<&str> = media.faults.iter().map(|fault| fault.fault.as_str()).collect();
        attributes.text(a::MEDIA_FAULTS, faults.join(","));
    }
}

fn describe_side(stream: &StreamRecord, names: &OfSide, attributes: &mut Attributes) {
    let share = |count: u32| f64::from(count) / f64::from(stream.summary.expected.max(1));
    attributes.text(names.codec, stream.codec.label());
    attributes.int(names.packets, stream.summary.received);
    attributes.double(names.loss, share(stream.summary.lost()));
    attributes.double(names.discard, share(stream.summary.discarded));
    attributes.double(names.jitter, stream.summary.jitter / 1e9);
    attributes.double(names.mos_lq, stream.rating.mos_lq);
    attributes.double(names.mos_cq, stream.rating.mos_cq);
    if let Some(worst) = stream.worst {
        attributes.double(names.worst, worst.into());
    }
}

/// The attributes of what one party reports.
struct OfParty {
    mos_lq: Attribute,
    mos_cq: Attribute,
    loss: Attribute,
    discard: Attribute,
    rtt: Attribute,
    jitter: Attribute,
}

const LOCAL: OfParty = OfParty {
    mos_lq: a::REPORT_LOCAL_MOS_LQ,
    mos_cq: a::REPORT_LOCAL_MOS_CQ,
    loss: a::REPORT_LOCAL_LOSS_RATIO,
    discard: a::REPORT_LOCAL_DISCARD_RATIO,
    rtt: a::REPORT_LOCAL_RTT,
    jitter: a::REPORT_LOCAL_JITTER,
};

const REMOTE: OfParty = OfParty {
    mos_lq: a::REPORT_REMOTE_MOS_LQ,
    mos_cq: a::REPORT_REMOTE_MOS_CQ,
    loss: a::REPORT_REMOTE_LOSS_RATIO,
    discard: a::REPORT_REMOTE_DISCARD_RATIO,
    rtt: a::REPORT_REMOTE_RTT,
    jitter: a::REPORT_REMOTE_JITTER,
};

/// Adds what a report says, as far as it does.
pub(super) fn describe_report(report: &ReportRecord, attributes: &mut Attributes) {
    attributes.text(a::REPORT_KIND, report.kind.label());
    for (quality, names) in [(&report.local, LOCAL), (&report.remote, REMOTE)] {
        let Quality { mos_lq, mos_cq, loss, discard, round_trip_ms, jitter_ms, .. } = *quality;
        for (attribute, value, scale) in [
            (names.mos_lq, mos_lq, 1.0),
            (names.mos_cq, mos_cq, 1.0),
            (names.loss, loss, 100.0),
            (names.discard, discard, 100.0),
            (names.rtt, round_trip_ms, 1000.0),
            (names.jitter, jitter_ms, 1000.0),
        ] {
            if let Some(value) = value {
                // As it was written: a single precision tenth is no tenth.
                attributes.double(attribute, (f64::from(value) * 1e4).round() / 1e4 / scale);
            }
        }
    }
}

/// The span of the `number`th report of a call, which nothing else of it has.
pub(super) fn report_span(call: SpanId, number: u64) -> SpanId {
    const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
    let id = u64::from_be_bytes(call.0).wrapping_add((number + 1).wrapping_mul(STEP));
    SpanId(id.max(1).to_be_bytes())
}

/// What happened within a session, in order of time.
pub(super) fn events(media: &CallMedia, start: Timestamp, end: Option<Timestamp>) -> Vec<Event> {
    let mut events = Vec::new();
    let mut add = |at: Timestamp, name: &str, direction: &str, more: &dyn Fn(&mut Attributes)| {
        if at < start || end.is_some_and(|end| at > end) {
            return;
        }
        let mut attributes = Attributes::with_room(2);
        attributes.text(a::MEDIA_DIRECTION, direction);
        more(&mut attributes);
        events.push(Event {
            time_unix_nano: at.as_nanos(),
            name: name.to_owned(),
            attributes: attributes.into_inner(),
            dropped_attributes_count: 0,
        });
    };
    for stream in &media.streams {
        let side = stream.side.as_str();
        add(stream.first, START, side, &|attributes| attributes.text(a::MEDIA_CODEC, stream.codec.label()));
        let mut poor = false;
        for interval in media.intervals.iter().filter(|one| (one.ssrc, one.side) == (stream.ssrc, stream.side)) {
            let is_poor = if poor { interval.mos_cq <= WELL } else { interval.mos_cq < POOR };
            if is_poor != poor {
                let mos_cq = f64::from(interval.mos_cq);
                add(interval.at, QUALITY, side, &|attributes| attributes.double(a::MEDIA_MOS_CQ, mos_cq));
            }
            poor = is_poor;
        }
    }
    for fault in &media.faults {
        add(fault.at, FAULT, fault.toward.as_str(), &|attributes| {
            attributes.text(a::MEDIA_FAULT, fault.fault.as_str());
        });
    }
    events.sort_by_key(|event| event.time_unix_nano);
    events
}
