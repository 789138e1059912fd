//! Pages that extensions add to the endpoint of an exporter: `/probe` beside `/metrics`.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A page.
pub trait Page: Send + Sync {
    /// Where it is: `/probe`.
    fn path(&self) -> &'static str;

    /// Answers a GET. Whoever serves it bounds how long that may take.
    fn answer(&self, asked: Asked) -> Pin<Box<dyn Future<Output = Shown> + Send>>;
}

/// What was asked.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// What stands behind the `?`, as it was sent; empty for nothing.
    pub query: String,
    /// How long the client waits (`X-Prometheus-Scrape-Timeout-Seconds`); `None` if it does not say.
    pub patience: Option<Duration>,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Status of HTTP.
    pub status: u16,
    /// Text: series where the status is 200.
    pub text: String,
}

/// The pages that were added. Cheap to clone: all clones are the same.
#[derive(Clone, Default)]
pub struct Pages(Arc<Mutex<Vec<Arc<dyn Page>>>>);

impl Pages {
    /// Adds a page.
    pub fn add(&self, page: Arc<dyn Page>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(page);
    }

    /// The page at a path.
    pub fn at(&self, path: &str) -> Option<Arc<dyn Page>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().find(|page| page.path() == path).cloned()
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_list().entries(pages.iter().map(|page| page.path())).finish()
    }
}
