//! The first line of a message: request line or status line (RFC 3261 §7.1, §7.2).

use crate::error::ParseError;
use crate::method::Method;
use crate::scan::{self, Lanes, LineEnds};
use crate::value::{self, Value};

/// Without CR and LF at the front, which may stand before a message (RFC 3261 §7.5).
#[inline]
pub(crate) fn skip_line_ends(mut bytes: &[u8]) -> &[u8] {
    while let [b'\r' | b'\n', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// First line of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start<'a> {
    /// A request.
    Request {
        /// The method by name.
        method: Method,
        /// The method as sent.
        name: &'a [u8],
        /// Request-URI: everything between the first and the last run of spaces, not looked into.
        uri: &'a [u8],
    },
    /// A response.
    Response {
        /// 100 to 699.
        status: u16,
        /// Reason phrase: perhaps empty, any bytes, not necessarily UTF-8.
        reason: &'a [u8],
    },
}

/// A start line that was read.
pub(crate) struct StartLine<'a> {
    pub start: Start<'a>,
    /// Exactly as RFC 3261 wants it; otherwise `start_line_space`.
    pub strict: bool,
    /// Where the line after it begins.
    pub next: usize,
    /// The line ends behind it.
    pub ends: LineEnds,
}

/// Reads the first line of `bytes`. Errs with `StartLine`, `Version` or `Status`: with the latter two it is
/// a SIP start line, only not one to be used.
#[inline(always)]
pub(crate) fn parse(bytes: &[u8]) -> Result<StartLine<'_>, ParseError> {
    let mut ends = LineEnds::new(0);
    let next = ends.next(bytes).map_or(bytes.len(), |end| end + 1);
    let (start, strict) = match usual(bytes, next) {
        Some(usual) => usual,
        None => any(bytes, next)?,
    };
    Ok(StartLine { start, strict, next, ends })
}

/// Whether [`parse`] surely finds a SIP start line, be it of another version; most often `true` where it does.
#[inline]
pub(crate) fn is_usual(bytes: &[u8]) -> bool {
    bytes.starts_with(RESPONSE) || usual_request(bytes, scan::line_len(bytes)).is_some()
}

/// What nearly every response begins with.
const RESPONSE: &[u8; 8] = b"SIP/2.0 ";

/// The first `len` bytes as a start line as nearly all are written.
#[inline(always)]
fn usual(bytes: &[u8], len: usize) -> Option<(Start<'_>, bool)> {
    let Some(behind) = bytes.get(..len)?.strip_prefix(RESPONSE) else {
        let (name, uri) = usual_request(bytes, len)?;
        return Some((Start::Request { method: Method::named(name), name, uri: uri.bytes() }, is_strict(uri)));
    };
    let [a @ b'1'..=b'6', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ', reason @ .., b'\r', b'\n'] = behind else {
        return None;
    };
    let is_usual = reason.last() != Some(&b'\r');
    is_usual.then(|| (Start::Response { status: status([*a, *b, *c]), reason }, true))
}

/// Method and URI of `METHOD SP Request-URI SP SIP/2.0` and CRLF, the method in at most sixteen capital letters.
#[inline(always)]
fn usual_request(bytes: &[u8], len: usize) -> Option<(&[u8], Value<'_>)> {
    let capitals = Lanes::of(bytes.first_chunk()?).are_within(b'A', b'Z').bits().trailing_ones() as usize;
    let (name, behind) = bytes.get(..len)?.split_at_checked(capitals)?;
    let uri = behind.strip_suffix(b" SIP/2.0\r\n")?.strip_prefix(b" ")?;
    let is_usual = !name.is_empty() && value::is_trimmed(uri);
    is_usual.then(|| (name, Value { bytes, start: capitals + 1, end: capitals + 1 + uri.len() }))
}

/// The first `len` bytes as a start line in any form.
#[inline(never)]
fn any(bytes: &[u8], len: usize) -> Result<(Start<'_>, bool), ParseError> {
    let line = value::without_line_end(&bytes[..len]);
    if names_sip(line) { response(line) } else { request(bytes, line.len()) }
}

/// Whether the bytes begin with `SIP/` and a digit, in any case.
#[inline]
pub(crate) fn names_sip(bytes: &[u8]) -> bool {
    matches!(bytes, [b'S' | b's', b'I' | b'i', b'P' | b'p', b'/', b'0'..=b'9', ..])
}

/// `SIP/2.0 SP 3DIGIT SP reason`; the space before an empty reason may be missing. `line` begins as [`names_sip`] says.
fn response(line: &[u8]) -> Result<(Start<'_>, bool), ParseError> {
    let space = memchr::memchr(b' ', line).ok_or(ParseError::StartLine)?;
    if &line[4..space] != b"2.0" {
        return Err(ParseError::Version);
    }
    let spaces = line[space..].iter().take_while(|byte| **byte == b' ').count();
    let (status, reason) = match &line[space + spaces..] {
        [a @ b'1'..=b'6', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => ([*a, *b, *c], rest),
        _ => return Err(ParseError::Status),
    };
    let reason = match reason {
        [] => reason,
        [b' ', reason @ ..] => reason,
        _ => return Err(ParseError::Status),
    };
    Ok((Start::Response { status: self::status(status), reason }, spaces == 1))
}

/// The number that three digits are.
#[inline]
fn status(digits: [u8; 3]) -> u16 {
    digits.into_iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'))
}

/// `Method SP Request-URI SP SIP/2.0` in the first `len` bytes.
fn request(bytes: &[u8], len: usize) -> Result<(Start<'_>, bool), ParseError> {
    let line = &bytes[..len];
    let name = &line[..scan::find(b' ', bytes, 0, len).ok_or(ParseError::StartLine)?];
    let method = Method::named(name);
    // A known name is a token.
    if name.is_empty() || method == Method::Other && value::token_len(name) < name.len() {
        return Err(ParseError::StartLine);
    }
    let rest = &line[name.len()..];
    let trimmed = trim_end(rest);
    let version = memchr::memrchr(b' ', trimmed).ok_or(ParseError::StartLine)?;
    if !names_sip(&trimmed[version + 1..]) {
        return Err(ParseError::StartLine);
    }
    let uri = &trimmed[..version];
    let uri = value::trim(uri.strip_prefix(b" ").unwrap_or(uri));
    if uri.is_empty() {
        return Err(ParseError::StartLine);
    }
    if &trimmed[version + 5..] != b"2.0" {
        return Err(ParseError::Version);
    }
    let single_spaces = trimmed.len() == rest.len() && uri.len() + 1 == version;
    let strict = single_spaces && is_strict(Value::trimmed(bytes, name.len() + 1, name.len() + 1 + uri.len()));
    Ok((Start::Request { method, name, uri }, strict))
}

fn trim_end(mut line: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = line {
        line = rest;
    }
    line
}

/// No angle brackets, no inner space, and no header fields behind the host (RFC 3261 §19.1.1, table 1).
fn is_strict(uri: Value<'_>) -> bool {
    if uri.bytes().starts_with(b"<") {
        return false;
    }
    let Some(found) = uri.find_either(b' ', b'?') else { return true };
    let (uri, found) = (uri.bytes(), found - uri.start);
    let is_opaque = !matches!(uri, [b'S' | b's', b'I' | b'i', b'P' | b'p', ..]);
    // A user part may hold a question mark.
    let is_in_user = || memchr::memchr(b'@', &uri[found..]).is_some();
    memchr::memchr(b' ', uri).is_none() && (is_opaque || is_in_user())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(line: &str) -> (Method, &str, bool) {
        let line = parse(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"));
        let Start::Request { method, uri, .. } = line.start else { panic!("a request") };
        (method, std::str::from_utf8(uri).expect("tests are text"), line.strict)
    }

    fn response(line: &str) -> (u16, &[u8], bool) {
        let line = parse(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"));
        let Start::Response { status, reason } = line.start else { panic!("a response") };
        (status, reason, line.strict)
    }

    #[test]
    fn a_request_line_has_method_and_uri() {
        assert_eq!(request("INVITE sip:a@b SIP/2.0\r\n"), (Method::Invite, "sip:a@b", true));
        assert_eq!(request("INVITE sip:a@b sip/2.0\n"), (Method::Invite, "sip:a@b", true));
        assert_eq!(request("Invite tel:+1 SIP/2.0"), (Method::Other, "tel:+1", true));
        assert_eq!(request("!-.%*_+`'~ x SIP/2.0"), (Method::Other, "x", true));
    }

    #[test]
    fn stray_spaces_and_brackets_are_read_and_not_strict() {
        for (line, uri) in [
            ("BYE  sip:a SIP/2.0\r\n", "sip:a"),
            ("BYE sip:a  SIP/2.0\r\n", "sip:a"),
            ("BYE sip:a SIP/2.0  \r\n", "sip:a"),
            ("BYE sip:a; lr SIP/2.0\r\n", "sip:a; lr"),
            ("BYE <sip:a> SIP/2.0\r\n", "<sip:a>"),
            ("BYE sip:a@b?Route=x SIP/2.0\r\n", "sip:a@b?Route=x"),
        ] {
            assert_eq!(request(line), (Method::Bye, uri, false), "{line}");
        }
    }

    #[test]
    fn a_question_mark_in_the_user_part_or_an_opaque_uri_is_strict() {
        assert!(request("BYE sip:a?b@h SIP/2.0").2);
        assert!(request("BYE other:a?b SIP/2.0").2);
    }

    #[test]
    fn a_status_line_has_status_and_reason() {
        assert_eq!(response("SIP/2.0 200 OK\r\n"), (200, &b"OK"[..], true));
        assert_eq!(response("sip/2.0 699 \u{fc} \r\n"), (699, "\u{fc} ".as_bytes(), true));
        assert_eq!(response("SIP/2.0 100 \r\n"), (100, &b""[..], true));
        assert_eq!(response("SIP/2.0 100\r\n"), (100, &b""[..], true));
        assert_eq!(response("SIP/2.0  180 Ringing\r\n"), (180, &b"Ringing"[..], false));
    }

    #[test]
    fn a_line_ends_with_any_number_of_carriage_returns_and_a_line_feed() {
        for end in ["", "\n", "\r", "\r\n", "\r\r\n", "\r\r\r\r\n"] {
            assert_eq!(request(&format!("BYE sip:a SIP/2.0{end}")), (Method::Bye, "sip:a", true), "{end:?}");
            assert_eq!(response(&format!("SIP/2.0 200 OK{end}")), (200, &b"OK"[..], true), "{end:?}");
            assert_eq!(response(&format!("SIP/2.0 200{end}")), (200, &b""[..], true), "{end:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_apart() {
        for (line, error) in [
            ("", ParseError::StartLine),
            ("BYE sip:a", ParseError::StartLine),
            ("BYE SIP/2.0", ParseError::StartLine),
            ("B(E sip:a SIP/2.0", ParseError::StartLine),
            ("BYE\tsip:a SIP/2.0", ParseError::StartLine),
            (" BYE sip:a SIP/2.0", ParseError::StartLine),
            ("BYE sip:a SIP/x", ParseError::StartLine),
            ("SIP/2.0\r\n", ParseError::StartLine),
            ("BYE sip:a SIP/2.00", ParseError::Version),
            ("BYE sip:a SIP/7.0", ParseError::Version),
            ("SIP/2 200 OK", ParseError::Version),
            ("SIP/2.0 99 x", ParseError::Status),
            ("SIP/2.0 099 x", ParseError::Status),
            ("SIP/2.0 700 x", ParseError::Status),
            ("SIP/2.0 2000 x", ParseError::Status),
            ("SIP/2.0 20x x", ParseError::Status),
            ("SIP/2.0 ", ParseError::Status),
        ] {
            assert_eq!(parse(line.as_bytes()).err(), Some(error), "{line}");
        }
    }

    proptest! {
        #[test]
        fn the_usual_form_is_read_as_any_form_is(
            parts in prop::collection::vec(prop::sample::select(vec![
                "INVITE ", "FOO ", "INVITE sip:", "a@b", "?", "<", ">", " ", " SIP/2.0", "SIP/2.0 ", "SIP/2.0 200 ", "180", "OK",
                "\r\n", "\r\r\n", "\n", "\r", "\t", "sip/2.0", "ABCDEFGHIJKLMNOPQ",
            ]), 0..8),
        ) {
            let line = parts.concat();
            let expected = super::any(line.as_bytes(), scan::line_len(line.as_bytes()));
            prop_assert!(!is_usual(line.as_bytes()) || !matches!(expected, Err(ParseError::StartLine)));
            prop_assert_eq!(parse(line.as_bytes()).map(|line| (line.start, line.strict)), expected);
        }
    }
}
