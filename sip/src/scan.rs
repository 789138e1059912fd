//! Finding a byte, or comparing short names, several bytes at a time in plain integers.
//!
//! Lines, names and URIs are short: looking right here costs less than a call of `memchr`.

/// A one in every byte.
const ONES: u64 = u64::MAX / 255;

/// Bytes looked at in one step.
const WIDTH: usize = 16;

/// Steps before `memchr` takes over.
const STEPS: usize = 8;

/// Where the first `byte` is.
#[inline]
pub(crate) fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    let (chunks, rest) = bytes.as_chunks::<WIDTH>();
    let mut passed = 0;
    for chunk in chunks.iter().take(STEPS) {
        // The compiler makes one vector comparison of this.
        if chunk.iter().fold(false, |found, at| found | (*at == byte)) {
            let (low, high) = halves(chunk);
            let in_low = first(byte, low);
            let at = if in_low != 0 { in_low.trailing_zeros() } else { 64 + first(byte, high).trailing_zeros() };
            return Some(passed + at as usize / 8);
        }
        passed += WIDTH;
    }
    let found = if chunks.len() > STEPS {
        memchr::memchr(byte, &bytes[passed..])
    } else {
        rest.iter().position(|at| *at == byte)
    };
    found.map(|at| passed + at)
}

/// Sixteen bytes as two little-endian numbers: the first byte is the lowest of the first one.
#[inline]
pub(crate) fn halves(bytes: &[u8; WIDTH]) -> (u64, u64) {
    let word = u128::from_le_bytes(*bytes);
    (word as u64, (word >> 64) as u64)
}

/// The top bit of the first byte that is `byte`, and perhaps bits above it; zero without one (Mycroft's test
/// for a zero byte).
#[inline]
pub(crate) fn first(byte: u8, word: u64) -> u64 {
    let differs = word ^ (ONES * byte as u64);
    differs.wrapping_sub(ONES) & !differs & (ONES << 7)
}

/// A mask of the bytes before the one whose top bit is the lowest of `bits`, which are not zero.
#[inline]
pub(crate) fn before(bits: u64) -> u64 {
    ((bits & bits.wrapping_neg()) >> 7) - 1
}

/// ASCII letters in lower case; bytes below 64, such as the hyphen, unchanged. No other byte becomes a letter.
#[inline]
pub(crate) const fn lower(word: u64) -> u64 {
    word | (word & (ONES << 6)) >> 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_found_wherever_it_is() {
        for len in 0..200 {
            let mut bytes = vec![b'\n' + 1; len];
            assert_eq!(find(b'\n', &bytes), None);
            for at in (0..len).rev() {
                bytes[at] = b'\n';
                assert_eq!(find(b'\n', &bytes), Some(at), "{at} of {len}");
            }
        }
    }

    #[test]
    fn a_mask_covers_what_stands_before_the_first() {
        let word = u64::from_le_bytes(*b"To:a:b:;");
        assert_eq!(word & before(first(b':', word)), u64::from_le_bytes(*b"To\0\0\0\0\0\0"));
        assert_eq!(first(b'?', word), 0);
    }

    #[test]
    fn only_letters_become_letters() {
        for byte in 0..=u8::MAX {
            let lowered = lower(u64::from(byte)) as u8;
            let is_name = lowered.is_ascii_lowercase() || lowered == b'-';
            if is_name {
                assert_eq!(lowered, byte.to_ascii_lowercase(), "{byte}");
            }
        }
    }
}
