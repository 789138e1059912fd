//! `[receivers.hep]`: messages that agents send in HEP version 3, one for each UDP datagram.
//!
//! The time of a message is that of its arrival here: clocks of agents differ, and the clock of a receiver must not run back.
//! What holds no SIP is counted and dropped. Copies that several agents send of one message are not recognized.

mod packet;

use std::any::Any;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pipeline::settings::Problems;
use pipeline::{CaptureStatus, FrameBatch, Received, Receiver, ReceiverError, SipFrame, Tally};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sip::Payload;
use wire::Timestamp;

/// What can be set.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(default)]
pub struct Config {
    /// Where agents send to. Default `127.0.0.1:9060`.
    endpoint: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { endpoint: "127.0.0.1:9060".to_owned() }
    }
}

/// [`Config`], ready for use.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    endpoint: SocketAddr,
}

impl Config {
    /// Says what is wrong by the path inside the table; the program adds file, line and column.
    pub fn check(self, problems: &mut Problems) -> Option<Settings> {
        let Ok(endpoint) = self.endpoint.parse() else {
            let what = format!("{:?} is no address with a port", self.endpoint);
            problems.error("endpoint", what, "write an address such as \"0.0.0.0:9060\" or \"[::]:9060\"");
            return None;
        };
        Some(Settings { endpoint })
    }
}

/// Makes one. Nothing is opened before its start.
pub fn build(settings: Settings, (): &()) -> Box<dyn Receiver> {
    Box::new(Hep { settings, socket: None, datagram: vec![0; LONGEST], clock: Timestamp::ZERO })
}

struct Hep {
    settings: Settings,
    socket: Option<UdpSocket>,
    datagram: Vec<u8>,
    /// The latest time given out.
    clock: Timestamp,
}

impl Receiver for Hep {
    fn start(&mut self) -> Result<(), ReceiverError> {
        let Settings { endpoint } = self.settings;
        let socket = UdpSocket::bind(endpoint).map_err(|error| ReceiverError::Failed {
            what: format!("UDP {endpoint} cannot be opened: {error}"),
            help: "end who has it, or set another `endpoint`".to_owned(),
        })?;
        self.socket = Some(socket);
        Ok(())
    }

    fn receive(&mut self, batch: &mut FrameBatch, wait: Duration) -> Result<Received, ReceiverError> {
        batch.clear();
        self.fill(batch, wait).map_err(|error| ReceiverError::Failed {
            what: format!("the socket fails: {error}"),
            help: "see the log of the kernel".to_owned(),
        })?;
        self.clock = self.clock.max(now());
        batch.now = self.clock;
        Ok(Received::Batch)
    }

    /// Its socket stays open, so that another `endpoint` needs a restart.
    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str> {
        let new: Settings = *settings.downcast().expect("settings come from the check of the same type");
        if new == self.settings { Vec::new() } else { vec!["endpoint"] }
    }

    fn set_duplicate_window(&mut self, _window: Duration) {}

    fn status(&self) -> CaptureStatus {
        CaptureStatus { kind: "hep", ..CaptureStatus::default() }
    }
}

impl Hep {
    /// Waits for a datagram, then takes those that are there besides.
    fn fill(&mut self, batch: &mut FrameBatch, wait: Duration) -> io::Result<()> {
        let socket = self.socket.as_ref().expect("it was started");
        // Zero would wait for ever.
        socket.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
        for number in 0..MOST {
            let length = match socket.recv(&mut self.datagram) {
                Ok(length) => length,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) =>
                {
                    break;
                }
                Err(error) => return Err(error),
            };
            if number == 0 {
                socket.set_nonblocking(true)?;
            }
            self.clock = self.clock.max(now());
            take(&self.datagram[..length], self.clock, batch);
        }
        socket.set_nonblocking(false)
    }
}

/// One datagram: a message more in the batch, or a count.
fn take(datagram: &[u8], at: Timestamp, batch: &mut FrameBatch) {
    let Tally { non_sip, keepalives_crlf, keepalives_stun, start_line_errors, .. } = &mut batch.tally;
    let Some(packet) = packet::read(datagram) else {
        *non_sip += 1;
        return;
    };
    match sip::sort(packet.payload) {
        Payload::Sip(message) => {
            let frame = SipFrame::datagram(packet.source, packet.destination, at);
            batch.push(message, SipFrame { transport: packet.transport, ..frame });
        }
        Payload::Crlf => *keepalives_crlf += 1,
        Payload::Stun => *keepalives_stun += 1,
        Payload::StartLineError => *start_line_errors += 1,
        Payload::NonSip => *non_sip += 1,
    }
}

fn now() -> Timestamp {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    Timestamp::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Longest datagram, in bytes.
const LONGEST: usize = 65_535;
/// Datagrams of a batch: others have their turn after so many.
const MOST: usize = 256;
