//! Streams read in the clear: pieces in, frames and counts out.

use proptest::prelude::*;

use super::*;

const INVITE: &str = "INVITE sip:bob@example.com SIP/2.0\r\nContent-Length: 6\r\n\r\nv=0\r\n\n";
const BYE: &str = "BYE sip:bob@example.com SIP/2.0\r\nl: 0\r\n\r\n";

/// A piece from 192.0.2.1 to 192.0.2.2.
fn piece(millis: u64, seen_at: End, sequence: u32, bytes: &[u8]) -> Piece<'_> {
    Piece {
        at: at(millis),
        seen_at,
        source: "192.0.2.1:40000".parse().expect("an address"),
        destination: "192.0.2.2:5061".parse().expect("an address"),
        sequence,
        opening: false,
        ended: false,
        bytes,
    }
}

impl Bench {
    fn piece(&mut self, piece: &Piece<'_>) {
        self.intake.decrypted(piece, &mut self.batch);
    }

    fn decrypted_texts(&self) -> Vec<&str> {
        let frames = self.batch.frames.iter();
        frames.map(|frame| std::str::from_utf8(self.batch.message(frame)).expect("text")).collect()
    }
}

fn bench() -> Bench {
    Bench::new(|settings| settings.ports = PortSet::from_iter([5060, 5061]))
}

#[test]
fn a_piece_that_is_one_message_becomes_a_frame_of_its_own_transport() {
    let mut bench = bench();
    bench.piece(&piece(3, End::Sender, 7, INVITE.as_bytes()));
    let [frame] = &bench.batch.frames[..] else { panic!("one frame") };
    assert_eq!((frame.transport, frame.first, frame.at), (Transport::Tls, at(3), at(3)));
    assert_eq!((frame.source.port(), frame.destination.port()), (40_000, 5061));
    assert_eq!(bench.batch.tally, Tally::default());
}

#[test]
fn what_both_ends_show_counts_once_whichever_is_first() {
    for [first, second] in [[End::Sender, End::Recipient], [End::Recipient, End::Sender]] {
        let mut bench = bench();
        // Neither end's numbers say anything about the other's, nor how they cut.
        bench.piece(&piece(0, first, 7, &[INVITE, BYE].concat().into_bytes()));
        bench.piece(&piece(900, second, 1000, INVITE.as_bytes()));
        bench.piece(&piece(901, second, 1000 + INVITE.len() as u32, BYE.as_bytes()));
        assert_eq!(bench.decrypted_texts(), [INVITE, BYE]);
        assert_eq!(bench.batch.tally, Tally { capture_duplicates: 2, ..Tally::default() });
    }
}

#[test]
fn a_message_that_is_sent_again_is_no_copy() {
    let mut bench = bench();
    let twice = [BYE, BYE].concat().into_bytes();
    bench.piece(&piece(0, End::Sender, 0, &twice));
    bench.piece(&piece(500, End::Sender, twice.len() as u32, BYE.as_bytes()));
    bench.piece(&piece(501, End::Recipient, 9, &[BYE, BYE, BYE].concat().into_bytes()));
    assert_eq!(bench.decrypted_texts(), [BYE; 3]);
    assert_eq!(bench.batch.tally.capture_duplicates, 3);
}

#[test]
fn what_is_no_message_is_counted_at_one_end() {
    let mut bench = bench();
    for end in [End::Sender, End::Recipient] {
        bench.piece(&Piece { opening: true, ..piece(0, end, 5, b"\r\n\r\n") });
    }
    assert_eq!(bench.batch.tally, Tally { keepalives_crlf: 1, ..Tally::default() });
}

#[test]
fn other_protocols_are_counted_once_per_direction() {
    let mut bench = bench();
    for sequence in [0, 40] {
        let opening = sequence == 0;
        bench.piece(&Piece {
            opening,
            ..piece(0, End::Sender, sequence, b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
        });
    }
    assert_eq!(bench.batch.tally, Tally { non_sip: 1, ..Tally::default() });
}

#[test]
fn a_lost_piece_costs_its_messages_and_no_more() {
    let mut bench = bench();
    let cut = BYE.len() as u32;
    bench.piece(&piece(0, End::Sender, 0, BYE.as_bytes()));
    bench.piece(&piece(1, End::Sender, cut + 10, &INVITE.as_bytes()[10..]));
    bench.piece(&piece(2, End::Sender, cut + INVITE.len() as u32, BYE.as_bytes()));
    bench.piece(&piece(2500, End::Recipient, 0, b"\r\n"));
    assert_eq!(bench.decrypted_texts(), [BYE, BYE]);
    assert_eq!(bench.batch.tally.stream_resyncs, 1);
}

#[test]
fn a_new_connection_between_the_same_ports_is_told_from_the_old_one() {
    let mut bench = bench();
    for start in [u32::MAX - 20, 77] {
        bench.piece(&Piece { opening: true, ..piece(0, End::Sender, start, INVITE.as_bytes()) });
        let next = start.wrapping_add(INVITE.len() as u32);
        bench.piece(&Piece { ended: true, ..piece(1, End::Sender, next, b"") });
    }
    assert_eq!(bench.decrypted_texts(), [INVITE; 2]);
}

#[test]
fn an_end_elsewhere_than_where_the_stream_stands_is_that_of_another_process() {
    let mut bench = bench();
    bench.piece(&piece(0, End::Sender, 7, BYE.as_bytes()));
    bench.piece(&Piece { ended: true, ..piece(1, End::Sender, 9, b"") });
    bench.piece(&piece(2, End::Sender, 7 + BYE.len() as u32, INVITE.as_bytes()));
    assert_eq!(bench.decrypted_texts(), [BYE, INVITE]);
}

#[test]
fn pieces_and_packets_share_one_clock_that_never_runs_back() {
    let mut bench = bench();
    bench.datagram(10, OPTIONS);
    bench.piece(&piece(5, End::Sender, 0, BYE.as_bytes()));
    bench.datagram(20, OK);
    let times: Vec<Timestamp> = bench.batch.frames.iter().map(|frame| frame.at).collect();
    assert_eq!(times, [at(10), at(10), at(20)]);
    assert_eq!(bench.batch.now, at(20));
}

proptest! {
    #[test]
    fn wherever_the_stream_is_cut_the_messages_are_the_same(cuts in prop::collection::vec(1..120_usize, 1..20), start: u32) {
        let stream = [INVITE, "\r\n", BYE, INVITE, BYE].concat().into_bytes();
        let mut bench = bench();
        let mut from = 0;
        let mut lengths = cuts.iter().cycle();
        while from < stream.len() {
            let length = (*lengths.next().expect("endless")).min(stream.len() - from);
            let sequence = start.wrapping_add(from as u32);
            let bytes = &stream[from..from + length];
            bench.piece(&Piece { opening: from == 0, ..piece(from as u64, End::Sender, sequence, bytes) });
            from += length;
        }
        prop_assert_eq!(bench.decrypted_texts(), [INVITE, BYE, INVITE, BYE]);
        prop_assert_eq!(&bench.batch.tally, &Tally { keepalives_crlf: 1, ..Tally::default() });
    }
}
