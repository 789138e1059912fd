//! SIP over WebSocket: packets in, frames and counts out.

use super::tcp::ACK;
use super::*;

const SYN: u8 = 0x02;

const WS_PORT: u16 = 8080;

const TEXT: u8 = 0x81;
const TEXT_BEGINS: u8 = 0x01;
const CONTINUES: u8 = 0;
const ENDS: u8 = 0x80;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
const COMPRESSED_TEXT: u8 = 0xc1;

const REGISTER: &str = "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/WS df7jal23ls0d.invalid\r\n\r\n";
const RINGING: &str = "SIP/2.0 180 Ringing\r\nContent-Length: 0\r\n\r\n";

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: sip\r\n\r\n";
const GRANT: &str = "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: sip\r\n\r\n";

/// One direction; its sequence number goes on from segment to segment.
struct Side {
    ports: (u16, u16),
    next: u32,
    masks: bool,
}

impl Side {
    /// To and from `port`.
    fn both(port: u16) -> (Self, Self) {
        let client = Self { ports: (40_000, port), next: u32::MAX - 50, masks: true };
        (client, Self { ports: (port, 40_000), next: 7, masks: false })
    }

    fn frame(&self, first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
        let payload = payload.as_ref();
        let masked = if self.masks { 0x80 } else { 0 };
        let mut frame = vec![first, masked | 126];
        frame.extend((payload.len() as u16).to_be_bytes());
        if payload.len() < 126 {
            frame.truncate(1);
            frame.push(masked | payload.len() as u8);
        }
        let mask: &[u8] = if self.masks { &[0x11, 0xa2, 0x33, 0xc4] } else { &[] };
        frame.extend(mask);
        frame.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask.get(at % 4).unwrap_or(&0)));
        frame
    }
}

impl Bench {
    /// The next segment of a side.
    fn sent(&mut self, millis: u64, side: &mut Side, flags: u8, payload: impl AsRef<[u8]>) {
        let payload = payload.as_ref();
        let mut segment = tcp::header(side.ports.1, side.next, flags);
        segment[..2].copy_from_slice(&side.ports.0.to_be_bytes());
        segment.extend_from_slice(payload);
        let mut packet = ip(6, 1, 0, &segment);
        if !side.masks {
            let (client, server) = ([192, 0, 2, 1], [192, 0, 2, 2]);
            packet[12..16].copy_from_slice(&server);
            packet[16..20].copy_from_slice(&client);
        }
        self.packet(millis, &packet);
        side.next = side.next.wrapping_add(payload.len() as u32 + u32::from(flags & SYN != 0));
    }

    fn texts(&self) -> Vec<&str> {
        let frames = self.batch.frames.iter();
        frames.map(|frame| std::str::from_utf8(self.batch.message(frame)).expect("text")).collect()
    }
}

fn bench() -> Bench {
    Bench::new(|settings| settings.ws_ports = PortSet::from_iter([WS_PORT]))
}

/// Both directions, upgraded.
fn upgraded(bench: &mut Bench) -> (Side, Side) {
    let (mut client, mut server) = Side::both(WS_PORT);
    bench.sent(0, &mut client, SYN, "");
    bench.sent(0, &mut server, SYN | ACK, "");
    bench.sent(1, &mut client, ACK, REQUEST);
    bench.sent(2, &mut server, ACK, GRANT);
    (client, server)
}

#[test]
fn messages_of_both_sides_become_frames() {
    let mut bench = bench();
    let (mut client, mut server) = upgraded(&mut bench);
    let register = client.frame(TEXT, REGISTER);
    bench.sent(3, &mut client, ACK, register);
    let ringing = server.frame(TEXT, RINGING);
    bench.sent(4, &mut server, ACK, ringing);
    assert_eq!((bench.texts(), &bench.batch.tally), (vec![REGISTER, RINGING], &Tally::default()));
    let frame = &bench.batch.frames[0];
    assert_eq!(frame.transport, Transport::Ws);
    assert_eq!((frame.first, frame.at), (at(3), at(3)));
    assert_eq!((frame.source.to_string(), frame.destination.port()), ("192.0.2.1:40000".into(), WS_PORT));
}

#[test]
fn a_message_in_pieces_has_the_time_of_its_first_frame_and_of_its_last_segment() {
    let mut bench = bench();
    let (mut client, _) = upgraded(&mut bench);
    let (head, tail) = REGISTER.split_at(20);
    let first = client.frame(TEXT_BEGINS, head);
    bench.sent(5, &mut client, ACK, first);
    let ping = client.frame(PING, "");
    bench.sent(6, &mut client, ACK, ping);
    let last = client.frame(ENDS | CONTINUES, tail);
    bench.sent(7, &mut client, ACK, &last[..9]);
    let whole = client.frame(TEXT, RINGING);
    bench.sent(8, &mut client, ACK, [&last[9..], &whole].concat());
    let times: Vec<_> = bench.batch.frames.iter().map(|frame| (frame.first, frame.at)).collect();
    assert_eq!((bench.texts(), times), (vec![REGISTER, RINGING], vec![(at(5), at(8)), (at(8), at(8))]));
    assert_eq!(bench.batch.tally, Tally { keepalives_ws_ping: 1, ..Tally::default() });
}

#[test]
fn what_a_websocket_holds_besides_messages_is_counted_by_what_it_is() {
    let mut bench = bench();
    let (mut client, _) = upgraded(&mut bench);
    let frames = [
        client.frame(TEXT, "\r\n\r\n"),
        client.frame(TEXT, format!("\r\n{REGISTER}")),
        client.frame(PING, "x"),
        client.frame(PONG, "x"),
        client.frame(TEXT, "{}"),
        client.frame(COMPRESSED_TEXT, [0xca, 0x48]),
        client.frame(TEXT, "INVITE SIP/2.0\r\n\r\n"),
        client.frame(CLOSE, ""),
        client.frame(TEXT, REGISTER),
    ];
    bench.sent(3, &mut client, ACK, frames.concat());
    let expected =
        Tally { keepalives_crlf: 1, keepalives_ws_ping: 1, non_sip: 2, start_line_errors: 1, ..Tally::default() };
    assert_eq!((bench.texts(), &bench.batch.tally), (vec![REGISTER], &expected));
    let mut told = Vec::new();
    bench.intake.telemetry(&mut told);
    let compressed = told.iter().find(|number| number.name == "otelcol_receiver_compressed_websocket_messages");
    assert_eq!(compressed.expect("it is told").value, 1.0);
}

#[test]
fn anything_else_on_the_port_is_counted_once_per_direction() {
    for (flags, bytes) in [
        (SYN, "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        (ACK, "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
        (SYN, REQUEST.replace(": sip", ": chat")),
        (SYN, REGISTER.to_owned()),
        (ACK, REGISTER.to_owned()),
    ] {
        let mut bench = bench();
        let (mut client, _) = Side::both(WS_PORT);
        bench.sent(0, &mut client, flags, if flags == SYN { "" } else { "noise" });
        bench.sent(1, &mut client, ACK, &bytes[..2]);
        bench.sent(1, &mut client, ACK, &bytes[2..]);
        bench.sent(2, &mut client, ACK, &bytes);
        assert_eq!((bench.texts(), &bench.batch.tally), (vec![], &Tally { non_sip: 1, ..Tally::default() }), "{bytes}");
        bench.sent(3, &mut client, ACK, REQUEST);
        let register = client.frame(TEXT, REGISTER);
        bench.sent(4, &mut client, ACK, register);
        assert_eq!(bench.texts(), [REGISTER], "it may become a WebSocket");
        assert_eq!(bench.batch.tally.non_sip, 1);
    }
}

#[test]
fn on_a_port_of_both_lists_the_first_bytes_tell() {
    for (stream, transport) in [
        ([REQUEST.as_bytes(), &Side::both(5060).0.frame(TEXT, REGISTER)].concat(), Transport::Ws),
        (format!("{REGISTER}{REGISTER}").into_bytes(), Transport::Tcp),
    ] {
        for cut in [1, 3, 4, 5, 30, REQUEST.len(), stream.len()] {
            let mut bench = Bench::new(|settings| settings.ws_ports = PortSet::from_iter([5060]));
            let (mut client, _) = Side::both(5060);
            bench.sent(0, &mut client, SYN, "");
            bench.sent(0, &mut client, ACK, &stream[..cut]);
            bench.sent(0, &mut client, ACK, &stream[cut..]);
            assert!(bench.texts().contains(&REGISTER), "{transport:?} cut at {cut}");
            assert!(bench.batch.frames.iter().all(|frame| frame.transport == transport));
            assert_eq!(bench.batch.tally, Tally::default());
        }
    }
}

#[test]
fn a_websocket_is_looked_into_without_tcp_among_the_transports_and_datagrams_are_not() {
    let mut bench = bench();
    bench.intake.set_transports(true, false);
    let (mut client, _) = upgraded(&mut bench);
    let register = client.frame(TEXT, REGISTER);
    bench.sent(3, &mut client, ACK, register);
    bench.packet(4, &ip(17, 1, 0, &udp(40_000, WS_PORT, OPTIONS)));
    assert_eq!(bench.texts(), [REGISTER]);
    assert_eq!(bench.telemetry("otelcol_receiver_skipped_packets", "other_port"), 1.0);
    bench.intake.set_ports(PortSet::from_iter([WS_PORT]), PortSet::from_iter([]));
    let register = client.frame(TEXT, REGISTER);
    bench.sent(5, &mut client, ACK, register);
    assert_eq!((bench.texts().len(), bench.telemetry("otelcol_receiver_skipped_packets", "other_transport")), (1, 1.0));
}

#[test]
fn a_connection_that_was_there_before_is_entered_at_its_next_message() {
    let mut bench = bench();
    let (mut client, mut server) = Side::both(WS_PORT);
    for side in [&mut client, &mut server] {
        let rest_of_a_message = side.frame(TEXT, REGISTER)[20..].to_vec();
        let frames = [side.frame(TEXT, REGISTER), side.frame(PING, "")].concat();
        bench.sent(0, side, ACK, rest_of_a_message);
        bench.sent(1, side, ACK, frames);
    }
    let expected = Tally { non_sip: 2, keepalives_ws_ping: 2, ..Tally::default() };
    assert_eq!((bench.texts(), &bench.batch.tally), (vec![REGISTER; 2], &expected));
}

#[test]
fn a_hole_within_a_message_costs_that_message_alone() {
    let mut bench = bench();
    let (mut client, _) = upgraded(&mut bench);
    let frames = [client.frame(TEXT, REGISTER), client.frame(PING, ""), client.frame(TEXT, RINGING)].concat();
    let (first, rest) = frames.split_at(30);
    bench.sent(3, &mut client, ACK, first);
    client.next = client.next.wrapping_add(10);
    bench.sent(4, &mut client, ACK, &rest[10..]);
    bench.sent(5000, &mut client, ACK, "");
    let expected = Tally { stream_resyncs: 1, keepalives_ws_ping: 1, ..Tally::default() };
    assert_eq!((bench.texts(), &bench.batch.tally), (vec![RINGING], &expected));
}

#[test]
fn a_lost_upgrade_or_a_lost_header_costs_what_comes_before_the_next_message() {
    for upgrade_is_lost in [true, false] {
        let mut bench = bench();
        let (mut client, _) = Side::both(WS_PORT);
        bench.sent(0, &mut client, SYN, "");
        if upgrade_is_lost {
            client.next = client.next.wrapping_add(REQUEST.len() as u32);
        } else {
            bench.sent(1, &mut client, ACK, REQUEST);
            client.next = client.next.wrapping_add(100);
        }
        let frames = [client.frame(PONG, "lost"), client.frame(TEXT, REGISTER), client.frame(PING, "")].concat();
        bench.sent(2, &mut client, ACK, &frames[1..]);
        bench.sent(5000, &mut client, ACK, "");
        let expected = Tally { stream_resyncs: 1, keepalives_ws_ping: 1, ..Tally::default() };
        assert_eq!((bench.texts(), &bench.batch.tally), (vec![REGISTER], &expected), "{upgrade_is_lost}");
    }
}

#[test]
fn a_message_beyond_64_kib_is_too_large_and_keeps_nothing() {
    let mut bench = bench();
    let (mut client, _) = upgraded(&mut bench);
    let pieces = [client.frame(TEXT_BEGINS, [b'x'; 65_535]), client.frame(ENDS, "x"), client.frame(TEXT, REGISTER)];
    for piece in pieces.concat().chunks(1400) {
        bench.sent(3, &mut client, ACK, piece);
    }
    assert_eq!((bench.texts(), &bench.batch.tally), (vec![REGISTER], &Tally { too_large: 1, ..Tally::default() }));
    assert_eq!(bench.intake.streams.kept_bytes(), 0);
}

#[test]
fn records_of_tls_on_the_port_are_counted_and_nothing_else() {
    for flags in [SYN, ACK] {
        let mut bench = bench();
        let (mut client, _) = Side::both(WS_PORT);
        if flags == SYN {
            bench.sent(0, &mut client, SYN, "");
        }
        bench.sent(0, &mut client, ACK, [&[0x16, 3, 1, 0, 60][..], &[7; 60]].concat());
        bench.sent(1, &mut client, ACK, [&[0x17, 3, 3, 0, 9][..], &[0x81; 9]].concat());
        assert_eq!(bench.batch.tally, Tally { tls_records: 2, ..Tally::default() });
    }
}

#[test]
fn a_conversation_cut_at_every_byte_gives_the_same_messages() {
    let (client, _) = Side::both(WS_PORT);
    let stream = [
        REQUEST.into(),
        client.frame(TEXT, REGISTER),
        client.frame(PING, "x"),
        client.frame(TEXT, "\r\n"),
        client.frame(TEXT_BEGINS, &REGISTER[..30]),
        client.frame(PING, "x"),
        client.frame(ENDS, &REGISTER[30..]),
        b"\xff noise".to_vec(),
        client.frame(TEXT, RINGING),
        client.frame(TEXT, REGISTER.repeat(3)),
    ]
    .concat();
    let play = |order: &[(usize, usize)]| {
        let mut bench = bench();
        let (mut client, _) = Side::both(WS_PORT);
        bench.sent(0, &mut client, SYN, "");
        let start = client.next;
        for &(from, to) in order {
            client.next = start.wrapping_add(from as u32);
            bench.sent(0, &mut client, ACK, &stream[from..to]);
        }
        let texts: Vec<String> = bench.texts().iter().map(ToString::to_string).collect();
        (texts, bench.batch.tally)
    };
    let len = stream.len();
    let whole = play(&[(0, len)]);
    assert_eq!((whole.0.len(), whole.1.keepalives_ws_ping, whole.1.stream_resyncs), (4, 2, 1));
    assert_eq!(play(&(0..len).map(|at| (at, at + 1)).collect::<Vec<_>>()), whole);
    for at in 1..len {
        assert_eq!(play(&[(0, at), (at, len)]), whole, "cut at {at}");
        assert_eq!(play(&[(at, len), (0, at), (0, len)]), whole, "cut at {at}, out of order");
    }
}
