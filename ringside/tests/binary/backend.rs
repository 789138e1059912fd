//! An OTLP/HTTP server inside the test: what the program sent, decoded by the official types.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A server until it is dropped.
pub struct Backend {
    pub endpoint: String,
    taken: Taken,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Path and uncompressed body of each request that was taken.
type Taken = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

impl Backend {
    /// Takes everything.
    pub fn start() -> Self {
        Self::answering(StatusCode::OK)
    }

    /// Answers every request so; keeps those it accepts.
    pub fn answering(status: StatusCode) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("it listens"));
        let taken = Taken::default();
        let (end, ended) = oneshot::channel();
        let serve = serve(listener, status, Arc::clone(&taken));
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve => {}
                    _ = ended => {}
                }
            });
        });
        Self { endpoint, taken, end: Some(end), thread: Some(thread) }
    }

    /// The uncompressed bodies, whatever they hold.
    pub fn bodies(&self) -> Vec<Vec<u8>> {
        self.taken.lock().expect("nobody panics").iter().map(|(_, body)| body.clone()).collect()
    }

    fn requests<M: Message + Default>(&self, path: &str) -> Vec<M> {
        let taken = self.taken.lock().expect("nobody panics");
        let bodies = taken.iter().filter(|(to, _)| to == path);
        bodies.map(|(_, body)| M::decode(&body[..]).expect("a request of the official types")).collect()
    }

    /// All spans, in the order they came.
    pub fn spans(&self) -> Vec<Span> {
        let resources = self.requests::<ExportTraceServiceRequest>("/v1/traces").into_iter();
        let scopes = resources.flat_map(|request| request.resource_spans).flat_map(|one| one.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// Who sent the spans.
    pub fn resources(&self) -> Vec<Resource> {
        let requests = self.requests::<ExportTraceServiceRequest>("/v1/traces").into_iter();
        requests.flat_map(|request| request.resource_spans).filter_map(|one| one.resource).collect()
    }

    /// All log records, in the order they came.
    pub fn logs(&self) -> Vec<LogRecord> {
        let resources = self.requests::<ExportLogsServiceRequest>("/v1/logs").into_iter();
        let scopes = resources.flat_map(|request| request.resource_logs).flat_map(|one| one.scope_logs);
        scopes.flat_map(|scope| scope.log_records).collect()
    }

    /// All metrics, in the order they came.
    pub fn metrics(&self) -> Vec<Metric> {
        let resources = self.requests::<ExportMetricsServiceRequest>("/v1/metrics").into_iter();
        let scopes = resources.flat_map(|request| request.resource_metrics).flat_map(|one| one.scope_metrics);
        scopes.flat_map(|scope| scope.metrics).collect()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, status: StatusCode, taken: Taken) {
    loop {
        let (stream, _) = listener.accept().await.expect("it listens");
        let taken = Arc::clone(&taken);
        let service = service_fn(move |request| answer(request, status, Arc::clone(&taken)));
        // A client that goes away is no fault of the server.
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(
    request: Request<Incoming>,
    status: StatusCode,
    taken: Taken,
) -> Result<Response<Empty<Bytes>>, hyper::Error> {
    let path = request.uri().path().to_owned();
    let gzip = request.headers().get("content-encoding").is_some_and(|encoding| encoding == "gzip");
    let body = request.into_body().collect().await?.to_bytes();
    if status.is_success() {
        let mut plain = Vec::new();
        match gzip {
            true => drop(GzDecoder::new(&body[..]).read_to_end(&mut plain).expect("it is gzip")),
            false => plain.extend_from_slice(&body),
        }
        taken.lock().expect("nobody panics").push((path, plain));
    }
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    Ok(response)
}

/// Attributes as text, by name.
pub fn texts(attributes: &[KeyValue]) -> BTreeMap<&str, String> {
    let text = |one: &KeyValue| match one.value.as_ref().and_then(|any| any.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|one| (one.key.as_str(), text(one))).collect()
}
