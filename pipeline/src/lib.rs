//! The contract between stages: what crosses from one to the next, and what a component is to the program that runs it.
//!
//! Data flows one way: a [`Receiver`] fills a [`FrameBatch`] with SIP frames, [`Processor`]s turn it into [`Facts`],
//! the recorder of a metrics pipeline counts [`Event`]s in rows, that of a traces pipeline hands over [`Call`]s, an
//! [`Exporter`] carries them out. An [`Extension`] looks on. No stage knows another; all know this crate, which knows
//! nothing but the messages themselves (`sip`, `wire`).
//!
//! | what | where |
//! |---|---|
//! | messages, unparsed, with addresses and capture time | [`frame`] |
//! | what happened, in the past tense, and to whom | [`event`], [`facts`], [`labels`] |
//! | which backend of a service took a call, and what is reported of it | [`affinity`] |
//! | media, and what is told about them | [`media`] |
//! | pages of extensions beside those of an exporter | [`pages`] |
//! | what became of probes, for a receiver that asks | [`probes`] |
//! | what is known of a call, and the ways of calls to exporters and watchers | [`call`] |
//! | the five traits, and what components tell about themselves | [`component`], [`context`] |
//! | which program it is that runs | [`build`] |
//! | what a component's configuration is made of | [`settings`], [`id`] |
//!
//! # A processor
//!
//! A component offers a `Config` that serde reads and `schemars` describes, every key with a default, a check that turns it into settings or says
//! what is wrong, and a constructor. This one counts messages that are longer than a datagram should be:
//!
//! ```
//! use std::any::Any;
//!
//! use pipeline::settings::{Problems, size};
//! use pipeline::{Facts, FrameBatch, Processor, SipFrame, Telemetry};
//!
//! /// `[processors.long_messages]`.
//! #[derive(Clone, serde::Deserialize, schemars::JsonSchema, serde::Serialize)]
//! #[serde(default)]
//! struct Config {
//!     /// Messages above this are long. Default 1,300 bytes (RFC 3261 §18.1.1).
//!     #[serde(with = "size")]
//!     #[schemars(with = "size::Written")]
//!     above: usize,
//! }
//!
//! impl Default for Config {
//!     fn default() -> Self {
//!         Self { above: 1300 }
//!     }
//! }
//!
//! impl Config {
//!     /// The settings; here they are the keys themselves. The path of a problem begins inside the table.
//!     fn check(self, problems: &mut Problems) -> Option<Self> {
//!         if self.above == 0 {
//!             problems.error("above", "every message is longer than nothing", "write a size such as \"1300B\"");
//!         }
//!         (self.above > 0).then_some(self)
//!     }
//! }
//!
//! struct LongMessages {
//!     config: Config,
//!     seen: u64,
//! }
//!
//! impl Processor for LongMessages {
//!     // Never waits, logs or reads a clock: time is `frame.at`, the capture time.
//!     fn process(&mut self, batch: &FrameBatch, _facts: &mut Facts) {
//!         let long = |frame: &&SipFrame| batch.message(frame).len() > self.config.above;
//!         self.seen += batch.frames.iter().filter(long).count() as u64;
//!     }
//!
//!     // A reload: what its check made of the new table. All keys apply at once, so none needs a restart.
//!     fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str> {
//!         self.config = *settings.downcast().expect("settings come from the check of the same type");
//!         Vec::new()
//!     }
//!
//!     // For `/internal/metrics`.
//!     fn telemetry(&self, out: &mut Vec<Telemetry>) {
//!         let (name, value) = ("otelcol_processor_long_messages", self.seen as f64);
//!         out.push(Telemetry { name, labels: Vec::new(), counter: true, value });
//!     }
//! }
//!
//! let mut problems = Problems::default();
//! let config = Config { above: 20 }.check(&mut problems).expect("it is right");
//! let mut processor = LongMessages { config, seen: 0 };
//!
//! let mut batch = FrameBatch::default();
//! let [alice, bob] = ["192.0.2.1:5060", "192.0.2.2:5060"].map(|address| address.parse().expect("an address"));
//! for message in ["SIP/2.0 200 OK\r\n\r\n", "OPTIONS sip:bob@example.com SIP/2.0\r\n\r\n"] {
//!     batch.push(message.as_bytes(), SipFrame::datagram(alice, bob, wire::Timestamp::ZERO));
//! }
//! processor.process(&batch, &mut Facts::default());
//!
//! let mut numbers = Vec::new();
//! processor.telemetry(&mut numbers);
//! assert_eq!(numbers[0].value, 1.0);
//! ```
//!
//! What it counts for everybody it states as a [`Fact`] on a [`Slot`]: `facts.push(slot, Fact::..)`. It is compiled in by
//! an entry in the catalogue of a program: `ringside/src/components.rs` for ringside itself, a few lines of a `main.rs` for a
//! program of one's own. `docs/components.md` walks through one with a receiver, a processor and an exporter.
//!
//! # On which thread
//!
//! | | built, started | works |
//! |---|---|---|
//! | receiver, processors | on the main thread | on the thread of their shard, by direct calls; they must not wait for anything but packets |
//! | exporter, extension | on the main thread, inside its runtime | there; they share no lock with a shard that is held for long |
//!
//! Privileges are dropped between the start and the first batch. The order of starts is exporters, extensions, processors,
//! receivers; the end goes the other way round.

pub mod affinity;
pub mod build;
pub mod call;
pub mod component;
pub mod context;
pub mod event;
pub mod facts;
pub mod frame;
mod frames;
pub mod id;
pub mod labels;
pub mod media;
pub mod pages;
pub mod prefetch;
pub mod probes;
pub mod refused;
pub mod settings;

pub use build::Build;
pub use call::queue::{CallQueue, KeptCall};
pub use call::watch::Watch;
pub use call::{Call, CallRecord};
pub use component::{
    CaptureStatus, Carrier, Exporter, ExporterError, Extension, ExtensionError, Health, Networks, Processor, Received,
    Receiver, ReceiverError, Reports, Telemetry,
};
pub use context::{CallsWanted, Common, ProcessorContext};
pub use event::{Event, Fact, Measure, Slot};
pub use facts::{Facts, Origin};
pub use frame::{FrameBatch, SipFrame, Tally, Transport};
pub use frames::FrameQueue;
pub use id::ComponentId;
pub use labels::{LabelSet, LabelSets};
pub use media::{MediaPacket, MediaPorts, Note, RtcpPacket};
pub use refused::Refused;
