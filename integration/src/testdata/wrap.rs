//! What may stand before the IP packet of a message: link layers, tags and labels, tunnels. An IP packet in, the bytes of
//! a captured one out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ladder::frame::{self, ETHERTYPE_IPV4, ETHERTYPE_IPV6, PROTOCOL_UDP};

use super::call::Family;
use crate::frames::tagged;

const PROTOCOL_GRE: u8 = 47;
const ETHERTYPE_BRIDGED: u16 = 0x6558;
const ETHERTYPE_PPPOE: u16 = 0x8864;
const PORT_VXLAN: u16 = 4789;

/// The ends of tunnels.
const ENDS_V4: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(10, 20, 0, 1)), IpAddr::V4(Ipv4Addr::new(10, 20, 0, 2))];
const ENDS_V6: [IpAddr; 2] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x20, 0, 0, 0, 0, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x20, 0, 0, 0, 0, 0, 2)),
];

fn is_v4(packet: &[u8]) -> bool {
    packet[0] >> 4 == 4
}

fn ethertype(packet: &[u8]) -> [u8; 2] {
    if is_v4(packet) { ETHERTYPE_IPV4.to_be_bytes() } else { ETHERTYPE_IPV6.to_be_bytes() }
}

/// Nothing at all.
pub(super) fn bare(packet: &[u8]) -> Vec<u8> {
    packet.to_vec()
}

/// BSD loopback in the order of a small machine: AF_INET, or the AF_INET6 of macOS.
pub(super) fn null_little(packet: &[u8]) -> Vec<u8> {
    let family: u32 = if is_v4(packet) { 2 } else { 30 };
    [&family.to_le_bytes(), packet].concat()
}

/// BSD loopback in network order, with the AF_INET6 of FreeBSD.
pub(super) fn null_big(packet: &[u8]) -> Vec<u8> {
    let family: u32 = if is_v4(packet) { 2 } else { 28 };
    [&family.to_be_bytes(), packet].concat()
}

/// Linux "cooked" capture, version 1: kind of packet, hardware, address, EtherType.
pub(super) fn cooked(packet: &[u8]) -> Vec<u8> {
    let header = [0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0];
    [&header[..], &ethertype(packet), packet].concat()
}

/// Linux "cooked" capture, version 2: EtherType, interface, hardware, kind of packet, address.
pub(super) fn cooked2(packet: &[u8]) -> Vec<u8> {
    let header = [0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0];
    [&ethertype(packet)[..], &header, packet].concat()
}

/// One tag of each kind in use.
pub(super) fn vlan_8100(packet: &[u8]) -> Vec<u8> {
    tagged(&frame::ethernet(packet), 0x8100, 100)
}

pub(super) fn vlan_88a8(packet: &[u8]) -> Vec<u8> {
    tagged(&frame::ethernet(packet), 0x88a8, 100)
}

pub(super) fn vlan_9100(packet: &[u8]) -> Vec<u8> {
    tagged(&frame::ethernet(packet), 0x9100, 100)
}

pub(super) fn vlan_9200(packet: &[u8]) -> Vec<u8> {
    tagged(&frame::ethernet(packet), 0x9200, 100)
}

/// A tag of the provider round one of the customer (IEEE 802.1ad).
pub(super) fn qinq(packet: &[u8]) -> Vec<u8> {
    crate::frames::qinq(&frame::ethernet(packet), 200, 100)
}

/// Four tags of three kinds.
pub(super) fn four_tags(packet: &[u8]) -> Vec<u8> {
    [0x8100, 0x8100, 0x9100, 0x88a8].iter().fold(frame::ethernet(packet), |frame, kind| tagged(&frame, *kind, 7))
}

/// Linux "cooked" capture of a frame that keeps its tag.
pub(super) fn cooked_vlan(packet: &[u8]) -> Vec<u8> {
    tagged_behind(&cooked(packet), 14)
}

/// A tag put in where the EtherType stands.
fn tagged_behind(bytes: &[u8], at: usize) -> Vec<u8> {
    [&bytes[..at], &0x8100_u16.to_be_bytes(), &100_u16.to_be_bytes(), &bytes[at..]].concat()
}

/// Ethernet with this EtherType and payload.
fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1], &ethertype.to_be_bytes()[..], payload].concat()
}

/// One MPLS label (RFC 3032), the last of its stack.
pub(super) fn mpls(packet: &[u8]) -> Vec<u8> {
    ethernet(0x8847, &[&[0, 1, 1, 64], packet].concat())
}

/// Three labels, in a multicast frame.
pub(super) fn mpls_stack(packet: &[u8]) -> Vec<u8> {
    ethernet(0x8848, &[&[0, 1, 0, 64, 0, 2, 0, 64, 0, 3, 1, 64], packet].concat())
}

/// A PPPoE session (RFC 2516).
pub(super) fn pppoe(packet: &[u8]) -> Vec<u8> {
    ethernet(ETHERTYPE_PPPOE, &pppoe_payload(packet))
}

/// The same in a VLAN.
pub(super) fn pppoe_vlan(packet: &[u8]) -> Vec<u8> {
    tagged(&pppoe(packet), 0x8100, 100)
}

fn pppoe_payload(packet: &[u8]) -> Vec<u8> {
    let len = u16::try_from(packet.len() + 2).expect("one packet").to_be_bytes();
    let protocol: [u8; 2] = if is_v4(packet) { [0, 0x21] } else { [0, 0x57] };
    [&[0x11, 0, 0, 9, len[0], len[1]][..], &protocol, packet].concat()
}

/// An IP packet between the ends of a tunnel, on Ethernet.
fn outer(family: Family, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let [source, destination] = if family == Family::V4 { ENDS_V4 } else { ENDS_V6 };
    frame::ethernet(&frame::ip(source, destination, protocol, 1, payload))
}

/// The version of a packet.
fn same(packet: &[u8]) -> Family {
    if is_v4(packet) { Family::V4 } else { Family::V6 }
}

/// The other version.
fn other(packet: &[u8]) -> Family {
    if is_v4(packet) { Family::V6 } else { Family::V4 }
}

fn protocol_of(packet: &[u8]) -> u8 {
    if is_v4(packet) { 4 } else { 41 }
}

/// IP in IP of the same version (RFC 2003, RFC 2473).
pub(super) fn ip_in_same(packet: &[u8]) -> Vec<u8> {
    outer(same(packet), protocol_of(packet), packet)
}

/// IP in IP of the other version (RFC 2473, RFC 4213).
pub(super) fn ip_in_other(packet: &[u8]) -> Vec<u8> {
    outer(other(packet), protocol_of(packet), packet)
}

/// GRE without options (RFC 2784).
pub(super) fn gre(packet: &[u8]) -> Vec<u8> {
    outer(same(packet), PROTOCOL_GRE, &[&[0, 0], &ethertype(packet)[..], packet].concat())
}

/// GRE with checksum, key and sequence number (RFC 2890), across the other version.
pub(super) fn gre_options(packet: &[u8]) -> Vec<u8> {
    let options = [0xff, 0xff, 0, 0, 0, 0, 0, 42, 0, 0, 0, 7];
    outer(other(packet), PROTOCOL_GRE, &[&[0xb0, 0], &ethertype(packet)[..], &options, packet].concat())
}

/// An Ethernet frame in GRE, in a VLAN of its own.
pub(super) fn gre_bridged(packet: &[u8]) -> Vec<u8> {
    let header = [&[0, 0], &ETHERTYPE_BRIDGED.to_be_bytes()[..]].concat();
    outer(same(packet), PROTOCOL_GRE, &[header, vlan_8100(packet)].concat())
}

/// GRE with ERSPAN of type I, which has no header of its own.
pub(super) fn erspan_1(packet: &[u8]) -> Vec<u8> {
    outer(same(packet), PROTOCOL_GRE, &[&[0, 0, 0x88, 0xbe], &frame::ethernet(packet)[..]].concat())
}

/// GRE with a sequence number and ERSPAN of type II, the frame in a VLAN of its own.
pub(super) fn erspan_2(packet: &[u8]) -> Vec<u8> {
    let headers = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 7, 0x10, 100, 0, 1, 0, 0, 0, 0];
    outer(other(packet), PROTOCOL_GRE, &[&headers, &vlan_8100(packet)[..]].concat())
}

/// GRE with a sequence number and ERSPAN of type III.
pub(super) fn erspan_3(packet: &[u8]) -> Vec<u8> {
    let headers = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 7, 0x20, 100, 0, 1, 0, 0, 0, 9, 0, 0, 0, 0];
    outer(same(packet), PROTOCOL_GRE, &[&headers, &frame::ethernet(packet)[..]].concat())
}

/// The same with a platform specific subheader, and an IP packet without a frame.
pub(super) fn erspan_3_ip(packet: &[u8]) -> Vec<u8> {
    let headers = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 7, 0x20, 100, 0, 1, 0, 0, 0, 9, 0, 0, 2 << 2, 1];
    outer(other(packet), PROTOCOL_GRE, &[&headers[..], &[0xff; 8], packet].concat())
}

/// A UDP datagram between the ends of a tunnel.
fn over_udp(family: Family, port: u16, payload: &[u8]) -> Vec<u8> {
    let [source, destination] = if family == Family::V4 { ENDS_V4 } else { ENDS_V6 };
    let (source, destination) = (SocketAddr::new(source, 55_555), SocketAddr::new(destination, port));
    outer(family, PROTOCOL_UDP, &frame::udp(source, destination, payload))
}

/// VXLAN with these flags (RFC 7348).
fn vxlan_with(family: Family, port: u16, flags: u8, frame: &[u8]) -> Vec<u8> {
    over_udp(family, port, &[&[flags, 0, 0, 0, 0, 0, 42, 0], frame].concat())
}

/// VXLAN.
pub(super) fn vxlan(packet: &[u8]) -> Vec<u8> {
    vxlan_with(same(packet), PORT_VXLAN, 0x08, &frame::ethernet(packet))
}

/// VXLAN with a group policy, across the other version.
pub(super) fn vxlan_policy(packet: &[u8]) -> Vec<u8> {
    vxlan_with(other(packet), PORT_VXLAN, 0x88, &frame::ethernet(packet))
}

/// VXLAN to the port Linux used first.
pub(super) fn vxlan_linux(packet: &[u8]) -> Vec<u8> {
    vxlan_with(same(packet), 8472, 0x08, &frame::ethernet(packet))
}

/// VXLAN to a port that has to be told.
pub(super) fn vxlan_elsewhere(packet: &[u8]) -> Vec<u8> {
    vxlan_with(same(packet), 5555, 0x08, &frame::ethernet(packet))
}

/// VXLAN-GPE with an Ethernet frame.
pub(super) fn vxlan_gpe(packet: &[u8]) -> Vec<u8> {
    over_udp(same(packet), 4790, &[&[0x0c, 0, 0, 3, 0, 0, 42, 0], &vlan_8100(packet)[..]].concat())
}

/// VXLAN-GPE with an IP packet, across the other version.
pub(super) fn vxlan_gpe_ip(packet: &[u8]) -> Vec<u8> {
    let next = if is_v4(packet) { 1 } else { 2 };
    over_udp(other(packet), 4790, &[&[0x0c, 0, 0, next, 0, 0, 42, 0], packet].concat())
}

/// GENEVE with an Ethernet frame (RFC 8926).
pub(super) fn geneve(packet: &[u8]) -> Vec<u8> {
    over_udp(same(packet), 6081, &[&[0, 0, 0x65, 0x58, 0, 0, 42, 0], &frame::ethernet(packet)[..]].concat())
}

/// GENEVE with two options and an IP packet, across the other version.
pub(super) fn geneve_options(packet: &[u8]) -> Vec<u8> {
    let kind = ethertype(packet);
    let header = [5, 0, kind[0], kind[1], 0, 0, 42, 0];
    let options = [1, 8, 1, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 8, 2, 1, 0xff, 0xff, 0xff, 0xff];
    over_udp(other(packet), 6081, &[&header[..], &options, packet].concat())
}

fn gtp_with(family: Family, flags: u8, optional: &[u8], packet: &[u8]) -> Vec<u8> {
    let len = u16::try_from(optional.len() + packet.len()).expect("one packet").to_be_bytes();
    over_udp(family, 2152, &[&[0x30 | flags, 0xff, len[0], len[1], 0, 0, 0, 42], optional, packet].concat())
}

/// A G-PDU of GTP-U (3GPP TS 29.281).
pub(super) fn gtp(packet: &[u8]) -> Vec<u8> {
    gtp_with(same(packet), 0, &[], packet)
}

/// The same with a sequence number and two extension headers, across the other version.
pub(super) fn gtp_extensions(packet: &[u8]) -> Vec<u8> {
    gtp_with(other(packet), 6, &[0, 7, 0, 0x85, 1, 0, 9, 0x40, 2, 1, 2, 3, 4, 5, 6, 0], packet)
}

/// TZSP with a field before the end of them.
pub(super) fn tzsp(packet: &[u8]) -> Vec<u8> {
    over_udp(same(packet), 37_008, &[&[1, 0, 0, 1, 10, 1, 0xc4, 1], &vlan_8100(packet)[..]].concat())
}

/// VXLAN in VXLAN.
pub(super) fn vxlan_in_vxlan(packet: &[u8]) -> Vec<u8> {
    vxlan_with(other(packet), PORT_VXLAN, 0x08, &vxlan(packet))
}

/// An IP packet in a frame of [`frame::ethernet`] without its frame.
fn unframed(frame: &[u8]) -> &[u8] {
    &frame[14..]
}

/// GRE in IP in IP.
pub(super) fn gre_in_ip(packet: &[u8]) -> Vec<u8> {
    ip_in_other(unframed(&gre_options(packet)))
}

/// Three tunnels: the last is not read.
pub(super) fn three_tunnels(packet: &[u8]) -> Vec<u8> {
    ip_in_same(unframed(&ip_in_other(unframed(&vxlan(packet)))))
}

/// A VN-tag round a VLAN tag.
pub(super) fn vn_tag(packet: &[u8]) -> Vec<u8> {
    let frame = vlan_8100(packet);
    [&frame[..12], &[0x89, 0x26, 0x80, 1, 0, 2], &frame[12..]].concat()
}

/// An E-tag (IEEE 802.1BR).
pub(super) fn e_tag(packet: &[u8]) -> Vec<u8> {
    let frame = frame::ethernet(packet);
    [&frame[..12], &[0x89, 0x3f, 0, 1, 0, 2, 0, 0], &frame[12..]].concat()
}

/// A pseudowire with its control word (RFC 4448).
pub(super) fn pseudowire(packet: &[u8]) -> Vec<u8> {
    ethernet(0x8847, &[&[0, 1, 1, 64, 0, 0, 0, 0], &frame::ethernet(packet)[..]].concat())
}

/// A provider backbone bridge (IEEE 802.1ah).
pub(super) fn backbone(packet: &[u8]) -> Vec<u8> {
    ethernet(0x88e7, &[&[0, 0, 0, 42], &frame::ethernet(packet)[..]].concat())
}

/// IEEE 802.3 with LLC and SNAP.
pub(super) fn snap(packet: &[u8]) -> Vec<u8> {
    let len = u16::try_from(packet.len() + 8).expect("one packet");
    ethernet(len, &[&[0xaa, 0xaa, 3, 0, 0, 0], &ethertype(packet)[..], packet].concat())
}

/// ESP in tunnel mode, not encrypted (RFC 2410).
pub(super) fn esp(packet: &[u8]) -> Vec<u8> {
    let trailer = [&[1, 2, 2, protocol_of(packet)][..], &[0xff; 12]].concat();
    outer(same(packet), 50, &[&[0, 0, 1, 1, 0, 0, 0, 7], packet, &trailer].concat())
}

/// The same through an address translator (RFC 3948).
pub(super) fn esp_over_udp(packet: &[u8]) -> Vec<u8> {
    let trailer = [&[1, 2, 2, protocol_of(packet)][..], &[0xff; 12]].concat();
    over_udp(same(packet), 4500, &[&[0, 0, 1, 1, 0, 0, 0, 7], packet, &trailer].concat())
}

/// Data of L2TP, with PPP (RFC 2661).
pub(super) fn l2tp(packet: &[u8]) -> Vec<u8> {
    let protocol: [u8; 2] = if is_v4(packet) { [0, 0x21] } else { [0, 0x57] };
    over_udp(same(packet), 1701, &[&[0, 2, 0, 9, 0, 1, 0xff, 3], &protocol[..], packet].concat())
}

/// The message as one chunk of SCTP (RFC 9260).
pub(super) fn sctp(packet: &[u8]) -> Vec<u8> {
    let message = &packet[if is_v4(packet) { 28 } else { 48 }..];
    let len = u16::try_from(message.len() + 16).expect("one message").to_be_bytes();
    let headers =
        [0x13, 0xc4, 0x13, 0xc4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 3, len[0], len[1], 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0];
    outer(same(packet), 132, &[&headers, message].concat())
}
