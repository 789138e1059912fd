//! The keyed hash of a Call-ID: the same bytes and key give the same hash on every node and in the kernel.

use std::fmt;

use siphasher::sip::SipHasher13;

/// The key of a cluster, secret so that nobody outside can aim calls at one backend. The default, all zero, is for who only
/// computes what would be.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Key([u8; 16]);

/// The hash of a Call-ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallHash(pub u64);

impl fmt::Debug for Key {
    /// Keeps the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// The key of these bytes.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn bytes(&self) -> [u8; 16] {
        self.0
    }

    /// SipHash-1-3 of some bytes: a Call-ID, or what stands for one where there is none.
    pub fn hash(&self, bytes: &[u8]) -> CallHash {
        CallHash(SipHasher13::new_with_key(&self.0).hash(bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hasher};

    use super::*;

    #[test]
    fn the_hash_is_the_siphash_of_the_standard_library() {
        let bytes: Vec<u8> = (0..=255).collect();
        for len in 0..bytes.len() {
            let mut theirs = DefaultHasher::new();
            theirs.write(&bytes[..len]);
            assert_eq!(Key::default().hash(&bytes[..len]).0, theirs.finish(), "{len} bytes");
        }
        // The reference value of SipHash-1-3 for no bytes under the key 00 01 .. 0f.
        let key = Key::new(std::array::from_fn(|index| index as u8));
        assert_eq!(key.hash(b"").0.to_le_bytes(), [0xdc, 0xc4, 0x0f, 0x05, 0x58, 0x01, 0xac, 0xab]);
    }

    #[test]
    fn another_key_gives_another_hash() {
        assert_ne!(Key::default().hash(b"a@b"), Key::new([1; 16]).hash(b"a@b"));
    }
}
