//! A server for OTLP/HTTP that remembers the values of counters, refuses, or hangs.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value::AsInt;
use prost::Message;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Notify;

/// What came.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Requests, refused ones too.
    pub requests: usize,
    pub refused: usize,
    /// `service.name`.
    pub resource: Option<String>,
    /// Values of counters without or with one label set, in the order they came.
    values: BTreeMap<String, Vec<i64>>,
}

impl Seen {
    pub fn last(&self, name: &str) -> Option<i64> {
        self.values.get(name)?.last().copied()
    }

    pub fn sum(&self, name: &str) -> i64 {
        self.values.get(name).map_or(0, |values| values.iter().sum())
    }
}

#[derive(Default)]
struct State {
    seen: Mutex<Seen>,
    refuse: Mutex<usize>,
    hangs: Mutex<bool>,
    changed: Notify,
}

/// An address where nobody listens yet.
pub struct Reserved {
    socket: TcpSocket,
    pub address: String,
}

impl Reserved {
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let address = socket.local_addr().expect("it is bound").to_string();
        Self { socket, address }
    }

    pub fn listen(self) -> Server {
        let listener = self.socket.listen(16).expect("it is bound");
        let state = Arc::<State>::default();
        tokio::spawn(accept(listener, Arc::clone(&state)));
        Server { address: self.address, state }
    }
}

pub struct Server {
    pub address: String,
    state: Arc<State>,
}

impl Server {
    pub async fn start() -> Self {
        Reserved::new().listen()
    }

    pub fn seen(&self) -> Seen {
        self.state.seen.lock().expect("nobody panicked").clone()
    }

    /// Refuses as many requests for good.
    pub fn refuse_next(&self, count: usize) {
        *self.state.refuse.lock().expect("nobody panicked") = count;
    }

    /// Takes requests and answers none.
    pub fn hang(&self) {
        *self.state.hangs.lock().expect("nobody panicked") = true;
    }

    /// Waits until what came is as wanted.
    pub async fn until(&self, wanted: impl Fn(&Seen) -> bool) {
        let come = async {
            loop {
                let changed = self.state.changed.notified();
                if wanted(&self.seen()) {
                    return;
                }
                changed.await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(30), come).await;
        in_time.unwrap_or_else(|_| panic!("it never came: {:?}", self.seen()));
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, Arc::clone(&state)));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!(request.uri().path(), "/v1/metrics");
    let body = request.into_body().collect().await.expect("a whole request").to_bytes();
    if *state.hangs.lock().expect("nobody panicked") {
        std::future::pending::<()>().await;
    }
    let status = {
        let mut seen = state.seen.lock().expect("nobody panicked");
        let mut refuse = state.refuse.lock().expect("nobody panicked");
        seen.requests += 1;
        if *refuse > 0 {
            *refuse -= 1;
            seen.refused += 1;
            StatusCode::BAD_REQUEST
        } else {
            take(&mut seen, &body);
            StatusCode::OK
        }
    };
    state.changed.notify_waiters();
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    Ok(response)
}

fn take(seen: &mut Seen, body: &[u8]) {
    let request = ExportMetricsServiceRequest::decode(body).expect("a request");
    for resource_metrics in request.resource_metrics {
        let attribute = resource_metrics.resource.and_then(|resource| resource.attributes.into_iter().next());
        seen.resource = attribute.and_then(|attribute| match attribute.value?.value? {
            Value::StringValue(text) => Some(text),
            _ => None,
        });
        for metric in resource_metrics.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
            let Some(Data::Sum(sum)) = metric.data else { continue };
            let total = sum.data_points.iter().filter_map(|point| match point.value {
                Some(AsInt(number)) => Some(number),
                _ => None,
            });
            seen.values.entry(metric.name).or_default().push(total.sum());
        }
    }
}
