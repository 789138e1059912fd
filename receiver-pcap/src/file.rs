//! One capture file: a path or a stream in, its packets out in the order in which they stand there.
//!
//! Which format it is, and whether it is compressed, is told by its first bytes. Nothing is sought, so a pipe is as
//! good as a file. Written by hand rather than on the crate pcap-file 2.0.0: that one refuses packets the capture cut
//! (their original length is above the snap length), ignores `if_tsresol`, allocates for every pcapng packet with
//! options, and has no bound of its own.

use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use wire::Packet;

use crate::buffer::Buffer;
use crate::follow::{Following, Patience};
use crate::format::{Damage, Head, Next};
use crate::pcap::Pcap;
use crate::pcapng::PcapNg;
use crate::unwrap::{Inner, unwrap};

/// The name of standard input.
pub(crate) const STDIN: &str = "-";

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// A frame of zstd that wants more than 128 MiB to be read is refused.
const MAX_WINDOW: u32 = 27;

/// A capture that is being read.
pub struct Capture {
    buffer: Buffer,
    format: Format,
    head: Option<Head>,
    /// The packet of a link type that wraps another.
    inner: Option<Inner>,
    damage: Option<Damage>,
    compressed: bool,
}

enum Format {
    Pcap(Pcap),
    PcapNg(PcapNg),
    /// The file ends within its header.
    Nothing,
}

/// Why a file is of no use at all.
#[derive(Debug, thiserror::Error)]
pub enum NotUsable {
    /// It cannot be opened or read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It begins with something else.
    #[error("it is neither pcap nor pcapng")]
    NoCapture,
}

impl Capture {
    /// Begins to read a capture; `count` hears of every byte read of the file, before it is uncompressed.
    pub fn open(path: &Path, count: impl FnMut(usize) + Send + 'static) -> Result<Self, NotUsable> {
        let input: Box<dyn Read + Send> = match path.to_str() {
            Some(STDIN) => Box::new(io::stdin()),
            _ => Box::new(std::fs::File::open(path)?),
        };
        Self::new(Counting { input, count })
    }

    /// The same of one that is still being written, or of a pipe: where [`Capture::advance`] fails with `WouldBlock`, more may come.
    /// One that is compressed is waited for.
    pub(crate) fn follow(
        path: &Path,
        patience: &Patience,
        count: impl FnMut(usize) + Send + 'static,
    ) -> Result<Self, NotUsable> {
        patience.set(true);
        let input = Following::open(path, patience.clone())?;
        Self::new(Counting { input, count })
    }

    /// Whether it is compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// Begins to read a capture from any stream.
    pub fn new(mut input: impl Read + Send + 'static) -> Result<Self, NotUsable> {
        let mut start = Vec::with_capacity(ZSTD.len());
        input.by_ref().take(ZSTD.len() as u64).read_to_end(&mut start)?;
        let (is_gzip, is_zstd) = (start.starts_with(&GZIP), start == ZSTD);
        let input = io::Cursor::new(start).chain(input);
        let input: Box<dyn Read + Send> = match (is_gzip, is_zstd) {
            (true, _) => Box::new(MultiGzDecoder::new(BufReader::with_capacity(64 * 1024, input))),
            (_, true) => {
                let mut decoder = zstd::Decoder::new(input)?;
                decoder.window_log_max(MAX_WINDOW)?;
                Box::new(Zstd(decoder))
            }
            _ => Box::new(input),
        };
        let mut buffer = Buffer::new(input);
        let magic = match buffer.peek::<4>() {
            Ok(magic) => *magic.ok_or(NotUsable::NoCapture)?,
            Err(error) if is_damage(&error) => return Err(NotUsable::NoCapture),
            Err(error) => return Err(error.into()),
        };
        let mut damage = None;
        let format = if PcapNg::recognise(magic) {
            Format::PcapNg(PcapNg::default())
        } else if let Some((order, nanos_per_unit)) = Pcap::recognise(magic) {
            match Pcap::open(order, nanos_per_unit, &mut buffer) {
                Ok(Some(pcap)) => Format::Pcap(pcap),
                Ok(None) => {
                    damage = Some(Damage::Cut);
                    Format::Nothing
                }
                Err(error) if is_damage(&error) => {
                    damage = Some(Damage::Compression);
                    Format::Nothing
                }
                Err(error) => return Err(error.into()),
            }
        } else {
            return Err(NotUsable::NoCapture);
        };
        Ok(Self { buffer, format, head: None, inner: None, damage, compressed: is_gzip || is_zstd })
    }

    /// Goes to the next packet; `false` at the end, or where the file is damaged. An error is one of the system.
    #[inline(always)]
    pub fn advance(&mut self) -> io::Result<bool> {
        self.head = None;
        if self.damage.is_some() {
            return Ok(false);
        }
        let next = match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.buffer),
            Format::PcapNg(pcapng) => pcapng.next(&mut self.buffer),
            Format::Nothing => Ok(Next::End),
        };
        match next {
            Ok(Next::Packet(head)) => {
                self.head = Some(head);
                let bytes = || &self.buffer.rest()[..head.len];
                self.inner = if head.link.is_none() { unwrap(head.link_type, bytes()) } else { None };
            }
            Ok(Next::End) => self.format = Format::Nothing,
            Ok(Next::Damaged(damage)) => self.damage = Some(damage),
            Err(error) if is_damage(&error) => self.damage = Some(Damage::Compression),
            Err(error) => return Err(error),
        }
        Ok(self.head.is_some())
    }

    /// The packet [`Capture::advance`] went to. One of a link type that is not read comes as a network layer that
    /// is not IP, so that it only moves the clock.
    #[inline(always)]
    pub fn packet(&self) -> Option<Packet<'_>> {
        let head = self.head?;
        Some(head.packet(&self.buffer.rest()[..head.len], self.inner.as_ref()))
    }

    /// The same with all that stands before it.
    pub(crate) fn whole(&self) -> Option<Packet<'_>> {
        let head = self.head?;
        Some(head.packet(&self.buffer.rest()[..head.len], None))
    }

    /// The packet within it, where its link type wraps another.
    pub(crate) fn inner(&self) -> Option<&Inner> {
        self.inner.as_ref()
    }

    /// So many interfaces were described until now; 1 of a classic file.
    pub(crate) fn interfaces(&self) -> usize {
        match &self.format {
            Format::PcapNg(pcapng) => pcapng.interfaces(),
            Format::Pcap(_) | Format::Nothing => 1,
        }
    }

    /// Nobody knows what the packet is.
    pub(crate) fn is_unread(&self) -> bool {
        self.inner.is_none() && self.head.is_some_and(|head| head.link.is_none())
    }

    /// The same without its bytes.
    pub(crate) fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// What was wrong with the file, once [`Capture::advance`] found its end.
    pub fn damage(&self) -> Option<impl std::error::Error + use<>> {
        self.damage
    }
}

/// Whether an error comes from what is in the file rather than from reading it.
fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof)
}

/// A reader whose errors are those of damage where they are not those of the system, as with gzip.
struct Zstd<R: io::BufRead>(zstd::Decoder<'static, R>);

impl<R: io::BufRead> Read for Zstd<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let of_format = |error: io::Error| match error.kind() {
            io::ErrorKind::Other => io::Error::new(io::ErrorKind::InvalidData, error),
            _ => error,
        };
        self.0.read(into).map_err(of_format)
    }
}

/// A reader that tells how much was read.
struct Counting<R, F> {
    input: R,
    count: F,
}

impl<R: Read, F: FnMut(usize)> Read for Counting<R, F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(into)?;
        (self.count)(read);
        Ok(read)
    }
}
