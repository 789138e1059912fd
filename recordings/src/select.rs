//! What of a folder of recordings belongs to some calls: by the indexes alone, then of each file only the parts that hold it.

use std::collections::HashSet;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use pipeline::{SipFrame, Transport};
use wire::{Decoded, Decoder, Link, Packet, Tap, Timestamp};

use crate::folder::{head, interface_of, transport_of};
use crate::index::{self, Chunk, Parties};
use crate::names::{Kind, Name};
use crate::packets::{Packets, websocket_header};
use crate::pcapng;

/// What an index knows of a Call-ID in a part of a recording.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The first 256 bytes of it.
    pub call_id: &'a [u8],
    /// Who is named in its requests there.
    pub parties: &'a [Parties],
}

/// A recording with an index, or any other file.
struct Recording {
    data: PathBuf,
    index: Option<PathBuf>,
}

/// The captures in a folder: recordings in the order they began, then those of others in the order of their names.
///
/// # Errors
/// The folder cannot be read.
pub fn captures(folder: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(recordings(folder)?.into_iter().map(|recording| recording.data).collect())
}

/// Writes what the recordings of a folder hold of calls that `wanted` takes, of those that have something in the period, to
/// `out` as a capture. Gives the number of messages, and captures that have no index and so may hold anything.
///
/// # Errors
/// The folder or a recording cannot be read, or `out` cannot be written.
pub fn select(
    folder: &Path,
    period: &Range<Timestamp>,
    wanted: &dyn Fn(&Known<'_>) -> bool,
    out: &mut impl Write,
) -> io::Result<(u64, Vec<PathBuf>)> {
    let (mut calls, mut indexed, mut others) = (HashSet::new(), Vec::new(), Vec::new());
    for Recording { data, index } in recordings(folder)? {
        let mut held = Vec::new();
        let read = index.as_ref().and_then(|index| fs::read(index).ok()).is_some_and(|bytes| {
            let chunks = index::chunks(&bytes, |chunk| {
                let is_within = chunk.last >= period.start && chunk.first < period.end;
                for (call_id, entry) in chunk.calls {
                    held.push(mark(&call_id));
                    let is_new = is_within && !calls.contains(&call_id);
                    if is_new && wanted(&Known { call_id: &call_id, parties: &entry.parties }) {
                        calls.insert(call_id);
                    }
                }
            });
            chunks.is_ok()
        });
        match index.filter(|_| read) {
            Some(index) => {
                held.sort_unstable();
                held.dedup();
                indexed.push((data, index, held.into_boxed_slice()));
            }
            None => others.push(data),
        }
    }
    out.write_all(&head())?;
    let (mut packets, mut number) = (Packets::default(), 0);
    let marks: Vec<u32> = calls.iter().map(|call_id| mark(call_id)).collect();
    for (data, index, held) in indexed {
        // The others hold nothing of these calls; most are not looked into again.
        if !marks.iter().any(|mark| held.binary_search(mark).is_ok()) {
            continue;
        }
        let index = fs::read(index)?;
        let mut file = File::open(&data)?;
        let is_packed = data.extension().is_some_and(|end| end == "zst");
        let mut failed = None;
        index::chunks(&index, |chunk| {
            if failed.is_none() && chunk.calls.keys().any(|call_id| calls.contains(call_id)) {
                let taken = take(&mut file, is_packed, &chunk, &calls, &mut packets, out);
                match taken {
                    Ok(taken) => number += taken,
                    Err(error) => failed = Some(error),
                }
            }
        })?;
        if let Some(error) = failed {
            return Err(io::Error::new(error.kind(), format!("{}: {error}", data.display())));
        }
    }
    Ok((number, others))
}

/// What is held of a Call-ID of an index that was read: little, since a folder may have millions.
fn mark(call_id: &[u8]) -> u32 {
    let mut hasher = DefaultHasher::new();
    hasher.write(call_id);
    hasher.finish() as u32
}

/// Writes the messages that a chunk holds of `calls`.
fn take(
    file: &mut File,
    is_packed: bool,
    chunk: &Chunk,
    calls: &HashSet<Box<[u8]>>,
    packets: &mut Packets,
    out: &mut impl Write,
) -> io::Result<u64> {
    let damaged =
        || io::Error::new(io::ErrorKind::InvalidData, "its index does not fit it; remove the index to read all of it");
    if chunk.len > MAX_CHUNK || chunk.raw > MAX_CHUNK {
        return Err(damaged());
    }
    let mut bytes = vec![0; chunk.len as usize];
    file.seek(SeekFrom::Start(chunk.offset))?;
    file.read_exact(&mut bytes)?;
    if is_packed {
        bytes = zstd::bulk::decompress(&bytes, chunk.raw as usize)?;
    }
    let wanted = chunk.calls.iter().filter(|(call_id, _)| calls.contains(*call_id));
    let mut places: Vec<(u32, u32)> = wanted.flat_map(|(_, entry)| entry.places.iter().copied()).collect();
    places.sort_unstable();
    let mut blocks = Vec::new();
    for (begin, len) in &places {
        let place = *begin as usize..*begin as usize + *len as usize;
        let (frame, message) = bytes.get(place).and_then(message).ok_or_else(damaged)?;
        packets.put(&frame, &message, |at, packet, original_len| {
            pcapng::put_packet(&mut blocks, interface_of(frame.transport), at, original_len, packet);
        });
    }
    out.write_all(&blocks)?;
    Ok(places.len() as u64)
}

/// The message that packet blocks hold, all of which are its own.
fn message(blocks: &[u8]) -> Option<(SipFrame, Vec<u8>)> {
    let mut decoder = Decoder::default();
    let (mut message, mut missing, mut ends, mut times) = (Vec::new(), 0, None, None);
    let mut transport = Transport::Udp;
    for (interface, at, bytes, original_len) in pcapng::packets(blocks) {
        transport = transport_of(interface)?;
        times = Some((times.map_or(at, |(first, _)| first), at));
        let packet = Packet { at, link: Link::RawIp, interface, bytes, original_len, tap: Tap::Between };
        match decoder.decode(&packet) {
            Decoded::Datagram(datagram) => {
                ends = Some((datagram.source, datagram.destination));
                missing = datagram.missing;
                message.extend_from_slice(datagram.payload);
            }
            Decoded::Segment(segment) => {
                ends = Some((segment.source, segment.destination));
                message.extend_from_slice(segment.payload);
            }
            Decoded::Held => {}
            Decoded::Skipped(_) => return None,
        }
    }
    if matches!(transport, Transport::Ws | Transport::Wss) {
        // One of these, whichever fits, stands before it.
        let fits =
            |size: &usize| message.len().checked_sub(*size).is_some_and(|len| websocket_header(len).len() == *size);
        let size = [2, 4, 10].into_iter().find(fits)?;
        message.drain(..size);
    }
    let ((source, destination), (first, at)) = (ends?, times?);
    Some((SipFrame { first, transport, missing, ..SipFrame::datagram(source, destination, at) }, message))
}

fn recordings(folder: &Path) -> io::Result<Vec<Recording>> {
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let index = |name: &Name, kind| Some(name.path(folder, kind)).filter(|path| path.exists());
        match Name::parse(name) {
            Some((name, Kind::Raw)) => {
                own.push((name.clone(), Recording { data: path, index: index(&name, Kind::RawIndex) }))
            }
            // Of one that is being compressed the other one is there too.
            Some((name, Kind::Compressed)) if index(&name, Kind::Raw).is_none() => {
                own.push((name.clone(), Recording { data: path, index: index(&name, Kind::CompressedIndex) }));
            }
            Some(_) => {}
            None if is_capture(name) => others.push(path),
            None => {}
        }
    }
    own.sort_by(|(one, _), (other, _)| one.cmp(other));
    others.sort();
    let own = own.into_iter().map(|(_, recording)| recording);
    Ok(own.chain(others.into_iter().map(|data| Recording { data, index: None })).collect())
}

fn is_capture(name: &str) -> bool {
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name);
    [".pcap", ".pcapng", ".cap"].iter().any(|end| name.ends_with(end))
}

/// No chunk is so large.
const MAX_CHUNK: u64 = 64 * 1024 * 1024;
