//! Whose a packet is (5.1, 5.2).

use super::scene::{ALICE, BOB, Rtp, Scene, Sip, leg, reply, sdp};

/// A relay, as each of its sides knows it.
const RELAY_A: &str = "203.0.113.5:30000";
const RELAY_B: &str = "203.0.113.5:30002";

/// The same stream again at another endpoint, as a relay sends it on.
fn relayed(scene: &mut Scene, at: u64, ways: [(&str, &str); 2], ssrc: u32, count: u16) {
    for (delay, (from, to)) in (0..).zip(ways) {
        scene.rtp(Rtp::new(at + delay, from, to, ssrc, count));
    }
}

#[test]
fn a_call_through_a_relay_is_one_call_with_four_streams_and_no_fault() {
    let mut scene = Scene::default();
    let via = "Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKa\r\n";
    let (outer, inner) = (
        Sip { to: "203.0.113.5:5060", branch: "a", ..leg() },
        Sip { from: "203.0.113.5:5060", branch: "p", vias: via, ..leg() },
    );
    let (offer, relayed_offer) = (sdp(ALICE, ""), sdp(RELAY_B, ""));
    let (answer, relayed_answer) = (sdp(BOB, ""), sdp(RELAY_A, ""));
    scene.sip(0, Sip { body: &offer, ..outer });
    scene.sip(2, Sip { body: &relayed_offer, ..inner });
    scene.sip(900, Sip { what: "200", tags: ("a", "b"), body: &answer, ..reply(inner) });
    scene.sip(902, Sip { what: "200", tags: ("a", "b"), body: &relayed_answer, ..reply(outer) });
    relayed(&mut scene, 1000, [(ALICE, RELAY_A), (RELAY_B, BOB)], 1, 400);
    relayed(&mut scene, 1005, [(BOB, RELAY_B), (RELAY_A, ALICE)], 2, 400);
    scene.hang_up("c", 9500);
    let played = scene.play(10_000);
    assert_eq!(played.value("rtp_packets_total{direction=caller,codec=PCMU}"), 800.0);
    assert_eq!(played.value("rtp_packets_total{direction=callee,codec=PCMU}"), 800.0);
    assert_eq!(played.faults(), Vec::<&str>::new());
    let [record] = &played.records[..] else { panic!("one call") };
    let media = record.media.as_deref().expect("media");
    assert_eq!((media.streams.len(), media.intervals.len()), (4, 4));
}

#[test]
fn parties_with_the_same_tag_have_media_each_its_own() {
    let mut scene = Scene::default();
    let (same, hold) = (("a", "a"), "a=sendonly\r\n");
    let invite = Sip { branch: "i", body: &sdp(ALICE, ""), ..leg() };
    scene.sip(0, invite);
    scene.sip(900, Sip { what: "200", tags: same, body: &sdp(BOB, ""), ..reply(invite) });
    scene.sip(920, Sip { what: "ACK", cseq: (1, "ACK"), tags: same, branch: "k", ..leg() });
    scene.rtp(Rtp::new(1100, ALICE, BOB, 1, 400));
    scene.rtp(Rtp::new(1100, BOB, ALICE, 2, 395));
    // The callee puts the caller on hold, moving elsewhere: its own port, not the caller's, is a new one.
    const MOVED: &str = "198.51.100.20:50030";
    let again = Sip { cseq: (7, "INVITE"), tags: same, branch: "h", body: &sdp(MOVED, hold), ..reply(leg()) };
    scene.sip(9200, again);
    let answer = sdp(ALICE, "a=recvonly\r\n");
    scene.sip(9250, Sip { what: "200", body: &answer, ..reply(again) });
    scene.sip(9260, Sip { what: "ACK", cseq: (7, "ACK"), branch: "l", body: "", ..again });
    scene.rtp(Rtp::new(9300, MOVED, ALICE, 3, 30));
    scene.rtp(Rtp::new(9300, ALICE, MOVED, 1, 20));
    let bye = Sip { what: "BYE", cseq: (2, "BYE"), tags: same, branch: "b", ..leg() };
    scene.sip(12_000, bye);
    scene.sip(12_030, Sip { what: "200", ..reply(bye) });
    let played = scene.play(10_000);
    assert_eq!(played.value("rtp_packets_total{direction=caller,codec=PCMU}"), 420.0);
    assert_eq!(played.value("rtp_packets_total{direction=callee,codec=PCMU}"), 425.0);
    assert_eq!(played.faults(), Vec::<&str>::new());
}

#[test]
fn a_caller_behind_nat_is_reached_where_it_sends_from() {
    const PUBLIC: &str = "192.0.2.77:51234";
    let mut scene = Scene::default();
    scene.call("c", 0, 9500, &sdp("10.0.0.5:40010", ""), &sdp(BOB, ""));
    scene.rtp(Rtp::new(1100, PUBLIC, BOB, 1, 400));
    scene.rtp(Rtp::new(1200, BOB, PUBLIC, 2, 390));
    let played = scene.play(10_000);
    assert_eq!(played.value("rtp_packets_total{direction=caller,codec=PCMU}"), 400.0);
    assert_eq!(played.value("rtp_packets_total{direction=callee,codec=PCMU}"), 390.0);
    assert_eq!(played.faults(), Vec::<&str>::new());
}

#[test]
fn media_that_pass_directly_between_the_legs_of_two_calls_count_once_and_serve_both() {
    let mut scene = Scene::default();
    let (offer, answer) = (sdp(ALICE, ""), sdp(BOB, ""));
    scene.call("one", 0, 9500, &offer, &answer);
    scene.call("two", 20, 9480, &offer, &answer);
    scene.rtp(Rtp::new(1100, ALICE, BOB, 1, 400));
    scene.rtp(Rtp::new(1105, BOB, ALICE, 2, 400));
    let played = scene.play(10_000);
    assert_eq!(played.value("rtp_packets_total{direction=caller,codec=PCMU}"), 400.0);
    assert_eq!(played.faults(), Vec::<&str>::new());
    let with_media = played.records.iter().filter(|record| record.media.is_some()).map(|record| &*record.call_id);
    assert_eq!(with_media.collect::<Vec<_>>(), ["one"], "the oldest that knows both");
}

#[test]
fn the_answered_branch_of_a_fork_goes_on_and_the_others_end() {
    const CAROL: &str = "198.51.100.30:50030";
    let mut scene = Scene::default();
    let (offer, bob, carol) = (sdp(ALICE, ""), sdp(BOB, ""), sdp(CAROL, ""));
    let invite = Sip { body: &offer, ..leg() };
    scene.sip(0, invite);
    scene.sip(100, Sip { what: "183", tags: ("a", "bob"), body: &bob, ..reply(leg()) });
    scene.sip(120, Sip { what: "183", tags: ("a", "carol"), body: &carol, ..reply(leg()) });
    scene.rtp(Rtp::new(200, BOB, ALICE, 1, 300));
    scene.rtp(Rtp::new(205, CAROL, ALICE, 2, 100));
    scene.sip(3000, Sip { what: "200", tags: ("a", "bob"), body: &bob, ..reply(leg()) });
    scene.sip(3020, Sip { what: "ACK", cseq: (1, "ACK"), tags: ("a", "bob"), branch: "k", ..leg() });
    let bye = Sip { what: "BYE", cseq: (2, "BYE"), tags: ("a", "bob"), branch: "y", ..leg() };
    scene.sip(7000, bye);
    scene.sip(7030, Sip { what: "200", ..reply(bye) });
    let played = scene.play(10_000);
    assert_eq!(played.value("rtp_packets_total{direction=callee,codec=PCMU}"), 400.0);
    let [record] = &played.records[..] else { panic!("one call") };
    let streams =
        record.media.as_deref().map(|media| media.streams.iter().map(|stream| stream.ssrc).collect::<Vec<_>>());
    assert_eq!(streams, Some(vec![1, 2]));
    assert_eq!(played.value("mos_cq{direction=callee,codec=PCMU}"), 2.0);
}

#[test]
fn copies_seen_elsewhere_or_twice_do_not_count_and_repeats_do() {
    let mut scene = Scene::default();
    scene.call("c", 0, 9500, &sdp(ALICE, ""), &sdp(BOB, ""));
    let stream = Rtp { identification: 7, ..Rtp::new(1100, ALICE, BOB, 1, 200) };
    scene.rtp(stream);
    // On another network, and the same packet of IP once more.
    scene.rtp(Rtp { vlan: 9, identification: 9000, at: 1101, ..stream });
    scene.rtp(Rtp { at: 1103, ..stream });
    // Sent again: another packet of IP.
    scene.rtp(Rtp { at: 1304, identification: 20_000, packets: (1010, 1012), ..stream });
    let played = scene.play(10_000);
    assert_eq!(played.value("rtp_packets_total{direction=caller,codec=PCMU}"), 200.0);
    assert_eq!(played.value("rtp_duplicates_total{direction=caller,codec=PCMU}"), 2.0);
}

#[test]
fn a_stream_is_seen_elsewhere_once_it_has_moved() {
    let mut scene = Scene::default();
    scene.call("c", 0, 9500, &sdp(ALICE, ""), &sdp(BOB, ""));
    let stream = Rtp::new(1100, ALICE, BOB, 1, 100);
    scene.rtp(stream);
    scene.rtp(Rtp { vlan: 9, at: 1100 + 2000 + 1500, packets: (1100, 1200), ..stream });
    let played = scene.play(10_000);
    assert_eq!(played.value("rtp_packets_total{direction=caller,codec=PCMU}"), 200.0);
}

#[test]
fn a_codec_is_what_the_receiver_calls_it() {
    let opus = "a=rtpmap:111 opus/48000/2\r\n";
    let answer = sdp(BOB, "").replace("RTP/AVP 0 101", "RTP/AVP 111") + opus;
    let offer = sdp(ALICE, "").replace("RTP/AVP 0 101", "RTP/AVP 96") + "a=rtpmap:96 OPUS/48000/2\r\n";
    let mut scene = Scene::default();
    scene.call("c", 0, 4000, &offer, &answer);
    scene.rtp(Rtp { payload_type: 111, ..Rtp::new(1100, ALICE, BOB, 1, 120) });
    scene.rtp(Rtp { payload_type: 96, ..Rtp::new(1100, BOB, ALICE, 2, 120) });
    scene.rtp(Rtp { payload_type: 98, ..Rtp::new(1100, BOB, ALICE, 3, 5) });
    let played = scene.play(10_000);
    assert_eq!(played.value("rtp_packets_total{direction=caller,codec=opus}"), 120.0);
    assert_eq!(played.value("rtp_packets_total{direction=callee,codec=opus}"), 120.0);
    assert_eq!(played.value("rtp_packets_total{direction=callee,codec=other}"), 5.0);
}

#[test]
fn pictures_at_the_address_of_speech_are_not_listened_to() {
    let bundle = "a=mid:a\r\nm=video 50010 RTP/AVP 96\r\na=mid:v\r\na=rtpmap:96 VP8/90000\r\n";
    let answer = sdp(BOB, bundle).replace("t=0 0", "t=0 0\r\na=group:BUNDLE a v");
    let mut scene = Scene::default();
    scene.call("c", 0, 4000, &sdp(ALICE, ""), &answer);
    scene.rtp(Rtp { payload_type: 96, ..Rtp::new(1100, ALICE, BOB, 1, 120) });
    let played = scene.play(10_000);
    assert!(played.metrics.keys().all(|name| !name.starts_with("rtp_")), "{:?}", played.metrics);
}

#[test]
fn a_refused_offer_changes_nothing_and_an_agreed_one_moves_the_endpoints() {
    const ELSEWHERE: &str = "192.0.2.11:42000";
    let mut scene = Scene::default();
    let answer = sdp(BOB, "");
    scene.answered("c", 0, &sdp(ALICE, ""), &answer);
    scene.reinvite("c", 2000, 2, &sdp("192.0.2.12:43000", ""), None);
    scene.rtp(Rtp::new(3000, BOB, ALICE, 1, 100));
    scene.reinvite("c", 6000, 3, &sdp(ELSEWHERE, ""), Some(&answer));
    scene.rtp(Rtp::new(6500, BOB, ELSEWHERE, 1, 100));
    // Where nobody is any more.
    scene.rtp(Rtp { packets: (2000, 2050), ..Rtp::new(6500, BOB, "192.0.2.12:43000", 3, 0) });
    scene.hang_up("c", 9000);
    let played = scene.play(10_000);
    assert_eq!(played.value("rtp_packets_total{direction=callee,codec=PCMU}"), 200.0);
}

#[test]
fn a_call_that_was_up_before_is_followed_from_its_next_offer_on() {
    let mut scene = Scene::default();
    scene.reinvite("c", 0, 7, &sdp(ALICE, ""), Some(&sdp(BOB, "")));
    scene.rtp(Rtp::new(1000, ALICE, BOB, 1, 200));
    scene.hang_up("c", 6000);
    let played = scene.play(60_000);
    assert_eq!(played.value("rtp_packets_total{direction=caller,codec=PCMU}"), 200.0);
    assert_eq!(played.held("media_sessions"), 0.0);
}

#[test]
fn where_media_may_go_is_told_as_long_as_somebody_receives_there() {
    let holds = |played: &super::scene::Played, at: &str| {
        played.ports.holds(&at.parse::<std::net::SocketAddr>().expect("an address").into())
    };
    let mut scene = Scene::default();
    scene.answered("c", 0, &sdp(ALICE, ""), &sdp(BOB, ""));
    let up = scene.play(1000);
    assert!([ALICE, BOB, "192.0.2.10:40011", "198.51.100.20:50011"].iter().all(|at| holds(&up, at)));
    let mut scene = Scene::default();
    scene.call("c", 0, 5000, &sdp(ALICE, ""), &sdp(BOB, ""));
    let lately = scene.clone_of().play(9000);
    assert!(holds(&lately, ALICE), "late packets still show");
    let over = scene.play(11_000);
    assert!([ALICE, BOB, "192.0.2.10:40011"].iter().all(|at| !holds(&over, at)));
    assert_eq!(over.held("media_endpoints"), 0.0);
}
