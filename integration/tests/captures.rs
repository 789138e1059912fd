//! Real captures through `ringside replay` and `ringside calls`: each has the messages and calls that tshark finds in it,
//! and those of `cases/` give the values that were worked out by hand.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use corpus::Capture;
use integration::exposition::Exposition;
use integration::ringside;
use serde_json::Value;

/// Captures of which today's build says something else than tshark does, and why.
const OTHERWISE: [(&str, &str); 2] = [
    ("nDPI--gre.pcapng", "SIP in PPP in GRE version 1 (PPTP) is not read"),
    ("nDPI--fuzz-2006-06-26-2594.pcap", "a fuzzer was at it: what is hardly SIP is counted by one or the other"),
];

fn run(command: &str, capture: &Path, options: &[&str]) -> Output {
    let path = capture.display().to_string();
    ringside::command(&[&[command, path.as_str()], options].concat(), &std::env::temp_dir())
}

/// What was said on standard error: it failed, or what else there is to know.
fn said(output: &Output) -> Cow<'_, str> {
    String::from_utf8_lossy(&output.stderr)
}

/// Replays a capture and parses what it prints.
#[track_caller]
fn replay(capture: &Path, options: &[&str]) -> Exposition {
    let output = run("replay", capture, options);
    assert!(output.status.success(), "{}: {}: {}", capture.display(), output.status, said(&output));
    Exposition::parse(std::str::from_utf8(&output.stdout).expect("the exposition is UTF-8"))
}

/// The ports that standard error says to try.
fn ports_to_try(output: &Output) -> Option<String> {
    Some(said(output).split_once("--ports ")?.1.split_whitespace().next()?.to_owned())
}

/// Call-IDs of the calls that are listed; that there is none is a failure of its own.
#[track_caller]
fn calls(capture: &Path, options: &[&str]) -> BTreeSet<String> {
    let output = run("calls", capture, &[&["--format", "json"], options].concat());
    let none = output.status.code() == Some(1) && said(&output).contains("no call is in");
    assert!(output.status.success() || none, "{}: {}: {}", capture.display(), output.status, said(&output));
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let call_id = |line: &str| {
        let call: Value = serde_json::from_str(line).expect("an object in each line");
        call["call_id"].as_str().expect("a Call-ID").to_owned()
    };
    text.lines().map(call_id).collect()
}

/// What is not as tshark says. No duplicates are removed: tshark does not either.
fn differences(capture: &Capture) -> Vec<String> {
    let keep_copies = ["--set", "processors.dialog.dup_window=\"0s\""];
    let ports = ports_to_try(&run("replay", &capture.path, &keep_copies));
    let options: Vec<&str> = ports.iter().flat_map(|ports| ["--ports", ports]).chain(keep_copies).collect();
    let scrape = replay(&capture.path, &options);
    let Some(sip) = capture.truth["sip"].as_object() else { return Vec::new() };
    if sip["transport_frames"].get("sctp").is_some() {
        return Vec::new();
    }
    let mut differences = Vec::new();
    let messages = scrape.count("packets_total") + scrape.count("parse_errors_total");
    if Some(messages) != sip["msgs"].as_u64() {
        differences.push(format!("{messages} messages, but tshark says {}", sip["msgs"]));
    }
    let made = |(call_id, call): (&String, &Value)| (call["invites"] != 0).then(|| call_id.clone());
    let expected: BTreeSet<String> =
        capture.truth["calls"].as_object().into_iter().flatten().filter_map(made).collect();
    let listed = calls(&capture.path, &options);
    if listed != expected {
        differences.push(format!("calls {listed:?}, but tshark says {expected:?}"));
    }
    differences
}

#[test]
fn every_real_capture_has_the_messages_and_calls_that_tshark_finds() {
    let Some(captures) = corpus::captures("real captures as tshark counts them") else { return };
    let found = captures.into_iter().map(|capture| (capture.name.clone(), differences(&capture)));
    let wrong = corpus::unexpected(&OTHERWISE.map(|(name, _)| name), found);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A folder of `cases/`.
struct Case {
    folder: PathBuf,
    capture: String,
    options: String,
    expected: Vec<(String, f64)>,
}

impl Case {
    fn load(folder: PathBuf) -> Self {
        let text = fs::read_to_string(folder.join("expected")).expect("every case says what it expects");
        let (command, expected) = text.split_once('\n').expect("a capture, then values");
        let (capture, options) = command.split_once(' ').unwrap_or((command, ""));
        let value = |line: &str| {
            let (selector, value) = line.rsplit_once(' ').expect("a selector and a value");
            (selector.to_owned(), value.parse().expect("a number"))
        };
        let (capture, options) = (capture.to_owned(), options.to_owned());
        Self { capture, options, expected: expected.lines().map(value).collect(), folder }
    }

    /// Those with a capture of their own, and those over other people's.
    fn all() -> (Vec<Self>, Vec<Self>) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
        let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        let cases = entries.filter(|path| path.is_dir()).map(Self::load);
        cases.partition(|case| case.folder.join(&case.capture).exists())
    }

    #[track_caller]
    fn check(&self, capture: &Path) {
        println!("{}", self.folder.display());
        let options: Vec<&str> = self.options.split_whitespace().collect();
        replay(capture, &options).assert(self.expected.iter().map(|(selector, value)| (selector, *value)));
    }
}

#[test]
fn cases_give_the_values_worked_out_by_hand() {
    let (own, _) = Case::all();
    assert!(!own.is_empty());
    own.iter().for_each(|case| case.check(&case.folder.join(&case.capture)));
}

#[test]
fn cases_over_other_peoples_captures_give_the_values_worked_out_by_hand() {
    let Some(captures) = corpus::captures("cases over real captures") else { return };
    for case in Case::all().1 {
        let capture = captures.iter().find(|capture| capture.name == case.capture);
        case.check(&capture.unwrap_or_else(|| panic!("{} is missing", case.capture)).path);
    }
}
