//! Reports in a datagram: `rtp::Compound` and `rtp::Header` on any bytes.
#![no_main]

#[path = "../../rtp/tests/invariants/reports.rs"]
mod reports;

libfuzzer_sys::fuzz_target!(|datagram: &[u8]| reports::check(datagram));
