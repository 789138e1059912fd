//! Messages in a WebSocket: an upgrade to the subprotocol `sip`, then frames (RFC 6455 §5, RFC 7118).

use std::net::SocketAddr;
use std::time::Duration;

use super::call::{Family, Packet, call_to};
use super::tcp::{Connection, cut, over};

/// Where the server listens.
pub(super) const PORT: u16 = 8080;

const CONTINUED: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const LAST: u8 = 0x80;

/// What masks the frames of the client.
const MASK: [u8; 4] = [0x5a, 0xa5, 0x33, 0xcc];

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: bob.example.net\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: cmluZ3NpZGUgdGVzdGluZw==\r\nSec-WebSocket-Protocol: sip\r\n\r\n";
const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: JoLtuGJAZkJC3vsQPGrM0Uo8eAU=\r\nSec-WebSocket-Protocol: sip\r\n\r\n";

/// One frame; `first` is its first byte.
fn frame(first: u8, masked: bool, payload: &[u8]) -> Vec<u8> {
    let mask_bit = if masked { 0x80 } else { 0 };
    let mut frame = vec![first];
    match u8::try_from(payload.len()) {
        Ok(len @ ..=125) => frame.push(mask_bit | len),
        _ => {
            frame.push(mask_bit | 126);
            frame.extend(u16::try_from(payload.len()).expect("a short message").to_be_bytes());
        }
    }
    if masked {
        frame.extend(MASK);
        frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    } else {
        frame.extend(payload);
    }
    frame
}

/// The frames of a message, told whether they are masked.
type Frames = fn(bool, &[u8]) -> Vec<Vec<u8>>;

/// A WebSocket with the call in it; each segment holds at most so many bytes of one message.
fn with_call(family: Family, frames: Frames, segment: usize) -> Vec<Packet> {
    let steps = call_to(family, PORT);
    let (client, server) = (SocketAddr::new(steps[0].source.ip(), 33_333), steps[0].destination);
    let mut connection = Connection::opened(client, server, Duration::ZERO, [7, 77]);
    connection.send(client, Duration::ZERO, cut(REQUEST.as_bytes(), segment));
    connection.send(server, Duration::ZERO, cut(RESPONSE.as_bytes(), segment));
    for step in &steps {
        let source = if step.source == server { server } else { client };
        let bytes = frames(source == client, &over("WS", step)).concat();
        connection.send(source, step.at, cut(&bytes, segment));
    }
    let end = steps[steps.len() - 1].at;
    connection.send(client, end, [(0, &frame(LAST | CLOSE, true, &1000_u16.to_be_bytes())[..])]);
    connection.close(end);
    connection.packets
}

/// Longer than any message.
const WHOLE: usize = 4096;

/// One text frame for each message.
pub(super) fn text(family: Family) -> Vec<Packet> {
    with_call(family, |masked, message| vec![frame(LAST | TEXT, masked, message)], WHOLE)
}

/// One binary frame for each message, in segments of eleven bytes.
pub(super) fn binary_in_small_segments(family: Family) -> Vec<Packet> {
    with_call(family, |masked, message| vec![frame(LAST | BINARY, masked, message)], 11)
}

/// Three frames for each message, with a ping between the second and the third.
pub(super) fn fragmented(family: Family) -> Vec<Packet> {
    let frames: Frames = |masked, message| {
        let (head, rest) = message.split_at(9);
        let (middle, tail) = rest.split_at(rest.len() / 2);
        vec![
            frame(TEXT, masked, head),
            frame(CONTINUED, masked, middle),
            frame(LAST | PING, masked, b"still there?"),
            frame(LAST | CONTINUED, masked, tail),
        ]
    };
    with_call(family, frames, WHOLE)
}
