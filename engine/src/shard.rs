//! A shard: a set of receivers and what stands behind it.
//!
//! One thread does it all, or (`service.shards`) one receives, puts streams together, removes duplicates and hands the
//! frames out to several that follow them ([`super::dispatcher`]).

use std::io;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver as Questions, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use config::graph::{Branch, ShardPlan, Tap};
use config::{Configuration, Role, Settings};
use metrics::Registry;
use metrics::recorder::Recorder;
use pipeline::affinity;
use pipeline::call::watch::Question;
use pipeline::{
    CallsWanted, Common, ComponentId, FrameBatch, FrameQueue, LabelSets, MediaPorts, ProcessorContext, Received,
    Receiver, ReceiverError, Telemetry,
};
use wire::Timestamp;

use super::dispatcher::{Ask, Dispatcher};
use super::flow::{Flow, Last, Stage};
use super::status::Report;
use super::watch::{QUESTIONS, WatchSink};
use super::worker::WorkerPanic;
use super::{Catalogue, Sink, kind, named};

/// Receivers, and the flow behind them.
pub struct Shard {
    sources: Vec<Source>,
    /// Where messages go to be recorded.
    recorders: Vec<Arc<FrameQueue>>,
    /// Each with the calls that fall to it; none once `split` has them. One alone stays here.
    flows: Vec<Flow>,
    split: Option<Dispatcher>,
    /// Time of the last batch of any receiver: the flow's clock never runs back.
    now: Timestamp,
    working: Option<ComponentId>,
    /// What watchers ask; `None` where there are none.
    questions: Option<Questions<Question>>,
}

struct Source {
    id: ComponentId,
    receiver: Box<dyn Receiver>,
    batch: FrameBatch,
    ended: bool,
}

/// The end of a metrics pipeline: what it counted, and who carries that out.
pub struct Outlet {
    /// The rows recorded here.
    pub registry: Arc<Registry>,
    /// In order of the configuration.
    pub exporters: Vec<ComponentId>,
}

/// What flows are built with besides their configuration.
pub struct FlowContext<'a> {
    /// Where labels are interned.
    pub label_sets: &'a Arc<LabelSets>,
    /// What somebody wants of the calls in a branch; `None` where no records are made.
    pub wanted: &'a dyn Fn(&Branch) -> Option<CallsWanted>,
    /// How many there are, each with a part of the calls.
    pub shards: usize,
}

/// How it stands after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// More may come.
    Going,
    /// Every receiver is at its end.
    Ended,
}

/// Longest wait for packets before commands are looked at.
pub(super) const LONGEST_WAIT: Duration = Duration::from_millis(100);

impl Shard {
    /// Builds what stands behind a set of receivers, as often as `context` says; adds its outlets of metrics, each with
    /// rows for every one.
    pub fn build(
        plan: &ShardPlan,
        receivers: Vec<(ComponentId, Box<dyn Receiver>)>,
        configuration: &Configuration,
        catalogue: &Catalogue,
        context: &FlowContext<'_>,
        outlets: &mut Vec<Outlet>,
    ) -> Self {
        let hears = |id: &ComponentId| kind(&catalogue.processors, id).role == Role::HearsMedia;
        let mut media = None;
        plan.trunk.walk(&mut |branch| {
            if branch.processors.iter().any(hears) {
                media.get_or_insert_with(Arc::<MediaPorts>::default);
            }
        });
        let first = outlets.len();
        let common = Common::default();
        let flow = |nth: usize, outlets: &mut Vec<Outlet>| {
            let mut next = first..;
            Flow::build(&plan.trunk, &mut |branch: &Branch| {
                let FlowContext { label_sets, wanted, shards } = *context;
                let calls = wanted(branch);
                let stages = branch.processors.iter().map(|id| {
                    let kind = kind(&catalogue.processors, id);
                    let context = ProcessorContext {
                        label_sets: Arc::clone(label_sets),
                        calls: calls.clone(),
                        shards,
                        media: media.clone(),
                        id: id.clone(),
                        common: common.clone(),
                    };
                    Stage::new(id.clone(), kind.build(configuration.processors[id].settings(), &context))
                });
                let stages = stages.collect();
                if branch.exporters.is_empty() {
                    return (stages, Vec::new());
                }
                let outlet = next.next().expect("there is no last number");
                if nth == 0 {
                    let namespace = &configuration.service.metrics.namespace;
                    let registry = Registry::sharing(namespace, catalogue.build, Arc::clone(label_sets));
                    outlets.push(Outlet { registry, exporters: branch.exporters.clone() });
                }
                let recorder: Box<dyn Sink> = Box::new(Recorder::new(outlets[outlet].registry.shard()));
                (stages, vec![recorder])
            })
        };
        let flows = (0..context.shards.max(1)).map(|nth| flow(nth, outlets)).collect();
        let mut shard = Self::new(receivers, flows);
        if let Some(ports) = &media {
            shard.sources.iter_mut().for_each(|source| source.receiver.want_media(ports));
        }
        shard
    }

    fn new(receivers: Vec<(ComponentId, Box<dyn Receiver>)>, flows: Vec<Flow>) -> Self {
        let source = |(id, receiver)| Source { id, receiver, batch: FrameBatch::default(), ended: false };
        let sources = receivers.into_iter().map(source).collect();
        Self {
            sources,
            recorders: Vec::new(),
            flows,
            split: None,
            now: Timestamp::ZERO,
            working: None,
            questions: None,
        }
    }

    /// Adds a sink at the outlets of metrics where `sink`, told the outlet's place among those the build added, gives
    /// one: in every flow, so it may be asked for each outlet several times. To be called before [`Shard::spread`].
    pub fn add_sinks(&mut self, mut sink: impl FnMut(usize) -> Option<Box<dyn Sink>>) {
        for flow in &mut self.flows {
            let mut each = (0..).map(&mut sink);
            flow.add_sinks(&mut || each.next().flatten());
        }
    }

    /// Adds a sink wherever traces pipelines end, if `sink`, told the exporters that get the calls, gives one: in every
    /// flow, as [`Shard::add_sinks`] does.
    pub fn add_call_sinks(&mut self, mut sink: impl FnMut(&[ComponentId]) -> Option<Box<dyn Sink>>) {
        self.flows.iter_mut().for_each(|flow| flow.add_call_sinks(&mut sink));
    }

    /// Has all messages recorded that receivers bring.
    pub(super) fn add_recorder(&mut self, queue: Arc<FrameQueue>) {
        self.recorders.push(queue);
    }

    /// Gives each of several flows a thread called `name` and its number; of one there is none but the caller's. After
    /// capabilities are dropped, before the first turn.
    pub fn spread(&mut self, name: &str) -> io::Result<()> {
        if self.flows.len() > 1 {
            self.split = Some(Dispatcher::start(name, std::mem::take(&mut self.flows))?);
        }
        Ok(())
    }

    /// Lets watchers have the calls that come out at `tap`, by what `sink` makes for each flow, and ask for others.
    pub(super) fn add_watch(&mut self, tap: Tap, sink: impl Fn() -> WatchSink, questions: Questions<Question>) {
        self.flows.iter_mut().for_each(|flow| flow.add_tap(tap.branch, tap.place, Box::new(sink())));
        self.questions = Some(questions);
    }

    /// Lets somebody ask for calls that are up, where `plan` has a processor that follows calls; [`Shard::answer`] answers.
    pub fn open_questions(&mut self, plan: &ShardPlan, catalogue: &Catalogue) -> Option<SyncSender<Question>> {
        let role = |id: &ComponentId| kind(&catalogue.processors, id).role;
        let tap = plan.tap(&role)?;
        let (sender, questions) = sync_channel(QUESTIONS);
        self.add_watch(tap, WatchSink::none, questions);
        Some(sender)
    }

    /// Somebody may have questions.
    pub(super) fn is_watched(&self) -> bool {
        self.questions.is_some()
    }

    /// Answers a question, if there is one.
    pub fn answer(&mut self) {
        let Some(Ok(question)) = self.questions.as_ref().map(Questions::try_recv) else { return };
        // Who asked may have gone away.
        match question {
            Question::Calls(ask, reply) => {
                let calls = self.ask(vec![ask; self.flows()], |flow, ask, _| {
                    let mut calls = Vec::new();
                    flow.live_calls(&ask, &[], &mut calls);
                    calls
                });
                let _ = reply.send(calls.concat());
            }
            Question::Number(number, reply) => {
                let shown = self.ask(vec![number; self.flows()], |flow, number, _| flow.shown_number(&number));
                let _ = reply.send(shown.into_iter().flatten().next());
            }
            Question::Affinity(reply) => {
                let _ = reply.send(self.affinity());
            }
        }
    }

    /// What was found about backends of services; `None` where no processor looks.
    pub fn affinity(&mut self) -> Option<affinity::Report> {
        let found = self.ask(vec![(); self.flows()], |flow, (), _| flow.affinity());
        found.into_iter().fold(None, affinity::Report::joined)
    }

    /// Opens the receivers, in order.
    pub fn start(&mut self) -> Result<(), (ComponentId, ReceiverError)> {
        self.pass_duplicate_window();
        for source in &mut self.sources {
            source.receiver.start().map_err(|error| (source.id.clone(), error))?;
        }
        Ok(())
    }

    /// Takes one batch from every receiver in turn and passes each on. Waits 100 ms at most.
    pub fn turn(&mut self) -> Result<Turn, (ComponentId, ReceiverError)> {
        let several = self.sources.len() > 1;
        let wait = LONGEST_WAIT / u32::try_from(self.sources.len().max(1)).unwrap_or(u32::MAX);
        let mut turn = Turn::Ended;
        for source in self.sources.iter_mut().filter(|source| !source.ended) {
            self.working = Some(source.id.clone());
            let received =
                source.receiver.receive(&mut source.batch, wait).map_err(|error| (source.id.clone(), error))?;
            if several {
                source.catch_up(self.now);
            }
            self.now = source.batch.now;
            self.recorders.iter().for_each(|recorder| recorder.put(&source.batch));
            let working = &mut self.working;
            if let Some(split) = &mut self.split {
                split.hand_out(&source.batch).unwrap_or_else(|panicked| fall(working, panicked));
            }
            for flow in &mut self.flows {
                flow.take(&source.batch, Last::No, None, &mut |id| working.clone_from(&Some(id.clone())));
            }
            source.ended = received == Received::End;
            if !source.ended {
                turn = Turn::Going;
            }
        }
        if turn == Turn::Ended
            && let Some(split) = &mut self.split
        {
            split.settle().unwrap_or_else(|panicked| fall(&mut self.working, panicked));
        }
        Ok(turn)
    }

    /// Every receiver is at its end: lets the processors decide what only waits for what cannot follow any more.
    pub fn settle(&mut self) {
        self.end(Last::Received);
    }

    /// Lets the processors state what is still open.
    pub fn drain(&mut self) {
        self.end(Last::OfAll);
    }

    fn end(&mut self, last: Last) {
        self.ask(vec![(self.now, last); self.flows()], |flow, (now, last), working| {
            flow.take(&FrameBatch { now, ..FrameBatch::default() }, last, None, working);
        });
    }

    /// How many flows there are, here or on threads of their own.
    pub(super) fn flows(&self) -> usize {
        self.split.as_ref().map_or(self.flows.len(), Dispatcher::len)
    }

    /// Does the same to every flow, each with one of `inputs`, once it has followed all that came until now.
    fn ask<I, T>(&mut self, inputs: Vec<I>, ask: Ask<I, T>) -> Vec<T>
    where
        I: Send + 'static,
        T: Send + 'static,
    {
        let working = &mut self.working;
        if let Some(split) = &mut self.split {
            return split.ask(inputs, ask).unwrap_or_else(|panicked| fall(working, panicked));
        }
        let here = self.flows.iter_mut().zip(inputs);
        here.map(|(flow, input)| ask(flow, input, &mut |id| working.clone_from(&Some(id.clone())))).collect()
    }

    /// Hands out new settings, those of processors once for each flow; `None` keeps the old ones. Returns the keys that
    /// need a restart.
    pub(super) fn reconfigure(
        &mut self,
        receivers: Vec<Option<Settings>>,
        processors: Vec<Vec<Option<Settings>>>,
    ) -> Vec<String> {
        let mut restart = Vec::new();
        for (source, settings) in self.sources.iter_mut().zip(receivers) {
            if let Some(settings) = settings {
                let keys = source.receiver.reconfigure(settings);
                restart.extend(keys.iter().map(|key| format!("receivers.{}.{key}", source.id)));
            }
        }
        let keys = self.ask(processors, |flow, settings, _| {
            let mut keys = Vec::new();
            flow.reconfigure(&mut settings.into_iter(), &mut keys);
            keys
        });
        // They say the same: they are made alike.
        restart.extend(keys.into_iter().next().unwrap_or_default());
        self.pass_duplicate_window();
        restart
    }

    /// Writes down what the components are like.
    pub(super) fn publish(&mut self, report: &Mutex<Report>) {
        let mut telemetry = Vec::new();
        for source in &self.sources {
            let from = telemetry.len();
            source.receiver.telemetry(&mut telemetry);
            named("receiver", &source.id, from, &mut telemetry);
        }
        let asked = vec![(); self.flows()];
        let flows = self.ask(asked, |flow, (), _| {
            let mut numbers = Vec::new();
            flow.telemetry(&mut numbers);
            numbers
        });
        telemetry.extend(sums(flows));
        let captures = self.sources.iter().map(|source| source.receiver.status()).collect();
        // A reader that panicked leaves a whole report behind: it only reads.
        *report.lock().unwrap_or_else(PoisonError::into_inner) =
            Report { captures, telemetry, renewed: Some(Instant::now()) };
    }

    /// Whose code ran last.
    pub(super) fn working(&self) -> String {
        self.working.as_ref().map_or_else(|| "the engine".to_owned(), ComponentId::to_string)
    }

    /// Processors know how far apart copies may be, receivers remove them. The configuration was refused if
    /// two disagree.
    fn pass_duplicate_window(&mut self) {
        let asked = vec![(); self.flows()];
        let windows = self.ask(asked, |flow, (), _| {
            let mut window = None;
            flow.each(&mut |_, processor| window = window.or_else(|| processor.duplicate_window()));
            window
        });
        if let Some(window) = windows.into_iter().flatten().next() {
            self.sources.iter_mut().for_each(|source| source.receiver.set_duplicate_window(window));
        }
    }
}

/// Goes on with the panic of a worker here, where it is told what was at work.
fn fall(working: &mut Option<ComponentId>, panicked: WorkerPanic) -> ! {
    *working = panicked.working;
    resume_unwind(panicked.payload)
}

/// What flows that are made alike tell about themselves, added up: each lists the same numbers in the same order.
fn sums(flows: Vec<Vec<Telemetry>>) -> Vec<Telemetry> {
    let mut flows = flows.into_iter();
    let mut sums = flows.next().unwrap_or_default();
    for flow in flows {
        for (sum, number) in sums.iter_mut().zip(flow) {
            debug_assert_eq!((sum.name, &sum.labels), (number.name, &number.labels));
            sum.value += number.value;
        }
    }
    sums
}

impl Source {
    /// Several receivers take turns: what one brings may be a little older than what another brought before.
    fn catch_up(&mut self, now: Timestamp) {
        self.batch.now = self.batch.now.max(now);
        self.batch.frames.iter_mut().for_each(|frame| frame.at = frame.at.max(now));
        self.batch.media.iter_mut().for_each(|packet| packet.at = packet.at.max(now));
        self.batch.rtcp.iter_mut().for_each(|packet| packet.at = packet.at.max(now));
    }
}
