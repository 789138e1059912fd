//! Media past the ring of SIP: where it may go, told to the kernel program without a system call, and the records of what
//! went there.

use std::os::fd::AsFd;
use std::sync::atomic::AtomicU64;

use aya::maps::{MapData, RingBuf};
use pipeline::media::{Address, MediaFilter, MediaPacket, WORDS};
use wire::Timestamp;

use crate::clocks::Clocks;
use crate::mapping::Mapping;

/// Bytes of records that wait to be read: with the 8 that the kernel puts before each, 0.46 s of a million a second.
pub const RECORDS_BYTES: u32 = 32 << 20;

/// `struct media_sets` of `ebpf/capture/limits.h`.
#[repr(C)]
struct Sets {
    ports: [AtomicU64; WORDS],
    addresses: [AtomicU64; WORDS],
}

/// The map `media_sets` of the program.
pub struct SharedSets {
    memory: Mapping,
}

impl SharedSets {
    /// Maps it.
    pub fn new(map: &MapData) -> std::io::Result<Self> {
        Ok(Self { memory: Mapping::new(map.fd().as_fd(), size_of::<Sets>())? })
    }

    fn sets(&self) -> &Sets {
        // SAFETY: the mapping has the length of `Sets`, begins at a page, lives as long as `self`, and both sides touch it
        // by whole words alone; any bits are valid words.
        unsafe { self.memory.start().cast::<Sets>().as_ref() }
    }
}

impl MediaFilter for SharedSets {
    fn ports(&self) -> &[AtomicU64; WORDS] {
        &self.sets().ports
    }

    fn addresses(&self) -> &[AtomicU64; WORDS] {
        &self.sets().addresses
    }
}

/// Reads the records.
pub struct MediaRecords {
    records: RingBuf<MapData>,
    /// The one that is next, if it was taken out of the kernel's buffer before it was due.
    next: Option<(u64, MediaPacket)>,
}

impl MediaRecords {
    /// Nothing has been read yet.
    pub fn new(records: RingBuf<MapData>) -> Self {
        Self { records, next: None }
    }

    /// Hands out what was seen until `until`, `most` at most. Returns whether that was all.
    pub fn release(
        &mut self,
        until: Timestamp,
        clocks: Clocks,
        most: usize,
        mut take: impl FnMut(MediaPacket),
    ) -> bool {
        for _ in 0..most {
            let Some((at, packet)) = self.next.take().or_else(|| self.read()) else { return true };
            let seen = clocks.wall_at(at);
            if seen > until {
                self.next = Some((at, packet));
                return true;
            }
            take(MediaPacket { at: seen, ..packet });
        }
        false
    }

    fn read(&mut self) -> Option<(u64, MediaPacket)> {
        loop {
            // The program writes records of one length.
            if let Some(record) = self.records.next()?.first_chunk() {
                return Some(parse(record));
            }
        }
    }
}

/// `struct media_record` of `ebpf/capture/limits.h`: when it was seen by the monotonic clock, and what.
fn parse(record: &[u8; RECORD]) -> (u64, MediaPacket) {
    let seen_at = u32::from_ne_bytes(field(record, SEEN_AT));
    let is_v4 = seen_at & IS_IPV4 != 0;
    let address = |ip: usize, port: usize| Address {
        ip: if is_v4 { v4_mapped(field(record, ip)) } else { field(record, ip) },
        port: u16::from_be_bytes(field(record, port)),
    };
    let packet = MediaPacket {
        at: Timestamp::default(),
        source: address(8, 40),
        destination: address(24, 42),
        header: field(record, 44),
        len: u16::from_ne_bytes(field(record, 56)),
        identification: if is_v4 { u16::from_be_bytes(field(record, 58)) } else { 0 },
        seen_at: seen_at & !IS_IPV4,
    };
    (u64::from_ne_bytes(field(record, 0)), packet)
}

fn field<const N: usize>(record: &[u8; RECORD], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&record[at..at + N]);
    field
}

/// RFC 4291 §2.5.5.2.
fn v4_mapped([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

const RECORD: usize = 64;
const SEEN_AT: usize = 60;
/// `MEDIA_IS_IPV4`.
const IS_IPV4: u32 = 0x8000_0000;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let mut record = [0; RECORD];
        record[..8].copy_from_slice(&7_u64.to_ne_bytes());
        record[8..12].copy_from_slice(&[192, 0, 2, 1]);
        record[24..28].copy_from_slice(&[192, 0, 2, 2]);
        record[40..44].copy_from_slice(&[0x13, 0x88, 0x17, 0x70]);
        record[44..56].copy_from_slice(&[0x80, 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4]);
        record[56..58].copy_from_slice(&172_u16.to_ne_bytes());
        record[58..60].copy_from_slice(&[0x12, 0x34]);
        record[60..].copy_from_slice(&(IS_IPV4 | 9).to_ne_bytes());
        let (at, packet) = parse(&record);
        let [source, destination]: [SocketAddr; 2] =
            ["192.0.2.1:5000", "192.0.2.2:6000"].map(|a| a.parse().expect("one"));
        assert_eq!((at, packet.source.socket(), packet.destination.socket()), (7, source, destination));
        assert_eq!((packet.len, packet.identification, packet.seen_at), (172, 0x1234, 9));
        assert_eq!(packet.header, [0x80, 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4]);
        record[60..].copy_from_slice(&9_u32.to_ne_bytes());
        assert_eq!(parse(&record).1.source.socket(), "[c000:201::]:5000".parse().expect("one"));
    }
}
