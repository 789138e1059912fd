//! SIP over TLS in the clear, without keys: probes on the read and write functions of TLS libraries, in every process
//! that uses them.
//!
//! `ebpf/tls` copies what connections on SIP ports read and write, with their addresses; one thread (`attacher.rs`)
//! finds libraries and sets probes; the capturing thread (`feed.rs`) takes the copies in between packets, and what
//! every receiver shares cuts them into messages.

mod attacher;
mod bpf;
mod config;
mod feed;
mod library;
mod pending;
mod probe;
mod process;
mod programs;
mod record;
mod selection;

/// Where bytes from other processes enter. For fuzzing.
pub mod bytes {
    use super::library::LIBRARIES;
    use super::record::{self, Record};

    /// Reads a file that a process has mapped as a TLS library; gives where in it functions begin.
    pub fn library(file: &[u8]) -> Vec<u64> {
        let points = LIBRARIES.iter().filter_map(|library| library.points(file).ok()).flatten();
        points.map(|point| point.offset).collect()
    }

    /// Reads a record of the kernel's program; gives how many decrypted bytes are in it.
    pub fn record(bytes: &[u8]) -> Option<usize> {
        _ = record::parse_sighting(bytes);
        Record::parse(bytes).map(|record| record.bytes.len())
    }
}

use aya::maps::{Array, MapData, MapError};
use caps::Capability;
use intake::{Piece, PortSet};
use pipeline::Telemetry;
use wire::Timestamp;

use crate::capabilities;
use crate::clocks::Clocks;

pub use attacher::StartError;
use attacher::{Attacher, Equipment};
pub use config::TlsConfig;
use feed::Feed;
pub use probe::probe;
use programs::Programs;
pub use programs::{LoadError, Way};

/// Everything that reads TLS in the clear, running.
pub struct Tls {
    attacher: Attacher,
    feed: Feed,
    ports: Array<MapData, u64>,
    settings: Array<MapData, u64>,
    way: Way,
}

/// Why TLS cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A program could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A map could not be written.
    #[error("a map of the TLS programs could not be written")]
    Map(#[from] MapError),
    /// The thread that sets probes could not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The way this kernel sets probes takes more than loading programs does.
    #[error("on a kernel older than 6.6 {0} is needed to set probes")]
    Missing(Capability),
}

impl TlsError {
    /// The kernel refused for want of a capability.
    pub fn is_permission(&self) -> bool {
        matches!(self, Self::Missing(_)) || capabilities::is_refusal(self)
    }
}

impl Tls {
    /// Sets probes in every library in use, and in those that come. `way` is for tests; by default it is the best the
    /// kernel offers.
    pub fn start(config: &TlsConfig, ports: &PortSet, way: Option<Way>) -> Result<Self, TlsError> {
        let selection = config.selection();
        let Programs { prober, ports: mut words, mut settings, records, sightings, processes, decisions, counts } =
            Programs::load(way)?;
        let way = prober.way();
        if let Some(missing) = way.missing() {
            return Err(TlsError::Missing(missing));
        }
        settings.set(0, u64::from(!selection.is_every()), 0)?;
        write_ports(&mut words, ports)?;
        let attacher = Attacher::start(Equipment { prober, sightings, processes, selection })?;
        Ok(Self { attacher, feed: Feed::new(records, decisions, counts), ports: words, settings, way })
    }

    /// How probes are set.
    pub const fn way(&self) -> Way {
        self.way
    }

    /// Replaces the set of SIP ports.
    pub fn set_ports(&mut self, ports: &PortSet) -> Result<(), MapError> {
        write_ports(&mut self.ports, ports)
    }

    /// Looks into other processes from now on.
    pub fn select(&mut self, config: &TlsConfig) -> Result<(), MapError> {
        let selection = config.selection();
        self.settings.set(0, u64::from(!selection.is_every()), 0)?;
        self.attacher.select(selection);
        Ok(())
    }

    /// Hands out what was read and written before a packet.
    pub fn release_before(&mut self, packet: Timestamp, now: Clocks, take: impl FnMut(&Piece<'_>)) {
        self.feed.release(packet, now, usize::MAX, take);
    }

    /// Hands out what no packet can be before any more, where none waits. Returns whether that was all.
    pub fn release_due(&mut self, now: Clocks, most: usize, take: impl FnMut(&Piece<'_>)) -> bool {
        self.feed.release(now.due(), now, most, take) < most
    }

    /// Records the kernel had no room for, since the last call.
    pub fn newly_lost(&mut self) -> u64 {
        self.feed.newly_lost()
    }

    /// Libraries, processes and what became of records.
    pub fn telemetry(&self, out: &mut Vec<Telemetry>) {
        let status = self.attacher.status();
        for (name, value) in [
            ("otelcol_receiver_tls_libraries", status.libraries),
            ("otelcol_receiver_tls_failed_libraries", status.failed),
            ("otelcol_receiver_tls_replaced_libraries", status.replaced),
            ("otelcol_receiver_tls_unreachable_processes", status.unreachable),
        ] {
            out.push(Telemetry { name, labels: Vec::new(), counter: false, value: value as f64 });
        }
        self.feed.telemetry(out);
    }
}

fn write_ports(words: &mut Array<MapData, u64>, ports: &PortSet) -> Result<(), MapError> {
    for (index, word) in (0..).zip(ports.words()) {
        if words.get(&index, 0)? != *word {
            words.set(index, word, 0)?;
        }
    }
    Ok(())
}
