//! Messages in TCP: one connection, its segments as a capture may see them (RFC 9293).

use std::net::SocketAddr;
use std::time::Duration;

use ladder::{Step, frame};

use super::call::{Family, Packet, call, pings};
use super::pieces::with_line_ends;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// Shortest frame on a cable, without its check sequence; shorter ones are padded (IEEE 802.3).
const SHORTEST: usize = 60;

/// One connection between two addresses. Its segments come with the time they are given.
pub(super) struct Connection {
    client: SocketAddr,
    server: SocketAddr,
    /// Next sequence number of the client, then of the server.
    next: [u32; 2],
    pub packets: Vec<Packet>,
}

impl Connection {
    /// In its middle; both sides begin at these sequence numbers.
    pub fn running(client: SocketAddr, server: SocketAddr, next: [u32; 2]) -> Self {
        Self { client, server, next, packets: Vec::new() }
    }

    /// From its handshake on.
    pub fn opened(client: SocketAddr, server: SocketAddr, at: Duration, first: [u32; 2]) -> Self {
        let mut connection = Self::running(client, server, first);
        connection.segment(client, at, 0, SYN, &[]);
        connection.next[0] = connection.next[0].wrapping_add(1);
        connection.segment(server, at, 0, SYN | ACK, &[]);
        connection.next[1] = connection.next[1].wrapping_add(1);
        connection.segment(client, at, 0, ACK, &[]);
        connection
    }

    /// Both sides end it.
    pub fn close(&mut self, at: Duration) {
        for source in [self.client, self.server] {
            self.segment(source, at, 0, FIN | ACK, &[]);
            let side = self.side(source);
            self.next[side] = self.next[side].wrapping_add(1);
        }
    }

    fn side(&self, source: SocketAddr) -> usize {
        usize::from(source != self.client)
    }

    /// A segment `offset` bytes behind what was sent; the place in the stream stays.
    fn segment(&mut self, source: SocketAddr, at: Duration, offset: usize, flags: u8, payload: &[u8]) {
        let side = self.side(source);
        let destination = if side == 0 { self.server } else { self.client };
        let sequence = self.next[side].wrapping_add(u32::try_from(offset).expect("one message"));
        let segment = frame::tcp(source, destination, sequence, self.next[1 - side], flags, payload);
        let number = u16::try_from(self.packets.len() + 1).expect("a short capture");
        let packet = frame::ip(source.ip(), destination.ip(), frame::PROTOCOL_TCP, number, &segment);
        let mut bytes = frame::ethernet(&packet);
        bytes.resize(bytes.len().max(SHORTEST), 0);
        self.packets.push(Packet::whole(at, bytes));
    }

    /// Sends bytes in pieces, each an offset and what stands there; the place moves behind all of them.
    pub fn send<'a>(&mut self, source: SocketAddr, at: Duration, pieces: impl IntoIterator<Item = (usize, &'a [u8])>) {
        let mut end = 0;
        for (offset, piece) in pieces {
            self.segment(source, at, offset, PSH | ACK, piece);
            end = end.max(offset + piece.len());
        }
        let side = self.side(source);
        self.next[side] = self.next[side].wrapping_add(u32::try_from(end).expect("one message"));
    }
}

/// Bytes cut into pieces of a size.
pub(super) fn cut(bytes: &[u8], size: usize) -> Vec<(usize, &[u8])> {
    bytes.chunks(size).enumerate().map(|(index, piece)| (index * size, piece)).collect()
}

/// As bytes of a stream: a message that says TCP in its Via.
pub(super) fn over(transport: &str, step: &Step) -> Vec<u8> {
    let text = String::from_utf8(step.bytes.clone()).expect("a ladder without raw bytes is text");
    text.replace("SIP/2.0/UDP", &format!("SIP/2.0/{transport}")).into_bytes()
}

/// Where both sides begin to count.
const FIRST: [u32; 2] = [1_000, 9_000];

/// A connection with the call in it, each message sent as `send` says.
fn with_call(family: Family, first: [u32; 2], send: impl Fn(&mut Connection, &Step, &[u8])) -> Vec<Packet> {
    let steps = call(family);
    let mut connection = Connection::opened(steps[0].source, steps[0].destination, Duration::ZERO, first);
    for step in &steps {
        send(&mut connection, step, &over("TCP", step));
    }
    connection.close(steps[steps.len() - 1].at);
    connection.packets
}

/// One message in each segment.
pub(super) fn whole(family: Family) -> Vec<Packet> {
    with_call(family, FIRST, |connection, step, bytes| connection.send(step.source, step.at, [(0, bytes)]))
}

/// The same without handshake and end: the connection was there before.
pub(super) fn running(family: Family) -> Vec<Packet> {
    let steps = call(family);
    let mut connection = Connection::running(steps[0].source, steps[0].destination, FIRST);
    for step in &steps {
        connection.send(step.source, step.at, [(0, &over("TCP", step)[..])]);
    }
    connection.packets
}

/// Sequence numbers that pass 2^32 within the INVITE and within the 180.
pub(super) fn wrapping(family: Family) -> Vec<Packet> {
    let first = [u32::MAX - 100, u32::MAX - 500];
    with_call(family, first, |connection, step, bytes| connection.send(step.source, step.at, cut(bytes, 300)))
}

/// Sixteen bytes in each segment.
pub(super) fn small(family: Family) -> Vec<Packet> {
    with_call(family, FIRST, |connection, step, bytes| connection.send(step.source, step.at, cut(bytes, 16)))
}

/// Each message in pieces, the last one first.
pub(super) fn reversed(family: Family) -> Vec<Packet> {
    with_call(family, FIRST, |connection, step, bytes| {
        connection.send(step.source, step.at, cut(bytes, 100).into_iter().rev());
    })
}

/// Every segment twice.
pub(super) fn repeated(family: Family) -> Vec<Packet> {
    with_call(family, FIRST, |connection, step, bytes| {
        connection.send(step.source, step.at, cut(bytes, 200).into_iter().flat_map(|piece| [piece, piece]));
    })
}

/// Each message in two pieces, the second begins 20 bytes before the end of the first, and with other bytes: the first
/// copy counts.
pub(super) fn overlapping(family: Family) -> Vec<Packet> {
    const OVERLAP: usize = 20;
    with_call(family, FIRST, |connection, step, bytes| {
        let middle = bytes.len() / 2;
        let mut second = bytes[middle - OVERLAP..].to_vec();
        second[..OVERLAP].fill(b'X');
        connection.send(step.source, step.at, [(0, &bytes[..middle]), (middle - OVERLAP, &second)]);
    })
}

/// A ping and a pong of RFC 5626 §3.5.1 before each request, whole, then cut in two.
pub(super) fn keepalives(family: Family) -> Vec<Packet> {
    let steps = call(family);
    let (client, server) = (steps[0].source, steps[0].destination);
    with_call(family, FIRST, |connection, step, bytes| {
        if step.source == client {
            let ping: &[(usize, &[u8])] = match step.at.is_zero() {
                true => &[(0, b"\r\n\r\n")],
                false => &[(0, b"\r\n\r"), (3, b"\n")],
            };
            connection.send(client, step.at, ping.iter().copied());
            connection.send(server, step.at, [(0, &b"\r\n"[..])]);
        }
        connection.send(step.source, step.at, [(0, bytes)]);
    })
}

/// The call with something before each message but the first.
fn with_between(family: Family, between: &[u8]) -> Vec<Packet> {
    with_call(family, FIRST, |connection, step, bytes| {
        let before: &[u8] = if step.at.is_zero() { b"" } else { between };
        connection.send(step.source, step.at, [(0, &[before, bytes].concat()[..])]);
    })
}

/// Four NUL bytes, in the segment of the next message.
pub(super) fn nul(family: Family) -> Vec<Packet> {
    with_between(family, &[0; 4])
}

/// A binding request of STUN (RFC 8489) with an attribute.
pub(super) fn stun(family: Family) -> Vec<Packet> {
    with_between(family, b"\0\x01\0\x08\x21\x12\xa4\x42abcdefghijkl\x80\x22\0\x04ring")
}

/// The call with something before its first message: each of `segments`, the last one with the message.
fn with_before(family: Family, segments: &[&[u8]]) -> Vec<Packet> {
    with_call(family, FIRST, |connection, step, bytes| {
        let (last, before) = segments.split_last().expect("something");
        if step.at.is_zero() {
            before.iter().for_each(|segment| connection.send(step.source, step.at, [(0, *segment)]));
            connection.send(step.source, step.at, [(0, &[*last, bytes].concat()[..])]);
        } else {
            connection.send(step.source, step.at, [(0, bytes)]);
        }
    })
}

/// What a balancer says of the connection it passes on, as text.
pub(super) fn proxy_1(family: Family) -> Vec<Packet> {
    with_before(family, &[b"PROXY TCP4 203.0.113.7 192.0.2.2 40000 5060\r\n"])
}

/// The same in binary; one of the addresses holds a line end.
pub(super) fn proxy_2(family: Family) -> Vec<Packet> {
    with_before(family, &[b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\0\0\x01\x0a\0\0\x02\x9c\x40\x13\xc4"])
}

/// Spaces, which have no line of their own.
pub(super) fn spaces(family: Family) -> Vec<Packet> {
    with_before(family, &[b"    "])
}

/// A greeting, cut in two.
pub(super) fn greeting(family: Family) -> Vec<Packet> {
    with_before(family, &[b"220 sip.example.com rea", b"dy\r\n"])
}

/// Two CR before each LF of the headers.
pub(super) fn double_returns(family: Family) -> Vec<Packet> {
    let steps = with_line_ends(call(family), "\r\r\n");
    let mut connection = Connection::opened(steps[0].source, steps[0].destination, Duration::ZERO, FIRST);
    for step in &steps {
        connection.send(step.source, step.at, [(0, &over("TCP", step)[..])]);
    }
    connection.packets
}

/// Pings in [`joined`].
pub(super) const JOINED: usize = 6;

/// Pings in three segments: two and the beginning of a third, its end and another and a beginning, the rest.
pub(super) fn joined(family: Family) -> Vec<Packet> {
    let steps = pings(family, JOINED);
    let first = &steps[0];
    let mut connection = Connection::opened(first.source, first.destination, first.at, FIRST);
    let bytes = steps.iter().flat_map(|step| over("TCP", step)).collect::<Vec<_>>();
    let message = bytes.len() / JOINED;
    let (left, rest) = bytes.split_at(2 * message + 7);
    let (middle, right) = rest.split_at(2 * message);
    connection.send(first.source, first.at, [(0, left)]);
    connection.send(first.source, first.at, [(0, middle)]);
    connection.send(first.source, first.at, [(0, right)]);
    connection.packets
}

/// Places between the bytes of a ping.
pub(super) const PLACES: usize = 242;

/// As many connections as a ping has places to be cut at: in each the ping comes in two segments, cut at another one.
pub(super) fn cut_everywhere(family: Family) -> Vec<Packet> {
    let mut packets = Vec::new();
    for (step, place) in pings(family, PLACES).iter().zip(1..) {
        let bytes = over("TCP", step);
        let client = SocketAddr::new(step.source.ip(), 20_000 + u16::try_from(place).expect("a short message"));
        let mut connection = Connection::running(client, step.destination, FIRST);
        connection.segment(client, step.at, 0, SYN, &[]);
        connection.next[0] += 1;
        let (left, right) = bytes.split_at(place);
        connection.send(client, step.at, [(0, left), (place, right)]);
        packets.extend(connection.packets);
    }
    assert_eq!(over("TCP", &pings(family, 1)[0]).len() - 1, PLACES, "a ping is cut at each of its places");
    packets
}
