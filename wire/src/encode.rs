//! Packets made up round payloads: what [`decode`](crate::decode) undoes.
//!
//! Addresses, ports and bytes are the caller's, everything else is what a plain host would send: IP without options (RFC 791,
//! RFC 8200), UDP (RFC 768) and TCP (RFC 9293) with right checksums, fragments and segments where a payload is longer than
//! Ethernet takes. For captures that are written of messages; no packet of them was ever on a wire.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use crate::time::Timestamp;

/// Makes packets of IP, without a link layer. Keeps where each direction of a connection stands.
#[derive(Debug, Default)]
pub struct Encoder {
    /// Sequence number of the next byte.
    streams: HashMap<(SocketAddr, SocketAddr), u32>,
    /// Of the next datagram that is fragmented.
    identification: u32,
}

impl Encoder {
    /// A datagram from the first address to the second, as one packet, or as its fragments: at least two if `cut`. Each packet
    /// goes to `put`. `false`: the payload is longer than a datagram takes, and nothing was put.
    pub fn datagram(&mut self, ends: [SocketAddr; 2], payload: &[u8], cut: bool, mut put: impl FnMut(&[u8])) -> bool {
        let is_v4 = ends.iter().all(|end| end.ip().to_canonical().is_ipv4());
        let most = usize::from(u16::MAX) - UDP_HEADER - if is_v4 { V4_HEADER } else { 0 };
        if payload.len() > most {
            return false;
        }
        let datagram = udp(ends, payload);
        let room = MTU - if is_v4 { V4_HEADER } else { V6_HEADER };
        if datagram.len() <= room && !cut {
            put(&ip(ends, UDP, None, &datagram));
            return true;
        }
        self.identification = self.identification.wrapping_add(1);
        let room = if is_v4 { room } else { room - FRAGMENT_HEADER };
        // All but the last hold a multiple of eight bytes.
        let half = (datagram.len() / 2).next_multiple_of(8);
        let size = if cut { half.min(room / 8 * 8) } else { room / 8 * 8 };
        let mut at = 0;
        for piece in datagram.chunks(size) {
            let fragment =
                Fragment { identification: self.identification, at, more: at + piece.len() < datagram.len() };
            put(&ip(ends, UDP, Some(fragment), piece));
            at += piece.len();
        }
        true
    }

    /// A datagram of which a capture cut so many bytes off its end: one packet that says how long it was, without what is
    /// missing, and its length with that. Goes to `put`. `false` where the payload is longer than a datagram takes.
    pub fn cut_datagram(
        &self,
        ends: [SocketAddr; 2],
        payload: &[u8],
        missing: u32,
        mut put: impl FnMut(&[u8], u32),
    ) -> bool {
        let is_v4 = ends.iter().all(|end| end.ip().to_canonical().is_ipv4());
        let most = usize::from(u16::MAX) - UDP_HEADER - if is_v4 { V4_HEADER } else { 0 };
        let Some(room) = most.checked_sub(payload.len()) else { return false };
        let mut whole = payload.to_vec();
        whole.resize(payload.len() + room.min(missing as usize), 0);
        let packet = ip(ends, UDP, None, &udp(ends, &whole));
        let kept = packet.len() - (whole.len() - payload.len());
        put(&packet[..kept], packet.len() as u32);
        true
    }

    /// The next bytes of the direction from the first address to the second, at `at`, in one segment or more: at least two
    /// if `cut`. `open`: a direction that begins here begins with its SYN. Each packet goes to `put`.
    pub fn segments(
        &mut self,
        ends: [SocketAddr; 2],
        at: Timestamp,
        payload: &[u8],
        [cut, open]: [bool; 2],
        mut put: impl FnMut(&[u8]),
    ) {
        let [source, destination] = ends;
        if self.streams.len() >= MAX_STREAMS {
            self.streams.clear();
        }
        let acknowledged = self.streams.get(&(destination, source)).copied().unwrap_or_default();
        // The clock of RFC 9293 §3.4.1: a direction that was forgotten goes on far from where it was.
        let first = (at.as_nanos() / 4000) as u32;
        let next = self.streams.entry((source, destination)).or_insert_with(|| {
            if open {
                put(&ip(ends, TCP, None, &tcp(ends, first.wrapping_sub(1), 0, SYN, &[])));
            }
            first
        });
        let half = payload.len().div_ceil(2).max(1);
        for piece in payload.chunks(if cut { half.min(MAX_SEGMENT) } else { MAX_SEGMENT }) {
            put(&ip(ends, TCP, None, &tcp(ends, *next, acknowledged, PUSH_ACK, piece)));
            *next = next.wrapping_add(piece.len() as u32);
        }
    }
}

/// Which part of a datagram a packet holds.
#[derive(Clone, Copy)]
struct Fragment {
    identification: u32,
    /// Where in the datagram it begins, a multiple of eight.
    at: usize,
    more: bool,
}

fn udp(ends: [SocketAddr; 2], payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() + UDP_HEADER) as u16;
    let words = [ends[0].port(), ends[1].port(), len, 0];
    let mut datagram: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    datagram.extend_from_slice(payload);
    let sum = checksum(&pseudo(ends, UDP, datagram.len()), &datagram);
    // 0 would say that there is none (RFC 768).
    datagram[6..8].copy_from_slice(&if sum == 0 { u16::MAX } else { sum }.to_be_bytes());
    datagram
}

fn tcp(ends: [SocketAddr; 2], sequence: u32, acknowledged: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut segment: Vec<u8> = ends.iter().flat_map(|end| end.port().to_be_bytes()).collect();
    segment.extend(sequence.to_be_bytes());
    segment.extend(acknowledged.to_be_bytes());
    // Data offset of five words; the widest window.
    segment.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend_from_slice(payload);
    let sum = checksum(&pseudo(ends, TCP, segment.len()), &segment);
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    segment
}

/// The packet round a payload that is no longer than a packet may be.
fn ip([source, destination]: [SocketAddr; 2], protocol: u8, fragment: Option<Fragment>, payload: &[u8]) -> Vec<u8> {
    if let (IpAddr::V4(source), IpAddr::V4(destination)) = (source.ip().to_canonical(), destination.ip().to_canonical())
    {
        let len = ((payload.len() + V4_HEADER) as u16).to_be_bytes();
        let (id, place) = fragment.map_or((0, DO_NOT_FRAGMENT), |Fragment { identification, at, more }| {
            (identification as u16, (at / 8) as u16 | if more { V4_MORE } else { 0 })
        });
        let ([id0, id1], [place0, place1]) = (id.to_be_bytes(), place.to_be_bytes());
        let mut packet = vec![0x45, 0, len[0], len[1], id0, id1, place0, place1, HOPS, protocol, 0, 0];
        packet.extend(source.octets());
        packet.extend(destination.octets());
        let sum = checksum(&packet, &[]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend_from_slice(payload);
        return packet;
    }
    let extra = fragment.map_or(0, |_| FRAGMENT_HEADER);
    let len = ((payload.len() + extra) as u16).to_be_bytes();
    let next = fragment.map_or(protocol, |_| FRAGMENT);
    let mut packet = vec![0x60, 0, 0, 0, len[0], len[1], next, HOPS];
    packet.extend(v6(source));
    packet.extend(v6(destination));
    if let Some(Fragment { identification, at, more }) = fragment {
        packet.extend([protocol, 0]);
        packet.extend((at as u16 | u16::from(more)).to_be_bytes());
        packet.extend(identification.to_be_bytes());
    }
    packet.extend_from_slice(payload);
    packet
}

fn v6(address: SocketAddr) -> [u8; 16] {
    match address.ip() {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// What checksums of UDP and TCP cover besides (RFC 768, RFC 9293 §3.1, RFC 8200 §8.1).
fn pseudo([source, destination]: [SocketAddr; 2], protocol: u8, len: usize) -> Vec<u8> {
    let mut header = Vec::with_capacity(V6_HEADER);
    match (source.ip().to_canonical(), destination.ip().to_canonical()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            header.extend(source.octets());
            header.extend(destination.octets());
        }
        _ => {
            header.extend(v6(source));
            header.extend(v6(destination));
        }
    }
    header.extend((len as u32).to_be_bytes());
    header.extend([0, 0, 0, protocol]);
    header
}

/// The Internet checksum over both (RFC 1071); the first has an even length.
fn checksum(first: &[u8], second: &[u8]) -> u16 {
    let words = |bytes: &[u8]| -> u64 {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let last = rest.first().map_or(0, |last| u64::from(*last) << 8);
        pairs.iter().map(|pair| u64::from(u16::from_be_bytes(*pair))).sum::<u64>() + last
    };
    let mut sum = words(first) + words(second);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// What Ethernet takes.
const MTU: usize = 1500;
const V4_HEADER: usize = 20;
const V6_HEADER: usize = 40;
const UDP_HEADER: usize = 8;
const FRAGMENT_HEADER: usize = 8;
/// Payload of a segment that fits either version of IP.
const MAX_SEGMENT: usize = MTU - V6_HEADER - 20;
/// Most directions whose place is kept; beyond it all begin anew.
const MAX_STREAMS: usize = 65_536;
/// Protocols of IP.
const TCP: u8 = 6;
const UDP: u8 = 17;
/// The extension header of a fragment (RFC 8200 §4.5).
const FRAGMENT: u8 = 44;
const HOPS: u8 = 64;
const DO_NOT_FRAGMENT: u16 = 0x4000;
const V4_MORE: u16 = 0x2000;
const SYN: u8 = 0x02;
const PUSH_ACK: u8 = 0x18;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decoded, Decoder, Link, Packet, Tap};

    fn ends(v6: bool) -> [SocketAddr; 2] {
        let of = |text: &str| text.parse().expect("an address");
        match v6 {
            false => [of("192.0.2.1:5060"), of("198.51.100.2:5080")],
            true => [of("[2001:db8::1]:5060"), of("[2001:db8::2]:5080")],
        }
    }

    fn packet(bytes: &[u8]) -> Packet<'_> {
        let (at, link) = (Timestamp::from_nanos(1), Link::RawIp);
        Packet { at, link, interface: 0, bytes, original_len: bytes.len() as u32, tap: Tap::Between }
    }

    #[test]
    fn a_datagram_is_decoded_as_it_was_whatever_its_length() {
        for (v6, len, cut) in [false, true].into_iter().flat_map(|v6| {
            [0, 1, 7, 1451, 1472, 1473, 9000, 65_507]
                .into_iter()
                .flat_map(move |len| [(v6, len, false), (v6, len, true)])
        }) {
            let payload: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let (mut decoder, mut encoder, mut packets) = (Decoder::default(), Encoder::default(), Vec::new());
            assert!(encoder.datagram(ends(v6), &payload, cut, |packet| packets.push(packet.to_vec())));
            assert!(packets.iter().all(|packet| packet.len() <= MTU), "{len}");
            assert_eq!(
                packets.len() > 1,
                cut && len > 0 || len > MTU - 28 - if v6 { 20 } else { 0 },
                "{v6} {len} {cut}"
            );
            let (last, held) = packets.split_last().expect("at least one");
            held.iter().for_each(|bytes| assert!(matches!(decoder.decode(&packet(bytes)), Decoded::Held)));
            let Decoded::Datagram(found) = decoder.decode(&packet(last)) else {
                panic!("{v6} {len} {cut}: no datagram")
            };
            assert_eq!(([found.source, found.destination], found.payload), (ends(v6), &payload[..]));
        }
    }

    #[test]
    fn what_no_datagram_takes_is_refused() {
        let mut none = |_: &[u8]| panic!("nothing is put");
        assert!(!Encoder::default().datagram(ends(false), &[0; 65_508], false, &mut none));
        assert!(!Encoder::default().datagram(ends(true), &[0; 65_528], false, &mut none));
    }

    #[test]
    fn segments_follow_each_other_and_their_syn() {
        let (mut encoder, mut packets) = (Encoder::default(), Vec::new());
        let at = Timestamp::from_nanos(8_000_000);
        for (payload, cut) in [(vec![1; 3000], false), (vec![2; 10], true)] {
            encoder.segments(ends(false), at, &payload, [cut, true], |packet| packets.push(packet.to_vec()));
        }
        let mut decoder = Decoder::default();
        let found = packets.iter().map(|bytes| match decoder.decode(&packet(bytes)) {
            Decoded::Segment(segment) => (segment.sequence, segment.flags, segment.payload.len()),
            _ => panic!("no segment"),
        });
        let found: Vec<_> = found.collect();
        let expected =
            [(1999, SYN, 0), (2000, 24, 1440), (3440, 24, 1440), (4880, 24, 120), (5000, 24, 5), (5005, 24, 5)];
        assert_eq!(found, expected);
    }

    #[test]
    fn checksums_are_those_of_the_internet() {
        // RFC 1071 §3: the sum of these is ddf2.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03], &[0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(checksum(&[], &[0xff]), !0xff00);
        // Over a packet with its own sum nothing is left.
        for v6 in [false, true] {
            let datagram = udp(ends(v6), b"odd");
            assert_eq!(checksum(&pseudo(ends(v6), UDP, datagram.len()), &datagram), 0);
            let segment = tcp(ends(v6), 7, 9, PUSH_ACK, b"even");
            assert_eq!(checksum(&pseudo(ends(v6), TCP, segment.len()), &segment), 0);
        }
        assert_eq!(checksum(&ip(ends(false), UDP, None, b"")[..20], &[]), 0);
    }
}
