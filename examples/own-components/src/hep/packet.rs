//! HEP version 3: a datagram in, the message in it and between whom it went out.
//!
//! Four bytes `HEP3`, two of length, then chunks: vendor, type and length in two bytes each, and a value. Only vendor 0 is
//! read. The protocol has no RFC; its text is "HEP/EEP protocol, revision 36" of the Homer project.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use pipeline::Transport;

/// A message of SIP, as an agent saw it.
#[derive(Debug, PartialEq)]
pub struct Packet<'a> {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub transport: Transport,
    pub payload: &'a [u8],
}

/// Reads one datagram; `None` where it is damaged, lacks an address, or carries something else than SIP.
pub fn read(datagram: &[u8]) -> Option<Packet<'_>> {
    let rest = datagram.strip_prefix(b"HEP3")?;
    let (length, mut rest) = two(rest)?;
    if usize::from(length) != datagram.len() {
        return None;
    }
    let (mut addresses, mut ports, mut transport) = ([None; 2], [None; 2], Transport::Udp);
    let (mut is_sip, mut payload) = (false, None);
    while !rest.is_empty() {
        let (vendor, after) = two(rest)?;
        let (kind, after) = two(after)?;
        let (length, after) = two(after)?;
        let (value, after) = after.split_at_checked(usize::from(length).checked_sub(HEADER)?)?;
        rest = after;
        match (vendor, kind) {
            (0, PROTOCOL) if value == [TCP] => transport = Transport::Tcp,
            (0, SOURCE_V4 | DESTINATION_V4) => {
                let value: [u8; 4] = value.try_into().ok()?;
                addresses[usize::from(kind == DESTINATION_V4)] = Some(IpAddr::V4(Ipv4Addr::from(value)));
            }
            (0, SOURCE_V6 | DESTINATION_V6) => {
                let value: [u8; 16] = value.try_into().ok()?;
                addresses[usize::from(kind == DESTINATION_V6)] = Some(IpAddr::V6(Ipv6Addr::from(value)));
            }
            (0, SOURCE_PORT | DESTINATION_PORT) => {
                ports[usize::from(kind == DESTINATION_PORT)] = Some(u16::from_be_bytes(value.try_into().ok()?));
            }
            (0, CARRIES) => is_sip = value == [SIP],
            (0, PAYLOAD) => payload = Some(value),
            _ => {}
        }
    }
    let [source, destination] = [0, 1].map(|end| Some(SocketAddr::new(addresses[end]?, ports[end]?)));
    Some(Packet { source: source?, destination: destination?, transport, payload: payload.filter(|_| is_sip)? })
}

fn two(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (two, rest) = bytes.split_first_chunk()?;
    Some((u16::from_be_bytes(*two), rest))
}

/// Bytes before a chunk's value.
const HEADER: usize = 6;
const PROTOCOL: u16 = 2;
const SOURCE_V4: u16 = 3;
const DESTINATION_V4: u16 = 4;
const SOURCE_V6: u16 = 5;
const DESTINATION_V6: u16 = 6;
const SOURCE_PORT: u16 = 7;
const DESTINATION_PORT: u16 = 8;
const CARRIES: u16 = 11;
const PAYLOAD: u16 = 15;
/// Of [`PROTOCOL`], as IP numbers it.
const TCP: u8 = 6;
/// Of [`CARRIES`].
const SIP: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(HEADER + value.len()).expect("it is short");
        [&[0, 0][..], &kind.to_be_bytes(), &length.to_be_bytes(), value].concat()
    }

    fn datagram(chunks: &[Vec<u8>]) -> Vec<u8> {
        let chunks = chunks.concat();
        let length = u16::try_from(6 + chunks.len()).expect("it is short");
        [&b"HEP3"[..], &length.to_be_bytes(), &chunks].concat()
    }

    fn whole() -> Vec<Vec<u8>> {
        vec![
            chunk(PROTOCOL, &[TCP]),
            chunk(SOURCE_V4, &[192, 0, 2, 1]),
            chunk(DESTINATION_V4, &[192, 0, 2, 2]),
            chunk(SOURCE_PORT, &5060_u16.to_be_bytes()),
            chunk(DESTINATION_PORT, &5080_u16.to_be_bytes()),
            chunk(CARRIES, &[SIP]),
            chunk(PAYLOAD, b"OPTIONS"),
        ]
    }

    #[test]
    fn a_message_comes_out_with_both_ends() {
        let expected = Packet {
            source: "192.0.2.1:5060".parse().expect("an address"),
            destination: "192.0.2.2:5080".parse().expect("an address"),
            transport: Transport::Tcp,
            payload: b"OPTIONS",
        };
        assert_eq!(read(&datagram(&whole())), Some(expected));
    }

    #[test]
    fn an_address_may_be_of_either_version() {
        let mut chunks = whole();
        let address: Ipv6Addr = "2001:db8::1".parse().expect("an address");
        chunks[1] = chunk(SOURCE_V6, &address.octets());
        assert_eq!(read(&datagram(&chunks)).expect("it is whole").source.ip(), IpAddr::V6(address));
    }

    #[test]
    fn what_lacks_a_part_is_refused() {
        for missing in 1..7 {
            let mut chunks = whole();
            chunks.remove(missing);
            assert_eq!(read(&datagram(&chunks)), None, "without chunk {missing}");
        }
    }

    #[test]
    fn a_datagram_that_was_cut_anywhere_is_refused() {
        let whole = datagram(&whole());
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]), None, "{length} bytes");
        }
        let mut short = whole;
        // The first chunk claims less than its own header.
        short[11] = 5;
        assert_eq!(read(&short), None);
    }
}
