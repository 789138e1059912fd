//! The header block: lines in, known fields out (RFC 3261 §7.3, compact forms §7.3.3).
//!
//! Knows where a field begins and ends and which field it is, nothing of its value.

use crate::scan::{self, before, first, halves, lower};
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

    /// The field of this name. Case-insensitive, compact forms included.
    pub fn named(name: &[u8]) -> Self {
        if name.len() > WIDTH {
            // The one known name that is longer.
            let is_asserted = name.eq_ignore_ascii_case(b"P-Asserted-Identity");
            return if is_asserted { Self::PAssertedIdentity } else { Self::Other };
        }
        let mut padded = [0; WIDTH];
        padded[..name.len()].copy_from_slice(name);
        let (low, high) = halves(&padded);
        Self::of_words(lower(low), lower(high)).unwrap_or(Self::Other)
    }

    /// The field whose name, in lower case and filled up with NUL, is `low` then `high`, little-endian; `None` for a
    /// name that is not in the table.
    #[inline(always)]
    fn of_words(low: u64, high: u64) -> Option<Self> {
        let known = &TABLE[place(low, high)];
        (known.low == low && known.high == high).then_some(known.header)
    }

    /// The known field at the front of `line` and where its colon is; `None` says only that a closer look is needed.
    #[inline(always)]
    fn at(line: &[u8]) -> Option<(Self, usize)> {
        let (low, high) = halves(line.first_chunk()?);
        let (in_low, in_high) = (first(b':', low), first(b':', high));
        let (low, high, colon) = if in_low != 0 {
            (low & before(in_low), 0, in_low.trailing_zeros() / 8)
        } else if in_high != 0 {
            (low, high & before(in_high), 8 + in_high.trailing_zeros() / 8)
        } else {
            return None;
        };
        let colon = colon as usize;
        let header = Self::of_words(lower(low), lower(high))?;
        // A name that ends with NUL looks like one that was filled up, and so does none.
        (colon > 0 && line[colon - 1] != 0).then_some((header, colon))
    }
}

/// Names of up to so many bytes are compared as two numbers.
const WIDTH: usize = 16;

/// Every name of up to that length that is looked for, in lower case.
const NAMES: [(&[u8], Header); 52] = [
    (b"via", Header::Via),
    (b"v", Header::Via),
    (b"from", Header::From),
    (b"f", Header::From),
    (b"to", Header::To),
    (b"t", Header::To),
    (b"call-id", Header::CallId),
    (b"i", Header::CallId),
    (b"cseq", Header::CSeq),
    (b"contact", Header::Contact),
    (b"m", Header::Contact),
    (b"content-length", Header::ContentLength),
    (b"l", Header::ContentLength),
    (b"content-type", Header::ContentType),
    (b"c", Header::ContentType),
    (b"expires", Header::Expires),
    (b"min-expires", Header::MinExpires),
    (b"session-expires", Header::SessionExpires),
    (b"x", Header::SessionExpires),
    (b"min-se", Header::MinSe),
    (b"max-forwards", Header::MaxForwards),
    (b"rseq", Header::RSeq),
    (b"rack", Header::RAck),
    (b"retry-after", Header::RetryAfter),
    (b"reason", Header::Reason),
    (b"user-agent", Header::UserAgent),
    (b"server", Header::Server),
    (b"refer-to", Header::ReferTo),
    (b"r", Header::ReferTo),
    (b"referred-by", Header::ReferredBy),
    (b"b", Header::ReferredBy),
    (b"replaces", Header::Replaces),
    (b"event", Header::Event),
    (b"o", Header::Event),
    (b"subject", Header::Subject),
    (b"s", Header::Subject),
    (b"session-id", Header::SessionId),
    // Nothing is wanted of these, but they are common.
    (b"allow", Header::Other),
    (b"allow-events", Header::Other),
    (b"supported", Header::Other),
    (b"k", Header::Other),
    (b"require", Header::Other),
    (b"route", Header::Other),
    (b"record-route", Header::Other),
    (b"authorization", Header::Other),
    (b"accept", Header::Other),
    (b"date", Header::Other),
    (b"warning", Header::Other),
    (b"privacy", Header::Other),
    (b"diversion", Header::Other),
    (b"e", Header::Other),
    (b"u", Header::Other),
];

/// A name as two numbers, and its field.
#[derive(Clone, Copy)]
struct Known {
    low: u64,
    high: u64,
    header: Header,
}

/// The known names, each at its [`place`]: one look instead of a search that a processor cannot foresee.
static TABLE: [Known; PLACES] = {
    let mut table = [Known { low: 0, high: 0, header: Header::Other }; PLACES];
    let mut at = 0;
    while at < NAMES.len() {
        let (low, high) = pack(NAMES[at].0);
        let place = place(low, high);
        assert!(table[place].low == 0, "two names have the same place: look for another multiplier");
        table[place] = Known { low, high, header: NAMES[at].1 };
        at += 1;
    }
    table
};

/// Where a name would be.
#[inline]
const fn place(low: u64, high: u64) -> usize {
    ((low ^ high << 1).wrapping_mul(MULTIPLIER) >> (u64::BITS - PLACES.ilog2())) as usize
}

const PLACES: usize = 128;
/// Found by trial: it gives every known name a place of its own, which is checked when this is compiled.
const MULTIPLIER: u64 = 0xfdbc_e162_9232_b66f;

/// A name in lower case as [`scan::halves`] gives it, filled up with NUL.
const fn pack(name: &[u8]) -> (u64, u64) {
    let mut words = [0; 2];
    let mut at = name.len();
    while at > 0 {
        at -= 1;
        words[at / 8] = words[at / 8] << 8 | name[at] as u64;
    }
    (words[0], words[1])
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
    #[inline]
    pub fn new(bytes: &'a [u8], position: usize, cut: bool) -> Self {
        Self { bytes, position, cut }
    }

    /// Where the next line begins.
    #[inline]
    pub fn position(&self) -> usize {
        self.position
    }

    /// What has not been read yet: after [`Line::Blank`] the body.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.position..]
    }

    /// The next line. After [`Line::Blank`] or [`Line::End`] there is none.
    // Inlined by force, as what it calls: the call cost a tenth of a parse.
    #[inline(always)]
    pub fn next(&mut self) -> Line<'a> {
        let line = &self.bytes[self.position..];
        if let Some((header, colon)) = Header::at(line) {
            return self.field(line, header, colon);
        }
        match line {
            [] | [b'\r'] => Line::End,
            [b'\n', ..] => {
                self.position += 1;
                Line::Blank
            }
            [b'\r', b'\n', ..] => {
                self.position += 2;
                Line::Blank
            }
            _ => self.uncommon(line),
        }
    }

    /// A line that does not begin with a known name and a colon.
    #[inline(never)]
    fn uncommon(&mut self, line: &'a [u8]) -> Line<'a> {
        let name = value::token_len(line);
        let spaces = line[name..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let colon = name + spaces;
        if name > 0 && line.get(colon) == Some(&b':') {
            return self.field(line, Header::named(&line[..name]), colon);
        }
        match self.end(line, colon) {
            Some(end) => {
                self.position += end;
                Line::Malformed
            }
            None => Line::End,
        }
    }

    #[inline(always)]
    fn field(&mut self, line: &'a [u8], header: Header, colon: usize) -> Line<'a> {
        let Some(end) = self.end(line, colon) else { return Line::End };
        self.position += end;
        let value = &line[colon + 1..end];
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let value = value.strip_suffix(b"\r\n").unwrap_or(value);
        Line::Field { header, value: value::trim(value) }
    }

    /// Length of the field at the front of `line`, continuation lines included; `None` when it was cut.
    #[inline(always)]
    fn end(&self, line: &[u8], from: usize) -> Option<usize> {
        let mut end = from;
        loop {
            let Some(found) = scan::find(b'\n', &line[end..]) else {
                return if self.cut { None } else { Some(line.len()) };
            };
            end += found + 1;
            if !matches!(line.get(end), Some(b' ' | b'\t')) {
                return Some(end);
            }
        }
    }
}

/// Where the fields of one name are: from the beginning of the first to the end of the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    start: usize,
    /// Zero as long as there is no field.
    end: usize,
}

impl Extent {
    /// Whether no field was found.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.end == 0
    }

    /// Takes in the next field.
    #[inline]
    pub fn cover(&mut self, start: usize, end: usize) {
        if self.is_empty() {
            self.start = start;
        }
        self.end = end;
    }

    /// The values of the fields called `header` of the message in `bytes`.
    pub fn values(self, header: Header, bytes: &[u8]) -> Values<'_> {
        Values { lines: Lines::new(&bytes[..self.end], self.start, false), header }
    }
}

/// The values of every field of one name, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Values<'a> {
    lines: Lines<'a>,
    header: Header,
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
    fn a_name_is_not_known_by_its_beginning_or_with_other_bytes_in_it() {
        for line in ["Via\0: x", "v\0\0: x", "\0: x", ": x", "Call\rID: x", "Viavia: x", "Content-Length\0: x"] {
            let line = format!("{line}\r\nand more bytes than one step looks at\r\n");
            let next = Lines::new(line.as_bytes(), 0, false).next();
            assert!(!matches!(next, Line::Field { header, .. } if header != Header::Other), "{line:?}");
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
