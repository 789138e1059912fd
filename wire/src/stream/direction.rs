//! One direction of a connection: its bytes put in order by 32-bit sequence numbers that wrap (RFC 9293 §3.4).
//!
//! The first copy of a byte stays. Segments that come early wait, bounded; when the bounds are met, or when the
//! table says that time is over, the hole before them is skipped, and the reader is told.

use super::{Chunk, Flow, Reader};
use crate::time::Timestamp;

/// Most pieces that wait behind a hole.
const MAX_PIECES: usize = 64;

/// Most bytes kept: unread ones, and those behind holes.
const MAX_BYTES: usize = 256 * 1024;

/// The bytes of one direction that are neither read nor missing.
#[derive(Debug)]
pub(super) struct Direction {
    /// Sequence number of the byte that is expected next.
    next: u32,
    /// Bytes before `next` that the reader has left.
    unread: Vec<u8>,
    /// When the first of these came.
    first: Timestamp,
    /// Pieces behind a hole: sorted, without overlaps, all behind `next`.
    pieces: Vec<Piece>,
    /// Bytes in `pieces`.
    waiting: usize,
    /// The capture has cut what stands at `next`: it will not come.
    is_cut: bool,
    /// Bytes were lost before the first that the reader sees next.
    gap: bool,
    /// Sequence number of FIN.
    end: Option<u32>,
}

#[derive(Debug)]
struct Piece {
    sequence: u32,
    at: Timestamp,
    bytes: Vec<u8>,
}

impl Direction {
    /// `next`: sequence number of the first byte.
    pub fn new(next: u32) -> Self {
        Self {
            next,
            unread: Vec::new(),
            first: Timestamp::ZERO,
            pieces: Vec::new(),
            waiting: 0,
            is_cut: false,
            gap: false,
            end: None,
        }
    }

    /// Bytes kept.
    pub fn kept(&self) -> usize {
        self.unread.capacity() + self.waiting
    }

    /// How far `sequence` is from what is expected, before or behind it.
    pub fn distance(&self, sequence: u32) -> u32 {
        self.offset(sequence).unsigned_abs()
    }

    /// Whether pieces wait for others.
    pub fn has_hole(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// FIN was seen with this sequence number.
    pub fn end_at(&mut self, sequence: u32) {
        self.end = Some(sequence);
    }

    /// Whether all bytes before FIN have come.
    pub fn has_ended(&self) -> bool {
        self.end.is_some_and(|end| self.offset(end) <= 0)
    }

    /// Keeps up with a segment that nobody reads.
    pub fn pass(&mut self, sequence: u32, len: usize) {
        self.next = sequence.wrapping_add(len as u32);
    }

    /// Reading begins here.
    pub fn enter(&mut self, sequence: u32) {
        self.forget();
        self.next = sequence;
    }

    /// Drops what is kept.
    pub fn forget(&mut self) {
        self.unread = Vec::new();
        self.pieces = Vec::new();
        self.waiting = 0;
        (self.gap, self.is_cut) = (false, false);
    }

    /// Takes the payload of one segment; `is_cut`: the capture has cut its end off.
    #[expect(
        clippy::too_many_arguments,
        reason = "a segment, and who reads it into what; a struct for one call says less"
    )]
    #[inline]
    pub fn take<O: ?Sized, R: Reader<O>>(
        &mut self,
        sequence: u32,
        payload: &[u8],
        is_cut: bool,
        at: Timestamp,
        flow: Flow,
        reader: &mut R,
        out: &mut O,
    ) {
        let offset = self.offset(sequence);
        if self.pieces.is_empty() && offset <= 0 {
            if let Some(fresh) = payload.get(offset.unsigned_abs() as usize..)
                && !fresh.is_empty()
            {
                self.feed(fresh, at, flow, reader, out);
                self.is_cut = is_cut;
            }
            return;
        }
        self.hold(offset, payload, at);
        self.drain(flow, reader, out);
        while (self.is_cut || self.is_full()) && self.has_hole() {
            self.skip_hole(flow, reader, out);
        }
        self.is_cut |= is_cut && self.next == sequence.wrapping_add(payload.len() as u32);
    }

    /// Goes on behind the hole, and up to the next one.
    pub fn skip_hole<O: ?Sized, R: Reader<O>>(&mut self, flow: Flow, reader: &mut R, out: &mut O) {
        let Some(piece) = self.pieces.first() else { return };
        self.next = piece.sequence;
        self.unread.clear();
        (self.gap, self.is_cut) = (true, false);
        self.drain(flow, reader, out);
    }

    /// Reads whatever waits.
    pub fn flush<O: ?Sized, R: Reader<O>>(&mut self, flow: Flow, reader: &mut R, out: &mut O) {
        while self.has_hole() {
            self.skip_hole(flow, reader, out);
        }
    }

    /// Where `sequence` is, seen from what is expected; negative for what was there before.
    fn offset(&self, sequence: u32) -> i32 {
        sequence.wrapping_sub(self.next) as i32
    }

    fn is_full(&self) -> bool {
        self.pieces.len() > MAX_PIECES || self.unread.len() + self.waiting > MAX_BYTES
    }

    /// Keeps those bytes of a segment at `offset` that are neither read nor kept already.
    fn hold(&mut self, offset: i32, payload: &[u8], at: Timestamp) {
        let begin = i64::from(offset);
        let end = begin + payload.len() as i64;
        let mut from = begin.max(0);
        let mut index = 0;
        while from < end {
            while index < self.pieces.len() && self.span(index).1 <= from {
                index += 1;
            }
            let occupied = (index < self.pieces.len()).then(|| self.span(index));
            let until = occupied.map_or(end, |(start, _)| start.min(end));
            if from < until {
                let bytes = payload[(from - begin) as usize..(until - begin) as usize].to_vec();
                self.waiting += bytes.len();
                self.pieces.insert(index, Piece { sequence: self.next.wrapping_add(from as u32), at, bytes });
                index += 1;
            }
            from = occupied.map_or(end, |(_, end)| end);
        }
    }

    /// Where a piece begins and ends, seen from what is expected.
    fn span(&self, index: usize) -> (i64, i64) {
        let piece = &self.pieces[index];
        let start = i64::from(self.offset(piece.sequence));
        (start, start + piece.bytes.len() as i64)
    }

    /// Reads pieces up to the next hole.
    fn drain<O: ?Sized, R: Reader<O>>(&mut self, flow: Flow, reader: &mut R, out: &mut O) {
        while self.pieces.first().is_some_and(|piece| piece.sequence == self.next) {
            let piece = self.pieces.remove(0);
            self.waiting -= piece.bytes.len();
            self.feed(&piece.bytes, piece.at, flow, reader, out);
        }
    }

    /// Lets the reader see bytes that are next; keeps what it leaves.
    #[inline]
    fn feed<O: ?Sized, R: Reader<O>>(&mut self, fresh: &[u8], at: Timestamp, flow: Flow, reader: &mut R, out: &mut O) {
        self.next = self.next.wrapping_add(fresh.len() as u32);
        let gap = std::mem::take(&mut self.gap);
        if self.unread.is_empty() {
            let sequence = self.next.wrapping_sub(fresh.len() as u32);
            let chunk = Chunk { flow, bytes: fresh, sequence, first: at, fresh: 0, fresh_at: at, gap };
            let used = reader.read(&chunk, out);
            self.unread.extend_from_slice(&fresh[used..]);
            self.first = at;
        } else {
            let before = self.unread.len();
            self.unread.extend_from_slice(fresh);
            let (bytes, first) = (&self.unread[..], self.first);
            let sequence = self.next.wrapping_sub(bytes.len() as u32);
            let chunk = Chunk { flow, bytes, sequence, first, fresh: before, fresh_at: at, gap };
            let used = reader.read(&chunk, out);
            if used >= before {
                self.first = at;
            }
            self.unread.drain(..used);
            if self.unread.is_empty() {
                // An idle connection keeps nothing.
                self.unread = Vec::new();
            }
        }
        if !reader.is_inside() {
            self.forget();
        } else if self.unread.len() > MAX_BYTES {
            self.unread = Vec::new();
            self.gap = true;
        }
    }
}
