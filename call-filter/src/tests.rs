//! Filters over calls made by hand; what is refused, where; and any text at all.

use std::time::Duration;

use pipeline::CallRecord;
use pipeline::call::Subject;
use pipeline::call::ladder::{Endpoint, Rare, SpanId, Transaction};
use pipeline::frame::Transport;
use proptest::prelude::*;
use wire::{Tap, Timestamp};

use super::*;

/// A call to 491234 that a carrier refused with 503 after four seconds.
fn call() -> CallRecord {
    let start = Timestamp::from_nanos(1_767_225_600_000_000_000);
    let mut record = CallRecord::begun(Subject::Call, start);
    record.call_id = "a84b4c@pc33".into();
    (record.caller, record.callee) = (Some("alice".into()), Some("491234".into()));
    record.endpoints = ["192.0.2.1:5060", "198.51.100.7:5080"]
        .map(|address| Endpoint { address: address.parse().expect("an address") })
        .to_vec();
    record.destination = 1;
    (record.outcome, record.status) = ("ineffective", Some(503));
    record.setup = Some(Duration::from_secs(4));
    record.messages = 4;
    record.headers = vec!["X-Account-ID: 77\r\nSubject: x".into(), "".into()].into();
    record.transactions = vec![Transaction {
        span: SpanId([1; 8]),
        parent: SpanId([0; 8]),
        method: sip_method(),
        cseq: 1,
        branch: "z9hG4bK1".into(),
        source: 0,
        destination: 1,
        transport: Transport::Udp,
        tap: Tap::Recipient,
        hop: false,
        in_dialog: false,
        start,
        end: None,
        status: Some(503),
        reason: Some("Service Unavailable".into()),
        cancelled: false,
        timed_out: false,
        retransmissions: 0,
        hops: 0,
        below_remote: false,
        rare: Some(Box::new(Rare { trunks: [None, Some("east".into())], ..Rare::default() })),
    }];
    record
}

fn sip_method() -> sip::Method {
    sip::Method::Invite
}

fn wants(filter: &str) -> bool {
    let parsed = Filter::parse(filter).unwrap_or_else(|error| panic!("{}", error.pointed(filter)));
    parsed.wants(&View { record: &call(), carrier: "a", ua_type: "phone" })
}

#[test]
fn what_fits_is_wanted() {
    for filter in [
        "outcome == \"ineffective\" and carrier == \"a\" and setup > 3s and to ~ \"49.*\"",
        "outcome = ineffective",
        "OUTCOME == Ineffective",
        "status >= 500 and status < 600",
        "status == 503",
        "failed",
        "address == 198.51.100.0/24 && address == 192.0.2.1",
        "source == 192.0.2.1 and destination == 198.51.100.7:5080",
        "destination != 192.0.2.1",
        "method == invite and transport == udp",
        "reason ~ '.*Unavail.*'",
        "trunk == east",
        "header:x-account-id == 77",
        "header:X-Account-ID ~ '7+'",
        "start == 2026-01-01T00:00:00Z and start >= 2026-01-01 and start < '2026-01-01T00:00:01'",
        "setup >= 4s and setup <= 4000ms and not setup > 4s",
        "duration != 4s",
        "end != bye",
        "(carrier == b or ua_type == phone) and not live",
        "not (not (messages == 4))",
        "call_id ~ \".*@pc33\" or outcome == busy",
        "mos != 3",
        "trace_id == 00000000000000000000000000000000",
    ] {
        assert!(wants(filter), "{filter}");
    }
}

#[test]
fn what_does_not_fit_is_not() {
    for filter in [
        "outcome != ineffective",
        "to ~ 1234",
        "to == 1234",
        "address != 192.0.2.1",
        "destination == 192.0.2.1",
        "duration < 100h",
        "mos < 4",
        "header:subject == y",
        "header:via ~ '.*'",
        "carrier == a and carrier == b",
        "failed and live",
        "start > 2026-01-01",
        "reason !~ '.*Unavail.*'",
        "codec == PCMU or fault ~ '.*' or poor",
    ] {
        assert!(!wants(filter), "{filter}");
    }
}

#[test]
fn mistakes_are_shown_where_they_are() {
    for (filter, at, what) in [
        ("", 1, "the filter is empty"),
        ("outcom == busy", 1, "there is no field \"outcom\""),
        ("outcome busy", 9, "outcome is compared with nothing"),
        ("outcome ==", 11, "the value is missing"),
        ("outcome == busy carrier == a", 17, "the filter goes on"),
        ("(outcome == busy", 17, "the ( of character 1 is not closed"),
        ("outcome == busy)", 16, "nothing was opened that closes here"),
        ("outcome == busy and", 20, "a comparison is missing"),
        ("setup > 3", 9, "\"3\" is no duration"),
        ("setup ~ 3s", 7, "~ does not go with this field"),
        ("outcome > busy", 9, "> does not go with this field"),
        ("status == many", 11, "\"many\" is no number"),
        ("status == NaN", 11, "\"NaN\" is no number"),
        ("address == 300.0.0.1", 12, "\"300.0.0.1\" is no address or network"),
        ("start > yesterday", 9, "\"yesterday\" is no time"),
        ("to ~ \"49", 6, "the quote has no end"),
        ("to ~ \"(49\"", 6, "unclosed group"),
        ("failed == true", 8, "a flag is compared with nothing"),
        ("== busy", 1, "a comparison begins with a field"),
        ("outcome == busy; x", 16, "';' means nothing here"),
        ("header: == x", 1, "there is no field \"header:\""),
        ("to ~ \"(a{1000}){1000}\"", 6, "the expression is too large once compiled"),
    ] {
        let error = Filter::parse(filter).expect_err(filter);
        assert_eq!((error.at, error.what.as_str()), (at, what), "{filter}");
        assert!(!error.help.is_empty(), "{filter}");
    }
    let error = Filter::parse("outcome == busy and setup > 3").expect_err("a number without a unit");
    assert_eq!(
        error.pointed("outcome == busy and setup > 3"),
        "outcome == busy and setup > 3\n                            ^ \"3\" is no duration\nwrite it as in > 3s"
    );
}

#[test]
fn depth_and_length_are_bounded() {
    let deep = |levels: usize| format!("{}failed{}", "(".repeat(levels), ")".repeat(levels));
    assert!(Filter::parse(&deep(40)).is_ok());
    assert_eq!(Filter::parse(&deep(200)).expect_err("too deep").what, "parentheses stand too deep in each other");
    assert!(Filter::parse(&"not ".repeat(1000)).is_err());
    assert_eq!(Filter::parse(&" ".repeat(5000)).expect_err("too long").at, 4097);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_at_a_character_of_it(text in "[ a-z()!=~<>\"'0-9.:/&|\\\\-]{0,60}|\\PC{0,40}") {
        match Filter::parse(&text) {
            Ok(filter) => {
                let record = call();
                let view = View { record: &record, carrier: "a", ua_type: "" };
                let not = Filter::parse(&format!("not ({text})")).expect("it was one");
                prop_assert_ne!(filter.wants(&view), not.wants(&view));
            }
            Err(error) => {
                prop_assert!((1..=text.chars().count() + 1).contains(&error.at), "{error}");
                error.pointed(&text);
            }
        }
    }

    #[test]
    fn a_quoted_text_is_the_text(text in "\\PC{0,30}") {
        prop_assume!(!text.contains('\\'));
        let mut record = call();
        record.caller = Some(text.as_str().into());
        let filter = Filter::parse(&format!("from == \"{}\"", text.replace('"', "\\\""))).expect("a text");
        let view = View { record: &record, carrier: "", ua_type: "" };
        prop_assert!(filter.wants(&view));
    }
}

#[test]
fn every_field_is_told_of_with_an_example_that_is_right() {
    let told = include_str!("../../docs/calls.md");
    for field in FIELDS {
        let example = format!("{} {}", field.name, field.example);
        Filter::parse(&example).unwrap_or_else(|error| panic!("{}", error.pointed(&example)));
        assert!(told.contains(&format!("`{}`", field.name)), "docs/calls.md does not tell of {}", field.name);
        assert!(told.contains(example.trim()), "docs/calls.md has another example than {example:?}");
    }
}

/// What is known of a call before it is read tells only what it cannot be.
#[test]
fn a_call_of_which_little_is_known_is_wanted_unless_it_cannot_be() {
    let may = |filter: &str, between: &[(&str, &str)]| {
        let some = |user: &str| (user != "?").then(|| user.into());
        let between = between.iter().map(|(from, to)| [some(from), some(to)]).collect();
        Filter::parse(filter).expect("a filter").may_want(&crate::Parties { call_id: "id-1", between })
    };
    let one = [("alice", "bob1234")];
    for (filter, expected) in [
        ("to ~ \".*1234\"", true),
        ("to ~ \".*9\"", false),
        ("not to ~ \".*1234\"", false),
        ("to != bob", true),
        ("from == alice and outcome == busy", true),
        ("from == carol and outcome == busy", false),
        ("from == carol or outcome == busy", true),
        ("not (from == alice and outcome == busy)", true),
        ("call_id == id-1", true),
        ("call_id == id-2", false),
        ("setup > 3s", true),
    ] {
        assert_eq!(may(filter, &one), expected, "{filter}");
    }
    assert!(may("to == bob", &[("bob", "alice"), ("alice", "bob")]));
    assert!(may("to == bob", &[("alice", "?")]));
    assert!(!may("to == bob", &[]), "nobody was called");
}
