//! CSeq: sequence number and method (RFC 3261 §8.1.1.5, §20.16).

use crate::method::Method;
use crate::value::{self, Cursor};

/// The value of CSeq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// Up to 2^32-1, although senders should stay below 2^31.
    pub number: u32,
    /// The method by name.
    pub method: Method,
    /// The method as sent.
    pub name: &'a [u8],
}

/// `None` when the value is no number and method, or the number is out of range.
pub(crate) fn parse(value: &[u8]) -> Option<CSeq<'_>> {
    let digits = value.iter().position(|byte| !byte.is_ascii_digit())?;
    let number = value::number(value, u32::MAX).filter(|number| !number.clamped)?.value;
    let mut cursor = Cursor::new(&value[digits..]);
    if !cursor.peek().is_some_and(value::is_space) {
        return None;
    }
    cursor.skip_space();
    let name = cursor.token();
    if name.is_empty() || !cursor.rest().is_empty() {
        return None;
    }
    Some(CSeq { number, method: Method::named(name), name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_may_have_leading_zeros_and_a_fold_behind_it() {
        assert_eq!(parse(b"0009\r\n  INVITE"), Some(CSeq { number: 9, method: Method::Invite, name: b"INVITE" }));
        assert_eq!(parse(b"4294967295 FOO").map(|cseq| (cseq.number, cseq.method)), Some((u32::MAX, Method::Other)));
    }

    #[test]
    fn a_number_out_of_range_or_anything_that_is_not_number_and_token_is_refused() {
        for wrong in ["4294967296 BYE", "BYE", "1", "1 ", "1BYE", "-1 BYE", "1 BYE BYE", "1 B/E", ""] {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
