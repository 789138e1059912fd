//! `[exporters.call_list]`: a line of CSV for each call, appended to a file.
//!
//! Calls come by a queue that turns away what nobody takes in time, so that no shard waits for the disk. What privacy hides
//! is not in the records, and so not in the file.

use std::any::Any;
use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pipeline::call::Subject;
use pipeline::component::Reports;
use pipeline::settings::Problems;
use pipeline::{CallQueue, Exporter, ExporterError, KeptCall, LabelSets, Telemetry};
use ringside::ExporterContext;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;

/// What can be set.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(default)]
pub struct Config {
    /// The file, made where there is none. No default.
    path: PathBuf,
}

impl Config {
    /// A default that would be wrong for everybody is left empty, and asked for.
    pub fn check(self, problems: &mut Problems) -> Option<Self> {
        if self.path.as_os_str().is_empty() {
            problems.error("path", "there is no file to write to", "write `path = \"/var/lib/ringside/calls.csv\"`");
            return None;
        }
        Some(self)
    }
}

/// Makes one. Nothing is opened before its start.
pub fn build(config: Config, context: &ExporterContext) -> Box<dyn Exporter> {
    let (calls, label_sets) = (context.calls.clone(), Arc::clone(&context.label_sets));
    Box::new(CallList { config, calls, label_sets, counts: Arc::default(), written: None })
}

struct CallList {
    config: Config,
    /// `None` when no traces pipeline names it.
    calls: Option<Arc<CallQueue>>,
    label_sets: Arc<LabelSets>,
    counts: Arc<Counts>,
    /// Told once the last line is written.
    written: Option<oneshot::Receiver<()>>,
}

impl Exporter for CallList {
    fn start(&mut self) -> Result<(), ExporterError> {
        let path = self.config.path.display();
        let calls = self.calls.as_ref().and_then(|queue| queue.open()).ok_or_else(|| ExporterError {
            what: "no calls reach it".to_owned(),
            help: "name it in a traces pipeline: metrics hold no calls".to_owned(),
        })?;
        let file = OpenOptions::new().create(true).append(true).open(&self.config.path);
        let file = file.map_err(|error| ExporterError {
            what: format!("{path} cannot be written: {error}"),
            help: "make its folder writable for this user, or set another `path`".to_owned(),
        })?;
        let is_empty = file.metadata().is_ok_and(|metadata| metadata.len() == 0);
        // Titles are written by hand: a file that goes on has them.
        let file = csv::WriterBuilder::new().has_headers(false).from_writer(file);
        let list = List { file, label_sets: Arc::clone(&self.label_sets), counts: Arc::clone(&self.counts) };
        let (tell, written) = oneshot::channel();
        self.written = Some(written);
        // The thread is made by a task, which runs once the start is over: a thread that was there before the program gave up
        // its privileges would keep them.
        tokio::spawn(async move {
            tokio::task::spawn_blocking(move || list.write(calls, is_empty, tell));
        });
        Ok(())
    }

    /// The file stays open, so that another `path` needs a restart.
    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str> {
        let new: Config = *settings.downcast().expect("settings come from the check of the same type");
        if new == self.config { Vec::new() } else { vec!["path"] }
    }

    fn addresses(&self) -> Vec<String> {
        vec![format!("calls    {}", self.config.path.display())]
    }

    fn reports(&self) -> Option<Arc<dyn Reports>> {
        Some(Arc::clone(&self.counts) as _)
    }

    /// The queue ends once every shard has: what is in it until then is written.
    fn stop(&mut self, within: Duration) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async move {
            if let Some(written) = self.written.take()
                && tokio::time::timeout(within, written).await.is_err()
            {
                tracing::warn!("the last calls could not be written in time");
            }
        })
    }
}

/// What the thread writes with.
struct List {
    file: csv::Writer<File>,
    label_sets: Arc<LabelSets>,
    counts: Arc<Counts>,
}

/// A line. Times in seconds, `start` since the Unix epoch.
#[derive(Serialize)]
struct Line<'a> {
    start: f64,
    call_id: &'a str,
    caller: &'a str,
    callee: &'a str,
    carrier: &'a str,
    outcome: &'a str,
    status: Option<u16>,
    setup: Option<f64>,
    duration: Option<f64>,
}

impl List {
    /// Writes until nothing can come any more, each time all that is there.
    fn write(mut self, mut calls: Receiver<KeptCall>, with_titles: bool, tell: oneshot::Sender<()>) {
        let mut waiting = Vec::new();
        if with_titles {
            let titles = ["start", "call_id", "caller", "callee", "carrier", "outcome", "status", "setup", "duration"];
            self.count(0, |file| file.write_record(titles));
        }
        while calls.blocking_recv_many(&mut waiting, AT_ONCE) > 0 {
            for KeptCall { call, labels } in waiting.drain(..) {
                let record = &*call.record;
                // Of a long call there may be pieces; the last one tells how it ended.
                if record.subject != Subject::Call || !record.last {
                    continue;
                }
                let label_sets = Arc::clone(&self.label_sets);
                let line = Line {
                    start: record.start.as_nanos() as f64 / 1e9,
                    call_id: &record.call_id,
                    caller: record.caller.as_deref().unwrap_or_default(),
                    callee: record.callee.as_deref().unwrap_or_default(),
                    carrier: label_sets.names(labels).0,
                    outcome: record.outcome,
                    status: record.status,
                    setup: record.setup.map(|setup| setup.as_secs_f64()),
                    duration: record.duration.map(|duration| duration.as_secs_f64()),
                };
                self.count(1, |file| file.serialize(&line));
            }
            self.count(0, |file| Ok(file.flush()?));
        }
        // Nobody may be waiting any more.
        let _ = tell.send(());
    }

    fn count(&mut self, lines: u64, write: impl FnOnce(&mut csv::Writer<File>) -> csv::Result<()>) {
        match write(&mut self.file) {
            Ok(()) => _ = self.counts.written.fetch_add(lines, Ordering::Relaxed),
            Err(_) => _ = self.counts.failed.fetch_add(1, Ordering::Relaxed),
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
    failed: AtomicU64,
}

impl Reports for Counts {
    fn telemetry(&self, out: &mut Vec<Telemetry>) {
        let counts = [
            ("otelcol_exporter_call_list_lines", &self.written),
            ("otelcol_exporter_call_list_failures", &self.failed),
        ];
        for (name, count) in counts {
            // Exact up to 2^53.
            let value = count.load(Ordering::Relaxed) as f64;
            out.push(Telemetry { name, labels: Vec::new(), counter: true, value });
        }
    }
}

/// Calls taken at a time.
const AT_ONCE: usize = 256;
