//! What every receiver shares: packets in, SIP frames out (`sip-metrics.md` 0.2, 1.1, 2.2 rule 1).
//!
//! In this order: the capture clock is straightened, the packet decoded down to its datagram, other ports are
//! passed over, copies of the same capture dropped, and what is no SIP is counted. It reads no clock itself, keeps
//! nothing of a packet but its fragments, and parses no message.

mod clock;
mod duplicates;
mod ports;

use std::time::Duration;

use sip::Payload;
use wire::{Datagram, Decoded, Decoder, Packet, Skip, Timestamp};

pub use clock::ClockMode;
use clock::{Clock, Stamp};
use duplicates::DuplicateFilter;
pub use ports::PortSet;
use ports::SipPorts;

use crate::component::Telemetry;
use crate::frame::{FrameBatch, SipFrame, Transport};

/// Longest message in a datagram (`sip-metrics.md` 1.8); only segmentation offload can show a longer one.
const MAX_MESSAGE: usize = 65_535;

/// How an intake behaves; see [`Intake::new`].
#[derive(Clone, Debug)]
pub struct IntakeSettings {
    /// Where time comes from.
    pub clock: ClockMode,
    /// SIP is looked for to and from these.
    pub ports: PortSet,
    /// How long after a payload an identical one is a capture duplicate; zero keeps every copy. Default 20 ms.
    pub duplicate_window: Duration,
    /// Most datagrams in reassembly. Default 4,096.
    pub max_fragmented: usize,
    /// Note on which other ports SIP is seen; costs a look at every datagram.
    pub note_other_ports: bool,
}

impl IntakeSettings {
    /// The defaults, for `ports` and a source of packets.
    pub fn new(clock: ClockMode, ports: PortSet) -> Self {
        Self {
            clock,
            ports,
            duplicate_window: Duration::from_millis(20),
            max_fragmented: 4096,
            note_other_ports: false,
        }
    }
}

/// Turns the packets of one receiver into frames. Allocates only for fragments, and until its buffers have their size.
#[derive(Debug)]
pub struct Intake {
    clock: Clock,
    decoder: Decoder,
    ports: PortSet,
    duplicates: DuplicateFilter,
    other_ports: Option<SipPorts>,
    counts: Counts,
}

/// What no [`crate::Tally`] has room for: the program about itself.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    packets: u64,
    /// By position in [`Skip::ALL`].
    skipped: [u64; Skip::ALL.len()],
    other_port: u64,
    tcp: u64,
    evicted_fragments: u64,
}

impl Intake {
    /// An intake at the beginning of its capture.
    pub fn new(settings: IntakeSettings) -> Self {
        Self {
            clock: Clock::new(settings.clock),
            decoder: Decoder::new(settings.max_fragmented),
            ports: settings.ports,
            duplicates: DuplicateFilter::new(settings.duplicate_window),
            other_ports: settings.note_other_ports.then(SipPorts::default),
            counts: Counts::default(),
        }
    }

    /// Looks for SIP on other ports from now on.
    pub fn set_ports(&mut self, ports: PortSet) {
        self.ports = ports;
    }

    /// Changes [`IntakeSettings::duplicate_window`].
    pub fn set_duplicate_window(&mut self, window: Duration) {
        self.duplicates.set_window(window);
    }

    /// Takes one packet: `batch` gains a frame, a count, or nothing but the time.
    pub fn packet(&mut self, packet: &Packet<'_>, batch: &mut FrameBatch) {
        let Self { clock, decoder, ports, duplicates, other_ports, counts } = self;
        let stamp = clock.stamp(packet.at);
        batch.now = stamp.at;
        batch.tally.clock_steps += u64::from(stamp.stepped);
        counts.packets += 1;
        let datagram = match decoder.decode(&Packet { at: stamp.at, ..*packet }) {
            Decoded::Datagram(datagram) => datagram,
            Decoded::Segment(_) => {
                counts.tcp += 1;
                return;
            }
            // Only a fragment that has to wait can push another out.
            Decoded::Held => {
                let evicted = decoder.counts().evicted;
                batch.tally.evicted_fragments += evicted - counts.evicted_fragments;
                counts.evicted_fragments = evicted;
                return;
            }
            Decoded::Skipped(skip) => {
                counts.skipped[skip as usize] += 1;
                return;
            }
        };
        if !ports.contains(datagram.source.port()) && !ports.contains(datagram.destination.port()) {
            counts.other_port += 1;
            if let Some(other_ports) = other_ports {
                other_ports.note(&datagram);
            }
        } else if duplicates.is_repeat(stamp.at, &datagram) {
            batch.tally.capture_duplicates += 1;
        } else {
            sort(&datagram, stamp, batch);
        }
    }

    /// Live: tells how much monotonic time has passed since the receiver began. Called before it looks for packets,
    /// so that none that already waits can be ahead.
    pub fn elapsed(&mut self, since_start: Duration) {
        self.clock.elapsed(since_start);
    }

    /// Live: no packet waited when [`Intake::elapsed`] was last called. From 100 ms without packets on, time moves on
    /// without them.
    pub fn idle(&mut self, batch: &mut FrameBatch) {
        batch.now = self.clock.idle();
        self.decoder.expire(batch.now);
    }

    /// The capture clock: time of the last packet, or what has passed since.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Ports that are not looked at and on which SIP was seen all the same, the busiest first; empty unless noted.
    pub fn other_ports(&self) -> Vec<u16> {
        self.other_ports.as_ref().map(SipPorts::busiest_first).unwrap_or_default()
    }

    /// The program about itself: packets, and why those were passed over that carry no frame.
    pub fn telemetry(&self, out: &mut Vec<Telemetry>) {
        let mut number = |name, reason: Option<&str>, counter, value: u64| {
            let labels = reason.map(|reason| ("reason", reason.to_owned())).into_iter().collect();
            out.push(Telemetry { name, labels, counter, value: value as f64 });
        };
        number("otelcol_receiver_packets", None, true, self.counts.packets);
        let by_skip = Skip::ALL.iter().map(|&skip| (skip.reason(), self.counts.skipped[skip as usize]));
        for (reason, count) in by_skip.chain([("other_port", self.counts.other_port), ("tcp", self.counts.tcp)]) {
            number("otelcol_receiver_skipped_packets", Some(reason), true, count);
        }
        let given_up = self.decoder.counts();
        let reasons =
            [("evicted", given_up.evicted), ("timeout", given_up.timed_out), ("contradiction", given_up.contradictory)];
        for (reason, count) in reasons {
            number("otelcol_receiver_dropped_fragmented_datagrams", Some(reason), true, count);
        }
        number("otelcol_receiver_fragmented_datagrams", None, false, self.decoder.fragmented() as u64);
        number("otelcol_receiver_duplicate_filter_overwritten", None, true, self.duplicates.overwritten());
    }
}

/// Tells what a payload is and counts it or makes it a frame.
fn sort(datagram: &Datagram<'_>, stamp: Stamp, batch: &mut FrameBatch) {
    let tally = &mut batch.tally;
    let message = match sip::sort(datagram.payload) {
        Payload::Sip(message) => message,
        Payload::Stun => return tally.keepalives_stun += 1,
        Payload::Crlf => return tally.keepalives_crlf += 1,
        Payload::StartLineError => return tally.start_line_errors += 1,
        Payload::NonSip => return tally.non_sip += 1,
    };
    if message.len() > MAX_MESSAGE {
        return tally.too_large += 1;
    }
    let start = batch.bytes.len();
    batch.bytes.extend_from_slice(message);
    batch.frames.push(SipFrame {
        range: start..batch.bytes.len(),
        first: datagram.first,
        at: stamp.at,
        wall_offset: stamp.wall_offset,
        source: datagram.source,
        destination: datagram.destination,
        transport: Transport::Udp,
        truncated: datagram.truncated,
    });
}

#[cfg(test)]
mod tests;
