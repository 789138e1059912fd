//! A glance at any bytes, as a program in the kernel would read them.
#![no_main]

#[path = "../../affinity/tests/invariants/mod.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| invariants::check_glance(bytes));
