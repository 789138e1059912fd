//! A folder of recordings: messages in, files of a bounded size, number and age out.
//!
//! What is put is written within a second, with its index, so that a sudden end loses no more. A file that is full or old enough
//! is closed: compressed in parts, so that a reader opens only those it needs. The oldest go where room is needed, before there is
//! too little. What cannot be written is counted and forgotten. Reads no clock: `now` is told.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pipeline::{FrameBatch, SipFrame, Transport};
use wire::Timestamp;

use crate::index::{self, Chunk};
use crate::names::{Kind, Name};
use crate::packets::{Packets, messages};
use crate::pcapng;

/// How much of what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A file of so many bytes is closed.
    pub rotate_size: u64,
    /// A file that is so old is closed.
    pub rotate_after: Duration,
    /// Most bytes of all files, indexes included; at least three times `rotate_size`.
    pub max_total_size: u64,
    /// Most recordings, each with its index; at least 2.
    pub max_files: usize,
    /// Closed files are compressed.
    pub compress: bool,
}

/// What became of what was put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that are in files.
    pub written: u64,
    /// Messages that could not be written: no room on the disk, or something else that the system said.
    pub failed: u64,
    /// Messages longer than a datagram takes.
    pub too_long: u64,
    /// Recordings that were deleted for those that came.
    pub deleted: u64,
    /// Recordings there are.
    pub files: u64,
    /// Bytes they have, indexes included.
    pub bytes: u64,
}

/// A folder that is written. Another one cannot have it meanwhile.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    limits: Limits,
    /// Held as long as this lives.
    _lock: File,
    packets: Packets,
    closed: VecDeque<Closed>,
    open: Option<Open>,
    next: u64,
    counts: Counts,
    /// What was said last about a write that failed.
    trouble: Option<io::Error>,
}

#[derive(Debug)]
struct Closed {
    name: Name,
    size: u64,
}

/// The file that is written.
#[derive(Debug)]
struct Open {
    name: Name,
    data: File,
    index: File,
    /// Bytes of either that are whole.
    written: [u64; 2],
    since: Duration,
    flushed: Duration,
    /// What is to be written next.
    bytes: Vec<u8>,
    chunk: Chunk,
    /// Messages in it.
    messages: u64,
}

impl Folder {
    /// Opens a folder, which is made if it is not there.
    ///
    /// # Errors
    /// It cannot be made or written, or somebody else writes to it ([`io::ErrorKind::WouldBlock`]).
    pub fn open(path: &Path, limits: Limits) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(PRIVATE).open(path.join(LOCK))?;
        lock.try_lock()?;
        Ok(Self {
            path: path.to_owned(),
            limits,
            _lock: lock,
            packets: Packets::default(),
            closed: VecDeque::new(),
            open: None,
            next: 1,
            counts: Counts::default(),
            trouble: None,
        })
    }

    /// Takes up what is there: what was left open is closed, and all of it is kept within the limits.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn take_up(&mut self) -> io::Result<()> {
        let mut found: Vec<(Name, Kind)> = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            found.extend(name.to_str().and_then(Name::parse));
        }
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        for files in found.chunk_by(|(one, _), (other, _)| one == other) {
            let name = &files[0].0;
            let is = |kind: Kind| files.iter().any(|(_, found)| *found == kind);
            self.next = self.next.max(name.number.saturating_add(1));
            self.remove(name, &[Kind::Part]);
            let index = file_name(&name.path(&self.path, Kind::CompressedIndex));
            let _ = fs::remove_file(self.path.join(format!("{index}.part")));
            if is(Kind::Raw) {
                self.remove(name, &[Kind::Compressed, Kind::CompressedIndex]);
                self.close_file(name.clone());
            } else if is(Kind::Compressed) {
                self.remove(name, &[Kind::RawIndex]);
                self.add_closed(name.clone());
            } else {
                self.remove(name, &[Kind::RawIndex, Kind::CompressedIndex]);
            }
        }
        self.make_room(0, 0);
        Ok(())
    }

    /// Records the messages of a batch.
    pub fn put(&mut self, batch: &FrameBatch, now: Duration) {
        for (frame, message, number) in messages(batch) {
            if self.open.is_none() {
                self.begin(shown(frame.first, frame), now);
            }
            let Some(open) = &mut self.open else {
                self.counts.failed += number;
                continue;
            };
            let begin = open.bytes.len() as u32;
            let put = |at, packet: &[u8], original_len| {
                let interface = interface_of(frame.transport);
                pcapng::put_packet(&mut open.bytes, interface, shown(at, frame), original_len, packet);
            };
            if !self.packets.put(frame, &message, put) {
                self.counts.too_long += number;
                continue;
            }
            open.messages += number;
            let times = (shown(frame.first, frame), shown(frame.at, frame));
            open.chunk.note(frame, times, batch.message(frame), (begin, open.bytes.len() as u32 - begin));
            // A batch may hold more than a file.
            if open.bytes.len() as u64 >= (CHUNK as u64).min(self.limits.rotate_size / 4) {
                self.flush(now);
                self.tick(now);
            }
        }
        self.tick(now);
    }

    /// Writes what waits for longer than a second, and closes a file that is full or old.
    pub fn tick(&mut self, now: Duration) {
        let Some(open) = &self.open else { return };
        if !open.bytes.is_empty() && now.saturating_sub(open.flushed) >= FLUSH {
            self.flush(now);
        }
        let Limits { rotate_size, rotate_after, .. } = self.limits;
        // The index may be as long as what it is of.
        let is_over = |open: &Open| {
            open.written.iter().sum::<u64>() >= rotate_size || now.saturating_sub(open.since) >= rotate_after
        };
        if self.open.as_ref().is_some_and(is_over) {
            self.close(now);
        }
    }

    /// Writes what waits and closes the file, if there is one.
    pub fn close(&mut self, now: Duration) {
        self.flush(now);
        if let Some(Open { name, .. }) = self.open.take() {
            self.close_file(name);
            self.make_room(0, 0);
        }
    }

    /// What became of what was put.
    pub fn counts(&self) -> Counts {
        let open = self.open.iter().map(|open| open.written.iter().sum::<u64>());
        let bytes = self.closed.iter().map(|closed| closed.size).chain(open).sum();
        let files = (self.closed.len() + usize::from(self.open.is_some())) as u64;
        Counts { files, bytes, ..self.counts }
    }

    /// What the system said since this was asked last, where something could not be written.
    pub fn trouble(&mut self) -> Option<io::Error> {
        self.trouble.take()
    }

    /// Changes the limits; a folder that is over them loses its oldest files at once.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.make_room(0, 0);
    }

    fn begin(&mut self, at: Timestamp, now: Duration) {
        let name = Name::new(self.next, at);
        self.next = self.next.saturating_add(1);
        self.make_room((head().len() + index::OPEN.len()) as u64, 1);
        let create =
            |kind| OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(name.path(&self.path, kind));
        let opened = create(Kind::Raw).and_then(|mut data| {
            data.write_all(&head())?;
            let mut index = create(Kind::RawIndex)?;
            index.write_all(&index::OPEN)?;
            Ok((data, index))
        });
        match opened {
            Ok((data, index)) => {
                self.open = Some(Open {
                    name,
                    data,
                    index,
                    written: [head().len() as u64, index::OPEN.len() as u64],
                    since: now,
                    flushed: now,
                    bytes: Vec::new(),
                    chunk: Chunk::default(),
                    messages: 0,
                });
            }
            Err(error) => {
                self.trouble = Some(error);
                self.remove(&name, &[Kind::Raw, Kind::RawIndex]);
            }
        }
    }

    fn flush(&mut self, now: Duration) {
        let Some(open) = &mut self.open else { return };
        open.flushed = now;
        if open.bytes.is_empty() {
            return;
        }
        let record = open.record();
        let size = (open.bytes.len() + record.len()) as u64;
        self.make_room(size, 0);
        let Some(open) = &mut self.open else { return };
        match open.write(&record) {
            Ok(()) => self.counts.written += open.messages,
            Err(error) => {
                self.counts.failed += open.messages;
                self.trouble = Some(error);
            }
        }
        open.clear();
    }

    /// A file that nobody writes any more: what is whole of it is kept, and compressed if that is asked for.
    fn close_file(&mut self, name: Name) {
        let [raw, raw_index] = [Kind::Raw, Kind::RawIndex].map(|kind| name.path(&self.path, kind));
        let chunks = whole(&raw, &raw_index).unwrap_or_default();
        if chunks.is_empty() {
            if fs::metadata(&raw).is_ok_and(|data| data.len() <= head().len() as u64) {
                // Without a message it is of no use.
                return self.remove(&name, &[Kind::Raw, Kind::RawIndex]);
            }
            // Its index was lost, or cannot be read now: it is read as a whole by who looks for something.
            return self.add_closed(name);
        }
        if self.limits.compress {
            let size =
                [&raw, &raw_index].iter().filter_map(|path| fs::metadata(path).ok()).map(|data| data.len()).sum();
            // Both are there until the one is finished, which may not become smaller.
            self.make_room_beside(size, size);
            match self.compress(&name, &raw, chunks) {
                Ok(()) => self.remove(&name, &[Kind::Raw, Kind::RawIndex]),
                Err(error) => {
                    self.trouble = Some(error);
                    self.remove(&name, &[Kind::Compressed, Kind::CompressedIndex, Kind::Part]);
                }
            }
        }
        self.add_closed(name);
    }

    fn compress(&self, name: &Name, raw: &Path, chunks: Vec<Chunk>) -> io::Result<()> {
        let part = name.path(&self.path, Kind::Part);
        let mut data = File::open(raw)?;
        let mut out = private(&part)?;
        let packed = zstd::bulk::compress(&head(), LEVEL)?;
        out.write_all(&packed)?;
        let (mut at, mut records) = (packed.len() as u64, Vec::new());
        let mut chunks = chunks.into_iter().peekable();
        while let Some(mut chunk) = chunks.next() {
            let from = chunk.offset;
            while let Some(next) = chunks.next_if(|next| chunk.raw + next.raw <= PACKED) {
                chunk.join(next);
            }
            let mut bytes = vec![0; chunk.raw as usize];
            data.seek(SeekFrom::Start(from))?;
            data.read_exact(&mut bytes)?;
            let packed = zstd::bulk::compress(&bytes, LEVEL)?;
            out.write_all(&packed)?;
            (chunk.offset, chunk.len) = (at, packed.len() as u64);
            at += chunk.len;
            chunk.put(&mut records);
        }
        let index = name.path(&self.path, Kind::CompressedIndex);
        let index_part = self.path.join(format!("{}.part", file_name(&index)));
        let mut index_out = private(&index_part)?;
        index_out.write_all(&[&index::CLOSED[..], &zstd::bulk::compress(&records, LEVEL)?].concat())?;
        // Before the raw file goes.
        index_out.sync_all()?;
        out.sync_all()?;
        fs::rename(index_part, index)?;
        fs::rename(part, name.path(&self.path, Kind::Compressed))
    }

    fn add_closed(&mut self, name: Name) {
        let kinds = [Kind::Raw, Kind::RawIndex, Kind::Compressed, Kind::CompressedIndex];
        let sizes = kinds.iter().filter_map(|kind| fs::metadata(name.path(&self.path, *kind)).ok());
        let size = sizes.map(|data| data.len()).sum();
        self.closed.push_back(Closed { name, size });
    }

    /// Deletes the oldest until so many bytes and files more are within the limits.
    fn make_room(&mut self, bytes: u64, files: usize) {
        let open = self.open.as_ref().map_or(0, |open| open.written.iter().sum());
        self.make_room_beside(open, bytes);
        let open = usize::from(self.open.is_some());
        while self.closed.len() + open + files > self.limits.max_files && self.delete_oldest() {}
    }

    fn make_room_beside(&mut self, open: u64, bytes: u64) {
        let total = |closed: &VecDeque<Closed>| closed.iter().map(|closed| closed.size).sum::<u64>();
        while total(&self.closed) + open + bytes > self.limits.max_total_size && self.delete_oldest() {}
    }

    fn delete_oldest(&mut self) -> bool {
        let Some(Closed { name, .. }) = self.closed.pop_front() else { return false };
        self.remove(&name, &[Kind::Raw, Kind::RawIndex, Kind::Compressed, Kind::CompressedIndex]);
        self.counts.deleted += 1;
        true
    }

    fn remove(&self, name: &Name, kinds: &[Kind]) {
        // What is not there need not be removed; what cannot be is found again at the next start.
        kinds.iter().for_each(|kind| _ = fs::remove_file(name.path(&self.path, *kind)));
    }
}

impl Open {
    /// What the index says of what is to be written next.
    fn record(&mut self) -> Vec<u8> {
        let len = self.bytes.len() as u64;
        (self.chunk.offset, self.chunk.len, self.chunk.raw) = (self.written[0], len, len);
        let mut record = Vec::new();
        self.chunk.put(&mut record);
        record
    }

    /// Writes it, or leaves both files as they were.
    fn write(&mut self, record: &[u8]) -> io::Result<()> {
        let [data, index] = self.written;
        let written = self.data.write_all(&self.bytes).and_then(|()| self.index.write_all(record));
        if written.is_err() {
            for (file, len) in [(&mut self.data, data), (&mut self.index, index)] {
                file.set_len(len)?;
                file.seek(SeekFrom::Start(len))?;
            }
            return written;
        }
        self.written = [data + self.bytes.len() as u64, index + record.len() as u64];
        Ok(())
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.chunk = Chunk::default();
        self.messages = 0;
    }
}

/// The chunks of a file that are whole; what is behind them is cut off.
fn whole(raw: &Path, index: &Path) -> io::Result<Vec<Chunk>> {
    let len = fs::metadata(raw)?.len();
    let (mut chunks, mut end) = (Vec::new(), head().len() as u64);
    index::chunks(&fs::read(index)?, |chunk| {
        if chunk.offset == end && chunk.len == chunk.raw && len - end >= chunk.len {
            end += chunk.len;
            chunks.push(chunk);
        }
    })?;
    if end < len {
        OpenOptions::new().write(true).open(raw)?.set_len(end)?;
    }
    Ok(chunks)
}

/// What each file begins with: an interface for each transport, so that it can be told.
pub(crate) fn head() -> Vec<u8> {
    let mut head = pcapng::section("recorded by ringside");
    TRANSPORTS.iter().for_each(|transport| head.extend(pcapng::interface(RAW_IP, Some(transport.as_str()))));
    head
}

pub(crate) fn interface_of(transport: Transport) -> u32 {
    TRANSPORTS.iter().position(|known| *known == transport).unwrap_or(0) as u32
}

/// The transport of what came in by an interface; `None` where there is none.
pub(crate) fn transport_of(interface: u32) -> Option<Transport> {
    TRANSPORTS.get(interface as usize).copied()
}

/// A time as people are shown it.
fn shown(at: Timestamp, frame: &SipFrame) -> Timestamp {
    Timestamp::from_nanos(at.as_nanos().saturating_add_signed(frame.wall_offset))
}

/// A new file that nobody else may read: it holds whom people called.
fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(PRIVATE).open(path)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

const TRANSPORTS: [Transport; 5] = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];
/// Link type of packets of IP alone.
const RAW_IP: u16 = 101;
/// Mode of files.
const PRIVATE: u32 = 0o600;
/// Keeps two programs from writing to one folder.
const LOCK: &str = "ringside.lock";
/// What is put is written after so long at most.
const FLUSH: Duration = Duration::from_secs(1);
/// What waits is written at once when it is so much.
const CHUNK: usize = 256 * 1024;
/// So much of a compressed file is packed by itself: a reader unpacks that for one message of it.
const PACKED: u64 = 1024 * 1024;
/// Of zstd: fast, and a fourth in size of what SIP is.
const LEVEL: i32 = 1;
