//! Records of whole calls: what `replay --calls` writes.

use std::time::Duration;

use call_records::{self, Numbers, Privacy, trace_id};
use pipeline::CallRecord;
use processor_dialog::Config;

use crate::expect;

fn plain() -> Config {
    with(Numbers::Plain)
}

fn with(numbers: Numbers) -> Config {
    let privacy = Privacy { numbers, key: "secret".to_owned(), ..Privacy::default() };
    Config { calls: call_records::Config { privacy, ..call_records::Config::default() }, ..Config::default() }
}

fn one(config: Config, ladder: &str) -> CallRecord {
    let mut calls = expect::calls(config, ladder);
    assert_eq!(calls.len(), 1, "{calls:?}");
    calls.remove(0)
}

#[test]
fn a_completed_call_tells_its_whole_story() {
    let call = one(
        plain(),
        "0.0 alice -> bob INVITE from=sip:+4912345@a to=sip:678@b
         0.1 alice <- bob 407
         0.2 alice -> bob ACK
         0.3 alice -> bob INVITE from=sip:+4912345@a to=sip:678@b
         0.8 alice <- bob 180
         2.8 alice <- bob 200
         2.9 alice -> bob ACK
        12.8 alice <- bob BYE
        12.9 alice -> bob 200
        13.4 alice -> bob 200 again",
    );
    assert_eq!((call.caller.as_deref(), call.callee.as_deref()), (Some("+4912345"), Some("678")));
    assert_eq!((call.outcome, call.status, call.end), ("answered", Some(200), Some("bye")));
    assert_eq!(call.setup, Some(Duration::from_millis(800)));
    assert_eq!(call.ring, Some(Duration::from_secs(2)));
    assert_eq!(call.duration, Some(Duration::from_secs(10)));
    assert_eq!(call.messages, 10);
    assert_eq!(&*call.call_id, "call-1");
    assert_eq!(call.trace_id, trace_id(b"call-1"));
}

#[test]
fn a_call_still_up_is_in_progress_and_one_that_ended_is_reported_once() {
    let up = one(plain(), "0.0 alice -> bob INVITE\n 1.0 alice <- bob 200");
    assert_eq!((up.outcome, up.end, up.duration), ("in_progress", None, None));
    let over = one(plain(), "0.0 alice -> bob INVITE\n 1.0 alice <- bob 486\n 99 alice -> bob crlf");
    assert_eq!((over.outcome, over.status), ("busy", Some(486)));
}

#[test]
fn a_challenged_or_redirected_call_waits_for_what_may_join() {
    let drained = |status| {
        let call = one(plain(), &format!("0.0 alice -> bob INVITE\n 1.0 alice <- bob {status}"));
        (call.outcome, call.status)
    };
    assert_eq!(drained(401), ("in_progress", None));
    // The attempt is decided; another may come.
    assert_eq!(drained(302), ("redirected", Some(302)));
    let call = one(
        plain(),
        "0.0 alice -> bob INVITE\n 1.0 alice <- bob 302\n 2 alice -> bob INVITE\n 3 alice <- bob 486\n 4 alice -> bob crlf",
    );
    assert_eq!((call.outcome, call.status), ("busy", Some(486)));
    let call = one(plain(), "0.0 alice -> bob INVITE\n 1.0 alice <- bob 401\n 100 alice -> bob crlf");
    assert_eq!(call.outcome, "challenge_abandoned");
}

#[test]
fn numbers_are_shown_as_privacy_allows() {
    let ladder = "0.0 alice -> bob INVITE from=sip:+49123456@a to=sip:98@b";
    let shown = |numbers| {
        let call = one(with(numbers), ladder);
        (call.caller.map(String::from), call.callee.map(String::from))
    };
    assert_eq!(shown(Numbers::Drop), (None, None));
    assert_eq!(shown(Numbers::Mask), (Some("+4912****".to_owned()), Some("98".to_owned())));
    let (caller, callee) = shown(Numbers::Hmac);
    // echo -n 49123456 | openssl dgst -sha256 -hmac secret
    assert_eq!(caller.as_deref(), Some("d96281a1bd656b90"));
    assert_ne!(callee, caller);
}

#[test]
fn a_trace_id_is_the_one_opensips_makes() {
    let id: String = trace_id(b"a84b4c76e66710@pc33.atlanta.com").iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(id, "8edcf78929868eaab3b3ca1a95c2415e");
}
