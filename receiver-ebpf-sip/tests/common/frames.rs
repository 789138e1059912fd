//! Frames made by hand: what the kernel would build for tags, tunnels, options and fragments.
//!
//! Checksums are left zero: capture does not look at them.

/// Ethertypes and protocol numbers used here.
pub const IPV4: u16 = 0x0800;
pub const IPV6: u16 = 0x86dd;
pub const VLAN: u16 = 0x8100;
pub const QINQ: u16 = 0x88a8;
/// A tag of before 802.1ad.
pub const VLAN_9100: u16 = 0x9100;
pub const MPLS: u16 = 0x8847;
pub const ETHERNET_IN_GRE: u16 = 0x6558;
pub const UDP: u8 = 17;
pub const TCP: u8 = 6;
pub const GRE: u8 = 47;

/// Sender and recipient of what is built here.
pub const V4: ([u8; 4], [u8; 4]) = ([10, 99, 0, 1], [10, 99, 0, 2]);
pub const OUTER_V4: ([u8; 4], [u8; 4]) = ([192, 0, 2, 1], [192, 0, 2, 2]);

fn v6(host: u8) -> [u8; 16] {
    let mut address = [0; 16];
    (address[0], address[1], address[15]) = (0xfd, 0x99, host);
    address
}

/// An Ethernet frame to everybody.
pub fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1], &ethertype.to_be_bytes(), payload].concat()
}

/// What follows the ethertype 0x8100 or 0x88a8.
pub fn tag(vlan: u16, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&vlan.to_be_bytes()[..], &ethertype.to_be_bytes(), payload].concat()
}

/// An MPLS label; `bottom`: the last one.
pub fn label(number: u32, bottom: bool, payload: &[u8]) -> Vec<u8> {
    [&(number << 12 | u32::from(bottom) << 8 | 64).to_be_bytes()[..], payload].concat()
}

pub fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() + 8) as u16;
    [&source.to_be_bytes()[..], &destination.to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload].concat()
}

/// A TCP header with PSH and ACK.
pub fn tcp_header(source: u16, destination: u16, sequence: u32) -> Vec<u8> {
    let behind = [0, 0, 0, 1, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0];
    [&source.to_be_bytes()[..], &destination.to_be_bytes(), &sequence.to_be_bytes(), &behind].concat()
}

/// What follows the ethertype of a PPPoE session (RFC 2516 §4).
pub fn pppoe(protocol: u16, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() + 2) as u16;
    [&[0x11, 0, 0, 9][..], &length.to_be_bytes(), &protocol.to_be_bytes(), payload].concat()
}

/// IPv4 without options or fragmentation.
pub fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_header(V4, &[], 0, 0, protocol, payload)
}

/// The IPv4 header of a tunnel.
pub fn outer_ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_header(OUTER_V4, &[], 0, 0, protocol, payload)
}

/// IPv4 with options; their length is a multiple of 4.
pub fn ipv4_with_options(options: &[u8], protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_header(V4, options, 0, 0, protocol, payload)
}

/// The pieces of an IPv4 datagram, in order; `size` is a multiple of 8.
pub fn ipv4_fragments(identification: u16, size: usize, protocol: u8, payload: &[u8]) -> Vec<Vec<u8>> {
    let last = payload.len().div_ceil(size) - 1;
    let pieces = payload.chunks(size).enumerate().map(|(index, piece)| {
        let more = if index == last { 0 } else { 0x2000 };
        ipv4_header(V4, &[], identification, more | (index * size / 8) as u16, protocol, piece)
    });
    pieces.collect()
}

fn ipv4_header(
    (source, destination): ([u8; 4], [u8; 4]),
    options: &[u8],
    identification: u16,
    fragment: u16,
    protocol: u8,
    payload: &[u8],
) -> Vec<u8> {
    let header = 20 + options.len();
    [
        &[0x40 | (header / 4) as u8, 0][..],
        &((header + payload.len()) as u16).to_be_bytes(),
        &identification.to_be_bytes(),
        &fragment.to_be_bytes(),
        &[64, protocol, 0, 0],
        &source,
        &destination,
        options,
        payload,
    ]
    .concat()
}

/// IPv6; `next` says what `payload` begins with.
pub fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16).to_be_bytes();
    [&[0x60, 0, 0, 0][..], &length, &[next, 64], &v6(1), &v6(2), payload].concat()
}

/// A hop-by-hop, routing or destination options header of `8 + 8 * words` bytes, in front of `payload`.
pub fn extension(next: u8, words: u8, payload: &[u8]) -> Vec<u8> {
    // PadN fills it (RFC 8200 §4.2).
    let padding = 8 + 8 * usize::from(words) - 4;
    [&[next, words, 1, padding as u8][..], &vec![0; padding], payload].concat()
}

/// An authentication header with `4 * words` bytes behind its fixed part (RFC 4302 §2).
pub fn authentication(next: u8, words: u8, payload: &[u8]) -> Vec<u8> {
    [&[next, words + 1][..], &vec![0; 10 + 4 * usize::from(words)], payload].concat()
}

/// The pieces of an IPv6 datagram, in order; `size` is a multiple of 8.
pub fn ipv6_fragments(identification: u32, size: usize, next: u8, payload: &[u8]) -> Vec<Vec<u8>> {
    let last = payload.len().div_ceil(size) - 1;
    let pieces = payload.chunks(size).enumerate().map(|(index, piece)| {
        let offset = (index * size) as u16 | u16::from(index != last);
        let header = [&[next, 0][..], &offset.to_be_bytes(), &identification.to_be_bytes(), piece].concat();
        ipv6(44, &header)
    });
    pieces.collect()
}

/// GRE version 0; `flags` of checksum 0x8000, key 0x2000, sequence number 0x1000 take 4 bytes each.
pub fn gre(flags: u16, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let optional = vec![0; 4 * (flags & 0xb000).count_ones() as usize];
    [&flags.to_be_bytes()[..], &ethertype.to_be_bytes(), &optional, payload].concat()
}

/// UDP and VXLAN headers around an Ethernet frame.
pub fn vxlan(network: u32, frame: &[u8]) -> Vec<u8> {
    udp(49_152, 4789, &[&[8, 0, 0, 0][..], &(network << 8).to_be_bytes(), frame].concat())
}
