//! Inside one header field value: white space, tokens, folds, numbers (RFC 3261 §7.3.1, §25.1).
//!
//! Values are raw: a fold (line end and SP or HTAB) in them counts as white space.

use std::borrow::Cow;

use crate::scan::{self, Lanes};

/// May stand in a token (RFC 3261 §25.1).
const TOKEN: u8 = 1;
/// White space in a value, folds included.
const SPACE: u8 = 2;
/// Ends an unquoted value of a parameter.
pub(crate) const VALUE_END: u8 = 4;
/// Ends the name of a parameter.
pub(crate) const NAME_END: u8 = 8;
/// Ends a host.
pub(crate) const HOST_END: u8 = 16;
/// Ends, or begins something else in, a display name or a URI without brackets.
pub(crate) const ADDRESS_END: u8 = 32;

static CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            b' ' | b'\t' | b'\r' | b'\n' => SPACE | VALUE_END | NAME_END | HOST_END,
            b';' | b',' | b'"' => VALUE_END | NAME_END | HOST_END | ADDRESS_END,
            b'=' => NAME_END,
            b':' => HOST_END,
            b'<' => ADDRESS_END,
            b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~' => TOKEN,
            b if b.is_ascii_alphanumeric() => TOKEN,
            _ => 0,
        };
        byte += 1;
    }
    class
};

/// Where in `from..end` the first byte of `CLASS_OF_END` is; `end` when there is none.
#[inline(always)]
pub(crate) fn find_class<const CLASS_OF_END: u8>(bytes: &[u8], from: usize, end: usize) -> usize {
    // Of most classes a few comparisons tell what may belong to them, the table what does.
    let may_end = |lanes: Lanes| match CLASS_OF_END {
        ADDRESS_END => lanes.are(b'<').or(lanes.are(b'"')).or(lanes.are(b';')).or(lanes.are(b',')),
        VALUE_END => lanes.are_within(0, b'"').or(lanes.are(b',')).or(lanes.are(b';')),
        _ => lanes.are_within(0, b'"').or(lanes.are(b',')).or(lanes.are_within(b':', b'=')),
    };
    let is_end = |byte| CLASS[byte as usize] & CLASS_OF_END != 0;
    let is_sure = |byte| CLASS_OF_END == ADDRESS_END || is_end(byte);
    scan::find_among(bytes, from, end, may_end, is_sure, is_end).unwrap_or(end)
}

/// Length of the token at the front.
#[inline]
pub(crate) fn token_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| CLASS[*byte as usize] & TOKEN == 0).unwrap_or(bytes.len())
}

/// Whether a parameter's value that is no quoted string ends at this byte.
#[inline]
pub(crate) fn ends_value(byte: u8) -> bool {
    CLASS[byte as usize] & VALUE_END != 0
}

/// White space in a value, folds included.
#[inline]
pub(crate) fn is_space(byte: u8) -> bool {
    CLASS[byte as usize] & SPACE != 0
}

/// Without white space and folds at both ends.
#[inline]
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    match bytes {
        [first, .., last] if !is_space(*first) && !is_space(*last) => bytes,
        _ => trim_slowly(bytes),
    }
}

#[cold]
fn trim_slowly(bytes: &[u8]) -> &[u8] {
    let mut bytes = trim_start(bytes);
    while let [rest @ .., last] = bytes
        && is_space(*last)
    {
        bytes = rest;
    }
    bytes
}

/// Without white space and folds at the front.
#[inline]
pub(crate) fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_space(*first)
    {
        bytes = rest;
    }
    bytes
}

/// Without its line end: LF, and every CR before it (RFC 3261 §7 has one; text that was converted twice has more).
#[inline]
pub(crate) fn without_line_end(line: &[u8]) -> &[u8] {
    let mut line = line.strip_suffix(b"\n").unwrap_or(line);
    while let [rest @ .., b'\r'] = line {
        line = rest;
    }
    line
}

/// With every fold, and the white space around it, joined to one space (RFC 3261 §7.3.1). Borrows unless there is a fold.
pub(crate) fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut joined = Vec::with_capacity(value.len());
    for line in value.split(|byte| *byte == b'\n') {
        let line = trim(line);
        if !joined.is_empty() && !line.is_empty() {
            joined.push(b' ');
        }
        joined.extend_from_slice(line);
    }
    Cow::Owned(joined)
}

/// A number clamped to its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    pub value: u32,
    /// The number sent was larger than `max`.
    pub clamped: bool,
}

/// The decimal digits at the front, at most `max`; `None` when there is no digit.
pub(crate) fn number(bytes: &[u8], max: u32) -> Option<Number> {
    Some(number_and_rest(bytes, max)?.0)
}

/// The same, and what stands behind the digits.
#[inline(always)]
pub(crate) fn number_and_rest(bytes: &[u8], max: u32) -> Option<(Number, &[u8])> {
    let (mut value, mut len) = (0_u32, 0);
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(digit.into());
        len += 1;
    }
    let (digits, rest) = bytes.split_at_checked(len).filter(|_| len > 0)?;
    // Nine digits fit into 32 bits.
    let (value, too_large) = if len <= 9 { (value, false) } else { many_digits(digits) };
    let clamped = too_large || value > max;
    Some((Number { value: if clamped { max } else { value }, clamped }, rest))
}

/// The number that digits are, and whether it is too large for 32 bits.
#[cold]
fn many_digits(digits: &[u8]) -> (u32, bool) {
    // Clamped far above every bound, far below an overflow of the next round.
    let value = digits.iter().fold(0_u64, |value, digit| (value * 10 + u64::from(digit - b'0')).min(1 << 40));
    u32::try_from(value).map_or((u32::MAX, true), |value| (value, false))
}

/// Whether [`trim`] surely takes nothing away: no white space, nor anything like it, is at either end.
#[inline(always)]
pub(crate) fn is_trimmed(bytes: &[u8]) -> bool {
    matches!((bytes.first(), bytes.last()), (Some(b'!'..), Some(b'!'..)))
}

/// The value of a field as sent, without white space at its ends; folds are still in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value<'a> {
    /// The message, for searches to look at what follows the value.
    pub bytes: &'a [u8],
    pub start: usize,
    pub end: usize,
}

impl<'a> Value<'a> {
    /// What is in `start..end`, trimmed.
    #[inline(always)]
    pub fn trimmed(bytes: &'a [u8], start: usize, end: usize) -> Self {
        let nearly = Self::nearly_trimmed(bytes, start, end);
        if is_trimmed(nearly.bytes()) || nearly.is_empty() { nearly } else { Self::trimmed_slowly(bytes, start, end) }
    }

    /// Without the one space and the CR that nearly always are around it. What reads values in their usual form alone finds
    /// out by itself that there is more.
    #[inline(always)]
    pub fn nearly_trimmed(bytes: &'a [u8], start: usize, end: usize) -> Self {
        let value = &bytes[start..end];
        let spaces = usize::from(value.first() == Some(&b' '));
        let ends = usize::from(value.last() == Some(&b'\r'));
        Self { bytes, start: start + spaces, end: end - ends }
    }

    #[inline(never)]
    fn trimmed_slowly(bytes: &'a [u8], start: usize, end: usize) -> Self {
        let value = trim_start(&bytes[start..end]);
        let start = end - value.len();
        Self { bytes, start, end: start + trim(value).len() }
    }

    /// The value alone.
    #[inline(always)]
    pub fn bytes(self) -> &'a [u8] {
        &self.bytes[self.start..self.end]
    }

    /// Where the first of two bytes is.
    #[inline]
    pub fn find_either(self, one: u8, other: u8) -> Option<usize> {
        scan::find_either(one, other, self.bytes, self.start, self.end)
    }

    #[inline]
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self { bytes: value, start: 0, end: value.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_clamped_whatever_their_length() {
        assert_eq!(number(b"0068", 255), Some(Number { value: 68, clamped: false }));
        assert_eq!(number(b"4294967295", u32::MAX), Some(Number { value: u32::MAX, clamped: false }));
        assert_eq!(number(b"4294967296", u32::MAX), Some(Number { value: u32::MAX, clamped: true }));
        assert_eq!(number(&[b'9'; 100], 255), Some(Number { value: 255, clamped: true }));
        assert_eq!(number(b"120 (in a meeting)", u32::MAX), Some(Number { value: 120, clamped: false }));
        assert_eq!(number(b"-1", 255), None);
        assert_eq!(number(b"", 255), None);
    }

    #[test]
    fn a_fold_becomes_one_space_and_nothing_else_changes() {
        assert_eq!(unfold(b"a  b").as_ref(), b"a  b");
        assert!(matches!(unfold(b"a  b"), Cow::Borrowed(_)));
        assert_eq!(unfold(b"a \r\n\t b\n c\r\n \r\n d").as_ref(), b"a b c d");
    }
}
