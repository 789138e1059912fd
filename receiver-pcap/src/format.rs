//! What the formats of capture files have in common: what comes next in one, how it may be damaged, its byte order.

use wire::{Link, Packet, Timestamp};

use crate::unwrap::Inner;

/// Longest packet that is believed: libpcap's largest snap length. A longer one is damage, and nothing after it can be
/// trusted.
pub(crate) const MAX_PACKET: usize = 256 * 1024;

/// A packet without its bytes, which are the next ones in the buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub at: Timestamp,
    /// `None` when this link type is not read.
    pub link: Option<Link>,
    pub link_type: u16,
    pub interface: u32,
    pub len: usize,
    pub original_len: u32,
}

impl Head {
    /// The packet with its `bytes`: the one within where its link type wraps another.
    #[inline]
    pub fn packet<'a>(&self, bytes: &'a [u8], inner: Option<&'a Inner>) -> Packet<'a> {
        let &Self { at, link, interface, original_len, .. } = self;
        let (link, bytes, original_len) = match inner {
            None => (link.unwrap_or(Link::Network { ethertype: 0 }), bytes, original_len),
            Some(Inner::Part(link, range)) => {
                let before = (bytes.len() - range.len()) as u32;
                (*link, &bytes[range.clone()], original_len.saturating_sub(before))
            }
            Some(Inner::Made(link, packet)) => (*link, &packet[..], packet.len() as u32),
        };
        Packet { at, link, interface, bytes, original_len, tap: link.tap(bytes) }
    }
}

/// What comes next in a file.
#[derive(Debug)]
pub(crate) enum Next {
    Packet(Head),
    End,
    Damaged(Damage),
}

/// Why nothing is read of a file after some place. The text says so to an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Damage {
    #[error("the file is cut within a packet or a header")]
    Cut,
    #[error("the compressed data is cut or damaged")]
    Compression,
    #[error("a packet claims to be longer than 256 KiB, so what follows cannot be trusted")]
    TooLong,
    #[error("a block contradicts itself, so what follows cannot be trusted")]
    Block,
    #[error("a packet names an interface that is not described, so what follows cannot be trusted")]
    Interface,
}

/// Order of the bytes of a number in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    #[default]
    Little,
    Big,
}

impl ByteOrder {
    /// The order in which `bytes` are `number`.
    pub fn of(number: u32, bytes: [u8; 4]) -> Option<Self> {
        [Self::Little, Self::Big].into_iter().find(|order| order.u32(bytes) == number)
    }

    #[inline]
    pub const fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    #[inline]
    pub const fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    pub const fn i64(self, bytes: [u8; 8]) -> i64 {
        match self {
            Self::Little => i64::from_le_bytes(bytes),
            Self::Big => i64::from_be_bytes(bytes),
        }
    }
}
