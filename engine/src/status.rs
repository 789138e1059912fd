//! The status: where shards write down what they are like, and exporters and extensions read it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pipeline::{CaptureStatus, ComponentId, Health, Reports, Telemetry};

use super::named;

/// The state of the program. A shard renews its part about every half second.
pub struct Status {
    pub(super) shards: Vec<Mutex<Report>>,
    /// Exporters and extensions.
    others: Mutex<Vec<Source>>,
    reloads: Mutex<Reloads>,
}

/// What became of configurations.
struct Reloads {
    failed: u64,
    /// The last one was refused.
    refused: bool,
    /// When the one that runs was read.
    last: SystemTime,
    /// Keys that changed and need a restart.
    restart_needed: Vec<String>,
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
        let reloads = Reloads { failed: 0, refused: false, last: SystemTime::now(), restart_needed: Vec::new() };
        Self { shards, others: Mutex::default(), reloads: Mutex::new(reloads) }
    }

    /// From now on `reports` tells about the component `id` too; `kind` is `exporter` or `extension`.
    pub(super) fn add(&self, kind: &'static str, id: ComponentId, reports: Arc<dyn Reports>) {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).push(Source { kind, id, reports });
    }

    /// A new configuration was refused; the old one runs on.
    pub fn reload_failed(&self) {
        let mut reloads = self.reloads();
        reloads.failed += 1;
        reloads.refused = true;
    }

    /// A new configuration runs. `restart_needed` names its keys that changed and need a restart; none where all applied.
    pub fn reloaded(&self, restart_needed: Vec<String>) {
        let mut reloads = self.reloads();
        reloads.refused = false;
        reloads.last = SystemTime::now();
        reloads.restart_needed = restart_needed;
    }

    /// Whether the last configuration that was read is the one that runs.
    pub fn is_reloaded(&self) -> bool {
        !self.reloads().refused
    }

    fn reloads(&self) -> MutexGuard<'_, Reloads> {
        self.reloads.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn trouble(&self) -> Option<String> {
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        others.iter().find_map(|Source { kind, id, reports }| Some(format!("{kind} {id}: {}", reports.trouble()?)))
    }

    fn telemetry(&self, out: &mut Vec<Telemetry>) {
        self.reports(|report| out.extend_from_slice(&report.telemetry));
        for Source { kind, id, reports } in self.others.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let from = out.len();
            reports.telemetry(out);
            named(kind, id, from, out);
        }
        let number = |name, labels, counter, value| Telemetry { name, labels, counter, value };
        let Reloads { failed, refused, last, restart_needed } = &*self.reloads();
        // Exact up to 2^53 reloads.
        out.push(number("otelcol_config_reload_failures", Vec::new(), true, *failed as f64));
        let successful = f64::from(!*refused);
        out.push(number("otelcol_config_last_reload_successful", Vec::new(), false, successful));
        let last = last.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        out.push(number("otelcol_config_last_reload_success_timestamp_seconds", Vec::new(), false, last));
        let gauge = "otelcol_config_restart_needed";
        if restart_needed.is_empty() {
            out.push(number(gauge, Vec::new(), false, 0.0));
        }
        out.extend(restart_needed.iter().map(|key| number(gauge, vec![("key", key.clone())], false, 1.0)));
    }
}

/// How bad it is: a capture that is blocked, then one with the classic filter, then a live one of any kind.
fn rank(capture: &CaptureStatus) -> (bool, u8) {
    let kind = match capture.kind {
        "none" | "" => 0,
        "classic" => 2,
        _ => 1,
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
