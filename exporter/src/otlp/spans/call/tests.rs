use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use pipeline::affinity::Steer;
use pipeline::call::ladder::{LadderForm, Owner, Rare, Session, SpanId, Trunks};
use pipeline::call::media::CallMedia;
use pipeline::call::{IN_PROGRESS, Offered, Related};
use pipeline::{CallRecord, Transport};
use sip::Method;
use wire::{Tap, Timestamp};

use super::super::attribute::{self, Kind};
use super::super::sample::{CALL, START, TRACE, at, call, heard, id, kept, message, request, transaction};
use super::super::values::transaction_id;
use super::*;

const LABELS: Labels<'_> = Labels { carrier: "telecom-alpha", ua_type: "yealink" };

fn encoded(record: CallRecord) -> EncodedCall {
    tell(&kept(record), LABELS)
}

/// What a transaction over these trunks has.
fn over(trunks: Trunks) -> Option<Box<Rare>> {
    Some(Box::new(Rare { trunks, ..Rare::default() }))
}

/// What a transaction has whose method nobody knows.
fn original(method: &str) -> Option<Box<Rare>> {
    Some(Box::new(Rare { method_original: Some(method.into()), ..Rare::default() }))
}

/// The span with this id.
fn span(encoded: &EncodedCall, id: SpanId) -> &Span {
    encoded.spans.iter().find(|span| span.span_id == id.0).expect("it is encoded")
}

/// Attributes as text, by name.
fn texts(attributes: &[KeyValue]) -> BTreeMap<&str, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::BoolValue(value) => value.to_string(),
        Value::IntValue(value) => value.to_string(),
        Value::DoubleValue(value) => format!("{value:?}"),
        other => panic!("{other:?}"),
    };
    let value = |one: &KeyValue| text(one.value.as_ref().and_then(|any| any.value.as_ref()).expect("a value"));
    attributes.iter().map(|one| (one.key.as_str(), value(one))).collect()
}

/// Exactly these attributes.
fn assert_attributes(attributes: &[KeyValue], expected: &[(&str, &str)]) {
    let encoded = texts(attributes);
    assert_eq!(encoded.len(), attributes.len(), "none twice");
    let expected: BTreeMap<&str, String> = expected.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    assert_eq!(encoded, expected);
}

fn is_error(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code == i32::from(StatusCode::Error) && status.message.is_empty())
}

#[test]
fn a_call_is_a_tree_of_spans_under_one_root() {
    let encoded = encoded(call());
    let tree: Vec<(&str, u8, u8)> = (encoded.spans.iter())
        .map(|span| (span.name.as_str(), span.span_id[0], span.parent_span_id.first().copied().unwrap_or(0)))
        .collect();
    let expected = [
        ("SIP call", 1, 0),
        ("INVITE", 2, 1),
        ("INVITE", 3, 1),
        ("INVITE", 4, 3),
        ("BYE", 5, 1),
        ("early media", 6, 3),
        ("ringing", 7, 3),
        ("session", 8, 1),
    ];
    assert_eq!(tree, expected);
    assert!(encoded.spans.iter().all(|span| span.trace_id == TRACE));
    assert!(encoded.logs.is_empty());
}

#[test]
fn transactions_are_server_or_client_spans_and_the_rest_is_internal() {
    let encoded = encoded(call());
    let kind = |number| span(&encoded, id(number)).kind();
    use SpanKind::{Client, Internal, Server};
    assert_eq!(
        [1, 2, 3, 4, 5, 6, 7, 8].map(kind),
        [Internal, Server, Server, Client, Client, Internal, Internal, Internal]
    );
}

#[test]
fn the_root_says_what_became_of_the_call() {
    let encoded = encoded(call());
    let root = span(&encoded, CALL);
    assert_attributes(
        &root.attributes,
        &[
            ("sip.call.outcome", "answered"),
            ("sip.call.end", "bye"),
            ("sip.call.disconnect_party", "callee"),
            ("sip.reason.protocol", "Q.850"),
            ("sip.reason.cause", "16"),
            ("sip.call.setup_delay", "0.4"),
            ("sip.call.ring_delay", "4.6"),
            ("sip.call.duration", "60.0"),
            ("sip.request.method", "INVITE"),
            ("sip.response.status_code", "200"),
            ("sip.dialog.id", "d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1"),
            ("sip.retransmission.count", "1"),
            ("carrier", "telecom-alpha"),
            ("ua_type", "yealink"),
            ("sip.call_id", "a84b4c76e66710@pc33.atlanta.com"),
            ("sip.transport", "udp"),
            ("network.transport", "udp"),
            ("network.protocol.name", "sip"),
            ("user_agent.original", "Yealink SIP-T46S"),
            ("client.address", "192.0.2.1"),
            ("client.port", "5060"),
            ("server.address", "biloxi.example"),
        ],
    );
    assert_eq!((root.start_time_unix_nano, root.end_time_unix_nano), (START.as_nanos(), at(65_100).as_nanos()));
    assert!(root.status.is_none() && root.events.is_empty());
}

#[test]
fn a_transaction_says_what_was_asked_and_answered_and_between_whom() {
    let encoded = encoded(call());
    assert_attributes(
        &span(&encoded, id(2)).attributes,
        &[
            ("sip.request.method", "INVITE"),
            ("sip.response.status_code", "407"),
            ("sip.response.reason", "Proxy Authentication Required"),
            ("sip.cseq", "1 INVITE"),
            ("sip.transaction.id", &transaction_id("a84b4c76e66710@pc33.atlanta.com", "1 INVITE", "z9hG4bK1")),
            ("sip.branch.id", "z9hG4bK1"),
            ("network.local.address", "192.0.2.2"),
            ("network.local.port", "5060"),
            ("network.peer.address", "192.0.2.1"),
            ("network.peer.port", "5060"),
            ("carrier", "telecom-alpha"),
            ("ua_type", "yealink"),
            ("sip.call_id", "a84b4c76e66710@pc33.atlanta.com"),
            ("sip.transport", "udp"),
            ("network.transport", "udp"),
            ("network.protocol.name", "sip"),
        ],
    );
    let bye = texts(&span(&encoded, id(5)).attributes);
    assert_eq!((bye["sip.in_dialog"].as_str(), bye["sip.cseq"].as_str()), ("true", "77 BYE"));
    assert_eq!(
        (bye["network.local.address"].as_str(), bye["network.peer.address"].as_str()),
        ("192.0.2.2", "192.0.2.1")
    );
    assert_eq!(texts(&span(&encoded, id(3)).attributes)["sip.retransmission.count"], "1");
}

#[test]
fn an_invite_names_the_carriers_at_its_ends() {
    let mut record = call();
    record.transactions[0].rare = over([Some("office".into()), Some("alpha".into())]);
    record.transactions[1].rare = over([None, Some("beta".into())]);
    let encoded = encoded(record);
    let [first, second, third] = [2, 3, 4].map(|number| {
        let attributes = texts(&span(&encoded, id(number)).attributes);
        ["sip.trunk.in", "sip.trunk.out"].map(|key| attributes.get(key).cloned())
    });
    assert_eq!(first, [Some("office".to_owned()), Some("alpha".to_owned())]);
    assert_eq!(second, [None, Some("beta".to_owned())]);
    assert_eq!(third, [None, None]);
}

#[test]
fn a_call_to_a_balanced_service_says_which_backend_took_it() {
    let of = |backend: Option<&str>, moved| {
        let steer = Steer { service: "sbc-core".into(), backend: backend.map(Into::into), moved };
        let encoded = encoded(CallRecord { steer: Some(Box::new(steer)), ..call() });
        let attributes = texts(&span(&encoded, id(1)).attributes);
        ["service", "backend", "moved"].map(|key| attributes.get(format!("sip.steer.{key}").as_str()).cloned())
    };
    assert_eq!(of(Some("sbc-0"), true), ["sbc-core", "sbc-0", "true"].map(|text| Some(text.to_owned())));
    assert_eq!(of(None, false), [Some("sbc-core".to_owned()), None, Some("false".to_owned())]);
}

/// The check value of what OpenSIPS makes of these three.
#[test]
fn the_id_of_a_transaction_is_that_of_opensips() {
    let id = transaction_id("a84b4c76e66710@pc33.atlanta.com", "314159 INVITE", "z9hG4bK776asdhds");
    assert_eq!(id, "f2a1aab1fcb89a8670b40a8a61d1b364");
}

#[test]
fn the_branch_that_was_answered_is_marked() {
    let encoded = encoded(call());
    assert_attributes(&span(&encoded, id(6)).attributes, &[("sip.fork.winner", "true")]);
    assert_attributes(&span(&encoded, id(7)).attributes, &[("sip.fork.winner", "false")]);
}

#[test]
fn a_session_says_which_dialog_it_is_and_how_it_ended() {
    let encoded = encoded(call());
    assert_attributes(
        &span(&encoded, id(8)).attributes,
        &[
            ("sip.dialog.id", "d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1"),
            ("sip.session.segment", "1"),
            ("sip.call.end", "bye"),
            ("sip.call.disconnect_party", "callee"),
        ],
    );
    assert!(span(&encoded, id(8)).links.is_empty());
}

#[test]
fn every_message_is_an_event_of_its_own_span_once() {
    let encoded = encoded(call());
    let count = |number| span(&encoded, id(number)).events.len();
    assert_eq!([1, 2, 3, 4, 5, 6, 7, 8].map(count), [0, 2, 2, 2, 2, 0, 0, 1]);
    let events = &span(&encoded, id(3)).events;
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["INVITE", "200"]);
    assert_eq!(events[0].time_unix_nano, at(200).as_nanos());
    assert_attributes(
        &events[0].attributes,
        &[
            ("sip.message.direction", "to_callee"),
            ("sip.message.size", "500"),
            ("sip.message.sdp", "true"),
            ("sip.retransmission.count", "1"),
        ],
    );
    assert_attributes(
        &events[1].attributes,
        &[("sip.response.status_code", "200"), ("sip.message.direction", "to_caller"), ("sip.message.size", "500")],
    );
    let ack = &span(&encoded, id(8)).events[0];
    assert_eq!(ack.name, "ACK");
    assert_attributes(
        &ack.attributes,
        &[
            ("sip.request.method", "ACK"),
            ("sip.cseq", "2 ACK"),
            ("sip.message.direction", "to_callee"),
            ("network.peer.address", "192.0.2.1"),
            ("network.peer.port", "5060"),
            ("sip.message.size", "500"),
        ],
    );
}

/// What its span says is not said again, but what differs is: the ACK of a failure, a response from somewhere else.
#[test]
fn an_event_says_what_its_span_does_not() {
    let mut record = call();
    let of_invite = |millis, method, status, ends| message(millis, method, status, ends, Owner::Transaction(0));
    record.ladder = vec![
        pipeline::call::ladder::Message { cseq: 1, ..of_invite(100, Method::Invite, Some(407), (2, 0)) },
        pipeline::call::ladder::Message { cseq: 1, ..of_invite(110, Method::Ack, None, (0, 1)) },
    ];
    let encoded = encoded(record);
    let [response, ack] = &span(&encoded, id(2)).events[..] else { panic!("two events") };
    let response = texts(&response.attributes);
    assert_eq!((response.get("sip.cseq"), response["network.peer.address"].as_str()), (None, "192.0.2.3"));
    assert_eq!(ack.name, "ACK");
    let ack = texts(&ack.attributes);
    assert_eq!((ack["sip.cseq"].as_str(), ack.get("network.peer.address")), ("1 ACK", None));
}

/// On a mirror port there is no "here": both ends are named by what they did.
#[test]
fn where_neither_end_is_this_host_both_are_named() {
    let mut record = call();
    record.transactions.iter_mut().for_each(|transaction| transaction.tap = Tap::Between);
    let encoded = encoded(record);
    let attributes = texts(&span(&encoded, id(5)).attributes);
    let ends = ["source.address", "source.port", "destination.address", "destination.port"];
    assert_eq!(ends.map(|key| attributes[key].as_str()), ["192.0.2.2", "5060", "192.0.2.1", "5060"]);
    assert!(!attributes.keys().any(|key| key.starts_with("network.local") || key.starts_with("network.peer")));
    assert_eq!(span(&encoded, id(5)).kind(), SpanKind::Server);
    let ack = texts(&span(&encoded, id(8)).events[0].attributes);
    assert_eq!((ack["source.address"].as_str(), ack["destination.address"].as_str()), ("192.0.2.1", "192.0.2.2"));
}

#[test]
fn the_carrier_at_the_other_end_is_the_peer_of_every_transaction() {
    let mut record = call();
    record.transactions[1].rare = over([Some("office".into()), None]);
    record.transactions[2].rare = over([None, Some("beta".into())]);
    let encoded = encoded(record);
    let peer = |number| {
        let attributes = texts(&span(&encoded, id(number)).attributes);
        ["peer.service", "service.peer.name"].map(|key| attributes.get(key).cloned())
    };
    let both = |name: &str| [Some(name.to_owned()), Some(name.to_owned())];
    assert_eq!([2, 3, 4].map(peer), [both("office"), both("office"), both("beta")]);
    assert_eq!(peer(5), both("office"), "the BYE went to the caller");
}

#[test]
fn a_method_nobody_knows_is_told_as_other_and_as_it_was_sent() {
    let mut record = call();
    let strange = &mut record.transactions[3];
    (strange.method, strange.rare) = (Method::Other, original("BREW"));
    let encoded = encoded(record);
    let strange = span(&encoded, id(5));
    let attributes = texts(&strange.attributes);
    assert_eq!((strange.name.as_str(), attributes["sip.request.method"].as_str()), ("_OTHER", "_OTHER"));
    assert_eq!(attributes["sip.request.method_original"], "BREW");
}

#[test]
fn a_cause_says_whose_number_it_is() {
    let of = |q850, sip_cause| {
        let encoded = encoded(CallRecord { hangup_cause: q850, sip_cause, ..call() });
        let attributes = texts(&span(&encoded, CALL).attributes);
        ["sip.reason.protocol", "sip.reason.cause"].map(|key| attributes.get(key).cloned())
    };
    assert_eq!(of(Some(17), Some(486)), ["Q.850", "17"].map(|text| Some(text.to_owned())));
    assert_eq!(of(None, Some(486)), ["SIP", "486"].map(|text| Some(text.to_owned())));
    assert_eq!(of(None, None), [None, None]);
}

#[test]
fn a_retry_with_credentials_links_to_what_was_challenged() {
    let links = &span(
        &encoded(CallRecord { related: Some(Box::new(Related { parent: None, follows: Some(id(7)) })), ..request() }),
        CALL,
    )
    .links
    .clone();
    let [link] = &links[..] else { panic!("one link: {links:?}") };
    assert_eq!((&link.trace_id[..], &link.span_id[..]), (&TRACE[..], &[7; 8][..]));
    assert!(span(&encoded(request()), CALL).links.is_empty());
}

/// The one end that call objects name by a status is a word among words here.
#[test]
fn an_end_is_always_a_word() {
    let mut record = CallRecord { end: Some("481"), ..call() };
    record.sessions[0].ended = Some("481");
    let encoded = encoded(record);
    let end = |number| texts(&span(&encoded, id(number)).attributes)["sip.call.end"].clone();
    assert_eq!([end(1), end(8)], ["dialog_gone", "dialog_gone"]);
}

/// Whole and fraction added up would be 1.5033067020000002.
#[test]
fn delays_have_the_digits_that_were_measured() {
    let record = CallRecord { duration: Some(Duration::from_nanos(1_503_306_702)), ..call() };
    assert_eq!(texts(&span(&encoded(record), CALL).attributes)["sip.call.duration"], "1.503306702");
}

#[test]
fn what_is_an_error_is_marked_and_says_which() {
    let mut record = call();
    (record.outcome, record.status, record.end) = ("ineffective", Some(503), None);
    (record.transactions[1].status, record.transactions[1].reason) = (Some(503), Some("Busy here".into()));
    (record.transactions[2].status, record.transactions[2].timed_out) = (None, true);
    let encoded = encoded(record);
    let error = |number| {
        (is_error(span(&encoded, id(number))), texts(&span(&encoded, id(number)).attributes).remove("error.type"))
    };
    assert_eq!(error(1), (true, Some("503".to_owned())));
    assert_eq!(error(2), (false, None), "a challenge is none");
    assert_eq!(error(3), (true, Some("503".to_owned())));
    assert_eq!(error(4), (true, Some("timeout".to_owned())));
    assert_eq!(texts(&span(&encoded, CALL).attributes)["sip.response.reason"], "Busy here");
}

#[test]
fn messages_may_be_spans_of_their_own() {
    let encoded = encoded(CallRecord { ladder_form: LadderForm::Spans, ..call() });
    assert!(encoded.spans.iter().all(|span| span.events.is_empty()));
    let messages = &encoded.spans[8..];
    let names: Vec<&str> = messages.iter().map(|span| span.name.as_str()).collect();
    let expected = [
        "INVITE request",
        "INVITE 407",
        "INVITE request",
        "INVITE request",
        "INVITE 200",
        "INVITE 200",
        "ACK request",
        "BYE request",
        "BYE 200",
    ];
    assert_eq!(names, expected);
    let parents: Vec<u8> = messages.iter().map(|span| span.parent_span_id[0]).collect();
    assert_eq!(parents, [2, 2, 3, 4, 4, 3, 8, 5, 5]);
    assert!(messages.iter().all(|span| span.start_time_unix_nano == span.end_time_unix_nano));
    assert!(messages.iter().all(|span| span.kind() == SpanKind::Internal && span.status.is_none()));
    let ids: BTreeSet<&[u8]> = encoded.spans.iter().map(|span| span.span_id.as_slice()).collect();
    assert_eq!(ids.len(), encoded.spans.len());
}

#[test]
fn messages_may_be_log_records_with_the_ids_of_their_spans() {
    let encoded = encoded(CallRecord { ladder_form: LadderForm::Logs, ..call() });
    assert_eq!((encoded.spans.len(), encoded.logs.len()), (8, 9));
    assert!(encoded.spans.iter().all(|span| span.events.is_empty()));
    let owners: Vec<u8> = encoded.logs.iter().map(|log| log.span_id[0]).collect();
    assert_eq!(owners, [2, 2, 3, 4, 4, 3, 8, 5, 5]);
    let first = &encoded.logs[0];
    assert_eq!((first.event_name.as_str(), first.trace_id.as_slice()), ("sip.message", &TRACE[..]));
    assert_eq!((first.time_unix_nano, first.severity_number), (START.as_nanos(), 9));
    assert_eq!(texts(&first.attributes)["sip.request.method"], "INVITE");
    assert_eq!(first.severity_text, "INFO");
    let bodies: Vec<&str> = encoded.logs.iter().map(body).collect();
    assert_eq!(
        bodies[..4],
        [
            "INVITE  192.0.2.1:5060 > 192.0.2.2:5060",
            "407 Proxy Authentication Required  192.0.2.2:5060 > 192.0.2.1:5060",
            "INVITE  192.0.2.1:5060 > 192.0.2.2:5060",
            "INVITE  192.0.2.2:5060 > 192.0.2.3:5060",
        ]
    );
    assert!(bodies[4].starts_with("200 OK  ") && bodies[6].starts_with("ACK  "), "{bodies:?}");
}

/// What a log viewer shows of a record.
fn body(log: &opentelemetry_proto::tonic::logs::v1::LogRecord) -> &str {
    let Some(Value::StringValue(text)) = log.body.as_ref().and_then(|body| body.value.as_ref()) else {
        panic!("{log:?}")
    };
    text
}

#[test]
fn without_a_ladder_no_message_is_shown() {
    let encoded = encoded(CallRecord { ladder_form: LadderForm::Off, ..call() });
    assert_eq!(encoded.spans.len(), 8);
    assert!(encoded.logs.is_empty() && encoded.spans.iter().all(|span| span.events.is_empty()));
}

#[test]
fn messages_beyond_the_bound_are_told_as_a_number() {
    assert_eq!(span(&encoded(CallRecord { ladder_cut: 7, ..call() }), CALL).dropped_events_count, 7);
}

/// The set-up of a call that goes on, then the rest of it.
fn pieces() -> [CallRecord; 2] {
    let whole = call();
    let mut first = CallRecord { last: false, outcome: "answered", end: None, duration: None, ..whole.clone() };
    first.transactions.truncate(3);
    first.sessions.clear();
    first.ladder.truncate(6);
    let mut second = CallRecord { piece: 2, ..whole };
    second.transactions.drain(..3);
    second.ringing.clear();
    second.ladder.drain(..6);
    for message in &mut second.ladder[1..] {
        message.owner = Owner::Transaction(0);
    }
    [first, second]
}

#[test]
fn the_root_leaves_with_the_last_piece_and_nothing_leaves_twice() {
    let [first, second] = pieces().map(encoded);
    let ids = |encoded: &EncodedCall| encoded.spans.iter().map(|span| span.span_id[0]).collect::<Vec<u8>>();
    assert_eq!(ids(&first), [2, 3, 4, 6, 7]);
    assert_eq!(ids(&second), [1, 5, 8]);
    assert_eq!(second.spans[0].start_time_unix_nano, START.as_nanos());
}

#[test]
fn a_message_without_a_span_waits_for_no_root() {
    let [mut first, mut second] = pieces();
    let late = message(4995, Method::Invite, Some(180), (1, 0), Owner::Call);
    first.ladder.push(late);
    second.ladder.push(late);
    let (first, second) = (encoded(first), encoded(second));
    let stray = first.spans.last().expect("it is encoded");
    assert_eq!((stray.name.as_str(), stray.parent_span_id.as_slice()), ("INVITE 180", &CALL.0[..]));
    assert_eq!(span(&second, CALL).events.len(), 1, "where the root leaves, it is an event of it");
}

#[test]
fn a_segment_links_to_the_one_before() {
    let mut record = call();
    let before = record.sessions[0].clone();
    record.sessions = vec![Session { previous: Some(id(0x20)), segment: 2, ..before }];
    let encoded = encoded(record);
    let session = span(&encoded, id(8));
    let link = &session.links[0];
    assert_eq!((link.trace_id.as_slice(), link.span_id.as_slice()), (&TRACE[..], &id(0x20).0[..]));
    assert_eq!(texts(&session.attributes)["sip.session.segment"], "2");
}

#[test]
fn what_is_open_when_the_program_ends_ends_there_and_says_so() {
    let mut record = CallRecord { outcome: IN_PROGRESS, end: None, duration: None, until: at(9000), ..call() };
    record.transactions.truncate(3);
    record.ladder.truncate(7);
    record.sessions[0].end = None;
    record.sessions[0].ended = None;
    let encoded = encoded(record);
    for number in [1, 8] {
        let span = span(&encoded, id(number));
        assert_eq!(span.end_time_unix_nano, at(9000).as_nanos());
        assert_eq!(texts(&span.attributes)["sip.call.outcome"], "in_progress");
        assert!(!is_error(span));
    }
    assert!(!texts(&span(&encoded, id(3)).attributes).contains_key("sip.call.outcome"), "it was over");
}

#[test]
fn no_span_ends_before_it_starts() {
    let mut record = call();
    record.until = Timestamp::ZERO;
    record.transactions[0].end = Some(Timestamp::ZERO);
    record.transactions[1].end = None;
    record.ringing[0].end = Some(Timestamp::ZERO);
    record.sessions[0].end = None;
    for form in [LadderForm::Events, LadderForm::Spans] {
        let encoded = encoded(CallRecord { ladder_form: form, ..record.clone() });
        assert!(encoded.spans.iter().all(|span| span.start_time_unix_nano <= span.end_time_unix_nano));
    }
}

#[test]
fn a_single_request_is_one_span() {
    let encoded = encoded(request());
    let [span] = &encoded.spans[..] else { panic!("{} spans", encoded.spans.len()) };
    assert_eq!((span.name.as_str(), span.kind()), ("REGISTER", SpanKind::Server));
    assert!(span.parent_span_id.is_empty() && is_error(span));
    assert_eq!(span.events.len(), 2);
    let attributes = texts(&span.attributes);
    for (key, value) in [
        ("sip.hops", "2"),
        ("error.type", "503"),
        ("sip.response.reason", "Service Unavailable"),
        ("client.address", "192.0.2.1"),
        ("user_agent.original", "Yealink SIP-T46S"),
        ("carrier", "telecom-alpha"),
    ] {
        assert_eq!(attributes[key], value, "{key}");
    }
    assert!(!attributes.contains_key("sip.call.outcome"));
}

#[test]
fn a_request_uri_without_host_leaves_the_address_it_went_to() {
    let encoded = encoded(CallRecord { server: None, ..call() });
    let root = texts(&span(&encoded, CALL).attributes);
    assert_eq!((root["server.address"].as_str(), root["server.port"].as_str()), ("192.0.2.2", "5060"));
    let encoded = self::encoded(CallRecord { server: Some(("sbc.example".into(), Some(5080))), ..call() });
    assert_eq!(texts(&span(&encoded, CALL).attributes)["server.port"], "5080");
}

#[test]
fn numbers_are_told_only_where_the_record_has_them() {
    let encoded =
        encoded(CallRecord { caller: Some("1555*******".into()), callee: Some("1666*******".into()), ..call() });
    let root = texts(&span(&encoded, CALL).attributes);
    assert_eq!((root["sip.from.user"].as_str(), root["sip.to.user"].as_str()), ("1555*******", "1666*******"));
}

#[test]
fn a_trace_that_a_trusted_carrier_offers_is_joined() {
    let trusted = Arc::from(["telecom-alpha".into()].as_slice());
    let offered = Offered { trace_id: [0xcd; 16], parent: id(0x99), trusted };
    let record = CallRecord { offered: Some(Box::new(offered)), ..call() };
    let joined = encoded(record.clone());
    assert!(joined.spans.iter().all(|span| span.trace_id == [0xcd; 16]));
    let root = span(&joined, CALL);
    assert_eq!((root.parent_span_id.as_slice(), root.flags), (&id(0x99).0[..], 0x301));
    assert_eq!(span(&joined, id(2)).flags, 0x101);
    let stranger = tell(&kept(record), Labels { carrier: "other", ua_type: "other" });
    assert!(stranger.spans.iter().all(|span| span.trace_id == TRACE && span.flags == 0x103));
    assert!(span(&stranger, CALL).parent_span_id.is_empty());
}

#[test]
fn chance_is_written_into_tracestate() {
    for (threshold, expected) in [
        (None, ""),
        (Some(0), "ot=th:0"),
        (Some(1 << 55), "ot=th:8"),
        (Some(0xe6_6666_6666_6666), "ot=th:e6666666666666"),
        (Some(0x00_8000_0000_0000), "ot=th:008"),
    ] {
        let encoded = tell(&Call { record: Arc::new(call()), threshold }, LABELS);
        assert!(encoded.spans.iter().all(|span| span.trace_state == expected), "{expected}");
    }
}

#[test]
fn encrypted_and_web_transports_are_tcp_below() {
    let mut record = call();
    record.transactions[0].transport = Transport::Wss;
    assert_eq!(texts(&span(&encoded(record), id(2)).attributes)["network.transport"], "tcp");
}

#[test]
fn what_was_heard_is_on_the_session_with_what_happened_when() {
    let record = CallRecord { media: Some(Box::new(heard())), ..call() };
    let encoded = encoded(record);
    let session = encoded.spans.iter().find(|span| span.name == "session").expect("a session");
    let number = |key: &str| session.attributes.iter().find(|one| one.key == key).and_then(|one| one.value.clone());
    let value = |key: &str| number(key).and_then(|any| any.value);
    assert_eq!(value("sip.media.caller.packets"), Some(Value::IntValue(500)));
    assert_eq!(value("sip.media.caller.loss_ratio"), Some(Value::DoubleValue(20.0 / 520.0)));
    assert_eq!(value("sip.media.rtt"), Some(Value::DoubleValue(0.13)));
    assert_eq!(value("sip.media.faults"), Some(Value::StringValue("one_way".to_owned())));
    let media = session.events.iter().filter(|event| event.name.starts_with("sip.media"));
    let events: Vec<_> = media.map(|event| (event.name.as_str(), event.time_unix_nano / 1_000_000 % 100_000)).collect();
    let millis = |millis: u64| at(millis).as_nanos() / 1_000_000 % 100_000;
    assert_eq!(
        events,
        [
            ("sip.media.start", millis(6000)),
            ("sip.media.start", millis(6000)),
            ("sip.media.fault", millis(10_000)),
            ("sip.media.quality", millis(16_000)),
            ("sip.media.quality", millis(36_000)),
        ]
    );
    let first = CallRecord { last: false, media: Some(Box::new(heard())), ..call() };
    let encoded = self::encoded(first);
    assert!(encoded.spans.iter().all(|span| span.events.iter().all(|event| !event.name.starts_with("sip.media"))));
}

#[test]
fn a_report_of_a_telephone_is_a_span_below_its_call_or_alone_in_its_trace() {
    let record = CallRecord { media: Some(Box::new(heard())), ..call() };
    let encoded = encoded(record);
    let report = encoded.spans.iter().find(|span| span.name == "voice quality report").expect("a report");
    assert_eq!((&report.trace_id[..], &report.parent_span_id[..]), (&TRACE[..], &CALL.0[..]));
    assert_eq!(
        (report.start_time_unix_nano, report.end_time_unix_nano),
        (at(70_000).as_nanos(), at(70_000).as_nanos())
    );
    let value = |key: &str| {
        let one = report.attributes.iter().find(|one| one.key == key).and_then(|one| one.value.clone());
        one.and_then(|any| any.value)
    };
    assert_eq!(value("sip.media.report.kind"), Some(Value::StringValue("session".to_owned())));
    assert_eq!(value("sip.media.report.local.mos_lq"), Some(Value::DoubleValue(4.2)));
    assert_eq!(value("sip.media.report.remote.mos_cq"), Some(Value::DoubleValue(3.0)));
    assert_eq!(value("sip.media.report.local.loss_ratio"), Some(Value::DoubleValue(0.05)));
    assert_eq!(value("sip.media.report.local.rtt"), Some(Value::DoubleValue(0.18)));
    let mut ids: Vec<&[u8]> = encoded.spans.iter().map(|span| &span.span_id[..]).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), encoded.spans.len(), "no span has the id of another");

    let late = CallRecord {
        trace_id: TRACE,
        span: id(9),
        media: Some(Box::new(CallMedia { reports: heard().reports, ..CallMedia::default() })),
        ..CallRecord::begun(Subject::Report, at(70_000))
    };
    assert_eq!(late.spans(), 1);
    let encoded = self::encoded(late);
    let [report] = &encoded.spans[..] else { panic!("one span: {encoded:?}") };
    assert_eq!((&report.trace_id[..], &report.span_id[..], report.parent_span_id.len()), (&TRACE[..], &[9; 8][..], 0));
}

/// Each attribute stands in the table for the kind of span or message it is on, with its type.
#[test]
fn nothing_is_said_that_is_not_in_the_table() {
    let mut full = call();
    (full.caller, full.callee) = (Some("1".into()), Some("2".into()));
    full.server = Some(("sbc.example".into(), Some(5060)));
    (full.status, full.outcome) = (Some(503), "ineffective");
    full.transactions[1].status = Some(503);
    full.transactions[1].reason = Some("No".into());
    full.transactions[1].rare = over([Some("alpha".into()), Some("beta".into())]);
    full.media = Some(Box::new(heard()));
    full.steer = Some(Box::new(Steer { service: "sbc".into(), backend: Some("sbc-0".into()), moved: true }));
    let mut open = call();
    open.transactions[0].end = None;
    open.ringing[0].end = None;
    open.sessions[0].end = None;
    let mut said = BTreeSet::new();
    let mut mirrored = call();
    mirrored.transactions.iter_mut().for_each(|transaction| transaction.tap = Tap::Between);
    mirrored.transactions[3].rare = original("BREW");
    for record in [full, open, mirrored, request()] {
        let single = record.subject == Subject::Request;
        for span in encoded(record).spans {
            let on = match span.name.as_str() {
                "SIP call" => 'r',
                "ringing" | "early media" => 'e',
                "session" => 's',
                "voice quality report" => 'q',
                _ => 't',
            };
            let spans = span.attributes.iter().map(|one| (on, one));
            let of = |event: &opentelemetry_proto::tonic::trace::v1::span::Event| {
                if event.name.starts_with("sip.media.") { 'v' } else { 'm' }
            };
            let events = span.events.iter().flat_map(|event| event.attributes.iter().map(move |one| (of(event), one)));
            for (on, one) in spans.chain(events) {
                let known = attribute::ALL.iter().find(|known| known.key == one.key).expect("it is in the table");
                assert!(known.on.contains(on) || (single && known.on.contains('r')), "{} on {on}", one.key);
                let kind = match one.value.as_ref().and_then(|any| any.value.as_ref()) {
                    Some(Value::StringValue(_)) => Kind::String,
                    Some(Value::IntValue(_)) => Kind::Int,
                    Some(Value::DoubleValue(_)) => Kind::Double,
                    Some(Value::BoolValue(_)) => Kind::Boolean,
                    other => panic!("{other:?}"),
                };
                assert_eq!(kind, known.kind, "{}", one.key);
                said.insert((on, known.key));
            }
        }
    }
    for known in attribute::ALL {
        for on in known.on.chars() {
            assert!(said.contains(&(on, known.key)), "nothing says {} on {on}", known.key);
        }
    }
}

#[test]
fn a_method_that_is_not_known_has_one_name() {
    let mut record = call();
    record.transactions.push(transaction(id(9), Method::Other, 5, 6000));
    assert_eq!(span(&encoded(record), id(9)).name, "_OTHER");
}
