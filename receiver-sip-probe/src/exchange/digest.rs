//! Digest: the challenges of a 401 or 407 in, one header of credentials out (RFC 3261 §22, RFC 7616, RFC 8760).
//!
//! The topmost challenge that can be answered is (RFC 8760 §2.4): MD5, SHA-256 and SHA-512-256, each with `-sess` too,
//! `qop=auth` or none. Pure.

use md5::Md5;
use sha2::digest::Digest;
use sha2::{Sha256, Sha512_256};

/// Who probes, where a target asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User.
    pub username: String,
    /// Password. Never shown.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// How to answer a final response that asks who this is: the headers of its challenges, and of the answer.
pub(super) const fn headers(status: u16) -> Option<(&'static str, &'static str)> {
    match status {
        401 => Some(("WWW-Authenticate", "Authorization")),
        407 => Some(("Proxy-Authenticate", "Proxy-Authorization")),
        _ => None,
    }
}

/// The value of the header that answers the first of `challenges` that can be answered; `None` if none can.
pub(super) fn answer<'a>(
    challenges: impl Iterator<Item = &'a [u8]>,
    credentials: &Credentials,
    uri: &str,
    cnonce: u64,
) -> Option<String> {
    challenges.filter_map(Challenge::read).next().map(|challenge| challenge.answer(credentials, uri, cnonce))
}

/// A hash algorithm.
#[derive(Clone, Copy)]
enum Algorithm {
    Md5,
    Sha256,
    Sha512Part,
}

impl Algorithm {
    fn hash(self, text: &str) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self {
            Self::Md5 => hex(&Md5::digest(text)),
            Self::Sha256 => hex(&Sha256::digest(text)),
            Self::Sha512Part => hex(&Sha512_256::digest(text)),
        }
    }
}

/// A challenge that can be answered.
struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// As it was written, with how it is computed.
    algorithm: Option<String>,
    hash: Algorithm,
    session: bool,
    /// `auth` was offered.
    qop: bool,
}

impl Challenge {
    fn read(value: &[u8]) -> Option<Self> {
        let value = std::str::from_utf8(value).ok()?.trim_start();
        let (scheme, rest) = value.split_at_checked("Digest".len())?;
        if !scheme.eq_ignore_ascii_case("Digest") || !rest.starts_with([' ', '\t', '\r', '\n']) {
            return None;
        }
        let [mut realm, mut nonce, mut opaque, mut algorithm, mut qop] = [const { None }; 5];
        for (name, value) in Parameters(rest) {
            let slot = match name.to_ascii_lowercase().as_str() {
                "realm" => &mut realm,
                "nonce" => &mut nonce,
                "opaque" => &mut opaque,
                "algorithm" => &mut algorithm,
                "qop" => &mut qop,
                _ => continue,
            };
            slot.get_or_insert(value);
        }
        let (hash, session) = match algorithm.as_deref().unwrap_or("MD5").to_ascii_uppercase().as_str() {
            "MD5" => (Algorithm::Md5, false),
            "MD5-SESS" => (Algorithm::Md5, true),
            "SHA-256" => (Algorithm::Sha256, false),
            "SHA-256-SESS" => (Algorithm::Sha256, true),
            "SHA-512-256" => (Algorithm::Sha512Part, false),
            "SHA-512-256-SESS" => (Algorithm::Sha512Part, true),
            _ => return None,
        };
        let offered =
            qop.as_deref().map(|offered| offered.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth")));
        // Integrity of the body alone is offered: there is no body, and nobody does.
        if offered == Some(false) {
            return None;
        }
        Some(Self { realm: realm?, nonce: nonce?, opaque, algorithm, hash, session, qop: offered.is_some() })
    }

    fn answer(&self, Credentials { username, password }: &Credentials, uri: &str, cnonce: u64) -> String {
        /// The nonce is used once.
        const COUNT: &str = "00000001";
        let Self { realm, nonce, hash, .. } = self;
        let cnonce = format!("{cnonce:016x}");
        let mut first = hash.hash(&format!("{username}:{realm}:{password}"));
        if self.session {
            first = hash.hash(&format!("{first}:{nonce}:{cnonce}"));
        }
        let second = hash.hash(&format!("OPTIONS:{uri}"));
        let response = match self.qop {
            true => hash.hash(&format!("{first}:{nonce}:{COUNT}:{cnonce}:auth:{second}")),
            false => hash.hash(&format!("{first}:{nonce}:{second}")),
        };
        let [username, realm, nonce] = [username, realm, nonce].map(|text| quoted(text));
        let mut text =
            format!("Digest username={username},realm={realm},nonce={nonce},uri=\"{uri}\",response=\"{response}\"");
        if let Some(algorithm) = &self.algorithm {
            text += &format!(",algorithm={algorithm}");
        }
        if self.qop {
            text += &format!(",qop=auth,nc={COUNT},cnonce=\"{cnonce}\"");
        } else if self.session {
            text += &format!(",cnonce=\"{cnonce}\"");
        }
        if let Some(opaque) = &self.opaque {
            text += &format!(",opaque={}", quoted(opaque));
        }
        text
    }
}

/// A quoted string (RFC 3261 §25.1). Line ends of a folded challenge do not come back.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\r' | '\n' | '\0' => {}
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// `name=value` or `name="value"`, between commas. Ends where something else stands.
struct Parameters<'a>(&'a str);

impl<'a> Iterator for Parameters<'a> {
    type Item = (&'a str, String);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0.trim_start_matches([' ', '\t', '\r', '\n', ',']);
        let (name, rest) = rest.split_once('=')?;
        let rest = rest.trim_start();
        let Some(quoted) = rest.strip_prefix('"') else {
            let end = rest.find(',').unwrap_or(rest.len());
            self.0 = &rest[end..];
            let value = rest[..end].trim();
            // It goes into a header as it stands.
            let is_token = |c: char| c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(c);
            return (!value.is_empty() && value.chars().all(is_token)).then(|| (name.trim_end(), value.to_owned()));
        };
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        loop {
            match characters.next()? {
                (end, '"') => {
                    self.0 = &quoted[end + 1..];
                    return Some((name.trim_end(), value));
                }
                (_, '\\') => value.push(characters.next()?.1),
                (_, c) => value.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mufasa() -> Credentials {
        Credentials { username: "Mufasa".to_owned(), password: "Circle of Life".to_owned() }
    }

    fn respond(challenges: &[&str], uri: &str) -> Option<String> {
        answer(challenges.iter().map(|text| text.as_bytes()), &mufasa(), uri, 0)
    }

    fn response(header: &str) -> &str {
        header.split("response=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("there is one")
    }

    /// What any shell computes: `printf %s "…" | md5sum`.
    #[test]
    fn each_algorithm_is_computed_as_rfc_7616_says() {
        let challenge = |rest: &str| format!("Digest realm=\"r\", nonce=\"n\"{rest}");
        let first = |hash: Algorithm| hash.hash("Mufasa:r:Circle of Life");
        let second = |hash: Algorithm| hash.hash("OPTIONS:sip:x");
        assert_eq!(Algorithm::Md5.hash("a"), "0cc175b9c0f1b6a831c399e269772661");
        assert_eq!(Algorithm::Sha256.hash("a"), "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb");
        assert_eq!(
            Algorithm::Sha512Part.hash("abc"),
            "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"
        );
        for (name, hash) in
            [("MD5", Algorithm::Md5), ("SHA-256", Algorithm::Sha256), ("SHA-512-256", Algorithm::Sha512Part)]
        {
            let plain = respond(&[&challenge(&format!(", algorithm={name}"))], "sip:x").expect("it can be answered");
            let expected = hash.hash(&format!("{}:n:{}", first(hash), second(hash)));
            assert_eq!(response(&plain), expected, "{name}");
            assert!(plain.contains(&format!(",algorithm={name}")) && !plain.contains("qop"));

            let header = format!(", qop=\"auth-int, auth\", opaque=\"o\", algorithm={name}-sess");
            let full = respond(&[&challenge(&header)], "sip:x").expect("it can be answered");
            let first = hash.hash(&format!("{}:n:0000000000000000", first(hash)));
            let expected = hash.hash(&format!("{first}:n:00000001:0000000000000000:auth:{}", second(hash)));
            assert_eq!(response(&full), expected, "{name}");
            assert!(
                full.contains("qop=auth,nc=00000001,cnonce=\"0000000000000000\"") && full.ends_with("opaque=\"o\"")
            );
        }
    }

    #[test]
    fn the_topmost_challenge_that_can_be_answered_is() {
        let challenges = [
            "Basic realm=\"x\"",
            "Digest realm=\"r\", nonce=\"1\", algorithm=SHA-1024",
            "Digest realm=\"r\", nonce=\"2\", qop=\"auth-int\"",
            "Digest realm=\"r\", nonce=\"3\", algorithm=SHA-256, qop=\"auth\"",
            "Digest realm=\"r\", nonce=\"4\"",
        ];
        assert!(respond(&challenges, "sip:x").is_some_and(|header| header.contains("nonce=\"3\"")));
        assert!(respond(&challenges[..3], "sip:x").is_none());
    }

    #[test]
    fn what_a_challenge_says_cannot_end_the_header() {
        let header = respond(&["Digest realm=\"a\\\"b\r\n c\", nonce=\"n\""], "sip:x").expect("it can be answered");
        assert!(header.contains("realm=\"a\\\"b c\"") && !header.contains(['\r', '\n']), "{header}");
        for damaged in ["Digest", "Digest ", "Digest realm", "Digest realm=\"x", "Digest nonce=\"n\"", "\u{1}", "Dig"] {
            assert!(respond(&[damaged], "sip:x").is_none(), "{damaged}");
        }
        assert!(
            respond(&["Digest realm=\"r\", nonce=\"n\", algorithm=MD5\r\nX: y"], "sip:x")
                .is_none_or(|header| { !header.contains('\n') })
        );
    }
}
