//! Changing a packet: one address and port, and the checksums with them (RFC 1624).

use std::net::{IpAddr, SocketAddr};

use super::packet::IP;

/// Which end of a packet is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// Where it comes from.
    Source,
    /// Where it goes.
    Destination,
}

/// Changes an end of a datagram with its header of UDP at `udp`. A checksum of 0 says that there is none, and stays.
pub fn endpoint(frame: &mut [u8], udp: usize, end: End, old: SocketAddr, new: SocketAddr) {
    address(frame, end, old.ip(), new.ip());
    let port = udp + if end == End::Source { 0 } else { 2 };
    frame[port..port + 2].copy_from_slice(&new.port().to_be_bytes());
    let sum = &mut frame[udp + 6..udp + 8];
    if *sum != [0, 0] {
        let mut changes = Changes::default();
        changes.address(old.ip(), new.ip());
        changes.word(old.port(), new.port());
        let changed = changes.apply(u16::from_be_bytes([sum[0], sum[1]]));
        // 0 would say that there is none (RFC 768).
        let changed = if changed == 0 { u16::MAX } else { changed };
        sum.copy_from_slice(&changed.to_be_bytes());
    }
}

/// Changes an end of a fragment that has no header of UDP.
pub fn address(frame: &mut [u8], end: End, old: IpAddr, new: IpAddr) {
    let is_source = end == End::Source;
    match new {
        IpAddr::V4(new) => {
            let at = IP + if is_source { 12 } else { 16 };
            frame[at..at + 4].copy_from_slice(&new.octets());
            let mut changes = Changes::default();
            changes.address(old, new.into());
            header_checksum(frame, &changes);
        }
        IpAddr::V6(new) => {
            let at = IP + if is_source { 8 } else { 24 };
            frame[at..at + 16].copy_from_slice(&new.octets());
        }
    }
}

/// Takes one from TTL or hop limit, as every router does (RFC 1812 §5.3.1, RFC 8200 §3).
pub fn hop(frame: &mut [u8], is_v4: bool) {
    if is_v4 {
        let word = |frame: &[u8]| u16::from_be_bytes([frame[IP + 8], frame[IP + 9]]);
        let old = word(frame);
        frame[IP + 8] -= 1;
        let mut changes = Changes::default();
        changes.word(old, word(frame));
        header_checksum(frame, &changes);
    } else {
        frame[IP + 7] -= 1;
    }
}

/// Sets the DSCP of a packet and leaves ECN as it is (RFC 2474 §3, RFC 3168 §5).
pub fn dscp(frame: &mut [u8], is_v4: bool, dscp: u8) {
    if is_v4 {
        let old = u16::from_be_bytes([frame[IP], frame[IP + 1]]);
        frame[IP + 1] = frame[IP + 1] & 3 | dscp << 2;
        let mut changes = Changes::default();
        changes.word(old, u16::from_be_bytes([frame[IP], frame[IP + 1]]));
        header_checksum(frame, &changes);
    } else {
        // The six bits begin in the middle of the first byte.
        frame[IP] = frame[IP] & 0xf0 | dscp >> 2;
        frame[IP + 1] = frame[IP + 1] & 0x3f | dscp << 6;
    }
}

fn header_checksum(frame: &mut [u8], changes: &Changes) {
    let sum = &mut frame[IP + 10..IP + 12];
    let changed = changes.apply(u16::from_be_bytes([sum[0], sum[1]]));
    sum.copy_from_slice(&changed.to_be_bytes());
}

/// Words that are to be taken out of a checksum and into it.
#[derive(Default)]
struct Changes(u32);

impl Changes {
    fn word(&mut self, old: u16, new: u16) {
        self.0 += u32::from(!old) + u32::from(new);
    }

    fn address(&mut self, old: IpAddr, new: IpAddr) {
        let words = |address: IpAddr| match address {
            IpAddr::V4(address) => {
                [0, 2].map(|at| u16::from_be_bytes([address.octets()[at], address.octets()[at + 1]])).to_vec()
            }
            IpAddr::V6(address) => address.segments().to_vec(),
        };
        words(old).into_iter().zip(words(new)).for_each(|(old, new)| self.word(old, new));
    }

    /// RFC 1624 §3, equation 3.
    fn apply(&self, sum: u16) -> u16 {
        let mut sum = self.0 + u32::from(!sum);
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }
}
