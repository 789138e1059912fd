//! A WebSocket that carries SIP: one message in each of its messages (RFC 7118 §5). A compressed one (RFC 7692) is
//! counted and not read: no SIP server in wide use grants compression.

use pipeline::Transport;
use sip::websocket::copy_message;
use sip::{ParseError, Payload, WebSocket, WebSocketStep};
use wire::{Chunk, Tap};

use super::{Carrier, Sink, push_frame, refuse};

/// One direction of a WebSocket; a new one stands before its upgrade.
#[derive(Debug, Default)]
pub(crate) struct Socket {
    framer: WebSocket,
    /// Sequence number of the first byte not done with: tells how many are missing behind a hole.
    position: u32,
    /// The stream had been counted as no SIP before.
    was_counted: bool,
    /// This host sends it.
    tap: Tap,
}

/// What became of the bytes.
pub(crate) enum Outcome {
    /// So many are done with.
    Read(usize),
    /// There is no WebSocket for SIP here.
    NoUpgrade,
    Closed,
}

impl Socket {
    /// In the middle of a stream, at a segment that shows an upgrade or the beginning of a message.
    pub fn entered(payload: &[u8], was_counted: bool) -> Option<Self> {
        Some(Self { framer: WebSocket::entered(payload)?, was_counted, ..Self::default() })
    }

    /// Whether the stream had been counted as no SIP before this was tried.
    pub fn was_counted(&self) -> bool {
        self.was_counted
    }

    /// Takes what is whole.
    pub fn read(&mut self, chunk: &Chunk<'_>, sink: &mut Sink<'_>) -> Outcome {
        self.tap = sink.tap.unwrap_or(self.tap);
        if chunk.gap {
            self.framer.lose(Some(chunk.sequence.wrapping_sub(self.position).into()));
            sink.batch.tally.stream_resyncs += 1;
        }
        let mut done = 0;
        loop {
            let unread = &chunk.bytes[done..];
            let tally = &mut sink.batch.tally;
            done += match self.framer.step(unread) {
                WebSocketStep::More => break,
                WebSocketStep::NoUpgrade => return Outcome::NoUpgrade,
                WebSocketStep::Close(_) => return Outcome::Closed,
                WebSocketStep::Message(len) => {
                    self.message(&unread[..len], chunk, done, sink);
                    len
                }
                WebSocketStep::Compressed(len) => {
                    tally.non_sip += 1;
                    *sink.compressed += 1;
                    len
                }
                WebSocketStep::Ping(len) => {
                    tally.keepalives_ws_ping += 1;
                    len
                }
                WebSocketStep::TooLarge(len) => {
                    tally.too_large += 1;
                    refuse(&[], self.carrier(), ParseError::TooLarge, chunk, done, sink);
                    len
                }
                WebSocketStep::Malformed(len) => {
                    tally.stream_resyncs += 1;
                    len
                }
                WebSocketStep::Skipped(len) => len,
            };
        }
        self.position = chunk.sequence.wrapping_add(done as u32);
        Outcome::Read(done)
    }

    fn carrier(&self) -> Carrier {
        Carrier { transport: Transport::Ws, tap: self.tap }
    }

    /// Sorts the message in `frames`, which stand at `at` of the chunk, as a datagram would be.
    fn message(&self, frames: &[u8], chunk: &Chunk<'_>, at: usize, sink: &mut Sink<'_>) {
        let Sink { batch, .. } = sink;
        let start = batch.bytes.len();
        copy_message(frames, &mut batch.bytes);
        let tally = &mut batch.tally;
        match sip::sort(&batch.bytes[start..]) {
            Payload::Sip(message) => {
                let start = batch.bytes.len() - message.len();
                return push_frame(start, self.carrier(), chunk, at, sink);
            }
            Payload::Stun => tally.keepalives_stun += 1,
            Payload::Crlf => tally.keepalives_crlf += 1,
            Payload::StartLineError => {
                tally.start_line_errors += 1;
                let message = batch.bytes.split_off(start);
                return refuse(&message, self.carrier(), ParseError::StartLine, chunk, at, sink);
            }
            Payload::NonSip => tally.non_sip += 1,
        }
        batch.bytes.truncate(start);
    }
}
