//! What is known in the end of captures that are read with everything that counts or chooses; the captures of the
//! repository, and random traffic as a capture.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use config::Sources;
use ladder::Step;
use metrics::{Exposition, Format, Undefined};
use pipeline::{CallRecord, KeptCall, Slot};
use proptest::prelude::*;

use super::super::*;

/// Everything that counts or chooses, with labels for the addresses of ladders, and for the same as IPv6.
const CONFIGURATION: &str = r#"
    [receivers.pcap]
    [processors.dialog]
    [processors.dialog.calls]
    emit = "progressive"
    privacy.numbers = "plain"
    [processors.enrich]
    carriers    = [
        { name = "alice", cidrs = ["192.0.2.10/32", "2001:db8::c000:20a/128"] },
        { name = "proxy", cidrs = ["192.0.2.20/30", "2001:db8::c000:214/126"] },
    ]
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
pub(super) struct Known {
    /// Lines of the exposition, in order of their text.
    pub series: Vec<String>,
    /// Records that became traces, in an order of their own, with their labels.
    pub calls: Vec<(CallRecord, (String, String))>,
}

/// Reads `captures` with so many shards.
pub(super) fn read(captures: &[PathBuf], shards: usize) -> Known {
    read_by(CONFIGURATION, captures, shards)
}

/// The same, by one, with what is on the ports of SIP taken for WebSockets.
pub(super) fn read_websockets(captures: &[PathBuf]) -> Known {
    let configuration = CONFIGURATION.replace("[receivers.pcap]", "[receivers.pcap]\nws_ports = [5060, 5061]");
    read_by(&configuration, captures, 1)
}

/// The same with the processor of affinity in front, and a service for it to look at.
pub(super) fn read_balanced(captures: &[PathBuf], shards: usize) -> Known {
    let configuration = CONFIGURATION.replace(r#"["dialog", "#, r#"["affinity", "dialog", "#);
    read_by(&(configuration + SERVICE), captures, shards)
}

/// That of the captures in `testdata/affinity`.
const SERVICE: &str = r#"
    [[processors.affinity.services]]
    name      = "sbc"
    addresses = ["10.96.0.60:5060", "[2001:db8:96::60]:5060"]
    backends  = [
        { name = "pod1", addresses = ["10.244.1.11:5060", "[2001:db8:244::11]:5060"] },
        { name = "pod2", addresses = ["10.244.1.12:5060", "[2001:db8:244::12]:5060"] },
        { name = "pod3", addresses = ["10.244.1.13:5060", "[2001:db8:244::13]:5060"] },
    ]
"#;

fn read_by(configuration: &str, captures: &[PathBuf], shards: usize) -> Known {
    let catalogue = crate::catalogue();
    let mut problems = pipeline::settings::Problems::default();
    let set = vec![format!("service.shards={shards}")];
    let files = vec![("test".to_owned(), configuration.to_owned())];
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

/// Captures in a folder of the repository and in the folders of that.
pub(super) fn own(folder: &str) -> Vec<PathBuf> {
    let inside = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder));
    let deeper = inside.iter().filter(|path| path.is_dir()).flat_map(|folder| files(folder));
    let files = deeper.chain(inside.iter().cloned());
    files.filter(|path| corpus::is_capture(path)).collect()
}

/// In order of their names.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// When captures that are made up here begin, in seconds since 1970-01-01.
pub(super) const EPOCH: u64 = 1_767_225_600;

/// A capture file that is removed when the test is through with it.
pub(super) struct Written(pub PathBuf);

impl Written {
    pub fn new(steps: &[Step]) -> Self {
        Self::file(&ladder::pcap::write(steps, Duration::from_secs(EPOCH)))
    }

    pub fn file(bytes: &[u8]) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ringside-capture-{}-{number}.pcap", std::process::id()));
        std::fs::write(&path, bytes).expect("the temporary folder can be written to");
        Self(path)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
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
pub(super) fn traffic() -> impl Strategy<Value = Vec<(usize, usize, u64)>> {
    let call = 0..FLOWS.len() * COPIES;
    let by = prop::sample::select(vec![0, 1, 1, 1, 1, 1, 1, 2]);
    prop::collection::vec((call, by, prop::sample::select(PAUSES.to_vec())), 1..400)
}

pub(super) fn steps(traffic: &[(usize, usize, u64)]) -> Vec<Step> {
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
