//! Framing: the unread bytes of a stream in, where the next message ends out (RFC 3261 §18.3, `sip-metrics.md` 1.7).
//!
//! Content-Length rules; without it there is no body. Where the place in the stream is lost, the next start line is
//! looked for. Keeps positions, never bytes, so that no byte is looked at twice however small the pieces are.

use crate::content_length::ContentLength;
use crate::error::ParseError;
use crate::header::{Header, Lines};
use crate::limits::MAX_STREAM_MESSAGE;
use crate::method::Method;
use crate::start;
use crate::value;

/// Longest line that is looked through for a start line.
const MAX_LINE: usize = 16 * 1024;

/// So many bytes tell whether a line is a status line: version, status, and some spaces.
const STATUS_LINE: usize = 32;

/// How long the known methods are, from ACK to SUBSCRIBE.
const METHOD_LENGTHS: std::ops::RangeInclusive<usize> = 3..=9;

/// Finds messages in one direction of a stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Framer {
    state: State,
}

/// What is known of the bytes in front.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// A message or line ends may begin here.
    #[default]
    Between,
    /// Within the first line; it does not end within the first `scanned` bytes.
    FirstLine { scanned: usize },
    /// Within a header; it does not end within the first `scanned` bytes.
    Header { scanned: usize },
    /// A message of this length.
    Body { len: usize },
    /// Anywhere; no line ends within the first `scanned` bytes.
    Lost { scanned: usize },
}

/// What stands in front of the unread bytes. A length says how many of them are done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing whole: more bytes are needed.
    More,
    /// One message.
    Message(usize),
    /// Line ends between messages, as far as they have come: a keep-alive (RFC 5626 §3.5.1).
    LineEnds(usize),
    /// What was skipped in search of a start line.
    Skipped(usize),
    /// Nothing that looks like SIP where a message should begin. From here on a start line is looked for.
    Foreign,
    /// Something like a message that cannot be used: its header, or nothing yet. From here on a start line is looked
    /// for.
    Error(ParseError, usize),
}

impl Framer {
    /// Bytes were lost: from here on a start line is looked for.
    pub fn lose(&mut self) {
        self.state = State::Lost { scanned: 0 };
    }

    /// Looks at `unread`: all bytes not done with yet, perhaps more than last time.
    #[inline]
    pub fn step(&mut self, unread: &[u8]) -> Step {
        loop {
            let step = match self.state {
                State::Between => self.between(unread),
                State::FirstLine { scanned } => self.first_line(unread, scanned),
                State::Header { scanned } => self.header(unread, scanned),
                State::Lost { scanned } => return self.lost(unread, scanned),
                State::Body { len } if unread.len() >= len => {
                    self.state = State::Between;
                    return Step::Message(len);
                }
                State::Body { .. } => return Step::More,
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    fn between(&mut self, unread: &[u8]) -> Option<Step> {
        let line_ends = unread.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        if line_ends > 0 {
            return Some(Step::LineEnds(line_ends));
        }
        if unread.is_empty() {
            return Some(Step::More);
        }
        self.state = State::FirstLine { scanned: 0 };
        None
    }

    fn first_line(&mut self, unread: &[u8], scanned: usize) -> Option<Step> {
        let Some(end) = memchr::memchr(b'\n', &unread[scanned..]) else {
            if !may_begin_message(unread) {
                self.lose();
                return Some(Step::Foreign);
            }
            return Some(self.wait_for_header(unread, State::FirstLine { scanned: unread.len() }));
        };
        let end = scanned + end;
        match start::parse(&unread[..=end]) {
            // Without a start line to be used the message is still a message.
            Ok(_) | Err(ParseError::Version | ParseError::Status) => {
                self.state = State::Header { scanned: end };
                None
            }
            Err(error) => {
                self.lose();
                Some(if names_sip(&unread[..end]) { Step::Error(error, 0) } else { Step::Foreign })
            }
        }
    }

    fn header(&mut self, unread: &[u8], scanned: usize) -> Option<Step> {
        let Some(header) = header_len(unread, scanned) else {
            // The line end in front of an empty line may be the last byte, or the one before.
            return Some(self.wait_for_header(unread, State::Header { scanned: unread.len().saturating_sub(2) }));
        };
        let body = match content_length(&unread[..header]) {
            ContentLength::Absent => 0,
            ContentLength::Bytes(len) => len as usize,
            ContentLength::Invalid | ContentLength::Several(_) => {
                self.lose();
                return Some(Step::Error(ParseError::ContentLength, header));
            }
        };
        let len = header.saturating_add(body);
        if len > MAX_STREAM_MESSAGE {
            self.lose();
            return Some(Step::Error(ParseError::TooLarge, header));
        }
        self.state = State::Body { len };
        None
    }

    /// Waits in `state` unless the header has become too long.
    fn wait_for_header(&mut self, unread: &[u8], state: State) -> Step {
        if unread.len() >= MAX_STREAM_MESSAGE {
            self.lose();
            return Step::Error(ParseError::TooLarge, unread.len());
        }
        self.state = state;
        Step::More
    }

    /// Looks for a start line, line by line.
    fn lost(&mut self, unread: &[u8], scanned: usize) -> Step {
        let mut from = 0;
        let mut scanned = scanned;
        while let Some(end) = memchr::memchr(b'\n', &unread[scanned..]) {
            let end = scanned + end;
            if let Some(start) = start_in(&unread[from..end]) {
                self.state = State::Between;
                return Step::Skipped(from + start);
            }
            (from, scanned) = (end + 1, end + 1);
        }
        if unread.len() - from > MAX_LINE {
            from = unread.len();
        }
        self.state = State::Lost { scanned: unread.len() - from };
        if from > 0 { Step::Skipped(from) } else { Step::More }
    }
}

/// Whether a segment whose place in the stream is not known begins with a message, line ends before it included. Of a
/// first line that is not whole a known method or the version is enough.
pub fn begins_message(payload: &[u8]) -> bool {
    let message = start::skip_line_ends(payload);
    if memchr::memchr(b'\n', message).is_none() {
        let word = memchr::memchr(b' ', message).map_or(&b""[..], |space| &message[..space]);
        return start::names_sip(word) || Method::named(word) != Method::Other;
    }
    matches!(start::parse(message), Ok(_) | Err(ParseError::Version | ParseError::Status))
}

/// Whether a start line may begin so: a token and a space, or `SIP/`.
fn may_begin_message(line: &[u8]) -> bool {
    let token = value::token_len(line);
    match line.get(token) {
        None => true,
        Some(b' ') => token > 0,
        Some(b'/') => line[..token].eq_ignore_ascii_case(b"SIP"),
        Some(_) => false,
    }
}

/// Where in a line a start line begins; behind other bytes only one with a known method, or a status line.
fn start_in(line: &[u8]) -> Option<usize> {
    let is_start = |line| start::parse(line).is_ok();
    for slash in memchr::memchr_iter(b'/', line) {
        let Some(at) = slash.checked_sub(3) else { continue };
        // A status line shows what it is in its first bytes; of a request line this is the end.
        if start::names_sip(&line[at..]) && is_start(&line[at..line.len().min(at + STATUS_LINE)]) {
            return Some(at);
        }
    }
    if !names_sip(line) {
        return None;
    }
    let known = memchr::memchr_iter(b' ', line).find_map(|space| {
        let mut begins = METHOD_LENGTHS.filter_map(|len| space.checked_sub(len));
        begins.find(|&at| Method::named(&line[at..space]) != Method::Other)
    });
    known.filter(|&at| is_start(&line[at..])).or_else(|| is_start(line).then_some(0))
}

/// Whether `SIP/` and a digit stand anywhere in `line`.
pub(crate) fn names_sip(line: &[u8]) -> bool {
    memchr::memchr_iter(b'/', line).any(|slash| slash >= 3 && start::names_sip(&line[slash - 3..]))
}

/// Length of a header block with its empty line; its first `scanned` bytes do not hold it.
pub(crate) fn header_len(bytes: &[u8], scanned: usize) -> Option<usize> {
    memchr::memchr_iter(b'\n', &bytes[scanned..]).find_map(|at| match bytes[scanned + at + 1..] {
        [b'\n', ..] => Some(scanned + at + 2),
        [b'\r', b'\n', ..] => Some(scanned + at + 3),
        _ => None,
    })
}

/// What the Content-Length fields of a header block say together.
fn content_length(header: &[u8]) -> ContentLength {
    let first_line = memchr::memchr(b'\n', header).map_or(header.len(), |end| end + 1);
    let mut lines = Lines::new(header, first_line, false);
    let mut length: Option<ContentLength> = None;
    while let Some(field) = lines.next_field() {
        if field.header == Header::ContentLength {
            let value = field.value(header).bytes();
            length = Some(length.map_or_else(|| ContentLength::of(value), |length| length.and(value)));
        }
    }
    length.unwrap_or_default()
}

#[cfg(test)]
mod tests;
