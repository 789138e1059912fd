//! What the service manager is told (`sd_notify`, `Type=notify` of systemd): ready, reloading, ending, and that it still works. Where
//! none asks (`NOTIFY_SOCKET`, `WATCHDOG_USEC` are not set) nothing is told.

use std::time::Duration;

use engine::Status;
use sd_notify::{NotifyState, notify, watchdog_enabled};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Tells that it captures; `text` is for whoever looks at the unit.
pub fn ready(text: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(text)]);
}

/// Tells that a reload has begun; [`ready`] tells of its end.
pub fn reloading() {
    // From 253 on systemd wants the time with it.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// Tells that it is about to end.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = notify(states) {
        tracing::warn!(%error, "the service manager cannot be told (NOTIFY_SOCKET)");
    }
}

/// The watchdog of the service manager: told twice in its time that main thread and capture threads work.
pub struct Watchdog {
    beat: Option<Interval>,
    /// A capture thread that is silent for longer is stuck.
    patience: Duration,
}

impl Watchdog {
    /// As the manager asks; one that is never told anything where it does not. Inside the runtime.
    pub fn new() -> Self {
        let patience = watchdog_enabled().filter(|time| !time.is_zero()).map(|time| time / 2);
        let beat = patience.map(|time| {
            let mut beat = interval(time);
            beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            beat
        });
        Self { beat, patience: patience.unwrap_or_default() }
    }

    /// Waits until it is time to tell again; for ever where nobody asks.
    pub async fn due(&mut self) {
        match &mut self.beat {
            Some(beat) => _ = beat.tick().await,
            None => std::future::pending().await,
        }
    }

    /// Tells it, unless a capture thread is stuck: then the manager is to act.
    pub fn beat(&self, status: &Status) {
        match status.silence() {
            silence if silence < self.patience.max(LONGEST_TURN) => tell(&[NotifyState::Watchdog]),
            silence => tracing::error!(
                ?silence,
                "a capture thread is stuck: the service manager's watchdog is not told that it works"
            ),
        }
    }
}

/// A capture thread renews its status within this time, however busy it is.
const LONGEST_TURN: Duration = Duration::from_secs(5);
