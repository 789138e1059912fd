//! Frames on their way to an exporter that records them: from shards' threads to its own.
//!
//! No shard waits: what an exporter is too slow for is turned away and counted. Two buffers change hands, so that neither side
//! copies while it holds the other up for longer than it takes to put one batch behind another.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::component::{Reports, Telemetry};
use crate::frame::FrameBatch;

/// The way from the shards to one exporter. Bounded in bytes.
#[derive(Debug)]
pub struct FrameQueue {
    waiting: Mutex<Waiting>,
    ready: Condvar,
    /// Most bytes of messages that wait.
    bound: usize,
    /// Messages turned away.
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    batch: FrameBatch,
    closed: bool,
}

/// Bytes of messages that wait for an exporter at most: some seconds of 10,000 messages a second.
const BOUND: usize = 32 * 1024 * 1024;

impl Default for FrameQueue {
    fn default() -> Self {
        Self::new(BOUND)
    }
}

impl FrameQueue {
    /// Holds `bound` bytes of messages at most.
    pub fn new(bound: usize) -> Self {
        let (waiting, ready, refused) = (Mutex::default(), Condvar::new(), AtomicU64::new(0));
        Self { waiting, ready, bound, refused }
    }

    /// Puts the messages of a batch in, as far as there is room.
    pub fn put(&self, batch: &FrameBatch) {
        if batch.frames.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, frame) in batch.frames.iter().enumerate() {
            if waiting.closed || waiting.batch.bytes.len() + frame.range.len() > self.bound {
                self.refused.fetch_add((batch.frames.len() - index) as u64, Ordering::Relaxed);
                break;
            }
            waiting.batch.push(batch.message(frame), frame.clone());
        }
        drop(waiting);
        self.ready.notify_one();
    }

    /// Takes all that waits, in place of what `batch` held; waits for something no longer than `wait`. `false`: nothing will
    /// come any more.
    pub fn take(&self, batch: &mut FrameBatch, wait: Duration) -> bool {
        batch.clear();
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_idle = |waiting: &mut Waiting| waiting.batch.frames.is_empty() && !waiting.closed;
        let (mut waiting, _) =
            self.ready.wait_timeout_while(waiting, wait, is_idle).unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut waiting.batch, batch);
        !(waiting.closed && batch.frames.is_empty())
    }

    /// Nothing more is put in; what waits can still be taken.
    pub fn close(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.ready.notify_one();
    }
}

impl Reports for FrameQueue {
    fn telemetry(&self, out: &mut Vec<Telemetry>) {
        out.push(Telemetry {
            name: "otelcol_exporter_enqueue_failed_messages",
            labels: Vec::new(),
            counter: true,
            // Exact up to 2^53 messages.
            value: self.refused.load(Ordering::Relaxed) as f64,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use wire::Timestamp;

    use super::*;
    use crate::frame::SipFrame;

    fn batch(messages: &[&str]) -> FrameBatch {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
        let mut batch = FrameBatch::default();
        let frame = SipFrame::datagram(address, address, Timestamp::ZERO);
        messages.iter().for_each(|message| batch.push(message.as_bytes(), frame.clone()));
        batch
    }

    fn taken(queue: &FrameQueue) -> (bool, Vec<String>) {
        let mut batch = batch(&["old"]);
        let more = queue.take(&mut batch, Duration::ZERO);
        let text = |frame| String::from_utf8_lossy(batch.message(frame)).into_owned();
        (more, batch.frames.iter().map(text).collect())
    }

    #[test]
    fn what_is_put_in_comes_out_in_order() {
        let queue = FrameQueue::default();
        assert_eq!(taken(&queue), (true, Vec::new()));
        queue.put(&batch(&["a", "b"]));
        queue.put(&batch(&["c"]));
        assert_eq!(taken(&queue), (true, ["a", "b", "c"].map(str::to_owned).into()));
        queue.put(&batch(&["d"]));
        queue.close();
        queue.put(&batch(&["e"]));
        assert_eq!(taken(&queue), (true, vec!["d".to_owned()]));
        assert_eq!(taken(&queue), (false, Vec::new()));
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let queue = FrameQueue::new(3);
        queue.put(&batch(&["aa", "bb", "c"]));
        assert_eq!(taken(&queue).1, ["aa"]);
        let mut out = Vec::new();
        queue.telemetry(&mut out);
        assert_eq!(out[0].value, 2.0);
    }
}
