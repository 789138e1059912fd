//! A server that takes every request of OTLP over HTTP and looks at none: what is measured is who sends.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use testnet::Namespace;

/// Where it listens, in a namespace of its own.
pub const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4318);

/// A running sink.
pub struct Sink<'a> {
    namespace: &'a Namespace,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl<'a> Sink<'a> {
    /// Listens when this returns.
    ///
    /// # Panics
    /// When it cannot.
    pub fn start(namespace: &'a Namespace) -> Self {
        let listener = namespace.run(|| TcpListener::bind(ADDRESS)).expect("a namespace of its own has free ports");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                // A connection that breaks is made again by who sends.
                thread::spawn(move || serve(&connection));
            }
        });
        Self { namespace, stop, thread }
    }

    /// Listens no more.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.namespace.run(|| TcpStream::connect(ADDRESS));
        self.thread.join().expect("it does not panic");
    }
}

/// One request after the other (RFC 9112, with Content-Length), each answered by an empty 200.
fn serve(connection: &TcpStream) -> io::Result<()> {
    let mut requests = BufReader::new(connection);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if requests.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        io::copy(&mut requests.by_ref().take(length), &mut io::sink())?;
        (&mut &*connection).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
    }
}
