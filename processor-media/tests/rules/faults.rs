//! What is wrong with the media of a call (5.7).

use std::time::Duration;

use processor_media::{Config, Visibility};

use super::scene::{ALICE, BOB, Played, Rtp, Scene, sdp};

fn visible() -> Scene {
    Scene::with(Config { visibility: Visibility::On, ..Config::default() })
}

#[track_caller]
fn faults(played: &Played, expected: &[&str]) {
    assert_eq!(played.faults(), expected);
    let of_records = played.records.iter().filter_map(|record| record.media.as_deref()).flat_map(|media| &media.faults);
    let mut stated: Vec<String> = of_records
        .map(|fault| format!("{{fault={},direction={}}}", fault.fault.as_str(), fault.toward.as_str()))
        .collect();
    stated.sort();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(stated, expected);
}

#[test]
fn a_call_whose_media_do_not_pass_here_has_no_fault() {
    let mut scene = Scene::default();
    scene.call("c", 0, 9500, &sdp(ALICE, ""), &sdp(BOB, ""));
    faults(&scene.play(1000), &[]);
}

#[test]
fn a_call_without_media_between_hosts_that_others_have_media_of_has_one() {
    let mut scene = Scene::default();
    scene.call("seen", 0, 5000, &sdp("192.0.2.10:41000", ""), &sdp("198.51.100.20:51000", ""));
    scene.rtp(Rtp::new(1100, "192.0.2.10:41000", "198.51.100.20:51000", 1, 150));
    scene.rtp(Rtp::new(1100, "198.51.100.20:51000", "192.0.2.10:41000", 2, 150));
    scene.call("c", 6000, 16_000, &sdp(ALICE, ""), &sdp(BOB, ""));
    faults(&scene.play(10_000), &["{fault=no_media,direction=none}"]);
}

#[test]
fn one_way_is_fifty_packets_against_none_five_seconds_after_the_answer() {
    for (count, expected) in [(49, &[][..]), (50, &["{fault=one_way,direction=caller_only}"])] {
        let mut scene = visible();
        scene.call("c", 0, 9500, &sdp(ALICE, ""), &sdp(BOB, ""));
        scene.rtp(Rtp::new(1100, ALICE, BOB, 1, count));
        faults(&scene.play(10_000), expected);
    }
}

#[test]
fn what_was_heard_before_the_answer_is_no_answer() {
    let mut scene = visible();
    let (offer, answer) = (sdp(ALICE, ""), sdp(BOB, ""));
    let early = super::scene::Sip { branch: "c1", ..super::scene::leg() };
    scene.sip(50, super::scene::Sip { what: "183", tags: ("a", "b"), body: &answer, ..super::scene::reply(early) });
    scene.call("c", 0, 9500, &offer, &answer);
    scene.rtp(Rtp::new(100, BOB, ALICE, 2, 40));
    scene.rtp(Rtp::new(1100, ALICE, BOB, 1, 400));
    faults(&scene.play(10_000), &["{fault=one_way,direction=caller_only}"]);
}

#[test]
fn a_call_on_hold_is_not_judged_and_one_that_was_is_after_a_while() {
    let mut scene = visible();
    let answer = sdp(BOB, "");
    scene.answered("c", 0, &sdp(ALICE, ""), &answer);
    for (from, to, ssrc) in [(ALICE, BOB, 1), (BOB, ALICE, 2)] {
        scene.rtp(Rtp::new(1100, from, to, ssrc, 400));
    }
    scene.reinvite("c", 9000, 2, &sdp(ALICE, "a=sendonly\r\n"), Some(&sdp(BOB, "a=recvonly\r\n")));
    scene.reinvite("c", 60_000, 3, &sdp(ALICE, ""), Some(&answer));
    scene.rtp(Rtp { packets: (1400, 2000), ..Rtp::new(60_500, ALICE, BOB, 1, 0) });
    scene.hang_up("c", 73_000);
    let played = scene.play(10_000);
    faults(&played, &["{fault=media_stopped,direction=callee}"]);
    let fault = played.records[0].media.as_deref().expect("media").faults[0];
    let since = fault.at - played.records[0].start;
    assert_eq!(since, Duration::from_millis(70_050), "ten seconds after the end of hold");
}

#[test]
fn a_side_that_may_be_silent_is_not_missed() {
    let opus = |at: &str, dtx: &str| {
        sdp(at, "").replace("RTP/AVP 0 101", "RTP/AVP 111") + "a=rtpmap:111 opus/48000/2\r\n" + dtx
    };
    for (dtx, expected) in [("a=fmtp:111 usedtx=1\r\n", &[][..]), ("", &["{fault=media_stopped,direction=caller}"])] {
        let mut scene = visible();
        scene.call("c", 0, 30_000, &opus(ALICE, dtx), &opus(BOB, dtx));
        scene.rtp(Rtp { payload_type: 111, ..Rtp::new(1100, ALICE, BOB, 1, 200) });
        scene.rtp(Rtp { payload_type: 111, ..Rtp::new(1100, BOB, ALICE, 2, 1400) });
        faults(&scene.play(10_000), expected);
    }
}

#[test]
fn comfort_noise_says_that_a_side_may_be_silent() {
    let mut scene = visible();
    scene.call("c", 0, 30_000, &sdp(ALICE, ""), &sdp(BOB, ""));
    scene.rtp(Rtp::new(1100, ALICE, BOB, 1, 200));
    scene.packet(Rtp { payload_type: 13, ..Rtp::new(1100, ALICE, BOB, 1, 0) }, 1200, 4000);
    scene.rtp(Rtp::new(1100, BOB, ALICE, 2, 1400));
    faults(&scene.play(10_000), &[]);
}

#[test]
fn packets_more_than_two_seconds_after_the_end_are_late() {
    for (end, expected) in [(4900, &["{fault=late_media,direction=callee}"][..]), (5100, &[])] {
        let mut scene = visible();
        scene.call("c", 0, end, &sdp(ALICE, ""), &sdp(BOB, ""));
        scene.rtp(Rtp::new(1100, ALICE, BOB, 1, 190));
        scene.rtp(Rtp::new(1100, BOB, ALICE, 2, 296));
        let played = scene.play(10_000);
        faults(&played, expected);
        // What came after the end is not counted.
        let counted = played.value("rtp_packets_total{direction=callee,codec=PCMU}");
        assert!(counted < 205.0, "{counted}");
    }
}

#[test]
fn no_fault_is_stated_where_nothing_is_visible_or_there_is_no_audio() {
    let mut scene = Scene::with(Config { visibility: Visibility::Off, ..Config::default() });
    scene.call("c", 0, 9500, &sdp(ALICE, ""), &sdp(BOB, ""));
    scene.rtp(Rtp::new(1100, ALICE, BOB, 1, 400));
    faults(&scene.play(10_000), &[]);
    let mut scene = visible();
    scene.call("c", 0, 9500, &sdp(ALICE, ""), &sdp(BOB, "").replace("m=audio 50010", "m=audio 0"));
    faults(&scene.play(10_000), &[]);
}

#[test]
fn an_answer_at_once_by_nobody_is_suspect_where_that_is_looked_for() {
    let answered = |config: Config, callee_speaks: bool| {
        let mut scene = Scene::with(Config { visibility: Visibility::On, ..config });
        let (offer, answer) = (sdp(ALICE, ""), sdp(BOB, ""));
        let invite = super::scene::Sip { body: &offer, ..super::scene::leg() };
        scene.sip(0, invite);
        scene.sip(
            50,
            super::scene::Sip {
                what: "183",
                tags: ("a", "b"),
                body: &answer,
                ..super::scene::reply(super::scene::leg())
            },
        );
        scene.sip(
            900,
            super::scene::Sip {
                what: "200",
                tags: ("a", "b"),
                body: &answer,
                ..super::scene::reply(super::scene::leg())
            },
        );
        scene.rtp(Rtp::new(100, BOB, ALICE, 2, 300));
        scene.rtp(Rtp::new(950, ALICE, BOB, 1, 250));
        if callee_speaks {
            scene.rtp(Rtp::new(1500, BOB, ALICE, 3, 200));
        }
        scene.hang_up("c", 7000);
        scene.play(10_000)
    };
    let looking = Config { fas: true, ..Config::default() };
    faults(&answered(looking.clone(), false), &["{fault=fas_suspect,direction=callee}"]);
    faults(&answered(looking, true), &[]);
    faults(&answered(Config::default(), false), &[]);
}
