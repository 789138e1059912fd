//! Tunnels: the payload of an outer IP packet in, the network layer inside it out.
//!
//! IP in IP (RFC 2003, RFC 2473, RFC 4213), GRE version 0 (RFC 2784, RFC 2890), VXLAN (RFC 7348).

use crate::ip;
use crate::link::{self, Network};
use crate::skip::Skip;

pub(crate) const VXLAN_PORT: u16 = 4789;

const GRE_CHECKSUM: u16 = 0x8000;
const GRE_ROUTING: u16 = 0x4000;
const GRE_KEY: u16 = 0x2000;
const GRE_SEQUENCE: u16 = 0x1000;
const GRE_VERSION: u16 = 0x0007;

/// What an IP payload carries as a tunnel; `None` when it is none.
#[inline]
pub(crate) fn inside(protocol: u8, payload: &[u8]) -> Option<Result<Network<'_>, Skip>> {
    match protocol {
        ip::UDP => vxlan(payload).map(link::ethernet),
        ip::IPV4_IN_IP => Some(Ok(Network { ethertype: link::IPV4, bytes: payload })),
        ip::IPV6_IN_IP => Some(Ok(Network { ethertype: link::IPV6, bytes: payload })),
        ip::GRE => Some(gre(payload)),
        _ => None,
    }
}

/// The Ethernet frame behind a UDP and a VXLAN header. The flags are looked at too: they are no byte a SIP
/// message begins with, so that port 4789 may be a SIP port.
#[inline]
fn vxlan(payload: &[u8]) -> Option<&[u8]> {
    let (udp, rest) = payload.split_first_chunk::<8>()?;
    if u16::from_be_bytes([udp[2], udp[3]]) != VXLAN_PORT {
        return None;
    }
    let (header, frame) = rest.split_first_chunk::<8>()?;
    // RFC 7348 sets bit 0x08; the group policy extension adds 0x80. The last byte is reserved.
    (header[0] & 0x7f == 0x08 && header[7] == 0).then_some(frame)
}

fn gre(bytes: &[u8]) -> Result<Network<'_>, Skip> {
    let (header, _) = bytes.split_first_chunk::<4>().ok_or(Skip::Malformed)?;
    let flags = u16::from_be_bytes([header[0], header[1]]);
    let ethertype = u16::from_be_bytes([header[2], header[3]]);
    if flags & (GRE_VERSION | GRE_ROUTING) != 0 {
        return Err(Skip::OtherProtocol);
    }
    let optional = [GRE_CHECKSUM, GRE_KEY, GRE_SEQUENCE].iter().filter(|&&flag| flags & flag != 0).count();
    let bytes = bytes.get(4 + 4 * optional..).ok_or(Skip::Malformed)?;
    if ethertype == link::BRIDGED { link::ethernet(bytes) } else { link::untag(Network { ethertype, bytes }) }
}
