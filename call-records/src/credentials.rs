//! What nobody needs to see of a message: what proves who somebody is, and keys of media.
//!
//! A message in, the same with `***` for each secret out: responses and nonces of Authorization, Proxy-Authorization and what
//! they answer (RFC 3261 §20.7, §20.27, §22; RFC 8760), Identity (RFC 8224), passwords in URIs (RFC 3261 §19.1.1), keys of
//! SRTP and ICE in session descriptions (RFC 4568 §9.1, RFC 4567, RFC 8839 §5.4, RFC 8866 §5.12). Looked for line by line
//! wherever they stand, in bodies of any type too: a message may be carried in another one.

/// The message without secrets.
pub fn blanked(message: &[u8]) -> Box<[u8]> {
    let mut out = Vec::with_capacity(message.len());
    let mut rest = message;
    while !rest.is_empty() {
        let mut lines = Lines(rest);
        let mut len = lines.next().map_or(0, <[u8]>::len);
        // Folds belong to the line above (RFC 3261 §7.3.1).
        while lines.0.first().is_some_and(|byte| is_blank(*byte)) {
            len += lines.next().map_or(0, <[u8]>::len);
        }
        let (field, after) = rest.split_at(len);
        put_field(field, &mut out);
        rest = after;
    }
    out.into()
}

/// A field with its folds, or any other line.
fn put_field(field: &[u8], out: &mut Vec<u8>) {
    let colon = field.iter().position(|byte| *byte == b':').unwrap_or(0);
    let name = field[..colon].trim_ascii();
    let is = |names: &[&str]| names.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name));
    if is(&CREDENTIALS) || is(&INFO) {
        let (value, end) = without_end(field);
        out.extend_from_slice(&value[..=colon]);
        put_credentials(&value[colon + 1..], is(&INFO), out);
        out.extend_from_slice(end);
    } else if is(&TOKENS) {
        let (_, end) = without_end(field);
        out.extend_from_slice(&field[..=colon]);
        out.extend_from_slice(b" ***");
        out.extend_from_slice(end);
    } else {
        Lines(field).for_each(|line| put_line(line, out));
    }
}

/// The value of a field with credentials or a challenge: its scheme, unless it is `bare` of one, and the parameters that are
/// no secret. Of any scheme but Digest nobody knows which these are.
fn put_credentials(value: &[u8], bare: bool, out: &mut Vec<u8>) {
    let is_space = |byte: u8| is_blank(byte) || is_end(byte);
    let start = value.iter().position(|byte| !is_space(*byte)).unwrap_or(value.len());
    let scheme = value[start..].iter().position(|byte| is_space(*byte)).map_or(value.len(), |len| start + len);
    let mut at = if bare { 0 } else { scheme };
    out.extend_from_slice(&value[..at]);
    if !bare && !value[start..scheme].eq_ignore_ascii_case(b"Digest") {
        return out.extend_from_slice(if start < value.len() { b" ***" } else { b"" });
    }
    loop {
        let from = at;
        while value.get(at).is_some_and(|byte| is_space(*byte) || *byte == b',') {
            at += 1;
        }
        out.extend_from_slice(&value[from..at]);
        if at == value.len() {
            return;
        }
        let name = at;
        while value.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte)) {
            at += 1;
        }
        let name = &value[name..at];
        let equals = value[at..].iter().take_while(|byte| is_space(**byte)).count() + at;
        if name.is_empty() || value.get(equals) != Some(&b'=') {
            // Not of the form: nobody knows what it is.
            return out.extend_from_slice(b"***");
        }
        let from = value[equals + 1..].iter().take_while(|byte| is_space(**byte)).count() + equals + 1;
        at = value_end(value, from);
        out.extend_from_slice(name);
        out.push(b'=');
        let shown = &value[from..at];
        // A quote that nobody closes has the rest of the field in it.
        let is_whole = shown.first() != Some(&b'"') || shown.len() > 1 && shown.ends_with(b"\"");
        if is_whole && SHOWN.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name)) {
            put_without_passwords(shown, out);
        } else {
            out.extend_from_slice(b"***");
        }
    }
}

/// Where the value of a parameter ends that begins at `from`: a quoted string, or all up to a comma or blank.
fn value_end(value: &[u8], from: usize) -> usize {
    if value.get(from) != Some(&b'"') {
        let ends = |byte: &u8| *byte == b',' || is_blank(*byte) || is_end(*byte);
        return value[from..].iter().position(ends).map_or(value.len(), |len| from + len);
    }
    let mut at = from + 1;
    while let Some(byte) = value.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    value.len()
}

/// One line that is no field with credentials.
fn put_line(line: &[u8], out: &mut Vec<u8>) {
    let (text, end) = without_end(line);
    let blanks = text.iter().take_while(|byte| is_blank(**byte)).count();
    let is =
        |name: &&str| text[blanks..].get(..name.len()).is_some_and(|text| text.eq_ignore_ascii_case(name.as_bytes()));
    if let Some(name) = KEYS.iter().find(|name| is(name)) {
        out.extend_from_slice(&text[..blanks + name.len()]);
        out.extend_from_slice(b"***");
    } else if is(&CRYPTO) {
        // Its tag and suite say what was agreed on, the key is behind them.
        let shown = text[blanks..].split_inclusive(|byte| is_blank(*byte)).take(2).map(<[u8]>::len).sum::<usize>();
        out.extend_from_slice(&text[..blanks + shown]);
        if blanks + shown < text.len() {
            out.extend_from_slice(b"***");
        }
    } else {
        put_without_passwords(text, out);
    }
    out.extend_from_slice(end);
}

/// `sip:user:password@host` without its password.
fn put_without_passwords(text: &[u8], out: &mut Vec<u8>) {
    let (mut done, mut end) = (0, 0);
    for (at, _) in text.iter().enumerate().filter(|(_, byte)| **byte == b':') {
        let before = &text[..at];
        let is_scheme = ["sip", "sips"].iter().any(|scheme| {
            let start = before.len().checked_sub(scheme.len());
            start.is_some_and(|start| {
                let stands_alone = start == 0 || !text[start - 1].is_ascii_alphanumeric();
                stands_alone && before[start..].eq_ignore_ascii_case(scheme.as_bytes())
            })
        });
        if at < done || !is_scheme {
            continue;
        }
        if end <= at {
            // Found once for all schemes before it: a line may be nothing but schemes.
            let behind = text[at + 1..].iter().position(|byte| b"@<>\" \t".contains(byte));
            end = behind.map_or(text.len(), |len| at + 1 + len);
        }
        if text.get(end) != Some(&b'@') {
            continue;
        }
        if let Some(colon) = text[at + 1..end].iter().position(|byte| *byte == b':') {
            out.extend_from_slice(&text[done..at + 1 + colon + 1]);
            out.extend_from_slice(b"***");
            done = end;
        }
    }
    out.extend_from_slice(&text[done..]);
}

/// Lines with their ends: CRLF, LF or CR.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let end = memchr::memchr2(b'\r', b'\n', self.0).map_or(self.0.len(), |end| {
            let pair = self.0[end..].starts_with(b"\r\n");
            end + if pair { 2 } else { 1 }
        });
        let (line, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(line)
    }
}

fn without_end(line: &[u8]) -> (&[u8], &[u8]) {
    let ends = line.iter().rev().take_while(|byte| is_end(**byte)).count();
    line.split_at(line.len() - ends)
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

const fn is_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// Fields with credentials, and with what they are made from.
const CREDENTIALS: [&str; 4] = ["Authorization", "Proxy-Authorization", "WWW-Authenticate", "Proxy-Authenticate"];
/// Those of these that have no scheme.
const INFO: [&str; 2] = ["Authentication-Info", "Proxy-Authentication-Info"];
/// Fields that are a token as a whole: Identity and its compact form.
const TOKENS: [&str; 2] = ["Identity", "y"];
/// Their parameters that are no secret.
const SHOWN: [&str; 8] = ["username", "realm", "uri", "algorithm", "qop", "nc", "stale", "domain"];
/// What stands before a key in a session description.
const KEYS: [&str; 3] = ["a=ice-pwd:", "a=key-mgmt:", "k="];
/// What stands before tag, suite and key.
const CRYPTO: &str = "a=crypto:";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(message: &str) -> String {
        String::from_utf8(blanked(message.as_bytes()).into()).expect("it was text")
    }

    #[test]
    fn credentials_keep_who_and_where_and_lose_what_proves_it() {
        let digest = "Proxy-Authorization : Digest username=\"bob\", realm=\"a, \\\"b\\\"\", nonce=\"84a4\",\r\n uri=\"sip:x\", \
                      response = 7587 ,cnonce=\"0a\", nc=00000001, qop=auth, opaque=\"5c\"\r\nVia: x\r\n";
        let expected = "Proxy-Authorization : Digest username=\"bob\", realm=\"a, \\\"b\\\"\", nonce=***,\r\n uri=\"sip:x\", \
                        response=*** ,cnonce=***, nc=00000001, qop=auth, opaque=***\r\nVia: x\r\n";
        assert_eq!(shown(digest), expected);
        for (field, expected) in [
            ("AUTHORIZATION: Basic YWxhZGRpbjpvcGVu\r\n", "AUTHORIZATION: Basic ***\r\n"),
            ("Authorization: Bearer a.b.c=\n", "Authorization: Bearer ***\n"),
            ("Authorization:\r\n Digest\r\n response=\"1\"\r\n", "Authorization:\r\n Digest\r\n response=***\r\n"),
            ("Authorization: Digest response=\"1\r\n", "Authorization: Digest response=***\r\n"),
            (
                "WWW-Authenticate: Digest realm=\"r\",nonce=\"n\",stale=TRUE\r\n",
                "WWW-Authenticate: Digest realm=\"r\",nonce=***,stale=TRUE\r\n",
            ),
            ("Authentication-Info: rspauth=\"1\", qop=auth\r\n", "Authentication-Info: rspauth=***, qop=auth\r\n"),
            ("Proxy-Authentication-Info: rspauth=\"1\"\r\n", "Proxy-Authentication-Info: rspauth=***\r\n"),
            ("Authorization: Digest uri=\"sip:bob:pw@h\"\r\n", "Authorization: Digest uri=\"sip:bob:***@h\"\r\n"),
            ("Authorization: Digest username=\"bob, response=1\r\n", "Authorization: Digest username=***\r\n"),
            ("Identity: eyJ.eyJ.sig;info=<https://x>\r\n", "Identity: ***\r\n"),
            ("y:abc\r\n def\r\n", "y: ***\r\n"),
            ("Authorization: \r\nTo: x\r\n", "Authorization: \r\nTo: x\r\n"),
        ] {
            assert_eq!(shown(field), expected);
        }
    }

    #[test]
    fn keys_of_media_are_no_part_of_a_description() {
        let sdp = "v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20\r\n\
                   a=ICE-PWD:secret\na=ice-ufrag:8hhY\r a=crypto:2 X inline:key\rk=base64:abc\r\na=key-mgmt:mikey AQAF\r\na=sendrecv";
        let expected = "v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 ***\r\n\
                        a=ICE-PWD:***\na=ice-ufrag:8hhY\r a=crypto:2 X ***\rk=***\r\na=key-mgmt:***\r\na=sendrecv";
        assert_eq!(shown(sdp), expected);
    }

    #[test]
    fn a_uri_has_no_password() {
        for (text, expected) in [
            ("INVITE sip:bob:secret@example.net SIP/2.0\r\n", "INVITE sip:bob:***@example.net SIP/2.0\r\n"),
            ("To: <SIPS:a:b:c@h>, <sip:d:e@h>\r\n", "To: <SIPS:a:***@h>, <sip:d:***@h>\r\n"),
            ("To: <sip:192.0.2.1:5060>;x=a@b\r\n", "To: <sip:192.0.2.1:5060>;x=a@b\r\n"),
            ("To: gossip:a:b@c\r\n", "To: gossip:a:b@c\r\n"),
            ("X: sip:sip:sip:a@h sip:b:c@d\r\n", "X: sip:sip:***@h sip:b:***@d\r\n"),
            ("X: sip:sip:a\r\n", "X: sip:sip:a\r\n"),
            ("To: <sip:bob@h:5060>\r\n", "To: <sip:bob@h:5060>\r\n"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    proptest! {
        #[test]
        fn what_has_no_secret_stays_as_it_is(message in "[a-zA-Z0-9 \t\r\n@=,\"<>;]{0,200}") {
            // No colon, so no field, no attribute, no URI.
            prop_assume!(!message.to_lowercase().contains("k="));
            prop_assert_eq!(&shown(&message), &message);
        }

        #[test]
        fn no_bytes_are_too_odd(message in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut field = b"Authorization: Digest ".to_vec();
            field.extend(&message);
            blanked(&message);
            blanked(&field);
        }

        #[test]
        fn no_response_is_left(before in "[a-z]{0,5}", secret in "[0-9]{8,32}", quoted in any::<bool>()) {
            let quote = if quoted { "\"" } else { "" };
            let message = format!("Authorization: Digest {before}=\"1\", response={quote}{secret}{quote}, x={secret}\r\n");
            prop_assert!(!shown(&message).contains(&secret));
        }
    }
}
