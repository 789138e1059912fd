//! What a reader of files tells those who wait for it: how far it is, what was wrong, where else SIP was seen.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pipeline::event::NotRead;

/// Shared between the receiver, which moves to its shard's thread, and whoever started it.
#[derive(Debug, Default)]
pub struct Report {
    read: AtomicU64,
    total: AtomicU64,
    problems: Mutex<Vec<String>>,
    passed_over: Mutex<PassedOver>,
}

/// SIP that was seen and not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassedOver {
    /// The ports that were looked at.
    pub listed: Vec<u16>,
    /// Others with SIP on them, the busiest first, with the number of packets; at most 64.
    pub ports: Vec<(u16, u64)>,
    /// Wrappings that are not read and had SIP in them, with the number of packets.
    pub wrapped: Vec<(NotRead, u64)>,
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

    /// The SIP that was passed over; known at the end.
    pub fn passed_over(&self) -> PassedOver {
        lock(&self.passed_over).clone()
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

    pub(crate) fn set_passed_over(&self, passed_over: PassedOver) {
        *lock(&self.passed_over) = passed_over;
    }
}

/// A list is whole after every step, so one left behind by a panic is as good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
