//! Every form in which a capture may come, each made by hand.

mod common;

use common::{Order, Replay, START, datagram, ethernet, gzip, message, units};
use wire::Timestamp;

fn at(seconds: u64, nanos: u64) -> Timestamp {
    Timestamp::from_nanos((START + seconds) * 1_000_000_000 + nanos)
}

/// The times of the frames of one capture, all of whose messages are expected in order.
#[track_caller]
fn times(capture: &[u8]) -> Vec<Timestamp> {
    let replay = Replay::of(&[capture]).expect("it is a capture");
    assert_eq!(replay.problems, [""; 0]);
    assert_eq!(replay.numbers, (0..u32::try_from(replay.frames.len()).expect("few")).collect::<Vec<_>>());
    replay.frames.iter().map(|frame| frame.at).collect()
}

const MICROS: u32 = 0xa1b2_c3d4;
const NANOS: u32 = 0xa1b2_3c4d;

#[test]
fn classic_files_of_both_byte_orders_and_resolutions() {
    for order in Order::BOTH {
        for (magic, unit) in [(MICROS, 1000), (NANOS, 1)] {
            let packet = |number| ethernet(&message(number));
            let file = [
                order.pcap(magic, 1),
                order.record(START, 7, &packet(0)),
                order.record(START + 1, 999_999, &packet(1)),
            ];
            assert_eq!(times(&file.concat()), [at(0, 7 * unit), at(1, 999_999 * unit)], "{order:?}");
        }
    }
}

#[test]
fn pcapng_of_both_byte_orders_and_every_resolution() {
    let resolutions: [(&[u8], u64); 7] = [
        (&[], 1_000_000),
        (&[6], 1_000_000),
        (&[9], 1_000_000_000),
        (&[0], 1),
        (&[3], 1000),
        (&[0x80 | 10], 1024),
        (&[12], 1),
    ];
    for order in Order::BOTH {
        for (option, per_second) in resolutions {
            let options: &[(u16, &[u8])] = if option.is_empty() { &[] } else { &[(2, b"eth0"), (9, option)] };
            // Picoseconds of our time do not fit into 64 bits, so theirs begin in 1970.
            let is_pico = option == [12];
            let (units, expected) = match is_pico {
                true => (5_000_000_000_000, Timestamp::from_nanos(5_000_000_000)),
                false => (units(START + 1, per_second), at(1, 0)),
            };
            let file = [
                order.section(),
                order.interface(1, 0, options),
                order.enhanced(0, units, &ethernet(&message(0))),
                order.enhanced(0, units, &ethernet(&message(1))),
            ];
            assert_eq!(times(&file.concat()), [expected; 2], "{order:?} {option:?}");
        }
    }
}

#[test]
fn pcapng_times_may_be_offset() {
    for (offset, expected) in [(3_i64, at(4, 0)), (-1, at(0, 0))] {
        let order = Order { big: true };
        let file = [
            order.section(),
            order.interface(1, 0, &[(14, &order.i64(offset))]),
            order.enhanced(0, units(START + 1, 1_000_000), &ethernet(&message(0))),
        ];
        assert_eq!(times(&file.concat()), [expected]);
    }
}

#[test]
fn pcapng_with_several_interfaces_and_sections() {
    let (little, big) = (Order::LITTLE, Order { big: true });
    let file = [
        little.section(),
        little.interface(1, 0, &[]),
        little.interface(101, 0, &[(9, &[9])]),
        // A block nobody knows, longer than the reader's buffer.
        little.block(0x0bad_cafe, &vec![0; 2_000_000]),
        little.enhanced(0, units(START, 1_000_000), &ethernet(&message(0))),
        little.enhanced(1, units(START + 1, 1_000_000_000), &message(1)),
        big.section(),
        big.interface(228, 0, &[]),
        big.enhanced(0, units(START + 2, 1_000_000), &message(2)),
    ];
    assert_eq!(times(&file.concat()), [at(0, 0), at(1, 0), at(2, 0)]);
}

#[test]
fn pcapng_simple_and_obsolete_packets() {
    for order in Order::BOTH {
        let bytes = message(1);
        let len = u32::try_from(bytes.len()).expect("short");
        let units = units(START + 1, 1_000_000);
        let numbers = [(units >> 32) as u32, units as u32, len, len].map(|number| order.u32(number)).concat();
        let file = [
            order.section(),
            order.interface(101, 0, &[]),
            order.enhanced(0, common::units(START, 1_000_000), &message(0)),
            // Interface 0, three packets dropped before it.
            order.block(2, &[&order.u16(0)[..], &order.u16(3), &numbers, &bytes].concat()),
            // Without a time: that of the packet before it.
            order.block(3, &[&order.u32(u32::try_from(message(2).len()).expect("short"))[..], &message(2)].concat()),
        ];
        assert_eq!(times(&file.concat()), [at(0, 0), at(1, 0), at(1, 0)]);
    }
}

#[test]
fn every_link_type_that_is_read() {
    let bytes = message(0);
    let behind = |header: &[u8]| [header, &bytes].concat();
    let cooked = [&[0; 14][..], &[8, 0]].concat();
    let cooked2 = [&[8, 0][..], &[0; 18]].concat();
    let packets = [
        (0, behind(&[2, 0, 0, 0])),
        (0, behind(&[0, 0, 0, 2])),
        (1, ethernet(&bytes)),
        (12, bytes.clone()),
        (14, bytes.clone()),
        (101, bytes.clone()),
        (108, behind(&[0, 0, 0, 2])),
        (113, behind(&cooked)),
        (228, bytes.clone()),
        (276, behind(&cooked2)),
        // With a frame check sequence announced in the upper bits.
        (0x5400_0001, ethernet(&bytes)),
    ];
    for (link_type, packet) in packets {
        let file = [Order::LITTLE.pcap(MICROS, link_type), Order::LITTLE.record(START, 0, &packet)].concat();
        assert_eq!(times(&file), [at(0, 0)], "{link_type}");
    }
}

#[test]
fn other_link_types_are_named_once_and_move_the_clock() {
    let order = Order::LITTLE;
    let file = [
        order.section(),
        order.interface(1, 0, &[]),
        order.interface(127, 0, &[]),
        order.interface(105, 0, &[]),
        order.enhanced(0, units(START, 1_000_000), &ethernet(&message(0))),
        order.enhanced(1, units(START + 1, 1_000_000), &message(9)),
        order.enhanced(1, units(START + 2, 1_000_000), &message(9)),
        order.enhanced(2, units(START + 3, 1_000_000), &message(9)),
    ];
    let replay = Replay::of(&[&file.concat()]).expect("it is a capture");
    assert_eq!((&replay.numbers[..], replay.now), (&[0][..], at(3, 0)));
    let [problem] = &replay.problems[..] else { panic!("one line") };
    assert!(
        problem.contains("0.cap: 3 packets are passed over, for link type 105 (1) 127 (2) is not read"),
        "{problem}"
    );
}

#[test]
fn gzip_of_either_format_and_of_several_members() {
    let order = Order::LITTLE;
    let pcap =
        [order.pcap(MICROS, 101), order.record(START, 0, &message(0)), order.record(START, 0, &message(1))].concat();
    let pcapng =
        [order.section(), order.interface(101, 0, &[]), order.enhanced(0, units(START, 1_000_000), &message(0))]
            .concat();
    assert_eq!(times(&gzip(&pcap)).len(), 2);
    assert_eq!(times(&gzip(&pcapng)).len(), 1);
    let members = [gzip(&pcap[..100]), gzip(&pcap[100..])].concat();
    assert_eq!(times(&members).len(), 2);
    let replay = Replay::of(&[&members]).expect("it is a capture");
    assert_eq!(replay.report.progress().read, members.len() as u64);
}

#[test]
fn a_packet_the_capture_cut_is_a_truncated_frame() {
    let order = Order::LITTLE;
    let whole = message(0);
    let numbers =
        [START as u32, 0, whole.len() as u32 - 1, whole.len() as u32].map(|number| order.u32(number)).concat();
    let pcap = [&order.pcap(MICROS, 101)[..], &numbers, &whole[..whole.len() - 1]].concat();
    // A simple packet has no length of its own: the interface's snap length cuts it.
    let snap_len = whole.len() as u32 - 2;
    let simple = order.block(3, &[&order.u32(whole.len() as u32)[..], &whole[..whole.len() - 2]].concat());
    let pcapng = [order.section(), order.interface(101, snap_len, &[]), simple].concat();
    for (file, missing) in [(pcap, 1), (pcapng, 2)] {
        let replay = Replay::of(&[&file]).expect("it is a capture");
        let [frame] = &replay.frames[..] else { panic!("one frame") };
        assert!(frame.is_cut());
        assert_eq!(frame.range.len(), whole.len() - 28 - missing);
    }
}

#[test]
fn files_are_merged_by_time_whatever_their_order_and_format() {
    let order = Order::LITTLE;
    let record = |second: u64, number| order.record(START + second, 0, &message(number));
    let late = [order.pcap(MICROS, 101), record(20, 5), record(21, 6)].concat();
    let odd = [order.pcap(MICROS, 101), record(1, 1), record(3, 3), record(10, 4)].concat();
    let even = [
        order.section(),
        order.interface(101, 0, &[]),
        order.enhanced(0, units(START, 1_000_000), &message(0)),
        order.enhanced(0, units(START + 2, 1_000_000), &message(2)),
        order.enhanced(0, units(START + 30, 1_000_000), &message(7)),
    ];
    let empty = order.pcap(MICROS, 101);
    let replay = Replay::of(&[&late, &odd, &gzip(&even.concat()), &empty]).expect("they are captures");
    assert_eq!(replay.numbers, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!((replay.problems.len(), replay.tally.clock_steps), (0, 0));
    let progress = replay.report.progress();
    assert_eq!(Some(progress.read), progress.total);
}

#[test]
fn slight_disorder_in_a_file_is_no_step_of_the_clock() {
    let order = Order::LITTLE;
    let record = |micros, number| order.record(START, micros, &message(number));
    let disordered = [order.pcap(MICROS, 101), record(500, 1), record(400, 2), record(900, 4)].concat();
    let other = [order.pcap(MICROS, 101), record(450, 0), record(800, 3)].concat();
    let replay = Replay::of(&[&disordered, &other]).expect("they are captures");
    assert_eq!((&replay.numbers[..], replay.tally.clock_steps), (&[0, 1, 2, 3, 4][..], 0));
    assert!(replay.frames.is_sorted_by_key(|frame| frame.at));
}

#[test]
fn copies_from_two_captures_of_the_same_wire_are_dropped() {
    let order = Order::LITTLE;
    let file = [order.pcap(MICROS, 101), order.record(START, 0, &message(0))].concat();
    let replay = Replay::of(&[&file, &file]).expect("they are captures");
    assert_eq!((replay.frames.len(), replay.tally.capture_duplicates), (1, 1));
}

#[test]
fn more_than_a_batch_arrives_whole_and_in_order() {
    let order = Order::LITTLE;
    let mut file = order.pcap(MICROS, 101);
    for number in 0..10_000 {
        file.extend(order.record(START, number, &message(number)));
        file.extend(order.record(START, number, &datagram(4000, b"\x80rtp")));
    }
    assert_eq!(times(&file).len(), 10_000);
}

#[test]
fn packets_of_several_interfaces_come_in_order_of_time() {
    let order = Order::LITTLE;
    let head = [order.section(), order.interface(1, 0, &[]), order.interface(1, 0, &[])].concat();
    let at = |milliseconds: u64, interface: u32, number: u32| {
        order.enhanced(interface, START * 1_000_000 + milliseconds * 1000, &ethernet(&message(number)))
    };
    // Each interface is emptied now and then: the second one's packets are older than those before them.
    let packets = [at(0, 0, 0), at(1000, 0, 2), at(1900, 0, 4), at(500, 1, 1), at(1500, 1, 3), at(2500, 1, 5)];
    let replay = Replay::of(&[&[&head[..], &packets.concat()].concat()]).expect("it is read");
    assert_eq!((replay.numbers, replay.problems.len()), ((0..6).collect(), 0));
    // One that is later than the window is read all the same, and said.
    let late = [at(0, 0, 0), at(4000, 0, 1), at(9000, 0, 2), at(1000, 1, 3)].concat();
    let replay = Replay::of(&[&[&head[..], &late].concat()]).expect("it is read");
    assert_eq!(replay.numbers.len(), 4);
    assert!(replay.problems[0].contains("1 packet stands more than 2 s behind younger ones"), "{:?}", replay.problems);
    // Of one interface nothing is moved: its stamps are those of the capture.
    let one = [&head[..], &at(1000, 0, 0), &at(0, 0, 1)].concat();
    let first = [order.section(), order.interface(1, 0, &[])].concat();
    let one = [&first[..], &one[head.len()..]].concat();
    assert_eq!(Replay::of(&[&one]).expect("it is read").numbers, [0, 1]);
}

#[test]
fn a_file_whose_first_packet_is_not_its_oldest_is_opened_in_time() {
    let order = Order::LITTLE;
    let head = [order.section(), order.interface(1, 0, &[]), order.interface(1, 0, &[])].concat();
    let at = |milliseconds: u64, interface: u32, number: u32| {
        order.enhanced(interface, START * 1_000_000 + milliseconds * 1000, &ethernet(&message(number)))
    };
    let several = [&head[..], &at(1900, 0, 2), &at(100, 1, 0)].concat();
    let other = [&head[..], &at(1000, 0, 1), &at(2500, 0, 3)].concat();
    assert_eq!(Replay::of(&[&several, &other]).expect("both are read").numbers, [0, 1, 2, 3]);
}

#[test]
fn zstd_is_read_and_its_damage_is_said() {
    let order = Order::LITTLE;
    let records = (0..4).flat_map(|number| order.record(START + u64::from(number), 0, &ethernet(&message(number))));
    let whole: Vec<u8> = order.pcap(0xa1b2_c3d4, 1).into_iter().chain(records).collect();
    let compressed = zstd::encode_all(&whole[..], 3).expect("memory takes it");
    // Several frames, one behind the other, are one stream.
    let frames =
        [zstd::encode_all(&whole[..100], 3), zstd::encode_all(&whole[100..], 3)].map(|frame| frame.expect("it does"));
    for bytes in [&compressed, &frames.concat()] {
        assert_eq!(Replay::of(&[bytes]).expect("it is read").numbers, [0, 1, 2, 3]);
    }
    // What was compressed before the damage is read.
    let frames = frames.concat();
    let mut wrong = frames.clone();
    let end = wrong.len() - 6;
    wrong[end] ^= 0x5a;
    for bytes in [&frames[..frames.len() - 10], &wrong] {
        let damaged = Replay::of(&[bytes]).expect("what is whole is read");
        assert!(damaged.problems[0].contains("the compressed data is cut or damaged"), "{:?}", damaged.problems);
    }
}

#[test]
fn what_stands_before_a_packet_is_taken_off() {
    let order = Order::LITTLE;
    let of = |link_type: u32, header: &[u8], packet: &[u8]| {
        [order.pcap(0xa1b2_c3d4, link_type), order.record(START, 0, &[header, packet].concat())].concat()
    };
    let erf = [[0; 8].to_vec(), vec![2, 4, 0, 40, 0, 0, 0, 22, 0, 0]].concat();
    let mut pktap = vec![0; 108];
    (pktap[0], pktap[4], pktap[8]) = (108, 1, 1);
    for (link_type, header, packet) in [
        (9, vec![0xff, 0x03, 0x00, 0x21], message(7)),
        (50, vec![0x0f, 0x00, 0x08, 0x00], message(7)),
        (197, erf, ethernet(&message(7))),
        (
            239,
            [vec![2, 0, 0, 5], ((message(7).len() + 4) as u16).to_le_bytes().to_vec(), vec![9, 0]].concat(),
            message(7),
        ),
        (258, pktap, ethernet(&message(7))),
    ] {
        let replay = Replay::of(&[&of(link_type, &header, &packet)]).expect("it is read");
        assert_eq!((replay.numbers, replay.problems), (vec![7], Vec::new()), "link type {link_type}");
    }
}
