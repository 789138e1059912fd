//! Tunnels over UDP, told by the port they go to: VXLAN (RFC 7348), VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe), GENEVE
//! (RFC 8926), GTP-U (3GPP TS 29.281), TZSP.
//!
//! A port alone says little. The header has to be one, and what is inside has to begin as it should; otherwise the
//! datagram is one like any other. No header that is accepted begins with a byte that a SIP message begins with, so that
//! any of the ports may be a SIP port.

use crate::ip;
use crate::link::{self, Network};
use crate::skip::Skip;

const VXLAN_GPE: u16 = 4790;
const GENEVE: u16 = 6081;
const GTP_U: u16 = 2152;
const TZSP: u16 = 37_008;

/// VXLAN has 4789 (RFC 7348 §5); 8472 is what Linux used before and still does unless told otherwise.
const VXLAN: [u16; 2] = [4789, 8472];

/// Not read: L2TP (RFC 2661, RFC 3931 §4.1.2), and ESP that has to pass an address translator (RFC 3948).
const L2TP: u16 = 1701;
const ESP: u16 = 4500;

/// Where tunnels other than VXLAN go over UDP: VXLAN-GPE, GENEVE, GTP-U, TZSP.
pub const TUNNEL_PORTS: [u16; 4] = [VXLAN_GPE, GENEVE, GTP_U, TZSP];

/// Where what is counted and not read goes over UDP: L2TP, ESP.
pub const UNREAD_PORTS: [u16; 2] = [L2TP, ESP];

/// Ports that tunnels go to.
#[derive(Clone, Debug)]
pub(crate) struct Ports {
    /// One bit for every port that any tunnel goes to: most datagrams are asked only this.
    any: Box<[u64; 1024]>,
    vxlan: Box<[u16]>,
}

impl Default for Ports {
    fn default() -> Self {
        Self::new(&VXLAN)
    }
}

impl Ports {
    /// Those of every tunnel, VXLAN going to `vxlan`.
    pub fn new(vxlan: &[u16]) -> Self {
        let mut any = Box::new([0; 1024]);
        for &port in vxlan.iter().chain(&TUNNEL_PORTS) {
            any[usize::from(port) / 64] |= 1 << (port % 64);
        }
        Self { any, vxlan: vxlan.into() }
    }

    /// Whether a tunnel may go there.
    #[inline]
    pub fn contains(&self, port: u16) -> bool {
        self.any[usize::from(port) / 64] & (1 << (port % 64)) != 0
    }
}

/// What stands behind a UDP header as a tunnel; `None` when it is none.
#[inline]
pub(super) fn inside<'a>(bytes: &'a [u8], cut: bool, ports: &Ports) -> Option<Result<Network<'a>, Skip>> {
    let (udp, payload) = bytes.split_first_chunk::<8>()?;
    let port = u16::from_be_bytes([udp[2], udp[3]]);
    if !ports.contains(port) {
        return None;
    }
    let network = match port {
        // Told first: who says so knows.
        _ if ports.vxlan.contains(&port) => vxlan(payload),
        VXLAN_GPE => vxlan_gpe(payload),
        GENEVE => geneve(payload),
        GTP_U => gtp_u(payload),
        _ => tzsp(payload),
    }?;
    match network {
        Ok(network) if ip::parse(network, cut).is_err() => None,
        Err(Skip::Malformed) => None,
        network => Some(network),
    }
}

/// RFC 7348 sets bit 0x08; the group policy extension adds 0x80. The last byte is reserved.
fn vxlan(payload: &[u8]) -> Option<Result<Network<'_>, Skip>> {
    let (header, frame) = payload.split_first_chunk::<8>()?;
    (header[0] & 0x7f == 0x08 && header[7] == 0).then(|| link::ethernet(frame))
}

/// Two reserved bits, two of version 0; bit 0x08 says that there is a network identifier, 0x04 that there is a next
/// protocol: without it there is Ethernet.
fn vxlan_gpe(payload: &[u8]) -> Option<Result<Network<'_>, Skip>> {
    let (header, inner) = payload.split_first_chunk::<8>()?;
    if header[0] & 0xf0 != 0 || header[0] & 0x0c == 0 || header[7] != 0 {
        return None;
    }
    Some(match (header[0] & 0x04 != 0, header[3]) {
        (false, _) | (true, 3) => link::ethernet(inner),
        (true, 1) => Ok(Network { ethertype: link::IPV4, bytes: inner }),
        (true, 2) => Ok(Network { ethertype: link::IPV6, bytes: inner }),
        (true, 5) => link::untag(Network { ethertype: link::MPLS_UNICAST, bytes: inner }),
        _ => Err(Skip::Ethertype),
    })
}

/// Version 0, the length of the options in words, the EtherType of what is inside.
fn geneve(payload: &[u8]) -> Option<Result<Network<'_>, Skip>> {
    let (header, rest) = payload.split_first_chunk::<8>()?;
    let (version, options) = (header[0] >> 6, usize::from(header[0] & 0x3f) * 4);
    if version != 0 || header[1] & 0x3f != 0 {
        return None;
    }
    let bytes = rest.get(options..)?;
    let ethertype = u16::from_be_bytes([header[2], header[3]]);
    Some(if ethertype == link::BRIDGED { link::ethernet(bytes) } else { link::untag(Network { ethertype, bytes }) })
}

/// Version 1, protocol type GTP, message type 255: a G-PDU (TS 29.281 §5.1).
fn gtp_u(payload: &[u8]) -> Option<Result<Network<'_>, Skip>> {
    let (header, mut rest) = payload.split_first_chunk::<8>()?;
    if header[0] & 0xf8 != 0x30 || header[1] != 0xff {
        return None;
    }
    // With any of the three flags there are all four bytes they speak of: sequence, N-PDU number, next extension.
    if header[0] & 0x07 != 0 {
        let (optional, behind) = rest.split_first_chunk::<4>()?;
        rest = behind;
        let mut next = if header[0] & 0x04 != 0 { optional[3] } else { 0 };
        // An extension has its length in words at its front and the type of the next one at its end (§5.2.1).
        while next != 0 {
            let len = 4 * usize::from(*rest.first().filter(|words| **words > 0)?);
            let (extension, behind) = rest.split_at_checked(len)?;
            (next, rest) = (extension[len - 1], behind);
        }
    }
    link::by_version(rest).ok().map(Ok)
}

/// Version 1, a packet (type 0 received, 1 to be sent) of encapsulation Ethernet, tagged fields up to an end.
fn tzsp(payload: &[u8]) -> Option<Result<Network<'_>, Skip>> {
    const PADDING: u8 = 0;
    const END: u8 = 1;
    let ([1, 0 | 1, 0, 1], mut rest) = payload.split_first_chunk::<4>()? else { return None };
    loop {
        let (tag, behind) = rest.split_first()?;
        rest = match *tag {
            END => return Some(link::ethernet(behind)),
            PADDING => behind,
            _ => {
                let (len, behind) = behind.split_first()?;
                behind.get(usize::from(*len)..)?
            }
        };
    }
}

/// What a datagram from or to these ports carries that is not read: data of L2TP, ESP.
pub(crate) fn unread(ports: [u16; 2], payload: &[u8]) -> Option<Skip> {
    match payload {
        // T is 0: data, not control; the reserved bits are 0, the version is 2 or 3.
        [flags, 2 | 3, ..] if ports.contains(&L2TP) && flags & 0xb4 == 0 => Some(Skip::L2tp),
        // An index of 0 marks key exchange; a single byte keeps the way open.
        [a, b, c, d, _, _, _, _, ..] if ports.contains(&ESP) && [*a, *b, *c, *d] != [0; 4] => Some(Skip::Esp),
        _ => None,
    }
}
