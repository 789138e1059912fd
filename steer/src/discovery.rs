//! Backends that come from files: which files there are, what they said last, what is wrong with them.
//!
//! A file that cannot be read or is wrong changes nothing: what it said before goes on to hold, and the mistake is counted
//! and told, also after another start. A file that is gone says nothing any more. Two forms are read: Prometheus' `file_sd` (`file_sd.rs`) and what
//! `kubectl get endpointslices -o json` prints (`slices.rs`).

mod file_sd;
mod slices;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use affinity::steer::MAX_BACKENDS;
use config::file;
use glob::Pattern;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::config::{Backend, LONGEST_NAME, MATCHING, MOST_WEIGHT, inside};

/// Largest file, in bytes.
pub const LARGEST: u64 = 1 << 20;

/// Most files.
pub const MOST_FILES: usize = 256;

/// A backend of a service, as a file names it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Found {
    /// Name of its service.
    pub service: String,
    /// The backend.
    pub backend: Backend,
}

/// What holds for everything that files say.
#[derive(Clone, Copy, Debug)]
pub struct Bounds<'a> {
    /// Names of the services there are.
    pub services: &'a [String],
    /// Where backends may lie.
    pub allowed: &'a [IpNet],
    /// The name of this node.
    pub node: &'a str,
}

/// The files and what they said.
#[derive(Debug, Default)]
pub struct Discovery {
    files: BTreeMap<PathBuf, File>,
    /// Until when files may be missing that a daemon before read; set by the first look.
    recalled_until: Option<u64>,
}

#[derive(Debug, Default)]
struct File {
    /// When it was changed last, and its length, as of the last look.
    seen: Option<(SystemTime, u64)>,
    /// What it said when it was last right.
    found: Vec<Found>,
    wrong: Option<String>,
    /// A daemon before read it, and this one has not yet.
    is_recalled: bool,
}

/// How long a file may be missing after a start, in ns: the sidecar that writes it starts beside. What it said holds so long.
const RECALLED: u64 = 60_000_000_000;

/// What each file said when it was last right.
pub type Said = BTreeMap<PathBuf, Vec<Found>>;

/// What a look at the files came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Something else holds than before.
    pub changed: bool,
    /// Files that are wrong now and were not, or in another way: path and mistake.
    pub wrong: Vec<(PathBuf, String)>,
}

impl Discovery {
    /// What a daemon before knew: of files that are wrong now it goes on to hold, of those that are not there for a while.
    pub fn recall(said: Said) -> Self {
        let file = |found| File { found, is_recalled: true, ..File::default() };
        Self { files: said.into_iter().map(|(path, found)| (path, file(found))).collect(), recalled_until: None }
    }

    /// What each file said when it was last right, if that is something else than this.
    pub fn said(&self, other: &Said) -> Option<Said> {
        let same = self.files.len() == other.len()
            && self.files.iter().zip(other).all(|(ours, theirs)| (ours.0, &ours.1.found) == theirs);
        let said = || self.files.iter().map(|(path, file)| (path.clone(), file.found.clone())).collect();
        (!same).then(said)
    }

    /// Looks at all files of these patterns. One that was not written to since is not read again unless `anew`.
    /// `now`: CLOCK_MONOTONIC in ns.
    pub fn look(&mut self, patterns: &[Pattern], bounds: &Bounds<'_>, anew: bool, now: u64) -> Look {
        let mut look = Look::default();
        let paths = paths(patterns);
        let before = self.files.len();
        let is_early = now < *self.recalled_until.get_or_insert(now + RECALLED);
        // Of a folder that cannot be listed nothing is known; what its files said goes on to hold.
        self.files.retain(|path, file| paths.contains(path) || !is_gone(path) || (file.is_recalled && is_early));
        look.changed |= self.files.len() != before;
        for path in paths.into_iter().take(MOST_FILES) {
            let file = self.files.entry(path.clone()).or_default();
            let seen = fs::metadata(&path).and_then(|data| Ok((data.modified()?, data.len()))).ok();
            if seen.is_some() && seen == file.seen && !anew {
                continue;
            }
            file.seen = seen;
            match read(&path, bounds) {
                Ok(found) => {
                    look.changed |= found != file.found;
                    (file.found, file.wrong, file.is_recalled) = (found, None, false);
                }
                Err(wrong) => {
                    if file.wrong.as_ref() != Some(&wrong) || anew {
                        look.wrong.push((path, wrong.clone()));
                    }
                    file.wrong = Some(wrong);
                }
            }
        }
        look
    }

    /// Everything that files say, in the order of their paths.
    pub fn found(&self) -> impl Iterator<Item = &Found> {
        self.files.values().flat_map(|file| &file.found)
    }

    /// Files that are wrong, with their mistakes.
    pub fn wrong(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.files.iter().filter_map(|(path, file)| Some((path.as_path(), file.wrong.as_deref()?)))
    }
}

/// The folders that these patterns look into.
pub fn folders(patterns: &[Pattern]) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        patterns.iter().filter_map(|pattern| Some(Path::new(pattern.as_str()).parent()?.to_owned())).collect();
    folders.sort();
    folders.dedup();
    folders
}

fn paths(patterns: &[Pattern]) -> Vec<PathBuf> {
    let entries = folders(patterns).into_iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| patterns.iter().any(|pattern| pattern.matches_path_with(path, MATCHING))).collect();
    paths.sort();
    paths
}

fn is_gone(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// What a file says; errs with what is wrong and what to do.
fn read(path: &Path, bounds: &Bounds<'_>) -> Result<Vec<Found>, String> {
    let text = file::read(path, LARGEST).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => "it is larger than 1 MiB: name fewer backends, or other labels".to_owned(),
        io::ErrorKind::InvalidData => "it is no UTF-8 text: write it as such".to_owned(),
        _ => format!("it cannot be read ({error}): let user ringside-steer read it"),
    })?;
    parse(&text, bounds)
}

/// What a text says, in either form.
pub fn parse(text: &str, bounds: &Bounds<'_>) -> Result<Vec<Found>, String> {
    let is_list = text.trim_start().starts_with('[');
    let found = if is_list { file_sd::parse(text, bounds)? } else { slices::parse(text, bounds)? };
    if found.len() > usize::from(MAX_BACKENDS) {
        return Err(format!("it names {} backends, and {MAX_BACKENDS} are the most: name fewer", found.len()));
    }
    let mut taken: Vec<SocketAddr> = found.iter().flat_map(|one| one.backend.addresses.clone()).collect();
    taken.sort();
    match taken.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("{} stands for two backends: give each an address of its own", pair[0])),
        None => Ok(found),
    }
}

/// Adds an address to the backend of that name, which is made where there is none yet.
fn add(found: &mut Vec<Found>, service: &str, backend: Backend) -> Result<(), String> {
    let same = |one: &&mut Found| one.service == service && one.backend.name == backend.name;
    let Some(known) = found.iter_mut().find(same) else {
        found.push(Found { service: service.to_owned(), backend });
        return Ok(());
    };
    for address in backend.addresses {
        if known.backend.addresses.iter().any(|other| other.is_ipv4() == address.is_ipv4()) {
            let name = &known.backend.name;
            return Err(format!(
                "backend {name:?} has two addresses of one family: give each address a backend of its own"
            ));
        }
        known.backend.addresses.push(address);
    }
    Ok(())
}

/// An address that a backend may have.
fn allowed(address: SocketAddr, bounds: &Bounds<'_>) -> Result<SocketAddr, String> {
    match address.port() != 0 && inside(bounds.allowed, address.ip()) {
        true => Ok(address),
        false => {
            Err(format!("{address} is in none of `allowed_backends`: add its network there if it is one of yours"))
        }
    }
}

/// A name that may be a label.
fn named(name: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    match (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(fits) {
        true => Ok(name.to_owned()),
        false => {
            Err(format!("a backend has a name that is none: use 1 to {LONGEST_NAME} letters, digits and any of `_-.`"))
        }
    }
}

fn weighed(weight: u32) -> Result<u32, String> {
    match weight <= MOST_WEIGHT {
        true => Ok(weight),
        false => Err(format!("a weight of {weight} is not between 0 and {MOST_WEIGHT}: 100 is the default")),
    }
}

fn no_json(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Data => {
            format!("line {line}, column {column} is not of the form that is read: docs/steering.md shows both forms")
        }
        _ => format!("line {line}, column {column} is no JSON: write the file beside and rename it over"),
    }
}

#[cfg(test)]
mod tests;
