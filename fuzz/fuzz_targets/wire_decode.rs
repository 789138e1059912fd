//! `wire::Decoder` on a sequence of packets: no panic, and every bound holds.
//!
//! The input is cut into packets: a byte that chooses the link layer and whether the capture cut the packet, a
//! byte of time passed, two bytes of length, then that many bytes.
#![no_main]

use wire::{Decoded, Decoder, Link, Packet, Tap, Timestamp};

const MAX_FRAGMENTED: usize = 3;

const LINKS: [Link; 11] = [
    Link::Ethernet,
    Link::RawIp,
    Link::Ipv4,
    Link::Ipv6,
    Link::LinuxCooked,
    Link::LinuxCooked2,
    Link::Null,
    Link::Loop,
    Link::Network { ethertype: 0x0800 },
    Link::Network { ethertype: 0x86dd },
    Link::Network { ethertype: 0x8100 },
];

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut decoder = Decoder::new(MAX_FRAGMENTED);
    let (mut rest, mut seconds) = (input, 0);
    while let Some(([kind, passed, len @ ..], tail)) = rest.split_first_chunk::<4>() {
        let len = usize::from(u16::from_be_bytes(*len)).min(tail.len());
        let (bytes, tail) = tail.split_at(len);
        rest = tail;
        seconds += u64::from(*passed);
        let cut = u32::from(*kind >> 7);
        let packet = Packet {
            at: Timestamp::from_nanos(seconds * 1_000_000_000),
            link: LINKS[usize::from(*kind & 0x7f) % LINKS.len()],
            interface: 0,
            bytes,
            original_len: bytes.len() as u32 + cut,
            tap: Tap::Between,
        };
        match decoder.decode(&packet) {
            Decoded::Datagram(datagram) => {
                assert!(datagram.payload.len() <= 65_535);
                assert!(datagram.first <= packet.at);
            }
            Decoded::Segment(segment) => assert!(segment.payload.len() <= 65_535),
            Decoded::Held => assert!(decoder.fragmented() > 0),
            Decoded::Skipped(_) => {}
        }
        assert!(decoder.fragmented() <= MAX_FRAGMENTED);
        assert!(decoder.held_bytes() <= MAX_FRAGMENTED * 65_535);
    }
    decoder.expire(Timestamp::NEVER);
    assert_eq!((decoder.fragmented(), decoder.held_bytes()), (0, 0));
});
