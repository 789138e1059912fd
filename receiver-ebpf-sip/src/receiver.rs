//! The receiver: packets of a [`Capture`], and what [`Tls`] reads in the clear between them, in, SIP frames out, by way
//! of what every receiver shares.
//!
//! It tells [`Intake`] how much time has passed, and so is the only stage of a live pipeline that reads a clock.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use intake::{ClockMode, Intake, IntakeSettings, PortSet};
use pipeline::event::NotRead;
use pipeline::{CaptureStatus, FrameBatch, MediaPorts, Received, Receiver, ReceiverError, Telemetry};

use crate::capabilities::setcap_command_with_tls;
use crate::capture::{BATCH_PACKETS, Capture};
use crate::clocks::{Clocks, POLL_EVERY};
use crate::config::{Config, Transport};
use crate::failure::failure;
use crate::media::MediaRecords;
use crate::ring::{RingCounts, RingShape};
use crate::telemetry;
use crate::tls::{Tls, TlsError};

/// Most records of media of one batch that no packet stands behind.
const BATCH_MEDIA: usize = 16 * 1024;

/// How often the kernel is asked what it dropped and what it refused.
const COUNT_EVERY: Duration = Duration::from_millis(100);

/// Why no media is seen where the kernel has no eBPF program of ours.
const NO_MEDIA: &str = "the classic filter knows no media";

/// How the frames of this receiver travel.
const CARRIERS: [pipeline::Transport; 5] = [
    pipeline::Transport::Udp,
    pipeline::Transport::Tcp,
    pipeline::Transport::Ws,
    pipeline::Transport::Tls,
    pipeline::Transport::Wss,
];

/// Live capture of SIP.
pub struct EbpfSipReceiver {
    config: Config,
    shape: RingShape,
    intake: Intake,
    capture: Option<Capture>,
    /// Where it is asked for.
    tls: Option<Tls>,
    /// Where media may go, when a processor of media is in the pipeline.
    wanted_media: Option<Arc<MediaPorts>>,
    /// Where it is wanted, and the kernel's filter knows media.
    media: Option<MediaRecords>,
    /// Records of media that had been lost when the kernel was last asked.
    media_lost: u64,
    started: Instant,
    /// When the ring was last asked for its counts, and what it said.
    counted: Instant,
    ring: RingCounts,
    /// What the kernel program had refused although it may have held SIP, by [`NotRead::index`].
    not_read: [u64; NotRead::ALL.len()],
    /// SIP frames handed on, in the order of [`CARRIERS`], and messages given up as too long.
    accepted: [u64; CARRIERS.len()],
    refused: u64,
    /// Ports (at most 64) and wrappings that the log names as passed over although they have SIP.
    named_ports: BTreeSet<u16>,
    named_wrappings: [bool; NotRead::ALL.len()],
}

impl EbpfSipReceiver {
    /// Opens nothing yet; `config` has been checked.
    pub fn new(config: Config) -> Self {
        Self::with_ring(config, RingShape::default())
    }

    /// With another ring than the usual one.
    pub fn with_ring(config: Config, shape: RingShape) -> Self {
        let now = Instant::now();
        Self {
            intake: Intake::new(IntakeSettings {
                udp: config.transports.contains(&Transport::Udp),
                tcp: config.transports.contains(&Transport::Tcp),
                ws_ports: PortSet::from(&config.ws_ports[..]),
                vxlan_ports: config.vxlan_ports.clone(),
                note_other_ports: true,
                ..IntakeSettings::new(ClockMode::Live, PortSet::from(&config.ports[..]))
            }),
            config,
            shape,
            capture: None,
            tls: None,
            wanted_media: None,
            media: None,
            media_lost: 0,
            started: now,
            counted: now,
            ring: RingCounts::default(),
            not_read: [0; NotRead::ALL.len()],
            accepted: [0; CARRIERS.len()],
            refused: 0,
            named_ports: BTreeSet::new(),
            named_wrappings: [false; NotRead::ALL.len()],
        }
    }

    /// Names ports and wrappings with SIP that is passed over, each once.
    fn name_elsewhere(&mut self) {
        for (port, _) in self.intake.other_ports() {
            if self.named_ports.insert(port) {
                tracing::warn!(port, "SIP is passed over: its port is not listed; add it to `ports` of the receiver");
            }
        }
        for (why, _) in self.intake.wrapped() {
            if !std::mem::replace(&mut self.named_wrappings[why.index()], true) {
                tracing::warn!(wrapping = why.as_str(), "SIP is passed over: it is in packets that are not read");
            }
        }
    }

    /// Adds what the kernel dropped since it was last asked.
    fn count_drops(&mut self, batch: &mut FrameBatch) {
        let Some(capture) = &mut self.capture else { return };
        if self.counted.elapsed() < COUNT_EVERY {
            return;
        }
        self.counted = Instant::now();
        if let Some(tls) = &mut self.tls {
            batch.tally.capture_drops += tls.newly_lost();
        }
        if self.media.is_some() {
            let lost = capture.media_lost();
            batch.tally.media_drops += lost - std::mem::replace(&mut self.media_lost, lost);
        }
        match capture.ring_counts() {
            Ok(counts) => {
                batch.tally.capture_drops += counts.drops - self.ring.drops;
                self.ring = counts;
            }
            Err(error) => tracing::debug!(%error, "the ring's statistics could not be read"),
        }
        if let Some(not_read) = capture.not_read() {
            for ((counted, now), before) in batch.tally.not_read.iter_mut().zip(not_read).zip(self.not_read) {
                *counted += u32::try_from(now - before).unwrap_or(u32::MAX);
            }
            self.not_read = not_read;
        }
    }
}

impl Receiver for EbpfSipReceiver {
    fn start(&mut self) -> Result<(), ReceiverError> {
        let mut capture = Capture::open(&self.config, self.shape, self.wanted_media.as_deref())?;
        self.media = capture.take_media();
        tracing::info!(
            filter = capture.kind(),
            interfaces = self.config.interfaces.join(","),
            ports = ?self.config.ports,
            "capturing"
        );
        self.capture = Some(capture);
        if self.config.tls.enabled {
            let tls = Tls::start(&self.config.tls, &every_port(&self.config), None).map_err(cannot_read_tls)?;
            let kept: Vec<String> = tls.way().capabilities().iter().map(ToString::to_string).collect();
            tracing::info!(kept_by_one_thread = kept.join(","), "reading TLS in the clear");
            self.tls = Some(tls);
        }
        self.started = Instant::now();
        Ok(())
    }

    fn receive(&mut self, batch: &mut FrameBatch, wait: Duration) -> Result<Received, ReceiverError> {
        batch.clear();
        let Self { capture, tls, media, intake, started, .. } = self;
        let capture = capture.as_mut().expect("the engine starts a receiver before it asks it for packets");
        let has_records = tls.is_some() || media.is_some();
        let wait = match (capture.has_packets(), has_records) {
            (true, _) => Duration::ZERO,
            (false, true) => wait.min(POLL_EVERY),
            (false, false) => wait,
        };
        capture.wait(wait)?;
        intake.elapsed(started.elapsed());
        let now = has_records.then(Clocks::read);
        let taken = capture.drain(BATCH_PACKETS, |packet| {
            if let Some(now) = now {
                if let Some(tls) = &mut *tls {
                    tls.release_before(packet.at, now, |piece| intake.decrypted(piece, batch));
                }
                if let Some(media) = &mut *media {
                    media.release(packet.at, now, usize::MAX, |packet| intake.media(packet, batch));
                }
            }
            intake.packet(packet, batch);
        });
        if taken < BATCH_PACKETS {
            let mut all = true;
            if let Some(now) = now {
                if let Some(tls) = tls {
                    all &= tls.release_due(now, BATCH_PACKETS, |piece| intake.decrypted(piece, batch));
                }
                if let Some(media) = media {
                    all &= media.release(now.due(), now, BATCH_MEDIA, |packet| intake.media(packet, batch));
                }
            }
            if all {
                intake.idle(batch);
            }
        }
        self.count_drops(batch);
        for frame in &batch.frames {
            let carrier = CARRIERS.iter().position(|carrier| *carrier == frame.transport);
            self.accepted[carrier.expect("every transport is among them")] += 1;
        }
        self.refused += batch.tally.too_large;
        if batch.tally.sip_elsewhere.iter().any(|packets| *packets > 0) {
            self.name_elsewhere();
        }
        Ok(Received::Batch)
    }

    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str> {
        let new = *settings.downcast::<Config>().expect("settings come from the check of the same type");
        let mut kept_old = Vec::new();
        if new.promiscuous != self.config.promiscuous {
            kept_old.push("promiscuous");
        }
        // What it takes was given up, or was not asked for, when it started.
        if new.tls.enabled != self.config.tls.enabled {
            kept_old.push("tls.enabled");
        }
        let changed: Vec<&str> = [
            ("ports", new.ports != self.config.ports),
            ("ws_ports", new.ws_ports != self.config.ws_ports),
            ("vxlan_ports", new.vxlan_ports != self.config.vxlan_ports),
            ("media_ports", new.media_ports != self.config.media_ports),
            ("transports", new.transports != self.config.transports),
        ]
        .into_iter()
        .filter_map(|(key, differs)| differs.then_some(key))
        .collect();
        if !changed.is_empty() {
            let told = self.capture.as_mut().map_or(Ok(()), |capture| capture.set_filter(&new));
            let told = told.and_then(|()| match &mut self.tls {
                Some(tls) => Ok(tls.set_ports(&every_port(&new))?),
                None => Ok(()),
            });
            match told {
                Ok(()) => {
                    self.intake.set_ports(PortSet::from(&new.ports[..]), PortSet::from(&new.ws_ports[..]));
                    self.intake.set_vxlan_ports(&new.vxlan_ports);
                    let has = |transport| new.transports.contains(&transport);
                    self.intake.set_transports(has(Transport::Udp), has(Transport::Tcp));
                    (self.config.ports, self.config.ws_ports) = (new.ports, new.ws_ports);
                    (self.config.vxlan_ports, self.config.media_ports) = (new.vxlan_ports, new.media_ports);
                    self.config.transports = new.transports;
                }
                Err(error) => {
                    tracing::error!(error = failure(&error), "ports or transports could not be changed");
                    kept_old.extend(changed);
                }
            }
        }
        if new.tls.processes != self.config.tls.processes {
            match self.tls.as_mut().map_or(Ok(()), |tls| tls.select(&new.tls)) {
                Ok(()) => self.config.tls.processes = new.tls.processes,
                Err(error) => {
                    tracing::error!(error = failure(&error), "the processes could not be changed");
                    kept_old.push("tls.processes");
                }
            }
        }
        if new.interfaces != self.config.interfaces {
            match self.capture.as_mut().map_or(Ok(()), |capture| capture.set_interfaces(&new.interfaces)) {
                Ok(()) => self.config.interfaces = new.interfaces,
                Err(error) => {
                    tracing::error!(error = failure(&error), "the interfaces could not be changed");
                    kept_old.push("interfaces");
                }
            }
        }
        kept_old
    }

    fn want_media(&mut self, ports: &Arc<MediaPorts>) {
        self.intake.want_media();
        self.wanted_media = Some(Arc::clone(ports));
    }

    fn set_duplicate_window(&mut self, window: Duration) {
        self.intake.set_duplicate_window(window);
    }

    fn status(&self) -> CaptureStatus {
        match &self.capture {
            Some(capture) => CaptureStatus {
                kind: capture.kind(),
                blocked: capture.interfaces().blocked(),
                no_media: (self.wanted_media.is_some() && self.media.is_none()).then_some(NO_MEDIA),
            },
            None => CaptureStatus {
                kind: "none",
                blocked: Some("capture has not started".into()),
                ..CaptureStatus::default()
            },
        }
    }

    fn telemetry(&self, out: &mut Vec<Telemetry>) {
        telemetry::messages(CARRIERS.into_iter().zip(self.accepted), self.refused, out);
        if let Some(capture) = &self.capture {
            telemetry::capture(capture, self.ring, out);
        }
        if let Some(tls) = &self.tls {
            tls.telemetry(out);
        }
        self.intake.telemetry(out);
    }
}

/// TLS that was asked for and cannot be read is no reason to go on in silence.
fn cannot_read_tls(error: TlsError) -> ReceiverError {
    let what = format!("TLS cannot be read in the clear: {}", failure(&error));
    match error.is_permission() {
        true => ReceiverError::Privilege {
            what,
            help: format!(
                "it needs CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE: run as root, or once as root `{}`; or set tls.enabled = false",
                setcap_command_with_tls()
            ),
        },
        false => ReceiverError::Failed {
            what,
            help: "set tls.enabled = false to capture without; `ringside doctor` says what is missing".into(),
        },
    }
}

/// Ports of streams that are looked into.
fn every_port(config: &Config) -> PortSet {
    config.ports.iter().chain(&config.ws_ports).copied().collect()
}
