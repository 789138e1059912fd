//! The engine with components that only write down what happens to them.

mod shards;

use std::any::Any;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::mpsc::{Receiver as Inbox, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use config::{Role, Sources};
use pipeline::event::{Evicted, Fact};
use pipeline::labels::Name;
use pipeline::settings::Problems;
use pipeline::{
    Build, CaptureStatus, Carrier, Health, LabelSet, Networks, Processor, ProcessorContext, Received, Receiver,
    Reports, Slot,
};
use serde::{Deserialize, Serialize};

use super::*;

/// What happened, in order.
type Diary = Arc<Mutex<Vec<String>>>;

#[derive(Clone, Debug, Default, Deserialize, schemars::JsonSchema, Serialize)]
#[serde(default)]
struct FakeConfig {
    ports: Vec<u16>,
    buffer: u32,
    window: u64,
    panics: bool,
    fails: bool,
    refuses: bool,
    frames: Option<u32>,
}

#[derive(Clone)]
struct Fake {
    diary: Diary,
    name: &'static str,
    config: FakeConfig,
    handed: u32,
}

impl Fake {
    fn note(&self, what: &str) {
        note(&self.diary, &format!("{} {what}", self.name));
    }

    fn change(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str> {
        let new = *settings.downcast::<FakeConfig>().expect("the engine hands a component its own settings");
        self.note(&format!("reconfigured ports {:?}", new.ports));
        let restart = if new.buffer == self.config.buffer { vec![] } else { vec!["buffer"] };
        self.config = FakeConfig { buffer: self.config.buffer, ..new };
        restart
    }
}

impl Receiver for Fake {
    fn start(&mut self) -> Result<(), ReceiverError> {
        self.note("started");
        match self.config.refuses {
            true => Err(ReceiverError::Privilege { what: "no right".into(), help: "get it".into() }),
            false => Ok(()),
        }
    }

    fn receive(&mut self, batch: &mut FrameBatch, _: Duration) -> Result<Received, ReceiverError> {
        batch.clear();
        if self.config.fails {
            return Err(ReceiverError::Failed { what: "gone".into(), help: "bring it back".into() });
        }
        self.handed += 1;
        batch.now = wire::Timestamp::from_nanos(u64::from(self.handed));
        Ok(if self.config.frames.is_some_and(|frames| self.handed >= frames) { Received::End } else { Received::Batch })
    }

    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str> {
        self.change(settings)
    }

    fn set_duplicate_window(&mut self, window: Duration) {
        self.note(&format!("window {}", window.as_millis()));
    }

    fn status(&self) -> CaptureStatus {
        let blocked = self.config.ports.contains(&1).then(|| "port 1".to_owned());
        CaptureStatus { kind: "ebpf", blocked, no_media: None }
    }
}

impl Processor for Fake {
    fn process(&mut self, _: &FrameBatch, facts: &mut Facts) {
        assert!(!self.config.panics, "a bug");
        match self.name {
            "dialog" => {
                facts.open(Slot(1), IpAddr::V4(Ipv4Addr::LOCALHOST), b"");
                facts.push(Slot(1), Fact::Evicted(Evicted::Attempts));
            }
            "enrich" => facts.label(Slot(1), LabelSet(self.config.buffer)),
            _ => {
                let seen = format!("{} events {} origins", facts.events.len(), facts.origins.len());
                if self.handed == 0 {
                    self.note(&seen);
                }
                self.handed += 1;
            }
        }
    }

    fn drain(&mut self, _: &mut Facts) {
        self.note("drained");
    }

    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str> {
        self.change(settings)
    }

    fn networks(&self) -> Option<Arc<dyn Networks>> {
        let known = self.name == "enrich" && self.config.window > 0;
        known.then(|| Arc::new(OneCarrier(Name(self.config.window as u16), "one".into())) as _)
    }

    fn set_networks(&mut self, networks: Option<Arc<dyn Networks>>) {
        if let Some(networks) = networks {
            let carrier = networks.carrier_of(Ipv4Addr::LOCALHOST.into()).map(|carrier| carrier.name);
            self.note(&format!("networks {carrier:?}"));
        }
    }

    fn duplicate_window(&self) -> Option<Duration> {
        (self.name == "dialog").then_some(Duration::from_millis(self.config.window))
    }

    fn telemetry(&self, out: &mut Vec<Telemetry>) {
        out.push(Telemetry { name: "held", labels: vec![], counter: false, value: 1.0 });
    }
}

impl Exporter for Fake {
    fn start(&mut self) -> Result<(), ExporterError> {
        self.note("started");
        Ok(())
    }

    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str> {
        self.change(settings)
    }

    fn reports(&self) -> Option<Arc<dyn Reports>> {
        (self.name == "push").then(|| Arc::new(Pushed) as _)
    }

    fn stop(&mut self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        self.note("stopped");
        Box::pin(std::future::ready(()))
    }
}

/// Every address is in its network.
#[derive(Debug)]
struct OneCarrier(Name, Arc<str>);

impl Networks for OneCarrier {
    fn carrier_of(&self, _: IpAddr) -> Option<Carrier<'_>> {
        Some(Carrier { name: self.0, text: &self.1 })
    }
}

struct Pushed;

impl Reports for Pushed {
    fn telemetry(&self, out: &mut Vec<Telemetry>) {
        out.push(Telemetry { name: "pushed", labels: vec![], counter: true, value: 2.0 });
    }
}

fn note(diary: &Diary, what: &str) {
    diary.lock().expect("no test panics while it writes").push(what.to_owned());
}

fn catalogue(diary: &Diary) -> Catalogue {
    let config = |config: FakeConfig, _: &mut Problems| Some(config);
    let fake = |name, diary: &Diary| {
        let diary = Arc::clone(diary);
        move |config| Box::new(Fake { diary: Arc::clone(&diary), name, config, handed: 0 })
    };
    let [wire, dialog, enrich, choose, out, push] =
        ["wire", "dialog", "enrich", "choose", "out", "push"].map(|name| fake(name, diary));
    let (asked, told) = (Arc::clone(diary), Arc::clone(diary));
    Catalogue {
        build: Build::default(),
        receivers: vec![Type::new("wire", Role::Receives, "", config, move |config, ()| {
            wire(config) as Box<dyn Receiver>
        })],
        processors: vec![
            Type::new("dialog", Role::StatesFacts, "", config, move |config, context: &ProcessorContext| {
                if let Some(CallsWanted { instance, requests, pieces, number, .. }) = &context.calls {
                    note(&asked, &format!("dialog: calls for {instance} {requests} {pieces} {number:?}"));
                }
                dialog(config) as Box<dyn Processor>
            }),
            Type::new("enrich", Role::UsesFacts, "", config, move |config, _| enrich(config) as Box<dyn Processor>),
            Type::new("sampling", Role::ChoosesCalls, "", config, move |config, _| {
                choose(config) as Box<dyn Processor>
            }),
        ],
        exporters: vec![
            Type::new("out", Role::ExportsMetrics, "", config, move |config, _| out(config) as Box<dyn Exporter>),
            Type::new("push", Role::Exports, "", config, move |config, context: &ExporterContext| {
                let ExporterContext { id, registry, calls, resource, .. } = context;
                note(&told, &format!("{id}: {} {} {resource:?}", registry.is_some(), calls.is_some()));
                push(config) as Box<dyn Exporter>
            }),
        ],
        extensions: Vec::new(),
    }
}

const ONE_PIPELINE: &str = "
    receivers.wire = {}
    processors.dialog = { window = 20 }
    processors.enrich = {}
    exporters.out = {}
    service.pipelines.metrics = { receivers = ['wire'], processors = ['dialog', 'enrich'], exporters = ['out'] }
";

fn configuration(text: &str, set: &[&str], catalogue: &Catalogue) -> Configuration {
    let mut problems = Problems::default();
    let set = set.iter().map(|set| (*set).to_owned()).collect();
    let sources = Sources { files: vec![("test".to_owned(), text.to_owned())], set, may_be_unset: None };
    let tree = sources.load(&|_| None, &mut problems);
    let checked = tree.and_then(|tree| Configuration::check(&tree, catalogue, &mut problems));
    checked.unwrap_or_else(|| panic!("{problems}"))
}

fn engine(set: &[&str]) -> (Engine, Catalogue, Diary) {
    let diary = Diary::default();
    let catalogue = catalogue(&diary);
    let engine = Engine::build(&configuration(ONE_PIPELINE, set, &catalogue), &catalogue);
    (engine, catalogue, diary)
}

fn run(engine: Engine) -> (Running, Inbox<Ended>) {
    let (sender, ended): (Sender<Ended>, _) = channel();
    let running = engine.run(move |end| sender.send(end).expect("the test waits for it")).expect("threads can be made");
    (running, ended)
}

fn noted(diary: &Diary) -> Vec<String> {
    diary.lock().expect("no test panics while it writes").clone()
}

/// Drives a future that never waits.
fn finish(future: impl Future<Output = ()>) {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_ready());
}

#[test]
fn exporters_start_before_receivers_and_stop_after_them() {
    let (mut engine, _, diary) = engine(&[]);
    engine.start_exporters().expect("the fake starts");
    engine.start_receivers().expect("the fake starts");
    let (mut running, ended) = run(engine);
    assert_eq!(running.stop_shards(), 1);
    assert!(matches!(ended.recv(), Ok(Ended::Stopped)));
    finish(running.stop_exporters(Duration::ZERO));
    let expected = ["out started", "wire window 20", "wire started", "dialog drained", "enrich drained", "out stopped"];
    assert_eq!(noted(&diary), expected);
}

#[test]
fn a_receiver_without_the_right_says_so_before_any_thread_runs() {
    let (mut engine, ..) = engine(&["receivers.wire.refuses=true"]);
    let (id, error) = engine.start_receivers().expect_err("it refuses");
    assert_eq!((id.as_str(), error.to_string().as_str()), ("wire", "no right: get it"));
    assert!(matches!(error, ReceiverError::Privilege { .. }));
}

#[test]
fn a_receiver_that_cannot_go_on_ends_its_shard() {
    let (engine, ..) = engine(&["receivers.wire.fails=true"]);
    let (_running, ended) = run(engine);
    let Ok(Ended::Failed { receiver, error }) = ended.recv() else { panic!("it fails at once") };
    assert_eq!(format!("{receiver}: {error}"), "wire: gone: bring it back");
}

#[test]
fn a_panic_is_reported_with_the_component_it_came_from() {
    let (engine, ..) = engine(&["processors.enrich.panics=true"]);
    let (_running, ended) = run(engine);
    let Ok(Ended::Panicked { component }) = ended.recv() else { panic!("it panics at once") };
    assert_eq!(component, "enrich");
}

#[test]
fn after_the_last_frame_a_shard_waits_for_orders() {
    let (engine, catalogue, diary) = engine(&["receivers.wire.frames=3"]);
    let (mut running, ended) = run(engine);
    let (reply, replies) = channel();
    let new = configuration(ONE_PIPELINE, &["receivers.wire.ports=[5070]"], &catalogue);
    let sent = running.reconfigure(&new, move |keys| reply.send(keys).expect("the test waits for it"));
    assert_eq!(sent.expect("the shard takes orders"), (vec![], 1));
    assert_eq!(replies.recv().expect("one reply"), Vec::<String>::new());
    assert!(noted(&diary).contains(&"wire reconfigured ports [5070]".to_owned()));
    running.stop_shards();
    assert!(matches!(ended.recv(), Ok(Ended::Stopped)));
}

#[test]
fn a_reload_names_the_keys_that_need_a_restart_and_applies_the_rest() {
    let (engine, catalogue, diary) = engine(&[]);
    let (mut running, _ended) = run(engine);
    let (reply, replies) = channel();
    let changes = [
        "receivers.wire={ports = [1], buffer = 7}",
        "processors.dialog.window=50",
        "exporters.out={ports = [9], buffer = 1}",
        "service.metrics.namespace=sip",
        "service.pipelines.metrics.processors=['dialog']",
    ];
    let text = ONE_PIPELINE.replace("processors.enrich = {}", "");
    let new = configuration(&text, &changes, &catalogue);
    let sent = running.reconfigure(&new, move |keys| reply.send(keys).expect("the test waits for it"));
    let (mut restart, replying) = sent.expect("the shard takes orders");
    assert_eq!(replying, 1);
    restart.extend(replies.recv().expect("one reply"));
    let expected = ["exporters.out.buffer", "service.pipelines", "service.metrics.namespace", "receivers.wire.buffer"];
    assert_eq!(restart, expected);
    let diary = noted(&diary);
    assert!(diary.contains(&"wire reconfigured ports [1]".to_owned()), "{diary:?}");
    assert!(diary.contains(&"wire window 50".to_owned()), "{diary:?}");
    assert_eq!(running.status().capture().blocked.as_deref(), Some("port 1"), "the status is renewed before the reply");
}

#[test]
fn the_board_tells_who_says_what() {
    let (mut engine, ..) = engine(&[]);
    engine.start_receivers().expect("the fake starts");
    let status = engine.status();
    status.reload_failed();
    status.reloaded(vec!["a".to_owned(), "b".to_owned()]);
    let mut numbers = Vec::new();
    status.telemetry(&mut numbers);
    let is_time = |n: &Telemetry| n.name == "otelcol_config_last_reload_success_timestamp_seconds";
    assert!(numbers.iter().any(|n| is_time(n) && n.value > 1.7e9), "{numbers:?}");
    numbers.retain(|n| !is_time(n));
    let told: Vec<String> = numbers.iter().map(|n| format!("{} {:?} {}", n.name, n.labels, n.value)).collect();
    let expected = [
        r#"held [("processor", "dialog")] 1"#,
        r#"held [("processor", "enrich")] 1"#,
        "otelcol_config_reload_failures [] 1",
        "otelcol_config_last_reload_successful [] 1",
        r#"otelcol_config_restart_needed [("key", "a")] 1"#,
        r#"otelcol_config_restart_needed [("key", "b")] 1"#,
    ];
    assert_eq!(told, expected);
    status.reload_failed();
    numbers.clear();
    status.telemetry(&mut numbers);
    let successful = numbers.iter().find(|n| n.name == "otelcol_config_last_reload_successful");
    assert_eq!(successful.map(|n| n.value), Some(0.0), "the last one was refused");
    assert_eq!(status.capture().kind, "ebpf");
}

#[test]
fn branches_behind_a_fork_do_not_see_each_other() {
    let diary = Diary::default();
    let catalogue = catalogue(&diary);
    let text = "
        receivers.wire = {}
        processors.dialog = {}
        processors.enrich = { buffer = 1 }
        processors.'enrich/2' = { buffer = 2 }
        exporters.out = {}
        exporters.'out/1' = {}
        exporters.'out/2' = {}
        [service.pipelines]
        metrics     = { receivers = ['wire'], processors = ['dialog'], exporters = ['out'] }
        'metrics/1' = { receivers = ['wire'], processors = ['dialog', 'enrich'], exporters = ['out/1'] }
        'metrics/2' = { receivers = ['wire'], processors = ['dialog', 'enrich/2'], exporters = ['out/2'] }
    ";
    let configuration = configuration(text, &[], &catalogue);
    let context = FlowContext { label_sets: &Arc::default(), wanted: &|_| None, shards: 1 };
    let receiver: Box<dyn Receiver> = Box::new(Fake { diary, name: "wire", config: FakeConfig::default(), handed: 0 });
    let plan = &configuration.graph.shards[0];
    let receivers = vec![(plan.receivers[0].clone(), receiver)];
    let mut outlets = Vec::new();
    let mut shard = Shard::build(plan, receivers, &configuration, &catalogue, &context, &mut outlets);
    let (seen, views) = channel();
    shard.add_sinks(|outlet| Some(Box::new(View { outlet, labels: seen.clone() })));
    for _ in 0..2 {
        assert_eq!(shard.turn().expect("the fake works"), Turn::Going);
        let labels: Vec<(usize, u32)> = views.try_iter().collect();
        assert_eq!(labels, [(0, 0), (1, 1), (2, 2)]);
    }
    let exporters: Vec<&str> = outlets.iter().map(|outlet| outlet.exporters[0].as_str()).collect();
    assert_eq!(exporters, ["out", "out/1", "out/2"]);
}

/// Tells the label of slot 1, and where it saw it.
struct View {
    outlet: usize,
    labels: Sender<(usize, u32)>,
}

impl Sink for View {
    fn take(&mut self, _: &FrameBatch, facts: &Facts) {
        assert_eq!(facts.events.len(), 1);
        self.labels.send((self.outlet, facts.labels(Slot(1)).0)).expect("the test reads it");
    }
}

const TRACED: &str = "
    receivers.wire = {}
    processors.dialog = {}
    processors.enrich = {}
    exporters.out = {}
    exporters.push = {}
    service.telemetry.resource = { 'service.instance.id' = 'me' }
    service.pipelines.metrics = { receivers = ['wire'], processors = ['dialog'], exporters = ['out', 'push'] }
    service.pipelines.traces = { receivers = ['wire'], processors = ['dialog', 'enrich'], exporters = ['push'] }
";

#[test]
fn an_exporter_of_metrics_and_calls_is_one_and_a_branch_of_calls_copies_no_events() {
    let diary = Diary::default();
    let catalogue = catalogue(&diary);
    let configuration = configuration(TRACED, &[], &catalogue);
    let engine = Engine::build(&configuration, &catalogue);
    let expected = ["dialog: calls for me true true None", "push: true true {\"service.instance.id\": \"me\"}"];
    assert_eq!(noted(&diary), expected);
    let mut numbers = Vec::new();
    engine.status().telemetry(&mut numbers);
    let push = |name| {
        let number = numbers.iter().find(|number| number.name == name).expect("it is told");
        (number.labels[0].clone(), number.value)
    };
    assert_eq!(push("pushed"), (("exporter", "push".to_owned()), 2.0));
    assert_eq!(push("otelcol_exporter_enqueue_failed_spans"), (("exporter", "push".to_owned()), 0.0));
    let mut shard = engine.shards.into_iter().next().expect("there is one");
    shard.turn().expect("the fake works");
    assert!(noted(&diary).contains(&"choose 0 events 1 origins".to_owned()), "{:?}", noted(&diary));
}

#[test]
fn without_a_traces_pipeline_no_records_of_calls_are_made() {
    let (_, _, diary) = engine(&[]);
    assert_eq!(noted(&diary), Vec::<String>::new());
}

#[test]
fn a_traces_pipeline_chooses_as_by_default_where_it_names_nobody_and_that_is_shown() {
    let diary = Diary::default();
    let catalogue = catalogue(&diary);
    let plain = configuration(TRACED, &[], &catalogue);
    assert_eq!(plain.service.pipelines["traces"].processors, ["dialog", "enrich", "sampling/default"]);
    assert!(plain.processors.keys().any(|id| id.as_str() == "sampling/default"));
    assert_eq!(plain.service.pipelines["metrics"].processors, ["dialog"]);
    let named = ["processors.sampling={}", "service.pipelines.traces.processors=['dialog', 'sampling', ]"];
    let text = TRACED.replace("processors.enrich = {}", "");
    let named = configuration(&text, &named, &catalogue);
    assert_eq!(named.service.pipelines["traces"].processors, ["dialog", "sampling"]);
    assert!(named.processors.keys().all(|id| id.as_str() != "sampling/default"));
}

#[test]
fn a_processor_knows_the_networks_of_the_nearest_one_behind_it_and_again_after_a_reload() {
    let text = "
        receivers.wire = {}
        processors.dialog = {}
        processors.'dialog/b' = {}
        processors.enrich = { window = 1 }
        processors.'enrich/b' = { window = 2 }
        processors.'enrich/c' = { window = 3 }
        exporters.out = {}
        exporters.'out/b' = {}
        service.pipelines.metrics = { receivers = ['wire'], processors = ['dialog', 'enrich', 'enrich/c'], exporters = ['out'] }
        service.pipelines.'metrics/b' = { receivers = ['wire'], processors = ['dialog/b', 'enrich/b'], exporters = ['out/b'] }
    ";
    let diary = Diary::default();
    let catalogue = catalogue(&diary);
    let engine = Engine::build(&configuration(text, &[], &catalogue), &catalogue);
    let told = |diary: &Diary| {
        let all = noted(diary).into_iter();
        all.filter(|line| line.contains("networks")).collect::<Vec<_>>()
    };
    let expected = ["enrich networks Some(Name(3))", "dialog networks Some(Name(1))", "dialog networks Some(Name(2))"];
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines.dedup();
        lines
    };
    assert_eq!(sorted(told(&diary)), sorted(expected.map(str::to_owned).to_vec()));
    let (mut running, _ended) = run(engine);
    let (reply, replies) = channel();
    let new = configuration(text, &["processors.enrich.window=7"], &catalogue);
    let sent = running.reconfigure(&new, move |keys| reply.send(keys).expect("the test waits for it"));
    sent.expect("the shard takes orders");
    replies.recv().expect("one reply");
    assert!(told(&diary).contains(&"dialog networks Some(Name(7))".to_owned()), "{:?}", told(&diary));
    running.stop_shards();
}
