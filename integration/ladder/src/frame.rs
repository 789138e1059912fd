//! Packets round a payload: UDP, TCP, IPv4 and IPv6, Ethernet; checksums filled in as a network card would
//! (RFC 768, RFC 791, RFC 8200, RFC 9293). Bytes in, bytes out.

use std::net::{IpAddr, SocketAddr};

/// EtherType of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
/// IP protocol number of UDP.
pub const PROTOCOL_UDP: u8 = 17;

/// IP protocol number of TCP.
pub const PROTOCOL_TCP: u8 = 6;

const TTL: u8 = 64;

/// A UDP datagram with its checksum.
///
/// # Panics
/// When the two addresses are of different families or the payload exceeds what a datagram holds.
pub fn udp(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).expect("a UDP datagram holds at most 65,527 bytes");
    let mut datagram = Vec::with_capacity(8 + payload.len());
    datagram.extend(source.port().to_be_bytes());
    datagram.extend(destination.port().to_be_bytes());
    datagram.extend(length.to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    // Zero means "no checksum", so a sum of zero travels as its complement (RFC 768).
    let sum = match transport_checksum(source, destination, PROTOCOL_UDP, &datagram) {
        0 => 0xffff,
        sum => sum,
    };
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    datagram
}

/// A TCP segment with its checksum and no options; a `flags` with ACK acknowledges what came before `acknowledged`.
///
/// # Panics
/// When the two addresses are of different families.
pub fn tcp(
    source: SocketAddr,
    destination: SocketAddr,
    sequence: u32,
    acknowledged: u32,
    flags: u8,
    payload: &[u8],
) -> Vec<u8> {
    let ports = [source.port(), destination.port()].map(u16::to_be_bytes).concat();
    let numbers = [sequence, acknowledged].map(u32::to_be_bytes).concat();
    // Five words of header, the largest window that needs no scale.
    let mut segment = [&ports[..], &numbers, &[5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0], payload].concat();
    let sum = transport_checksum(source, destination, PROTOCOL_TCP, &segment);
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    segment
}

/// An IP packet round `payload`, of the family of the addresses, unfragmented and without options.
///
/// # Panics
/// When the addresses are of different families or the packet exceeds 65,535 bytes.
pub fn ip(source: IpAddr, destination: IpAddr, protocol: u8, identification: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = match source {
        IpAddr::V4(_) => {
            let length = u16::try_from(20 + payload.len()).expect("an IPv4 packet holds at most 65,535 bytes");
            let mut header = vec![0x45, 0];
            header.extend(length.to_be_bytes());
            header.extend(identification.to_be_bytes());
            header.extend([0, 0, TTL, protocol, 0, 0]);
            header
        }
        IpAddr::V6(_) => {
            let length = u16::try_from(payload.len()).expect("an IPv6 packet holds at most 65,535 bytes");
            let mut header = vec![0x60, 0, 0, 0];
            header.extend(length.to_be_bytes());
            header.extend([protocol, TTL]);
            header
        }
    };
    packet.extend(addresses(source, destination));
    if source.is_ipv4() {
        let sum = checksum(&[&packet]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    packet.extend(payload);
    packet
}

/// UDP in IP: what one [`crate::Step`] looks like above the link layer.
pub fn datagram(step: &crate::Step, identification: u16) -> Vec<u8> {
    let payload = udp(step.source, step.destination, &step.bytes);
    ip(step.source.ip(), step.destination.ip(), PROTOCOL_UDP, identification, &payload)
}

/// An Ethernet frame round an IP packet, between two locally administered addresses.
pub fn ethernet(packet: &[u8]) -> Vec<u8> {
    let ethertype = if packet[0] >> 4 == 4 { ETHERTYPE_IPV4 } else { ETHERTYPE_IPV6 };
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    frame.extend(ethertype.to_be_bytes());
    frame.extend(packet);
    frame
}

/// A Linux "cooked" packet of this type (packet(7)) round an IP packet, from an Ethernet device.
pub fn cooked(kind: u16, packet: &[u8]) -> Vec<u8> {
    let ethertype = if packet[0] >> 4 == 4 { ETHERTYPE_IPV4 } else { ETHERTYPE_IPV6 };
    let (hardware, address_len) = (1_u16, 6_u16);
    let mut cooked = [kind, hardware, address_len].map(u16::to_be_bytes).concat();
    cooked.extend([2, 0, 0, 0, 0, 1, 0, 0]);
    cooked.extend(ethertype.to_be_bytes());
    cooked.extend(packet);
    cooked
}

fn addresses(source: IpAddr, destination: IpAddr) -> Vec<u8> {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => [source.octets(), destination.octets()].concat(),
        (IpAddr::V6(source), IpAddr::V6(destination)) => [source.octets(), destination.octets()].concat(),
        _ => panic!("{source} and {destination} are of different families"),
    }
}

/// The checksum over pseudo header, header and payload.
fn transport_checksum(source: SocketAddr, destination: SocketAddr, protocol: u8, bytes: &[u8]) -> u16 {
    let length = u16::try_from(bytes.len()).expect("IP carries at most 65,535 bytes");
    let mut pseudo_header = addresses(source.ip(), destination.ip());
    pseudo_header.extend([0, protocol]);
    pseudo_header.extend(length.to_be_bytes());
    checksum(&[&pseudo_header, bytes])
}

/// The Internet checksum (RFC 1071) over pieces, each but the last of even length.
pub fn checksum(pieces: &[&[u8]]) -> u16 {
    let words = pieces.iter().flat_map(|piece| piece.chunks(2));
    let sum: u32 = words.map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}
