//! Packets into pcapng (draft-ietf-opsawg-pcapng): nanoseconds, an interface for each link type, bytes as they came.

use std::io::{self, Write};

use wire::{Packet, Timestamp};

/// A capture that is being written.
pub struct Writer<W> {
    out: W,
    /// Link types by the number of their interface.
    interfaces: Vec<u16>,
}

impl<W: Write> Writer<W> {
    /// Begins a capture; `comment` says where it comes from.
    ///
    /// # Errors
    /// Whatever `out` says.
    pub fn new(mut out: W, comment: &str) -> io::Result<Self> {
        out.write_all(&section(comment))?;
        Ok(Self { out, interfaces: Vec::new() })
    }

    /// Adds a packet of a link type.
    ///
    /// # Errors
    /// Whatever `out` says.
    pub fn packet(&mut self, packet: &Packet<'_>, link_type: u16) -> io::Result<()> {
        let known = self.interfaces.iter().position(|known| *known == link_type);
        let index = known.unwrap_or(self.interfaces.len());
        if known.is_none() {
            self.out.write_all(&interface(link_type, None))?;
            self.interfaces.push(link_type);
        }
        let mut block = Vec::with_capacity(packet.bytes.len() + 36);
        put_packet(&mut block, index as u32, packet.at, packet.original_len, packet.bytes);
        self.out.write_all(&block)
    }

    /// Ends the capture.
    ///
    /// # Errors
    /// Whatever `out` says.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

/// The block that begins a capture.
pub(crate) fn section(comment: &str) -> Vec<u8> {
    // Byte order, version 1.0, a section of unknown length.
    let mut body = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
    option(&mut body, OPT_COMMENT, comment.as_bytes());
    end_of_options(&mut body);
    block(SECTION_HEADER, &body)
}

/// The block of an interface, with times in nanoseconds.
pub(crate) fn interface(link_type: u16, name: Option<&str>) -> Vec<u8> {
    // No bound of ours on what was kept of a packet.
    let mut body = [&link_type.to_le_bytes()[..], &[0; 2], &0_u32.to_le_bytes()].concat();
    if let Some(name) = name {
        option(&mut body, IF_NAME, name.as_bytes());
    }
    option(&mut body, IF_TSRESOL, &[9]);
    end_of_options(&mut body);
    block(INTERFACE_DESCRIPTION, &body)
}

/// Adds the block of a packet.
pub(crate) fn put_packet(out: &mut Vec<u8>, interface: u32, at: Timestamp, original_len: u32, bytes: &[u8]) {
    let nanos = at.as_nanos();
    let len = (HEAD + bytes.len().next_multiple_of(4) + 4) as u32;
    for word in [ENHANCED_PACKET, len, interface, (nanos >> 32) as u32, nanos as u32, bytes.len() as u32, original_len]
    {
        out.extend_from_slice(&word.to_le_bytes());
    }
    padded(out, bytes);
    out.extend_from_slice(&len.to_le_bytes());
}

/// The packet blocks at the front of `bytes`, as [`put_packet`] wrote them: interface, time, packet and its original length.
pub(crate) fn packets(mut bytes: &[u8]) -> impl Iterator<Item = (u32, Timestamp, &[u8], u32)> {
    std::iter::from_fn(move || {
        let head = bytes.first_chunk::<HEAD>()?;
        let (words, _) = head.as_chunks::<4>();
        let word = |at: usize| u32::from_le_bytes(words[at]);
        let (len, kept) = (word(1) as usize, word(5) as usize);
        let packet = bytes.get(HEAD..HEAD.checked_add(kept)?)?;
        if word(0) != ENHANCED_PACKET || len < HEAD + kept {
            return None;
        }
        bytes = bytes.get(len..)?;
        Some((word(2), Timestamp::from_nanos(u64::from(word(3)) << 32 | u64::from(word(4))), packet, word(6)))
    })
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u32 + 12).to_le_bytes();
    [&kind.to_le_bytes()[..], &len, body, &len].concat()
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    body.extend_from_slice(&code.to_le_bytes());
    body.extend_from_slice(&(value.len() as u16).to_le_bytes());
    padded(body, value);
}

fn end_of_options(body: &mut Vec<u8>) {
    body.extend_from_slice(&[0; 4]);
}

/// Bytes, and zeros up to a multiple of four.
fn padded(body: &mut Vec<u8>, bytes: &[u8]) {
    body.extend_from_slice(bytes);
    body.extend_from_slice(&[0; 3][..bytes.len().next_multiple_of(4) - bytes.len()]);
}

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const OPT_COMMENT: u16 = 1;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
/// What stands in the block of a packet before it.
const HEAD: usize = 28;
