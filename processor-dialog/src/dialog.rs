//! Dialogs: how they begin, live on and end (`sip-metrics.md` 3.1 to 3.4, 3.6; RFC 3261 §12, RFC 4028), and what a BYE
//! does to them (3.3, 4.6; RFC 6076 §4.4, §4.5).
//!
//! A dialog knows its own tags, times and labels, and nothing else. What comes in is what a message was; what goes out is
//! how its state moved, and how it ended.

use std::time::Duration;

use pipeline::Slot;
use pipeline::event::{DialogState, End};
use wire::Timestamp;

use crate::ack::Ack;
use crate::bye::Bye;
use crate::hash::Tag;
use crate::session::Session;

/// The unordered pair of tags under one Call-ID. Its state holds the per-INVITE session too: both have the same key.
#[derive(Debug)]
pub struct Dialog {
    /// Its tags; see [`crate::observed::pair`].
    pub tags: [Tag; 2],
    /// Labels of the INVITE that created it: what in-dialog requests and per-INVITE metrics inherit.
    pub request_slot: Slot,
    /// Labels of the attempt: what strict metrics are counted under.
    pub attempt_slot: Slot,
    /// The INVITE that created it, among the requests of its call.
    pub invite: u32,
    /// CSeq number of that INVITE.
    pub cseq: u32,
    /// How far it came.
    pub state: State,
    /// It is the dialog of the first 2xx of an initial INVITE that was seen.
    pub primary: bool,
    /// The attempt it answered has no record of its own; see [`crate::stands`].
    pub stands_for_attempt: bool,
    /// Its INVITE was seen, and had not failed when it was answered (3.6).
    pub observed: bool,
    /// The ACK of its 2xx was seen.
    pub acknowledged: bool,
    /// A session timer ends it (RFC 4028), not its age.
    timed: bool,
    /// That ACK, as long as it is the only one.
    pub ack: Option<Ack>,
    /// Largest number of Vias seen on its initial INVITE, once that is forgotten; told when the dialog is too.
    pub via_depth: Option<u8>,
}

/// With its link in the pool it takes 112 bytes.
const _: () = assert!(size_of::<Option<Dialog>>() <= 104);

/// How far a dialog came.
#[derive(Debug, PartialEq)]
pub enum State {
    /// A provisional response with a To tag came.
    Early,
    /// A 2xx came.
    Confirmed {
        /// When.
        answered: Timestamp,
        /// When it ends by itself.
        expires: Timestamp,
        /// A request within it failed in a way that should end it; when that is believed.
        broken: Option<Box<(Timestamp, End)>>,
        /// Its entry in the store of per-INVITE sessions.
        session: Option<Session>,
    },
    /// A BYE was sent.
    Terminating {
        /// When its 2xx came.
        answered: Timestamp,
        /// When the first BYE came.
        bye: Timestamp,
        /// A BYE failed.
        failed: Option<Box<ByeFailed>>,
        /// Its entry in the store of per-INVITE sessions.
        session: Option<Session>,
    },
    /// It has ended, and is remembered for the labels of what comes late.
    Over {
        /// Until then.
        until: Timestamp,
        /// What there is of it besides.
        left: Left,
    },
}

const _: () = assert!(size_of::<State>() <= 48);

/// What there is of a dialog that is over.
#[derive(Debug, PartialEq)]
pub enum Left {
    Nothing,
    /// Its entry in the store of per-INVITE sessions, which may outlast it.
    Session(Session),
    /// The BYE that ended it, which is remembered as long.
    Bye(Bye),
}

/// What BYEs that failed leave.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ByeFailed {
    /// The last final that was neither 2xx nor recoverable.
    refused: Option<Timestamp>,
    /// Another BYE is waited for; `None` where the final of one is.
    waits: Option<WaitsForBye>,
}

/// A terminating dialog waits for another BYE.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WaitsForBye {
    /// How the dialog ends if none comes.
    end: End,
    /// When the last one failed.
    failed: Timestamp,
    /// Then it is given up.
    until: Timestamp,
    /// The failure was recoverable (RFC 6076 §4.4).
    recoverable: bool,
}

/// How long a dialog waits for what (0.3).
#[derive(Clone, Copy, Debug)]
pub struct Holds {
    /// For another BYE after one that failed.
    pub fork_hold: Duration,
    /// For another BYE after one that may be mended.
    pub retry_window: Duration,
}

/// A confirmed dialog has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ended {
    /// The state it left.
    pub from: DialogState,
    /// How.
    pub end: End,
    /// When.
    pub at: Timestamp,
    /// The first BYE; `None` where there was none.
    pub bye: Option<Timestamp>,
    /// From its 2xx to its first BYE, or to its end where there was none.
    pub duration: Duration,
    /// By what.
    pub by: Ending,
}

/// What ended a dialog.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ending {
    /// A 2xx to a BYE, so long after the first BYE; `None` when nobody saw one.
    Success(Option<Duration>),
    /// BYEs that failed; the last final that was not recoverable came so long after the first of them.
    Failure(Option<Duration>),
    /// Its own time, or a user agent that is believed to be gone.
    Time,
}

impl Dialog {
    /// An early dialog that `invite` created.
    pub fn new(tags: [Tag; 2], request_slot: Slot, attempt_slot: Slot, invite: u32, cseq: u32) -> Self {
        Self {
            tags,
            request_slot,
            attempt_slot,
            invite,
            cseq,
            state: State::Early,
            primary: false,
            stands_for_attempt: false,
            observed: true,
            acknowledged: false,
            timed: false,
            ack: None,
            via_depth: None,
        }
    }

    /// The state that gauges show; `None` once it has ended.
    pub fn shown(&self) -> Option<DialogState> {
        match self.state {
            State::Early => Some(DialogState::Early),
            State::Confirmed { .. } => Some(DialogState::Confirmed),
            State::Terminating { .. } => Some(DialogState::Terminating),
            State::Over { .. } => None,
        }
    }

    /// Early, confirmed or terminating.
    pub fn is_live(&self) -> bool {
        self.shown().is_some()
    }

    /// Confirmed or terminating.
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Confirmed { .. } | State::Terminating { .. })
    }

    /// It gives way to a 2xx that is observed: it has ended, or was made by an answer whose INVITE was not seen (3.6).
    pub fn gives_way(&self, primary: bool) -> bool {
        match self.state {
            State::Over { .. } => true,
            State::Early => false,
            _ => primary && !self.primary,
        }
    }

    /// A 2xx to its INVITE. Returns whether it was early before.
    pub fn confirm(
        &mut self,
        primary: bool,
        observed: bool,
        now: Timestamp,
        expires: Option<Duration>,
        max_age: Duration,
    ) -> bool {
        let early = self.state == State::Early;
        if early {
            (self.primary, self.observed) = (primary, observed);
            self.timed = expires.is_some();
            let expires = expiry(now, now, expires, max_age);
            self.state = State::Confirmed { answered: now, expires, broken: None, session: None };
        }
        early
    }

    /// The most recent 2xx to INVITE or UPDATE rules the session timer; without Session-Expires there is none (3.4).
    pub fn refresh(&mut self, now: Timestamp, expires: Option<Duration>, max_age: Duration) {
        if let State::Confirmed { answered, expires: at, .. } = &mut self.state {
            *at = expiry(*answered, now, expires, max_age);
            self.timed = expires.is_some();
        }
    }

    /// A re-INVITE or UPDATE failed so that its user agents should end it (3.2); that is believed at `until`.
    pub fn on_broken(&mut self, until: Timestamp, end: End) {
        if let State::Confirmed { broken, .. } = &mut self.state {
            *broken = Some(Box::new((until, end)));
        }
    }

    /// A request within it succeeded: the user agents kept the call (3.2).
    pub fn on_mended(&mut self) {
        if let State::Confirmed { broken, .. } = &mut self.state {
            *broken = None;
        }
    }

    /// The first sighting of a BYE: the session is over, whatever is answered (RFC 6076 §4.5). Returns whether it is one
    /// that hangs up, and whether it is the first.
    pub fn on_bye(&mut self, first_byte: Timestamp) -> Option<FirstBye> {
        match &mut self.state {
            State::Confirmed { answered, session, .. } => {
                let (answered, session) = (*answered, session.take());
                self.state = State::Terminating { answered, bye: first_byte, failed: None, session };
                Some(FirstBye::Yes)
            }
            State::Terminating { failed, .. } => {
                if let Some(failed) = failed {
                    failed.waits = None;
                }
                Some(FirstBye::No)
            }
            State::Early | State::Over { .. } => None,
        }
    }

    /// The final of a BYE (3.3). `open`: BYEs of it that have none yet; `seen`: the BYE itself was.
    pub fn on_bye_final(
        &mut self,
        status: u16,
        retry_after: bool,
        seen: bool,
        open: usize,
        now: Timestamp,
        holds: Holds,
    ) -> Option<Ended> {
        if status < 300 {
            // Nobody saw the BYE; its 2xx ends the session all the same.
            let ends = matches!(self.state, State::Terminating { .. }) || !seen;
            return ends.then(|| self.ended(End::Bye, now, true)).flatten();
        }
        let State::Terminating { failed, .. } = &mut self.state else { return None };
        let recoverable = matches!(status, 401 | 407) || status == 503 && retry_after;
        if !recoverable {
            failed.get_or_insert_default().refused = Some(now);
        }
        let end = if status == 481 { End::Gone } else { End::ByeError };
        self.on_bye_failed(end, recoverable, open, now, holds);
        None
    }

    /// A BYE got no final in time; `open` others have none yet.
    pub fn on_bye_timeout(&mut self, open: usize, now: Timestamp, holds: Holds) {
        self.on_bye_failed(End::ByeTimeout, false, open, now, holds);
    }

    /// A BYE failed. Where none is open any more, another one is waited for a while.
    fn on_bye_failed(&mut self, end: End, recoverable: bool, open: usize, now: Timestamp, holds: Holds) {
        if let State::Terminating { failed, .. } = &mut self.state
            && open == 0
        {
            let hold = if recoverable { holds.retry_window } else { holds.fork_hold };
            let waits = WaitsForBye { end, failed: now, until: now + hold, recoverable };
            failed.get_or_insert_default().waits = Some(waits);
        }
    }

    /// When something happens to it by itself.
    pub fn due(&self) -> Timestamp {
        match &self.state {
            State::Early => Timestamp::NEVER,
            State::Confirmed { expires, broken: None, .. } => *expires,
            State::Confirmed { expires, broken: Some(broken), .. } => broken.0.min(*expires),
            State::Terminating { .. } => self.waits_for_bye().map_or(Timestamp::NEVER, |waits| waits.until),
            State::Over { left: Left::Session(_), .. } => Timestamp::NEVER,
            State::Over { until, .. } => *until,
        }
    }

    /// What fell due.
    pub fn on_due(&mut self, at: Timestamp) -> Option<Ended> {
        match &self.state {
            State::Confirmed { expires, broken, .. } => match broken.as_deref() {
                Some((until, end)) if until <= expires => self.ended(*end, at, false),
                _ if self.timed => self.ended(End::Expired, at, false),
                _ => self.ended(End::MaxAge, at, false),
            },
            // The last BYE failed, and no other came.
            State::Terminating { .. } => {
                self.waits_for_bye().and_then(|waits| self.ended(waits.end, waits.failed, false))
            }
            State::Early | State::Over { .. } => None,
        }
    }

    fn waits_for_bye(&self) -> Option<WaitsForBye> {
        let State::Terminating { failed: Some(failed), .. } = &self.state else { return None };
        failed.waits
    }

    /// The failure of its BYE waits for nothing but another try: at the end of a capture none follows.
    pub fn settles(&self) -> bool {
        self.waits_for_bye().is_some_and(|waits| !waits.recoverable)
    }

    /// An early dialog ends: another branch won, or the INVITE failed. Returns whether it was early.
    pub fn end_early(&mut self, until: Timestamp) -> bool {
        let early = self.state == State::Early;
        if early {
            self.state = State::Over { until, left: Left::Nothing };
        }
        early
    }

    /// It is remembered until then.
    pub fn remember(&mut self, until: Timestamp) {
        let left = self.take_session().map_or(Left::Nothing, Left::Session);
        self.state = State::Over { until, left };
    }

    /// Its entry in the store of per-INVITE sessions.
    pub fn session(&self) -> Option<&Session> {
        match &self.state {
            State::Confirmed { session, .. } | State::Terminating { session, .. } => session.as_ref(),
            State::Over { left: Left::Session(session), .. } => Some(session),
            State::Early | State::Over { .. } => None,
        }
    }

    /// Its entry is renewed, or made where it had none and is up.
    pub fn set_session(&mut self, new: Session) {
        match &mut self.state {
            State::Confirmed { session, .. } | State::Terminating { session, .. } => *session = Some(new),
            State::Over { left: Left::Session(session), .. } => *session = new,
            State::Early | State::Over { .. } => {}
        }
    }

    /// Takes its entry out.
    pub fn take_session(&mut self) -> Option<Session> {
        let taken = self.session().copied();
        match &mut self.state {
            State::Confirmed { session, .. } | State::Terminating { session, .. } => *session = None,
            State::Over { left: left @ Left::Session(_), .. } => *left = Left::Nothing,
            State::Early | State::Over { .. } => {}
        }
        taken
    }

    /// Until when it is remembered, where nothing is left of it.
    pub fn keeps_nothing(&self) -> Option<Timestamp> {
        if let State::Over { until, left: Left::Nothing } = self.state { Some(until) } else { None }
    }

    /// It keeps the BYE that ended it, where nothing else is left of it.
    pub fn keep_bye(&mut self, bye: Bye) {
        if let State::Over { left: left @ Left::Nothing, .. } = &mut self.state {
            *left = Left::Bye(bye);
        }
    }

    /// Until when it keeps a BYE, where it does.
    pub fn keeps_bye_until(&self) -> Option<Timestamp> {
        if let State::Over { until, left: Left::Bye(_) } = self.state { Some(until) } else { None }
    }

    /// The BYE it kept, and until when both are remembered.
    pub fn give_bye(&mut self) -> Option<(Bye, Timestamp)> {
        let State::Over { until, left: Left::Bye(bye) } = self.state else { return None };
        self.state = State::Over { until, left: Left::Nothing };
        Some((bye, until))
    }

    /// `success`: a 2xx to a BYE ends it.
    fn ended(&self, end: End, at: Timestamp, success: bool) -> Option<Ended> {
        let (from, bye, duration, by) = match self.state {
            State::Confirmed { answered, .. } => {
                let by = if success { Ending::Success(None) } else { Ending::Time };
                (DialogState::Confirmed, None, at - answered, by)
            }
            State::Terminating { answered, bye, .. } if success => {
                (DialogState::Terminating, Some(bye), bye - answered, Ending::Success(Some(at - bye)))
            }
            State::Terminating { answered, bye, ref failed, .. } => {
                let refused = failed.as_ref().and_then(|failed| failed.refused).map(|at| at - bye);
                (DialogState::Terminating, Some(bye), bye - answered, Ending::Failure(refused))
            }
            State::Early | State::Over { .. } => return None,
        };
        Some(Ended { from, end, at, bye, duration, by })
    }
}

/// Whether a BYE that hangs up is the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstBye {
    /// The dialog was confirmed until then.
    Yes,
    /// It was terminating already.
    No,
}

/// When it ends by itself: by a session timer, or by its age.
fn expiry(answered: Timestamp, now: Timestamp, timer: Option<Duration>, max_age: Duration) -> Timestamp {
    timer.map_or(answered + max_age, |interval| now + interval)
}
