//! Real captures through `ringside replay`: each is read without an error, and those of `cases/` give the values that
//! were worked out by hand.

use std::fs;
use std::path::{Path, PathBuf};

use integration::exposition::Exposition;
use integration::ringside;
use integration::shared;

/// Replays a capture and parses what it prints.
#[track_caller]
fn replay(capture: &Path, options: &[&str]) -> Exposition {
    let path = capture.display().to_string();
    let arguments = [&["replay", path.as_str()], options].concat();
    let output = ringside::command(&arguments, &std::env::temp_dir());
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
        let scrape = replay(&capture, &[]);
        assert!(scrape.value("packets_total").is_some(), "{} has no packets_total", capture.display());
    }
}

#[test]
fn sip_over_tcp_is_counted_as_others_count_it() {
    for (capture, packets, expected) in [
        ("heplify--sip_ipv4_tcp.pcap", 7.0, ("session_outcomes_total{outcome=\"answered\"}", 1.0)),
        // The same registration over UDP in front of a proxy and over TCP behind it.
        ("heplify--sip_ipv4_tcp_retrans.pcap", 8.0, ("register_total", 2.0)),
        ("suricata-verify--sip-tcp.pcap", 2.0, ("registration_outcomes_total{outcome=\"success\"}", 1.0)),
        ("nDPI--http_on_sip_port.pcap", 0.0, ("non_sip_total", 2.0)),
    ] {
        println!("{capture}");
        let scrape = replay(&shared::path(&format!("data/captures/pcap/{capture}")), &[]);
        scrape.assert([
            ("packets_total", packets),
            expected,
            ("stream_resync_total", 0.0),
            ("parse_errors_total", 0.0),
        ]);
    }
}

#[test]
fn sip_over_tcp_is_found_in_a_tunnel_on_a_port_of_its_own() {
    let capture = shared::path("data/captures/pcap/sngrep--ipip.pcap").display().to_string();
    let output = ringside::command(&["replay", "--ports", "33093", &capture], &std::env::temp_dir());
    let scrape = Exposition::parse(std::str::from_utf8(&output.stdout).expect("the exposition is UTF-8"));
    scrape.assert([("packets_total", 4.0), ("invite_total", 1.0), ("bye_total", 1.0), ("183_total", 1.0)]);
}

#[test]
fn cases_give_the_values_worked_out_by_hand() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let cases: Vec<_> = files(&folder).into_iter().filter(|path| path.is_dir()).collect();
    assert!(!cases.is_empty());
    for case in cases {
        let expected = fs::read_to_string(case.join("expected")).expect("every case says what it expects");
        let (command, expected) = expected.split_once('\n').expect("a capture, then values");
        let (capture, options) = command.split_once(' ').unwrap_or((command, ""));
        let own = case.join(capture);
        let capture = if own.exists() { own } else { shared::path(&format!("data/captures/pcap/{capture}")) };
        let value = |line: &str| {
            let (selector, value) = line.rsplit_once(' ').expect("a selector and a value");
            (selector.to_owned(), value.parse().expect("a number"))
        };
        println!("{}", case.display());
        let options: Vec<&str> = options.split_whitespace().collect();
        replay(&capture, &options).assert(expected.lines().map(value));
    }
}
