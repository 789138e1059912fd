//! Hostile bytes and random orders: bounds hold, sums fit, and how frames are cut into batches changes nothing.

use std::net::SocketAddr;

use pipeline::{FrameBatch, SipFrame};
use proptest::prelude::*;
use wire::Timestamp;

use crate::scene::{LISTED, Scene};

const SMALL: &str = "max_services = 2\nmax_backends = 4\nmax_dialogs = 5\nmax_flows = 4\nwindow = '10s'\n";

fn address() -> impl Strategy<Value = SocketAddr> {
    let known = [
        "10.96.0.60:5060",
        "10.244.1.11:5060",
        "10.244.1.12:5060",
        "192.0.2.10:5060",
        "192.0.2.10:40000",
        "[2001:db8:96::60]:5060",
    ];
    prop::sample::select(known.to_vec()).prop_map(|text| text.parse().expect("an address"))
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let start = prop::sample::select(vec![
        "INVITE sip:b@c SIP/2.0",
        "BYE sip:b@c SIP/2.0",
        "ACK sip:b@c SIP/2.0",
        "SUBSCRIBE sip:b SIP/2.0",
        "SIP/2.0 200 OK",
        "SIP/2.0 481 x",
        "SIP/2.0 407 x",
        "SIP/2.0 180 x",
        "SIP/2.0 503 x",
        "\0\u{1}",
    ]);
    let lines = prop::collection::vec(
        prop::sample::select(vec![
            "Via: SIP/2.0/UDP a;branch=1;rport",
            "Via: SIP/2.0/UDP a;branch=2",
            "To: <sip:b>",
            "To: <sip:b>;tag=1",
            "Call-ID: a",
            "Call-ID: b",
            "i: c",
            "Call-ID:\r\n d",
            "CSeq: 1 INVITE",
            "CSeq: 2 BYE",
            "CSeq: 1 ACK",
            "CSeq: 99999999999 x",
        ]),
        0..8,
    );
    let whole =
        (start, lines).prop_map(|(start, lines)| format!("{start}\r\n{}\r\n\r\n", lines.join("\r\n")).into_bytes());
    prop_oneof![9 => whole, 1 => prop::collection::vec(any::<u8>(), 0..64)]
}

fn frames() -> impl Strategy<Value = Vec<(u64, SocketAddr, SocketAddr, Vec<u8>)>> {
    let frame = (prop_oneof![Just(0), 0..2_000_000u64, 0..40_000_000_000u64], address(), address(), message());
    let frames = prop::collection::vec(frame, 1..80);
    frames.prop_map(|mut frames| {
        // Every second one repeats the one before to another address, as behind a translation.
        for index in (1..frames.len()).step_by(2) {
            frames[index].3 = frames[index - 1].3.clone();
            frames[index].1 = frames[index - 1].1;
            frames[index].0 %= 1_000_000;
        }
        frames
    })
}

fn play(config: &str, frames: &[(u64, SocketAddr, SocketAddr, Vec<u8>)], cut: usize) -> Scene {
    let mut scene = Scene::new(config);
    let mut at = 1_767_225_600_000_000_000;
    let mut batch = FrameBatch::default();
    for (index, (after, source, destination, bytes)) in frames.iter().enumerate() {
        at += after;
        let now = Timestamp::from_nanos(at);
        batch.now = now;
        batch.push(bytes, SipFrame::datagram(*source, *destination, now));
        if index % cut == cut - 1 {
            scene.batch(&batch);
            batch.clear();
        }
    }
    scene.batch(&batch);
    scene.settle();
    scene
}

proptest! {
    #[test]
    fn batches_change_nothing_and_bounds_hold(frames in frames(), cut in 1usize..9) {
        for config in [SMALL, LISTED] {
            let mut one = play(config, &frames, 1);
            let mut other = play(config, &frames, cut);
            prop_assert_eq!(&one.stated, &other.stated);
            prop_assert_eq!(one.report(), other.report());
            for service in one.report().services {
                let moved = service.moved;
                prop_assert_eq!(
                    moved.dialogs,
                    moved.auth_retry + moved.backend_gone + moved.source_port + moved.idle + moved.other
                );
                prop_assert!(moved.failed <= moved.dialogs && moved.dialogs <= service.dialogs);
                prop_assert_eq!(service.by_call_id.moved, 0);
                prop_assert_eq!(service.by_call_id.spread.iter().sum::<u64>(), if service.backends.is_empty() { 0 } else { service.dialogs });
                prop_assert!(service.backends.iter().map(|backend| backend.dialogs).sum::<u64>() <= service.dialogs);
            }
            let held = |table: &str| one.number("otelcol_processor_table_entries", &format!("affinity_{table}"));
            if config == SMALL {
                prop_assert!(held("dialogs") <= 5 && held("flows") <= 4 && held("transactions") <= 4 && held("backends") <= 4);
                prop_assert!(held("learned_services") <= 2 && held("sightings") <= 4);
            }
        }
    }
}
