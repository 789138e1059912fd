use std::net::SocketAddr;
use std::time::Duration;

use pipeline::call::ladder::{Endpoint, SpanId, Transaction};
use pipeline::call::{IN_PROGRESS, Offered};
use pipeline::{Call, LabelSet, Slot, Transport};
use sip::Method;
use wire::Tap;

use super::*;
use crate::Preset;

const START: Timestamp = Timestamp::from_nanos(1_767_225_600_000_000_000);

/// A call of a minute that was answered after a second, and in which nothing is odd.
fn plain(trace: u8) -> CallRecord {
    CallRecord {
        slot: Slot(1),
        call_id: "call".into(),
        trace_id: [trace; 16],
        span: SpanId([1; 8]),
        until: START + Duration::from_secs(61),
        outcome: "answered",
        status: Some(200),
        end: Some("bye"),
        setup: Some(Duration::from_secs(1)),
        duration: Some(Duration::from_secs(60)),
        messages: 7,
        endpoints: vec![Endpoint { address: SocketAddr::from(([192, 0, 2, 1], 5060)) }],
        ..CallRecord::begun(Subject::Call, START)
    }
}

fn failed(trace: u8) -> CallRecord {
    CallRecord { outcome: "ineffective", status: Some(503), end: None, duration: None, ..plain(trace) }
}

/// One REGISTER with its final status.
fn request(trace: u8, status: u16) -> CallRecord {
    let transaction = Transaction {
        span: SpanId([1; 8]),
        parent: SpanId([1; 8]),
        method: Method::Register,
        cseq: 1,
        branch: "z9hG4bK1".into(),
        source: 0,
        destination: 0,
        transport: Transport::Udp,
        tap: Tap::Recipient,
        hop: false,
        in_dialog: false,
        start: START,
        end: Some(START),
        status: Some(status),
        reason: None,
        cancelled: false,
        timed_out: false,
        retransmissions: 0,
        hops: 0,
        below_remote: false,
        rare: None,
    };
    CallRecord {
        subject: Subject::Request,
        setup: None,
        duration: None,
        end: None,
        status: Some(status),
        transactions: vec![transaction],
        ..plain(trace)
    }
}

/// A stage and what it works on.
struct Bench {
    sampling: Sampling,
    label_sets: Arc<LabelSets>,
    now: Timestamp,
}

impl Bench {
    fn new(config: Config) -> Self {
        let label_sets = Arc::new(LabelSets::new());
        Self { sampling: Sampling::new(config, Arc::clone(&label_sets)), label_sets, now: START }
    }

    /// One batch. Says which trace ids and thresholds come out.
    fn take(&mut self, records: impl IntoIterator<Item = CallRecord>) -> Vec<(u8, Option<u64>)> {
        self.take_of(LabelSet::OTHER, records)
    }

    fn take_of(&mut self, labels: LabelSet, records: impl IntoIterator<Item = CallRecord>) -> Vec<(u8, Option<u64>)> {
        let mut facts = Facts::default();
        facts.label(Slot(1), labels);
        facts.calls = records.into_iter().map(|record| Call { record: Arc::new(record), threshold: None }).collect();
        let batch = FrameBatch { now: self.now, ..FrameBatch::default() };
        self.sampling.process(&batch, &mut facts);
        facts.calls.iter().map(|call| (call.record.trace_id[0], call.threshold)).collect()
    }

    fn told(&self, name: &str, reason: &str) -> u64 {
        let mut out = Vec::new();
        self.sampling.telemetry(&mut out);
        let fits = |one: &&Telemetry| one.name == name && one.labels.iter().all(|(_, value)| value == reason);
        out.iter().find(fits).map(|one| one.value as u64).expect("it is told")
    }

    fn kept(&self, reason: &str) -> u64 {
        self.told("otelcol_processor_sampling_calls_kept", reason)
    }

    fn dropped(&self, reason: &str) -> u64 {
        self.told("otelcol_processor_sampling_calls_dropped", reason)
    }
}

/// Chance keeps nothing.
fn only_the_odd() -> Config {
    Config { ratio: 0.0, ..Config::default() }
}

const KEPT: fn(u8) -> Vec<(u8, Option<u64>)> = |trace| vec![(trace, None)];

#[test]
fn by_default_every_call_is_kept_by_chance() {
    let mut bench = Bench::new(Config::default());
    assert_eq!(bench.take([plain(1)]), [(1, Some(0))]);
    assert_eq!(bench.kept("probability"), 1);
}

#[test]
fn each_oddity_keeps_a_call_by_itself() {
    let cases = [
        ("debug", CallRecord { debug: true, ..plain(1) }),
        ("error", failed(1)),
        ("slow_setup", CallRecord { setup: Some(Duration::from_millis(6001)), ..plain(1) }),
        ("short_call", CallRecord { duration: Some(Duration::from_millis(5999)), ..plain(1) }),
        ("retransmissions", CallRecord { retransmissions: 3, ..plain(1) }),
    ];
    for (reason, record) in cases {
        let mut bench = Bench::new(only_the_odd());
        assert_eq!(bench.take([record]), KEPT(1), "{reason}");
        assert_eq!(bench.kept(reason), 1, "{reason}");
    }
}

#[test]
fn at_the_edge_of_what_is_odd_chance_decides() {
    let mut bench = Bench::new(only_the_odd());
    let records = [
        plain(1),
        CallRecord { setup: Some(Duration::from_secs(6)), ..plain(2) },
        CallRecord { duration: Some(Duration::from_secs(6)), ..plain(3) },
        CallRecord { retransmissions: 2, ..plain(4) },
        CallRecord { outcome: "busy", status: Some(486), end: None, duration: None, ..plain(5) },
        CallRecord { outcome: IN_PROGRESS, status: None, end: None, duration: None, ..plain(6) },
    ];
    assert_eq!(bench.take(records), []);
    assert_eq!(bench.dropped("probability"), 6);
}

#[test]
fn the_first_reason_that_holds_is_counted() {
    let everything = CallRecord {
        debug: true,
        setup: Some(Duration::from_secs(60)),
        duration: Some(Duration::ZERO),
        retransmissions: 9,
        ..failed(1)
    };
    let mut bench = Bench::new(Config::default());
    for reason in ["debug", "error", "slow_setup", "short_call", "retransmissions", "probability"] {
        let mut record = everything.clone();
        let order = ["debug", "error", "slow_setup", "short_call", "retransmissions"];
        for before in order.iter().take_while(|before| **before != reason) {
            match *before {
                "debug" => record.debug = false,
                "error" => (record.outcome, record.status) = ("answered", Some(200)),
                "slow_setup" => record.setup = None,
                "short_call" => record.duration = None,
                _ => record.retransmissions = 0,
            }
        }
        if reason == "probability" {
            record.retransmissions = 0;
        }
        bench.take([record]);
        assert_eq!(bench.kept(reason), 1, "{reason}");
    }
}

#[test]
fn chance_goes_by_the_trace_id_and_says_its_threshold() {
    let mut bench = Bench::new(Config { ratio: 0.5, ..Config::default() });
    assert_eq!(bench.take([plain(0x7f), plain(0x80)]), [(0x80, Some(0x80_0000_0000_0000))]);
    assert_eq!((bench.kept("probability"), bench.dropped("probability")), (1, 1));
}

#[test]
fn chance_goes_by_the_trace_a_trusted_carrier_offers() {
    let mut bench = Bench::new(Config { ratio: 0.5, ..Config::default() });
    let offered =
        Offered { trace_id: [0xff; 16], parent: SpanId([2; 8]), trusted: Arc::from(["alpha".into()].as_slice()) };
    let record = CallRecord { offered: Some(Box::new(offered)), ..plain(1) };
    assert_eq!(bench.take([record.clone()]), []);
    let alpha = bench.label_sets.intern("alpha", "other");
    assert_eq!(bench.take_of(alpha, [record]).len(), 1);
}

#[test]
fn of_single_requests_only_failures_are_kept() {
    let mut bench = Bench::new(Config::default());
    assert_eq!(bench.take([request(1, 200), request(2, 503), request(3, 401)]), KEPT(2));
    assert_eq!((bench.kept("error"), bench.dropped("request")), (1, 2));
}

#[test]
fn single_requests_may_all_be_kept_or_none() {
    let mut bench = Bench::new(Config { requests: Requests::All, ..Config::default() });
    assert_eq!(bench.take([request(1, 200), request(2, 503)]), [(1, Some(0)), (2, None)]);
    let mut bench = Bench::new(Config { requests: Requests::Off, ..Config::default() });
    assert_eq!(bench.take([request(1, 200), request(2, 503)]), []);
    assert_eq!(bench.take([CallRecord { debug: true, ..request(3, 200) }]), KEPT(3));
}

#[test]
fn the_rate_holds_for_every_call_but_a_marked_one() {
    let mut bench = Bench::new(Config { max_traces_per_second: 4, ..Config::default() });
    assert_eq!(bench.take((0..10).map(plain)).len(), 2);
    assert_eq!(bench.take((0..10).map(failed)).len(), 2);
    assert_eq!(bench.take((0..10).map(|trace| CallRecord { debug: true, ..failed(trace) })).len(), 10);
    assert_eq!((bench.dropped("rate"), bench.kept("error"), bench.kept("debug")), (16, 2, 10));
    bench.now = bench.now + Duration::from_secs(1);
    assert_eq!(bench.take((0..10).map(failed)).len(), 4);
}

/// A piece of a call, the last one or not.
fn piece(piece: u32, last: bool, record: CallRecord) -> CallRecord {
    CallRecord { piece, last, ..record }
}

#[test]
fn a_call_in_pieces_keeps_the_decision_of_its_first() {
    let mut bench = Bench::new(Config { ratio: 0.5, ..Config::default() });
    // What fails later does not bring back what was not sent.
    assert_eq!(bench.take([piece(1, false, plain(1)), piece(2, false, plain(1)), piece(3, true, failed(1))]), []);
    assert_eq!(bench.dropped("probability"), 1);
    let half = Some(0x80_0000_0000_0000);
    let chosen = [piece(1, false, plain(0xff)), piece(2, true, failed(0xff))];
    assert_eq!(bench.take(chosen), [(0xff, half), (0xff, half)]);
    assert_eq!(bench.told("otelcol_processor_sampling_decisions_held", ""), 0);
}

#[test]
fn pieces_after_the_first_take_nothing_from_the_rate() {
    let mut bench = Bench::new(Config { max_traces_per_second: 2, ..Config::default() });
    assert_eq!(bench.take([piece(1, false, failed(1))]).len(), 1);
    assert_eq!(bench.take((2..100).map(|number| piece(number, false, failed(1)))).len(), 98);
    assert_eq!(bench.take([failed(2), failed(3)]).len(), 1);
}

#[test]
fn two_calls_of_one_trace_are_decided_apart() {
    let mut bench = Bench::new(Config { ratio: 0.0, ..Config::default() });
    let other = CallRecord { span: SpanId([9; 8]), ..plain(1) };
    let records = [piece(1, false, failed(1)), piece(1, false, other.clone()), piece(2, true, other)];
    assert_eq!(bench.take(records).len(), 1);
    assert_eq!(bench.take([piece(2, true, plain(1))]).len(), 1);
}

#[test]
fn a_reload_applies_every_key_and_loses_no_decision() {
    let mut bench = Bench::new(Config::default());
    assert_eq!(bench.take([piece(1, false, plain(1))]).len(), 1);
    let new = Config {
        preset: Preset::Single,
        slow_setup: Duration::from_secs(30),
        short_call: Duration::from_secs(1),
        retransmissions: 10,
        ratio: 0.0,
        max_traces_per_second: 2,
        requests: Requests::Off,
    };
    assert!(bench.sampling.reconfigure(Box::new(new)).is_empty());
    assert_eq!(bench.take([piece(2, true, plain(1))]).len(), 1, "it was decided before");
    let ordinary = [
        CallRecord { setup: Some(Duration::from_secs(7)), ..plain(2) },
        CallRecord { duration: Some(Duration::from_secs(2)), ..plain(3) },
        CallRecord { retransmissions: 9, ..plain(4) },
        request(5, 503),
    ];
    assert_eq!(bench.take(ordinary), []);
    assert_eq!(bench.take((0..5).map(failed)).len(), 2);
}

#[test]
fn what_comes_in_and_goes_out_is_counted() {
    let mut bench = Bench::new(only_the_odd());
    bench.take([plain(1), failed(2), piece(1, false, failed(3)), piece(2, true, failed(3))]);
    assert_eq!(bench.told("otelcol_processor_incoming_items", ""), 4);
    assert_eq!(bench.told("otelcol_processor_outgoing_items", ""), 3);
    assert_eq!((bench.kept("error"), bench.dropped("probability")), (2, 1));
}

/// Whoever scales up the calls that were kept counts the calls there were, though most were dropped for the rate.
#[test]
fn what_the_rate_drops_is_told_by_the_threshold() {
    let mut bench = Bench::new(Config { max_traces_per_second: 50, ..Config::default() });
    let (mut random, mut kept, mut stood_for) = (0x9E37_79B9_7F4A_7C15_u64, 0.0, 0.0);
    for call in 0..20_000_u64 {
        bench.now = START + Duration::from_millis(5 * call);
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let mut record = plain(1);
        record.trace_id[8..].copy_from_slice(&random.to_be_bytes());
        for (_, threshold) in bench.take([record]) {
            let share = 1.0 - threshold.expect("chance chose it") as f64 / (1_u64 << 56) as f64;
            kept += 1.0;
            stood_for += 1.0 / share;
        }
    }
    assert!((4_500.0..5_500.0).contains(&kept), "{kept}");
    assert!((19_000.0..21_000.0).contains(&stood_for), "{stood_for} for 20,000");
    assert_eq!(bench.kept("probability") + bench.dropped("rate"), 20_000);
}

/// A dialler's calls are all short: `ratio` holds for them as for others.
#[test]
fn short_calls_do_not_undo_the_ratio() {
    let mut bench = Bench::new(Config { ratio: 0.0, max_traces_per_second: 10_000, ..Config::default() });
    let short = |_| CallRecord { duration: Some(Duration::from_secs(1)), ..plain(1) };
    let kept = bench.take((0..10_000).map(short)).len();
    assert!((105..=110).contains(&kept), "{kept}: one of a hundred, and ten at first");
    assert_eq!(bench.kept("short_call") + bench.dropped("probability"), 10_000);
}
