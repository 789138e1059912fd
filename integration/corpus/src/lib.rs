//! Other people's captures and messages: where they lie, and what tshark counts in each.
//!
//! They are no part of the repository. A test over them asks for them here and runs where they are: in the folder that
//! `RINGSIDE_SHARED` names, else in `shared` beside the checkout. Elsewhere it is skipped, which is said.

mod known;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

pub use known::unexpected;

/// A capture file.
#[derive(Clone, Debug)]
pub struct Capture {
    /// Name of the file.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What `truth.json` of its folder says of it; null when that does not know it.
    pub truth: Value,
}

/// All captures, in order of their folders and names. `None` when there are none for `test`, which is then said
/// ([`testnet::skipped`]).
///
/// # Panics
/// When a `truth.json` is no object.
pub fn captures(test: &str) -> Option<Vec<Capture>> {
    let found = data().and_then(|data| some(captures_below(&data), &data));
    found.map_err(|why| testnet::skipped(test, &why)).ok()
}

/// Files of one folder, in order of their names. `None` when there are none for `test`, which is then said.
pub fn files(test: &str, folder: &str) -> Option<Vec<PathBuf>> {
    let found = data().map(|data| data.join(folder)).and_then(|folder| some(entries(&folder), &folder));
    found.map_err(|why| testnet::skipped(test, &why)).ok()
}

/// Whether a file is called as captures are.
pub fn is_capture(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "pcap" || extension == "pcapng" || extension == "cap")
}

/// Where all of it lies, or why it does not.
fn data() -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os("RINGSIDE_SHARED") {
        return Ok(Path::new(&named).join("data"));
    }
    let beside = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    if !beside.exists() {
        return Err("no folder `shared` beside the checkout, and RINGSIDE_SHARED names none".to_owned());
    }
    Ok(beside.join("data"))
}

/// Captures in the folders below that have a `truth.json`: beside it, or in `pcap/`.
fn captures_below(data: &Path) -> Vec<Capture> {
    let mut captures = Vec::new();
    for folder in entries(data) {
        let Ok(text) = fs::read_to_string(folder.join("truth.json")) else { continue };
        let truth = serde_json::from_str::<Map<String, Value>>(&text);
        let truth = truth.unwrap_or_else(|error| panic!("{}/truth.json: {error}", folder.display()));
        for path in [entries(&folder), entries(&folder.join("pcap"))].concat() {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let truth = truth.get(&name).cloned().unwrap_or_default();
            if is_capture(&path) {
                captures.push(Capture { name, path, truth });
            }
        }
    }
    captures
}

/// What a folder holds, in order of names; nothing when it is not there.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    entries
}

fn some<T>(found: Vec<T>, folder: &Path) -> Result<Vec<T>, String> {
    if found.is_empty() { Err(format!("nothing for it in {}", folder.display())) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{captures_below, some};

    #[test]
    fn captures_are_found_beside_their_truth_and_below_it() {
        let data = std::env::temp_dir().join(format!("ringside-corpus-{}", std::process::id()));
        for (file, text) in [
            ("one/truth.json", r#"{"a.pcap": {"packets": 1}, "gone.pcap": {"packets": 9}}"#),
            ("one/pcap/a.pcap", ""),
            ("two/truth.json", r#"{"b.cap": {"packets": 2}}"#),
            ("two/b.cap", ""),
            ("two/c.pcapng", ""),
            ("untold/d.pcap", ""),
        ] {
            let path = data.join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder can be made");
            fs::write(path, text).expect("a file can be written");
        }
        let found = captures_below(&data).into_iter().map(|found| (found.name, found.truth["packets"].as_u64()));
        let found: Vec<_> = found.collect();
        fs::remove_dir_all(&data).expect("our own folder");
        let expected = [("a.pcap", Some(1)), ("b.cap", Some(2)), ("c.pcapng", None)];
        assert_eq!(found, expected.map(|(name, packets)| (name.to_owned(), packets)));
    }

    #[test]
    fn a_folder_that_is_not_there_is_the_reason() {
        let folder = Path::new("/nonexistent");
        assert_eq!(some(captures_below(folder), folder).expect_err("none"), "nothing for it in /nonexistent");
    }
}
