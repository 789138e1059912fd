//! Packets of RTP: whose they are, and what they add to their stream (5.2, 5.3).

use pipeline::MediaPacket;
use pipeline::call::Side;
use pipeline::media::{MediaError, MediaFact, MediaTable};
use rtp::{Arrival, Codec, Header, Stream, Taken};
use wire::Timestamp;

use crate::ahead::Found;
use crate::places::Advert;
use crate::sessions::{Endpoint, Life, toward};
use crate::state::{Out, State};
use crate::streams::{Entry, Newcomer};
use crate::timers::Due;

/// A packet with the same identification within this time is a copy (5.2).
const COPY: u64 = 20_000_000;
/// After so long without a packet where it was seen first, a stream is seen elsewhere (5.2).
const MOVES: u64 = 1_000_000_000;
/// Packets later than this after their dialog are a fault (5.7).
const LATE: std::time::Duration = std::time::Duration::from_secs(2);

impl State {
    /// Takes a packet, of which it is known what it is about.
    #[inline]
    pub fn on_packet(&mut self, packet: &MediaPacket, found: Found, out: &mut Out<'_>) {
        let Found { destination: Some(destination), key, stream } = found else {
            if self.unknown.is_some() {
                self.on_unannounced(packet, out);
            }
            return;
        };
        let Some(header) = Header::read(&packet.header, packet.len.into()) else {
            return self.on_unreadable(destination, out);
        };
        match stream {
            Some(index) => self.on_stream_packet(index, destination, key, packet, &header, out),
            None => self.on_newcomer(destination, key, packet, &header, out),
        }
    }

    #[cold]
    fn on_unreadable(&mut self, destination: u32, out: &mut Out<'_>) {
        if self.places.get(destination).is_some_and(|place| !place.adverts.is_empty()) {
            out.unreadable(MediaError::Rtp);
        }
    }

    /// A packet of a stream that is known.
    #[inline]
    fn on_stream_packet(
        &mut self,
        index: u32,
        destination: u32,
        key: u64,
        packet: &MediaPacket,
        header: &Header,
        out: &mut Out<'_>,
    ) {
        let Some(entry) = self.streams.get_mut(index) else { return };
        let now = packet.at.as_nanos();
        let since = now.saturating_sub(entry.stats.last());
        if packet.seen_at != entry.seen_at {
            if since <= MOVES {
                return;
            }
            entry.seen_at = packet.seen_at;
        } else if packet.identification != 0 && packet.identification == entry.identification && since <= COPY {
            return;
        }
        entry.identification = packet.identification;
        if entry.has_ended() {
            return self.on_late(index, destination, key, packet, header, out);
        }
        let known = entry.stats.spoken_as().filter(|(number, ..)| *number == header.payload_type);
        let (codec, clock) = match known {
            Some((_, codec, clock)) => (codec, clock),
            None => {
                let (session, side) = (entry.session(), entry.side());
                match self.payload_type(session, side, header.payload_type) {
                    Some(found) => found,
                    None => return,
                }
            }
        };
        let buffer = self.settings.config.jitter_buffer.as_nanos() as u64;
        let Some(entry) = self.streams.get_mut(index) else { return };
        let before = entry.stats.codec();
        let arrival = arrival(packet.at, header, codec, clock);
        let taken = entry.stats.take(&arrival, buffer);
        if entry.stats.codec() != before && entry.unstated > 0 {
            // Those before carried something else.
            let (count, side, session) =
                (u32::from(std::mem::take(&mut entry.unstated)), entry.side(), entry.session());
            if let Some(session) = self.sessions.get(session) {
                out.push(session.slot, MediaFact::Packets { side, codec: before, count });
            }
        }
        let came = match taken {
            Taken::New { reordered: false, jumped: false } => 1,
            Taken::Aside => return,
            other => self.on_unusual(index, other, out),
        };
        if codec == Codec::Cn {
            self.on_noise(index);
        }
        let Some(entry) = self.streams.get_mut(index) else { return };
        if entry.unstated == 0 && came > 0 {
            self.touched.push(index);
        }
        entry.unstated += came;
        let (sleeps, full) = (!entry.is_active(), entry.unstated >= u16::MAX - 2);
        if let Some(place) = self.places.get_mut(destination) {
            place.packets = place.packets.wrapping_add(came.into());
            place.last = packet.at;
        }
        if full {
            self.state_packets_of(index, out);
        }
        if sleeps {
            self.wake(index, packet.at, out);
        }
    }

    /// A packet that is not just the next one. Returns how many came.
    #[cold]
    fn on_unusual(&mut self, index: u32, taken: Taken, out: &mut Out<'_>) -> u16 {
        let Some(entry) = self.streams.get(index) else { return 0 };
        let (side, codec) = (entry.side(), entry.stats.codec());
        let Some(slot) = self.sessions.get(entry.session()).map(|session| session.slot) else { return 0 };
        let (came, jumps) = match taken {
            Taken::New { reordered, jumped } => {
                if reordered {
                    out.push(slot, MediaFact::Reordered { side, codec });
                }
                (1, u8::from(jumped))
            }
            Taken::Duplicate => {
                out.push(slot, MediaFact::Duplicate { side, codec });
                (0, 0)
            }
            Taken::Restarted { jumps } => (2, jumps),
            Taken::Aside => (0, 0),
        };
        (0..jumps).for_each(|_| out.push(slot, MediaFact::TimestampJumped));
        came
    }

    /// Comfort noise: whoever sends it may be silent.
    #[cold]
    fn on_noise(&mut self, index: u32) {
        let Some(entry) = self.streams.get(index) else { return };
        if let Some(session) = self.sessions.get_mut(entry.session()) {
            session.parties[entry.side().index()].sends_noise = true;
        }
    }

    /// A packet of a stream whose dialog is over: it is late, or belongs to another dialog now.
    #[cold]
    fn on_late(
        &mut self,
        index: u32,
        destination: u32,
        key: u64,
        packet: &MediaPacket,
        header: &Header,
        out: &mut Out<'_>,
    ) {
        if self.receiver(destination, packet).is_some() {
            self.remove_stream(index, packet.at, out);
            return self.on_newcomer(destination, key, packet, header, out);
        }
        let Some((session, side)) = self.streams.get(index).map(|entry| (entry.session(), entry.side())) else {
            return;
        };
        self.late(session, side, packet.at, out);
    }

    fn late(&mut self, session: u32, side: Side, at: Timestamp, out: &mut Out<'_>) {
        let Some(Life::Over { since }) = self.sessions.get(session).map(|session| session.life) else { return };
        if at > since + LATE {
            self.fault(session, pipeline::media::Fault::LateMedia, toward(side), at, out);
        }
    }

    /// A packet of no stream that is known: the second in sequence begins one.
    fn on_newcomer(&mut self, destination: u32, key: u64, packet: &MediaPacket, header: &Header, out: &mut Out<'_>) {
        if !self.is_announced(destination, packet) {
            return self.on_unannounced(packet, out);
        }
        let Some(newcomer) = self.newcomers.place(key, packet.at) else { return };
        let before = *newcomer;
        *newcomer = Newcomer {
            key,
            at: packet.at,
            timestamp: header.timestamp,
            sequence: header.sequence,
            payload_type: header.payload_type,
        };
        if before.key != key || header.sequence != before.sequence.wrapping_add(1) {
            return;
        }
        *newcomer = Newcomer::default();
        let Some((session, side)) = self.receiver(destination, packet) else {
            // Only dialogs that are over receive there.
            let over = self.places.get(destination).and_then(|place| place.adverts.last().copied());
            if let Some(Advert { session, side }) = over {
                self.late(session, side.other(), packet.at, out);
            }
            return;
        };
        self.begin_stream(session, side.other(), destination, key, before, packet, header, out);
    }

    /// Somebody advertises a place; who does so without a description, only to whom it is known to hear.
    fn is_announced(&self, destination: u32, packet: &MediaPacket) -> bool {
        let Some(place) = self.places.get(destination) else { return false };
        let sources = self.places.find(&packet.source).and_then(|place| self.places.get(place));
        place.adverts.iter().any(|advert| {
            let other = Advert { session: advert.session, side: advert.side.other() };
            self.sessions.get(advert.session).is_none_or(|session| session.assumed.is_none())
                || sources.is_some_and(|place| place.adverts.contains(&other))
        })
    }

    /// The session a new stream to a place belongs to, and who receives there (5.2): the oldest that knows the source
    /// too, else the newest; of several early ones of one INVITE the first.
    fn receiver(&self, destination: u32, packet: &MediaPacket) -> Option<(u32, Side)> {
        let adverts = &self.places.get(destination)?.adverts;
        let sources = self.places.find(&packet.source).and_then(|place| self.places.get(place));
        let live = || {
            adverts.iter().filter_map(|advert| {
                let session = self.sessions.get(advert.session).filter(|session| session.is_live())?;
                Some((*advert, session))
            })
        };
        let knows_source = |advert: &Advert| {
            let other = Advert { session: advert.session, side: advert.side.other() };
            sources.is_some_and(|place| place.adverts.contains(&other))
        };
        let both = live().filter(|(advert, _)| knows_source(advert)).min_by_key(|(_, session)| session.serial);
        let newest = || {
            let (advert, newest) = live().max_by_key(|(_, session)| session.serial)?;
            if newest.life != Life::Early {
                return Some((advert, newest));
            }
            let of_invite = live().filter(|(_, session)| {
                session.life == Life::Early && (session.call, session.invite) == (newest.call, newest.invite)
            });
            of_invite.min_by_key(|(_, session)| session.serial)
        };
        both.or_else(newest).map(|(advert, _)| (advert.session, advert.side))
    }

    /// Two packets in sequence begin a stream of `side`.
    #[expect(clippy::too_many_arguments, reason = "each is of another thing, and none goes with another elsewhere")]
    pub fn begin_stream(
        &mut self,
        session: u32,
        side: Side,
        destination: u32,
        key: u64,
        first: Newcomer,
        packet: &MediaPacket,
        header: &Header,
        out: &mut Out<'_>,
    ) {
        let Some((codec, clock)) = self.payload_type(session, side, header.payload_type) else { return };
        let before = self.payload_type(session, side, first.payload_type).unwrap_or((codec, clock));
        let held = self.sessions.get(session).map_or(0, |session| session.streams.len());
        if held >= self.settings.config.max_streams_per_dialog {
            return out.refused(MediaTable::DialogStreams);
        }
        if self.streams.is_full() {
            return out.refused(MediaTable::Streams);
        }
        let Some(source) = self.places.find_or_add(packet.source) else { return out.refused(MediaTable::Endpoints) };
        let buffer = self.settings.config.jitter_buffer.as_nanos() as u64;
        let earlier = Header {
            marker: false,
            payload_type: first.payload_type,
            sequence: first.sequence,
            timestamp: first.timestamp,
            ssrc: header.ssrc,
        };
        let earlier = arrival(first.at, &earlier, before.0, before.1);
        let Some(stats) = Stream::begin(&earlier, &arrival(packet.at, header, codec, clock), buffer) else {
            return self.places.drop_if_idle(source);
        };
        let mut entry = Entry::new(stats, header.ssrc, [source, destination], session, side, packet.seen_at);
        (entry.identification, entry.unstated) = (packet.identification, 2);
        self.places.hold(source);
        self.places.hold(destination);
        let index = self.streams.insert(key, entry);
        self.touched.push(index);
        if let Some(session) = self.sessions.get_mut(session) {
            session.streams.push(index);
        }
        if let Some(place) = self.places.get_mut(destination) {
            place.packets = place.packets.wrapping_add(2);
            place.last = packet.at;
        }
        self.hosts.see(packet.source.ip, packet.at);
        self.hosts.see(packet.destination.ip, packet.at);
        let first = first.at.as_nanos();
        self.timers.set(first_end(first, self.settings.config.interval), Due::Interval { stream: index, first });
        self.wake(index, packet.at, out);
        self.latch(session, side, source, packet.at, out);
        if codec == Codec::Cn {
            self.on_noise(index);
        }
    }

    /// Who sends from where it did not say is reached there too (RFC 4961, RFC 7362).
    fn latch(&mut self, index: u32, side: Side, source: u32, at: Timestamp, out: &mut Out<'_>) {
        let Some(session) = self.sessions.get(index) else { return };
        if session.party(side).all().any(|endpoint| endpoint.place == source) {
            return;
        }
        if let Some(address) = self.places.get(source).map(|place| place.address) {
            self.give_way(&address, at, out);
        }
        let [endpoint] = self.advertise(index, side, &[source])[..] else { return };
        let Some(session) = self.sessions.get_mut(index) else { return };
        let moved: Option<Endpoint> = session.parties[side.index()].latched.replace(endpoint);
        self.withdraw(index, side, moved.into_iter().collect());
    }

    /// What a payload type stands for: to who receives it, to who sends it, or by itself (RFC 3264 §5.1); `None` where it
    /// is not audio.
    fn payload_type(&self, session: u32, side: Side, number: u8) -> Option<(Codec, u32)> {
        let session = self.sessions.get(session)?;
        if let Some(assumed) = session.assumed {
            return Some(assumed.of(number));
        }
        for party in [side.other(), side] {
            if let Some(known) = session.party(party).says().payload_type(number).ok()? {
                return Some((known.codec, known.clock));
            }
        }
        Some(Codec::of_static(number).unwrap_or((Codec::Other, 8000)))
    }
}

fn arrival(at: Timestamp, header: &Header, codec: Codec, clock: u32) -> Arrival {
    Arrival {
        at: at.as_nanos(),
        sequence: header.sequence,
        timestamp: header.timestamp,
        payload_type: header.payload_type,
        codec,
        clock,
    }
}

/// The end of the first interval of a stream.
fn first_end(first: u64, interval: std::time::Duration) -> Timestamp {
    Timestamp::from_nanos(first) + interval
}
