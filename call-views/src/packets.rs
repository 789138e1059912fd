//! A call as a capture file, made of the messages that were kept: for a ticket, and for programs that read captures.
//!
//! Classic pcap with nanoseconds and packets of IP (LINKTYPE_RAW), which every reader knows. Addresses, ports, times and bytes of the
//! messages are what was seen, without credentials; everything below SIP is made up: nothing of it was kept. What came over TLS
//! or WebSocket is written as TCP. Content-Length is that of the body as it is written.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use pipeline::call::ladder::{Message, Owner};
use pipeline::{CallRecord, Transport};
use wire::Timestamp;

/// The capture file of a call; `None` where none of its messages was kept.
pub fn pcap(record: &CallRecord) -> Option<Vec<u8>> {
    let sent = record.sent.as_ref()?;
    let mut messages: Vec<(Timestamp, &Message, &[u8])> = Vec::new();
    for (place, message) in record.ladder.iter().enumerate() {
        let Some(first) = sent.message(place) else { continue };
        messages.push((message.at, message, first));
        let again = sent.repeats_of(place);
        messages.extend(again.map(|repeat| (repeat.at, message, repeat.other.as_deref().unwrap_or(first))));
    }
    if messages.is_empty() {
        return None;
    }
    messages.sort_by_key(|(at, ..)| *at);
    let mut file = FILE_HEADER.to_vec();
    let mut streams: HashMap<(SocketAddr, SocketAddr), u32> = HashMap::new();
    for (at, message, bytes) in messages {
        let ends = [message.source, message.destination].map(|end| record.endpoint(end).address);
        let bytes = with_length(bytes);
        let (protocol, payload) = match transport(record, message) {
            Transport::Udp => (UDP, udp(ends, &bytes)),
            _ => {
                let [source, destination] = ends;
                let acknowledged = streams.get(&(destination, source)).copied().unwrap_or(FIRST);
                let next = streams.entry((source, destination)).or_insert(FIRST);
                let segment = tcp(ends, *next, acknowledged, &bytes);
                *next = next.wrapping_add(bytes.len() as u32);
                (TCP, segment)
            }
        };
        let Some(packet) = ip(ends, protocol, &payload) else { continue };
        let nanos = at.as_nanos();
        file.extend(((nanos / 1_000_000_000) as u32).to_le_bytes());
        file.extend(((nanos % 1_000_000_000) as u32).to_le_bytes());
        file.extend([packet.len() as u32; 2].iter().flat_map(|len| len.to_le_bytes()));
        file.extend(packet);
    }
    Some(file)
}

fn transport(record: &CallRecord, message: &Message) -> Transport {
    match message.owner {
        Owner::Transaction(index) => record.transactions.get(usize::from(index)),
        Owner::Session(_) | Owner::Call => {
            let between = [message.source, message.destination];
            let same = |ends: [u16; 2]| ends == between || [ends[1], ends[0]] == between;
            record.transactions.iter().find(|transaction| same([transaction.source, transaction.destination]))
        }
    }
    .map_or(record.transport, |transaction| transaction.transport)
}

/// The message with the length of its body as it is now: blanked keys are shorter or longer, and bodies may not be kept.
fn with_length(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 8);
    let mut rest = message;
    let head = {
        let mut at = 0;
        for line in message.split_inclusive(|byte| *byte == b'\n') {
            at += line.len();
            if matches!(line, b"\r\n" | b"\n") {
                break;
            }
        }
        at
    };
    let body = message.len() - head;
    while message.len() - rest.len() < head {
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let (line, after) = rest.split_at(end);
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
        let is_length = name.eq_ignore_ascii_case(b"Content-Length") || name.eq_ignore_ascii_case(b"l");
        match is_length && line.len() > name.len() {
            true => out.extend_from_slice(format!("Content-Length: {body}\r\n").as_bytes()),
            false => out.extend_from_slice(line),
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    out
}

fn udp([source, destination]: [SocketAddr; 2], payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() + 8) as u16;
    let mut datagram: Vec<u8> =
        [source.port(), destination.port(), len, 0].iter().flat_map(|word| word.to_be_bytes()).collect();
    datagram.extend_from_slice(payload);
    let sum = checksum(&pseudo([source, destination], UDP, datagram.len()), &datagram);
    // 0 would say that there is none (RFC 768).
    datagram[6..8].copy_from_slice(&if sum == 0 { u16::MAX } else { sum }.to_be_bytes());
    datagram
}

fn tcp([source, destination]: [SocketAddr; 2], sequence: u32, acknowledged: u32, payload: &[u8]) -> Vec<u8> {
    /// Data offset of five words; PSH and ACK.
    const OFFSET_FLAGS: [u8; 2] = [0x50, 0x18];
    let mut segment: Vec<u8> = [source.port(), destination.port()].iter().flat_map(|port| port.to_be_bytes()).collect();
    segment.extend(sequence.to_be_bytes());
    segment.extend(acknowledged.to_be_bytes());
    segment.extend(OFFSET_FLAGS);
    segment.extend([0xff, 0xff, 0, 0, 0, 0]);
    segment.extend_from_slice(payload);
    let sum = checksum(&pseudo([source, destination], TCP, segment.len()), &segment);
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    segment
}

/// The packet round a payload; `None` where it is longer than a packet may be.
fn ip([source, destination]: [SocketAddr; 2], protocol: u8, payload: &[u8]) -> Option<Vec<u8>> {
    match (source.ip().to_canonical(), destination.ip().to_canonical()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let len = u16::try_from(payload.len() + 20).ok()?.to_be_bytes();
            // Version and length of the header; do not fragment; 64 hops.
            let mut header = vec![0x45, 0, len[0], len[1], 0, 0, 0x40, 0, 64, protocol, 0, 0];
            header.extend(source.octets());
            header.extend(destination.octets());
            let sum = checksum(&header, &[]);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            header.extend_from_slice(payload);
            Some(header)
        }
        (source, destination) => {
            let octets = |address: IpAddr| match address {
                IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                IpAddr::V6(address) => address.octets(),
            };
            let len = u16::try_from(payload.len()).ok()?.to_be_bytes();
            let mut header = vec![0x60, 0, 0, 0, len[0], len[1], protocol, 64];
            header.extend(octets(source));
            header.extend(octets(destination));
            header.extend_from_slice(payload);
            Some(header)
        }
    }
}

/// What checksums of UDP and TCP cover besides (RFC 768, RFC 9293 §3.1, RFC 8200 §8.1).
fn pseudo([source, destination]: [SocketAddr; 2], protocol: u8, len: usize) -> Vec<u8> {
    let mut header = Vec::with_capacity(40);
    match (source.ip().to_canonical(), destination.ip().to_canonical()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            header.extend(source.octets());
            header.extend(destination.octets());
        }
        (source, destination) => {
            for address in [source, destination] {
                header.extend(match address {
                    IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                    IpAddr::V6(address) => address.octets(),
                });
            }
        }
    }
    header.extend((len as u32).to_be_bytes());
    header.extend([0, 0, 0, protocol]);
    header
}

/// The Internet checksum over both (RFC 1071); the first has an even length.
fn checksum(first: &[u8], second: &[u8]) -> u16 {
    let words = |bytes: &[u8]| -> u64 {
        bytes.chunks(2).map(|pair| u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0))).sum()
    };
    let mut sum = words(first) + words(second);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Nanoseconds, little endian, version 2.4, 256 KiB a packet, LINKTYPE_RAW.
const FILE_HEADER: [u8; 24] = [0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
/// Protocols of IP.
const TCP: u8 = 6;
const UDP: u8 = 17;
/// The first byte of each direction.
const FIRST: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_that_of_the_body_that_is_there() {
        let of = |message: &str| String::from_utf8(with_length(message.as_bytes())).expect("text");
        assert_eq!(
            of("A\r\nl : 9\r\nX: Content-Length\r\n\r\nbody"),
            "A\r\nContent-Length: 4\r\nX: Content-Length\r\n\r\nbody"
        );
        assert_eq!(of("A\r\nContent-Length: 900\r\n\r\n"), "A\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(of("A\r\n\r\nContent-Length: 3\r\n"), "A\r\n\r\nContent-Length: 3\r\n");
        assert_eq!(of("A"), "A");
    }

    #[test]
    fn checksums_are_those_of_the_internet() {
        // RFC 1071 §3: the sum of these is ddf2.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03], &[0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(checksum(&[], &[0xff]), !0xff00);
    }
}
