//! A client that shows what came over the socket, byte for byte, and an exporter to talk to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use exporter::prometheus::{Config, Limits, Prometheus, Settings};
use metrics::{ExporterContext, F, Registry, Undefined};
use pipeline::ComponentId;
use pipeline::component::{CaptureStatus, Exporter, Health, Telemetry};
use pipeline::settings::Problems;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than anything takes here.
const LONG: Duration = Duration::from_secs(60);

/// A running exporter and what it shows.
pub struct Running {
    pub registry: Arc<Registry>,
    pub state: Arc<State>,
    pub exporter: Prometheus,
    pub address: SocketAddr,
}

/// The state of a program that does not run.
#[derive(Default)]
pub struct State {
    pub capture: Mutex<CaptureStatus>,
    pub trouble: Mutex<Option<String>>,
}

impl Health for State {
    fn capture(&self) -> CaptureStatus {
        self.capture.lock().expect("nobody panicked").clone()
    }

    fn trouble(&self) -> Option<String> {
        self.trouble.lock().expect("nobody panicked").clone()
    }

    fn telemetry(&self, out: &mut Vec<Telemetry>) {
        out.push(Telemetry {
            name: "otelcol_receiver_accepted_sip_messages",
            labels: vec![("receiver", "ebpf_sip".to_owned())],
            counter: true,
            value: 42.0,
        });
    }
}

pub fn settings(endpoint: &str, undefined_ratio: Undefined) -> Settings {
    let mut problems = Problems::default();
    Settings::check(Config { endpoint: endpoint.to_owned(), undefined_ratio, ..Config::default() }, &mut problems)
        .expect("good settings")
}

/// What an exporter of metrics is built with.
pub fn context(registry: &Arc<Registry>, state: &Arc<State>) -> ExporterContext {
    ExporterContext {
        id: ComponentId::parse("prometheus").expect("an id"),
        registry: Some(Arc::clone(registry)),
        calls: None,
        frames: None,
        label_sets: Arc::clone(registry.label_sets()),
        resource: Arc::default(),
        health: Arc::clone(state) as _,
        folders: Default::default(),
        pages: Default::default(),
    }
}

/// On a free port of the loopback.
pub fn run(limits: Limits) -> Running {
    run_with(settings("127.0.0.1:0", Undefined::Nan), limits)
}

/// The same with other settings.
pub fn run_with(settings: Settings, limits: Limits) -> Running {
    let registry = Registry::new("sip_exporter");
    let state = Arc::new(State::default());
    *state.capture.lock().expect("nobody panicked") = CaptureStatus { kind: "ebpf", ..CaptureStatus::default() };
    let context = context(&registry, &state);
    let mut exporter = Prometheus::with_limits(settings, &context, limits);
    exporter.start().expect("a free port");
    let address = exporter.local_address().expect("started");
    Running { registry, state, exporter, address }
}

/// Label sets that [`fill`] counts under.
pub const SETS: usize = 300;

/// Enough series for a body of several pieces.
pub fn fill(registry: &Registry) {
    let mut rows = registry.shard();
    for n in 0..SETS as u64 {
        let set = registry.label_sets().intern("carrier", &format!("phone-{n}"));
        for variant in 0..15 {
            rows.add(set, F::Requests, variant, 1_000 + n);
        }
    }
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    /// One reply out of all that came on a connection that was then closed.
    pub fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head") + 4;
        let head = std::str::from_utf8(&bytes[..end]).expect("UTF-8");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut reply = Self { status: status.expect("a status"), headers, body: bytes[end..].to_vec() };
        if reply.header("transfer-encoding") == Some("chunked") {
            reply.body = unchunk(&reply.body);
        }
        reply
    }
}

fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n").expect("a chunk's length");
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).expect("digits"), 16).expect("hex");
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&bytes[end + 2..][..length]);
        bytes = &bytes[end + 2 + length + 2..];
    }
}

/// Returns once nobody listens at `address`. That may be a moment after the exporter let go of it: a child another test
/// is about to start holds every socket of this process until it has become its program.
pub async fn closed(address: SocketAddr) {
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, refused).await.expect("nobody listens any more");
}

/// One request on a connection of its own. `head` is the request line and header fields without the last empty line.
pub async fn send(address: SocketAddr, head: &str) -> Reply {
    let mut stream = TcpStream::connect(address).await.expect("the exporter listens");
    let request = format!("{}\r\nHost: ringside\r\nConnection: close\r\n\r\n", head.replace('\n', "\r\n"));
    stream.write_all(request.as_bytes()).await.expect("the request is taken");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("the response is whole");
    Reply::parse(&bytes)
}

pub async fn get(address: SocketAddr, path: &str) -> Reply {
    send(address, &format!("GET {path} HTTP/1.1")).await
}
