//! A capture of a node by tcpdump, from its first message to the last, with times that begin at a fixed one.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use testnet::Namespace;

use super::{Lab, backend};
use crate::wait::eventually;

/// A capture that goes on.
pub struct Capture {
    tcpdump: Child,
    file: PathBuf,
}

impl Capture {
    /// Captures UDP on an interface of `namespace`, or on `any`; into a file in `folder`.
    ///
    /// # Panics
    /// When tcpdump does not start.
    pub fn start(namespace: &Namespace, interface: &str, folder: &Path) -> Self {
        let file = folder.join("captured.pcap");
        let _ = fs::remove_file(&file);
        let mut command = namespace.command("tcpdump");
        let path = file.to_str().expect("a path of text");
        // Delivered at once, every packet has a place as large as the longest: of whole ones there would be eight.
        command.args([
            "-i",
            interface,
            "-s",
            "4096",
            "-B",
            "16384",
            "-U",
            "--immediate-mode",
            "-Z",
            "root",
            "-w",
            path,
            "ip or ip6",
        ]);
        let tcpdump = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("tcpdump is installed");
        // It writes the header once it listens.
        eventually("tcpdump listens", || fs::metadata(&file).ok().filter(|found| found.len() >= HEADER as u64));
        Self { tcpdump, file }
    }

    /// Waits until all that was sent is captured, and ends. Gives the file without what was only sent for that.
    ///
    /// # Panics
    /// When it does not come.
    pub fn finish(mut self, lab: &Lab, client: &UdpSocket) -> Vec<u8> {
        // A backend has it, so that the node saw it twice; where one interface is captured, once.
        lab.send(client, backend(lab.family, 0), MARK);
        let captured = || fs::read(&self.file).unwrap_or_default();
        let is_there = || records(&captured()).any(|(_, record)| has_mark(record)).then_some(());
        eventually("the last message is captured", is_there);
        let _ = self.tcpdump.kill();
        self.tcpdump.wait().expect("it ends");
        tidy(&captured())
    }
}

/// Without the mark and what is no UDP (neighbour discovery), with times from a fixed one on.
fn tidy(file: &[u8]) -> Vec<u8> {
    let mut out = file[..HEADER].to_vec();
    let mut first = None;
    for (time, record) in records(file).filter(|(_, record)| !has_mark(record) && has_sip(record)) {
        let since = time - *first.get_or_insert(time);
        let shown = EPOCH + since;
        // Years after 2106 do not fit, and it is none of these.
        out.extend((shown.as_secs() as u32).to_le_bytes());
        out.extend(shown.subsec_micros().to_le_bytes());
        out.extend(&record[8..]);
    }
    out
}

/// The records of a classic pcap file with microseconds, little endian, each with its time and its own header.
fn records(file: &[u8]) -> impl Iterator<Item = (Duration, &[u8])> {
    let mut at = HEADER;
    std::iter::from_fn(move || {
        let number = |at: usize| Some(u32::from_le_bytes(*file.get(at..)?.first_chunk()?));
        let time = Duration::from_secs(number(at)?.into()) + Duration::from_micros(number(at + 4)?.into());
        let record = file.get(at..at + 16 + number(at + 8)? as usize)?;
        at += record.len();
        Some((time, record))
    })
}

fn has_mark(record: &[u8]) -> bool {
    has(record, MARK.as_bytes())
}

/// SIP, or a later fragment of it.
fn has_sip(record: &[u8]) -> bool {
    has(record, b"SIP/2.0") || has(record, b"X-Padding") || has(record, b"xxxxxxxx")
}

fn has(record: &[u8], text: &[u8]) -> bool {
    record.windows(text.len()).any(|window| window == text)
}

const MARK: &str = "this is where the capture ends";
const HEADER: usize = 24;
/// 2026-01-01T00:00:00Z.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);
