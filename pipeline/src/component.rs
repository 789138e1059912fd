//! What a component is to the program that runs it: a receiver, a processor, an exporter, an extension.
//!
//! A shard is a set of receivers with all that stands behind it, on one OS thread: it asks its receivers for a batch, hands
//! the batch to each processor in turn and the facts to the recorder, all by direct calls. Exporters and extensions live on
//! the main thread.

use std::any::Any;
use std::fmt::Debug;
use std::future::Future;
use std::net::IpAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use wire::Timestamp;

use crate::affinity::Report;
use crate::call::CallRecord;
use crate::call::live::{LiveAsk, ShownNumber};
use crate::facts::Facts;
use crate::frame::FrameBatch;
use crate::labels::Name;
use crate::media::MediaPorts;
use crate::pages::Page;
use crate::probes::Probes;

/// What [`Receiver::receive`] came back with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// The batch holds what came, perhaps nothing; the clock moved on.
    Batch,
    /// The source is at its end: this batch is the last one (a file; the wire never ends).
    End,
}

/// Why a receiver cannot go on; the text says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ReceiverError {
    /// A capability is missing (exit code 77).
    #[error("{what}: {help}")]
    Privilege {
        /// What was refused.
        what: String,
        /// The capability, and the command that grants it.
        help: String,
    },
    /// Anything else (exit code 1).
    #[error("{what}: {help}")]
    Failed {
        /// What failed, with its cause.
        what: String,
        /// What the operator can do.
        help: String,
    },
}

/// Live or not, what the capture of a receiver is: `/health` and `doctor` show it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureStatus {
    /// What captures: `"ebpf"`, `"classic"`, a word of a receiver's own; `"none"` where nothing is live.
    pub kind: &'static str,
    /// Why nothing can be captured now (for instance: none of the named interfaces exists); `None` when all is well.
    pub blocked: Option<String>,
    /// Why no media is seen although a processor of media is in the pipeline; `None` when it is, or is not wanted.
    pub no_media: Option<&'static str>,
}

/// A source of SIP frames. Created and started on the main thread, then moved to its shard's thread.
pub trait Receiver: Send {
    /// Opens what needs privileges: sockets, programs, files. Called once, before capabilities are dropped.
    fn start(&mut self) -> Result<(), ReceiverError>;

    /// Waits at most `wait` for packets and fills `batch` (which it clears first). Moves `batch.now` on even if nothing came.
    fn receive(&mut self, batch: &mut FrameBatch, wait: Duration) -> Result<Received, ReceiverError>;

    /// Takes new settings (what its factory made of a changed configuration) between two batches.
    /// Returns the keys that changed but need a restart; they keep their old values.
    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str>;

    /// How long after a payload an identical one between the same addresses is a capture duplicate
    /// (`sip-metrics.md` 2.2 rule 1); zero keeps every copy. Called before `start` and after a reload.
    fn set_duplicate_window(&mut self, window: Duration);

    /// A processor of media is in the pipeline: packets of RTP and RTCP are wanted too, those at least whose destination is
    /// in `ports`. Called before `start`; a receiver that has none to give does nothing.
    fn want_media(&mut self, _ports: &Arc<MediaPorts>) {}

    /// The rows of a receiver that asks instead of listening, and brings no frames; `None` from all others. They are
    /// the same as long as it lives.
    fn probes(&self) -> Option<Arc<Probes>> {
        None
    }

    /// What capture is like now.
    fn status(&self) -> CaptureStatus;

    /// The program about itself: `(otelcol_* name, labels, value)` for `/internal/metrics`.
    fn telemetry(&self, _out: &mut Vec<Telemetry>) {}
}

/// One number of `/internal/metrics`.
#[derive(Clone, Debug, PartialEq)]
pub struct Telemetry {
    /// Metric name, literally.
    pub name: &'static str,
    /// Label names and values besides the component's own.
    pub labels: Vec<(&'static str, String)>,
    /// `true` for a counter, `false` for a gauge.
    pub counter: bool,
    /// The value.
    pub value: f64,
}

/// A stage on the shard thread. Synchronous and deterministic: the same frames give the same facts.
/// It never blocks, sleeps, logs per message or reads a clock.
pub trait Processor: Send {
    /// Takes a batch of frames and the facts stated by the stages before it, and adds to the facts.
    fn process(&mut self, frames: &FrameBatch, facts: &mut Facts);

    /// A replayed file is at its end, at `now`, and nothing can follow: decides what only waits for that.
    fn settle(&mut self, _now: Timestamp, _facts: &mut Facts) {}

    /// The end is near (shutdown, or the end of a replayed file): states what is still open as in progress.
    fn drain(&mut self, _facts: &mut Facts) {}

    /// Takes new settings between two batches; see [`Receiver::reconfigure`].
    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str>;

    /// The duplicate window this stage wants its receivers to apply; `None` when it has no say.
    fn duplicate_window(&self) -> Option<Duration> {
        None
    }

    /// The networks of carriers this stage knows; `None` from one that knows none.
    fn networks(&self) -> Option<Arc<dyn Networks>> {
        None
    }

    /// Takes the networks that the nearest stage behind this one knows, before the first batch and after each reload.
    fn set_networks(&mut self, _networks: Option<Arc<dyn Networks>>) {}

    /// The program about itself; see [`Receiver::telemetry`].
    fn telemetry(&self, _out: &mut Vec<Telemetry>) {}

    /// Adds records of calls that are up, as they stand now, where this stage makes records.
    fn live_calls(&mut self, _ask: &LiveAsk, _out: &mut Vec<CallRecord>) {}

    /// How its records show a number somebody looks for; `None` from a stage that makes none.
    fn shown_number(&self, _number: &str) -> Option<ShownNumber> {
        None
    }

    /// What it found about backends of services; `None` from a stage that does not look.
    fn affinity(&mut self) -> Option<Report> {
        None
    }

    /// Hides of the addresses in a report what its records hide, where this stage makes records.
    fn hide_addresses(&self, _report: &mut Report) {}
}

/// Whose network an address is in. A look-up neither waits nor allocates.
pub trait Networks: Debug + Send + Sync {
    /// The carrier with the longest prefix that holds an address.
    fn carrier_of(&self, address: IpAddr) -> Option<Carrier<'_>>;
}

/// A carrier of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carrier<'a> {
    /// What it is counted by: a name of the label `carrier`.
    pub name: Name,
    /// The value of that label.
    pub text: &'a Arc<str>,
}

/// Why an exporter cannot start; the text says what to do about it (exit code 1).
#[derive(Debug, thiserror::Error)]
#[error("{what}: {help}")]
pub struct ExporterError {
    /// What failed, with its cause.
    pub what: String,
    /// What the operator can do.
    pub help: String,
}

/// A way out for what was counted. Lives on the main thread, inside its current-thread runtime.
pub trait Exporter {
    /// Opens what may be taken or needs privileges (ports) and begins to serve. Called once, inside the
    /// runtime, before capabilities are dropped and before anything is captured.
    fn start(&mut self) -> Result<(), ExporterError>;

    /// Takes new settings; see [`Receiver::reconfigure`].
    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str>;

    /// Where people can look and what goes where, for the operator's eyes at start:
    /// `metrics  http://0.0.0.0:2112/metrics`. Known after `start`.
    fn addresses(&self) -> Vec<String> {
        Vec::new()
    }

    /// Who tells about it while it runs, on any thread and without waiting.
    fn reports(&self) -> Option<Arc<dyn Reports>> {
        None
    }

    /// Sends what is left and closes, `within` this time: the caller waits hardly any longer.
    fn stop(&mut self, within: Duration) -> Pin<Box<dyn Future<Output = ()> + '_>>;
}

/// Why an extension cannot start; the text says what to do about it (exit code 1).
#[derive(Debug, thiserror::Error)]
#[error("{what}: {help}")]
pub struct ExtensionError {
    /// What failed, with its cause.
    pub what: String,
    /// What the operator can do.
    pub help: String,
}

/// Something beside the pipelines that people or programs turn to: it looks on and carries nothing. Lives where
/// exporters live, and must not make a shard wait.
pub trait Extension {
    /// Opens what may be taken or needs privileges; see [`Exporter::start`].
    fn start(&mut self) -> Result<(), ExtensionError>;

    /// Takes new settings; see [`Receiver::reconfigure`].
    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str>;

    /// Where people can look; see [`Exporter::addresses`].
    fn addresses(&self) -> Vec<String> {
        Vec::new()
    }

    /// Who tells about it while it runs, on any thread and without waiting.
    fn reports(&self) -> Option<Arc<dyn Reports>> {
        None
    }

    /// A folder in which exporters may keep files of their own.
    fn directory(&self) -> Option<&Path> {
        None
    }

    /// A page it adds beside those of exporters that serve pages.
    fn page(&self) -> Option<Arc<dyn Page>> {
        None
    }

    /// Closes, `within` this time: the caller waits hardly any longer.
    fn stop(&mut self, within: Duration) -> Pin<Box<dyn Future<Output = ()> + '_>>;
}

/// What a component tells about itself, at any time and on any thread.
pub trait Reports: Send + Sync {
    /// See [`Receiver::telemetry`].
    fn telemetry(&self, out: &mut Vec<Telemetry>);

    /// Why the component does not do any more what it is for, and what helps; `None` while it does.
    fn trouble(&self) -> Option<String> {
        None
    }
}

/// The state of the running program, for whoever shows it. Never waits for a shard: what it tells is at
/// most a few hundred milliseconds old.
pub trait Health: Send + Sync {
    /// What capture is like: of several receivers the one that is worst off.
    fn capture(&self) -> CaptureStatus;

    /// Why an exporter or extension does not do any more what it is for; `None` while all do.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Appends everything the components and the program itself tell about themselves, labels complete.
    fn telemetry(&self, out: &mut Vec<Telemetry>);
}
