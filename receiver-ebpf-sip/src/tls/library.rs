//! TLS libraries: which functions are probed, and where they are in a file.
//!
//! Another library is another table: its functions are told apart by what they do ([`Call`]), not by their names.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;

use object::{Object, ObjectSegment, ObjectSymbol};

use super::record::Call;

/// What is known of a TLS library.
#[derive(Debug)]
pub struct Library {
    /// For people.
    pub name: &'static str,
    /// How the names of its files begin; `.so` follows somewhere.
    pub files: &'static [&'static str],
    /// Its functions. Those a file lacks are passed over: older versions have fewer.
    pub functions: &'static [(&'static str, Call)],
}

/// Every library that is looked for.
pub static LIBRARIES: [Library; 1] = [Library {
    // 1.1.1 and 3.x; 1.1.0 lacks the functions on `_ex`.
    name: "OpenSSL",
    // Python's packages bring copies of their own, with a hash in the name.
    files: &["libssl.so", "libssl-"],
    functions: &[
        ("SSL_read", Call::Read),
        ("SSL_read_ex", Call::ReadEx),
        ("SSL_write", Call::Write),
        ("SSL_write_ex", Call::WriteEx),
        ("SSL_do_handshake", Call::Handshake),
        ("SSL_accept", Call::Handshake),
        ("SSL_connect", Call::Handshake),
        ("SSL_free", Call::Free),
    ],
}];

/// Where a function begins in its file, and what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    pub offset: u64,
    pub call: Call,
}

/// Files of libraries where the dynamic linker of this host looks for them (ld.so(8)), links resolved.
pub fn installed() -> BTreeSet<PathBuf> {
    let further = fs::read_dir("/etc/ld.so.conf.d").into_iter().flatten().flatten();
    let further = further.flat_map(|file| {
        let text = fs::read_to_string(file.path()).unwrap_or_default();
        text.lines().filter(|line| line.starts_with('/')).map(PathBuf::from).collect::<Vec<_>>()
    });
    let usual = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64"].map(PathBuf::from);
    let files =
        usual.into_iter().chain(further).flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten());
    let files = files.map(|file| file.path()).filter(|path| path.to_str().and_then(of_file).is_some());
    files.filter_map(|path| path.canonicalize().ok()).filter(|path| path.is_file()).collect()
}

/// The library that a file of this name belongs to.
pub fn of_file(path: &str) -> Option<&'static Library> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_of = |library: &&Library| library.files.iter().any(|file| name.starts_with(file));
    LIBRARIES.iter().find(is_of).filter(|_| name.contains(".so"))
}

impl Library {
    /// Finds the functions in a file. Errs if it is none of this library: nothing could be read or written by it.
    pub fn points(&self, file: &[u8]) -> io::Result<Vec<Point>> {
        let wrong = |text| io::Error::new(io::ErrorKind::InvalidData, text);
        let file = object::File::parse(file).map_err(|_| wrong("no ELF file"))?;
        if !file.is_64() {
            return Err(wrong("its processes get their arguments otherwise: it is of 32 bits"));
        }
        let mut points = Vec::new();
        for symbol in file.dynamic_symbols().filter(ObjectSymbol::is_definition) {
            let Ok(name) = symbol.name() else { continue };
            let Some((_, call)) = self.functions.iter().find(|(function, _)| *function == name) else { continue };
            if let Some(offset) = file_offset(&file, symbol.address()) {
                points.push(Point { offset, call: *call });
            }
        }
        let has = |calls: [Call; 2]| points.iter().any(|point| calls.contains(&point.call));
        match has([Call::Read, Call::ReadEx]) && has([Call::Write, Call::WriteEx]) {
            true => Ok(points),
            false => Err(wrong("it has no functions of this library")),
        }
    }
}

/// Where the byte at an address comes from.
fn file_offset(file: &object::File<'_>, address: u64) -> Option<u64> {
    file.segments().find_map(|segment| {
        let (start, size) = segment.file_range();
        let into = address.checked_sub(segment.address())?;
        (into < size).then(|| start + into)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_names() {
        for path in [
            "/usr/lib/x86_64-linux-gnu/libssl.so.3",
            "/opt/x/libssl.so.1.1",
            "libssl.so",
            "/venv/libssl-9ad06800.so.1.1.1k",
        ] {
            assert_eq!(of_file(path).map(|library| library.name), Some("OpenSSL"), "{path}");
        }
        for path in ["/usr/lib/libssl3.so", "/usr/lib/libssl.so.d/libc.so.6", "/usr/share/libssl-doc", ""] {
            assert!(of_file(path).is_none(), "{path}");
        }
    }

    #[test]
    fn what_is_no_library_has_no_points() {
        for file in [&b""[..], b"\x7fELF", b"#!/bin/sh\n"] {
            assert!(LIBRARIES[0].points(file).is_err());
        }
        let this_test = std::fs::read(std::env::current_exe().expect("a path")).expect("it can be read");
        assert!(LIBRARIES[0].points(&this_test).is_err());
    }
}
