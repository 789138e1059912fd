//! The receiver: packets of a [`Capture`] in, SIP frames out, by way of what every receiver shares.
//!
//! It tells [`Intake`] how much time has passed, and so is the only stage of a live pipeline that reads a clock.

use std::any::Any;
use std::time::{Duration, Instant};

use pipeline::{
    CaptureStatus, ClockMode, FrameBatch, Intake, IntakeSettings, PortSet, Received, Receiver, ReceiverError, Telemetry,
};

use crate::capture::{BATCH_PACKETS, Capture, failure};
use crate::config::{Config, Transport};
use crate::ring::{RingCounts, RingShape};
use crate::telemetry;

/// How often the kernel is asked what it dropped.
const COUNT_EVERY: Duration = Duration::from_millis(100);

/// Live capture of SIP.
pub struct EbpfSipReceiver {
    config: Config,
    shape: RingShape,
    intake: Intake,
    capture: Option<Capture>,
    started: Instant,
    /// When the ring was last asked for its counts, and what it said.
    counted: Instant,
    ring: RingCounts,
    /// SIP frames handed on, over TCP and in all, and messages given up as too long.
    accepted_tcp: u64,
    accepted: u64,
    refused: u64,
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
                ..IntakeSettings::new(ClockMode::Live, port_set(&config.ports))
            }),
            config,
            shape,
            capture: None,
            started: now,
            counted: now,
            ring: RingCounts::default(),
            accepted_tcp: 0,
            accepted: 0,
            refused: 0,
        }
    }

    /// Adds what the kernel dropped since it was last asked.
    fn count_drops(&mut self, batch: &mut FrameBatch) {
        let Some(capture) = &mut self.capture else { return };
        if self.counted.elapsed() < COUNT_EVERY {
            return;
        }
        self.counted = Instant::now();
        match capture.ring_counts() {
            Ok(counts) => {
                batch.tally.capture_drops += counts.drops - self.ring.drops;
                self.ring = counts;
            }
            Err(error) => tracing::debug!(%error, "the ring's statistics could not be read"),
        }
    }
}

impl Receiver for EbpfSipReceiver {
    fn start(&mut self) -> Result<(), ReceiverError> {
        let capture = Capture::open(&self.config, self.shape)?;
        tracing::info!(
            filter = capture.kind(),
            interfaces = self.config.interfaces.join(","),
            ports = ?self.config.ports,
            "capturing"
        );
        self.capture = Some(capture);
        self.started = Instant::now();
        Ok(())
    }

    fn receive(&mut self, batch: &mut FrameBatch, wait: Duration) -> Result<Received, ReceiverError> {
        batch.clear();
        let capture = self.capture.as_mut().expect("the engine starts a receiver before it asks it for packets");
        let wait = if capture.has_packets() { Duration::ZERO } else { wait };
        capture.wait(wait)?;
        self.intake.elapsed(self.started.elapsed());
        let taken = capture.drain(BATCH_PACKETS, |packet| self.intake.packet(packet, batch));
        if taken < BATCH_PACKETS {
            self.intake.idle(batch);
        }
        self.count_drops(batch);
        self.accepted += batch.frames.len() as u64;
        self.accepted_tcp +=
            batch.frames.iter().filter(|frame| frame.transport == pipeline::Transport::Tcp).count() as u64;
        self.refused += batch.tally.too_large;
        Ok(Received::Batch)
    }

    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str> {
        let new = *settings.downcast::<Config>().expect("settings come from the check of the same type");
        let mut kept_old = Vec::new();
        if new.promiscuous != self.config.promiscuous {
            kept_old.push("promiscuous");
        }
        let (ports, transports) = (new.ports != self.config.ports, new.transports != self.config.transports);
        if ports || transports {
            let told = self.capture.as_mut().map_or(Ok(()), |capture| capture.set_filter(&new.ports, &new.transports));
            match told {
                Ok(()) => {
                    self.intake.set_ports(port_set(&new.ports));
                    let has = |transport| new.transports.contains(&transport);
                    self.intake.set_transports(has(Transport::Udp), has(Transport::Tcp));
                    (self.config.ports, self.config.transports) = (new.ports, new.transports);
                }
                Err(error) => {
                    tracing::error!(error = failure(&error), "ports or transports could not be changed");
                    kept_old.extend(ports.then_some("ports"));
                    kept_old.extend(transports.then_some("transports"));
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

    fn set_duplicate_window(&mut self, window: Duration) {
        self.intake.set_duplicate_window(window);
    }

    fn status(&self) -> CaptureStatus {
        match &self.capture {
            Some(capture) => CaptureStatus { kind: capture.kind(), blocked: capture.interfaces().blocked() },
            None => CaptureStatus { kind: "none", blocked: Some("capture has not started".into()) },
        }
    }

    fn telemetry(&self, out: &mut Vec<Telemetry>) {
        let udp = (pipeline::Transport::Udp, self.accepted - self.accepted_tcp);
        telemetry::messages([udp, (pipeline::Transport::Tcp, self.accepted_tcp)], self.refused, out);
        if let Some(capture) = &self.capture {
            telemetry::capture(capture, self.ring, out);
        }
        self.intake.telemetry(out);
    }
}

fn port_set(ports: &[u16]) -> PortSet {
    ports.iter().copied().collect()
}
