//! One line of a ladder: text in, its parts out. Knows nothing of SIP but where the words stand.

use std::time::Duration;

/// The parts of a line, the arrow already turned into a direction.
#[derive(Debug)]
pub(crate) struct Line {
    pub at: Duration,
    pub source: String,
    pub destination: String,
    pub what: What,
    words: Vec<(String, Option<String>)>,
}

/// What crosses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Request(String),
    Response(u16),
    Raw(Vec<u8>),
}

/// Words that take a value.
const KEYS: [&str; 17] = [
    "branch", "call", "contact", "cseq", "expires", "from", "ftag", "hdr", "of", "reason", "rseq", "se", "tag", "to",
    "ttag", "ua", "via",
];

/// Words that stand alone.
const FLAGS: [&str; 4] = ["again", "copy", "fwd", "sdp"];

impl Line {
    /// `None` for a line that holds nothing but space and a comment.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, String> {
        let mut tokens = tokens(text)?.into_iter();
        let Some((at, None)) = tokens.next() else { return Ok(None) };
        let mut next = |what: &str| match tokens.next() {
            Some((word, value)) => Ok((word, value)),
            None => Err(format!("{what} is missing")),
        };
        let (left, arrow, right) = (next("an endpoint")?.0, next("an arrow")?.0, next("an endpoint")?.0);
        let (source, destination) = match arrow.as_str() {
            "->" => (left, right),
            "<-" => (right, left),
            _ => return Err(format!("{arrow:?} is neither -> nor <-")),
        };
        let what = match next("a method or a status")? {
            (word, Some(value)) if word == "raw" => What::Raw(bytes(&value)),
            (word, None) if word == "crlf" => What::Raw(b"\r\n\r\n".to_vec()),
            (word, None) if word.bytes().all(|byte| byte.is_ascii_digit()) => {
                What::Response(word.parse().map_err(|_| format!("{word} is no status"))?)
            }
            (word, None) => What::Request(word),
            (word, Some(_)) => return Err(format!("{word}= stands where a method or a status belongs")),
        };
        let words: Vec<_> = tokens.collect();
        for (word, value) in &words {
            let known = if value.is_some() { &KEYS[..] } else { &FLAGS[..] };
            if !known.contains(&word.as_str()) {
                return Err(format!("unknown word {word:?}; with a value: {KEYS:?}; alone: {FLAGS:?}"));
            }
        }
        Ok(Some(Self { at: seconds(&at)?, source, destination, what, words }))
    }

    /// Whether a word stands there alone.
    pub(crate) fn has(&self, flag: &'static str) -> bool {
        self.words.iter().any(|(word, value)| value.is_none() && word == flag)
    }

    /// The value of a word.
    pub(crate) fn value(&self, key: &'static str) -> Option<&str> {
        self.values(key).next()
    }

    /// The values of a word that may be repeated.
    pub(crate) fn values(&self, key: &'static str) -> impl Iterator<Item = &str> {
        self.words.iter().filter(move |(word, _)| word == key).filter_map(|(_, value)| value.as_deref())
    }

    /// The value of a word that is a number.
    pub(crate) fn number(&self, key: &'static str) -> Result<Option<u32>, String> {
        self.value(key).map(|text| text.parse().map_err(|_| format!("{key}={text} is no number"))).transpose()
    }
}

/// The bytes of text from a line: `\xNN` stands for one byte and was kept as the character of that number.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u8::try_from(c) {
            Ok(byte) => bytes.push(byte),
            Err(_) => bytes.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// Decimal seconds, exact to the nanosecond: a float would move the edges of timers.
fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time in seconds");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let nanos = format!("{fraction:0<9}").parse().map_err(|_| wrong())?;
    Ok(Duration::new(whole.parse().map_err(|_| wrong())?, nanos))
}

/// Splits at white space outside quotes; `key=value` and `key="value"` become pairs. `#` begins a comment.
fn tokens(text: &str) -> Result<Vec<(String, Option<String>)>, String> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none_or(|c| *c == '#') {
            return Ok(tokens);
        }
        let mut word = String::new();
        let mut key = None;
        while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
            match c {
                '=' if key.is_none() => key = Some(std::mem::take(&mut word)),
                '"' => quoted(&mut chars, &mut word)?,
                _ => word.push(c),
            }
        }
        tokens.push(match key {
            Some(key) => (key, Some(word)),
            None => (word, None),
        });
    }
}

/// The rest of a quoted piece, escapes resolved. `\xNN` is a byte, kept as the character of that number.
fn quoted(chars: &mut impl Iterator<Item = char>, out: &mut String) -> Result<(), String> {
    loop {
        match chars.next().ok_or("a quote is not closed")? {
            '"' => return Ok(()),
            '\\' => out.push(match chars.next().ok_or("a quote is not closed")? {
                'r' => '\r',
                'n' => '\n',
                't' => '\t',
                'x' => {
                    let digits: String = chars.by_ref().take(2).collect();
                    u8::from_str_radix(&digits, 16).map_err(|_| format!("\\x{digits} is no byte"))?.into()
                }
                other => other,
            }),
            c => out.push(c),
        }
    }
}
