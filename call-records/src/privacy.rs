//! Privacy: what a record may show of numbers, Call-IDs and addresses, and what text it keeps is cleared of.
//!
//! Applied when a record is made, so that nothing behind the processor can give away what is not in it.

mod own;

use std::borrow::Cow;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::sync::OnceLock;

use hmac::{Hmac, KeyInit, Mac};
use pipeline::Refused;
use pipeline::call::live::ShownNumber;
use sha2::Sha256;
use sip::Message;

use crate::config::{Addresses, CallIds, Numbers, Privacy};
use crate::credentials::blanked;
pub use own::Own;
use own::{digits_of, numbers_in, users};

impl Privacy {
    /// What may be shown of a user part.
    pub fn number(&self, user: &[u8]) -> Option<Box<str>> {
        let shown = text(user, MAX_USER);
        match self.numbers {
            Numbers::Drop => None,
            Numbers::Plain => Some(shown.into()),
            Numbers::Mask => {
                let (mut masked, mut kept) = (String::with_capacity(shown.len()), 0);
                masked.extend(shown.chars().map(|c| {
                    kept += u32::from(c != '+');
                    if kept > KEPT_DIGITS { '*' } else { c }
                }));
                Some(masked.into())
            }
            Numbers::Hmac => Some(self.number_token(user)),
        }
    }

    /// The token of a number under `hmac`: of one that is written with `+`, with `00` or with neither the same.
    pub fn number_token(&self, user: &[u8]) -> Box<str> {
        hex::encode(&self.keyed(&international(user))[..8]).into()
    }

    /// Whether a Call-ID is not shown as it is.
    pub fn hides(&self, call_id: &[u8], own: &Own) -> bool {
        self.call_id == CallIds::Hash || self.gives_away(call_id, own)
    }

    /// What may be shown of a Call-ID. One that has in it what is to be hidden elsewhere is not shown either.
    pub fn call_id(&self, call_id: &[u8], own: &Own) -> Box<str> {
        if self.hides(call_id, own) {
            return self.hashed(call_id);
        }
        Self::as_text(call_id).into()
    }

    /// A Call-ID that is shown.
    pub fn as_text(call_id: &[u8]) -> Cow<'_, str> {
        text(call_id, MAX_CALL_ID)
    }

    /// What may be shown of a branch: a token nobody reads, so it is kept or hashed as a whole.
    pub fn branch(&self, branch: &[u8], own: &Own) -> Box<str> {
        if self.gives_away(branch, own) { self.hashed(branch) } else { text(branch, MAX_BRANCH).into() }
    }

    /// Adds what may be shown of a Via: all of it, or that there was one.
    pub fn add_via(&self, line: &[u8], own: &Own, out: &mut String) {
        let shown = text(line, line.len());
        if self.numbers != Numbers::Plain && own.names_in(&shown) {
            out.push_str("Via: ***\n");
        } else {
            let bare = Self { numbers: Numbers::Plain, ip: self.ip, ..Self::default() };
            put_without(&bare.hidden_in(&shown, own), &shown, out);
        }
    }

    /// How a number that somebody looks for is shown.
    pub fn shown_number(&self, number: &str) -> ShownNumber {
        let shown = self.number(number.as_bytes()).unwrap_or_default();
        match self.numbers {
            Numbers::Drop => ShownNumber::Dropped,
            Numbers::Plain => ShownNumber::Digits(shown),
            Numbers::Mask => ShownNumber::Masked(shown),
            Numbers::Hmac => ShownNumber::Hashed(shown),
        }
    }

    /// What may be shown of an address.
    pub fn address(&self, address: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.ip(address.ip()), address.port())
    }

    /// What may be shown of a message that could not be read. Who it is about nobody knows, so of its first line only the first
    /// word stays where numbers are hidden: a method or a version.
    pub fn refused(&self, refused: &Refused) -> Refused {
        let line = match self.numbers {
            Numbers::Plain => blanked(&refused.line),
            _ => {
                let word = refused.line.split(|byte| *byte == b' ').next().unwrap_or_default();
                let is_harmless = word.len() <= MAX_WORD && word.iter().all(|byte| byte.is_ascii_uppercase());
                if is_harmless || word == b"SIP/2.0" { word.into() } else { Box::default() }
            }
        };
        let [source, destination] = [refused.source, refused.destination].map(|address| self.address(address));
        Refused { source, destination, line, ..refused.clone() }
    }

    fn ip(&self, ip: IpAddr) -> IpAddr {
        match (self.ip, ip.to_canonical()) {
            (Addresses::Plain, _) => ip,
            (Addresses::Prefix, IpAddr::V4(v4)) => Ipv4Addr::from_bits(v4.to_bits() & !0 << 8).into(),
            (Addresses::Prefix, IpAddr::V6(v6)) => Ipv6Addr::from_bits(v6.to_bits() & !0 << 80).into(),
        }
    }

    /// What may be shown of a host; `None` when it is a number itself.
    pub fn host(&self, host: &[u8], own: &Own) -> Option<Box<str>> {
        let shown = text(host, MAX_HOST);
        let bare = shown.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = bare.parse() {
            return Some(match self.ip(ip) {
                shown if shown == ip => bare.into(),
                prefix => prefix.to_string().into(),
            });
        }
        let hidden = self.hidden_in(&shown, own);
        (hidden.is_empty() || without(&hidden, &shown) == shown).then(|| shown.into())
    }

    /// Text of the wire, at most `max` bytes of it, without what may not be shown.
    pub fn cleared(&self, value: &[u8], max: usize, own: &Own) -> Box<str> {
        let shown = text(value, max);
        let hidden = self.hidden_in(&shown, own);
        if hidden.is_empty() { shown.into() } else { without(&hidden, &shown).into() }
    }

    /// Adds text of the wire without what may not be shown.
    pub fn add_cleared(&self, value: &[u8], own: &Own, out: &mut String) {
        let shown = text(value, value.len());
        put_without(&self.hidden_in(&shown, own), &shown, out);
    }

    /// What may not be shown of a text, in order. Most texts have nothing of it, and then nothing is allocated.
    fn hidden_in(&self, text: &str, own: &Own) -> Vec<Hidden> {
        let mut hidden = Vec::new();
        if self.numbers != Numbers::Plain {
            hidden.extend(own.found_in(text).map(Hidden::name));
            hidden.extend(own.digits_in(text).into_iter().map(Hidden::name));
            hidden.extend(numbers_in(text, own).into_iter().map(Hidden::name));
        }
        if self.ip == Addresses::Prefix {
            hidden.extend(addresses_in(text).map(|(range, ip)| Hidden { range, instead: Some(self.ip(ip)) }));
        }
        hidden.sort_by_key(|hidden| hidden.range.start);
        hidden
    }

    /// Whether a token that is no text has something in it that may not be shown.
    fn gives_away(&self, token: &[u8], own: &Own) -> bool {
        let hides = (self.numbers != Numbers::Plain, self.ip == Addresses::Prefix);
        if hides == (false, false) {
            return false;
        }
        if token.len() > MAX_CALL_ID {
            // Longer than any that is meant as one: hidden without a look.
            return true;
        }
        let token = text(token, usize::MAX);
        hides.0 && own.names_in(&token) || hides.1 && addresses_in(&token).next().is_some()
    }

    fn hashed(&self, value: &[u8]) -> Box<str> {
        hex::encode(&self.keyed(value)[..16]).into()
    }

    fn keyed(&self, value: &[u8]) -> [u8; 32] {
        keyed(&self.key, value)
    }

    /// Whether the message has the number somebody looks for: as the last digits of the user part of From, To,
    /// P-Asserted-Identity or Request-URI; with `hmac` as the whole of it.
    pub fn has_number(&self, wanted: &str, message: &Message<'_>) -> bool {
        let wanted_digits: Vec<u8> = wanted.bytes().filter(u8::is_ascii_digit).collect();
        users(message).any(|user| match self.numbers {
            Numbers::Hmac => international(user) == international(wanted.as_bytes()),
            _ => !wanted_digits.is_empty() && digits_of(user).collect::<Vec<u8>>().ends_with(&wanted_digits),
        })
    }
}

/// HMAC-SHA-256 of a value. Without a key it is under a secret of this process: what is guessed cannot be tried out, and after
/// a restart the same value has another token.
pub fn keyed(key: &str, value: &[u8]) -> [u8; 32] {
    static SECRET: OnceLock<[u8; 32]> = OnceLock::new();
    let secret = || {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).expect("the system has randomness");
        secret
    };
    let key = if key.is_empty() { SECRET.get_or_init(secret) } else { key.as_bytes() };
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
    mac.update(value);
    mac.finalize().into_bytes().into()
}

/// A number as its country code begins: digits alone, without the `+` or the `00` before them and without what parts them. A
/// user part that is no number as it stands.
fn international(user: &[u8]) -> Cow<'_, [u8]> {
    let bare = user.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let plus = [&b"+"[..], b"%2b", b"%2B"].into_iter().find_map(|plus| bare.strip_prefix(plus));
    let number = plus.unwrap_or(bare);
    if !number.first().is_some_and(u8::is_ascii_digit)
        || !number.iter().all(|byte| byte.is_ascii_digit() || b"-.() ".contains(byte))
    {
        return Cow::Borrowed(user);
    }
    let digits: Vec<u8> = number.iter().copied().filter(u8::is_ascii_digit).collect();
    match digits.strip_prefix(b"00") {
        Some(rest) if plus.is_none() && !rest.is_empty() => Cow::Owned(rest.to_vec()),
        _ => Cow::Owned(digits),
    }
}

/// A place in a text that may not be shown.
struct Hidden {
    range: Range<usize>,
    /// What stands there instead; asterisks where `None`.
    instead: Option<IpAddr>,
}

impl Hidden {
    fn name(range: Range<usize>) -> Self {
        Self { range, instead: None }
    }
}

/// A text with something else in the places that may not be shown.
fn without(hidden: &[Hidden], text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    put_without(hidden, text, &mut out);
    out
}

fn put_without(hidden: &[Hidden], text: &str, out: &mut String) {
    let mut done = 0;
    for Hidden { range, instead } in hidden {
        if range.start >= done {
            out.push_str(&text[done..range.start]);
            match instead {
                None => out.push_str("***"),
                Some(ip) => write!(out, "{ip}").expect("a string takes all that is written"),
            }
        }
        done = done.max(range.end);
    }
    out.push_str(&text[done..]);
}

/// Addresses in a text.
fn addresses_in(text: &str) -> impl Iterator<Item = (Range<usize>, IpAddr)> {
    let v4 = tokens(text, |byte| byte.is_ascii_digit() || byte == b'.').filter_map(|range| {
        let token = text[range.clone()].trim_end_matches('.');
        Some((range.start..range.start + token.len(), IpAddr::V4(token.parse().ok()?)))
    });
    let v6 = tokens(text, |byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')).filter_map(|range| {
        let token = text[range.clone()].trim_end_matches(['.', ':']);
        let ip = token.parse().or_else(|_| text[range.clone()].parse()).ok()?;
        Some((range, IpAddr::V6(ip)))
    });
    v4.chain(v6)
}

/// The longest stretches of a text whose bytes all belong.
fn tokens(text: &str, belongs: impl Fn(u8) -> bool) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + bytes[at..].iter().position(|byte| belongs(*byte))?;
        let len = bytes[start..].iter().take_while(|byte| belongs(**byte)).count();
        at = start + len;
        Some(start..at)
    })
}

/// What is kept of a value: at most `max` bytes, and text whatever it holds.
fn text(value: &[u8], max: usize) -> Cow<'_, str> {
    String::from_utf8_lossy(&value[..value.len().min(max)])
}

/// Longest Call-ID kept, in bytes.
const MAX_CALL_ID: usize = 1024;
/// Longest first word shown of a message that could not be read: `SUBSCRIBE` and longer ones.
const MAX_WORD: usize = 16;
/// Longest user part kept.
const MAX_USER: usize = 128;
/// Longest branch kept.
const MAX_BRANCH: usize = 128;
/// Longest host name there is (RFC 1035 §2.3.4).
const MAX_HOST: usize = 255;
/// Digits that `mask` leaves.
const KEPT_DIGITS: u32 = 4;

#[cfg(test)]
mod tests;
