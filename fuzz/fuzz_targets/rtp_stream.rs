//! A stream: `rtp::Stream` against a model that recomputes everything from the list of packets.
//!
//! Each byte is what becomes of one packet: it comes, is lost, comes twice, is a digit, or comes late.
#![no_main]

#[path = "../../rtp/tests/invariants/model.rs"]
mod model;

use rtp::{Arrival, Codec};

const MS: u64 = 1_000_000;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let [high, low, ways @ ..] = bytes else { return };
    let base = u16::from_be_bytes([*high, *low]);
    let mut packets = Vec::new();
    let mut sent = 0;
    // Fewer than 3,000, so that no loss is taken for a restart.
    for (nth, way) in [0, 0].iter().chain(ways.iter().take(2900)).enumerate() {
        sent += if *way == 255 { 900 * MS } else { 20 * MS };
        let mut packet = Arrival {
            at: 7_000_000_000 + sent,
            sequence: base.wrapping_add(nth as u16),
            timestamp: (sent / 125_000) as u32,
            payload_type: 0,
            codec: Codec::Pcmu,
            clock: 8000,
        };
        match *way {
            1 => continue,
            2 => packets.push(packet),
            3 => packet.codec = Codec::Cn,
            late @ 4..=250 => packet.at += u64::from(late) * MS,
            _ => {}
        }
        packets.push(packet);
    }
    packets.sort_by_key(|packet| packet.at);
    model::check(&packets);
});
