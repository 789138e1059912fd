//! A ladder as a capture file: classic pcap with nanoseconds, link type Ethernet.

use std::time::Duration;

use crate::{Step, frame};

const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
const VERSION: (u16, u16) = (2, 4);
const SNAPLEN: u32 = 262_144;
const LINK_ETHERNET: u32 = 1;

/// The file, little endian; a step at zero is stamped `epoch` (since 1970-01-01).
///
/// # Panics
/// When a step's addresses are of different families or it exceeds an IP packet.
pub fn write(steps: &[Step], epoch: Duration) -> Vec<u8> {
    let mut file = header();
    for (step, identification) in steps.iter().zip((1..=u16::MAX).cycle()) {
        push(&mut file, step, identification, epoch);
    }
    file
}

/// What a file begins with.
pub fn header() -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(MAGIC_NANOSECONDS.to_le_bytes());
    file.extend(VERSION.0.to_le_bytes());
    file.extend(VERSION.1.to_le_bytes());
    file.extend([0; 8]);
    file.extend(SNAPLEN.to_le_bytes());
    file.extend(LINK_ETHERNET.to_le_bytes());
    file
}

/// Appends a step as the next packet, with this IP identification; see [`write()`].
///
/// # Panics
/// As [`write()`].
pub fn push(file: &mut Vec<u8>, step: &Step, identification: u16, epoch: Duration) {
    let frame = frame::ethernet(&frame::datagram(step, identification));
    let at = epoch + step.at;
    let length = u32::try_from(frame.len()).expect("a frame holds one IP packet");
    let seconds = u32::try_from(at.as_secs()).expect("classic pcap ends in 2106");
    for value in [seconds, at.subsec_nanos(), length, length] {
        file.extend(value.to_le_bytes());
    }
    file.extend(frame);
}
