//! Records of the kernel side (`ebpf/tls/records.h`): the bytes of one in, its fields out.
//!
//! The kernel wrote them, not the wire; still nothing is believed about lengths.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a probed function does. The number is the cookie of its probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Call {
    /// Reads; the result is the number of bytes.
    Read = 1,
    /// Reads; the number of bytes is behind the fourth argument.
    ReadEx,
    /// Writes; the result is the number of bytes.
    Write,
    /// Writes; the number of bytes is behind the fourth argument.
    WriteEx,
    /// Shakes hands.
    Handshake,
    /// Gives the object back.
    Free,
}

/// How the addresses of a connection are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// Not yet.
    Unknown,
    /// From the thread's last receive before it gave the object something to read.
    LastReceived,
    /// From a receive inside a call on the object.
    Certain,
}

impl Certainty {
    /// All of them, in the kernel's order.
    pub const ALL: [Self; 3] = [Self::Unknown, Self::LastReceived, Self::Certain];

    /// Label value in own telemetry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::LastReceived => "last_received",
            Self::Certain => "certain",
        }
    }
}

/// Whether a process is one of those asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Decision {
    /// The attaching thread was asked.
    Undecided,
    Wanted,
    Unwanted,
}

impl Decision {
    const ALL: [Self; 3] = [Self::Undecided, Self::Wanted, Self::Unwanted];

    /// By the kernel's number.
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

/// Which direction a record is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Read,
    Written,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Read, Self::Written];
}

/// One process, even if its id is reused: start in nanoseconds since boot, id.
pub type Process = [u64; 2];

/// A piece of a connection's clear text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// CLOCK_MONOTONIC, nanoseconds.
    pub at: u64,
    /// One number per connection.
    pub connection: u64,
    pub process: Process,
    /// Place of the first byte in its direction.
    pub sequence: u32,
    pub kind: Kind,
    pub decision: Decision,
    /// These are the first bytes of the direction.
    pub opening: bool,
    /// The direction has ended here; there are no bytes.
    pub ended: bool,
    pub certainty: Certainty,
    /// This end; meaningless while the addresses are unknown.
    pub local: SocketAddr,
    /// The other end; likewise.
    pub remote: SocketAddr,
    pub bytes: &'a [u8],
}

/// `struct record` up to its bytes.
const HEADER: usize = 80;

impl<'a> Record<'a> {
    /// `None` if it does not look like a record: the object belongs to another version.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_at_checked(HEADER)?;
        let length = u32_at(header, 32) as usize;
        let family = u16_at(header, 76);
        Some(Self {
            at: u64_at(header, 0),
            connection: u64_at(header, 8),
            process: [u64_at(header, 16), u32_at(header, 24).into()],
            sequence: u32_at(header, 28),
            kind: *Kind::ALL.get(usize::from(header[36]))?,
            decision: Decision::from_number(header[37].into())?,
            opening: header[38] != 0,
            ended: header[39] != 0,
            certainty: *Certainty::ALL.get(usize::from(u16_at(header, 78)))?,
            local: socket_address(family, &header[40..56], u16_at(header, 72)),
            remote: socket_address(family, &header[56..72], u16_at(header, 74)),
            bytes: rest.get(..length)?,
        })
    }
}

/// A process whose libraries should be looked at (`struct sighting`).
pub fn parse_sighting(bytes: &[u8]) -> Option<Process> {
    (bytes.len() >= 16).then(|| [u64_at(bytes, 0), u32_at(bytes, 8).into()])
}

/// An IPv4 address on an IPv6 socket is an IPv4 address.
fn socket_address(family: u16, bytes: &[u8], port: u16) -> SocketAddr {
    let address = if i32::from(family) == libc::AF_INET6 {
        let all: [u8; 16] = bytes.try_into().expect("the caller hands in 16 bytes");
        IpAddr::from(Ipv6Addr::from(all)).to_canonical()
    } else {
        IpAddr::from(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))
    };
    SocketAddr::new(address, port)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDS: &str = include_str!("../../../ebpf/tls/records.h");

    /// The names of an enum of the kernel side, in order.
    fn names(of: &str) -> Vec<&'static str> {
        let start = RECORDS.find(&format!("enum {of} {{")).expect("it is there");
        let body = RECORDS[start..].split("};").next().expect("it ends").lines().skip(1);
        body.filter_map(|line| line.trim().split([',', ' ']).next().filter(|name| !name.is_empty())).collect()
    }

    #[test]
    fn enums_are_those_of_the_kernel_side_in_their_order() {
        let calls = ["CALL_READ", "CALL_READ_EX", "CALL_WRITE", "CALL_WRITE_EX", "CALL_HANDSHAKE", "CALL_FREE"];
        assert_eq!(names("call"), calls);
        assert_eq!((Call::Read as u64, Call::Free as u64), (1, calls.len() as u64));
        assert_eq!(names("certainty"), ["ADDRESS_UNKNOWN", "ADDRESS_LAST_RECEIVED", "ADDRESS_CERTAIN"]);
        assert_eq!(names("decision"), ["PROCESS_UNDECIDED", "PROCESS_WANTED", "PROCESS_UNWANTED"]);
        assert_eq!(names("kind"), ["BYTES_READ", "BYTES_WRITTEN"]);
        assert_eq!(Decision::from_number(2), Some(Decision::Unwanted));
        assert_eq!(Decision::from_number(3), None);
    }

    /// A record as the kernel side lays it out.
    pub fn written(family: i32, local: &[u8], bytes: &[u8]) -> Vec<u8> {
        let mut record = vec![0; HEADER];
        record[0..8].copy_from_slice(&7_u64.to_ne_bytes());
        record[8..16].copy_from_slice(&8_u64.to_ne_bytes());
        record[16..24].copy_from_slice(&9_u64.to_ne_bytes());
        record[24..28].copy_from_slice(&10_u32.to_ne_bytes());
        record[28..32].copy_from_slice(&11_u32.to_ne_bytes());
        record[32..36].copy_from_slice(&(bytes.len() as u32).to_ne_bytes());
        record[36..39].copy_from_slice(&[1, 1, 1]);
        record[40..40 + local.len()].copy_from_slice(local);
        record[56..56 + local.len()].copy_from_slice(local);
        record[72..74].copy_from_slice(&5061_u16.to_ne_bytes());
        record[74..76].copy_from_slice(&40_000_u16.to_ne_bytes());
        record[76..78].copy_from_slice(&(family as u16).to_ne_bytes());
        record[78..80].copy_from_slice(&2_u16.to_ne_bytes());
        record.extend(bytes);
        record
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let bytes = written(libc::AF_INET, &[192, 0, 2, 1], b"BYE");
        let expected = Record {
            at: 7,
            connection: 8,
            process: [9, 10],
            sequence: 11,
            kind: Kind::Written,
            decision: Decision::Wanted,
            opening: true,
            ended: false,
            certainty: Certainty::Certain,
            local: SocketAddr::from(([192, 0, 2, 1], 5061)),
            remote: SocketAddr::from(([192, 0, 2, 1], 40_000)),
            bytes: b"BYE",
        };
        assert_eq!(Record::parse(&bytes), Some(expected));
        for cut in 0..bytes.len() {
            assert_eq!(Record::parse(&bytes[..cut]), None);
        }
    }

    #[test]
    fn an_ipv4_address_on_an_ipv6_socket_is_one() {
        let mapped = Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped().octets();
        let bytes = written(libc::AF_INET6, &mapped, b"");
        assert_eq!(Record::parse(&bytes).expect("a record").local, SocketAddr::from(([192, 0, 2, 1], 5061)));
    }
}
