//! Registration attempts: REGISTERs joined over challenges and their outcomes (`sip-metrics.md` 4.5; RFC 6076 §4.1,
//! §4.2). Bindings are in [`crate::bindings`].

use std::time::Duration;

use pipeline::Slot;
use pipeline::event::RegistrationOutcome;
use wire::Timestamp;

/// A REGISTER, or several joined by challenges.
#[derive(Debug)]
pub struct Registration {
    /// Number of its first REGISTER among the requests of its call.
    pub serial: u32,
    /// Number of its latest REGISTER.
    pub latest: u32,
    /// CSeq number of that.
    cseq: u32,
    /// Whose labels it has: those of its first REGISTER.
    pub slot: Slot,
    /// First byte of the first REGISTER; of the one before a redirect where there was one.
    t0: Timestamp,
    state: State,
}

/// How far a registration attempt went.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Undecided.
    Open,
    /// Challenged then: a retry may join.
    Challenged(Timestamp),
    /// Redirected then: a new attempt may inherit its start.
    Redirected(Timestamp),
    /// Any other end.
    Ended,
}

/// What a new REGISTER is to an attempt of its call.
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
    /// One that begins with a REGISTER, whose first byte was seen at `t0`.
    pub fn new(serial: u32, cseq: u32, slot: Slot, t0: Timestamp) -> Self {
        Self { serial, latest: serial, cseq, slot, t0, state: State::Open }
    }

    /// A new REGISTER: whether it belongs to the attempt.
    pub fn join(&mut self, serial: u32, cseq: u32, now: Timestamp, retry_window: Duration) -> Join {
        match self.state {
            _ if cseq <= self.cseq => Join::Begins,
            State::Challenged(at) if now - at < retry_window => {
                (self.state, self.latest, self.cseq) = (State::Open, serial, cseq);
                Join::Joined
            }
            State::Redirected(at) if now - at < retry_window => Join::Inherits(self.t0),
            _ => Join::Begins,
        }
    }

    /// How long it has lasted.
    pub fn since_start(&self, now: Timestamp) -> Duration {
        now - self.t0
    }

    /// Its outcome is still to come.
    pub fn is_undecided(&self) -> bool {
        matches!(self.state, State::Open | State::Challenged(_))
    }

    /// It waits for another REGISTER, or one may inherit from it.
    pub fn awaits_register(&self) -> bool {
        matches!(self.state, State::Challenged(_) | State::Redirected(_))
    }

    /// The final of its REGISTER. `None` while a retry may come.
    pub fn on_final(&mut self, status: u16, now: Timestamp) -> Option<RegistrationOutcome> {
        let (state, outcome) = match status {
            ..300 => (State::Ended, Some(RegistrationOutcome::Success)),
            300..400 => (State::Redirected(now), Some(RegistrationOutcome::Redirected)),
            401 | 407 | 423 => (State::Challenged(now), None),
            402 => (State::Ended, Some(RegistrationOutcome::AuthAbandoned)),
            400.. => (State::Ended, Some(RegistrationOutcome::Failure)),
        };
        self.state = state;
        outcome
    }

    /// Its REGISTER got no final.
    pub fn on_timeout(&mut self) -> RegistrationOutcome {
        self.state = State::Ended;
        RegistrationOutcome::Timeout
    }

    /// When the next REGISTER is too late.
    pub fn due(&self, retry_window: Duration) -> Timestamp {
        match self.state {
            State::Challenged(at) | State::Redirected(at) => at + retry_window,
            State::Open | State::Ended => Timestamp::NEVER,
        }
    }

    /// A challenge was not answered, or nobody can inherit from a redirect any more.
    pub fn on_due(&mut self) -> Option<RegistrationOutcome> {
        let challenged = matches!(std::mem::replace(&mut self.state, State::Ended), State::Challenged(_));
        challenged.then_some(RegistrationOutcome::AuthAbandoned)
    }
}
