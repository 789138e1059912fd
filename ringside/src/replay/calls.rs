//! `replay --calls FILE`: one JSON object a line for each call, in the order they ended.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use call_filter::Filter;
use call_views::View;
use pipeline::call::Subject;

use crate::json::line;

/// Writes the calls that come out of a pipeline. Cheap to clone: all clones write to the same place.
#[derive(Clone)]
pub struct Calls {
    out: Arc<Mutex<Out>>,
    filter: Option<Filter>,
}

struct Out {
    to: Box<dyn Write + Send>,
    /// The first thing that went wrong; nothing is written after it.
    result: std::io::Result<()>,
}

impl Calls {
    /// Writes to `to` what `filter` wants.
    pub fn new(to: Box<dyn Write + Send>, filter: Option<Filter>) -> Self {
        Self { out: Arc::new(Mutex::new(Out { to, result: Ok(()) })), filter }
    }

    /// Writes a call that is wanted.
    pub fn write(&self, view: &View<'_>) {
        let wanted = view.record.subject == Subject::Call;
        if !wanted || self.filter.as_ref().is_some_and(|filter| !filter.wants(view)) {
            return;
        }
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        if out.result.is_ok() {
            let line = line(&view.summary());
            out.result = out.to.write_all(line.as_bytes());
        }
    }

    /// Whether everything was written.
    pub fn finish(self) -> std::io::Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut out.result, Ok(()))?;
        out.to.flush()
    }
}
