//! The eBPF program of `ebpf/capture`: loading it, attaching it, its maps.
//!
//! Loading needs CAP_BPF and nothing more. Attaching and every map access need no capability (since
//! Linux 5.19; before, an unprivileged bpf() is refused as a whole where `kernel.unprivileged_bpf_disabled` is set).

use std::os::fd::BorrowedFd;

use aya::maps::{Array, HashMap, MapData, MapError, PerCpuArray};
use aya::programs::{ProgramError, SocketFilter};
use aya::{Ebpf, EbpfError, EbpfLoader};
use pipeline::event::NotRead;
use wire::{TUNNEL_PORTS, UNREAD_PORTS};

use crate::capabilities;
use crate::config::{Config, Transport};
use crate::media::{MediaRecords, RECORDS_BYTES, SharedSets};

/// What became of a packet in the kernel. The order is that of `enum verdict` in `ebpf/capture/limits.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Verdict {
    /// UDP, whole or its first piece, from or to a SIP port.
    KeptDatagram,
    /// TCP, likewise, with a payload or SYN, FIN, RST.
    KeptSegment,
    /// Later piece of a datagram whose first piece was kept.
    KeptFragment,
    /// Later piece that came before its first.
    KeptEarlyFragment,
    /// One of those that may hold SIP in vain.
    KeptSample,
    /// RTCP to where media may go.
    KeptRtcp,
    /// Outgoing on loopback; the same packet comes in again.
    RefusedLoopbackCopy,
    /// Not one of the interfaces asked for.
    RefusedInterface,
    /// ARP, LLDP, ...
    RefusedNotIp,
    /// IP, but no transport that is asked for, nor a tunnel that is looked into.
    RefusedProtocol,
    /// UDP or TCP, but no SIP port.
    RefusedPort,
    /// TCP on a SIP port, but a bare acknowledgement.
    RefusedEmptySegment,
    /// Later piece of a datagram whose first piece was refused.
    RefusedFragment,
    /// Ends before its headers do.
    RefusedMalformed,
    /// RTP to where media may go: refused, but told of by a record.
    RecordedMedia,
    /// The same, when there was no room for a record.
    LostMedia,
    /// Begins as SIP does, but no port of it is listed.
    RefusedElsewhere,
    /// Not IP, and nothing that is known to carry none; a version of GRE that is not read.
    RefusedEthertype,
    /// ESP.
    RefusedEsp,
    /// L2TP with data.
    RefusedL2tp,
    /// SCTP.
    RefusedSctp,
    /// A tunnel within two others.
    RefusedNested,
}

impl Verdict {
    /// All of them, in order.
    pub const ALL: [Self; 22] = [
        Self::KeptDatagram,
        Self::KeptSegment,
        Self::KeptFragment,
        Self::KeptEarlyFragment,
        Self::KeptSample,
        Self::KeptRtcp,
        Self::RefusedLoopbackCopy,
        Self::RefusedInterface,
        Self::RefusedNotIp,
        Self::RefusedProtocol,
        Self::RefusedPort,
        Self::RefusedEmptySegment,
        Self::RefusedFragment,
        Self::RefusedMalformed,
        Self::RecordedMedia,
        Self::LostMedia,
        Self::RefusedElsewhere,
        Self::RefusedEthertype,
        Self::RefusedEsp,
        Self::RefusedL2tp,
        Self::RefusedSctp,
        Self::RefusedNested,
    ];

    /// Label value in own telemetry: the C name in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KeptDatagram => "kept_datagram",
            Self::KeptSegment => "kept_segment",
            Self::KeptFragment => "kept_fragment",
            Self::KeptEarlyFragment => "kept_early_fragment",
            Self::KeptSample => "kept_sample",
            Self::KeptRtcp => "kept_rtcp",
            Self::RefusedLoopbackCopy => "refused_loopback_copy",
            Self::RefusedInterface => "refused_interface",
            Self::RefusedNotIp => "refused_not_ip",
            Self::RefusedProtocol => "refused_protocol",
            Self::RefusedPort => "refused_port",
            Self::RefusedEmptySegment => "refused_empty_segment",
            Self::RefusedFragment => "refused_fragment",
            Self::RefusedMalformed => "refused_malformed",
            Self::RecordedMedia => "recorded_media",
            Self::LostMedia => "lost_media",
            Self::RefusedElsewhere => "refused_elsewhere",
            Self::RefusedEthertype => "refused_ethertype",
            Self::RefusedEsp => "refused_esp",
            Self::RefusedL2tp => "refused_l2tp",
            Self::RefusedSctp => "refused_sctp",
            Self::RefusedNested => "refused_nested",
        }
    }

    /// What is refused because its inside is not looked at.
    pub const fn of_not_read(why: NotRead) -> Self {
        match why {
            NotRead::Ethertype => Self::RefusedEthertype,
            NotRead::Esp => Self::RefusedEsp,
            NotRead::L2tp => Self::RefusedL2tp,
            NotRead::Sctp => Self::RefusedSctp,
            NotRead::Nested => Self::RefusedNested,
        }
    }
}

/// Why the program cannot be used; the classic filter takes its place.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A map could not be made, or the object is not what the loader knows.
    #[error("the maps of the eBPF program could not be made")]
    Maps(#[from] EbpfError),
    /// The verifier or the kernel's permissions refused it.
    #[error("the eBPF program was refused")]
    Program(#[from] ProgramError),
    /// A map is not there or has another shape: the object belongs to another version.
    #[error("a map of the eBPF program is not usable")]
    Map(#[from] MapError),
    /// The sets of the program could not be mapped into this process.
    #[error("the sets of the eBPF program could not be mapped")]
    Mapping(#[source] std::io::Error),
    /// The object holds no such thing: it belongs to another version.
    #[error("the eBPF object has no {0}")]
    Missing(&'static str),
}

impl LoadError {
    /// The kernel refused bpf() itself: CAP_BPF is missing.
    pub fn is_permission(&self) -> bool {
        capabilities::is_refusal(self)
    }

    /// The last lines the verifier wrote, where it is the verifier that refused.
    pub fn verifier_lines(&self, lines: usize) -> String {
        let Self::Program(ProgramError::LoadError { verifier_log, .. }) = self else { return String::new() };
        let log = verifier_log.to_string();
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

/// `ports` of `ebpf/capture/maps.h`: what is spoken on each, bits of `limits.h`.
type Ports = [u8; PORTS];

/// `struct settings` of `ebpf/capture/limits.h`: every interface, transports, media.
type Settings = [u64; 3];

/// The loaded program and its maps. Unloaded when dropped and no socket uses it.
pub struct Program {
    ebpf: Ebpf,
    /// Global data of the program, which is an array of one record.
    ports: Array<MapData, Ports>,
    /// Likewise.
    settings: Array<MapData, Settings>,
    now: Settings,
    interfaces: HashMap<MapData, u32, u32>,
    verdicts: PerCpuArray<MapData, u64>,
}

impl Program {
    /// Loads it into the kernel; it keeps nothing until ports and interfaces are set. `media`: it will be asked for media,
    /// and has room for their records.
    pub fn load(media: bool) -> Result<Self, LoadError> {
        // No kernel BTF is asked for: the program looks into packets, not into the kernel.
        let mut loader = EbpfLoader::new();
        if media {
            loader.map_max_entries("media", RECORDS_BYTES);
        }
        let mut ebpf = loader.btf(None).load(OBJECT)?;
        filter(&mut ebpf)?.load()?;
        let mut take = |name: &'static str| ebpf.take_map(name).ok_or(LoadError::Missing(name));
        Ok(Self {
            ports: take(".data.ports")?.try_into()?,
            settings: take(".data.settings")?.try_into()?,
            now: [0, 0, u64::from(media)],
            interfaces: take("interfaces")?.try_into()?,
            verdicts: take("verdicts")?.try_into()?,
            ebpf,
        })
    }

    /// Makes it the filter of a packet socket.
    pub fn attach(&mut self, socket: BorrowedFd<'_>) -> Result<(), LoadError> {
        filter(&mut self.ebpf)?.attach(socket)?;
        Ok(())
    }

    /// Replaces the sets of ports: of SIP, of SIP over WebSocket, of VXLAN, of media. Packets on a port that was in its set and
    /// still is are never missed.
    pub fn set_ports(&mut self, config: &Config) -> Result<(), MapError> {
        let Config { ports, ws_ports, vxlan_ports, media_ports, .. } = config;
        let mut spoken: Ports = [0; PORTS];
        for (ports, bits) in [
            (&ports[..], SIP_PORT),
            (ws_ports, WEBSOCKET_PORT),
            (vxlan_ports, TUNNEL_PORT | VXLAN_PORT),
            (&TUNNEL_PORTS, TUNNEL_PORT),
            (&UNREAD_PORTS, TUNNEL_PORT),
            // Looked at only where media is.
            (if self.now[2] == 1 { media_ports } else { &[] }, MEDIA_PORT),
        ] {
            ports.iter().for_each(|&port| spoken[usize::from(port)] |= bits);
        }
        // The kernel copies bytes over those that are there: a bit that is set in both is never clear.
        self.ports.set(0, spoken, 0)
    }

    /// What media needs: sets of where it may go, and records of what went there. Once.
    pub fn take_media(&mut self) -> Result<(SharedSets, MediaRecords), LoadError> {
        let mut take = |name: &'static str| self.ebpf.take_map(name).ok_or(LoadError::Missing(name));
        let aya::maps::Map::Array(sets) = take("media_sets")? else { return Err(LoadError::Missing("media_sets")) };
        let sets = SharedSets::new(&sets).map_err(LoadError::Mapping)?;
        Ok((sets, MediaRecords::new(take("media")?.try_into()?)))
    }

    /// Every interface, whatever the list says.
    pub fn capture_every_interface(&mut self, every: bool) -> Result<(), MapError> {
        self.now[0] = u64::from(every);
        self.settings.set(0, self.now, 0)
    }

    /// Replaces the transports that are looked at.
    pub fn set_transports(&mut self, transports: &[Transport]) -> Result<(), MapError> {
        self.now[1] = transports.iter().fold(0, |bits, transport| bits | transport.bit());
        self.settings.set(0, self.now, 0)
    }

    /// Takes an interface on the list, by its index.
    pub fn add_interface(&mut self, index: u32) -> Result<(), MapError> {
        self.interfaces.insert(index, 1, 0)
    }

    /// Takes it off. One that is not on it is no error.
    pub fn remove_interface(&mut self, index: u32) -> Result<(), MapError> {
        match self.interfaces.remove(&index) {
            Err(MapError::KeyNotFound) | Ok(()) => Ok(()),
            Err(MapError::SyscallError(error)) if error.io_error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Packets by verdict since loading, over all processors.
    pub fn verdicts(&self) -> Result<[u64; Verdict::ALL.len()], MapError> {
        let mut counts = [0; Verdict::ALL.len()];
        for (verdict, count) in Verdict::ALL.into_iter().zip(&mut counts) {
            *count = self.count(verdict)?;
        }
        Ok(counts)
    }

    /// Packets of one verdict, likewise.
    pub fn count(&self, verdict: Verdict) -> Result<u64, MapError> {
        Ok(self.verdicts.get(&(verdict as u32), 0)?.iter().sum())
    }
}

fn filter(ebpf: &mut Ebpf) -> Result<&mut SocketFilter, LoadError> {
    Ok(ebpf.program_mut("capture").ok_or(LoadError::Missing("capture"))?.try_into()?)
}

const PORTS: usize = 65_536;

/// Bits of an entry of `ports`.
const SIP_PORT: u8 = 1;
const WEBSOCKET_PORT: u8 = 2;
const TUNNEL_PORT: u8 = 4;
const VXLAN_PORT: u8 = 8;
const MEDIA_PORT: u8 = 16;

/// Compiled by build.rs.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/capture.o"));

#[cfg(test)]
mod agreement;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: &str = include_str!("../../ebpf/capture/limits.h");

    #[test]
    fn verdicts_are_those_of_the_kernel_side_in_its_order() {
        let names: Vec<String> = LIMITS
            .lines()
            .map(str::trim)
            .filter(|line| ["KEPT_", "REFUSED_", "RECORDED_", "LOST_"].iter().any(|kind| line.starts_with(kind)))
            .filter_map(|line| Some(line.split_once(',')?.0.to_lowercase()))
            .collect();
        assert_eq!(names, Verdict::ALL.map(Verdict::as_str));
        for (index, verdict) in (0..).zip(Verdict::ALL) {
            assert_eq!(verdict as u32, index);
        }
    }

    #[test]
    fn ports_have_the_bits_of_the_kernel_side() {
        let bits = [
            ("SIP", SIP_PORT),
            ("WEBSOCKET", WEBSOCKET_PORT),
            ("TUNNEL", TUNNEL_PORT),
            ("VXLAN", VXLAN_PORT),
            ("MEDIA", MEDIA_PORT),
        ];
        for (name, bit) in bits {
            assert!(LIMITS.contains(&format!("#define {name}_PORT {bit} ")), "{name}");
        }
        assert!(LIMITS.contains(&format!("#define PORTS {PORTS}\n")));
    }

    #[test]
    fn tunnels_go_to_the_ports_that_user_space_looks_into() {
        let ports = LIMITS.lines().filter_map(|line| line.strip_prefix("#define ")?.split_once("_PORT "));
        let number = |(_, rest): (&str, &str)| rest.split_whitespace().next()?.parse().ok();
        // Smaller numbers are bits.
        let mut defined: Vec<u16> = ports.filter_map(number).filter(|number| *number > 1024).collect();
        let mut looked_into = [&TUNNEL_PORTS[..], &UNREAD_PORTS].concat();
        defined.sort_unstable();
        looked_into.sort_unstable();
        assert_eq!(defined, looked_into);
    }

    #[test]
    fn what_is_not_read_is_counted_under_its_own_name() {
        for why in NotRead::ALL {
            assert_eq!(Verdict::of_not_read(why).as_str(), format!("refused_{}", why.as_str()));
        }
    }

    #[test]
    fn transports_have_the_bits_of_the_kernel_side() {
        for (name, transport) in [("UDP", Transport::Udp), ("TCP", Transport::Tcp)] {
            assert!(LIMITS.contains(&format!("#define TRANSPORT_{name} {}\n", transport.bit())));
        }
    }
}
