//! What is shown of real records: ladders through the dialog processor, as a shard would tell of them.

use std::sync::Arc;
use std::time::Duration;

use call_records::Emit;
use pipeline::call::live::LiveAsk;
use pipeline::{Call, CallRecord, CallsWanted, Facts, FrameBatch, KeptCall, LabelSet, LabelSets, Processor, SipFrame};
use processor_dialog::{Config, Dialogs};
use serde_json::Value;
use wire::Timestamp;

use crate::calls::Calls;
use crate::changes::Changes;
use crate::query::Query;

fn kept(record: CallRecord) -> KeptCall {
    KeptCall { call: Call { record: Arc::new(record), threshold: None }, labels: LabelSet::OTHER }
}

/// A processor that is watched, and what left it.
struct Shard {
    dialogs: Dialogs,
    facts: Facts,
    left: Vec<KeptCall>,
}

impl Shard {
    fn new(config: Config) -> Self {
        let wanted =
            CallsWanted { instance: "tests".into(), requests: false, pieces: true, number: None, watched: true };
        Self { dialogs: Dialogs::new(config, Some(wanted)), facts: Facts::default(), left: Vec::new() }
    }

    fn play(&mut self, text: &str) {
        self.take(ladder::play(text));
    }

    fn take(&mut self, steps: Vec<ladder::Step>) {
        for step in steps {
            let at = Timestamp::from_nanos(1_767_225_600_000_000_000) + step.at;
            let mut batch = FrameBatch { now: at, ..FrameBatch::default() };
            if step.bytes.iter().any(|byte| !b"\r\n".contains(byte)) {
                batch.push(&step.bytes, SipFrame::datagram(step.source, step.destination, at));
            }
            self.facts.clear();
            self.dialogs.process(&batch, &mut self.facts);
            let left = self.facts.calls.drain(..).map(|call| KeptCall { call, labels: LabelSet::OTHER });
            self.left.extend(left);
        }
    }

    fn live(&mut self, ask: &LiveAsk) -> Vec<KeptCall> {
        let mut records = Vec::new();
        self.dialogs.live_calls(ask, &mut records);
        records.into_iter().map(kept).collect()
    }
}

fn calls(most: usize) -> Calls {
    Calls::new(Arc::<LabelSets>::default(), most)
}

fn listed(calls: &Calls, query: &Query) -> Vec<String> {
    calls.list(query, None, 200).iter().map(|entry| format!("{} {}", entry.record.call_id, entry.is_live())).collect()
}

/// One that ends, one that is up, and the clock moved on.
const TWO: &str = "
     0.0  alice -> bob  INVITE call=a
     0.1  alice <- bob  486 call=a
     1.0  alice -> bob  INVITE call=b
    20.0  alice -> bob  crlf
";

#[test]
fn what_ended_since_it_was_told_of_is_listed_once_and_the_newest_come_first() {
    let mut shard = Shard::new(Config::default());
    let calls = calls(10);
    shard.play("0.0 alice -> bob INVITE call=a\n0.1 alice <- bob 486 call=a\n3.0 alice -> bob crlf");
    calls.set_live(shard.live(&LiveAsk::Newest(10)));
    assert_eq!(listed(&calls, &Query::default()), ["a false"], "its outcome stands, though late messages may come");
    let mut shard = Shard::new(Config::default());
    shard.play(TWO);
    calls.add(shard.left.drain(..));
    assert_eq!(listed(&calls, &Query::default()), ["a false"]);
    calls.set_live(shard.live(&LiveAsk::Newest(10)));
    assert_eq!(listed(&calls, &Query::default()), ["b true", "a false"]);
    assert_eq!(listed(&calls, &Query { live: Some(true), ..Query::default() }), ["b true"]);
    assert!(calls.is_up("b") && !calls.is_up("a") && calls.ended("a").is_some());
    calls.forget_live();
    assert_eq!(listed(&calls, &Query::default()), ["a false"]);
}

#[test]
fn only_so_many_are_kept_and_listed() {
    let mut shard = Shard::new(Config::default());
    let text: String = (0..50)
        .map(|call| format!("{call}.0 alice -> bob INVITE call=c{call}\n{call}.1 alice <- bob 486 call=c{call}\n"))
        .collect();
    shard.play(&(text + "90.0 alice -> bob crlf"));
    let calls = calls(10);
    calls.add(shard.left.drain(..));
    assert_eq!(calls.count(), (10, 0));
    assert_eq!(listed(&calls, &Query { limit: Some(2), ..Query::default() }), ["c49 false", "c48 false"]);
    assert_eq!(listed(&calls, &Query { limit: Some(99), ..Query::default() }).len(), 10);
    calls.set_most(3);
    assert_eq!(listed(&calls, &Query::default()).len(), 3);
}

#[test]
fn a_call_that_left_in_pieces_is_put_together() {
    let mut config = Config::default();
    config.calls.emit = Emit::Progressive;
    config.calls.max_segment = Duration::from_secs(60);
    let mut shard = Shard::new(config);
    let mut steps = ladder::play(
        "  0.0  alice -> bob  INVITE
           0.1  alice <- bob  180
           1.0  alice <- bob  200
           1.1  alice -> bob  ACK
         100.0  alice -> bob  INVITE
         100.1  alice <- bob  200
         100.2  alice -> bob  ACK
         200.0  alice -> bob  BYE
         200.1  alice <- bob  200
         220.0  alice -> bob  crlf",
    );
    let rest = steps.split_off(7);
    shard.take(steps);
    let calls = calls(10);
    assert!(shard.left.len() >= 2 && shard.left.iter().all(|piece| !piece.call.record.last));
    calls.add(shard.left.drain(..));
    let told = shard.live(&LiveAsk::One("call-1".into())).pop().expect("it is up");
    assert!(told.call.record.ladder.len() < 7, "the rest has left");
    let whole = calls.whole(told).record;
    assert_eq!((whole.ladder.len(), whole.headers.len()), (7, 7));
    assert!(whole.ladder.is_sorted_by_key(|message| message.at));
    assert!(listed(&calls, &Query::default()).is_empty(), "it has not ended");

    shard.take(rest);
    calls.add(shard.left.drain(..));
    let ended = calls.ended("call-1").expect("its last piece has left").record;
    assert_eq!((ended.ladder.len(), ended.outcome, ended.last), (9, "answered", true));
    assert_eq!(ended.transactions.len(), 3);
}

fn told(bytes: Option<hyper::body::Bytes>) -> Option<(bool, usize, Vec<String>)> {
    let bytes = bytes?;
    let text = std::str::from_utf8(&bytes).expect("text");
    let data = text.strip_prefix("event: calls\ndata: ").and_then(|text| text.strip_suffix("\n\n")).expect("an event");
    assert!(!data.contains('\n'));
    let change: Value = serde_json::from_str(data).expect("JSON");
    let gone = change["gone"].as_array().expect("a list").iter().map(|name| name.as_str().expect("text").to_owned());
    Some((change["reset"] == true, change["calls"].as_array().expect("a list").len(), gone.collect()))
}

#[test]
fn pages_are_told_why_a_number_is_not_found() {
    let told = Changes::default().next(&[], Some("drop"), true).whole.expect("all of it is told");
    assert!(std::str::from_utf8(&told).expect("text").contains("\"calls\":[],\"gone\":[],\"numbers\":\"drop\"}"));
}

#[test]
fn pages_are_told_what_changed_alone() {
    let mut shard = Shard::new(Config::default());
    shard.play(TWO);
    let calls = calls(10);
    calls.add(shard.left.drain(..));
    calls.set_live(shard.live(&LiveAsk::Newest(10)));
    let mut changes = Changes::default();
    let list = || calls.list(&Query::default(), None, 200);
    let first = changes.next(&list(), None, true);
    assert_eq!(told(first.whole), Some((true, 2, vec![])));
    let second = changes.next(&list(), None, false);
    assert!(second.whole.is_none() && second.change.is_none());
    shard.play("21.0 alice -> bob INVITE call=c branch=z9hG4bKc");
    calls.set_live(shard.live(&LiveAsk::Newest(10)));
    assert_eq!(told(changes.next(&list(), None, false).change), Some((false, 1, vec![])));
    calls.forget_live();
    let (_, new, gone) = told(changes.next(&list(), None, false).change).expect("two are gone");
    assert_eq!((new, gone.len()), (0, 2));
    assert!(gone.contains(&"2026-01-01T00:00:01.000000Z b".to_owned()), "{gone:?}");
}
