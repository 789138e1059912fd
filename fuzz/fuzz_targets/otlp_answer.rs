//! What a server of OTLP answers: no panic, no more is refused than was sent, and no wait is endless.
//!
//! The input: a kind, how many were sent, the bytes.
#![no_main]

use std::time::UNIX_EPOCH;

use exporter::otlp::send::answers;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let [kind, items, bytes @ ..] = input else { return };
    let content_type: Option<&[u8]> = match kind % 4 {
        0 => Some(b"application/x-protobuf"),
        1 => Some(b"application/json"),
        2 => Some(b"text/html"),
        _ => None,
    };
    let items = u64::from(*items);
    assert!(answers::rejected(content_type, bytes, items).is_none_or(|rejected| rejected <= items));
    _ = answers::wait(bytes, UNIX_EPOCH);
});
