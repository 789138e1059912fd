//! A call as a capture file, made of the messages that were kept: for a ticket, and for programs that read captures.
//!
//! Classic pcap with nanoseconds and packets of IP (LINKTYPE_RAW), which every reader knows. Addresses, ports, times and bytes of the
//! messages are what was seen, without credentials; everything below SIP is made up: nothing of it was kept. What came over TLS
//! or WebSocket is written as TCP. Content-Length is that of the body as it is written.

use pipeline::call::ladder::{Message, Owner};
use pipeline::{CallRecord, Transport};
use wire::{Encoder, Timestamp};

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
    let mut encoder = Encoder::default();
    for (at, message, bytes) in messages {
        let ends = [message.source, message.destination].map(|end| record.endpoint(end).address);
        let bytes = with_length(bytes);
        let nanos = at.as_nanos();
        let put = |packet: &[u8]| {
            file.extend(((nanos / 1_000_000_000) as u32).to_le_bytes());
            file.extend(((nanos % 1_000_000_000) as u32).to_le_bytes());
            file.extend([packet.len() as u32; 2].iter().flat_map(|len| len.to_le_bytes()));
            file.extend(packet);
        };
        match transport(record, message) {
            Transport::Udp => _ = encoder.datagram(ends, &bytes, false, put),
            _ => encoder.segments(ends, at, &bytes, [false, true], put),
        }
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

/// Nanoseconds, little endian, version 2.4, 256 KiB a packet, LINKTYPE_RAW.
const FILE_HEADER: [u8; 24] = [0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];

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
}
