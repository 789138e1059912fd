//! The stages behind a receiver, called by hand one after another, so that one sees what each of them costs.

use std::sync::Arc;

use intake::Intake;
use metrics::Registry;
use metrics::recorder::Recorder;
use pipeline::settings::Problems;
use pipeline::{Common, ComponentId, Facts, FrameBatch, Processor, ProcessorContext};
use processor_affinity::Affinity;
use processor_dialog::Dialogs;
use processor_enrich::Enrich;

use super::packets::intake;
use super::{LABELS, Packets};

/// What is done with a batch, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Packets are taken apart: frames.
    Frame,
    /// It is looked which backend took what.
    Look,
    /// Messages are parsed, and calls followed: facts.
    Follow,
    /// Slots are given labels.
    Label,
    /// Facts are counted.
    Count,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Frame, Self::Look, Self::Follow, Self::Label, Self::Count];
}

/// Everything behind a receiver of [`Packets`].
pub struct Stages {
    /// Where they come from.
    pub packets: Packets,
    /// The frames of the batch.
    pub batch: FrameBatch,
    intake: Intake,
    /// `None` where nobody looks.
    affinity: Option<Affinity>,
    dialogs: Dialogs,
    enrich: Enrich,
    facts: Facts,
    recorder: Recorder,
}

impl Stages {
    /// With tables and timers as full as the calls of these packets make them; `trunks`: also counts calls by the carriers
    /// at both ends; `affinity`: with that processor in front, and this for its table.
    pub fn of(packets: Packets, trunks: bool, affinity: Option<&str>) -> Self {
        let registry = Registry::new("sip_exporter");
        let affinity = affinity.map(|table| {
            let config: processor_affinity::Config = toml::from_str(table).expect("it is TOML");
            let settings = config.check(&mut Problems::default()).expect("sound settings");
            let context = ProcessorContext {
                label_sets: Arc::clone(registry.label_sets()),
                calls: None,
                shards: 1,
                media: None,
                id: ComponentId::parse("affinity").expect("an id"),
                common: Common::default(),
            };
            Affinity::new(settings, &context)
        });
        let labels: processor_enrich::Config = toml::from_str(LABELS).expect("it is TOML");
        let labels = labels.check(&mut Problems::default()).expect("sound settings");
        let mut stages = Self {
            packets,
            affinity,
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
            Stage::Look => {
                self.facts.clear();
                if let Some(affinity) = &mut self.affinity {
                    affinity.process(&self.batch, &mut self.facts);
                }
            }
            Stage::Follow => {
                self.dialogs.process(&self.batch, &mut self.facts);
            }
            Stage::Label => self.enrich.process(&self.batch, &mut self.facts),
            Stage::Count => self.recorder.record(&self.batch, &self.facts),
        }
    }
}
