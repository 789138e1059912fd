//! Questions to the shards: one at a time, a few a second, however many pages are open.

use std::collections::HashMap;
use std::sync::Arc;

use pipeline::affinity::Report;
use pipeline::call::live::{LiveAsk, ShownNumber};
use pipeline::refused::Newest;
use pipeline::{KeptCall, Watch};
use tokio::sync::Mutex;
use tokio::time::{Duration, Instant, sleep_until, timeout};

/// Who asks, for everybody.
pub struct Asker {
    watch: Arc<Watch>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the shards may be asked again.
    next: Option<Instant>,
    /// When the list was asked for, and how long it could be.
    list: Option<(Instant, usize)>,
    /// Single calls that were asked for lately.
    calls: HashMap<Box<str>, (Instant, Option<KeptCall>)>,
    /// What was found about backends of services.
    affinity: Option<(Instant, Option<Report>)>,
    /// Numbers as records show them.
    numbers: HashMap<Box<str>, (Instant, Option<ShownNumber>)>,
}

impl Asker {
    /// Asks the shards of `watch`.
    pub fn new(watch: Arc<Watch>) -> Self {
        Self { watch, state: Mutex::default() }
    }

    /// Calls that ended and were not taken in time.
    pub fn refused(&self) -> u64 {
        self.watch.refused()
    }

    /// The newest messages that could not be read.
    pub fn unread(&self) -> Newest {
        self.watch.unread()
    }

    /// The calls that began last and are up, `most` at most; `None` when that was asked a moment ago.
    pub async fn newest(&self, most: usize) -> Option<Vec<KeptCall>> {
        let mut state = self.state.lock().await;
        if state.list.is_some_and(|(at, asked)| at.elapsed() < FRESH && asked >= most) {
            return None;
        }
        let calls = self.ask(&mut state, &LiveAsk::Newest(most)).await;
        state.list = Some((Instant::now(), most));
        Some(calls)
    }

    /// One call that is up, with its ladder.
    pub async fn one(&self, call_id: &str) -> Option<KeptCall> {
        let mut state = self.state.lock().await;
        if let Some((_, call)) = state.calls.get(call_id).filter(|(at, _)| at.elapsed() < FRESH) {
            return call.clone();
        }
        let call = self.ask(&mut state, &LiveAsk::One(call_id.into())).await.pop();
        state.calls.retain(|_, (at, _)| at.elapsed() < FRESH);
        if state.calls.len() < REMEMBERED {
            state.calls.insert(call_id.into(), (Instant::now(), call.clone()));
        }
        call
    }

    /// How records show a number; `None` where no shard says.
    pub async fn shown(&self, number: &str) -> Option<ShownNumber> {
        let mut state = self.state.lock().await;
        if let Some((_, shown)) = state.numbers.get(number).filter(|(at, _)| at.elapsed() < SETTLED) {
            return shown.clone();
        }
        self.pace(&mut state).await;
        let shown = timeout(PATIENCE, self.watch.shown(number)).await.ok().flatten();
        state.numbers.retain(|_, (at, _)| at.elapsed() < SETTLED);
        if state.numbers.len() < REMEMBERED && shown.is_some() {
            state.numbers.insert(number.into(), (Instant::now(), shown.clone()));
        }
        shown
    }

    /// What was found about backends of services; `None` where no shard looks.
    pub async fn affinity(&self) -> Option<Report> {
        let mut state = self.state.lock().await;
        if let Some((_, report)) = state.affinity.as_ref().filter(|(at, _)| at.elapsed() < FRESH) {
            return report.clone();
        }
        self.pace(&mut state).await;
        let report = timeout(PATIENCE, self.watch.affinity()).await.ok().flatten();
        state.affinity = Some((Instant::now(), report.clone()));
        report
    }

    async fn ask(&self, state: &mut State, ask: &LiveAsk) -> Vec<KeptCall> {
        self.pace(state).await;
        timeout(PATIENCE, self.watch.ask(ask)).await.unwrap_or_default()
    }

    /// Waits until the shards may be asked again.
    async fn pace(&self, state: &mut State) {
        if let Some(next) = state.next {
            sleep_until(next).await;
        }
        state.next = Some(Instant::now() + SPACING);
    }
}

/// Between two questions.
const SPACING: Duration = Duration::from_millis(100);
/// An answer is good for this long.
const FRESH: Duration = Duration::from_millis(500);
/// How numbers are shown changes with a reload alone.
const SETTLED: Duration = Duration::from_secs(5);
/// A shard answers between two batches, which are 100 ms apart at most.
const PATIENCE: Duration = Duration::from_secs(1);
/// Answers that are remembered at most.
const REMEMBERED: usize = 64;
