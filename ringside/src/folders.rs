//! Folders of recordings in place of capture files: all that is in them, or by their indexes only what may be asked for.
//!
//! What is selected is put into a capture of its own that has no name, so that nothing is left of it however this ends. It may
//! hold calls that are not wanted: who asked decides. Where it would be larger than [`MOST_SELECTED`], the folder's files are
//! read instead, all of them.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use call_filter::{Filter, Parties};
use config::Node;
use config::node::Value;
use engine::Catalogue;
use recordings::Known;
use wire::Timestamp;

use crate::cli::{Captures, Period};
use crate::failure::Failure;
use crate::settings;

/// What is asked for, as far as an index knows it.
#[derive(Clone, Debug, Default)]
pub struct Asked<'a> {
    /// Only what this wants.
    pub filter: Option<&'a Filter>,
    /// Only these Call-IDs, if there are any.
    pub call_ids: &'a [String],
    /// Only calls with a number that ends so.
    pub number: Option<&'a str>,
    /// Only what began then.
    pub period: Period,
}

/// Captures without folders among them.
pub struct Resolved {
    /// Files alone.
    pub captures: Captures,
    /// What was selected, as long as this is there.
    _selected: Vec<File>,
}

/// Puts the files of folders in their place.
pub fn resolved(catalogue: &Catalogue, captures: &Captures, asked: &Asked<'_>) -> Result<Resolved, Failure> {
    let (mut paths, mut selected) = (Vec::new(), Vec::new());
    for path in &captures.paths {
        if !path.is_dir() {
            paths.push(path.clone());
            continue;
        }
        let failed = |error: std::io::Error| {
            let help = "see whether its files can be read, and whether there is room in the folder for temporary files";
            Failure::Failed(format!("{}: {error}; {help}", path.display()))
        };
        let narrow = asked.is_narrow() && !hides(catalogue, captures)?;
        let chosen = if narrow { select(path, asked, MOST_SELECTED).map_err(failed)? } else { None };
        let Some((file, others)) = chosen else {
            let files = recordings::captures(path).map_err(failed)?;
            if files.is_empty() {
                return Err(Failure::Failed(format!("{}: no capture is in this folder", path.display())));
            }
            paths.extend(files);
            continue;
        };
        // Each that opens this reads from the beginning.
        paths.push(PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())));
        paths.extend(others);
        selected.push(file);
    }
    let captures = Captures { paths, ports: captures.ports.clone(), run: captures.run.clone() };
    Ok(Resolved { captures, _selected: selected })
}

/// What a folder holds of what is asked for, and captures that may hold more of it; `None` where that is more than `most` bytes.
fn select(folder: &Path, asked: &Asked<'_>, most: u64) -> io::Result<Option<(File, Vec<PathBuf>)>> {
    let file = tempfile::tempfile()?;
    let mut out = Bounded { out: BufWriter::new(&file), left: most };
    let wanted = |known: &Known<'_>| asked.may_want(known);
    match recordings::select(folder, &asked.range(), &wanted, &mut out).and_then(|found| out.flush().map(|()| found)) {
        Ok((_, others)) => {
            drop(out);
            Ok(Some((file, others)))
        }
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Ok(None),
        Err(error) => Err(error),
    }
}

/// Takes so many bytes and no more.
struct Bounded<W> {
    out: W,
    left: u64,
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        self.out.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Most bytes that are selected into the folder for temporary files, which may lie in memory.
const MOST_SELECTED: u64 = 1 << 30;

impl Asked<'_> {
    fn is_narrow(&self) -> bool {
        self.filter.is_some_and(Filter::asks_who)
            || !self.call_ids.is_empty()
            || self.number.is_some()
            || self.period.is_limited()
    }

    fn range(&self) -> Range<Timestamp> {
        self.period.since.unwrap_or(Timestamp::ZERO)..self.period.until.unwrap_or(Timestamp::NEVER)
    }

    fn may_want(&self, known: &Known<'_>) -> bool {
        let call_id = String::from_utf8_lossy(known.call_id);
        // Of a longer one the index has only the beginning.
        let is = |wanted: &String| *wanted == *call_id || wanted.len() > call_id.len() && wanted.starts_with(&*call_id);
        let has_number = |number: &str| {
            let users = known
                .parties
                .iter()
                .flat_map(|parties| [&parties.from, &parties.to].into_iter().chain(&parties.others));
            users.into_iter().any(|user| user.as_ref().is_none_or(|user| digits(user).ends_with(&digits(number))))
        };
        let parties = || {
            let one = |parties: &recordings::Parties| [parties.from.clone(), parties.to.clone()];
            Parties { call_id: &call_id, between: known.parties.iter().map(one).collect() }
        };
        (self.call_ids.is_empty() || self.call_ids.iter().any(is))
            && self.number.is_none_or(has_number)
            && self.filter.is_none_or(|filter| filter.may_want(&parties()))
    }
}

/// The digits of a number, however it is written.
fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}

/// Whether the configuration has something shown otherwise than an index has it.
fn hides(catalogue: &Catalogue, captures: &Captures) -> Result<bool, Failure> {
    let loaded = settings::load(&captures.run, catalogue).map_err(|problems| settings::refused(&problems))?;
    let hides = |privacy: &Node| {
        ["numbers", "call_id", "ip"].iter().any(|key| {
            let said = privacy.get(key).map(|entry| &entry.node.value);
            !matches!(said, None | Some(Value::Text(_))) || matches!(said, Some(Value::Text(text)) if text != "plain")
        })
    };
    let processors = loaded.tree.get("processors").map(|entry| &entry.node);
    let Some(Value::Table(processors)) = processors.map(|node| &node.value) else { return Ok(false) };
    let privacy = |dialog: &Node| {
        dialog.get("calls").and_then(|calls| calls.node.get("privacy")).is_some_and(|it| hides(&it.node))
    };
    Ok(processors.values().any(|entry| privacy(&entry.node)))
}
