//! Networks for tests of live capture: namespaces, a cable between two of them, frames put on it and taken from it as they are.
//!
//! Nothing here has a name outside its test: the kernel removes a namespace with its last user, also after a crash,
//! and no port of the host is used. Linux only; needs root, and a test that cannot have it says so by [`skipped`].

mod injector;
mod namespace;
mod tap;

use std::fs::OpenOptions;
use std::io::{self, Write};

pub use injector::{Injector, send_in_segments};
pub use namespace::{Cable, Family, Namespace, ip};
pub use tap::Tap;

/// Says that a test proves nothing on this machine: on standard error, past the test runner's capture of it, and in
/// the file that `RINGSIDE_SKIPPED` names.
///
/// # Panics
/// When that file cannot be written.
pub fn skipped(test: &str, why: &str) {
    let line = format!("{test}: {why}\n");
    let _ = io::stderr().write_all(format!("skipped: {line}").as_bytes());
    if let Some(path) = std::env::var_os("RINGSIDE_SKIPPED") {
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the list of skipped tests can be written");
    }
}
