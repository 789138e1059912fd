//! SIP over TCP: packets in, frames and counts out.

use proptest::prelude::*;

use super::*;

pub(super) const ACK: u8 = 0x10;
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;

const INVITE: &str = "INVITE sip:bob@example.com SIP/2.0\r\nContent-Length: 6\r\n\r\nv=0\r\n\n";
const BYE: &str = "BYE sip:bob@example.com SIP/2.0\r\nl: 0\r\n\r\n";

/// A TCP header from port 40,000 of 192.0.2.1 to `port` of 192.0.2.2.
pub(super) fn header(port: u16, sequence: u32, flags: u8) -> Vec<u8> {
    let ports = [40_000_u16.to_be_bytes(), port.to_be_bytes()].concat();
    [&ports[..], &sequence.to_be_bytes(), &[0; 4], &[0x50, flags, 0xff, 0xff], &[0; 4]].concat()
}

impl Bench {
    fn segment(&mut self, millis: u64, flags: u8, sequence: u32, payload: &[u8]) {
        self.packet(millis, &ip(6, 1, 0, &[&header(5060, sequence, flags), payload].concat()));
    }

    fn messages(&self) -> Vec<&str> {
        let frames = self.batch.frames.iter();
        frames.map(|frame| std::str::from_utf8(self.batch.message(frame)).expect("text")).collect()
    }
}

fn bench() -> Bench {
    Bench::new(|_| ())
}

#[test]
fn a_segment_that_is_one_message_becomes_a_frame() {
    let mut bench = bench();
    bench.segment(3, ACK, 7, INVITE.as_bytes());
    let [frame] = &bench.batch.frames[..] else { panic!("one frame") };
    let expected = SipFrame {
        range: 0..INVITE.len(),
        first: at(3),
        at: at(3),
        wall_offset: 0,
        source: "192.0.2.1:40000".parse().expect("an address"),
        destination: "192.0.2.2:5060".parse().expect("an address"),
        transport: Transport::Tcp,
        tap: Tap::Sender,
        missing: 0,
    };
    assert_eq!((frame, bench.messages()), (&expected, vec![INVITE]));
    assert_eq!(bench.batch.tally, Tally::default());
}

#[test]
fn a_frame_knows_when_its_first_byte_came_and_when_it_was_whole() {
    let mut bench = bench();
    let (head, tail) = INVITE.split_at(10);
    bench.segment(0, ACK, 0, BYE.as_bytes());
    let start = BYE.len() as u32;
    bench.segment(4, ACK, start + 10, [tail, BYE].concat().as_bytes());
    bench.segment(9, ACK, start, head.as_bytes());
    let times: Vec<_> = bench.batch.frames.iter().map(|frame| (frame.first, frame.at)).collect();
    assert_eq!(times, [(at(0), at(0)), (at(9), at(9)), (at(4), at(9))]);
}

#[test]
fn a_second_sighting_of_the_same_bytes_vanishes() {
    let mut bench = bench();
    for millis in [0, 30] {
        bench.segment(millis, SYN, 99, b"");
        bench.segment(millis, ACK, 100, INVITE.as_bytes());
        bench.segment(millis, FIN | ACK, 100 + INVITE.len() as u32, BYE.as_bytes());
    }
    assert_eq!((bench.messages(), &bench.batch.tally), (vec![INVITE, BYE], &Tally::default()));
}

#[test]
fn line_ends_between_messages_are_keep_alives() {
    let mut bench = bench();
    bench.segment(0, ACK, 0, b"\r\n");
    bench.segment(10, ACK, 2, b"\r\n");
    bench.segment(30_000, ACK, 4, b"\r\n\r\n");
    bench.segment(30_000, ACK, 8, [BYE, "\r\n", BYE].concat().as_bytes());
    assert_eq!((bench.messages(), bench.batch.tally.keepalives_crlf), (vec![BYE, BYE], 3));
}

#[test]
fn what_is_no_sip_is_counted_once_per_direction() {
    for flags in [SYN, ACK] {
        let mut bench = bench();
        let start = if flags == SYN { 1 } else { 0 };
        bench.segment(0, flags, 0, if flags == SYN { b"" } else { b"GET / HTTP/1.1\r\n" });
        bench.segment(0, ACK, start, b"GET / HTTP/1.1\r\n");
        bench.segment(0, ACK, start + 16, b"Host: example.com\r\n\r\n");
        assert_eq!(bench.batch.tally, Tally { non_sip: 1, ..Tally::default() });
        bench.segment(0, ACK, start + 37, BYE.as_bytes());
        assert_eq!(bench.messages(), [BYE], "it may become SIP");
    }
}

#[test]
fn what_a_proxy_says_first_is_passed_over_and_loses_nothing() {
    let v2 = "\r\n\r\n\0\r\nQUIT\n!\u{11}\0\u{c}\n\0\0\u{1}\n\0\0\u{2}abcd";
    for before in ["PROXY TCP4 192.0.2.1 192.0.2.2 40000 5060\r\n", v2, "    ", "220 ready\r\n"] {
        let stream = [before, BYE, INVITE].concat();
        let pieces = |cut: usize| [(0, &stream[..cut]), (cut as u32, &stream[cut..])];
        for cut in [0, before.len(), before.len() + 10] {
            let mut bench = bench();
            bench.segment(0, SYN, u32::MAX, b"");
            for (sequence, piece) in pieces(cut) {
                bench.segment(0, ACK, sequence, piece.as_bytes());
            }
            assert_eq!(bench.messages(), [BYE, INVITE], "{before:?} cut at {cut}");
            assert_eq!(bench.batch.tally, Tally { non_sip: 1, ..Tally::default() }, "{before:?} cut at {cut}");
        }
    }
    // Cut behind a whole line end it looks like a keep-alive, and is counted as one too.
    for cut in (1..v2.len()).filter(|cut| ![2, 4].contains(cut)) {
        let stream = [v2, BYE].concat();
        let mut bench = bench();
        bench.segment(0, SYN, u32::MAX, b"");
        bench.segment(0, ACK, 0, &stream.as_bytes()[..cut]);
        bench.segment(0, ACK, cut as u32, &stream.as_bytes()[cut..]);
        assert_eq!(bench.messages(), [BYE], "cut at {cut}");
        assert_eq!(bench.batch.tally, Tally { non_sip: 1, ..Tally::default() }, "cut at {cut}");
    }
    let mut bench = bench();
    bench.segment(0, ACK, 0, [BYE, "hello SIP/2 \r\n", BYE].concat().as_bytes());
    let expected = Tally { start_line_errors: 1, ..Tally::default() };
    assert_eq!((bench.messages(), &bench.batch.tally), (vec![BYE, BYE], &expected));
}

#[test]
fn a_stream_that_shows_no_start_line_is_given_up() {
    let mut bench = bench();
    bench.segment(0, SYN, u32::MAX, b"");
    let line = [b'x'; 999].iter().chain(b"\n").copied().collect::<Vec<_>>();
    for number in 0..100 {
        bench.segment(0, ACK, number * 1000, &line);
    }
    bench.segment(0, ACK, 100_000, ["junk\r\n", BYE].concat().as_bytes());
    bench.segment(0, ACK, 100_006 + BYE.len() as u32, BYE.as_bytes());
    assert_eq!((bench.messages(), &bench.batch.tally), (vec![BYE], &Tally { non_sip: 1, ..Tally::default() }));
}

#[test]
fn keep_alives_of_nul_and_stun_stand_between_messages() {
    let stun = [&b"\0\x01\0\x04\x21\x12\xa4\x42aaaaaaaaaaaa"[..], b"BYE "].concat();
    let mut bench = bench();
    bench.segment(0, ACK, 0, &[BYE.as_bytes(), b"\0\0\0\0", BYE.as_bytes(), &stun, BYE.as_bytes()].concat());
    let expected = Tally { keepalives_crlf: 1, keepalives_stun: 1, ..Tally::default() };
    assert_eq!((bench.messages(), &bench.batch.tally), (vec![BYE, BYE, BYE], &expected));
    for keepalive in [&b"\0\0\0\0"[..], &stun] {
        let mut bench = self::bench();
        bench.segment(0, ACK, 0, keepalive);
        bench.segment(0, ACK, keepalive.len() as u32, INVITE.as_bytes());
        assert_eq!((bench.messages(), bench.batch.tally.non_sip), (vec![INVITE], 0), "a stream entered at it");
    }
}

#[test]
fn tls_behind_what_a_proxy_says_first_is_counted() {
    let mut bench = bench();
    bench.segment(0, SYN, u32::MAX, b"");
    bench.segment(0, ACK, 0, b"PROXY UNKNOWN\r\n");
    bench.segment(0, ACK, 15, &[0x16, 3, 1, 0, 1, 7]);
    bench.segment(0, ACK, 21, &[0x17, 3, 3, 0, 1, 7]);
    assert_eq!(bench.batch.tally, Tally { non_sip: 1, tls_records: 2, ..Tally::default() });
}

#[test]
fn records_of_tls_are_counted_and_nothing_else() {
    let record = |kind: u8, len: usize| [&[kind, 3, 3][..], &(len as u16).to_be_bytes(), &vec![b'\n'; len]].concat();
    for flags in [SYN, ACK] {
        let mut bench = bench();
        bench.segment(0, flags, 10, b"");
        let stream = [record(0x16, 200), record(0x14, 1), record(0x17, 90), record(0x17, 40)].concat();
        bench.segment(0, ACK, 11, &stream[..100]);
        bench.segment(0, ACK, 111, &stream[100..250]);
        bench.segment(1, ACK, 111, &stream[100..250]);
        bench.segment(0, ACK, 261, &stream[250..]);
        assert_eq!(bench.batch.tally, Tally { tls_records: 4, ..Tally::default() });
    }
    let mut bench = bench();
    bench.segment(0, SYN, 10, b"");
    bench.segment(0, ACK, 11, &[0x16]);
    bench.segment(0, ACK, 12, &[3, 1, 0, 9]);
    assert_eq!(bench.batch.tally, Tally { tls_records: 1, ..Tally::default() });
}

#[test]
fn an_error_is_counted_and_the_next_message_found() {
    let mut bench = bench();
    let bad = "OPTIONS sip:a SIP/2.0\r\nl: -5\r\n\r\nhello\r\n";
    let large = "OPTIONS sip:a SIP/2.0\r\nl: 262144\r\n\r\n";
    bench.segment(0, ACK, 0, [BYE, bad, INVITE, large, BYE, "INVITE SIP/2.0\r\n", BYE].concat().as_bytes());
    let expected =
        Tally { content_length_errors: 1, too_large: 1, start_line_errors: 1, stream_resyncs: 2, ..Tally::default() };
    assert_eq!((bench.messages(), &bench.batch.tally), (vec![BYE, INVITE, BYE, BYE], &expected));
}

#[test]
fn a_hole_that_nobody_fills_is_skipped_live_without_another_packet() {
    let mut bench = Bench::new(|settings| settings.clock = ClockMode::Live);
    bench.segment(0, ACK, 0, &INVITE.as_bytes()[..20]);
    bench.segment(0, ACK, 40, ["=0\r\n", BYE].concat().as_bytes());
    bench.intake.elapsed(Duration::from_secs(3));
    bench.intake.idle(&mut bench.batch);
    assert_eq!((bench.messages(), bench.batch.tally.stream_resyncs), (vec![BYE], 1));
    assert_eq!(bench.batch.frames[0].at, bench.batch.now);
}

#[test]
fn a_full_table_is_counted() {
    let mut bench = Bench::new(|settings| settings.max_streams = 8);
    for port in 0..20 {
        let mut segment = [&header(5060, 0, ACK)[..], b"BYE sip:"].concat();
        segment[..2].copy_from_slice(&(41_000_u16 + port).to_be_bytes());
        segment.extend_from_slice(b"a SIP/2.0\r\n");
        bench.packet(0, &ip(6, 1, 0, &segment));
    }
    assert_eq!(bench.batch.tally.evicted_streams, 12);
}

#[test]
fn a_reset_drops_half_a_message() {
    let mut bench = bench();
    bench.segment(0, SYN, 0, b"");
    bench.segment(0, ACK, 1, &INVITE.as_bytes()[..20]);
    bench.segment(0, RST, 21, b"");
    bench.segment(0, SYN, 7000, b"");
    bench.segment(0, ACK, 7001, BYE.as_bytes());
    assert_eq!((bench.messages(), bench.batch.tally.stream_resyncs), (vec![BYE], 0));
}

/// What a stream holds besides messages: keep-alives and one error.
const PARTS: [&str; 6] =
    [INVITE, BYE, "\r\n\r\n", "OPTIONS sip:a SIP/2.0\r\nl: x\r\n\r\n", "SIP/2.0 100 x\r\nl:1\r\n\r\n!", BYE];

proptest! {
    #[test]
    fn any_cuts_order_and_copies_give_the_same_messages(
        parts in prop::collection::vec(0..PARTS.len(), 1..10),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
        moves in prop::collection::vec(any::<prop::sample::Index>(), 60),
        copies in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        start in any::<u32>(),
    ) {
        let stream: String = parts.iter().map(|&part| PARTS[part]).collect();
        let mut whole = bench();
        whole.segment(0, SYN, start.wrapping_sub(1), b"");
        whole.segment(0, ACK, start, stream.as_bytes());

        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len())).chain([0, stream.len()]).collect();
        cuts.sort_unstable();
        let mut pieces: Vec<_> = cuts.windows(2).map(|pair| pair[0]..pair[1]).collect();
        for copy in copies {
            let copy = pieces[copy.index(pieces.len())].clone();
            pieces.push(copy);
        }
        for last in (1..pieces.len()).rev() {
            pieces.swap(last, moves[last % moves.len()].index(last + 1));
        }
        let mut cut = bench();
        cut.segment(0, SYN, start.wrapping_sub(1), b"");
        for piece in pieces {
            cut.segment(0, ACK, start.wrapping_add(piece.start as u32), &stream.as_bytes()[piece]);
        }
        prop_assert_eq!(cut.messages(), whole.messages());
        prop_assert_eq!(&cut.batch.tally, &whole.batch.tally);
    }
}

#[test]
fn a_conversation_cut_at_every_byte_gives_the_same_messages() {
    let stream = PARTS.concat();
    let mut whole = bench();
    whole.segment(0, ACK, 0, stream.as_bytes());
    let mut bytes = bench();
    bytes.segment(0, SYN, u32::MAX, b"");
    for (sequence, byte) in (0..).zip(stream.as_bytes()) {
        bytes.segment(0, ACK, sequence, &[*byte]);
    }
    assert_eq!((bytes.messages(), &bytes.batch.tally), (whole.messages(), &whole.batch.tally));
    for at in 1..stream.len() {
        let mut cut = bench();
        cut.segment(0, SYN, u32::MAX, b"");
        cut.segment(0, ACK, at as u32, &stream.as_bytes()[at..]);
        cut.segment(0, ACK, 0, &stream.as_bytes()[..at]);
        assert_eq!((cut.messages(), &cut.batch.tally), (whole.messages(), &whole.batch.tally), "cut at {at}");
    }
}

#[test]
fn messages_in_order_cost_no_allocation_of_the_streams() {
    let mut bench = bench();
    bench.segment(0, ACK, 0, BYE.as_bytes());
    for message in 1..1000 {
        bench.segment(0, ACK, message * BYE.len() as u32, BYE.as_bytes());
        assert_eq!(bench.intake.streams.kept_bytes(), 0);
    }
    assert_eq!(bench.batch.frames.len(), 1000);
}
