//! Test data of our own making, below `testdata/`: odd messages and captures, each with what must become of it.
//!
//! Nothing in, the same bytes every time out: no clock, no chance, no compressor. `cargo run -p integration --bin
//! testdata` writes them, `tests/testdata.rs` holds them against what is checked in, and plays the captures.

mod call;
mod captures;
mod file;
mod odd;
mod pieces;
mod tcp;
mod websocket;
mod wrap;

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde_json::{Map, Value, json};

/// The folders below `testdata/` that hold nothing but what is made here, and a README.
pub const FOLDERS: [&str; 2] = ["odd-messages", "captures"];

/// What says, in each folder, what must become of its files.
pub const EXPECTED: &str = "expected.json";

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Below `testdata/`.
    pub path: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Where `testdata/` is.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata")
}

/// Names of the files in one of the [`FOLDERS`] that are made here, or were: what people write there is left out.
///
/// # Errors
/// When the folder cannot be read.
pub fn present(folder: &str) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(root().join(folder))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let is_written = |name: &String| name.ends_with(".md") || name.starts_with('.');
    names.filter(|name| !name.as_ref().is_ok_and(is_written)).collect()
}

/// All files.
pub fn made() -> Vec<Made> {
    let mut files = Vec::new();
    let mut odd = Map::new();
    for message in odd::all() {
        odd.insert(message.class.to_owned(), message.expected());
        files.push(Made { path: format!("odd-messages/{}.sip", message.class), bytes: message.bytes() });
    }
    files.push(expected("odd-messages", &Value::Object(odd)));
    let mut captures = Map::new();
    for capture in captures::all() {
        captures.insert(capture.name.clone(), capture.expected());
        files.push(Made { path: format!("captures/{}", capture.name), bytes: capture.bytes });
    }
    let captures = json!({ "reference": captures::REFERENCE, "call": captures::of_the_call(), "captures": captures });
    files.push(expected("captures", &captures));
    files
}

fn expected(folder: &str, value: &Value) -> Made {
    let text = serde_json::to_string_pretty(value).expect("JSON has no keys but text");
    Made { path: format!("{folder}/{EXPECTED}"), bytes: (text + "\n").into_bytes() }
}
