//! The seed's session store, kept beside the dialogs under the same key (`sip-metrics.md` 3.5).
//!
//! A session is taken up on the first 200 that starts a dialog and given back on a 200 to BYE or at expiry;
//! nothing else removes it. That it disagrees with the dialogs is the point: both readings are exported.

use pipeline::event::Fact;
use pipeline::{Facts, Measure};
use wire::Timestamp;

use crate::calls::Record;
use crate::entries::Handle;
use crate::state::{Seen, State};
use crate::wheel::{Target, Timer};

/// One session of the store.
pub struct Session {
    /// It is the one whose completion counts for its initial INVITE.
    primary: bool,
    /// The 200 that started it.
    since: Timestamp,
    /// Fires at expiry.
    pub timer: Timer,
}

impl State {
    /// A 200 to INVITE started a dialog.
    pub(crate) fn open_seed_session(&mut self, handle: Handle, primary: bool, seen: &Seen<'_>, out: &mut Facts) {
        let since = seen.now();
        let Some(dialog) = self.dialogs.get_mut(handle) else { return };
        if dialog.session.is_some() || !dialog.is_live() {
            return;
        }
        dialog.session = Some(Session { primary, since, timer: Timer::default() });
        out.push(dialog.request_slot, Fact::SeedSession(true));
        self.refresh_seed_session(handle, seen);
    }

    /// Every 2xx to INVITE or UPDATE starts its expiry anew.
    pub(crate) fn refresh_seed_session(&mut self, handle: Handle, seen: &Seen<'_>) {
        let interval = seen.session_expires().unwrap_or(self.config.session_expires_default);
        let Some(session) = self.dialogs.get_mut(handle).and_then(|dialog| dialog.session.as_mut()) else { return };
        self.wheel.set(&mut session.timer, seen.now() + interval, Target::Session(handle));
    }

    /// A 200 to BYE.
    pub(crate) fn complete_seed_session_by_bye(&mut self, handle: Handle, now: Timestamp, out: &mut Facts) {
        let Some(dialog) = self.dialogs.get(handle) else { return };
        if let Some(session) = &dialog.session
            && session.primary
        {
            let (record, slot) = (Record::Call(dialog.record), dialog.request_slot);
            self.calls.measured(record, slot, Measure::SeedSession, now - session.since, out);
        }
        self.close_seed_session(handle, out);
        self.drop_dialog_if_done(handle, now, out);
    }

    /// A session's time ran out: completed too, by the seed's rule.
    pub(crate) fn on_session_timer(&mut self, handle: Handle, now: Timestamp, out: &mut Facts) {
        if let Some(session) = self.dialogs.get_mut(handle).and_then(|dialog| dialog.session.as_mut()) {
            session.timer = Timer::default();
        }
        self.close_seed_session(handle, out);
        self.drop_dialog_if_done(handle, now, out);
    }

    fn close_seed_session(&mut self, handle: Handle, out: &mut Facts) {
        let Some(dialog) = self.dialogs.get_mut(handle) else { return };
        let Some(mut session) = dialog.session.take() else { return };
        self.wheel.cancel(&mut session.timer);
        out.push(dialog.request_slot, Fact::SeedSession(false));
        if session.primary {
            out.push(dialog.request_slot, Fact::SeedSessionCompleted);
        }
        if !dialog.is_live() {
            self.dialogs.retire(handle);
        }
    }
}
