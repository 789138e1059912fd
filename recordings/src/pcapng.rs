//! Packets into pcapng (draft-ietf-opsawg-pcapng): nanoseconds, an interface for each link type, bytes as they came.

use std::io::{self, Write};

use wire::Packet;

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
        // Byte order, version 1.0, a section of unknown length.
        let mut body = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
        option(&mut body, OPT_COMMENT, comment.as_bytes());
        end_of_options(&mut body);
        block(&mut out, SECTION_HEADER, &body)?;
        Ok(Self { out, interfaces: Vec::new() })
    }

    /// Adds a packet of a link type.
    ///
    /// # Errors
    /// Whatever `out` says.
    pub fn packet(&mut self, packet: &Packet<'_>, link_type: u16) -> io::Result<()> {
        let known = self.interfaces.iter().position(|known| *known == link_type);
        let interface = known.map_or_else(|| self.add_interface(link_type), Ok)?;
        let nanos = packet.at.as_nanos();
        let mut body = Vec::with_capacity(20 + packet.bytes.len() + 3);
        let kept = packet.bytes.len() as u32;
        for word in [interface as u32, (nanos >> 32) as u32, nanos as u32, kept, packet.original_len] {
            body.extend_from_slice(&word.to_le_bytes());
        }
        padded(&mut body, packet.bytes);
        block(&mut self.out, ENHANCED_PACKET, &body)
    }

    /// Ends the capture.
    ///
    /// # Errors
    /// Whatever `out` says.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn add_interface(&mut self, link_type: u16) -> io::Result<usize> {
        // No bound of ours on what was kept of a packet.
        let mut body = [&link_type.to_le_bytes()[..], &[0; 2], &0_u32.to_le_bytes()].concat();
        option(&mut body, IF_TSRESOL, &[9]);
        end_of_options(&mut body);
        block(&mut self.out, INTERFACE_DESCRIPTION, &body)?;
        self.interfaces.push(link_type);
        Ok(self.interfaces.len() - 1)
    }
}

fn block(out: &mut impl Write, kind: u32, body: &[u8]) -> io::Result<()> {
    let len = (body.len() as u32 + 12).to_le_bytes();
    out.write_all(&[&kind.to_le_bytes()[..], &len, body, &len].concat())
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
    body.resize(body.len().next_multiple_of(4), 0);
}

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const OPT_COMMENT: u16 = 1;
const IF_TSRESOL: u16 = 9;
