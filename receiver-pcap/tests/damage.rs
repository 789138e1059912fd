//! Files that are cut, damaged, no captures, or not there.

mod common;

use std::path::PathBuf;

use common::{Order, Replay, START, ethernet, gzip, message, units};
use pipeline::ReceiverError;
use receiver_pcap::stream::Capture;

const MICROS: u32 = 0xa1b2_c3d4;

/// A small capture of each format, with the place where each of its packets is whole and where its blocks end.
fn captures() -> [(Vec<u8>, Vec<usize>, Vec<usize>); 2] {
    let order = Order::LITTLE;
    let mut pcap = order.pcap(MICROS, 1);
    let (mut packets, mut borders) = (Vec::new(), vec![pcap.len()]);
    for number in 0..3 {
        pcap.extend(order.record(START, 0, &ethernet(&message(number))));
        packets.push(pcap.len());
        borders.push(pcap.len());
    }
    let pcap = (pcap, packets, borders);

    let mut pcapng = order.section();
    let (mut packets, mut borders) = (Vec::new(), vec![pcapng.len()]);
    pcapng.extend(order.interface(1, 0, &[(2, b"eth0")]));
    borders.push(pcapng.len());
    for number in 0..3 {
        let bytes = ethernet(&message(number));
        packets.push(pcapng.len() + 28 + bytes.len());
        pcapng.extend(order.enhanced(0, units(START, 1_000_000), &bytes));
        borders.push(pcapng.len());
    }
    [pcap, (pcapng, packets, borders)]
}

/// How many packets a stream gives, and what was wrong with it in the end. `None` when it is no capture.
fn read(bytes: &[u8]) -> Option<(usize, Option<String>)> {
    let mut capture = Capture::new(std::io::Cursor::new(bytes.to_vec())).ok()?;
    let mut packets = 0;
    while capture.advance().expect("memory can be read") {
        let packet = capture.packet().expect("there is one");
        assert!(packet.bytes.len() <= bytes.len().max(1000));
        packets += 1;
    }
    assert!(!capture.advance().expect("memory can be read"), "the end stays the end");
    Some((packets, capture.damage().map(|damage| damage.to_string())))
}

#[test]
fn a_file_cut_anywhere_gives_every_packet_that_is_whole_and_says_that_it_is_cut() {
    for (file, packets, borders) in captures() {
        for len in 0..=file.len() {
            let Some((read, damage)) = read(&file[..len]) else {
                assert!(len < 4, "{len}");
                continue;
            };
            assert_eq!(read, packets.iter().filter(|&&end| end <= len).count(), "{len}");
            let is_whole = borders.contains(&len);
            let expected = (!is_whole).then_some("the file is cut within a packet or a header");
            assert_eq!(damage.as_deref(), expected, "{len}");
        }
    }
}

#[test]
fn a_compressed_file_cut_anywhere_gives_what_can_be_uncompressed() {
    for (file, packets, _) in captures() {
        let compressed = gzip(&file);
        let mut most = 0;
        for len in 0..compressed.len() {
            let Some((read, damage)) = read(&compressed[..len]) else {
                assert_eq!(most, 0);
                continue;
            };
            assert!(read >= most && damage.is_some(), "{len}");
            most = read;
        }
        assert_eq!(most, packets.len(), "the trailer alone is missing");
    }
}

#[test]
fn any_byte_changed_anywhere_is_survived() {
    for (file, packets, _) in captures() {
        for at in 0..file.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = file.clone();
                damaged[at] ^= flip;
                let packets_read = read(&damaged).map_or(0, |(packets, _)| packets);
                assert!(packets_read <= packets.len());
            }
        }
        let mut compressed = gzip(&file);
        let middle = compressed.len() / 2;
        compressed[middle] ^= 0x10;
        let (_, damage) = read(&compressed).unwrap_or((0, Some(String::new())));
        assert!(damage.is_some());
    }
}

#[test]
fn lengths_that_cannot_be_are_damage() {
    let order = Order::LITTLE;
    let huge = [START as u32, 0, 0x7fff_ffff, 0x7fff_ffff].map(|number| order.u32(number)).concat();
    let mut file = [order.pcap(MICROS, 101), order.record(START, 0, &message(0)), huge].concat();
    file.resize(1_000_000, 0);
    let (packets, damage) = read(&file).expect("a capture");
    assert_eq!(packets, 1);
    assert!(damage.is_some_and(|damage| damage.contains("longer than 256 KiB")));

    let mut wrong_end = order.enhanced(0, 0, &message(1));
    let len = wrong_end.len();
    wrong_end[len - 4] ^= 4;
    let inner = [order.u32(0), order.u32(0), order.u32(0), order.u32(1000), order.u32(1000)].concat();
    let blocks: [(Vec<u8>, &str); 6] = [
        ([order.u32(6), order.u32(8), order.u32(8)].concat(), "a block contradicts itself"),
        ([order.u32(6), order.u32(15), order.u32(15)].concat(), "a block contradicts itself"),
        (order.block(6, &inner), "a block contradicts itself"),
        (order.block(6, &[0; 16]), "a block contradicts itself"),
        (order.enhanced(1, 0, &message(1)), "an interface that is not described"),
        ([wrong_end, order.enhanced(0, 0, &message(2))].concat(), "a block contradicts itself"),
    ];
    for (block, expected) in blocks {
        let first = order.enhanced(0, 0, &message(0));
        let file = [order.section(), order.interface(101, 0, &[]), first, block.clone()].concat();
        let (packets, damage) = read(&file).expect("a capture");
        let damage = damage.expect("it is damaged");
        assert!((1..=2).contains(&packets) && damage.contains(expected), "{packets} {damage}");
    }
}

#[test]
fn a_damaged_file_is_one_line_for_the_operator_and_the_others_are_read() {
    let [(pcap, packets, _), (pcapng, ..)] = captures();
    let replay = Replay::of(&[&pcap[..packets[1] + 20], &pcapng]).expect("they are captures");
    // The same messages at the same time in both, so that copies are dropped.
    assert_eq!((replay.frames.len(), replay.tally.capture_duplicates), (3, 2));
    let [problem] = &replay.problems[..] else { panic!("one line") };
    let expected = "0.cap: the file is cut within a packet or a header; the 2 packets before that are used";
    assert!(problem.ends_with(expected), "{problem}");
}

fn failure(error: Result<Replay, ReceiverError>) -> (String, String) {
    match error {
        Err(ReceiverError::Failed { what, help }) => (what, help),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it cannot be used"),
    }
}

#[test]
fn what_is_no_capture_fails_before_anything_is_read() {
    let [(pcap, ..), _] = captures();
    for content in [&b""[..], b"\x1f\x8b", b"abc", b"INVITE sip:bob@example.com SIP/2.0\r\n", &gzip(b"text")] {
        let (what, help) = failure(Replay::of(&[&pcap, content]));
        assert!(what.ends_with("1.cap: it is neither pcap nor pcapng"), "{what}");
        assert!(help.contains("editcap"), "{help}");
    }
}

#[test]
fn what_cannot_be_opened_is_named_with_its_cure() {
    let (what, help) = failure(Replay::files(&[PathBuf::from("/nonexistent/x.pcap")]));
    assert!(what.starts_with("/nonexistent/x.pcap: No such file"), "{what}");
    assert!(help.contains("name"), "{help}");
    let (what, _) = failure(Replay::files(&[std::env::temp_dir()]));
    assert!(what.contains("directory"), "{what}");
    let (what, _) = failure(Replay::files(&[]));
    assert_eq!(what, "no capture file is named");
}
