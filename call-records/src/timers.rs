//! When records leave: in order of due time, then of setting.

use std::collections::BTreeMap;

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

/// A set timer; its owner keeps it to move or cancel it. None by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timer(Option<(Timestamp, u64)>);

impl Timer {
    /// It is set.
    pub fn is_set(self) -> bool {
        self.0.is_some()
    }
}

/// All timers.
#[derive(Default)]
pub struct Timers {
    queue: BTreeMap<(Timestamp, u64), Due>,
    set: u64,
}

impl Timers {
    /// Sets `timer`, or moves it where it is set already.
    pub fn set(&mut self, timer: &mut Timer, due: Timestamp, what: Due) {
        self.cancel(timer);
        self.set += 1;
        let at = (due, self.set);
        self.queue.insert(at, what);
        timer.0 = Some(at);
    }

    /// Unsets `timer`; it may not be set.
    pub fn cancel(&mut self, timer: &mut Timer) {
        if let Some(at) = timer.0.take() {
            self.queue.remove(&at);
        }
    }

    /// The earliest that is due at or before `now`, and when it was.
    pub fn pop(&mut self, now: Timestamp) -> Option<(Timestamp, Due)> {
        let first = self.queue.first_entry().filter(|first| first.key().0 <= now)?;
        let ((due, _), what) = first.remove_entry();
        Some((due, what))
    }
}
