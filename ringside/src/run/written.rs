//! Configuration files that somebody changes: for where they are mounted and nobody can send a signal.
//!
//! Content decides, so that a folder which is replaced as a whole (a ConfigMap) counts, and a file that was only touched does
//! not. It must be the same twice in a row: a file that is being written is not read half.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::cli::Run;
use crate::settings;

/// How often files are looked at.
const EVERY: Duration = Duration::from_secs(5);

/// Names and texts of the files.
pub(super) type Texts = Vec<(String, String)>;

/// What is in the files, and what was in them when they were read.
pub(super) struct Written<R> {
    read: R,
    applied: Texts,
    last: Texts,
    every: Interval,
}

/// Watches the files of the configuration. `read` is what was in them before they were read: what somebody writes while the
/// program starts is a change too.
pub(super) fn watch(run: &Run, read: Texts) -> Written<impl FnMut() -> Texts> {
    Written::new(read, || settings::texts(run))
}

impl<R: FnMut() -> Texts> Written<R> {
    fn new(applied: Texts, read: R) -> Self {
        let mut every = interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { read, last: applied.clone(), applied, every }
    }

    /// Waits until something else is in the files, and stays.
    pub(super) async fn changed(&mut self) {
        loop {
            self.every.tick().await;
            if self.look() {
                return;
            }
        }
    }

    /// Whether something else is in the files than when this was last true, for the second time in a row.
    fn look(&mut self) -> bool {
        let now = (self.read)();
        let stays = now == self.last;
        let is_new = stays && now != self.applied;
        if is_new {
            self.applied.clone_from(&now);
        }
        self.last = now;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_that_stays_is_a_change_and_half_a_file_is_none() {
        let states = ["a", "a", "b", "bc", "bc", "bc", "", "bc", "a", "a"];
        let mut next = states.into_iter();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let _inside = runtime.enter();
        let mut read = || vec![("file".to_owned(), next.next().expect("a state").to_owned())];
        let mut written = Written::new(read(), read);
        let changes: Vec<bool> = states.iter().skip(1).map(|_| written.look()).collect();
        // Twice "bc", and twice "a" again; an empty file in between was there for one look alone.
        assert_eq!(changes, [false, false, false, true, false, false, false, false, true]);
    }
}
