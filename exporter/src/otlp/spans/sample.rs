//! A call to tell in tests: challenged, forked over a proxy, answered, hung up by the callee.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pipeline::call::ladder::{Endpoint, Message, Owner, Ringing, Session, SpanId, Transaction};
use pipeline::call::media::{CallMedia, FaultRecord, IntervalRecord, ReportRecord, RoundTrip, StreamRecord};
use pipeline::call::{CallRecord, Side, Subject};
use pipeline::media::{Fault, Toward};
use pipeline::{Call, Slot, Transport};
use rtp::emodel::Rating;
use rtp::{Arrival, Codec, Stream};
use sip::{Method, Quality, ReportKind};
use wire::{Tap, Timestamp};

/// Where the call begins.
pub const START: Timestamp = Timestamp::from_nanos(1_767_225_600_000_000_000);
/// Its trace.
pub const TRACE: [u8; 16] = [0xab; 16];
/// The span of the call.
pub const CALL: SpanId = SpanId([1; 8]);

/// So many milliseconds into the call.
pub fn at(millis: u64) -> Timestamp {
    START + Duration::from_millis(millis)
}

/// A span of its own for everything.
pub fn id(number: u8) -> SpanId {
    SpanId([number; 8])
}

/// What is handed on.
pub fn kept(record: CallRecord) -> Call {
    Call { record: Arc::new(record), threshold: None }
}

/// A transaction at the first hop that was answered 200 after 100 ms.
pub fn transaction(span: SpanId, method: Method, cseq: u32, start: u64) -> Transaction {
    Transaction {
        span,
        parent: CALL,
        method,
        cseq,
        branch: format!("z9hG4bK{cseq}").into(),
        source: 0,
        destination: 1,
        transport: Transport::Udp,
        tap: Tap::Recipient,
        hop: false,
        in_dialog: false,
        start: at(start),
        end: Some(at(start + 100)),
        status: Some(200),
        reason: None,
        cancelled: false,
        timed_out: false,
        retransmissions: 0,
        hops: 0,
        below_remote: false,
        rare: None,
    }
}

/// A message of 500 bytes from one endpoint to another.
pub fn message(millis: u64, method: Method, status: Option<u16>, ends: (u16, u16), owner: Owner) -> Message {
    Message {
        at: at(millis),
        method,
        status,
        cseq: 2,
        source: ends.0,
        destination: ends.1,
        owner,
        forward: ends.0 < ends.1,
        sdp: false,
        bytes: 500,
        retransmissions: 0,
        copy: false,
    }
}

/// The call.
pub fn call() -> CallRecord {
    let address = |last| Endpoint { address: SocketAddr::from(([192, 0, 2, last], 5060)) };
    let invite = Some(200);
    let (challenged, answered, below, bye) = (
        Transaction {
            status: Some(407),
            reason: Some("Proxy Authentication Required".into()),
            ..transaction(id(2), Method::Invite, 1, 0)
        },
        Transaction { end: Some(at(5000)), retransmissions: 1, ..transaction(id(3), Method::Invite, 2, 200) },
        Transaction {
            parent: id(3),
            source: 1,
            destination: 2,
            tap: Tap::Sender,
            hop: true,
            branch: "z9hG4bKproxy".into(),
            end: Some(at(4990)),
            ..transaction(id(4), Method::Invite, 2, 210)
        },
        Transaction {
            source: 1,
            destination: 0,
            tap: Tap::Sender,
            in_dialog: true,
            ..transaction(id(5), Method::Bye, 77, 65_000)
        },
    );
    let ringing = |span, winner| Ringing {
        span,
        parent: id(3),
        early_media: winner,
        start: at(400),
        end: Some(at(5000)),
        winner,
    };
    let transaction = |number| Owner::Transaction(number);
    let mut invited = message(200, Method::Invite, None, (0, 1), transaction(1));
    (invited.sdp, invited.retransmissions) = (true, 1);
    CallRecord {
        slot: Slot(1),
        call_id: "a84b4c76e66710@pc33.atlanta.com".into(),
        trace_id: TRACE,
        span: CALL,
        until: at(65_100),
        user_agent: Some("Yealink SIP-T46S".into()),
        server: Some(("biloxi.example".into(), None)),
        destination: 1,
        outcome: "answered",
        status: invite,
        end: Some("bye"),
        disconnected_by: Some(Side::Callee),
        hangup_cause: Some(16),
        setup: Some(Duration::from_millis(400)),
        ring: Some(Duration::from_millis(4600)),
        duration: Some(Duration::from_secs(60)),
        messages: 9,
        retransmissions: 1,
        endpoints: vec![address(1), address(2), address(3)],
        transactions: vec![challenged, answered, below, bye],
        ringing: vec![ringing(id(6), true), ringing(id(7), false)],
        sessions: vec![Session {
            span: id(8),
            parent: CALL,
            previous: None,
            segment: 1,
            dialog_id: [0xd1; 16],
            start: at(5000),
            end: Some(at(65_000)),
            ended: Some("bye"),
            disconnected_by: Some(Side::Callee),
        }],
        ladder: vec![
            message(0, Method::Invite, None, (0, 1), transaction(0)),
            message(100, Method::Invite, Some(407), (1, 0), transaction(0)),
            invited,
            message(210, Method::Invite, None, (1, 2), transaction(2)),
            message(4990, Method::Invite, Some(200), (2, 1), transaction(2)),
            message(5000, Method::Invite, Some(200), (1, 0), transaction(1)),
            message(5010, Method::Ack, None, (0, 1), Owner::Session(0)),
            message(65_000, Method::Bye, None, (1, 0), transaction(3)),
            message(65_100, Method::Bye, Some(200), (0, 1), transaction(3)),
        ],
        ..CallRecord::begun(Subject::Call, START)
    }
}

/// A REGISTER that failed.
pub fn request() -> CallRecord {
    let register = Transaction {
        parent: CALL,
        status: Some(503),
        reason: Some("Service Unavailable".into()),
        hops: 2,
        ..transaction(CALL, Method::Register, 4, 0)
    };
    CallRecord {
        subject: Subject::Request,
        until: at(100),
        outcome: "final",
        status: Some(503),
        end: None,
        disconnected_by: None,
        hangup_cause: None,
        setup: None,
        ring: None,
        duration: None,
        retransmissions: 0,
        transactions: vec![register],
        ringing: Vec::new(),
        sessions: Vec::new(),
        ladder: vec![
            message(0, Method::Register, None, (0, 1), Owner::Transaction(0)),
            message(100, Method::Register, Some(503), (1, 0), Owner::Transaction(0)),
        ],
        ..call()
    }
}

/// What was heard of the call: 500 of 520 packets of the caller, two intervals of it poor, and one way.
pub fn heard() -> CallMedia {
    let arrival = |number: u16| Arrival {
        at: at(6000).as_nanos() + u64::from(number) * 20_000_000,
        sequence: number,
        timestamp: u32::from(number) * 160,
        payload_type: 0,
        codec: Codec::Pcmu,
        clock: 8000,
    };
    let stream = |ssrc: u32, side: Side| {
        let mut stats = Stream::begin(&arrival(0), &arrival(1), 60_000_000).expect("in sequence");
        (2..520).filter(|number| number % 26 != 5).for_each(|number| _ = stats.take(&arrival(number), 60_000_000));
        StreamRecord {
            ssrc,
            side,
            source: "192.0.2.10:40000".parse().expect("an address"),
            destination: "192.0.2.20:40000".parse().expect("an address"),
            codec: Codec::Pcmu,
            first: at(6000),
            last: at(16_400),
            summary: stats.summary(),
            ptime: Duration::from_millis(20),
            rating: Rating { r_lq: 80.0, mos_lq: 4.0, r_cq: 78.0, mos_cq: 3.9 },
            worst: Some(3.25),
        }
    };
    let interval = |millis: u64, mos_cq: f32| IntervalRecord {
        ssrc: 1,
        side: Side::Caller,
        at: at(millis),
        expected: 500,
        lost: 20,
        discarded: 0,
        jitter_ms: 0.0,
        mos_lq: 4.0,
        mos_cq,
    };
    CallMedia {
        streams: vec![stream(1, Side::Caller), stream(2, Side::Callee)],
        intervals: vec![interval(16_000, 3.25), interval(26_000, 3.55), interval(36_000, 4.0), interval(46_000, 3.6)],
        round_trip: RoundTrip { total: Some(Duration::from_millis(130)), ..RoundTrip::default() },
        reports: vec![ReportRecord {
            kind: ReportKind::Session,
            at: at(70_000),
            local: reported(4.2),
            remote: reported(3.1),
        }],
        faults: vec![FaultRecord { fault: Fault::OneWay, toward: Toward::CallerOnly, at: at(10_000) }],
        ..CallMedia::default()
    }
}

/// What a telephone reports of what one party heard.
fn reported(mos: f32) -> Quality {
    Quality {
        loss: Some(5.0),
        discard: Some(2.5),
        round_trip_ms: Some(180.0),
        jitter_ms: Some(7.0),
        mos_lq: Some(mos),
        mos_cq: Some(mos - 0.1),
        ..Quality::default()
    }
}
