//! The status: where shards write down what they are like, and exporters and extensions read it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pipeline::{CaptureStatus, ComponentId, Health, Reports, Telemetry};

use super::named;

/// The state of the program. A shard renews its part about every half second.
pub struct Status {
    pub(super) shards: Vec<Mutex<Report>>,
    /// Exporters and extensions.
    others: Mutex<Vec<Source>>,
    reloads_failed: AtomicU64,
    restart_needed: Mutex<Vec<String>>,
}

/// A component that tells about itself at any time.
struct Source {
    /// The label that says which it is: `exporter` or `extension`.
    kind: &'static str,
    id: ComponentId,
    reports: Arc<dyn Reports>,
}

/// What one shard is like.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) captures: Vec<CaptureStatus>,
    pub(super) telemetry: Vec<Telemetry>,
}

impl Status {
    pub(super) fn new(shards: usize) -> Self {
        let shards = (0..shards).map(|_| Mutex::default()).collect();
        let (others, restart_needed) = Default::default();
        Self { shards, others, reloads_failed: AtomicU64::new(0), restart_needed }
    }

    /// From now on `reports` tells about the component `id` too; `kind` is `exporter` or `extension`.
    pub(super) fn add(&self, kind: &'static str, id: ComponentId, reports: Arc<dyn Reports>) {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).push(Source { kind, id, reports });
    }

    /// A new configuration was refused; the old one runs on.
    pub fn reload_failed(&self) {
        self.reloads_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Keys of the configuration that changed and need a restart; none after a reload that applied all.
    pub fn set_restart_needed(&self, keys: Vec<String>) {
        *self.restart_needed.lock().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    fn reports(&self, mut visit: impl FnMut(&Report)) {
        for report in &self.shards {
            visit(&report.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Health for Status {
    fn capture(&self) -> CaptureStatus {
        let mut worst = CaptureStatus { kind: "none", ..CaptureStatus::default() };
        self.reports(|report| {
            for capture in &report.captures {
                if rank(capture) > rank(&worst) {
                    worst = capture.clone();
                }
            }
        });
        worst
    }

    fn telemetry(&self, out: &mut Vec<Telemetry>) {
        self.reports(|report| out.extend_from_slice(&report.telemetry));
        for Source { kind, id, reports } in self.others.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let from = out.len();
            reports.telemetry(out);
            named(kind, id, from, out);
        }
        let number = |name, labels, counter, value| Telemetry { name, labels, counter, value };
        let failed = self.reloads_failed.load(Ordering::Relaxed);
        // Exact up to 2^53 reloads.
        out.push(number("otelcol_config_reload_failures", Vec::new(), true, failed as f64));
        let restart = self.restart_needed.lock().unwrap_or_else(PoisonError::into_inner);
        let gauge = "otelcol_config_restart_needed";
        if restart.is_empty() {
            out.push(number(gauge, Vec::new(), false, 0.0));
        }
        out.extend(restart.iter().map(|key| number(gauge, vec![("key", key.clone())], false, 1.0)));
    }
}

/// How bad it is: a capture that is blocked, then one with the classic filter, then a live one.
fn rank(capture: &CaptureStatus) -> (bool, u8) {
    let kind = match capture.kind {
        "classic" => 2,
        "ebpf" => 1,
        _ => 0,
    };
    (capture.blocked.is_some(), kind)
}

/// Whether a report is still fresh.
#[derive(Default)]
pub(super) struct Fresh {
    since: Option<Instant>,
}

impl Fresh {
    /// Says whether it is time for the next one, and begins to wait for that.
    pub(super) fn is_over(&mut self) -> bool {
        let over = self.since.is_none_or(|since| since.elapsed() >= RENEWED);
        if over {
            self.since = Some(Instant::now());
        }
        over
    }
}

/// How often a report is renewed.
const RENEWED: Duration = Duration::from_millis(500);
