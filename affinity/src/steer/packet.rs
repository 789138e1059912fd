//! Packets as the program reads them: Ethernet, IPv4 or IPv6, UDP. What it does not know it leaves alone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Most extension headers of IPv6 that are gone through.
pub const EXTENSION_HEADERS: usize = 6;

/// What a frame is to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Nothing it knows.
    Other,
    /// TCP to this address.
    Tcp(SocketAddr),
    /// UDP, whole or its first fragment.
    Udp(Datagram),
    /// A later fragment, and its TTL or hop limit.
    Later(Piece, u8),
}

/// UDP in a frame. Places are counted from the first byte of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Who sent it.
    pub source: SocketAddr,
    /// Whom it is for.
    pub destination: SocketAddr,
    /// Where the header of UDP begins.
    pub udp: usize,
    /// Bytes of payload that are there.
    pub payload: usize,
    /// It is a first fragment, of this identification.
    pub first_of: Option<u32>,
    /// TTL or hop limit.
    pub hops: u8,
}

/// Which datagram a later fragment belongs to (RFC 791 §3.2, RFC 8200 §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Piece {
    /// Who sent it.
    pub source: IpAddr,
    /// Whom it is for.
    pub destination: IpAddr,
    /// Identification.
    pub identification: u32,
}

/// Where IP begins.
pub const IP: usize = 14;

/// Bytes of a header of UDP.
pub const UDP: usize = 8;

const TCP_PROTOCOL: u8 = 6;
const UDP_PROTOCOL: u8 = 17;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

/// What an IP header says: of what stands behind it.
struct Network {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    hops: u8,
    /// Where that begins, and where the packet ends.
    at: usize,
    end: usize,
    /// Identification, and whether the fragment is the first, of a datagram in pieces.
    piece: Option<(u32, bool)>,
}

impl Frame {
    /// Reads a frame. Truncated and malformed ones are [`Self::Other`].
    pub fn read(frame: &[u8]) -> Self {
        Self::known(frame).unwrap_or(Self::Other)
    }

    fn known(frame: &[u8]) -> Option<Self> {
        let network = match frame.get(12..IP)? {
            [0x08, 0x00] => ipv4(frame)?,
            [0x86, 0xdd] => ipv6(frame)?,
            _ => return None,
        };
        let Network { source, destination, protocol, hops, at, end, piece } = network;
        if let Some((identification, false)) = piece {
            return Some(Self::Later(Piece { source, destination, identification }, hops));
        }
        let header = frame.get(at..end)?.get(..UDP)?;
        let [from, to, length] = [0, 2, 4].map(|at| u16::from_be_bytes([header[at], header[at + 1]]));
        let destination = SocketAddr::new(destination, to);
        if protocol == TCP_PROTOCOL {
            return Some(Self::Tcp(destination));
        }
        let (said, there) = (usize::from(length).checked_sub(UDP)?, end - at - UDP);
        // A first fragment holds less than it says.
        if piece.is_none() && said > there {
            return None;
        }
        Some(Self::Udp(Datagram {
            source: SocketAddr::new(source, from),
            destination,
            udp: at,
            payload: said.min(there),
            first_of: piece.map(|(identification, _)| identification),
            hops,
        }))
    }
}

/// RFC 791 §3.1.
fn ipv4(frame: &[u8]) -> Option<Network> {
    let header = frame.get(IP..IP + 20)?;
    let length = usize::from(header[0] & 0xf) * 4;
    let end = IP + usize::from(u16::from_be_bytes([header[2], header[3]]));
    let protocol = header[9];
    let known = header[0] >> 4 == 4 && length >= 20 && end >= IP + length && end <= frame.len();
    let fragment = u16::from_be_bytes([header[6], header[7]]);
    let (offset, more) = (fragment & 0x1fff, fragment & 0x2000 != 0);
    // TCP in pieces is nothing to count by its port.
    let wanted = protocol == UDP_PROTOCOL || (protocol == TCP_PROTOCOL && offset == 0 && !more);
    (known && wanted).then(|| Network {
        source: Ipv4Addr::from([header[12], header[13], header[14], header[15]]).into(),
        destination: Ipv4Addr::from([header[16], header[17], header[18], header[19]]).into(),
        protocol,
        hops: header[8],
        at: IP + length,
        end,
        piece: (offset != 0 || more).then(|| (u16::from_be_bytes([header[4], header[5]]).into(), offset == 0)),
    })
}

/// RFC 8200 §3 and §4. Source routes that lead on, authentication and a second fragment header are not known.
fn ipv6(frame: &[u8]) -> Option<Network> {
    let header = frame.get(IP..IP + 40)?;
    let address = |at: usize| {
        let bytes: [u8; 16] = header[at..at + 16].try_into().expect("sixteen bytes");
        IpAddr::from(Ipv6Addr::from(bytes))
    };
    let end = IP + 40 + usize::from(u16::from_be_bytes([header[4], header[5]]));
    // IPv4 addresses in those of IPv6 are for programs, not for the wire; the program keeps IPv4 like that.
    let is_mapped = |address: IpAddr| matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some());
    if header[0] >> 4 != 6 || end > frame.len() || is_mapped(address(8)) || is_mapped(address(24)) {
        return None;
    }
    let (mut next, mut at, mut piece) = (header[6], IP + 40, None);
    for _ in 0..EXTENSION_HEADERS {
        if !matches!(next, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION) {
            break;
        }
        let extension = frame.get(at..end)?.get(..8)?;
        match next {
            FRAGMENT if piece.is_some() => return None,
            FRAGMENT => {
                let fragment = u16::from_be_bytes([extension[2], extension[3]]);
                let identification = u32::from_be_bytes([extension[4], extension[5], extension[6], extension[7]]);
                let (offset, more) = (fragment & 0xfff8, fragment & 1 != 0);
                piece = (offset != 0 || more).then_some((identification, offset == 0));
                at += 8;
            }
            ROUTING if extension[3] != 0 => return None,
            _ => at += (usize::from(extension[1]) + 1) * 8,
        }
        next = extension[0];
        if matches!(piece, Some((_, false))) {
            break;
        }
    }
    let is_later = matches!(piece, Some((_, false)));
    let wanted = is_later || next == UDP_PROTOCOL || (next == TCP_PROTOCOL && piece.is_none());
    wanted.then(|| Network {
        source: address(8),
        destination: address(24),
        protocol: next,
        hops: header[7],
        at,
        end,
        piece,
    })
}
