//! Capture files with many short calls of several outcomes.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use integration::scratch::Folder;

/// Calls in the file: fewer than may wait for an exporter at a time, since a file is read faster than any wire.
pub const CALLS: usize = 1800;
/// Every so many calls one is busy.
const BUSY: usize = 5;
/// From one call to the next, in milliseconds: slow enough for the usual bound of traces per second.
const INTERVAL: usize = 20;
/// Seven seconds after the last call, of which five belong to it still.
const TICKS: usize = 700;
/// In milliseconds.
const TICK: usize = 10;

/// Writes the file.
pub fn capture(folder: &Folder) -> PathBuf {
    capture_of(folder, "c")
}

/// The same with Call-IDs that begin with `prefix`.
pub fn capture_of(folder: &Folder, prefix: &str) -> PathBuf {
    let mut text = String::new();
    let mut line = |at: usize, what: std::fmt::Arguments| {
        writeln!(text, "{}.{:03} {what}", at / 1000, at % 1000).expect("a string takes everything");
    };
    for call in 0..CALLS {
        let at = call * INTERVAL;
        line(at, format_args!("alice -> bob INVITE call={prefix}{call}"));
        line(at + 2, format_args!("alice <- bob 180 call={prefix}{call}"));
        if call % BUSY == 0 {
            line(at + 4, format_args!("alice <- bob 486 call={prefix}{call}"));
            line(at + 5, format_args!("alice -> bob ACK call={prefix}{call}"));
            continue;
        }
        line(at + 4, format_args!("alice <- bob 200 call={prefix}{call}"));
        line(at + 5, format_args!("alice -> bob ACK call={prefix}{call}"));
        line(at + 10, format_args!("alice -> bob BYE call={prefix}{call}"));
        line(at + 12, format_args!("alice <- bob 200 call={prefix}{call}"));
    }
    // Time goes on, in small steps: every call has left before the file ends, and not many at an instant.
    for tick in 0..TICKS {
        let at = CALLS * INTERVAL + tick * TICK;
        line(at, format_args!("alice -> bob OPTIONS call={prefix}o{tick}"));
        line(at + 1, format_args!("alice <- bob 200 call={prefix}o{tick}"));
    }
    let path = folder.join("calls.pcap");
    fs::write(&path, ladder::pcap::write(&ladder::play(&text), Duration::from_secs(1_700_000_000))).expect("a capture");
    path
}

/// How many calls ended so.
pub fn busy() -> usize {
    CALLS.div_ceil(BUSY)
}
