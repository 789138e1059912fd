//! What the server has acknowledged of each series: what a delta counts from.
//!
//! Advances by a request as a whole and only when that was acknowledged: what was lost on the way is in the next
//! delta, which then begins earlier.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::SeriesId;

/// Of one exporter. Cheap to clone: all clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Baseline {
    marks: Arc<Mutex<HashMap<Series, Mark>>>,
}

/// A series among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Series {
    pub(super) family: &'static str,
    pub(super) id: SeriesId,
}

/// Its value at the time of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mark {
    /// Nanoseconds since the Unix epoch.
    pub(super) at: u64,
    pub(super) value: Marked,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Marked {
    Counter(u64),
    /// Samples of each bucket, and their exact sum.
    Histogram(Box<[u64]>, u128),
}

impl Baseline {
    /// Takes over the marks of a request that was acknowledged.
    pub(super) fn advance(&self, marks: Vec<(Series, Mark)>) {
        self.marks().extend(marks);
    }

    pub(super) fn mark(&self, series: &Series) -> Option<Mark> {
        self.marks().get(series).cloned()
    }

    fn marks(&self) -> MutexGuard<'_, HashMap<Series, Mark>> {
        // An insertion is made or not made.
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
