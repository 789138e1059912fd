//! The numbers and names of a call, and where they stand in a text.
//!
//! Messages that name somebody come in, places in a text that name one of them go out. Numbers nobody named are found by
//! their length. What becomes of such a place is not decided here.

use std::ops::Range;

use memchr::memmem;
use sip::{Contact, Message, Start};

use super::{MAX_USER, Numbers, Privacy, text, tokens};

/// The user parts of a call, in lower case, one a line behind its digits and a tab: what nobody is to read elsewhere in
/// its record. Kept inside the processor alone.
#[derive(Default)]
pub struct Own(Box<str>);

impl Own {
    /// Takes what `message` names: From, To, P-Asserted-Identity, Contact, Request-URI, and display names and whoever stands in
    /// the fields of [`NAMING`].
    pub fn learn(&mut self, message: &Message<'_>, privacy: &Privacy) {
        if privacy.numbers == Numbers::Plain {
            return;
        }
        for user in users(message) {
            self.add_user(user);
        }
        let naming = message.fields().filter(|(name, _)| is_naming(name));
        for Named { display, uri } in naming.flat_map(|(_, value)| Names(value)).take(MAX_NAMED) {
            self.add_user(sip::uri::user(uri).unwrap_or_default());
            self.add(&text(display, MAX_USER).replace('\\', ""));
        }
        let contacts = message.contacts().take(MAX_NAMED).filter_map(|contact| match contact {
            Contact::Address { uri, .. } => sip::uri::user(uri),
            Contact::Star => None,
        });
        contacts.for_each(|user| self.add_user(user));
    }

    /// Takes a user part, without its parameters.
    fn add_user(&mut self, user: &[u8]) {
        let user = user.split(|byte| *byte == b';').next().unwrap_or_default();
        self.add(&text(user, MAX_USER));
    }

    /// Takes what the body of a report of voice quality names in its lines of ids: `LocalID: <sip:alice@example.org>`
    /// (RFC 6035 §4.6.1).
    pub fn learn_report(&mut self, body: &[u8], privacy: &Privacy) {
        if privacy.numbers == Numbers::Plain {
            return;
        }
        for line in body.split(|byte| *byte == b'\n') {
            let Some(colon) = memchr::memchr2(b':', b'=', line) else { continue };
            let (name, value) = (line[..colon].trim_ascii(), &line[colon + 1..]);
            if !name.to_ascii_lowercase().ends_with(b"id") {
                continue;
            }
            let value = memchr::memchr(b'<', value).map_or(value.trim_ascii(), |open| &value[open + 1..]);
            if let Some(user) = sip::uri::user(value) {
                self.add(&text(user, MAX_USER));
            }
        }
    }

    /// Bytes of all of them.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn add(&mut self, name: &str) {
        // A fold may stand before the `@`; elsewhere the name is without it.
        let name = name.trim();
        if name.is_empty() || self.names().count() >= MAX_OWN || self.names().any(|known| is_name(known, name)) {
            return;
        }
        let digits = || digits_of(name.as_bytes()).take(MAX_DIGITS).map(char::from);
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

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries().map(|(_, name)| name)
    }

    fn digits(&self) -> impl Iterator<Item = &[u8]> {
        self.entries().map(|(digits, _)| digits.as_bytes())
    }

    /// Where they stand in a text: short ones only as words of their own.
    pub(super) fn found_in(&self, text: &str) -> impl Iterator<Item = Range<usize>> {
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
    pub(super) fn digits_in(&self, text: &str) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        let mut parts: Vec<&[u8]> = self.digits().flat_map(|digits| digits.windows(NUMBER)).collect();
        if parts.is_empty() {
            return found;
        }
        // Looked up for each digit of a text that may be all digits.
        parts.sort_unstable();
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
            if count < NUMBER || parts.binary_search(&&row[..]).is_err() {
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
    pub(super) fn names_in(&self, token: &str) -> bool {
        let has_name =
            self.names().any(|name| name.len() >= NAME_IN_TOKEN && occurrences(token, name).next().is_some());
        let has_extension = || {
            let short = self.digits().filter(|digits| (PART_OF_NUMBER..NUMBER).contains(&digits.len()));
            short.into_iter().any(|digits| memmem::find(token.as_bytes(), digits).is_some())
        };
        has_name || has_extension() || !self.digits_in(token).is_empty()
    }

    /// Whether digits are part of one of them.
    fn has_digits(&self, digits: &[u8]) -> bool {
        self.digits().any(|known| memmem::find(known, digits).is_some())
    }
}

/// Whether a field names people, by its long name or its compact one.
fn is_naming(name: &[u8]) -> bool {
    NAMING.iter().any(|naming| naming.eq_ignore_ascii_case(name))
}

/// Somebody in a header field: `"Alice" <sip:1001@example.org>`.
struct Named<'a> {
    /// The display name without its quotes, escapes still in it; empty without one.
    display: &'a [u8],
    /// The URI.
    uri: &'a [u8],
}

/// Everybody in the value of a header field, as far as it can be read (RFC 3261 §20.10, §25.1).
struct Names<'a>(&'a [u8]);

impl<'a> Iterator for Names<'a> {
    type Item = Named<'a>;

    fn next(&mut self) -> Option<Named<'a>> {
        let rest = self.0.trim_ascii_start();
        let rest = &rest[rest.iter().take_while(|byte| **byte == b',').count()..];
        let rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return None;
        }
        let quoted = rest.strip_prefix(b"\"").map(|inner| &inner[..closing_quote(inner)]);
        let behind = quoted.map_or(rest, |quoted| rest.get(quoted.len() + 2..).unwrap_or_default());
        let end_of_plain = memchr::memchr3(b'<', b',', b';', behind).unwrap_or(behind.len());
        let (display, uri, behind) = match behind.get(end_of_plain) {
            Some(b'<') => {
                let uri = &behind[end_of_plain + 1..];
                let uri = &uri[..memchr::memchr(b'>', uri).unwrap_or(uri.len())];
                (quoted.unwrap_or(behind[..end_of_plain].trim_ascii()), uri, &behind[end_of_plain + 1 + uri.len()..])
            }
            _ => (quoted.unwrap_or_default(), behind[..end_of_plain].trim_ascii(), &behind[end_of_plain..]),
        };
        self.0 = &behind[end_of_element(behind)..];
        Some(Named { display, uri })
    }
}

/// Where a quoted string ends whose opening quote is before `inner`.
fn closing_quote(inner: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = inner.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        if inner[at + found] == b'"' {
            return at + found;
        }
        at += found + 2;
    }
    inner.len()
}

/// Where the next element of a list begins: behind the comma that is in no quoted string.
fn end_of_element(rest: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = rest.get(at..).and_then(|rest| memchr::memchr2(b'"', b',', rest)) {
        if rest[at + found] == b',' {
            return at + found + 1;
        }
        at += found + 1;
        at += closing_quote(&rest[at..]) + 1;
    }
    rest.len()
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

/// The user parts that say who calls whom.
pub(super) fn users<'a>(message: &Message<'a>) -> impl Iterator<Item = &'a [u8]> {
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
pub(super) fn digits_of(user: &[u8]) -> impl Iterator<Item = u8> {
    let user = user.split(|byte| *byte == b';').next().unwrap_or_default();
    // `%2B` is an escaped plus.
    let user = user.strip_prefix(b"%2b").or_else(|| user.strip_prefix(b"%2B")).unwrap_or(user);
    user.iter().copied().filter(u8::is_ascii_digit)
}

/// Runs of digits that may be numbers: long ones, those that are part of an own number, and longer ones with
/// spaces, dashes and the like between digits.
pub(super) fn numbers_in(text: &str, own: &Own) -> Vec<Range<usize>> {
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

/// Fields that name people: From and To (RFC 3261), P-Asserted-Identity, P-Preferred-Identity (RFC 3325), Remote-Party-ID
/// (draft-ietf-sip-privacy-04), Diversion (RFC 5806), History-Info (RFC 7044), Referred-By (RFC 3892).
const NAMING: [&[u8]; 11] = [
    b"From",
    b"f",
    b"To",
    b"t",
    b"P-Asserted-Identity",
    b"P-Preferred-Identity",
    b"Remote-Party-ID",
    b"Diversion",
    b"History-Info",
    b"Referred-By",
    b"b",
];
/// Most people looked at in one message, in either kind of field: whoever lists more wants to be slow to read.
const MAX_NAMED: usize = 64;
/// Most digits of a name that are known: numbers have 15 (ITU-T E.164).
const MAX_DIGITS: usize = 32;
/// Most user parts and display names remembered of one call.
pub(super) const MAX_OWN: usize = 32;
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
