//! `extract --anonymize`: the same calls, and nobody in them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ladder::play;
use serde_json::Value;

use crate::calls::{objects, printed};
use crate::program::{EPOCH, Folder};

/// What of a call or exchange has to be the same.
const SAME: [&str; 14] = [
    "outcome",
    "status",
    "end",
    "setup_seconds",
    "ring_seconds",
    "duration_seconds",
    "messages",
    "retransmissions",
    "transport",
    "start",
    "method",
    "times",
    "ladder_cut",
    "ends",
];
/// What of a message.
const SAME_OF_MESSAGES: [&str; 8] =
    ["time", "source", "destination", "method", "status", "sdp", "retransmissions", "offset_seconds"];

/// What ladders say of calls.
fn drawn(folder: &Folder, file: &str, more: &[&str]) -> Vec<Value> {
    objects(&printed(folder, &[&["ladder", file, "--all", "--format", "json"], more].concat()))
}

/// The same without whose they are.
fn without_names(calls: &[Value]) -> Vec<Value> {
    let kept = |object: &Value, keys: &[&str]| {
        keys.iter().map(|key| object.get(key).cloned().unwrap_or_default()).collect::<Vec<_>>()
    };
    let call = |call: &Value| {
        let messages = call["ladder"].as_array().expect("a list").iter();
        let messages: Vec<_> = messages.map(|message| kept(message, &SAME_OF_MESSAGES).into()).collect();
        Value::from([kept(call, &SAME), messages].concat())
    };
    let mut calls: Vec<Value> = calls.iter().map(call).collect();
    // What began at the same time has no order.
    calls.sort_by_key(Value::to_string);
    calls
}

/// Runs of five digits or more.
fn digits(bytes: &[u8]) -> BTreeSet<String> {
    let runs = bytes.split(|byte| !byte.is_ascii_digit()).filter(|run| run.len() >= 5);
    runs.map(|run| String::from_utf8_lossy(run).into_owned()).collect()
}

/// Digits that say how long something holds, or how fast a codec's clock runs.
fn is_meant(run: &str, bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    ["xpires: ", "xpires=", "x: ", "-SE: ", "-After: "].iter().any(|before| text.contains(&format!("{before}{run}")))
        || text.lines().any(|line| line.starts_with("a=rtpmap:") && line.contains(&format!("/{run}")))
}

/// Holds an anonymous extract of everything in a capture against a plain one; `false` where there is nothing in it.
fn hold(folder: &Folder, capture: &Path, more: &[&str]) -> bool {
    let path = capture.display().to_string();
    let extract = |out: &str, how: &[&str]| {
        printed(folder, &[&["extract", &path, "--all", "-o", out, "--ports", "any"], how, more].concat())
    };
    let plain = extract("plain.pcapng", &[]);
    if plain.code == 1 {
        return false;
    }
    assert_eq!(plain.code, 0, "{path}: {}", plain.stderr);
    let key = "processors.dialog.calls.privacy.key=a key of these tests";
    let made = extract("anonymous.pcapng", &["--anonymize", "--set", key]);
    assert_eq!(made.code, 0, "{path}: {}", made.stderr);
    let any = [&["--ports", "any"], more].concat();
    let calls = drawn(folder, "plain.pcapng", &any);
    assert_eq!(without_names(&drawn(folder, "anonymous.pcapng", &any)), without_names(&calls), "{path}");

    let read = |name: &str| fs::read(folder.path().join(name)).expect("it was written");
    let (was, is) = (read("plain.pcapng"), read("anonymous.pcapng"));
    let left: Vec<String> =
        digits(&is).intersection(&digits(&was)).filter(|run| !is_meant(run, &is)).cloned().collect();
    assert_eq!(left, Vec::<String>::new(), "{path}: digits that were there before");
    let text = String::from_utf8_lossy(&is);
    for name in calls.iter().flat_map(|call| ["caller", "callee", "call_id"].map(|key| call[key].clone())) {
        let name = name.as_str().unwrap_or_default();
        assert!(name.len() < 5 || !text.contains(name), "{path}: {name} is still there");
    }
    true
}

fn captures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata").join(folder);
    let mut all: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    all.retain(|path| [".pcap", ".pcapng", ".gz", ".zst"].iter().any(|end| path.display().to_string().ends_with(end)));
    all.sort();
    all
}

#[test]
fn the_same_is_said_of_what_is_in_our_own_captures() {
    let folder = Folder::new();
    let ws = ["--set", "receivers.pcap.ws_ports=[8080]"];
    let held = captures("captures").iter().filter(|capture| hold(&folder, capture, &ws)).count();
    assert!(held >= 100, "{held} captures");
}

#[test]
fn the_same_is_said_of_what_is_in_captures_with_a_known_outcome() {
    let folder = Folder::new();
    let all = ["public-cases", "public-vectors", "affinity"].into_iter().flat_map(captures);
    let held = all.filter(|capture| hold(&folder, capture, &[])).count();
    assert!(held >= 100, "{held} captures");
}

#[test]
fn the_same_is_said_of_what_is_in_other_peoples_captures() {
    let Some(captures) = corpus::captures("the_same_is_said_of_what_is_in_other_peoples_captures") else { return };
    let folder = Folder::new();
    let held = captures.iter().filter(|capture| hold(&folder, &capture.path, &[])).count();
    assert!(held >= 20, "{held} captures");
}

/// A call whose fields are full of what must not pass, and one hop behind a proxy.
const TELLTALE: &str = r#"
    0.000 alice -> bob INVITE sdp hdr="X-Customer-4930123456: Mueller, account 99887766" hdr="Subject: call Bob Smith back" hdr="P-Asserted-Identity: \"Bob Smith\" <tel:+4930123456>" hdr="Session-Expires: 86400"
    0.500 alice <- bob 180 tag=x
    1.000 alice <- bob 200 tag=x
    1.100 alice -> bob ACK
    9.000 alice -> bob INFO hdr="X-Signal: 5551234567"
    9.010 alice <- bob 200 tag=x
    9.500 alice -> bob BYE
    9.600 alice <- bob 200 tag=x
"#;

#[test]
fn what_nobody_thought_of_does_not_pass() {
    let folder = Folder::new();
    let capture = folder.write("calls.pcap", ladder::pcap::write(&play(TELLTALE), EPOCH));
    assert!(hold(&folder, &capture, &[]));
    let text = fs::read(folder.path().join("anonymous.pcapng")).expect("it was written");
    let text = String::from_utf8_lossy(&text);
    for gone in
        ["Mueller", "Customer", "account", "Smith", "Subject", "4930123456", "5551234567", "192.0.2.10", "alice"]
    {
        assert!(!text.contains(gone), "{gone} is still there");
    }
    assert!(text.contains("Session-Expires: 86400\r\n"), "what rules ask for stays");
}

#[test]
fn a_key_makes_the_same_of_the_same_and_none_something_new_each_time() {
    let folder = Folder::new();
    folder.write("calls.pcap", ladder::pcap::write(&play(TELLTALE), EPOCH));
    let made = |name: &str, how: &[&str]| {
        let made = printed(&folder, &[&["extract", "calls.pcap", "--anonymize", "-o", name], how].concat());
        assert_eq!(made.code, 0, "{}", made.stderr);
        fs::read(folder.path().join(name)).expect("it was written")
    };
    let key = |key: &str| format!("processors.dialog.calls.privacy.key={key}");
    let (one, another) = (key("one"), key("another"));
    assert_eq!(made("a.pcapng", &["--set", &one]), made("b.pcapng", &["--set", &one]));
    assert_ne!(made("a.pcapng", &["--set", &one]), made("b.pcapng", &["--set", &another]));
    assert_ne!(made("a.pcapng", &[]), made("b.pcapng", &[]));
}

#[test]
fn voices_are_not_made_anonymous() {
    let folder = Folder::new();
    folder.write("calls.pcap", ladder::pcap::write(&play(TELLTALE), EPOCH));
    let refused = printed(&folder, &["extract", "calls.pcap", "--anonymize", "--media", "-o", "a.pcapng"]);
    assert_eq!(refused.code, 2);
}
