//! The media processor as the engine sees it.

use std::any::Any;
use std::sync::Arc;

use pipeline::call::live::LiveAsk;
use pipeline::{CallRecord, Facts, FrameBatch, MediaPorts, Processor, Telemetry};

use crate::config::Settings;
use crate::state::State;

/// `[processors.media]`: what callers hear.
pub struct Media {
    state: State,
    /// So many divide what the bounds allow.
    shards: usize,
}

impl Media {
    /// One of so many `shards`, each with a part of the calls. `records`: records of calls get their media; `ports`: where
    /// it says where media may go.
    pub fn one_of(shards: usize, settings: Settings, records: bool, ports: Option<Arc<MediaPorts>>) -> Self {
        let unknown = settings.config.unknown_streams;
        let mut media = Self { state: State::new(settings.divided(shards), records, ports), shards };
        media.listen_for_unknown(unknown);
        media
    }

    /// Each of several shards sees all media, and would count a stream that belongs to no call of any.
    fn listen_for_unknown(&mut self, wanted: bool) {
        self.state.listen_for_unknown(wanted && self.shards == 1);
    }
}

impl Processor for Media {
    fn process(&mut self, frames: &FrameBatch, facts: &mut Facts) {
        self.state.take(frames, facts);
    }

    /// Expects [`Settings`]. Bounds need a restart.
    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str> {
        let Ok(settings) = settings.downcast::<Settings>() else { return Vec::new() };
        let new = settings.divided(self.shards);
        let (before, after) = (&self.state.settings.config, &new.config);
        let keys = [
            ("max_streams", before.max_streams, after.max_streams),
            ("max_endpoints", before.max_endpoints, after.max_endpoints),
            ("max_streams_per_dialog", before.max_streams_per_dialog, after.max_streams_per_dialog),
        ];
        let restart = keys.into_iter().filter(|(_, before, after)| before != after).map(|(key, ..)| key).collect();
        let unknown = after.unknown_streams;
        let bounds = [before.max_streams, before.max_endpoints, before.max_streams_per_dialog];
        self.state.settings = new;
        let config = &mut self.state.settings.config;
        [config.max_streams, config.max_endpoints, config.max_streams_per_dialog] = bounds;
        self.listen_for_unknown(unknown);
        restart
    }

    fn live_calls(&mut self, _ask: &LiveAsk, out: &mut Vec<CallRecord>) {
        for record in out {
            record.media = self.state.media_of(record).map(Box::new);
        }
    }

    fn telemetry(&self, out: &mut Vec<Telemetry>) {
        let state = &self.state;
        let tables = [
            ("media_calls", state.calls.len()),
            ("media_sessions", state.sessions.len()),
            ("media_endpoints", state.places.len()),
            ("media_streams", state.streams.len()),
            ("media_hosts", state.hosts.len()),
        ];
        for (table, held) in tables {
            out.push(Telemetry {
                name: "otelcol_processor_table_entries",
                labels: vec![("table", table.to_owned())],
                counter: false,
                value: held as f64,
            });
        }
    }
}
