//! One direction of a WebSocket through `sip::WebSocket`: no panic, no step without progress, every message within the
//! bound, and the same steps however the bytes are cut.
//!
//! The input: how the direction begins (a client's upgrade, a server's, as it is), how it is cut, the bytes.
#![no_main]

use sip::websocket::copy_message;
use sip::{WebSocket, WebSocketStep};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: sip\r\n\r\n";
const GRANT: &[u8] = b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: sip\r\n\r\n";

/// What may be counted, a message with its bytes.
#[derive(Debug, PartialEq)]
enum Seen {
    Message(Vec<u8>),
    Compressed,
    Ping,
    TooLarge,
    Malformed,
    Close,
    NoUpgrade,
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some(([beginning, cut, loss], bytes)) = input.split_first_chunk::<3>() else { return };
    let beginning = match beginning % 3 {
        0 => REQUEST,
        1 => GRANT,
        _ => b"",
    };
    let stream = [beginning, bytes].concat();
    let mut socket = WebSocket::default();
    let whole = read(&mut socket, &mut [&stream[..]].into_iter());
    let mut cut_socket = WebSocket::default();
    assert_eq!(read(&mut cut_socket, &mut stream.chunks(usize::from(*cut).max(1))), whole);

    // After a loss of any size it goes on somewhere.
    let mut socket = WebSocket::default();
    let (before, after) = stream.split_at(stream.len() / 2);
    read(&mut socket, &mut [before].into_iter());
    socket.lose((*loss > 0).then_some(u64::from(*loss)));
    read(&mut socket, &mut [after].into_iter());

    if let Some(mut socket) = WebSocket::entered(bytes) {
        read(&mut socket, &mut [bytes].into_iter());
    }
});

fn read<'a>(socket: &mut WebSocket, pieces: &mut dyn Iterator<Item = &'a [u8]>) -> Vec<Seen> {
    let (mut seen, mut unread) = (Vec::new(), Vec::new());
    for piece in pieces {
        unread.extend_from_slice(piece);
        let (mut done, mut steps) = (0, 0);
        loop {
            let step = socket.step(&unread[done..]);
            let (what, len) = match step {
                WebSocketStep::More => break,
                WebSocketStep::Message(len) => {
                    let mut message = Vec::new();
                    copy_message(&unread[done..done + len], &mut message);
                    assert!(message.len() <= sip::MAX_MESSAGE);
                    (Some(Seen::Message(message)), len)
                }
                WebSocketStep::Compressed(len) => (Some(Seen::Compressed), len),
                WebSocketStep::Ping(len) => (Some(Seen::Ping), len),
                WebSocketStep::TooLarge(len) => (Some(Seen::TooLarge), len),
                WebSocketStep::Malformed(len) => (Some(Seen::Malformed), len),
                WebSocketStep::Skipped(len) => (None, len),
                WebSocketStep::Close(_) => {
                    seen.push(Seen::Close);
                    return seen;
                }
                WebSocketStep::NoUpgrade => {
                    seen.push(Seen::NoUpgrade);
                    return seen;
                }
            };
            seen.extend(what);
            done += len;
            steps += 1;
            assert!(steps <= unread.len() + 2, "it goes round in circles");
        }
        unread.drain(..done);
        assert!(unread.len() <= 2 * sip::MAX_MESSAGE + 14, "more is kept than a message can need");
    }
    seen
}
