//! The contract between stages: frames, facts, components, configuration, metric rows.
//!
//! Data flows one way: a [`Receiver`] fills a [`FrameBatch`], processors turn it into [`Facts`], the
//! recorder adds facts to metric rows, exporters read rows. No stage knows another; all know this crate.

pub mod call;
pub mod component;
pub mod config;
pub mod engine;
pub mod event;
pub mod facts;
pub mod frame;
pub mod graph;
pub mod intake;
pub mod metrics;
pub mod recorder;

pub use call::{Call, CallRecord};
pub use component::{
    CaptureStatus, Exporter, ExporterError, Extension, ExtensionError, Health, Processor, Received, Receiver,
    ReceiverError, Reports, Telemetry,
};
pub use event::{Event, Fact, Measure};
pub use facts::{Facts, LabelSet, Origin, Slot};
pub use frame::{FrameBatch, SipFrame, Tally, Transport};
pub use intake::{ClockMode, End, IDLE_LAG, Intake, IntakeSettings, Piece, PortSet};
