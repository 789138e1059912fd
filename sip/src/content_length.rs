//! What Content-Length says, in one field or several (RFC 3261 §20.14).

use crate::value;

/// What Content-Length says.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ContentLength {
    #[default]
    Absent,
    /// Clamped to 2^32-1, which is more than any message has.
    Bytes(u32),
    /// No number.
    Invalid,
    /// Several fields with different values; the first one, which counts in a datagram.
    Several(u32),
}

impl ContentLength {
    #[inline(always)]
    pub fn of(value: &[u8]) -> Self {
        match value::number_and_rest(value, u32::MAX) {
            Some((number, [])) => Self::Bytes(number.value),
            _ => Self::Invalid,
        }
    }

    /// After another field with this value.
    pub fn and(self, value: &[u8]) -> Self {
        match self {
            Self::Bytes(first) if Self::of(value) != self => Self::Several(first),
            _ => self,
        }
    }
}
