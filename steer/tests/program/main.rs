//! The programs in the kernel and the model are the same: run on the same packets, they decide, change, remember and count
//! alike. And what they cost.
//!
//! Packets run through the loaded programs by BPF_PROG_TEST_RUN, on no device. Needs CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON.

mod agreement;
mod cost;
mod frames;
mod scenario;

use affinity::steer::Capacity;
use steer::kernel::Programs;

/// Loads the programs with the clock of tests; says why not where they cannot be.
fn load(test: &str, capacity: &Capacity) -> Option<Programs> {
    Programs::load(None, capacity, true).map_err(|error| testnet::skipped(test, &format!("{error}"))).ok()
}
