//! Sampling: the records of calls in, those worth a trace out.
//!
//! Every call is decided once, where its first record leaves the dialog processor, and in a fixed order: what is
//! marked, what failed, what was slow, short or lossy, then chance, then a limit on the rate. Metrics know nothing
//! of it: they count every call. No clock but that of the capture, no random number: the trace id is the die, so
//! that every observer of a call comes to the same decision about it.

mod bucket;
mod config;
mod decisions;
mod probability;
mod processor;

pub use config::{Config, MAX_RATE, Preset, Requests};
pub use decisions::MAX_DECISIONS;
pub use processor::Sampling;
