//! Header fields: which is which, and what of its value stays (RFC 3261 §20, and the registry "SIP Parameters").
//!
//! A field that is on no list has a name that says nothing and a value that only tells whether it is the same as another one.

use sip::Message;

use crate::Anonymizer;
use crate::body::Body;
use crate::text::{Mode, number, run};
use crate::vocabulary::{Words as Known, is_one_of};

impl Anonymizer {
    pub(crate) fn put_fields(&mut self, message: &Message<'_>, body: &Body, out: &mut Vec<u8>) {
        let mut has_length = false;
        for (name, value) in message.fields() {
            let value = &*unfolded(value);
            let is = |list: &str| is_one_of(list, name);
            if is("Content-Length l") {
                if !has_length {
                    put_named(name, out, |out| out.extend_from_slice(body.bytes.len().to_string().as_bytes()));
                }
                has_length = true;
            } else if is("Date Timestamp") {
                // When it was is known by the capture; what a clock says beside tells whose it is.
            } else if is("Via v") {
                put_named(name, out, |out| self.put_via(value, out));
            } else if is("CSeq") {
                put_named(name, out, |out| self.put_cseq(message, value, out));
            } else if is("RAck") {
                let first = run(value, |byte| byte.is_ascii_digit());
                put_named(name, out, |out| {
                    self.put_short(first, out);
                    out.push(b' ');
                    self.put_cseq(message, value[first.len()..].trim_ascii(), out);
                });
            } else if is("RSeq") {
                put_named(name, out, |out| self.put_short(value, out));
            } else if is(SECONDS) {
                put_named(name, out, |out| self.put_seconds(value, out));
            } else if is("Content-Type c") && body.content_type.is_some() {
                let content_type = body.content_type.unwrap_or_default();
                put_named(name, out, |out| out.extend_from_slice(content_type.as_bytes()));
            } else if is(CREDENTIALS) {
                put_named(name, out, |out| self.put_credentials(value, out));
            } else if is("Call-ID i In-Reply-To") {
                put_named(name, out, |out| self.put(value, Mode::Free, out));
            } else if is("traceparent") {
                put_named(name, out, |out| self.put_trace_parent(value, out));
            } else if is(ADDRESSES) {
                put_named(name, out, |out| self.put(value, Mode::Parameters, out));
            } else if is(ABILITIES) {
                put_named(name, out, |out| self.put(value, Mode::Known(Known::Abilities), out));
            } else if is(REASONS) {
                put_named(name, out, |out| self.put(value, Mode::Known(Known::Phrases), out));
            } else if is("User-Agent Server") {
                put_named(name, out, |out| self.put(value, Mode::Known(Known::Products), out));
            } else {
                out.extend_from_slice(b"X-");
                self.put_token(b"name", &name.to_ascii_lowercase(), out);
                out.extend_from_slice(b": ");
                if !value.is_empty() {
                    self.put_token(b"value", value, out);
                }
                out.extend_from_slice(b"\r\n");
            }
        }
    }

    fn put_via(&mut self, value: &[u8], out: &mut Vec<u8>) {
        for (at, via) in split_list(value).into_iter().enumerate() {
            out.extend_from_slice(if at == 0 { b"" } else { b", " });
            let via = via.trim_ascii();
            let (protocol, rest) = protocol(via);
            match protocol {
                Some(transport) => {
                    out.extend_from_slice(b"SIP/2.0/");
                    out.extend_from_slice(transport);
                    out.push(b' ');
                    let (host, port, rest) = sent_by(rest);
                    self.put(host, Mode::Parameters, out);
                    if let Some(port) = port {
                        out.extend_from_slice(format!(":{}", self.ports.port(port)).as_bytes());
                    }
                    self.put(rest, Mode::Parameters, out);
                }
                None => self.put(via, Mode::Parameters, out),
            }
        }
    }

    fn put_cseq(&mut self, message: &Message<'_>, value: &[u8], out: &mut Vec<u8>) {
        let digits = run(value, |byte| byte.is_ascii_digit());
        match number(digits).and_then(|number| u32::try_from(number).ok()) {
            Some(number) => {
                let shown = self.sequences.number(message, number);
                out.extend_from_slice(shown.to_string().as_bytes());
            }
            None => self.put(digits, Mode::Free, out),
        }
        out.push(b' ');
        self.put_method(value[digits.len()..].trim_ascii(), out);
    }

    /// The scheme stays if it is Digest; its parameters are told apart by what they are.
    fn put_credentials(&mut self, value: &[u8], out: &mut Vec<u8>) {
        let scheme = run(value, |byte| !byte.is_ascii_whitespace());
        if !scheme.eq_ignore_ascii_case(b"Digest") {
            return out.extend_from_slice(b"***");
        }
        out.extend_from_slice(b"Digest");
        for (at, parameter) in split_list(&value[scheme.len()..]).into_iter().enumerate() {
            out.extend_from_slice(if at == 0 { b" " } else { b", " });
            // As if it stood behind a semicolon: that a name comes is known here.
            let mut made = Vec::new();
            self.put(&[b";", parameter.trim_ascii()].concat(), Mode::Parameters, &mut made);
            out.extend_from_slice(&made[1..]);
        }
    }

    /// W3C Trace Context: version and flags stay.
    fn put_trace_parent(&mut self, value: &[u8], out: &mut Vec<u8>) {
        let parts: Vec<&[u8]> = value.split(|byte| *byte == b'-').collect();
        let [version, trace, span, flags] = parts[..] else { return self.put(value, Mode::Free, out) };
        let is_hex = |part: &[u8]| part.len() == 2 && part.iter().all(u8::is_ascii_hexdigit);
        if !is_hex(version) || !is_hex(flags) || trace.len() != 32 || span.len() != 16 {
            return self.put(value, Mode::Free, out);
        }
        for (at, part) in [version, trace, span, flags].into_iter().enumerate() {
            out.extend_from_slice(if at == 0 { b"" } else { b"-" });
            if part.len() == 2 { out.extend_from_slice(part) } else { self.put(part, Mode::Free, out) }
        }
    }

    /// A word that is the same for the same bytes, and says nothing else.
    fn put_token(&self, tag: &[u8], bytes: &[u8], out: &mut Vec<u8>) {
        let made = self.words.token(tag, bytes);
        out.extend(made.iter().take(TOKEN).map(|byte| b'a' + byte % 26));
    }
}

fn put_named(name: &[u8], out: &mut Vec<u8>, value: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    value(out);
    out.extend_from_slice(b"\r\n");
}

/// A value on one line (RFC 3261 §7.3.1).
fn unfolded(value: &[u8]) -> Vec<u8> {
    value.iter().map(|byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }).collect()
}

/// The elements of a list, at commas outside of quotes and brackets.
fn split_list(value: &[u8]) -> Vec<&[u8]> {
    let (mut quoted, mut escaped, mut depth) = (false, false, 0_u32);
    value
        .split(|byte| {
            let was_escaped = std::mem::take(&mut escaped);
            match byte {
                b'\\' if quoted && !was_escaped => escaped = true,
                b'"' if !was_escaped => quoted = !quoted,
                b'<' if !quoted => depth += 1,
                b'>' if !quoted => depth = depth.saturating_sub(1),
                b',' => return !quoted && depth == 0,
                _ => {}
            }
            false
        })
        .collect()
}

/// The transport of a Via, if it is one that is known, and what stands behind it.
fn protocol(via: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let mut rest = via;
    let mut words = [&b""[..]; 3];
    for (at, word) in words.iter_mut().enumerate() {
        rest = rest.trim_ascii_start();
        if at > 0 {
            let Some(behind) = rest.strip_prefix(b"/") else { return (None, via) };
            rest = behind.trim_ascii_start();
        }
        *word = run(rest, |byte| !byte.is_ascii_whitespace() && byte != b'/');
        rest = &rest[word.len()..];
    }
    let is_known = words[0].eq_ignore_ascii_case(b"SIP") && words[1] == b"2.0" && is_one_of(TRANSPORTS, words[2]);
    if is_known { (Some(words[2]), rest.trim_ascii_start()) } else { (None, via) }
}

/// Host and port of a Via, and what stands behind them. Whatever a host is made of, the digits behind its only colon are the
/// port; without such digits everything is behind.
fn sent_by(text: &[u8]) -> (&[u8], Option<u16>, &[u8]) {
    let bracket = if text.starts_with(b"[") { text.iter().position(|byte| *byte == b']').unwrap_or(0) } else { 0 };
    let host = bracket + run(&text[bracket..], |byte| byte != b':' && byte != b';').len();
    let port = text[host..].strip_prefix(b":").map(<[u8]>::trim_ascii_start).and_then(|behind| {
        let (digits, rest) = behind.split_at(run(behind, |byte| byte.is_ascii_digit()).len());
        // With a second colon this is an IPv6 address without its brackets, which is found as such.
        let is_only = !run(rest, |byte| byte != b';').contains(&b':');
        is_only.then_some((u16::try_from(number(digits)?).ok()?, rest))
    });
    match port {
        Some((port, rest)) => (&text[..host], Some(port), rest),
        None => (text, None, b""),
    }
}

/// Letters of a word that stands for a name or value.
const TOKEN: usize = 10;
const TRANSPORTS: &str = "UDP TCP TLS SCTP WS WSS TLS-SCTP DTLS-UDP";
const SECONDS: &str = "Expires Session-Expires x Min-Expires Min-SE Retry-After Max-Forwards MIME-Version";
const CREDENTIALS: &str = "Authorization Proxy-Authorization WWW-Authenticate Proxy-Authenticate Authentication-Info \
    Proxy-Authentication-Info";
const ADDRESSES: &str = "From f To t Contact m Route Record-Route Path Service-Route P-Asserted-Identity \
    P-Preferred-Identity Remote-Party-ID Diversion History-Info Refer-To r Referred-By b Reply-To P-Called-Party-ID \
    P-Associated-URI Alert-Info Call-Info Replaces Join Target-Dialog Session-ID P-Charging-Vector Refer-Sub \
    P-Access-Network-Info P-Visited-Network-ID";
const REASONS: &str = "Reason Warning Subscription-State";
const ABILITIES: &str = "Allow Supported k Require Proxy-Require Unsupported Accept Accept-Encoding Accept-Language \
    Allow-Events u Event o Content-Type c Content-Disposition Content-Encoding e Privacy Priority Answer-Mode \
    Request-Disposition d Recv-Info Info-Package P-Early-Media";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_via_in_any_form_keeps_its_transport() {
        assert_eq!(protocol(b"SIP/2.0/UDP host;x"), (Some(&b"UDP"[..]), &b"host;x"[..]));
        assert_eq!(protocol(b"SIP / 2.0 / tcp  host"), (Some(&b"tcp"[..]), &b"host"[..]));
        assert_eq!(protocol(b"SIP/2.0/BOB host"), (None, &b"SIP/2.0/BOB host"[..]));
        assert_eq!(protocol(b"host"), (None, &b"host"[..]));
    }

    #[test]
    fn the_port_of_a_via_is_behind_the_only_colon_of_any_host() {
        assert_eq!(sent_by(b"host:5060;x"), (&b"host"[..], Some(5060), &b";x"[..]));
        assert_eq!(sent_by(b"\\:54321"), (&b"\\"[..], Some(54321), &b""[..]));
        assert_eq!(sent_by(b"[2001:db8::1] : 5060"), (&b"[2001:db8::1] "[..], Some(5060), &b""[..]));
        assert_eq!(sent_by(b"[2001:db8::1]:\t5060;x"), (&b"[2001:db8::1]"[..], Some(5060), &b";x"[..]));
        for whole in [&b"2001:db8::1"[..], b"host:65536", b"host:x", b"host;x=a:1"] {
            assert_eq!(sent_by(whole), (whole, None, &b""[..]));
        }
    }

    #[test]
    fn lists_are_parted_outside_of_quotes() {
        assert_eq!(split_list(b"a,\"b,\\\",c\",<d,e>"), [&b"a"[..], b"\"b,\\\",c\"", b"<d,e>"]);
    }
}
