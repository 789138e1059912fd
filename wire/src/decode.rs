//! The way from a packet to the datagram in it: link layer, IP, tunnels, fragments, UDP or TCP header.
//!
//! Packets in order of capture in, each answered by what it was; a datagram borrows the packet, or the decoder
//! when it was put together of fragments. No checksum is verified: what this host sends is captured before the
//! network card fills it in. TCP is decoded up to its header; streams are put together elsewhere.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use crate::ip::{self, Ip};
use crate::link::{self, Network};
use crate::packet::{Link, Packet};
use crate::reassembly::{Key, Outcome, Piece, Reassembly, ReassemblyCounts};
use crate::skip::Skip;
use crate::time::Timestamp;
use crate::{transport, tunnel};

/// Most datagrams in reassembly unless told otherwise.
const DEFAULT_MAX_FRAGMENTED: usize = 4096;

/// Tunnels within each other that are followed.
const MAX_TUNNELS: usize = 2;

/// Decodes packets. Allocates only for fragments.
#[derive(Debug)]
pub struct Decoder {
    reassembly: Reassembly,
    tunnels: tunnel::Ports,
    /// The last packet put together of fragments: outside, in one tunnel, in two.
    whole: [Vec<u8>; MAX_TUNNELS + 1],
}

/// What a packet was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A UDP datagram.
    Datagram(Datagram<'a>),
    /// A TCP segment.
    Segment(Segment<'a>),
    /// A fragment that waits for others.
    Held,
    /// Nothing of use.
    Skipped(Skip),
}

/// One UDP datagram, the innermost where there is a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Sender.
    pub source: SocketAddr,
    /// Recipient.
    pub destination: SocketAddr,
    /// At most 65,535 bytes, unless segmentation offload left its length open.
    pub payload: &'a [u8],
    /// Time of the packet, or of the fragment that arrived first.
    pub first: Timestamp,
    /// How many bytes the capture cut off the end of `payload`: 0 where it is whole, 1 where that is not known.
    pub missing: u32,
    /// Identification of the IPv4 packet, the innermost; 0 of IPv6 and of what was put together.
    pub identification: u16,
}

/// One TCP segment, the innermost where there is a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Sender.
    pub source: SocketAddr,
    /// Recipient.
    pub destination: SocketAddr,
    /// Sequence number of the first byte of `payload`, or of SYN.
    pub sequence: u32,
    /// CWR, ECE, URG, ACK, PSH, RST, SYN, FIN from the highest bit to the lowest (RFC 9293 §3.1).
    pub flags: u8,
    /// May be longer than any MTU: offload captures segments before they are cut.
    pub payload: &'a [u8],
    /// The capture cut it.
    pub truncated: bool,
}

impl Datagram<'_> {
    /// What it carries that is not read, by its ports: ESP, or data of L2TP. Of use where these are no ports of SIP.
    pub fn unread(&self) -> Option<Skip> {
        tunnel::unread([self.source.port(), self.destination.port()], self.payload)
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_FRAGMENTED)
    }
}

impl Decoder {
    /// `max_fragmented`: most datagrams in reassembly, at least one; beyond it the oldest is given up.
    pub fn new(max_fragmented: usize) -> Self {
        Self {
            reassembly: Reassembly::new(max_fragmented),
            tunnels: tunnel::Ports::default(),
            whole: <[Vec<u8>; MAX_TUNNELS + 1]>::default(),
        }
    }

    /// Changes the ports that VXLAN goes to; at first 4789 and 8472.
    pub fn set_vxlan_ports(&mut self, ports: &[u16]) {
        self.tunnels = tunnel::Ports::new(ports);
    }

    /// Decodes one packet. Packets should come in order of time; disorder only moves the 30 s that fragments wait.
    // Not inlined, so that it writes down its answer once, where the caller looks at it.
    #[inline(never)]
    pub fn decode<'a>(&'a mut self, packet: &Packet<'a>) -> Decoded<'a> {
        match usual(packet, &self.tunnels) {
            Some(datagram) => Decoded::Datagram(datagram),
            None => self.decode_any(packet),
        }
    }

    /// Decodes a packet of any kind.
    #[inline(never)]
    fn decode_any<'a>(&'a mut self, packet: &Packet<'a>) -> Decoded<'a> {
        match self.try_decode(packet) {
            Ok(decoded) => decoded,
            // Whatever ends too early in a cut packet ended on the wire where it should.
            Err(Skip::Malformed) if packet.is_cut() => Decoded::Skipped(Skip::Cut),
            Err(skip) => Decoded::Skipped(skip),
        }
    }

    /// Gives up fragments that have waited too long at `now`; decoding a fragment does the same.
    pub fn expire(&mut self, now: Timestamp) {
        self.reassembly.expire(now);
    }

    /// What reassembly gave up since the start.
    pub fn counts(&self) -> ReassemblyCounts {
        self.reassembly.counts()
    }

    /// Datagrams that wait for fragments now.
    pub fn fragmented(&self) -> usize {
        self.reassembly.len()
    }

    /// Bytes of fragments that wait now.
    pub fn held_bytes(&self) -> usize {
        self.reassembly.held()
    }

    fn try_decode<'a>(&'a mut self, packet: &Packet<'a>) -> Result<Decoded<'a>, Skip> {
        let Self { reassembly, tunnels, whole } = self;
        let mut network = link::network(packet.link, packet.bytes)?;
        let (mut cut, mut first) = (packet.is_cut(), packet.at);
        for (depth, whole) in (0..).zip(whole) {
            let Some(layer) = layer(network, cut, first, depth, reassembly, whole)? else {
                return Ok(Decoded::Held);
            };
            (cut, first) = (layer.cut, layer.first);
            match tunnel::inside(layer.protocol, layer.payload, cut, tunnels) {
                None => return transport(&layer),
                Some(_) if usize::from(depth) == MAX_TUNNELS => break,
                Some(inside) => network = inside?,
            }
        }
        Err(Skip::Nested)
    }
}

/// The datagram in a packet as nearly all are: whole, with nothing but a link header before IPv4, no options, no
/// fragment, no tunnel. What is not so is `None`, and says nothing.
// Step by step, the way to a datagram cost three times as many instructions.
#[inline(always)]
fn usual<'a>(packet: &Packet<'a>, tunnels: &tunnel::Ports) -> Option<Datagram<'a>> {
    let bytes = match packet.link {
        Link::Ethernet => behind(packet.bytes.split_first_chunk::<14>()?, |[.., high, low]| [high, low])?,
        Link::Network { ethertype: link::IPV4 } | Link::Ipv4 | Link::RawIp => packet.bytes,
        // What `tcpdump -i any` writes.
        Link::LinuxCooked => behind(packet.bytes.split_first_chunk::<16>()?, |[.., high, low]| [high, low])?,
        Link::LinuxCooked2 => behind(packet.bytes.split_first_chunk::<20>()?, |[high, low, ..]| [high, low])?,
        _ => return None,
    };
    let (ip, _) = bytes.split_first_chunk::<28>()?;
    let number = |at: usize| u16::from_be_bytes([ip[at], ip[at + 1]]);
    let (total_len, fragment, udp_len) = (usize::from(number(2)), number(6) & 0x3fff, usize::from(number(24)));
    let (source, destination) = (number(20), number(22));
    // Version 4 and a header of five words.
    let is_usual = ip[0] == 0x45 && ip[9] == ip::UDP && fragment == 0 && !tunnels.contains(destination);
    // Behind the UDP header there may be less than the IP header says, or more, which is padding.
    if !is_usual || udp_len < 8 || udp_len + 20 > total_len || total_len > bytes.len() || packet.is_cut() {
        return None;
    }
    let payload = bytes.get(28..20 + udp_len)?;
    let address = |at: usize| Ipv4Addr::new(ip[at], ip[at + 1], ip[at + 2], ip[at + 3]);
    Some(Datagram {
        source: SocketAddrV4::new(address(12), source).into(),
        destination: SocketAddrV4::new(address(16), destination).into(),
        payload,
        first: packet.at,
        missing: 0,
        identification: number(4),
    })
}

/// What stands behind a link header in which `ethertype` is that of IPv4.
#[inline(always)]
fn behind<'a, const N: usize>(
    (header, bytes): (&[u8; N], &'a [u8]),
    ethertype: impl Fn([u8; N]) -> [u8; 2],
) -> Option<&'a [u8]> {
    (u16::from_be_bytes(ethertype(*header)) == link::IPV4).then_some(bytes)
}

/// One whole IP packet.
#[derive(Clone, Copy, Debug)]
struct Layer<'a> {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    payload: &'a [u8],
    /// The capture cut `payload`.
    cut: bool,
    first: Timestamp,
    identification: u16,
}

/// Reads one IP header and puts fragments together; `None` when pieces are missing.
#[inline]
fn layer<'a>(
    network: Network<'a>,
    cut: bool,
    at: Timestamp,
    depth: u8,
    reassembly: &mut Reassembly,
    whole: &'a mut Vec<u8>,
) -> Result<Option<Layer<'a>>, Skip> {
    let ip = ip::parse(network, cut)?;
    let Ip { source, destination, protocol, payload, cut, fragment, identification } = ip;
    let layer = Layer { source, destination, protocol, payload, cut, first: at, identification };
    let Some(fragment) = fragment else {
        return Ok(Some(layer));
    };
    if cut {
        // The headers of a message stand in the first fragment, so it is worth having without the others.
        return if fragment.offset == 0 { Ok(Some(layer)) } else { Err(Skip::Cut) };
    }
    let is_v6 = source.is_ipv6();
    let key_protocol = if is_v6 { 0 } else { protocol };
    let identification = fragment.identification;
    let key = Key { source, destination, protocol: key_protocol, identification, depth };
    let piece = Piece { at, offset: fragment.offset, more: fragment.more, protocol, bytes: payload };
    let (first, protocol) = match reassembly.insert(key, piece, whole) {
        Outcome::Held => return Ok(None),
        Outcome::Refused => return Err(Skip::Fragment),
        Outcome::Whole { first, protocol } => (first, protocol),
    };
    let layer = Layer { first, protocol, payload: whole, identification: 0, ..layer };
    if !is_v6 {
        return Ok(Some(layer));
    }
    // Destination options and authentication may stand behind the fragment header.
    let extensions = ip::extensions(protocol, layer.payload)?;
    if extensions.fragment.is_some() {
        return Err(Skip::Malformed);
    }
    Ok(Some(Layer { protocol: extensions.protocol, payload: extensions.payload, ..layer }))
}

/// Reads the UDP or TCP header.
#[inline]
fn transport<'a>(layer: &Layer<'a>) -> Result<Decoded<'a>, Skip> {
    match layer.protocol {
        ip::UDP => {
            let udp = transport::udp(layer.payload, layer.cut)?;
            Ok(Decoded::Datagram(Datagram {
                source: SocketAddr::new(layer.source, udp.source),
                destination: SocketAddr::new(layer.destination, udp.destination),
                payload: udp.payload,
                first: layer.first,
                missing: udp.missing,
                identification: layer.identification,
            }))
        }
        ip::TCP => {
            let tcp = transport::tcp(layer.payload)?;
            Ok(Decoded::Segment(Segment {
                source: SocketAddr::new(layer.source, tcp.source),
                destination: SocketAddr::new(layer.destination, tcp.destination),
                sequence: tcp.sequence,
                flags: tcp.flags,
                payload: tcp.payload,
                truncated: layer.cut,
            }))
        }
        ip::ESP => Err(Skip::Esp),
        ip::L2TP => Err(Skip::L2tp),
        ip::SCTP => Err(Skip::Sctp),
        _ => Err(Skip::OtherProtocol),
    }
}

#[cfg(test)]
mod tests;
