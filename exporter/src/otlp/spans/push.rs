//! The task between the queue of calls and the sender.

use std::sync::Arc;
use std::time::Duration;

use pipeline::{KeptCall, LabelSets};
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::batch::{Batcher, Limits};
use super::call::tell;
use super::encoder::Labels;
use crate::otlp::payload::{Payload, Refused};
use crate::otlp::stats::Stats;

/// How calls are put together from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// A request leaves this long after the first call in it came.
    pub flush_timeout: Duration,
    /// A request leaves sooner once it is full.
    pub limits: Limits,
}

/// Takes calls until no more can come, makes requests of them at the `pace` that holds then, and hands each to
/// `send`; while that waits, calls do. Spans that fit no request are counted in `stats`.
pub async fn push(
    mut calls: Receiver<KeptCall>,
    label_sets: Arc<LabelSets>,
    mut batcher: Batcher,
    pace: watch::Receiver<Pace>,
    stats: Arc<Stats>,
    mut send: impl AsyncFnMut(Payload),
) {
    let mut flush_at: Option<Instant> = None;
    loop {
        let flush = async {
            match flush_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let more = tokio::select! {
            // First, so that calls without end do not keep a request back.
            biased;
            () = flush => {
                batcher.flush();
                true
            }
            kept = calls.recv() => {
                match &kept {
                    Some(kept) => add(kept, &label_sets, &mut batcher, pace.borrow().limits),
                    None => batcher.flush(),
                }
                kept.is_some()
            }
        };
        for (signal, items) in batcher.take_too_large() {
            if items > 0 {
                stats.enqueue_failed(signal, Refused::TooLarge, items);
            }
        }
        for payload in batcher.take_ready() {
            send(payload).await;
        }
        if !more {
            return;
        }
        flush_at = match batcher.is_waiting() {
            true => flush_at.or_else(|| Some(Instant::now() + pace.borrow().flush_timeout)),
            false => None,
        };
    }
}

fn add(kept: &KeptCall, label_sets: &LabelSets, batcher: &mut Batcher, limits: Limits) {
    let (carrier, ua_type) = label_sets.names(kept.labels);
    let encoded = tell(&kept.call, Labels { carrier, ua_type });
    batcher.add(&encoded, kept.call.record.error().is_some(), limits);
}

#[cfg(test)]
mod tests;
