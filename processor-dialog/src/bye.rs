//! BYE: how a session is hung up, and what its duration and disconnect delay were (`sip-metrics.md` 3.3, 4.6;
//! RFC 6076 §4.4, §4.5).
//!
//! The first BYE ends the session, whatever is answered; the dialog stays terminating until a BYE has a final that
//! settles it, or none is awaited any more.

use pipeline::event::{DialogState, End, Fact};
use pipeline::{Facts, Measure};
use wire::Timestamp;

use crate::calls::Record;
use crate::entries::Handle;
use crate::state::{Seen, State};
use crate::wheel::Target;

impl State {
    /// The first sighting of a BYE: the session is over, whatever is answered (RFC 6076 §4.5).
    pub(crate) fn on_bye(&mut self, request: Handle, seen: &Seen<'_>, out: &mut Facts) {
        self.count_reasons(request, seen, out);
        let Some(lr) = self.requests.get_mut(request) else { return };
        let (handle, answered) = (lr.dialog, lr.final_status);
        let Some(dialog) = self.dialogs.get_mut(handle) else { return };
        match dialog.state {
            Some(DialogState::Confirmed) => {
                dialog.state = Some(DialogState::Terminating);
                dialog.bye = Some(seen.frame.first);
                dialog.broken = None;
                let from = Some(DialogState::Confirmed);
                out.push(dialog.attempt_slot, Fact::DialogMoved { from, to: Some(DialogState::Terminating) });
            }
            Some(DialogState::Terminating) => {}
            Some(DialogState::Early) | None => return,
        }
        lr.ends_dialog = true;
        dialog.byes_open += 1;
        self.wheel.cancel(&mut dialog.timer);
        self.record_bye(handle, seen);
        if answered != 0 {
            // Its final came first.
            self.on_bye_answered(request, handle, answered, false, seen.now(), out);
        }
    }

    /// The final of a BYE (3.3).
    pub(crate) fn on_bye_final(&mut self, request: Handle, status: u16, seen: &Seen<'_>, out: &mut Facts) {
        let now = seen.now();
        let Some(handle) = self.dialog_answered(request, seen) else { return };
        if status == 200 {
            self.complete_seed_session_by_bye(handle, now, out);
        }
        let retry_after = seen.message.retry_after().is_some();
        self.on_bye_answered(request, handle, status, retry_after, now, out);
    }

    fn on_bye_answered(
        &mut self,
        request: Handle,
        handle: Handle,
        status: u16,
        retry_after: bool,
        now: Timestamp,
        out: &mut Facts,
    ) {
        let Some(lr) = self.requests.get_mut(request) else { return };
        let Some(dialog) = self.dialogs.get_mut(handle) else { return };
        let was_open = std::mem::take(&mut lr.ends_dialog) && lr.dialog == handle;
        match dialog.state {
            Some(DialogState::Terminating) if was_open || !lr.counted => {}
            // Nobody saw the BYE; its 2xx ends the session all the same.
            Some(DialogState::Confirmed) if !lr.counted && status < 300 => {}
            _ => return,
        }
        if was_open {
            dialog.byes_open -= 1;
        }
        match status {
            200..300 => return self.end_by_bye(handle, End::Bye, now, out),
            401 | 407 => {}
            503 if retry_after => {}
            _ => {
                let end = if status == 481 { End::Gone } else { End::ByeError };
                dialog.verdict.get_or_insert((end, now));
            }
        }
        self.judge_bye(handle, now, out);
    }

    /// A BYE got no final in time.
    pub(crate) fn on_bye_timeout(&mut self, request: Handle, now: Timestamp, out: &mut Facts) {
        let timeout = self.timeout();
        let Some(handle) = self.take_open_bye(request) else { return };
        let Some(dialog) = self.dialogs.get(handle).filter(|dialog| dialog.byes_open == 0) else { return };
        if dialog.verdict.is_some() {
            return self.judge_bye(handle, now, out);
        }
        if dialog.primary
            && let Some(bye) = dialog.bye
        {
            let duration = (bye + timeout) - dialog.answered;
            let record = Record::Call(dialog.record);
            self.calls.measured(record, dialog.attempt_slot, Measure::DurationFailure, duration, out);
        }
        self.end_dialog(handle, End::ByeTimeout, now, out);
    }

    /// A BYE is turned out of a full table: another one may come, or its final, which then has no request.
    pub(crate) fn abandon_bye(&mut self, request: Handle, now: Timestamp, out: &mut Facts) {
        if let Some(handle) = self.take_open_bye(request) {
            self.judge_bye(handle, now, out);
        }
    }

    /// A BYE is waited for no longer. Returns its dialog, unless that ended before.
    fn take_open_bye(&mut self, request: Handle) -> Option<Handle> {
        let lr = self.requests.get_mut(request)?;
        let handle = lr.dialog;
        let was_open = std::mem::take(&mut lr.ends_dialog);
        let dialog = self.dialogs.get_mut(handle)?;
        if !was_open || dialog.state != Some(DialogState::Terminating) {
            return None;
        }
        dialog.byes_open -= 1;
        Some(handle)
    }

    /// No BYE is open any more and none succeeded: the first hard refusal counts, else the next BYE is awaited.
    fn judge_bye(&mut self, handle: Handle, now: Timestamp, out: &mut Facts) {
        let retry = now + self.config.retry_window;
        let Some(dialog) = self.dialogs.get_mut(handle) else { return };
        if dialog.byes_open > 0 {
            return;
        }
        match dialog.verdict {
            Some((end, at)) => self.end_by_bye(handle, end, at, out),
            None => self.wheel.set(&mut dialog.timer, retry, Target::Dialog(handle)),
        }
    }

    /// A final to a BYE ends the dialog; `at` is when that final came.
    fn end_by_bye(&mut self, handle: Handle, end: End, at: Timestamp, out: &mut Facts) {
        let short_call = self.config.short_call;
        let Some(dialog) = self.dialogs.get(handle) else { return };
        if dialog.primary
            && let Some(bye) = dialog.bye
        {
            let (record, slot) = (Record::Call(dialog.record), dialog.attempt_slot);
            let disconnect = if end == End::Bye { Measure::DisconnectSuccess } else { Measure::DisconnectFailure };
            let duration = bye - dialog.answered;
            self.calls.measured(record, slot, disconnect, at - bye, out);
            self.calls.measured(record, slot, Measure::DurationSuccess, duration, out);
            if duration < short_call {
                out.push(slot, Fact::CallWasShort);
            }
        }
        // A 481 to BYE is completion: the BYE did not fail for lack of a response (3.3).
        if dialog.primary && matches!(end, End::Bye | End::Gone) {
            out.push(dialog.attempt_slot, Fact::SessionCompleted);
        }
        self.end_dialog(handle, end, at, out);
    }
}
