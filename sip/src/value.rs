//! Inside one header field value: white space, tokens, quoted strings, parameters, lists, numbers
//! (RFC 3261 §7.3.1, §25.1).
//!
//! Values are raw slices: a fold (line end and SP or HTAB) in them counts as white space. A quoted string
//! that does not end swallows the rest of the value.

use std::borrow::Cow;

/// May stand in a token (RFC 3261 §25.1).
const TOKEN: u8 = 1;
/// White space in a value, folds included.
const SPACE: u8 = 2;
/// Ends an unquoted value of a parameter.
pub(crate) const VALUE_END: u8 = 4;
/// Ends the name of a parameter.
const NAME_END: u8 = 8;
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

/// Number of bytes at the front that are not of `class`.
#[inline]
pub(crate) fn span_until(class: u8, bytes: &[u8]) -> usize {
    span(bytes, |byte| CLASS[byte as usize] & class == 0)
}

/// Length of the token at the front.
#[inline]
pub(crate) fn token_len(bytes: &[u8]) -> usize {
    span(bytes, |byte| CLASS[byte as usize] & TOKEN != 0)
}

/// Number of bytes at the front that belong. Eight at a time: half the instructions of one at a time.
#[inline]
fn span(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    let (chunks, rest) = bytes.as_chunks::<8>();
    for (chunk_index, chunk) in chunks.iter().enumerate() {
        for (index, byte) in chunk.iter().enumerate() {
            if !belongs(*byte) {
                return chunk_index * 8 + index;
            }
        }
    }
    chunks.len() * 8 + rest.iter().position(|byte| !belongs(*byte)).unwrap_or(rest.len())
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
fn trim_slowly(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_space(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_space(*last)
    {
        bytes = rest;
    }
    bytes
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
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit());
    let mut number = None;
    for digit in digits {
        let value = number.unwrap_or(0_u64) * 10 + u64::from(digit - b'0');
        // Far above every `max`, far below an overflow of the next round.
        number = Some(value.min(1 << 40));
    }
    let value = number?;
    let clamped = value > u64::from(max);
    Some(Number { value: if clamped { max } else { value as u32 }, clamped })
}

/// A place in a value that moves only forward.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub fn new(value: &'a [u8]) -> Self {
        Self { rest: value }
    }

    /// What lies ahead.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next byte.
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes the next `len` bytes; everything when there are fewer.
    #[inline]
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Takes `byte` if it is next.
    #[inline]
    pub fn eat(&mut self, byte: u8) -> bool {
        match self.rest {
            [first, rest @ ..] if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    #[inline]
    pub fn skip_space(&mut self) {
        while let [first, rest @ ..] = self.rest
            && is_space(*first)
        {
            self.rest = rest;
        }
    }

    /// Takes the token at hand, perhaps an empty one.
    #[inline]
    pub fn token(&mut self) -> &'a [u8] {
        self.take(token_len(self.rest))
    }

    /// Takes a quoted string with its quotes; a backslash makes the next byte ordinary. Without an end it is the whole rest.
    pub fn quoted(&mut self) -> &'a [u8] {
        let mut end = 1;
        while let Some(found) = self.rest.get(end..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
            end += found;
            if self.rest[end] == b'"' {
                return self.take(end + 1);
            }
            end += 2;
        }
        self.take(self.rest.len())
    }

    /// Takes the bytes before the next white space, `;`, `,` or `"`.
    #[inline]
    pub fn plain(&mut self) -> &'a [u8] {
        self.take(span_until(VALUE_END, self.rest))
    }

    /// Takes the next `;name=value` of the element at hand; `None` at its end, which is a comma or the end of
    /// the value. Empty parameters are skipped. A value is as sent, with quotes if it has them.
    #[inline]
    pub fn param(&mut self) -> Option<Param<'a>> {
        // A copy stays in registers.
        let mut here = *self;
        let param = loop {
            here.skip_to_param();
            if !here.eat(b';') {
                break None;
            }
            here.skip_space();
            let name = here.take(span_until(NAME_END, here.rest));
            here.skip_space();
            let mut value: &[u8] = b"";
            if here.eat(b'=') {
                here.skip_space();
                value = if here.peek() == Some(b'"') { here.quoted() } else { here.plain() };
            }
            if !name.is_empty() {
                break Some(Param { name, value });
            }
        };
        *self = here;
        param
    }

    /// Skips what is left of a parameter, up to its end at `;`, `,` or the end of the value.
    #[inline]
    fn skip_to_param(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b';' | b',' => return,
                b'"' => _ = self.quoted(),
                _ => _ = self.take(1),
            }
        }
    }
}

/// A parameter behind a `;`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Param<'a> {
    pub name: &'a [u8],
    pub value: &'a [u8],
}

impl Param<'_> {
    /// Names compare case-insensitively (RFC 3261 §7.3.1); `name` is in lower case.
    #[inline]
    pub fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(value: &str) -> Vec<(&str, &str)> {
        let text = |bytes| std::str::from_utf8(bytes).expect("tests are text");
        let mut cursor = Cursor::new(value.as_bytes());
        std::iter::from_fn(|| cursor.param()).map(|param| (text(param.name), text(param.value))).collect()
    }

    #[test]
    fn parameters_may_have_white_space_and_folds_around_separators() {
        assert_eq!(params(" ;\r\n a\t= 1 ; b ;c=\r\n 3"), [("a", "1"), ("b", ""), ("c", "3")]);
    }

    #[test]
    fn empty_parameters_are_skipped() {
        assert_eq!(params(";;; a=1;;"), [("a", "1")]);
    }

    #[test]
    fn separators_in_a_quoted_string_are_text() {
        assert_eq!(params(r#";a="1;b=2,\";c=3";d=4"#), [("a", r#""1;b=2,\";c=3""#), ("d", "4")]);
    }

    #[test]
    fn an_unterminated_quote_swallows_the_rest_of_the_value() {
        assert_eq!(params(r#";a=1;b="2;c=3"#), [("a", "1"), ("b", r#""2;c=3"#)]);
    }

    #[test]
    fn a_comma_ends_the_parameters_of_an_element() {
        let mut cursor = Cursor::new(b"x;a=1,y;b=2");
        assert_eq!(cursor.param(), Some(Param { name: b"a", value: b"1" }));
        assert_eq!(cursor.param(), None);
        assert_eq!(cursor.rest(), b",y;b=2");
    }

    #[test]
    fn a_quoted_string_may_end_with_an_escaped_backslash() {
        let mut cursor = Cursor::new(br#""a\\"b"#);
        assert_eq!(cursor.quoted(), br#""a\\""#);
        assert_eq!(cursor.rest(), b"b");
        assert_eq!(Cursor::new(br#""a\"#).quoted(), br#""a\"#);
    }

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
