//! The header block: lines in, known fields out (RFC 3261 §7.3, compact forms §7.3.3).
//!
//! Knows where a field begins and ends and which field it is, nothing of its value.

use crate::value;

/// A field this crate knows; [`Self::Other`] is every other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Header {
    Via,
    From,
    To,
    CallId,
    CSeq,
    Contact,
    ContentLength,
    ContentType,
    Expires,
    MinExpires,
    SessionExpires,
    MinSe,
    MaxForwards,
    RSeq,
    RAck,
    RetryAfter,
    Reason,
    UserAgent,
    Server,
    ReferTo,
    ReferredBy,
    Replaces,
    Event,
    Subject,
    SessionId,
    PAssertedIdentity,
    Other,
}

impl Header {
    /// Its bit in a set of fields.
    #[inline]
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// The fields that may occur once in a message.
    pub const SINGLE: u32 = !(Self::Via.bit()
        | Self::Contact.bit()
        | Self::Reason.bit()
        | Self::PAssertedIdentity.bit()
        | Self::Other.bit());

    /// The field of this name, which is not empty. Case-insensitive, compact forms included.
    #[inline]
    pub fn named(name: &[u8]) -> Self {
        let (known, header): (&[u8], Self) = match (name.len(), name[0] | 0x20) {
            (1, b'v') => return Self::Via,
            (1, b'f') => return Self::From,
            (1, b't') => return Self::To,
            (1, b'i') => return Self::CallId,
            (1, b'm') => return Self::Contact,
            (1, b'l') => return Self::ContentLength,
            (1, b'c') => return Self::ContentType,
            (1, b'x') => return Self::SessionExpires,
            (1, b'r') => return Self::ReferTo,
            (1, b'b') => return Self::ReferredBy,
            (1, b'o') => return Self::Event,
            (1, b's') => return Self::Subject,
            (2, b't') => (b"To", Self::To),
            (3, b'v') => (b"Via", Self::Via),
            (4, b'f') => (b"From", Self::From),
            (4, b'c') => (b"CSeq", Self::CSeq),
            (4, b'r') if name[1] | 0x20 == b's' => (b"RSeq", Self::RSeq),
            (4, b'r') => (b"RAck", Self::RAck),
            (5, b'e') => (b"Event", Self::Event),
            (6, b'm') => (b"Min-SE", Self::MinSe),
            (6, b'r') => (b"Reason", Self::Reason),
            (6, b's') => (b"Server", Self::Server),
            (7, b'c') if name[1] | 0x20 == b'a' => (b"Call-ID", Self::CallId),
            (7, b'c') => (b"Contact", Self::Contact),
            (7, b'e') => (b"Expires", Self::Expires),
            (7, b's') => (b"Subject", Self::Subject),
            (8, b'r') if name[2] | 0x20 == b'p' => (b"Replaces", Self::Replaces),
            (8, b'r') => (b"Refer-To", Self::ReferTo),
            (10, b'u') => (b"User-Agent", Self::UserAgent),
            (10, b's') => (b"Session-ID", Self::SessionId),
            (11, b'm') => (b"Min-Expires", Self::MinExpires),
            (11, b'r') if name[2] | 0x20 == b't' => (b"Retry-After", Self::RetryAfter),
            (11, b'r') => (b"Referred-By", Self::ReferredBy),
            (12, b'm') => (b"Max-Forwards", Self::MaxForwards),
            (12, b'c') => (b"Content-Type", Self::ContentType),
            (14, b'c') => (b"Content-Length", Self::ContentLength),
            (15, b's') => (b"Session-Expires", Self::SessionExpires),
            (19, b'p') => (b"P-Asserted-Identity", Self::PAssertedIdentity),
            _ => return Self::Other,
        };
        if name == known || name.eq_ignore_ascii_case(known) { header } else { Self::Other }
    }
}

/// What stands at one place of the header block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// A field with its value: trimmed, folds still in it.
    Field { header: Header, value: &'a [u8] },
    /// A line that is no field, with what continues it.
    Malformed,
    /// The empty line: [`Lines::rest`] is the body.
    Blank,
    /// The bytes ended without an empty line.
    End,
}

/// Walks over the header block, line by line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lines<'a> {
    bytes: &'a [u8],
    position: usize,
    /// The capture cut the bytes: a last line without an end may be half a line and is not read.
    cut: bool,
}

impl<'a> Lines<'a> {
    /// Lines from `position` on, which is the beginning of a line.
    pub fn new(bytes: &'a [u8], position: usize, cut: bool) -> Self {
        Self { bytes, position, cut }
    }

    /// What has not been read yet: after [`Line::Blank`] the body.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.position..]
    }

    /// The next line. After [`Line::Blank`] or [`Line::End`] there is none.
    #[inline]
    pub fn next(&mut self) -> Line<'a> {
        let line = &self.bytes[self.position..];
        let name = value::token_len(line);
        let mut colon = name;
        while let Some(b' ' | b'\t') = line.get(colon) {
            colon += 1;
        }
        let is_field = name > 0 && line.get(colon) == Some(&b':');
        if !is_field {
            match line {
                [] | [b'\r'] => return Line::End,
                [b'\n', ..] => {
                    self.position += 1;
                    return Line::Blank;
                }
                [b'\r', b'\n', ..] => {
                    self.position += 2;
                    return Line::Blank;
                }
                _ => {}
            }
        }
        let Some(end) = self.end(line, colon) else { return Line::End };
        self.position += end;
        if !is_field {
            return Line::Malformed;
        }
        Line::Field { header: Header::named(&line[..name]), value: value::trim(&line[colon + 1..end]) }
    }

    /// Length of the field at the front of `line`, continuation lines included; `None` when it was cut.
    #[inline]
    fn end(&self, line: &[u8], from: usize) -> Option<usize> {
        let mut end = from;
        loop {
            let Some(found) = memchr::memchr(b'\n', &line[end..]) else {
                return if self.cut { None } else { Some(line.len()) };
            };
            end += found + 1;
            if !matches!(line.get(end), Some(b' ' | b'\t')) {
                return Some(end);
            }
        }
    }
}

/// The values of every field of one name, in order; begins at the first of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Values<'a> {
    lines: Lines<'a>,
    header: Header,
}

impl<'a> Values<'a> {
    /// Fields called `header` among `lines`.
    pub fn new(lines: Lines<'a>, header: Header) -> Self {
        Self { lines, header }
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            match self.lines.next() {
                Line::Field { header, value } if header == self.header => return Some(value),
                Line::Field { .. } | Line::Malformed => {}
                Line::Blank | Line::End => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_known_by_both_names_in_any_case() {
        for (names, header) in [
            ("Via v", Header::Via),
            ("From f", Header::From),
            ("To t", Header::To),
            ("Call-ID i", Header::CallId),
            ("CSeq", Header::CSeq),
            ("Contact m", Header::Contact),
            ("Content-Length l", Header::ContentLength),
            ("Content-Type c", Header::ContentType),
            ("Expires", Header::Expires),
            ("Min-Expires", Header::MinExpires),
            ("Session-Expires x", Header::SessionExpires),
            ("Min-SE", Header::MinSe),
            ("Max-Forwards", Header::MaxForwards),
            ("RSeq", Header::RSeq),
            ("RAck", Header::RAck),
            ("Retry-After", Header::RetryAfter),
            ("Reason", Header::Reason),
            ("User-Agent", Header::UserAgent),
            ("Server", Header::Server),
            ("Refer-To r", Header::ReferTo),
            ("Referred-By b", Header::ReferredBy),
            ("Replaces", Header::Replaces),
            ("Event o", Header::Event),
            ("Subject s", Header::Subject),
            ("Session-ID", Header::SessionId),
            ("P-Asserted-Identity", Header::PAssertedIdentity),
        ] {
            for name in names.split(' ') {
                assert_eq!(Header::named(name.as_bytes()), header, "{name}");
                assert_eq!(Header::named(name.to_ascii_uppercase().as_bytes()), header, "{name}");
                assert_eq!(Header::named(name.to_ascii_lowercase().as_bytes()), header, "{name}");
            }
        }
    }

    #[test]
    fn compact_forms_of_other_fields_and_similar_names_are_not_misread() {
        for name in ["e", "k", "u", "y", "a", "j", "d", "n", "Vib", "Frim", "Call-IE", "Cantact", "Rxeq", "Te"] {
            assert_eq!(Header::named(name.as_bytes()), Header::Other, "{name}");
        }
    }

    #[test]
    fn a_field_ends_where_the_next_line_does_not_continue_it() {
        let mut lines = Lines::new(b"A : 1\r\n\t2 \r\n \r\nTo:\nx\r\n\r\nbody", 0, false);
        let field = |header, value: &'static str| Line::Field { header, value: value.as_bytes() };
        assert_eq!(lines.next(), field(Header::Other, "1\r\n\t2"));
        assert_eq!(lines.next(), field(Header::To, ""));
        assert_eq!(lines.next(), Line::Malformed);
        assert_eq!(lines.next(), Line::Blank);
        assert_eq!(lines.rest(), b"body");
    }

    #[test]
    fn a_last_line_without_an_end_is_read_unless_the_capture_cut_it() {
        let last = Line::Field { header: Header::To, value: b"x" };
        assert_eq!(Lines::new(b"t: x", 0, false).next(), last);
        assert_eq!(Lines::new(b"t: x", 0, true).next(), Line::End);
        assert_eq!(Lines::new(b"t: x\r", 0, false).next(), last);
        assert_eq!(Lines::new(b"\r", 0, false).next(), Line::End);
    }
}
