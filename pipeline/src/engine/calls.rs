//! Calls on their way out: what a traces pipeline let through, from the shard's thread to exporters.
//!
//! The shard never waits: a queue that is full turns a call away, which is counted. A call that at least one
//! exporter got becomes the exemplar of the delays it was measured with.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::Sink;
use crate::call::Call;
use crate::component::{Reports, Telemetry};
use crate::facts::{Facts, LabelSet};
use crate::frame::FrameBatch;
use crate::metrics::{LabelSets, Registry};

/// A call that leaves, with its labels.
#[derive(Clone, Debug)]
pub struct KeptCall {
    /// What is known of it.
    pub call: Call,
    /// `carrier` and `ua_type`; [`LabelSets::names`] names them.
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

    /// For a shard.
    fn entrance(&self) -> Option<Sender<KeptCall>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// No further shard will ask for an entrance.
    pub(super) fn close(&self) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
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

/// Where a traces pipeline ends: hands its calls to exporters.
pub struct CallSink {
    queues: Vec<(Arc<CallQueue>, Sender<KeptCall>)>,
    label_sets: Arc<LabelSets>,
    /// The rows of the shard, whose delays get exemplars.
    registries: Vec<Arc<Registry>>,
}

impl CallSink {
    /// Feeds `queues`; queues that were closed are left out.
    pub fn new(
        queues: impl IntoIterator<Item = Arc<CallQueue>>,
        label_sets: Arc<LabelSets>,
        registries: Vec<Arc<Registry>>,
    ) -> Self {
        let queues = queues.into_iter().filter_map(|queue| queue.entrance().map(|sender| (queue, sender)));
        Self { queues: queues.collect(), label_sets, registries }
    }

    fn offer(&self, call: KeptCall) -> bool {
        let mut kept = false;
        for (queue, sender) in &self.queues {
            let reason = match sender.try_send(call.clone()) {
                Ok(()) => {
                    kept = true;
                    continue;
                }
                Err(TrySendError::Full(_)) => 0,
                Err(TrySendError::Closed(_)) => 1,
            };
            queue.refused[reason].fetch_add(call.call.record.spans(), Ordering::Relaxed);
        }
        kept
    }
}

impl Sink for CallSink {
    fn take(&mut self, _: &FrameBatch, facts: &Facts) {
        for call in &facts.calls {
            let labels = facts.labels(call.record.slot);
            if self.offer(KeptCall { call: call.clone(), labels }) && !call.record.measured.is_empty() {
                let (carrier, _) = self.label_sets.names(labels);
                let trace_id = call.record.trace(carrier).id;
                self.registries.iter().for_each(|registry| registry.exemplify(labels, trace_id, &call.record));
            }
        }
    }
}

#[cfg(test)]
mod tests;
