//! What a packet costs on its way to a datagram: the common path, and the dearest one.

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use wire::{Decoder, Link, Packet, Tap, Timestamp};

/// Ethernet, IPv4, UDP and 500 bytes from 192.0.2.1:5060 to 192.0.2.2:5060. `flags_and_offset` as in the header.
fn frame(flags_and_offset: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    let total_len = u16::try_from(20 + payload.len()).expect("one packet");
    frame.extend(total_len.to_be_bytes());
    frame.extend([0, 7]);
    frame.extend(flags_and_offset.to_be_bytes());
    frame.extend([64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    frame.extend(payload);
    frame
}

fn decode(criterion: &mut Criterion) {
    let udp: Vec<u8> = [&[0x13, 0xc4, 0x13, 0xc4, 0x01, 0xfc, 0, 0][..], &[b'x'; 500]].concat();
    let whole = frame(0, &udp);
    let pieces = [frame(0x2000, &udp[..256]), frame(32, &udp[256..])];
    let mut decoder = Decoder::default();
    let mut packet = |bytes: &[u8]| {
        let original_len = u32::try_from(bytes.len()).expect("one packet");
        let at = Timestamp::from_nanos(1);
        black_box(decoder.decode(&Packet {
            at,
            link: Link::Ethernet,
            interface: 0,
            bytes,
            original_len,
            tap: Tap::Between,
        }));
    };
    criterion.bench_function("Ethernet, IPv4, UDP", |bencher| bencher.iter(|| packet(black_box(&whole))));
    criterion.bench_function("the same in two fragments", |bencher| {
        bencher.iter(|| pieces.iter().for_each(|piece| packet(black_box(piece))));
    });
}

criterion_group!(benches, decode);
criterion_main!(benches);
