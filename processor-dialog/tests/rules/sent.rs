//! Messages kept as they were sent: which, how many bytes of them, when they were sent again, and what is blanked.

use call_records::{Emit, Numbers, Privacy, Raw};
use pipeline::call::live::LiveAsk;
use pipeline::{CallRecord, CallsWanted};
use processor_dialog::Config;

use crate::expect::{Labelled, Player, wanted};

fn keeping(raw: Raw) -> Config {
    let mut config = Config::default();
    config.calls.raw = raw;
    config.calls.privacy = Privacy { numbers: Numbers::Plain, ..Privacy::default() };
    config
}

fn played(config: Config, watched: bool, text: &str) -> Player {
    let wanted = CallsWanted { watched, pieces: true, ..wanted() };
    let mut player = Player::wanting(wanted, config, Labelled::No);
    for step in ladder::play(text) {
        player.take(step.at, Some(step));
    }
    player
}

/// The first line and the bytes of each message kept; `-` where it was not.
fn firsts(record: &CallRecord) -> Vec<String> {
    let sent = record.sent.as_deref().expect("something is kept");
    let first = |message: &[u8]| String::from_utf8_lossy(message).lines().next().unwrap_or_default().to_owned();
    sent.messages.iter().map(|message| message.as_deref().map_or("-".to_owned(), first)).collect()
}

/// Which message was sent again, after how many milliseconds of the call, and whether it was another one.
fn repeats(record: &CallRecord) -> Vec<(u16, u64, bool)> {
    let sent = record.sent.as_deref().expect("something is kept");
    let of = |repeat: &pipeline::call::sent::Repeat| {
        (repeat.message, (repeat.at - record.start).as_millis() as u64, repeat.other.is_some())
    };
    sent.repeats.iter().map(of).collect()
}

const CALL: &str = "
    0.0  alice -> bob  INVITE sdp hdr=\"Authorization: Digest username=\\\"alice\\\", response=\\\"5f3a\\\"\"
    0.5  alice -> bob  INVITE again
    1.5  alice -> bob  INVITE again
    1.6  alice <- bob  180
    2.0  alice <- bob  200 sdp
    2.1  alice -> bob  ACK
    9.0  alice -> bob  BYE
    9.1  alice <- bob  200 of=BYE
";

#[test]
fn messages_are_kept_in_the_order_of_the_ladder_and_repeats_with_their_times() {
    let records = played(keeping(Raw::Full), true, CALL).drain();
    let record = &records[0];
    let expected = ["INVITE sip:", "SIP/2.0 180", "SIP/2.0 200", "ACK sip:", "BYE sip:", "SIP/2.0 200"];
    let firsts = firsts(record);
    assert!(firsts.len() == 6 && firsts.iter().zip(expected).all(|(is, begin)| is.starts_with(begin)), "{firsts:?}");
    assert_eq!(repeats(record), [(0, 500, false), (0, 1500, false)]);
    let invite = record.sent.as_deref().and_then(|sent| sent.message(0)).expect("there was room");
    let invite = String::from_utf8_lossy(invite);
    assert!(invite.contains("\r\n\r\nv=0\r\n") && invite.contains("username=\"alice\", response=***\r\n"), "{invite}");
}

#[test]
fn without_bodies_start_line_and_fields_are_kept() {
    let records = played(keeping(Raw::Headers), true, CALL).drain();
    let sent = records[0].sent.as_deref().expect("something is kept");
    let invite = String::from_utf8_lossy(sent.message(0).expect("there was room"));
    assert!(invite.ends_with("\r\n\r\n") && !invite.contains("v=0"), "{invite}");
}

#[test]
fn nothing_is_kept_where_nobody_looks_or_nobody_asked() {
    assert!(played(keeping(Raw::Full), false, CALL).drain()[0].sent.is_none());
    let records = played(keeping(Raw::Off), true, CALL).drain();
    let sent = records[0].sent.as_deref().expect("the times of repeats");
    assert!(sent.messages.is_empty());
    assert_eq!(repeats(&records[0]), [(0, 500, false), (0, 1500, false)]);
}

#[test]
fn a_call_that_is_up_is_told_of_with_its_messages() {
    let mut player = played(keeping(Raw::Full), true, &CALL[..CALL.find("9.0").expect("its BYE")]);
    let told = player.live(&LiveAsk::One("call-1".into()));
    assert_eq!(firsts(&told[0]).len(), 4);
    assert!(player.live(&LiveAsk::Newest(1))[0].sent.is_none());
}

#[test]
fn a_call_keeps_64_kib_of_messages_and_of_the_others_that_they_were() {
    let mut text = "0.0 alice -> bob INVITE\n0.1 alice <- bob 200\n0.2 alice -> bob ACK\n".to_owned();
    let padding = "x".repeat(3000);
    for at in 1..=40 {
        text += &format!("{at} alice -> bob INFO hdr=\"X-Filler: {padding}\"\n{at}.1 alice <- bob 200 of=INFO\n");
    }
    let records = played(keeping(Raw::Full), true, &text).drain();
    let sent = records[0].sent.as_deref().expect("something is kept");
    assert_eq!(sent.messages.len(), records[0].ladder.len());
    assert!(sent.bytes() <= 64 << 10 && sent.bytes() > 60 << 10, "{} bytes", sent.bytes());
    assert!(sent.messages.iter().any(Option::is_none));
}

#[test]
fn where_all_are_too_many_the_oldest_go_and_are_counted() {
    let mut config = keeping(Raw::Full);
    config.calls.raw_room = 4000;
    let text: String = (0..20)
        .map(|call| format!("{call} alice -> bob INVITE call=c{call:02}\n{call}.1 alice <- bob 180 call=c{call:02}\n"))
        .collect();
    let mut player = played(config, true, &text);
    let counted = |player: &Player, why| player.told("otelcol_processor_refused_raw_messages", why);
    let refused = [counted(&player, "call_full"), counted(&player, "all_full")];
    let records = player.drain();
    let kept: Vec<bool> = records.iter().map(|record| record.sent.is_some()).collect();
    assert!(!kept[0] && kept[19], "{kept:?}");
    assert!(kept.is_sorted(), "{kept:?}");
    let lost = kept.iter().filter(|kept| !**kept).count();
    assert_eq!(refused, [0.0, 2.0 * lost as f64]);
}

#[test]
fn a_piece_takes_its_messages_along_and_the_others_stay() {
    let mut config = keeping(Raw::Full);
    config.calls.emit = Emit::Progressive;
    let records = played(config, true, CALL).drain();
    let shown: Vec<Vec<String>> = records.iter().map(firsts).collect();
    assert_eq!(shown.len(), 2);
    for (record, firsts) in records.iter().zip(&shown) {
        assert_eq!(record.ladder.len(), firsts.len());
        for (line, first) in record.ladder.iter().zip(firsts) {
            let begin = line.status.map_or(line.method.as_str().to_owned(), |status| format!("SIP/2.0 {status}"));
            assert!(first.starts_with(&begin), "{first} is not {begin}");
        }
    }
    assert_eq!(repeats(&records[0]), [(0, 500, false), (0, 1500, false)]);
}

#[test]
fn single_requests_keep_theirs_too() {
    let text = "0.0 alice -> bob REGISTER\n0.5 alice -> bob REGISTER again\n0.6 alice <- bob 403\n";
    let mut config = keeping(Raw::Full);
    config.calls.ladder = call_records::Ladder::Events;
    let wanted = CallsWanted { watched: true, requests: true, ..wanted() };
    let mut player = Player::wanting(wanted, config, Labelled::No);
    for step in ladder::play(text) {
        player.take(step.at, Some(step));
    }
    let records = player.drain();
    assert_eq!(firsts(&records[0])[1], "SIP/2.0 403 Other");
    assert_eq!(repeats(&records[0]), [(0, 500, false)]);
}

#[test]
fn what_is_sent_again_otherwise_is_kept_too() {
    let text = "
        0.0 alice -> bob INVITE branch=z9hG4bKa ftag=a hdr=\"X-Try: 1\"
        0.5 alice -> bob INVITE branch=z9hG4bKa ftag=a cseq=1 hdr=\"X-Try: 2\"
    ";
    let records = played(keeping(Raw::Full), true, text).drain();
    assert_eq!(repeats(&records[0]), [(0, 500, true)]);
}

#[test]
fn whoever_turns_it_off_has_nothing_left() {
    let mut player = played(keeping(Raw::Full), true, CALL);
    let dropped = player.reconfigure(keeping(Raw::Off));
    assert!(dropped.is_empty());
    let records = player.drain();
    assert!(records[0].sent.as_deref().is_some_and(|sent| sent.messages.is_empty() && sent.repeats.len() == 2));
}
