//! Packets made by hand, header by header: payload bytes in, the bytes of one more layer out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::packet::{Link, Packet, Tap};
use crate::time::Timestamp;

pub const ALICE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
pub const BOB: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
pub const ALICE6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
pub const BOB6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2));

pub const UDP: u8 = 17;
pub const TCP: u8 = 6;

/// A whole packet, `millis` after the epoch.
pub fn packet(link: Link, millis: u64, bytes: &[u8]) -> Packet<'_> {
    let original_len = u32::try_from(bytes.len()).expect("a packet of a test is short");
    Packet { at: Timestamp::from_nanos(millis * 1_000_000), link, interface: 1, bytes, original_len, tap: Tap::Between }
}

/// Ports 5060 to 5062.
pub fn udp(payload: &[u8]) -> Vec<u8> {
    udp_to(5062, payload)
}

pub fn udp_to(destination: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len() + 8).unwrap_or(0);
    [&5060_u16.to_be_bytes()[..], &destination.to_be_bytes(), &len.to_be_bytes(), &[0, 0], payload].concat()
}

/// Ports 5060 to 5062, with four bytes of options, flags PSH and ACK.
pub fn tcp(sequence: u32, payload: &[u8]) -> Vec<u8> {
    let ports = [5060_u16.to_be_bytes(), 5062_u16.to_be_bytes()].concat();
    let rest = [0, 0, 0, 0, 0x60, 0x18, 0xff, 0xff, 0, 0, 0, 0, 1, 1, 1, 1];
    [&ports[..], &sequence.to_be_bytes(), &rest, payload].concat()
}

/// An IP packet of the version of `source`, with nothing special.
pub fn ip(source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => v4(source, destination, protocol, 0, 0, &[], payload),
        (IpAddr::V6(source), IpAddr::V6(destination)) => v6(source, destination, protocol, payload),
        _ => panic!("both addresses are of one version"),
    }
}

/// `flags_and_offset` as in the header: 0x2000 means more fragments, the offset is in units of 8 bytes.
pub fn v4(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: u8,
    identification: u16,
    flags_and_offset: u16,
    options: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let header_len = 20 + options.len();
    let version_and_len = 0x40 | u8::try_from(header_len / 4).expect("at most 40 bytes of options");
    let total_len = u16::try_from(header_len + payload.len()).unwrap_or(0);
    [
        &[version_and_len, 0][..],
        &total_len.to_be_bytes(),
        &identification.to_be_bytes(),
        &flags_and_offset.to_be_bytes(),
        &[64, protocol, 0, 0],
        &source.octets(),
        &destination.octets(),
        options,
        payload,
    ]
    .concat()
}

pub fn v6(source: Ipv6Addr, destination: Ipv6Addr, next_header: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).unwrap_or(0);
    let fixed = [0x60, 0, 0, 0];
    [&fixed[..], &len.to_be_bytes(), &[next_header, 64], &source.octets(), &destination.octets(), payload].concat()
}

/// Hop-by-hop, routing or destination options of 8 bytes.
pub fn extension(next_header: u8, payload: &[u8]) -> Vec<u8> {
    [&[next_header, 0, 1, 4, 0, 0, 0, 0][..], payload].concat()
}

/// An authentication header of 24 bytes.
pub fn authentication(next_header: u8, payload: &[u8]) -> Vec<u8> {
    [&[next_header, 4][..], &[0; 22], payload].concat()
}

/// An IPv6 fragment header; `offset` in bytes.
pub fn fragment_header(next_header: u8, offset: u16, more: bool, identification: u32, piece: &[u8]) -> Vec<u8> {
    let offset_and_more = offset | u16::from(more);
    [&[next_header, 0][..], &offset_and_more.to_be_bytes(), &identification.to_be_bytes(), piece].concat()
}

/// An IP fragment of the version of `source`; `offset` in bytes.
pub fn piece(source: IpAddr, destination: IpAddr, id: u16, offset: u16, more: bool, bytes: &[u8]) -> Vec<u8> {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            v4(source, destination, UDP, id, (u16::from(more) << 13) | (offset / 8), &[], bytes)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            v6(source, destination, 44, &fragment_header(UDP, offset, more, u32::from(id), bytes))
        }
        _ => panic!("both addresses are of one version"),
    }
}

pub fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &ethertype.to_be_bytes(), payload].concat()
}

/// What follows an EtherType that says "tag": the tag and the EtherType behind it.
pub fn tag(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&[0x20, 0x64][..], &ethertype.to_be_bytes(), payload].concat()
}

/// `flags` as in the header; every field they announce is filled with 0xff.
pub fn gre(flags: u16, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let fields = (flags & 0xb000).count_ones() as usize * 4;
    [&flags.to_be_bytes()[..], &ethertype.to_be_bytes(), &vec![0xff; fields], payload].concat()
}

pub fn vxlan(frame: &[u8]) -> Vec<u8> {
    vxlan_to(4789, frame)
}

pub fn vxlan_to(port: u16, frame: &[u8]) -> Vec<u8> {
    udp_to(port, &[&[8, 0, 0, 0, 0, 0, 42, 0][..], frame].concat())
}

/// `next`: 1 IPv4, 2 IPv6, 3 Ethernet.
pub fn vxlan_gpe(next: u8, inner: &[u8]) -> Vec<u8> {
    udp_to(4790, &[&[0x0c, 0, 0, next, 0, 0, 42, 0][..], inner].concat())
}

/// With `words` of options.
pub fn geneve(ethertype: u16, words: u8, inner: &[u8]) -> Vec<u8> {
    let options = vec![0xff; usize::from(words) * 4];
    udp_to(6081, &[&[words, 0][..], &ethertype.to_be_bytes(), &[0, 0, 42, 0], &options, inner].concat())
}

/// A G-PDU; `flags` are those of its optional fields, behind which `extensions` stand.
pub fn gtp_u(flags: u8, optional: &[u8], inner: &[u8]) -> Vec<u8> {
    let len = u16::try_from(optional.len() + inner.len()).expect("short");
    udp_to(2152, &[&[0x30 | flags, 0xff][..], &len.to_be_bytes(), &[0, 0, 0, 42], optional, inner].concat())
}

/// With a field of two bytes and padding before the end.
pub fn tzsp(frame: &[u8]) -> Vec<u8> {
    udp_to(37_008, &[&[1, 0, 0, 1, 10, 2, 7, 7, 0, 1][..], frame].concat())
}

/// What follows an EtherType of a VN-tag.
pub fn vn_tag(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&[0x80, 1, 0, 2][..], &ethertype.to_be_bytes(), payload].concat()
}

/// What follows an EtherType of an E-tag.
pub fn e_tag(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&[0, 1, 0, 2, 0, 0][..], &ethertype.to_be_bytes(), payload].concat()
}

/// GRE with ERSPAN of type II.
pub fn erspan_2(frame: &[u8]) -> Vec<u8> {
    gre(0x1000, 0x88be, &[&[0x10, 0x64, 0, 1, 0, 0, 0, 0][..], frame].concat())
}

/// GRE with ERSPAN of type III; `frame_type` is 0 for Ethernet, 2 for IP.
pub fn erspan_3(frame_type: u8, has_subheader: bool, inner: &[u8]) -> Vec<u8> {
    let last = [frame_type << 2, u8::from(has_subheader)];
    let subheader = vec![0xff; if has_subheader { 8 } else { 0 }];
    gre(0x1000, 0x22eb, &[&[0x20, 0x64, 0, 1, 0, 0, 0, 0, 0, 0][..], &last, &subheader, inner].concat())
}
