//! A Prometheus that asks every second, and notes how long each answer took.

use std::net::SocketAddr;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use testnet::Namespace;

use crate::http;

/// Scrapes on a thread of its own until it is stopped.
#[derive(Debug)]
pub struct Scraper {
    stop: Sender<()>,
    thread: JoinHandle<Scrapes>,
}

/// How long scrapes took.
#[derive(Clone, Debug, Default)]
pub struct Scrapes {
    /// From connecting to the last byte, in order of length.
    pub took: Vec<Duration>,
    /// Those that had no answer, or another than 200.
    pub failed: usize,
}

impl Scraper {
    /// Asks `server` for `/metrics` every second.
    pub fn start(namespace: &Namespace, server: SocketAddr) -> Self {
        let (stop, stopped) = channel();
        let namespace = namespace.again().expect("the namespace exists");
        let thread = thread::spawn(move || {
            namespace.enter();
            let mut scrapes = Scrapes::default();
            let mut next = Instant::now();
            loop {
                let start = Instant::now();
                match http::get(server, "/metrics") {
                    Ok((200, _)) => scrapes.took.push(start.elapsed()),
                    _ => scrapes.failed += 1,
                }
                next += Duration::from_secs(1);
                let wait = next.saturating_duration_since(Instant::now());
                if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                    scrapes.took.sort();
                    return scrapes;
                }
            }
        });
        Self { stop, thread }
    }

    /// Ends it.
    ///
    /// # Panics
    /// When it has panicked.
    pub fn stop(self) -> Scrapes {
        drop(self.stop);
        self.thread.join().expect("a scraper does not panic")
    }
}

impl Scrapes {
    /// The length that so many per cent of the scrapes did not exceed; zero without any.
    pub fn percentile(&self, percent: usize) -> Duration {
        let index = (self.took.len() * percent).div_ceil(100).saturating_sub(1);
        self.took.get(index).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_lengths() {
        let scrapes = Scrapes { took: (1..=200).map(Duration::from_millis).collect(), failed: 0 };
        let millis = |percent| scrapes.percentile(percent).as_millis();
        assert_eq!((millis(50), millis(99), millis(100)), (100, 198, 200));
        assert_eq!(Scrapes::default().percentile(50), Duration::ZERO);
    }
}
