//! A walk through the value of one header field: tokens, quoted strings, parameters, lists (RFC 3261 §7.3.1, §25.1).
//!
//! A quoted string that does not end swallows the rest of the value.

use crate::scan;
use crate::value::{NAME_END, VALUE_END, Value, find_class, is_space, token_len};

/// A place in a value that moves only forward.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    value: Value<'a>,
    /// At most the end of `value`.
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    pub fn new(value: Value<'a>) -> Self {
        Self { value, at: value.start }
    }

    /// What lies ahead.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        &self.value.bytes[self.at..self.value.end]
    }

    /// The next byte.
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        (self.at < self.value.end).then(|| self.value.bytes[self.at])
    }

    /// Takes what lies before `end`, which is a place in the value.
    #[inline]
    fn take_to(&mut self, end: usize) -> &'a [u8] {
        let taken = &self.value.bytes[self.at..end];
        self.at = end;
        taken
    }

    /// Takes the next `len` bytes; everything when there are fewer.
    #[inline]
    pub fn take(&mut self, len: usize) -> &'a [u8] {
        self.take_to(self.value.end.min(self.at + len))
    }

    /// Takes `byte` if it is next.
    #[inline]
    pub fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    #[inline]
    pub fn skip_space(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    /// Takes the token at hand, perhaps an empty one.
    #[inline]
    pub fn token(&mut self) -> &'a [u8] {
        self.take(token_len(self.rest()))
    }

    /// Takes everything before the next `byte`, which is everything if there is none.
    #[inline]
    pub fn take_until(&mut self, byte: u8) -> &'a [u8] {
        self.take_to(scan::find(byte, self.value.bytes, self.at, self.value.end).unwrap_or(self.value.end))
    }

    /// Takes the bytes before the next one of `CLASS`.
    #[inline(always)]
    pub fn take_until_class<const CLASS: u8>(&mut self) -> &'a [u8] {
        self.take_to(find_class::<CLASS>(self.value.bytes, self.at, self.value.end))
    }

    /// Takes a quoted string with its quotes; a backslash makes the next byte ordinary. Without an end it is the whole rest.
    #[inline(never)]
    pub fn quoted(&mut self) -> &'a [u8] {
        let mut end = self.at + 1;
        while let Some(found) = scan::find_either(b'"', b'\\', self.value.bytes, end, self.value.end) {
            if self.value.bytes[found] == b'"' {
                return self.take_to(found + 1);
            }
            end = found + 2;
        }
        self.take_to(self.value.end)
    }

    /// Takes the bytes before the next white space, `;`, `,` or `"`.
    #[inline(always)]
    pub fn plain(&mut self) -> &'a [u8] {
        self.take_until_class::<{ VALUE_END }>()
    }

    /// Takes the next `;name=value` of the element at hand; `None` at its end, which is a comma or the end of
    /// the value. Empty parameters are skipped. A value is as sent, with quotes if it has them.
    #[inline(never)]
    pub fn param(&mut self) -> Option<Param<'a>> {
        // A copy stays in registers.
        let mut here = *self;
        let param = loop {
            here.skip_to_param();
            if !here.eat(b';') {
                break None;
            }
            here.skip_space();
            let name = here.take_until_class::<{ NAME_END }>();
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

    /// The value of the first parameter called `name`, which is in lower case, that has one; empty without. Takes the
    /// element up to that value, or to its end.
    #[inline(always)]
    pub fn first_param<const N: usize>(&mut self, name: &[u8; N]) -> &'a [u8] {
        // Nearly always it is the first of all, and so written.
        let rest = self.rest();
        if let [b';', rest @ ..] = rest
            && let Some((first, [b'=', ..])) = rest.split_first_chunk::<N>()
            && first == name
        {
            let mut here = *self;
            here.at += N + 2;
            let value = here.plain();
            if !value.is_empty() {
                *self = here;
                return value;
            }
        }
        while let Some(param) = self.param() {
            if param.is(name) && !param.value.is_empty() {
                return param.value;
            }
        }
        b""
    }

    /// What lies ahead, with what follows it in the message.
    #[inline]
    pub fn ahead(&self) -> Value<'a> {
        Value { start: self.at, ..self.value }
    }

    /// Goes to a place in the value.
    #[inline]
    pub fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    /// Takes what is left of the element at hand, up to its comma or the end of the value.
    #[inline]
    pub fn finish(&mut self) {
        if self.at < self.value.end {
            self.find_end();
        }
    }

    fn find_end(&mut self) {
        // Wherever a quote stands it begins a quoted string, so without one the next comma is the end.
        match scan::find_either(b',', b'"', self.value.bytes, self.at, self.value.end) {
            None => self.at = self.value.end,
            Some(end) if self.value.bytes[end] == b',' => self.at = end,
            Some(_) => while self.param().is_some() {},
        }
    }

    /// Skips what is left of a parameter, up to its end at `;`, `,` or the end of the value.
    #[inline]
    fn skip_to_param(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b';' | b',' => return,
                b'"' => _ = self.quoted(),
                _ => self.at += 1,
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
    use proptest::prelude::*;

    use super::*;

    fn cursor(value: &[u8]) -> Cursor<'_> {
        Cursor::new(value.into())
    }

    fn params(value: &str) -> Vec<(&str, &str)> {
        let text = |bytes| std::str::from_utf8(bytes).expect("tests are text");
        let mut cursor = cursor(value.as_bytes());
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
        let mut cursor = cursor(b"x;a=1,y;b=2");
        assert_eq!(cursor.param(), Some(Param { name: b"a", value: b"1" }));
        assert_eq!(cursor.param(), None);
        assert_eq!(cursor.rest(), b",y;b=2");
    }

    #[test]
    fn a_quoted_string_may_end_with_an_escaped_backslash() {
        let mut cursor = cursor(br#""a\\"b"#);
        assert_eq!(cursor.quoted(), br#""a\\""#);
        assert_eq!(cursor.rest(), b"b");
        assert_eq!(self::cursor(br#""a\"#).quoted(), br#""a\"#);
    }

    proptest! {
        #[test]
        fn the_first_parameter_of_a_name_is_the_one_a_walk_finds(value in "[ ;]?(;(tag|Tag|b)?(=[x\", ]{0,18})?){0,4}") {
            let (mut quick, mut walk) = (cursor(value.as_bytes()), cursor(value.as_bytes()));
            let expected = std::iter::from_fn(|| walk.param()).find(|param| param.is(b"tag") && !param.value.is_empty());
            prop_assert_eq!(quick.first_param(b"tag"), expected.map_or(&b""[..], |param| param.value));
            quick.finish();
            while walk.param().is_some() {}
            prop_assert_eq!(quick.rest(), walk.rest());
        }
    }
}
