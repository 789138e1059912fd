//! Via: what a hop put on top of a request (RFC 3261 §8.1.1.7, §20.42).
//!
//! Only sent-by and branch are read; `received`, `rport`, `maddr`, `ttl` are rewritten on the way.

use crate::cursor::Cursor;
use crate::scan::{self, Lanes};
use crate::value::{self, Value};

/// One Via.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// Host of sent-by as sent, IPv6 in its brackets if it has them; compare it case-insensitively.
    pub host: &'a [u8],
    /// Port of sent-by; when absent 5061 for TLS, 80 for WS, 443 for WSS, else 5060.
    pub port: u16,
    /// Compare it byte for byte; empty when absent.
    pub branch: &'a [u8],
}

impl Via<'_> {
    pub(crate) const EMPTY: Self = Self { host: b"", port: 0, branch: b"" };

    /// Whether the branch is unique to one transaction: the cookie `z9hG4bK` of an RFC 3261 sender, in any
    /// case, and something after it (§8.1.1.7).
    pub fn unique_branch(&self) -> bool {
        const COOKIE: &[u8; 7] = b"z9hG4bK";
        let Some((cookie, rest)) = self.branch.split_first_chunk::<{ COOKIE.len() }>() else { return false };
        // Nearly always it is written so.
        !rest.is_empty() && (cookie == COOKIE || cookie.eq_ignore_ascii_case(COOKIE))
    }
}

/// Reads the element at hand up to its comma or the end of the value; `None` when it is no Via.
#[inline]
pub(crate) fn parse<'a>(at: &mut Cursor<'a>) -> Option<Via<'a>> {
    let Some((via, end)) = usual(at.ahead()) else { return any(at) };
    at.go_to(end);
    at.finish();
    Some(via)
}

/// The Via at the front as nearly all are written, up to the end of its branch, and where that is:
/// `SIP/2.0/UDP host:port;branch=`, the port perhaps without, TCP or TLS in the place of UDP, and before the branch any
/// parameters without quotes, colons and white space.
#[inline(always)]
pub(crate) fn usual(value: Value<'_>) -> Option<(Via<'_>, usize)> {
    let (protocol, sent_by) = value.bytes.get(value.start..)?.split_at_checked(12)?;
    let (protocol, transport) = protocol.split_first_chunk::<8>()?;
    if protocol != b"SIP/2.0/" || sent_by.starts_with(b"[") {
        return None;
    }
    let usual_port = match u32::from_le_bytes(*transport.first_chunk()?) {
        UDP | TCP => 5060,
        TLS => 5061,
        _ => return None,
    };
    // All that may end a host, a port or a parameter: what does end them is among these.
    let window = sent_by.first_chunk::<{ scan::WINDOW }>()?;
    let ends = |lanes: Lanes| lanes.are_within(0, b'"').or(lanes.are(b',')).or(lanes.are_within(b':', b';'));
    let ends = scan::bits(window, ends);
    let end_behind = |at: usize| at + 1 + (ends >> at >> 1).trailing_zeros() as usize;

    // A name or an IPv4 address: the first colon is the only one.
    let host = window.get(..ends.trailing_zeros() as usize).filter(|host| !host.is_empty())?;
    let (mut at, mut port) = (host.len(), usual_port);
    if window[at..].starts_with(b":") {
        let digits = window.get(at + 1..end_behind(at)).filter(|digits| matches!(digits.len(), 1..=5))?;
        port = 0;
        for digit in digits {
            port = port * 10 + char::from(*digit).to_digit(10)?;
        }
        at = end_behind(at);
    }
    let port = u16::try_from(port).ok()?;
    while window.get(at) == Some(&b';') {
        let end = end_behind(at);
        let name = u64::from_le_bytes(*window[at..].first_chunk()?) | u64::from_le_bytes([b' '; 8]);
        if name != u64::from_le_bytes(*b";branch=") {
            at = end;
            continue;
        }
        let start = value.bytes.len() - sent_by.len() + at + 8;
        let end = match window.get(end) {
            Some(b':') | None => value::find_class::<{ value::VALUE_END }>(value.bytes, start, value.end),
            Some(end_byte) if value::ends_value(*end_byte) => start - at - 8 + end,
            Some(_) => return None,
        };
        let branch = value.bytes.get(start..end).filter(|branch| !branch.is_empty() && end <= value.end)?;
        return Some((Via { host, port, branch }, end));
    }
    None
}

const UDP: u32 = u32::from_le_bytes(*b"UDP ");
const TCP: u32 = u32::from_le_bytes(*b"TCP ");
const TLS: u32 = u32::from_le_bytes(*b"TLS ");

/// A Via in any form.
#[inline(never)]
fn any<'a>(cursor: &mut Cursor<'a>) -> Option<Via<'a>> {
    cursor.skip_space();
    let default_port = default_port(protocol(cursor)?);
    cursor.skip_space();
    let (host, port) = sent_by(cursor)?;
    cursor.skip_space();
    if !matches!(cursor.peek(), None | Some(b';' | b',')) {
        return None;
    }
    let branch = cursor.first_param(b"branch");
    cursor.finish();
    Some(Via { host, port: port.unwrap_or(default_port), branch })
}

/// `SIP / 2.0 / transport`, in any case, with white space around the slashes and behind it. Gives the transport.
fn protocol<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    if cursor.rest().starts_with(b"SIP/2.0/") {
        cursor.take(8);
        cursor.skip_space();
    } else {
        for part in [b"SIP", b"2.0"] {
            if !cursor.token().eq_ignore_ascii_case(part) {
                return None;
            }
            cursor.skip_space();
            if !cursor.eat(b'/') {
                return None;
            }
            cursor.skip_space();
        }
    }
    let transport = cursor.token();
    (!transport.is_empty() && cursor.peek().is_some_and(value::is_space)).then_some(transport)
}

/// Host and port.
#[inline(always)]
fn sent_by<'a>(cursor: &mut Cursor<'a>) -> Option<(&'a [u8], Option<u16>)> {
    let mut here = *cursor;
    let host = here.take_until_class::<{ value::HOST_END }>();
    let is_name = host.first().is_some_and(|first| *first != b'[');
    let rest = here.rest();
    let (port, behind) = match rest {
        [b':', number @ ..] => value::number_and_rest(number, u32::from(u16::MAX)).unzip(),
        _ => (None, Some(rest)),
    };
    // Usual is a name or an IPv4 address and nothing but digits behind its colon, which thus is the only one.
    let is_usual = is_name && port.is_none_or(|port| !port.clamped) && matches!(behind, Some([] | [b';' | b',', ..]));
    let Some(behind) = behind.filter(|_| is_usual) else {
        return uncommon_sent_by(cursor);
    };
    here.take(rest.len() - behind.len());
    *cursor = here;
    Some((host, port.map(|port| port.value as u16)))
}

/// Host and port in any form.
#[inline(never)]
fn uncommon_sent_by<'a>(cursor: &mut Cursor<'a>) -> Option<(&'a [u8], Option<u16>)> {
    let host = host(cursor)?;
    cursor.skip_space();
    let port = if cursor.eat(b':') { Some(port(cursor)?) } else { None };
    Some((host, port))
}

fn host<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    if cursor.peek() == Some(b'[') {
        let len = memchr::memchr(b']', cursor.rest())? + 1;
        return Some(cursor.take(len));
    }
    let at_host = *cursor;
    let mut host = cursor.take_until_class::<{ value::HOST_END }>();
    if cursor.peek() == Some(b':') && is_colon_of_address(cursor.rest()) {
        *cursor = at_host;
        host = cursor.plain();
    }
    (!host.is_empty()).then_some(host)
}

/// Whether the colon at the front is one of several. An IPv6 address without its brackets is taken with the port that
/// may hang on it: nobody can tell them apart, and every hop sends both back as they are.
fn is_colon_of_address(rest: &[u8]) -> bool {
    rest.iter().skip(1).find(|byte| **byte == b':' || value::ends_value(**byte)) == Some(&b':')
}

fn port(cursor: &mut Cursor<'_>) -> Option<u16> {
    cursor.skip_space();
    let rest = cursor.rest();
    let (number, behind) = value::number_and_rest(rest, u32::from(u16::MAX))?;
    cursor.take(rest.len() - behind.len());
    if number.clamped { None } else { Some(number.value as u16) }
}

fn default_port(transport: &[u8]) -> u16 {
    match transport {
        b"UDP" | b"TCP" => 5060,
        _ if transport.eq_ignore_ascii_case(b"TLS") => 5061,
        _ if transport.eq_ignore_ascii_case(b"WS") => 80,
        _ if transport.eq_ignore_ascii_case(b"WSS") => 443,
        _ => 5060,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::Value;

    fn via(value: &str) -> Option<Via<'_>> {
        parse(&mut Cursor::new(value.as_bytes().into()))
    }

    #[test]
    fn a_via_yields_host_port_and_branch_and_nothing_else() {
        assert_eq!(
            via("SIP/2.0/UDP 192.0.2.1:5062;rport=9;received=[2001:db8::1];branch=z9hG4bKabc;ttl=1"),
            Some(Via { host: b"192.0.2.1", port: 5062, branch: b"z9hG4bKabc" })
        );
    }

    #[test]
    fn white_space_and_folds_may_stand_around_slashes_colon_and_separators() {
        assert_eq!(
            via("sip  /   2.0\r\n /UDP\r\n    Host.example : 5070 ; Branch =\r\n z9hG4bK1 "),
            Some(Via { host: b"Host.example", port: 5070, branch: b"z9hG4bK1" })
        );
        for protocol in ["SIP/2.0/ UDP", "SIP/2.0 /UDP", "SIP/ 2.0/UDP", "SIP /2.0/UDP", "SIP/2.0/\r\n UDP"] {
            let expected = Via { host: b"h", port: 5060, branch: b"b" };
            assert_eq!(via(&format!("{protocol} h;branch=b")), Some(expected), "{protocol}");
        }
    }

    #[test]
    fn the_port_follows_from_the_transport_when_absent() {
        for (transport, port) in [("UDP", 5060), ("tls", 5061), ("Ws", 80), ("WSS", 443), ("SCTP", 5060)] {
            assert_eq!(via(&format!("SIP/2.0/{transport} h")).map(|via| via.port), Some(port), "{transport}");
        }
    }

    #[test]
    fn an_ipv6_host_keeps_its_brackets() {
        let expected = Via { host: b"[2001:DB8::9:1]", port: 5080, branch: b"b" };
        assert_eq!(via("SIP/2.0/TCP [2001:DB8::9:1]:5080;branch=b"), Some(expected));
    }

    #[test]
    fn an_ipv6_host_without_brackets_is_taken_with_its_port() {
        for host in ["fe80:0:0:0:21a:a0ff:fe07:32e0:5060", "2001:db8::1", "::1"] {
            let text = format!("SIP/2.0/UDP {host};branch=b");
            assert_eq!(via(&text), Some(Via { host: host.as_bytes(), port: 5060, branch: b"b" }));
        }
    }

    #[test]
    fn what_is_no_via_is_refused() {
        for wrong in [
            "",
            ",",
            ";branch=b",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0 h",
            "SIP/3.0/UDP h",
            "HTTP/2.0/UDP h",
            "SIP/2.0/ h",
            "SIP/2.0/UDP ;branch=b",
            "SIP/2.0/UDP h:",
            "SIP/2.0/UDP h:65536",
            "SIP/2.0/UDP h:x",
            "SIP/2.0/UDP h x",
            "SIP/2.0/UDP [::1;branch=b",
        ] {
            assert_eq!(via(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_branch_is_unique_only_with_the_cookie_and_something_after_it() {
        for (branch, unique) in [("z9hG4bKx", true), ("Z9HG4BKx", true), ("z9hG4bK", false), ("abcdefgh", false)] {
            assert_eq!(Via { host: b"h", port: 5060, branch: branch.as_bytes() }.unique_branch(), unique, "{branch}");
        }
    }

    proptest! {
        #[test]
        fn a_usual_host_and_port_are_read_as_any_other(value in "[a1\\[\\]:;, \t0-9.-]{0,24}") {
            let (mut usual, mut any) = (Cursor::new(value.as_bytes().into()), Cursor::new(value.as_bytes().into()));
            let (sent_by, expected) = (sent_by(&mut usual), uncommon_sent_by(&mut any));
            prop_assert_eq!(sent_by, expected);
            if expected.is_some() {
                usual.skip_space();
                any.skip_space();
                prop_assert_eq!(usual.rest(), any.rest());
            }
        }

        #[test]
        fn the_usual_form_is_read_as_any_form_is(
            parts in prop::collection::vec(prop::sample::select(vec![
                "SIP/2.0/UDP ", "SIP/2.0/UDP h:5060;branch=", "SIP/2.0/TCP ", "h", "[::1]", "1.2.3.4", ":", "5060", "70000",
                ";branch=", "z9hG4bK1", ";rport", ";rport=", ";received=", ",", " ", "\"", "\r\n ", ";", "SIP/2.0/TLS h",
                "SIP/2.0/UDP h:5060;rport;branch=z", "SIP/2.0/TCP h;rport=1;received=1.2.3.4;branch=z", ";Branch=y", "!",
                ";x", ";branch", ";received=2001:db8:1111:2222:3333:4444:5555:6666", "z9hG4bK-0123456789-0123456789-0123456789-01234",
            ]), 0..8),
        ) {
            let (value, message) = (parts.concat(), parts.concat() + &"\r\nFrom: x".repeat(10));
            let value = Value { bytes: message.as_bytes(), start: 0, end: value.len() };
            let (mut one, mut other) = (Cursor::new(value), Cursor::new(value));
            let expected = super::any(&mut other);
            prop_assert_eq!(parse(&mut one), expected);
            if expected.is_some() {
                prop_assert_eq!(one.rest(), other.rest());
            }
        }

        #[test]
        fn what_follows_a_value_in_the_message_changes_nothing(
            value in "(SIP/2.0/(UDP|TLS) )?[hb]{0,20}(:[0-9]{0,6})?(;(branch|rport|B|\"q,;\")?(=[x\", ]{0,20})?){0,3},?",
            behind in "[\r\n;,:\"=<> a-z]{0,120}",
        ) {
            let message = [value.as_bytes(), behind.as_bytes()].concat();
            let (mut alone, mut within) =
                (Cursor::new(value.as_bytes().into()), Cursor::new(Value { bytes: &message, start: 0, end: value.len() }));
            prop_assert_eq!(parse(&mut alone), parse(&mut within));
            prop_assert_eq!(alone.rest(), within.rest());
        }
    }
}
