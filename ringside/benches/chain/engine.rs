//! The engine as a configuration builds it, with the program's own components behind a receiver of packets in memory.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use config::{Configuration, Sources};
use engine::{FlowContext, Shard, Turn};
use intake::Intake;
use pipeline::settings::Problems;
use pipeline::{CaptureStatus, FrameBatch, LabelSets, Received, Receiver, ReceiverError};

use super::packets::intake;
use super::{LABELS, Packets};
use crate::components::catalogue;

/// A shard that takes [`Packets`].
pub struct Engine {
    shard: Shard,
    packets: Arc<Mutex<Packets>>,
}

impl Engine {
    /// With tables and timers as full as calls at this rate make them.
    pub fn new(calls_per_second: u64) -> Self {
        let catalogue = catalogue();
        let text = format!(
            "[receivers.ebpf_sip]\n[processors.dialog]\n[processors.enrich]\n{LABELS}\n[exporters.prometheus]\n\
             [service.pipelines.metrics]\nreceivers = ['ebpf_sip']\nprocessors = ['dialog', 'enrich']\n\
             exporters = ['prometheus']\n"
        );
        let sources = Sources { files: vec![("bench".to_owned(), text)], set: Vec::new(), may_be_unset: None };
        let mut problems = Problems::default();
        let tree = sources.load(&|_| None, &mut problems).expect("it is TOML");
        let checked = Configuration::check(&tree, &catalogue, &mut problems);
        let configuration = checked.unwrap_or_else(|| panic!("{problems}"));
        let plan = &configuration.graph.shards[0];
        let packets = Arc::new(Mutex::new(Packets::new(calls_per_second)));
        let receiver = Memory { intake: intake(), packets: Arc::clone(&packets) };
        let receivers = vec![(plan.receivers[0].clone(), Box::new(receiver) as _)];
        let label_sets = Arc::<LabelSets>::default();
        let context = FlowContext { label_sets: &label_sets, wanted: &|_| None, shards: 1 };
        let mut shard = Shard::build(plan, receivers, &configuration, &catalogue, &context, &mut Vec::new());
        shard.start().expect("memory is open");
        let mut engine = Self { shard, packets };
        let full = engine.packets().calls_until_full();
        for _ in 0..full.div_ceil(100) {
            engine.make(100);
            engine.run();
        }
        engine
    }

    /// Makes packets for [`Engine::run`].
    pub fn make(&mut self, calls: usize) {
        self.packets().make(calls);
    }

    /// Takes all that were made, from packet to count.
    pub fn run(&mut self) {
        while !self.packets().all_are_taken() {
            assert_eq!(self.shard.turn().expect("memory can be read"), Turn::Going);
        }
    }

    fn packets(&self) -> MutexGuard<'_, Packets> {
        self.packets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands over what was made.
struct Memory {
    intake: Intake,
    packets: Arc<Mutex<Packets>>,
}

impl Receiver for Memory {
    fn start(&mut self) -> Result<(), ReceiverError> {
        Ok(())
    }

    fn receive(&mut self, batch: &mut FrameBatch, _: Duration) -> Result<Received, ReceiverError> {
        self.packets.lock().unwrap_or_else(PoisonError::into_inner).take(&mut self.intake, batch);
        Ok(Received::Batch)
    }

    fn reconfigure(&mut self, _: Box<dyn Any + Send>) -> Vec<&'static str> {
        Vec::new()
    }

    fn set_duplicate_window(&mut self, window: Duration) {
        self.intake.set_duplicate_window(window);
    }

    fn status(&self) -> CaptureStatus {
        CaptureStatus::default()
    }
}
