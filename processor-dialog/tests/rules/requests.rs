//! Records of single requests outside calls.

use pipeline::call::Subject;
use pipeline::{CallRecord, CallsWanted, Measure};
use processor_dialog::Config;

use crate::expect::{Labelled, Player, calls, calls_for, wanted};
use crate::recorded::at;

fn one(ladder: &str) -> CallRecord {
    let mut records = calls(Config::default(), ladder);
    assert_eq!(records.len(), 1, "{records:#?}");
    records.remove(0)
}

#[test]
fn a_registration_that_fails_is_a_record_of_its_transaction() {
    let record = one("0.0 alice -> registrar REGISTER ua=Phone
         0.5 alice -> registrar REGISTER again
         1.0 alice <- registrar 403
         1.5 alice <- registrar 403 again
        99.0 alice -> bob crlf");
    assert_eq!((record.subject, record.outcome, record.status), (Subject::Request, "final", Some(403)));
    let [told] = &record.transactions[..] else { panic!("{record:#?}") };
    assert_eq!((told.method, told.status, told.reason.as_deref()), (sip::Method::Register, Some(403), Some("Other")));
    assert_eq!((told.start, told.end, told.retransmissions, told.hops), (at(0.0), Some(at(1.0)), 2, 0));
    assert_eq!((told.span, told.parent), (record.span, record.span));
    assert_eq!((record.messages, record.retransmissions, record.until), (4, 2, at(1.5)));
    assert_eq!(record.ladder.iter().map(|told| told.retransmissions).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(record.user_agent.as_deref(), Some("Phone"));
    assert!(record.error().is_some());
}

#[test]
fn its_cseq_and_branch_make_the_trace() {
    let records = calls(
        Config::default(),
        "0.0 alice -> registrar REGISTER
         0.1 alice <- registrar 200
         0.2 alice -> registrar REGISTER
         0.3 alice <- registrar 200",
    );
    assert_eq!(records.len(), 2);
    assert_ne!(records[0].trace_id, records[1].trace_id);
    let raw = "0.0 alice -> bob raw=\"OPTIONS sip:b@h SIP/2.0\\r\\nVia: SIP/2.0/UDP h;branch=z9hG4bK776asdhds\\r\\n\
               From: <sip:a@h>;tag=a\\r\\nTo: <sip:b@h>\\r\\nCall-ID: a84b4c76e66710@pc33.atlanta.com\\r\\nCSeq: 314159 OPTIONS\\r\\n\\r\\n\"";
    // printf '\0\0\0\37a84b4c76e66710@pc33.atlanta.com\0\0\0\16314159 OPTIONS\0\0\0\20z9hG4bK776asdhds' | md5sum
    let hex: String = one(raw).trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "5ead5c206e4cdc96e78419f8652638e6");
}

/// The retry with credentials, and the one after a stale nonce, are in the trace of the first; a refresh is not.
#[test]
fn what_repeats_a_challenged_request_is_in_its_trace() {
    let records = calls(
        Config::default(),
        "0.0 alice -> registrar REGISTER
         0.1 alice <- registrar 401
         0.2 alice -> registrar REGISTER
         0.3 alice <- registrar 401
         0.4 alice -> registrar REGISTER
         0.5 alice <- registrar 200
       900.0 alice -> registrar REGISTER
       900.1 alice <- registrar 401
       961.0 alice -> registrar REGISTER
       961.1 alice <- registrar 200",
    );
    let [first, second, third, refresh, late] = &records[..] else { panic!("{records:#?}") };
    assert_eq!((first.follows(), second.follows(), third.follows()), (None, Some(first.span), Some(second.span)));
    assert!(second.trace_id == first.trace_id && third.trace_id == first.trace_id);
    assert!(refresh.trace_id != first.trace_id && refresh.follows().is_none());
    assert!(late.trace_id != refresh.trace_id && late.follows().is_none(), "a minute is no retry");
    let other = calls(
        Config::default(),
        "0.0 alice -> registrar REGISTER
         0.1 alice <- registrar 401
         0.2 alice -> bob MESSAGE
         0.3 alice <- bob 200",
    );
    assert!(other.iter().all(|record| record.follows().is_none()), "{other:#?}");
}

/// A phone with a wrong password asks for ever: its trace does not grow for ever.
#[test]
fn challenges_without_end_are_more_than_one_trace() {
    let ladder: String = (0..40)
        .map(|number| format!("{number}.0 alice -> registrar REGISTER\n{number}.5 alice <- registrar 401\n"))
        .collect();
    let records = calls(Config::default(), &ladder);
    let traces: std::collections::HashSet<[u8; 16]> = records.iter().map(|record| record.trace_id).collect();
    assert_eq!((records.len(), traces.len()), (40, 3));
}

#[test]
fn hops_are_counted_and_the_root_is_told() {
    let record = one("0.0 alice -> proxy OPTIONS
         0.1 proxy -> dave OPTIONS fwd
         0.2 dave -> bob OPTIONS fwd
         0.3 dave <- bob 200
         0.4 proxy <- dave 200 fwd
         0.5 alice <- proxy 200 fwd");
    let told = &record.transactions[0];
    assert_eq!((told.hops, told.end, told.hop), (2, Some(at(0.5)), false));
    assert_eq!((record.messages, record.ladder.len()), (6, 2));
}

#[test]
fn a_hop_above_that_turns_up_later_is_what_the_record_is_of() {
    let record = one("0.1 proxy -> bob OPTIONS via=proxy/z9hG4bKp,alice/z9hG4bKa ftag=a cseq=1
         0.2 alice -> proxy OPTIONS branch=z9hG4bKa ftag=a cseq=1
         0.4 proxy <- bob 503 via=proxy/z9hG4bKp,alice/z9hG4bKa cseq=1 tag=b
         0.5 alice <- proxy 503 cseq=1 tag=b");
    let told = &record.transactions[0];
    assert_eq!((&*told.branch, told.hops, told.start, told.end), ("z9hG4bKa", 1, at(0.1), Some(at(0.5))));
    assert_eq!(record.endpoint(told.source).address, ladder::endpoint::address("alice"));
    assert_eq!((record.messages, record.ladder.len(), record.start), (4, 2, at(0.1)));
}

#[test]
fn one_that_gets_no_final_leaves_when_it_is_given_up() {
    let mut player = Player::new(Config::default(), Labelled::No);
    for step in ladder::play("0.0 alice -> bob MESSAGE\n 31.9 alice -> bob crlf") {
        player.take(step.at, Some(step));
    }
    assert_eq!(player.left().len(), 0);
    player.take(std::time::Duration::from_secs(32), None);
    let [record] = player.left() else { panic!("{:#?}", player.left()) };
    assert_eq!((record.outcome, record.status, record.until), ("timeout", None, at(32.0)));
    assert!(record.transactions[0].timed_out && record.error().is_some());
}

#[test]
fn delays_of_requests_are_told() {
    let record = one("0.0 alice -> bob OPTIONS\n 0.5 alice <- bob 200");
    assert_eq!(record.measured, [(Measure::Options, std::time::Duration::from_millis(500))]);
    let record = one("0.0 alice -> registrar REGISTER\n 0.5 alice <- registrar 200");
    assert_eq!(record.measured.len(), 2);
}

#[test]
fn requests_that_live_in_dialogs_or_calls_make_no_record_of_their_own() {
    let records = calls(
        Config::default(),
        "0.0 alice -> bob INVITE
         1.0 alice <- bob 200
         2.0 alice -> bob OPTIONS ttag=- ftag=x cseq=9
         2.1 alice <- bob 200 of=OPTIONS
         3.0 alice -> bob BYE call=other ttag=x
         3.1 alice <- bob 481 call=other
         3.2 alice -> bob INFO call=another ttag=-
         3.3 alice -> bob NOTIFY call=more ttag=x
         3.4 alice -> bob ACK call=more
         3.5 alice -> bob CANCEL call=yet",
    );
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].transactions.len(), 2, "OPTIONS under the Call-ID of a call is part of it");
}

#[test]
fn nobody_who_wants_calls_alone_gets_requests() {
    let wanted = CallsWanted { requests: false, ..wanted() };
    let ladder = "0.0 alice -> bob OPTIONS\n 0.5 alice <- bob 503\n 1.0 alice -> bob INVITE call=c";
    assert_eq!(calls_for(wanted, Config::default(), ladder).len(), 1);
}

#[test]
fn a_flood_of_requests_turns_out_no_call() {
    let mut ladder = String::from("0.0 alice -> bob INVITE\n 0.1 alice <- bob 200\n");
    for number in 0..50 {
        ladder += &format!("1.{number:03} alice -> bob OPTIONS call=o{number}\n");
    }
    let records = calls(Config { max_calls: 10, ..Config::default() }, &ladder);
    assert_eq!(records.len(), 51);
    let call = records.iter().find(|record| record.subject == Subject::Call).expect("it is there");
    assert_eq!((call.outcome, call.sessions.len()), ("in_progress", 1));
}
