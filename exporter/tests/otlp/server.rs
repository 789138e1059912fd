//! A server for both protocols that does what a test tells it: takes requests, refuses them, or misbehaves.
//!
//! gRPC is tonic's generated services, HTTP is hyper; the faults are put before them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use exporter::otlp::Protocol;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use socket2::{Domain, SockRef, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;

use super::services;

/// What the server does with one request.
#[derive(Clone, Debug)]
pub enum Step {
    /// Takes it.
    Accept,
    /// Takes it but for so many items.
    Partial(i64),
    /// A gRPC status, perhaps with `RetryInfo`.
    Code(tonic::Code, Option<Duration>),
    /// An HTTP status, perhaps with `Retry-After`.
    Status(u16, Option<String>),
    /// Never answers.
    Hang,
    /// Resets the connection once the head is there.
    Reset,
    /// Answers this, whatever it is.
    Raw(fn() -> Response<Body>),
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub at: Instant,
    pub headers: HeaderMap,
    /// Names of the spans; empty where a fault came before they were read.
    pub spans: Vec<String>,
    /// Whether the server took them.
    pub taken: bool,
}

/// What the server has seen and will do.
#[derive(Default)]
pub struct State {
    script: Mutex<VecDeque<Step>>,
    seen: Mutex<Vec<Seen>>,
    changed: Notify,
}

impl State {
    pub fn note(&self, seen: Seen) {
        self.seen.lock().unwrap().push(seen);
        self.changed.notify_waiters();
    }
}

/// An address that is taken, where nobody listens yet.
pub struct Reserved {
    socket: Socket,
    pub address: SocketAddr,
}

impl Reserved {
    pub fn new() -> Self {
        Self::at((Ipv4Addr::LOCALHOST, 0).into())
    }

    fn at(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.bind(&address.into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Self { socket, address }
    }

    pub fn start(self, protocol: Protocol, tls: Option<TlsAcceptor>) -> Server {
        self.socket.listen(64).unwrap();
        let listener = TcpListener::from_std(self.socket.into()).unwrap();
        let state = Arc::new(State::default());
        let accepting = tokio::spawn(accept(listener, protocol, tls, Arc::clone(&state)));
        Server { address: self.address, state, accepting }
    }
}

/// A server that runs until it is dropped; its connections end with it.
pub struct Server {
    pub address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

impl Server {
    pub fn start(protocol: Protocol) -> Self {
        Reserved::new().start(protocol, None)
    }

    pub fn script(&self, steps: impl IntoIterator<Item = Step>) {
        self.state.script.lock().unwrap().extend(steps);
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// Names of the spans that were taken, in order of their arrival.
    pub fn taken(&self) -> Vec<String> {
        self.seen().into_iter().filter(|seen| seen.taken).flat_map(|seen| seen.spans).collect()
    }

    /// Waits for so many requests, answered or not.
    pub async fn requests(&self, count: usize) {
        loop {
            let changed = self.state.changed.notified();
            if self.seen().len() >= count {
                return;
            }
            changed.await;
        }
    }

    /// Closes everything; the address is kept from others, and nobody listens there.
    pub async fn stop(mut self) -> Reserved {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
        Reserved::at(self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, protocol: Protocol, tls: Option<TlsAcceptor>, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        // What is dropped is reset: neither a restart nor a test waits for what lingers.
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        connections.spawn(async move {
            match tls {
                None => serve(stream, protocol, state).await,
                Some(tls) => {
                    // A client that does not trust us, or whom we do not trust, goes away here.
                    let Ok(stream) = tls.accept(stream).await else { return };
                    serve(stream, protocol, state).await;
                }
            }
        });
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, protocol: Protocol, state: Arc<State>) {
    let reset = Arc::new(Notify::new());
    let service = service_fn(|request| {
        let (state, reset) = (Arc::clone(&state), Arc::clone(&reset));
        async move { Ok::<_, Infallible>(answer(request, protocol, state, reset).await) }
    });
    let io = TokioIo::new(stream);
    let connection = async {
        // How a connection ends is the test's business, not the server's.
        let _ = match protocol {
            Protocol::Grpc => {
                hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await
            }
            Protocol::Http => hyper::server::conn::http1::Builder::new().serve_connection(io, service).await,
        };
    };
    tokio::select! {
        () = connection => {}
        () = reset.notified() => {}
    }
}

async fn answer(
    mut request: Request<Incoming>,
    protocol: Protocol,
    state: Arc<State>,
    reset: Arc<Notify>,
) -> Response<Body> {
    let step = state.script.lock().unwrap().pop_front().unwrap_or(Step::Accept);
    let fault = !matches!(step, Step::Accept | Step::Partial(_) | Step::Code(..));
    if fault {
        let headers = request.headers().clone();
        state.note(Seen { at: Instant::now(), headers, spans: Vec::new(), taken: false });
    }
    match step {
        Step::Hang => std::future::pending().await,
        Step::Reset => {
            reset.notify_one();
            std::future::pending().await
        }
        Step::Raw(response) => response(),
        Step::Status(status, after) => {
            let mut response = Response::builder().status(status);
            if let Some(after) = after {
                response = response.header("retry-after", after);
            }
            response.body(body("what went wrong, in the server's words: s3cret")).unwrap()
        }
        step => {
            request.extensions_mut().insert(step);
            match protocol {
                Protocol::Grpc => services::grpc(request, state).await,
                Protocol::Http => services::http(request, state).await,
            }
        }
    }
}

pub fn body(text: impl Into<Bytes>) -> Body {
    Body::new(Full::new(text.into()))
}

/// Takes connections and says nothing of the kind that was asked for.
pub async fn speak(listener: TcpListener, words: &'static [u8]) {
    loop {
        let (stream, _): (TcpStream, _) = listener.accept().await.unwrap();
        stream.writable().await.unwrap();
        let _ = stream.try_write(words);
    }
}
