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
    /// Where it was captured. Decoding ignores it.
    pub tap: Tap,
}

/// Where a capture stands between the sender of a packet and its recipient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tap {
    /// On the host that sent it.
    Sender,
    /// On the host it was sent to; on loopback, where one host is both.
    Recipient,
    /// Between two other hosts, as on a mirror port; or the capture does not say.
    #[default]
    Between,
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
            [high, low, ..] if link::is_vlan_tag(ethertype) => u16::from_be_bytes([*high, *low]),
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
    /// Where `bytes` were captured, as far as the link layer itself says: Linux "cooked" captures do, others do not.
    pub fn tap(self, bytes: &[u8]) -> Tap {
        match (self, bytes) {
            (Self::LinuxCooked, [0, kind, a, b, ..])
            | (Self::LinuxCooked2, [_, _, _, _, _, _, _, _, a, b, kind, ..]) => {
                Tap::cooked(*kind, u16::from_be_bytes([*a, *b]))
            }
            _ => Tap::Between,
        }
    }
}

impl Tap {
    /// By type of packet and of hardware as Linux has them (packet(7)). A loopback interface shows everything as sent and
    /// as received.
    pub const fn cooked(kind: u8, hardware: u16) -> Self {
        match kind {
            OUTGOING if hardware != LOOPBACK => Self::Sender,
            HOST..=MULTICAST | OUTGOING => Self::Recipient,
            _ => Self::Between,
        }
    }
}

/// PACKET_HOST; PACKET_BROADCAST lies between it and the next.
const HOST: u8 = 0;
/// PACKET_MULTICAST.
const MULTICAST: u8 = 2;
/// PACKET_OUTGOING.
const OUTGOING: u8 = 4;

/// ARPHRD_LOOPBACK.
const LOOPBACK: u16 = 772;

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
            tap: Tap::Between,
        };
        assert_eq!(packet(Link::Ethernet, &tagged[..]).vlan(), 0x2007);
        assert_eq!(packet(Link::Network { ethertype: 0x8100 }, &tagged[14..]).vlan(), 0x2007);
        assert_eq!(packet(Link::Ethernet, &tagged[..14]).vlan(), 0);
        assert_eq!(packet(Link::RawIp, &tagged[..]).vlan(), 0);
    }

    #[test]
    fn cooked_captures_tell_where_they_stand() {
        use Tap::{Between, Recipient, Sender};
        for (kind, hardware, tap) in [
            (0, 1, Recipient),
            (1, 1, Recipient),
            (2, 1, Recipient),
            (3, 1, Between),
            (4, 1, Sender),
            (4, 772, Recipient),
            (0, 772, Recipient),
            (5, 1, Between),
        ] {
            let hardware = u16::to_be_bytes(hardware);
            let first = [0, kind, hardware[0], hardware[1], 0, 6];
            let second = [8, 0, 0, 0, 0, 0, 0, 2, hardware[0], hardware[1], kind, 6];
            assert_eq!(
                (Link::LinuxCooked.tap(&first), Link::LinuxCooked2.tap(&second)),
                (tap, tap),
                "{kind} {hardware:?}"
            );
            assert_eq!(Link::Ethernet.tap(&first), Between);
        }
        assert_eq!(Link::LinuxCooked.tap(&[0]), Between);
        assert_eq!(Link::LinuxCooked2.tap(&[8, 0, 0, 0, 0, 0, 0, 2, 0, 1]), Between);
    }
}
