//! Privacy: what a record may show of numbers, Call-IDs and addresses, and what text it keeps is cleared of.
//!
//! Applied when a record is made, so that nothing behind the processor can give away what is not in it.

use std::borrow::Cow;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use hmac::{Hmac, KeyInit, Mac};
use memchr::memmem;
use pipeline::call::live::ShownNumber;
use sha2::{Digest, Sha256};
use sip::{Contact, Message, Start};

use super::config::{Addresses, CallIds, Numbers, Privacy};

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
            Numbers::Hmac => Some(hex(&self.keyed(user)[..8])),
        }
    }

    /// What may be shown of a Call-ID. One that has in it what is to be hidden elsewhere is not shown either.
    pub fn call_id(&self, call_id: &[u8], own: &Own) -> Box<str> {
        if self.call_id == CallIds::Hash || self.gives_away(call_id, own) {
            return self.hashed(call_id);
        }
        text(call_id, MAX_CALL_ID).into()
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
        let token = text(token, usize::MAX);
        hides.0 && own.names_in(&token) || hides.1 && addresses_in(&token).next().is_some()
    }

    fn hashed(&self, value: &[u8]) -> Box<str> {
        let digest: [u8; 32] = if self.key.is_empty() { Sha256::digest(value).into() } else { self.keyed(value) };
        hex(&digest[..16])
    }

    fn keyed(&self, value: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_bytes()).expect("HMAC takes any key");
        mac.update(value);
        mac.finalize().into_bytes().into()
    }

    /// Whether the message has the number somebody looks for: as the last digits of the user part of From, To,
    /// P-Asserted-Identity or Request-URI; with `hmac` as the whole of it.
    pub fn has_number(&self, wanted: &str, message: &Message<'_>) -> bool {
        let wanted_digits: Vec<u8> = wanted.bytes().filter(u8::is_ascii_digit).collect();
        users(message).any(|user| match self.numbers {
            Numbers::Hmac => self.keyed(user) == self.keyed(wanted.as_bytes()),
            _ => !wanted_digits.is_empty() && digits_of(user).collect::<Vec<u8>>().ends_with(&wanted_digits),
        })
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

/// The user parts of a call, in lower case, one a line behind its digits and a tab: what nobody is to read elsewhere in
/// its record. Kept inside the processor alone.
#[derive(Default)]
pub struct Own(Box<str>);

impl Own {
    /// Takes what `message` names: From, To, P-Asserted-Identity, Contact, Request-URI.
    pub fn learn(&mut self, message: &Message<'_>, privacy: &Privacy) {
        if privacy.numbers == Numbers::Plain {
            return;
        }
        let contacts = message.contacts().filter_map(|contact| match contact {
            Contact::Address { uri, .. } => sip::uri::user(uri),
            Contact::Star => None,
        });
        for user in users(message).chain(contacts) {
            let user = user.split(|byte| *byte == b';').next().unwrap_or_default();
            self.add(&text(user, MAX_USER));
        }
    }

    fn add(&mut self, name: &str) {
        // A fold may stand before the `@`; elsewhere the name is without it.
        let name = name.trim();
        if name.is_empty() || self.names().count() >= MAX_OWN || self.names().any(|known| is_name(known, name)) {
            return;
        }
        let digits = || digits_of(name.as_bytes()).map(char::from);
        let mut names = String::from(std::mem::take(&mut self.0));
        names.reserve_exact(digits().count() + name.len() + "\t\n".len());
        names.extend(digits());
        names.push('\t');
        names.extend(name.chars().map(in_a_line));
        names.push('\n');
        self.0 = names.into();
    }

    /// The digits of each, and each.
    fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.lines().filter_map(|line| line.split_once('\t'))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.entries().map(|(_, name)| name)
    }

    fn digits(&self) -> impl Iterator<Item = &[u8]> {
        self.entries().map(|(digits, _)| digits.as_bytes())
    }

    /// Where they stand in a text: short ones only as words of their own.
    fn found_in(&self, text: &str) -> impl Iterator<Item = Range<usize>> {
        let is_part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let stands_alone = move |range: &Range<usize>| {
            !is_part(text[..range.start].chars().next_back()) && !is_part(text[range.end..].chars().next())
        };
        self.names().flat_map(move |name| {
            occurrences(text, name).filter(move |range| name.len() >= SHORT_NAME || stands_alone(range))
        })
    }

    /// Where digits of one of them stand in a text, [`NUMBER`] of them in a row or more, whatever is between: numbers are
    /// said with and without their country.
    fn digits_in(&self, text: &str) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        if self.digits().all(|digits| digits.len() < NUMBER) {
            return found;
        }
        // The last digits, where each stands, and how many there are in this row.
        let (mut row, mut places, mut count, mut gap) = ([0; NUMBER], [0; NUMBER], 0, 0);
        for (at, byte) in text.bytes().enumerate() {
            if !byte.is_ascii_digit() {
                gap += 1;
                if gap > MAX_GAP || !b" -/().".contains(&byte) {
                    count = 0;
                }
                continue;
            }
            gap = 0;
            count += 1;
            row.rotate_left(1);
            places.rotate_left(1);
            (row[NUMBER - 1], places[NUMBER - 1]) = (byte, at);
            if count < NUMBER || !self.digits().any(|digits| digits.windows(NUMBER).any(|part| part == row)) {
                continue;
            }
            let start = places[0];
            match found.last_mut().filter(|before| before.end > start) {
                Some(before) => before.end = at + 1,
                None => found.push(start..at + 1),
            }
        }
        found
    }

    /// Whether one of them stands in a token, or digits of one. Short ones stand there by chance.
    fn names_in(&self, token: &str) -> bool {
        let has_name =
            self.names().any(|name| name.len() >= NAME_IN_TOKEN && occurrences(token, name).next().is_some());
        has_name || !self.digits_in(token).is_empty()
    }

    /// Whether digits are part of one of them.
    fn has_digits(&self, digits: &[u8]) -> bool {
        self.digits().any(|known| memmem::find(known, digits).is_some())
    }
}

/// Whether a name is one that is known, which is in lower case and in a line.
fn is_name(known: &str, name: &str) -> bool {
    known.len() == name.len() && known.chars().eq(name.chars().map(in_a_line))
}

/// A character of a name as it is kept.
fn in_a_line(c: char) -> char {
    if matches!(c, '\r' | '\n') { ' ' } else { c.to_ascii_lowercase() }
}

/// Where a name, in lower case, stands in a text of any case, one place behind another.
fn occurrences(text: &str, name: &str) -> impl Iterator<Item = Range<usize>> {
    let (text, name) = (text.as_bytes(), name.as_bytes());
    let mut from = 0;
    std::iter::from_fn(move || {
        let first = *name.first()?;
        loop {
            let start = from + memchr::memchr2(first, first.to_ascii_uppercase(), text.get(from..)?)?;
            let end = start + name.len();
            if text.get(start..end)?.eq_ignore_ascii_case(name) {
                from = end;
                return Some(start..end);
            }
            from = start + 1;
        }
    })
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

/// The user parts that say who calls whom.
fn users<'a>(message: &Message<'a>) -> impl Iterator<Item = &'a [u8]> {
    let target = match message.start {
        Start::Request { uri, .. } => Some(uri),
        Start::Response { .. } => None,
    };
    let uris = [Some(message.from.uri), Some(message.to.uri), message.p_asserted_identity(), target];
    uris.into_iter().flatten().filter_map(|uri| match sip::uri::user(uri) {
        // `sip:+49301234`: a number in place of a host.
        None => sip::uri::host_port(uri).map(|(host, _)| host).filter(|host| is_number(host)),
        user => user,
    })
}

fn is_number(host: &[u8]) -> bool {
    host.strip_prefix(b"+").unwrap_or(host).iter().all(u8::is_ascii_digit)
}

/// The digits of a number, whatever stands between them; those of parameters are not part of it.
fn digits_of(user: &[u8]) -> impl Iterator<Item = u8> {
    let user = user.split(|byte| *byte == b';').next().unwrap_or_default();
    // `%2B` is an escaped plus.
    let user = user.strip_prefix(b"%2b").or_else(|| user.strip_prefix(b"%2B")).unwrap_or(user);
    user.iter().copied().filter(u8::is_ascii_digit)
}

/// Runs of digits that may be numbers: long ones, those that are part of an own number, and longer ones with
/// spaces, dashes and the like between digits.
fn numbers_in(text: &str, own: &Own) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut start = 0;
    while let Some(begin) = bytes[start..].iter().position(u8::is_ascii_digit).map(|at| start + at) {
        // Digits, and single separators between digits.
        let (mut end, mut digits) = (begin, 0);
        loop {
            let run = bytes[end..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            end += run;
            digits += run;
            let gap = bytes[end..].iter().take_while(|byte| b" -/()".contains(byte)).count();
            if !(1..=MAX_GAP).contains(&gap) || !bytes.get(end + gap).is_some_and(u8::is_ascii_digit) {
                break;
            }
            end += gap;
        }
        if digits >= SPACED_NUMBER {
            found.push(begin..end);
        } else {
            let runs = tokens(&text[begin..end], |byte| byte.is_ascii_digit());
            let is_number = |run: &Range<usize>| {
                run.len() >= NUMBER || run.len() >= PART_OF_NUMBER && own.has_digits(&bytes[run.clone()])
            };
            found.extend(runs.map(|run| begin + run.start..begin + run.end).filter(is_number));
        }
        start = end;
    }
    found
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

fn hex(bytes: &[u8]) -> Box<str> {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect::<String>().into()
}

/// Longest Call-ID kept, in bytes.
const MAX_CALL_ID: usize = 1024;
/// Longest user part kept.
const MAX_USER: usize = 128;
/// Longest branch kept.
const MAX_BRANCH: usize = 128;
/// Longest host name there is (RFC 1035 §2.3.4).
const MAX_HOST: usize = 255;
/// Most user parts remembered of one call.
const MAX_OWN: usize = 16;
/// Digits that `mask` leaves.
const KEPT_DIGITS: u32 = 4;
/// Shorter names are also parts of words.
const SHORT_NAME: usize = 4;
/// Shorter names stand in random tokens by chance.
const NAME_IN_TOKEN: usize = 6;
/// So many digits in a row may be a number.
const NUMBER: usize = 6;
/// So many with separators between them may: fewer are version numbers.
const SPACED_NUMBER: usize = 8;
/// So many digits in a row are no chance when a number of the call has them.
const PART_OF_NUMBER: usize = 4;
/// Most separators between two digits of a number: `+49 (0) 30`.
const MAX_GAP: usize = 2;

#[cfg(test)]
mod tests;
