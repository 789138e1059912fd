//! UDP and TCP headers (RFC 768, RFC 9293 §3.1): the payload of an IP packet in, ports and payload out.

use crate::ip;
use crate::skip::Skip;

/// One UDP datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Udp<'a> {
    pub source: u16,
    pub destination: u16,
    pub payload: &'a [u8],
    /// How many bytes the capture cut off, at least.
    pub missing: u32,
}

/// One TCP segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tcp<'a> {
    pub source: u16,
    pub destination: u16,
    pub sequence: u32,
    pub flags: u8,
    pub payload: &'a [u8],
}

/// Reads a UDP header. `cut` tells that the capture did not keep all of `bytes`.
pub(crate) fn udp(bytes: &[u8], cut: bool) -> Result<Udp<'_>, Skip> {
    let (header, rest) = bytes.split_first_chunk::<8>().ok_or(Skip::Malformed)?;
    let len = match u16::from_be_bytes([header[4], header[5]]) {
        // Segmentation offload, or a jumbogram (RFC 2675 §4): all there is.
        0 => None,
        len => Some(usize::from(len).checked_sub(8).ok_or(Skip::Malformed)?),
    };
    let (payload, truncated) = ip::limit(rest, len, cut)?;
    Ok(Udp {
        source: u16::from_be_bytes([header[0], header[1]]),
        destination: u16::from_be_bytes([header[2], header[3]]),
        payload,
        missing: len.map_or(u32::from(truncated), |len| (len - payload.len()) as u32),
    })
}

/// Reads a TCP header and steps over its options.
pub(crate) fn tcp(bytes: &[u8]) -> Result<Tcp<'_>, Skip> {
    let header = bytes.first_chunk::<20>().ok_or(Skip::Malformed)?;
    let header_len = usize::from(header[12] >> 4) * 4;
    if header_len < 20 {
        return Err(Skip::Malformed);
    }
    Ok(Tcp {
        source: u16::from_be_bytes([header[0], header[1]]),
        destination: u16::from_be_bytes([header[2], header[3]]),
        sequence: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
        flags: header[13],
        payload: bytes.get(header_len..).ok_or(Skip::Malformed)?,
    })
}
