//! The stage: every record of a batch in, those of calls that are kept out.

use std::any::Any;
use std::sync::Arc;

use pipeline::call::Subject;
use pipeline::{CallRecord, Facts, FrameBatch, LabelSets, Processor, Telemetry};
use wire::Timestamp;

use crate::bucket::Bucket;
use crate::config::{Config, Requests};
use crate::decisions::{Decision, Decisions, Key, MAX_DECISIONS};
use crate::probability::Threshold;

/// Decides which calls become traces.
pub struct Sampling {
    config: Config,
    threshold: Threshold,
    bucket: Bucket,
    decisions: Decisions,
    label_sets: Arc<LabelSets>,
    now: Timestamp,
    /// So many divide the rate.
    shards: usize,
    /// How many calls may be kept now for being short: a dialler's are all short, and `ratio` is to hold for them too.
    short_calls: f64,
    counts: Counts,
}

/// Why a call is kept, if the rate allows. In the order they are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Debug,
    Error,
    SlowSetup,
    ShortCall,
    Retransmissions,
    Probability,
}

/// Why a call is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dropped {
    /// A single request of a kind that is not wanted.
    Request,
    /// Chance did not choose it.
    Probability,
    /// There were too many in this second.
    Rate,
}

#[derive(Debug, Default)]
struct Counts {
    incoming: u64,
    outgoing: u64,
    kept: [u64; Kept::ALL.len()],
    dropped: [u64; Dropped::ALL.len()],
}

impl Sampling {
    /// A stage that asks `label_sets` for the carrier of a call.
    pub fn new(config: Config, label_sets: Arc<LabelSets>) -> Self {
        Self::one_of(1, config, label_sets)
    }

    /// One of so many `shards` that each get a part of the calls.
    pub fn one_of(shards: usize, config: Config, label_sets: Arc<LabelSets>) -> Self {
        let config = config.divided(shards);
        Self {
            threshold: Threshold::of(config.ratio),
            bucket: Bucket::new(config.max_traces_per_second),
            config,
            decisions: Decisions::new(MAX_DECISIONS.div_ceil(shards)),
            label_sets,
            now: Timestamp::ZERO,
            shards,
            short_calls: MOST_SHORT_CALLS,
            counts: Counts::default(),
        }
    }

    /// Keeps the records of calls that are kept, and notes which of them chance chose.
    /// `since`: nanoseconds since the batch before.
    fn filter(&mut self, facts: &mut Facts, since: u64) {
        // Labels are read while the list is changed.
        let mut calls = std::mem::take(&mut facts.calls);
        let mut behind = calls.len() as u64;
        let pause = since / behind.max(1);
        let end = self.now.as_nanos();
        calls.retain_mut(|call| {
            // As if they had come one after another: how many come at once is a matter of how packets are read.
            behind -= 1;
            self.now = Timestamp::from_nanos(end.saturating_sub(pause * behind));
            self.counts.incoming += 1;
            let (carrier, _) = self.label_sets.names(facts.labels(call.record.slot));
            let trace_id = call.record.trace(carrier).id;
            let decision = self.decide(&call.record, trace_id);
            let Decision::Keep(threshold) = decision else { return false };
            call.threshold = threshold;
            self.counts.outgoing += 1;
            true
        });
        facts.calls = calls;
    }

    /// What is decided about a call, at its first piece.
    fn decide(&mut self, record: &CallRecord, trace_id: [u8; 16]) -> Decision {
        if record.piece == 1 && record.last {
            return self.judge(record, trace_id);
        }
        let key = Key { trace: record.trace_id, span: record.span };
        let decision = match self.decisions.recall(&key) {
            Some(decision) => decision,
            None => self.judge(record, trace_id),
        };
        match record.last {
            true => self.decisions.forget(&key),
            false => self.decisions.remember(key, decision),
        }
        decision
    }

    fn judge(&mut self, record: &CallRecord, trace_id: [u8; 16]) -> Decision {
        let error = record.error().is_some();
        let judged = self.kept(record, error, trace_id).and_then(|kept| {
            let threshold = match kept {
                Kept::Debug => None,
                Kept::Probability => {
                    // As often as the rate allows: a call that is dropped for it is told by the threshold of the others.
                    let share = self.bucket.share(self.now);
                    let threshold = self.threshold.or_rarer(share).choose(trace_id).ok_or(Dropped::Rate)?;
                    self.bucket.spend();
                    Some(threshold)
                }
                _ if self.bucket.take(self.now, error) => None,
                _ => return Err(Dropped::Rate),
            };
            Ok((kept, threshold))
        });
        match judged {
            Ok((kept, threshold)) => {
                self.counts.kept[kept as usize] += 1;
                Decision::Keep(threshold)
            }
            Err(dropped) => {
                self.counts.dropped[dropped as usize] += 1;
                Decision::Drop
            }
        }
    }

    fn kept(&mut self, record: &CallRecord, error: bool, trace_id: [u8; 16]) -> Result<Kept, Dropped> {
        let config = &self.config;
        if record.debug {
            return Ok(Kept::Debug);
        }
        if record.subject == Subject::Request {
            match config.requests {
                Requests::All => {}
                Requests::Errors if error => {}
                Requests::Errors | Requests::Off => return Err(Dropped::Request),
            }
        }
        self.short_calls = (self.short_calls + config.ratio.max(SHORT_CALLS)).min(MOST_SHORT_CALLS);
        Ok(if error {
            Kept::Error
        } else if record.setup.is_some_and(|setup| setup > config.slow_setup) {
            Kept::SlowSetup
        } else if record.duration.is_some_and(|duration| duration < config.short_call) && self.short_calls >= 1.0 {
            self.short_calls -= 1.0;
            Kept::ShortCall
        } else if record.retransmissions >= config.retransmissions {
            Kept::Retransmissions
        } else {
            self.threshold.choose(trace_id).ok_or(Dropped::Probability)?;
            Kept::Probability
        })
    }
}

impl Processor for Sampling {
    fn process(&mut self, frames: &FrameBatch, facts: &mut Facts) {
        // Nothing is known of the time before the first batch.
        let before = if self.now == Timestamp::ZERO { frames.now } else { self.now };
        self.now = frames.now;
        self.filter(facts, u64::try_from(frames.now.since(before).as_nanos()).unwrap_or(u64::MAX));
    }

    /// All keys apply to the calls decided from now on; those decided before keep their decision.
    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str> {
        let config = *settings.downcast::<Config>().expect("settings come from the check of the same type");
        self.config = config.divided(self.shards);
        self.threshold = Threshold::of(self.config.ratio);
        self.bucket.set_rate(self.config.max_traces_per_second);
        Vec::new()
    }

    fn telemetry(&self, out: &mut Vec<Telemetry>) {
        let mut one = |name, labels, counter, value: u64| {
            // Exact up to 2^53 calls.
            out.push(Telemetry { name, labels, counter, value: value as f64 });
        };
        one("otelcol_processor_incoming_items", Vec::new(), true, self.counts.incoming);
        one("otelcol_processor_outgoing_items", Vec::new(), true, self.counts.outgoing);
        for (kept, count) in Kept::ALL.iter().zip(self.counts.kept) {
            one("otelcol_processor_sampling_calls_kept", vec![("reason", kept.as_str().to_owned())], true, count);
        }
        for (dropped, count) in Dropped::ALL.iter().zip(self.counts.dropped) {
            one("otelcol_processor_sampling_calls_dropped", vec![("reason", dropped.as_str().to_owned())], true, count);
        }
        one("otelcol_processor_sampling_decisions_held", Vec::new(), false, self.decisions.len() as u64);
        one("otelcol_processor_sampling_decisions_forgotten", Vec::new(), true, self.decisions.forgotten());
    }
}

impl Kept {
    const ALL: [Self; 6] =
        [Self::Debug, Self::Error, Self::SlowSetup, Self::ShortCall, Self::Retransmissions, Self::Probability];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Error => "error",
            Self::SlowSetup => "slow_setup",
            Self::ShortCall => "short_call",
            Self::Retransmissions => "retransmissions",
            Self::Probability => "probability",
        }
    }
}

impl Dropped {
    const ALL: [Self; 3] = [Self::Request, Self::Probability, Self::Rate];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Probability => "probability",
            Self::Rate => "rate",
        }
    }
}

/// Share of all calls that may be kept for being short, where `ratio` is smaller.
const SHORT_CALLS: f64 = 0.01;
/// Most of them at once.
const MOST_SHORT_CALLS: f64 = 10.0;

#[cfg(test)]
mod tests;
