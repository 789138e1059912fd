//! What survives the daemon: numbers, what was commanded, the key of the cluster; and the lock that keeps a second one out.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use affinity::Key;
use config::file;
use serde::{Deserialize, Serialize};

use crate::director::{Numbers, Overrides};
use crate::discovery::Said;

/// The folder of a daemon that runs.
#[derive(Debug)]
pub struct StateDir {
    folder: PathBuf,
    /// Held for as long as the daemon runs.
    _lock: File,
}

/// What is kept of a director.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Kept {
    /// Who has which number.
    pub numbers: Numbers,
    /// What was commanded.
    pub overrides: Overrides,
    /// What discovery files said.
    pub found: Said,
}

/// Why the folder cannot be used. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another daemon has it.
    #[error("another ringside-steer runs with {0}: stop it, or give this one a `state_dir` and a `pin_dir` of its own")]
    Locked(PathBuf),
    /// A file in it cannot be read or written.
    #[error("{path} cannot be used: let user ringside-steer read and write there")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Largest file, in bytes: 1,024 backends with the longest names are a third of it, numbers and what was found together.
const LARGEST: u64 = 4 << 20;

impl StateDir {
    /// Takes the folder, which is made where there is none.
    pub fn open(folder: &Path) -> Result<Self, StateError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| StateError::File { path, source }
        };
        std::fs::create_dir_all(folder).map_err(at(folder))?;
        let path = folder.join("lock");
        let lock =
            File::options().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(at(&path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder: folder.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StateError::Locked(folder.to_owned())),
            Err(TryLockError::Error(error)) => Err(at(&path)(error)),
        }
    }

    /// What was kept; nothing where there is nothing, or where it cannot be understood, which is told.
    pub fn load(&self) -> Result<(Kept, Option<String>), StateError> {
        let path = self.folder.join(KEPT);
        match file::read(&path, LARGEST) {
            Ok(text) => Ok(match serde_json::from_str(&text) {
                Ok(kept) => (kept, None),
                Err(error) => {
                    (Kept::default(), Some(format!("{} is not understood and begun anew: {error}", path.display())))
                }
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((Kept::default(), None)),
            Err(source) => Err(StateError::File { path, source }),
        }
    }

    /// Keeps it: whole, or as it was.
    pub fn save(&self, kept: &Kept) -> Result<(), StateError> {
        let text = serde_json::to_string_pretty(kept).expect("text and numbers can be written as JSON");
        self.write(KEPT, &text)
    }

    /// The key of the cluster where none is configured: the one that was made before, or a new one.
    pub fn key(&self) -> Result<Key, StateError> {
        let path = self.folder.join(KEY);
        match file::read(&path, LARGEST) {
            Ok(text) => {
                let number = u128::from_str_radix(text.trim(), 16).map_err(io::Error::other);
                number.map(|number| Key::new(number.to_be_bytes())).map_err(|source| StateError::File { path, source })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut bytes = [0; 16];
                getrandom::fill(&mut bytes)
                    .map_err(|error| StateError::File { path, source: io::Error::other(error) })?;
                self.write(KEY, &format!("{:032x}\n", u128::from_be_bytes(bytes)))?;
                Ok(Key::new(bytes))
            }
            Err(source) => Err(StateError::File { path, source }),
        }
    }

    fn write(&self, name: &str, text: &str) -> Result<(), StateError> {
        let (path, beside) = (self.folder.join(name), self.folder.join(format!("{name}.new")));
        let written = || -> io::Result<()> {
            let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&beside, &path)
        };
        written().map_err(|source| StateError::File { path: path.clone(), source })
    }
}

const KEPT: &str = "state.json";
const KEY: &str = "cluster_key";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_kept_out_until_the_first_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = StateDir::open(&folder.path().join("state")).expect("nobody has it");
        let second = StateDir::open(&folder.path().join("state")).expect_err("it is taken");
        assert!(matches!(second, StateError::Locked(_)), "{second}");
        drop(first);
        assert!(StateDir::open(&folder.path().join("state")).is_ok());
    }

    #[test]
    fn what_is_kept_and_the_key_are_there_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::open(folder.path()).expect("nobody has it");
        assert_eq!(state.load().expect("it can be read"), (Kept::default(), None));
        let key = state.key().expect("one is made");
        let kept: Kept =
            serde_json::from_str(r#"{ "numbers": { "services": { "s": 3 }, "backends": {} } }"#).expect("it is right");
        state.save(&kept).expect("it can be written");
        assert_eq!(state.load().expect("it can be read"), (kept, None));
        assert!(state.key().expect("it is there") == key && key != Key::default());
        std::fs::write(folder.path().join(KEPT), "{").expect("it can be written");
        let (kept, told) = state.load().expect("it can be read");
        assert!(kept == Kept::default() && told.is_some_and(|told| told.contains("begun anew")));
    }
}
