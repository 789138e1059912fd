//! A record of the kernel's program: no panic, and no more bytes than came.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    assert!(receiver_ebpf_sip::tls::bytes::record(bytes).is_none_or(|length| length <= bytes.len()));
});
