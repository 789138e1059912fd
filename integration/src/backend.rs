//! An OTLP receiver that comes and goes: takes every request over HTTP, and for a while nobody is there.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use testnet::Namespace;

/// A receiver on a thread of its own, gone when dropped.
#[derive(Debug)]
pub struct Backend {
    stop: Arc<AtomicBool>,
    taken: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

/// How often it looks whether somebody came, or it is time to go.
const LOOK: Duration = Duration::from_millis(20);

impl Backend {
    /// Is there for `phase`, then gone for as long, and so on.
    ///
    /// # Panics
    /// On its thread, when the address cannot be had.
    pub fn coming_and_going(namespace: &Namespace, address: SocketAddr, phase: Duration) -> Self {
        let (stop, taken) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&taken));
        let namespace = namespace.again().expect("the namespace exists");
        let thread = thread::spawn(move || {
            namespace.enter();
            while !stopped.load(Ordering::Relaxed) {
                serve(address, Instant::now() + phase, &stopped, &counted);
                let back = Instant::now() + phase;
                while Instant::now() < back && !stopped.load(Ordering::Relaxed) {
                    thread::sleep(LOOK);
                }
            }
        });
        Self { stop, taken, thread: Some(thread) }
    }

    /// Requests it has taken so far.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Takes requests until then, and closes every connection in the end.
fn serve(address: SocketAddr, until: Instant, stop: &AtomicBool, taken: &Arc<AtomicU64>) {
    let listener = TcpListener::bind(address).expect("a port of our own");
    listener.set_nonblocking(true).expect("a listener need not wait");
    let connections = Mutex::new(Vec::<TcpStream>::new());
    thread::scope(|scope| {
        while Instant::now() < until && !stop.load(Ordering::Relaxed) {
            let Ok((connection, _)) = listener.accept() else {
                thread::sleep(LOOK);
                continue;
            };
            let kept = connection.try_clone().expect("a descriptor");
            connections.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
            scope.spawn(move || {
                // A client that goes away in the middle is its own affair.
                let _ = answer(connection, taken);
            });
        }
        for connection in connections.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
    });
}

/// Takes one request after another.
fn answer(connection: TcpStream, taken: &AtomicU64) -> io::Result<()> {
    connection.set_nonblocking(false)?;
    let mut writer = connection.try_clone()?;
    let mut reader = BufReader::new(connection);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
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
        io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
        taken.fetch_add(1, Ordering::Relaxed);
        writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n")?;
    }
}
