//! What every receiver shares: packets in, SIP frames out (`sip-metrics.md` 0.2, 1.1, 2.2 rule 1).
//!
//! In this order: the capture clock is straightened, the packet decoded down to its datagram or segment, other ports
//! are passed over, though not in silence when there is SIP on them, copies of the same capture dropped, streams put in order and cut into messages, and what is no SIP
//! is counted. It reads no clock itself, keeps nothing of a packet but fragments and pieces of messages, and parses
//! no message.

mod clock;
mod decrypted;
mod duplicates;
mod elsewhere;
mod media;
mod ports;
mod streams;

use std::time::Duration;

use pipeline::event::NotRead;
use pipeline::{FrameBatch, MediaPacket, Refused, SipFrame, Telemetry};
use sip::{ParseError, Payload};
use wire::{Datagram, Decoded, Decoder, Flow, Packet, Segment, Skip, Streams, Tap, Timestamp};

use clock::{Clock, Stamp};
pub use clock::{ClockMode, IDLE_LAG};
use decrypted::Decrypted;
pub use decrypted::{End, Piece};
use duplicates::DuplicateFilter;
use elsewhere::SipPorts;
use ports::PortFilter;
pub use ports::{PortSet, SIP_PORTS, VXLAN_PORTS, check_list, check_ports};
use streams::{Sink, SipReader};

/// Longest message in a datagram (`sip-metrics.md` 1.8); only segmentation offload can show a longer one.
const MAX_MESSAGE: usize = 65_535;

/// How an intake behaves; see [`Intake::new`].
#[derive(Clone, Debug)]
pub struct IntakeSettings {
    /// Where time comes from.
    pub clock: ClockMode,
    /// SIP is looked for to and from these.
    pub ports: PortSet,
    /// SIP in WebSockets is looked for to and from these, whatever `tcp` says. Default none.
    pub ws_ports: PortSet,
    /// Look into datagrams. Default `true`.
    pub udp: bool,
    /// Look for SIP in streams. Default `true`.
    pub tcp: bool,
    /// How long after a payload an identical one is a capture duplicate; zero keeps every copy. Default 20 ms.
    pub duplicate_window: Duration,
    /// Most datagrams in reassembly. Default 4,096.
    pub max_fragmented: usize,
    /// Most directions of TCP connections followed. Default 65,536: some 30 MB.
    pub max_streams: usize,
    /// VXLAN is looked for to these. Default 4789 and 8472.
    pub vxlan_ports: Vec<u16>,
    /// Note on which other ports SIP is seen, each with its number. That there is some is counted in any case.
    pub note_other_ports: bool,
}

impl IntakeSettings {
    /// The defaults, for `ports` and a source of packets.
    pub fn new(clock: ClockMode, ports: PortSet) -> Self {
        Self {
            clock,
            ports,
            ws_ports: PortSet::from_iter([]),
            udp: true,
            tcp: true,
            duplicate_window: Duration::from_millis(20),
            max_fragmented: 4096,
            max_streams: 65_536,
            vxlan_ports: VXLAN_PORTS.into(),
            note_other_ports: false,
        }
    }
}

/// Turns the packets of one receiver into frames. Allocates only for fragments, new streams, and messages that come in
/// several segments, and until its buffers have their size.
#[derive(Debug)]
pub struct Intake {
    clock: Clock,
    decoder: Decoder,
    filter: PortFilter,
    duplicates: DuplicateFilter,
    streams: Streams<SipReader>,
    /// Once there was a piece: few receivers have any.
    decrypted: Option<Box<Decrypted>>,
    max_streams: usize,
    other_ports: Option<SipPorts>,
    /// Somebody wants media.
    media: bool,
    counts: Counts,
}

/// What no [`pipeline::Tally`] has room for: the program about itself.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    packets: u64,
    /// By position in [`Skip::ALL`].
    skipped: [u64; Skip::ALL.len()],
    other_port: u64,
    media: u64,
    /// Datagrams and segments of a transport that nobody asked for.
    other_transport: u64,
    /// Packets whose inside is not looked at and holds SIP, by [`NotRead::index`].
    wrapped: [u64; NotRead::ALL.len()],
    evicted_fragments: u64,
    evicted_streams: u64,
    compressed: u64,
}

impl Intake {
    /// An intake at the beginning of its capture.
    pub fn new(settings: IntakeSettings) -> Self {
        let IntakeSettings { ports, ws_ports, udp, tcp, .. } = settings;
        let mut decoder = Decoder::new(settings.max_fragmented);
        decoder.set_vxlan_ports(&settings.vxlan_ports);
        Self {
            clock: Clock::new(settings.clock),
            decoder,
            filter: PortFilter { ports, ws_ports, udp, tcp },
            duplicates: DuplicateFilter::new(settings.duplicate_window),
            streams: Streams::new(settings.max_streams),
            decrypted: None,
            max_streams: settings.max_streams,
            other_ports: settings.note_other_ports.then(SipPorts::default),
            media: false,
            counts: Counts::default(),
        }
    }

    /// Changes [`IntakeSettings::ports`] and [`IntakeSettings::ws_ports`].
    pub fn set_ports(&mut self, ports: PortSet, ws_ports: PortSet) {
        (self.filter.ports, self.filter.ws_ports) = (ports, ws_ports);
    }

    /// Changes [`IntakeSettings::vxlan_ports`].
    pub fn set_vxlan_ports(&mut self, ports: &[u16]) {
        self.decoder.set_vxlan_ports(ports);
    }

    /// Changes [`IntakeSettings::udp`] and [`IntakeSettings::tcp`].
    pub fn set_transports(&mut self, udp: bool, tcp: bool) {
        (self.filter.udp, self.filter.tcp) = (udp, tcp);
    }

    /// Changes [`IntakeSettings::duplicate_window`].
    pub fn set_duplicate_window(&mut self, window: Duration) {
        self.duplicates.set_window(window);
    }

    /// From now on datagrams that look like RTP or RTCP go into batches, too.
    pub fn want_media(&mut self) {
        self.media = true;
    }

    /// Takes one packet: `batch` gains frames, a count, or nothing but the time.
    pub fn packet(&mut self, packet: &Packet<'_>, batch: &mut FrameBatch) {
        let Self { clock, decoder, filter, counts, streams, .. } = self;
        let stamp = clock.stamp(packet.at);
        batch.now = stamp.at;
        batch.tally.clock_steps += u64::from(stamp.stepped);
        counts.packets += 1;
        let compressed = &mut counts.compressed;
        if !streams.is_empty() {
            streams.expire(stamp.at, &mut Sink { batch, stamp, tap: None, filter, compressed, over_tls: false });
        }
        // Looked at where it stands: taken out, a datagram was copied field by field, twice.
        match &decoder.decode(&Packet { at: stamp.at, ..*packet }) {
            Decoded::Datagram(datagram) => {
                if !filter.ports.holds_one_of(datagram.source, datagram.destination) {
                    if self.media && media::take(datagram, packet, stamp, batch) {
                        counts.media += 1;
                        return;
                    }
                    let Datagram { source, destination, payload, .. } = *datagram;
                    match datagram.unread() {
                        Some(skip) if !elsewhere::is_sip(payload) => {
                            counts.skipped[skip as usize] += 1;
                            elsewhere::count_unread(skip, packet.bytes, &mut counts.wrapped, &mut batch.tally);
                        }
                        _ => {
                            counts.other_port += 1;
                            elsewhere::count(source, destination, payload, &mut self.other_ports, &mut batch.tally);
                        }
                    }
                } else if !filter.udp {
                    counts.other_transport += 1;
                } else if self.duplicates.is_repeat(stamp.at, datagram) {
                    batch.tally.capture_duplicates += 1;
                } else {
                    let non_sip = batch.tally.non_sip;
                    sort(datagram, packet.tap, stamp, batch);
                    // RTP on a port of SIP (1.1).
                    if self.media && batch.tally.non_sip > non_sip && media::take(datagram, packet, stamp, batch) {
                        counts.media += 1;
                    }
                }
            }
            Decoded::Segment(segment) => {
                let Segment { source, destination, payload, .. } = *segment;
                let expected = filter.in_stream(Flow { source, destination }, false);
                if expected.sip || expected.websocket {
                    let tap = Some(packet.tap);
                    let compressed = &mut counts.compressed;
                    let mut sink = Sink { batch, stamp, tap, filter, compressed, over_tls: false };
                    streams.segment(segment, stamp.at, &mut sink);
                    batch.tally.evicted_streams += streams.evicted() - counts.evicted_streams;
                    counts.evicted_streams = streams.evicted();
                } else if filter.ports.holds_one_of(source, destination) {
                    counts.other_transport += 1;
                } else {
                    counts.other_port += 1;
                    elsewhere::count(source, destination, payload, &mut self.other_ports, &mut batch.tally);
                }
            }
            // Only a fragment that has to wait can push another out.
            Decoded::Held => {
                let evicted = decoder.counts().evicted;
                batch.tally.evicted_fragments += evicted - counts.evicted_fragments;
                counts.evicted_fragments = evicted;
            }
            Decoded::Skipped(skip) => {
                counts.skipped[*skip as usize] += 1;
                elsewhere::count_unread(*skip, packet.bytes, &mut counts.wrapped, &mut batch.tally);
            }
        }
    }

    /// Takes bytes that were read in the clear inside a process; between packets, in the order of time.
    pub fn decrypted(&mut self, piece: &Piece<'_>, batch: &mut FrameBatch) {
        let stamp = self.clock.stamp(piece.at);
        batch.now = stamp.at;
        batch.tally.clock_steps += u64::from(stamp.stepped);
        let decrypted = self.decrypted.get_or_insert_with(|| Box::new(Decrypted::new(self.max_streams)));
        let (filter, compressed) = (&self.filter, &mut self.counts.compressed);
        let sent = piece.seen_at == End::Sender && !piece.source.ip().is_loopback();
        let tap = Some(if sent { Tap::Sender } else { Tap::Recipient });
        decrypted.piece(piece, &mut Sink { batch, stamp, tap, filter, compressed, over_tls: true });
    }

    /// Takes a packet of media that came another way than [`Intake::packet`]; between packets, in the order of time. Its
    /// time is that of the capture, and is straightened.
    pub fn media(&mut self, packet: MediaPacket, batch: &mut FrameBatch) {
        let stamp = self.clock.stamp(packet.at);
        batch.now = stamp.at;
        batch.tally.clock_steps += u64::from(stamp.stepped);
        self.counts.media += 1;
        batch.media.push(MediaPacket { at: stamp.at, ..packet });
    }

    /// Live: tells how much monotonic time has passed since the receiver began. Called before it looks for packets,
    /// so that none that already waits can be ahead.
    pub fn elapsed(&mut self, since_start: Duration) {
        self.clock.elapsed(since_start);
    }

    /// Live: no packet waited when [`Intake::elapsed`] was last called. Without packets time moves on
    /// [`IDLE_LAG`] behind the clock.
    pub fn idle(&mut self, batch: &mut FrameBatch) {
        batch.now = self.clock.idle();
        self.decoder.expire(batch.now);
        let stamp = self.clock.stamp_of_now();
        let (filter, compressed) = (&self.filter, &mut self.counts.compressed);
        let mut sink = Sink { batch, stamp, tap: None, filter, compressed, over_tls: false };
        self.streams.expire(stamp.at, &mut sink);
        if let Some(decrypted) = &mut self.decrypted {
            sink.over_tls = true;
            decrypted.expire(&mut sink);
        }
    }

    /// The capture clock: time of the last packet, or what has passed since.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Ports that are not looked at and on which SIP was seen all the same, the busiest first, each with the number of
    /// packets; at most 64, empty unless noted.
    pub fn other_ports(&self) -> Vec<(u16, u64)> {
        self.other_ports.as_ref().map(SipPorts::busiest_first).unwrap_or_default()
    }

    /// Wrappings that are not read and in which SIP was seen, each with the number of packets.
    pub fn wrapped(&self) -> Vec<(NotRead, u64)> {
        let numbers = NotRead::ALL.iter().map(|&why| (why, self.counts.wrapped[why.index()]));
        numbers.filter(|(_, number)| *number > 0).collect()
    }

    /// The program about itself: packets, and why those were passed over that carry no frame.
    pub fn telemetry(&self, out: &mut Vec<Telemetry>) {
        let mut number = |name, reason: Option<&str>, counter, value: u64| {
            let labels = reason.map(|reason| ("reason", reason.to_owned())).into_iter().collect();
            out.push(Telemetry { name, labels, counter, value: value as f64 });
        };
        number("otelcol_receiver_packets", None, true, self.counts.packets);
        if self.media {
            number("otelcol_receiver_media_packets", None, true, self.counts.media);
        }
        let by_skip = Skip::ALL.iter().map(|&skip| (skip.reason(), self.counts.skipped[skip as usize]));
        for (reason, count) in
            by_skip.chain([("other_port", self.counts.other_port), ("other_transport", self.counts.other_transport)])
        {
            number("otelcol_receiver_skipped_packets", Some(reason), true, count);
        }
        let given_up = self.decoder.counts();
        let reasons =
            [("evicted", given_up.evicted), ("timeout", given_up.timed_out), ("contradiction", given_up.contradictory)];
        for (reason, count) in reasons {
            number("otelcol_receiver_dropped_fragmented_datagrams", Some(reason), true, count);
        }
        number("otelcol_receiver_fragmented_datagrams", None, false, self.decoder.fragmented() as u64);
        let (streams, bytes) = self.decrypted.as_ref().map_or((0, 0), |decrypted| decrypted.size());
        number("otelcol_receiver_streams", None, false, (self.streams.len() + streams) as u64);
        number("otelcol_receiver_stream_bytes", None, false, (self.streams.kept_bytes() + bytes) as u64);
        number("otelcol_receiver_compressed_websocket_messages", None, true, self.counts.compressed);
        number("otelcol_receiver_duplicate_filter_overwritten", None, true, self.duplicates.overwritten());
    }
}

/// Tells what a payload is and counts it or makes it a frame, or several when the kernel merged datagrams.
fn sort(datagram: &Datagram<'_>, tap: Tap, stamp: Stamp, batch: &mut FrameBatch) {
    let frame = SipFrame {
        first: datagram.first,
        wall_offset: stamp.wall_offset,
        tap,
        missing: datagram.missing,
        ..SipFrame::datagram(datagram.source, datagram.destination, stamp.at)
    };
    let tally = &mut batch.tally;
    let message = match sip::sort(datagram.payload) {
        Payload::Sip(message) => message,
        Payload::Stun => return tally.keepalives_stun += 1,
        Payload::Crlf => return tally.keepalives_crlf += 1,
        Payload::StartLineError => {
            tally.start_line_errors += 1;
            return batch.refused.push(Refused::new(datagram.payload, &frame, ParseError::StartLine));
        }
        Payload::NonSip => return tally.non_sip += 1,
    };
    let is_whole = datagram.missing == 0 && message.len() == datagram.payload.len();
    let size = sip::merged_size(message).filter(|_| is_whole).unwrap_or(message.len());
    if size > MAX_MESSAGE {
        tally.too_large += 1;
        return batch.refused.push(Refused::new(message, &frame, ParseError::TooLarge));
    }
    if size == message.len() {
        return batch.push(message, frame);
    }
    for message in message.chunks(size) {
        batch.push(message, frame.clone());
    }
}

#[cfg(test)]
mod tests;
