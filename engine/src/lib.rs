//! The engine: a checked configuration in, running shards and exporters out.
//!
//! One OS thread per shard takes frames from its receivers through processors to recorders by direct calls
//! (`shard`, `flow`), or hands them to several threads that do (`dispatcher`, `worker`); the main thread keeps exporters and
//! extensions. They share nothing but metric rows, the queues of calls (`calls`, `watch`) and the [`Status`]. Start order:
//! exporters, extensions, processors, receivers; stop order the reverse. The engine reads a
//! clock only to keep the status fresh, and logs nothing: what happens is returned to the binary.

mod calls;
mod dispatcher;
mod flow;
mod shard;
mod status;
#[cfg(test)]
mod tests;
mod watch;
mod worker;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Orders, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use config::graph::{Branch, Graph};
use config::{Configuration, Service, Settings, Type};
use metrics::recorder::Recorder;
use metrics::{ExporterContext, ExtensionContext, Registry};
use pipeline::pages::Pages;
use pipeline::{
    CallQueue, CallsWanted, ComponentId, Exporter, ExporterError, Extension, ExtensionError, Facts, FrameBatch,
    FrameQueue, LabelSets, Receiver, ReceiverError, Telemetry,
};

pub use calls::CallSink;
pub use shard::{FlowContext, Outlet, Shard, Turn};
pub use status::Status;
use watch::Watchers;

/// Every type of component the program has, as the engine builds them.
pub type Catalogue = config::Catalogue<ExporterContext, ExtensionContext>;

/// Takes what comes out at the end of a pipeline. Called on the shard's thread: it must not wait.
pub trait Sink: Send {
    /// What one batch brought.
    fn take(&mut self, batch: &FrameBatch, facts: &Facts);
}

impl Sink for Recorder {
    fn take(&mut self, batch: &FrameBatch, facts: &Facts) {
        self.record(batch, facts);
    }
}

/// Everything built, nothing started.
pub struct Engine {
    shards: Vec<Shard>,
    exporters: Vec<(ComponentId, Box<dyn Exporter>)>,
    extensions: Vec<(ComponentId, Box<dyn Extension>)>,
    status: Arc<Status>,
    graph: Graph,
    service: Service,
}

impl Engine {
    /// Builds what a configuration describes. It opens nothing and needs no privilege.
    pub fn build(configuration: &Configuration, catalogue: &Catalogue) -> Self {
        let status = Arc::new(Status::new(configuration.graph.shards.len()));
        let label_sets = Arc::<LabelSets>::default();
        let queues = call_queues(&configuration.graph);
        let recorders = configuration.graph.shards.iter().flat_map(|shard| shard.recorders.iter().cloned());
        let recorded: BTreeMap<ComponentId, Arc<FrameQueue>> = recorders.map(|id| (id, Arc::default())).collect();
        let mut watchers = Watchers::new(configuration, catalogue);
        let watched = watchers.are_there();
        let mut registries = BTreeMap::new();
        let mut order = Vec::new();
        let mut shown = Vec::new();
        let shards = configuration.graph.shards.iter().map(|plan| {
            let receivers = plan.receivers.iter().map(|id| {
                let kind = kind(&catalogue.receivers, id);
                (id.clone(), kind.build(configuration.receivers[id].settings(), &()))
            });
            let receivers: Vec<(ComponentId, Box<dyn Receiver>)> = receivers.collect();
            let rows = receivers.iter().filter_map(|(_, receiver)| receiver.probes());
            shown.extend(rows.flat_map(|rows| plan.shown_by.iter().map(move |id| (id.clone(), Arc::clone(&rows)))));
            let context = FlowContext {
                label_sets: &label_sets,
                wanted: &|branch| wanted(branch, &configuration.service, watched),
                // Rows of its own are nothing to divide.
                shards: if plan.shown_by.is_empty() { configuration.service.shards } else { 1 },
            };
            let mut outlets = Vec::new();
            let mut shard = Shard::build(plan, receivers, configuration, catalogue, &context, &mut outlets);
            watchers.join(&mut shard, plan, catalogue);
            plan.recorders.iter().for_each(|id| shard.add_recorder(Arc::clone(&recorded[id])));
            let rows: Vec<Arc<Registry>> = outlets.iter().map(|outlet| Arc::clone(&outlet.registry)).collect();
            shard.add_call_sinks(|exporters| {
                let queues = exporters.iter().map(|id| Arc::clone(&queues[id]));
                Some(Box::new(CallSink::new(queues, Arc::clone(&label_sets), rows.clone())))
            });
            for Outlet { registry, exporters } in outlets {
                order.extend(exporters.iter().cloned());
                registries.extend(exporters.into_iter().map(|id| (id, Arc::clone(&registry))));
            }
            shard
        });
        let shards = shards.collect();
        for (id, rows) in shown {
            let namespace = &configuration.service.metrics.namespace;
            let registry = registries.entry(id.clone()).or_insert_with(|| {
                order.push(id);
                Registry::sharing(namespace, catalogue.build, Arc::clone(&label_sets))
            });
            *registry = registry.with_probes(rows);
        }
        // The shards have theirs; what is left must not keep a queue open behind them.
        queues.values().for_each(|queue| queue.close());
        let watches = watchers.close();
        let pages = Pages::default();
        let resource = Arc::new(configuration.service.telemetry.resource.clone());
        order.extend(queues.keys().filter(|id| !registries.contains_key(*id)).cloned());
        order.extend(recorded.keys().cloned());
        let first = order.first().and_then(|id| registries.get(id));
        let extensions = configuration.extensions.iter().map(|(id, checked)| {
            let context = ExtensionContext {
                id: id.clone(),
                registry: first.cloned(),
                watch: watches.get(id).cloned(),
                label_sets: Arc::clone(&label_sets),
                health: Arc::clone(&status) as _,
            };
            let extension = kind(&catalogue.extensions, id).build(checked.settings(), &context);
            extension.page().into_iter().for_each(|page| pages.add(page));
            extension.reports().into_iter().for_each(|reports| status.add("extension", id.clone(), reports));
            (id.clone(), extension)
        });
        let extensions: Vec<(ComponentId, Box<dyn Extension>)> = extensions.collect();
        let folders =
            extensions.iter().filter_map(|(id, extension)| Some((id.clone(), extension.directory()?.to_owned())));
        let folders = Arc::new(folders.collect());
        let exporters = order.iter().map(|id| {
            let context = ExporterContext {
                id: id.clone(),
                registry: registries.get(id).cloned(),
                calls: queues.get(id).cloned(),
                frames: recorded.get(id).cloned(),
                label_sets: Arc::clone(&label_sets),
                resource: Arc::clone(&resource),
                health: Arc::clone(&status) as _,
                folders: Arc::clone(&folders),
                pages: pages.clone(),
            };
            let kind = kind(&catalogue.exporters, id);
            let exporter = kind.build(configuration.exporters[id].settings(), &context);
            let queue = queues.get(id).map(|queue| Arc::clone(queue) as _);
            let frames = recorded.get(id).map(|queue| Arc::clone(queue) as _);
            let reports = exporter.reports().into_iter().chain(queue).chain(frames);
            reports.for_each(|reports| status.add("exporter", id.clone(), reports));
            (id.clone(), exporter)
        });
        let exporters = exporters.collect();
        Self {
            shards,
            exporters,
            extensions,
            status,
            graph: configuration.graph.clone(),
            service: configuration.service.clone(),
        }
    }

    /// Starts the exporters. To be called inside the runtime they serve in.
    pub fn start_exporters(&mut self) -> Result<(), (ComponentId, ExporterError)> {
        self.exporters.iter_mut().try_for_each(|(id, exporter)| exporter.start().map_err(|error| (id.clone(), error)))
    }

    /// Starts the extensions: after the exporters, inside the same runtime.
    pub fn start_extensions(&mut self) -> Result<(), (ComponentId, ExtensionError)> {
        let start = |(id, extension): &mut (ComponentId, Box<dyn Extension>)| {
            extension.start().map_err(|error| (id.clone(), error))
        };
        self.extensions.iter_mut().try_for_each(start)
    }

    /// Starts the receivers: after the exporters, and before capabilities are dropped.
    pub fn start_receivers(&mut self) -> Result<(), (ComponentId, ReceiverError)> {
        for (shard, report) in self.shards.iter_mut().zip(&self.status.shards) {
            shard.start()?;
            shard.publish(report);
        }
        Ok(())
    }

    /// Gives each shard its thread. `on_end` is told on that thread when it ends, for whatever reason.
    pub fn run(self, on_end: impl Fn(Ended) + Send + Sync + 'static) -> io::Result<Running> {
        let on_end = Arc::new(on_end);
        let mut commands = Vec::new();
        for (index, mut shard) in self.shards.into_iter().enumerate() {
            let (sender, orders) = sync_channel(COMMANDS);
            shard.spread(&format!("follow-{index}"))?;
            let (status, on_end) = (Arc::clone(&self.status), Arc::clone(&on_end));
            let work = move || {
                let result = catch_unwind(AssertUnwindSafe(|| run_shard(&mut shard, &orders, &status, index)));
                on_end(match result {
                    Ok(Ok(())) => Ended::Stopped,
                    Ok(Err((receiver, error))) => Ended::Failed { receiver, error },
                    Err(_) => Ended::Panicked { component: shard.working() },
                });
            };
            thread::Builder::new().name(format!("shard-{index}")).spawn(work)?;
            commands.push(sender);
        }
        let Self { exporters, extensions, status, graph, service, .. } = self;
        Ok(Running { commands, exporters, extensions, status, graph, service })
    }

    /// Where to look, and what is captured: lines for the operator, known after the start.
    pub fn addresses(&self) -> Vec<String> {
        let exporters = self.exporters.iter().flat_map(|(_, exporter)| exporter.addresses());
        exporters.chain(self.extensions.iter().flat_map(|(_, extension)| extension.addresses())).collect()
    }

    /// The state of the program.
    pub fn status(&self) -> &Arc<Status> {
        &self.status
    }
}

/// Why a shard's thread is no more.
#[derive(Debug)]
pub enum Ended {
    /// It was told to, and has drained its processors.
    Stopped,
    /// A receiver cannot go on.
    Failed {
        /// Which.
        receiver: ComponentId,
        /// Why.
        error: ReceiverError,
    },
    /// A bug: state may be broken, so the process has to end.
    Panicked {
        /// Whose code it was in, as far as is known.
        component: String,
    },
}

/// A running engine.
pub struct Running {
    commands: Vec<SyncSender<Command>>,
    exporters: Vec<(ComponentId, Box<dyn Exporter>)>,
    extensions: Vec<(ComponentId, Box<dyn Extension>)>,
    status: Arc<Status>,
    graph: Graph,
    service: Service,
}

/// New settings for a shard. That no more can come tells it to end: closing gets through whatever waits.
struct Command {
    receivers: Vec<Option<Settings>>,
    /// For each flow.
    processors: Vec<Vec<Option<Settings>>>,
    reply: Reply,
}

/// Takes the keys that need a restart.
type Reply = Box<dyn FnOnce(Vec<String>) + Send>;

/// Why a shard could not be told something: it is gone, or does not take commands for some reason.
#[derive(Debug, thiserror::Error)]
#[error("a capture thread does not answer")]
pub struct NoAnswer;

impl Running {
    /// Hands every component its new settings. `reply` is called once a shard has applied its part, on its
    /// thread, with the keys that need a restart and keep their old values. Returns those found at once,
    /// and how many replies will come.
    pub fn reconfigure(
        &mut self,
        new: &Configuration,
        reply: impl Fn(Vec<String>) + Clone + Send + 'static,
    ) -> Result<(Vec<String>, usize), NoAnswer> {
        let mut restart = Vec::new();
        for (plan, commands) in self.graph.shards.iter().zip(&self.commands) {
            let receivers = plan.receivers.iter().map(|id| new.receivers.get(id).map(|checked| checked.settings()));
            let processors = || {
                let mut processors = Vec::new();
                plan.trunk.walk(&mut |branch| {
                    let settings = |id| new.processors.get(id).map(|checked| checked.settings());
                    processors.extend(branch.processors.iter().map(settings));
                });
                processors
            };
            let processors = (0..self.service.shards).map(|_| processors()).collect();
            let reply = Box::new(reply.clone());
            let command = Command { receivers: receivers.collect(), processors, reply };
            commands.try_send(command).map_err(|_| NoAnswer)?;
        }
        for (id, exporter) in &mut self.exporters {
            if let Some(checked) = new.exporters.get(id) {
                let keys = exporter.reconfigure(checked.settings());
                restart.extend(keys.iter().map(|key| format!("exporters.{id}.{key}")));
            }
        }
        for (id, extension) in &mut self.extensions {
            if let Some(checked) = new.extensions.get(id) {
                let keys = extension.reconfigure(checked.settings());
                restart.extend(keys.iter().map(|key| format!("extensions.{id}.{key}")));
            }
        }
        if !new.extensions.keys().eq(self.extensions.iter().map(|(id, _)| id)) {
            restart.push("service.extensions".to_owned());
        }
        if new.graph != self.graph {
            restart.push("service.pipelines".to_owned());
        }
        if new.service.shards != self.service.shards {
            restart.push("service.shards".to_owned());
        }
        if new.service.metrics.namespace != self.service.metrics.namespace {
            restart.push("service.metrics.namespace".to_owned());
        }
        if new.service.telemetry.resource != self.service.telemetry.resource {
            restart.push("service.telemetry.resource".to_owned());
        }
        Ok((restart, self.commands.len()))
    }

    /// Tells every shard to drain and end; each then reports [`Ended::Stopped`]. Returns how many will.
    pub fn stop_shards(&mut self) -> usize {
        self.commands.drain(..).count()
    }

    /// Lets every exporter send what is left, and extensions close, all at the same time and `within` this one.
    pub async fn stop_exporters(&mut self, within: Duration) {
        let exporters = self.exporters.iter_mut().map(|(_, exporter)| exporter.stop(within));
        let extensions = self.extensions.iter_mut().map(|(_, extension)| extension.stop(within));
        let mut stopping: Vec<_> = exporters.chain(extensions).collect();
        poll_fn(|context| {
            stopping.retain_mut(|stop| stop.as_mut().poll(context).is_pending());
            if stopping.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// The state of the program.
    pub fn status(&self) -> &Arc<Status> {
        &self.status
    }
}

/// Commands that may wait for a shard.
const COMMANDS: usize = 8;

/// The life of a shard's thread.
fn run_shard(
    shard: &mut Shard,
    orders: &Orders<Command>,
    status: &Status,
    index: usize,
) -> Result<(), (ComponentId, ReceiverError)> {
    let report = &status.shards[index];
    let mut fresh = status::Fresh::default();
    loop {
        let turn = shard.turn()?;
        if fresh.is_over() || turn == Turn::Ended {
            shard.publish(report);
        }
        shard.answer();
        let order = match turn {
            Turn::Going => orders.try_recv(),
            // Questions are still answered.
            Turn::Ended if shard.is_watched() => match orders.recv_timeout(shard::LONGEST_WAIT) {
                Err(RecvTimeoutError::Timeout) => Err(TryRecvError::Empty),
                Err(RecvTimeoutError::Disconnected) => Err(TryRecvError::Disconnected),
                Ok(order) => Ok(order),
            },
            // Nothing comes any more: only an order can bring news.
            Turn::Ended => orders.recv().map_err(|_| TryRecvError::Disconnected),
        };
        match order {
            Ok(Command { receivers, processors, reply }) => {
                let restart = shard.reconfigure(receivers, processors);
                shard.publish(report);
                reply(restart);
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => {
                shard.drain();
                return Ok(());
            }
        }
    }
}

/// A queue for each exporter that carries calls.
fn call_queues(graph: &Graph) -> BTreeMap<ComponentId, Arc<CallQueue>> {
    let mut queues = BTreeMap::new();
    for shard in &graph.shards {
        shard.trunk.walk(&mut |branch| {
            queues.extend(branch.call_exporters.iter().map(|id| (id.clone(), Arc::<CallQueue>::default())));
        });
    }
    queues
}

/// What traces want of calls.
pub fn traced(service: &Service) -> CallsWanted {
    let instance = service.telemetry.resource.get(INSTANCE).map(String::as_str).unwrap_or_default();
    CallsWanted { instance: Arc::from(instance), requests: true, pieces: true, number: None, watched: false }
}

/// What is wanted of calls in a branch: what traces want, and what watchers do.
fn wanted(branch: &Branch, service: &Service, watched: bool) -> Option<CallsWanted> {
    match branch.traces() {
        true => Some(CallsWanted { watched, ..traced(service) }),
        false => watched.then(|| CallsWanted { requests: false, pieces: false, watched, ..traced(service) }),
    }
}

/// The resource attribute that tells observers of the same call apart.
const INSTANCE: &str = "service.instance.id";

/// The type of a component that was checked.
fn kind<'a, P: ?Sized, X>(types: &'a [Type<P, X>], id: &ComponentId) -> &'a Type<P, X> {
    types.iter().find(|kind| kind.name == id.kind()).expect("a configuration names only types of its catalogue")
}

/// Adds who it is to what a component tells about itself.
fn named(kind: &'static str, id: &ComponentId, from: usize, telemetry: &mut [Telemetry]) {
    for number in &mut telemetry[from..] {
        number.labels.insert(0, (kind, id.to_string()));
    }
}
