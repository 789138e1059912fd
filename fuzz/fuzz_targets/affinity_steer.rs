//! The steering program's scan and its model on any bytes: as a message, and as a frame.
#![no_main]

#[path = "../../affinity/tests/invariants/steer.rs"]
mod steer;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| steer::check_steer(bytes));
