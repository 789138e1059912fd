//! How many instructions it takes to parse a message of each kind: `cargo bench -p sip --bench instructions`.
//!
//! Counted by callgrind, so that what else a machine does hides nothing. This program calls itself with two numbers of
//! rounds; what one of them takes more is that of the rounds alone.

mod kinds;

use std::hint::black_box;
use std::process::Command;

use sip::{Framing, parse};

/// Rounds of the first of two runs; the second one has twice as many.
const ROUNDS: u64 = 1000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, kind, rounds] = &arguments[..]
        && mode == "--rounds"
    {
        return run(kind, rounds.parse().expect("a number of rounds"));
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        return println!("instructions are counted by valgrind, which is not installed");
    }
    for (kind, text) in kinds::all() {
        let instructions = (count(kind, 2 * ROUNDS) - count(kind, ROUNDS)) / ROUNDS;
        println!("{kind:10} {:5} bytes {instructions:6} instructions", text.len());
    }
}

fn run(kind: &str, rounds: u64) {
    let (_, text) = kinds::all().into_iter().find(|(name, _)| *name == kind).expect("a kind of message");
    for _ in 0..rounds {
        assert!(black_box(parse(black_box(text.as_bytes()), Framing::Datagram { truncated: false })).is_ok());
    }
}

/// Instructions of this program when it parses a message so many times.
fn count(kind: &str, rounds: u64) -> u64 {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["--rounds", kind, &rounds.to_string()])
        .output()
        .expect("valgrind runs");
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report.lines().find_map(|line| line.split_once("Collected : "));
    let (_, count) = collected.unwrap_or_else(|| panic!("callgrind tells what it counted:\n{report}"));
    count.trim().parse().expect("a count")
}
