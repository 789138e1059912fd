//! `sip::sort` on any datagram: no panic, and it agrees with the parser about what is SIP.
#![no_main]

#[path = "../../sip/tests/invariants/sorted.rs"]
mod sorted;

libfuzzer_sys::fuzz_target!(|payload: &[u8]| sorted::check(payload));
