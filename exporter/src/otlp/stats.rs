//! What an exporter counts about its sending, for `/internal/metrics`: the Collector's names.
//!
//! Shared by sender and encoder: whoever turns something away counts it. The engine adds `exporter="<id>"`.

use std::sync::atomic::{AtomicU64, Ordering};

use pipeline::Telemetry;

use super::payload::{Refused, Signal};

/// Counters of one exporter; any thread may add or read.
#[derive(Debug, Default)]
pub struct Stats {
    sent: [AtomicU64; SIGNALS],
    send_failed: [AtomicU64; SIGNALS],
    /// By signal, then by reason.
    enqueue_failed: [[AtomicU64; Refused::ALL.len()]; SIGNALS],
    retries: AtomicU64,
    queue_size: AtomicU64,
    queue_capacity: AtomicU64,
    in_flight: AtomicU64,
}

const SIGNALS: usize = Signal::ALL.len();

impl Stats {
    /// The server took `items`.
    pub fn sent(&self, signal: Signal, items: u64) {
        self.sent[signal.index()].fetch_add(items, Ordering::Relaxed);
    }

    /// `items` were sent and did not arrive: refused for good, given up, or rejected in a partial success.
    pub fn send_failed(&self, signal: Signal, items: u64) {
        self.send_failed[signal.index()].fetch_add(items, Ordering::Relaxed);
    }

    /// `items` did not get into the queue.
    pub fn enqueue_failed(&self, signal: Signal, reason: Refused, items: u64) {
        self.enqueue_failed[signal.index()][reason as usize].fetch_add(items, Ordering::Relaxed);
    }

    /// Items that did not arrive until now, for whatever reason.
    pub fn lost(&self, signal: Signal) -> u64 {
        let index = signal.index();
        let refused = self.enqueue_failed[index].iter().map(|count| count.load(Ordering::Relaxed));
        self.send_failed[index].load(Ordering::Relaxed) + refused.sum::<u64>()
    }

    /// A request is sent once more.
    pub fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes in the queue now.
    pub fn set_queue_size(&self, bytes: usize) {
        self.queue_size.store(bytes as u64, Ordering::Relaxed);
    }

    /// Most bytes the queue holds.
    pub fn set_queue_capacity(&self, bytes: usize) {
        self.queue_capacity.store(bytes as u64, Ordering::Relaxed);
    }

    /// A request leaves; to be followed by [`Stats::answered`].
    pub fn requested(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was answered, or ended without an answer.
    pub fn answered(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Everything, in a fixed order. Logs appear once there were any.
    pub fn report(&self, out: &mut Vec<Telemetry>) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut one = |name, labels, counter, value: u64| {
            // Exact up to 2^53 items.
            out.push(Telemetry { name, labels, counter, value: value as f64 });
        };
        for signal in Signal::ALL {
            let index = signal.index();
            let [sent, failed, refused] = names(signal);
            let any = load(&self.sent[index]) + load(&self.send_failed[index]) > 0;
            if signal != Signal::Logs || any {
                one(sent, Vec::new(), true, load(&self.sent[index]));
                one(failed, Vec::new(), true, load(&self.send_failed[index]));
            }
            for reason in Refused::ALL {
                let count = load(&self.enqueue_failed[index][reason as usize]);
                if count > 0 || (reason == Refused::QueueFull && signal != Signal::Logs) {
                    one(refused, vec![("reason", reason.reason().to_owned())], true, count);
                }
            }
        }
        one("otelcol_exporter_retries", Vec::new(), true, load(&self.retries));
        one("otelcol_exporter_queue_size", Vec::new(), false, load(&self.queue_size));
        one("otelcol_exporter_queue_capacity", Vec::new(), false, load(&self.queue_capacity));
        one("otelcol_exporter_in_flight_requests", Vec::new(), false, load(&self.in_flight));
    }
}

/// Sent, failed, refused.
fn names(signal: Signal) -> [&'static str; 3] {
    match signal {
        Signal::Metrics => [
            "otelcol_exporter_sent_metric_points",
            "otelcol_exporter_send_failed_metric_points",
            "otelcol_exporter_enqueue_failed_metric_points",
        ],
        Signal::Traces => [
            "otelcol_exporter_sent_spans",
            "otelcol_exporter_send_failed_spans",
            "otelcol_exporter_enqueue_failed_spans",
        ],
        Signal::Logs => [
            "otelcol_exporter_sent_log_records",
            "otelcol_exporter_send_failed_log_records",
            "otelcol_exporter_enqueue_failed_log_records",
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_told_under_the_collectors_names() {
        let stats = Stats::default();
        stats.sent(Signal::Traces, 7);
        stats.send_failed(Signal::Metrics, 2);
        stats.enqueue_failed(Signal::Traces, Refused::TooLarge, 3);
        stats.set_queue_capacity(4 << 20);
        stats.requested();
        let mut told = Vec::new();
        stats.report(&mut told);
        let value = |name: &str, reason: Option<&str>| {
            let fits =
                |one: &&Telemetry| one.name == name && one.labels.first().map(|(_, value)| value.as_str()) == reason;
            told.iter().find(fits).map(|one| one.value)
        };
        assert_eq!(value("otelcol_exporter_sent_spans", None), Some(7.0));
        assert_eq!(value("otelcol_exporter_send_failed_metric_points", None), Some(2.0));
        assert_eq!(value("otelcol_exporter_enqueue_failed_spans", Some("too_large")), Some(3.0));
        assert_eq!(value("otelcol_exporter_enqueue_failed_spans", Some("queue_full")), Some(0.0));
        assert_eq!(value("otelcol_exporter_queue_capacity", None), Some(4_194_304.0));
        assert_eq!(value("otelcol_exporter_in_flight_requests", None), Some(1.0));
        assert_eq!(value("otelcol_exporter_sent_log_records", None), None);
        assert_eq!((stats.lost(Signal::Traces), stats.lost(Signal::Metrics), stats.lost(Signal::Logs)), (3, 2, 0));
    }
}
