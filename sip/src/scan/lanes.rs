//! Sixteen bytes that are compared at once.
//!
//! SSE2 has an instruction that makes a bit of each byte, which the compiler does not find in plain code: a search takes
//! half the instructions. Elsewhere the same in plain code. None of the functions of SSE2 used here touches memory, and
//! every x86-64 processor has it, so that calling them is sound.

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_cvtsi128_si64, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128,
        _mm_set_epi64x, _mm_set1_epi8, _mm_srli_epi64, _mm_sub_epi8,
    };

    /// Sixteen bytes, or the answer to a question about each of them.
    #[derive(Clone, Copy)]
    pub(crate) struct Lanes(__m128i);

    impl Lanes {
        #[inline(always)]
        pub fn of(bytes: &[u8; 16]) -> Self {
            let word = u128::from_le_bytes(*bytes);
            let (low, high) = (word as u64, (word >> u64::BITS) as u64);
            // SAFETY: x86-64 has SSE2.
            Self(unsafe { _mm_set_epi64x(high as i64, low as i64) })
        }

        /// Which are `byte`.
        #[inline(always)]
        pub fn are(self, byte: u8) -> Self {
            // SAFETY: x86-64 has SSE2.
            Self(unsafe { _mm_cmpeq_epi8(self.0, _mm_set1_epi8(byte as i8)) })
        }

        /// Which are from `first` to `last`.
        #[inline(always)]
        pub fn are_within(self, first: u8, last: u8) -> Self {
            // SAFETY: x86-64 has SSE2.
            Self(unsafe {
                let above_first = _mm_sub_epi8(self.0, _mm_set1_epi8(first as i8));
                _mm_cmpeq_epi8(_mm_min_epu8(above_first, _mm_set1_epi8((last - first) as i8)), above_first)
            })
        }

        /// ASCII letters in lower case; bytes below 64, such as the hyphen, unchanged. No other byte becomes a letter.
        #[inline(always)]
        pub fn lower(self) -> Self {
            // SAFETY: x86-64 has SSE2.
            Self(unsafe { _mm_or_si128(self.0, _mm_srli_epi64::<1>(_mm_and_si128(self.0, _mm_set1_epi8(0x40)))) })
        }

        /// Those of the bytes that `mask` has, 255 for each; the others are NUL.
        #[inline(always)]
        pub fn and(self, mask: Self) -> Self {
            // SAFETY: x86-64 has SSE2.
            Self(unsafe { _mm_and_si128(self.0, mask.0) })
        }

        /// The first eight bytes as a little-endian number.
        #[inline(always)]
        pub fn low(self) -> u64 {
            // SAFETY: x86-64 has SSE2.
            unsafe { _mm_cvtsi128_si64(self.0) as u64 }
        }

        /// Whether all sixteen are alike.
        #[inline(always)]
        pub fn equals(self, other: Self) -> bool {
            // SAFETY: x86-64 has SSE2.
            Self(unsafe { _mm_cmpeq_epi8(self.0, other.0) }).bits() == 0xffff
        }

        /// Which are one or the other, of two answers.
        #[inline(always)]
        pub fn or(self, other: Self) -> Self {
            // SAFETY: x86-64 has SSE2.
            Self(unsafe { _mm_or_si128(self.0, other.0) })
        }

        /// The answer for the first byte in the lowest bit, for the last one in the sixteenth.
        #[inline(always)]
        pub fn bits(self) -> u32 {
            // SAFETY: x86-64 has SSE2.
            unsafe { _mm_movemask_epi8(self.0) as u32 }
        }
    }
}

#[cfg(any(not(target_arch = "x86_64"), test))]
#[cfg_attr(target_arch = "x86_64", allow(dead_code, reason = "the tests hold it against the other one"))]
mod plain {
    /// Sixteen bytes, or the answer to a question about each of them: 255 for yes.
    #[derive(Clone, Copy)]
    pub(crate) struct Lanes([u8; 16]);

    impl Lanes {
        #[inline(always)]
        pub fn of(bytes: &[u8; 16]) -> Self {
            Self(*bytes)
        }

        /// Which are `byte`.
        #[inline(always)]
        pub fn are(self, byte: u8) -> Self {
            self.are_within(byte, byte)
        }

        /// Which are from `first` to `last`.
        #[inline(always)]
        pub fn are_within(self, first: u8, last: u8) -> Self {
            Self(self.0.map(|byte| if (first..=last).contains(&byte) { u8::MAX } else { 0 }))
        }

        /// ASCII letters in lower case; bytes below 64, such as the hyphen, unchanged. No other byte becomes a letter.
        #[inline(always)]
        pub fn lower(self) -> Self {
            Self(self.0.map(|byte| byte | (byte & 0x40) >> 1))
        }

        /// Those of the bytes that `mask` has, 255 for each; the others are NUL.
        #[inline(always)]
        pub fn and(self, mask: Self) -> Self {
            Self(std::array::from_fn(|lane| self.0[lane] & mask.0[lane]))
        }

        /// The first eight bytes as a little-endian number.
        #[inline(always)]
        pub fn low(self) -> u64 {
            u128::from_le_bytes(self.0) as u64
        }

        /// Whether all sixteen are alike.
        #[inline(always)]
        pub fn equals(self, other: Self) -> bool {
            self.0 == other.0
        }

        /// Which are one or the other, of two answers.
        #[inline(always)]
        pub fn or(self, other: Self) -> Self {
            Self(std::array::from_fn(|lane| self.0[lane] | other.0[lane]))
        }

        /// The answer for the first byte in the lowest bit, for the last one in the sixteenth.
        #[inline(always)]
        pub fn bits(self) -> u32 {
            self.0.iter().rev().fold(0, |bits, byte| bits << 1 | u32::from(byte & 1))
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use plain::Lanes;
#[cfg(target_arch = "x86_64")]
pub(crate) use sse2::Lanes;

#[cfg(test)]
mod tests {
    #[test]
    fn both_forms_answer_alike_for_every_byte_in_every_lane() {
        for byte in 0..=u8::MAX {
            for lane in 0..16 {
                let mut bytes = [b'x'; 16];
                bytes[lane] = byte;
                let (here, plain) = (super::Lanes::of(&bytes), super::plain::Lanes::of(&bytes));
                for (first, last) in [(0, 0x22), (b':', b'='), (b'x', 255), (byte, byte)] {
                    let bits = here.are(first).or(here.are_within(first, last)).bits();
                    assert_eq!(bits, plain.are(first).or(plain.are_within(first, last)).bits(), "{byte} in {lane}");
                    assert_eq!(here.lower().low(), plain.lower().low(), "{byte} in {lane}");
                    let (masked, plainly) = (here.and(here.are(byte)), plain.and(plain.are(byte)));
                    assert_eq!(masked.low(), plainly.low(), "{byte} in {lane}");
                    let same = (here.equals(here.lower()), here.equals(masked));
                    assert_eq!(same, (plain.equals(plain.lower()), plain.equals(plainly)), "{byte} in {lane}");
                    assert_eq!(bits >> lane & 1 == 1, (first..=last).contains(&byte), "{byte} in {lane}");
                }
            }
        }
    }

    #[test]
    fn only_letters_become_letters() {
        for byte in 0..=u8::MAX {
            let lowered = super::Lanes::of(&[byte; 16]).lower().low() as u8;
            if lowered.is_ascii_lowercase() || lowered == b'-' {
                assert_eq!(lowered, byte.to_ascii_lowercase(), "{byte}");
            }
        }
    }
}
