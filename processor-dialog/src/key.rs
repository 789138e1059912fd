//! Keys: what transactions, logical requests, dialogs and attempts are found by, as 64-bit keyed hashes.
//!
//! Call-IDs, tags and branches are compared byte for byte (`sip-metrics.md` 1.4), so their hash stands for
//! them: nothing of the wire is stored, whatever its length. The hash is keyed per process, so that nobody
//! outside can make two calls collide.
//!
//! How often two things that differ are taken for one: with a million entries held and 100,000 messages a second,
//! each looked up in three places, once in two years; with 100,000 entries and 14,000 messages, once in a century.

use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, SocketAddr};

use foldhash::quality::{FoldHasher, RandomState};
use pipeline::SipFrame;
use sip::{Message, Method, Via};

use crate::entries::Handle;

/// A 64-bit keyed hash of some header values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(u64);

impl Key {
    /// What a hash table is indexed by.
    pub fn hash(self) -> u64 {
        self.0
    }

    /// The key whose [`Key::hash`] this is.
    pub fn of_hash(hash: u64) -> Self {
        Self(hash)
    }

    /// Any key, told apart by a number.
    #[cfg(test)]
    pub fn for_test(number: u64) -> Self {
        Self(number.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}

/// A keyed hash of a Via (64 bits) or of an item of a transaction (48 bits); compared only within one logical
/// request, where few are compared.
pub type Mark = u64;

/// Makes keys; one per processor.
#[derive(Default)]
pub struct Keys {
    random: RandomState,
}

/// What a key is of; keys of different kinds never meet.
#[derive(Clone, Copy)]
enum Kind {
    Call,
    Transaction,
    OldTransaction,
    LogicalRequest,
    Orphan,
    Attempt,
    Dialog,
    Registration,
    AddressOfRecord,
    SingleRequest,
}

impl Keys {
    /// Of everything under one Call-ID.
    pub fn call(&self, call_id: &[u8]) -> Key {
        self.make(Kind::Call, |h| write(h, call_id))
    }

    /// Of the transaction a message belongs to (2.1): branch, sent-by and method; for senders of RFC 2543
    /// Call-ID, From tag, CSeq and the Via. `via` is [`Keys::via`] of its top Via; `method` is INVITE where an ACK
    /// or CANCEL looks for its INVITE.
    pub fn transaction(&self, call: Key, via: Mark, message: &Message<'_>, method: Method) -> Key {
        // A method without a name of its own is told apart by its bytes.
        let name = if method == Method::Other { message.cseq.name } else { b"" };
        if message.via.unique_branch() {
            self.transaction_of(via, method, name)
        } else {
            self.make(Kind::OldTransaction, |h| {
                write_key(h, call);
                write(h, message.from.tag);
                h.write_u32(message.cseq.number);
                h.write_u8(method.index() as u8);
                write(h, name);
                h.write_u64(via);
            })
        }
    }

    /// Of the transaction with a unique branch; `name` is that of [`Method::Other`], else empty.
    pub fn transaction_of(&self, via: Mark, method: Method, name: &[u8]) -> Key {
        self.make(Kind::Transaction, |h| {
            h.write_u64(via);
            h.write_u8(method.index() as u8);
            write(h, name);
        })
    }

    /// Of the request as its originator made it, all hops and branches of it (0.1).
    pub fn logical_request(&self, call: Key, message: &Message<'_>) -> Key {
        self.make(Kind::LogicalRequest, |h| {
            self.write_request(h, call, message);
            write(h, message.to.tag);
        })
    }

    /// Of the logical request behind a response whose request was never seen (2.3).
    pub fn orphan(&self, call: Key, message: &Message<'_>) -> Key {
        self.make(Kind::Orphan, |h| self.write_request(h, call, message))
    }

    /// Of the attempts of one caller: Call-ID and From tag (2.6).
    pub fn attempt(&self, call: Key, from_tag: &[u8]) -> Key {
        self.make(Kind::Attempt, |h| {
            write_key(h, call);
            write(h, from_tag);
        })
    }

    /// Of a dialog: Call-ID and the unordered pair of tags (3.1).
    pub fn dialog(&self, call: Key, message: &Message<'_>) -> Key {
        let (a, b) = (message.from.tag, message.to.tag);
        let (a, b) = if a <= b { (a, b) } else { (b, a) };
        self.make(Kind::Dialog, |h| {
            write_key(h, call);
            write(h, a);
            write(h, b);
        })
    }

    /// Of the registration attempts of one phone: the Call-ID alone, as tags change between refreshes (4.5).
    pub fn registration(&self, call: Key) -> Key {
        self.make(Kind::Registration, |h| write_key(h, call))
    }

    /// Of an address-of-record, already normalised (1.4).
    pub fn address_of_record(&self, address: &[u8]) -> Key {
        self.make(Kind::AddressOfRecord, |h| write(h, address))
    }

    /// Of the record of a single request.
    pub fn single_request(&self, request: Handle) -> Key {
        self.make(Kind::SingleRequest, |h| h.write_u64(request.to_bits()))
    }

    /// Of a Via's sent-by and branch: what ancestry is told by (2.4).
    pub fn via(&self, via: &Via<'_>) -> Mark {
        self.mark(|h| write_via(h, via))
    }

    /// Of a response as an item of its transaction: status, To tag, RSeq (2.2).
    pub fn item(&self, status: u16, to_tag: &[u8], rseq: Option<u32>) -> Mark {
        self.mark(|h| {
            h.write_u16(status);
            write(h, to_tag);
            h.write_u64(rseq.map_or(u64::MAX, u64::from));
        }) >> 16
    }

    /// Of a few bytes, where few are compared: a tag within an attempt.
    pub fn short_mark(&self, bytes: &[u8]) -> u32 {
        self.mark(|h| write(h, bytes)) as u32
    }

    /// Of a message's five-tuple.
    pub fn tuple(&self, frame: &SipFrame) -> u32 {
        self.mark(|h| {
            write_address(h, frame.source);
            write_address(h, frame.destination);
            h.write_u8(frame.transport as u8);
        }) as u32
    }

    fn mark(&self, fill: impl FnOnce(&mut FoldHasher<'_>)) -> Mark {
        let mut hasher = self.random.build_hasher();
        fill(&mut hasher);
        hasher.finish()
    }

    fn write_request<H: Hasher>(&self, h: &mut H, call: Key, message: &Message<'_>) {
        write_key(h, call);
        write(h, message.from.tag);
        h.write_u32(message.cseq.number);
        h.write_u8(message.cseq.method.index() as u8);
        if message.cseq.method == Method::Other {
            write(h, message.cseq.name);
        }
    }

    fn make(&self, kind: Kind, fill: impl FnOnce(&mut FoldHasher<'_>)) -> Key {
        Key(self.mark(|hasher| {
            hasher.write_u8(kind as u8);
            fill(hasher);
        }))
    }
}

fn write_key<H: Hasher>(hasher: &mut H, key: Key) {
    hasher.write_u64(key.0);
}

/// Writes one value with its length, so that no two lists of values look alike.
fn write<H: Hasher>(hasher: &mut H, value: &[u8]) {
    hasher.write_usize(value.len());
    hasher.write(value);
}

fn write_address<H: Hasher>(hasher: &mut H, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => hasher.write_u32(ip.to_bits()),
        IpAddr::V6(ip) => hasher.write_u128(ip.to_bits()),
    }
    hasher.write_u16(address.port());
}

fn write_via<H: Hasher>(hasher: &mut H, via: &Via<'_>) {
    write(hasher, via.branch);
    hasher.write_u16(via.port);
    hasher.write_usize(via.host.len());
    // The host compares without case (1.5); names longer than the buffer are cut into pieces of its size.
    let mut lower = [0; 64];
    for piece in via.host.chunks(lower.len()) {
        let lower = &mut lower[..piece.len()];
        lower.copy_from_slice(piece);
        lower.make_ascii_lowercase();
        hasher.write(lower);
    }
}
