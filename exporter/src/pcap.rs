//! `[exporters.pcap]`: the flight recorder. The messages that receivers bring go into files of a bounded size, number and age.
//!
//! A thread of its own takes them from the queue and writes them ([`recordings::Folder`]); what it is too slow for is counted there,
//! what the disk refuses here. Neither makes a shard wait.

mod config;

use std::any::Any;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use metrics::ExporterContext;
use pipeline::component::{Exporter, ExporterError, Reports, Telemetry};
use pipeline::{FrameBatch, FrameQueue};
use recordings::{Counts, Folder, Limits};
use tokio::sync::oneshot;

pub use config::{Compression, Config, Settings};

/// The exporter: nothing before [`Exporter::start`], a folder and a thread from then on.
pub struct Pcap {
    settings: Settings,
    queue: Arc<FrameQueue>,
    shared: Arc<Shared>,
    /// Told once the last file is closed.
    done: Option<oneshot::Receiver<()>>,
}

/// What the thread and the exporter tell each other.
#[derive(Debug, Default)]
struct Shared {
    counts: Mutex<Counts>,
    /// To be applied.
    limits: Mutex<Option<Limits>>,
    /// Nothing is recorded any more: why.
    ended: OnceLock<&'static str>,
}

impl Shared {
    /// Does what a thread is for; a panic is said, and told by `/health` from then on.
    fn watch(&self, work: impl FnOnce()) {
        // Whatever it leaves is not looked at again, but for counts, which are whole.
        if panic::catch_unwind(AssertUnwindSafe(work)).is_err() {
            self.end("nothing is recorded any more, for the recorder has panicked; start the program again, and report what it wrote");
        }
    }

    fn end(&self, why: &'static str) {
        tracing::error!("{why}");
        let _ = self.ended.set(why);
    }
}

impl Pcap {
    /// Records what comes by the queue of `context`.
    pub fn new(settings: Settings, context: &ExporterContext) -> Self {
        let queue = context.frames.clone().unwrap_or_default();
        Self { settings, queue, shared: Arc::default(), done: None }
    }
}

impl Exporter for Pcap {
    fn start(&mut self) -> Result<(), ExporterError> {
        let Settings { directory, limits } = &self.settings;
        let folder = Folder::open(directory, *limits).map_err(|error| {
            let directory = directory.display();
            let (what, help) = match error.kind() {
                io::ErrorKind::WouldBlock => (
                    format!("another program records into {directory}"),
                    "end it, or give [exporters.pcap] another `directory`".to_owned(),
                ),
                _ => (
                    format!("{directory} cannot be used: {error}"),
                    "make it writable for this user, or give [exporters.pcap] another `directory`".to_owned(),
                ),
            };
            ExporterError { what, help }
        })?;
        let (queue, shared) = (Arc::clone(&self.queue), Arc::clone(&self.shared));
        let (told, done) = oneshot::channel();
        let seen = Arc::clone(&shared);
        let record = move || {
            shared.watch(|| record(folder, &queue, &shared));
            // Nobody may be waiting any more.
            let _ = told.send(());
        };
        // Not at once: before there is a second thread, this one gives up its capabilities. Tasks run once it has.
        tokio::spawn(async move {
            if thread::Builder::new().name("recorder".to_owned()).spawn(record).is_err() {
                seen.end(
                    "nothing is recorded, for no thread can be made; see whether the system is short of resources",
                );
            }
        });
        self.done = Some(done);
        Ok(())
    }

    /// Everything but `directory` applies within a second.
    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str> {
        let new = settings.downcast::<Settings>().expect("settings come from the check of the same type");
        self.settings.limits = new.limits;
        *self.shared.limits.lock().unwrap_or_else(PoisonError::into_inner) = Some(new.limits);
        if new.directory == self.settings.directory { Vec::new() } else { vec!["directory"] }
    }

    fn addresses(&self) -> Vec<String> {
        vec![format!("recordings  {}", self.settings.directory.display())]
    }

    fn reports(&self) -> Option<Arc<dyn Reports>> {
        Some(Arc::clone(&self.shared) as _)
    }

    /// Writes what waits and closes the last file.
    fn stop(&mut self, within: Duration) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(async move {
            self.queue.close();
            if let Some(done) = self.done.take()
                && tokio::time::timeout(within, done).await.is_err()
            {
                tracing::warn!("the last recording could not be closed in time: the next start does that");
            }
        })
    }
}

/// What the thread does until the queue is closed.
fn record(mut folder: Folder, queue: &FrameQueue, shared: &Shared) {
    let began = Instant::now();
    let mut complained: Option<Instant> = None;
    if let Err(error) = folder.take_up() {
        tracing::warn!(%error, "older recordings cannot be read: they are not counted, and not deleted");
    }
    let mut batch = FrameBatch::default();
    loop {
        let more = queue.take(&mut batch, PAUSE);
        if let Some(limits) = shared.limits.lock().unwrap_or_else(PoisonError::into_inner).take() {
            folder.set_limits(limits);
        }
        folder.put(&batch, began.elapsed());
        if !more {
            folder.close(began.elapsed());
        }
        *shared.counts.lock().unwrap_or_else(PoisonError::into_inner) = folder.counts();
        if let Some(error) = folder.trouble()
            && complained.is_none_or(|last| last.elapsed() >= SILENCE)
        {
            tracing::warn!(%error, "messages cannot be recorded: make room, or lower exporters.pcap.max_total_size");
            complained = Some(Instant::now());
        }
        if !more {
            return;
        }
    }
}

impl Reports for Shared {
    fn telemetry(&self, out: &mut Vec<Telemetry>) {
        let Counts { written, failed, too_long, deleted, files, bytes } =
            *self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut number = |name, reason: Option<&str>, counter, value: u64| {
            let labels = reason.map(|reason| ("reason", reason.to_owned())).into_iter().collect();
            // Exact up to 2^53.
            out.push(Telemetry { name, labels, counter, value: value as f64 });
        };
        number("otelcol_exporter_sent_messages", None, true, written);
        number("otelcol_exporter_send_failed_messages", Some("write"), true, failed);
        number("otelcol_exporter_send_failed_messages", Some("too_long"), true, too_long);
        number("otelcol_exporter_deleted_recordings", None, true, deleted);
        number("otelcol_exporter_recordings", None, false, files);
        number("otelcol_exporter_recordings_bytes", None, false, bytes);
    }

    fn trouble(&self) -> Option<String> {
        self.ended.get().map(|why| (*why).to_owned())
    }
}

/// Longest wait for messages: what is written is written within a second.
const PAUSE: Duration = Duration::from_millis(250);
/// Between two complaints.
const SILENCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorder_that_panics_is_in_trouble_and_one_that_ends_is_not() {
        let shared = Shared::default();
        shared.watch(|| {});
        assert_eq!(shared.trouble(), None);
        shared.watch(|| panic!("a bug"));
        assert!(shared.trouble().is_some_and(|why| why.contains("the recorder has panicked")));
    }
}
