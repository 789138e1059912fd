//! Labels: the origins of requests in, `carrier` and `ua_type` on their slots out.
//!
//! The dialog processor states once per slot where its request came from (source address, User-Agent); here
//! the slot gets its labels, and everything counted on it later inherits them (`sip-metrics.md` 0.4). Label
//! values come from the configuration alone, never from the wire. No clock, no log, no lock once a pair of
//! labels has been seen.

mod carriers;
mod config;
mod processor;

pub use config::{Carrier, Config, MAX_LABELS, Settings, UserAgent};
pub use processor::Enrich;
