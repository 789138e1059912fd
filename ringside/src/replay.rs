//! `ringside replay`: capture files through the same processors, as fast as they can be read.
//!
//! The pipelines of the configuration run with `receivers.pcap` in place of their receivers, on the clock of
//! the capture and on this thread. Standard output holds the metrics as they are at the last packet and
//! nothing else. No exporter starts, no port is opened, no privilege is needed.

mod calls;
mod captures;
mod json;
mod rewrite;

use std::fs::File;
use std::io::{BufWriter, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pipeline::config::{CallsWanted, ComponentId, Configuration, ProcessorContext};
use pipeline::engine::{Outlet, Shard, Sink, Turn};
use pipeline::metrics::{self, Exposition, LabelSets, Undefined};
use pipeline::{Facts, FrameBatch};
use receiver_pcap::{PcapReceiver, Report};

use crate::cli::{Format, Replay};
use crate::components::catalogue;
use crate::failure::Failure;
use crate::logs;
use crate::settings;
use crate::show::{print, say};
use calls::Calls;
use captures::Bar;

/// Reads the captures and prints what they come to.
pub fn replay(replay: &Replay) -> Result<(), Failure> {
    let catalogue = catalogue();
    let loaded = settings::load_adjusted(&replay.run, &catalogue, &mut |tree| rewrite::for_replay(tree, replay))
        .map_err(|problems| settings::refused(&problems))?;
    say(&loaded.warnings.to_string());
    let configuration = &loaded.configuration;
    logs::quiet_panics();

    let label_sets = Arc::<LabelSets>::default();
    let calls = match &replay.calls {
        Some(path) => {
            let file = create(path)?;
            Some(Calls::new(Box::new(BufWriter::new(file)), Arc::clone(&label_sets)))
        }
        None => None,
    };
    let wanted = CallsWanted { instance: Arc::from("replay"), requests: false, pieces: false, number: None };
    let context = ProcessorContext { label_sets, calls: calls.is_some().then_some(wanted) };
    let mut outlets = Vec::new();
    let plan = &configuration.graph.shards[0];
    let report = Arc::<Report>::default();
    let pcap = configuration.receivers[&plan.receivers[0]].settings();
    let mut pcap: receiver_pcap::Config = *pcap.downcast().expect("the only receiver left is the one that reads files");
    // As they were given: the tree holds text, and a name need not be that.
    pcap.files.clone_from(&replay.captures);
    let receivers = vec![(plan.receivers[0].clone(), Box::new(PcapReceiver::new(pcap, Arc::clone(&report))) as _)];
    let mut shard = Shard::build(plan, receivers, configuration, &catalogue, &context, &mut outlets);
    let shown = shown(configuration, &outlets);
    if let Some(calls) = &calls {
        shard.add_sinks(|outlet| (outlet == shown).then(|| Box::new(calls.clone()) as _));
    }
    let seen = Seen::default();
    shard.add_sinks(|outlet| (outlet == shown).then(|| Box::new(seen.clone()) as _));

    shard.start().map_err(|(_, error)| Failure::from(error))?;
    let bar = Bar::new(&report);
    while shard.turn().map_err(|(_, error)| Failure::from(error))? == Turn::Going {
        bar.update(&report);
    }
    drop(bar);
    print(&metrics_text(configuration, &outlets[shown], replay.format))?;

    // After the print: the metrics stay as they are at the last packet.
    shard.drain();
    if let Some(calls) = calls {
        calls.finish().map_err(|error| Failure::Failed(format!("the calls could not be written: {error}")))?;
    }
    let remarks = captures::remarks(&report, seen.any());
    remarks.iter().for_each(|remark| say(&format!("ringside: {remark}\n")));
    Ok(())
}

/// Creates the file of `--calls`. Writes over calls of an earlier run and nothing else: where the name was
/// forgotten, the first capture stands in its place.
fn create(path: &Path) -> Result<File, Failure> {
    let mut first = [0];
    // Only a file can be lost; a pipe or a terminal would wait to be read.
    let is_file = path.metadata().is_ok_and(|found| found.is_file());
    if is_file
        && File::open(path).and_then(|mut file| file.read(&mut first)).is_ok_and(|read| read > 0 && first != *b"{")
    {
        let text =
            format!("--calls {}: the file holds something else than calls; name another, or remove it", path.display());
        return Err(Failure::Usage(text));
    }
    File::create(path).map_err(|error| {
        let cure = "see whether its folder exists and may be written";
        Failure::Failed(format!("--calls {}: cannot be written: {error}; {cure}", path.display()))
    })
}

/// Whether any SIP came.
#[derive(Clone, Default)]
struct Seen(Arc<AtomicBool>);

impl Seen {
    fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Sink for Seen {
    fn take(&mut self, batch: &FrameBatch, _: &Facts) {
        if !batch.frames.is_empty() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

fn metrics_text(configuration: &Configuration, outlet: &Outlet, format: Format) -> String {
    match format {
        Format::Prometheus => {
            let snapshot = outlet.registry.snapshot();
            Exposition::new(snapshot, metrics::Format::Text, undefined(configuration, outlet)).into_text()
        }
        Format::Json => {
            let series = json::series(&outlet.registry);
            serde_json::to_string_pretty(&series).expect("numbers and text can be written as JSON") + "\n"
        }
    }
}

/// Pipelines may count differently; one of them is shown, with its calls: `metrics`, else the first. Gives its outlet.
fn shown(configuration: &Configuration, outlets: &[Outlet]) -> usize {
    let pipelines = &configuration.service.pipelines;
    let pipeline = pipelines.get("metrics").or_else(|| pipelines.values().next());
    let exporter = pipeline.and_then(|pipeline| ComponentId::parse(pipeline.exporters.first()?));
    let exporter = exporter.expect("a pipeline without exporters is refused");
    let outlet = outlets.iter().position(|outlet| outlet.exporters.contains(&exporter));
    outlet.expect("a pipeline ends at an outlet with its exporters")
}

/// How the exporter that stands there shows a ratio with nothing in its denominator.
fn undefined(configuration: &Configuration, outlet: &Outlet) -> Undefined {
    let tables = outlet.exporters.iter().filter_map(|id| configuration.exporters.get(id));
    let mut keys = tables.filter_map(|checked| checked.effective.get("undefined_ratio")?.clone().try_into().ok());
    keys.next().unwrap_or_default()
}
