//! A ladder as a capture file: classic pcap with nanoseconds, link type Ethernet.

use std::time::Duration;

use crate::format::{NANOSECONDS, Order};
use crate::{Step, frame};

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
    Order::LITTLE.pcap(NANOSECONDS, LINK_ETHERNET)
}

/// Appends a step as the next packet, with this IP identification; see [`write()`].
///
/// # Panics
/// As [`write()`].
pub fn push(file: &mut Vec<u8>, step: &Step, identification: u16, epoch: Duration) {
    let frame = frame::ethernet(&frame::datagram(step, identification));
    let at = epoch + step.at;
    file.extend(Order::LITTLE.record(at.as_secs(), at.subsec_nanos(), &frame));
}
