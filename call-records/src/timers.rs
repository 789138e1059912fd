//! When records leave: in order of due time, then of setting.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use wire::Timestamp;

use crate::change::{CallId, RequestId};

/// What falls due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The end of a call.
    Call(CallId),
    /// The next piece of a call.
    Piece(CallId),
    /// The end of a single request.
    Single(RequestId),
}

/// A timer; its owner keeps it to move or cancel it. Not set by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timer {
    due: Timestamp,
    /// When it was set, among others; `None` while it is not.
    set: Option<NonZeroU64>,
}

impl Timer {
    /// One that is not set, but says when it is to be.
    pub fn unset(due: Timestamp) -> Self {
        Self { due, set: None }
    }

    /// When it is due, or was when it was unset.
    pub fn due(self) -> Timestamp {
        self.due
    }

    /// It is set.
    pub fn is_set(self) -> bool {
        self.set.is_some()
    }
}

/// All timers.
#[derive(Default)]
pub struct Timers {
    queue: BTreeMap<(Timestamp, NonZeroU64), Due>,
    set: u64,
}

impl Timers {
    /// Sets `timer`, or moves it where it is set already.
    pub fn set(&mut self, timer: &mut Timer, due: Timestamp, what: Due) {
        self.cancel(timer);
        self.set += 1;
        timer.due = due;
        timer.set = NonZeroU64::new(self.set);
        self.queue.extend(timer.set.map(|set| ((due, set), what)));
    }

    /// Unsets `timer`; it may not be set.
    pub fn cancel(&mut self, timer: &mut Timer) {
        if let Some(set) = timer.set.take() {
            self.queue.remove(&(timer.due, set));
        }
    }

    /// The earliest that is due at or before `now`, and when it was.
    pub fn pop(&mut self, now: Timestamp) -> Option<(Timestamp, Due)> {
        let first = self.queue.first_entry().filter(|first| first.key().0 <= now)?;
        let ((due, _), what) = first.remove_entry();
        Some((due, what))
    }
}
