//! Link types that wrap others: what a card or a kernel put before the packet in, the packet and its link layer out.
//!
//! ERF of capture cards, NFLOG of netfilter, PPP in its framings, PKTAP of macOS, and PDUs that Wireshark exported, which have no
//! packet round them any more: for these one is made. Bytes are hostile: every length is checked, and what does not fit is not
//! read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use wire::Link;

use crate::link::link;

/// Where the packet is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Inner {
    /// A part of the bytes.
    Part(Link, Range<usize>),
    /// It had to be made.
    Made(Link, Vec<u8>),
}

/// The packet within `bytes` of a link type; `None` where the type is not read, or they are not of it.
pub(crate) fn unwrap(link_type: u16, bytes: &[u8]) -> Option<Inner> {
    let (link, start) = match link_type {
        PPP => ppp(bytes, 0)?,
        PPP_HDLC => hdlc(bytes)?,
        // The first byte is the direction.
        PPP_PPPD => ppp(bytes, if matches!(bytes, [0 | 1, 3, ..]) { 2 } else { 0 })?,
        ERF => erf(bytes)?,
        NFLOG => return nflog(bytes),
        PKTAP => pktap(bytes)?,
        UPPER_PDU | 147..=162 => return exported(bytes),
        _ => return None,
    };
    (start <= bytes.len()).then_some(Inner::Part(link, start..bytes.len()))
}

/// PPP (RFC 1661 §2), perhaps with address and control before it (RFC 1662 §3.1).
fn ppp(bytes: &[u8], at: usize) -> Option<(Link, usize)> {
    let at = if bytes.get(at..at + 2)? == [0xff, 0x03] { at + 2 } else { at };
    let (protocol, start) = match *bytes.get(at)? {
        // An odd byte is a protocol of one byte (RFC 1661 §6.5).
        byte if byte & 1 == 1 => (u16::from(byte), at + 1),
        byte => (u16::from_be_bytes([byte, *bytes.get(at + 1)?]), at + 2),
    };
    let link = match protocol {
        0x0021 => Link::Ipv4,
        0x0057 => Link::Ipv6,
        0x0281 => Link::Network { ethertype: 0x8847 },
        _ => return None,
    };
    Some((link, start))
}

/// PPP in HDLC-like framing (RFC 1662), or Cisco's HDLC.
fn hdlc(bytes: &[u8]) -> Option<(Link, usize)> {
    match *bytes {
        [0x0f | 0x8f, _, a, b, ..] => Some((Link::Network { ethertype: u16::from_be_bytes([a, b]) }, 4)),
        _ => ppp(bytes, 0),
    }
}

/// The extensible record format of Endace: a header of 16 bytes, extensions, then what its type says.
fn erf(bytes: &[u8]) -> Option<(Link, usize)> {
    const HEADER: usize = 16;
    let mut at = HEADER;
    let kind = *bytes.get(8)?;
    let mut more = kind & 0x80 != 0;
    while more {
        more = bytes.get(at)? & 0x80 != 0;
        at += 8;
    }
    match kind & 0x7f {
        // ETH, COLOR_ETH, DSM_COLOR_ETH, COLOR_HASH_ETH: two bytes of padding.
        2 | 11 | 16 | 20 => Some((Link::Ethernet, at + 2)),
        // HDLC_POS and its colours.
        1 | 10 | 15 | 19 => hdlc(bytes.get(at..)?).map(|(link, start)| (link, at + start)),
        22 => Some((Link::Ipv4, at)),
        23 => Some((Link::Ipv6, at)),
        _ => None,
    }
}

/// What netfilter logged: values with types and lengths, one of which is the packet.
fn nflog(bytes: &[u8]) -> Option<Inner> {
    const PAYLOAD: u16 = 9;
    let (&family, &version) = (bytes.first()?, bytes.get(1)?);
    let link = match (family, version) {
        (2, 0) => Link::Ipv4,
        (10 | 24 | 28 | 30, 0) => Link::Ipv6,
        _ => return None,
    };
    let mut at = 4;
    loop {
        // In the byte order of the host that captured: the type is small, so that it tells.
        let [a, b, c, d] = *bytes.get(at..at + 4)? else { return None };
        let (len, kind) = match u16::from_le_bytes([c, d]) {
            kind if kind < 256 => (u16::from_le_bytes([a, b]), kind),
            _ => (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
        };
        let len = usize::from(len);
        if len < 4 {
            return None;
        }
        if kind & 0x7fff == PAYLOAD {
            let end = (at + len).min(bytes.len());
            return Some(Inner::Part(link, at + 4..end));
        }
        at += len.next_multiple_of(4);
    }
}

/// PKTAP: a header that tells its length and the link type behind it.
fn pktap(bytes: &[u8]) -> Option<(Link, usize)> {
    let word = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let (len, record, inner) = (word(0)? as usize, word(4)?, word(8)?);
    // 1 is a packet; a header shorter than its own fixed part is none.
    if record != 1 || len < 108 || len > bytes.len() {
        return None;
    }
    Some((link(u16::try_from(inner).ok()?)?, len))
}

/// A PDU that Wireshark exported: tags with addresses and the name of its protocol, then its bytes. Only SIP is read.
fn exported(bytes: &[u8]) -> Option<Inner> {
    let (mut at, mut is_sip) = (0, false);
    let (mut source, mut destination) = (None, None);
    let mut ports = [5060_u16; 2];
    loop {
        let [a, b, c, d] = *bytes.get(at..at + 4)? else { return None };
        let (tag, len) = (u16::from_be_bytes([a, b]), usize::from(u16::from_be_bytes([c, d])));
        let value = bytes.get(at + 4..at + 4 + len)?;
        at += 4 + len;
        let port = || u16::try_from(u32::from_be_bytes(value.try_into().ok()?)).ok();
        match tag {
            0 => break,
            // The name of the protocol, or of its table; padded with zeros.
            12..=14 => is_sip |= value.split(|byte| *byte == 0).next() == Some(b"sip"),
            20 => source = address4(value),
            21 => destination = address4(value),
            22 => source = address6(value),
            23 => destination = address6(value),
            25 => ports[0] = port()?,
            26 => ports[1] = port()?,
            _ => {}
        }
    }
    let unspecified = || IpAddr::from(Ipv4Addr::UNSPECIFIED);
    let ends = [source.unwrap_or_else(unspecified), destination.unwrap_or_else(unspecified)];
    is_sip.then(|| datagram(ends, ports, &bytes[at..])).flatten()
}

fn address4(value: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(value).ok().map(|octets| Ipv4Addr::from(octets).into())
}

fn address6(value: &[u8]) -> Option<IpAddr> {
    <[u8; 16]>::try_from(value).ok().map(|octets| Ipv6Addr::from(octets).into())
}

/// A datagram round a payload, without checksums: nobody looks at them here.
fn datagram(ends: [IpAddr; 2], [source, destination]: [u16; 2], payload: &[u8]) -> Option<Inner> {
    let len = u16::try_from(payload.len() + 8).ok()?;
    let udp = [source, destination, len, 0].map(u16::to_be_bytes).concat();
    let (link, mut packet) = match ends {
        [IpAddr::V4(from), IpAddr::V4(to)] => {
            let total = len.checked_add(20)?.to_be_bytes();
            let header = [0x45, 0, total[0], total[1], 0, 0, 0x40, 0, 64, 17, 0, 0];
            (Link::Ipv4, [&header[..], &from.octets(), &to.octets()].concat())
        }
        [from, to] => {
            let octets = |address| match address {
                IpAddr::V4(address) => Ipv4Addr::to_ipv6_mapped(&address).octets(),
                IpAddr::V6(address) => address.octets(),
            };
            let [high, low] = len.to_be_bytes();
            let header = [0x60, 0, 0, 0, high, low, 17, 64];
            (Link::Ipv6, [&header[..], &octets(from), &octets(to)].concat())
        }
    };
    packet.extend(udp);
    packet.extend_from_slice(payload);
    Some(Inner::Made(link, packet))
}

const PPP: u16 = 9;
const PPP_HDLC: u16 = 50;
const PPP_PPPD: u16 = 166;
const ERF: u16 = 197;
const NFLOG: u16 = 239;
const UPPER_PDU: u16 = 252;
const PKTAP: u16 = 258;

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: &[u8] = &[0x45, 0, 0, 20, 9, 9];

    #[track_caller]
    fn is_within(link_type: u16, header: &[u8], link: Link) {
        let bytes = [header, PACKET].concat();
        assert_eq!(unwrap(link_type, &bytes), Some(Inner::Part(link, header.len()..bytes.len())));
        // However it is cut, it is not read beyond.
        for cut in 0..header.len() {
            if let Some(Inner::Part(_, range)) = unwrap(link_type, &bytes[..cut]) {
                assert!(range.end <= cut, "{cut}");
            }
        }
    }

    #[test]
    fn ppp_is_read_in_every_framing() {
        is_within(PPP, &[0x00, 0x21], Link::Ipv4);
        is_within(PPP, &[0xff, 0x03, 0x00, 0x57], Link::Ipv6);
        is_within(PPP, &[0x21], Link::Ipv4);
        is_within(PPP_HDLC, &[0xff, 0x03, 0x00, 0x21], Link::Ipv4);
        is_within(PPP_HDLC, &[0x0f, 0x00, 0x08, 0x00], Link::Network { ethertype: 0x0800 });
        is_within(PPP_PPPD, &[0x01, 0x03, 0x00, 0x21], Link::Ipv4);
        assert_eq!(unwrap(PPP, &[0xc0, 0x21, 1, 2]), None);
    }

    #[test]
    fn erf_is_read_with_its_extensions() {
        let header = |kind: u8| [[0; 8].to_vec(), vec![kind, 4, 0, 40, 0, 0, 0, 22]].concat();
        is_within(ERF, &[header(2), vec![0, 0]].concat(), Link::Ethernet);
        is_within(ERF, &header(22), Link::Ipv4);
        let extended = [header(0x80 | 2), vec![0x81, 0, 0, 0, 0, 0, 0, 0], vec![5; 8], vec![0, 0]].concat();
        is_within(ERF, &extended, Link::Ethernet);
        is_within(ERF, &[header(1), vec![0xff, 0x03, 0x00, 0x21]].concat(), Link::Ipv4);
        assert_eq!(unwrap(ERF, &[header(5), PACKET.to_vec()].concat()), None);
    }

    #[test]
    fn nflog_is_read_in_either_byte_order() {
        let prefix = [2, 0, 0, 5];
        let mark = [8, 0, 1, 0, 1, 2, 3, 4];
        let little = [&prefix[..], &mark, &[10, 0, 9, 0], PACKET].concat();
        assert_eq!(unwrap(NFLOG, &little), Some(Inner::Part(Link::Ipv4, 16..22)));
        let big = [&prefix[..], &[0, 8, 0, 1, 1, 2, 3, 4], &[0, 10, 0, 9], PACKET].concat();
        assert_eq!(unwrap(NFLOG, &big), Some(Inner::Part(Link::Ipv4, 16..22)));
        assert_eq!(unwrap(NFLOG, &[2, 0, 0, 5, 0, 0, 1, 0]), None);
        assert_eq!(unwrap(NFLOG, &prefix), None);
    }

    #[test]
    fn pktap_tells_what_is_behind_it() {
        let mut header = vec![0; 108];
        (header[0], header[4], header[8]) = (108, 1, 1);
        is_within(PKTAP, &header, Link::Ethernet);
        header[4] = 0;
        assert_eq!(unwrap(PKTAP, &[&header[..], PACKET].concat()), None);
    }

    #[test]
    fn an_exported_message_gets_a_packet() {
        let tag =
            |tag: u16, value: &[u8]| [&tag.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat();
        let tags = |name: &[u8]| {
            let addresses = [tag(20, &[192, 0, 2, 1]), tag(21, &[192, 0, 2, 2])].concat();
            [tag(12, name), addresses, tag(25, &5070_u32.to_be_bytes()), tag(0, &[])].concat()
        };
        let exported = [tags(b"sip\0"), b"OPTIONS".to_vec()].concat();
        let Some(Inner::Made(link, packet)) = unwrap(UPPER_PDU, &exported) else { panic!("it is read") };
        assert_eq!((link, packet.len()), (Link::Ipv4, 35));
        let expected = [&[192, 0, 2, 1, 192, 0, 2, 2][..], &5070_u16.to_be_bytes(), &5060_u16.to_be_bytes()].concat();
        assert_eq!(packet[12..24], expected);
        assert!(packet.ends_with(b"OPTIONS"));
        assert_eq!(unwrap(147, &exported), unwrap(UPPER_PDU, &exported));
        assert_eq!(unwrap(UPPER_PDU, &[tags(b"dns\0"), b"x".to_vec()].concat()), None);
        for cut in 0..exported.len() - 7 {
            assert_eq!(unwrap(UPPER_PDU, &exported[..cut]), None, "{cut}");
        }
    }
}
