//! The header block in one pass: lines in, which fields there are and where out (RFC 3261 §7.3).
//!
//! A value is noted, not looked at: of most messages few are asked for. Only Vias are read, for they are counted.

use crate::anomaly::{Anomalies, AnomalyKind};
use crate::content_length::ContentLength;
use crate::cursor::Cursor;
use crate::error::ParseError;
use crate::header::{Extent, Header, Line, any_line, usual_field};
use crate::limits::{MAX_FIELDS, MAX_VIAS};
use crate::scan;
use crate::value::{self, Value};
use crate::via::{self, Via};

/// What a header block holds.
pub(crate) struct Fields<'a> {
    pub values: Values<'a>,
    pub vias: Extent,
    pub contacts: Extent,
    pub reasons: Extent,
    /// The topmost Via: `None` as long as every Via field was empty, `Some(None)` when it cannot be read.
    pub via: Option<Option<Via<'a>>>,
    pub via_count: u16,
    /// A Via cannot be read, or is empty.
    pub via_is_damaged: bool,
    /// Once there is a second one.
    content_length: Option<ContentLength>,
    /// What follows the header block.
    pub rest: &'a [u8],
    pub anomalies: Anomalies,
}

/// Fields whose elements are told apart: each is taken by itself.
const MANY: u32 = Header::Via.bit() | Header::Contact.bit() | Header::Reason.bit();

/// Fields whose values are numbers of up to 2^32-1, besides those that every other message has.
const NUMBERS: u32 = Header::Expires.bit()
    | Header::MinExpires.bit()
    | Header::SessionExpires.bit()
    | Header::MinSe.bit()
    | Header::RetryAfter.bit()
    | Header::RSeq.bit();

/// Largest Max-Forwards (RFC 3261 §20.22).
const MAX_FORWARDS: u32 = 255;

impl<'a> Fields<'a> {
    /// Of a message of which nothing is read yet, within the bounds of its framing.
    #[inline(always)]
    pub fn unread(bytes: &'a [u8], anomalies: Anomalies) -> Self {
        Self {
            values: Values { bytes, seen: MANY, places: [Place::default(); Header::COUNT] },
            vias: Extent::default(),
            contacts: Extent::default(),
            reasons: Extent::default(),
            via: None,
            via_count: 0,
            via_is_damaged: false,
            content_length: None,
            rest: b"",
            anomalies,
        }
    }

    /// Reads the header block, which begins at `start`; `cut`: by the capture. Errs with `TooLarge` alone.
    // Not inlined, so that its loop has the registers for itself.
    #[inline(never)]
    pub fn read(&mut self, start: usize, cut: bool) -> Result<(), ParseError> {
        let bytes = self.values.bytes;
        let (mut count, mut seen, mut rest) = (0, self.values.seen, &bytes[start..]);
        loop {
            let at = rest;
            let (header, value, behind) = match usual_field(rest) {
                Some(usual) => usual,
                None => match any_line(rest, cut) {
                    (Line::Field { header, value }, behind) => (header, value, behind),
                    (Line::Malformed, behind) => {
                        self.note(AnomalyKind::HeaderLine);
                        rest = behind;
                        continue;
                    }
                    (Line::Blank, behind) => {
                        self.rest = behind;
                        break;
                    }
                    (Line::End, _) => {
                        // Of a message that the capture cut the sender may well have sent the empty line.
                        if !cut {
                            self.note(AnomalyKind::NoBlankLine);
                        }
                        break;
                    }
                },
            };
            rest = behind;
            count += 1;
            if count > MAX_FIELDS {
                return Err(ParseError::TooLarge);
            }
            if seen & header.bit() == 0 {
                // Of those that are not known the last one is noted, and never asked for.
                seen |= header.bit() & !Header::Other.bit();
                let start = bytes.len() - value.ahead.len();
                self.values.places[header as usize] = Place { start: start as u32, len: value.len as u32 };
            } else if header == Header::Via {
                self.vias.cover(bytes.len() - at.len(), bytes.len() - rest.len());
                self.take_vias(value.ahead, value.len)?;
            } else {
                self.take_another(header, value.bytes(), bytes.len() - at.len(), bytes.len() - rest.len());
            }
        }
        self.values.seen = seen;
        Ok(())
    }

    // Not inlined, so that the loop keeps no anomalies at hand.
    #[cold]
    fn note(&mut self, kind: AnomalyKind) {
        self.anomalies.add(kind);
    }

    /// Takes a field of [`MANY`] but Via, or one that was there before; it stands in `start..end`.
    #[inline(never)]
    fn take_another(&mut self, header: Header, value: &[u8], start: usize, end: usize) {
        match header {
            Header::Contact => self.contacts.cover(start, end),
            Header::Reason => self.reasons.cover(start, end),
            // Further identities.
            Header::PAssertedIdentity => {}
            _ => {
                self.anomalies.add(AnomalyKind::DupHeader);
                if header == Header::ContentLength {
                    let first = ContentLength::of(self.values.value(Header::ContentLength).bytes());
                    self.content_length = Some(self.content_length.unwrap_or(first).and(value));
                }
            }
        }
    }

    /// Takes the elements of one Via field: the first `len` bytes of `ahead`.
    // Not inlined, so that it takes no registers from the loop that calls it; told in two, so that they come in registers.
    #[inline(never)]
    fn take_vias(&mut self, ahead: &'a [u8], len: usize) -> Result<(), ParseError> {
        let value = Value { ahead, len };
        // Wherever a quote stands it begins a quoted string, so without one and without a comma there is one element.
        let is_last = |from| from == len || scan::find_either(b',', b'"', ahead, from, len).is_none();
        match via::usual(value) {
            Some((via, end)) if self.via_count < MAX_VIAS && is_last(end) => {
                self.via_count += 1;
                self.via.get_or_insert(Some(via));
                Ok(())
            }
            _ => self.take_via_list(value),
        }
    }

    /// Takes the elements of one Via field, written in any way.
    #[inline(never)]
    fn take_via_list(&mut self, value: Value<'a>) -> Result<(), ParseError> {
        if value.is_empty() {
            self.via_is_damaged = true;
            return Ok(());
        }
        let mut list = Cursor::new(value);
        loop {
            if self.via_count == MAX_VIAS {
                return Err(ParseError::TooLarge);
            }
            self.via_count += 1;
            let via = via::parse(&mut list);
            self.via_is_damaged |= via.is_none();
            self.via.get_or_insert(via);
            // Behind damage there is no telling where the next element begins.
            if via.is_none() || !list.eat(b',') {
                return Ok(());
            }
        }
    }

    /// What Content-Length says.
    #[inline]
    pub fn content_length(&self) -> ContentLength {
        match self.content_length {
            Some(several) => several,
            None if self.values.has(Header::ContentLength) => {
                ContentLength::of(self.values.value(Header::ContentLength).bytes())
            }
            None => ContentLength::Absent,
        }
    }

    /// Notices numbers out of range.
    #[inline]
    pub fn note_numbers(&mut self) {
        // Two digits are never too large a number.
        if self.values.places[Header::MaxForwards as usize].len > 2 {
            self.note_number(Header::MaxForwards, MAX_FORWARDS);
        }
        if self.values.seen & NUMBERS != 0 {
            use Header::{Expires, MinExpires, MinSe, RSeq, RetryAfter, SessionExpires};
            for header in [Expires, MinExpires, SessionExpires, MinSe, RetryAfter, RSeq] {
                self.note_number(header, u32::MAX);
            }
        }
    }

    #[cold]
    fn note_number(&mut self, header: Header, max: u32) {
        let number = value::number(self.values.value(header).bytes(), max);
        if number.is_some_and(|number| number.clamped) {
            self.anomalies.add(AnomalyKind::Number);
        }
    }
}

/// Where the fields that may occur once have their values: looked at when they are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Values<'a> {
    /// The message.
    pub bytes: &'a [u8],
    /// Which fields there are, as [`Header::bit`] numbers them; [`MANY`] always.
    seen: u32,
    /// Where each field that is not of [`MANY`] has its value, that of the first one.
    places: [Place; Header::COUNT],
}

/// A value in a message. Half the size of a slice: there is one for each field, of every message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    start: u32,
    len: u32,
}

impl<'a> Values<'a> {
    /// Whether there is a field of this name, which is not of [`MANY`].
    #[inline]
    pub fn has(&self, header: Header) -> bool {
        self.seen & header.bit() != 0
    }

    /// The value of the first field of this name, which is not of [`MANY`]; empty without.
    #[inline]
    fn value(&self, header: Header) -> Value<'a> {
        let Place { start, len } = self.places[header as usize];
        Value { ahead: &self.bytes[start as usize..], len: len as usize }
    }

    /// The same; `None` when it is empty.
    #[inline]
    pub fn filled(&self, header: Header) -> Option<Value<'a>> {
        Some(self.value(header)).filter(|value| !value.is_empty())
    }

    /// The bytes of the same.
    #[inline]
    pub fn filled_bytes(&self, header: Header) -> Option<&'a [u8]> {
        self.filled(header).map(Value::bytes)
    }

    /// The number in the first field of this name, at most 2^32-1; `None` when absent or no number.
    pub fn number(&self, header: Header) -> Option<u32> {
        value::number(self.value(header).bytes(), u32::MAX).map(|number| number.value)
    }
}
