//! Dialogs that began at a service, by Call-ID, in the order of their last request.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use hashlink::LinkedHashMap;
use wire::Timestamp;

use crate::hash::Hashed;

/// A dialog.
#[derive(Clone, Copy, Debug)]
pub struct Dialog {
    /// The service its first request was sent to.
    pub service: u16,
    /// Place of the backend that took it; `None` while that is not known.
    pub member: Option<u16>,
    /// Slot of its Call-ID in a Maglev table.
    pub slot: u16,
    /// Who sent its last request.
    pub client: SocketAddr,
    /// When that was.
    pub last: Timestamp,
    /// Its last INVITE was answered by 401 or 407.
    pub challenged: bool,
    pub fate: Fate,
    /// By Call-ID a later request would have gone elsewhere.
    pub would_move: bool,
    /// It is over, and forgotten then; `None` while it goes on.
    pub until: Option<Timestamp>,
}

/// What became of a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Every request of it went to its first backend, as far as is known.
    Stayed,
    /// Another backend took one.
    Moved,
    /// And answered 481.
    Failed,
}

/// All dialogs.
#[derive(Default)]
pub struct Dialogs {
    held: LinkedHashMap<u64, Dialog, Hashed>,
    /// Those that are over.
    over: VecDeque<(Timestamp, u64)>,
    pub evicted: u64,
}

impl Dialogs {
    pub fn get_mut(&mut self, key: u64) -> Option<&mut Dialog> {
        self.held.get_mut(&key)
    }

    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// A request of it was sent.
    pub fn touch(&mut self, key: u64) {
        self.held.to_back(&key);
    }

    /// A dialog began. Of more than `max` the one idle longest goes and is counted.
    pub fn begin(&mut self, key: u64, dialog: Dialog, max: usize) {
        if self.held.len() >= max && self.held.pop_front().is_some() {
            self.evicted += 1;
        }
        self.held.insert(key, dialog);
    }

    /// A dialog is over: what comes late still belongs to it.
    pub fn end(&mut self, key: u64, now: Timestamp) {
        if let Some(dialog) = self.held.get_mut(&key)
            && dialog.until.is_none()
        {
            dialog.until = Some(now + LATE);
            self.over.push_back((now + LATE, key));
        }
        // Those that begin and end again and again are in it several times.
        if self.over.len() > 2 * self.held.len() + ROOM
            && let Some((due, key)) = self.over.pop_front()
        {
            self.leave(due, key);
        }
    }

    /// A dialog that was to leave then does, unless it goes on.
    fn leave(&mut self, due: Timestamp, key: u64) {
        if self.held.get(&key).is_some_and(|dialog| dialog.until == Some(due)) {
            self.held.remove(&key);
        }
    }

    /// When the first one is forgotten.
    pub fn due(&self) -> Timestamp {
        let over = self.over.front().map(|(due, _)| *due);
        let idle = self.held.front().map(|(_, dialog)| dialog.last + IDLE);
        over.into_iter().chain(idle).min().unwrap_or(Timestamp::NEVER)
    }

    /// Forgets those that are over, and those of which nothing was heard for half a day.
    pub fn forget(&mut self, now: Timestamp) {
        while let Some((due, key)) = self.over.pop_front_if(|(due, _)| *due <= now) {
            self.leave(due, key);
        }
        while self.held.front().is_some_and(|(_, dialog)| dialog.last + IDLE <= now) {
            self.held.pop_front();
        }
    }
}

/// How long a dialog is remembered after its end (`steering.md` 4).
const LATE: Duration = Duration::from_secs(64);
/// How long one is remembered of which nothing is heard (`steering.md` 3, `dialog_idle`).
const IDLE: Duration = Duration::from_secs(12 * 3600);
/// So many may wait to leave however few are held.
const ROOM: usize = 1024;
