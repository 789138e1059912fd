//! The side under test: settings that are quick to retry, payloads with names, counters by name.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use exporter::otlp::{GrpcConfig, HttpConfig, Payload, Protocol, Sender, Settings, Signal, Stats, Store};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use pipeline::settings::Problems;
use prost::Message;

pub const BOTH: [Protocol; 2] = [Protocol::Grpc, Protocol::Http];

/// To `address`, with waits of some milliseconds between attempts and nothing else unusual.
pub fn settings(protocol: Protocol, address: SocketAddr) -> Settings {
    of_endpoint(protocol, &format!("http://{address}"))
}

pub fn of_endpoint(protocol: Protocol, endpoint: &str) -> Settings {
    let mut problems = Problems::default();
    let endpoint = endpoint.to_owned();
    let settings = match protocol {
        Protocol::Grpc => Settings::grpc(GrpcConfig { endpoint, ..GrpcConfig::default() }, &mut problems),
        Protocol::Http => Settings::http(HttpConfig { endpoint, ..HttpConfig::default() }, &mut problems),
    };
    let mut settings = settings.unwrap_or_else(|| panic!("{problems}"));
    // Long enough for a machine that is busy with something else.
    settings.timeout = Duration::from_secs(30);
    settings.retry.initial_interval = Duration::from_millis(5);
    settings.retry.max_interval = Duration::from_millis(20);
    settings
}

/// A sender and its counters.
pub struct Client {
    pub sender: Sender,
    stats: Arc<Stats>,
}

impl Client {
    pub fn start(settings: Settings) -> Self {
        Self::stored(settings, None)
    }

    /// With its queue on disk.
    pub fn stored(settings: Settings, store: Option<Arc<Store>>) -> Self {
        super::words::listen();
        let stats = Arc::new(Stats::default());
        let sender = Sender::start_stored("otlp_test", settings, Arc::clone(&stats), store);
        Self { sender: sender.unwrap_or_else(|error| panic!("{error}")), stats }
    }

    /// Sum over the labels of one name.
    pub fn count(&self, name: &str) -> u64 {
        let mut all = Vec::new();
        self.stats.report(&mut all);
        all.iter().filter(|one| one.name == name).map(|one| one.value as u64).sum()
    }

    pub fn sent(&self) -> u64 {
        self.count("otelcol_exporter_sent_spans")
    }

    pub fn failed(&self) -> u64 {
        self.count("otelcol_exporter_send_failed_spans")
    }

    pub fn refused(&self) -> u64 {
        self.count("otelcol_exporter_enqueue_failed_spans")
    }

    /// Waits until it is so.
    pub async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            tokio::task::yield_now().await;
        }
    }
}

/// Spans named `<name>-0`, `<name>-1` and so on.
pub fn spans(name: &str, count: usize) -> Payload {
    large(name, count, 0)
}

/// The same with about `bytes` in every span, which compress to a tenth.
pub fn large(name: &str, count: usize, bytes: usize) -> Payload {
    let span = |index| Span {
        name: format!("{name}-{index}"),
        trace_state: (0..bytes).map(|at| char::from(b'a' + (at / 13 % 26) as u8)).collect(),
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: (0..count).map(span).collect(), ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec().into();
    Payload { signal: Signal::Traces, body, items: count as u64, important: false }
}

/// What [`spans`] is called.
pub fn names(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|index| format!("{name}-{index}")).collect()
}
