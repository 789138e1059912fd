//! SIP in TCP: what a stream on a SIP port holds (`sip-metrics.md` 1.7): messages, keep-alives, TLS, something else.
//!
//! The bytes of one direction come in order; whole messages go into the batch, copied once. What is no SIP is counted
//! once per direction and not put in order. TLS is not decrypted; its records are counted where their headers are seen.

use std::time::Duration;

use sip::{Framer, ParseError, Step};
use wire::{Chunk, Reader};

use super::clock::Stamp;
use crate::frame::{FrameBatch, SipFrame, Transport};

/// Line ends that follow others later than this are another keep-alive, not a ping that was cut in two: pings are
/// tens of seconds apart (RFC 5626 §4.4.1).
const PING_PAUSE: Duration = Duration::from_secs(1);

/// Content type, version, length (RFC 8446 §5.1).
const RECORD_HEADER: usize = 5;

/// Where a stream's frames and counts go.
pub(super) struct Sink<'a> {
    pub batch: &'a mut FrameBatch,
    /// The time of the packet at hand.
    pub stamp: Stamp,
    /// Whether this host sent it; `None` when time alone brings bytes to light.
    pub outgoing: Option<bool>,
}

/// One direction on a SIP port.
#[derive(Debug, Default)]
pub(super) enum SipReader {
    /// In the middle, at no known place.
    #[default]
    Outside,
    /// SIP, from its first byte on or entered at a message.
    Sip(Messages),
    /// TLS: the sequence number of the next record's header.
    Tls { next: u32 },
    /// Something else; it was counted.
    Foreign,
}

/// A stream of messages.
#[derive(Debug, Default)]
pub(super) struct Messages {
    framer: Framer,
    /// A message or a keep-alive was seen.
    is_sip: bool,
    /// When the last line ends came, if nothing came since.
    line_ends: Option<wire::Timestamp>,
    /// This host sends them.
    outgoing: bool,
}

impl Reader<Sink<'_>> for SipReader {
    fn open(&mut self) {
        *self = Self::Sip(Messages::default());
    }

    fn is_inside(&self) -> bool {
        matches!(self, Self::Sip(_))
    }

    fn glance(&mut self, sequence: u32, payload: &[u8], sink: &mut Sink<'_>) -> bool {
        let enters = sip::begins_message(payload) || is_line_ends(payload);
        match self {
            _ if enters => *self = Self::Sip(Messages { is_sip: true, ..Messages::default() }),
            Self::Tls { next } => *next = count_records(*next, sequence, payload, sink),
            _ if is_record(payload) => *self = Self::Tls { next: count_records(sequence, sequence, payload, sink) },
            Self::Outside => {
                sink.batch.tally.non_sip += 1;
                *self = Self::Foreign;
            }
            Self::Sip(_) | Self::Foreign => {}
        }
        enters
    }

    fn read(&mut self, chunk: &Chunk<'_>, sink: &mut Sink<'_>) -> usize {
        let Self::Sip(messages) = self else { return 0 };
        messages.outgoing = sink.outgoing.unwrap_or(messages.outgoing);
        if chunk.gap {
            messages.lose(sink);
        }
        if !messages.is_sip && is_record(chunk.bytes) {
            *self = Self::Tls { next: count_records(chunk.sequence, chunk.sequence, chunk.bytes, sink) };
            return chunk.bytes.len();
        }
        if !messages.is_sip && matches!(chunk.bytes, [0x14..=0x17] | [0x14..=0x17, 0x03]) {
            // No message begins so, but a record does.
            return 0;
        }
        let mut done = 0;
        loop {
            let unread = &chunk.bytes[done..];
            match messages.framer.step(unread) {
                Step::More => return done,
                Step::Message(len) => {
                    messages.message(chunk, done, len, sink);
                    done += len;
                }
                Step::LineEnds(len) => {
                    messages.line_ends(chunk.fresh_at, sink);
                    done += len;
                }
                Step::Skipped(len) => done += len,
                Step::Foreign if !messages.is_sip => {
                    sink.batch.tally.non_sip += 1;
                    *self = Self::Foreign;
                    return chunk.bytes.len();
                }
                Step::Foreign => messages.lose(sink),
                Step::Error(error, len) => {
                    let tally = &mut sink.batch.tally;
                    match error {
                        ParseError::TooLarge => tally.too_large += 1,
                        ParseError::ContentLength => tally.content_length_errors += 1,
                        _ => tally.start_line_errors += 1,
                    }
                    messages.lose(sink);
                    done += len;
                }
            }
        }
    }
}

impl Messages {
    /// The place in the stream is lost.
    fn lose(&mut self, sink: &mut Sink<'_>) {
        self.framer.lose();
        sink.batch.tally.stream_resyncs += 1;
    }

    fn line_ends(&mut self, at: wire::Timestamp, sink: &mut Sink<'_>) {
        let goes_on = self.line_ends.is_some_and(|last| at.since(last) < PING_PAUSE);
        sink.batch.tally.keepalives_crlf += u64::from(!goes_on);
        self.line_ends = Some(at);
        self.is_sip = true;
    }

    fn message(&mut self, chunk: &Chunk<'_>, at: usize, len: usize, sink: &mut Sink<'_>) {
        self.line_ends = None;
        self.is_sip = true;
        let Sink { batch, stamp, .. } = sink;
        let start = batch.bytes.len();
        batch.bytes.extend_from_slice(&chunk.bytes[at..at + len]);
        batch.frames.push(SipFrame {
            range: start..batch.bytes.len(),
            first: if at < chunk.fresh { chunk.first } else { chunk.fresh_at },
            at: stamp.at,
            wall_offset: stamp.wall_offset,
            source: chunk.flow.source,
            destination: chunk.flow.destination,
            transport: Transport::Tcp,
            outgoing: self.outgoing,
            truncated: false,
        });
    }
}

fn is_line_ends(payload: &[u8]) -> bool {
    payload.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
}

/// Whether a TLS record begins here.
fn is_record(bytes: &[u8]) -> bool {
    matches!(bytes, [0x14..=0x17, 0x03, 0x01..=0x04, ..])
}

/// Counts the records whose headers are whole in a segment at `sequence`; `next` is where the next one is expected,
/// and the result where the one after them is.
fn count_records(next: u32, sequence: u32, payload: &[u8], sink: &mut Sink<'_>) -> u32 {
    let end = sequence.wrapping_add(payload.len() as u32);
    let mut offset = next.wrapping_sub(sequence) as i32;
    if offset < 0 {
        // A header was missed: a record may begin with this segment.
        offset = 0;
    }
    let mut at = offset as usize;
    while let Some(header) = payload.get(at..).and_then(|rest| rest.first_chunk::<RECORD_HEADER>()) {
        if !is_record(header) {
            return end;
        }
        sink.batch.tally.tls_records += 1;
        at += RECORD_HEADER + usize::from(u16::from_be_bytes([header[3], header[4]]));
    }
    sequence.wrapping_add(at as u32)
}
