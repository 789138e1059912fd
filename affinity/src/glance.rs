//! A glance at a datagram: the fields that decide which backend takes it, read as a program in the kernel reads them.
//!
//! No more than [`WINDOW`] bytes are looked at, header fields end at the empty line, the first of a name counts, and a value
//! ends with its line. Whatever is folded (RFC 3261 §7.3.1) is taken as it stands in its first line, but for Call-ID, which
//! then is none. Fewer words than [`sip::parse()`] knows, and the same ones in messages as they are sent.

use memchr::{memchr, memchr2, memchr3};
use sip::{Method, places};

/// Bytes of a datagram that are looked at.
pub const WINDOW: usize = 2048;

/// Bytes of a Call-ID that count.
pub const CALL_ID: usize = 128;

/// What a datagram is, as far as a glance tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance<'a> {
    /// A request or a response.
    pub start: Start,
    /// Call-ID, its first [`CALL_ID`] bytes, up to white space; `None` where it is missing, empty, folded or too far behind.
    pub call_id: Option<&'a [u8]>,
    /// To has a tag: the request belongs to a dialog (RFC 3261 §12.2).
    pub to_tag: bool,
    /// Number of CSeq and the method there; `None` where it is missing or no number.
    pub cseq: Option<(u32, Method)>,
    /// The topmost Via; `None` without any.
    pub via: Option<Via<'a>>,
}

/// What the first line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// A request.
    Request(Method),
    /// A response with this status, 100 to 699.
    Response(u16),
}

/// The topmost Via (RFC 3261 §20.42).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// The branch as it stands there; empty without.
    pub branch: &'a [u8],
    /// The sender wants responses at the port it sent from (RFC 3581 §4).
    pub rport: bool,
}

/// Fields that a glance looks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    CallId,
    To,
    CSeq,
    Via,
}

impl<'a> Glance<'a> {
    /// Looks at a datagram; `None` where its first line is none of SIP's.
    #[inline]
    pub fn at(datagram: &'a [u8]) -> Option<Self> {
        let bytes = &datagram[..datagram.len().min(WINDOW)];
        let mut ends = places::<b'\n'>(bytes);
        let end = ends.next()?;
        let start = Start::read(&bytes[..end])?;
        let mut glance = Self { start, call_id: None, to_tag: false, cseq: None, via: None };
        let (mut at, mut missing) = (end + 1, ALL);
        while missing != 0 && at < bytes.len() && !matches!(bytes[at], b'\r' | b'\n') {
            let line = &bytes[at..ends.next().unwrap_or(bytes.len())];
            at += line.len() + 1;
            let Some((field, value)) = named(line) else { continue };
            let bit = 1 << field as u8;
            if missing & bit == 0 {
                continue;
            }
            missing &= !bit;
            match field {
                Field::CallId => {
                    let folds = matches!(bytes.get(at), Some(b' ' | b'\t'));
                    glance.call_id = Some(word(value)).filter(|id| !id.is_empty() && !folds);
                }
                Field::To => glance.to_tag = has_tag(value),
                Field::CSeq => glance.cseq = cseq(value),
                Field::Via => glance.via = Some(Via::read(value)),
            }
        }
        Some(glance)
    }

    /// Whether it is the first request of what may become a dialog: INVITE, SUBSCRIBE or REFER without a To tag.
    pub fn begins_dialog(&self) -> bool {
        let begins = matches!(self.start, Start::Request(Method::Invite | Method::Subscribe | Method::Refer));
        begins && !self.to_tag
    }
}

/// A bit for each [`Field`].
const ALL: u8 = 0b1111;

impl Start {
    fn read(line: &[u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Some(rest) = line.strip_prefix(b"SIP/2.0 ") {
            let [a @ b'1'..=b'6', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ', ..] = *rest else { return None };
            let digit = |byte: u8| u16::from(byte - b'0');
            return Some(Self::Response(digit(a) * 100 + digit(b) * 10 + digit(c)));
        }
        let name = line.strip_suffix(b" SIP/2.0")?;
        let name = &name[..memchr(b' ', name)?];
        name.first().filter(|byte| byte.is_ascii_uppercase())?;
        Some(Self::Request(Method::named(name)))
    }
}

impl<'a> Via<'a> {
    /// Reads the first of the values in a line.
    fn read(value: &'a [u8]) -> Self {
        let mut via = Self { branch: b"", rport: false };
        let end = places::<b','>(value).next().unwrap_or(value.len());
        let mut ends = places::<b';'>(&value[..end]);
        let mut next = ends.next();
        while let Some(at) = next {
            next = ends.next();
            let param = value[at + 1..next.unwrap_or(end)].trim_ascii();
            let name = param.iter().position(|byte| *byte == b'=').unwrap_or(param.len());
            let (name, value) = param.split_at(name);
            match name.trim_ascii_end() {
                name if via.branch.is_empty() && name.eq_ignore_ascii_case(b"branch") => {
                    via.branch = value.get(1..).unwrap_or_default().trim_ascii_start()
                }
                name if name.eq_ignore_ascii_case(b"rport") => via.rport = true,
                _ => {}
            }
        }
        via
    }
}

/// Which field a line is and its value, in long or compact form; `None` of all others.
#[inline]
fn named(line: &[u8]) -> Option<(Field, &[u8])> {
    let field = match line.first()? | 0x20 {
        b'c' if is(line, b"call-id") => (Field::CallId, 7),
        b'c' if is(line, b"cseq") => (Field::CSeq, 4),
        b'i' => (Field::CallId, 1),
        b't' if is(line, b"to") => (Field::To, 2),
        b't' => (Field::To, 1),
        b'v' if is(line, b"via") => (Field::Via, 3),
        b'v' => (Field::Via, 1),
        _ => return None,
    };
    let (field, len) = field;
    let behind = line.get(len..)?;
    let value = match behind {
        [b':', value @ ..] => value,
        // Blanks before the colon.
        [b' ' | b'\t', ..] => behind.trim_ascii_start().strip_prefix(b":")?,
        _ => return None,
    };
    Some((field, value))
}

#[inline]
fn is(line: &[u8], name: &[u8]) -> bool {
    line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
}

/// The first word of a value, as much of it as counts.
fn word(value: &[u8]) -> &[u8] {
    let value = match value {
        [b' ', value @ ..] => value,
        _ => value,
    };
    let value = if matches!(value.first(), Some(b' ' | b'\t')) { value.trim_ascii_start() } else { value };
    let value = &value[..value.len().min(CALL_ID)];
    let end = memchr3(b' ', b'\t', b'\r', value);
    &value[..end.unwrap_or(value.len())]
}

/// Whether a value of To has a tag among its parameters, which stand behind the address, not in a name or a URI.
fn has_tag(value: &[u8]) -> bool {
    let mut rest = value;
    // Most often it is one of the first bytes.
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'<' | b';')) {
        let special = rest[at];
        rest = &rest[at + 1..];
        match special {
            b';' if begins_tag(rest) => return true,
            b';' => {}
            b'<' => rest = memchr(b'>', rest).map_or(&[], |end| &rest[end + 1..]),
            _ => rest = behind_quotes(rest),
        }
    }
    false
}

/// What stands behind a quoted string that has begun; nothing where it does not end.
fn behind_quotes(mut quoted: &[u8]) -> &[u8] {
    while let Some(at) = memchr2(b'"', b'\\', quoted) {
        if quoted[at] == b'"' {
            return &quoted[at + 1..];
        }
        quoted = quoted.get(at + 2..).unwrap_or_default();
    }
    &[]
}

fn begins_tag(param: &[u8]) -> bool {
    let param = param.trim_ascii_start();
    is(param, b"tag") && param[3..].trim_ascii_start().starts_with(b"=")
}

fn cseq(value: &[u8]) -> Option<(u32, Method)> {
    let value = value.trim_ascii();
    let (number, method) = value.split_at(memchr(b' ', value)?);
    let number = std::str::from_utf8(number).ok()?.parse().ok()?;
    Some((number, Method::named(method.trim_ascii())))
}

#[cfg(test)]
mod tests;
