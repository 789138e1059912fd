//! A message: what tracking always needs is read, the rest is read when asked for.
//!
//! Every slice borrows the bytes given to [`parse()`](crate::parse()), with folds still in it unless said otherwise.

use std::borrow::Cow;

use crate::anomaly::Anomalies;
use crate::body;
use crate::contact::{Contact, Contacts};
use crate::cseq::CSeq;
use crate::cursor::Cursor;
use crate::fields::{Repeated, Values};
use crate::header::{Header, Lines};
use crate::method::Method;
use crate::party::{self, Form, Party};
use crate::reason::{Reason, ReasonProtocol, Reasons};
use crate::start::Start;
use crate::value;
use crate::via::{self, Via};

/// One SIP message. Debug output holds bytes from the wire: for tests, never for logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Method and Request-URI, or status.
    pub start: Start<'a>,
    /// The topmost Via.
    pub via: Via<'a>,
    /// How many Vias there are, 1 to 70.
    pub via_count: u16,
    /// From.
    pub from: Party<'a>,
    /// To.
    pub to: Party<'a>,
    /// Call-ID, never empty; compare it byte for byte (RFC 3261 §20.8).
    pub call_id: &'a [u8],
    /// CSeq.
    pub cseq: CSeq<'a>,
    /// What is imperfect about the message.
    pub anomalies: Anomalies,
    pub(crate) lazy: Lazy<'a>,
}

/// What the accessors of [`Message`] begin from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lazy<'a> {
    pub body: &'a [u8],
    pub repeated: Repeated,
    pub values: Values<'a>,
}

impl Default for Message<'_> {
    /// One of which nothing was read: what [`parse_into`](crate::parse_into()) may begin from.
    fn default() -> Self {
        let party = Party { uri: b"", tag: b"" };
        Self {
            start: Start::Response { status: 0, reason: b"" },
            via: Via::EMPTY,
            via_count: 0,
            from: party,
            to: party,
            call_id: b"",
            cseq: CSeq { number: 0, method: Method::Other, name: b"" },
            anomalies: Anomalies::NONE,
            lazy: Lazy { body: b"", repeated: Repeated::NONE, values: Values::none(b"") },
        }
    }
}

impl<'a> Message<'a> {
    /// Becomes one of which no field was read. What every message has stays as it was until that is.
    #[inline(always)]
    pub(crate) fn begin(&mut self, bytes: &'a [u8], start: Start<'a>) {
        self.start = start;
        (self.via, self.via_count, self.anomalies) = (Via::EMPTY, 0, Anomalies::NONE);
        (self.lazy.repeated, self.lazy.values) = (Repeated::NONE, Values::none(bytes));
    }

    /// Whether it is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    /// 100 to 699; `None` for a request.
    pub fn status(&self) -> Option<u16> {
        match self.start {
            Start::Request { .. } => None,
            Start::Response { status, .. } => Some(status),
        }
    }

    /// The method of the request, or of the request a response answers.
    pub fn method(&self) -> Method {
        self.cseq.method
    }

    /// All [`Self::via_count`] Vias, the topmost first. Reads those behind it anew.
    pub fn vias(&self) -> impl Iterator<Item = Via<'a>> + use<'a> {
        let mut values = self.lazy.values.all(Header::Via, self.lazy.repeated.vias);
        let mut list = Cursor::new(b"".as_slice().into());
        let all = std::iter::from_fn(move || {
            if !list.eat(b',') {
                list = Cursor::new(values.next()?);
            }
            via::parse(&mut list)
        });
        let others = usize::from(self.via_count).saturating_sub(1);
        std::iter::once(self.via).chain(all.skip(1).take(others))
    }

    /// Every Contact, in order. Stray separators and damaged elements are passed over.
    pub fn contacts(&self) -> impl Iterator<Item = Contact<'a>> + use<'a> {
        Contacts::new(self.lazy.values.all(Header::Contact, self.lazy.repeated.contacts))
    }

    /// Every Reason, in order.
    pub fn reasons(&self) -> impl Iterator<Item = Reason> + use<'a> {
        Reasons::new(self.lazy.values.all(Header::Reason, self.lazy.repeated.reasons))
    }

    /// The first cause of a Q.850 Reason, 0 to 999.
    pub fn q850_cause(&self) -> Option<u16> {
        self.cause(ReasonProtocol::Q850)
    }

    /// The first cause, 0 to 999, of a Reason by this protocol.
    pub fn cause(&self, protocol: ReasonProtocol) -> Option<u16> {
        self.reasons().filter(|reason| reason.protocol == protocol).find_map(|reason| reason.cause)
    }

    /// User-Agent of a request, folds joined to one space; `None` when absent, empty, or in a response, where it
    /// would be the other side's.
    pub fn user_agent(&self) -> Option<Cow<'a, [u8]>> {
        if self.is_request() { self.lazy.values.filled_bytes(Header::UserAgent).map(value::unfold) } else { None }
    }

    /// Expires in seconds, at most 2^32-1; `None` when absent or no number.
    pub fn expires(&self) -> Option<u32> {
        self.lazy.values.number(Header::Expires)
    }

    /// Session-Expires in seconds (RFC 4028 §4), at most 2^32-1; `None` when absent or no number.
    pub fn session_expires(&self) -> Option<u32> {
        self.lazy.values.number(Header::SessionExpires)
    }

    /// RSeq (RFC 3262 §7.1), at most 2^32-1; `None` when absent or no number.
    pub fn rseq(&self) -> Option<u32> {
        self.lazy.values.number(Header::RSeq)
    }

    /// Retry-After in seconds, at most 2^32-1; `None` when absent or no number.
    pub fn retry_after(&self) -> Option<u32> {
        self.lazy.values.number(Header::RetryAfter)
    }

    /// URI of the first P-Asserted-Identity (RFC 3325 §9.1); `None` when absent or damaged.
    pub fn p_asserted_identity(&self) -> Option<&'a [u8]> {
        let uri = party::address(&mut Cursor::new(self.lazy.values.filled(Header::PAssertedIdentity)?), Form::List);
        (!uri.is_empty()).then_some(uri)
    }

    /// Session-ID of the sender, without the `remote` parameter (RFC 7989 §5); `None` when absent or empty.
    pub fn session_id(&self) -> Option<&'a [u8]> {
        let id = Cursor::new(self.lazy.values.filled(Header::SessionId)?).plain();
        (!id.is_empty()).then_some(id)
    }

    /// Whether the Session-ID marks the message for logging (RFC 8497 §3.1).
    pub fn is_marked_for_logging(&self) -> bool {
        let Some(session_id) = self.lazy.values.filled(Header::SessionId) else { return false };
        let mut cursor = Cursor::new(session_id);
        cursor.plain();
        std::iter::from_fn(|| cursor.param()).any(|param| param.is(b"logme"))
    }

    /// The first field of a name, in any case, that has no accessor of its own: its value as sent, trimmed, folds
    /// still in it. Compact forms are other names. Looks through the header block anew.
    pub fn field(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.fields().find_map(|(named, value)| named.eq_ignore_ascii_case(name).then_some(value))
    }

    /// Every header field in order: its name and its value as sent, the value trimmed, folds still in it. What is no
    /// field is left out. Looks through the header block anew.
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let bytes = self.lazy.values.bytes;
        let headers = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1);
        let mut lines = Lines::new(bytes, headers, false);
        std::iter::from_fn(move || {
            let field = lines.next_field()?;
            Some((field.name(bytes), field.value(bytes).bytes()))
        })
    }

    /// Whether there is a Replaces (RFC 3891).
    pub fn has_replaces(&self) -> bool {
        self.lazy.values.has(Header::Replaces)
    }

    /// Content-Type with its parameters; `None` when absent or empty.
    pub fn content_type(&self) -> Option<&'a [u8]> {
        self.lazy.values.filled_bytes(Header::ContentType)
    }

    /// All of it as it was sent, from its start line on, with what stands behind its body.
    pub fn bytes(&self) -> &'a [u8] {
        self.lazy.values.bytes
    }

    /// The header block as it was sent: start line, fields and the empty line.
    pub fn head(&self) -> &'a [u8] {
        let all = self.bytes();
        let mut at = 0;
        for line in all.split_inclusive(|byte| *byte == b'\n') {
            at += line.len();
            if matches!(line, b"\r\n" | b"\n") {
                break;
            }
        }
        &all[..at]
    }

    /// The body as far as it was captured and Content-Length covers it.
    pub fn body(&self) -> &'a [u8] {
        self.lazy.body
    }

    /// The bytes of the first part of the body that is of a media type (in lower case), and those of the body itself where
    /// it is no multipart (RFC 2046 §5.1, RFC 5621); `None` when there is none, or it is empty.
    pub fn body_part(&self, media_type: &[u8]) -> Option<&'a [u8]> {
        body::part(self.content_type()?, self.body(), media_type).filter(|part| !part.is_empty())
    }

    /// Whether the body is a session description, or a multipart body that names one.
    pub fn has_sdp(&self) -> bool {
        const SDP: &[u8] = b"application/sdp";
        let Some(content_type) = self.content_type() else { return false };
        if self.body().is_empty() {
            return false;
        }
        let media_type = Cursor::new(content_type.into()).plain();
        if media_type.eq_ignore_ascii_case(SDP) {
            return true;
        }
        let slash = b"application".len();
        let is_multipart = media_type.get(..10).is_some_and(|kind| kind.eq_ignore_ascii_case(b"multipart/"));
        is_multipart
            && memchr::memchr_iter(b'/', self.body()).filter(|at| *at >= slash).any(|at| {
                let named = &self.body()[at - slash..];
                named.get(..SDP.len()).is_some_and(|named| named.eq_ignore_ascii_case(SDP))
            })
    }
}

#[cfg(test)]
mod tests;
