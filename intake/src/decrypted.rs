//! Streams read in the clear inside processes: pieces in, SIP frames out (`sip-metrics.md` 1.7).
//!
//! A piece is treated as a segment of TCP would be, so that bounds, holes, framing and counts are the same. Where both
//! ends of a connection are on this host every byte is seen twice, written by one process and read by another: the two
//! are followed apart, and each message counts once, whichever end shows it first.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::time::Duration;

use foldhash::quality::RandomState;
use pipeline::SipFrame;
use wire::{Flow, Segment, Streams, Timestamp};

use super::streams::{Sink, SipReader};

/// Which end of a connection a piece was seen at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its sender's.
    Sender,
    /// Its recipient's.
    Recipient,
}

/// Some bytes of one direction of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// When they were read or written, on the clock of the packets' time stamps.
    pub at: Timestamp,
    /// Where they were seen.
    pub seen_at: End,
    /// Sender.
    pub source: SocketAddr,
    /// Recipient.
    pub destination: SocketAddr,
    /// Place of the first byte: begins anywhere, and wraps.
    pub sequence: u32,
    /// Before them the direction had none.
    pub opening: bool,
    /// The direction has ended at `sequence`; there are no bytes.
    pub ended: bool,
    /// What was read or written.
    pub bytes: &'a [u8],
}

/// Follows every direction, at each end it is seen at.
#[derive(Debug)]
pub(super) struct Decrypted {
    sent: Streams<SipReader>,
    received: Streams<SipReader>,
    copies: Copies,
    evicted: u64,
}

impl Decrypted {
    /// `max_streams`: at each end.
    pub fn new(max_streams: usize) -> Self {
        let streams = || Streams::new(max_streams);
        Self { sent: streams(), received: streams(), copies: Copies::default(), evicted: 0 }
    }

    /// Takes one piece: the batch gains frames, a count, or nothing.
    pub fn piece(&mut self, piece: &Piece<'_>, sink: &mut Sink<'_>) {
        self.expire(sink);
        let flow = Flow { source: piece.source, destination: piece.destination };
        // What is no message is counted at one end alone.
        let counted_elsewhere = piece.seen_at == End::Recipient && self.sent.follows(&flow);
        let counted = counted_elsewhere.then(|| (sink.batch.tally.clone(), sink.batch.refused.clone()));
        let known = sink.batch.frames.len();
        let streams = match piece.seen_at {
            End::Sender => &mut self.sent,
            End::Recipient => &mut self.received,
        };
        // A process may give back a connection that another one goes on with, whose bytes have numbers of their own.
        if !piece.ended || streams.stands_at(&flow, piece.sequence) {
            streams.segment(&segment(piece), sink.stamp.at, sink);
        }
        if let Some(counted) = counted {
            (sink.batch.tally, sink.batch.refused) = counted;
        }
        self.copies.remove(piece.seen_at, known, sink);
        let evicted = self.sent.evicted() + self.received.evicted();
        sink.batch.tally.evicted_streams += evicted - self.evicted;
        self.evicted = evicted;
    }

    /// Gives up holes that nobody fills and directions that say nothing. What comes to light may be a copy too.
    pub fn expire(&mut self, sink: &mut Sink<'_>) {
        let tap = sink.tap.take();
        for (end, streams) in [(End::Sender, &mut self.sent), (End::Recipient, &mut self.received)] {
            let known = sink.batch.frames.len();
            streams.expire(sink.stamp.at, sink);
            self.copies.remove(end, known, sink);
        }
        self.copies.expire(sink.stamp.at);
        sink.tap = tap;
    }

    /// Directions followed, and bytes kept of them.
    pub fn size(&self) -> (usize, usize) {
        (self.sent.len() + self.received.len(), self.sent.kept_bytes() + self.received.kept_bytes())
    }
}

/// As TCP would carry the piece. Of a SYN the number is its own; the bytes begin one behind it.
fn segment<'a>(piece: &Piece<'a>) -> Segment<'a> {
    const SYN: u8 = 0x02;
    const RST: u8 = 0x04;
    Segment {
        source: piece.source,
        destination: piece.destination,
        sequence: piece.sequence.wrapping_sub(u32::from(piece.opening)),
        flags: if piece.opening { SYN } else { 0 } | if piece.ended { RST } else { 0 },
        payload: piece.bytes,
        truncated: false,
    }
}

/// How often each message was shown by each end, lately. A message is a copy when the other end has shown it more often:
/// this takes no two messages for one, though a 2xx is sent again over TCP too (RFC 3261 §13.3.1.4), and no delay
/// between the ends is too long.
#[derive(Debug, Default)]
struct Copies {
    shown: HashMap<u64, Shown>,
    /// Times and hashes, oldest first; a hash stands here once for every time it was shown.
    order: VecDeque<(Timestamp, u64)>,
    /// Keyed, so that nobody can make a message that hides another.
    hash: RandomState,
}

#[derive(Clone, Copy, Debug, Default)]
struct Shown {
    by_sender: u32,
    by_recipient: u32,
    last: Timestamp,
}

/// What was shown longer ago is forgotten: no process leaves what it has received unread so long.
const MEMORY: Duration = Duration::from_secs(10);

/// Most messages remembered: what 6,500 a second need.
const MAX_SHOWN: usize = 65_536;

impl Copies {
    /// Takes copies out of the frames from `known` on, which `end` has shown.
    fn remove(&mut self, end: End, known: usize, sink: &mut Sink<'_>) {
        let Sink { batch, stamp, .. } = sink;
        let mut index = known;
        while index < batch.frames.len() {
            if self.is_copy(end, stamp.at, &batch.frames[index], &batch.bytes) {
                batch.frames.remove(index);
                batch.tally.capture_duplicates += 1;
            } else {
                index += 1;
            }
        }
    }

    fn is_copy(&mut self, end: End, at: Timestamp, frame: &SipFrame, bytes: &[u8]) -> bool {
        let hash = self.hash.hash_one((frame.source, frame.destination, &bytes[frame.range.clone()]));
        if self.order.len() >= MAX_SHOWN {
            self.forget_first();
        }
        self.order.push_back((at, hash));
        let shown = self.shown.entry(hash).or_default();
        shown.last = at;
        let (own, other) = match end {
            End::Sender => (&mut shown.by_sender, shown.by_recipient),
            End::Recipient => (&mut shown.by_recipient, shown.by_sender),
        };
        *own = own.saturating_add(1);
        *own <= other
    }

    fn expire(&mut self, now: Timestamp) {
        while self.order.front().is_some_and(|(at, _)| now.since(*at) > MEMORY) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((at, hash)) = self.order.pop_front()
            && self.shown.get(&hash).is_some_and(|shown| shown.last <= at)
        {
            self.shown.remove(&hash);
        }
    }
}
