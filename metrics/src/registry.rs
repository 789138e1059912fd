//! The registry: the rows of all shards, the label sets and exemplars they share; snapshots of them out.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pipeline::labels::{LabelSet, LabelSets};
use pipeline::probes::{ProbeCopy, Probes};
use pipeline::{Build, CallRecord, Telemetry};
use wire::Timestamp;

use super::exemplars::{Exemplar, Exemplars};
use super::recorder;
use super::rows::{Cells, Clock, ShardRows};
use super::schema::F;
use super::snapshot::{Detail, Snapshot, Visitor};
use super::stored;

/// Every cell of the process: the label sets, and the rows of each shard.
#[derive(Debug)]
pub struct Registry {
    namespace: Box<str>,
    build: Build,
    clock: Clock,
    native: Arc<AtomicBool>,
    /// When counting began.
    began: Timestamp,
    labels: Arc<LabelSets>,
    shards: Arc<Mutex<Vec<Arc<Cells>>>>,
    exemplars: Arc<Exemplars>,
    /// Shown beside the rows.
    probes: Vec<Arc<Probes>>,
}

impl Registry {
    /// `namespace` is the prefix of every name, without the underscore that follows it.
    pub fn new(namespace: &str) -> Arc<Self> {
        Self::of(namespace, Build::default(), Arc::default(), now)
    }

    /// The same with label sets that other registries have too: a processor gives labels for all of them.
    pub fn sharing(namespace: &str, build: Build, labels: Arc<LabelSets>) -> Arc<Self> {
        Self::of(namespace, build, labels, now)
    }

    /// The same by another clock than the system's.
    pub fn of(namespace: &str, build: Build, labels: Arc<LabelSets>, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            namespace: namespace.into(),
            build,
            clock,
            native: Arc::default(),
            began: clock(),
            labels,
            shards: Arc::default(),
            exemplars: Arc::default(),
            probes: Vec::new(),
        })
    }

    /// The same rows with those of probes beside them.
    pub fn with_probes(&self, probes: Arc<Probes>) -> Arc<Self> {
        let Self { namespace, build, clock, native, began, labels, shards, exemplars, probes: others } = self;
        Arc::new(Self {
            namespace: namespace.clone(),
            build: *build,
            clock: *clock,
            native: Arc::clone(native),
            began: *began,
            labels: Arc::clone(labels),
            shards: Arc::clone(shards),
            exemplars: Arc::clone(exemplars),
            probes: others.iter().cloned().chain([probes]).collect(),
        })
    }

    /// The prefix of every name, without the underscore that follows it.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The pairs of `carrier` and `ua_type`.
    pub fn label_sets(&self) -> &Arc<LabelSets> {
        &self.labels
    }

    /// Rows for one more shard. They stay readable after the shard is gone.
    pub fn shard(&self) -> ShardRows {
        let cells = Arc::new(Cells::new(self.clock, Arc::clone(&self.native)));
        self.shards.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&cells));
        ShardRows::new(cells)
    }

    /// Samples go into native histograms too from now on. To be called before the first one.
    pub fn keep_native(&self) {
        self.native.store(true, Ordering::Relaxed);
    }

    /// A copy of every cell, shards summed, without further detail. No shard waits for it.
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot_with(Detail::default())
    }

    /// A copy of every cell, shards summed. No shard waits for it.
    pub fn snapshot_with(&self, detail: Detail) -> Snapshot {
        // Copied first: a call is counted before it is an exemplar.
        let exemplars = if detail.exemplars { self.exemplars.copy() } else { Default::default() };
        let shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut probes: Vec<ProbeCopy> = self.probes.iter().flat_map(|probes| probes.copy()).collect();
        // Two receivers may ask a target under one name: a series that is there twice would spoil the whole scrape.
        let mut seen = HashSet::new();
        probes.retain(|row| seen.insert(row.target.clone()));
        Snapshot::take(&self.namespace, Arc::clone(&self.labels), &shards, self.build, self.began, detail.native)
            .with_probes(probes)
            .with(exemplars)
    }

    /// Makes a call whose trace left the exemplar of each delay it was measured with. Never waits.
    pub fn exemplify(&self, set: LabelSet, trace_id: [u8; 16], call: &CallRecord) {
        for (measure, value) in &call.measured {
            let (family, variant) = recorder::histogram(*measure);
            let exemplar = Exemplar { trace_id, span_id: call.span, value: *value, at: call.until };
            self.exemplars.offer(set, family, variant, exemplar);
        }
        // A low opinion leads to the call it is of; its unit is the millionth.
        for stream in call.media.iter().flat_map(|media| &media.streams) {
            let Some(worst) = stream.worst else { continue };
            let value = Duration::from_nanos((f64::from(worst) * 1e6).round() as u64);
            let exemplar = Exemplar { trace_id, span_id: call.span, value, at: call.until };
            self.exemplars.offer(set, F::MosCq, stored::stream(stream.side, stream.codec), exemplar);
        }
    }

    /// Every series at this instant, ratios included.
    pub fn walk(&self, visitor: &mut dyn Visitor) {
        self.snapshot().walk(visitor);
    }

    /// The rows about themselves, for `/internal/metrics`.
    pub fn telemetry(&self, out: &mut Vec<Telemetry>) {
        let one = |name, counter, value: u64| Telemetry { name, labels: Vec::new(), counter, value: value as f64 };
        out.push(one("otelcol_metrics_label_sets", false, self.labels.len() as u64));
        out.push(one("otelcol_metrics_label_sets_refused", true, self.labels.refused()));
        out.push(one("otelcol_metrics_exemplars_refused", true, self.exemplars.refused()));
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
