//! One message: its bytes in, a [`Message`] or the reason why it cannot be used out (RFC 3261 §7).
//!
//! One pass over the header block. Never looks into the body; the bytes must be framed already.

use crate::anomaly::{Anomalies, AnomalyKind};
use crate::contact::Contacts;
use crate::content_length::ContentLength;
use crate::error::ParseError;
use crate::fields::Fields;
use crate::header::Header;
use crate::limits::{MAX_MESSAGE, MAX_STREAM_MESSAGE};
use crate::message::{Lazy, Message};
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
// Inlined by force, so that a message is written where its reader wants it: it is some 300 bytes.
#[inline(always)]
pub fn parse(bytes: &[u8], framing: Framing) -> Result<Message<'_>, ParseError> {
    if bytes.len() > framing.max_message() {
        return Err(ParseError::TooLarge);
    }
    let truncated = matches!(framing, Framing::Datagram { truncated: true });
    let bytes = skip_line_ends(bytes);
    let StartLine { start, strict, next, ends } = start::parse(bytes)?;
    let mut anomalies = Anomalies::NONE;
    if !strict {
        anomalies.add(AnomalyKind::StartLineSpace);
    }
    if truncated {
        anomalies.add(AnomalyKind::Snaplen);
    }
    let mut fields = Fields::unread(bytes, anomalies);
    fields.read(next, ends, truncated)?;
    let from = fields.values.party(Header::From).ok_or(ParseError::MissingHeader)?;
    let to = fields.values.party(Header::To).ok_or(ParseError::MissingHeader)?;
    let call_id = fields.values.call_id();
    if call_id.is_empty() || fields.via_count == 0 {
        return Err(ParseError::MissingHeader);
    }
    let cseq = fields.values.cseq()?;
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
        note_contacts(&mut fields);
    }
    Ok(Message {
        start,
        via: fields.via,
        via_count: fields.via_count,
        from,
        to,
        call_id,
        cseq,
        anomalies: fields.anomalies,
        lazy: Lazy { body, repeated: fields.repeated, values: fields.values.first() },
    })
}

/// The body among the bytes after the header (RFC 3261 §18.3, §20.14).
#[inline(always)]
fn frame_body<'a>(start: &Start<'_>, framing: Framing, fields: &mut Fields<'a>) -> Result<&'a [u8], ParseError> {
    let is_request = matches!(start, Start::Request { .. });
    let stream = matches!(framing, Framing::Stream);
    let rest = fields.rest;
    let length = match fields.content_length() {
        ContentLength::Absent if stream => {
            fields.anomalies.add(AnomalyKind::NoContentLength);
            Some(0)
        }
        ContentLength::Several(_) if stream => None,
        ContentLength::Absent => return Ok(rest),
        ContentLength::Bytes(length) | ContentLength::Several(length) => Some(length as usize),
        ContentLength::Invalid => None,
    };
    match length {
        Some(length) if length < rest.len() => {
            fields.anomalies.add(AnomalyKind::TrailingBytes);
            return Ok(&rest[..length]);
        }
        Some(length) if length == rest.len() => return Ok(rest),
        _ => {}
    }
    // Larger than what came, or no number.
    match framing {
        Framing::Datagram { truncated: true } => Ok(rest),
        Framing::Datagram { .. } | Framing::WebSocket if is_request => {
            fields.anomalies.add(AnomalyKind::ContentLength);
            Ok(rest)
        }
        _ => Err(ParseError::ContentLength),
    }
}

/// Notices an `expires` out of range where it means something: in registrations and redirections (RFC 3261 §20.10).
#[inline(never)]
fn note_contacts(fields: &mut Fields<'_>) {
    let mut contacts = Contacts::new(fields.values.all(Header::Contact, fields.repeated.contacts));
    contacts.by_ref().for_each(drop);
    if contacts.clamped {
        fields.anomalies.add(AnomalyKind::Number);
    }
}

#[cfg(test)]
mod tests;
