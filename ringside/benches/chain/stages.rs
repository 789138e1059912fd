//! The stages behind a receiver, called by hand one after another, so that one sees what each of them costs.

use std::sync::Arc;

use intake::Intake;
use metrics::Registry;
use metrics::recorder::Recorder;
use pipeline::settings::Problems;
use pipeline::{Facts, FrameBatch, Processor};
use processor_dialog::Dialogs;
use processor_enrich::Enrich;

use super::packets::intake;
use super::{LABELS, Packets};

/// What is done with a batch, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Packets are taken apart: frames.
    Frame,
    /// Messages are parsed, and calls followed: facts.
    Follow,
    /// Slots are given labels.
    Label,
    /// Facts are counted.
    Count,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Frame, Self::Follow, Self::Label, Self::Count];
}

/// Everything behind a receiver of [`Packets`].
pub struct Stages {
    /// Where they come from.
    pub packets: Packets,
    /// The frames of the batch.
    pub batch: FrameBatch,
    intake: Intake,
    dialogs: Dialogs,
    enrich: Enrich,
    facts: Facts,
    recorder: Recorder,
}

impl Stages {
    /// With tables and timers as full as calls at this rate make them; `trunks`: also counts calls by the carriers at both
    /// ends.
    pub fn new(calls_per_second: u64, trunks: bool) -> Self {
        let registry = Registry::new("sip_exporter");
        let labels: processor_enrich::Config = toml::from_str(LABELS).expect("it is TOML");
        let labels = labels.check(&mut Problems::default()).expect("sound settings");
        let mut stages = Self {
            packets: Packets::new(calls_per_second),
            intake: intake(),
            batch: FrameBatch::default(),
            dialogs: Dialogs::new(processor_dialog::Config::default(), None),
            enrich: Enrich::new(labels, Arc::clone(registry.label_sets())),
            facts: Facts::default(),
            recorder: Recorder::new(registry.shard()),
        };
        stages.dialogs.set_networks(stages.enrich.networks().filter(|_| trunks));
        for _ in 0..stages.packets.calls_until_full().div_ceil(100) {
            stages.packets.make(100);
            while !stages.packets.all_are_taken() {
                Stage::ALL.into_iter().for_each(|stage| stages.pass(stage));
            }
        }
        stages
    }

    /// Does one thing with the batch; the first takes the next one.
    pub fn pass(&mut self, stage: Stage) {
        match stage {
            Stage::Frame => self.packets.take(&mut self.intake, &mut self.batch),
            Stage::Follow => {
                self.facts.clear();
                self.dialogs.process(&self.batch, &mut self.facts);
            }
            Stage::Label => self.enrich.process(&self.batch, &mut self.facts),
            Stage::Count => self.recorder.record(&self.batch, &self.facts),
        }
    }
}
