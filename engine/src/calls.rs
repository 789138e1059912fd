//! Calls on their way out: what a traces pipeline let through, from the shard's thread to exporters.
//!
//! The shard never waits: a queue that is full turns a call away, which is counted. A call that at least one
//! exporter got becomes the exemplar of the delays it was measured with.

use std::sync::Arc;

use metrics::Registry;
use pipeline::{Call, CallQueue, Facts, FrameBatch, KeptCall, LabelSets};
use tokio::sync::mpsc::Sender;

use super::Sink;

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

    /// Whether at least one exporter took it.
    fn offer(&self, call: &KeptCall) -> bool {
        self.queues.iter().fold(false, |kept, (queue, entrance)| queue.offer(entrance, call.clone()) | kept)
    }
}

impl Sink for CallSink {
    fn take(&mut self, _: &FrameBatch, facts: &Facts) {
        for call in &facts.calls {
            let labels = facts.labels(call.record.slot);
            // Messages are for those who look at calls: a queue of traces need not hold them.
            let call = Call { record: call.record.without_messages(), threshold: call.threshold };
            if self.offer(&KeptCall { call: call.clone(), labels }) && !call.record.measured.is_empty() {
                let (carrier, _) = self.label_sets.names(labels);
                let trace_id = call.record.trace(carrier).id;
                self.registries.iter().for_each(|registry| registry.exemplify(labels, trace_id, &call.record));
            }
        }
    }
}

#[cfg(test)]
mod tests;
