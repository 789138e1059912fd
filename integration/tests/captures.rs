//! Real captures through `ringside replay`: each is read without an error, and those of `cases/` give the values that
//! were worked out by hand.

use std::fs;
use std::path::{Path, PathBuf};

use integration::exposition::Exposition;
use integration::ringside;
use integration::shared;

/// Replays a capture and parses what it prints.
#[track_caller]
fn replay(capture: &Path) -> Exposition {
    let output = ringside::command(&["replay", &capture.display().to_string()], &std::env::temp_dir());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {}: {said}", capture.display(), output.status);
    Exposition::parse(std::str::from_utf8(&output.stdout).expect("the exposition is UTF-8"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

#[test]
fn every_real_capture_is_read() {
    let captures = files(&shared::path("data/captures/pcap"));
    assert!(captures.len() >= 37, "only {} captures are there", captures.len());
    for capture in captures {
        let scrape = replay(&capture);
        assert!(scrape.value("packets_total").is_some(), "{} has no packets_total", capture.display());
    }
}

#[test]
fn cases_give_the_values_worked_out_by_hand() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let cases: Vec<_> = files(&folder).into_iter().filter(|path| path.is_dir()).collect();
    assert!(!cases.is_empty());
    for case in cases {
        let expected = fs::read_to_string(case.join("expected")).expect("every case says what it expects");
        let (capture, expected) = expected.split_once('\n').expect("a capture, then values");
        let value = |line: &str| {
            let (selector, value) = line.rsplit_once(' ').expect("a selector and a value");
            (selector.to_owned(), value.parse().expect("a number"))
        };
        println!("{}", case.display());
        replay(&shared::path(&format!("data/captures/pcap/{capture}"))).assert(expected.lines().map(value));
    }
}
