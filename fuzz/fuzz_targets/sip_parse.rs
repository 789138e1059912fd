//! `sip::parse` on any bytes, in every framing, with every accessor: no panic, and the invariants hold.
#![no_main]

#[path = "../../sip/tests/invariants/parsed.rs"]
mod parsed;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| parsed::check(bytes));
