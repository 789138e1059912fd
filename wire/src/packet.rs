//! Packets: link-layer bytes with a capture time, as the kernel or a file gave them.

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
}

impl Packet<'_> {
    /// Whether the capture kept less than there was.
    pub const fn is_cut(&self) -> bool {
        self.bytes.len() < self.original_len as usize
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
