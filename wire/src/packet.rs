//! Packets: link-layer bytes with a capture time, as the kernel or a file gave them.

use crate::link;
use crate::time::Timestamp;

/// What one capture record holds.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// When it was captured.
    pub at: Timestamp,
    /// What `bytes` begin with.
    pub link: Link,
    /// Which interface it was seen on, as the receiver numbers them. Decoding ignores it.
    pub interface: u32,
    /// What the capture kept.
    pub bytes: &'a [u8],
    /// Length on the wire; larger than `bytes` when the capture cut the packet.
    pub original_len: u32,
    /// The host that captured it sent it. Decoding ignores it.
    pub outgoing: bool,
}

impl Packet<'_> {
    /// Whether the capture kept less than there was.
    pub const fn is_cut(&self) -> bool {
        self.bytes.len() < self.original_len as usize
    }

    /// The outermost VLAN tag (802.1Q, 802.1ad) that the capture shows, priority and all; 0 where there is none. Decoding
    /// ignores it.
    pub fn vlan(&self) -> u16 {
        let (ethertype, bytes) = match (self.link, self.bytes) {
            (Link::Ethernet, [_, _, _, _, _, _, _, _, _, _, _, _, high, low, rest @ ..]) => {
                (u16::from_be_bytes([*high, *low]), rest)
            }
            (Link::Network { ethertype }, bytes) => (ethertype, bytes),
            _ => return 0,
        };
        match bytes {
            [high, low, ..] if link::VLAN_TAGS.contains(&ethertype) => u16::from_be_bytes([*high, *low]),
            _ => 0,
        }
    }
}

/// Link layer of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    /// Ethernet II.
    Ethernet,
    /// IPv4 or IPv6, told by the version nibble.
    RawIp,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
    /// Linux "cooked" capture, version 1: 16 bytes before the payload.
    LinuxCooked,
    /// Linux "cooked" capture, version 2: 20 bytes before the payload.
    LinuxCooked2,
    /// BSD loopback: a 4-byte address family in the byte order of the capturing host.
    Null,
    /// OpenBSD loopback: a 4-byte address family in network byte order.
    Loop,
    /// No link layer: bytes begin at the network header, and something else (AF_PACKET) told what it is.
    Network {
        /// EtherType of `bytes`, VLAN tags and MPLS included.
        ethertype: u16,
    },
}

impl Link {
    /// Whether the link layer itself says that the host that captured `bytes` sent them: Linux "cooked" captures do,
    /// others do not. A loopback interface shows everything as sent and as received, so there it says nothing.
    pub fn is_outgoing(self, bytes: &[u8]) -> bool {
        match (self, bytes) {
            (Self::LinuxCooked, [0, kind, hardware @ ..]) => *kind == OUTGOING && !hardware.starts_with(&LOOPBACK),
            (Self::LinuxCooked2, [_, _, _, _, _, _, _, _, a, b, kind, ..]) => *kind == OUTGOING && [*a, *b] != LOOPBACK,
            _ => false,
        }
    }
}

/// PACKET_OUTGOING.
const OUTGOING: u8 = 4;

/// ARPHRD_LOOPBACK.
const LOOPBACK: [u8; 2] = 772_u16.to_be_bytes();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_tag_of_a_virtual_network_is_told() {
        let tagged = [&[0; 12][..], &[0x81, 0, 0x20, 7, 8, 0]].concat();
        let packet = |link, bytes| Packet {
            at: Timestamp::ZERO,
            link,
            interface: 0,
            bytes,
            original_len: bytes.len() as u32,
            outgoing: false,
        };
        assert_eq!(packet(Link::Ethernet, &tagged[..]).vlan(), 0x2007);
        assert_eq!(packet(Link::Network { ethertype: 0x8100 }, &tagged[14..]).vlan(), 0x2007);
        assert_eq!(packet(Link::Ethernet, &tagged[..14]).vlan(), 0);
        assert_eq!(packet(Link::RawIp, &tagged[..]).vlan(), 0);
    }

    #[test]
    fn cooked_captures_tell_who_sent_a_packet_but_on_loopback() {
        for (kind, hardware, outgoing) in [(4, 1, true), (0, 1, false), (4, 772, false), (3, 1, false)] {
            let hardware = u16::to_be_bytes(hardware);
            let first = [0, kind, hardware[0], hardware[1], 0, 6];
            let second = [8, 0, 0, 0, 0, 0, 0, 2, hardware[0], hardware[1], kind, 6];
            assert_eq!(Link::LinuxCooked.is_outgoing(&first), outgoing);
            assert_eq!(Link::LinuxCooked2.is_outgoing(&second), outgoing);
            assert!(!Link::Ethernet.is_outgoing(&first));
        }
        assert!(!Link::LinuxCooked.is_outgoing(&[0]));
        assert!(!Link::LinuxCooked2.is_outgoing(&[8, 0, 0, 0, 0, 0, 0, 2, 0, 1]));
    }
}
