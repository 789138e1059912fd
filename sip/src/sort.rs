//! What a UDP payload on a SIP port is: a message, a keep-alive, or something else.
//!
//! Looks at the first bytes and the first line only; what it calls SIP is for [`parse()`](crate::parse()) to read.

use crate::error::ParseError;
use crate::start;
use crate::stream;

/// What a UDP payload on a SIP port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// A message, without CR and LF before it.
    Sip(&'a [u8]),
    /// STUN: a keep-alive (RFC 5626 §4.4.2), by its magic cookie (RFC 5389 §6).
    Stun,
    /// Nothing but CR, LF and NUL, perhaps nothing at all: a keep-alive.
    Crlf,
    /// The first line names SIP and is no start line: `parse_errors_total{reason="start_line"}`.
    StartLineError,
    /// RTP, RTCP, DTLS, or anything else.
    NonSip,
}

/// Tells what `payload` is; the first that fits, in this order: STUN, line ends, RTP, DTLS, SIP, a broken start line.
#[inline]
pub fn sort(payload: &[u8]) -> Payload<'_> {
    // Begins with a capital letter, which nothing else does.
    if start::is_usual(payload) { Payload::Sip(payload) } else { any(payload) }
}

/// A payload of any kind.
#[inline(never)]
fn any(payload: &[u8]) -> Payload<'_> {
    match payload {
        [0..=3, _, _, _, 0x21, 0x12, 0xa4, 0x42, ..] => return Payload::Stun,
        _ if payload.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) => return Payload::Crlf,
        // RTP and RTCP: version 2 in the top bits (RFC 3550 §5.1).
        [0x80..=0xbf, ..] => return Payload::NonSip,
        // DTLS: content type and version (RFC 9147 §4.1). `!`, `%`, `*` and digits begin legal methods too.
        [20..=63, 0xfe, ..] => return Payload::NonSip,
        _ => {}
    }
    let message = start::skip_line_ends(payload);
    match start::parse(message) {
        Ok(_) | Err(ParseError::Version | ParseError::Status) => Payload::Sip(message),
        Err(_) if first_line_names_sip(message) => Payload::StartLineError,
        Err(_) => Payload::NonSip,
    }
}

/// Whether `SIP/` and a digit stand anywhere in the first line.
fn first_line_names_sip(message: &[u8]) -> bool {
    let end = memchr::memchr(b'\n', message).unwrap_or(message.len());
    stream::names_sip(&message[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stun_is_known_by_its_cookie() {
        assert_eq!(sort(b"\x00\x01\x00\x00\x21\x12\xa4\x42aaaaaaaaaaaa"), Payload::Stun);
        assert_eq!(sort(b"\x00\x01\x00\x00\x21\x12\xa4\x43aaaaaaaaaaaa"), Payload::NonSip);
    }

    #[test]
    fn line_ends_and_nul_bytes_are_a_keep_alive() {
        for payload in [&b""[..], b"\r\n\r\n", b"\0", b"\0\0\0\0", b"\n"] {
            assert_eq!(sort(payload), Payload::Crlf, "{payload:?}");
        }
    }

    #[test]
    fn rtp_and_dtls_are_not_sip_even_when_a_start_line_follows() {
        assert_eq!(sort(b"\x80SIP/2.0 200 OK\r\n"), Payload::NonSip);
        assert_eq!(sort(b"\x16\xfe\xfd SIP/2.0 200 OK\r\n"), Payload::NonSip);
    }

    #[test]
    fn methods_may_begin_with_what_dtls_begins_with() {
        for payload in [&b"!x sip:a SIP/2.0\r\n"[..], b"%x sip:a SIP/2.0\r\n", b"7x sip:a SIP/2.0\r\n"] {
            assert_eq!(sort(payload), Payload::Sip(payload));
        }
    }

    #[test]
    fn line_ends_before_a_message_are_skipped() {
        assert_eq!(sort(b"\r\n\n\rBYE sip:a SIP/2.0\n"), Payload::Sip(b"BYE sip:a SIP/2.0\n"));
    }

    #[test]
    fn a_start_line_with_a_version_or_status_out_of_range_is_sip() {
        for payload in [&b"BYE sip:a SIP/7.0\r\n"[..], b"SIP/1.0 200 OK\r\n", b"SIP/2.0 4294967301 Moved\r\n"] {
            assert_eq!(sort(payload), Payload::Sip(payload));
        }
    }

    #[test]
    fn a_first_line_that_names_sip_and_is_no_start_line_is_an_error() {
        for payload in [
            "INVITE SIP/2.0\r\n",
            "INVITE sip:a sip/2.0 x y\r\n",
            "SIP/2.0\r\n",
            "IN(VITE sip:a SIP/2.0\r\n",
            "\u{1}\u{2}SIP/2.0 200 OK",
        ] {
            assert_eq!(sort(payload.as_bytes()), Payload::StartLineError, "{payload}");
        }
    }

    #[test]
    fn anything_else_is_not_sip() {
        for payload in [
            "GET / HTTP/1.1\r\n",
            "GET /SIP/x HTTP/1.1\r\nVia: SIP/2.0/UDP h\r\n",
            "hello",
            "\0INVITE sip:a",
            "REGISTER sip:a HTTP/2.0",
            "IP/2",
        ] {
            assert_eq!(sort(payload.as_bytes()), Payload::NonSip, "{payload}");
        }
    }
}
