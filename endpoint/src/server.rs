//! The HTTP server: connections in, each bounded in number, size and time.
//!
//! A client may be slow, silent or hostile: there are at most [`Limits::connections`], one client has at most
//! [`Limits::connections_each`] of them, a request's head has [`Limits::head`] to arrive, a response
//! [`Limits::response`] to be taken. None of them holds up capture,
//! which is on other threads. Everything here runs on one current-thread runtime.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use crate::places::Places;
use crate::tls::Acceptor;

/// Who answers requests.
pub trait Site: Send + Sync + 'static {
    /// The bodies of its answers.
    type Body: Body<Data = Bytes, Error = Infallible> + Send + 'static;

    /// Answers one request. `busy` is to be kept until the response was taken.
    fn answer(
        &self,
        request: Request<Incoming>,
        busy: ResponseGuard,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// Where connections are counted.
    fn load(&self) -> &Load;
}

/// Who sent a request: among its extensions. Behind a proxy that is the proxy.
#[derive(Clone, Copy, Debug)]
pub struct Client(pub SocketAddr);

/// What clients do to an endpoint.
#[derive(Debug, Default)]
pub struct Load {
    /// Connections now.
    pub connections: AtomicU64,
    /// Connections closed because the client did not take its response in time.
    pub too_slow: AtomicU64,
    /// Connections closed because the client had its share of them, or most of all while others asked.
    pub refused: AtomicU64,
}

/// Why nothing can be served; the text says what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {help}")]
pub struct Refused {
    /// What failed, with its cause.
    pub what: String,
    /// What the operator can do.
    pub help: String,
}

/// What one endpoint bears.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; for one more, the client with most of them gives one up.
    pub connections: usize,
    /// Connections of one client at a time; more are closed at once. What forwards for many (a proxy, `ssh -L`) is one
    /// client, so this is to be most of them, but not all.
    pub connections_each: usize,
    /// How long a connection may be without a whole head of a request: at its begin, and between requests.
    pub head: Duration,
    /// How long a response may take from the end of its request's head until the client has it.
    pub response: Duration,
    /// How long responses under way have when the program ends.
    pub shutdown_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        // Prometheus keeps its connection between scrapes, usually 15 or 30 s apart.
        Self {
            connections: 256,
            connections_each: 192,
            head: Duration::from_secs(40),
            response: Duration::from_secs(30),
            shutdown_grace: Duration::from_secs(1),
        }
    }
}

/// A socket that is being listened on.
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Binds and begins to accept. To be called inside a runtime. `table` is where the operator finds the endpoint:
    /// `[exporters.prometheus]`.
    pub fn start(
        endpoint: SocketAddr,
        limits: Limits,
        site: Arc<impl Site>,
        table: &'static str,
    ) -> Result<Self, Refused> {
        Self::start_encrypted(endpoint, None, limits, site, table)
    }

    /// The same over TLS where there is an acceptor.
    pub fn start_encrypted(
        endpoint: SocketAddr,
        acceptor: Option<Acceptor>,
        limits: Limits,
        site: Arc<impl Site>,
        table: &'static str,
    ) -> Result<Self, Refused> {
        let listener = listen(endpoint).map_err(|error| refused(endpoint, &error, table))?;
        let address = listener.local_addr().map_err(|error| refused(endpoint, &error, table))?;
        let (stop, stopped) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, acceptor.map(Arc::new), limits, site, stopped));
        Ok(Self { address, stop, accepting })
    }

    /// Where it listens; the port is the real one where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the socket and waits for responses under way, [`Limits::shutdown_grace`] at most.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.accepting.await {
            tracing::error!(%error, "an endpoint ended by a panic");
        }
    }
}

fn listen(endpoint: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(endpoint), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the connections of the last run to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&endpoint.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn refused(endpoint: SocketAddr, error: &io::Error, table: &str) -> Refused {
    let port = endpoint.port();
    let help = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "`ss -ltnp 'sport = :{port}'` shows which program listens there; stop it, or give {table} another \
             endpoint"
        ),
        io::ErrorKind::PermissionDenied => {
            format!("ports below 1024 need CAP_NET_BIND_SERVICE; give {table} an endpoint above")
        }
        io::ErrorKind::AddrNotAvailable => format!(
            "this host does not have the address; `ip -brief address` shows those it has, \"0.0.0.0\" in the endpoint \
             of {table} means all of them"
        ),
        _ => format!("check the endpoint of {table}"),
    };
    Refused { what: format!("cannot listen on {endpoint}: {error}"), help }
}

async fn accept<S: Site>(
    listener: TcpListener,
    acceptor: Option<Arc<Acceptor>>,
    limits: Limits,
    site: Arc<S>,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Places::new(limits.connections, limits.connections_each);
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, client) = match stream {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors or memory: trying again at once would only burn the processor.
                tracing::warn!(%error, "an endpoint cannot take a connection");
                sleep(PAUSE).await;
                continue;
            }
        };
        // Nobody else has to leave for one who has enough.
        if places.has_share(client.ip()) {
            site.load().refused.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let free = tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => break,
            free = places.free() => free,
        };
        let (busy, deadline) = watch::channel(None);
        let Some(place) = places.give(free, client.ip(), deadline.clone()) else {
            site.load().refused.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let (site, acceptor, stopped) = (Arc::clone(&site), acceptor.clone(), stopped.clone());
        connections.spawn(async move {
            let _counted = Counted::new(site.load());
            tokio::select! {
                () = talk(stream, client, acceptor, limits, Arc::clone(&site), (busy, deadline), stopped) => {}
                () = place.needed() => drop(site.load().refused.fetch_add(1, Ordering::Relaxed)),
            }
        });
    }
    drop(listener);
    let whole = async { while connections.join_next().await.is_some() {} };
    // A client that does not take its response must not hold up the end: it is cut off with `connections`.
    let _ = timeout(limits.shutdown_grace, whole).await;
}

/// Until when the response of a connection has to be taken.
type Deadline = (watch::Sender<Option<Instant>>, watch::Receiver<Option<Instant>>);

/// Encrypts where that is wanted, and serves.
async fn talk<S: Site>(
    stream: TcpStream,
    client: SocketAddr,
    acceptor: Option<Arc<Acceptor>>,
    limits: Limits,
    site: Arc<S>,
    response: Deadline,
    stopped: watch::Receiver<bool>,
) {
    // Without it the last, short segment of a body waits for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = acceptor else { return serve(stream, client, limits, site, response, stopped).await };
    // A handshake that fails, or takes too long, is the client's.
    if let Ok(Ok(stream)) = timeout(limits.head, TlsAcceptor::from(acceptor.current()).accept(stream)).await {
        serve(stream, client, limits, site, response, stopped).await;
    }
}

async fn serve<S: Site>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    client: SocketAddr,
    limits: Limits,
    site: Arc<S>,
    (busy, deadline): Deadline,
    mut stopped: watch::Receiver<bool>,
) {
    let busy = Arc::new(busy);
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(Client(client));
        let (site, busy) = (Arc::clone(&site), ResponseGuard::until(&busy, Instant::now() + limits.response));
        async move { Ok::<_, Infallible>(site.answer(request, busy).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let mut stopping = false;
    loop {
        tokio::select! {
            // An error is the client's: it went away, was silent, or its request cannot be read.
            _ = connection.as_mut() => break,
            () = overdue(deadline.clone()) => {
                site.load().too_slow.fetch_add(1, Ordering::Relaxed);
                break;
            }
            _ = stopped.wait_for(|stop| *stop), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// A connection among [`Load::connections`], however it ends.
struct Counted<'a>(&'a Load);

impl<'a> Counted<'a> {
    fn new(load: &'a Load) -> Self {
        load.connections.fetch_add(1, Ordering::Relaxed);
        Self(load)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that is being answered. Dropped with the body of its response.
#[derive(Debug)]
pub struct ResponseGuard(Arc<watch::Sender<Option<Instant>>>);

impl ResponseGuard {
    fn until(deadline: &Arc<watch::Sender<Option<Instant>>>, at: Instant) -> Self {
        deadline.send_replace(Some(at));
        Self(Arc::clone(deadline))
    }

    /// The response goes on for as long as both ends like: only the [`Abort`] closes its connection.
    pub fn endless(self) -> Abort {
        Abort(Arc::clone(&self.0))
    }
}

/// Ends an endless response whose client does not take it. The default is that of no connection.
#[derive(Clone, Debug, Default)]
pub struct Abort(Arc<watch::Sender<Option<Instant>>>);

impl Abort {
    /// Closes the connection at once.
    pub fn now(&self) {
        self.0.send_replace(Some(Instant::now()));
    }
}

impl Drop for ResponseGuard {
    fn drop(&mut self) {
        self.0.send_replace(None);
    }
}

/// Ready when a response has taken too long.
async fn overdue(mut deadline: watch::Receiver<Option<Instant>>) {
    loop {
        let at = *deadline.borrow_and_update();
        match at {
            Some(at) => tokio::select! {
                () = sleep_until(at) => return,
                _ = deadline.changed() => {}
            },
            // The sender lives as long as the connection that is waited for beside this.
            None => drop(deadline.changed().await),
        }
    }
}

/// Connections the kernel holds for us.
const BACKLOG: i32 = 1024;
/// How long to wait after a connection could not be taken.
const PAUSE: Duration = Duration::from_millis(100);
/// Largest head of a request, in bytes.
const HEAD_BYTES: usize = 16 * 1024;
/// Most header fields of a request.
const HEAD_FIELDS: usize = 64;
