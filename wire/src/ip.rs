//! IP headers: bytes of the network layer in, addresses, protocol and payload out (RFC 791, RFC 8200).
//!
//! Lengths come from the header, not from the frame, which may be padded. Checksums are not looked at:
//! packets captured where they are sent have none yet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::link::{self, Network};
use crate::skip::Skip;

pub(crate) const IPV4_IN_IP: u8 = 4;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const IPV6_IN_IP: u8 = 41;
pub(crate) const GRE: u8 = 47;
pub(crate) const ESP: u8 = 50;
pub(crate) const L2TP: u8 = 115;
pub(crate) const SCTP: u8 = 132;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;

/// Most IPv6 extension headers followed in one packet; RFC 8200 §4.1 knows eight places for them.
const MAX_EXTENSIONS: usize = 8;

/// One IP packet, or the piece of one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ip<'a> {
    pub source: IpAddr,
    pub destination: IpAddr,
    /// What `payload` is; of a piece after the first of IPv6, whatever its fragment header says.
    pub protocol: u8,
    pub payload: &'a [u8],
    /// The capture cut it: `payload` is shorter than the header says.
    pub cut: bool,
    pub fragment: Option<Fragment>,
    /// Of IPv4; 0 where there is none.
    pub identification: u16,
}

/// Where a piece belongs (RFC 791 §3.1, RFC 8200 §4.5).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fragment {
    pub identification: u32,
    /// Bytes before this piece: a multiple of 8, at most 65,528.
    pub offset: u16,
    /// More pieces follow.
    pub more: bool,
}

/// Reads the IP header. `cut` tells that the capture did not keep the whole packet; without it a payload
/// shorter than its header says is [`Skip::Malformed`].
pub(crate) fn parse(network: Network<'_>, cut: bool) -> Result<Ip<'_>, Skip> {
    match network.ethertype {
        link::IPV4 => v4(network.bytes, cut),
        link::IPV6 => v6(network.bytes, cut),
        _ => Err(Skip::NotIp),
    }
}

fn v4(bytes: &[u8], cut: bool) -> Result<Ip<'_>, Skip> {
    let header = bytes.first_chunk::<20>().ok_or(Skip::Malformed)?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[0] >> 4 != 4 || header_len < 20 {
        return Err(Skip::Malformed);
    }
    let rest = bytes.get(header_len..).ok_or(Skip::Malformed)?;
    // Segmentation offload leaves 0 where the length does not fit.
    let payload_len = match total_len {
        0 => None,
        _ => Some(total_len.checked_sub(header_len).ok_or(Skip::Malformed)?),
    };
    let (payload, cut) = limit(rest, payload_len, cut)?;

    let flags_and_offset = u16::from_be_bytes([header[6], header[7]]);
    let offset = (flags_and_offset & 0x1fff) * 8;
    let more = flags_and_offset & 0x2000 != 0;
    let fragment = (more || offset > 0).then(|| Fragment {
        identification: u32::from(u16::from_be_bytes([header[4], header[5]])),
        offset,
        more,
    });
    Ok(Ip {
        source: Ipv4Addr::new(header[12], header[13], header[14], header[15]).into(),
        destination: Ipv4Addr::new(header[16], header[17], header[18], header[19]).into(),
        protocol: header[9],
        payload,
        cut,
        fragment,
        identification: u16::from_be_bytes([header[4], header[5]]),
    })
}

fn v6(bytes: &[u8], cut: bool) -> Result<Ip<'_>, Skip> {
    let (header, rest) = bytes.split_first_chunk::<40>().ok_or(Skip::Malformed)?;
    if header[0] >> 4 != 6 {
        return Err(Skip::Malformed);
    }
    // 0 is a jumbogram (RFC 2675) or segmentation offload.
    let payload_len = match u16::from_be_bytes([header[4], header[5]]) {
        0 => None,
        len => Some(usize::from(len)),
    };
    let (payload, cut) = limit(rest, payload_len, cut)?;
    let Extensions { protocol, payload, fragment } = extensions(header[6], payload)?;
    let (source, destination) = (address(header, 8), address(header, 24));
    Ok(Ip { source, destination, protocol, payload, cut, fragment, identification: 0 })
}

/// What stands behind a chain of extension headers.
#[derive(Debug)]
pub(crate) struct Extensions<'a> {
    pub protocol: u8,
    pub payload: &'a [u8],
    pub fragment: Option<Fragment>,
}

/// Follows IPv6 extension headers up to the payload, or up to the fragment header of a piece.
pub(crate) fn extensions(mut protocol: u8, mut payload: &[u8]) -> Result<Extensions<'_>, Skip> {
    for _ in 0..=MAX_EXTENSIONS {
        let len = match protocol {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => 8 + 8 * usize::from(*payload.get(1).ok_or(Skip::Malformed)?),
            AUTHENTICATION => 8 + 4 * usize::from(*payload.get(1).ok_or(Skip::Malformed)?),
            FRAGMENT => 8,
            _ => return Ok(Extensions { protocol, payload, fragment: None }),
        };
        let (header, rest) = payload.split_at_checked(len).ok_or(Skip::Malformed)?;
        let is_fragment = protocol == FRAGMENT;
        (protocol, payload) = (header[0], rest);
        if is_fragment {
            let offset = u16::from_be_bytes([header[2], header[3]]);
            let fragment = Fragment {
                identification: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
                offset: offset & 0xfff8,
                more: offset & 1 == 1,
            };
            // An atomic fragment is whole by itself and meets no other piece (RFC 6946).
            if fragment.more || fragment.offset > 0 {
                return Ok(Extensions { protocol, payload, fragment: Some(fragment) });
            }
        }
    }
    Err(Skip::Malformed)
}

/// The first `len` bytes of `rest`, all of it where no length is known, and whether the capture cut it.
pub(crate) fn limit(rest: &[u8], len: Option<usize>, cut: bool) -> Result<(&[u8], bool), Skip> {
    let Some(len) = len else {
        return Ok((rest, cut));
    };
    match rest.get(..len) {
        Some(payload) => Ok((payload, false)),
        None if cut => Ok((rest, true)),
        None => Err(Skip::Malformed),
    }
}

/// The IPv6 address at `start` of a header.
fn address(header: &[u8; 40], start: usize) -> IpAddr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&header[start..start + 16]);
    Ipv6Addr::from(octets).into()
}
