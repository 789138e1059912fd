//! A ladder as a capture file: classic pcap with nanoseconds, link type Ethernet, or Linux "cooked" as one host saw it. And
//! frames out of such a file again.

use std::net::IpAddr;
use std::time::Duration;

use crate::format::{MICROSECONDS, NANOSECONDS, Order};
use crate::{Step, frame};

const LINK_ETHERNET: u32 = 1;
const LINK_LINUX_COOKED: u32 = 113;
const PACKET_HOST: u16 = 0;
const PACKET_OUTGOING: u16 = 4;

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

/// What a host saw of a ladder: the packets it sent and those it received, "cooked" (LINKTYPE_LINUX_SLL), which tells them
/// apart.
///
/// # Panics
/// As [`write()`].
pub fn seen_on(host: IpAddr, steps: &[Step], epoch: Duration) -> Vec<u8> {
    let mut file = Order::LITTLE.pcap(NANOSECONDS, LINK_LINUX_COOKED);
    for (step, identification) in steps.iter().zip((1..=u16::MAX).cycle()) {
        let kind = match host {
            _ if host == step.source.ip() => PACKET_OUTGOING,
            _ if host == step.destination.ip() => PACKET_HOST,
            _ => continue,
        };
        let at = epoch + step.at;
        let packet = frame::cooked(kind, &frame::datagram(step, identification));
        file.extend(Order::LITTLE.record(at.as_secs(), at.subsec_nanos(), &packet));
    }
    file
}

/// The frames of a classic pcap file, little endian and with microseconds, each with its time since 1970-01-01, as far as
/// they are whole; `None` for any other file, or one that does not hold Ethernet.
pub fn read(file: &[u8]) -> Option<Vec<(Duration, Vec<u8>)>> {
    let number = |at: usize| Some(u32::from_le_bytes(*file.get(at..)?.first_chunk()?));
    if (number(0)?, number(20)?) != (MICROSECONDS, LINK_ETHERNET) {
        return None;
    }
    let mut at = FILE_HEADER;
    let frames = std::iter::from_fn(|| {
        let time = Duration::from_secs(number(at)?.into()) + Duration::from_micros(number(at + 4)?.into());
        let start = at + RECORD_HEADER;
        let frame = file.get(start..start + number(at + 8)? as usize)?;
        at = start + frame.len();
        Some((time, frame.to_vec()))
    });
    Some(frames.collect())
}

const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
