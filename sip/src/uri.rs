//! SIP URIs: user part and address-of-record (RFC 3261 §19.1, §10.3).
//!
//! `sip:` and `sips:` are looked into; `tel:` gives its number; every other scheme is opaque.

use std::io::Write;
use std::net::Ipv6Addr;

/// The user part, escapes and parameters in it as sent, without the password. For `tel:` the number without
/// parameters (RFC 3966 §3). `None` when there is none, or the scheme is another.
pub fn user(uri: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = split_scheme(uri)?;
    let user = if is_sip(scheme) {
        let userinfo = &rest[..memchr::memchr(b'@', rest)?];
        &userinfo[..memchr::memchr(b':', userinfo).unwrap_or(userinfo.len())]
    } else if scheme.eq_ignore_ascii_case(b"tel") {
        &rest[..memchr::memchr(b';', rest).unwrap_or(rest.len())]
    } else {
        return None;
    };
    (!user.is_empty()).then_some(user)
}

/// Host and port of a `sip:` or `sips:` URI as sent, an IPv6 host in its brackets; no port when there is none, or
/// none of 1 to 65,535. `None` for another scheme, and without a host.
pub fn host_port(uri: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let (scheme, rest) = split_scheme(uri)?;
    if !is_sip(scheme) {
        return None;
    }
    let host_port = &rest[memchr::memchr(b'@', rest).map_or(0, |at| at + 1)..];
    let host_port = &host_port[..memchr::memchr2(b';', b'?', host_port).unwrap_or(host_port.len())];
    let bracket = if host_port.starts_with(b"[") { memchr::memchr(b']', host_port)? } else { 0 };
    let colon = memchr::memchr(b':', &host_port[bracket..]).map_or(host_port.len(), |colon| bracket + colon);
    let (host, port) = host_port.split_at(colon);
    let port = port.get(1..).and_then(|port| std::str::from_utf8(port).ok()?.parse().ok()).filter(|port| *port != 0);
    (!host.is_empty()).then_some((host, port))
}

/// Appends the address-of-record a URI in To stands for: scheme and host in lower case, the user as sent, IPv6
/// hosts in their shortest form, no URI parameters, no header fields. Of an opaque URI only the scheme changes.
pub fn address_of_record(uri: &[u8], out: &mut Vec<u8>) {
    let Some((scheme, rest)) = split_scheme(uri) else {
        out.extend_from_slice(uri);
        return;
    };
    push_lower(scheme, out);
    out.push(b':');
    if !is_sip(scheme) {
        out.extend_from_slice(rest);
        return;
    }
    let host = memchr::memchr(b'@', rest).map_or(0, |at| at + 1);
    out.extend_from_slice(&rest[..host]);
    let host_port = &rest[host..];
    let end = memchr::memchr2(b';', b'?', host_port).unwrap_or(host_port.len());
    push_host_port(&host_port[..end], out);
}

fn split_scheme(uri: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', uri)?;
    Some((&uri[..colon], &uri[colon + 1..]))
}

fn is_sip(scheme: &[u8]) -> bool {
    scheme.eq_ignore_ascii_case(b"sip") || scheme.eq_ignore_ascii_case(b"sips")
}

fn push_host_port(host_port: &[u8], out: &mut Vec<u8>) {
    if let Some((address, rest)) = ipv6(host_port) {
        // Writing to a Vec cannot fail.
        let _ = write!(out, "[{address}]");
        out.extend_from_slice(rest);
    } else {
        push_lower(host_port, out);
    }
}

/// The bracketed address at the front and what follows it.
fn ipv6(host_port: &[u8]) -> Option<(Ipv6Addr, &[u8])> {
    let bracketed = host_port.strip_prefix(b"[")?;
    let end = memchr::memchr(b']', bracketed)?;
    let address = std::str::from_utf8(&bracketed[..end]).ok()?.parse().ok()?;
    Some((address, &bracketed[end + 1..]))
}

fn push_lower(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend(bytes.iter().map(u8::to_ascii_lowercase));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aor(uri: &str) -> String {
        let mut out = Vec::new();
        address_of_record(uri.as_bytes(), &mut out);
        String::from_utf8(out).expect("tests are text")
    }

    #[test]
    fn the_user_stands_before_the_host_and_without_its_password() {
        assert_eq!(user(b"sip:alice:secret@example.com"), Some(&b"alice"[..]));
        assert_eq!(user(b"SIPS:a;b=c%40@example.com;x=y@z"), Some(&b"a;b=c%40"[..]));
        assert_eq!(user(b"tel:+49301234;phone-context=x"), Some(&b"+49301234"[..]));
        for none in ["sip:example.com", "sip:@example.com", "mailto:a@b", "alice", "", "tel:;x"] {
            assert_eq!(user(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn host_and_port_stand_behind_the_user() {
        assert_eq!(host_port(b"sip:alice:x@Example.com:5070;a=b:9"), Some((&b"Example.com"[..], Some(5070))));
        assert_eq!(host_port(b"sips:[2001:db8::1]:5061?x=y"), Some((&b"[2001:db8::1]"[..], Some(5061))));
        assert_eq!(host_port(b"sip:[2001:db8::1]"), Some((&b"[2001:db8::1]"[..], None)));
        for port in ["0", "65536", "x", ""] {
            assert_eq!(host_port(format!("sip:h:{port}").as_bytes()), Some((&b"h"[..], None)), "{port}");
        }
        for none in ["tel:+49301234", "sip:", "sip:alice@", "sip:[2001:db8::1", "host"] {
            assert_eq!(host_port(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn the_address_of_record_has_scheme_and_host_in_lower_case_and_no_parameters() {
        assert_eq!(aor("SIP:Alice@Example.COM:5060;transport=TCP?x=y"), "sip:Alice@example.com:5060");
        assert_eq!(aor("sips:Registrar.Example;lr"), "sips:registrar.example");
        assert_eq!(aor("sip:a;b?c@H"), "sip:a;b?c@h");
    }

    #[test]
    fn ipv6_hosts_of_one_address_give_one_address_of_record() {
        assert_eq!(aor("sip:a@[2001:DB8:0::1]:5070;x"), "sip:a@[2001:db8::1]:5070");
        assert_eq!(aor("sip:a@[not::an::address]"), "sip:a@[not::an::address]");
    }

    #[test]
    fn opaque_uris_keep_everything_but_the_case_of_their_scheme() {
        assert_eq!(aor("TEL:+1-201;Ext=A"), "tel:+1-201;Ext=A");
        assert_eq!(aor("nobodyKnowsThisScheme:x@Y"), "nobodyknowsthisscheme:x@Y");
        assert_eq!(aor("No Scheme"), "No Scheme");
    }
}
