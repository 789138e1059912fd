//! Reports: of RTCP, with the round trips between them (5.4), VoIP metrics (5.6), and reports of voice quality by SIP (5.6).

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use pipeline::RtcpPacket;
use pipeline::call::Side;
use pipeline::call::media::{CallMedia, ExtendedRecord, ReportRecord};
use pipeline::media::{Address, MediaError, MediaFact, Note, Part, Party, ReportNote, VqMeasure};
use rtp::rtcp::{Block, Report, VoiceQuality};
use rtp::{Compound, RtcpError};
use sip::Quality;
use wire::Timestamp;

use crate::state::{Out, State};

/// Longest round trip that is believed, in nanoseconds (5.4).
const LONGEST: i64 = 10_000_000_000;
/// A round trip this old does not go with a new one to the other side (5.4).
const OLD: Duration = Duration::from_secs(30);
/// Sender's reports remembered of one source (5.2), and of one session.
const OF_SOURCE: usize = 4;
const OF_SESSION: usize = 32;

/// Sender's reports of a session, and the round trips they led to.
#[derive(Default)]
pub struct RoundTrips {
    /// In the order they came.
    sent: Vec<Sent>,
    /// By side: in nanoseconds, and when.
    pub newest: [Option<(u64, Timestamp)>; 2],
    /// Both together, in nanoseconds.
    total: Option<u64>,
}

/// A sender's report.
struct Sent {
    ssrc: u32,
    /// Between which addresses.
    way: u64,
    /// The middle of its NTP time.
    ntp: u32,
    at: Timestamp,
}

impl RoundTrips {
    /// The round trip between both parties, in nanoseconds.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    fn send(&mut self, sent: Sent) {
        if self.sent.iter().filter(|other| other.ssrc == sent.ssrc).count() >= OF_SOURCE
            && let Some(oldest) = self.sent.iter().position(|other| other.ssrc == sent.ssrc)
        {
            self.sent.remove(oldest);
        }
        if self.sent.len() >= OF_SESSION {
            self.sent.remove(0);
        }
        self.sent.push(sent);
    }

    /// The round trip that a block tells of, in nanoseconds: it quotes a report that went the other `way`.
    fn of(&self, block: &Block, way: u64, at: Timestamp) -> Option<u64> {
        let quoted = |sent: &&Sent| (sent.ssrc, sent.way, sent.ntp) == (block.ssrc, way, block.last_sr);
        let sent = self.sent.iter().rev().find(quoted).filter(|_| block.last_sr != 0)?;
        let since = at.as_nanos() as i64 - sent.at.as_nanos() as i64;
        let held = ((i128::from(block.delay) * 1_000_000_000) >> 16) as i64;
        u64::try_from(since - held).ok().filter(|nanos| *nanos <= LONGEST as u64)
    }

    /// A round trip to a side is known. Returns both together, where the other is not too old.
    fn measure(&mut self, side: Side, nanos: u64, at: Timestamp) -> Option<u64> {
        self.newest[side.index()] = Some((nanos, at));
        let (other, when) = self.newest[side.other().index()]?;
        if at - when > OLD {
            return None;
        }
        self.total = Some(nanos + other);
        self.total
    }
}

/// Datagrams of RTCP that came lately: the same again within 20 ms is a copy (5.2). As many as there are places.
pub struct RecentReports(Box<[(u64, u64); 256]>);

impl Default for RecentReports {
    fn default() -> Self {
        Self(Box::new([(0, 0); 256]))
    }
}

impl RecentReports {
    fn is_copy(&mut self, hash: u64, at: u64) -> bool {
        let place = &mut self.0[hash as usize % 256];
        let before = std::mem::replace(place, (hash, at));
        before.0 == hash && at.saturating_sub(before.1) <= 20_000_000
    }
}

impl State {
    /// Takes a datagram of RTCP.
    pub fn on_rtcp(&mut self, packet: &RtcpPacket, bytes: &[u8], out: &mut Out<'_>) {
        let Some((index, receiver)) = self.receiver_of_rtcp(packet) else { return };
        let mut hasher = self.hash.build_hasher();
        hasher.write_u64(self.way(&packet.source, &packet.destination));
        hasher.write(bytes);
        let hash = hasher.finish();
        if self.recent.is_copy(hash, packet.at.as_nanos()) {
            return;
        }
        let Some(session) = self.sessions.get(index) else { return };
        out.push(session.slot, MediaFact::Rtcp);
        if session.assumed.is_some() {
            return;
        }
        if session.party(receiver).says().is_secure() || session.party(receiver.other()).says().is_secure() {
            return;
        }
        let compound = match Compound::read(bytes) {
            Ok(compound) => compound,
            Err(RtcpError::Compound) => return out.unreadable(MediaError::Rtcp),
            Err(RtcpError::Extended) => return out.unreadable(MediaError::Xr),
        };
        let way = self.way(&packet.source, &packet.destination);
        let back = self.way(&packet.destination, &packet.source);
        for report in compound.reports() {
            match report {
                Report::Sender { ssrc, ntp, blocks } => {
                    blocks
                        .iter()
                        .for_each(|block| self.on_block(index, receiver.other(), &block, back, packet.at, out));
                    if let Some(session) = self.sessions.get_mut(index) {
                        session.reports.send(Sent { ssrc, way, ntp, at: packet.at });
                    }
                }
                Report::Receiver { blocks, .. } => {
                    blocks
                        .iter()
                        .for_each(|block| self.on_block(index, receiver.other(), &block, back, packet.at, out));
                }
                Report::Voice(quality) => self.on_voice(index, quality, out),
            }
        }
    }

    /// The session a datagram of RTCP belongs to, and who receives it: at its own port, or at the one below.
    fn receiver_of_rtcp(&self, packet: &RtcpPacket) -> Option<(u32, Side)> {
        let below = packet.destination.with_port(packet.destination.port.wrapping_sub(1));
        let own = self.places.find(&packet.destination).and_then(|place| self.places.get(place));
        let own = own.filter(|place| !place.adverts.is_empty());
        let place =
            own.or_else(|| self.places.get(self.places.find(&below)?)).filter(|place| !place.adverts.is_empty())?;
        let sources = [packet.source, packet.source.with_port(packet.source.port.wrapping_sub(1))];
        let knows = |advert: &crate::places::Advert| {
            let party = self.sessions.get(advert.session).map(|session| session.party(advert.side.other()));
            party.is_some_and(|party| {
                party.all().any(|endpoint| {
                    self.places.get(endpoint.place).is_some_and(|place| sources.contains(&place.address))
                })
            })
        };
        let live = |advert: &&crate::places::Advert| {
            self.sessions.get(advert.session).is_some_and(|session| session.is_live())
        };
        let adverts = || place.adverts.iter().filter(live);
        let advert = adverts().find(|advert| knows(advert)).or_else(|| adverts().next_back())?;
        Some((advert.session, advert.side))
    }

    fn way(&self, from: &Address, to: &Address) -> u64 {
        self.hash.hash_one((from, to))
    }

    /// Somebody reports what it received of a stream.
    fn on_block(&mut self, index: u32, reporter: Side, block: &Block, back: u64, at: Timestamp, out: &mut Out<'_>) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        let slot = session.slot;
        let stream = session
            .streams
            .iter()
            .filter_map(|stream| self.streams.get(*stream))
            .find(|stream| stream.ssrc == block.ssrc);
        if let Some(stream) = stream {
            let clock = stream.stats.spoken_as().map_or(8000, |(_, _, clock)| clock);
            let jitter = u64::from(block.jitter) * 1_000_000_000 / u64::from(clock);
            let jitter = u32::try_from(jitter).unwrap_or(u32::MAX);
            out.push(slot, MediaFact::Reported { side: stream.side(), loss: block.fraction_lost, jitter });
        }
        let Some(nanos) = session.reports.of(block, back, at) else { return };
        let part = if reporter == Side::Caller { Part::Caller } else { Part::Callee };
        out.push(slot, MediaFact::RoundTrip { part, nanos });
        if let Some(nanos) = session.reports.measure(reporter, nanos, at) {
            out.push(slot, MediaFact::RoundTrip { part: Part::Total, nanos });
        }
    }

    fn on_voice(&mut self, index: u32, quality: VoiceQuality, out: &mut Out<'_>) {
        let Some(session) = self.sessions.get(index) else { return };
        let (slot, call) = (session.slot, session.call);
        let stream = session
            .streams
            .iter()
            .filter_map(|stream| self.streams.get(*stream))
            .find(|stream| stream.ssrc == quality.ssrc);
        let Some(side) = stream.map(crate::streams::Entry::side) else { return };
        out.push(slot, MediaFact::Extended { side });
        self.keep(call, out, |kept| crate::calls::Kept::keep(&mut kept.extended, ExtendedRecord { side, quality }));
    }

    /// A report of voice quality was accepted.
    pub fn on_report(&mut self, note: &Note, report: &ReportNote, out: &mut Out<'_>) {
        let text = out.text;
        let Ok(read) = sip::vq_report(&text[report.body.clone()]) else { return out.unreadable(MediaError::Vq) };
        out.push(note.slot, MediaFact::Report(read.kind));
        for (party, quality) in [(Party::Local, &read.local), (Party::Remote, &read.remote)] {
            for (measure, value) in values(quality) {
                out.push(note.slot, MediaFact::ReportValue { party, measure, value });
            }
        }
        let (kind, local, remote) = (read.kind, read.local, read.remote);
        if let Some(call) = report.record.and_then(|place| out.calls.get_mut(place)) {
            let reports = vec![ReportRecord { kind, at: call.record.start, local, remote }];
            Arc::make_mut(&mut call.record).media = Some(Box::new(CallMedia { reports, ..CallMedia::default() }));
        } else if report.known {
            let record = ReportRecord { kind, at: self.shown(note.call, note.at), local, remote };
            self.keep(note.call, out, |kept| crate::calls::Kept::keep(&mut kept.reports, record));
        }
    }
}

/// What histograms take of a report: millionths, and nanoseconds.
fn values(quality: &Quality) -> impl Iterator<Item = (VqMeasure, u64)> {
    let scaled = |value: Option<f32>, scale: f64| value.map(|value| (f64::from(value) * scale).round() as u64);
    let values = [
        (VqMeasure::MosLq, scaled(quality.mos_lq, 1e6)),
        (VqMeasure::MosCq, scaled(quality.mos_cq, 1e6)),
        (VqMeasure::Loss, scaled(quality.loss, 1e4)),
        (VqMeasure::Discard, scaled(quality.discard, 1e4)),
        (VqMeasure::RoundTrip, scaled(quality.round_trip_ms, 1e6)),
        (VqMeasure::Jitter, scaled(quality.jitter_ms, 1e6)),
    ];
    values.into_iter().filter_map(|(measure, value)| Some((measure, value?)))
}
