//! The affinity processor as the engine sees it.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pipeline::affinity::Report;
use pipeline::{Facts, FrameBatch, Processor, ProcessorContext, Telemetry};
use wire::Timestamp;

use crate::config::Settings;
use crate::state::State;

/// `[processors.affinity]`: which backend took a dialog.
pub struct Affinity {
    /// That of all shards: the calls of one client are in all of them. Each takes it for a batch at a time.
    state: Arc<Mutex<State>>,
    /// Which of them this is; the first tells of it.
    member: usize,
}

impl Affinity {
    /// One of those that work side by side; the first makes what they have in common.
    pub fn new(settings: Settings, context: &ProcessorContext) -> Self {
        let records = context.calls.is_some();
        let state = context.common.of(&context.id, || Mutex::new(State::new(settings, &context.label_sets, records)));
        let member = state.lock().unwrap_or_else(PoisonError::into_inner).join();
        Self { state, member }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What a panicking thread leaves behind is never read: the process ends.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Processor for Affinity {
    fn process(&mut self, frames: &FrameBatch, facts: &mut Facts) {
        self.state().take(self.member, frames, facts);
    }

    fn settle(&mut self, now: Timestamp, facts: &mut Facts) {
        self.state().settle(self.member, now, facts);
    }

    /// Expects [`Settings`]. Services and bounds need a restart.
    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str> {
        let Ok(new) = settings.downcast::<Settings>() else { return Vec::new() };
        let mut state = self.state();
        let (before, after) = (&state.settings.config, &new.config);
        let keys = [
            ("services", before.services != after.services),
            ("max_services", before.max_services != after.max_services),
            ("max_backends", before.max_backends != after.max_backends),
        ];
        let restart = keys.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect();
        let config = &mut state.settings.config;
        config.learn = new.config.learn;
        config.window = new.config.window;
        config.conntrack_timeout = new.config.conntrack_timeout;
        config.max_dialogs = new.config.max_dialogs;
        config.max_flows = new.config.max_flows;
        state.flows.set_window(new.config.window);
        restart
    }

    fn telemetry(&self, out: &mut Vec<Telemetry>) {
        let state = self.state();
        let learned = state.services.services.iter().filter(|service| service.learned).count();
        let tables = [
            ("affinity_learned_services", learned),
            ("affinity_backends", state.services.backends.len()),
            ("affinity_dialogs", state.dialogs.len()),
            ("affinity_flows", state.flows.len()),
            ("affinity_transactions", state.transactions.len()),
            ("affinity_sightings", state.sightings.len()),
        ];
        let turned_away = [
            ("affinity_services", state.services.refused_services),
            ("affinity_backends", state.services.refused_backends),
            ("affinity_dialogs", state.dialogs.evicted),
            ("affinity_flows", state.flows.evicted),
            ("affinity_transactions", state.transactions.evicted),
            ("affinity_sightings", state.lost_sightings),
        ];
        let held = tables.map(|(table, held)| ("otelcol_processor_table_entries", table, false, held as f64));
        let gone = turned_away.map(|(table, gone)| ("otelcol_processor_table_turned_away", table, true, gone as f64));
        for (name, table, counter, value) in held.into_iter().chain(gone) {
            // What shards tell is added up, and this is one thing.
            let value = if self.member == 0 { value } else { 0.0 };
            out.push(Telemetry { name, labels: vec![("table", table.to_owned())], counter, value });
        }
    }

    fn affinity(&mut self) -> Option<Report> {
        (self.member == 0).then(|| self.state().report())
    }
}
