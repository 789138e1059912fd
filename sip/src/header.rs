//! The header block: lines in, known fields out (RFC 3261 §7.3, compact forms §7.3.3).
//!
//! Knows where a field begins and ends and which field it is, nothing of its value.

use crate::scan::{self, Lanes, WIDTH};
use crate::value::{self, Value};

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
    /// How many there are.
    pub const COUNT: usize = Self::Other as usize + 1;

    /// Its bit in a set of fields.
    #[inline]
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// The field of this name. Case-insensitive, compact forms included.
    pub fn named(name: &[u8]) -> Self {
        let mut padded = [0; WIDTH];
        let Some([place @ .., colon]) = padded.get_mut(..=name.len()) else {
            // The one known name that is longer.
            let is_asserted = name.eq_ignore_ascii_case(b"P-Asserted-Identity");
            return if is_asserted { Self::PAssertedIdentity } else { Self::Other };
        };
        place.copy_from_slice(name);
        *colon = b':';
        Self::at(&padded).map_or(Self::Other, |(header, _)| header)
    }

    /// The known field at the front of `line` and where its colon is; `None` says only that a closer look is needed.
    #[inline(always)]
    fn at(line: &[u8]) -> Option<(Self, usize)> {
        let front = Lanes::of(line.first_chunk()?);
        let colons = front.are(b':').bits();
        if colons == 0 {
            return None;
        }
        let colon = colons.trailing_zeros() as usize % WIDTH;
        let name = front.lower().and(Lanes::of(&TABLE.up_to[colon]));
        let place = place(name.low(), colon);
        name.equals(Lanes::of(&TABLE.names[place])).then_some((TABLE.headers[place], colon))
    }

    /// The field at the front of `line`, whatever its name and with white space before its colon, and where that is.
    #[inline(never)]
    fn uncommon_at(line: &[u8]) -> Option<(Self, usize)> {
        let name = value::token_len(line);
        let spaces = line[name..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let colon = name + spaces;
        (name > 0 && line.get(colon) == Some(&b':')).then(|| (Self::named(&line[..name]), colon))
    }
}

/// Every name that is looked for and fits with its colon into one step, in lower case.
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

/// The known names in lower case with their colons, filled up with NUL, and their fields, each at its [`place`]: one look
/// instead of a search that a processor cannot foresee.
struct Table {
    /// At `n` a mask of the first `n + 1` bytes.
    up_to: [[u8; WIDTH]; WIDTH],
    names: [[u8; WIDTH]; PLACES],
    headers: [Header; PLACES],
}

static TABLE: Table = {
    let (names, headers) = ([[0; WIDTH]; PLACES], [Header::Other; PLACES]);
    let mut table = Table { up_to: [[0; WIDTH]; WIDTH], names, headers };
    let mut at = 0;
    while at < WIDTH {
        table.up_to[at] = (u128::MAX >> (u128::BITS as usize - 8 * (at + 1))).to_le_bytes();
        at += 1;
    }
    at = 0;
    while at < NAMES.len() {
        let (name, header) = NAMES[at];
        let mut padded = [0; WIDTH];
        let mut copied = 0;
        while copied < name.len() {
            padded[copied] = name[copied];
            copied += 1;
        }
        padded[name.len()] = b':';
        let ([low, ..], _) = padded.as_chunks::<8>() else { unreachable!() };
        let place = place(u64::from_le_bytes(*low), name.len());
        assert!(table.names[place][0] == 0, "two names have the same place: look for another multiplier");
        table.names[place] = padded;
        table.headers[place] = header;
        at += 1;
    }
    table
};

/// Where a name would be that begins with `low` and has its colon at `colon`; no two known ones agree in both.
#[inline]
const fn place(low: u64, colon: usize) -> usize {
    ((low ^ colon as u64).wrapping_mul(MULTIPLIER) >> (u64::BITS - PLACES.ilog2())) as usize
}

const PLACES: usize = 128;
/// Found by trial: it gives every known name a place of its own, which is checked when this is compiled.
const MULTIPLIER: u64 = 0x537b_4ee8_80b3_a9c9;

/// What stands at one place of the header block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// A field with its value: trimmed, folds still in it.
    Field { header: Header, value: Value<'a> },
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
    /// The end of `bytes` that has not been read yet.
    rest: &'a [u8],
    /// The capture cut the bytes: a last line without an end may be half a line and is not read.
    cut: bool,
}

impl<'a> Lines<'a> {
    /// Lines from `position` on, which is the beginning of a line.
    #[inline]
    pub fn new(bytes: &'a [u8], position: usize, cut: bool) -> Self {
        Self { bytes, rest: &bytes[position..], cut }
    }

    /// Where the next line begins.
    #[inline]
    pub fn position(&self) -> usize {
        self.bytes.len() - self.rest.len()
    }

    /// The next line. After [`Line::Blank`] or [`Line::End`] there is none.
    #[inline]
    pub fn next(&mut self) -> Line<'a> {
        let (line, rest) = match usual_field(self.rest) {
            Some((header, value, rest)) => (Line::Field { header, value }, rest),
            None => any_line(self.rest, self.cut),
        };
        self.rest = rest;
        line
    }
}

/// A known field as nearly all are written, `Name: value` or `Name:value` and CRLF, at the front of `bytes`, and what follows it.
// Inlined by force, as what it calls: the call cost a tenth of a parse.
#[inline(always)]
pub(crate) fn usual_field(bytes: &[u8]) -> Option<(Header, Value<'_>, &[u8])> {
    let (header, colon) = Header::at(bytes)?;
    let behind = bytes.get(colon + 1..)?;
    let (line, rest) = behind.split_at_checked(scan::line_len(behind))?;
    let [value @ .., b'\r', b'\n'] = line else { return None };
    let spaces = usize::from(matches!(value, [b' ', ..]));
    let value = &value[spaces..];
    // The next line may go on with the value.
    if matches!(rest, [b' ', ..]) || matches!(rest, [b'\t', ..]) || !value::is_trimmed(value) {
        return None;
    }
    Some((header, Value { ahead: &behind[spaces..], len: value.len() }, rest))
}

/// The line at the front of `bytes` in any form, and what follows it. `cut`: a last line without an end may be half a
/// line and is not read.
#[inline(never)]
pub(crate) fn any_line(bytes: &[u8], cut: bool) -> (Line<'_>, &[u8]) {
    let returns = bytes.iter().take_while(|byte| **byte == b'\r').count();
    match &bytes[returns..] {
        [] => (Line::End, bytes),
        [b'\n', rest @ ..] => (Line::Blank, rest),
        _ => match field_len(bytes, cut) {
            Some(len) => (field(bytes, len), &bytes[len..]),
            None => (Line::End, bytes),
        },
    }
}

/// What the first `end` bytes of `line` are, which are neither nothing nor an empty line.
fn field(line: &[u8], end: usize) -> Line<'_> {
    let Some((header, colon)) = Header::at(line).or_else(|| Header::uncommon_at(line)) else {
        return Line::Malformed;
    };
    let end = value::without_line_end(&line[..end]).len();
    Line::Field { header, value: Value::trimmed(&line[colon + 1..], end - colon - 1) }
}

/// Length of the field at the front of `line`, continuation lines included; `None` when it was cut.
fn field_len(line: &[u8], cut: bool) -> Option<usize> {
    let mut end = scan::line_len(line);
    while let Some(b' ' | b'\t') = line.get(end) {
        end += scan::line_len(&line[end..]);
    }
    (!cut || line[..end].ends_with(b"\n")).then_some(end)
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
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
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
mod tests;
