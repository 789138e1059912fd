//! The task that sends metrics in turn, and once more at the end.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{Detail, Registry};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::baseline::Baseline;
use super::encode::{Chunk, Chunks, Envelope, MAX_POINTS, Times};
use crate::otlp::payload::{Failure, Outcome, Payload, Signal};
use crate::otlp::stats::Stats;
use crate::otlp::{Aggregation, Sender, Temporality};

/// What one exporter says of its registry.
pub struct Pusher {
    registry: Arc<Registry>,
    resource: Resource,
    scope: InstrumentationScope,
    stats: Arc<Stats>,
    /// When everything was 0.
    start: u64,
    baseline: Option<Baseline>,
    aggregation: Aggregation,
}

impl Pusher {
    /// Everything counted in `registry` counts from now on; to be made before the first sample.
    pub fn new(
        registry: Arc<Registry>,
        resource: Resource,
        scope: InstrumentationScope,
        temporality: Temporality,
        aggregation: Aggregation,
        stats: Arc<Stats>,
    ) -> Self {
        if aggregation == Aggregation::Base2ExponentialBucketHistogram {
            registry.keep_native();
        }
        let baseline = (temporality == Temporality::Delta).then(Baseline::default);
        Self { registry, resource, scope, stats, start: now(), baseline, aggregation }
    }

    /// Sends all values as they are now, in requests of `max_bytes` at most. A request that is refused for good does not keep the others back; a server
    /// that cannot be reached does.
    ///
    /// Dropping the future withdraws what is under way and counts it as failed: newer values say the same.
    pub async fn push(&self, sender: &Sender, max_bytes: usize) {
        let times = Times { start: self.start, now: now().max(self.start + 1) };
        let native = self.aggregation == Aggregation::Base2ExponentialBucketHistogram;
        let snapshot = self.registry.snapshot_with(Detail { exemplars: true, native });
        let (resource, scope) = (self.resource.clone(), self.scope.clone());
        let aggregation = self.aggregation;
        let envelope = Envelope { resource, scope, aggregation, max_bytes, max_points: MAX_POINTS };
        let mut chunks = Chunks::new(snapshot, times, envelope, self.baseline.clone());
        loop {
            // Encoding takes milliseconds where there are many series: other exporters go on meanwhile.
            let made = tokio::task::spawn_blocking(move || {
                let chunk = chunks.next();
                (chunks, chunk)
            });
            let Ok((rest, Some(Chunk { payload, marks }))) = made.await else { return };
            chunks = rest;
            match self.send(sender, payload).await {
                Outcome::Accepted { .. } => {
                    if let Some(baseline) = &self.baseline {
                        baseline.advance(marks);
                    }
                }
                Outcome::Failed(Failure::GaveUp) => return,
                Outcome::Failed(_) => {}
            }
        }
    }

    async fn send(&self, sender: &Sender, payload: Payload) -> Outcome {
        let mut under_way = UnderWay { stats: &self.stats, items: payload.items };
        let outcome = sender.send_now(payload).await;
        // The sender has counted it.
        under_way.items = 0;
        outcome
    }
}

/// Points that are being sent; those of a request that is withdrawn have failed.
struct UnderWay<'a> {
    stats: &'a Stats,
    items: u64,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if self.items > 0 {
            self.stats.send_failed(Signal::Metrics, self.items);
        }
    }
}

/// How the task is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// From one push to the next.
    pub interval: Duration,
    /// A push is given up for newer values once it has taken an interval, but not before this.
    pub patience: Duration,
    /// Largest request.
    pub max_bytes: usize,
    /// After one more push.
    pub stop: bool,
}

/// Pushes at `pace` until that says stop, and then once more. The first push comes after `phase` of an interval, 0 to 1, so
/// that programs started together do not push together. `sender` tells who sends now.
pub async fn run(pusher: Pusher, mut pace: watch::Receiver<Pace>, phase: f64, sender: impl Fn() -> Arc<Sender>) {
    let mut next = Instant::now() + pace.borrow_and_update().interval.mul_f64(phase);
    loop {
        let Pace { interval, patience, max_bytes, stop } = *pace.borrow_and_update();
        if stop {
            return pusher.push(&sender(), max_bytes).await;
        }
        tokio::select! {
            () = sleep_until(next) => {
                let to = sender();
                // When the end is near the sender gives up in time by itself.
                let _ = timeout(interval.max(patience), pusher.push(&to, max_bytes)).await;
                next = (next + interval).max(Instant::now());
            }
            changed = pace.changed() => match changed {
                Ok(()) => next = next.min(Instant::now() + pace.borrow().interval),
                // Nobody is left who could say stop.
                Err(_) => return,
            },
        }
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
