//! Packets off the wire: socket, ring, filter and the interfaces they watch, as one thing.
//!
//! Opened once, with privileges; everything after [`Capture::open`] works without. It hands out packets
//! as the kernel saw them and knows nothing of SIP.

use std::io;
use std::time::Duration;

use nix::poll::PollFlags;
use pipeline::MediaPorts;
use pipeline::ReceiverError;
use pipeline::event::NotRead;
use wire::Packet;

use crate::capabilities::setcap_command;
use crate::config::Config;
use crate::failure::failure;
use crate::filter::{Filter, FilterError};
use crate::interfaces::{Changes, Interfaces, LinkWatch, Wanted};
use crate::media::MediaRecords;
use crate::program::Verdict;
use crate::ring::{Ring, RingCounts, RingShape};
use crate::sys;

/// Most packets of one batch: enough to share its cost out, few enough to stay in the cache.
pub const BATCH_PACKETS: usize = 1024;

/// An open capture.
pub struct Capture {
    ring: Ring,
    filter: Filter,
    links: LinkWatch,
    interfaces: Interfaces,
    promiscuous: bool,
    /// The interfaces have to be looked at again.
    stale: bool,
    /// Packets the classic filter let through from interfaces nobody asked for.
    elsewhere: u64,
    /// Until they are taken; none where media is not wanted or the filter knows none.
    media: Option<MediaRecords>,
}

impl Capture {
    /// Sets everything up and starts to take packets. Errs with `Privilege` without CAP_NET_RAW.
    pub fn open(config: &Config, shape: RingShape, media: Option<&MediaPorts>) -> Result<Self, ReceiverError> {
        let ring = Ring::open(shape).map_err(cannot_open)?;
        let mut filter = Filter::attach(ring.socket(), config, media.is_some())
            .map_err(|error| failed("the packet filter could not be set", &error, SEE_DOCTOR))?;
        let media = match (&mut filter, media) {
            (Filter::Ebpf(program), Some(ports)) => {
                let (sets, records) =
                    program.take_media().map_err(|error| failed("media cannot be looked for", &error, SEE_DOCTOR))?;
                ports.show_in(Box::new(sets));
                Some(records)
            }
            (Filter::Classic, Some(_)) => {
                tracing::warn!("the classic filter knows no media: no voice quality");
                None
            }
            (_, None) => None,
        };
        // Subscribed before the first look, so that nothing changes unseen in between.
        let links = LinkWatch::open()
            .map_err(|error| failed("interfaces cannot be followed (rtnetlink)", &error, SEE_DOCTOR))?;
        let mut capture = Self {
            ring,
            filter,
            links,
            interfaces: Interfaces::new(Wanted::from_names(&config.interfaces)),
            promiscuous: config.promiscuous,
            stale: false,
            elsewhere: 0,
            media,
        };
        capture
            .look_at_interfaces()
            .map_err(|error| failed("the interfaces could not be listed", &error, SEE_DOCTOR))?;
        for name in capture.interfaces.missing() {
            tracing::warn!(interface = name, "does not exist: waiting for it; `ip link` lists those that do");
        }
        capture.ring.listen().map_err(|error| failed("the packet socket could not be bound", &error, SEE_DOCTOR))?;
        Ok(capture)
    }

    /// Hands at most `most` packets that are there already to `take`. Returns how many there were; fewer
    /// than `most` says that the ring is empty. Never waits.
    pub fn drain(&mut self, most: usize, mut take: impl FnMut(&Packet<'_>)) -> usize {
        let mut taken = 0;
        while taken < most {
            let Some(packet) = self.ring.next() else { break };
            taken += 1;
            if self.filter.knows_interfaces() || self.interfaces.contains(packet.interface) {
                take(&packet);
            } else {
                self.elsewhere += 1;
            }
        }
        taken
    }

    /// Records of media, where they are wanted and the filter knows media. Once.
    pub fn take_media(&mut self) -> Option<MediaRecords> {
        self.media.take()
    }

    /// Records of media that the kernel had no room for, since the start.
    pub fn media_lost(&self) -> u64 {
        let Filter::Ebpf(program) = &self.filter else { return 0 };
        program.count(Verdict::LostMedia).unwrap_or_default()
    }

    /// Whether [`Capture::drain`] would find something.
    pub fn has_packets(&self) -> bool {
        self.ring.has_packets()
    }

    /// Waits at most `wait` for packets, and follows interfaces that changed.
    pub fn wait(&mut self, wait: Duration) -> Result<(), ReceiverError> {
        let wrong = |error: io::Error| failed("waiting for packets", &error, "restart; if it happens again, report it");
        let [ring, _] = sys::poll([self.ring.socket(), self.links.socket()], wait).map_err(wrong)?;
        if ring.contains(PollFlags::POLLERR) {
            // An interface went down, or memory was short: the socket goes on, this only clears the error.
            let error = sys::take_error(self.ring.socket()).map_err(wrong)?;
            tracing::debug!(?error, "packet socket");
        }
        self.stale |= self.links.changed().map_err(wrong)?;
        if self.stale
            && let Err(error) = self.look_at_interfaces()
        {
            tracing::warn!(error = failure(&error), "interfaces could not be followed; trying again");
        }
        Ok(())
    }

    /// Replaces ports and transports by those of `config`.
    pub fn set_filter(&mut self, config: &Config) -> Result<(), FilterError> {
        self.filter.set(self.ring.socket(), config)
    }

    /// Replaces the interfaces.
    pub fn set_interfaces(&mut self, names: &[String]) -> Result<(), CaptureError> {
        self.interfaces.want(Wanted::from_names(names));
        self.look_at_interfaces()
    }

    /// `"ebpf"` or `"classic"`.
    pub fn kind(&self) -> &'static str {
        self.filter.kind()
    }

    /// The interfaces that are captured.
    pub fn interfaces(&self) -> &Interfaces {
        &self.interfaces
    }

    /// What the ring counted since the capture was opened.
    pub fn ring_counts(&mut self) -> io::Result<RingCounts> {
        self.ring.counts()
    }

    /// Packets by verdict; `None` with the classic filter, which does not count, or where bpf() is refused.
    pub fn verdicts(&self) -> Option<[(Verdict, u64); Verdict::ALL.len()]> {
        let Filter::Ebpf(program) = &self.filter else { return None };
        let counts = program.verdicts().ok()?;
        Some(std::array::from_fn(|index| (Verdict::ALL[index], counts[index])))
    }

    /// Packets that the kernel refused because their inside is not looked at, by [`NotRead::index`]; `None` likewise.
    pub fn not_read(&self) -> Option<[u64; NotRead::ALL.len()]> {
        let Filter::Ebpf(program) = &self.filter else { return None };
        let mut counts = [0; NotRead::ALL.len()];
        for (why, count) in NotRead::ALL.into_iter().zip(&mut counts) {
            *count = program.count(Verdict::of_not_read(why)).ok()?;
        }
        Some(counts)
    }

    /// Packets the classic filter let through from interfaces nobody asked for.
    pub fn elsewhere(&self) -> u64 {
        self.elsewhere
    }

    /// Compares the interfaces there are with those known, and tells the filter. Kept for later if it fails.
    fn look_at_interfaces(&mut self) -> Result<(), CaptureError> {
        self.stale = true;
        // With `any` the kernel's socket follows by itself; only promiscuous mode wants to know them.
        let every = *self.interfaces.wanted() == Wanted::Every;
        let existing = if every && !self.promiscuous { Vec::new() } else { sys::interfaces()? };
        let changes = self.interfaces.update(existing);
        self.filter.set_interfaces(self.interfaces.wanted(), &changes)?;
        self.follow(&changes);
        self.stale = false;
        Ok(())
    }

    fn follow(&self, changes: &Changes) {
        for interface in &changes.disappeared {
            tracing::info!(interface = interface.name, "no longer captured");
        }
        for interface in &changes.appeared {
            tracing::info!(interface = interface.name, "captured");
            if self.promiscuous
                && let Err(error) = self.ring.make_promiscuous(interface.index)
            {
                tracing::warn!(interface = interface.name, %error, "could not be made promiscuous");
            }
        }
    }
}

/// Why interfaces could not be followed.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The list of interfaces could not be read.
    #[error("the interfaces could not be listed")]
    Interfaces(#[from] io::Error),
    /// The filter could not be told.
    #[error(transparent)]
    Filter(#[from] FilterError),
}

const SEE_DOCTOR: &str = "`ringside doctor` says what is missing";

fn cannot_open(error: io::Error) -> ReceiverError {
    match error.kind() {
        io::ErrorKind::PermissionDenied => ReceiverError::Privilege {
            what: "live capture needs the capability CAP_NET_RAW".into(),
            help: format!(
                "run as root, or once as root `{}`; without any privilege `ringside replay FILE` reads capture files",
                setcap_command()
            ),
        },
        io::ErrorKind::OutOfMemory => {
            failed("no memory for the capture ring", &error, "64 MiB of kernel memory are needed: free some")
        }
        _ => failed("the packet socket could not be opened", &error, SEE_DOCTOR),
    }
}

fn failed(what: &str, error: &dyn std::error::Error, help: &str) -> ReceiverError {
    ReceiverError::Failed { what: format!("{what}: {}", failure(error)), help: help.into() }
}
