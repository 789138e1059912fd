//! The whole affinity processor, small bounds: any requests and responses of a few calls between a few addresses, on both sides of
//! a translation, straight to a backend, late, repeated and damaged.
//!
//! Four bytes make a frame: what it is, from whom to whom, when, and what is damaged in it.
#![no_main]

use std::net::SocketAddr;

use pipeline::settings::Problems;
use pipeline::{Common, ComponentId, Facts, FrameBatch, Processor, ProcessorContext, SipFrame};
use processor_affinity::{Affinity, Config};
use wire::Timestamp;

const ADDRESSES: [&str; 6] = [
    "10.96.0.60:5060",
    "10.244.1.11:5060",
    "10.244.1.12:5060",
    "192.0.2.10:5060",
    "192.0.2.10:40000",
    "[2001:db8:96::60]:5060",
];
const STARTS: [(&str, &str); 8] = [
    ("INVITE sip:b@c SIP/2.0", "1 INVITE"),
    ("ACK sip:b@c SIP/2.0", "1 ACK"),
    ("BYE sip:b@c SIP/2.0", "2 BYE"),
    ("SUBSCRIBE sip:b@c SIP/2.0", "1 SUBSCRIBE"),
    ("SIP/2.0 200 OK", "1 INVITE"),
    ("SIP/2.0 407 Who", "1 INVITE"),
    ("SIP/2.0 481 Gone", "2 BYE"),
    ("SIP/2.0 180 Ringing", "1 INVITE"),
];
const HELD: [(&str, f64); 6] = [
    ("affinity_learned_services", 2.0),
    ("affinity_backends", 3.0),
    ("affinity_dialogs", 4.0),
    ("affinity_flows", 4.0),
    ("affinity_transactions", 4.0),
    ("affinity_sightings", 4.0),
];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let config = Config { max_services: 2, max_backends: 3, max_dialogs: 4, max_flows: 4, ..Config::default() };
    let settings = config.check(&mut Problems::default()).expect("sound settings");
    let context = ProcessorContext {
        label_sets: Default::default(),
        calls: None,
        shards: 1,
        media: None,
        id: ComponentId::parse("affinity").expect("an id"),
        common: Common::default(),
    };
    let mut affinity = Affinity::new(settings, &context);
    let (mut facts, mut batch, mut now) = (Facts::default(), FrameBatch::default(), 1_767_225_600_000_000_000_u64);
    let address = |number: u8| ADDRESSES[usize::from(number) % ADDRESSES.len()].parse::<SocketAddr>().expect("one");
    for step in bytes.chunks_exact(4) {
        let [what, whom, after, damage] = *step else { continue };
        // From a microsecond to two minutes.
        now += 1000 << (after % 28);
        let (start, cseq) = STARTS[usize::from(what % 8)];
        let tag = if what & 8 == 0 { "" } else { ";tag=b" };
        let mut message = format!(
            "{start}\r\nVia: SIP/2.0/UDP a;branch={};rport\r\nTo: <sip:b@c>{tag}\r\nCall-ID: c{}\r\nCSeq: {cseq}\r\n\r\n",
            what >> 6,
            what >> 4 & 3
        )
        .into_bytes();
        if damage > 127 {
            let at = usize::from(damage) % message.len();
            message[at] = damage;
        }
        let at = Timestamp::from_nanos(now);
        batch.now = at;
        batch.push(&message, SipFrame::datagram(address(whom & 15), address(whom >> 4), at));
        if damage & 1 == 0 {
            facts.clear();
            affinity.process(&batch, &mut facts);
            batch.clear();
        }
    }
    facts.clear();
    affinity.process(&batch, &mut facts);
    affinity.settle(batch.now, &mut facts);
    let mut numbers = Vec::new();
    affinity.telemetry(&mut numbers);
    for (table, most) in HELD {
        let held = numbers.iter().find(|number| {
            number.name == "otelcol_processor_table_entries" && number.labels == [("table", table.to_owned())]
        });
        assert!(held.expect("it tells that").value <= most, "{table}");
    }
    for service in affinity.affinity().expect("it looks").services {
        let moved = service.moved;
        assert!(moved.failed <= moved.dialogs && moved.dialogs <= service.dialogs);
        assert_eq!(service.by_call_id.moved, 0);
    }
});
