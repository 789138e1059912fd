//! Framing: the unread bytes of a stream in, where the next message ends out (RFC 3261 §18.3, `sip-metrics.md` 1.7).
//!
//! Content-Length rules; without it there is no body. Between messages there may be keep-alives: line ends, NUL, STUN.
//! Where something else stands, or the place in the stream is lost, the next start line is looked for. Keeps positions,
//! never bytes, so that no byte is looked at twice however small the pieces are.

use crate::content_length::ContentLength;
use crate::error::ParseError;
use crate::header::{Header, Lines};
use crate::limits::MAX_STREAM_MESSAGE;
use crate::method::Method;
use crate::scan::{self, LineEnds};
use crate::start;
use crate::value;

/// Longest line that is looked through for a start line.
const MAX_LINE: usize = 16 * 1024;

/// So many bytes tell whether a line is a status line: version, status, and some spaces.
const STATUS_LINE: usize = 32;

/// How long the known methods are, from ACK to SUBSCRIBE.
const METHOD_LENGTHS: std::ops::RangeInclusive<usize> = 3..=9;

/// How a header of the PROXY protocol begins, version 2; the line ends in it are no keep-alive.
const PROXY_V2: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes of a PROXY v2 header before its addresses, the length of which they end with.
const PROXY_V2_HEADER: usize = 16;

/// Bytes of a STUN message before its attributes (RFC 8489 §5).
const STUN_HEADER: usize = 20;

/// What bytes 4 to 7 of a STUN message are.
const STUN_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

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
    /// A PROXY header of this length, which was told of.
    Proxy { len: usize },
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
    /// Line ends or NUL between messages, as far as they have come: a keep-alive (RFC 5626 §3.5.1).
    LineEnds(usize),
    /// A STUN message between messages: a keep-alive too (§3.5.2).
    Stun(usize),
    /// What was skipped in search of a start line.
    Skipped(usize),
    /// Nothing that looks like SIP where a message should begin: the header of a proxy, a greeting. From here on a
    /// start line is looked for.
    Foreign,
    /// Nothing that can be used where a message should begin, though it names SIP. From here on a start line is looked
    /// for.
    StartLineError,
    /// The header of a message that cannot be used: the place in the stream is lost, and a start line looked for.
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
                State::Proxy { len } if unread.len() >= len => {
                    self.state = State::Between;
                    return Step::Skipped(len);
                }
                State::Proxy { .. } => return Step::More,
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    fn between(&mut self, unread: &[u8]) -> Option<Step> {
        match unread {
            [] => return Some(Step::More),
            [0..=3, ..] => match stun_len(unread) {
                Stun::Message(len) if unread.len() >= len => return Some(Step::Stun(len)),
                Stun::Message(_) | Stun::Unclear => return Some(Step::More),
                Stun::None => {}
            },
            _ => {}
        }
        match proxy_len(unread) {
            ProxyHeader::Length(len) => {
                self.state = State::Proxy { len };
                return Some(Step::Foreign);
            }
            ProxyHeader::Unclear => return Some(Step::More),
            ProxyHeader::None => {}
        }
        let line_ends = line_ends_len(unread);
        if line_ends > 0 {
            return Some(Step::LineEnds(line_ends));
        }
        self.state = State::FirstLine { scanned: 0 };
        None
    }

    fn first_line(&mut self, unread: &[u8], scanned: usize) -> Option<Step> {
        let Some(end) = memchr::memchr(b'\n', &unread[scanned..]) else {
            // Where it names SIP its end will tell whether that is a start line, behind something else.
            if !may_begin_message(unread) && (unread.len() > MAX_LINE || !names_sip(unread)) {
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
            Err(_) => {
                self.lose();
                Some(foreign(&unread[..end]))
            }
        }
    }

    fn header(&mut self, unread: &[u8], scanned: usize) -> Option<Step> {
        let Some(header) = header_len(unread, scanned) else {
            return Some(self.wait_for_header(unread, State::Header { scanned: unread.len() }));
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

/// Where in bytes that are no message by themselves a start line stands: one with a known method, a status line, or one
/// that has a line for itself.
pub fn find_start_line(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let end = memchr::memchr(b'\n', &bytes[from..]).map_or(bytes.len(), |end| from + end);
        if let Some(start) = start_in(&bytes[from..end]) {
            return Some(from + start);
        }
        from = end + 1;
        if from >= bytes.len() {
            return None;
        }
    }
}

/// What may be a header of the PROXY protocol, version 2.
enum ProxyHeader {
    /// It is one, of this length.
    Length(usize),
    /// Too few bytes tell.
    Unclear,
    None,
}

/// Whether a PROXY v2 header begins here, and its length. Whole line ends are not made to wait for what would make them
/// one: a keep-alive is all that comes for minutes.
fn proxy_len(bytes: &[u8]) -> ProxyHeader {
    if let Some(header) = bytes.first_chunk::<PROXY_V2_HEADER>() {
        let len = PROXY_V2_HEADER + usize::from(u16::from_be_bytes([header[14], header[15]]));
        return if header.starts_with(PROXY_V2) { ProxyHeader::Length(len) } else { ProxyHeader::None };
    }
    let begins = bytes.starts_with(PROXY_V2) || PROXY_V2.starts_with(bytes);
    if begins && !matches!(bytes, b"\r\n" | b"\r\n\r\n") { ProxyHeader::Unclear } else { ProxyHeader::None }
}

/// What may be a STUN message.
enum Stun {
    /// It is one, of this length.
    Message(usize),
    /// Too few bytes tell.
    Unclear,
    None,
}

/// Whether a STUN message begins here (`sip-metrics.md` 1.1), and its length.
fn stun_len(bytes: &[u8]) -> Stun {
    match bytes {
        [0..=3, _, a, b, cookie @ ..] if cookie.starts_with(&STUN_COOKIE) => {
            Stun::Message(STUN_HEADER + usize::from(u16::from_be_bytes([*a, *b])))
        }
        // A keep-alive of NUL is not made to wait: no STUN message in use has type 0.
        [0] | [0, b'\r' | b'\n' | 0, ..] => Stun::None,
        [0..=3, rest @ ..] if rest.len() < 7 && STUN_COOKIE.starts_with(rest.get(3..).unwrap_or_default()) => {
            Stun::Unclear
        }
        _ => Stun::None,
    }
}

/// Length of the run of CR, LF and NUL at the front. What comes in it as a STUN message does is not part of it.
fn line_ends_len(bytes: &[u8]) -> usize {
    let is_end = |at: usize| match bytes[at] {
        b'\r' | b'\n' => true,
        0 => at == 0 || matches!(stun_len(&bytes[at..]), Stun::None),
        _ => false,
    };
    (0..bytes.len()).find(|&at| !is_end(at)).unwrap_or(bytes.len())
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
        // The longest: PRACK ends with ACK.
        let mut begins = METHOD_LENGTHS.rev().filter_map(|len| space.checked_sub(len));
        begins.find(|&at| Method::named(&line[at..space]) != Method::Other)
    });
    known.filter(|&at| is_start(&line[at..])).or_else(|| is_start(line).then_some(0))
}

/// What a line is that stands where a message should begin. The start line may stand behind it: spaces, or a greeting,
/// have no line of their own.
fn foreign(line: &[u8]) -> Step {
    let before = start_in(line).map_or(line, |start| &line[..start]);
    if names_sip(before) { Step::StartLineError } else { Step::Foreign }
}

/// Whether `SIP/` and a digit stand anywhere in `line`.
#[inline]
pub(crate) fn names_sip(line: &[u8]) -> bool {
    scan::places::<b'/'>(line).any(|slash| slash >= 3 && start::names_sip(&line[slash - 3..]))
}

/// Length of a header block with its empty line; its first `scanned` bytes do not hold it.
pub(crate) fn header_len(bytes: &[u8], scanned: usize) -> Option<usize> {
    let mut ends = LineEnds::new(scanned);
    // Nothing but CR stands between the LF of an empty line and the one before.
    let is_empty = |end: &usize| bytes[..*end].iter().rfind(|byte| **byte != b'\r') == Some(&b'\n');
    std::iter::from_fn(|| ends.next(bytes)).find(is_empty).map(|end| end + 1)
}

/// What the Content-Length fields of a header block say together.
pub(crate) fn content_length(header: &[u8]) -> ContentLength {
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
