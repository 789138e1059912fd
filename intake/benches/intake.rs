//! What a message costs from its packet to its frame, by the way it travels: `cargo bench -p intake`.
//!
//! The same INVITE over UDP, TCP and WebSocket, one message to a packet and in two; connections are open and stay so.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use intake::{ClockMode, Intake, IntakeSettings, PortSet};
use pipeline::FrameBatch;
use wire::{Link, Packet, Tap, Timestamp};

/// Messages between two times the batch is emptied, as a receiver does.
const MESSAGES: u32 = 256;

const SIP: u16 = 5060;
const WEBSOCKET: u16 = 8080;

const UDP: u8 = 17;
const TCP: u8 = 6;

const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: sip\r\n\r\n";
const GRANT: &[u8] = b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: sip\r\n\r\n";

/// An INVITE of 550 bytes.
fn invite() -> Vec<u8> {
    let body = "v=0\r\no=- 1 1 IN IP4 10.1.0.7\r\ns=-\r\nc=IN IP4 10.1.0.7\r\nt=0 0\r\nm=audio 11784 RTP/AVP 8\r\n";
    let head = format!(
        "INVITE sip:+4930123456@sbc.example.net SIP/2.0\r\nVia: SIP/2.0/TCP 10.1.0.7;branch=z9hG4bK-524287-1\r\n\
         From: <sip:1001@sbc.example.net>;tag=ab47e51c\r\nTo: <sip:+4930123456@sbc.example.net>\r\n\
         Call-ID: 8f1d2c3b4a5968778695a4b3c2d1e0f1@10.1.0.7\r\nCSeq: 1 INVITE\r\nContact: <sip:1001@10.1.0.7>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n",
        body.len()
    );
    let padding = "x".repeat(550 - head.len() - body.len() - "X: \r\n\r\n".len());
    format!("{head}X: {padding}\r\n\r\n{body}").into_bytes()
}

/// A frame of one whole text message.
fn frame(mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    let len = u16::try_from(payload.len()).expect("one packet").to_be_bytes();
    let mut frame = [&[0x81, masked | 126][..], &len, mask.as_ref().map_or(&[][..], |mask| mask)].concat();
    let mask = mask.unwrap_or_default();
    frame.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
    frame
}

/// An Ethernet frame with an IPv4 packet from port 40,000 to `port`; a datagram has no sequence number.
fn packet(protocol: u8, port: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let transport = if protocol == UDP { 8 } else { 20 };
    let len = |headers: usize| u16::try_from(payload.len() + headers).expect("one packet").to_be_bytes();
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    bytes.extend(len(20 + transport));
    bytes.extend([0, 0, 0x40, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    bytes.extend(40_000_u16.to_be_bytes());
    bytes.extend(port.to_be_bytes());
    if protocol == UDP {
        bytes.extend([len(8), [0, 0]].concat());
    } else {
        bytes.extend(sequence.to_be_bytes());
        bytes.extend([0, 0, 0, 0, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    }
    bytes.extend(payload);
    bytes
}

/// Where the sequence number of a segment stands in its Ethernet frame.
const SEQUENCE: std::ops::Range<usize> = 38..42;

/// One way for a message to travel.
struct Way {
    intake: Intake,
    batch: FrameBatch,
    at: Timestamp,
    sequence: u32,
    /// The packets of one message.
    packets: Vec<Vec<u8>>,
    protocol: u8,
}

impl Way {
    fn new(protocol: u8, port: u16, opening: &[u8], pieces: &[&[u8]]) -> Self {
        let settings = IntakeSettings {
            ws_ports: PortSet::from_iter([WEBSOCKET]),
            ..IntakeSettings::new(ClockMode::File, PortSet::from_iter([SIP]))
        };
        let mut way = Self {
            intake: Intake::new(settings),
            batch: FrameBatch::default(),
            at: Timestamp::from_nanos(1_767_225_600_000_000_000),
            sequence: 1,
            packets: pieces.iter().map(|piece| packet(protocol, port, 0, piece)).collect(),
            protocol,
        };
        if !opening.is_empty() {
            let mut bytes = packet(protocol, port, 1, opening);
            way.send(&mut bytes, opening.len());
        }
        way
    }

    fn send(&mut self, bytes: &mut [u8], payload: usize) {
        if self.protocol == TCP {
            bytes[SEQUENCE].copy_from_slice(&self.sequence.to_be_bytes());
            self.sequence = self.sequence.wrapping_add(payload as u32);
        }
        // All messages are alike: any closer together they were copies.
        self.at = self.at + Duration::from_millis(30);
        let original_len = bytes.len() as u32;
        let packet = Packet { at: self.at, link: Link::Ethernet, interface: 0, bytes, original_len, tap: Tap::Between };
        self.intake.packet(&packet, &mut self.batch);
    }

    /// [`MESSAGES`] messages, one after another.
    fn messages(&mut self) {
        self.batch.clear();
        let headers = if self.protocol == UDP { 42 } else { 54 };
        let mut packets = std::mem::take(&mut self.packets);
        for _ in 0..MESSAGES {
            for bytes in &mut packets {
                let payload = bytes.len() - headers;
                self.send(bytes, payload);
            }
        }
        self.packets = packets;
        assert_eq!(self.batch.frames.len(), MESSAGES as usize);
    }
}

fn intake(criterion: &mut Criterion) {
    let invite = invite();
    let of_client = frame(Some([0x9a, 0x01, 0xfe, 0x33]), &invite);
    let of_server = frame(None, &invite);
    let (head, tail) = invite.split_at(200);
    let (masked_head, masked_tail) = of_client.split_at(200);
    let mut group = criterion.benchmark_group("packet to frame");
    group.throughput(Throughput::Elements(MESSAGES.into()));
    for (name, mut way) in [
        ("UDP", Way::new(UDP, SIP, b"", &[&invite])),
        ("TCP", Way::new(TCP, SIP, b"", &[&invite])),
        ("TCP, in two segments", Way::new(TCP, SIP, b"", &[head, tail])),
        ("WebSocket, of a server", Way::new(TCP, WEBSOCKET, GRANT, &[&of_server])),
        ("WebSocket, of a client", Way::new(TCP, WEBSOCKET, UPGRADE, &[&of_client])),
        ("WebSocket, of a client, in two segments", Way::new(TCP, WEBSOCKET, UPGRADE, &[masked_head, masked_tail])),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| way.messages()));
    }
    group.finish();
}

criterion_group!(benches, intake);
criterion_main!(benches);
