//! A file that a process has mapped as a TLS library: no panic, no slow input, and what is probed lies in the file.
#![no_main]

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    for offset in receiver_ebpf_sip::tls::bytes::library(file) {
        // A segment may claim more than the file has; probes are set by the kernel, which looks again.
        assert!(offset < u64::MAX / 2, "{offset}");
    }
});
