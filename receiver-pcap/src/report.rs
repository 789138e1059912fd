//! What a reader of files tells those who wait for it: how far it is, what was wrong, where else SIP was seen.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Shared between the receiver, which moves to its shard's thread, and whoever started it.
#[derive(Debug, Default)]
pub struct Report {
    read: AtomicU64,
    total: AtomicU64,
    problems: Mutex<Vec<String>>,
    other_ports: Mutex<Vec<u16>>,
}

/// How far reading is, in bytes of the files as they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read.
    pub read: u64,
    /// Bytes of all files; `None` before the start and when one of them is a pipe.
    pub total: Option<u64>,
}

impl Report {
    /// How far reading is.
    pub fn progress(&self) -> Progress {
        let total = self.total.load(Ordering::Relaxed);
        Progress { read: self.read.load(Ordering::Relaxed), total: (total > 0).then_some(total) }
    }

    /// One line for the operator about every file that was not read to its end, or not all of it. Each was logged
    /// when it was found.
    pub fn problems(&self) -> Vec<String> {
        lock(&self.problems).clone()
    }

    /// Ports that are not looked at and on which SIP was seen, the busiest first; known at the end.
    pub fn other_ports(&self) -> Vec<u16> {
        lock(&self.other_ports).clone()
    }

    pub(crate) fn count(&self, bytes: usize) {
        self.read.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// `None` for a total that is not known.
    pub(crate) fn set_total(&self, bytes: Option<u64>) {
        self.total.store(bytes.unwrap_or(0), Ordering::Relaxed);
    }

    pub(crate) fn problem(&self, line: String) {
        tracing::warn!("{line}");
        lock(&self.problems).push(line);
    }

    pub(crate) fn set_other_ports(&self, ports: Vec<u16>) {
        *lock(&self.other_ports) = ports;
    }
}

/// A list is whole after every step, so one left behind by a panic is as good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
