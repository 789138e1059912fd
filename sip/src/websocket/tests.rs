use proptest::prelude::*;

use super::*;

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const LAST: u8 = 0x80;
const COMPRESSED: u8 = 0x40;

const MASK: [u8; 4] = [0x9a, 0x01, 0xfe, 0x33];

const OPTIONS: &str = "OPTIONS sip:bob@example.com SIP/2.0\r\nTo: <sip:bob@example.com>\r\n\r\n";
const OK: &str = "SIP/2.0 200 OK\r\nTo: <sip:bob@example.com>\r\n\r\n";

const REQUEST: &str = "GET /ws HTTP/1.1\r\nHost: sbc.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\n\r\n";
const GRANT: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nCONNECTION: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSEC-WEBSOCKET-PROTOCOL: SIP\r\n\r\n";

/// A frame; `first` is its first byte.
fn frame(first: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(masked | len as u8),
        len @ 126..0x1_0000 => {
            frame.push(masked | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(masked | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(mask.iter().flatten());
    let start = frame.len();
    frame.extend(payload);
    if let Some(mask) = mask {
        super::frame::unmask(&mut frame[start..], mask);
    }
    frame
}

fn of_client(first: u8, payload: &str) -> Vec<u8> {
    frame(first, Some(MASK), payload.as_bytes())
}

fn of_server(first: u8, payload: &str) -> Vec<u8> {
    frame(first, None, payload.as_bytes())
}

/// What a direction gave, in order: messages as they are, everything else by name.
fn seen(socket: &mut WebSocket, pieces: &[&[u8]]) -> Vec<String> {
    let mut seen = Vec::new();
    let mut unread = Vec::new();
    for piece in pieces {
        unread.extend_from_slice(piece);
        let mut done = 0;
        loop {
            let step = socket.step(&unread[done..]);
            let (name, len) = match step {
                WebSocketStep::More => break,
                WebSocketStep::Message(len) => {
                    let mut message = Vec::new();
                    copy_message(&unread[done..done + len], &mut message);
                    (String::from_utf8(message).expect("tests are text"), len)
                }
                WebSocketStep::Compressed(len) => ("compressed".into(), len),
                WebSocketStep::Ping(len) => ("ping".into(), len),
                WebSocketStep::TooLarge(len) => ("too large".into(), len),
                WebSocketStep::Malformed(len) => ("malformed".into(), len),
                WebSocketStep::Skipped(len) => (String::new(), len),
                WebSocketStep::Close(len) => {
                    seen.push("close".into());
                    assert!(unread.len() >= done + len);
                    return seen;
                }
                WebSocketStep::NoUpgrade => {
                    seen.push("no upgrade".into());
                    return seen;
                }
            };
            seen.extend(Some(name).filter(|name| !name.is_empty()));
            done += len;
            assert!(seen.len() < 1000, "it goes round in circles");
        }
        unread.drain(..done);
    }
    seen
}

fn of_stream(stream: &[u8]) -> Vec<String> {
    seen(&mut WebSocket::default(), &[stream])
}

fn after_upgrade(frames: &[Vec<u8>]) -> Vec<String> {
    of_stream(&[REQUEST.as_bytes(), &frames.concat()].concat())
}

#[test]
fn a_frame_of_the_standard_is_read() {
    // RFC 6455 §5.7: "Hello", masked and not.
    for bytes in [
        &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58][..],
        b"\x81\x05Hello",
        b"\x01\x03Hel\x80\x02lo",
    ] {
        let mut message = Vec::new();
        copy_message(bytes, &mut message);
        assert_eq!(message, b"Hello");
    }
}

#[test]
fn messages_follow_the_upgrade_in_either_direction() {
    let client = [REQUEST.as_bytes(), &of_client(LAST | TEXT, OPTIONS), &of_client(LAST | BINARY, OK)].concat();
    assert_eq!(of_stream(&client), [OPTIONS, OK]);
    let server = [GRANT.as_bytes(), &of_server(LAST | TEXT, OPTIONS), &of_server(LAST | BINARY, OK)].concat();
    assert_eq!(of_stream(&server), [OPTIONS, OK]);
}

#[test]
fn a_head_says_in_any_way_that_is_legal_whether_sip_is_spoken() {
    let asks = |fields: &str| format!("GET /?a HTTP/1.1\r\n{fields}\r\n\r\n");
    for good in [
        asks("upgrade: WEBSOCKET\r\nsec-websocket-protocol:msrp , sip"),
        asks("Upgrade: h2c, websocket\r\nSec-WebSocket-Protocol: msrp\r\nSec-WebSocket-Protocol: sip"),
        GRANT.to_owned(),
    ] {
        assert_eq!(of_stream(good.as_bytes()), [""; 0], "{good}");
    }
    for other in [
        asks("Upgrade: websocket\r\nSec-WebSocket-Protocol: chat"),
        asks("Upgrade: websocket"),
        asks("Sec-WebSocket-Protocol: sip"),
        asks("Upgrade: websocket\r\nSec-WebSocket-Protocol: sip2"),
        asks("Upgrade websocket\r\nSec-WebSocket-Protocol: sip"),
        asks(&format!("{}Upgrade: websocket\r\nSec-WebSocket-Protocol: sip", "x: y\r\n".repeat(64))),
        GRANT.replace("101", "200"),
        GRANT.replace(": SIP", ": chat"),
        "POST / HTTP/1.1\r\n".to_owned(),
        "OPTIONS sip:a SIP/2.0\r\n\r\n".to_owned(),
        format!("GET /{} HTTP/1.1\r\n", "x".repeat(16 * 1024)),
    ] {
        assert_eq!(of_stream(other.as_bytes()), ["no upgrade"], "{other}");
    }
}

#[test]
fn a_request_that_was_refused_may_be_made_again() {
    let stream = [REQUEST.as_bytes(), REQUEST.as_bytes(), &of_client(LAST | TEXT, OPTIONS)].concat();
    assert_eq!(of_stream(&stream), [OPTIONS]);
    let stream = [REQUEST.as_bytes(), b"G", &of_client(LAST | TEXT, OPTIONS)].concat();
    assert_eq!(of_stream(&stream), ["malformed", OPTIONS]);
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(seen(&mut WebSocket::default(), &bytes), ["malformed", OPTIONS]);
}

#[test]
fn control_frames_may_stand_between_the_frames_of_a_message() {
    let (head, tail) = OPTIONS.split_at(20);
    let frames = [
        of_client(TEXT, head),
        of_client(LAST | PING, "a"),
        of_client(0, ""),
        of_client(LAST | PONG, ""),
        of_client(LAST | PING, ""),
        of_client(LAST, tail),
        of_client(LAST | PING, ""),
        of_client(LAST | PONG, "b"),
        of_client(LAST | CLOSE, "\x03\x28"),
        of_client(LAST | TEXT, OK),
    ];
    assert_eq!(after_upgrade(&frames), ["ping", "ping", OPTIONS, "ping", "close"]);
    let frames = [of_client(TEXT, head), of_client(LAST | CLOSE, "")];
    assert_eq!(after_upgrade(&frames), ["close"]);
}

#[test]
fn a_compressed_message_is_told_apart() {
    let frames = [
        of_client(LAST | COMPRESSED | TEXT, "x"),
        of_client(COMPRESSED | TEXT, "x"),
        of_client(LAST, "x"),
        of_client(LAST | TEXT, OK),
    ];
    assert_eq!(after_upgrade(&frames), ["compressed", "compressed", OK]);
}

#[test]
fn what_is_no_frame_is_passed_over_up_to_the_next_message() {
    let long = "x".repeat(126);
    let ok = of_client(LAST | TEXT, OK);
    for (wrong, why) in [
        (of_client(LAST | 3, "x"), "reserved opcode"),
        (of_client(LAST | 0x20 | TEXT, "x"), "reserved bit"),
        (of_client(LAST, "x"), "continuation of nothing"),
        (of_client(LAST | COMPRESSED | PING, ""), "compressed control frame"),
        (of_client(PING, ""), "control frame in pieces"),
        (of_client(LAST | PING, &long), "long control frame"),
        (of_server(LAST | TEXT, OK), "unmasked frame of a client"),
        ([of_client(TEXT, OPTIONS), of_client(LAST | TEXT, "x")].concat(), "message in one that begins well"),
        ([of_client(TEXT, "x"), of_client(LAST | TEXT, "x")].concat(), "message in a message"),
        ([&[0x81, 0xff, 0x80][..], &[0; 7], &MASK].concat(), "a length of 2^63"),
    ] {
        assert_eq!(after_upgrade(&[ok.clone(), wrong, b"noise".to_vec(), ok.clone()]), [OK, "malformed", OK], "{why}");
    }
}

#[test]
fn a_message_beyond_the_bound_is_passed_over_whole() {
    let most = "x".repeat(MAX_MESSAGE);
    let more = "x".repeat(MAX_MESSAGE + 1);
    let ok = of_client(LAST | TEXT, OK);
    assert_eq!(after_upgrade(&[of_client(LAST | TEXT, &most), ok.clone()]), [&most, OK]);
    assert_eq!(after_upgrade(&[of_client(LAST | TEXT, &more), ok.clone()]), ["too large", OK]);
    let ping = of_client(LAST | PING, "");
    let pieces =
        [of_client(TEXT, &most), ping.clone(), of_client(0, "x"), of_client(0, ""), ping, of_client(LAST, "x"), ok];
    assert_eq!(after_upgrade(&pieces), ["ping", "too large", "ping", OK]);
}

#[test]
fn frames_without_end_within_a_message_are_too_large() {
    let mut frames = vec![of_client(TEXT, "x")];
    frames.extend(std::iter::repeat_n(of_client(0, ""), MAX_FRAMES / 6));
    frames.push(of_client(LAST, ""));
    frames.push(of_client(LAST | TEXT, OK));
    assert_eq!(after_upgrade(&frames), ["too large", OK]);
}

#[test]
fn a_length_is_believed_only_as_far_as_bytes_come() {
    let mut socket = WebSocket::default();
    let huge = [&[0x82, 0xff, 0x7f][..], &[0xff; 7], &MASK, b"xyz"].concat();
    assert_eq!(seen(&mut socket, &[REQUEST.as_bytes(), &huge, &[0; 70_000]]), ["too large"]);
    assert_eq!(socket.step(b""), WebSocketStep::More);
}

#[test]
fn a_connection_is_entered_at_a_frame_that_begins_a_message() {
    for (payload, is_message) in [
        (of_client(LAST | TEXT, OPTIONS), true),
        (of_client(TEXT, OPTIONS), true),
        (of_server(LAST | BINARY, OK), true),
        (REQUEST.into(), true),
        (GRANT.into(), true),
        (of_client(LAST, OPTIONS), false),
        (of_client(LAST | TEXT, "{\"method\": \"INVITE\"}"), false),
        (of_client(LAST | PING, ""), false),
        (of_client(LAST | COMPRESSED | TEXT, OPTIONS), false),
        (OPTIONS.into(), false),
        (b"\x81".to_vec(), false),
        (Vec::new(), false),
    ] {
        let entered = WebSocket::entered(&payload);
        assert_eq!(entered.is_some(), is_message, "{}", String::from_utf8_lossy(&payload));
        if let Some(mut socket) = entered {
            let ok = if payload[1] & 0x80 != 0 { of_client(LAST | TEXT, OK) } else { of_server(LAST | TEXT, OK) };
            let messages = seen(&mut socket, &[&payload, &ok]).len();
            assert!(messages <= 2);
        }
    }
}

#[test]
fn a_loss_within_a_frame_ends_with_the_frame() {
    let frames = [of_client(LAST | TEXT, OPTIONS), of_client(LAST | PING, ""), of_client(LAST | TEXT, OK)].concat();
    for missing in 11..=OPTIONS.len() + 6 {
        let mut socket = WebSocket::default();
        assert_eq!(seen(&mut socket, &[REQUEST.as_bytes(), &frames[..10]]), [""; 0]);
        socket.lose(Some(missing as u64));
        assert_eq!(seen(&mut socket, &[&frames[missing..]]), ["ping", OK], "{missing} bytes are missing");
    }
}

#[test]
fn fragments_of_a_message_that_lost_its_beginning_are_passed_over() {
    let frames = [
        of_client(TEXT, &OPTIONS[..20]),
        of_client(0, &OPTIONS[20..30]),
        of_client(LAST | PING, ""),
        of_client(LAST, &OPTIONS[30..]),
        of_client(LAST | TEXT, OK),
    ]
    .concat();
    let mut socket = WebSocket::default();
    assert_eq!(seen(&mut socket, &[REQUEST.as_bytes(), &frames[..20]]), [""; 0]);
    socket.lose(Some(24));
    assert_eq!(seen(&mut socket, &[&frames[24..]]), ["ping", OK]);
}

#[test]
fn a_loss_of_unknown_size_ends_with_the_next_message() {
    let frames = [of_client(LAST | PING, "abc"), of_client(LAST | TEXT, OPTIONS), of_client(LAST | TEXT, OK)].concat();
    for (missing, at) in [(None, 4), (Some(9_999), 4), (Some(4), 4), (None, 9), (None, 12)] {
        let mut socket = WebSocket::default();
        seen(&mut socket, &[REQUEST.as_bytes()]);
        socket.lose(missing);
        let expected = if at <= 9 { vec![OPTIONS, OK] } else { vec![OK] };
        assert_eq!(seen(&mut socket, &[&frames[at..]]), expected, "{missing:?} {at}");
    }
}

/// What a direction may hold: messages whole and in pieces, control frames, errors.
fn parts() -> Vec<Vec<u8>> {
    vec![
        of_client(LAST | TEXT, OPTIONS),
        of_client(LAST | BINARY, OK),
        of_client(LAST | PING, "ping"),
        of_client(LAST | PONG, ""),
        of_client(LAST | TEXT, "\r\n\r\n"),
        [of_client(BINARY, &OK[..9]), of_client(LAST | PING, ""), of_client(LAST, &OK[9..])].concat(),
        of_client(LAST | COMPRESSED | TEXT, OK),
        of_client(LAST | TEXT, &"x".repeat(MAX_MESSAGE + 1)),
        of_client(LAST | TEXT, &OPTIONS.replace("To", &"x".repeat(70_000 - OPTIONS.len()))),
        of_client(LAST | TEXT, &OPTIONS.replace("To", &"x".repeat(300))),
        b"\xf3 no frame".to_vec(),
    ]
}

#[test]
fn a_stream_cut_at_every_byte_gives_the_same_messages() {
    let all = parts();
    let stream = [REQUEST.as_bytes(), &all[..7].concat(), &all[9..].concat(), &all[..7].concat()].concat();
    let whole = of_stream(&stream);
    assert!(whole.len() > 12, "{whole:?}");
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(seen(&mut WebSocket::default(), &bytes), whole);
    for at in 1..stream.len() {
        let (head, tail) = stream.split_at(at);
        assert_eq!(seen(&mut WebSocket::default(), &[head, tail]), whole, "cut at {at}");
    }
}

proptest! {
    #[test]
    fn any_cuts_of_any_parts_give_the_same_messages(
        chosen in prop::collection::vec(0..11_usize, 1..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let all = parts();
        let frames: Vec<u8> = chosen.iter().flat_map(|&part| all[part].clone()).collect();
        let stream = [REQUEST.as_bytes(), &frames].concat();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len())).chain([0, stream.len()]).collect();
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
        prop_assert_eq!(seen(&mut WebSocket::default(), &pieces), of_stream(&stream));
    }

    #[test]
    fn random_bytes_neither_panic_nor_stand_still(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        lost in any::<bool>(),
        missing in any::<Option<u64>>(),
    ) {
        let mut socket = WebSocket::default();
        seen(&mut socket, &[REQUEST.as_bytes()]);
        if lost {
            socket.lose(missing);
        }
        let pieces: Vec<&[u8]> = bytes.chunks(7).collect();
        for piece in pieces {
            // Not to be compared: only that it ends.
            let _ = WebSocket::entered(piece);
        }
        // A message of random bytes is no text; what matters comes before it.
        let mut done = 0;
        for _ in 0..=2 * bytes.len() + 2 {
            match socket.step(&bytes[done..]) {
                WebSocketStep::More | WebSocketStep::NoUpgrade | WebSocketStep::Close(_) => return Ok(()),
                WebSocketStep::Message(len)
                | WebSocketStep::Compressed(len)
                | WebSocketStep::Ping(len)
                | WebSocketStep::Skipped(len)
                | WebSocketStep::TooLarge(len)
                | WebSocketStep::Malformed(len) => done += len,
            }
        }
        prop_assert!(false, "it goes round in circles");
    }
}
