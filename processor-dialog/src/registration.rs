//! Registration attempts: REGISTERs joined over challenges and their outcomes (`sip-metrics.md` 4.5; RFC 6076 §4.1,
//! §4.2). Bindings are in [`crate::bindings`].

use std::time::Duration;

use pipeline::Slot;
use pipeline::event::RegistrationOutcome;
use wire::Timestamp;

use crate::bindings::Asked;

/// A REGISTER, or several joined by challenges.
#[derive(Debug)]
pub struct Registration {
    /// Lowest number of its REGISTERs among the requests of its call.
    pub serial: u32,
    /// Highest number of them: that of its latest one.
    pub latest: u32,
    /// Whose labels it has: those of its first REGISTER.
    pub slot: Slot,
    /// What its latest REGISTER asked for.
    pub asked: Asked,
    /// First byte of the first REGISTER; of the one before a redirect where there was one.
    t0: Timestamp,
    state: State,
}

/// How far a registration attempt went.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Undecided; its latest REGISTER has waited for its final since then.
    Open(Timestamp),
    /// A REGISTER failed; another may join until then.
    Held { outcome: RegistrationOutcome, until: Timestamp, challenged: bool },
    /// Redirected then: a new attempt may inherit its start.
    Redirected(Timestamp),
    /// Any other end.
    Ended,
}

/// What a new REGISTER is to the newest attempt of its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// It goes on with the attempt.
    Joined,
    /// It begins another attempt, which inherits a start.
    Inherits(Timestamp),
    /// It begins another attempt.
    Begins,
}

impl Registration {
    /// One that begins with a REGISTER, whose first byte was seen at `t0`; `began`, of that REGISTER itself.
    pub fn new(serial: u32, slot: Slot, t0: Timestamp, began: Timestamp) -> Self {
        Self { serial, latest: serial, slot, asked: Asked::default(), t0, state: State::Open(began) }
    }

    /// A new REGISTER joins as long as there is no outcome, unless the one before has been waiting too long for its final:
    /// then it is a new login.
    pub fn join(&mut self, serial: u32, began: Timestamp, fork_hold: Duration, retry_window: Duration) -> Join {
        match self.state {
            State::Open(since) if began - since >= fork_hold => Join::Begins,
            State::Open(_) | State::Held { .. } => {
                self.state = State::Open(began);
                // One whose final was seen before it has an earlier number than those that came meanwhile.
                (self.serial, self.latest) = (self.serial.min(serial), self.latest.max(serial));
                Join::Joined
            }
            State::Redirected(at) if began - at < retry_window => Join::Inherits(self.t0),
            _ => Join::Begins,
        }
    }

    /// How long it has lasted.
    pub fn since_start(&self, now: Timestamp) -> Duration {
        now - self.t0
    }

    /// Whether the REGISTER with this number is one of it.
    pub fn has(&self, serial: u32) -> bool {
        (self.serial..=self.latest).contains(&serial)
    }

    /// Its outcome is still to come.
    pub fn is_undecided(&self) -> bool {
        matches!(self.state, State::Open(_) | State::Held { .. })
    }

    /// It waits for another REGISTER, or one may inherit from it.
    pub fn awaits_register(&self) -> bool {
        matches!(self.state, State::Held { .. } | State::Redirected(_))
    }

    /// The final of a REGISTER of it, the one with this number. The outcome, where nothing can follow.
    pub fn on_final(&mut self, serial: u32, status: u16, now: Timestamp, waits: Waits) -> Option<RegistrationOutcome> {
        if !self.is_undecided() {
            return None;
        }
        let (hold, outcome) = match status {
            ..300 => {
                self.state = State::Ended;
                return Some(RegistrationOutcome::Success);
            }
            // A later one is open.
            _ if serial != self.latest => return None,
            300..400 => {
                self.state = State::Redirected(now);
                return Some(RegistrationOutcome::Redirected);
            }
            402 => {
                self.state = State::Ended;
                return Some(RegistrationOutcome::AuthAbandoned);
            }
            401 | 407 | 423 => (waits.retry_window, RegistrationOutcome::AuthAbandoned),
            400.. => (waits.fork_hold, RegistrationOutcome::Failure),
        };
        let challenged = outcome == RegistrationOutcome::AuthAbandoned;
        self.state = State::Held { outcome, until: now + hold, challenged };
        None
    }

    /// A REGISTER of it got no final, the one with this number.
    pub fn on_timeout(&mut self, serial: u32, now: Timestamp, fork_hold: Duration) {
        if serial == self.latest && matches!(self.state, State::Open(_)) {
            let outcome = RegistrationOutcome::Timeout;
            self.state = State::Held { outcome, until: now + fork_hold, challenged: false };
        }
    }

    /// When its outcome is given, or the next REGISTER is too late to inherit from it.
    pub fn due(&self, retry_window: Duration) -> Timestamp {
        match self.state {
            State::Held { until, .. } => until,
            State::Redirected(at) => at + retry_window,
            State::Open(_) | State::Ended => Timestamp::NEVER,
        }
    }

    /// Its failure waits for nothing but another try: at the end of a capture none follows.
    pub fn settles(&self) -> bool {
        matches!(self.state, State::Held { challenged: false, .. })
    }

    /// Nothing joined in time: the outcome, or nobody can inherit from a redirect any more.
    pub fn on_due(&mut self) -> Option<RegistrationOutcome> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Held { outcome, .. } => Some(outcome),
            _ => None,
        }
    }
}

/// How long another REGISTER is waited for (0.3).
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// After a failure.
    pub fork_hold: Duration,
    /// After a challenge.
    pub retry_window: Duration,
}
