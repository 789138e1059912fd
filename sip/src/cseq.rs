//! CSeq: sequence number and method (RFC 3261 §8.1.1.5, §20.16).

use crate::method::Method;
use crate::value;

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
#[inline(always)]
pub(crate) fn parse(value: &[u8]) -> Option<CSeq<'_>> {
    let (number, behind) = value::number_and_rest(value, u32::MAX)?;
    let name = match behind {
        [b' ', name @ ..] if value::is_trimmed(name) => name,
        _ => value::trim_start(behind),
    };
    if number.clamped || name.len() == behind.len() {
        return None;
    }
    let method = Method::named(name);
    // A known name is a token.
    if name.is_empty() || method == Method::Other && value::token_len(name) < name.len() {
        return None;
    }
    Some(CSeq { number: number.value, method, name })
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
