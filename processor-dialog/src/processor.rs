//! The dialog processor as the engine sees it.

use std::any::Any;
use std::time::Duration;

use pipeline::call::live::{LiveAsk, ShownNumber};
use pipeline::{CallRecord, CallsWanted, Facts, FrameBatch, Processor, Telemetry};

use crate::config::Config;
use crate::state::State;

/// `[processors.dialog]`: follows transactions, dialogs, attempts and registrations.
pub struct Dialogs {
    state: State,
    /// So many divide what the bounds allow.
    shards: usize,
}

impl Dialogs {
    /// Nothing followed yet. `calls`: also make a [`pipeline::CallRecord`] of each call.
    pub fn new(config: Config, calls: Option<CallsWanted>) -> Self {
        Self::one_of(1, config, calls)
    }

    /// One of so many `shards` that each follow a part of the calls.
    pub fn one_of(shards: usize, config: Config, calls: Option<CallsWanted>) -> Self {
        Self { state: State::new(config.divided(shards), calls), shards }
    }
}

impl Processor for Dialogs {
    fn process(&mut self, frames: &FrameBatch, facts: &mut Facts) {
        self.state.take(frames, facts);
    }

    fn drain(&mut self, facts: &mut Facts) {
        self.state.drain_calls(facts);
    }

    /// Expects a [`Config`].
    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str> {
        if let Ok(config) = settings.downcast::<Config>() {
            self.state.reconfigure(config.divided(self.shards));
        }
        Vec::new()
    }

    fn duplicate_window(&self) -> Option<Duration> {
        Some(self.state.config.dup_window)
    }

    fn live_calls(&mut self, ask: &LiveAsk, out: &mut Vec<CallRecord>) {
        self.state.live_calls(ask, out);
    }

    fn shown_number(&self, number: &str) -> Option<ShownNumber> {
        Some(self.state.config.calls.privacy.shown_number(number))
    }

    fn telemetry(&self, out: &mut Vec<Telemetry>) {
        let state = &self.state;
        let tables = [
            ("dialogs", state.dialogs.len()),
            ("transactions", state.transactions.len()),
            ("logical_requests", state.requests.len()),
            ("attempts", state.attempts.len()),
            ("registrations", state.registrations.len()),
            ("bindings", state.bindings_held),
            ("timers", state.wheel.len()),
            ("slots", state.slots.len()),
            ("resting_calls", state.rest.len()),
        ];
        for (table, held) in tables.into_iter().chain(state.calls.held()) {
            out.push(Telemetry {
                name: "otelcol_processor_table_entries",
                labels: vec![("table", table.to_owned())],
                counter: false,
                value: held as f64,
            });
        }
        state.calls.telemetry(out);
    }
}
