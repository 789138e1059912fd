//! A file that is still being written, or a pipe: bytes as they come, and [`ErrorKind::WouldBlock`] while none do.
//!
//! So whoever reads can look at what is there already. A pipe is read on a thread of its own; a file that is at its end is
//! looked at again when it is asked for more.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use crate::file::STDIN;

/// Bytes as they come.
pub(crate) struct Following {
    source: Source,
    patience: Patience,
}

/// Whether its reader waits for bytes as long as it takes.
#[derive(Clone, Default)]
pub(crate) struct Patience(Arc<AtomicBool>);

impl Patience {
    pub fn set(&self, patient: bool) {
        self.0.store(patient, Ordering::Relaxed);
    }

    fn is_there(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

enum Source {
    File(File),
    Pipe { chunks: Receiver<io::Result<Vec<u8>>>, chunk: io::Cursor<Vec<u8>> },
}

impl Following {
    /// Opens a file, or takes standard input.
    pub fn open(path: &Path, patience: Patience) -> io::Result<Self> {
        let source = match path.to_str() {
            Some(STDIN) => Source::pipe(io::stdin())?,
            _ => Source::File(File::open(path)?),
        };
        Ok(Self { source, patience })
    }
}

impl Source {
    fn pipe(mut input: impl Read + Send + 'static) -> io::Result<Self> {
        let (sender, chunks) = sync_channel(CHUNKS);
        let read = move || {
            loop {
                let mut chunk = vec![0; CHUNK];
                let read = match input.read(&mut chunk) {
                    Ok(0) => return,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    read => read,
                };
                let over = read.is_err();
                let read = read.map(|len| {
                    chunk.truncate(len);
                    chunk
                });
                if sender.send(read).is_err() || over {
                    return;
                }
            }
        };
        thread::Builder::new().name("pipe".to_owned()).spawn(read)?;
        Ok(Self::Pipe { chunks, chunk: io::Cursor::default() })
    }

    /// Some bytes; 0 at the end; `None` while there are none.
    fn read(&mut self, into: &mut [u8]) -> io::Result<Option<usize>> {
        match self {
            Self::File(file) => {
                let read = file.read(into)?;
                if read == 0 {
                    thread::sleep(PAUSE);
                }
                Ok((read > 0).then_some(read))
            }
            Self::Pipe { chunks, chunk } => {
                let read = chunk.read(into)?;
                if read > 0 {
                    return Ok(Some(read));
                }
                match chunks.recv_timeout(PAUSE) {
                    Ok(next) => *chunk = io::Cursor::new(next?),
                    Err(RecvTimeoutError::Timeout) => return Ok(None),
                    Err(RecvTimeoutError::Disconnected) => return Ok(Some(0)),
                }
                chunk.read(into).map(Some)
            }
        }
    }
}

impl Read for Following {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(read) = self.source.read(into)? {
                return Ok(read);
            }
            if !self.patience.is_there() {
                return Err(ErrorKind::WouldBlock.into());
            }
        }
    }
}

/// How long is waited for bytes before those who wait are told that there are none.
const PAUSE: Duration = Duration::from_millis(20);
/// Bytes read of a pipe at once, and so often before who reads them is waited for.
const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 4;
