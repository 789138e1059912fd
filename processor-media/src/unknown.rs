//! Streams that no description announces (5.2; `unknown_streams`): of calls whose SIP passes elsewhere or is encrypted.
//!
//! Four packets in sequence between even ports above 1023 begin one, which belongs to no call: whoever is seen first stands
//! for the caller. A payload type without a fixed meaning has the clock its time stamps show; one that shows none of
//! the usual clocks is no voice and is not followed. Such streams are never faulty, their RTCP is counted and not read (it
//! may be encrypted), and they give way to a call whose description has one of their addresses.

use std::hash::BuildHasher;
use std::time::Duration;

use pipeline::MediaPacket;
use pipeline::Slot;
use pipeline::call::Side;
use pipeline::media::{Address, MediaTable};
use rtp::{Codec, Header};
use wire::Timestamp;

use crate::sessions::{Life, Session};
use crate::state::{Out, State};
use crate::streams::Newcomer;

/// Streams that may begin, in as many places as there are.
pub struct Candidates {
    places: Box<[Candidate]>,
    /// Pairs of addresses that are followed.
    pub held: usize,
}

#[derive(Clone, Copy, Default)]
struct Candidate {
    key: u64,
    first: Newcomer,
    last: Newcomer,
    count: u16,
}

/// What payload types mean in a stream that nobody describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assumed {
    payload_type: u8,
    clock: u32,
}

impl Assumed {
    /// What a payload type is: that of the first packets speech, another without a fixed meaning digits.
    pub fn of(self, payload_type: u8) -> (Codec, u32) {
        let dynamic = || match payload_type == self.payload_type {
            true => (Codec::Other, self.clock),
            false => (Codec::TelephoneEvent, 8000),
        };
        Codec::of_static(payload_type).unwrap_or_else(dynamic)
    }
}

impl Default for Candidates {
    fn default() -> Self {
        Self { places: vec![Candidate::default(); CANDIDATES].into(), held: 0 }
    }
}

impl Candidates {
    /// Takes a packet of the stream with this key; the first of those in sequence with it, and how many they are.
    fn take(&mut self, key: u64, packet: Newcomer) -> Option<(Newcomer, Newcomer, u16)> {
        let at = key as usize % (CANDIDATES / CHOICES) * CHOICES;
        let places = &mut self.places[at..at + CHOICES];
        let own = places.iter().position(|candidate| candidate.key == key);
        let free = || places.iter().position(|candidate| packet.at > candidate.last.at + WAITS);
        let candidate = &mut places[own.or_else(free)?];
        let before = candidate.last;
        let follows = own.is_some()
            && packet.sequence == before.sequence.wrapping_add(1)
            && packet.payload_type == candidate.first.payload_type;
        if follows {
            candidate.count = candidate.count.saturating_add(1);
        } else {
            (candidate.key, candidate.first, candidate.count) = (key, packet, 1);
        }
        candidate.last = packet;
        follows.then_some((candidate.first, before, candidate.count))
    }

    fn forget(&mut self, key: u64) {
        if let Some(candidate) = self.places.iter_mut().find(|candidate| candidate.key == key) {
            *candidate = Candidate::default();
        }
    }
}

impl State {
    /// Listens for streams without a description from now on, or no more; those that are followed end when they fall
    /// silent. Where it is told of media that pass twice, as with several shards, each would be counted twice.
    pub fn listen_for_unknown(&mut self, wanted: bool) {
        if wanted == self.unknown.is_some() {
            return;
        }
        self.places.open(wanted);
        self.unknown = wanted.then(Candidates::default);
    }

    /// A packet to an address that nobody advertises.
    #[cold]
    pub fn on_unannounced(&mut self, packet: &MediaPacket, out: &mut Out<'_>) {
        let usual = |address: &Address| address.port > 1023 && address.port.is_multiple_of(2);
        if self.unknown.is_none() || !usual(&packet.source) || !usual(&packet.destination) {
            return;
        }
        let Some(header) = Header::read(&packet.header, packet.len.into()) else { return };
        let known = Codec::of_static(header.payload_type);
        if known.is_some_and(|(codec, _)| !codec.is_speech()) || known.is_none() && header.payload_type < FIRST_DYNAMIC
        {
            return;
        }
        let key = self.hash.hash_one((packet.source.ip, packet.source.port, packet.destination, header.ssrc));
        let newcomer = Newcomer {
            key,
            at: packet.at,
            timestamp: header.timestamp,
            sequence: header.sequence,
            payload_type: header.payload_type,
        };
        let Some(unknown) = &mut self.unknown else { return };
        let Some((first, before, _)) = unknown.take(key, newcomer).filter(|(.., count)| *count >= ENOUGH) else {
            return;
        };
        let clock = match known {
            Some((_, clock)) => Some(clock),
            None if packet.at < first.at + LONG_ENOUGH => return,
            None => clock_of(&first, &newcomer),
        };
        unknown.forget(key);
        let Some(clock) = clock else { return };
        if unknown.held >= self.settings.config.max_endpoints / PART {
            return out.refused(MediaTable::Endpoints);
        }
        let assumed = Assumed { payload_type: header.payload_type, clock };
        let ends = [packet.source, packet.destination].map(|address| self.places.find_or_add(address));
        let [Some(source), Some(destination)] = ends else {
            ends.into_iter().flatten().for_each(|place| self.places.drop_if_idle(place));
            return out.refused(MediaTable::Endpoints);
        };
        let session = self.open_unknown(assumed, [source, destination], first.at);
        let key = self.stream_key(&packet.source, destination, header.ssrc);
        self.begin_stream(session, Side::Caller, destination, key, before, packet, &header, out);
        if self.sessions.get(session).is_some_and(|session| session.streams.is_empty()) {
            self.end_unknown(session, packet.at, out);
        }
    }

    /// A session of nobody's call, between two places.
    fn open_unknown(&mut self, assumed: Assumed, ends: [u32; 2], since: Timestamp) -> u32 {
        self.serial += 1;
        let call = self.hash.hash_one(("unknown", self.serial));
        let mut session = Session::new(self.serial, call, Slot::OTHER, since);
        (session.assumed, session.life, session.dialog) = (Some(assumed), Life::Up { since }, self.serial);
        let index = self.sessions.insert(session);
        self.calls.entry(call).or_default().sessions.push(index);
        for (side, place) in [Side::Caller, Side::Callee].into_iter().zip(ends) {
            let endpoints = self.advertise(index, side, &[place]);
            if let Some(session) = self.sessions.get_mut(index) {
                session.parties[side.index()].endpoints = endpoints;
            }
        }
        if let Some(unknown) = &mut self.unknown {
            unknown.held += 1;
        }
        index
    }

    /// A session of nobody's call ends.
    pub fn end_unknown(&mut self, index: u32, at: Timestamp, out: &mut Out<'_>) {
        let Some(call) = self.sessions.get(index).map(|session| session.call) else { return };
        self.forget_call(call, at, out);
        if let Some(unknown) = &mut self.unknown {
            unknown.held = unknown.held.saturating_sub(1);
        }
    }

    /// A stream fell silent: nobody says when one without a call is over.
    pub fn end_if_silent(&mut self, session: u32, at: Timestamp, out: &mut Out<'_>) {
        let Some(held) = self.sessions.get(session).filter(|session| session.assumed.is_some()) else { return };
        let active = |stream: &u32| self.streams.get(*stream).is_some_and(crate::streams::Entry::is_active);
        if !held.streams.iter().any(active) {
            self.end_unknown(session, at, out);
        }
    }

    /// A call has an address: whatever was heard there without one is its own from now on.
    pub fn give_way(&mut self, address: &Address, at: Timestamp, out: &mut Out<'_>) {
        if self.unknown.is_none() {
            return;
        }
        let Some(place) = self.places.find(address).and_then(|place| self.places.get(place)) else { return };
        let sessions: Vec<u32> = place.adverts.iter().map(|advert| advert.session).collect();
        for session in sessions {
            if self.sessions.get(session).is_some_and(|session| session.assumed.is_some()) {
                self.end_unknown(session, at, out);
            }
        }
    }
}

/// The clock that time stamps show, of those voice has; `None` where it is none of them.
fn clock_of(first: &Newcomer, last: &Newcomer) -> Option<u32> {
    let nanos = last.at.as_nanos().saturating_sub(first.at.as_nanos());
    let shown = u64::from(last.timestamp.wrapping_sub(first.timestamp)) * 1_000_000_000 / nanos.max(1);
    [8000, 16_000, 48_000].into_iter().find(|clock| shown.abs_diff(u64::from(*clock)) < u64::from(*clock) / 4)
}

/// Packets in sequence that begin a stream (5.2).
const ENOUGH: u16 = 4;
/// The first payload type without a fixed meaning (RFC 3551 §6).
const FIRST_DYNAMIC: u8 = 96;
/// How long time stamps have to run before their clock is believed.
const LONG_ENOUGH: Duration = Duration::from_millis(200);
/// How long a candidate has its place without a packet.
const WAITS: Duration = Duration::from_millis(100);
/// Of the endpoints that may be held, those without a call are this part at most: calls have the rest.
const PART: usize = 8;
const CANDIDATES: usize = 4096;
const CHOICES: usize = 8;
