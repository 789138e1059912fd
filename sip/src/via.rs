//! Via: what a hop put on top of a request (RFC 3261 §8.1.1.7, §20.42).
//!
//! Only sent-by and branch are read; `received`, `rport`, `maddr`, `ttl` are rewritten on the way.

use crate::value::{self, Cursor};

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
    /// Whether the branch is unique to one transaction: the cookie `z9hG4bK` of an RFC 3261 sender, in any
    /// case, and something after it (§8.1.1.7).
    pub fn unique_branch(&self) -> bool {
        const COOKIE: &[u8] = b"z9hG4bK";
        self.branch.len() > COOKIE.len() && self.branch[..COOKIE.len()].eq_ignore_ascii_case(COOKIE)
    }
}

/// Reads the element at hand up to its comma or the end of the value; `None` when it is no Via.
#[inline]
pub(crate) fn parse<'a>(cursor: &mut Cursor<'a>) -> Option<Via<'a>> {
    cursor.skip_space();
    if cursor.rest().starts_with(b"SIP/2.0/") {
        cursor.take(8);
    } else {
        protocol(cursor)?;
    }
    let transport = cursor.token();
    if transport.is_empty() || !cursor.peek().is_some_and(value::is_space) {
        return None;
    }
    cursor.skip_space();
    let host = host(cursor)?;
    cursor.skip_space();
    let port = if cursor.eat(b':') { port(cursor)? } else { default_port(transport) };
    cursor.skip_space();
    if !matches!(cursor.peek(), None | Some(b';' | b',')) {
        return None;
    }
    let mut branch: &[u8] = b"";
    while let Some(param) = cursor.param() {
        if branch.is_empty() && param.is(b"branch") {
            branch = param.value;
        }
    }
    Some(Via { host, port, branch })
}

/// `SIP / 2.0 /`, in any case, with white space around the slashes.
fn protocol(cursor: &mut Cursor<'_>) -> Option<()> {
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
    Some(())
}

fn host<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let rest = cursor.rest();
    let len = if rest.first() == Some(&b'[') { memchr::memchr(b']', rest)? + 1 } else { bare_host_len(rest) };
    let host = cursor.take(len);
    (!host.is_empty()).then_some(host)
}

/// An IPv6 address without its brackets is taken with the port that may hang on it: nobody can tell them apart, and
/// every hop sends both back as they are.
fn bare_host_len(rest: &[u8]) -> usize {
    let len = value::span_until(value::HOST_END, rest);
    if rest.get(len) != Some(&b':') {
        return len;
    }
    let whole = value::span_until(value::VALUE_END, rest);
    if rest[len + 1..whole].contains(&b':') { whole } else { len }
}

fn port(cursor: &mut Cursor<'_>) -> Option<u16> {
    cursor.skip_space();
    let digits = cursor.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = value::number(cursor.take(digits), u32::from(u16::MAX))?;
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
    use super::*;

    fn via(value: &str) -> Option<Via<'_>> {
        parse(&mut Cursor::new(value.as_bytes()))
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
}
