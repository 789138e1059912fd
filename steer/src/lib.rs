//! `ringside-steer`: SIP dialogs kept on one backend, in the kernel, on nodes that run SIP behind a service address.
//!
//! [`kernel`] is the border to the programs in the kernel. What those decide is told by [`affinity::steer`], and nothing of
//! the collector links this crate.

pub mod config;
pub mod control;
pub mod daemon;
pub mod director;
pub mod discovery;
pub mod exposition;
pub mod kernel;
pub mod node;
pub mod policies;
pub mod probes;
pub mod state;
