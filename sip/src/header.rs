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
        let ((low, high), (in_low, in_high)) = (front.lower().halves(), UP_TO[colon]);
        let (low, high) = (low & in_low, high & in_high);
        let known = &TABLE[place(low, high)];
        (known.low == low && known.high == high).then_some((known.header, colon))
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

/// At `n` a mask of the first `n + 1` bytes of the two numbers that [`Lanes::halves`] gives.
static UP_TO: [(u64, u64); WIDTH] = {
    let mut masks = [(0, 0); WIDTH];
    let mut at = 0;
    while at < WIDTH {
        let mask = u128::MAX >> (u128::BITS as usize - 8 * (at + 1));
        masks[at] = (mask as u64, (mask >> u64::BITS) as u64);
        at += 1;
    }
    masks
};

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

/// A name with its colon as two numbers, and its field.
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
const MULTIPLIER: u64 = 0x329e_44b5_adbb_176b;

/// A name in lower case with its colon, as [`Lanes::halves`] gives it, filled up with NUL.
const fn pack(name: &[u8]) -> (u64, u64) {
    let mut words = [0; 2];
    words[name.len() / 8] = b':' as u64;
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

    /// What has not been read yet: after [`Line::Blank`] the body.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next line. After [`Line::Blank`] or [`Line::End`] there is none.
    // Inlined by force, as what it calls: the call cost a tenth of a parse.
    #[inline(always)]
    pub fn next(&mut self) -> Line<'a> {
        let Some((header, value, rest)) = self.usual() else { return self.any() };
        self.rest = rest;
        Line::Field { header, value }
    }

    /// A known field as nearly all are written, `Name: value` and CRLF, and what follows it.
    #[inline(always)]
    fn usual(&self) -> Option<(Header, Value<'a>, &'a [u8])> {
        let (header, colon) = Header::at(self.rest)?;
        let behind = self.rest.get(colon + 1..)?;
        let (line, rest) = behind.split_at_checked(scan::line_len(behind))?;
        let [b' ', value @ .., b'\r', b'\n'] = line else { return None };
        let is_folded = matches!(rest, [b' ' | b'\t', ..]);
        let value_alone = value::is_trimmed(value) && !is_folded;
        value_alone.then(|| (header, Value { ahead: &behind[1..], len: value.len() }, rest))
    }

    /// A line in any form.
    #[inline(never)]
    fn any(&mut self) -> Line<'a> {
        let line = self.rest;
        let (taken, what) = match line {
            [] | [b'\r'] => (0, Line::End),
            [b'\n', ..] => (1, Line::Blank),
            [b'\r', b'\n', ..] => (2, Line::Blank),
            _ => self.end(line).map_or((0, Line::End), |end| (end, Self::field(line, end))),
        };
        self.rest = &line[taken..];
        what
    }

    /// What the first `end` bytes of `line` are, which are neither nothing nor an empty line.
    fn field(line: &'a [u8], end: usize) -> Line<'a> {
        let Some((header, colon)) = Header::at(line).or_else(|| Header::uncommon_at(line)) else {
            return Line::Malformed;
        };
        let end = if line[..end].ends_with(b"\r\n") { end - 2 } else { end };
        Line::Field { header, value: Value::trimmed(&line[colon + 1..], end - colon - 1) }
    }

    /// Length of the field at the front of `line`, continuation lines included; `None` when it was cut.
    fn end(&self, line: &[u8]) -> Option<usize> {
        let mut end = scan::line_len(line);
        while let Some(b' ' | b'\t') = line.get(end) {
            end += scan::line_len(&line[end..]);
        }
        (!self.cut || line[..end].ends_with(b"\n")).then_some(end)
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
