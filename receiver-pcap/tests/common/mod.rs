//! Capture files and packets made by hand, and a receiver run over them.

#![allow(dead_code, unused_imports, reason = "each test binary uses its own part")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use ladder::format::Order;
use pipeline::{FrameBatch, Received, Receiver, ReceiverError, SipFrame, Tally};
use receiver_pcap::{Config, PcapReceiver, Report};

/// 2026-01-01, in seconds.
pub const START: u64 = 1_767_225_600;

pub const OPTIONS: &[u8] = b"OPTIONS sip:bob@example.com SIP/2.0\r\nCall-ID: ";

/// An IPv4 packet from 192.0.2.1:5060 to 192.0.2.2:5060 with a message that tells `number`.
pub fn message(number: u32) -> Vec<u8> {
    let payload = [OPTIONS, format!("{number}\r\n\r\n").as_bytes()].concat();
    datagram(5060, &payload)
}

pub fn datagram(port: u16, payload: &[u8]) -> Vec<u8> {
    let len = |more: usize| u16::try_from(payload.len() + more).expect("one packet").to_be_bytes();
    let ip = [&[0x45, 0][..], &len(28), &[0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]].concat();
    [&ip[..], &port.to_be_bytes(), &port.to_be_bytes(), &len(8), &[0, 0], payload].concat()
}

/// The same with an Ethernet header.
pub fn ethernet(packet: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0][..], packet].concat()
}

/// Seconds since 1970 in some unit of a second.
pub fn units(seconds: u64, per_second: u64) -> u64 {
    seconds * per_second
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// What a receiver made of some files.
pub struct Replay {
    pub frames: Vec<SipFrame>,
    /// The numbers of [`message`], in order.
    pub numbers: Vec<u32>,
    /// Method or status of each frame.
    pub kinds: Vec<String>,
    pub tally: Tally,
    pub now: wire::Timestamp,
    pub problems: Vec<String>,
    pub report: Arc<Report>,
}

impl Replay {
    pub fn files(files: &[PathBuf]) -> Result<Self, ReceiverError> {
        Self::with(Config { files: files.into(), ..Config::default() }, Duration::from_millis(20))
    }

    pub fn with(config: Config, duplicate_window: Duration) -> Result<Self, ReceiverError> {
        let report = Arc::new(Report::default());
        let mut receiver = PcapReceiver::new(config, Arc::clone(&report));
        receiver.set_duplicate_window(duplicate_window);
        receiver.start()?;
        let mut batch = FrameBatch::default();
        let (mut frames, mut numbers, mut tally) = (Vec::new(), Vec::new(), Tally::default());
        let mut kinds = Vec::new();
        loop {
            let received = receiver.receive(&mut batch, Duration::ZERO)?;
            for frame in &batch.frames {
                let text = batch.message(frame);
                let number: Option<u32> =
                    text.strip_prefix(OPTIONS).and_then(|rest| std::str::from_utf8(rest).ok()?.trim().parse().ok());
                numbers.extend(number);
                kinds.push(kind(text));
                frames.push(frame.clone());
            }
            add(&mut tally, &batch.tally);
            if received == Received::End {
                break;
            }
        }
        let problems = report.problems();
        Ok(Self { frames, numbers, kinds, tally, now: batch.now, problems, report })
    }

    /// Writes each as a file of its own and reads them together.
    pub fn of(contents: &[&[u8]]) -> Result<Self, ReceiverError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let files: Vec<PathBuf> = (0..contents.len()).map(|index| folder.path().join(format!("{index}.cap"))).collect();
        for (file, bytes) in files.iter().zip(contents) {
            std::fs::write(file, bytes).expect("room for a small file");
        }
        Self::files(&files)
    }
}

/// The method of a request, the status of a response.
fn kind(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or_default();
    if first.to_ascii_uppercase().starts_with("SIP/") {
        words.next().unwrap_or_default().to_owned()
    } else {
        first.to_owned()
    }
}

fn add(sum: &mut Tally, more: &Tally) {
    sum.keepalives_stun += more.keepalives_stun;
    sum.keepalives_crlf += more.keepalives_crlf;
    sum.non_sip += more.non_sip;
    sum.start_line_errors += more.start_line_errors;
    sum.capture_duplicates += more.capture_duplicates;
    sum.clock_steps += more.clock_steps;
    sum.evicted_fragments += more.evicted_fragments;
    sum.not_read.iter_mut().zip(more.not_read).for_each(|(sum, more)| *sum += more);
    sum.sip_elsewhere.iter_mut().zip(more.sip_elsewhere).for_each(|(sum, more)| *sum += more);
}
