//! The kernel program and user space read packets alike: whatever a captured frame becomes by chance, a message that
//! user space would find in it is one the kernel program keeps.

use std::fs;
use std::path::Path;

use aya::programs::{TestRun, TestRunOptions};
use wire::{Decoded, Decoder, Link, Packet, Tap, Timestamp};

use super::*;

const SIP: [u16; 2] = [5060, 5061];

/// Frames that are tried.
const FRAMES: usize = 150_000;

/// Numbers by chance, the same in every run (xorshift64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// Frames of all captures of our own that are Ethernet.
fn frames() -> Vec<Vec<u8>> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/captures"));
    let mut paths: Vec<_> =
        fs::read_dir(folder).expect("our own captures").map(|entry| entry.expect("one").path()).collect();
    paths.sort();
    let read = |path| ladder::pcap::read(&fs::read(path).expect("readable")).unwrap_or_default();
    let frames = paths.iter().flat_map(read).map(|(_, frame)| frame);
    // The kernel takes no shorter one.
    frames.filter(|frame| frame.len() > 14).collect()
}

/// A frame with a few bytes changed, put in, taken out or cut off, most of them among its headers.
fn changed(frame: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut frame = frame.to_vec();
    for _ in 0..chance.below(4) {
        let headers = frame.len().min(120);
        let at = 12 + chance.below(headers - 12);
        match chance.below(8) {
            0 => frame.truncate(15.max(at)),
            1 => frame.insert(at, chance.below(256) as u8),
            2 => _ = frame.remove(at),
            3 => frame[at] ^= 1 << chance.below(8),
            // Numbers that mean something somewhere.
            4 => frame[at] = [0, 1, 4, 6, 17, 41, 47, 50, 0x45, 0x60, 0x81, 0x88, 0xff][chance.below(13)],
            _ => frame[at] = chance.below(256) as u8,
        }
        frame.resize(frame.len().max(15), 0);
    }
    frame
}

/// What user space makes of a frame by itself: whether it has a message, or a piece of a stream of them.
fn is_wanted(frame: &[u8]) -> bool {
    let mut decoder = Decoder::default();
    let packet = Packet {
        bytes: frame,
        original_len: frame.len() as u32,
        link: Link::Ethernet,
        at: Timestamp::from_nanos(1),
        interface: 1,
        tap: Tap::Between,
    };
    let is_sip = |source: std::net::SocketAddr, destination: std::net::SocketAddr| {
        SIP.contains(&source.port()) || SIP.contains(&destination.port())
    };
    match decoder.decode(&packet) {
        Decoded::Datagram(datagram) => is_sip(datagram.source, datagram.destination),
        // A test run leaves the Ethernet header out of the packet's length, by which a bare acknowledgement is told.
        Decoded::Segment(segment) => segment.payload.len() > 14 && is_sip(segment.source, segment.destination),
        Decoded::Held | Decoded::Skipped(_) => false,
    }
}

#[test]
fn a_message_that_user_space_would_find_is_kept() {
    let test = "a_message_that_user_space_would_find_is_kept";
    let mut program = match Program::load(false) {
        Ok(program) => program,
        Err(error) => return testnet::skipped(test, &error.to_string()),
    };
    program.set_ports(&Config::default()).expect("a map of our own");
    program.set_transports(&[Transport::Udp, Transport::Tcp]).expect("a map of our own");
    program.capture_every_interface(true).expect("a map of our own");
    let filter = filter(&mut program.ebpf).expect("it is loaded");
    let frames = frames();
    assert!(frames.len() > 1000, "{} frames", frames.len());
    let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
    let (mut wanted, mut kept, mut refused) = (0, 0, 0);
    for number in 0..FRAMES {
        let frame = changed(&frames[chance.below(frames.len())], &mut chance);
        let options = TestRunOptions { data_in: Some(&frame), ..TestRunOptions::new() };
        let verdict = match filter.test_run(options) {
            Ok(result) => result.return_value,
            // It tries no frame that is too short for the IP header it announces.
            Err(_) if number > 0 => {
                refused += 1;
                continue;
            }
            Err(error) => return testnet::skipped(test, &error.to_string()),
        };
        let is_wanted = is_wanted(&frame);
        assert!(!is_wanted || verdict != 0, "frame {number} is refused: {frame:02x?}");
        wanted += usize::from(is_wanted);
        kept += usize::from(verdict != 0);
    }
    // Enough of either; kept are fragments too, and what only a length gives away.
    let numbers = format!("{wanted} wanted, {kept} kept, {refused} not tried");
    assert!(wanted > FRAMES / 4 && kept < FRAMES * 3 / 4 && refused < FRAMES / 10, "{numbers}");
}
