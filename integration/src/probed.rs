//! Servers that are asked by OPTIONS: what they answer, and how badly.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use testnet::Namespace;

/// How often a server looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(50);

/// What a server says to a request.
pub fn reply(request: &str, start: &str, more: &str) -> Vec<u8> {
    let wanted = ["via:", "from:", "to:", "call-id:", "cseq:"];
    let copied = request.lines().filter(|line| wanted.iter().any(|name| line.to_lowercase().starts_with(name)));
    let copied: String = copied.map(|line| format!("{line}\r\n")).collect();
    format!("SIP/2.0 {start}\r\n{copied}{more}Content-Length: 0\r\n\r\n").into_bytes()
}

/// A server over UDP, until it is dropped.
pub struct Answering {
    wanted: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Answering {
    /// One that says 200 to everything.
    ///
    /// # Panics
    /// When somebody else is there.
    pub fn start(namespace: &Namespace, address: &str) -> Self {
        Self::with(namespace, address, |request| vec![reply(request, "200 OK", "")])
    }

    /// One that sends what `answer` makes of each request.
    ///
    /// # Panics
    /// When somebody else is there.
    pub fn with(
        namespace: &Namespace,
        address: &str,
        mut answer: impl FnMut(&str) -> Vec<Vec<u8>> + Send + 'static,
    ) -> Self {
        let socket = bound(namespace, address);
        let (wanted, asked) = (Arc::new(AtomicBool::new(true)), Arc::<AtomicU64>::default());
        let (going_on, count) = (Arc::clone(&wanted), Arc::clone(&asked));
        let thread = thread::spawn(move || {
            let mut buffer = vec![0; 65_535];
            while going_on.load(Ordering::Relaxed) {
                let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
                count.fetch_add(1, Ordering::Relaxed);
                for message in answer(&String::from_utf8_lossy(&buffer[..len])) {
                    // Who asked may have gone away.
                    let _ = socket.send_to(&message, from);
                }
            }
        });
        Self { wanted, asked, thread: Some(thread) }
    }

    /// How many requests have come.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.wanted.store(false, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A socket that gives up waiting now and then.
fn bound(namespace: &Namespace, address: &str) -> UdpSocket {
    let address: SocketAddr = address.parse().expect("an address");
    let socket = namespace.run(|| UdpSocket::bind(address)).expect("nobody else is there");
    socket.set_read_timeout(Some(LOOK)).expect("it is a socket");
    socket
}

/// A path between a prober and a UDP server that loses and delays what passes, by rule and not by chance.
pub struct Lossy {
    wanted: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Lossy {
    /// From `address` to `server` and back. Of the requests every `lose`th is lost, none when 0; each answer is held back
    /// for `delay`.
    ///
    /// # Panics
    /// When somebody else is there.
    pub fn start(namespace: &Namespace, address: &str, server: SocketAddr, lose: u64, delay: Duration) -> Self {
        let front = bound(namespace, address);
        let back = namespace.run(|| UdpSocket::bind("127.0.0.1:0")).expect("some port is free");
        back.set_read_timeout(Some(Duration::from_millis(1))).expect("it is a socket");
        front.set_read_timeout(Some(Duration::from_millis(1))).expect("it is a socket");
        let wanted = Arc::new(AtomicBool::new(true));
        let going_on = Arc::clone(&wanted);
        let thread = thread::spawn(move || {
            let (mut count, mut client) = (0, None);
            let mut held = std::collections::VecDeque::new();
            let mut buffer = [0; 4096];
            while going_on.load(Ordering::Relaxed) {
                if let Ok((len, from)) = front.recv_from(&mut buffer) {
                    client = Some(from);
                    count += 1;
                    if lose == 0 || count % lose != 0 {
                        let _ = back.send_to(&buffer[..len], server);
                    }
                }
                while let Ok((len, _)) = back.recv_from(&mut buffer) {
                    held.push_back((std::time::Instant::now() + delay, buffer[..len].to_vec()));
                }
                while held.front().is_some_and(|(at, _)| *at <= std::time::Instant::now()) {
                    let (_, message) = held.pop_front().expect("one is there");
                    let _ = front.send_to(&message, client.expect("somebody asked"));
                }
            }
        });
        Self { wanted, thread: Some(thread) }
    }
}

impl Drop for Lossy {
    fn drop(&mut self) {
        self.wanted.store(false, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
