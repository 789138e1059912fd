//! Calls on their way out: from the shards' threads to an exporter.
//!
//! No shard waits: a queue that is full turns a call away, which is counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::Call;
use crate::component::{Reports, Telemetry};
use crate::labels::LabelSet;

/// A call that leaves, with its labels.
#[derive(Clone, Debug)]
pub struct KeptCall {
    /// What is known of it.
    pub call: Call,
    /// `carrier` and `ua_type`; [`LabelSets::names`](crate::LabelSets::names) names them.
    pub labels: LabelSet,
}

/// The way from the shards to one exporter. Bounded.
#[derive(Debug)]
pub struct CallQueue {
    sender: Mutex<Option<Sender<KeptCall>>>,
    receiver: Mutex<Option<Receiver<KeptCall>>>,
    /// Spans turned away: while the exporter was busy, and after it ended.
    refused: [AtomicU64; 2],
}

/// Calls that wait for an exporter at most. It takes them as fast as it can encode; what waits to be sent is its own.
pub const WAITING_CALLS: usize = 2048;

impl Default for CallQueue {
    fn default() -> Self {
        Self::new(WAITING_CALLS)
    }
}

impl CallQueue {
    /// Holds `bound` calls at most.
    pub fn new(bound: usize) -> Self {
        let (sender, receiver) = channel(bound);
        Self {
            sender: Mutex::new(Some(sender)),
            receiver: Mutex::new(Some(receiver)),
            refused: [const { AtomicU64::new(0) }; 2],
        }
    }

    /// The end at which calls come out. Given once; `None` after that. It ends when every shard has.
    pub fn open(&self) -> Option<Receiver<KeptCall>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The end at which calls go in, for a shard; `None` once it was closed.
    pub fn entrance(&self) -> Option<Sender<KeptCall>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// No further shard will ask for an entrance.
    pub fn close(&self) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Puts a call in at `entrance`, which is one of this queue's. Whether there was room; if not, its spans are counted.
    pub fn offer(&self, entrance: &Sender<KeptCall>, call: KeptCall) -> bool {
        let (reason, call) = match entrance.try_send(call) {
            Ok(()) => return true,
            Err(TrySendError::Full(call)) => (0, call),
            Err(TrySendError::Closed(call)) => (1, call),
        };
        self.refused[reason].fetch_add(call.call.record.spans(), Ordering::Relaxed);
        false
    }
}

impl Reports for CallQueue {
    fn telemetry(&self, out: &mut Vec<Telemetry>) {
        for (reason, count) in ["exporter_busy", "exporter_ended"].into_iter().zip(&self.refused) {
            out.push(Telemetry {
                name: "otelcol_exporter_enqueue_failed_spans",
                labels: vec![("reason", reason.to_owned())],
                counter: true,
                // Exact up to 2^53 spans.
                value: count.load(Ordering::Relaxed) as f64,
            });
        }
    }
}
