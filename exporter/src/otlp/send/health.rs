//! What the log says about a server: one line when it goes down, one when it is back, however often it is tried.
//!
//! Signals are told apart, since a server may refuse one of them; a connection that fails, fails for all.

use std::time::{Duration, Instant};

use super::super::payload::Signal;
use super::verdict::Cause;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outage {
    /// There is no connection.
    Unreachable,
    /// The server asks to try again.
    Busy,
    /// The server refuses for good.
    Refused,
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Transition {
    /// What was sent did not arrive and is tried again.
    Down,
    /// The server refuses what it is sent.
    Refuses,
    /// All is well again.
    Back,
}

/// What is known about the server of one exporter.
#[derive(Debug, Default)]
pub(super) struct ServerHealth {
    signals: [State; Signal::ALL.len()],
}

#[derive(Debug, Default)]
struct State {
    outage: Option<Outage>,
    /// The log knows.
    told: bool,
    /// When it was told last of outage that may pass.
    down_at: Option<Instant>,
    /// When it was told last of a refusal.
    refused_at: Option<Instant>,
}

impl ServerHealth {
    /// An attempt failed and may be repeated.
    pub(super) fn failed(&mut self, signal: Signal, cause: &Cause, now: Instant) -> Option<Transition> {
        let outage = match cause {
            Cause::Connection(_) | Cause::Timeout => Outage::Unreachable,
            Cause::Grpc(_) | Cause::Http(_) | Cause::NotOtlp(_) => Outage::Busy,
        };
        let known = self.signals.iter().any(|state| state.outage.is_some() && state.told);
        self.signals[signal.index()].outage = Some(outage);
        (!known && self.signals[signal.index()].tell(now)).then_some(Transition::Down)
    }

    /// An attempt was refused for good.
    pub(super) fn refused(&mut self, signal: Signal, now: Instant) -> Option<Transition> {
        let state = &mut self.signals[signal.index()];
        if state.outage.replace(Outage::Refused) != Some(Outage::Refused) {
            state.told = false;
        }
        (!state.told && state.tell(now)).then_some(Transition::Refuses)
    }

    /// An attempt succeeded.
    pub(super) fn succeeded(&mut self, signal: Signal) -> Option<Transition> {
        let mut knew = false;
        for (index, state) in self.signals.iter_mut().enumerate() {
            if index == signal.index() || state.outage == Some(Outage::Unreachable) {
                knew |= state.outage.take().is_some() && std::mem::take(&mut state.told);
            }
        }
        let well = self.signals.iter().all(|state| state.outage.is_none());
        (knew && well).then_some(Transition::Back)
    }
}

impl State {
    /// Says whether to tell the log now: not if it was told the same just before.
    fn tell(&mut self, now: Instant) -> bool {
        let refused = self.outage == Some(Outage::Refused);
        let told_at = if refused { &mut self.refused_at } else { &mut self.down_at };
        let quiet = told_at.is_some_and(|at| now.duration_since(at) < QUIET);
        if !quiet {
            *told_at = Some(now);
            self.told = true;
        }
        !quiet
    }
}

/// Shortest time between two warnings of one kind about one signal.
const QUIET: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use Signal::{Metrics, Traces};
    use Transition::{Back, Down, Refuses};

    fn unreachable() -> Cause {
        Cause::Connection("Connection refused (os error 111)".to_owned())
    }

    #[test]
    fn a_server_that_is_down_is_told_once_and_its_return_once() {
        let (mut health, now) = (ServerHealth::default(), Instant::now());
        assert_eq!(health.succeeded(Traces), None);
        assert_eq!(health.failed(Traces, &unreachable(), now), Some(Down));
        for minutes in 0..100 {
            let later = now + Duration::from_secs(60 * minutes);
            assert_eq!(health.failed(Traces, &unreachable(), later), None);
            assert_eq!(health.failed(Metrics, &Cause::Timeout, later), None);
        }
        assert_eq!(health.succeeded(Metrics), Some(Back), "a connection is a connection");
        assert_eq!(health.succeeded(Traces), None);
    }

    #[test]
    fn a_server_that_comes_and_goes_is_told_once_a_minute() {
        let (mut health, now) = (ServerHealth::default(), Instant::now());
        let mut lines = 0;
        for second in 0..120 {
            let at = now + Duration::from_secs(second);
            lines += usize::from(health.failed(Traces, &Cause::Http(503), at).is_some());
            lines += usize::from(health.succeeded(Traces).is_some());
        }
        assert_eq!(lines, 4);
    }

    #[test]
    fn what_goes_unsaid_for_a_minute_is_said_if_it_lasts() {
        let (mut health, now) = (ServerHealth::default(), Instant::now());
        health.failed(Traces, &unreachable(), now);
        health.succeeded(Traces);
        assert_eq!(health.failed(Traces, &unreachable(), now + Duration::from_secs(1)), None);
        assert_eq!(health.failed(Traces, &unreachable(), now + Duration::from_secs(61)), Some(Down));
        assert_eq!(health.succeeded(Traces), Some(Back));
    }

    #[test]
    fn a_refusal_of_one_signal_is_told_for_that_signal_and_survives_the_success_of_another() {
        let (mut health, now) = (ServerHealth::default(), Instant::now());
        assert_eq!(health.refused(Metrics, now), Some(Refuses));
        for _ in 0..10 {
            assert_eq!(health.succeeded(Traces), None);
            assert_eq!(health.refused(Metrics, now), None);
        }
        assert_eq!(health.refused(Traces, now), Some(Refuses));
        assert_eq!(health.succeeded(Traces), None, "metrics are still refused");
        assert_eq!(health.succeeded(Metrics), Some(Back));
    }
}
