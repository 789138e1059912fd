//! Capture files as if they were live: pcap and pcapng in, SIP frames out.
//!
//! From packet bytes on everything is what a live receiver does too ([`intake::Intake`]). Files are streamed through
//! one buffer each, merged by time stamp, never read ahead of what is asked for. Damage ends a file, not the run.

mod buffer;
pub mod config;
mod file;
mod follow;
mod format;
mod link;
mod merge;
mod order;
mod pcap;
mod pcapng;
mod receiver;
mod report;
pub mod trace;
mod unwrap;

pub use config::Config;
pub use receiver::PcapReceiver;
pub use report::{PassedOver, Progress, Report};

/// One capture, streamed from any reader: what the receiver does with each of its files. For fuzzing and benchmarks.
pub mod stream {
    pub use crate::file::{Capture, NotUsable};
}
