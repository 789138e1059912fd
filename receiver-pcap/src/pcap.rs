//! The classic format, pcap 2.4: a file header, then packets with their own (draft-ietf-opsawg-pcap).

use std::io;

use wire::{Link, Timestamp};

use crate::buffer::Buffer;
use crate::format::{ByteOrder, Damage, Head, MAX_PACKET, Next};
use crate::link::link;

/// What the file header says.
#[derive(Debug)]
pub(crate) struct Pcap {
    order: ByteOrder,
    /// 1000 for a file in microseconds, 1 in nanoseconds.
    nanos_per_unit: u64,
    link_type: u16,
    link: Option<Link>,
    /// Bytes of the packet given out last.
    packet: usize,
}

impl Pcap {
    /// Whether a file begins like this, and how.
    pub fn recognise(magic: [u8; 4]) -> Option<(ByteOrder, u64)> {
        const MICROS: u32 = 0xa1b2_c3d4;
        const NANOS: u32 = 0xa1b2_3c4d;
        [ByteOrder::Little, ByteOrder::Big].into_iter().find_map(|order| match order.u32(magic) {
            MICROS => Some((order, 1000)),
            NANOS => Some((order, 1)),
            _ => None,
        })
    }

    /// Reads the file header. `None` when the file ends within it.
    pub fn open(order: ByteOrder, nanos_per_unit: u64, buffer: &mut Buffer) -> io::Result<Option<Self>> {
        let Some(header) = buffer.peek::<24>()? else {
            return Ok(None);
        };
        // The upper half tells about a frame check sequence, which nobody needs who goes by the lengths of IP.
        let link_type = order.u32([header[20], header[21], header[22], header[23]]) as u16;
        buffer.consume(24);
        Ok(Some(Self { order, nanos_per_unit, link_type, link: link(link_type), packet: 0 }))
    }

    /// Reads the header of the next packet and makes its bytes available.
    #[inline(always)]
    pub fn next(&mut self, buffer: &mut Buffer) -> io::Result<Next> {
        buffer.consume(self.packet);
        self.packet = 0;
        let Some(header) = buffer.peek::<16>()? else {
            return Ok(if buffer.rest().is_empty() { Next::End } else { Next::Damaged(Damage::Cut) });
        };
        let field = |at: usize| self.order.u32([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (seconds, fraction, len, original_len) = (field(0), field(4), field(8), field(12));
        let len = len as usize;
        if len > MAX_PACKET {
            return Ok(Next::Damaged(Damage::TooLong));
        }
        // Nothing is stepped over before all is there: who follows a file comes back.
        if !buffer.has(16 + len)? {
            return Ok(Next::Damaged(Damage::Cut));
        }
        buffer.consume(16);
        self.packet = len;
        let at = Timestamp::from_nanos(u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.nanos_per_unit);
        let (link, link_type) = (self.link, self.link_type);
        Ok(Next::Packet(Head { at, link, link_type, interface: 0, len, original_len }))
    }
}
