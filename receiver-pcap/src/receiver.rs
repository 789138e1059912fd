//! The receiver: files named in its settings in, batches of SIP frames out, then the end.

use std::any::Any;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use intake::{Intake, IntakeSettings, PortSet};
use pipeline::{CaptureStatus, FrameBatch, MediaPorts, Received, Receiver, ReceiverError, Telemetry};

use crate::config::Config;
use crate::file::NotUsable;
use crate::merge::{Merge, Unusable};
use crate::report::{PassedOver, Report};

/// A batch ends after so many frames, which fit into a core's cache, or packets, for an end to come into sight.
const FRAMES: usize = 256;
const PACKETS: usize = 4096;
const MEDIA: usize = 4096;

/// Reads capture files as fast as it is asked to.
pub struct PcapReceiver {
    config: Config,
    intake: Intake,
    /// `None` before the start and after the end.
    files: Option<Merge>,
    report: Arc<Report>,
}

impl PcapReceiver {
    /// A receiver for `config`; who keeps `report` can see how it gets on.
    pub fn new(config: Config, report: Arc<Report>) -> Self {
        let settings = IntakeSettings { note_other_ports: true, ..config.intake() };
        Self { config, intake: Intake::new(settings), files: None, report }
    }
}

impl Receiver for PcapReceiver {
    fn start(&mut self) -> Result<(), ReceiverError> {
        if self.config.files.is_empty() {
            return Err(ReceiverError::Failed {
                what: "no capture file is named".to_owned(),
                help: "name them as arguments, or as `files` of [receivers.pcap]".to_owned(),
            });
        }
        self.files = Some(Merge::new(&self.config.files, self.config.follow, Arc::clone(&self.report))?);
        Ok(())
    }

    /// Never waits for more than the next packet: a file has it, a pipe may take its time. Where files are followed it does not wait
    /// for that either.
    fn receive(&mut self, batch: &mut FrameBatch, _wait: Duration) -> Result<Received, ReceiverError> {
        batch.clear();
        let Some(files) = &mut self.files else {
            return Ok(Received::End);
        };
        for _ in 0..PACKETS {
            if batch.frames.len() >= FRAMES || batch.media.len() >= MEDIA {
                break;
            }
            let more = match files.advance() {
                Err(Unusable { why: NotUsable::Io(error), .. }) if error.kind() == ErrorKind::WouldBlock => break,
                more => more?,
            };
            if !more {
                self.files = None;
                self.report.set_passed_over(PassedOver {
                    listed: self.config.ports.clone(),
                    ports: self.intake.other_ports(),
                    wrapped: self.intake.wrapped(),
                });
                return Ok(Received::End);
            }
            if let Some(packet) = files.packet() {
                self.intake.packet(&packet, batch);
            }
        }
        Ok(Received::Batch)
    }

    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str> {
        let Ok(config) = settings.downcast::<Config>() else {
            return Vec::new();
        };
        self.intake.set_ports(PortSet::from(&config.ports[..]), PortSet::from(&config.ws_ports[..]));
        self.intake.set_vxlan_ports(&config.vxlan_ports);
        (self.config.ports, self.config.ws_ports) = (config.ports, config.ws_ports);
        self.config.vxlan_ports = config.vxlan_ports;
        if config.files == self.config.files { Vec::new() } else { vec!["files"] }
    }

    /// All that look like media are taken: a file has the call before its media are known.
    fn want_media(&mut self, _ports: &Arc<MediaPorts>) {
        self.intake.want_media();
    }

    fn set_duplicate_window(&mut self, window: Duration) {
        self.intake.set_duplicate_window(window);
    }

    fn status(&self) -> CaptureStatus {
        CaptureStatus { kind: "none", ..CaptureStatus::default() }
    }

    fn telemetry(&self, out: &mut Vec<Telemetry>) {
        self.intake.telemetry(out);
    }
}

impl From<Unusable> for ReceiverError {
    fn from(Unusable { name, why }: Unusable) -> Self {
        let help = match &why {
            NotUsable::NoCapture => "give a capture in pcap or pcapng, gzip or not; `editcap` converts other formats",
            NotUsable::Io(error) => match error.kind() {
                ErrorKind::NotFound => "check its name and the folder it is in",
                ErrorKind::PermissionDenied => "let this user read it, or run as one who may",
                _ => "check the file and what it is stored on",
            },
        };
        Self::Failed { what: format!("{name}: {why}"), help: help.to_owned() }
    }
}
