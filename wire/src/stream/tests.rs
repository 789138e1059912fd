use super::*;

const ACK: u8 = 0x10;
const AT_ONCE: u64 = 0;

/// Reads lines; a stream whose beginning was not seen is entered where a segment begins with `>`. `-` at the front of
/// a stream means that it is of no interest.
#[derive(Debug, Default)]
struct Lines {
    inside: bool,
}

/// Lines as they were read: the first byte's time in ms, the text. `~` stands for bytes that are missing.
type Read = Vec<(u64, String)>;

impl Reader<Read> for Lines {
    fn open(&mut self) {
        self.inside = true;
    }

    fn is_inside(&self) -> bool {
        self.inside
    }

    fn glance(&mut self, _flow: Flow, _sequence: u32, payload: &[u8], _out: &mut Read) -> bool {
        self.inside = payload.starts_with(b">");
        self.inside
    }

    fn read(&mut self, chunk: &Chunk<'_>, out: &mut Read) -> usize {
        if chunk.gap {
            out.push((AT_ONCE, "~".into()));
        }
        if chunk.bytes.starts_with(b"-") {
            self.inside = false;
            return chunk.bytes.len();
        }
        let mut done = 0;
        while let Some(end) = chunk.bytes[done..].iter().position(|byte| *byte == b'\n') {
            let first = if done < chunk.fresh { chunk.first } else { chunk.fresh_at };
            let line = String::from_utf8_lossy(&chunk.bytes[done..done + end]).into_owned();
            out.push((first.as_nanos() / 1_000_000, line));
            done += end + 1;
        }
        done
    }
}

struct Bench {
    streams: Streams<Lines>,
    out: Read,
}

impl Bench {
    fn new(max: usize) -> Self {
        Self { streams: Streams::new(max), out: Read::new() }
    }

    fn segment(&mut self, port: u16, millis: u64, flags: u8, sequence: u32, payload: &[u8], truncated: bool) {
        let segment = Segment {
            source: SocketAddr::from(([192, 0, 2, 1], port)),
            destination: SocketAddr::from(([192, 0, 2, 2], 5060)),
            sequence,
            flags,
            payload,
            truncated,
        };
        self.streams.segment(&segment, at(millis), &mut self.out);
        assert!(self.streams.len() <= self.streams.max);
    }

    fn send(&mut self, millis: u64, sequence: u32, text: &str) {
        self.segment(1, millis, ACK, sequence, text.as_bytes(), false);
    }

    fn lines(&self) -> Vec<&str> {
        self.out.iter().map(|(_, line)| line.as_str()).collect()
    }
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

#[test]
fn bytes_in_order_are_read_as_they_come_and_the_rest_waits() {
    let mut bench = Bench::new(8);
    bench.send(1, 100, ">a\nb");
    bench.send(2, 104, "c\nd\ne");
    bench.send(3, 109, "\n");
    assert_eq!(bench.out, [(1, ">a".into()), (1, "bc".into()), (2, "d".into()), (2, "e".into())]);
    assert_eq!(bench.streams.kept_bytes(), 0);
}

#[test]
fn sequence_numbers_wrap() {
    let mut bench = Bench::new(8);
    bench.send(1, u32::MAX - 1, ">a\n");
    bench.send(1, 3, "c\n");
    bench.send(1, 1, "b\n");
    bench.send(1, u32::MAX - 1, ">a\n");
    assert_eq!(bench.lines(), [">a", "b", "c"]);
}

#[test]
fn the_first_copy_of_a_byte_stays() {
    let mut bench = Bench::new(8);
    bench.send(1, 0, ">a\n");
    bench.send(1, 7, "345\n");
    bench.send(1, 5, "12XX56");
    bench.send(1, 2, "Y+0ZZ");
    assert_eq!(bench.lines(), [">a", "+012345"]);
    bench.send(1, 9, "Q\nmore\n");
    assert_eq!(bench.lines(), [">a", "+012345", "more"]);
}

#[test]
fn any_order_gives_the_same_lines() {
    let text = ">one\ntwo\nthree\nfour\nfive\n";
    let pieces: Vec<(usize, &str)> = (0..text.len()).map(|at| (at, &text[at..(at + 3).min(text.len())])).collect();
    let mut seed = 1_u64;
    for _ in 0..200 {
        let mut order: Vec<_> = pieces.iter().chain(&pieces[5..9]).collect();
        for last in (1..order.len()).rev() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            order.swap(last, (seed >> 33) as usize % (last + 1));
        }
        let mut bench = Bench::new(8);
        bench.segment(1, 0, SYN, u32::MAX, b"", false);
        for (offset, piece) in order {
            bench.send(1, *offset as u32, piece);
        }
        assert_eq!(bench.lines(), [">one", "two", "three", "four", "five"]);
        assert_eq!(bench.streams.kept_bytes(), 0);
    }
}

#[test]
fn a_stream_is_entered_in_the_middle_where_the_reader_says() {
    let mut bench = Bench::new(8);
    bench.send(1, 50, "tail\n");
    bench.send(1, 55, "other\n");
    bench.send(1, 70, ">a\nb\n");
    assert_eq!(bench.lines(), [">a", "b"]);
}

#[test]
fn after_a_syn_the_first_byte_is_known_even_when_it_comes_second() {
    let mut bench = Bench::new(8);
    bench.segment(1, 0, SYN, 99, b"", false);
    bench.send(2, 102, "b\n");
    bench.send(1, 100, "a\n");
    assert_eq!(bench.lines(), ["a", "b"]);
}

#[test]
fn a_hole_is_skipped_after_two_seconds_or_when_too_much_waits() {
    let mut bench = Bench::new(8);
    bench.send(0, 0, ">a\nhalf");
    bench.send(10, 20, "b\n");
    bench.streams.expire(at(2009), &mut bench.out);
    assert_eq!(bench.lines(), [">a"]);
    bench.streams.expire(at(2010), &mut bench.out);
    assert_eq!(bench.lines(), [">a", "~", "b"]);
    bench.send(2011, 7, "late\n");
    assert_eq!(bench.lines(), [">a", "~", "b"], "what comes behind its time is old");

    let mut bench = Bench::new(8);
    bench.send(0, 0, ">\n");
    for piece in 0..65 {
        assert_eq!(bench.lines(), [">"]);
        bench.send(0, 10 + 4 * piece, "x\n");
    }
    assert_eq!(bench.lines(), [">", "~", "x"]);

    let mut bench = Bench::new(8);
    bench.send(0, 0, ">\n");
    for piece in 0..5 {
        bench.send(0, 10 + piece * 65_000, &"y".repeat(65_000));
        assert!(bench.streams.kept_bytes() <= 2 * 256 * 1024);
    }
    assert_eq!(bench.lines(), [">", "~"]);
}

#[test]
fn what_the_capture_has_cut_is_a_hole_at_once() {
    let mut bench = Bench::new(8);
    bench.segment(1, 0, ACK, 0, b">a\nhal", true);
    bench.send(0, 40, "b\n");
    assert_eq!(bench.lines(), [">a", "~", "b"]);
}

#[test]
fn fin_and_rst_end_a_stream_after_what_is_whole_was_read() {
    for flag in [FIN, RST] {
        let mut bench = Bench::new(8);
        bench.send(0, 0, ">a\nhalf");
        bench.send(0, 20, "b\nhalf");
        bench.segment(1, 0, flag | ACK, 26, b"", false);
        bench.streams.expire(at(2000), &mut bench.out);
        assert_eq!((bench.lines(), bench.streams.kept_bytes()), (vec![">a", "~", "b"], 0));
        bench.send(2001, 0, ">a\n");
        assert_eq!(bench.lines(), [">a", "~", "b"], "a late copy of what was read");
        bench.streams.expire(at(32_000), &mut bench.out);
        assert!(bench.streams.is_empty());
    }
}

#[test]
fn a_reset_far_from_what_is_expected_ends_nothing() {
    let mut bench = Bench::new(8);
    bench.send(0, 0, ">a\nhalf");
    bench.segment(1, 0, RST, 2_000_000_000, b"", false);
    bench.send(2, 7, " b\n");
    assert_eq!(bench.lines(), [">a", "half b"]);
}

#[test]
fn a_fin_waits_for_the_bytes_before_it() {
    let mut bench = Bench::new(8);
    bench.send(0, 0, ">a\n");
    bench.segment(1, 0, FIN | ACK, 5, b"c\n", false);
    bench.send(0, 3, "b\n");
    assert_eq!(bench.lines(), [">a", "b", "c"]);
    bench.segment(1, 0, FIN | ACK, 5, b"c\n", false);
    assert_eq!(bench.lines(), [">a", "b", "c"]);
}

#[test]
fn a_syn_begins_anew_and_a_copy_of_it_does_not() {
    let mut bench = Bench::new(8);
    bench.segment(1, 0, SYN, 9, b"", false);
    bench.send(0, 10, "a\nhalf");
    bench.segment(1, 0, SYN, 9, b"", false);
    bench.send(0, 16, " b\n");
    bench.segment(1, 1, SYN, 5000, b"", false);
    bench.send(1, 5001, "c\n");
    assert_eq!(bench.lines(), ["a", "half b", "c"]);
}

#[test]
fn segments_far_from_the_expected_ones_are_another_connection() {
    let mut bench = Bench::new(8);
    bench.send(0, 0, ">a\nhalf");
    bench.send(0, 2_000_000_000, "tail\n");
    bench.send(0, 2_000_000_005, ">b\n");
    assert_eq!(bench.lines(), [">a", ">b"]);
}

#[test]
fn what_the_reader_leaves_is_not_kept() {
    let mut bench = Bench::new(8);
    bench.segment(1, 0, SYN, 9, b"", false);
    bench.send(0, 10, "-nothing");
    bench.send(0, 100, "for you");
    assert_eq!((bench.lines().len(), bench.streams.kept_bytes()), (0, 0));
    bench.send(0, 107, ">a\n");
    assert_eq!(bench.lines(), [">a"]);
}

#[test]
fn silence_ends_a_stream() {
    let mut bench = Bench::new(8);
    bench.send(0, 0, ">a\nhalf");
    bench.segment(2, 0, SYN, 0, b"", false);
    assert_eq!(bench.streams.len(), 2);
    bench.streams.expire(at(30_000), &mut bench.out);
    assert_eq!(bench.streams.len(), 1);
    bench.streams.expire(at(300_000), &mut bench.out);
    assert_eq!((bench.streams.len(), bench.streams.kept_bytes()), (0, 0));
    assert_eq!(bench.streams.evicted(), 0);
}

#[test]
fn a_full_table_gives_up_the_stream_idle_longest() {
    let mut bench = Bench::new(8);
    for port in 0..10 {
        bench.segment(port, u64::from(port), ACK, 0, b">half", false);
        if port > 0 {
            bench.segment(1, u64::from(port), ACK, u32::from(port - 1) + 5, b".", false);
        }
    }
    assert_eq!((bench.streams.len(), bench.streams.evicted()), (8, 2));
    bench.segment(1, 20, ACK, 14, b"\n", false);
    assert_eq!(bench.lines(), [">half........."], "the one that goes on is still there");
}

#[test]
fn a_flood_of_half_open_connections_pushes_out_only_its_like() {
    let mut bench = Bench::new(80);
    for port in 0..70 {
        bench.segment(port, 0, ACK, 0, b">half", false);
    }
    for port in 1000..60_000 {
        bench.segment(port, 1, SYN, 0, b"", false);
    }
    assert_eq!(bench.streams.len(), 80);
    for port in 0..70 {
        bench.segment(port, 2, ACK, 5, b"\n", false);
    }
    assert_eq!(bench.lines().len(), 70);
}

#[test]
fn churn_and_streams_without_end_stay_within_the_bounds() {
    let mut bench = Bench::new(1000);
    for round in 0..6_000_u32 {
        let port = (round % 2_999) as u16;
        bench.segment(port, u64::from(round), SYN, round, b"", false);
        bench.segment(port, u64::from(round), ACK, round + 1, &[b'x'; 9000], false);
        bench.segment(port, u64::from(round), ACK, round + 50_001, &[b'y'; 60_000], false);
        if round % 3 == 0 {
            bench.segment(port, u64::from(round), FIN, round + 9001, b"", false);
        }
        assert!(bench.streams.kept_bytes() <= MAX_KEPT);
        assert!(bench.streams.slots.len() <= 1000);
    }
    bench.streams.expire(at(400_000), &mut bench.out);
    assert_eq!((bench.streams.len(), bench.streams.kept_bytes()), (0, 0));
}
