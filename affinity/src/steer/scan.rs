//! A message as the program scans it: start line, Call-ID, tag of To, of a response the method in CSeq, of a SUBSCRIBE Expires.
//!
//! Like [`crate::Glance`], within narrower bounds: no more than [`BLANKS`] blanks stand before and behind the colon of a
//! header field, a To has a tag where one stands behind its last `>`, and a Call-ID counts only where its end is in sight.
//! Nothing behind the empty line or the [`WINDOW`] is looked at, and the first field of a name counts.

use sip::Method;

use crate::glance::{CALL_ID, Start, WINDOW};

/// Most blanks that are gone over in a row.
pub const BLANKS: usize = 7;

/// Most digits of the number of a CSeq (RFC 3261 §8.1.1.5: less than 2³¹).
pub const CSEQ_DIGITS: usize = 10;

/// Most digits of an Expires that are read (RFC 3261 §20.19: less than 2³²).
pub const EXPIRES_DIGITS: usize = 10;

/// The longest time in seconds that an Expires counts for: a year.
pub const LONGEST_EXPIRES: u32 = 365 * 24 * 3600;

/// What a datagram holds, as far as the program sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scan<'a> {
    /// A request or a response.
    pub start: Start,
    /// Call-ID, its first [`CALL_ID`] bytes; `None` where it is missing, empty, folded, cut off or too far behind.
    pub call_id: Option<&'a [u8]>,
    /// To has a tag.
    pub to_tag: bool,
    /// Method of a response's CSeq; `None` of requests, and where it is missing or malformed.
    pub cseq: Option<Method>,
    /// Expires of a SUBSCRIBE, in seconds, at most [`LONGEST_EXPIRES`]; `None` of all others, and where it is missing or
    /// malformed.
    pub expires: Option<u32>,
}

impl<'a> Scan<'a> {
    /// Scans a datagram; `None` where its first line is none of SIP's.
    pub fn of(datagram: &'a [u8]) -> Option<Self> {
        let bytes = &datagram[..datagram.len().min(WINDOW)];
        let first = line_end(bytes, 0)?;
        let start = start(&bytes[..first])?;
        let is_response = matches!(start, Start::Response(_));
        let is_subscribe = start == Start::Request(Method::Subscribe);
        let (mut call_id, mut to_tag, mut cseq, mut expires) = (None, None, None, None);
        let mut at = first + 1;
        while at < bytes.len() && !matches!(bytes[at], b'\r' | b'\n') {
            let end = line_end(bytes, at);
            let line = &bytes[..end.unwrap_or(bytes.len())];
            if call_id.is_none()
                && let Some(value) = value(line, at, b"call-id", b"i")
            {
                let folds = end.is_some_and(|end| matches!(bytes.get(end + 1), Some(b' ' | b'\t')));
                call_id = Some(word(bytes, value).filter(|_| !folds));
            } else if to_tag.is_none()
                && let Some(value) = value(line, at, b"to", b"t")
            {
                to_tag = Some(has_tag(line, value));
            } else if cseq.is_none()
                && is_response
                && let Some(value) = value(line, at, b"cseq", b"")
            {
                cseq = Some(cseq_method(bytes, value));
            } else if expires.is_none()
                && is_subscribe
                && let Some(value) = value(line, at, b"expires", b"")
            {
                expires = Some(seconds(bytes, value));
            }
            let Some(end) = end else { break };
            at = end + 1;
        }
        let (call_id, to_tag) = (call_id.flatten(), to_tag.unwrap_or(false));
        Some(Self { start, call_id, to_tag, cseq: cseq.flatten(), expires: expires.flatten() })
    }

    /// The method it is about: of a response, that of its request, [`Method::Other`] where that cannot be read.
    pub fn method(&self) -> Method {
        match self.start {
            Start::Request(method) => method,
            Start::Response(_) => self.cseq.unwrap_or(Method::Other),
        }
    }

    /// Whether it is a request within a dialog.
    pub fn is_in_dialog(&self) -> bool {
        self.to_tag && matches!(self.start, Start::Request(_))
    }

    /// Whether it is the first INVITE of a dialog, or that again.
    pub fn is_initial_invite(&self) -> bool {
        self.start == Start::Request(Method::Invite) && !self.to_tag
    }
}

/// Who is called in an emergency, as the Request-URI of an INVITE says (RFC 5031 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called<'a> {
    /// `urn:service:sos`, or one of its subservices.
    Sos,
    /// A user of a `sip`, `sips` or `tel` URI, of at most [`super::EMERGENCY_USER`] bytes.
    User(&'a [u8]),
}

impl<'a> Called<'a> {
    /// Reads the start of an INVITE.
    pub fn by(invite: &'a [u8]) -> Option<Self> {
        let bytes = &invite[..invite.len().min(WINDOW)];
        let uri = bytes.get(b"INVITE ".len()..)?;
        let after = |scheme: &[u8]| {
            uri.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme)).map(|_| &uri[scheme.len()..])
        };
        if let Some([b'.' | b' ' | b';', ..]) = after(b"urn:service:sos") {
            return Some(Self::Sos);
        }
        let user = after(b"sip:").or_else(|| after(b"sips:")).or_else(|| after(b"tel:"))?;
        let end = user.iter().take(super::EMERGENCY_USER + 1).position(|byte| {
            // White space and control characters end it too.
            matches!(byte, b'@' | b':' | b';' | b'?') || *byte <= b' '
        })?;
        (end > 0).then(|| Self::User(&user[..end]))
    }
}

/// Where the line ends that holds `at`; `None` if that is not in sight.
fn line_end(bytes: &[u8], at: usize) -> Option<usize> {
    Some(at + memchr::memchr(b'\n', &bytes[at..])?)
}

fn start(line: &[u8]) -> Option<Start> {
    if let Some(rest) = line.strip_prefix(b"SIP/2.0 ") {
        let [a @ b'1'..=b'6', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ', ..] = *rest else { return None };
        let digit = |byte: u8| u16::from(byte - b'0');
        return Some(Start::Response(digit(a) * 100 + digit(b) * 10 + digit(c)));
    }
    line.strip_suffix(b"\r").unwrap_or(line).strip_suffix(b" SIP/2.0")?;
    line.first().filter(|byte| byte.is_ascii_uppercase())?;
    let name = line.split(|byte| *byte == b' ').next().expect("there is a first");
    Some(Start::Request(Method::named(name)))
}

/// Where the value begins if the line at `at` is a header field of this name, in long or short form.
fn value(line: &[u8], at: usize, long: &[u8], short: &[u8]) -> Option<usize> {
    let named = |name: &[u8]| {
        let behind = at + name.len();
        let is_name = !name.is_empty() && line.get(at..behind).is_some_and(|start| start.eq_ignore_ascii_case(name));
        let colon = is_name.then(|| skip_blanks(line, behind))??;
        (line.get(colon) == Some(&b':')).then_some(colon + 1)
    };
    named(long).or_else(|| named(short))
}

/// The first place from `at` on that is no blank; `None` if there are too many.
fn skip_blanks(line: &[u8], at: usize) -> Option<usize> {
    let blanks = line[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    (blanks <= BLANKS).then_some(at + blanks)
}

/// The first word from `at` on, as much of it as counts; `None` if it is empty or its end is not in sight.
fn word(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let at = skip_blanks(bytes, at)?;
    let rest = &bytes[at..];
    let length = match rest.iter().take(CALL_ID).position(|byte| *byte <= b' ') {
        Some(length) => length,
        None if rest.len() >= CALL_ID => CALL_ID,
        None => return None,
    };
    (length > 0).then(|| &rest[..length])
}

/// Whether a tag stands among the parameters behind the last `>` of a line's value, or anywhere in one without.
fn has_tag(line: &[u8], value: usize) -> bool {
    let params = line[value..].iter().rposition(|byte| *byte == b'>').map_or(value, |at| value + at + 1);
    (params..line.len()).filter(|at| line[*at] == b';').any(|at| {
        let Some(name) = skip_blanks(line, at + 1) else { return false };
        let is_tag = line.get(name..name + 3).is_some_and(|name| name.eq_ignore_ascii_case(b"tag"));
        is_tag && skip_blanks(line, name + 3).is_some_and(|at| line.get(at) == Some(&b'='))
    })
}

/// The method in a CSeq.
fn cseq_method(bytes: &[u8], value: usize) -> Option<Method> {
    let number = skip_blanks(bytes, value)?;
    let digits = bytes[number..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let behind = number + digits;
    let name = skip_blanks(bytes, behind)?;
    if digits == 0 || digits > CSEQ_DIGITS || name == behind {
        return None;
    }
    let length = bytes[name..].iter().position(|byte| *byte <= b' ')?;
    (length > 0).then(|| Method::named(&bytes[name..name + length]))
}

/// The number of an Expires.
fn seconds(bytes: &[u8], value: usize) -> Option<u32> {
    let number = &bytes[skip_blanks(bytes, value)?..];
    let digits = number.iter().take(EXPIRES_DIGITS).take_while(|byte| byte.is_ascii_digit());
    let seconds = digits.clone().fold(0, |seconds, digit| seconds * 10 + u64::from(digit - b'0'));
    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX).min(LONGEST_EXPIRES);
    digits.clone().next().map(|_| seconds)
}

#[cfg(test)]
mod tests;
