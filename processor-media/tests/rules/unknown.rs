//! Streams that no description announces (5.2).

use processor_media::Config;

use super::scene::{ALICE, BOB, Rtp, Scene, sdp};

fn wanted() -> Scene {
    Scene::with(Config { unknown_streams: true, ..Config::default() })
}

#[test]
fn a_stream_without_a_description_is_followed_both_ways_where_it_is_wanted() {
    let play = |mut scene: Scene| {
        scene.rtp(Rtp::new(1000, ALICE, BOB, 1, 500));
        scene.rtp(Rtp::new(1010, BOB, ALICE, 2, 490));
        scene.play(60_000)
    };
    let played = play(wanted());
    // Of the first four the last two count; of who answers those that come after them.
    assert_eq!(played.value("rtp_packets_total{direction=caller,codec=PCMU}"), 498.0);
    assert_eq!(played.value("rtp_packets_total{direction=callee,codec=PCMU}"), 490.0 - 3.0);
    assert_eq!(played.value("mos_cq{direction=caller,codec=PCMU}"), 1.0);
    assert_eq!((played.faults(), played.value("rtp_streams_active")), (Vec::<&str>::new(), 0.0));
    for table in ["media_calls", "media_sessions", "media_endpoints", "media_streams"] {
        assert_eq!(played.held(table), 0.0, "{table}");
    }
    assert!(played.ports.holds(&"192.0.2.1:5004".parse::<std::net::SocketAddr>().expect("one").into()));
    let played = play(Scene::default());
    assert_eq!(played.value("rtp_packets_total{direction=caller,codec=PCMU}"), 0.0);
    assert!(!played.ports.holds(&"192.0.2.1:5004".parse::<std::net::SocketAddr>().expect("one").into()));
}

#[test]
fn what_is_no_voice_between_usual_ports_is_not_followed() {
    let mut scene = wanted();
    for (at, from, to, payload_type, packets) in [
        // Odd, and below 1024.
        (0, "192.0.2.1:5005", "192.0.2.2:5004", 0, (0, 100)),
        (10, "192.0.2.1:5006", "192.0.2.2:1022", 0, (0, 100)),
        // H.261, and comfort noise.
        (20, "192.0.2.3:5004", "192.0.2.4:5004", 31, (0, 100)),
        (30, "192.0.2.3:5006", "192.0.2.4:5006", 13, (0, 100)),
        // Three in sequence.
        (40, "192.0.2.5:5004", "192.0.2.6:5004", 0, (0, 3)),
    ] {
        scene.rtp(Rtp { payload_type, packets, ..Rtp::new(at, from, to, 9, 0) });
    }
    // Every other one is missing.
    let rtp = Rtp::new(50, "192.0.2.7:5004", "192.0.2.8:5004", 9, 0);
    (0..100).for_each(|number| scene.packet(rtp, 2 * number, 40 * u64::from(number)));
    let played = scene.play(1000);
    assert_eq!(played.held("media_streams"), 0.0);
    assert!(played.metrics.keys().all(|name| !name.starts_with("rtp_packets")), "{:?}", played.metrics);
}

#[test]
fn a_payload_type_without_a_meaning_has_the_clock_that_time_stamps_show() {
    let mut scene = wanted();
    // The scene's time stamps go on by 160 each 20 ms: 8 kHz. At a pace of 20 ms for three numbers they show 24 kHz.
    scene.rtp(Rtp { payload_type: 111, packets: (0, 500), ..Rtp::new(0, ALICE, BOB, 1, 0) });
    let odd = Rtp { payload_type: 111, ..Rtp::new(0, "192.0.2.9:5004", "192.0.2.8:5004", 2, 0) };
    (0..500).for_each(|number| scene.packet(odd, number, 20 * u64::from(number) / 3));
    let played = scene.play(1000);
    assert!(played.value("rtp_packets_total{direction=caller,codec=other}") > 480.0, "{:?}", played.metrics);
    assert_eq!(played.held("media_streams"), 1.0);
    assert_eq!(played.value("rtp_discarded_total{direction=caller,codec=other}"), 0.0);
}

#[test]
fn a_call_that_is_described_later_has_its_streams() {
    let mut scene = wanted();
    scene.rtp(Rtp::new(0, ALICE, BOB, 1, 500));
    scene.call("c", 990, 11_500, &sdp(ALICE, ""), &sdp(BOB, ""));
    scene.rtp(Rtp::new(2010, BOB, ALICE, 2, 400));
    let played = scene.play(10_000);
    let [record] = &played.records[..] else { panic!("one call") };
    let media = record.media.as_deref().expect("media");
    let received: Vec<u32> = media.streams.iter().map(|stream| stream.summary.received).collect();
    assert_eq!((received.len(), played.faults()), (2, Vec::new()), "{received:?}");
    assert!(received.iter().all(|received| *received >= 390), "{received:?}");
    assert_eq!(played.held("media_streams"), 0.0);
}

#[test]
fn those_without_a_call_leave_room_for_those_with_one() {
    let config = Config { unknown_streams: true, max_endpoints: 64, ..Config::default() };
    let mut scene = Scene::with(config);
    for number in 0..40_u32 {
        let from = format!("203.0.113.{}:{}", number + 1, 10_000 + 2 * number);
        scene.rtp(Rtp::new(0, &from, "203.0.113.200:9000", number, 20));
    }
    scene.call("c", 500, 9500, &sdp(ALICE, ""), &sdp(BOB, ""));
    scene.rtp(Rtp::new(1600, ALICE, BOB, 1, 300));
    let played = scene.play(0);
    assert!(played.value("media_evicted_total{table=endpoints}") > 0.0);
    assert_eq!(played.records.len(), 1);
    assert!(played.value("rtp_packets_total{direction=caller,codec=PCMU}") > 300.0);
    let media = played.records[0].media.as_deref().expect("media");
    assert_eq!(media.streams[0].summary.received, 300);
}
