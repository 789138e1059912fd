//! What everything is derived from: HMAC-SHA-256 under the key (RFC 2104), and permutations of small sets made of it.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A key, ready for use. It is never shown.
#[derive(Clone)]
pub(crate) struct Keyed(Hmac<Sha256>);

impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyed")
    }
}

impl Keyed {
    pub fn new(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes keys of any length"))
    }

    /// 32 bytes for these parts; no other parts make the same input.
    pub fn bytes(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// 64 bits of them.
    pub fn number(&self, parts: &[&[u8]]) -> u64 {
        u64::from_le_bytes(*self.bytes(parts).first_chunk().expect("32 bytes are more than eight"))
    }

    /// Where `value` goes in a permutation of the numbers below `size`, which is at most [`MAX_SIZE`]: a Feistel network over
    /// the next even power of two, gone through until the value is below `size` again. `tag` tells permutations apart.
    pub fn permuted(&self, tag: &[&[u8]], value: u64, size: u64) -> u64 {
        debug_assert!(value < size && size <= MAX_SIZE);
        let bits = (u64::BITS - (size - 1).leading_zeros()).div_ceil(2).max(1);
        let mask = (1 << bits) - 1;
        let tag = self.bytes(tag);
        let mut value = value;
        loop {
            let (mut left, mut right) = (value >> bits, value & mask);
            for round in 0..ROUNDS {
                let mixed = left ^ self.number(&[&tag, &[round], &right.to_le_bytes()]) & mask;
                (left, right) = (right, mixed);
            }
            value = left << bits | right;
            if value < size {
                return value;
            }
        }
    }
}

/// Of what is permuted.
pub(crate) const MAX_SIZE: u64 = 1 << 62;
/// As many as format-preserving encryption takes on such sets (NIST SP 800-38G: 8 of FF3, 10 of FF1).
const ROUNDS: u8 = 10;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_permutation_meets_each_number_once() {
        for size in [1, 2, 10, 26, 100, 1000] {
            let keyed = Keyed::new(b"a key");
            let met: BTreeSet<u64> = (0..size).map(|value| keyed.permuted(&[b"tag"], value, size)).collect();
            assert_eq!((met.len() as u64, met.last().copied()), (size, Some(size - 1)));
        }
    }

    #[test]
    fn keys_and_tags_make_others() {
        let of = |key: &[u8], tag: &[u8]| Keyed::new(key).permuted(&[tag], 7, MAX_SIZE);
        assert_ne!(of(b"a", b"t"), of(b"b", b"t"));
        assert_ne!(of(b"a", b"t"), of(b"a", b"u"));
        assert_eq!(of(b"a", b"t"), of(b"a", b"t"));
        let keyed = Keyed::new(b"a");
        assert_ne!(keyed.bytes(&[b"ab", b"c"]), keyed.bytes(&[b"a", b"bc"]));
    }
}
