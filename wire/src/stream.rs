//! TCP streams: segments in, in any order, with copies and holes; each direction's bytes out, in order (RFC 9293 §3.4).
//!
//! A table of directions with a bound on everything: entries, bytes, segments that wait, time. Who reads the bytes is
//! a [`Reader`]: it takes what is whole, the rest is kept for it. A segment that comes in order while nothing is kept
//! goes to the reader as it is, uncopied. It reads no clock: `at` is the capture time of the packet.

mod direction;
mod queue;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::decode::Segment;
use crate::time::Timestamp;

use direction::Direction;
use queue::Queue;

/// How long a hole waits to be filled. A sender repeats within a second (RFC 6298 §2), Linux within 200 ms; what was
/// not seen by then was lost by the capture alone, and nobody will send it again.
const HOLE_TIMEOUT: Duration = Duration::from_secs(2);

/// A direction that says nothing for so long is forgotten; it is entered again at its next message. Longer than the
/// 120 s between the keep-alives of RFC 5626 §4.4.1.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// How long an opening waits for bytes, and an end for late copies of what came before it.
const BRIEF_TIMEOUT: Duration = Duration::from_secs(30);

/// One in so many entries may be a direction that has not sent anything yet or has ended, so that a flood of them
/// pushes out only its like.
const BRIEF_SHARE: usize = 8;

/// Most bytes kept in all, unread ones and those behind holes.
const MAX_KEPT: usize = 64 * 1024 * 1024;

/// Farther from what is expected than any window of interest: another connection on the same ports.
const WINDOW: u32 = 16 * 1024 * 1024;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Sender.
    pub source: SocketAddr,
    /// Recipient.
    pub destination: SocketAddr,
}

/// The unread bytes of a direction.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// Whose they are.
    pub flow: Flow,
    /// All that is unread, in order; what the reader leaves comes first next time.
    pub bytes: &'a [u8],
    /// Sequence number of the first one.
    pub sequence: u32,
    /// When the first byte came.
    pub first: Timestamp,
    /// Where the bytes begin that were not there last time.
    pub fresh: usize,
    /// When these came.
    pub fresh_at: Timestamp,
    /// Bytes are missing before the first one.
    pub gap: bool,
}

/// Reads one direction; a fresh one stands in the middle of it, at no known place.
pub trait Reader<O: ?Sized>: Default {
    /// The next byte is the first of the stream.
    fn open(&mut self);

    /// Whether bytes should be put in order. If not, nothing is kept and segments go to [`Reader::glance`].
    fn is_inside(&self) -> bool;

    /// Looks at one segment as it came. `true`: the stream can be entered at its first byte, which is to be read.
    fn glance(&mut self, flow: Flow, sequence: u32, payload: &[u8], out: &mut O) -> bool;

    /// Takes what is whole; returns how many bytes, from the front, it is done with.
    fn read(&mut self, chunk: &Chunk<'_>, out: &mut O) -> usize;
}

/// All directions that are followed. Allocates for new directions, and for bytes that have to wait.
#[derive(Debug)]
pub struct Streams<R> {
    max: usize,
    index: HashMap<Flow, u32>,
    slots: Vec<Slot<R>>,
    free: Vec<u32>,
    /// Directions that speak, the one idle longest first.
    open: Queue,
    /// Directions that have not begun, or have ended.
    brief: Queue,
    /// Directions that wait for a hole to be filled, the one that waits longest first.
    stalled: Queue,
    /// Bytes kept by all.
    kept: usize,
    evicted: u64,
}

#[derive(Debug)]
struct Slot<R> {
    flow: Flow,
    stage: Stage,
    /// Sequence number of its first byte, as far as known: tells a second SYN from a copy of the first.
    start: u32,
    /// When the last segment came.
    last: Timestamp,
    /// When the hole it waits for was found.
    stalled: Timestamp,
    direction: Direction,
    reader: R,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// SYN was seen and nothing else.
    HalfOpen,
    Open,
    /// FIN or RST; remembered so that late copies of its bytes are known.
    Closed,
}

impl<R> Streams<R> {
    /// `max`: most directions followed, at least 8; beyond it the one idle longest is given up.
    pub fn new(max: usize) -> Self {
        Self {
            max: max.max(BRIEF_SHARE),
            index: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            open: Queue::default(),
            brief: Queue::default(),
            stalled: Queue::default(),
            kept: 0,
            evicted: 0,
        }
    }

    /// Directions in the table, those that have ended a short while ago included.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether no direction is in the table.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Whether a direction is in the table.
    pub fn follows(&self, flow: &Flow) -> bool {
        self.index.contains_key(flow)
    }

    /// Whether the byte that a direction expects next is the one at `sequence`.
    pub fn stands_at(&self, flow: &Flow, sequence: u32) -> bool {
        self.index.get(flow).is_some_and(|&id| self.slots[id as usize].direction.distance(sequence) == 0)
    }

    /// Bytes kept because they are not whole or out of order.
    pub const fn kept_bytes(&self) -> usize {
        self.kept
    }

    /// Directions given up, since the start, because the table or its memory was full.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Takes one segment.
    pub fn segment<O: ?Sized>(&mut self, segment: &Segment<'_>, at: Timestamp, out: &mut O)
    where
        R: Reader<O>,
    {
        self.expire(at, out);
        let flow = Flow { source: segment.source, destination: segment.destination };
        let known = self.index.get(&flow).copied();
        if segment.flags & RST != 0 {
            // One with a number out of the blue ends nothing (RFC 5961 §3.2): anybody may send it.
            if let Some(id) = known.filter(|&id| self.is_near(id, segment.sequence)) {
                self.finish(id, at, out);
            }
            return;
        }
        let syn = segment.flags & SYN != 0;
        let fin = segment.flags & FIN != 0;
        if segment.payload.is_empty() && !syn && (!fin || known.is_none()) {
            return;
        }
        let sequence = segment.sequence.wrapping_add(u32::from(syn));
        let known = known.filter(|&id| self.still_stands(id, syn, sequence, out));
        let id = known.unwrap_or_else(|| self.begin::<O>(flow, syn, sequence, at));
        if self.slots[id as usize].stage == Stage::Closed {
            return;
        }
        if !segment.payload.is_empty() {
            self.take(id, sequence, segment, at, out);
        }
        let slot = &mut self.slots[id as usize];
        if fin {
            slot.direction.end_at(sequence.wrapping_add(segment.payload.len() as u32));
        }
        if slot.direction.has_ended() || (fin && !slot.reader.is_inside()) {
            self.finish(id, at, out);
        } else {
            self.settle(id, at);
        }
    }

    /// Gives up, at `now`, holes that nobody fills and directions that say nothing.
    pub fn expire<O: ?Sized>(&mut self, now: Timestamp, out: &mut O)
    where
        R: Reader<O>,
    {
        while let Some(id) = self.stalled.first()
            && now.since(self.slots[id as usize].stalled) >= HOLE_TIMEOUT
        {
            self.stalled.remove(id);
            self.with_direction(id, |direction, flow, reader| direction.skip_hole(flow, reader, out));
            self.settle_stall(id, now);
            if self.slots[id as usize].direction.has_ended() {
                self.finish(id, now, out);
            }
        }
        while let Some(id) = self.brief.first()
            && now.since(self.slots[id as usize].last) >= BRIEF_TIMEOUT
        {
            self.remove(id);
        }
        while let Some(id) = self.open.first()
            && now.since(self.slots[id as usize].last) >= IDLE_TIMEOUT
        {
            self.remove(id);
        }
    }

    /// Whether the entry is still of the connection that `sequence` belongs to; ended if it is not.
    fn still_stands<O: ?Sized>(&mut self, id: u32, syn: bool, sequence: u32, out: &mut O) -> bool
    where
        R: Reader<O>,
    {
        let same = if syn { self.slots[id as usize].start == sequence } else { self.is_near(id, sequence) };
        if !same {
            self.with_direction(id, |direction, flow, reader| direction.flush(flow, reader, out));
            self.remove(id);
        }
        same
    }

    fn is_near(&self, id: u32, sequence: u32) -> bool {
        self.slots[id as usize].direction.distance(sequence) <= WINDOW
    }

    fn begin<O: ?Sized>(&mut self, flow: Flow, syn: bool, sequence: u32, at: Timestamp) -> u32
    where
        R: Reader<O>,
    {
        self.make_room(syn);
        let mut reader = R::default();
        if syn {
            reader.open();
        }
        let slot = Slot {
            flow,
            stage: if syn { Stage::HalfOpen } else { Stage::Open },
            start: sequence,
            last: at,
            stalled: at,
            direction: Direction::new(sequence),
            reader,
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.slots[id as usize] = slot;
                id
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as u32
            }
        };
        self.index.insert(flow, id);
        self.queue_of(id).push(id);
        id
    }

    /// Room for one more entry: a half-open one takes it from its like.
    fn make_room(&mut self, half_open: bool) {
        if half_open && self.brief.len() >= self.max / BRIEF_SHARE {
            self.evict_brief();
        } else if self.index.len() >= self.max {
            match self.open.first() {
                Some(id) => self.evict(id),
                None => self.evict_brief(),
            }
        }
    }

    fn evict_brief(&mut self) {
        if let Some(id) = self.brief.first() {
            self.evict(id);
        }
    }

    fn evict(&mut self, id: u32) {
        // Of one that has ended nothing is lost.
        self.evicted += u64::from(self.slots[id as usize].stage != Stage::Closed);
        self.remove(id);
    }

    /// Hands the payload of a segment on, in order where the reader wants it so.
    fn take<O: ?Sized>(&mut self, id: u32, sequence: u32, segment: &Segment<'_>, at: Timestamp, out: &mut O)
    where
        R: Reader<O>,
    {
        if self.slots[id as usize].stage == Stage::HalfOpen {
            self.queue_of(id).remove(id);
            self.slots[id as usize].stage = Stage::Open;
            self.queue_of(id).push(id);
        }
        self.with_direction(id, |direction, flow, reader| {
            if !reader.is_inside() {
                if !reader.glance(flow, sequence, segment.payload, out) {
                    direction.pass(sequence, segment.payload.len());
                    return;
                }
                direction.enter(sequence);
            }
            direction.take(sequence, segment.payload, segment.truncated, at, flow, reader, out);
        });
    }

    /// Lets `change` work on a direction and keeps account of its memory.
    fn with_direction(&mut self, id: u32, change: impl FnOnce(&mut Direction, Flow, &mut R)) {
        let Slot { flow, direction, reader, .. } = &mut self.slots[id as usize];
        let before = direction.kept();
        change(direction, *flow, reader);
        self.kept = self.kept - before + direction.kept();
    }

    /// After a segment: notes the time, and whether a hole is waited for.
    fn settle(&mut self, id: u32, at: Timestamp) {
        self.slots[id as usize].last = at;
        let queue = self.queue_of(id);
        queue.remove(id);
        queue.push(id);
        self.settle_stall(id, at);
        while self.kept > MAX_KEPT
            && let Some(oldest) = self.open.first()
        {
            self.evict(oldest);
        }
    }

    fn settle_stall(&mut self, id: u32, at: Timestamp) {
        let slot = &mut self.slots[id as usize];
        match (slot.direction.has_hole(), self.stalled.contains(id)) {
            (true, false) => {
                slot.stalled = at;
                self.stalled.push(id);
            }
            (false, true) => self.stalled.remove(id),
            _ => {}
        }
    }

    /// The direction has ended: what is whole behind holes is still read, and late copies of it will be known.
    fn finish<O: ?Sized>(&mut self, id: u32, at: Timestamp, out: &mut O)
    where
        R: Reader<O>,
    {
        if self.slots[id as usize].stage == Stage::Closed {
            return;
        }
        self.with_direction(id, |direction, flow, reader| {
            direction.flush(flow, reader, out);
            direction.forget();
        });
        self.queue_of(id).remove(id);
        self.slots[id as usize].stage = Stage::Closed;
        self.slots[id as usize].last = at;
        if self.stalled.contains(id) {
            self.stalled.remove(id);
        }
        if self.brief.len() >= self.max / BRIEF_SHARE {
            self.evict_brief();
        }
        self.brief.push(id);
    }

    fn queue_of(&mut self, id: u32) -> &mut Queue {
        match self.slots[id as usize].stage {
            Stage::Open => &mut self.open,
            Stage::HalfOpen | Stage::Closed => &mut self.brief,
        }
    }

    fn remove(&mut self, id: u32) {
        self.queue_of(id).remove(id);
        if self.stalled.contains(id) {
            self.stalled.remove(id);
        }
        let slot = &mut self.slots[id as usize];
        self.kept -= slot.direction.kept();
        slot.direction.forget();
        self.index.remove(&slot.flow);
        self.free.push(id);
    }
}

#[cfg(test)]
mod tests;
