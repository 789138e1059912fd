//! The queue on disk: a file for each request that waits, in a folder of the exporter's own.
//!
//! A file is written under another name and then renamed, holds a digest of itself, and goes when the fate of its request is
//! known. So whatever ends the program, what stands under a proper name is whole, or is found not to be and left out.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::body::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::config::{Compression, Protocol};
use super::super::payload::Signal;

/// The folder of one exporter.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    next: AtomicU64,
    /// Requests that a sender of this run has, waiting or on their way.
    held: Mutex<HashSet<u64>>,
    /// Nobody else writes here while it is open.
    _lock: File,
}

/// What is known of a request without its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) signal: Signal,
    pub(super) protocol: Protocol,
    pub(super) compression: Compression,
    pub(super) items: u64,
    pub(super) important: bool,
}

/// A request that an earlier run left.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) number: u64,
    pub(super) head: Head,
    /// Of its body.
    pub(super) bytes: usize,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be made, read or written.
    #[error("{0:?} cannot be used: {1}")]
    Folder(PathBuf, io::Error),
    /// Another program has it.
    #[error("{0:?} is in use by another ringside")]
    InUse(PathBuf),
}

impl Store {
    /// Opens a folder, and makes it where it is not there.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let wrong = |error| StoreError::Folder(folder.to_owned(), error);
        // Calls are in it: for this user alone.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(wrong)?;
        let lock = own_file().truncate(false).create(true).open(folder.join("lock")).map_err(wrong)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(folder.to_owned())),
            Err(TryLockError::Error(error)) => return Err(wrong(error)),
        }
        let numbers = numbers(folder, REQUEST).map_err(wrong)?;
        for number in self::numbers(folder, NEW).map_err(wrong)? {
            // Half written when the last run ended.
            let _ = fs::remove_file(folder.join(format!("{number:020}.{NEW}")));
        }
        let next = AtomicU64::new(numbers.last().map_or(0, |last| last.saturating_add(1)));
        Ok(Self { folder: folder.to_owned(), next, held: Mutex::default(), _lock: lock })
    }

    /// What no sender of this run has, the oldest first: it is the caller's from now on. And how many files were broken;
    /// these are removed. Bodies are not read.
    pub(super) fn left(&self) -> (Vec<Left>, u64) {
        let (mut left, mut broken) = (Vec::new(), 0);
        for number in numbers(&self.folder, REQUEST).unwrap_or_default() {
            if !self.held().insert(number) {
                continue;
            }
            match self.look(number) {
                Ok((head, bytes)) => left.push(Left { number, head, bytes }),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    broken += 1;
                    self.remove(number);
                }
                // It may be read another time.
                Err(_) => self.release(number),
            }
        }
        (left, broken)
    }

    /// The sender gives a request up to the next one, or to the next run.
    pub(super) fn release(&self, number: u64) {
        self.held().remove(&number);
    }

    fn held(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Head, and length of the body, which is not read.
    fn look(&self, number: u64) -> io::Result<(Head, usize)> {
        let mut file = File::open(self.path(number, REQUEST))?;
        let mut start = [0; DIGEST + LENGTH];
        file.read_exact(&mut start).map_err(cut)?;
        let length = u32::from_be_bytes(*start.last_chunk().expect("its length is there")) as usize;
        let rest = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX).checked_sub(start.len() + length);
        let bytes = rest.ok_or_else(broken)?;
        let mut head = vec![0; length];
        file.read_exact(&mut head).map_err(cut)?;
        Ok((serde_json::from_slice(&head).map_err(|_| broken())?, bytes))
    }

    /// Writes a request, and says under which number.
    pub(super) fn put(&self, head: &Head, body: &[u8]) -> io::Result<u64> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.held().insert(number);
        let head = serde_json::to_vec(head).expect("words and numbers can be written as JSON");
        let length = u32::try_from(head.len()).expect("a head is short").to_be_bytes();
        let content = [&length[..], &head, body].concat();
        let content = [&Sha256::digest(&content)[..], &content].concat();
        let (new, whole) = (self.path(number, NEW), self.path(number, REQUEST));
        let file = own_file().create_new(true).open(&new);
        let written = file.and_then(|mut file| file.write_all(&content)).and_then(|()| fs::rename(&new, whole));
        if written.is_err() {
            let _ = fs::remove_file(new);
            self.release(number);
        }
        written.map(|()| number)
    }

    /// Head and body of a request.
    pub(super) fn read(&self, number: u64) -> io::Result<(Head, Bytes)> {
        let content = Bytes::from(fs::read(self.path(number, REQUEST))?);
        let (digest, rest) = content.split_first_chunk::<DIGEST>().ok_or_else(broken)?;
        if *digest != <[u8; DIGEST]>::from(Sha256::digest(rest)) {
            return Err(broken());
        }
        let (length, rest) = rest.split_first_chunk::<LENGTH>().ok_or_else(broken)?;
        let (head, body) = rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(broken)?;
        let head = serde_json::from_slice(head).map_err(|_| broken())?;
        Ok((head, content.slice_ref(body)))
    }

    /// The fate of a request is known.
    pub(super) fn remove(&self, number: u64) {
        self.release(number);
        if let Err(error) = fs::remove_file(self.path(number, REQUEST)) {
            tracing::warn!(%error, "a request that was sent stays on disk, and may be sent again after a restart");
        }
    }

    fn path(&self, number: u64, kind: &str) -> PathBuf {
        self.folder.join(format!("{number:020}.{kind}"))
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not as it was written")
}

fn cut(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof { broken() } else { error }
}

/// For this user alone.
fn own_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

/// The numbers of files of this kind, ascending. Others are left alone.
fn numbers(folder: &Path, kind: &str) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_suffix(kind)?.strip_suffix('.'));
        let digits = digits.filter(|digits| digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit()));
        let number: Option<u64> = digits.and_then(|digits| digits.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// SHA-256 of what follows it.
const DIGEST: usize = 32;
/// The length of the head.
const LENGTH: usize = 4;
/// Of a number in the name of a file.
const DIGITS: usize = 20;
/// How files of whole requests end.
const REQUEST: &str = "request";
/// How files that are being written end.
const NEW: &str = "new";

#[cfg(test)]
mod tests {
    use super::*;

    fn head(items: u64) -> Head {
        let (protocol, compression) = (Protocol::Grpc, Compression::Gzip);
        Head { signal: Signal::Traces, protocol, compression, items, important: items.is_multiple_of(2) }
    }

    #[test]
    fn what_was_put_is_there_after_a_restart_in_its_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("a/b");
        let store = Store::open(&folder).expect("it can be made");
        for items in 0..3 {
            store.put(&head(items), &vec![items as u8; 1000]).expect("there is room");
        }
        store.remove(1);
        assert!(matches!(Store::open(&folder), Err(StoreError::InUse(_))));
        drop(store);
        let store = Store::open(&folder).expect("nobody has it");
        let (left, broken) = store.left();
        assert_eq!(
            left.iter().map(|left| (left.number, left.head.items, left.bytes)).collect::<Vec<_>>(),
            [(0, 0, 1000), (2, 2, 1000)]
        );
        assert_eq!(broken, 0);
        assert_eq!(store.read(2).expect("it is whole"), (head(2), vec![2; 1000].into()));
        assert_eq!(store.put(&head(3), b"").expect("there is room"), 3, "after the last one");
    }

    #[test]
    fn what_is_cut_or_changed_is_left_out_and_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("it can be used");
        for items in 0..4 {
            store.put(&head(items), b"a request").expect("there is room");
        }
        let path = |number: u64| folder.path().join(format!("{number:020}.{REQUEST}"));
        let whole = fs::read(path(0)).expect("it is there");
        fs::write(path(0), &whole[..whole.len() - 1]).expect("cut");
        fs::write(path(1), b"").expect("emptied");
        let mut changed = fs::read(path(2)).expect("it is there");
        *changed.last_mut().expect("bytes") ^= 1;
        fs::write(path(2), changed).expect("changed");
        fs::write(store.path(9, NEW), b"half").expect("half written");
        drop(store);
        let store = Store::open(folder.path()).expect("it can be used");
        fs::write(folder.path().join("of-somebody-else"), b"x").expect("another file");
        let (left, broken) = store.left();
        // Heads are looked at now, bodies when they are sent.
        assert_eq!((left.iter().map(|left| left.number).collect::<Vec<_>>(), broken), (vec![0, 2, 3], 1));
        for number in [0, 2] {
            assert_eq!(store.read(number).expect_err("it is not whole").kind(), io::ErrorKind::InvalidData);
            store.remove(number);
        }
        assert!(store.left().0.is_empty(), "they are ours");
        store.release(3);
        assert_eq!(store.left().0.len(), 1, "and now they are not");
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .expect("it is there")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        names.sort();
        assert_eq!(names, [&*format!("{:020}.request", 3), "lock", "of-somebody-else"]);
    }
}
