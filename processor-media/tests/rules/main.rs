//! The rules of `sip-metrics.md` 5, each on a call with media.

mod association;
mod bounds;
mod faults;
mod reports;
mod scene;
mod unknown;
