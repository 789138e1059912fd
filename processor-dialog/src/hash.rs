//! Keyed hashes that stand for header values: calls, tags, branches, hops, items.
//!
//! Call-IDs, tags and branches are compared byte for byte (`sip-metrics.md` 1.4), so their hash stands for them:
//! nothing of the wire is stored, whatever its length. The hash is keyed per process, so that nobody outside can make
//! two values collide.
//!
//! A Call-ID has 64 bits and is compared with all that are held: with a million of them and 100,000 messages a second,
//! two that differ are taken for one once in six years. Everything else has 32 and is compared within its call, where few
//! are.

use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;

use foldhash::quality::{FoldHasher, RandomState};
use pipeline::SipFrame;
use sip::{Message, Method, Via, uri};

/// What a call is found by: the hash of its Call-ID; or that of an address-of-record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Key(pub u64);

/// A From or To tag; [`Tag::NONE`] where there is none (RFC 2543).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag(u32);

impl Tag {
    /// No tag.
    pub const NONE: Self = Self(0);

    /// The number itself.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// The tag with a number.
    pub fn of_bits(bits: u32) -> Self {
        Self(bits)
    }
}

/// What transactions of one call are told apart by, besides their method (2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch(u32);

impl Branch {
    /// The number itself.
    pub fn bits(self) -> u32 {
        self.0
    }
}

/// Sent-by and branch of a Via: what ancestry is told by (2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop(u32);

/// Makes hashes; one per processor.
#[derive(Default)]
pub struct Hashes {
    random: RandomState,
}

impl Hashes {
    /// Of everything under one Call-ID.
    pub fn call(&self, call_id: &[u8]) -> Key {
        Key(self.make(|h| h.write(call_id)))
    }

    /// Of an address-of-record, already normalised (1.4).
    pub fn address_of_record(&self, address: &[u8]) -> Key {
        Key(self.make(|h| h.write(address)))
    }

    /// Of a contact: user, host and port of its URI; of any other than a SIP URI all of it.
    pub fn contact(&self, uri: &[u8]) -> u64 {
        self.make(|h| match uri::host_port(uri) {
            None => h.write(uri),
            Some((host, port)) => {
                h.write(uri::user(uri).unwrap_or_default());
                h.write_u32(port.map_or(u32::MAX, u32::from));
                write_host(h, host);
            }
        })
    }

    /// Of a tag.
    pub fn tag(&self, tag: &[u8]) -> Tag {
        if tag.is_empty() { Tag::NONE } else { Tag(self.make(|h| h.write(tag)) as u32 | 1) }
    }

    /// Of a Via.
    pub fn hop(&self, via: &Via<'_>) -> Hop {
        self.hop_of(self.via_branch(via), via)
    }

    /// Of the branch of a Via.
    pub fn via_branch(&self, via: &Via<'_>) -> u64 {
        self.make(|h| h.write(via.branch))
    }

    /// Of the transaction: of the branch of the top Via, whose hash is `branch`; for senders of RFC 2543, whose branches are
    /// not unique, of From tag, CSeq number and Via (2.1). A method without a name of its own is told apart by its bytes.
    pub fn branch(&self, message: &Message<'_>, mut branch: u64, from: Tag) -> Branch {
        let via = &message.via;
        if !via.unique_branch() {
            let hop = self.hop_of(branch, via);
            branch = self.make(|h| {
                h.write_u32(hop.0);
                h.write_u64(u64::from(from.0) << 32 | u64::from(message.cseq.number));
            });
        }
        if message.cseq.method == Method::Other {
            branch = self.make(|h| {
                h.write_u64(branch);
                h.write(message.cseq.name);
            });
        }
        Branch(branch as u32)
    }

    /// Of a Via whose branch has the hash `branch`.
    pub fn hop_of(&self, branch: u64, via: &Via<'_>) -> Hop {
        Hop(self.make(|h| {
            h.write_u64(branch);
            h.write_u64(u64::from(via.port) << 32 | via.host.len() as u64);
            write_host(h, via.host);
        }) as u32)
    }

    /// Of a response as an item of its transaction: To tag and RSeq, beside its status (2.2).
    pub fn response(&self, to: Tag, rseq: Option<u32>) -> u32 {
        match rseq {
            None => to.0,
            Some(rseq) => self.make(|h| h.write_u64(u64::from(to.0) << 32 | u64::from(rseq))) as u32,
        }
    }

    /// Of the name of a method that is none of the fourteen.
    pub fn method(&self, name: &[u8]) -> u32 {
        self.make(|h| h.write(name)) as u32
    }

    /// Of a message's five-tuple.
    pub fn tuple(&self, frame: &SipFrame) -> u32 {
        self.make(|h| {
            write_address(h, frame.source);
            write_address(h, frame.destination);
            h.write_u8(frame.transport as u8);
        }) as u32
    }

    /// Of the way a message took: from address to address and port.
    pub fn way(&self, frame: &SipFrame) -> NonZeroU32 {
        let way = self.make(|h| {
            write_address(h, SocketAddr::new(frame.source.ip(), 0));
            write_address(h, frame.destination);
        });
        NonZeroU32::MIN | way as u32
    }

    fn make(&self, fill: impl FnOnce(&mut FoldHasher<'_>)) -> u64 {
        let mut hasher = self.random.build_hasher();
        fill(&mut hasher);
        hasher.finish()
    }
}

fn write_address<H: Hasher>(hasher: &mut H, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => hasher.write_u64(u64::from(ip.to_bits()) << 16 | u64::from(address.port())),
        IpAddr::V6(ip) => {
            hasher.write_u128(ip.to_bits());
            hasher.write_u16(address.port());
        }
    }
}

/// The host compares without case (1.5).
fn write_host<H: Hasher>(hasher: &mut H, host: &[u8]) {
    // Of most, both halves, which overlap. Letters are the bytes of a host from 64 on; brackets do not differ in case.
    if let (Some(first), Some(last), 8..=16) = (host.first_chunk(), host.last_chunk(), host.len()) {
        for half in [first, last].map(|half| u64::from_le_bytes(*half)) {
            hasher.write_u64(half | (half & 0x4040_4040_4040_4040) >> 1);
        }
        return;
    }
    // Names longer than the buffer are cut into pieces of its size.
    let mut lower = [0; 64];
    for piece in host.chunks(lower.len()) {
        let lower = &mut lower[..piece.len()];
        lower.copy_from_slice(piece);
        lower.make_ascii_lowercase();
        hasher.write(lower);
    }
}
