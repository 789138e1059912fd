//! Calls without the people in them: their messages replaced ([`anonymize`]), in packets made up anew.
//!
//! Nothing below SIP is kept but addresses, ports, transports and times, so that no link layer, tunnel or neighbour in a segment
//! gives anybody away. The captures are read twice: for what numbers are in use, and to write.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::time::Duration;

use anonymize::Anonymizer;
use engine::Catalogue;
use pipeline::{FrameBatch, SipFrame};
use receiver_pcap::Config;
use receiver_pcap::trace::{Came, Messages};
use recordings::{Packets, Writer};
use sip::Message;
use wire::{Link, Packet, Tap, Timestamp};

use super::cannot_be_written;
use crate::captures;
use crate::cli::Captures;
use crate::failure::Failure;
use crate::{hash, settings};

/// Writes the messages of these calls; gives the number of packets, and what is to be said of them.
pub fn write(
    catalogue: &Catalogue,
    calls: HashSet<Box<str>>,
    captures: &Captures,
    config: &Config,
    output: &Path,
) -> Result<(usize, String), Failure> {
    let mut anonymizer = Anonymizer::new(&key(catalogue, captures)?);
    let mut ports = HashSet::new();
    // What a message took from its first piece to its last, at most.
    let mut longest = Duration::ZERO;
    each(&calls, config, |came| {
        for (frame, message) in came {
            longest = longest.max(frame.at - frame.first);
            let ends = [frame.source, frame.destination];
            anonymizer.note(message, ends);
            ports.extend(ends.map(|end| end.port()).into_iter().filter(|port| config.ports.contains(port)));
        }
        Ok(())
    })?;
    let failed = cannot_be_written(output);
    let file = BufWriter::new(File::create(output).map_err(failed)?);
    let mut writer = Writer::new(file, "made anonymous by ringside").map_err(failed)?;
    let (mut packets, mut number) = (Packets::default(), 0);
    // The first piece of a message may be older than messages that were whole before it.
    let mut waiting = Waiting::default();
    let mut put = |waiting: &mut Waiting, before: Option<Timestamp>| -> Result<(), Failure> {
        while let Some(entry) = waiting.packets.first_entry() {
            let at = entry.key().0;
            if before.is_some_and(|before| at + longest >= before) {
                break;
            }
            let (bytes, original_len) = entry.remove();
            waiting.bytes -= bytes.len();
            let packet = Packet { at, link: Link::RawIp, interface: 0, bytes: &bytes, original_len, tap: Tap::Between };
            writer.packet(&packet, LINKTYPE_RAW).map_err(failed)?;
        }
        Ok(())
    };
    let mut made = FrameBatch::default();
    each(&calls, config, |came| {
        made.clear();
        for (frame, message) in came {
            let bytes = anonymizer.message(message);
            let [source, destination] = [frame.source, frame.destination].map(|end| anonymizer.address(end));
            made.push(&bytes, SipFrame { source, destination, ..frame.clone() });
        }
        for (frame, bytes, _) in recordings::messages(&made) {
            packets.put(frame, &bytes, |at, packet, original_len| {
                waiting.bytes += packet.len();
                waiting.packets.insert((at, number), (packet.to_vec(), original_len));
                number += 1;
            });
        }
        put(&mut waiting, made.frames.last().map(|frame| frame.at))?;
        if waiting.bytes > MOST_WAITING {
            return Err(Failure::Failed(format!(
                "one message took {} s to arrive, and more than {} MiB came meanwhile: name fewer calls, or a shorter time",
                longest.as_secs(),
                MOST_WAITING >> 20
            )));
        }
        Ok(())
    })?;
    put(&mut waiting, None)?;
    writer.finish().map_err(failed)?;
    let mut ports: Vec<u16> = ports.into_iter().map(|port| anonymizer.port(port)).collect();
    ports.sort_unstable();
    let usual = Config::default().ports;
    let is_usual = ports.iter().all(|port| usual.contains(port));
    let list = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
    Ok((number, if is_usual { String::new() } else { format!("; read it with --ports {list}") }))
}

/// The key of the configuration, or one that is as good as lost.
fn key(catalogue: &Catalogue, captures: &Captures) -> Result<Vec<u8>, Failure> {
    let mut loaded = settings::load(&captures.run, catalogue).map_err(|problems| settings::refused(&problems))?;
    if let Some(key) = hash::key(&mut loaded.tree) {
        return Ok(key.into_bytes());
    }
    let mut key = vec![0; 32];
    getrandom::fill(&mut key).map_err(|error| Failure::Failed(format!("the kernel gives no random key: {error}")))?;
    Ok(key)
}

/// Reads the captures and hands over the messages of the calls, those together that came together.
fn each(
    calls: &HashSet<Box<str>>,
    config: &Config,
    mut take: impl FnMut(&[(SipFrame, Message<'_>)]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut messages = Messages::open(config)?;
    while let Some(Came { messages, batch, .. }) = messages.read()? {
        let parsed = messages.into_iter().filter_map(|(frame, _)| {
            let message = sip::parse(batch.message(&frame), captures::framing(&frame)).ok()?;
            calls.contains(&*String::from_utf8_lossy(message.call_id)).then_some((frame, message))
        });
        let parsed: Vec<_> = parsed.collect();
        if !parsed.is_empty() {
            take(&parsed)?;
        }
    }
    Ok(())
}

/// Packets that may be newer than one that is to come, in the order of time: their bytes, and how long they were before the
/// capture cut them.
#[derive(Default)]
struct Waiting {
    packets: BTreeMap<(Timestamp, usize), (Vec<u8>, u32)>,
    /// Of all of them.
    bytes: usize,
}

/// Most bytes of packets that wait.
const MOST_WAITING: usize = 256 << 20;
/// Packets of IP without a link layer.
const LINKTYPE_RAW: u16 = 101;
