//! Bounds, bad input and what is never kept (5.2, 1.8).

use processor_media::Config;

use super::scene::{ALICE, BOB, Rtp, Scene, leg, reply, sdp};

#[test]
fn sources_that_are_sprayed_take_no_room_and_the_call_is_heard_all_the_same() {
    let mut scene = Scene::default();
    scene.call("c", 0, 9500, &sdp(ALICE, ""), &sdp(BOB, ""));
    for number in 0..2000_u32 {
        let source = format!("203.0.113.{}:{}", number % 250 + 1, 10_000 + number);
        let rtp =
            Rtp { from: &source, packets: (number as u16, number as u16 + 1), ..Rtp::new(3000, ALICE, BOB, number, 0) };
        scene.rtp(rtp);
    }
    scene.rtp(Rtp::new(1100, ALICE, BOB, 77_777, 300));
    let played = scene.play(1000);
    assert_eq!(played.value("rtp_packets_total{direction=caller,codec=PCMU}"), 300.0);
    assert_eq!((played.held("media_streams"), played.held("media_endpoints")), (1.0, 2.0));
}

#[test]
fn streams_that_begin_at_once_are_all_heard() {
    const CALLS: u16 = 40;
    let mut scene = Scene::default();
    let ends: Vec<[String; 2]> = (0..CALLS)
        .map(|n| [format!("192.0.2.10:{}", 20_000 + 2 * n), format!("198.51.100.20:{}", 20_000 + 2 * n)])
        .collect();
    for (n, [caller, callee]) in ends.iter().enumerate() {
        scene.answered(&format!("c{n}"), n as u64, &sdp(caller, ""), &sdp(callee, ""));
        // Packet by packet they alternate.
        scene.rtp(Rtp::new(2000, caller, callee, n as u32, 50));
        scene.rtp(Rtp::new(2000, callee, caller, 1000 + n as u32, 50));
    }
    let played = scene.play(1000);
    assert_eq!(played.held("media_streams"), f64::from(2 * CALLS));
    for side in ["caller", "callee"] {
        let packets = played.value(&format!("rtp_packets_total{{direction={side},codec=PCMU}}"));
        assert_eq!(packets, f64::from(50 * CALLS), "{side}");
    }
}

#[test]
fn beyond_a_bound_the_newest_is_refused_and_counted() {
    let config = Config { max_streams_per_dialog: 3, max_streams: 5, max_endpoints: 6, ..Config::default() };
    let mut scene = Scene::with(config);
    scene.answered("one", 0, &sdp(ALICE, ""), &sdp(BOB, ""));
    scene.answered("two", 10, &sdp("192.0.2.10:41000", ""), &sdp("198.51.100.20:51000", ""));
    scene.answered("three", 20, &sdp("192.0.2.10:42000", ""), &sdp("198.51.100.20:52000", ""));
    scene.answered("four", 30, &sdp("192.0.2.10:43000", ""), &sdp("198.51.100.20:53000", ""));
    for ssrc in 1..=5 {
        scene.rtp(Rtp::new(1500, ALICE, BOB, ssrc, 10));
        scene.rtp(Rtp::new(1500, "192.0.2.10:41000", "198.51.100.20:51000", 10 + ssrc, 10));
    }
    let played = scene.play(1000);
    assert_eq!(played.held("media_streams"), 5.0);
    assert_eq!(played.held("media_endpoints"), 6.0);
    assert_eq!(played.value("rtp_packets_total{direction=caller,codec=PCMU}"), 50.0);
    assert!(played.value("media_evicted_total{table=dialog_streams}") > 0.0);
    assert!(played.value("media_evicted_total{table=streams}") > 0.0);
    assert_eq!(played.value("media_evicted_total{table=endpoints}"), 2.0);
}

#[test]
fn a_description_beyond_its_bounds_is_read_as_far_as_it_may_be() {
    let lines = "m=audio 40100 RTP/AVP 0\r\n".repeat(100);
    let candidates: String =
        (0..100).map(|n| format!("a=candidate:1 1 udp 1 203.0.113.{n} 9000 typ host\r\n")).collect();
    let mut scene = Scene::default();
    scene.call("c", 0, 5000, &(sdp(ALICE, &candidates) + &lines), &sdp(BOB, ""));
    scene.rtp(Rtp::new(1100, BOB, ALICE, 1, 100));
    let played = scene.play(1000);
    assert_eq!(played.value("rtp_packets_total{direction=callee,codec=PCMU}"), 100.0);
    assert_eq!(played.value("media_evicted_total{table=media_lines}"), 1.0);
    assert_eq!(played.value("media_evicted_total{table=endpoints}"), 1.0);
}

#[test]
fn descriptions_cut_anywhere_give_counters_and_no_false_opinion() {
    let whole = sdp(ALICE, "");
    let mut scene = Scene::default();
    for end in 1..whole.len() {
        scene.call(&format!("c{end}"), 10 * end as u64, 60_000 + 10 * end as u64, &whole[..end], &sdp(BOB, ""));
    }
    let played = scene.play(1000);
    let errors = played.value("media_errors_total{reason=sdp}");
    assert!(errors > 10.0 && errors < whole.len() as f64, "{errors}");
    assert!(played.metrics.keys().all(|name| !name.starts_with("mos_") && !name.starts_with("media_faults")));
}

#[test]
fn numbers_and_time_stamps_at_random_give_no_wild_jitter() {
    let mut scene = Scene::default();
    scene.call("c", 0, 30_000, &sdp(ALICE, ""), &sdp(BOB, ""));
    let mut state = 1_u32;
    for nth in 0..3000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let number = if nth % 3 == 0 { nth as u16 } else { (state >> 16) as u16 };
        scene.packet(Rtp::new(1100, ALICE, BOB, 1, 0), number, nth * 7);
    }
    let played = scene.play(10_000);
    let records = played.records.iter().filter_map(|record| record.media.as_deref());
    for stream in records.flat_map(|media| &media.streams) {
        assert!(stream.summary.jitter_max < 1e9 && stream.summary.received <= stream.summary.expected, "{stream:?}");
        assert!((1.0..=4.5).contains(&stream.rating.mos_cq), "{stream:?}");
    }
}

#[test]
fn an_interval_in_which_records_were_dropped_gives_no_sample() {
    let mut scene = Scene::default();
    scene.call("c", 0, 30_000, &sdp(ALICE, ""), &sdp(BOB, ""));
    scene.rtp(Rtp::new(1100, ALICE, BOB, 1, 1200));
    scene.drop_at(15_000);
    let played = scene.play(10_000);
    assert_eq!(played.value("media_intervals_incomplete_total"), 1.0);
    assert_eq!(played.value("mos_cq{direction=caller,codec=PCMU}"), 2.0);
}

/// Everything that leaves, as text.
fn all_of(played: &super::scene::Played) -> String {
    format!("{:?} {:?}", played.metrics, played.records.iter().map(|record| &record.media).collect::<Vec<_>>())
}

#[test]
fn names_ids_and_keys_are_never_kept() {
    const SECRETS: [&str; 8] =
        ["cryptokey", "icepwd", "SHA-SECRET", "cname", "originname", "sessionname", "localid", "remoteid"];
    let keys =
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:cryptokey\r\na=ice-pwd:icepwd\r\na=fingerprint:SHA-SECRET\r\n";
    let names = |text: String| text.replace("o=-", "o=originname").replace("s=-", "s=sessionname");
    let report = "VQSessionReport: CallTerm\r\nCallID: c\r\nLocalID: <sip:localid@x>\r\nRemoteID: <sip:remoteid@x>\r\n\
        OrigID: <sip:localid@x>\r\nLocalMetrics:\r\nQualityEst: MOSLQ=4.0\r\n";
    let mut scene = Scene::default();
    scene.call("c", 0, 5000, &names(sdp(ALICE, keys)), &names(sdp(BOB, keys)));
    scene.rtp(Rtp::new(1100, ALICE, BOB, 1, 150));
    let names_of_sources =
        [&[0x80, 201, 0, 1, 0, 0, 0, 2][..], &[0x81, 202, 0, 3, 0, 0, 0, 2, 1, 5], b"cname\0"].concat();
    scene.rtcp(2000, "198.51.100.20:50011", "192.0.2.10:40011", &names_of_sources);
    let publish =
        super::scene::Sip { what: "PUBLISH", cseq: (1, "PUBLISH"), call: "r", branch: "r", body: report, ..leg() };
    scene.sip(5100, publish);
    scene.sip(5150, super::scene::Sip { what: "200", tags: ("a", "z"), body: "", ..reply(publish) });
    let played = scene.play(10_000);
    assert_eq!(played.value("rtcp_packets_total"), 1.0);
    assert_eq!(played.value("vq_reports_total{kind=session}"), 1.0);
    let all = all_of(&played);
    assert!(all.contains("4.0") && SECRETS.iter().all(|secret| !all.contains(secret)), "{all}");
}
