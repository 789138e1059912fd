//! The exporter as the engine sees it: one sender, a task for metrics and one for calls, as pipelines want them.
//!
//! Nothing here waits for a server: it starts whether one is there or not, and at the end takes no longer than it
//! may.

use std::any::Any;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::metrics::ExporterContext;
use pipeline::component::{Exporter, ExporterError, Reports};
use pipeline::{ComponentId, Telemetry};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::config::{Protocol, Settings};
use super::metrics::{self, Pusher};
use super::payload::{Payload, Signal};
use super::resource::{resource, scope};
use super::send::{Sender, Store};
use super::spans::{self, Batcher, Limits};
use super::stats::Stats;

/// `[exporters.otlp_grpc]` or `[exporters.otlp_http]`.
pub struct Otlp {
    settings: Settings,
    context: ExporterContext,
    stats: Arc<Stats>,
    /// The queue on disk, if there is one. Senders share it.
    store: Option<Arc<Store>>,
    running: Option<Running>,
}

/// What there is between start and stop.
struct Running {
    sender: Current,
    metrics: Option<Task<metrics::Pace>>,
    calls: Option<Task<spans::Pace>>,
}

/// Who sends now: a reload brings another.
#[derive(Clone)]
struct Current(Arc<Mutex<Arc<Sender>>>);

/// A task that goes at a pace which a reload may change.
struct Task<P> {
    pace: watch::Sender<P>,
    handle: JoinHandle<()>,
}

impl Otlp {
    /// Carries what `context` has.
    pub fn new(settings: Settings, context: &ExporterContext) -> Self {
        Self { settings, context: context.clone(), stats: Arc::default(), store: None, running: None }
    }

    /// The queue on disk, where `sending_queue.storage` names an extension that has a folder.
    fn open_store(&self) -> Result<Option<Arc<Store>>, ExporterError> {
        let named = ComponentId::parse(&self.settings.queue.storage);
        let Some(folder) = named.and_then(|id| self.context.folders.get(&id)) else { return Ok(None) };
        let folder = folder.join(self.context.id.as_str().replace('/', "-"));
        let store = Store::open(&folder).map_err(|error| ExporterError {
            what: format!("the queue on disk: {error}"),
            help: "let the user of the service write there, or set another `directory` in the extension".to_owned(),
        })?;
        Ok(Some(Arc::new(store)))
    }

    /// Pushes what the registry counts, if a metrics pipeline is fed from there.
    fn push_metrics(&self, sender: &Current) -> Option<Task<metrics::Pace>> {
        let registry = Arc::clone(self.context.registry.as_ref()?);
        let (resource, scope) = (resource(&self.context.resource), scope());
        let Settings { temporality, aggregation, .. } = self.settings;
        let pusher = Pusher::new(registry, resource, scope, temporality, aggregation, Arc::clone(&self.stats));
        let (pace, paced) = watch::channel(metrics_pace(&self.settings));
        let sender = sender.clone();
        let handle = tokio::spawn(metrics::run(pusher, paced, phase(), move || sender.get()));
        Some(Task { pace, handle })
    }

    /// Pushes calls, if a traces pipeline brings some.
    fn push_calls(&self, sender: &Current) -> Option<Task<spans::Pace>> {
        let calls = self.context.calls.as_ref()?.open()?;
        let batcher = Batcher::new(&resource(&self.context.resource), &scope());
        let (pace, paced) = watch::channel(spans_pace(&self.settings));
        let sender = sender.clone();
        let enqueue = async move |payload: Payload| {
            // What is refused is counted there.
            let _ = sender.get().enqueue(payload).await;
        };
        let label_sets = Arc::clone(&self.context.label_sets);
        let handle = tokio::spawn(spans::push(calls, label_sets, batcher, paced, Arc::clone(&self.stats), enqueue));
        Some(Task { pace, handle })
    }
}

impl Exporter for Otlp {
    fn start(&mut self) -> Result<(), ExporterError> {
        let id = self.context.id.as_str();
        self.store = self.open_store()?;
        let sender = Sender::start_stored(id, self.settings.clone(), Arc::clone(&self.stats), self.store.clone())?;
        let sender = Current(Arc::new(Mutex::new(Arc::new(sender))));
        let (metrics, calls) = (self.push_metrics(&sender), self.push_calls(&sender));
        self.running = Some(Running { sender, metrics, calls });
        Ok(())
    }

    /// Another sender takes over; what the old one holds still has some time. Temporality and buckets stay: points of both
    /// kinds in one series would be wrong together. To be called inside the runtime.
    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str> {
        let mut new = *settings.downcast::<Settings>().expect("settings come from the check of the same type");
        let mut restart = Vec::new();
        if new.temporality != self.settings.temporality {
            new.temporality = self.settings.temporality;
            restart.push("temporality");
        }
        if new.aggregation != self.settings.aggregation {
            new.aggregation = self.settings.aggregation;
            restart.push("default_histogram_aggregation");
        }
        if new.queue.storage != self.settings.queue.storage {
            new.queue.storage.clone_from(&self.settings.queue.storage);
            restart.push("sending_queue.storage");
        }
        let Some(running) = &mut self.running else { return restart };
        // Files may have changed though their names have not.
        let has_files = new.tls.ca_file.is_some() || new.tls.cert_file.is_some();
        if new == self.settings && !has_files {
            return restart;
        }
        let (stats, store) = (Arc::clone(&self.stats), self.store.clone());
        match Sender::start_stored(self.context.id.as_str(), new.clone(), stats, store) {
            Ok(sender) => {
                let old = running.sender.replace(sender);
                let current = running.sender.clone();
                tokio::spawn(async move {
                    old.flush(Some(Instant::now() + FLUSH_TIMEOUT)).await;
                    // What the old one did not send and is on disk.
                    current.get().adopt().await;
                });
                if let Some(task) = &running.metrics {
                    task.pace.send_replace(metrics_pace(&new));
                }
                if let Some(task) = &running.calls {
                    task.pace.send_replace(spans_pace(&new));
                }
                self.settings = new;
            }
            Err(error) => {
                tracing::warn!(exporter = self.context.id.as_str(), "{error}");
                restart.push("tls");
            }
        }
        restart
    }

    fn addresses(&self) -> Vec<String> {
        let carried =
            [(Signal::Metrics, self.context.registry.is_some()), (Signal::Traces, self.context.calls.is_some())];
        let protocol = match self.settings.protocol {
            Protocol::Grpc => "gRPC",
            Protocol::Http => "HTTP",
        };
        let line = |(signal, _): (Signal, bool)| {
            let uri = self.settings.endpoint(signal)?.uri();
            Some(format!("push     {} to {uri} (OTLP/{protocol})", signal.name()))
        };
        carried.into_iter().filter(|(_, is)| *is).filter_map(line).collect()
    }

    fn reports(&self) -> Option<Arc<dyn Reports>> {
        Some(Arc::clone(&self.stats) as _)
    }

    fn stop(&mut self, within: Duration) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        let running = self.running.take();
        let id = self.context.id.clone();
        Box::pin(async move {
            if let Some(running) = running {
                running.stop(&id, within).await;
            }
        })
    }
}

impl Running {
    /// The last calls become requests, what waits is sent, metrics are sent once more; no longer than `within`.
    async fn stop(self, id: &ComponentId, within: Duration) {
        // None for a time nobody will live to see.
        let now = Instant::now();
        let (half, deadline) = (now.checked_add(within / 2), now.checked_add(within));
        let sender = self.sender.get();
        let calls = async {
            if let Some(Task { handle, .. }) = self.calls {
                // It ends with the shards, at once; what waits to be sent must not wait for one that does not end.
                join(id, handle, half).await;
            }
            sender.flush(deadline).await;
        };
        let last_metrics = async {
            if let Some(Task { pace, handle }) = self.metrics {
                pace.send_modify(|pace| pace.stop = true);
                // The sender ends it in time; a moment more lets it count what it gave up.
                join(id, handle, deadline.map(|deadline| deadline + JOIN_GRACE)).await;
            }
        };
        tokio::join!(calls, last_metrics);
    }
}

/// Waits for a task until `deadline`, and takes it down then.
async fn join(id: &ComponentId, mut handle: JoinHandle<()>, deadline: Option<Instant>) {
    let ended = match deadline {
        Some(deadline) => timeout_at(deadline, &mut handle).await,
        None => timeout(Duration::MAX, &mut handle).await,
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(exporter = id.as_str(), %error, "an exporter's task ended by a panic"),
        Err(_) => handle.abort(),
    }
}

impl Current {
    fn get(&self) -> Arc<Sender> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, sender: Sender) -> Arc<Sender> {
        std::mem::replace(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), Arc::new(sender))
    }
}

impl Reports for Stats {
    fn telemetry(&self, out: &mut Vec<Telemetry>) {
        self.report(out);
    }
}

/// When within an interval metrics are pushed: at random, 0 to 1. In the middle where the system has no randomness.
fn phase() -> f64 {
    getrandom::u32().map_or(0.5, |random| f64::from(random) / f64::from(u32::MAX))
}

fn metrics_pace(settings: &Settings) -> metrics::Pace {
    metrics::Pace {
        interval: settings.metric_export_interval,
        patience: settings.timeout * 2,
        max_bytes: settings.max_request_size,
        stop: false,
    }
}

fn spans_pace(settings: &Settings) -> spans::Pace {
    let batch = &settings.queue.batch;
    let limits = Limits { min_items: batch.min_size, max_items: batch.max_size, max_bytes: settings.max_request_size };
    spans::Pace { flush_timeout: batch.flush_timeout, limits }
}

/// How long a sender that was replaced may go on with what it holds.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(30);
/// How much longer than its deadline a sender takes to say that it gave up.
const JOIN_GRACE: Duration = Duration::from_millis(100);
