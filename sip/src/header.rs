//! The header block: lines in, known fields out (RFC 3261 §7.3, compact forms §7.3.3).
//!
//! Knows where a field begins and ends and which field it is, nothing of its value.

use crate::scan::{self, Lanes, LineEnds, WIDTH};
use crate::value::{self, Value};

/// A field this crate knows; [`Self::Other`] is every other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Header {
    ContentType,
    Expires,
    SessionExpires,
    RSeq,
    RetryAfter,
    UserAgent,
    SessionId,
    PAssertedIdentity,
    Via,
    Contact,
    Reason,
    Replaces,
    From,
    To,
    CallId,
    CSeq,
    ContentLength,
    MinExpires,
    MinSe,
    MaxForwards,
    RAck,
    Server,
    ReferTo,
    ReferredBy,
    Event,
    Subject,
    Other,
}

impl Header {
    /// How many there are.
    pub const COUNT: usize = Self::Other as usize + 1;

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
        Self::at(Lanes::of(&padded)).map_or(Self::Other, |(header, _)| header)
    }

    /// The known field of a line that begins with `front` and where its colon is; `None` says only that a closer look is needed.
    #[inline(always)]
    fn at(front: Lanes) -> Option<(Self, usize)> {
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
pub(crate) enum Line {
    /// A field.
    Field(Field),
    /// A line that is no field, with what continues it; where the line after it begins.
    Malformed(usize),
    /// The empty line; where the body begins.
    Blank(usize),
    /// The bytes ended without an empty line.
    End,
}

/// A field and where it is in its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub header: Header,
    /// Its value is in `start..end`, behind the colon, with folds in it and perhaps white space around it.
    pub start: usize,
    pub end: usize,
    /// Where the line after it begins.
    pub next: usize,
}

impl Field {
    /// The name as sent.
    pub fn name(self, bytes: &[u8]) -> &[u8] {
        let line = &bytes[line_start(bytes, self.start)..];
        &line[..value::token_len(line)]
    }

    /// The value, trimmed.
    #[inline]
    pub fn value(self, bytes: &[u8]) -> Value<'_> {
        Value::trimmed(bytes, self.start, self.end)
    }
}

/// Walks over the header block, line by line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lines<'a> {
    bytes: &'a [u8],
    /// Where the next line begins.
    position: usize,
    /// Those behind `position`.
    ends: LineEnds,
    /// The capture cut the bytes: a last line without an end may be half a line and is not read.
    cut: bool,
}

impl<'a> Lines<'a> {
    /// Lines from `position` on, which is the beginning of a line.
    #[inline(always)]
    pub fn new(bytes: &'a [u8], position: usize, cut: bool) -> Self {
        Self { bytes, position, ends: LineEnds::new(position), cut }
    }

    /// The next line. After [`Line::Blank`] or [`Line::End`] there is none.
    // Inlined by force, as what it calls: the call cost a tenth of a parse.
    #[inline(always)]
    pub fn next(&mut self) -> Line {
        if let Some(field) = self.ends.next(self.bytes).and_then(|end| usual_field(self.bytes, self.position, end)) {
            self.position = field.next;
            return Line::Field(field);
        }
        let line = any_line(self.bytes, self.position, self.cut);
        if let Line::Field(Field { next, .. }) | Line::Malformed(next) = line {
            (self.position, self.ends) = (next, LineEnds::new(next));
        }
        line
    }

    /// The next field, behind lines that are none.
    #[inline]
    pub fn next_field(&mut self) -> Option<Field> {
        loop {
            match self.next() {
                Line::Field(field) => return Some(field),
                Line::Malformed(_) => {}
                Line::Blank(_) | Line::End => return None,
            }
        }
    }
}

/// The known field at `at` whose line ends at `end`, if it has no other line, as nearly all.
#[inline(always)]
pub(crate) fn usual_field(bytes: &[u8], at: usize, end: usize) -> Option<Field> {
    let (header, colon) = Header::at(Lanes::of(bytes.get(at..at + WIDTH)?.first_chunk()?))?;
    let next = end + 1;
    (!goes_on(bytes, next)).then_some(Field { header, start: at + colon + 1, end, next })
}

/// Where the line begins that `at` is in.
fn line_start(bytes: &[u8], at: usize) -> usize {
    memchr::memrchr(b'\n', &bytes[..at]).map_or(0, |end| end + 1)
}

/// Whether the line at `at` continues the one before it.
#[inline(always)]
fn goes_on(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(|first| *first <= b' ' && matches!(first, b' ' | b'\t'))
}

/// The line at `at` in any form. `cut`: a last line without an end may be half a line and is not read.
#[inline(never)]
pub(crate) fn any_line(bytes: &[u8], at: usize, cut: bool) -> Line {
    let line = &bytes[at..];
    let returns = line.iter().take_while(|byte| **byte == b'\r').count();
    match line.get(returns) {
        None => return Line::End,
        Some(b'\n') => return Line::Blank(at + returns + 1),
        Some(_) => {}
    }
    let mut end = scan::line_end(bytes, at);
    while goes_on(bytes, end + 1) {
        end = scan::line_end(bytes, end + 1);
    }
    if cut && end == bytes.len() {
        return Line::End;
    }
    let next = bytes.len().min(end + 1);
    let usual = line.first_chunk().and_then(|front| Header::at(Lanes::of(front)));
    match usual.or_else(|| Header::uncommon_at(line)) {
        Some((header, colon)) => Line::Field(Field { header, start: at + colon + 1, end, next }),
        None => Line::Malformed(next),
    }
}

/// The values of every field of one name, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Values<'a> {
    header: Header,
    /// The only one.
    one: Option<Value<'a>>,
    /// Of several: from the first of them to the last.
    lines: Lines<'a>,
}

impl<'a> Values<'a> {
    /// The only one, if there is any.
    pub fn one(header: Header, value: Option<Value<'a>>) -> Self {
        Self { header, one: value, lines: Lines::new(b"", 0, false) }
    }

    /// All in `bytes` from `position` on, which is within a line.
    pub fn several(header: Header, bytes: &'a [u8], position: usize) -> Self {
        Self { header, one: None, lines: Lines::new(bytes, line_start(bytes, position), false) }
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let one = self.one.take();
        if one.is_some() {
            return one;
        }
        loop {
            let field = self.lines.next_field()?;
            if field.header == self.header {
                return Some(field.value(self.lines.bytes));
            }
        }
    }
}

#[cfg(test)]
mod tests;
