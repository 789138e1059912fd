//! One message: its bytes in, a [`Message`] or the reason why it cannot be used out (RFC 3261 §7).
//!
//! One pass over the header block. Never looks into the body; the bytes must be framed already.

use crate::anomaly::AnomalyKind;
use crate::contact::Contacts;
use crate::content_length::ContentLength;
use crate::error::ParseError;
use crate::fields::Fields;
use crate::header::Header;
use crate::limits::{MAX_MESSAGE, MAX_STREAM_MESSAGE};
use crate::message::Message;
use crate::method::Method;
use crate::start::{self, Start, StartLine, skip_line_ends};

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

/// Reads one message; CR and LF before it are skipped.
pub fn parse(bytes: &[u8], framing: Framing) -> Result<Message<'_>, ParseError> {
    let mut message = Message::default();
    parse_into(bytes, framing, &mut message)?;
    Ok(message)
}

/// The same into the place of a message of which nothing is wanted any more: whoever reads many is spared moving each, which is
/// some 400 bytes. After an error what stands there means nothing.
pub fn parse_into<'a>(bytes: &'a [u8], framing: Framing, message: &mut Message<'a>) -> Result<(), ParseError> {
    if bytes.len() > framing.max_message() {
        return Err(ParseError::TooLarge);
    }
    let truncated = matches!(framing, Framing::Datagram { truncated: true });
    let bytes = skip_line_ends(bytes);
    let StartLine { start, strict, next, ends } = start::parse(bytes)?;
    message.begin(bytes, start);
    if !strict {
        message.anomalies.add(AnomalyKind::StartLineSpace);
    }
    if truncated {
        message.anomalies.add(AnomalyKind::Snaplen);
    }
    let mut fields = Fields::of(message);
    fields.read(next, ends, truncated)?;
    let values = fields.values();
    let from = values.party(Header::From).ok_or(ParseError::MissingHeader)?;
    let to = values.party(Header::To).ok_or(ParseError::MissingHeader)?;
    let call_id = values.call_id();
    if call_id.is_empty() || fields.message.via_count == 0 {
        return Err(ParseError::MissingHeader);
    }
    let cseq = values.cseq()?;
    if let Start::Request { method, name, .. } = start
        && (method != cseq.method || method == Method::Other && name != cseq.name)
    {
        return Err(ParseError::CseqMismatch);
    }
    if fields.via_is_damaged {
        return Err(ParseError::Via);
    }
    let body = frame_body(&start, framing, &mut fields)?;
    fields.note_numbers();
    if cseq.method == Method::Register || matches!(start, Start::Response { status: 300..=399, .. }) {
        note_contacts(fields.message);
    }
    (message.from, message.to, message.call_id, message.cseq) = (from, to, call_id, cseq);
    message.lazy.body = body;
    Ok(())
}

/// The body among the bytes after the header (RFC 3261 §18.3, §20.14).
#[inline(always)]
fn frame_body<'a>(start: &Start<'_>, framing: Framing, fields: &mut Fields<'_, 'a>) -> Result<&'a [u8], ParseError> {
    let is_request = matches!(start, Start::Request { .. });
    let stream = matches!(framing, Framing::Stream);
    let rest = fields.rest;
    let length = match fields.content_length() {
        ContentLength::Absent if stream => {
            fields.message.anomalies.add(AnomalyKind::NoContentLength);
            Some(0)
        }
        ContentLength::Several(_) if stream => None,
        ContentLength::Absent => return Ok(rest),
        ContentLength::Bytes(length) | ContentLength::Several(length) => Some(length as usize),
        ContentLength::Invalid => None,
    };
    match length {
        Some(length) if length < rest.len() => {
            fields.message.anomalies.add(AnomalyKind::TrailingBytes);
            return Ok(&rest[..length]);
        }
        Some(length) if length == rest.len() => return Ok(rest),
        _ => {}
    }
    // Larger than what came, or no number.
    match framing {
        Framing::Datagram { truncated: true } => Ok(rest),
        Framing::Datagram { .. } | Framing::WebSocket if is_request => {
            fields.message.anomalies.add(AnomalyKind::ContentLength);
            Ok(rest)
        }
        _ => Err(ParseError::ContentLength),
    }
}

/// Notices an `expires` out of range where it means something: in registrations and redirections (RFC 3261 §20.10).
#[inline(never)]
fn note_contacts(message: &mut Message<'_>) {
    let mut contacts = Contacts::new(message.lazy.values.all(Header::Contact, message.lazy.repeated.contacts));
    contacts.by_ref().for_each(drop);
    if contacts.clamped {
        message.anomalies.add(AnomalyKind::Number);
    }
}

#[cfg(test)]
mod tests;
