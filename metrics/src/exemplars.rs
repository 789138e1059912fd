//! Exemplars: for each bucket of a delay the newest call that fell into it and whose trace left.
//!
//! Offered by a shard's thread, which never waits: while somebody copies them an offer is dropped, the next
//! call brings another. Bounded at [`MAX_EXEMPLARS`].

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::TryLockError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pipeline::LabelSet;
use pipeline::call::ladder::SpanId;
use wire::Timestamp;

use super::schema::{F, Kind};
use super::stored::STORED;

/// One measured value and the trace it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// The trace.
    pub trace_id: [u8; 16],
    /// The span of the call in it.
    pub span_id: SpanId,
    /// What was measured.
    pub value: Duration,
    /// The end of the call, on the clock people see.
    pub at: Timestamp,
}

/// Most exemplars: one for each bucket of about 200 label sets. A key and its exemplar take 80 bytes.
pub const MAX_EXEMPLARS: usize = 65_536;

/// Of one registry.
#[derive(Debug, Default)]
pub(super) struct Exemplars {
    held: Mutex<Held>,
    refused: AtomicU64,
}

/// By bucket.
pub(super) type Held = HashMap<Bucket, Exemplar, foldhash::fast::FixedState>;

/// A bucket of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Bucket {
    pub(super) set: LabelSet,
    pub(super) family: F,
    pub(super) variant: u8,
    /// One more than the last bound for what is above it.
    pub(super) index: u8,
}

impl Exemplars {
    /// Takes an exemplar of a histogram that has a unit of time.
    pub(super) fn offer(&self, set: LabelSet, family: F, variant: usize, exemplar: Exemplar) {
        let Kind::Histogram(buckets) = STORED[family as usize].kind else {
            debug_assert!(false, "{family:?} is no histogram");
            return;
        };
        let nanos = u64::try_from(exemplar.value.as_nanos()).unwrap_or(u64::MAX);
        let index = buckets.bounds.partition_point(|bound| *bound < nanos);
        let (Ok(variant), Ok(index)) = (u8::try_from(variant), u8::try_from(index)) else { return };
        let mut held = match self.held.try_lock() {
            Ok(held) => held,
            // Each change is one insertion: what a panic leaves behind is whole.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let bucket = Bucket { set, family, variant, index };
        if held.len() < MAX_EXEMPLARS || held.contains_key(&bucket) {
            held.insert(bucket, exemplar);
        } else {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// All of them now.
    pub(super) fn copy(&self) -> Held {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Offers turned away at the bound.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}
