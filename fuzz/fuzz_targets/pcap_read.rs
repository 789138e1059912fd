//! `receiver_pcap::stream::Capture` on any bytes: pcap, pcapng or gzip of either. No panic, and no packet is longer
//! than it may be.
#![no_main]

use std::io::Cursor;

use receiver_pcap::stream::Capture;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(mut capture) = Capture::new(Cursor::new(bytes.to_vec())) else {
        return;
    };
    let mut packets = 0;
    while capture.advance().expect("memory can be read") {
        let packet = capture.packet().expect("there is one");
        assert!(packet.bytes.len() <= 256 * 1024);
        packets += 1;
        // A gzip of nothing but headers goes on for long; what matters is known by then.
        if packets > 10_000 {
            return;
        }
    }
    assert!(capture.packet().is_none());
});
