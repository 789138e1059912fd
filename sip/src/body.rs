//! Bodies: the part of a certain type, of a body that is it or of one that holds several (RFC 2046 §5.1, RFC 5621).
//!
//! Bounded: at most [`MAX_PARTS`] parts are looked at, and multipart within multipart at most [`MAX_DEPTH`] deep.

use crate::cursor::Cursor;
use crate::value;

/// Most parts looked at in one multipart body.
const MAX_PARTS: usize = 16;
/// How deep multipart bodies may lie in one another.
const MAX_DEPTH: usize = 3;

/// The bytes of the first part of `wanted`, a media type in lower case; the body itself where `content_type` is that.
/// `None` when there is none. Of a part whose end was cut off, all that is there.
pub(crate) fn part<'a>(mut content_type: &'a [u8], mut body: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    for _ in 0..MAX_DEPTH {
        let mut cursor = Cursor::new(content_type.into());
        let media_type = cursor.plain();
        if media_type.eq_ignore_ascii_case(wanted) {
            return Some(body);
        }
        if !is_multipart(media_type) {
            return None;
        }
        let boundary = std::iter::from_fn(|| cursor.param()).find(|param| param.is(b"boundary"))?.value;
        let boundary = boundary.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(boundary);
        if boundary.is_empty() {
            return None;
        }
        let find = |kind: &dyn Fn(&[u8]) -> bool| {
            let mut parts = Parts::new(body, boundary).take(MAX_PARTS);
            parts.find(|(content_type, _)| kind(Cursor::new((*content_type).into()).plain()))
        };
        if let Some((_, part)) = find(&|kind| kind.eq_ignore_ascii_case(wanted)) {
            return Some(part);
        }
        (content_type, body) = find(&is_multipart)?;
    }
    None
}

fn is_multipart(media_type: &[u8]) -> bool {
    media_type.get(..10).is_some_and(|kind| kind.eq_ignore_ascii_case(b"multipart/"))
}

/// The parts of a multipart body: Content-Type, empty where there is none, and bytes.
struct Parts<'a> {
    /// Begins behind a boundary.
    rest: &'a [u8],
    boundary: &'a [u8],
}

impl<'a> Parts<'a> {
    /// What stands before the first boundary counts for nothing (RFC 2046 §5.1.1).
    fn new(body: &'a [u8], boundary: &'a [u8]) -> Self {
        let rest = find_boundary(body, boundary).map_or(&b""[..], |(_, rest)| rest);
        Self { rest, boundary }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (mut part, rest) = find_boundary(self.rest, self.boundary).unwrap_or((self.rest, b""));
        self.rest = rest;
        let mut content_type: &[u8] = b"";
        while let Some((line, rest)) = split_line(part) {
            part = rest;
            let line = value::without_line_end(line);
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_at(memchr::memchr(b':', line).unwrap_or(line.len()));
            let name = value::trim(name);
            if name.eq_ignore_ascii_case(b"content-type") || name.eq_ignore_ascii_case(b"c") {
                content_type = value::trim(value.get(1..).unwrap_or_default());
            }
        }
        Some((content_type, part))
    }
}

/// What stands before the next boundary, without the line end that belongs to that, and what stands behind it: nothing
/// where it is the last one.
fn find_boundary<'a>(bytes: &'a [u8], boundary: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut rest = bytes;
    while let Some((line, behind)) = split_line(rest) {
        if let Some(tail) = line.strip_prefix(b"--").and_then(|line| line.strip_prefix(boundary)) {
            let before = &bytes[..bytes.len() - rest.len()];
            return Some((value::without_line_end(before), if tail.starts_with(b"--") { b"" } else { behind }));
        }
        rest = behind;
    }
    None
}

/// The first line, with its end, and the others; `None` when there is nothing.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    (!bytes.is_empty()).then(|| bytes.split_at(memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &[u8] = b"application/sdp";

    #[test]
    fn a_body_of_the_type_is_the_part() {
        assert_eq!(part(b"Application/SDP ;charset=x", b"v=0", SDP), Some(&b"v=0"[..]));
        assert_eq!(part(b"text/plain", b"v=0", SDP), None);
        assert_eq!(part(b"", b"v=0", SDP), None);
    }

    #[test]
    fn a_part_is_found_among_others_and_within_another() {
        let mixed = b"preamble\r\n--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x\r\n\
            content-type : application/sdp\r\nContent-ID: <1>\r\n\r\nv=0\r\ns=-\r\n\r\n--x--\r\nepilogue";
        assert_eq!(part(b"multipart/mixed;boundary=x", mixed, SDP), Some(&b"v=0\r\ns=-\r\n"[..]));
        assert_eq!(part(b"multipart/mixed; boundary=\"x\"", mixed, b"text/plain"), Some(&b"hello"[..]));
        let nested = b"--y\nc: multipart/alternative;boundary=x\n\n--x\nc:application/sdp\n\nv=0\n--x--\n--y--";
        assert_eq!(part(b"multipart/mixed;boundary=y", nested, SDP), Some(&b"v=0"[..]));
    }

    #[test]
    fn a_body_that_was_cut_gives_what_is_there_and_a_wrong_one_nothing() {
        assert_eq!(
            part(b"multipart/mixed;boundary=x", b"--x\nc:application/sdp\n\nv=0\nm=", SDP),
            Some(&b"v=0\nm="[..])
        );
        assert_eq!(part(b"multipart/mixed;boundary=x", b"--x", SDP), None);
        assert_eq!(part(b"multipart/mixed", b"--x\nc:application/sdp\n\nv=0", SDP), None);
        assert_eq!(part(b"multipart/mixed;boundary=\"\"", b"--\nc:application/sdp\n\nv=0", SDP), None);
    }

    #[test]
    fn bodies_within_bodies_end_somewhere() {
        let nested = |depth: usize| {
            let mut body = b"v=0".to_vec();
            let mut content_type = "application/sdp".to_owned();
            for level in 0..depth {
                body = [format!("--x{level}\nc:{content_type}\n\n").as_bytes(), &body].concat();
                content_type = format!("multipart/mixed;boundary=x{level}");
            }
            part(content_type.as_bytes(), &body, SDP).map(<[u8]>::to_vec)
        };
        assert_eq!(nested(MAX_DEPTH), Some(b"v=0".to_vec()));
        assert_eq!(nested(MAX_DEPTH + 1), None);
        let many = b"--x\nc:text/plain\n\n\n".repeat(MAX_PARTS);
        let many = [many.as_slice(), b"--x\nc:application/sdp\n\nv=0"].concat();
        assert_eq!(part(b"multipart/mixed;boundary=x", &many, SDP), None);
    }
}
