//! A stream of messages: cut by Content-Length, with keep-alives between them (RFC 3261 §18.3, RFC 5626 §3.5.1), and
//! what a proxy or a server says before the first one passed over.

use std::time::Duration;

use pipeline::Transport;
use sip::{Framer, ParseError, Payload, Step};
use wire::{Chunk, Tap, Timestamp};

use super::{Carrier, Sink, push_frame, refuse};

/// Line ends that follow others later than this are another keep-alive, not a ping that was cut in two: pings are
/// tens of seconds apart (RFC 5626 §4.4.1).
const PING_PAUSE: Duration = Duration::from_secs(1);

/// A stream is no SIP that shows no start line within so many bytes. A greeting is shorter by far, and so is all that
/// stands in front of a message (the longest header of the PROXY protocol has 64 KiB and is known by its length).
const MAX_FOREIGN: usize = 64 * 1024;

/// A stream of messages; a new one stands at its first byte.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    framer: Framer,
    /// A message or a keep-alive was seen.
    is_sip: bool,
    /// How many bytes were passed over of what stands where a message or a keep-alive should.
    foreign: Option<usize>,
    /// When the last line ends came, if nothing came since.
    line_ends: Option<Timestamp>,
    /// This host sends them.
    tap: Tap,
}

/// Whether a segment shows that messages are in a stream, and that one, or a keep-alive, begins with it.
pub(super) fn begin(payload: &[u8]) -> bool {
    sip::begins_message(payload) || matches!(sip::sort(payload), Payload::Crlf | Payload::Stun)
}

impl Messages {
    /// In the middle of a stream, where [`begin`] says so.
    pub fn entered() -> Self {
        Self { is_sip: true, ..Self::default() }
    }

    /// Whether no SIP was seen yet, and something else was.
    pub fn is_foreign(&self) -> bool {
        !self.is_sip && self.foreign.is_some()
    }

    /// Takes what is whole; returns how many bytes are done with, or `None` if this is no SIP at all.
    pub fn read(&mut self, chunk: &Chunk<'_>, sink: &mut Sink<'_>) -> Option<usize> {
        self.tap = sink.tap.unwrap_or(self.tap);
        if chunk.gap {
            // What is missing where there was no SIP is no message.
            sink.batch.tally.stream_resyncs += u64::from(!self.is_foreign());
            self.framer.lose();
        }
        let mut done = 0;
        loop {
            let unread = &chunk.bytes[done..];
            match self.framer.step(unread) {
                Step::More => return Some(done),
                Step::Message(len) => {
                    self.line_ends = None;
                    (self.is_sip, self.foreign) = (true, None);
                    let start = sink.batch.bytes.len();
                    sink.batch.bytes.extend_from_slice(&unread[..len]);
                    push_frame(start, self.carrier(), chunk, done, sink);
                    done += len;
                }
                Step::LineEnds(len) => {
                    self.line_ends(chunk.fresh_at, sink);
                    done += len;
                }
                Step::Stun(len) => {
                    sink.batch.tally.keepalives_stun += 1;
                    self.line_ends = None;
                    (self.is_sip, self.foreign) = (true, None);
                    done += len;
                }
                Step::Skipped(len) => {
                    done += len;
                    let foreign = self.foreign.get_or_insert(0);
                    *foreign = foreign.saturating_add(len);
                    if !self.is_sip && *foreign > MAX_FOREIGN {
                        return None;
                    }
                }
                Step::Foreign => {
                    (self.line_ends, self.foreign) = (None, Some(0));
                    sink.batch.tally.non_sip += 1;
                }
                Step::StartLineError => {
                    (self.line_ends, self.foreign) = (None, Some(0));
                    sink.batch.tally.start_line_errors += 1;
                    refuse(unread, self.carrier(), ParseError::StartLine, chunk, done, sink);
                }
                Step::Error(error, len) => {
                    let tally = &mut sink.batch.tally;
                    match error {
                        ParseError::ContentLength => tally.content_length_errors += 1,
                        _ => tally.too_large += 1,
                    }
                    tally.stream_resyncs += 1;
                    refuse(unread, self.carrier(), error, chunk, done, sink);
                    done += len;
                }
            }
        }
    }

    fn carrier(&self) -> Carrier {
        Carrier { transport: Transport::Tcp, tap: self.tap }
    }

    fn line_ends(&mut self, at: Timestamp, sink: &mut Sink<'_>) {
        let goes_on = self.line_ends.is_some_and(|last| at.since(last) < PING_PAUSE);
        sink.batch.tally.keepalives_crlf += u64::from(!goes_on);
        self.line_ends = Some(at);
        (self.is_sip, self.foreign) = (true, None);
    }
}
