//! Frames no ordinary socket sends: a ladder's datagrams in tags, tunnels and fragments.
//!
//! IEEE 802.1Q and 802.1ad, RFC 2784 (GRE), RFC 2003 (IP in IP), RFC 7348 (VXLAN), RFC 791 §3.2 and RFC 8200 §4.5.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ladder::frame::{self, ETHERTYPE_IPV4, ETHERTYPE_IPV6, PROTOCOL_UDP};

const ETHERTYPE_VLAN: u16 = 0x8100;
const ETHERTYPE_QINQ: u16 = 0x88a8;
const PROTOCOL_IPIP: u8 = 4;
const PROTOCOL_IPV6_FRAGMENT: u8 = 44;
const PROTOCOL_GRE: u8 = 47;
const PORT_VXLAN: u16 = 4789;

/// Ends of the tunnels.
const TUNNEL: (IpAddr, IpAddr) = (IpAddr::V4(Ipv4Addr::new(10, 20, 0, 1)), IpAddr::V4(Ipv4Addr::new(10, 20, 0, 2)));

/// One 802.1Q tag round the payload of an Ethernet frame.
pub fn vlan(frame: &[u8], id: u16) -> Vec<u8> {
    tagged(frame, ETHERTYPE_VLAN, id)
}

/// An outer 802.1ad and an inner 802.1Q tag.
pub fn qinq(frame: &[u8], outer: u16, inner: u16) -> Vec<u8> {
    tagged(&vlan(frame, inner), ETHERTYPE_QINQ, outer)
}

/// A tag of this kind round the payload of an Ethernet frame.
pub fn tagged(frame: &[u8], ethertype: u16, id: u16) -> Vec<u8> {
    [&frame[..12], &ethertype.to_be_bytes(), &id.to_be_bytes(), &frame[12..]].concat()
}

/// GRE without options.
pub fn gre(packet: &[u8]) -> Vec<u8> {
    let protocol = if packet[0] >> 4 == 4 { ETHERTYPE_IPV4 } else { ETHERTYPE_IPV6 };
    let header = [[0, 0], protocol.to_be_bytes()].concat();
    frame::ip(TUNNEL.0, TUNNEL.1, PROTOCOL_GRE, 1, &[&header, packet].concat())
}

/// IPv4 in IPv4.
pub fn ipip(packet: &[u8]) -> Vec<u8> {
    frame::ip(TUNNEL.0, TUNNEL.1, PROTOCOL_IPIP, 1, packet)
}

/// VXLAN, network identifier 42.
pub fn vxlan(packet: &[u8]) -> Vec<u8> {
    let payload = [&[8, 0, 0, 0, 0, 0, 42, 0][..], &frame::ethernet(packet)].concat();
    let (source, destination) = (SocketAddr::new(TUNNEL.0, 55_555), SocketAddr::new(TUNNEL.1, PORT_VXLAN));
    frame::ip(TUNNEL.0, TUNNEL.1, PROTOCOL_UDP, 1, &frame::udp(source, destination, &payload))
}

/// A datagram cut into IP fragments of at most `size` bytes of payload each (a multiple of 8), first one first.
///
/// # Panics
/// When the two addresses are of different families.
pub fn fragments(source: SocketAddr, destination: SocketAddr, payload: &[u8], id: u16, size: usize) -> Vec<Vec<u8>> {
    let datagram = frame::udp(source, destination, payload);
    let pieces = datagram.chunks(size);
    let last = pieces.len() - 1;
    let fragment = |(index, piece): (usize, &[u8])| {
        let offset = u16::try_from(index * size).expect("inside a datagram");
        let more = index != last;
        if source.is_ipv4() {
            ipv4_fragment(source, destination, piece, id, offset, more)
        } else {
            // Next header, reserved, offset with the M bit, identification (RFC 8200 §4.5).
            let mut header = vec![PROTOCOL_UDP, 0];
            header.extend((offset | u16::from(more)).to_be_bytes());
            header.extend(u32::from(id).to_be_bytes());
            header.extend(piece);
            frame::ip(source.ip(), destination.ip(), PROTOCOL_IPV6_FRAGMENT, 0, &header)
        }
    };
    pieces.enumerate().map(fragment).collect()
}

fn ipv4_fragment(from: SocketAddr, to: SocketAddr, piece: &[u8], id: u16, offset: u16, more: bool) -> Vec<u8> {
    let mut packet = frame::ip(from.ip(), to.ip(), PROTOCOL_UDP, id, piece);
    let flags = (u16::from(more) << 13) | (offset / 8);
    packet[6..8].copy_from_slice(&flags.to_be_bytes());
    packet[10..12].copy_from_slice(&[0, 0]);
    let sum = frame::checksum(&[&packet[..20]]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}
