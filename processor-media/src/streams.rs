//! Streams: an entry for each, found by a hash of who sends what where, and their intervals (5.2, 5.3, 5.5).

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use pipeline::call::Side;
use pipeline::call::media::IntervalRecord;
use pipeline::media::{Address, Interval, MediaFact, Sample};
use rtp::emodel::{self, Heard, Rating};
use rtp::{Codec, Stream};
use wire::Timestamp;

use crate::slab::Slab;
use crate::state::{Out, State};
use crate::timers::Due;

/// A stream of a session.
pub struct Entry {
    pub stats: Stream,
    pub ssrc: u32,
    /// Places it begins and ends at.
    pub source: u32,
    pub destination: u32,
    /// The session it is bound to, who sends in it, and whether it had a packet in the last 10 s.
    bound: u32,
    /// Where its packets are seen: copies elsewhere do not count.
    pub seen_at: u32,
    /// Of the last packet's IPv4 header.
    pub identification: u16,
    /// Packets of this batch that are not stated yet.
    pub unstated: u16,
}

const _: () = assert!(size_of::<Entry>() <= 256);

const CALLEE: u32 = 1 << 31;
const ACTIVE: u32 = 1 << 30;
const ENDED: u32 = 1 << 29;

impl Entry {
    /// A stream that is active.
    pub fn new(
        stats: Stream,
        ssrc: u32,
        [source, destination]: [u32; 2],
        session: u32,
        side: Side,
        seen_at: u32,
    ) -> Self {
        let bound = session | ACTIVE | if side == Side::Callee { CALLEE } else { 0 };
        Self { stats, ssrc, source, destination, bound, seen_at, identification: 0, unstated: 0 }
    }

    /// The session it is bound to.
    pub fn session(&self) -> u32 {
        self.bound & !(CALLEE | ACTIVE | ENDED)
    }

    /// Who sends.
    pub fn side(&self) -> Side {
        if self.bound & CALLEE == 0 { Side::Caller } else { Side::Callee }
    }

    /// It had a packet in the last 10 s.
    pub fn is_active(&self) -> bool {
        self.bound & ACTIVE != 0
    }

    fn set_active(&mut self, active: bool) {
        self.bound = if active { self.bound | ACTIVE } else { self.bound & !ACTIVE };
    }

    /// Its dialog is over.
    pub fn has_ended(&self) -> bool {
        self.bound & ENDED != 0
    }
}

/// All streams.
pub struct Streams {
    slab: Slab<Entry>,
    /// By [`State::stream_key`], which is a hash already.
    index: HashMap<u64, u32, BuildHasherDefault<AsIs>>,
    max: usize,
    /// How often a stream came or went.
    changes: u32,
}

impl Streams {
    /// None yet, at most so many.
    pub fn new(max: usize) -> Self {
        Self { slab: Slab::default(), index: HashMap::default(), max, changes: 0 }
    }

    /// Streams held.
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// There is no room for another.
    pub fn is_full(&self) -> bool {
        self.slab.len() >= self.max
    }

    /// The stream with a key.
    #[inline]
    pub fn find(&self, key: u64) -> Option<u32> {
        self.index.get(&key).copied()
    }

    /// Holds a stream.
    pub fn insert(&mut self, key: u64, entry: Entry) -> u32 {
        let index = self.slab.insert(entry);
        self.index.insert(key, index);
        self.changes = self.changes.wrapping_add(1);
        index
    }

    /// A number that differs once a stream has come or gone.
    pub fn changes(&self) -> u32 {
        self.changes
    }

    /// Loads a stream ahead of its use.
    pub fn prefetch(&self, index: u32) {
        self.slab.prefetch(index);
    }

    /// The stream at an index.
    pub fn get(&self, index: u32) -> Option<&Entry> {
        self.slab.get(index)
    }

    /// The stream at an index, to change it.
    #[inline]
    pub fn get_mut(&mut self, index: u32) -> Option<&mut Entry> {
        self.slab.get_mut(index)
    }

    fn remove(&mut self, index: u32, key: u64) -> Option<Entry> {
        self.index.remove(&key);
        self.changes = self.changes.wrapping_add(1);
        self.slab.remove(index)
    }
}

/// A packet that may begin a stream: that begins with the next one in sequence (RFC 3550 A.1).
#[derive(Clone, Copy, Default)]
pub struct Newcomer {
    pub key: u64,
    pub at: Timestamp,
    pub timestamp: u32,
    pub sequence: u16,
    pub payload_type: u8,
}

/// Packets that may begin streams, in as many places as there are. One has its place until its next packet should have
/// come, so that two streams that begin at once do not push each other out for ever.
pub struct Newcomers(Box<[Newcomer; NEWCOMERS]>);

const NEWCOMERS: usize = 1024;
/// Places that a stream may wait in.
const CHOICES: usize = 8;
/// How long a packet has its place: as long as five packets of a usual stream take.
const WAITS: std::time::Duration = std::time::Duration::from_millis(100);

impl Default for Newcomers {
    fn default() -> Self {
        Self(Box::new([Newcomer::default(); NEWCOMERS]))
    }
}

impl Newcomers {
    /// Where a stream with this key waits for its second packet; `None` where too many others do.
    pub fn place(&mut self, key: u64, now: Timestamp) -> Option<&mut Newcomer> {
        let first = key as usize % (NEWCOMERS / CHOICES) * CHOICES;
        let places = &mut self.0[first..first + CHOICES];
        let own = places.iter().position(|newcomer| newcomer.key == key);
        let free = || places.iter().position(|newcomer| now > newcomer.at + WAITS);
        let place = own.or_else(free)?;
        Some(&mut places[place])
    }
}

/// Passes on what is a hash already.
#[derive(Default)]
pub struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are numbers");
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

impl State {
    /// What a stream is found by: keyed, so that nobody outside can make two of them collide.
    #[inline]
    pub fn stream_key(&self, source: &Address, destination: u32, ssrc: u32) -> u64 {
        let mut hasher = self.hash.build_hasher();
        hasher.write_u128(u128::from_ne_bytes(source.ip));
        hasher.write_u64(u64::from(ssrc) << 32 | u64::from(destination));
        hasher.write_u16(source.port);
        hasher.finish()
    }

    /// States the packets of this batch.
    pub fn state_packets(&mut self, out: &mut Out<'_>) {
        for index in std::mem::take(&mut self.touched) {
            self.state_packets_of(index, out);
        }
    }

    /// States the packets of a stream that are not stated yet.
    pub fn state_packets_of(&mut self, index: u32, out: &mut Out<'_>) {
        let Some(entry) = self.streams.get_mut(index) else { return };
        let count = u32::from(std::mem::take(&mut entry.unstated));
        let (side, codec, session) = (entry.side(), entry.stats.codec(), entry.session());
        if count > 0
            && let Some(session) = self.sessions.get(session)
        {
            out.push(session.slot, MediaFact::Packets { side, codec, count });
        }
    }

    /// A stream that fell silent has packets again, or begins.
    pub fn wake(&mut self, index: u32, at: Timestamp, out: &mut Out<'_>) {
        let Some(entry) = self.streams.get_mut(index) else { return };
        entry.set_active(true);
        let (first, session) = (entry.stats.first(), entry.session());
        self.timers.set(at + SILENT, Due::Silence { stream: index, first });
        if let Some(session) = self.sessions.get(session) {
            out.push(session.slot, MediaFact::StreamsActive(1));
        }
    }

    /// Whether a stream still has packets.
    pub fn on_silence_due(&mut self, index: u32, first: u64, at: Timestamp, out: &mut Out<'_>) {
        let current = self.streams.get_mut(index).filter(|entry| entry.stats.first() == first && entry.is_active());
        let Some(entry) = current else { return };
        let next = Timestamp::from_nanos(entry.stats.last()) + SILENT;
        if next > at {
            return self.timers.set(next, Due::Silence { stream: index, first });
        }
        let session = entry.session();
        self.sleep(index, out);
        self.end_if_silent(session, at, out);
    }

    fn sleep(&mut self, index: u32, out: &mut Out<'_>) {
        let Some(entry) = self.streams.get_mut(index).filter(|entry| entry.is_active()) else { return };
        entry.set_active(false);
        if let Some(session) = self.sessions.get(entry.session()) {
            out.push(session.slot, MediaFact::StreamsActive(-1));
        }
    }

    /// An interval of a stream is over, and the next begins.
    pub fn on_interval_due(&mut self, index: u32, first: u64, at: Timestamp, out: &mut Out<'_>) {
        let current = self.streams.get(index).is_some_and(|entry| entry.stats.first() == first && !entry.has_ended());
        if !current {
            return;
        }
        self.end_interval(index, at, out);
        self.timers.set(at + self.settings.config.interval, Due::Interval { stream: index, first });
    }

    /// The dialog of a stream ended.
    pub fn end_stream(&mut self, index: u32, at: Timestamp, out: &mut Out<'_>) {
        if self.streams.get(index).is_none_or(Entry::has_ended) {
            return;
        }
        self.state_packets_of(index, out);
        self.end_interval(index, at, out);
        self.sleep(index, out);
        if let Some(entry) = self.streams.get_mut(index) {
            entry.bound |= ENDED;
        }
    }

    /// A stream is forgotten; records keep what it was.
    pub fn remove_stream(&mut self, index: u32, at: Timestamp, out: &mut Out<'_>) {
        self.end_stream(index, at, out);
        self.keep_stream(index, out);
        let Some(entry) = self.streams.get(index) else { return };
        let Some(source) = self.places.get(entry.source).map(|place| place.address) else { return };
        let key = self.stream_key(&source, entry.destination, entry.ssrc);
        let Some(entry) = self.streams.remove(index, key) else { return };
        if let Some(session) = self.sessions.get_mut(entry.session()) {
            session.streams.retain(|stream| *stream != index);
        }
        self.places.release(entry.source);
        self.places.release(entry.destination);
    }

    fn end_interval(&mut self, index: u32, at: Timestamp, out: &mut Out<'_>) {
        let Some(entry) = self.streams.get_mut(index) else { return };
        let (side, ssrc, last) = (entry.side(), entry.ssrc, entry.stats.last());
        let ended = entry.stats.end_interval();
        let codec = ended.codec.unwrap_or(entry.stats.codec());
        let (session, places) = (entry.session(), [entry.source, entry.destination]);
        let began = at.as_nanos().saturating_sub(self.settings.config.interval.as_nanos() as u64);
        if last >= began {
            for place in places {
                if let Some(place) = self.places.get(place) {
                    self.hosts.see(place.address.ip, Timestamp::from_nanos(last));
                }
            }
        }
        let ptime = self.ptime(index);
        let Some(session) = self.sessions.get(session) else { return };
        let (slot, call) = (session.slot, session.call);
        let mut sample = None;
        let long_enough = u64::from(ended.expected) * ptime >= SHORTEST;
        if long_enough && self.dropped.is_some_and(|dropped| dropped.as_nanos() >= began) {
            out.push(slot, MediaFact::IntervalIncomplete);
        } else if long_enough {
            let missing = (ended.lost + ended.discarded).min(ended.expected);
            let rating = self.rate(session.reports.total(), ptime, codec, ended.expected, missing, ended.burst_ratio);
            let loss = (u64::from(ended.lost) * 1_000_000 / u64::from(ended.expected)) as u32;
            let millionths = |value: f64| (value * 1e6).round() as u32;
            let jitter = ended.jitter as u32;
            sample =
                Some(Sample { loss, jitter, mos_lq: millionths(rating.mos_lq), mos_cq: millionths(rating.mos_cq) });
            let record = IntervalRecord {
                ssrc,
                side,
                at: self.shown(call, at),
                expected: ended.expected,
                lost: ended.lost,
                discarded: ended.discarded,
                jitter_ms: (ended.jitter / 1e6) as f32,
                mos_lq: rating.mos_lq as f32,
                mos_cq: rating.mos_cq as f32,
            };
            self.keep_interval(call, record, out);
        }
        if ended.lost > 0 || ended.newly_discarded > 0 || sample.is_some() {
            let (lost, discarded) = (ended.lost, ended.newly_discarded);
            out.push(slot, MediaFact::IntervalEnded(Interval { at, side, codec, lost, discarded, sample }));
        }
    }

    /// How much speech a packet of a stream holds, in nanoseconds.
    pub fn ptime(&self, index: u32) -> u64 {
        let Some(entry) = self.streams.get(index) else { return 0 };
        let described =
            self.sessions.get(entry.session()).and_then(|session| session.party(entry.side().other()).says().ptime());
        entry.stats.ptime(described)
    }

    /// How packets sound, given the round trip in nanoseconds.
    pub fn rate(
        &self,
        round_trip: Option<u64>,
        ptime: u64,
        codec: Codec,
        expected: u32,
        missing: u32,
        burst_ratio: f64,
    ) -> Rating {
        let config = &self.settings.config;
        let nanos = round_trip.unwrap_or(0) / 2 + ptime;
        let delay = nanos as f64 / 1e6 + config.jitter_buffer.as_secs_f64() * 1e3;
        emodel::rate(
            Heard { expected, missing, burst_ratio, delay },
            self.settings.table.of(codec),
            config.full_delay_term,
        )
    }
}

/// A stream without a packet for so long is not active (5.5).
const SILENT: std::time::Duration = std::time::Duration::from_secs(10);
/// Expected speech of an interval that gives a sample, in nanoseconds (5.5).
const SHORTEST: u64 = 2_000_000_000;
