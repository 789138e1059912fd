//! Ids of traces and spans, and where the trace of a call is from.

use std::collections::HashSet;

use call_records::{self, SpanIds, TraceId, TraceSource, trace_id};
use pipeline::call::ladder::SpanId;
use pipeline::call::{Subject, Trace};
use pipeline::{CallRecord, CallsWanted};
use processor_dialog::Config;
use wire::Tap;

use crate::expect::{Labelled, Player, call, call_with, calls, calls_for, wanted};
use crate::recorded::all;

const CALL: &str = "
     0.0 alice -> proxy INVITE
     0.1 proxy -> bob INVITE fwd
     0.5 proxy <- bob 180
     0.6 alice <- proxy 180 fwd
     2.0 proxy <- bob 200
     2.1 alice <- proxy 200 fwd
     2.2 alice -> bob ACK
     9.0 alice -> bob BYE
     9.1 alice <- bob 200";

fn from(from: &[TraceSource], trusted: &[&str]) -> Config {
    let trusted_carriers = trusted.iter().map(|name| (*name).to_owned()).collect();
    let trace_id = TraceId { from: from.to_vec(), trusted_carriers, ..TraceId::default() };
    Config { calls: call_records::Config { trace_id, ..call_records::Config::default() }, ..Config::default() }
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What `printf` and `md5sum` make of the same parts.
fn hashed(parts: &[&str]) -> String {
    use md5::{Digest, Md5};
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend((part.len() as u32).to_be_bytes());
        bytes.extend(part.as_bytes());
    }
    hex(&Md5::digest(bytes))
}

fn spans(wanted: CallsWanted, config: Config, ladder: &str) -> Vec<SpanId> {
    let records = calls_for(wanted, config, ladder);
    records.iter().flat_map(|record| all(record).into_iter().map(|span| span.id).chain([record.span])).collect()
}

#[test]
fn spans_are_named_by_instance_call_role_and_what_they_are_of() {
    let record = call(CALL);
    assert_eq!(record.trace_id, trace_id(b"call-1"));
    let expected = |role: &str, cseq: &str, what: &str| hashed(&["tests", "call-1", role, cseq, what])[..16].to_owned();
    assert_eq!(hex(&record.span.0), expected("call", "1 INVITE", "z9hG4bK1.1"));
    assert_eq!(hex(&record.transactions[0].span.0), expected("txn", "1 INVITE", "z9hG4bK1.1"));
    assert_eq!(hex(&record.transactions[1].span.0), expected("txn", "1 INVITE", "z9hG4bK1.2"));
    assert_eq!(hex(&record.ringing[0].span.0), expected("ringing", "1 INVITE", "bob-tag"));
    assert_eq!(hex(&record.sessions[0].span.0), expected("session", "1 INVITE", "bob-tag"));
    assert_eq!(hex(&record.sessions[0].dialog_id), hashed(&["call-1", "alice-tag", "bob-tag"]));
    let early = call("0.0 alice -> bob INVITE\n 0.5 alice <- bob 180\n 0.6 alice <- bob 183 sdp");
    assert_eq!(hex(&early.ringing[0].span.0), expected("early", "1 INVITE", "bob-tag"));
}

#[test]
fn cseq_goes_into_the_hash_as_it_was_sent() {
    let text = "0.0 alice -> bob raw=\"INVITE sip:b@h SIP/2.0\\r\\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\\r\\n\
                From: <sip:a@h>;tag=a\\r\\nTo: <sip:b@h>\\r\\nCall-ID: c\\r\\nCSeq:  007  INVITE \\r\\n\\r\\n\"";
    assert_eq!(hex(&call(text).span.0), hashed(&["tests", "c", "call", "007  INVITE", "z9hG4bKx"])[..16]);
}

#[test]
fn the_same_call_has_the_same_ids_again_and_no_two_spans_share_one() {
    let once = spans(wanted(), Config::default(), CALL);
    assert_eq!(once, spans(wanted(), Config::default(), CALL));
    assert_eq!(once.iter().collect::<HashSet<_>>().len(), once.len());
}

#[test]
fn another_instance_has_the_same_trace_and_no_span_in_common() {
    let other = CallsWanted { instance: "other".into(), ..wanted() };
    let (mine, theirs) = (spans(wanted(), Config::default(), CALL), spans(other.clone(), Config::default(), CALL));
    assert!(mine.iter().all(|span| !theirs.contains(span)));
    assert_eq!(calls_for(other, Config::default(), CALL)[0].trace_id, call(CALL).trace_id);
}

#[test]
fn the_two_sides_of_a_proxy_are_one_trace() {
    let side = |keep: &str| CALL.lines().filter(|line| line.contains(keep)).collect::<Vec<_>>().join("\n");
    // What goes through both is forwarded from what came in, so all is played and half of it seen.
    let (upper, lower) = (
        side("alice"),
        "
         0.1 proxy -> bob INVITE via=proxy/z9hG4bK1.2,alice/z9hG4bK1.1 ftag=alice-tag cseq=1
         2.0 proxy <- bob 200 via=proxy/z9hG4bK1.2,alice/z9hG4bK1.1 cseq=1"
            .to_owned(),
    );
    let upper = upper.replace(" fwd", " tag=bob-tag");
    let ingress = calls_for(CallsWanted { instance: "in".into(), ..wanted() }, Config::default(), &upper);
    let egress = calls_for(CallsWanted { instance: "out".into(), ..wanted() }, Config::default(), &lower);
    assert_eq!(ingress[0].trace_id, egress[0].trace_id);
    assert_ne!(ingress[0].span, egress[0].span);
}

#[test]
fn an_opensips_finds_its_parents_here() {
    let calls = call_records::Config { span_ids: SpanIds::Opensips, ..call_records::Config::default() };
    let record = call_with(Config { calls, ..Config::default() }, CALL);
    let parent = |cseq: &str, branch: &str| hashed(&["call-1", cseq, branch])[..16].to_owned();
    assert_eq!(hex(&record.transactions[0].span.0), parent("1 INVITE", "z9hG4bK1.1"));
    assert_eq!(hex(&record.transactions[1].span.0), parent("1 INVITE", "z9hG4bK1.2"));
    assert_eq!(record.transactions[2].method, sip::Method::Bye);
    assert_eq!(hex(&record.transactions[2].span.0), parent("2 BYE", &record.transactions[2].branch));
    assert_eq!(hex(&record.span.0), hashed(&["tests", "call-1", "call", "1 INVITE", "z9hG4bK1.1"])[..16], "its own");
}

#[test]
fn senders_without_branches_have_spans_of_their_own() {
    let text = "0.0 alice -> bob INVITE branch=- ftag=a cseq=1
                0.1 alice -> carol INVITE branch=- ftag=b cseq=1
                0.2 alice -> dave INVITE branch=- ftag=c cseq=1";
    let ids = spans(wanted(), Config::default(), text);
    assert_eq!(ids.len(), 4);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
}

#[test]
fn a_new_invite_after_the_record_left_begins_another_of_the_same_trace() {
    let records = calls(
        Config::default(),
        "0.0 alice -> bob INVITE
         1.0 alice <- bob 486
         9.0 alice -> bob INVITE
         9.5 alice <- bob 480",
    );
    assert_eq!(records.iter().map(|record| record.outcome).collect::<Vec<_>>(), ["busy", "no_answer"]);
    assert_eq!(records[0].trace_id, records[1].trace_id);
    assert_ne!(records[0].span, records[1].span);
}

#[test]
fn the_first_source_of_the_list_that_is_there_makes_the_trace() {
    use TraceSource::{CallId, SessionId, Traceparent};
    let uuid = "ab30317f1a784dc48ff824d0d3715d86";
    let with = |value: &str| format!("0.0 alice -> bob INVITE hdr=\"Session-ID: {value}\"");
    let trace = |config: Config, ladder: &str| hex(&call_with(config, ladder).trace_id);
    let of_call_id = hashed(&["call-1"]);
    assert_eq!(trace(from(&[SessionId, CallId], &[]), &with(&format!("{uuid};remote=00"))), uuid);
    assert_eq!(trace(from(&[CallId, SessionId], &[]), &with(uuid)), of_call_id);
    assert_eq!(trace(from(&[Traceparent, SessionId], &[]), &with(uuid)), uuid);
    for not_one in [&"0".repeat(32), &uuid.to_uppercase(), &uuid[1..], "x"] {
        assert_eq!(trace(from(&[SessionId], &[]), &with(not_one)), of_call_id, "{not_one}");
    }
}

#[test]
fn an_offered_context_is_adopted_of_trusted_carriers_alone() {
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    for name in ["traceparent", "X-Traceparent"] {
        let ladder = format!("0.0 alice -> bob INVITE hdr=\"{name}: 00-{trace}-{parent}-01\"");
        let record = call_with(from(&[TraceSource::Traceparent, TraceSource::CallId], &["good"]), &ladder);
        let adopted = record.trace("good");
        assert_eq!((hex(&adopted.id), adopted.parent.map(|span| hex(&span.0))), (trace.into(), Some(parent.into())));
        assert_eq!(record.trace("evil"), Trace { id: trace_id(b"call-1"), parent: None });
        // Nobody asked for it, nobody is trusted, or something else comes first.
        for config in [
            Config::default(),
            from(&[TraceSource::Traceparent], &[]),
            from(&[TraceSource::CallId, TraceSource::Traceparent], &["good"]),
        ] {
            assert_eq!(call_with(config, &ladder).offered, None);
        }
    }
}

#[test]
fn a_call_marked_for_logging_says_so() {
    let marked = |hdr: &str| call(&format!("0.0 alice -> bob INVITE hdr=\"{hdr}\"")).debug;
    assert!(marked("Session-ID: ab30317f1a784dc48ff824d0d3715d86;remote=00;logme"));
    assert!(!marked("Session-ID: ab30317f1a784dc48ff824d0d3715d86"));
    assert!(
        call("0.0 alice -> bob INVITE\n 0.1 alice <- bob 407\n 0.2 alice -> bob INVITE hdr=\"Session-ID: ab;logme\"")
            .debug
    );
}

/// What an instance on a host sees of a ladder, where those of the fleet send traces too.
fn seen_on(host: &str, fleet: &[&str], ladder: &str) -> Vec<CallRecord> {
    let address = |name: &str| ladder::endpoint::address(name).ip();
    let observed = fleet.iter().map(|name| format!("{}/32", address(name))).collect();
    let calls = call_records::Config { observed, ..call_records::Config::default() };
    let wanted = CallsWanted { instance: host.into(), ..wanted() };
    let mut player = Player::wanting(wanted, Config { calls, ..Config::default() }, Labelled::No);
    player.host = Some(address(host));
    for step in ladder::play(ladder) {
        if [step.source.ip(), step.destination.ip()].contains(&address(host)) {
            player.take(step.at, Some(step));
        }
    }
    player.settle();
    player.drain()
}

/// Every span with its parent, of several records; that of a single request is its transaction.
fn tree(records: &[CallRecord]) -> Vec<(SpanId, Option<SpanId>)> {
    let of = |record: &CallRecord| {
        let single = record.subject == Subject::Request;
        let parts = all(record).into_iter().filter(move |span| !(single && span.id == record.span));
        let parts: Vec<_> = parts.map(|span| (span.id, Some(span.parent))).collect();
        [(record.span, record.trace("other").parent)].into_iter().chain(parts)
    };
    records.iter().flat_map(of).collect()
}

#[test]
fn the_hosts_of_a_fleet_make_one_tree_without_talking_to_each_other() {
    let fleet = ["proxy", "dave", "bob"];
    for hosts in [&fleet[..2], &fleet[..]] {
        let records: Vec<CallRecord> = hosts.iter().flat_map(|host| seen_on(host, hosts, ladder::CHAIN)).collect();
        let traces: HashSet<[u8; 16]> = records.iter().map(|record| record.trace_id).collect();
        assert_eq!((records.len(), traces.len()), (2 * hosts.len(), 2), "the call and the registration");
        for trace in traces {
            let records: Vec<CallRecord> = records.iter().filter(|record| record.trace_id == trace).cloned().collect();
            let spans = tree(&records);
            let ids: HashSet<SpanId> = spans.iter().map(|(id, _)| *id).collect();
            assert_eq!(ids.len(), spans.len(), "no span twice");
            let roots = spans.iter().filter(|(_, parent)| parent.is_none()).count();
            let orphans: Vec<_> =
                spans.iter().filter(|(_, parent)| parent.is_some_and(|id| !ids.contains(&id))).collect();
            assert_eq!((roots, orphans.len()), (1, 0), "{orphans:?}");
        }
    }
}

/// The server's side of a hop hangs below the client's, request by request, whichever way it goes.
#[test]
fn a_server_span_is_below_the_client_span_of_the_host_before() {
    let fleet = ["proxy", "dave"];
    let [upper, lower] = fleet.map(|host| seen_on(host, &fleet, ladder::CHAIN).remove(0));
    let sent = |record: &CallRecord, method| {
        let found = record.transactions.iter().find(|one| one.tap == Tap::Sender && one.method == method);
        found.map(|one| one.span)
    };
    let received = |record: &CallRecord, method| {
        let found = record.transactions.iter().find(|one| one.tap == Tap::Recipient && one.method == method);
        found.map(|one| (one.parent, one.below_remote))
    };
    use sip::Method::{Bye, Invite, Update};
    for method in [Invite, Update] {
        assert_eq!(received(&lower, method), sent(&upper, method).map(|span| (span, true)), "{method:?}");
    }
    assert_eq!(received(&upper, Bye), sent(&lower, Bye).map(|span| (span, true)));
    assert_eq!((lower.parent(), upper.parent()), (sent(&upper, Invite), None));
    let by_hand = hashed(&["client", "call-1", "1 INVITE", &upper.transactions[1].branch])[..16].to_owned();
    assert_eq!(sent(&upper, Invite).map(|span| hex(&span.0)), Some(by_hand));
}

/// Nothing hangs below a span that nobody sends.
#[test]
fn a_sender_that_is_not_of_the_fleet_is_nobodys_parent() {
    for record in seen_on("dave", &["dave"], ladder::CHAIN) {
        assert_eq!((record.parent(), record.transactions.iter().any(|one| one.below_remote)), (None, false));
    }
}

/// A dialler that uses one Call-ID for all its calls: no trace grows without end.
#[test]
fn a_call_id_that_is_used_for_call_after_call_is_many_traces() {
    let records = |pause: u32| {
        let call = |call: u32| {
            let at = call * pause;
            format!(
                "{at}.0 alice -> bob INVITE ftag=t{call} cseq=1\n{at}.5 alice <- bob 486\n{at}.6 alice -> bob ACK\n"
            )
        };
        calls(Config::default(), &(0..120).map(call).collect::<String>())
    };
    let traces = |records: &[CallRecord]| records.iter().map(|record| record.trace_id).collect::<HashSet<_>>().len();
    let (slow, quick) = (records(40), records(35));
    assert_eq!((slow.len(), traces(&slow)), (120, 1), "ninety an hour");
    assert_eq!((quick.len(), traces(&quick)), (120, 4), "a hundred in one, three for themselves, then an hour is over");
    assert!(quick.iter().all(|record| &*record.call_id == "call-1"));
}
