//! Streams: one connection for each address, kept from probe to probe and made anew where it broke, with TLS or without.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use pipeline::probes::TlsSeen;
use sip::{Framer, Step};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::{End, Fault, Order, Phases, Report, Task};
use crate::exchange::Carrier;

/// Longest wait for a connection to take a request that answers a challenge.
const WRITE: std::time::Duration = std::time::Duration::from_secs(1);
/// Bytes read at a time.
const PIECE: usize = 4096;
/// Bytes that are kept of a message that is not whole: as much as the largest message.
const MOST: usize = sip::MAX_STREAM_MESSAGE + PIECE;

pub(super) async fn run(mut task: Task, mut orders: mpsc::Receiver<Order>) {
    let mut connection: Option<Connection> = None;
    let mut open = true;
    while open || task.exchange.under_way() > 0 {
        let read = async {
            match &mut connection {
                Some(connection) => connection.read().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            order = orders.recv(), if open => match order {
                Some(order) => begin(&mut task, &mut connection, order).await,
                None => open = false,
            },
            read = read => match read {
                Ok(at) => {
                    let held = connection.as_mut().expect("only a connection reads");
                    if take(&mut task, held, at).await.is_err() {
                        connection = None;
                        task.break_off(|| Fault::Closed);
                    }
                }
                Err(_) => {
                    connection = None;
                    task.break_off(|| Fault::Closed);
                }
            },
            () = tokio::time::sleep_until(task.due()) => {
                let requests = task.on_timeout();
                debug_assert!(requests.is_empty(), "over a stream nothing is sent again");
            }
        }
    }
}

/// Sends a probe, over the connection there is or a new one. One that broke unseen is replaced once.
async fn begin(task: &mut Task, connection: &mut Option<Connection>, order: Order) {
    let place = Some(task.place);
    let Order { deadline, reply } = order;
    let timed_out = |phases| Report { end: End::Timeout, phases, ..Report::failed(place, Fault::Closed) };
    if deadline <= Instant::now() {
        let _ = reply.send(timed_out(Phases::default()));
        return;
    }
    let (mut phases, mut tls) = Default::default();
    if let Some(held) = connection
        && held.is_closed()
    {
        *connection = None;
        task.break_off(|| Fault::Closed);
    }
    if connection.is_none() {
        let connecting = Connection::open(task, &mut phases, &mut tls);
        let opened = timeout_at(deadline.into(), connecting).await;
        if let Some((row, path)) = task.row.as_ref().filter(|_| tls != TlsSeen::default()) {
            row.secured(path, tls);
        }
        match opened {
            Ok(Ok(opened)) => *connection = Some(opened),
            Ok(Err(fault)) => {
                let _ = reply.send(Report { phases, tls, ..Report::failed(place, fault) });
                return;
            }
            Err(_) => {
                let _ = reply.send(Report { tls, ..timed_out(phases) });
                return;
            }
        }
    }
    let held = connection.as_mut().expect("it was opened");
    let Some(request) = task.begin(Order { deadline, reply }, held.local, phases, tls) else { return };
    // Half a request on a connection that takes no more is worse than none.
    if !matches!(timeout_at(deadline.into(), held.write(&request)).await, Ok(Ok(()))) {
        *connection = None;
        task.break_off(|| Fault::Closed);
    }
}

/// Takes the messages that have come whole.
async fn take(task: &mut Task, connection: &mut Connection, at: Instant) -> io::Result<()> {
    let mut done = 0;
    loop {
        let unread = &connection.unread[done..];
        match connection.framer.step(unread) {
            Step::More => break,
            Step::Message(len) => {
                let requests = task.on_message(at, &unread[..len]);
                done += len;
                for request in requests {
                    timeout(WRITE, connection.write(&request)).await??;
                }
            }
            Step::LineEnds(len) | Step::Stun(len) | Step::Skipped(len) => done += len,
            Step::Foreign | Step::StartLineError => task.on_garbage(),
            Step::Error(_, len) => {
                done += len;
                task.on_garbage();
            }
        }
    }
    connection.unread.drain(..done);
    if connection.unread.len() > MOST {
        task.on_garbage();
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(())
}

/// What both kinds of connections are.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection.
struct Connection {
    stream: Box<dyn Stream>,
    local: SocketAddr,
    framer: Framer,
    unread: Vec<u8>,
}

impl Connection {
    /// Opens one. What it took and showed is written down as it comes, for one that is given up half-way too.
    async fn open(task: &Task, phases: &mut Phases, tls: &mut TlsSeen) -> Result<Self, Fault> {
        let begun = Instant::now();
        let to = task.place.address;
        let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(Fault::Socket)?;
        if let Some(from) = task.ready.target.bind {
            socket.bind(SocketAddr::new(from, 0)).map_err(Fault::Socket)?;
        }
        let stream: TcpStream = socket.connect(to).await.map_err(Fault::Connect)?;
        let connected = Instant::now();
        phases.connect = Some(connected - begun);
        // A request is one segment: nothing is to wait for more.
        let _ = stream.set_nodelay(true);
        let local = stream.local_addr().map_err(Fault::Socket)?;
        let (framer, unread) = Default::default();
        if task.place.carrier == Carrier::Tcp {
            return Ok(Self { stream: Box::new(stream), local, framer, unread });
        }
        let trust = task.ready.trust.as_ref().expect("it was read for targets that may use TLS");
        let (config, shown) = trust.connection().map_err(|error| Fault::Tls(io::Error::other(error)))?;
        /// Notes what was shown, however the handshake ends.
        struct Note<'a>(&'a crate::tls::Shown, &'a mut TlsSeen);
        impl Drop for Note<'_> {
            fn drop(&mut self) {
                self.1.not_after = self.0.not_after();
            }
        }
        let note = Note(&shown, tls);
        let secured = TlsConnector::from(Arc::new(config)).connect(trust.name(), stream).await.map_err(Fault::Tls)?;
        let took = connected.elapsed();
        phases.tls = Some(took);
        note.1.handshake = Some(took);
        drop(note);
        Ok(Self { stream: Box::new(secured), local, framer, unread })
    }

    /// Waits for bytes; says when they had come. Loses nothing when it is given up.
    async fn read(&mut self) -> io::Result<Instant> {
        self.unread.reserve(PIECE);
        let len = self.stream.read_buf(&mut self.unread).await?;
        let at = Instant::now();
        if len == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(at) }
    }

    /// Whether the end of the connection has come, though nobody has read it yet.
    fn is_closed(&mut self) -> bool {
        use std::task::{Context, Poll, Waker};
        let mut piece = [0; PIECE];
        let mut buffer = tokio::io::ReadBuf::new(&mut piece);
        let stream = std::pin::Pin::new(&mut *self.stream);
        match stream.poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer) {
            Poll::Pending => false,
            Poll::Ready(Err(_)) => true,
            Poll::Ready(Ok(())) => {
                self.unread.extend_from_slice(buffer.filled());
                buffer.filled().is_empty()
            }
        }
    }

    async fn write(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request).await?;
        self.stream.flush().await
    }
}
