//! The dialog processor as the engine sees it.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use call_records::Records;
use pipeline::affinity::Report;
use pipeline::call::live::{LiveAsk, ShownNumber};
use pipeline::{CallRecord, CallsWanted, Facts, FrameBatch, LabelSets, Networks, Processor, Telemetry};

use wire::Timestamp;

use crate::config::Config;
use crate::dispatch::State;

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

    /// Tells a processor of media behind it of calls. To be called before anything is followed.
    pub fn telling_media(mut self) -> Self {
        self.state.tell_media();
        self
    }
}

impl Dialogs {
    /// The same that counts the callers of configured queues, whose names are in `label_sets`.
    pub fn labelled(mut self, label_sets: Arc<LabelSets>) -> Self {
        self.state.set_label_sets(label_sets);
        self
    }
}

impl Processor for Dialogs {
    fn process(&mut self, frames: &FrameBatch, facts: &mut Facts) {
        self.state.take(frames, facts);
    }

    fn drain(&mut self, facts: &mut Facts) {
        self.state.drain_records(facts);
    }

    fn settle(&mut self, now: Timestamp, facts: &mut Facts) {
        self.state.settle(now, facts);
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

    fn set_networks(&mut self, networks: Option<Arc<dyn Networks>>) {
        self.state.networks = networks;
    }

    fn live_calls(&mut self, ask: &LiveAsk, out: &mut Vec<CallRecord>) {
        let hashes = &self.state.hashes;
        if let Some(records) = &mut self.state.records {
            records.live_calls(ask, |call_id| hashes.call(call_id).0, out);
        }
    }

    fn shown_number(&self, number: &str) -> Option<ShownNumber> {
        Some(self.state.config.calls.privacy.shown_number(number))
    }

    fn hide_addresses(&self, report: &mut Report) {
        let privacy = &self.state.config.calls.privacy;
        report.show_addresses(|address| privacy.address(address));
    }

    fn telemetry(&self, out: &mut Vec<Telemetry>) {
        let state = &self.state;
        let held = &state.held;
        let records = state.records.as_ref();
        let tables = [
            ("calls", state.calls.len()),
            ("dialogs", held.dialogs),
            ("logical_requests", held.requests),
            ("attempts", held.attempts),
            ("registrations", held.registrations),
            ("trunk_attempts", held.trunks),
            ("bindings", state.bindings.len()),
            ("waiting", state.waiting.len()),
            ("slots", state.slots.len()),
        ];
        let of_records = records.into_iter().flat_map(Records::held);
        for (table, held) in tables.into_iter().chain(of_records) {
            out.push(Telemetry {
                name: "otelcol_processor_table_entries",
                labels: vec![("table", table.to_owned())],
                counter: false,
                value: held as f64,
            });
        }
        if let Some(records) = records {
            records.telemetry(out);
        }
    }
}
