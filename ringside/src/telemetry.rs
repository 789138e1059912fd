//! The program's own log, numbers and spans by OTLP, through OpenTelemetry's SDK: `service.telemetry`, off by default.
//!
//! Calls do not go this way: they have a sender of their own (`docs/adr/0006-no-sdk-on-the-call-path.md`). What the SDK and the
//! transport below it say is not sent, or each failure would be the reason of the next one.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use config::service::{OtlpTarget, Telemetry as Settings};
use engine::Status;
use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry::{InstrumentationScope, KeyValue, global};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{ExporterBuildError, LogExporter, MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{SdkLogger, SdkLoggerProvider};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use pipeline::{Health, Telemetry};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{interval, timeout};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::failure::Failure;

/// The way of log lines to the SDK, which comes later than the log: nothing before [`LateBridge::open`].
#[derive(Clone, Default)]
pub struct LateBridge(Arc<OnceLock<Bridge>>);

type Bridge = OpenTelemetryTracingBridge<SdkLoggerProvider, SdkLogger>;

impl LateBridge {
    fn open(&self, provider: &SdkLoggerProvider) {
        // It is opened once in the life of a program.
        let _ = self.0.set(OpenTelemetryTracingBridge::new(provider));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LateBridge {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let target = event.metadata().target();
        if !CARRIERS.iter().any(|carrier| target.starts_with(carrier))
            && let Some(bridge) = self.0.get()
        {
            bridge.on_event(event, context);
        }
    }
}

/// Who carries what is sent.
const CARRIERS: [&str; 6] = ["opentelemetry", "hyper", "h2", "tonic", "tower", "exporter::otlp::send"];

/// What runs. Nothing where nothing is configured.
#[derive(Default)]
pub struct OwnTelemetry {
    logs: Option<SdkLoggerProvider>,
    metrics: Option<SdkMeterProvider>,
    traces: Option<SdkTracerProvider>,
    /// Notices numbers that are new.
    watch: Option<JoinHandle<()>>,
}

impl OwnTelemetry {
    /// Makes exporters and their threads: to be called inside the runtime, and after capabilities were given up.
    pub fn start(settings: &Settings, status: &Arc<Status>, bridge: &LateBridge) -> Result<Self, Failure> {
        let mut own = Self::default();
        let resource = resource(&settings.resource);
        if !settings.logs.processors.is_empty() {
            let mut provider = SdkLoggerProvider::builder().with_resource(resource.clone());
            for processor in &settings.logs.processors {
                let target = &processor.batch.exporter.otlp;
                let exporter = LogExporter::builder().with_tonic().with_endpoint(&target.endpoint).build();
                provider = provider.with_batch_exporter(exporter.map_err(|error| refused("logs", target, &error))?);
            }
            let provider = provider.build();
            bridge.open(&provider);
            own.logs = Some(provider);
        }
        if !settings.traces.processors.is_empty() {
            let mut provider = SdkTracerProvider::builder().with_resource(resource.clone());
            for processor in &settings.traces.processors {
                let target = &processor.batch.exporter.otlp;
                let exporter = SpanExporter::builder().with_tonic().with_endpoint(&target.endpoint).build();
                provider = provider.with_batch_exporter(exporter.map_err(|error| refused("traces", target, &error))?);
            }
            let provider = provider.build();
            global::set_tracer_provider(provider.clone());
            own.traces = Some(provider);
        }
        if !settings.metrics.readers.is_empty() {
            let mut provider = SdkMeterProvider::builder().with_resource(resource);
            let mut shortest = Duration::MAX;
            for reader in &settings.metrics.readers {
                let (target, interval) = (&reader.periodic.exporter.otlp, reader.periodic.interval);
                let exporter = MetricExporter::builder().with_tonic().with_endpoint(&target.endpoint).build();
                let exporter = exporter.map_err(|error| refused("metrics", target, &error))?;
                provider = provider.with_reader(PeriodicReader::builder(exporter).with_interval(interval).build());
                shortest = shortest.min(interval);
            }
            let provider = provider.build();
            let scope = InstrumentationScope::builder("ringside").with_version(env!("CARGO_PKG_VERSION")).build();
            let numbers = Numbers::new(Arc::clone(status));
            own.watch = Some(tokio::spawn(instrument(provider.meter_with_scope(scope), numbers, shortest / 2)));
            own.metrics = Some(provider);
        }
        Ok(own)
    }

    /// Sends what is left, no longer than `within`. The SDK's threads wait for the runtime this is called on: they are waited for
    /// elsewhere.
    pub async fn stop(self, within: Duration) {
        let Self { logs, metrics, traces, watch } = self;
        if let Some(watch) = watch {
            watch.abort();
        }
        if logs.is_none() && metrics.is_none() && traces.is_none() {
            return;
        }
        let ended = spawn_blocking(move || {
            // What could not be sent in time is lost with the program; there is nobody left to tell.
            let _ = metrics.map(|provider| provider.shutdown_with_timeout(within));
            let _ = traces.map(|provider| provider.shutdown_with_timeout(within));
            let _ = logs.map(|provider| provider.shutdown_with_timeout(within));
        });
        let _ = timeout(within, ended).await;
    }
}

fn refused(signal: &str, target: &OtlpTarget, error: &ExporterBuildError) -> Failure {
    let endpoint = &target.endpoint;
    Failure::Failed(format!(
        "service.telemetry.{signal}: nothing can be sent to {endpoint:?}: {error}; write it as \"http://127.0.0.1:4317\""
    ))
}

/// The same as with pushed data.
fn resource(attributes: &BTreeMap<String, String>) -> Resource {
    let attributes = exporter::otlp::resource::attributes(attributes);
    let attributes = attributes.map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    Resource::builder_empty().with_attributes(attributes).build()
}

/// What the program tells about itself, asked for once for all instruments of a collection.
#[derive(Clone)]
struct Numbers {
    status: Arc<Status>,
    started: Instant,
    last: Arc<Mutex<Option<Asked>>>,
}

/// What was asked for last.
struct Asked {
    at: Instant,
    numbers: Arc<[Telemetry]>,
}

impl Numbers {
    fn new(status: Arc<Status>) -> Self {
        Self { status, started: Instant::now(), last: Arc::default() }
    }

    fn now(&self) -> Arc<[Telemetry]> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(Asked { at, numbers }) if at.elapsed() < FRESH => Arc::clone(numbers),
            _ => {
                let mut all = Vec::new();
                self.status.telemetry(&mut all);
                exporter::prometheus::about_process(self.started, &mut all);
                let numbers: Arc<[Telemetry]> = all.into();
                *last = Some(Asked { at: Instant::now(), numbers: Arc::clone(&numbers) });
                numbers
            }
        }
    }
}

/// Makes an instrument of each number, as numbers come.
async fn instrument(meter: Meter, numbers: Numbers, every: Duration) {
    let mut known = HashSet::new();
    let mut turns = interval(every.max(FRESH));
    loop {
        turns.tick().await;
        for one in numbers.now().iter() {
            if !known.insert(one.name) {
                continue;
            }
            let (name, help) = (one.name, exporter::prometheus::help(one.name).unwrap_or_default());
            let numbers = numbers.clone();
            let observe = move |observe: &dyn Fn(f64, &[KeyValue])| {
                for one in numbers.now().iter().filter(|one| one.name == name) {
                    let labels: Vec<KeyValue> =
                        one.labels.iter().map(|(label, value)| KeyValue::new(*label, value.clone())).collect();
                    observe(one.value, &labels);
                }
            };
            if one.counter {
                let counter = meter.f64_observable_counter(name).with_description(help);
                counter.with_callback(move |to| observe(&|value, labels| to.observe(value, labels))).build();
            } else {
                let gauge = meter.f64_observable_gauge(name).with_description(help);
                gauge.with_callback(move |to| observe(&|value, labels| to.observe(value, labels))).build();
            }
        }
    }
}

/// As long as what was asked for is used: a collection asks seventy times.
const FRESH: Duration = Duration::from_millis(500);
