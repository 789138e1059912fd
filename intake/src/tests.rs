mod decrypted;
mod media;
mod tcp;
mod websocket;

use pipeline::{Tally, Transport};
use wire::{Link, Tap};

use super::*;

const OPTIONS: &[u8] = b"OPTIONS sip:bob@example.com SIP/2.0\r\n\r\n";
const OK: &[u8] = b"SIP/2.0 200 OK\r\n\r\n";

/// A UDP datagram from 192.0.2.1 to 192.0.2.2, without its IP header.
fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len() + 8).expect("one packet");
    [&source.to_be_bytes()[..], &destination.to_be_bytes(), &len.to_be_bytes(), &[0, 0], payload].concat()
}

/// An IPv4 packet; `flags_and_offset` as in the header.
fn ip(protocol: u8, identification: u16, flags_and_offset: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len() + 20).expect("one packet");
    let parts = [0x4500_u16, len, identification, flags_and_offset, 0x4000 | u16::from(protocol), 0];
    let header: Vec<u8> = parts.iter().flat_map(|part| part.to_be_bytes()).collect();
    [&header[..], &[192, 0, 2, 1], &[192, 0, 2, 2], payload].concat()
}

/// An intake for port 5060 and what its batch has gathered.
struct Bench {
    intake: Intake,
    batch: FrameBatch,
}

impl Bench {
    fn new(change: impl FnOnce(&mut IntakeSettings)) -> Self {
        let mut settings = IntakeSettings::new(ClockMode::File, PortSet::from_iter([5060]));
        change(&mut settings);
        Self { intake: Intake::new(settings), batch: FrameBatch::default() }
    }

    fn packet(&mut self, millis: u64, bytes: &[u8]) {
        let original_len = u32::try_from(bytes.len()).expect("short");
        let (at, link) = (self::at(millis), Link::RawIp);
        let packet = Packet { at, link, interface: 0, bytes, original_len, tap: Tap::Sender };
        self.intake.packet(&packet, &mut self.batch);
    }

    fn datagram(&mut self, millis: u64, payload: &[u8]) {
        self.packet(millis, &ip(17, 1, 0, &udp(5060, 5060, payload)));
    }

    fn telemetry(&self, name: &str, reason: &str) -> f64 {
        let mut out = Vec::new();
        self.intake.telemetry(&mut out);
        let wanted = [("reason", reason.to_owned())];
        out.iter().find(|number| number.name == name && number.labels == wanted).expect("it is told").value
    }
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(1_767_225_600_000_000_000 + millis * 1_000_000)
}

#[test]
fn a_message_becomes_a_frame() {
    let mut bench = Bench::new(|_| ());
    bench.datagram(0, b"\r\n");
    bench.datagram(3, OPTIONS);
    let [frame] = &bench.batch.frames[..] else { panic!("one frame") };
    assert_eq!(bench.batch.message(frame), OPTIONS);
    let expected = SipFrame {
        range: 0..OPTIONS.len(),
        first: at(3),
        at: at(3),
        wall_offset: 0,
        source: "192.0.2.1:5060".parse().expect("an address"),
        destination: "192.0.2.2:5060".parse().expect("an address"),
        transport: Transport::Udp,
        tap: Tap::Sender,
        missing: 0,
    };
    assert_eq!(*frame, expected);
    assert_eq!(bench.batch.tally, Tally { keepalives_crlf: 1, ..Tally::default() });
}

#[test]
fn what_is_no_message_is_counted_by_what_it_is() {
    let mut bench = Bench::new(|_| ());
    bench.datagram(0, b"\x00\x01\x00\x00\x21\x12\xa4\x42aaaaaaaaaaaa");
    bench.datagram(0, b"\0");
    bench.datagram(0, b"\x80\x00rtp");
    bench.datagram(0, b"hello SIP/2.0");
    let expected =
        Tally { keepalives_stun: 1, keepalives_crlf: 1, non_sip: 1, start_line_errors: 1, ..Tally::default() };
    assert_eq!((&bench.batch.tally, bench.batch.frames.len()), (&expected, 0));
}

#[test]
fn a_message_longer_than_a_datagram_can_be_is_too_large() {
    let mut bench = Bench::new(|_| ());
    let long = [OPTIONS, &vec![b'x'; 70_000]].concat();
    // Segmentation offload leaves both lengths 0.
    let mut bytes = ip(17, 1, 0, &udp(5060, 5060, b""));
    bytes[2..4].copy_from_slice(&[0, 0]);
    bytes[24..26].copy_from_slice(&[0, 0]);
    bytes.extend(long);
    bench.packet(0, &bytes);
    assert_eq!((bench.batch.tally.too_large, bench.batch.frames.len()), (1, 0));
}

#[test]
fn datagrams_merged_by_the_kernel_become_a_frame_each() {
    let message = |number: u8| format!("OPTIONS sip:bob@example.com SIP/2.0\r\nX: {number}\r\nl: 0\r\n\r\n");
    let messages: Vec<String> = (1..=5).map(message).collect();
    let mut bench = Bench::new(|_| ());
    bench.datagram(3, messages.concat().as_bytes());
    let texts: Vec<_> = bench.batch.frames.iter().map(|frame| bench.batch.message(frame)).collect();
    assert_eq!(texts, messages.iter().map(String::as_bytes).collect::<Vec<_>>());
    assert!(bench.batch.frames.iter().all(|frame| (frame.first, frame.at) == (at(3), at(3))));

    for surplus in ["\r\n", "OPTIONS sip:bob@example.com SIP/2.0\r\nLonger: 1\r\nl: 0\r\n\r\n"] {
        let mut bench = Bench::new(|_| ());
        bench.datagram(3, [&messages[0], surplus].concat().as_bytes());
        assert_eq!(bench.batch.frames.len(), 1, "{surplus:?} is surplus");
    }
}

#[test]
fn either_port_may_be_the_one_looked_at_and_may_change() {
    let mut bench = Bench::new(|_| ());
    for (source, destination) in [(5060, 40_000), (40_000, 5060), (40_000, 40_001)] {
        bench.packet(0, &ip(17, 1, 0, &udp(source, destination, OPTIONS)));
    }
    assert_eq!(bench.batch.frames.len(), 2);
    assert_eq!(bench.telemetry("otelcol_receiver_skipped_packets", "other_port"), 1.0);
    bench.intake.set_ports([40_001].into_iter().collect(), PortSet::from_iter([]));
    bench.packet(100, &ip(17, 1, 0, &udp(40_000, 40_001, OPTIONS)));
    bench.datagram(100, OPTIONS);
    assert_eq!(bench.batch.frames.len(), 3);
}

#[test]
fn a_copy_within_the_window_is_dropped_before_it_is_sorted() {
    let mut bench = Bench::new(|_| ());
    for millis in [0, 20, 21] {
        bench.datagram(millis, OPTIONS);
        bench.datagram(millis, b"\r\n\r\n");
    }
    assert_eq!(bench.batch.frames.len(), 2);
    let expected = Tally { capture_duplicates: 2, keepalives_crlf: 2, ..Tally::default() };
    assert_eq!(bench.batch.tally, expected);

    let mut bench = Bench::new(|settings| settings.duplicate_window = Duration::ZERO);
    bench.datagram(0, OPTIONS);
    bench.datagram(0, OPTIONS);
    assert_eq!((bench.batch.frames.len(), bench.batch.tally.capture_duplicates), (2, 0));
    bench.intake.set_duplicate_window(Duration::from_millis(5));
    bench.datagram(0, OPTIONS);
    bench.datagram(5, OPTIONS);
    assert_eq!((bench.batch.frames.len(), bench.batch.tally.capture_duplicates), (3, 1));
}

#[test]
fn a_frame_knows_when_its_first_and_its_last_fragment_came() {
    let mut bench = Bench::new(|_| ());
    let whole = udp(5060, 5060, OPTIONS);
    bench.packet(5, &ip(17, 9, 3, &whole[24..]));
    bench.packet(9, &ip(17, 9, 0x2000, &whole[..24]));
    let [frame] = &bench.batch.frames[..] else { panic!("one frame") };
    assert_eq!((frame.first, frame.at), (at(5), at(9)));
    assert_eq!(bench.batch.message(frame), OPTIONS);
}

#[test]
fn a_full_fragment_table_is_counted_once_for_every_datagram_it_gave_up() {
    let mut bench = Bench::new(|settings| settings.max_fragmented = 2);
    for identification in 0..5 {
        bench.packet(0, &ip(17, identification, 0x2000, &[0; 8]));
    }
    assert_eq!(bench.batch.tally.evicted_fragments, 3);
    assert_eq!(bench.telemetry("otelcol_receiver_dropped_fragmented_datagrams", "evicted"), 3.0);
    bench.packet(30_000, &ip(17, 9, 0x2000, &[0; 8]));
    assert_eq!(bench.telemetry("otelcol_receiver_dropped_fragmented_datagrams", "timeout"), 2.0);
}

#[test]
fn every_packet_moves_the_clock_and_every_skipped_one_is_counted_by_reason() {
    let mut bench = Bench::new(|_| ());
    bench.packet(7, &[0x20; 40]);
    bench.packet(8, &ip(1, 1, 0, &[8; 20]));
    bench.intake.set_transports(true, false);
    bench.packet(9, &ip(6, 1, 0, &tcp::header(5060, 0, tcp::ACK)));
    assert_eq!((bench.batch.now, bench.intake.now()), (at(9), at(9)));
    for reason in ["ethertype", "other_protocol", "other_transport"] {
        assert_eq!(bench.telemetry("otelcol_receiver_skipped_packets", reason), 1.0, "{reason}");
    }
}

#[test]
fn a_step_of_the_clock_is_counted_and_frames_tell_the_time_people_see() {
    let mut bench = Bench::new(|_| ());
    bench.datagram(5000, OPTIONS);
    bench.datagram(2000, OK);
    bench.datagram(2500, OPTIONS);
    let times: Vec<_> = bench.batch.frames.iter().map(|frame| (frame.at, frame.wall_offset)).collect();
    assert_eq!(times, [(at(5000), 0), (at(5000), -3_000_000_000), (at(5500), -3_000_000_000)]);
    assert_eq!(bench.batch.tally.clock_steps, 1);
}

#[test]
fn live_time_moves_on_without_packets() {
    let mut bench = Bench::new(|settings| settings.clock = ClockMode::Live);
    bench.datagram(0, OPTIONS);
    bench.packet(0, &ip(17, 1, 0x2000, &[0; 8]));
    bench.intake.elapsed(Duration::from_secs(31));
    bench.intake.idle(&mut bench.batch);
    assert_eq!(bench.batch.now, at(30_750));
    assert_eq!(bench.telemetry("otelcol_receiver_dropped_fragmented_datagrams", "timeout"), 1.0);
}

#[test]
fn sip_on_other_ports_is_noted_by_the_port_of_the_server_when_asked_for() {
    let mut bench = Bench::new(|settings| settings.note_other_ports = true);
    for (source, destination, payload) in
        [(40_000, 5080, OPTIONS), (5080, 40_000, OK), (40_000, 5070, OPTIONS), (40_000, 5004, b"\x80rtp")]
    {
        bench.packet(0, &ip(17, 1, 0, &udp(source, destination, payload)));
    }
    assert_eq!(bench.intake.other_ports(), [(5080, 2), (5070, 1)]);
    assert_eq!(bench.batch.tally, Tally { sip_elsewhere: [3, 0], ..Tally::default() });
    for port in 6000..7000 {
        bench.packet(0, &ip(17, 1, 0, &udp(40_000, port, OPTIONS)));
    }
    assert_eq!(bench.intake.other_ports().len(), 64);
    let mut unasked = Bench::new(|_| ());
    unasked.packet(0, &ip(17, 1, 0, &udp(40_000, 5080, OPTIONS)));
    assert_eq!((unasked.intake.other_ports(), unasked.batch.tally.sip_elsewhere), (vec![], [1, 0]));
}

#[test]
fn a_probe_of_a_server_on_another_port_misses_no_call() {
    let mut bench = Bench::new(|settings| settings.note_other_ports = true);
    let message = |start: &str, method: &str, host: &str| {
        format!(
            "{start}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n\
             Call-ID: 1@{host}\r\nCSeq: 1 {method}\r\n\r\n"
        )
    };
    let (probe, other) = ("probe.ringside.invalid", "example.net");
    for (start, method, host) in [
        ("OPTIONS sip:x SIP/2.0", "OPTIONS", probe),
        ("SIP/2.0 200 OK", "OPTIONS", probe),
        ("OPTIONS sip:x SIP/2.0", "OPTIONS", other),
        ("INVITE sip:x SIP/2.0", "INVITE", probe),
    ] {
        let payload = message(start, method, host);
        bench.packet(0, &ip(17, 1, 0, &udp(5080, 5080, payload.as_bytes())));
    }
    assert_eq!(bench.batch.tally, Tally { probe_messages: 2, sip_elsewhere: [2, 0], ..Tally::default() });
    assert_eq!(bench.intake.other_ports(), [(5080, 2)]);
}

#[test]
fn what_is_not_read_is_counted_by_what_it_is_and_sip_in_it_is_told() {
    let mut bench = Bench::new(|_| ());
    let sip = ip(17, 1, 0, &udp(5060, 5060, OPTIONS));
    let long = [&[b'x'; 490][..], OPTIONS].concat();
    let tunnels = |inner: &[u8]| ip(4, 1, 0, &ip(4, 1, 0, &ip(4, 1, 0, inner)));
    for (protocol, payload) in [(50, &sip), (50, &long), (115, &vec![0; 30]), (132, &OPTIONS.to_vec())] {
        bench.packet(0, &ip(protocol, 1, 0, payload));
    }
    bench.packet(0, &tunnels(&sip));
    bench.packet(0, &[0x20; 40]);
    // ESP and L2TP over UDP, and SIP on the same ports.
    for (port, payload) in
        [(4500, &[1_u8; 20][..]), (1701, &[&[0, 2, 0, 1, 0, 1, 0xff, 3, 0, 0x21], &sip[..]].concat())]
    {
        bench.packet(0, &ip(17, 1, 0, &udp(port, port, payload)));
        bench.packet(0, &ip(17, 1, 0, &udp(port, port, OPTIONS)));
    }
    let expected = Tally { not_read: [3, 2, 1, 1, 1], sip_elsewhere: [2, 4], ..Tally::default() };
    assert_eq!(bench.batch.tally, expected);
    let wrapped = [(NotRead::Esp, 1), (NotRead::L2tp, 1), (NotRead::Sctp, 1), (NotRead::Nested, 1)];
    assert_eq!(bench.intake.wrapped(), wrapped);
    assert_eq!(bench.telemetry("otelcol_receiver_skipped_packets", "esp"), 3.0);

    let mut listed = Bench::new(|settings| settings.ports = PortSet::from_iter([4500]));
    listed.packet(0, &ip(17, 1, 0, &udp(4500, 4500, &[1; 20])));
    assert_eq!(listed.batch.tally, Tally { non_sip: 1, ..Tally::default() }, "a port that is listed wins");
}

#[test]
fn sip_in_a_stream_on_another_port_is_counted() {
    let mut bench = Bench::new(|_| ());
    let segment = [&tcp::header(5080, 0, tcp::ACK)[..], OPTIONS].concat();
    bench.packet(0, &ip(6, 1, 0, &segment));
    bench.packet(0, &ip(6, 1, 0, &segment[..25]));
    assert_eq!(bench.batch.tally, Tally { sip_elsewhere: [1, 0], ..Tally::default() });
}

#[test]
fn a_port_set_holds_exactly_its_ports() {
    let set: PortSet = [0, 5060, 5061, 65_535].into_iter().collect();
    let held: Vec<u16> = (0..=u16::MAX).filter(|&port| set.contains(port)).collect();
    assert_eq!(held, [0, 5060, 5061, 65_535]);
    assert_eq!(set.words()[79], 0b11 << 4);
}
