//! What `replay`, `calls`, `ladder` and `advise` have in common: capture files through the pipelines of the configuration.
//!
//! The pipelines run with `receivers.pcap` in place of their receivers, on the clock of the capture and on this
//! thread, as fast as the files can be read. No exporter starts, no port is opened, no privilege is needed.

mod bar;
mod late;
pub mod rewrite;

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use call_filter::{Field, Filter};
use call_views::{Exchange, Exchanges, View};
use config::graph::{Branch, Signal};
use config::{Configuration, Node, Service};
use engine::{Catalogue, FlowContext, Outlet, Shard, Sink, Turn};
use metrics::Registry;
use pipeline::call::Subject;
use pipeline::call::watch::Question;
use pipeline::refused::Newest;
use pipeline::{
    Call, CallsWanted, ComponentId, Fact, Facts, FrameBatch, LabelSets, Received, Receiver, SipFrame, Transport,
};
use receiver_pcap::{PassedOver, PcapReceiver, Report};
use sip::Framing;

use crate::cli::{Captures, Port};
use crate::failure::Failure;
use crate::logs;
use crate::settings::{self, Loaded};
use crate::show::{numbered, say};
use bar::Bar;
use late::Counter;

pub use late::LateMessages;

/// Capture files that are read, or were.
pub struct Reading {
    configuration: Configuration,
    label_sets: Arc<LabelSets>,
    shard: Shard,
    outlets: Vec<Outlet>,
    shown: usize,
    report: Arc<Report>,
    seen: Seen,
    /// The configuration has a metrics pipeline of its own.
    has_metrics: bool,
}

impl Reading {
    /// Loads the configuration and builds what it says, with a record of each call where `wanted` asks for them.
    /// Warnings go to standard error.
    pub fn new(catalogue: &Catalogue, captures: &Captures, wanted: Option<CallsWanted>) -> Result<Self, Failure> {
        Self::adjusted(catalogue, captures, |_| wanted, false, rewrite::with_numbers)
    }

    /// The same for what leaves this host: numbers are hidden as `run` hides them, and records are made where traces
    /// need them; with `calls`, wherever calls are followed.
    pub fn exported(catalogue: &Catalogue, captures: &Captures, calls: bool) -> Result<Self, Failure> {
        Self::adjusted(catalogue, captures, |service| calls.then(|| engine::traced(service)), false, |_| ())
    }

    /// The same with balanced services looked at, whatever the pipelines say.
    pub fn advised(catalogue: &Catalogue, captures: &Captures) -> Result<Self, Failure> {
        Self::adjusted(catalogue, captures, |_| None, true, rewrite::with_affinity)
    }

    /// The same for the eye: with everything that is shown of calls; `follow`: the newest file is still being written. With who may be
    /// asked for calls that are up.
    pub fn watched(catalogue: &Catalogue, captures: &Captures, follow: bool) -> Result<Watched, Failure> {
        let adjust = |tree: &mut Node| {
            rewrite::for_the_eye(tree);
            rewrite::with_media(tree);
        };
        let mut reading = Self::built(catalogue, captures, |_| Some(watched()), true, follow, adjust)?;
        let plan = &reading.configuration.graph.shards[0];
        let questions = reading.shard.open_questions(plan, catalogue);
        let Self { shard, label_sets, report, seen, shown, .. } = reading;
        Ok(Watched { shard, label_sets, questions, shown, report, seen })
    }

    /// `alone`: by one shard, so that the order of the capture is that of what is found.
    fn adjusted(
        catalogue: &Catalogue,
        captures: &Captures,
        wanted: impl FnOnce(&Service) -> Option<CallsWanted>,
        alone: bool,
        more: impl Fn(&mut Node),
    ) -> Result<Self, Failure> {
        Self::built(catalogue, captures, wanted, alone, false, more)
    }

    fn built(
        catalogue: &Catalogue,
        captures: &Captures,
        wanted: impl FnOnce(&Service) -> Option<CallsWanted>,
        alone: bool,
        follow: bool,
        more: impl Fn(&mut Node),
    ) -> Result<Self, Failure> {
        let captures = &*with_ports(captures, catalogue)?;
        let mut has_metrics = false;
        let loaded = load(captures, catalogue, &mut |tree| {
            has_metrics = rewrite::has_metrics(tree);
            rewrite::for_captures(tree, captures);
            more(tree);
        })?;
        say(&loaded.warnings.to_string());
        logs::quiet_panics();

        let configuration = loaded.configuration;
        let label_sets = Arc::<LabelSets>::default();
        let wanted = wanted(&configuration.service);
        // Calls are shown in the order they ended, which one has to see.
        let shards = if wanted.is_some() || alone { 1 } else { configuration.service.shards };
        let wanted = &|branch: &Branch| {
            wanted.clone().or_else(|| branch.traces().then(|| engine::traced(&configuration.service)))
        };
        let context = FlowContext { label_sets: &label_sets, wanted, shards };
        let plan = &configuration.graph.shards[0];
        let pcap = receiver_pcap::Config { follow, ..files(&configuration, captures) };
        let report = Arc::<Report>::default();
        let receiver = Box::new(PcapReceiver::new(pcap, Arc::clone(&report)));
        let receivers = vec![(plan.receivers[0].clone(), receiver as _)];
        let mut outlets = Vec::new();
        let shard = Shard::build(plan, receivers, &configuration, catalogue, &context, &mut outlets);
        let shown = shown(&configuration, &outlets);
        let seen = Seen::default();
        let mut reading =
            Self { configuration, label_sets, shard, outlets, shown, report, seen: seen.clone(), has_metrics };
        reading.add_sinks(|| Box::new(seen.clone()));
        Ok(reading)
    }

    /// What the configuration says.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// Where the labels of calls have their names.
    pub fn label_sets(&self) -> &Arc<LabelSets> {
        &self.label_sets
    }

    /// What an exporter has to tell of the metrics; `None` where the configuration gives it none.
    pub fn metrics_for(&self, exporter: &ComponentId) -> Option<Arc<Registry>> {
        let outlet = self.outlets.iter().find(|outlet| outlet.exporters.contains(exporter));
        outlet.filter(|_| self.has_metrics).map(|outlet| Arc::clone(&outlet.registry))
    }

    /// Puts a sink wherever traces pipelines end, if `sink`, told the exporters there, gives one.
    pub fn add_call_sinks(&mut self, sink: impl FnMut(&[ComponentId]) -> Option<Box<dyn Sink>>) {
        self.shard.add_call_sinks(sink);
    }

    /// Where the pipeline that is shown ends.
    pub fn outlet(&self) -> &Outlet {
        &self.outlets[self.shown]
    }

    /// Puts sinks at the end of the pipeline that is shown, one for each shard.
    fn add_sinks(&mut self, mut sink: impl FnMut() -> Box<dyn Sink>) {
        let shown = self.shown;
        self.shard.add_sinks(|outlet| (outlet == shown).then(&mut sink));
    }

    /// Hands every call of the pipeline that is shown to `take`, as it is in the end, and every single request where those
    /// were asked for. Only where records were asked for, which one shard makes.
    pub fn on_call(&mut self, take: impl FnMut(&Call, &View<'_>) + Send + 'static) {
        let mut sink = Some(EachCall { label_sets: Arc::clone(&self.label_sets), take });
        self.add_sinks(|| Box::new(sink.take().expect("who asks for records has one shard")));
    }

    /// Reads all files.
    pub fn read(&mut self) -> Result<(), Failure> {
        self.shard.start().map_err(|(_, error)| Failure::from(error))?;
        self.shard.spread("follow").map_err(|error| {
            let help = "see whether the system is short of resources, or set service.shards = 1";
            Failure::Failed(format!("no thread can be made: {error}; {help}"))
        })?;
        let bar = Bar::new(&self.report);
        while self.shard.turn().map_err(|(_, error)| Failure::from(error))? == Turn::Going {
            bar.update(&self.report);
        }
        self.shard.settle();
        Ok(())
    }

    /// What was found about backends of services, until now.
    pub fn affinity(&mut self) -> Option<pipeline::affinity::Report> {
        self.shard.affinity()
    }

    /// Hands over the calls that are still up. The metrics are no longer those at the last packet.
    pub fn drain(&mut self) {
        self.shard.drain();
    }

    /// Tells the operator what of the files could not be read, and where else SIP was.
    pub fn say_remarks(&self) {
        self.remarks().iter().for_each(|remark| say(&format!("ringside: {remark}\n")));
    }

    fn remarks(&self) -> Vec<String> {
        remarks_at_the_end(&self.report, &self.seen)
    }
}

/// Capture files that are looked at while they are read, on whichever thread.
pub struct Watched {
    /// Built; what is to be added to it comes before its start.
    pub shard: Shard,
    /// Where the labels of calls have their names.
    pub label_sets: Arc<LabelSets>,
    /// Who may be asked for calls that are up.
    pub questions: Option<SyncSender<Question>>,
    shown: usize,
    report: Arc<Report>,
    seen: Seen,
}

impl Watched {
    /// Puts a sink at the end of the pipeline that is shown.
    pub fn add_sink(&mut self, sink: Box<dyn Sink>) {
        let (shown, mut sink) = (self.shown, Some(sink));
        self.shard.add_sinks(|outlet| if outlet == shown { sink.take() } else { None });
    }

    /// What the operator is to be told at the end, a line each.
    pub fn remarks(&self) -> Vec<String> {
        remarks_at_the_end(&self.report, &self.seen)
    }
}

/// What the operator is to be told at the end, a line each.
fn remarks_at_the_end(report: &Report, seen: &Seen) -> Vec<String> {
    let mut remarks = remarks(report, seen.any.load(Ordering::Relaxed));
    let (number, newest) = &*seen.refused();
    if let Some(last) = newest.iter().max_by_key(|refused| refused.at) {
        let (s, reason, source) = (if *number == 1 { "" } else { "s" }, last.reason.reason(), last.source);
        let more = "`ringside calls --refused` shows the newest";
        remarks.push(format!("{number} message{s} could not be read, the last ({reason}) from {source}: {more}"));
    }
    remarks
}

/// What records have to hold for who asks for calls.
pub struct Asked {
    number: Option<String>,
    headers: bool,
    media: bool,
    undisguised: bool,
    messages: bool,
}

impl Asked {
    /// Calls with `number` that `filter` wants; `media`: with what callers heard, whatever the pipelines say.
    pub fn of(number: Option<String>, filter: Option<&Filter>, media: bool) -> Self {
        let headers = filter.is_some_and(Filter::needs_headers);
        Self {
            number,
            headers,
            media: media || filter.is_some_and(Filter::needs_media),
            undisguised: false,
            messages: false,
        }
    }

    /// With Call-IDs and addresses as they are, whatever the configuration hides: packets are handed on whole.
    pub fn undisguised(self) -> Self {
        Self { undisguised: true, ..self }
    }

    /// With the messages themselves and the times of repeats.
    pub fn with_messages(self, messages: bool) -> Self {
        Self { messages, headers: self.headers || messages, ..self }
    }

    /// With what these fields ask for besides.
    pub fn with<'a>(mut self, fields: impl Iterator<Item = &'a Field>) -> Self {
        for field in fields {
            self.headers |= field.is_about_headers();
            self.media |= field.is_about_media();
        }
        self
    }

    /// Records as commands over files want them: each a whole call, and no single requests.
    pub fn wanted(self) -> CallsWanted {
        CallsWanted {
            instance: Arc::from("replay"),
            requests: false,
            pieces: false,
            number: self.number.map(Arc::from),
            watched: self.headers,
        }
    }
}

/// Records for the eye: of calls with all their messages said, and of what happened outside calls.
pub fn watched() -> CallsWanted {
    CallsWanted { instance: Arc::from("watch"), requests: true, pieces: false, number: None, watched: true }
}

/// The calls of capture files, those still up included, as `keep` makes something of them, in the order they ended; where
/// `exchanges` are asked for also what happened outside of calls, in the order it began. Last, what came after calls were over.
pub fn calls<T: Send + 'static>(
    catalogue: &Catalogue,
    captures: &Captures,
    asked: Asked,
    exchanges: Option<Exchanges>,
    mut keep: impl FnMut(&Call, &View<'_>) -> Option<T> + Send + 'static,
) -> Result<(Vec<T>, Vec<Exchange>, LateMessages), Failure> {
    let (media, undisguised, messages) = (asked.media, asked.undisguised, asked.messages);
    let adjust = |tree: &mut Node| {
        rewrite::with_numbers(tree);
        if undisguised {
            rewrite::without_privacy(tree);
        }
        rewrite::with_messages(tree);
        if messages {
            rewrite::with_raw(tree);
        }
        if media {
            rewrite::with_media(tree);
        }
    };
    let wanted = CallsWanted { requests: exchanges.is_some(), ..asked.wanted() };
    let mut reading = Reading::adjusted(catalogue, captures, |_| Some(wanted), false, adjust)?;
    let (kept, calls) = std::sync::mpsc::channel();
    let shared = Arc::new(Mutex::new(exchanges));
    let taken = Arc::clone(&shared);
    reading.on_call(move |call, view| match view.record.subject {
        Subject::Call => {
            if let Some(call) = keep(call, view) {
                kept.send(call).expect("the other end waits below");
            }
        }
        Subject::Request => {
            if let Some(exchanges) = &mut *taken.lock().unwrap_or_else(PoisonError::into_inner) {
                exchanges.take(view);
            }
        }
        Subject::Report => {}
    });
    let late = Counter::default();
    reading.add_sinks(|| Box::new(late.clone()));
    reading.read()?;
    reading.drain();
    reading.say_remarks();
    drop(reading);
    let late = std::mem::take(&mut *late.0.lock().unwrap_or_else(PoisonError::into_inner));
    let exchanges = shared.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok((calls.into_iter().collect(), exchanges.map_or_else(Vec::new, Exchanges::into_list), late))
}

/// The newest messages of capture files that could not be read.
pub fn refused(catalogue: &Catalogue, captures: &Captures) -> Result<Newest, Failure> {
    let mut reading = Reading::adjusted(catalogue, captures, |_| None, true, rewrite::with_numbers)?;
    reading.read()?;
    remarks(&reading.report, true).iter().for_each(|remark| say(&format!("ringside: {remark}\n")));
    let (_, newest) = &*reading.seen.refused();
    Ok(newest.clone())
}

/// How captures are read, by the configuration.
pub fn pcap_config(catalogue: &Catalogue, captures: &Captures) -> Result<receiver_pcap::Config, Failure> {
    let captures = &*with_ports(captures, catalogue)?;
    let loaded = load(captures, catalogue, &mut |tree| rewrite::for_captures(tree, captures))?;
    Ok(files(&loaded.configuration, captures))
}

/// The captures with ports that are numbers: `any` are those on which a first reading sees SIP.
fn with_ports<'a>(captures: &'a Captures, catalogue: &Catalogue) -> Result<Cow<'a, Captures>, Failure> {
    if !captures.ports.contains(&Port::Any) {
        return Ok(Cow::Borrowed(captures));
    }
    if captures.paths.iter().any(|path| path.as_os_str() == "-") {
        let text =
            "--ports any reads captures twice, which a pipe cannot be: write it to a file first, or name the ports";
        return Err(Failure::Usage(text.to_owned()));
    }
    let loaded = load(captures, catalogue, &mut |tree| rewrite::for_captures(tree, captures))?;
    let config = files(&loaded.configuration, captures);
    let listed = config.ports.clone();
    let report = Arc::<Report>::default();
    let mut receiver = PcapReceiver::new(config, Arc::clone(&report));
    receiver.start()?;
    let mut batch = FrameBatch::default();
    while receiver.receive(&mut batch, Duration::ZERO)? != Received::End {}
    let seen = report.passed_over().ports.into_iter().map(|(port, _)| port);
    let ports = listed.into_iter().chain(seen).map(Port::Number).collect();
    Ok(Cow::Owned(Captures { ports, ..captures.clone() }))
}

fn load(captures: &Captures, catalogue: &Catalogue, adjust: &mut dyn FnMut(&mut Node)) -> Result<Loaded, Failure> {
    settings::load_adjusted(&captures.run, catalogue, adjust).map_err(|problems| settings::refused(&problems))
}

/// The settings of the receiver that [`rewrite::for_captures`] left alone.
fn files(configuration: &Configuration, captures: &Captures) -> receiver_pcap::Config {
    let pcap = configuration.receivers[&configuration.graph.shards[0].receivers[0]].settings();
    let mut pcap =
        *pcap.downcast::<receiver_pcap::Config>().expect("the only receiver left is the one that reads files");
    // As they were given: the tree holds text, and a name need not be that.
    pcap.files.clone_from(&captures.paths);
    pcap
}

/// The Call-ID of a message; `None` without a usable one.
pub fn call_id<'a>(message: &'a [u8], frame: &SipFrame) -> Option<Cow<'a, str>> {
    let message = sip::parse(message, framing(frame)).ok()?;
    Some(String::from_utf8_lossy(message.call_id))
}

/// How the bytes of a message are to be read.
pub fn framing(frame: &SipFrame) -> Framing {
    match frame.transport {
        Transport::Tcp | Transport::Tls => Framing::Stream,
        Transport::Udp => Framing::Datagram { truncated: frame.is_cut() },
        Transport::Ws | Transport::Wss => Framing::WebSocket,
    }
}

/// A sink that hands each record that is whole to `take`, with its labels.
pub struct EachCall<F> {
    pub label_sets: Arc<LabelSets>,
    pub take: F,
}

impl<F: FnMut(&Call, &View<'_>) + Send> Sink for EachCall<F> {
    fn take(&mut self, _: &FrameBatch, facts: &Facts) {
        for call in facts.calls.iter().filter(|call| call.record.last) {
            let (carrier, ua_type) = self.label_sets.names(facts.labels(call.record.slot));
            (self.take)(call, &View { record: &call.record, carrier, ua_type });
        }
    }
}

/// Whether any SIP came, and which of it could not be read.
#[derive(Clone, Default)]
struct Seen {
    any: Arc<AtomicBool>,
    /// How many messages, and the newest of them.
    refused: Arc<Mutex<(u64, Newest)>>,
}

impl Seen {
    fn refused(&self) -> MutexGuard<'_, (u64, Newest)> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Seen {
    fn take(&mut self, batch: &FrameBatch, facts: &Facts) {
        if !batch.frames.is_empty() {
            self.any.store(true, Ordering::Relaxed);
        }
        if !facts.refused.is_empty() {
            let failed = facts.events.iter().filter(|event| matches!(event.fact, Fact::ParseFailed(_))).count() as u64;
            let tally = &batch.tally;
            let (number, newest) = &mut *self.refused();
            *number += failed + tally.start_line_errors + tally.too_large + tally.content_length_errors;
            facts.refused.iter().for_each(|refused| newest.push(refused.clone()));
        }
    }
}

/// Pipelines may count differently; one of them is shown, with its calls: `metrics`, else the first that is named
/// `metrics/...`. Gives its outlet.
fn shown(configuration: &Configuration, outlets: &[Outlet]) -> usize {
    let mut pipelines = configuration.service.pipelines.iter();
    let pipeline = pipelines.find(|(name, _)| Signal::of(name) == Some(Signal::Metrics));
    let exporters = pipeline.into_iter().flat_map(|(_, pipeline)| &pipeline.exporters);
    let exporters: Vec<ComponentId> = exporters.filter_map(|id| ComponentId::parse(id)).collect();
    let is_its = |outlet: &Outlet| outlet.exporters.iter().any(|exporter| exporters.contains(exporter));
    outlets.iter().position(is_its).expect("a pipeline ends at an outlet with its exporters")
}

fn remarks(report: &Report, seen: bool) -> Vec<String> {
    let mut remarks = report.problems();
    let PassedOver { listed, ports, wrapped } = report.passed_over();
    if !ports.is_empty() {
        let what = if seen {
            "SIP also on ports that are not looked at"
        } else {
            "no SIP on the ports looked at, but on others"
        };
        let listed = listed.into_iter().filter(|_| seen);
        let to_try: Vec<String> =
            listed.chain(ports.iter().map(|(port, _)| *port)).map(|port| port.to_string()).collect();
        remarks.push(format!("{what}: {}; try --ports {}", numbered(&ports), to_try.join(",")));
    }
    if !seen && ports.is_empty() && wrapped.is_empty() {
        remarks.push("no SIP is in these captures".to_owned());
    }
    if !wrapped.is_empty() {
        let wrapped: Vec<(&str, u64)> = wrapped.iter().map(|(why, packets)| (why.as_str(), *packets)).collect();
        remarks.push(format!("SIP in packets that are not read: {}", numbered(&wrapped)));
    }
    remarks
}

#[cfg(test)]
mod tests;
