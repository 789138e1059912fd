//! A stream of messages: cut by Content-Length, with keep-alives between them (RFC 3261 §18.3, RFC 5626 §3.5.1).

use std::time::Duration;

use pipeline::Transport;
use sip::{Framer, ParseError, Step};
use wire::{Chunk, Timestamp};

use super::{Carrier, Sink, push_frame};

/// Line ends that follow others later than this are another keep-alive, not a ping that was cut in two: pings are
/// tens of seconds apart (RFC 5626 §4.4.1).
const PING_PAUSE: Duration = Duration::from_secs(1);

/// A stream of messages; a new one stands at its first byte.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    framer: Framer,
    /// A message or a keep-alive was seen.
    is_sip: bool,
    /// When the last line ends came, if nothing came since.
    line_ends: Option<Timestamp>,
    /// This host sends them.
    outgoing: bool,
}

/// Whether a segment shows that messages are in a stream, and that one, or a keep-alive, begins with it.
pub(super) fn begin(payload: &[u8]) -> bool {
    sip::begins_message(payload) || payload.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
}

impl Messages {
    /// In the middle of a stream, where [`begin`] says so.
    pub fn entered() -> Self {
        Self { is_sip: true, ..Self::default() }
    }

    /// Takes what is whole; returns how many bytes are done with, or `None` if this is no SIP at all.
    pub fn read(&mut self, chunk: &Chunk<'_>, sink: &mut Sink<'_>) -> Option<usize> {
        self.outgoing = sink.outgoing.unwrap_or(self.outgoing);
        if chunk.gap {
            self.lose(sink);
        }
        let mut done = 0;
        loop {
            let unread = &chunk.bytes[done..];
            match self.framer.step(unread) {
                Step::More => return Some(done),
                Step::Message(len) => {
                    self.line_ends = None;
                    self.is_sip = true;
                    let start = sink.batch.bytes.len();
                    sink.batch.bytes.extend_from_slice(&unread[..len]);
                    let carrier = Carrier { transport: Transport::Tcp, outgoing: self.outgoing };
                    push_frame(start, carrier, chunk, done, sink);
                    done += len;
                }
                Step::LineEnds(len) => {
                    self.line_ends(chunk.fresh_at, sink);
                    done += len;
                }
                Step::Skipped(len) => done += len,
                Step::Foreign if !self.is_sip => return None,
                Step::Foreign => self.lose(sink),
                Step::Error(error, len) => {
                    let tally = &mut sink.batch.tally;
                    match error {
                        ParseError::TooLarge => tally.too_large += 1,
                        ParseError::ContentLength => tally.content_length_errors += 1,
                        _ => tally.start_line_errors += 1,
                    }
                    self.lose(sink);
                    done += len;
                }
            }
        }
    }

    /// The place in the stream is lost.
    fn lose(&mut self, sink: &mut Sink<'_>) {
        self.framer.lose();
        sink.batch.tally.stream_resyncs += 1;
    }

    fn line_ends(&mut self, at: Timestamp, sink: &mut Sink<'_>) {
        let goes_on = self.line_ends.is_some_and(|last| at.since(last) < PING_PAUSE);
        sink.batch.tally.keepalives_crlf += u64::from(!goes_on);
        self.line_ends = Some(at);
        self.is_sip = true;
    }
}
