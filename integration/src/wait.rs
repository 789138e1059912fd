//! Awaiting a condition that another process brings about: a deadline, never a fixed pause.

use std::thread;
use std::time::{Duration, Instant};

/// Long enough for a loaded machine; only a failing test waits so long.
pub const DEADLINE: Duration = Duration::from_secs(20);

const INTERVAL: Duration = Duration::from_millis(20);

/// The first `Some`, asked for again and again.
///
/// # Panics
/// Names `what` when it has not come within [`DEADLINE`].
#[track_caller]
pub fn eventually<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    within(DEADLINE, probe).unwrap_or_else(|| panic!("{what}: not within {} s", DEADLINE.as_secs()))
}

/// The first `Some`, or `None` once `deadline` has passed.
pub fn within<T>(deadline: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = probe() {
            return Some(value);
        }
        if start.elapsed() > deadline {
            return None;
        }
        thread::sleep(INTERVAL);
    }
}
