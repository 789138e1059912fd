//! `replay --export`: calls and metrics of the captures to the OTLP exporters of the configuration.
//!
//! Reading waits for sending, so nothing is turned away however fast a file is read: a call waits for room in front
//! of each exporter, a request for the answer to the one before. A server that could not be reached for
//! `max_elapsed_time` is not asked again.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use config::Configuration;
use engine::Sink;
use exporter::otlp::metrics::Pusher;
use exporter::otlp::resource::{resource, scope};
use exporter::otlp::spans::{Batcher, Limits, Pace, push};
use exporter::otlp::{Failure as Lost, Outcome, Payload, Sender, Settings, Signal, Stats};
use pipeline::{ComponentId, Facts, FrameBatch, KeptCall, LabelSets};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::captures::Reading;
use crate::failure::Failure;
use crate::logs::Log;

/// What is sent while captures are read.
pub struct Export {
    targets: Vec<Target>,
    handle: Handle,
    thread: JoinHandle<()>,
    /// Keeps the thread alive.
    end: oneshot::Sender<()>,
}

/// One exporter.
struct Target {
    id: ComponentId,
    settings: Settings,
    way: Arc<Way>,
    /// What it tells of the metrics; `None` when no metrics pipeline names it.
    metrics: Option<Pusher>,
    /// There was no server left to send them to.
    metrics_skipped: bool,
}

/// The way to a server, until that is given up.
struct Way {
    sender: Sender,
    stats: Arc<Stats>,
    gone: AtomicBool,
}

/// Calls that wait for an exporter.
const WAITING_CALLS: usize = 256;

impl Export {
    /// Begins to send what `reading` will bring.
    pub fn start(reading: &mut Reading) -> Result<Self, Failure> {
        // What servers refuse is said there.
        Log::open(&reading.configuration().service.telemetry.logs);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| {
            let help = "see whether the system is short of resources";
            Failure::Failed(format!("--export: the exporters cannot be set up: {error}; {help}"))
        })?;
        let handle = runtime.handle().clone();
        let targets = targets(reading, &handle)?;
        let (mut feeds, mut pushes) = (BTreeMap::new(), Vec::new());
        for target in targets.iter().filter(|target| traces(reading.configuration(), &target.id)) {
            let (feed, calls) = mpsc::channel(WAITING_CALLS);
            feeds.insert(target.id.clone(), feed);
            pushes.push(target.push(calls, reading));
        }
        reading.add_call_sinks(|exporters| {
            let to = exporters.iter().filter_map(|id| feeds.get(id).cloned()).collect();
            Some(Box::new(Hand { to }))
        });
        let (end, ended) = oneshot::channel();
        let thread = std::thread::spawn(move || run(&runtime, pushes, ended));
        Ok(Self { targets, handle, thread, end })
    }

    /// Sends the metrics as they are now, and waits until they have arrived or will not.
    pub fn metrics(&mut self) {
        for Target { settings, way, metrics, metrics_skipped, .. } in &mut self.targets {
            let Some(pusher) = metrics else { continue };
            *metrics_skipped = way.gone.load(Ordering::Relaxed);
            if !*metrics_skipped {
                self.handle.block_on(pusher.push(&way.sender, settings.max_request_size));
            }
        }
    }

    /// Waits until the last call has arrived or will not; errs with what did not. No more calls come: what was read
    /// has been dropped.
    pub fn finish(self) -> Result<(), Failure> {
        drop(self.end);
        if self.thread.join().is_err() {
            let text = "--export: a bug in an exporter; please report it with the line above";
            return Err(Failure::Failed(text.to_owned()));
        }
        let lost: Vec<String> = self.targets.iter().filter_map(Target::lost).collect();
        match lost.is_empty() {
            true => Ok(()),
            false => Err(Failure::Failed(format!("--export: not all has arrived: {}", lost.join("; ")))),
        }
    }
}

impl Target {
    /// Sends calls until no more can come.
    fn push(&self, calls: mpsc::Receiver<KeptCall>, reading: &Reading) -> Push {
        let batch = &self.settings.queue.batch;
        let max_bytes = self.settings.max_request_size;
        let limits = Limits { min_items: batch.min_size, max_items: batch.max_size, max_bytes };
        let batcher = Batcher::new(&resource(&reading.configuration().service.telemetry.resource), &scope());
        let (_, pace) = watch::channel(Pace { flush_timeout: batch.flush_timeout, limits });
        let (way, stats) = (Arc::clone(&self.way), Arc::clone(&self.way.stats));
        let label_sets: Arc<LabelSets> = Arc::clone(reading.label_sets());
        let send = async move |payload| way.send(payload).await;
        Box::pin(push(calls, label_sets, batcher, pace, stats, send))
    }

    /// What did not arrive, as text; `None` if all did.
    fn lost(&self) -> Option<String> {
        let named = [(Signal::Traces, "spans"), (Signal::Logs, "log records"), (Signal::Metrics, "data points")];
        let numbers = named.map(|(signal, name)| (self.way.stats.lost(signal), name));
        let mut lost: Vec<String> =
            numbers.iter().filter(|(lost, _)| *lost > 0).map(|(lost, name)| format!("{lost} {name}")).collect();
        if self.metrics_skipped {
            lost.push("all metrics".to_owned());
        }
        (!lost.is_empty()).then(|| format!("exporters.{}: {}", self.id, lost.join(", ")))
    }
}

impl Way {
    async fn send(&self, payload: Payload) {
        if self.gone.load(Ordering::Relaxed) {
            return self.stats.send_failed(payload.signal, payload.items);
        }
        if self.sender.send_now(payload).await == Outcome::Failed(Lost::GaveUp) {
            self.gone.store(true, Ordering::Relaxed);
        }
    }
}

/// Hands calls to exporters. Waits for each of them.
struct Hand {
    to: Vec<mpsc::Sender<KeptCall>>,
}

impl Sink for Hand {
    fn take(&mut self, _: &FrameBatch, facts: &Facts) {
        for call in &facts.calls {
            let kept = KeptCall { call: call.clone(), labels: facts.labels(call.record.slot) };
            for exporter in &self.to {
                // A task that is gone has panicked, which the end tells.
                let _ = exporter.blocking_send(kept.clone());
            }
        }
    }
}

/// The OTLP exporters that pipelines name; there is one at least.
fn targets(reading: &Reading, handle: &Handle) -> Result<Vec<Target>, Failure> {
    // Senders start their tasks on this runtime.
    let _inside = handle.enter();
    let configuration = reading.configuration();
    let mut targets = Vec::new();
    for (id, checked) in &configuration.exporters {
        let Ok(settings) = checked.settings().downcast::<Settings>() else { continue };
        let registry = reading.metrics_for(id);
        if registry.is_none() && !traces(configuration, id) {
            continue;
        }
        let stats = Arc::<Stats>::default();
        let sender = Sender::start(id.as_str(), (*settings).clone(), Arc::clone(&stats))?;
        let metrics = registry.map(|registry| {
            let resource = resource(&configuration.service.telemetry.resource);
            let Settings { temporality, aggregation, .. } = *settings;
            Pusher::new(registry, resource, scope(), temporality, aggregation, Arc::clone(&stats))
        });
        let way = Arc::new(Way { sender, stats, gone: AtomicBool::new(false) });
        targets.push(Target { id: id.clone(), settings: *settings, way, metrics, metrics_skipped: false });
    }
    if targets.is_empty() {
        let help = "define `otlp_grpc` or `otlp_http` in `exporters` and name it in a pipeline";
        return Err(Failure::Usage(format!("--export: no pipeline has an OTLP exporter; {help}")));
    }
    Ok(targets)
}

/// Whether calls go to this exporter.
fn traces(configuration: &Configuration, id: &ComponentId) -> bool {
    let mut traces = false;
    for shard in &configuration.graph.shards {
        shard.trunk.walk(&mut |branch| traces |= branch.call_exporters.contains(id));
    }
    traces
}

type Push = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The life of the thread: until every push has ended and nobody asks for metrics any more.
fn run(runtime: &Runtime, pushes: Vec<Push>, ended: oneshot::Receiver<()>) {
    runtime.block_on(async {
        let mut tasks: JoinSet<()> = pushes.into_iter().collect();
        while let Some(pushed) = tasks.join_next().await {
            pushed.expect("a push does not panic");
        }
        // Nothing is ever sent here: it is over when the other end is gone.
        let _ = ended.await;
    });
}
