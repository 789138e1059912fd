//! The header block in one pass: lines in, which fields there are and where out (RFC 3261 §7.3).
//!
//! A value is noted, not looked at: of most messages few are asked for. Only Vias are read, for they are counted.

use crate::anomaly::AnomalyKind;
use crate::content_length::ContentLength;
use crate::cseq::{self, CSeq};
use crate::cursor::Cursor;
use crate::error::ParseError;
use crate::header::{self, Field, Header, Line, any_line, usual_field};
use crate::limits::{MAX_FIELDS, MAX_VIAS};
use crate::message::Message;
use crate::party::{self, Party};
use crate::scan::{self, LineEnds};
use crate::value::{self, Value};
use crate::via;

/// What a header block holds beyond what its message keeps.
pub(crate) struct Fields<'m, 'a> {
    /// Where values stand is noted there, and the Vias, which are zero as long as every Via field was empty.
    pub message: &'m mut Message<'a>,
    /// A Via cannot be read, or is empty.
    pub via_is_damaged: bool,
    /// Once there is a second one.
    content_length: Option<ContentLength>,
    /// What follows the header block.
    pub rest: &'a [u8],
}

/// Largest Max-Forwards (RFC 3261 §20.22).
const MAX_FORWARDS: u32 = 255;

impl<'m, 'a> Fields<'m, 'a> {
    /// Of a message of whose fields none is read yet, within the bounds of its framing.
    #[inline(always)]
    pub fn of(message: &'m mut Message<'a>) -> Self {
        Self { message, via_is_damaged: false, content_length: None, rest: b"" }
    }

    /// Where the values stand.
    #[inline(always)]
    pub fn values(&self) -> &Values<'a> {
        &self.message.lazy.values
    }

    /// Reads the header block, which begins at `at` and where lines end at `ends`; `cut`: by the capture. Errs with `TooLarge`
    /// alone.
    // Not inlined, so that its loop has the registers for itself.
    #[inline(never)]
    pub fn read(&mut self, mut at: usize, mut ends: LineEnds, cut: bool) -> Result<(), ParseError> {
        let bytes = self.values().bytes;
        let mut count = 0;
        loop {
            let field = match ends.next(bytes).and_then(|end| usual_field(bytes, at, end)) {
                Some(field) => field,
                None => {
                    if let [b'\r', b'\n', body @ ..] = &bytes[at..] {
                        self.rest = body;
                        break;
                    }
                    let Some(field) = self.any_field(at, cut) else { break };
                    ends = LineEnds::new(field.next);
                    field
                }
            };
            at = field.next;
            count += 1;
            let place = Place { start: field.start as u32, end: field.end as u32 };
            let places = &mut self.message.lazy.values.places;
            let first = &mut places[field.header as usize];
            if first.is_none() {
                *first = place;
                // Of those that are not known there may be any number.
                places[Header::Other as usize] = Place::NONE;
            } else {
                self.take_another(field.header, place, at as u32)?;
            }
        }
        if count > MAX_FIELDS {
            return Err(ParseError::TooLarge);
        }
        self.take_vias(self.values().place(Header::Via))
    }

    /// The field at `at` in any form, or the next one behind lines that are none; `None` at the end of the header block.
    #[inline(never)]
    fn any_field(&mut self, mut at: usize, cut: bool) -> Option<Field> {
        loop {
            match any_line(self.values().bytes, at, cut) {
                Line::Field(field) => return Some(field),
                Line::Malformed(next) => {
                    self.message.anomalies.add(AnomalyKind::HeaderLine);
                    at = next;
                }
                Line::Blank(body) => {
                    self.rest = &self.values().bytes[body..];
                    return None;
                }
                Line::End => {
                    // Of a message that the capture cut the sender may well have sent the empty line.
                    if !cut {
                        self.message.anomalies.add(AnomalyKind::NoBlankLine);
                    }
                    return None;
                }
            }
        }
    }

    /// Takes another field of its name; its line ends at `end`.
    #[inline(never)]
    fn take_another(&mut self, header: Header, place: Place, end: u32) -> Result<(), ParseError> {
        match header {
            Header::Via => {
                self.message.lazy.repeated.vias = end;
                return self.take_vias(place);
            }
            Header::Contact => self.message.lazy.repeated.contacts = end,
            Header::Reason => self.message.lazy.repeated.reasons = end,
            // Further identities.
            Header::PAssertedIdentity => {}
            _ => {
                self.message.anomalies.add(AnomalyKind::DupHeader);
                if header == Header::ContentLength {
                    let first = ContentLength::of(self.values().value(Header::ContentLength).bytes());
                    let another = place.value(self.values().bytes).bytes();
                    self.content_length = Some(self.content_length.unwrap_or(first).and(another));
                }
            }
        }
        Ok(())
    }

    /// Takes the elements of one Via field. That of the topmost comes last.
    #[inline]
    fn take_vias(&mut self, place: Place) -> Result<(), ParseError> {
        let value = place.nearly(self.values().bytes);
        // Wherever a quote stands it begins a quoted string, so without one and without a comma there is one element.
        let is_last = |from| from == value.end || scan::find_either(b',', b'"', value.bytes, from, value.end).is_none();
        match via::usual(value) {
            Some((via, end)) if self.message.via_count < MAX_VIAS && is_last(end) => {
                self.message.via = via;
                self.message.via_count += 1;
                Ok(())
            }
            _ => self.take_via_list(place.value(self.values().bytes)),
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
        for element in 0.. {
            if self.message.via_count == MAX_VIAS {
                return Err(ParseError::TooLarge);
            }
            self.message.via_count += 1;
            // Behind damage there is no telling where the next element begins.
            let Some(via) = via::parse(&mut list) else {
                self.via_is_damaged = true;
                break;
            };
            if element == 0 {
                self.message.via = via;
            }
            if !list.eat(b',') {
                break;
            }
        }
        Ok(())
    }

    /// What Content-Length says.
    #[inline(always)]
    pub fn content_length(&self) -> ContentLength {
        if let Some(several) = self.content_length {
            return several;
        }
        let place = self.values().place(Header::ContentLength);
        match ContentLength::of(place.nearly(self.values().bytes).bytes()) {
            ContentLength::Invalid if place.is_none() => ContentLength::Absent,
            ContentLength::Invalid => ContentLength::of(place.value(self.values().bytes).bytes()),
            length => length,
        }
    }

    /// Notices numbers out of range.
    #[inline]
    pub fn note_numbers(&mut self) {
        // Two digits are never too large a number.
        if self.values().place(Header::MaxForwards).nearly(self.values().bytes).bytes().len() > 2 {
            self.note_number(Header::MaxForwards, MAX_FORWARDS);
        }
        use Header::{Expires, MinExpires, MinSe, RSeq, RetryAfter, SessionExpires};
        let numbers = [Expires, MinExpires, SessionExpires, MinSe, RetryAfter, RSeq];
        if numbers.into_iter().fold(0, |starts, header| starts | self.values().places[header as usize].start) != 0 {
            numbers.into_iter().for_each(|header| self.note_number(header, u32::MAX));
        }
    }

    #[cold]
    fn note_number(&mut self, header: Header, max: u32) {
        let number = value::number(self.values().value(header).bytes(), max);
        if number.is_some_and(|number| number.clamped) {
            self.message.anomalies.add(AnomalyKind::Number);
        }
    }
}

/// Where the fields that were seen first have their values: looked at when they are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Values<'a> {
    /// The message.
    pub bytes: &'a [u8],
    /// Where each field of [`Header`] has its value, that of the first one.
    places: [Place; Header::COUNT],
}

/// Where the last fields end of the names that may occur several times; zero where there is one at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Repeated {
    pub vias: u32,
    pub contacts: u32,
    pub reasons: u32,
}

impl Repeated {
    /// None is.
    pub const NONE: Self = Self { vias: 0, contacts: 0, reasons: 0 };
}

/// A value in a message, perhaps with white space around it. Half the size of a slice: there is one for each field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    start: u32,
    end: u32,
}

impl Place {
    /// No field begins with its value.
    const NONE: Self = Self { start: 0, end: 0 };

    #[inline(always)]
    const fn is_none(self) -> bool {
        self.start == 0
    }

    #[inline(always)]
    fn nearly(self, bytes: &[u8]) -> Value<'_> {
        Value::nearly_trimmed(bytes, self.start as usize, self.end as usize)
    }

    #[inline(always)]
    fn value(self, bytes: &[u8]) -> Value<'_> {
        Value::trimmed(bytes, self.start as usize, self.end as usize)
    }
}

impl<'a> Values<'a> {
    /// Of a message of which none is known yet.
    pub const fn none(bytes: &'a [u8]) -> Self {
        Self { bytes, places: [Place::NONE; Header::COUNT] }
    }

    /// Whether there is a field of this name.
    #[inline]
    pub fn has(&self, header: Header) -> bool {
        !self.places[header as usize].is_none()
    }

    #[inline]
    fn place(&self, header: Header) -> Place {
        self.places[header as usize]
    }

    /// The value of the first field of this name; empty without.
    #[inline]
    fn value(&self, header: Header) -> Value<'a> {
        self.place(header).value(self.bytes)
    }

    /// What From or To holds; `None` when it is empty.
    #[inline(always)]
    pub fn party(&self, header: Header) -> Option<Party<'a>> {
        match party::usual(self.place(header).nearly(self.bytes)) {
            Some(party) => Some(party),
            None => self.filled(header).map(party::any),
        }
    }

    /// What Call-ID holds; empty without.
    #[inline(always)]
    pub fn call_id(&self) -> &'a [u8] {
        self.place(Header::CallId).value(self.bytes).bytes()
    }

    /// What CSeq holds.
    #[inline(always)]
    pub fn cseq(&self) -> Result<CSeq<'a>, ParseError> {
        if let Some(cseq) = cseq::parse(self.place(Header::CSeq).nearly(self.bytes).bytes()) {
            return Ok(cseq);
        }
        let value = self.filled_bytes(Header::CSeq).ok_or(ParseError::MissingHeader)?;
        cseq::parse(value).ok_or(ParseError::Cseq)
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

    /// The values of all fields of this name. If there are several, the last one ends at `end`.
    pub fn all(&self, header: Header, end: u32) -> header::Values<'a> {
        if end == 0 {
            return header::Values::one(header, self.has(header).then(|| self.value(header)));
        }
        header::Values::several(header, &self.bytes[..end as usize], self.places[header as usize].start as usize)
    }

    /// The number in the first field of this name, at most 2^32-1; `None` when absent or no number.
    pub fn number(&self, header: Header) -> Option<u32> {
        value::number(self.value(header).bytes(), u32::MAX).map(|number| number.value)
    }
}
