//! One message: its bytes in, a [`Message`] or the reason why it cannot be used out (RFC 3261 §7).
//!
//! One pass over the header block. Never looks into the body; the bytes must be framed already.

use crate::anomaly::{Anomalies, AnomalyKind};
use crate::contact::Contacts;
use crate::content_length::ContentLength;
use crate::cseq;
use crate::error::ParseError;
use crate::fields::Fields;
use crate::header::Header;
use crate::limits::{MAX_MESSAGE, MAX_STREAM_MESSAGE};
use crate::message::{Lazy, Message};
use crate::method::Method;
use crate::party;
use crate::start::{self, Start, skip_line_ends};

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

    let mut fields = Fields::unread(bytes, anomalies);
    fields.read(first.next, truncated)?;
    let (Some(from), Some(to), Some(call_id), Some(cseq), Some(via)) = (
        fields.values.filled(Header::From),
        fields.values.filled(Header::To),
        fields.values.filled_bytes(Header::CallId),
        fields.values.filled_bytes(Header::CSeq),
        fields.via,
    ) else {
        return Err(ParseError::MissingHeader);
    };
    let cseq = cseq::parse(cseq).ok_or(ParseError::Cseq)?;
    if let Start::Request { method, name, .. } = first.start
        && (method != cseq.method || method == Method::Other && name != cseq.name)
    {
        return Err(ParseError::CseqMismatch);
    }
    let via = via.filter(|_| !fields.via_is_damaged).ok_or(ParseError::Via)?;
    let length = fields.content_length();
    let body = frame_body(fields.rest, length, framing, &first.start, &mut fields.anomalies)?;
    fields.note_numbers();
    note_contacts(&first.start, cseq.method, &mut fields);
    Ok(Message {
        start: first.start,
        via,
        via_count: fields.via_count,
        from: party::parse(from),
        to: party::parse(to),
        call_id,
        cseq,
        anomalies: fields.anomalies,
        lazy: Lazy {
            body,
            vias: fields.vias,
            contacts: fields.contacts,
            reasons: fields.reasons,
            values: fields.values,
        },
    })
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
fn note_contacts(start: &Start<'_>, method: Method, fields: &mut Fields<'_>) {
    let is_redirection = matches!(start, Start::Response { status: 300..=399, .. });
    if method != Method::Register && !is_redirection {
        return;
    }
    let mut contacts = Contacts::new(fields.contacts.values(Header::Contact, fields.values.bytes));
    contacts.by_ref().for_each(drop);
    if contacts.clamped {
        fields.anomalies.add(AnomalyKind::Number);
    }
}

#[cfg(test)]
mod tests;
