//! The task between the queue of calls and the sender.

use std::sync::Arc;
use std::time::Duration;

use pipeline::engine::KeptCall;
use pipeline::metrics::LabelSets;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep_until};

use super::batch::Batcher;
use super::call::{Labels, tell};
use crate::otlp::payload::{Payload, Refused};
use crate::otlp::stats::Stats;

/// Takes calls until no more can come, makes requests of them, and hands each to `send` once it is full, or
/// `flush_timeout` after the first call in it. Spans that fit no request are counted in `stats`.
pub async fn push(
    mut calls: Receiver<KeptCall>,
    label_sets: Arc<LabelSets>,
    mut batcher: Batcher,
    flush_timeout: Duration,
    stats: Arc<Stats>,
    mut send: impl FnMut(Payload),
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
                    Some(kept) => add(kept, &label_sets, &mut batcher),
                    None => batcher.flush(),
                }
                kept.is_some()
            }
        };
        batcher.ready().for_each(&mut send);
        for (signal, items) in batcher.take_too_large() {
            if items > 0 {
                stats.enqueue_failed(signal, Refused::TooLarge, items);
            }
        }
        if !more {
            return;
        }
        flush_at = match batcher.is_waiting() {
            true => flush_at.or_else(|| Some(Instant::now() + flush_timeout)),
            false => None,
        };
    }
}

fn add(kept: &KeptCall, label_sets: &LabelSets, batcher: &mut Batcher) {
    let (carrier, ua_type) = label_sets.names(kept.labels);
    let told = tell(&kept.call, Labels { carrier, ua_type });
    batcher.add(&told, kept.call.record.error().is_some());
}

#[cfg(test)]
mod tests;
