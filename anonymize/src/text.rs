//! The values of fields: what is an address, a port, a parameter that means something, or a known word is dealt with as such;
//! every other word is replaced.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Anonymizer;
use crate::numbers::{seconds, short};
use crate::vocabulary::{Words as Known, is_one_of};

/// How a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nothing in it is known.
    Free,
    /// These words are known, and numbers of few digits.
    Known(Known),
    /// URIs, display names, and parameters behind `;`, `?`, `&` or `,`.
    Parameters,
}

/// What the value of a parameter is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parameter {
    /// Words that stay if they are [`VALUES`].
    Word,
    /// Seconds.
    Seconds,
    /// At most four digits and dots.
    Number,
    /// A port.
    Port,
    /// A branch (RFC 3261 §8.1.1.7).
    Branch,
    /// What proves who somebody is.
    Secret,
    /// A reason phrase.
    Phrase,
    /// Anything: replaced.
    Free,
}

impl Anonymizer {
    /// Adds what stands for a value.
    pub(crate) fn put(&mut self, text: &[u8], mode: Mode, out: &mut Vec<u8>) {
        let mut at = 0;
        // Where the token began that the current place belongs to.
        let mut token = 0;
        let (mut quoted, mut names, mut host) = (false, false, false);
        let mut parameter = None;
        while let Some(&byte) = text.get(at) {
            let inside = at > 0 && is_word(text[at - 1]);
            let reads_parameters = mode == Mode::Parameters && !quoted;
            if !inside && let Some((address, len)) = address(&text[at..]) {
                out.extend_from_slice(self.addresses.address(address).to_string().as_bytes());
                (at, token, host, parameter) = (at + len, at + len, true, None);
            } else if reads_parameters && names && is_name(byte) {
                let name = run(&text[at..], is_name);
                parameter = Some(known_parameter(name));
                match parameter {
                    Some(Parameter::Free) if !is_one_of(FREE_NAMES, name) => self.put_words(name, out),
                    _ => out.extend_from_slice(name),
                }
                (at, token, host, names) = (at + name.len(), at + name.len(), false, false);
            } else if mode == Mode::Parameters && parameter.is_some() && byte == b'=' {
                let behind = at + 1 + text[at + 1..].iter().take_while(|byte| is_blank(**byte)).count();
                let value = value(&text[behind..]);
                out.push(b'=');
                self.put_value(value, parameter.take().unwrap_or(Parameter::Free), out);
                (at, token, host) = (behind + value.len(), behind + value.len(), false);
            } else if is_word(byte) {
                let word = run(&text[at..], is_word);
                let behind = at + word.len();
                let is_scheme = text.get(behind) == Some(&b':') && is_one_of(SCHEMES, word);
                let starts = at == 0 || b"<\", \t".contains(&text[at - 1]);
                if mode == Mode::Parameters && is_scheme && starts {
                    out.extend_from_slice(word);
                    out.push(b':');
                    (at, token, host) = (behind + 1, behind + 1, false);
                    continue;
                }
                match mode {
                    Mode::Known(known) if known.know(word) || is_telling(known, text, at) => {
                        out.extend_from_slice(word)
                    }
                    _ => self.words.put(&text[token..at], word, out),
                }
                (at, host) = (behind, true);
            } else if byte == b'%' && text.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
            {
                let hex = &text[at + 1..at + 3];
                let value = std::str::from_utf8(hex).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(0);
                // What is escaped without need may be what is looked for.
                let is_sign = value.is_ascii_punctuation() || value == b' ';
                out.extend_from_slice(b"%");
                out.extend_from_slice(if is_sign { hex } else { b"78" });
                (at, token, host) = (at + 3, at + 3, false);
            } else if byte == b':'
                && host
                && reads_parameters
                && is_authority(&text[..at])
                && port(&text[at + 1..]).is_some()
            {
                let (number, len) = port(&text[at + 1..]).unwrap_or_default();
                out.extend_from_slice(format!(":{}", self.ports.port(number)).as_bytes());
                (at, token, host) = (at + 1 + len, at + 1 + len, false);
            } else {
                match byte {
                    b'\\' if quoted && at + 1 < text.len() => {
                        // What is escaped stands for itself.
                        (at, token) = (at + 1, at + 1);
                        continue;
                    }
                    b'"' => quoted = !quoted,
                    _ => {}
                }
                if !quoted && b";?&,".contains(&byte) {
                    names = byte != b',';
                    parameter = None;
                }
                if !(is_blank(byte) || byte == b';') {
                    names &= b"?&".contains(&byte);
                }
                out.push(if byte.is_ascii_graphic() { byte } else { b' ' });
                host = byte == b']';
                at += 1;
                if ends_token(byte) {
                    token = at;
                }
            }
        }
    }

    /// Words of a name of a parameter or field that nobody knows.
    pub(crate) fn put_words(&mut self, text: &[u8], out: &mut Vec<u8>) {
        self.put(text, Mode::Free, out);
    }

    fn put_value(&mut self, value: &[u8], parameter: Parameter, out: &mut Vec<u8>) {
        match parameter {
            Parameter::Word if is_one_of(VALUES, unquoted(value)) => out.extend_from_slice(value),
            Parameter::Seconds if number(value).is_some() => {
                out.extend_from_slice(seconds(number(value).unwrap_or_default()).to_string().as_bytes());
            }
            Parameter::Number if is_decimal(value) => out.extend_from_slice(value),
            Parameter::Port if number(value).is_some_and(|port| port <= u64::from(u16::MAX)) => {
                let port = self.ports.port(number(value).unwrap_or_default() as u16);
                out.extend_from_slice(port.to_string().as_bytes());
            }
            Parameter::Branch if value.get(..COOKIE.len()).is_some_and(|start| start.eq_ignore_ascii_case(COOKIE)) => {
                let (cookie, rest) = value.split_at(COOKIE.len());
                out.extend_from_slice(cookie);
                self.put(rest, Mode::Free, out);
            }
            Parameter::Secret => out.extend_from_slice(if value.starts_with(b"\"") { b"\"***\"" } else { b"***" }),
            Parameter::Phrase => self.put(value, Mode::Known(Known::Phrases), out),
            _ => self.put(value, Mode::Free, out),
        }
    }

    /// A number that only has to be the same where it was the same; anything else is replaced.
    pub(crate) fn put_short(&mut self, text: &[u8], out: &mut Vec<u8>) {
        match number(text).and_then(|number| u32::try_from(number).ok()) {
            Some(number) => out.extend_from_slice(short(number).to_string().as_bytes()),
            None => self.put(text, Mode::Free, out),
        }
    }

    /// A number of seconds, with parameters behind it.
    pub(crate) fn put_seconds(&mut self, text: &[u8], out: &mut Vec<u8>) {
        let digits = run(text, |byte| byte.is_ascii_digit());
        match number(digits) {
            Some(number) => {
                out.extend_from_slice(seconds(number).to_string().as_bytes());
                self.put(&text[digits.len()..], Mode::Parameters, out);
            }
            None => self.put(text, Mode::Free, out),
        }
    }
}

fn known_parameter(name: &[u8]) -> Parameter {
    let of = |list: &str| is_one_of(list, name);
    match () {
        () if of("expires") => Parameter::Seconds,
        () if of("rport") => Parameter::Port,
        () if of("branch") => Parameter::Branch,
        () if of("text") => Parameter::Phrase,
        () if of("response nonce cnonce opaque auts nc") => Parameter::Secret,
        () if of("q ttl cause index reg-id retry-after duration counter") => Parameter::Number,
        () if of(WORD_NAMES) => Parameter::Word,
        () => Parameter::Free,
    }
}

/// The value of a parameter at the front: a quoted string, or all up to what ends one.
fn value(text: &[u8]) -> &[u8] {
    if text.first() != Some(&b'"') {
        return run(text, |byte| !(is_blank(byte) || b";,>&?\"".contains(&byte)));
    }
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return &text[..=at],
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text
}

/// An address at the front, and its length: dotted, or of IPv6 with its colons, brackets left where they are.
fn address(text: &[u8]) -> Option<(IpAddr, usize)> {
    let behind = |len: usize| text.get(len).is_none_or(|byte| !is_word(*byte));
    let parsed = |len: usize| std::str::from_utf8(&text[..len]).ok();
    let dotted = run(text, |byte| byte.is_ascii_digit() || byte == b'.');
    let dotted = dotted.len() - dotted.iter().rev().take_while(|byte| **byte == b'.').count();
    if let Some(address) = parsed(dotted).and_then(|text| text.parse::<Ipv4Addr>().ok())
        && behind(dotted)
    {
        return Some((address.into(), dotted));
    }
    let colons = run(text, |byte| byte.is_ascii_hexdigit() || b":.".contains(&byte)).len();
    let address = parsed(colons)?.parse::<Ipv6Addr>().ok()?;
    behind(colons).then_some((address.into(), colons))
}

/// A port at the front, and how many digits it has; `None` where more than a port stands there.
fn port(text: &[u8]) -> Option<(u16, usize)> {
    let digits = run(text, |byte| byte.is_ascii_digit());
    let ends = text.get(digits.len()).is_none_or(|byte| is_blank(*byte) || b";,>?&\"".contains(byte));
    let number = number(digits).and_then(|number| u16::try_from(number).ok())?;
    ends.then_some((number, digits.len()))
}

pub(crate) fn run(text: &[u8], of: impl Fn(u8) -> bool) -> &[u8] {
    &text[..text.iter().take_while(|byte| of(**byte)).count()]
}

pub(crate) fn number(text: &[u8]) -> Option<u64> {
    let is_number = !text.is_empty() && text.len() < 20 && text.iter().all(u8::is_ascii_digit);
    is_number.then(|| {
        text.iter().fold(0_u64, |number, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    })
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

/// Whether what stands at the end is a host: with a dot, behind an `@` or a scheme of SIP, or in brackets. Another word may be a
/// scheme nobody knows.
fn is_authority(text: &[u8]) -> bool {
    let len = text.iter().rev().take_while(|byte| !is_blank(**byte) && !b"<>\",;?&=".contains(*byte)).count();
    let token = &text[text.len() - len..];
    let of_sip = ["sip:", "sips:"].iter().any(|scheme| {
        token
            .split_at_checked(scheme.len())
            .is_some_and(|(start, rest)| start.eq_ignore_ascii_case(scheme.as_bytes()) && !rest.contains(&b':'))
    });
    of_sip || token.iter().any(|byte| b".@]".contains(byte))
}

/// Whether the word at `at` is a number that says something and nothing of a person: a cause, a time, or of a version behind
/// the name of a product; of so few digits that it is no number in pieces.
fn is_telling(known: Known, text: &[u8], at: usize) -> bool {
    let of_version = text[..at].iter().rev().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
    let named = |name: &&str| {
        let from = at.checked_sub(name.len());
        from.is_some_and(|from| text[from..at].eq_ignore_ascii_case(name.as_bytes()))
    };
    let stands = match known {
        Known::Products => text[..at - of_version].ends_with(b"/"),
        _ => TELLING.iter().any(named),
    };
    stands && is_small(text, at)
}

/// What stands before numbers that say something.
const TELLING: [&str; 6] = ["cause=", "expires=", "retry-after=", "version=", "q=", "Q."];

/// Whether the word at `at` is of digits, and so few with those around it that they are neither an address nor a number in pieces.
fn is_small(text: &[u8], at: usize) -> bool {
    let belongs = |byte: &&u8| !byte.is_ascii_alphabetic() && !b";,\"".contains(*byte);
    let before = text[..at].iter().rev().take_while(belongs).count();
    let behind = text[at..].iter().take_while(belongs).count();
    let around = &text[at - before..at + behind];
    let word = run(&text[at..], is_word);
    word.len() <= 4
        && word.iter().all(u8::is_ascii_digit)
        && around.iter().filter(|byte| byte.is_ascii_digit()).count() <= MAX_DIGITS
        && around.iter().filter(|byte| **byte == b'.').count() < 3
}

fn is_decimal(value: &[u8]) -> bool {
    value.iter().filter(|byte| byte.is_ascii_digit()).count() <= 4
        && value.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
}

/// What words are made of. Bytes beyond ASCII are letters of some language.
pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

fn is_name(byte: u8) -> bool {
    is_word(byte) || b"-_.+".contains(&byte)
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Words before and behind these are independent of each other.
fn ends_token(byte: u8) -> bool {
    !(byte == b'-' || byte == b'_' || byte == b'~' || byte == b'!' || byte == b'*')
}

/// Digits of a version or status: fewer than a number in pieces has.
const MAX_DIGITS: usize = 6;
/// Every branch of today begins with it (RFC 3261 §8.1.1.7).
const COOKIE: &[u8] = b"z9hG4bK";
const SCHEMES: &str = "sip sips tel urn im pres http https mailto cid";
/// Parameters whose values are words.
const WORD_NAMES: &str = "transport user method lr ob refresher algorithm qop stale comp purpose handling privacy screen party \
    counter reason isub-encoding early-only early-flag maddr-type alias keep hide gr-type rn-type npdi audio video";
/// Parameters whose values are replaced.
const FREE_NAMES: &str = "tag received maddr ttl-i branch-i from-tag to-tag remote username realm uri domain gr +sip.instance \
    pub-gruu temp-gruu rn cic phone-context isub ext postd tgrp trunk-context call-id replaces icid-value icid-generated-at \
    orig-ioi term-ioi oli i oc sigcomp-id logme rport";
/// Values that stay.
const VALUES: &str = "udp tcp tls ws wss sctp phone ip dialstring on off true false yes no uac uas md5 md5-sess sha-256 \
    sha-512-256 auth auth-int sigcomp optional required full uri name calling called unknown unconditional user-busy no-answer \
    unavailable time-of-day do-not-disturb deflection follow-me out-of-service away invite register subscribe notify refer bye";

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, mode: Mode) -> String {
        let mut out = Vec::new();
        Anonymizer::new(b"key").put(text.as_bytes(), mode, &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    /// Letters and digits as such, so that what stays shows.
    fn shape(text: &str, mode: Mode) -> String {
        let made = of(text, mode);
        let word = |text: &str| text.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_owned).collect::<Vec<_>>();
        let kept = word(text);
        let mut shape = made.clone();
        for new in word(&made).iter().filter(|new| !new.is_empty() && !kept.contains(new)) {
            shape = shape.replacen(new.as_str(), "~", 1);
        }
        shape
    }

    #[test]
    fn parameters_that_mean_something_stay() {
        let of = |text| shape(text, Mode::Parameters);
        assert_eq!(
            of("\"Alice\" <sip:alice@atlanta.example:5060;transport=tcp;lr>;tag=a48s;expires=3600;q=0.7"),
            "\"~\" <sip:~@~.~:5060;transport=tcp;lr>;tag=~;expires=3600;q=0.7"
        );
        assert_eq!(of("sip:+4930123456;x=bob@host"), "sip:+~;~=~@~");
        assert_eq!(of("sip:alice:1234@host"), "sip:~:~@~");
        assert_eq!(of("*"), "*");
        assert_eq!(of(";tag=1;unknown=5"), ";tag=~;~=~");
        assert_eq!(of("Digest username=\"bob\", nonce=\"f00\", response=abc"), "~ ~=\"~\", ~=\"~\", ~=~");
    }

    #[test]
    fn addresses_are_found_wherever_they_stand() {
        let address = of("192.0.2.1", Mode::Free);
        assert_eq!(of("<sip:192.0.2.1:5060>", Mode::Parameters), format!("<sip:{address}:5060>"));
        assert!(of("a@192.0.2.1", Mode::Free).ends_with(&format!("@{address}")));
        assert!(of("received=192.0.2.1", Mode::Free).ends_with(&format!("={address}")));
        let address = of("2001:db8::1", Mode::Free);
        assert_eq!(of("<sip:[2001:db8::1]:5060>", Mode::Parameters), format!("<sip:[{address}]:5060>"));
        assert_ne!(of("1.2.3.4.5", Mode::Free), "1.2.3.4.5");
    }

    #[test]
    fn ports_of_five_digits_become_shorter() {
        let made = of("<sip:host:54321>", Mode::Parameters);
        let port = made.rsplit_once(':').expect("a port").1;
        assert_eq!(port.len(), 5, "{made}");
        assert!(of(";rport=54321", Mode::Parameters).len() <= ";rport=4321".len());
    }

    #[test]
    fn what_is_escaped_does_not_pass() {
        assert_eq!(of("%34%39%33%30", Mode::Parameters), "%78%78%78%78");
        let made = of("<sip:a@b?Replaces=x%40y%3Bto-tag%3D1>", Mode::Parameters);
        assert!(made.contains("%40") && made.contains("%3B"), "{made}");
        assert!(!of("\"\\4\\9\\3\\0\\1\\2\"", Mode::Parameters).contains("\\4"));
    }

    #[test]
    fn known_words_stay_where_they_are_known() {
        assert_eq!(of("INVITE, ACK, BYE", Mode::Known(Known::Abilities)), "INVITE, ACK, BYE");
        assert_eq!(of("Session Interval Too Small", Mode::Known(Known::Phrases)), "Session Interval Too Small");
        assert_ne!(of("Blocked by Bob", Mode::Known(Known::Phrases)), "Blocked by Bob");
        assert_ne!(of("INVITE", Mode::Free), "INVITE");
        assert_eq!(
            of("Q.850;cause=16;text=\"answered elsewhere\"", Mode::Known(Known::Phrases)),
            "Q.850;cause=16;text=\"answered elsewhere\""
        );
        for (value, known, digits) in [
            ("Q.850;text=\"\\4\\9\\3\\0\\1\\2\"", Known::Phrases, "493012"),
            ("at 030_1234_5678", Known::Phrases, "1234"),
            ("0049~30~1234~5678", Known::Phrases, "0049"),
            ("12:34:56:78", Known::Abilities, "12:34"),
            ("Yealink T46 00:15:65:12:34:56", Known::Products, "15:65"),
            ("Extension 4711 Busy", Known::Phrases, "4711"),
        ] {
            let made = of(value, Mode::Known(known));
            assert!(!made.contains(digits), "{value}: {made}");
        }
        for value in ["<callto:4711>", "\"Ext:4711\" <sip:b@h>", "<urn:acme:4711>"] {
            let made = of(value, Mode::Parameters);
            assert!(!made.contains("4711"), "{value}: {made}");
        }
        assert_eq!(of("snom/8.7.5", Mode::Known(Known::Products)), "snom/8.7.5");
        assert!(!of("snom 030-555-1234", Mode::Known(Known::Products)).contains("1234"));
    }
}
