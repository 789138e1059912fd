//! Fragment reassembly: pieces of IP packets in, in any order, whole payloads out (RFC 791 §3.2, RFC 8200 §4.5).
//!
//! The wire may send anything, so everything has a bound: packets held, pieces of each, bytes in all, time.
//! What is given up is counted. No packet is longer than IP allows, and none is built of bytes that contradict
//! each other: an overlap drops an IPv6 packet (RFC 5722), and of IPv4 the first copy of a byte stays.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use crate::time::Timestamp;

/// How long a packet waits for its missing pieces, from its first one on. RFC 791 §3.2 leaves it open (15 s
/// there), RFC 8200 §4.5 says 60 s; Linux waits 30 s for IPv4.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Longest payload of an IP packet without the jumbo option.
const MAX_LEN: usize = 65_535;

/// Most pieces of one packet: 64 KiB in pieces of 576 bytes, the smallest size IPv4 promises to carry.
const MAX_PIECES: usize = 128;

/// Most bytes held in all; about 2,000 SIP messages of 4 kB that lack one piece each.
const MAX_HELD: usize = 8 * 1024 * 1024;

/// How many times the same piece is kept: a packet seen on several interfaces arrives as several packets.
const MAX_COPIES: u8 = 4;

/// What reassembly gave up, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReassemblyCounts {
    /// Packets dropped, oldest first, because the table or its memory was full.
    pub evicted: u64,
    /// Packets dropped because a piece was still missing after 30 s.
    pub timed_out: u64,
    /// Packets dropped because their pieces contradict each other or are too many.
    pub contradictory: u64,
}

/// What makes pieces belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub source: IpAddr,
    pub destination: IpAddr,
    /// IPv4 only: the pieces of an IPv6 packet may differ in it (RFC 8200 §4.5), so it is 0 there.
    pub protocol: u8,
    pub identification: u32,
    /// How many tunnels it is in: another address space each.
    pub depth: u8,
}

/// One piece of a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'a> {
    /// Capture time.
    pub at: Timestamp,
    /// Where its bytes begin in the whole payload.
    pub offset: u16,
    pub more: bool,
    /// The protocol of the payload, if this is the first piece.
    pub protocol: u8,
    pub bytes: &'a [u8],
}

/// What became of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It waits for others.
    Held,
    /// It was the last one missing.
    Whole {
        /// Time of the piece that arrived first.
        first: Timestamp,
        protocol: u8,
    },
    /// It, or the whole packet with it, makes no sense.
    Refused,
}

/// The table of incomplete packets.
#[derive(Debug)]
pub(crate) struct Reassembly {
    max_packets: usize,
    /// Where each packet is in `packets`. The second half of the key tells copies of one packet apart.
    index: HashMap<(Key, u8), u64>,
    /// By the order in which their first pieces arrived.
    packets: BTreeMap<u64, Incomplete>,
    next: u64,
    held: usize,
    counts: ReassemblyCounts,
}

impl Reassembly {
    pub(crate) fn new(max_packets: usize) -> Self {
        Self {
            max_packets: max_packets.max(1),
            index: HashMap::new(),
            packets: BTreeMap::new(),
            next: 0,
            held: 0,
            counts: ReassemblyCounts::default(),
        }
    }

    pub(crate) const fn counts(&self) -> ReassemblyCounts {
        self.counts
    }

    /// Packets that wait for pieces.
    pub(crate) fn len(&self) -> usize {
        self.packets.len()
    }

    /// Bytes of the pieces that wait.
    pub(crate) const fn held(&self) -> usize {
        self.held
    }

    /// Takes one piece. When it completes a packet, the payload is written to `whole`.
    pub(crate) fn insert(&mut self, key: Key, piece: Piece<'_>, whole: &mut Vec<u8>) -> Outcome {
        self.expire(piece.at);
        let end = usize::from(piece.offset) + piece.bytes.len();
        let uneven = piece.more && !piece.bytes.len().is_multiple_of(8);
        if piece.bytes.is_empty() || uneven || end > MAX_LEN {
            return Outcome::Refused;
        }
        let Some((copy, id)) = self.place(key, &piece) else {
            // Held as often as it may be.
            return Outcome::Held;
        };
        let id = id.unwrap_or_else(|| self.open((key, copy), piece.at));
        let packet = self.packets.get_mut(&id).expect("an id in the index is in the table");
        let before = packet.bytes.len();
        let step = packet.add(&piece, key.source.is_ipv6());
        self.held += packet.bytes.len() - before;
        match step {
            Step::More => {
                self.make_room(id);
                Outcome::Held
            }
            Step::Complete => {
                packet.assemble(whole);
                let (first, protocol) = (packet.first, packet.protocol);
                self.close(id);
                Outcome::Whole { first, protocol }
            }
            Step::Useless => Outcome::Refused,
            Step::Contradiction => {
                // The pieces still to come must find it and be dropped too, so it stays, empty, till its time.
                self.held -= packet.bytes.len();
                packet.condemn();
                self.counts.contradictory += 1;
                Outcome::Refused
            }
        }
    }

    /// Drops packets whose time is over at `now`.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        while let Some((&id, packet)) = self.packets.first_key_value()
            && now.since(packet.first) >= TIMEOUT
        {
            // What is left of a copy, or was dropped before, is no packet lost.
            let lost = packet.key.1 == 0 && !packet.condemned;
            self.counts.timed_out += u64::from(lost);
            self.close(id);
        }
    }

    /// The packet `piece` belongs to, or the copy number of a new one; `None` when it is held by all copies.
    fn place(&self, key: Key, piece: &Piece<'_>) -> Option<(u8, Option<u64>)> {
        let mut free = None;
        for copy in 0..MAX_COPIES {
            match self.index.get(&(key, copy)) {
                None => free = free.or(Some((copy, None))),
                Some(id) if self.packets[id].holds(piece) => {}
                Some(id) => return Some((copy, Some(*id))),
            }
        }
        free
    }

    fn open(&mut self, key: (Key, u8), first: Timestamp) -> u64 {
        let id = self.next;
        self.next += 1;
        self.index.insert(key, id);
        self.packets.insert(id, Incomplete::new(key, first));
        id
    }

    /// Evicts the oldest until the bounds hold, but not `newest`.
    fn make_room(&mut self, newest: u64) {
        while self.packets.len() > self.max_packets || self.held > MAX_HELD {
            let Some((&oldest, packet)) = self.packets.iter().find(|(id, _)| **id != newest) else {
                return;
            };
            self.counts.evicted += u64::from(!packet.condemned);
            self.close(oldest);
        }
    }

    fn close(&mut self, id: u64) {
        if let Some(packet) = self.packets.remove(&id) {
            self.held -= packet.bytes.len();
            self.index.remove(&packet.key);
        }
    }
}

/// A packet that lacks pieces.
#[derive(Debug)]
struct Incomplete {
    key: (Key, u8),
    /// Time of the piece that arrived first.
    first: Timestamp,
    protocol: u8,
    /// Length of the whole payload, once the last piece was seen.
    len: Option<usize>,
    /// What is held, sorted, without overlaps.
    spans: Vec<Span>,
    /// The bytes of all spans, in order of arrival.
    bytes: Vec<u8>,
    /// Its pieces contradict each other: those still to come are dropped with it.
    condemned: bool,
}

/// Bytes `start..end` of the payload.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    end: usize,
    /// Where they lie in `Incomplete::bytes`.
    at: usize,
}

/// What a piece did to its packet.
enum Step {
    More,
    Complete,
    /// It brought nothing and contradicts what is held.
    Useless,
    Contradiction,
}

impl Incomplete {
    fn new(key: (Key, u8), first: Timestamp) -> Self {
        Self { key, first, protocol: 0, len: None, spans: Vec::new(), bytes: Vec::new(), condemned: false }
    }

    /// Whether exactly this piece is held already.
    fn holds(&self, piece: &Piece<'_>) -> bool {
        let (start, end) = (usize::from(piece.offset), usize::from(piece.offset) + piece.bytes.len());
        let last_agrees = piece.more || self.len == Some(end);
        last_agrees
            && self.spans.iter().any(|span| span.start == start)
            && self.spans.iter().any(|span| span.end == end)
            && self.missing(start, end).next().is_none()
    }

    fn add(&mut self, piece: &Piece<'_>, is_v6: bool) -> Step {
        let (start, end) = (usize::from(piece.offset), usize::from(piece.offset) + piece.bytes.len());
        if self.condemned {
            return Step::Useless;
        }
        let contradiction = if is_v6 { Step::Contradiction } else { Step::Useless };
        let beyond_end = self.len.is_some_and(|len| end > len || (!piece.more && end != len));
        let before_end = !piece.more && self.spans.last().is_some_and(|span| span.end > end);
        if beyond_end || before_end {
            return contradiction;
        }
        if self.spans.len() >= MAX_PIECES {
            return Step::Contradiction;
        }
        let gaps: Vec<(usize, usize)> = self.missing(start, end).collect();
        if is_v6 && gaps != [(start, end)] {
            return Step::Contradiction;
        }
        if !piece.more {
            self.len = Some(end);
        }
        if start == 0 {
            self.protocol = piece.protocol;
        }
        for &(from, to) in &gaps {
            let position = self.spans.partition_point(|span| span.start < from);
            self.spans.insert(position, Span { start: from, end: to, at: self.bytes.len() });
            self.bytes.extend_from_slice(&piece.bytes[from - start..to - start]);
        }
        match gaps.is_empty() {
            _ if self.len == Some(self.bytes.len()) => Step::Complete,
            true => Step::Useless,
            false => Step::More,
        }
    }

    /// The parts of `start..end` that are not held.
    fn missing(&self, start: usize, end: usize) -> impl Iterator<Item = (usize, usize)> {
        let mut from = start;
        let inside = self.spans.iter().filter(move |span| span.end > start && span.start < end);
        let sentinel = Span { start: end, end, at: 0 };
        inside.copied().chain([sentinel]).filter_map(move |span| {
            let gap = (from, span.start);
            from = from.max(span.end);
            (gap.0 < gap.1).then_some(gap)
        })
    }

    fn assemble(&self, whole: &mut Vec<u8>) {
        whole.clear();
        for span in &self.spans {
            whole.extend_from_slice(&self.bytes[span.at..span.at + (span.end - span.start)]);
        }
    }

    fn condemn(&mut self) {
        self.condemned = true;
        self.bytes = Vec::new();
        self.spans = Vec::new();
    }
}
