//! The new format, pcapng 1.0: blocks in sections, each with its interfaces (draft-ietf-opsawg-pcapng).
//!
//! Read are sections, interfaces and the three kinds of packets; every other block is stepped over, however long.

use std::io;

use wire::{Link, Timestamp};

use crate::buffer::Buffer;
use crate::format::{ByteOrder, Damage, Head, MAX_PACKET, Next};
use crate::link::link;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const OPTION_RESOLUTION: u16 = 9;
const OPTION_OFFSET: u16 = 14;

/// Most interfaces of a section: as many as an obsolete packet can name.
const MAX_INTERFACES: usize = 65_536;

/// Longest block that describes an interface.
const MAX_INTERFACE_BLOCK: usize = 64 * 1024;

/// Where reading is.
#[derive(Debug, Default)]
pub(crate) struct PcapNg {
    order: ByteOrder,
    interfaces: Vec<Interface>,
    /// Time of the last packet: simple packets have none of their own.
    last: Timestamp,
    /// What is left of the block given out last.
    open: Option<Rest>,
}

/// An interface of the current section.
#[derive(Debug)]
struct Interface {
    link: Option<Link>,
    link_type: u16,
    /// 0 for no limit.
    snap_len: usize,
    resolution: Resolution,
    /// Nanoseconds to add to every time stamp.
    offset: i64,
}

/// What a unit of a time stamp is.
#[derive(Clone, Copy, Debug)]
enum Resolution {
    /// This many nanoseconds.
    Nanos(u64),
    /// So many of them are a nanosecond.
    PerNano(u64),
    /// Two to the power of this are a second.
    Binary(u8),
}

/// The end of a block.
#[derive(Clone, Copy, Debug)]
struct Rest {
    /// Bytes before the length that closes the block.
    bytes: usize,
    /// That length, which the block began with.
    total: u32,
}

impl PcapNg {
    /// Whether a file begins like this.
    pub fn recognise(magic: [u8; 4]) -> bool {
        // The same in both byte orders.
        u32::from_le_bytes(magic) == SECTION
    }

    /// Interfaces of the current section.
    pub fn interfaces(&self) -> usize {
        self.interfaces.len()
    }

    /// Goes to the next packet and makes its bytes available.
    pub fn next(&mut self, buffer: &mut Buffer) -> io::Result<Next> {
        loop {
            if let Some(rest) = self.open.take()
                && let Some(damage) = self.close(rest, buffer)?
            {
                return Ok(Next::Damaged(damage));
            }
            let Some(header) = buffer.peek::<12>()? else {
                let at_border = buffer.rest().is_empty();
                return Ok(if at_border { Next::End } else { Next::Damaged(Damage::Cut) });
            };
            let kind = self.order.u32([header[0], header[1], header[2], header[3]]);
            let header = *header;
            if kind == SECTION {
                let Some(order) = ByteOrder::of(0x1a2b_3c4d, [header[8], header[9], header[10], header[11]]) else {
                    return Ok(Next::Damaged(Damage::Block));
                };
                self.order = order;
                self.interfaces.clear();
            }
            let total = self.order.u32([header[4], header[5], header[6], header[7]]);
            if total < 12 || !total.is_multiple_of(4) {
                return Ok(Next::Damaged(Damage::Block));
            }
            // Nothing is stepped over before all is there: who follows a file comes back.
            buffer.has((total as usize).min(Buffer::SIZE))?;
            buffer.consume(8);
            let mut rest = Rest { bytes: total as usize - 12, total };
            let read = match kind {
                INTERFACE => self.interface(&mut rest, buffer)?,
                ENHANCED_PACKET | OBSOLETE_PACKET => self.packet(kind, &mut rest, buffer)?,
                SIMPLE_PACKET => self.simple_packet(&mut rest, buffer)?,
                _ => Read::Other,
            };
            self.open = Some(rest);
            match read {
                Read::Packet(head) => {
                    self.last = head.at;
                    return Ok(Next::Packet(head));
                }
                Read::Damaged(damage) => return Ok(Next::Damaged(damage)),
                Read::Other => {}
            }
        }
    }

    /// Steps over the end of a block, which repeats its length.
    fn close(&self, rest: Rest, buffer: &mut Buffer) -> io::Result<Option<Damage>> {
        if !buffer.skip(rest.bytes)? {
            return Ok(Some(Damage::Cut));
        }
        let Some(closing) = buffer.peek::<4>()? else {
            return Ok(Some(Damage::Cut));
        };
        if self.order.u32(*closing) != rest.total {
            return Ok(Some(Damage::Block));
        }
        buffer.consume(4);
        Ok(None)
    }

    fn interface(&mut self, rest: &mut Rest, buffer: &mut Buffer) -> io::Result<Read> {
        if !(8..=MAX_INTERFACE_BLOCK).contains(&rest.bytes) || self.interfaces.len() >= MAX_INTERFACES {
            return Ok(Read::Damaged(Damage::Block));
        }
        if !buffer.has(rest.bytes)? {
            return Ok(Read::Damaged(Damage::Cut));
        }
        let (header, options) = buffer.rest()[..rest.bytes].split_at(8);
        let link_type = self.order.u16([header[0], header[1]]);
        let mut interface = Interface {
            link: link(link_type),
            link_type,
            snap_len: self.order.u32([header[4], header[5], header[6], header[7]]) as usize,
            resolution: Resolution::Nanos(1000),
            offset: 0,
        };
        self.options(options, &mut interface);
        self.interfaces.push(interface);
        Ok(Read::Other)
    }

    /// Takes what matters of an interface's options; those that make no sense are as good as absent.
    fn options(&self, mut options: &[u8], interface: &mut Interface) {
        while let Some((header, rest)) = options.split_first_chunk::<4>() {
            let code = self.order.u16([header[0], header[1]]);
            let len = usize::from(self.order.u16([header[2], header[3]]));
            let Some(value) = rest.get(..len) else {
                return;
            };
            match (code, value) {
                (0, _) => return,
                (OPTION_RESOLUTION, &[value]) => interface.resolution = Resolution::of(value),
                (OPTION_OFFSET, value) => {
                    if let Ok(value) = value.try_into() {
                        interface.offset = self.order.i64(value).saturating_mul(1_000_000_000);
                    }
                }
                _ => {}
            }
            options = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        }
    }

    /// An enhanced or an obsolete packet: they differ in the width of the interface's number.
    fn packet(&self, kind: u32, rest: &mut Rest, buffer: &mut Buffer) -> io::Result<Read> {
        if rest.bytes < 20 {
            return Ok(Read::Damaged(Damage::Block));
        }
        let Some(header) = buffer.peek::<20>()? else {
            return Ok(Read::Damaged(Damage::Cut));
        };
        let field = |at: usize| self.order.u32([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let number = match kind {
            OBSOLETE_PACKET => u32::from(self.order.u16([header[0], header[1]])),
            _ => field(0),
        };
        let units = u64::from(field(4)) << 32 | u64::from(field(8));
        let (len, original_len) = (field(12) as usize, field(16));
        let Some(interface) = self.interfaces.get(number as usize) else {
            return Ok(Read::Damaged(Damage::Interface));
        };
        if len > rest.bytes - 20 {
            return Ok(Read::Damaged(Damage::Block));
        }
        rest.bytes -= 20;
        buffer.consume(20);
        give(interface, interface.time(units), number, len, original_len, buffer)
    }

    fn simple_packet(&self, rest: &mut Rest, buffer: &mut Buffer) -> io::Result<Read> {
        if rest.bytes < 4 {
            return Ok(Read::Damaged(Damage::Block));
        }
        let Some(header) = buffer.peek::<4>()? else {
            return Ok(Read::Damaged(Damage::Cut));
        };
        let original_len = self.order.u32(*header);
        let Some(interface) = self.interfaces.first() else {
            return Ok(Read::Damaged(Damage::Interface));
        };
        rest.bytes -= 4;
        buffer.consume(4);
        let limit = if interface.snap_len == 0 { usize::MAX } else { interface.snap_len };
        let len = (original_len as usize).min(limit).min(rest.bytes);
        give(interface, self.last, 0, len, original_len, buffer)
    }
}

/// What a block was.
enum Read {
    Packet(Head),
    Damaged(Damage),
    /// Nothing to give out.
    Other,
}

/// Gives out the `len` bytes that come next.
fn give(
    interface: &Interface,
    at: Timestamp,
    number: u32,
    len: usize,
    original_len: u32,
    buffer: &mut Buffer,
) -> io::Result<Read> {
    if len > MAX_PACKET {
        return Ok(Read::Damaged(Damage::TooLong));
    }
    if !buffer.has(len)? {
        return Ok(Read::Damaged(Damage::Cut));
    }
    let &Interface { link, link_type, .. } = interface;
    Ok(Read::Packet(Head { at, link, link_type, interface: number, len, original_len }))
}

impl Interface {
    fn time(&self, units: u64) -> Timestamp {
        let nanos = match self.resolution {
            Resolution::Nanos(nanos) => units.saturating_mul(nanos),
            Resolution::PerNano(units_per_nano) => units / units_per_nano,
            Resolution::Binary(power) => {
                let nanos = (u128::from(units) * 1_000_000_000) >> power;
                u64::try_from(nanos).unwrap_or(u64::MAX)
            }
        };
        Timestamp::from_nanos(nanos.saturating_add_signed(self.offset))
    }
}

impl Resolution {
    /// From the option's byte: a negative power of 10, or of 2 with the highest bit set.
    fn of(value: u8) -> Self {
        let power = value & 0x7f;
        match power {
            _ if value & 0x80 != 0 => Self::Binary(power),
            0..=9 => Self::Nanos(10_u64.pow(u32::from(9 - power))),
            _ => Self::PerNano(10_u64.checked_pow(u32::from(power - 9)).unwrap_or(u64::MAX)),
        }
    }
}
