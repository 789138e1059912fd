//! Answered intervals: one for each confirmed dialog of a call, from its 2xx to its BYE or its end without one.

use std::time::Duration;

use pipeline::call::Side;
use pipeline::call::ladder::Session;
use pipeline::event::End;
use wire::Timestamp;

use crate::call::{Answered, Call};
use crate::change::DialogId;
use crate::identity::{self, Identity};
use crate::observed::Observed;
use crate::push_tight;
use crate::timeline::tag_mark;

impl Call {
    /// The session of a dialog: the latest, where there were several.
    pub fn session_of(&self, dialog: DialogId) -> Option<usize> {
        self.sessions.iter().rposition(|session| session.dialog == dialog)
    }

    /// A 2xx confirmed a dialog.
    pub fn answered(&mut self, dialog: DialogId, seen: &Observed<'_>) {
        let message = seen.message;
        if let Some(known) = self.session_of(dialog) {
            // Confirmed once more: by what was seen of it now, where only an answer had been.
            let session = &mut self.sessions[known];
            session.forgotten = false;
            (session.entry.end, session.entry.ended, session.entry.disconnected_by) = (None, None, None);
            return;
        }
        if self.sessions.len() == MAX_SESSIONS {
            return;
        }
        let (cseq, tag) = (identity::cseq(message), message.to.tag);
        let mut entry = Session {
            span: self.identity.span("session", cseq, tag),
            parent: self.record.span,
            previous: None,
            segment: 1,
            dialog_id: identity::dialog_id(self.identity.call_id(message), message.from.tag, tag),
            // What waited for its cause may have been captured before the record began.
            start: self.shown(seen.now()).max(self.record.start),
            end: None,
            ended: None,
            disconnected_by: None,
        };
        if let Some(before) =
            self.earlier.iter().flat_map(|earlier| &earlier.sessions).rfind(|closed| closed.dialog == dialog)
        {
            // It left with an earlier piece, and is there again.
            entry.previous = Some(before.span);
            entry.segment = before.segment + 1;
            entry.span = self.identity.span(&role(entry.segment), cseq, tag);
        }
        let tag = tag[..tag.len().min(MAX_TAG)].into();
        let answered = Answered { entry, dialog, forgotten: false, cseq: message.cseq.number, tag };
        push_tight(&mut self.sessions, answered, 1);
    }

    /// A confirmed dialog of it is up; of those beyond the bound one cannot tell.
    pub fn has_up(&self, dialog: DialogId) -> bool {
        let is_it = |session: &Answered| session.dialog == dialog;
        match self.sessions.iter().rfind(|session| is_it(session)) {
            Some(session) => session.entry.ended.is_none() && !session.forgotten,
            None => self.sessions.len() == MAX_SESSIONS,
        }
    }

    fn dialog(&mut self, dialog: DialogId) -> Option<&mut Session> {
        let known = |session: &&mut Answered| session.dialog == dialog && !session.forgotten;
        self.sessions.iter_mut().find(known).map(|session| &mut session.entry)
    }

    /// A confirmed dialog ended.
    pub fn hung_up(&mut self, dialog: DialogId, end: End, duration: Option<Duration>, at: Timestamp) {
        let shown = self.shown(at);
        if let Some(session) = self.dialog(dialog) {
            // What ended it may have been captured before its answer.
            session.end.get_or_insert(shown.max(session.start));
            session.ended = Some(end.as_str());
        }
        if duration.is_some() || self.record.end.is_none() {
            self.record.end = Some(end.as_str());
            self.record.duration = duration.or(self.record.duration);
        }
        self.last_until(at);
    }

    /// A confirmed dialog was forgotten; nobody will know how it ends.
    pub fn forgotten(&mut self, dialog: DialogId) {
        if let Some(session) = self.sessions.iter_mut().find(|session| session.dialog == dialog) {
            session.forgotten = true;
        }
    }
}

impl Answered {
    /// Ends the segment at `at` and begins the next one. Returns the one that ended; `None` when the session is not up.
    pub fn cut(&mut self, at: Timestamp, identity: &Identity) -> Option<Session> {
        if self.entry.end.is_some() {
            return None;
        }
        let ended = Session { end: Some(at), ..self.entry.clone() };
        let entry = &mut self.entry;
        (entry.previous, entry.start) = (Some(entry.span), at);
        entry.segment += 1;
        entry.span = identity.span(&role(entry.segment), format!("{} INVITE", self.cseq).as_bytes(), &self.tag);
        Some(ended)
    }
}

impl Call {
    /// A BYE of a dialog: its session is over with the first.
    pub fn on_bye(&mut self, dialog: DialogId, seen: &Observed<'_>) {
        let side = if self.is_caller(tag_mark(seen.from)) { Side::Caller } else { Side::Callee };
        let at = self.shown(seen.frame.first);
        if !self.has_up(dialog) {
            return;
        }
        self.record.disconnected_by.get_or_insert(side);
        if let Some(session) = self.dialog(dialog) {
            session.end.get_or_insert(at.max(session.start));
            session.disconnected_by.get_or_insert(side);
        }
    }
}

/// The role of a segment in its span's id.
fn role(segment: u32) -> String {
    format!("session.{segment}")
}

/// Most sessions of one record.
const MAX_SESSIONS: usize = 16;
/// So many bytes of a To tag go into the ids of segments.
const MAX_TAG: usize = 128;
