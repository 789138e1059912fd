//! Calls that are up, told of when somebody asks, and what their messages said.

use call_records::{CallIds, Numbers, Privacy};
use pipeline::call::live::{LiveAsk, ShownNumber};
use pipeline::{CallRecord, CallsWanted};
use processor_dialog::Config;

use crate::expect::{Labelled, Player, calls_for, wanted};

fn watched() -> CallsWanted {
    CallsWanted { watched: true, requests: false, pieces: false, ..wanted() }
}

fn with(privacy: Privacy) -> Config {
    let mut config = Config::default();
    config.calls.privacy = privacy;
    config
}

/// A ladder played up to its end by a processor that is watched.
fn playing(config: Config, text: &str) -> Player {
    let mut player = Player::wanting(watched(), config, Labelled::No);
    for step in ladder::play(text) {
        player.take(step.at, Some(step));
    }
    player
}

const THREE: &str = "
    0.0  alice -> bob  INVITE call=first from=sip:+4930123456@h ua=\"Phone 1\"
    1.0  alice -> bob  INVITE call=second
    1.1  alice <- bob  180 call=second
    2.0  alice -> bob  INVITE call=third
    2.5  alice <- bob  486 call=third
    3.0  alice <- bob  200 call=first sdp
    3.1  alice -> bob  ACK call=first
    4.5  alice -> bob  crlf
";

#[test]
fn calls_that_are_up_are_told_of_the_newest_first_without_their_messages() {
    let mut player = playing(Config::default(), THREE);
    let told = player.live(&LiveAsk::Newest(10));
    let shown = |record: &CallRecord| (record.call_id.to_string(), record.outcome, record.status, record.last);
    let expected = [("third", "busy", Some(486)), ("second", "in_progress", None), ("first", "in_progress", Some(200))];
    let expected = expected.map(|(call_id, outcome, status)| (call_id.to_owned(), outcome, status, false));
    assert_eq!(told.iter().map(shown).collect::<Vec<_>>(), expected);
    assert_eq!((told[1].ringing.len(), told[2].sessions.len()), (1, 1));
    assert!(told.iter().all(|record| record.ladder.is_empty() && record.headers.is_empty()));
    assert_eq!(player.live(&LiveAsk::Newest(1)).len(), 1);
}

#[test]
fn one_call_is_told_of_as_it_would_leave_now_and_goes_on() {
    let mut player = playing(Config::default(), THREE);
    let told = player.live(&LiveAsk::One("first".into()));
    assert_eq!((told.len(), told[0].ladder.len(), told[0].headers.len()), (1, 3, 3));
    assert_eq!(told[0].transactions.len(), 1);
    assert!(player.live(&LiveAsk::One("none".into())).is_empty());
    // Asking changed nothing.
    let records = player.drain();
    let first = records.iter().find(|record| &*record.call_id == "first").expect("it is up");
    assert_eq!((&first.ladder, &first.transactions), (&told[0].ladder, &told[0].transactions));
    assert!(first.last);
}

#[test]
fn a_call_whose_id_is_shown_as_a_hash_is_found_by_that() {
    let mut player = playing(with(Privacy { call_id: CallIds::Hash, ..Privacy::default() }), THREE);
    let told = player.live(&LiveAsk::Newest(10));
    assert!(told.iter().all(|record| record.call_id.len() == 32));
    assert_eq!(player.live(&LiveAsk::One(told[2].call_id.clone()))[0].start, told[2].start);
    assert!(player.live(&LiveAsk::One("first".into())).is_empty());
}

#[test]
fn a_long_call_is_told_of_behind_many_short_ones() {
    let mut text = "0.0 alice -> bob INVITE call=long\n0.1 alice <- bob 200 call=long\n".to_owned();
    for number in 0..5_000 {
        let at = 1 + number;
        text += &format!("{at}.0 alice -> bob INVITE call=c{number}\n{at}.1 alice <- bob 404 call=c{number}\n");
    }
    let day = std::time::Duration::from_secs(86_400);
    let config = Config { session_expires_default: day, ..Config::default() };
    let mut player = playing(config, &text);
    let told = player.live(&LiveAsk::Newest(100));
    assert_eq!(told.last().map(|record| &*record.call_id), Some("long"));
    assert!(told.len() < 20, "those before have left");
}

const SAID: &str = "
    0.0  alice -> bob  INVITE from=sip:+4930123456@h to=sip:2002@h ua=\"Phone +4930123456\" hdr=\"Supported: timer,
 100rel\" hdr=\"Authorization: Digest response=1\" hdr=\"X-Customer: 4711\" hdr=\"Warning: 399 h \\\"call 2002\\\"\"
    0.1  alice <- bob  486 hdr=\"Retry-After: 7\"
";

#[test]
fn without_numbers_only_technical_fields_are_kept_and_those_are_cleared() {
    let said = SAID.replace("timer,\n 100rel", "timer");
    let records = calls_for(watched(), Config::default(), &said);
    let [invite, busy] = &*records[0].headers else { panic!("{:?}", records[0].headers) };
    for line in ["Via: SIP/2.0/UDP", "Supported: timer\n", "CSeq: 1 INVITE\n", "User-Agent: Phone ***\n"] {
        assert!(invite.contains(line), "{line} not in {invite}");
    }
    for name in ["From", "To:", "Contact", "Call-ID", "Authorization", "X-Customer", "30123456"] {
        assert!(!invite.contains(name), "{name} in {invite}");
    }
    assert!(busy.contains("Retry-After: 7\n"), "{busy}");
}

#[test]
fn with_numbers_as_they_are_everything_but_credentials_is_kept() {
    let said = SAID.replace("timer,\n 100rel", "timer");
    let config = with(Privacy { numbers: Numbers::Plain, ..Privacy::default() });
    let records = calls_for(watched(), config, &said);
    let invite = &records[0].headers[0];
    for line in ["From: <sip:+4930123456@h>", "X-Customer: 4711\n", "Call-ID: call-1\n"] {
        assert!(invite.contains(line), "{line} not in {invite}");
    }
    assert!(!invite.contains("Authorization"), "{invite}");
}

#[test]
fn where_call_ids_are_hashed_no_field_names_a_call() {
    let said = "0.0 alice -> bob INVITE call=mine hdr=\"Event: dialog;call-id=other\" hdr=\"o: dialog;call-id=other\" \
                hdr=\"r: <sip:x@h?Replaces=other>\" hdr=\"Replaces: other\" hdr=\"Supported: timer\"";
    for numbers in [Numbers::Plain, Numbers::Drop] {
        let config = with(Privacy { numbers, call_id: CallIds::Hash, ..Privacy::default() });
        let records = calls_for(watched(), config, said);
        let invite = &records[0].headers[0];
        assert!(invite.contains("Supported: timer\n"), "{invite}");
        assert!(!invite.contains("other") && !invite.contains("mine"), "{invite}");
    }
}

#[test]
fn nothing_of_this_is_kept_where_nobody_looks() {
    let mut player = Player::wanting(wanted(), Config::default(), Labelled::No);
    for step in ladder::play(THREE) {
        player.take(step.at, Some(step));
    }
    assert!(player.live(&LiveAsk::Newest(10)).is_empty());
    assert!(player.drain().iter().all(|record| record.headers.is_empty()));
}

#[test]
fn a_message_of_many_fields_keeps_as_many_as_there_is_room_for() {
    let many: String = (0..100).map(|_| " hdr=\"Supported: one, two, three, four\"").collect();
    let records = calls_for(watched(), Config::default(), &format!("0.0 alice -> bob INVITE{many}"));
    let said = &records[0].headers[0];
    assert!(said.len() <= 1100 && said.ends_with("...\n"), "{} bytes", said.len());
}

#[test]
fn a_number_is_looked_for_in_the_form_it_is_shown() {
    let shown = |numbers, number: &str| {
        let config = with(Privacy { numbers, key: "secret".to_owned(), ..Privacy::default() });
        Player::new(config, Labelled::No).shown(number).expect("records are made")
    };
    assert_eq!(shown(Numbers::Drop, "4930"), ShownNumber::Dropped);
    assert_eq!(shown(Numbers::Plain, "4930"), ShownNumber::Digits("4930".into()));
    assert_eq!(shown(Numbers::Mask, "+49301234"), ShownNumber::Masked("+4930****".into()));
    assert!(matches!(shown(Numbers::Hmac, "4930"), ShownNumber::Hashed(hash) if hash.len() == 16));
}
