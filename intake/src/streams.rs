//! SIP in streams: what a stream on a SIP port holds (`sip-metrics.md` 1.7): messages, a WebSocket, TLS, something else.
//!
//! The bytes of one direction come in order; whole messages go into the batch, copied once. What is no SIP is counted
//! once per direction and not put in order. TLS is not decrypted; its records are counted where their headers are seen.

mod messages;
mod socket;
mod tls;

use std::ops::Range;

use messages::Messages;
use pipeline::{FrameBatch, Refused, SipFrame, Transport};
use sip::ParseError;
use socket::{Outcome, Socket};
use wire::{Chunk, Flow, Reader, Tap};

use super::clock::Stamp;
use super::ports::{Expected, PortFilter};

/// Where a stream's frames and counts go.
pub(super) struct Sink<'a> {
    pub batch: &'a mut FrameBatch,
    /// The time of the packet at hand.
    pub stamp: Stamp,
    /// Whether this host sent it; `None` when time alone brings bytes to light.
    pub tap: Option<Tap>,
    /// What is expected on which ports.
    pub filter: &'a PortFilter,
    /// WebSocket messages that were compressed and not read.
    pub compressed: &'a mut u64,
    /// The bytes came over TLS, and were read in the clear.
    pub over_tls: bool,
}

impl Sink<'_> {
    /// What the stream may carry. What was read in the clear was asked for, whatever is asked for of TCP.
    fn expected(&self, flow: Flow) -> Expected {
        self.filter.in_stream(flow, self.over_tls)
    }
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) enum SipReader {
    /// In the middle, at no known place.
    #[default]
    Outside,
    /// Before the first byte.
    Opening,
    /// SIP, from its first byte on or entered at a message.
    Sip(Messages),
    /// A WebSocket, from its upgrade on or entered at a message.
    WebSocket(Socket),
    /// TLS: the sequence number of the next record's header.
    Tls { next: u32 },
    /// Something else, which was counted, or a WebSocket that was closed.
    Foreign,
}

impl Reader<Sink<'_>> for SipReader {
    fn open(&mut self) {
        *self = Self::Opening;
    }

    fn is_inside(&self) -> bool {
        matches!(self, Self::Opening | Self::Sip(_) | Self::WebSocket(_))
    }

    fn glance(&mut self, flow: Flow, sequence: u32, payload: &[u8], sink: &mut Sink<'_>) -> bool {
        let expected = sink.expected(flow);
        if expected.sip && messages::begin(payload) {
            *self = Self::Sip(Messages::entered());
            return true;
        }
        if expected.websocket
            && let Some(socket) = Socket::entered(payload, matches!(self, Self::Foreign))
        {
            *self = Self::WebSocket(socket);
            return true;
        }
        match self {
            Self::Tls { next } => *next = tls::count_records(*next, sequence, payload, sink),
            _ if tls::is_record(payload) => {
                *self = Self::Tls { next: tls::count_records(sequence, sequence, payload, sink) };
            }
            Self::Outside => {
                sink.batch.tally.non_sip += 1;
                *self = Self::Foreign;
            }
            Self::Opening | Self::Sip(_) | Self::WebSocket(_) | Self::Foreign => {}
        }
        false
    }

    fn read(&mut self, chunk: &Chunk<'_>, sink: &mut Sink<'_>) -> usize {
        if matches!(self, Self::Opening) {
            let Some(reader) = beginning(chunk, sink) else { return 0 };
            *self = reader;
        }
        if let Self::WebSocket(socket) = self {
            match socket.read(chunk, sink) {
                Outcome::Read(done) => return done,
                Outcome::NoUpgrade if sink.expected(chunk.flow).sip => *self = Self::Sip(Messages::default()),
                outcome => {
                    let is_news = matches!(outcome, Outcome::NoUpgrade) && !socket.was_counted();
                    sink.batch.tally.non_sip += u64::from(is_news);
                    *self = Self::Foreign;
                }
            }
        }
        if let Self::Sip(messages) = self {
            // A proxy says whom it speaks for before TLS begins, too.
            let fresh = &chunk.bytes[chunk.fresh..];
            if messages.is_foreign() && tls::is_record(fresh) {
                let sequence = chunk.sequence.wrapping_add(chunk.fresh as u32);
                *self = Self::Tls { next: tls::count_records(sequence, sequence, fresh, sink) };
                return chunk.bytes.len();
            }
            if let Some(done) = messages.read(chunk, sink) {
                return done;
            }
            *self = Self::Foreign;
        }
        chunk.bytes.len()
    }
}

/// What all frames of a stream share.
struct Carrier {
    transport: Transport,
    /// This host sends them.
    tap: Tap,
}

/// What a stream is by its first bytes; `None` if these are too few to tell.
fn beginning(chunk: &Chunk<'_>, sink: &mut Sink<'_>) -> Option<SipReader> {
    if tls::is_record(chunk.bytes) {
        sink.batch.tally.stream_resyncs += u64::from(chunk.gap);
        let next = tls::count_records(chunk.sequence, chunk.sequence, chunk.bytes, sink);
        return Some(SipReader::Tls { next });
    }
    if tls::may_be_record(chunk.bytes) {
        return None;
    }
    let expected = sink.expected(chunk.flow);
    // Behind a hole there is no upgrade that could tell a WebSocket from SIP where both may be.
    Some(if expected.websocket && !(expected.sip && chunk.gap) {
        SipReader::WebSocket(Socket::default())
    } else {
        SipReader::Sip(Messages::default())
    })
}

/// Makes a frame of the last bytes of the batch, from `start` on; its first byte stood at `at` of the chunk.
fn push_frame(start: usize, carrier: Carrier, chunk: &Chunk<'_>, at: usize, sink: &mut Sink<'_>) {
    let frame = frame(start..sink.batch.bytes.len(), carrier, chunk, at, sink);
    sink.batch.frames.push(frame);
}

/// Notes what stands at `at` of the chunk and cannot be read.
fn refuse(message: &[u8], carrier: Carrier, reason: ParseError, chunk: &Chunk<'_>, at: usize, sink: &mut Sink<'_>) {
    let frame = frame(0..0, carrier, chunk, at, sink);
    sink.batch.refused.push(Refused::new(message, &frame, reason));
}

fn frame(range: Range<usize>, carrier: Carrier, chunk: &Chunk<'_>, at: usize, sink: &Sink<'_>) -> SipFrame {
    let Sink { stamp, over_tls, .. } = sink;
    let transport = match (carrier.transport, over_tls) {
        (Transport::Tcp, true) => Transport::Tls,
        (Transport::Ws, true) => Transport::Wss,
        (transport, _) => transport,
    };
    SipFrame {
        range,
        first: if at < chunk.fresh { chunk.first } else { chunk.fresh_at },
        at: stamp.at,
        wall_offset: stamp.wall_offset,
        source: chunk.flow.source,
        destination: chunk.flow.destination,
        transport,
        missing: 0,
        tap: carrier.tap,
    }
}
