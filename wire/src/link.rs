//! Link layers: packet bytes in, the EtherType and bytes of the network layer out.
//!
//! VLAN tags (802.1Q, 802.1ad, and the values in use before it), VN-tags, E-tags (802.1BR), MPLS labels (RFC 3032) and
//! PPPoE sessions (RFC 2516) are stepped over, however many there are.

use crate::packet::Link;
use crate::skip::Skip;

pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const IPV6: u16 = 0x86dd;
/// Ethernet frame inside GRE ("transparent Ethernet bridging").
pub(crate) const BRIDGED: u16 = 0x6558;

pub(crate) const MPLS_UNICAST: u16 = 0x8847;

const VN_TAG: u16 = 0x8926;
const E_TAG: u16 = 0x893f;
const MPLS: [u16; 2] = [MPLS_UNICAST, 0x8848];
const PPPOE_SESSION: u16 = 0x8864;
const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;
/// From here on PPP negotiates and carries nothing (RFC 1661 §2).
const PPP_CONTROL: u16 = 0x8000;

/// ARP, LLDP, EAPOL, PTP, slow protocols, loopback tests: nothing is carried in them.
const HOUSEKEEPING: [u16; 6] = [0x0806, 0x88cc, 0x888e, 0x88f7, 0x8809, 0x9000];

/// Bytes of the network layer and what they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network<'a> {
    pub ethertype: u16,
    pub bytes: &'a [u8],
}

/// 802.1Q, 802.1ad, and what was in use before it. Asked of every packet of media.
#[inline]
pub(crate) const fn is_vlan_tag(ethertype: u16) -> bool {
    matches!(ethertype, 0x8100 | 0x88a8 | 0x9100 | 0x9200)
}

/// Steps over the link layer. [`Skip::Malformed`] when the bytes end within it.
pub(crate) fn network(link: Link, bytes: &[u8]) -> Result<Network<'_>, Skip> {
    let network = match link {
        Link::Ethernet => return ethernet(bytes),
        Link::Ipv4 => Network { ethertype: IPV4, bytes },
        Link::Ipv6 => Network { ethertype: IPV6, bytes },
        Link::RawIp => return by_version(bytes),
        Link::LinuxCooked => {
            let (header, bytes) = bytes.split_first_chunk::<16>().ok_or(Skip::Malformed)?;
            Network { ethertype: u16::from_be_bytes([header[14], header[15]]), bytes }
        }
        Link::LinuxCooked2 => {
            let (header, bytes) = bytes.split_first_chunk::<20>().ok_or(Skip::Malformed)?;
            Network { ethertype: u16::from_be_bytes([header[0], header[1]]), bytes }
        }
        Link::Null => {
            let (family, bytes) = bytes.split_first_chunk::<4>().ok_or(Skip::Malformed)?;
            // Families are small numbers: whichever order makes it small is the order of the host.
            let family = u32::from_le_bytes(*family).min(u32::from_be_bytes(*family));
            return by_family(family, bytes);
        }
        Link::Loop => {
            let (family, bytes) = bytes.split_first_chunk::<4>().ok_or(Skip::Malformed)?;
            return by_family(u32::from_be_bytes(*family), bytes);
        }
        Link::Network { ethertype } => Network { ethertype, bytes },
    };
    untag(network)
}

/// Steps over an Ethernet II header and what may stand between it and IP.
pub(crate) fn ethernet(bytes: &[u8]) -> Result<Network<'_>, Skip> {
    let (header, bytes) = bytes.split_first_chunk::<14>().ok_or(Skip::Malformed)?;
    untag(Network { ethertype: u16::from_be_bytes([header[12], header[13]]), bytes })
}

/// Steps over VLAN tags, MPLS labels and PPPoE. Every step takes bytes, so it ends.
pub(crate) fn untag(mut network: Network<'_>) -> Result<Network<'_>, Skip> {
    loop {
        let bytes = network.bytes;
        network = match network.ethertype {
            IPV4 | IPV6 => return Ok(network),
            ethertype if is_vlan_tag(ethertype) => {
                let (tag, bytes) = bytes.split_first_chunk::<4>().ok_or(Skip::Malformed)?;
                Network { ethertype: u16::from_be_bytes([tag[2], tag[3]]), bytes }
            }
            VN_TAG => {
                let (tag, bytes) = bytes.split_first_chunk::<6>().ok_or(Skip::Malformed)?;
                Network { ethertype: u16::from_be_bytes([tag[4], tag[5]]), bytes }
            }
            E_TAG => {
                let (tag, bytes) = bytes.split_first_chunk::<8>().ok_or(Skip::Malformed)?;
                Network { ethertype: u16::from_be_bytes([tag[6], tag[7]]), bytes }
            }
            ethertype if MPLS.contains(&ethertype) => {
                let (label, bytes) = bytes.split_first_chunk::<4>().ok_or(Skip::Malformed)?;
                let bottom_of_stack = label[2] & 1 == 1;
                if bottom_of_stack {
                    return by_version(bytes);
                }
                Network { ethertype, bytes }
            }
            PPPOE_SESSION => {
                let (header, bytes) = bytes.split_first_chunk::<8>().ok_or(Skip::Malformed)?;
                match u16::from_be_bytes([header[6], header[7]]) {
                    PPP_IPV4 => Network { ethertype: IPV4, bytes },
                    PPP_IPV6 => Network { ethertype: IPV6, bytes },
                    PPP_CONTROL.. => return Err(Skip::NotIp),
                    _ => return Err(Skip::Ethertype),
                }
            }
            ethertype if HOUSEKEEPING.contains(&ethertype) => return Err(Skip::NotIp),
            _ => return Err(Skip::Ethertype),
        };
    }
}

/// What has no type of its own: IP is known by its version.
pub(crate) fn by_version(bytes: &[u8]) -> Result<Network<'_>, Skip> {
    match bytes.first().ok_or(Skip::Malformed)? >> 4 {
        4 => Ok(Network { ethertype: IPV4, bytes }),
        6 => Ok(Network { ethertype: IPV6, bytes }),
        _ => Err(Skip::Ethertype),
    }
}

/// AF_INET is 2 everywhere; AF_INET6 is 10 on Linux, 23 on Windows, 24, 28 and 30 on the BSDs and macOS.
fn by_family(family: u32, bytes: &[u8]) -> Result<Network<'_>, Skip> {
    match family {
        2 => Ok(Network { ethertype: IPV4, bytes }),
        10 | 23 | 24 | 28 | 30 => Ok(Network { ethertype: IPV6, bytes }),
        _ => Err(Skip::Ethertype),
    }
}
