//! One message: its bytes in, a [`Message`] or the reason why it cannot be used out (RFC 3261 §7).
//!
//! One pass over the header block. Never looks into the body; the bytes must be framed already.

use crate::anomaly::{Anomalies, AnomalyKind};
use crate::cseq;
use crate::cursor::Cursor;
use crate::header::{Header, Line, Lines};
use crate::message::{Lazy, Message};
use crate::method::Method;
use crate::party;
use crate::start::{self, Start};
use crate::value::{self, Value};
use crate::via::{self, Via};

/// Longest message in a datagram or in a WebSocket, bytes.
pub const MAX_MESSAGE: usize = 65_535;
/// Longest message on a stream, bytes.
pub const MAX_STREAM_MESSAGE: usize = 262_144;
/// Most header fields of a message.
pub const MAX_FIELDS: usize = 256;
/// Most Vias of a message.
pub const MAX_VIAS: u16 = 70;

/// Largest Max-Forwards (RFC 3261 §20.22).
const MAX_FORWARDS: u32 = 255;

/// How the bytes of one message were found, which decides what Content-Length means (RFC 3261 §18.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The payload of one datagram.
    Datagram {
        /// The capture cut it: bytes are missing that were on the wire.
        truncated: bool,
    },
    /// Cut out of a byte stream by Content-Length: exactly one message.
    Stream,
    /// One WebSocket message (RFC 7118 §5); it counts as a datagram that is never cut.
    WebSocket,
}

impl Framing {
    const fn max_message(self) -> usize {
        match self {
            Self::Datagram { .. } | Self::WebSocket => MAX_MESSAGE,
            Self::Stream => MAX_STREAM_MESSAGE,
        }
    }
}

/// Why bytes are not a message that can be used: `parse_errors_total{reason}`. Of several reasons the one that
/// stands first here is given, except that [`Self::TooLarge`] comes before all once a bound is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ParseError {
    /// The first line is neither a request line nor a status line.
    #[error("the first line is no start line")]
    StartLine,
    /// A SIP version other than 2.0.
    #[error("the SIP version is not 2.0")]
    Version,
    /// A status that is not three digits from 100 to 699.
    #[error("the status is not from 100 to 699")]
    Status,
    /// Via, From, To, Call-ID or CSeq is missing or empty.
    #[error("Via, From, To, Call-ID or CSeq is missing")]
    MissingHeader,
    /// CSeq is no number and method, or its number is above 2^32-1.
    #[error("CSeq cannot be read")]
    Cseq,
    /// CSeq names another method than the request line.
    #[error("CSeq and request line name different methods")]
    CseqMismatch,
    /// An element of the Via list cannot be read.
    #[error("a Via cannot be read")]
    Via,
    /// Content-Length contradicts what came, where that forbids use of the message.
    #[error("Content-Length contradicts the message")]
    ContentLength,
    /// More bytes, header fields or Vias than the bounds allow.
    #[error("the message exceeds a bound")]
    TooLarge,
}

impl ParseError {
    /// All reasons, in the order of [`Self::index`].
    pub const ALL: [Self; 9] = [
        Self::StartLine,
        Self::Version,
        Self::Status,
        Self::MissingHeader,
        Self::Cseq,
        Self::CseqMismatch,
        Self::Via,
        Self::ContentLength,
        Self::TooLarge,
    ];

    /// Position in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Value of the `reason` label.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::StartLine => "start_line",
            Self::Version => "version",
            Self::Status => "status",
            Self::MissingHeader => "missing_header",
            Self::Cseq => "cseq",
            Self::CseqMismatch => "cseq_mismatch",
            Self::Via => "via",
            Self::ContentLength => "content_length",
            Self::TooLarge => "too_large",
        }
    }
}

/// Without CR and LF at the front, which may stand before a message (RFC 3261 §7.5).
#[inline]
pub(crate) fn skip_line_ends(mut bytes: &[u8]) -> &[u8] {
    while let [b'\r' | b'\n', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// Reads one message; CR and LF before it are skipped.
pub fn parse(bytes: &[u8], framing: Framing) -> Result<Message<'_>, ParseError> {
    if bytes.len() > framing.max_message() {
        return Err(ParseError::TooLarge);
    }
    let truncated = framing == Framing::Datagram { truncated: true };
    let bytes = skip_line_ends(bytes);
    let first = start::parse(bytes)?;
    let mut anomalies = Anomalies::NONE;
    if !first.strict {
        anomalies.add(AnomalyKind::StartLineSpace);
    }
    if truncated {
        anomalies.add(AnomalyKind::Snaplen);
    }

    let lines = Lines::new(bytes, first.next, truncated);
    // The message is put together at its place when all is known: it is too large to be moved for nothing.
    let mut lazy = Lazy::unread(bytes);
    let mut required = Required::default();
    let body = read_header(lines, &mut lazy, &mut required, &mut anomalies)?;

    let (Some(from), Some(to), Some(call_id), Some(cseq), Some(via)) =
        (required.from, required.to, required.call_id, required.cseq, required.vias.first)
    else {
        return Err(ParseError::MissingHeader);
    };
    let cseq = cseq::parse(cseq).ok_or(ParseError::Cseq)?;
    if let Start::Request { method, name, .. } = first.start
        && (method != cseq.method || method == Method::Other && name != cseq.name)
    {
        return Err(ParseError::CseqMismatch);
    }
    let via = via.ok_or(ParseError::Via)?;
    if required.vias.is_damaged {
        return Err(ParseError::Via);
    }
    lazy.body = frame_body(body, required.content_length, framing, &first.start, &mut anomalies)?;
    note_contacts(&first.start, cseq.method, &lazy, &mut anomalies);
    Ok(Message {
        start: first.start,
        via,
        via_count: required.vias.count,
        from: party::parse(from),
        to: party::parse(to),
        call_id,
        cseq,
        anomalies,
        lazy,
    })
}

/// Fields that decide whether the message can be used, before that is known.
#[derive(Default)]
struct Required<'a> {
    from: Option<Value<'a>>,
    to: Option<Value<'a>>,
    call_id: Option<&'a [u8]>,
    cseq: Option<&'a [u8]>,
    vias: ViaList<'a>,
    content_length: ContentLength,
}

/// Reads the header block; returns what follows it.
// Not inlined, so that what it fills is written once at its place, and its loop has the registers for itself.
#[inline(never)]
fn read_header<'a>(
    mut lines: Lines<'a>,
    lazy: &mut Lazy<'a>,
    required: &mut Required<'a>,
    anomalies: &mut Anomalies,
) -> Result<&'a [u8], ParseError> {
    let mut fields = 0;
    let mut seen = 0;
    loop {
        let at = lines.position();
        let (header, value) = match lines.next() {
            Line::Field { header, value } => (header, value),
            Line::Malformed => {
                anomalies.add(AnomalyKind::HeaderLine);
                continue;
            }
            Line::Blank => return Ok(lines.rest()),
            Line::End => {
                // Of a message that the capture cut the sender may well have sent the empty line.
                if !anomalies.contains(AnomalyKind::Snaplen) {
                    anomalies.add(AnomalyKind::NoBlankLine);
                }
                return Ok(b"");
            }
        };
        fields += 1;
        if fields > MAX_FIELDS {
            return Err(ParseError::TooLarge);
        }
        let is_first = seen & header.bit() == 0;
        seen |= header.bit();
        if !is_first && Header::SINGLE & header.bit() != 0 {
            anomalies.add(AnomalyKind::DupHeader);
            if header == Header::ContentLength {
                required.content_length = required.content_length.and(value.bytes());
            }
            continue;
        }
        let filled = || (!value.is_empty()).then_some(value.bytes());
        let mut number = |max| number(value.bytes(), max, anomalies);
        match header {
            Header::Via => {
                lazy.vias.cover(at, lines.position());
                required.vias.take(value)?;
            }
            Header::From => required.from = Some(value).filter(|value| !value.is_empty()),
            Header::To => required.to = Some(value).filter(|value| !value.is_empty()),
            Header::CallId => required.call_id = filled(),
            Header::CSeq => required.cseq = filled(),
            Header::Contact => lazy.contacts.cover(at, lines.position()),
            Header::Reason => lazy.reasons.cover(at, lines.position()),
            Header::PAssertedIdentity if is_first => lazy.asserted = filled(),
            Header::ContentLength => required.content_length = ContentLength::of(value.bytes()),
            Header::ContentType => lazy.content_type = filled(),
            Header::UserAgent => lazy.user_agent = filled(),
            Header::SessionId => lazy.session_id = filled(),
            Header::Replaces => lazy.has_replaces = true,
            Header::Expires => lazy.expires = number(u32::MAX),
            Header::SessionExpires => lazy.session_expires = number(u32::MAX),
            Header::RetryAfter => lazy.retry_after = number(u32::MAX),
            Header::RSeq => lazy.rseq = number(u32::MAX),
            Header::MinExpires | Header::MinSe => _ = number(u32::MAX),
            Header::MaxForwards => _ = number(MAX_FORWARDS),
            // Further identities, fields whose repetition alone is noticed, and all others.
            _ => {}
        }
    }
}

fn number(value: &[u8], max: u32, anomalies: &mut Anomalies) -> Option<u32> {
    let number = value::number(value, max)?;
    if number.clamped {
        anomalies.add(AnomalyKind::Number);
    }
    Some(number.value)
}

/// The Via fields so far.
#[derive(Default)]
struct ViaList<'a> {
    /// The topmost one: `None` as long as every Via field was empty, `Some(None)` when it cannot be read.
    first: Option<Option<Via<'a>>>,
    count: u16,
    /// An element cannot be read, or is empty.
    is_damaged: bool,
}

impl<'a> ViaList<'a> {
    /// Takes the elements of one field.
    #[inline]
    fn take(&mut self, value: Value<'a>) -> Result<(), ParseError> {
        if value.is_empty() {
            self.is_damaged = true;
            return Ok(());
        }
        let mut list = Cursor::new(value);
        loop {
            if self.count == MAX_VIAS {
                return Err(ParseError::TooLarge);
            }
            self.count += 1;
            let via = via::parse(&mut list);
            self.is_damaged |= via.is_none();
            self.first.get_or_insert(via);
            // Behind damage there is no telling where the next element begins.
            if via.is_none() || !list.eat(b',') {
                return Ok(());
            }
        }
    }
}

/// What Content-Length says.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ContentLength {
    #[default]
    Absent,
    /// Clamped to 2^32-1, which is more than any message has.
    Bytes(u32),
    /// No number.
    Invalid,
    /// Several fields with different values; the first one, which counts in a datagram.
    Several(u32),
}

impl ContentLength {
    pub fn of(value: &[u8]) -> Self {
        match value::number_and_rest(value, u32::MAX) {
            Some((number, [])) => Self::Bytes(number.value),
            _ => Self::Invalid,
        }
    }

    /// After another field with this value.
    pub fn and(self, value: &[u8]) -> Self {
        match self {
            Self::Bytes(first) if Self::of(value) != self => Self::Several(first),
            _ => self,
        }
    }
}

/// The body among the bytes after the header (RFC 3261 §18.3, §20.14).
fn frame_body<'a>(
    rest: &'a [u8],
    length: ContentLength,
    framing: Framing,
    start: &Start<'_>,
    anomalies: &mut Anomalies,
) -> Result<&'a [u8], ParseError> {
    let is_request = matches!(start, Start::Request { .. });
    let stream = framing == Framing::Stream;
    let length = match length {
        ContentLength::Absent if stream => {
            anomalies.add(AnomalyKind::NoContentLength);
            Some(0)
        }
        ContentLength::Several(_) if stream => None,
        ContentLength::Absent => return Ok(rest),
        ContentLength::Bytes(length) | ContentLength::Several(length) => Some(length as usize),
        ContentLength::Invalid => None,
    };
    match length {
        Some(length) if length < rest.len() => {
            anomalies.add(AnomalyKind::TrailingBytes);
            return Ok(&rest[..length]);
        }
        Some(length) if length == rest.len() => return Ok(rest),
        _ => {}
    }
    // Larger than what came, or no number.
    match framing {
        Framing::Datagram { truncated: true } => Ok(rest),
        Framing::Datagram { .. } | Framing::WebSocket if is_request => {
            anomalies.add(AnomalyKind::ContentLength);
            Ok(rest)
        }
        _ => Err(ParseError::ContentLength),
    }
}

/// Notices an `expires` out of range where it means something: registrations and redirections (RFC 3261 §20.10).
#[inline]
fn note_contacts(start: &Start<'_>, method: Method, lazy: &Lazy<'_>, anomalies: &mut Anomalies) {
    let is_redirection = matches!(start, Start::Response { status: 300..=399, .. });
    if !lazy.contacts.is_empty() && (method == Method::Register || is_redirection) {
        let mut contacts = lazy.contacts();
        contacts.by_ref().for_each(drop);
        if contacts.clamped {
            anomalies.add(AnomalyKind::Number);
        }
    }
}

#[cfg(test)]
mod tests;
