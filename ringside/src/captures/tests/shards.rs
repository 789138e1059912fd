//! However many shards follow the calls: the same numbers, the same records, the same traces.
//!
//! But for messages of one transaction under two Call-IDs, which no agent may send (RFC 3261 §8.2.6.2): one shard knows
//! them by their branch, several do not see them together.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use config::Sources;
use ladder::Step;
use metrics::{Exposition, Format, Undefined};
use pipeline::{CallRecord, KeptCall, Slot};
use proptest::prelude::*;

use super::*;

/// Everything that counts or chooses, with labels for the addresses of ladders.
const CONFIGURATION: &str = r#"
    [receivers.pcap]
    [processors.dialog]
    [processors.dialog.calls]
    emit = "progressive"
    privacy.numbers = "plain"
    [processors.enrich]
    carriers    = [{ name = "alice", cidrs = ["192.0.2.10/32"] }, { name = "proxy", cidrs = ["192.0.2.20/30"] }]
    user_agents = [{ regex = "^Phone", label = "phone" }, { regex = "^Gate", label = "gate" }]
    [processors.sampling]
    ratio = 0.5
    requests = "all"
    max_traces_per_second = 1000000
    [exporters.prometheus]
    [exporters.otlp_http]
    endpoint = "http://127.0.0.1:9"
    [service.pipelines.metrics]
    receivers  = ["pcap"]
    processors = ["dialog", "enrich"]
    exporters  = ["prometheus"]
    [service.pipelines.traces]
    receivers  = ["pcap"]
    processors = ["dialog", "enrich", "sampling"]
    exporters  = ["otlp_http"]
"#;

/// What is known of a capture in the end.
#[derive(Debug, PartialEq)]
struct Known {
    /// Lines of the exposition, in order of their text.
    series: Vec<String>,
    /// Records that became traces, in an order of their own, with their labels.
    calls: Vec<(CallRecord, (String, String))>,
}

/// Reads `captures` with so many shards.
fn read(captures: &[PathBuf], shards: usize) -> Known {
    let catalogue = catalogue();
    let mut problems = pipeline::settings::Problems::default();
    let set = vec![format!("service.shards={shards}")];
    let files = vec![("test".to_owned(), CONFIGURATION.to_owned())];
    let tree = Sources { files, set, may_be_unset: None }.load(&|_| None, &mut problems).expect("it is TOML");
    let checked = Configuration::check(&tree, &catalogue, &mut problems);
    let configuration = checked.unwrap_or_else(|| panic!("{problems}"));
    let label_sets = Arc::<LabelSets>::default();
    let wanted = &|branch: &Branch| branch.traces().then(|| engine::traced(&configuration.service));
    let context = FlowContext { label_sets: &label_sets, wanted, shards };
    let plan = &configuration.graph.shards[0];
    let pcap = configuration.receivers[&plan.receivers[0]].settings();
    let mut pcap = *pcap.downcast::<receiver_pcap::Config>().expect("the settings of a pcap receiver");
    pcap.files = captures.to_vec();
    let receivers = vec![(plan.receivers[0].clone(), Box::new(PcapReceiver::new(pcap, Arc::default())) as _)];
    let mut outlets = Vec::new();
    let mut shard = Shard::build(plan, receivers, &configuration, &catalogue, &context, &mut outlets);
    let kept = Arc::<Mutex<Vec<KeptCall>>>::default();
    shard.add_call_sinks(|_| Some(Box::new(Keep(Arc::clone(&kept)))));
    shard.start().expect("the capture is there");
    shard.spread("follow").expect("threads can be made");
    while shard.turn().expect("the capture can be read") == Turn::Going {}
    let exposition = Exposition::new(outlets[0].registry.snapshot(), Format::Text, Undefined::default()).into_text();
    let mut series: Vec<String> = exposition.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    series.sort();
    shard.drain();
    drop(shard);
    let kept = std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner));
    let known = |KeptCall { call, labels }| {
        let (carrier, ua_type) = label_sets.names(labels);
        // Which slot it had is the shard's own affair.
        let record = CallRecord { slot: Slot::OTHER, key: 0, ..CallRecord::clone(&call.record) };
        (record, (carrier.to_owned(), ua_type.to_owned()))
    };
    let mut calls: Vec<_> = kept.into_iter().map(known).collect();
    calls.sort_by_key(|(record, _)| (record.trace_id, record.start, record.span.0, record.piece));
    Known { series, calls }
}

/// Keeps what leaves.
struct Keep(Arc<Mutex<Vec<KeptCall>>>);

impl Sink for Keep {
    fn take(&mut self, _: &FrameBatch, facts: &Facts) {
        let calls =
            facts.calls.iter().map(|call| KeptCall { call: call.clone(), labels: facts.labels(call.record.slot) });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(calls);
    }
}

/// What several shards make of `captures` and one does not, and the other way round; nothing when it is the same.
fn differences(captures: &[PathBuf]) -> Vec<String> {
    let one = read(captures, 1);
    let differs = |shards| {
        let several = read(captures, shards);
        let series = [only_in(&several.series, &one.series), only_in(&one.series, &several.series)];
        let calls = [only_in(&several.calls, &one.calls), only_in(&one.calls, &several.calls)];
        let same = series.iter().all(Vec::is_empty) && calls.iter().all(Vec::is_empty);
        (!same).then(|| format!("{captures:?}, {shards} shards: {series:?} {calls:?}"))
    };
    [2, 3, 8].into_iter().filter_map(differs).collect()
}

#[track_caller]
fn check(captures: &[PathBuf]) {
    let differences = differences(captures);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Each capture alone.
#[track_caller]
fn check_each(captures: &[PathBuf]) {
    assert!(!captures.is_empty());
    captures.iter().for_each(|capture| check(std::slice::from_ref(capture)));
}

/// The first of them tell enough.
fn only_in<'a, T: PartialEq>(list: &'a [T], other: &[T]) -> Vec<&'a T> {
    list.iter().filter(|element| !other.contains(element)).take(3).collect()
}

/// Captures in a folder of the repository and in the folders of that.
fn own(folder: &str) -> Vec<PathBuf> {
    let inside = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder));
    let deeper = inside.iter().filter(|path| path.is_dir()).flat_map(|folder| files(folder));
    let files = deeper.chain(inside.iter().cloned());
    files.filter(|path| corpus::is_capture(path)).collect()
}

/// In order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// A capture file that is removed when the test is through with it.
struct Written(PathBuf);

impl Written {
    fn new(steps: &[Step]) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ringside-shards-{}-{number}.pcap", std::process::id()));
        let epoch = Duration::from_secs(1_767_225_600);
        std::fs::write(&path, ladder::pcap::write(steps, epoch)).expect("the temporary folder can be written to");
        Self(path)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn every_vector_comes_to_the_same() {
    let vectors = ["testdata/public-vectors", "testdata/media-vectors", "integration/cases"].map(own).concat();
    check_each(&vectors);
    // Merged by their clocks.
    check(&vectors);
}

/// They are not merged: many tell of the same call.
#[test]
fn every_public_case_comes_to_the_same() {
    check_each(&own("testdata/public-cases"));
}

#[test]
fn every_real_capture_comes_to_the_same() {
    let Some(captures) = corpus::captures("real captures on several shards") else { return };
    let captures: Vec<_> = captures.into_iter().map(|capture| capture.path).collect();
    check_each(&captures);
    check(&captures);
}

#[test]
fn torture_messages_come_to_the_same() {
    let Some(messages) = corpus::files("torture messages on several shards", "captures/torture-rfc4475") else {
        return;
    };
    let [source, destination] = ["alice", "bob"].map(ladder::endpoint::address);
    let step = |(index, path): (u64, PathBuf)| {
        let bytes = std::fs::read(path).expect("a message");
        // Many have one branch: each comes when the others are forgotten.
        Step { at: Duration::from_secs(1000 * index), source, destination, bytes }
    };
    let steps: Vec<Step> = (0..).zip(messages).map(step).collect();
    let capture = Written::new(&steps);
    check(std::slice::from_ref(&capture.0));
}

/// Flows of which many go on at once, shuffled and torn.
const FLOWS: [&str; 4] = [
    "0 alice -> proxy INVITE ftag=a cseq=1 ua=Phone sdp
     0 alice <- proxy 407 tag=x
     0 alice -> proxy ACK
     0 alice -> proxy INVITE ftag=a cseq=2 ua=Phone
     0 proxy -> bob INVITE fwd
     0 proxy <- bob 180 tag=b
     0 alice <- proxy 180 fwd
     0 proxy <- bob 200 of=INVITE tag=b
     0 alice <- proxy 200 fwd of=INVITE
     0 alice -> bob ACK ftag=a ttag=b cseq=2
     0 alice -> bob BYE ftag=a ttag=b cseq=7
     0 alice <- bob 200 of=BYE",
    "0 carol -> bob INVITE ftag=a cseq=1 ua=Gate
     0 carol <- bob 180 tag=b
     0 carol -> bob CANCEL
     0 carol <- bob 200 of=CANCEL
     0 carol <- bob 487 of=INVITE tag=b reason=\"Q.850;cause=21\"
     0 carol -> bob ACK
     0 carol -> bob OPTIONS
     0 carol <- bob 200 of=OPTIONS",
    "0 dave -> bob INVITE ftag=a cseq=1
     0 dave <- bob 302
     0 dave -> bob ACK
     0 dave -> carol INVITE ftag=a cseq=2
     0 dave <- carol 503 tag=c cseq=2
     0 dave -> carol ACK
     0 bob -> dave BYE ftag=b ttag=a cseq=1
     0 bob <- dave 481 of=BYE
     0 dave -> bob raw=\"INVITE sip:x@y SIP/2.0\\r\\nVia: no\\r\\n\\r\\n\"
     0 dave -> bob raw=\"\\r\\n\\r\\n\"",
    // Another phone of the same address-of-record, under another Call-ID, binds and unbinds it too.
    "0 alice -> registrar REGISTER cseq=1 to=sip:line@example.com ua=Phone
     0 alice <- registrar 401
     0 alice -> registrar REGISTER cseq=2 to=sip:line@EXAMPLE.com
     0 alice <- registrar 200 contact=\"<sip:1@a>;expires=60, <sip:2@a>;expires=90\"
     0 alice -> registrar REGISTER cseq=3 to=\"<sips:line@example.com;x=y>\"
     0 alice <- registrar 423
     0 alice -> registrar REGISTER cseq=4 to=sip:line@example.com:5061
     0 alice <- registrar 200 contact=none",
];

/// Calls at once: each flow under so many Call-IDs.
const COPIES: usize = 5;

/// Milliseconds between two messages: within a transaction, and across each timer.
const PAUSES: [u64; 11] = [0, 0, 0, 1, 20, 500, 2_000, 5_000, 32_000, 60_000, 185_000];

/// Messages of [`FLOWS`]: which call, how far it goes on, and how long after the one before.
fn traffic() -> impl Strategy<Value = Vec<(usize, usize, u64)>> {
    let call = 0..FLOWS.len() * COPIES;
    let by = prop::sample::select(vec![0, 1, 1, 1, 1, 1, 1, 2]);
    prop::collection::vec((call, by, prop::sample::select(PAUSES.to_vec())), 1..400)
}

fn steps(traffic: &[(usize, usize, u64)]) -> Vec<Step> {
    let named = |index: usize| -> String {
        FLOWS[index % FLOWS.len()].lines().map(|line| format!("{line} call=c{index}\n")).collect()
    };
    // Played as one ladder, so that no two have a branch in common.
    let texts: Vec<String> = (0..FLOWS.len() * COPIES).map(named).collect();
    let mut steps = ladder::play(&texts.concat()).into_iter();
    let calls: Vec<Vec<Step>> = texts.iter().map(|text| steps.by_ref().take(text.lines().count()).collect()).collect();
    let mut next = vec![0; calls.len()];
    let mut now = Duration::ZERO;
    let step = |&(call, by, pause): &(usize, usize, u64)| {
        now += Duration::from_millis(pause);
        let message: usize = next[call];
        next[call] += by;
        Step { at: now, ..calls[call][message % calls[call].len()].clone() }
    };
    traffic.iter().map(step).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn random_traffic_comes_to_the_same(traffic in traffic()) {
        let capture = Written::new(&steps(&traffic));
        check(std::slice::from_ref(&capture.0));
    }
}
