//! What a batch goes through behind its receiver: runs of processors, sinks where pipelines end, forks.

use std::sync::Arc;

use config::Settings;
use config::graph::Branch;
use pipeline::affinity::Report;
use pipeline::call::live::{LiveAsk, ShownNumber};
use pipeline::{CallRecord, ComponentId, Facts, FrameBatch, KeptCall, Networks, Processor, Telemetry};

use super::watch::kept;
use super::{Sink, named};

/// A run of processors with facts of its own. A branch behind a fork works on a copy, so that it cannot
/// change what its sibling sees.
pub struct Flow {
    facts: Facts,
    stages: Vec<Stage>,
    /// Behind it nothing is counted, so that it needs no events.
    calls_only: bool,
    /// A metrics pipeline ends here.
    outlet: bool,
    /// Traces pipelines that end here: the exporters that get the calls.
    call_exporters: Vec<ComponentId>,
    sinks: Vec<Box<dyn Sink>>,
    /// Where watchers get calls.
    tap: Option<Tap>,
    branches: Vec<Self>,
}

/// A sink in front of the processor of this place, or behind the last one.
struct Tap {
    place: usize,
    sink: Box<dyn Sink>,
}

/// A processor in its place.
pub(super) struct Stage {
    id: ComponentId,
    processor: Box<dyn Processor>,
}

/// The processors and sinks of one branch.
pub(super) type Parts = (Vec<Stage>, Vec<Box<dyn Sink>>);

impl Stage {
    pub(super) fn new(id: ComponentId, processor: Box<dyn Processor>) -> Self {
        Self { id, processor }
    }
}

/// Makes the sink of a place where calls leave, told the exporters that get them.
pub(super) type CallSinks<'a> = &'a mut dyn FnMut(&[ComponentId]) -> Option<Box<dyn Sink>>;

/// Whose code is running, for the message if it panics: the id of a component.
pub(super) type Working<'a> = &'a mut dyn FnMut(&ComponentId);

/// Whether anything comes after a batch.
#[derive(Clone, Copy)]
pub(super) enum Last {
    /// More may come.
    No,
    /// Receivers are at their end: processors decide what only waits for what cannot follow any more.
    Received,
    /// The end: processors state what is still open.
    OfAll,
}

impl Flow {
    /// Builds a branch and all behind it; `parts` makes the processors and sinks of each.
    pub(super) fn build(plan: &Branch, parts: &mut dyn FnMut(&Branch) -> Parts) -> Self {
        let (stages, sinks) = parts(plan);
        let branches = plan.branches.iter().map(|branch| Self::build(branch, parts)).collect();
        let mut flow = Self {
            facts: Facts::default(),
            stages,
            calls_only: !plan.counts() && plan.traces(),
            outlet: !plan.exporters.is_empty(),
            call_exporters: plan.call_exporters.clone(),
            sinks,
            tap: None,
            branches,
        };
        flow.pass_networks();
        flow
    }

    /// Tells each processor which networks the nearest one behind it knows. Returns those that the first one knows.
    fn pass_networks(&mut self) -> Option<Arc<dyn Networks>> {
        let branches = self.branches.iter_mut().map(Self::pass_networks);
        let mut behind = branches.fold(None, Option::or);
        for stage in self.stages.iter_mut().rev() {
            stage.processor.set_networks(behind.clone());
            behind = stage.processor.networks().or(behind);
        }
        behind
    }

    /// Adds what `sink` gives wherever a metrics pipeline ends, in the order of [`Branch::walk`].
    pub(super) fn add_sinks(&mut self, sink: &mut dyn FnMut() -> Option<Box<dyn Sink>>) {
        if self.outlet {
            self.sinks.extend(sink());
        }
        self.branches.iter_mut().for_each(|branch| branch.add_sinks(sink));
    }

    /// Adds what `sink` gives wherever traces pipelines end, told the exporters that get the calls.
    pub(super) fn add_call_sinks(&mut self, sink: CallSinks<'_>) {
        if !self.call_exporters.is_empty() {
            self.sinks.extend(sink(&self.call_exporters));
        }
        self.branches.iter_mut().for_each(|branch| branch.add_call_sinks(sink));
    }

    /// Takes a batch, and what was stated about it before the fork. What one processor states goes through those after it.
    pub(super) fn take(&mut self, batch: &FrameBatch, last: Last, before: Option<&Facts>, working: Working<'_>) {
        self.begin(before);
        for place in 0..self.stages.len() {
            self.pass_tap(place, batch);
            let stage = &mut self.stages[place];
            working(&stage.id);
            stage.processor.process(batch, &mut self.facts);
            match last {
                Last::No => {}
                Last::Received => stage.processor.settle(batch.now, &mut self.facts),
                Last::OfAll => stage.processor.drain(&mut self.facts),
            }
        }
        self.pass_tap(self.stages.len(), batch);
        self.sinks.iter_mut().for_each(|sink| sink.take(batch, &self.facts));
        self.branches.iter_mut().for_each(|branch| branch.take(batch, last, Some(&self.facts), working));
    }

    /// Puts a sink into the branch `branch`, counted in the order of [`Branch::walk`], in front of the processor `place`.
    pub(super) fn add_tap(&mut self, branch: usize, place: usize, sink: Box<dyn Sink>) {
        let mut sink = Some(sink);
        let mut at = 0..;
        self.visit(&mut |flow| {
            if at.next() == Some(branch) {
                flow.tap = sink.take().map(|sink| Tap { place, sink });
            }
        });
    }

    fn visit(&mut self, visit: &mut dyn FnMut(&mut Self)) {
        visit(self);
        self.branches.iter_mut().for_each(|branch| branch.visit(visit));
    }

    /// Adds the calls that are up, with the labels they have where the tap is. `before`: those that processors before
    /// this branch know.
    pub(super) fn live_calls(&mut self, ask: &LiveAsk, before: &[CallRecord], out: &mut Vec<KeptCall>) {
        if !self.leads_to_tap() {
            return;
        }
        let mut calls = before.to_vec();
        self.stages.iter_mut().for_each(|stage| stage.processor.live_calls(ask, &mut calls));
        if self.tap.is_some() {
            return out.extend(calls.into_iter().map(|record| kept(record, &self.facts)));
        }
        self.branches.iter_mut().for_each(|branch| branch.live_calls(ask, &calls, out));
    }

    fn leads_to_tap(&self) -> bool {
        self.tap.is_some() || self.branches.iter().any(Self::leads_to_tap)
    }

    /// How the first processor that makes records shows a number.
    pub(super) fn shown_number(&self, number: &str) -> Option<ShownNumber> {
        let here = self.stages.iter().find_map(|stage| stage.processor.shown_number(number));
        here.or_else(|| self.branches.iter().find_map(|branch| branch.shown_number(number)))
    }

    /// What processors found about backends of services, with addresses as records show them.
    pub(super) fn affinity(&mut self) -> Option<Report> {
        let mut found = None;
        self.each(&mut |_, processor| found = Report::joined(found.take(), processor.affinity()));
        let mut report = found?;
        self.each(&mut |_, processor| processor.hide_addresses(&mut report));
        Some(report)
    }

    fn pass_tap(&mut self, place: usize, batch: &FrameBatch) {
        if let Some(tap) = self.tap.as_mut().filter(|tap| tap.place == place) {
            tap.sink.take(batch, &self.facts);
        }
    }

    /// Visits each processor, in the order of [`Branch::walk`].
    pub(super) fn each(&mut self, visit: &mut dyn FnMut(&ComponentId, &mut dyn Processor)) {
        self.stages.iter_mut().for_each(|stage| visit(&stage.id, stage.processor.as_mut()));
        self.branches.iter_mut().for_each(|branch| branch.each(visit));
    }

    /// Hands out new settings, in the order of [`Branch::walk`]. Adds the keys that need a restart.
    pub(super) fn reconfigure(
        &mut self,
        settings: &mut dyn Iterator<Item = Option<Settings>>,
        restart: &mut Vec<String>,
    ) {
        self.each(&mut |id, processor| {
            if let Some(settings) = settings.next().flatten() {
                restart.extend(processor.reconfigure(settings).iter().map(|key| format!("processors.{id}.{key}")));
            }
        });
        self.pass_networks();
    }

    /// What the processors tell about themselves.
    pub(super) fn telemetry(&self, out: &mut Vec<Telemetry>) {
        for stage in &self.stages {
            let from = out.len();
            stage.processor.telemetry(out);
            named("processor", &stage.id, from, out);
        }
        self.branches.iter().for_each(|branch| branch.telemetry(out));
    }

    fn begin(&mut self, before: Option<&Facts>) {
        match before {
            Some(before) if self.calls_only => self.facts.copy_calls_from(before),
            Some(before) => self.facts.copy_from(before),
            None => self.facts.clear(),
        }
    }
}
