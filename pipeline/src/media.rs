//! Media: packets of RTP as far as they are looked at, reports of RTCP whole, and what a processor of media is told of
//! calls ([`Note`]). None of it exists unless such a processor is in the pipeline.

mod facts;
mod notes;
mod ports;

pub use facts::{Fault, Heard, Interval, MediaError, MediaFact, MediaTable, Part, Party, Sample, Toward, VqMeasure};
pub use notes::{MessageNote, Note, NoteKind, ReportNote};
pub use ports::{MediaFilter, MediaPorts, WORDS, address_bit};

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use wire::{Tap, Timestamp};

/// An address and port in 18 bytes: IPv4 stands as IPv4-mapped IPv6 (RFC 4291 §2.5.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Address {
    /// The address, in network byte order.
    pub ip: [u8; 16],
    /// The port.
    pub port: u16,
}

impl Address {
    /// The same host, another port.
    pub fn with_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// The address as everybody else has it.
    pub fn socket(self) -> SocketAddr {
        SocketAddr::new(IpAddr::V6(Ipv6Addr::from(self.ip)).to_canonical(), self.port)
    }
}

/// Two numbers: as slices of bytes their lengths would be hashed, too.
impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_ne_bytes(self.ip));
        state.write_u16(self.port);
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        // As one number: put together byte by byte this was half of what a packet of media cost.
        let ip = match address.ip() {
            IpAddr::V4(ip) => 0xffff << 32 | u128::from(ip.to_bits()),
            IpAddr::V6(ip) => ip.to_bits(),
        };
        Self { ip: ip.to_be_bytes(), port: address.port() }
    }
}

/// One packet of RTP: all of it that is ever looked at, in 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaPacket {
    /// When it was captured; never decreases from packet to packet.
    pub at: Timestamp,
    /// Sender.
    pub source: Address,
    /// Recipient.
    pub destination: Address,
    /// The first bytes of the datagram.
    pub header: [u8; 12],
    /// How long the datagram is, header included.
    pub len: u16,
    /// Identification of its IPv4 packet; 0 where there is none.
    pub identification: u16,
    /// Where it was seen: see [`seen_at`].
    pub seen_at: u32,
}

const _: () = assert!(size_of::<MediaPacket>() == 64);

/// Interface, VLAN and direction as one number: a packet seen at another is a copy.
pub fn seen_at(interface: u32, vlan: u16, tap: Tap) -> u32 {
    (interface << 1 | u32::from(tap == Tap::Sender)).rotate_left(13) ^ u32::from(vlan)
}

/// One datagram of RTCP, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtcpPacket {
    /// Its bytes in [`crate::FrameBatch::bytes`].
    pub range: Range<usize>,
    /// When it was captured; never decreases from packet to packet.
    pub at: Timestamp,
    /// Sender.
    pub source: Address,
    /// Recipient.
    pub destination: Address,
    /// Identification of its IPv4 packet; 0 where there is none.
    pub identification: u16,
    /// Where it was seen: see [`seen_at`].
    pub seen_at: u32,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_as_they_were() {
        for text in ["192.0.2.1:5004", "[2001:db8::1]:5004"] {
            let socket: SocketAddr = text.parse().expect("an address");
            assert_eq!(Address::from(socket).socket(), socket);
            assert_eq!(Address::from(socket).to_string(), text);
        }
        let address = Address::from("192.0.2.1:5004".parse::<SocketAddr>().expect("an address"));
        assert_eq!(address.with_port(7).to_string(), "192.0.2.1:7");
    }

    #[test]
    fn places_where_packets_are_seen_differ_by_interface_network_and_direction() {
        let places = [(1, 0, false), (1, 0, true), (2, 0, false), (1, 7, false), (1, 7, true)];
        let numbers: std::collections::BTreeSet<u32> =
            places.map(|(i, vlan, out)| seen_at(i, vlan, if out { Tap::Sender } else { Tap::Recipient })).into();
        assert_eq!(numbers.len(), places.len());
    }
}
