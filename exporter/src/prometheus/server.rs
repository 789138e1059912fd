//! The HTTP server: connections in, each bounded in number, size and time.
//!
//! A client may be slow, silent or hostile: there are at most [`Limits::connections`], a request's head has
//! [`Limits::head`] to arrive, a response [`Limits::response`] to be taken. None of them holds up capture,
//! which is on other threads. Everything here runs on one current-thread runtime.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use pipeline::component::ExporterError;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::routes::Site;

/// What one endpoint bears.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; more wait in the kernel's queue.
    pub connections: usize,
    /// Scrapes at a time, each with its copy of all rows; more wait.
    pub scrapes: usize,
    /// How long a connection may be without a whole head of a request: at its begin, and between requests.
    pub head: Duration,
    /// How long a response may take from the end of its request's head until the client has it.
    pub response: Duration,
    /// How long responses under way have when the program ends.
    pub farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        // Prometheus keeps its connection between scrapes, usually 15 or 30 s apart.
        Self {
            connections: 256,
            scrapes: 8,
            head: Duration::from_secs(40),
            response: Duration::from_secs(30),
            farewell: Duration::from_secs(1),
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
    /// Binds and begins to accept. To be called inside a runtime.
    pub fn start(endpoint: SocketAddr, limits: Limits, site: Arc<Site>) -> Result<Self, ExporterError> {
        let listener = listen(endpoint).map_err(|error| refused(endpoint, &error))?;
        let address = listener.local_addr().map_err(|error| refused(endpoint, &error))?;
        let (stop, stopped) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, limits, site, stopped));
        Ok(Self { address, stop, accepting })
    }

    /// Where it listens; the port is the real one where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the socket and waits for responses under way, [`Limits::farewell`] at most.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.accepting.await {
            tracing::error!(%error, "the metrics endpoint ended by a panic");
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

fn refused(endpoint: SocketAddr, error: &io::Error) -> ExporterError {
    let port = endpoint.port();
    let cure = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "`ss -ltnp 'sport = :{port}'` shows which program listens there; stop it, or give [exporters.prometheus] \
             another endpoint"
        ),
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need CAP_NET_BIND_SERVICE; give [exporters.prometheus] an endpoint above".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "this host does not have the address; `ip -brief address` shows those it \
             has, \"0.0.0.0\" in the endpoint of [exporters.prometheus] means all of them"
            .to_owned(),
        _ => "check the endpoint of [exporters.prometheus]".to_owned(),
    };
    ExporterError { what: format!("cannot listen on {endpoint}: {error}"), cure }
}

async fn accept(listener: TcpListener, limits: Limits, site: Arc<Site>, mut stopped: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next() => continue,
            accepted = next(&listener, &slots) => accepted,
        };
        let (stream, slot) = match stream {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors or memory: trying again at once would only burn the processor.
                tracing::warn!(%error, "the metrics endpoint cannot take a connection");
                sleep(PAUSE).await;
                continue;
            }
        };
        let (site, stopped) = (Arc::clone(&site), stopped.clone());
        connections.spawn(async move {
            serve(stream, limits, site, stopped).await;
            drop(slot);
        });
    }
    drop(listener);
    let whole = async { while connections.join_next().await.is_some() {} };
    // A client that does not take its response must not hold up the end: it is cut off with `connections`.
    let _ = timeout(limits.farewell, whole).await;
}

/// The next connection, once there is room for it.
async fn next(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.expect("the semaphore is never closed");
    Ok((listener.accept().await?.0, slot))
}

async fn serve(stream: TcpStream, limits: Limits, site: Arc<Site>, mut stopped: watch::Receiver<bool>) {
    // Without it the last, short segment of a body waits for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let (busy, deadline) = watch::channel(None);
    let busy = Arc::new(busy);
    let _counted = Counted::new(&site);
    let service = service_fn(|request| {
        let (site, busy) = (Arc::clone(&site), Busy::until(&busy, Instant::now() + limits.response));
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
                site.too_slow.fetch_add(1, Ordering::Relaxed);
                break;
            }
            _ = stopped.wait_for(|stop| *stop), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// A connection among [`Site::connections`], however it ends.
struct Counted(Arc<Site>);

impl Counted {
    fn new(site: &Arc<Site>) -> Self {
        site.connections.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(site))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that is being answered. Dropped with the body of its response.
pub struct Busy(Arc<watch::Sender<Option<Instant>>>);

impl Busy {
    fn until(deadline: &Arc<watch::Sender<Option<Instant>>>, at: Instant) -> Self {
        deadline.send_replace(Some(at));
        Self(Arc::clone(deadline))
    }
}

impl Drop for Busy {
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
