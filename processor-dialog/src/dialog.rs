//! Dialogs: how they begin, live on and end (`sip-metrics.md` 3.1 to 3.4, 3.6; RFC 3261 §12, RFC 4028).
//!
//! What a BYE does to them stands in [`crate::bye`].

use pipeline::event::{DialogState, End, Evicted, Fact};
use pipeline::{Facts, Slot};
use sip::Method;
use wire::Timestamp;

use crate::calls::Part;
use crate::entries::Handle;
use crate::key::Key;
use crate::session::Session;
use crate::state::{Seen, State};
use crate::wheel::{Target, Timer};

/// Call-ID and the unordered pair of tags. Holds the seed's session too: both have the same key.
pub struct Dialog {
    /// The record of its call, once it is confirmed.
    pub record: Handle,
    /// Labels of the INVITE that created it: what in-dialog requests and the seed's metrics inherit.
    pub request_slot: Slot,
    /// Labels of the attempt: what strict metrics are counted under.
    pub attempt_slot: Slot,
    /// `None` once it has ended: it is then kept to give late requests their labels.
    pub state: Option<DialogState>,
    /// It is the dialog of the first 2xx of an initial INVITE that was seen.
    pub primary: bool,
    /// The ACK of its 2xx was seen.
    pub acknowledged: bool,
    /// CSeq number of the INVITE that created it.
    pub cseq: u32,
    /// A logical request of another Call-ID had to do with it.
    pub crossed: bool,
    /// Its first 2xx.
    pub answered: Timestamp,
    /// Its first BYE.
    pub bye: Option<Timestamp>,
    /// BYEs without a final.
    pub byes_open: u32,
    /// A final to a BYE that was neither 2xx nor recoverable, and when it came.
    pub verdict: Option<(End, Timestamp)>,
    /// When it ends by itself, and how.
    expiry: (Timestamp, End),
    /// A request within it failed in a way that should end it; when that is believed.
    pub broken: Option<(Timestamp, End)>,
    pub timer: Timer,
    /// Largest number of Vias seen on its initial INVITE, once that is forgotten; told when the dialog is too.
    pub via_depth: Option<u16>,
    /// Its entry in the seed's session store.
    pub session: Option<Session>,
}

impl Dialog {
    /// One that has ended and is only remembered.
    pub fn over(request_slot: Slot, attempt_slot: Slot, cseq: u32) -> Self {
        Self {
            record: Handle::NONE,
            request_slot,
            attempt_slot,
            state: None,
            primary: false,
            acknowledged: false,
            cseq,
            crossed: false,
            answered: Timestamp::NEVER,
            bye: None,
            byes_open: 0,
            verdict: None,
            expiry: (Timestamp::NEVER, End::MaxAge),
            broken: None,
            timer: Timer::default(),
            via_depth: None,
            session: None,
        }
    }

    /// Early, confirmed or terminating.
    pub fn is_live(&self) -> bool {
        self.state.is_some()
    }
}

impl State {
    /// Opens a dialog under `request`'s labels, in place of any other with the same key.
    pub(crate) fn open_dialog(
        &mut self,
        key: Key,
        request: Handle,
        state: DialogState,
        seen: &Seen<'_>,
        out: &mut Facts,
    ) -> Handle {
        if let Some(former) = self.find_dialog(seen.call, key) {
            self.drop_dialog(former, seen.now(), out);
        }
        while self.dialogs.is_full() {
            let Some(oldest) = self.dialogs.oldest() else { break };
            if self.dialogs.get(oldest).is_some_and(|dialog| dialog.is_live() || dialog.session.is_some()) {
                out.push(Slot::OTHER, Fact::Evicted(Evicted::Dialogs));
            }
            self.drop_dialog(oldest, seen.now(), out);
        }
        let (request_slot, attempt_slot) = self.slots_of_invite(request);
        let cseq = self.requests.get(request).map_or(0, |lr| lr.cseq);
        let request_slot = self.slots.hold(request_slot);
        let attempt_slot = self.slots.hold(attempt_slot);
        let crossed = self.call_of(request).is_some_and(|call| call != seen.call);
        let dialog = Dialog { state: Some(state), crossed, ..Dialog::over(request_slot, attempt_slot, cseq) };
        out.push(attempt_slot, Fact::DialogMoved { from: None, to: Some(state) });
        self.dialogs.insert(&mut self.groups, seen.call, key, dialog)
    }

    fn slots_of_invite(&self, request: Handle) -> (Slot, Slot) {
        let Some(lr) = self.requests.get(request) else { return (Slot::OTHER, Slot::OTHER) };
        let attempt = lr.invite.as_ref().and_then(|invite| self.attempts.get(invite.attempt));
        (lr.slot, attempt.map_or(lr.slot, |attempt| attempt.slot))
    }

    /// A 2xx to an initial INVITE confirms the dialog of its To tag. Returns it.
    pub(crate) fn confirm(&mut self, request: Handle, primary: bool, seen: &Seen<'_>, out: &mut Facts) -> Handle {
        let key = self.keys.dialog(seen.call, seen.message);
        // What the answer of a hop whose INVITE was not seen made (3.6) gives way to what is observed.
        let stays = |dialog: &Dialog| {
            dialog.is_live() && (!primary || dialog.primary || dialog.state == Some(DialogState::Early))
        };
        let known = self.find_dialog(seen.call, key).filter(|&handle| self.dialogs.get(handle).is_some_and(stays));
        let handle = match known {
            Some(handle) => handle,
            None => self.open_dialog(key, request, DialogState::Early, seen, out),
        };
        let max_age = seen.now() + self.config.max_dialog_age;
        let crossed = self.call_of(request).is_some_and(|call| call != seen.call);
        let Some(dialog) = self.dialogs.get_mut(handle) else { return handle };
        dialog.crossed |= crossed;
        if dialog.state != Some(DialogState::Early) {
            return handle;
        }
        dialog.state = Some(DialogState::Confirmed);
        dialog.primary = primary;
        dialog.answered = seen.now();
        dialog.expiry = match seen.session_expires() {
            Some(interval) => (seen.now() + interval, End::Expired),
            None => (max_age, End::MaxAge),
        };
        let from = Some(DialogState::Early);
        out.push(dialog.attempt_slot, Fact::DialogMoved { from, to: Some(DialogState::Confirmed) });
        self.call_confirmed(handle, key, seen);
        self.dialogs.touch(handle);
        self.arm_dialog(handle);
        handle
    }

    /// A 2xx after the failure of the same INVITE was counted: a dialog outside all ratios (2.6, 3.6).
    pub(crate) fn confirm_late(&mut self, request: Handle, status: u16, seen: &Seen<'_>, out: &mut Facts) {
        let dialog = self.confirm(request, false, seen, out);
        if status == 200 {
            self.open_seed_session(dialog, false, seen, out);
        }
    }

    /// The final of a request within a dialog, or of an INVITE nobody saw (3.2, 3.4, 3.6).
    pub(crate) fn on_in_dialog_final(&mut self, request: Handle, status: u16, seen: &Seen<'_>, out: &mut Facts) {
        let Some(lr) = self.requests.get(request) else { return };
        let (method, counted) = (lr.method, lr.counted);
        // A request that was seen without a To tag is in no dialog: OPTIONS, MESSAGE, SUBSCRIBE and the like.
        if counted && !lr.in_dialog && method != Method::Invite {
            return;
        }
        let known = self.dialog_answered(request, seen);
        match (method, status) {
            (Method::Invite | Method::Update, 200..300) => match known {
                Some(dialog) => self.refresh_dialog(dialog, seen),
                None if method == Method::Invite => {
                    let dialog = self.confirm(request, false, seen, out);
                    if status == 200 {
                        self.open_seed_session(dialog, false, seen, out);
                    }
                }
                None => {}
            },
            (_, 481) => self.break_dialog(known, End::Gone, seen.now()),
            (_, 408) => self.break_dialog(known, End::Timeout, seen.now()),
            _ => {}
        }
    }

    /// A request within a dialog got no final.
    pub(crate) fn on_in_dialog_timeout(&mut self, request: Handle, now: Timestamp) {
        let dialog = self.requests.get(request).map(|lr| lr.dialog);
        self.break_dialog(dialog, End::Timeout, now);
    }

    /// The most recent 2xx to INVITE or UPDATE rules the session timer; without Session-Expires there is none (3.4).
    fn refresh_dialog(&mut self, handle: Handle, seen: &Seen<'_>) {
        let max_age = self.config.max_dialog_age;
        let Some(dialog) = self.dialogs.get_mut(handle) else { return };
        if matches!(dialog.state, Some(DialogState::Confirmed | DialogState::Terminating)) {
            dialog.expiry = match seen.session_expires() {
                Some(interval) => (seen.now() + interval, End::Expired),
                None => (dialog.answered + max_age, End::MaxAge),
            };
            self.arm_dialog(handle);
        }
        self.refresh_seed_session(handle, seen);
        self.dialogs.touch(handle);
    }

    fn break_dialog(&mut self, handle: Option<Handle>, end: End, now: Timestamp) {
        let until = now + self.timeout();
        let Some(handle) = handle else { return };
        let Some(dialog) = self.dialogs.get_mut(handle) else { return };
        if dialog.state == Some(DialogState::Confirmed) && dialog.broken.is_none() {
            dialog.broken = Some((until, end));
            self.arm_dialog(handle);
        }
    }

    /// Sets the timer of a confirmed dialog to whatever ends it first.
    fn arm_dialog(&mut self, handle: Handle) {
        let Some(dialog) = self.dialogs.get_mut(handle) else { return };
        if dialog.state == Some(DialogState::Confirmed) {
            let due = dialog.broken.map_or(dialog.expiry.0, |(until, _)| until.min(dialog.expiry.0));
            self.wheel.set(&mut dialog.timer, due, Target::Dialog(handle));
        }
    }

    /// An ACK other than of a failure: it acknowledges a dialog's 2xx, or belongs to nothing (2.3).
    pub(crate) fn on_ack(&mut self, request: Handle, of_known_invite: bool, out: &mut Facts) {
        let Some(lr) = self.requests.get(request) else { return };
        match self.dialogs.get_mut(lr.dialog) {
            Some(dialog) => dialog.acknowledged |= dialog.cseq == lr.cseq,
            None if !of_known_invite => out.push(lr.slot, Fact::AckUnmatched),
            None => {}
        }
    }

    /// A confirmed dialog ends. It is remembered a little longer, for the labels of what comes late.
    pub(crate) fn end_dialog(&mut self, handle: Handle, end: End, at: Timestamp, out: &mut Facts) {
        let until = at + self.timeout();
        let Some(dialog) = self.dialogs.get_mut(handle) else { return };
        let from = dialog.state.take();
        out.push(dialog.attempt_slot, Fact::DialogMoved { from, to: None });
        out.push(dialog.attempt_slot, Fact::SessionEnded(end));
        self.wheel.set(&mut dialog.timer, until, Target::Dialog(handle));
        if dialog.session.is_none() {
            self.dialogs.retire(handle);
        }
        let Some(dialog) = self.dialogs.get(handle) else { return };
        let duration = dialog.primary.then(|| dialog.bye.unwrap_or(at) - dialog.answered);
        self.call_hung_up(handle, end, duration, at);
    }

    /// An early dialog ends: another branch won, or the INVITE failed.
    pub(crate) fn end_early(&mut self, handle: Handle, at: Timestamp, out: &mut Facts) {
        let until = at + self.timeout();
        let Some(dialog) = self.dialogs.get_mut(handle) else { return };
        if dialog.state != Some(DialogState::Early) {
            return;
        }
        let from = dialog.state.take();
        out.push(dialog.attempt_slot, Fact::DialogMoved { from, to: None });
        self.wheel.set(&mut dialog.timer, until, Target::Dialog(handle));
        self.dialogs.retire(handle);
    }

    /// A dialog's timer fired.
    pub(crate) fn on_dialog_timer(&mut self, handle: Handle, now: Timestamp, out: &mut Facts) {
        let Some(dialog) = self.dialogs.get_mut(handle) else { return };
        dialog.timer = Timer::default();
        match dialog.state {
            Some(DialogState::Confirmed) => {
                let end = match dialog.broken {
                    Some((until, end)) if until <= dialog.expiry.0 => end,
                    _ => dialog.expiry.1,
                };
                self.end_dialog(handle, end, now, out);
            }
            // A challenged BYE was not tried again.
            Some(DialogState::Terminating) => self.end_dialog(handle, End::ByeError, now, out),
            Some(DialogState::Early) => {}
            None if dialog.session.is_some() => {}
            None => self.drop_dialog(handle, now, out),
        }
    }

    /// Takes a dialog out of memory, with what the gauges show of it.
    pub(crate) fn drop_dialog(&mut self, handle: Handle, now: Timestamp, out: &mut Facts) {
        let Some(mut dialog) = self.dialogs.remove(&mut self.groups, handle) else { return };
        self.wheel.cancel(&mut dialog.timer);
        if matches!(dialog.state, Some(DialogState::Confirmed | DialogState::Terminating)) {
            self.call_lost(dialog.record, Part::Dialog(handle), now);
        }
        if dialog.state.is_some() {
            out.push(dialog.attempt_slot, Fact::DialogMoved { from: dialog.state, to: None });
        }
        if let Some(depth) = dialog.via_depth {
            out.push(dialog.request_slot, Fact::ViaDepth(depth));
        }
        if let Some(mut session) = dialog.session.take() {
            self.wheel.cancel(&mut session.timer);
            out.push(dialog.request_slot, Fact::SeedSession(false));
        }
        self.slots.release(dialog.request_slot);
        self.slots.release(dialog.attempt_slot);
    }

    /// Its state is over and nothing waits for it: the seed's session was the last that held it.
    pub(crate) fn drop_dialog_if_done(&mut self, handle: Handle, now: Timestamp, out: &mut Facts) {
        let done =
            |dialog: &Dialog| dialog.state.is_none() && dialog.session.is_none() && dialog.timer == Timer::default();
        if self.dialogs.get(handle).is_some_and(done) {
            self.drop_dialog(handle, now, out);
        }
    }
}
