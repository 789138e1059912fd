//! Reports of RTCP and of telephones (5.4, 5.6).

use pipeline::CallRecord;
use pipeline::call::Subject;

use super::scene::{ALICE, BOB, Rtp, Scene, Sip, leg, reply, sdp};

const ALICE_RTCP: &str = "192.0.2.10:40011";
const BOB_RTCP: &str = "198.51.100.20:50011";

fn packet(count: u8, kind: u8, words: &[u32]) -> Vec<u8> {
    let length = u16::try_from(words.len()).expect("short").to_be_bytes();
    let words = words.iter().flat_map(|word| word.to_be_bytes());
    [0x80 | count, kind].into_iter().chain(length).chain(words).collect()
}

/// A sender's report whose NTP time has this middle.
fn sender(ssrc: u32, ntp: u32) -> Vec<u8> {
    packet(0, 200, &[ssrc, ntp >> 16, ntp << 16, 0, 10, 1600])
}

/// A report about a stream: lost in 1/256, jitter in units of 8 kHz, the report that it quotes, held for so many milliseconds.
fn receiver(ssrc: u32, about: u32, lost: u32, jitter: u32, quoted: u32, held: u32) -> Vec<u8> {
    packet(1, 201, &[ssrc, about, lost << 24, 0, jitter, quoted, held * 65_536 / 1000])
}

fn scene(more: &str) -> Scene {
    let mut scene = Scene::default();
    let secure = |text: String| if more.is_empty() { text } else { text.replace("RTP/AVP", more) };
    scene.call("c", 0, 20_000, &secure(sdp(ALICE, "")), &secure(sdp(BOB, "")));
    scene.rtp(Rtp::new(1100, ALICE, BOB, 1, 900));
    scene.rtp(Rtp::new(1100, BOB, ALICE, 2, 900));
    scene
}

#[test]
fn what_is_lost_behind_the_tap_is_what_receivers_report() {
    let mut scene = scene("");
    scene.rtcp(3000, BOB_RTCP, ALICE_RTCP, &receiver(2, 1, 64, 80, 0, 0));
    let played = scene.play(1000);
    assert_eq!(played.value("rtcp_packets_total"), 1.0);
    assert_eq!(played.value("rtcp_loss_ratio{direction=caller}"), 1.0);
    assert_eq!(played.value("rtp_lost_total{direction=caller,codec=PCMU}"), 0.0);
}

#[test]
fn round_trips_need_no_clock_of_an_endpoint_and_lower_the_opinion() {
    let mut scene = scene("");
    scene.rtcp(3000, ALICE_RTCP, BOB_RTCP, &sender(1, 0xAABB_CCDD));
    scene.rtcp(3500, BOB_RTCP, ALICE_RTCP, &receiver(2, 1, 0, 0, 0xAABB_CCDD, 100));
    scene.rtcp(4000, BOB_RTCP, ALICE_RTCP, &sender(2, 7));
    scene.rtcp(4300, ALICE_RTCP, BOB_RTCP, &receiver(1, 2, 0, 0, 7, 100));
    // The same again by the capture, and one that is negative.
    scene.rtcp(4310, ALICE_RTCP, BOB_RTCP, &receiver(1, 2, 0, 0, 7, 100));
    scene.rtcp(4400, ALICE_RTCP, BOB_RTCP, &receiver(1, 2, 0, 0, 7, 9000));
    let played = scene.play(10_000);
    let trips = ["callee", "caller", "total"].map(|part| played.value(&format!("rtcp_rtt_seconds{{part={part}}}")));
    assert_eq!(trips, [1.0, 1.0, 1.0]);
    let media = played.records[0].media.as_deref().expect("media");
    let total = media.round_trip.total.expect("both").as_millis();
    assert_eq!(total, 600);
    assert!(media.streams.iter().all(|stream| stream.rating.mos_lq > 4.4 && stream.rating.mos_cq < 3.3), "{media:?}");
}

#[test]
fn a_record_that_leaves_after_its_call_is_forgotten_has_what_was_heard() {
    let mut scene = scene("");
    scene.transaction_timeout(1000);
    let played = scene.play(60_000);
    let media = played.records[0].media.as_deref().expect("media");
    assert_eq!((media.streams.len(), media.intervals.len()), (2, 4));
    assert!(media.streams.iter().all(|stream| stream.worst.is_some()), "{media:?}");
    assert_eq!(["media_calls", "media_streams"].map(|table| played.held(table)), [0.0, 0.0]);
}

#[test]
fn encrypted_reports_are_counted_and_not_read() {
    let mut scene = scene("RTP/SAVP");
    scene.rtcp(3000, BOB_RTCP, ALICE_RTCP, &receiver(2, 1, 64, 80, 0, 0));
    let played = scene.play(1000);
    assert_eq!(played.value("rtcp_packets_total"), 1.0);
    assert_eq!(played.value("rtcp_loss_ratio{direction=caller}"), 0.0);
    assert_eq!(played.value("rtp_packets_total{direction=caller,codec=PCMU}"), 900.0);
}

#[test]
fn reports_that_lie_are_counted_and_change_nothing() {
    let mut scene = scene("");
    let mut lies = receiver(2, 1, 64, 80, 0, 0);
    lies[0] = 0x9F;
    scene.rtcp(3000, BOB_RTCP, ALICE_RTCP, &lies);
    scene.rtcp(3100, BOB_RTCP, ALICE_RTCP, &packet(0, 207, &[2, 0x0700_0003, 1, 2, 3]));
    let played = scene.play(1000);
    assert_eq!(played.value("media_errors_total{reason=rtcp}"), 1.0);
    assert_eq!(played.value("media_errors_total{reason=xr}"), 1.0);
    assert_eq!(played.value("rtcp_loss_ratio{direction=caller}"), 0.0);
}

#[test]
fn voip_metrics_are_about_the_stream_they_name() {
    let mut scene = scene("");
    let voice = [2, 0x0700_0008, 1, 0x1A00_0000, 0, 0x0064_0028, 0x7F7F_7F10, 0x5D7F_297F, 0, 0];
    scene.rtcp(3000, BOB_RTCP, ALICE_RTCP, &packet(0, 207, &voice));
    let played = scene.play(10_000);
    assert_eq!(played.value("rtcp_xr_reports_total{direction=caller}"), 1.0);
    let media = played.records[0].media.as_deref().expect("media");
    assert_eq!(media.extended.iter().map(|extended| extended.quality.mos_lq).collect::<Vec<_>>(), [Some(41)]);
}

/// A PUBLISH of a report, and its 200.
fn publish(scene: &mut Scene, at: u64, call: &str, body: &str) {
    let publish = Sip { what: "PUBLISH", cseq: (1, "PUBLISH"), call, branch: call, body, ..leg() };
    scene.sip(at, publish);
    scene.sip(at + 10, Sip { what: "200", tags: ("a", "z"), body: "", ..reply(publish) });
}

#[test]
fn a_report_after_its_call_is_a_record_in_the_same_trace() {
    let mut scene = scene("");
    scene.traced();
    publish(&mut scene, 21_000, "r1", "VQSessionReport\r\nCallID: c\r\nQualityEst: MOSLQ=4.1\r\n");
    publish(&mut scene, 80_000, "r2", "VQSessionReport\r\nCallID: c\r\nQualityEst: MOSLQ=3.9\r\n");
    let played = scene.play(60_000);
    let of = |subject| played.records.iter().filter(move |record| record.subject == subject);
    let [call] = of(Subject::Call).collect::<Vec<_>>()[..] else { panic!("one call") };
    let [report] = of(Subject::Report).collect::<Vec<_>>()[..] else { panic!("one report that came later") };
    let opinions = |record: &CallRecord| {
        let media = record.media.as_deref().expect("media");
        media.reports.iter().map(|report| report.local.mos_lq).collect::<Vec<_>>()
    };
    assert_eq!((opinions(call), opinions(report)), (vec![Some(4.1)], vec![Some(3.9)]));
    assert_eq!((report.trace_id, &*report.call_id), (call.trace_id, "c"));
    assert!(report.span != call.span && report.media.as_deref().is_some_and(|media| media.streams.is_empty()));
}

#[test]
fn a_report_shows_no_number_of_its_parties() {
    let mut scene = scene("");
    scene.traced();
    let body = "VQSessionReport\r\nLocalID: \"A\" <sip:493012345678@example.org>\r\nRemoteID: <sip:4420794600@example.org>\r\n\
        CallID: 4420794600-x\r\nQualityEst: MOSLQ=3.9\r\n";
    publish(&mut scene, 80_000, "r2", body);
    let played = scene.play(60_000);
    let report = played.records.iter().find(|record| record.subject == Subject::Report).expect("a report");
    assert!(
        !format!("{report:?}").contains("4420794600") && !format!("{report:?}").contains("493012345678"),
        "{report:?}"
    );
    assert_eq!(report.call_id.len(), 32, "it is hashed");
}

#[test]
fn a_report_of_a_telephone_counts_when_it_is_accepted_whatever_call_it_names() {
    let mut scene = scene("");
    for (at, status, call, body) in [
        (5000, "200", "r1", "VQIntervalReport\r\nCallID: c\r\nQualityEst: MOSLQ=4.1 MOSCQ=9\r\n"),
        (5100, "200", "r2", "VQSessionReport\r\nCallID: nobody\r\nQualityEst: MOSLQ=3.1\r\n"),
        (5200, "489", "r3", "VQAlertReport\r\nCallID: c\r\nQualityEst: MOSLQ=3.1\r\n"),
        (5300, "200", "r4", "VQ nonsense"),
    ] {
        let publish = Sip { what: "PUBLISH", cseq: (1, "PUBLISH"), call, branch: call, body, ..leg() };
        scene.sip(at, publish);
        scene.sip(at + 10, Sip { what: status, tags: ("a", "z"), body: "", ..reply(publish) });
    }
    let played = scene.play(10_000);
    let kinds = ["session", "interval", "alert"].map(|kind| played.value(&format!("vq_reports_total{{kind={kind}}}")));
    assert_eq!(kinds, [1.0, 1.0, 0.0]);
    assert_eq!((played.value("vq_mos_lq{party=local}"), played.value("vq_mos_cq{party=local}")), (2.0, 0.0));
    assert_eq!(played.value("media_errors_total{reason=vq}"), 1.0);
    let media = played.records.iter().find(|record| &*record.call_id == "c").and_then(|record| record.media.as_deref());
    assert_eq!(media.map(|media| media.reports.len()), Some(1));
}
