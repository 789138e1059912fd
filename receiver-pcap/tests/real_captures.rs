//! Captures nobody here made, against what tshark says of them: their SIP messages over UDP and over TCP, by method and
//! by status, on whatever port.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::Replay;
use corpus::Capture;
use receiver_pcap::Config;
use serde_json::Value;

/// Captures of which today's build sees something else than tshark does, and why.
const OTHERWISE: [(&str, &str); 2] = [
    ("nDPI--gre.pcapng", "SIP in PPP in GRE version 1 (PPTP) is not read"),
    (
        "nDPI--fuzz-2006-06-26-2594.pcap",
        "a fuzzer was at it: tshark reads on where a length is wrong or a line ends in CR, and wants SIP in capitals",
    ),
];

/// How many messages came over each transport, and of each method and status.
type Counts = BTreeMap<String, u64>;

/// Reads a capture on these ports. No duplicates are removed: tshark does not either.
fn read(capture: &Capture, ports: &[u16]) -> Replay {
    let config = Config { files: vec![capture.path.clone()], ports: ports.to_vec(), ..Config::default() };
    Replay::with(config, Duration::ZERO).unwrap_or_else(|error| panic!("{}: {error}", capture.name))
}

fn counts(replay: &Replay) -> Counts {
    let transports = replay.frames.iter().map(|frame| frame.transport.as_str().to_owned());
    let mut counts = Counts::new();
    for what in transports.chain(replay.kinds.iter().cloned()) {
        *counts.entry(what).or_default() += 1;
    }
    counts
}

/// The same by tshark, on whatever port, but for SCTP; `None` for a capture it has not looked at.
fn by_tshark(truth: &Value) -> Option<Counts> {
    let sip = truth["sip"].as_object()?;
    let numbers = |key: &str| -> Counts {
        let numbers = sip[key].as_object().into_iter().flatten();
        numbers.map(|(what, number)| (what.clone(), number.as_u64().expect("a number"))).collect()
    };
    let transports = numbers("transport_frames");
    if transports.contains_key("sctp") {
        assert_eq!(transports.len(), 1, "methods and statuses are not told apart by transport");
        return Some(Counts::new());
    }
    // What goes to a SIP port is SIP for tshark, also HTTP.
    let others = sip["frames_without_start_line"].as_u64().expect("a number");
    let transports = transports.into_iter().map(|(transport, frames)| (transport, frames - others));
    let counts = transports.chain(numbers("requests")).chain(numbers("responses"));
    Some(counts.filter(|&(_, number)| number > 0).collect())
}

/// What is not as tshark says, on the usual ports and those that the first reading names.
fn differences(capture: &Capture) -> Vec<String> {
    let usual = read(capture, &Config::default().ports);
    let mut differences = usual.problems.clone();
    let Some(expected) = by_tshark(&capture.truth) else { return differences };
    let named: Vec<u16> = usual.report.passed_over().ports.iter().map(|(port, _)| *port).collect();
    let all = read(capture, &[&Config::default().ports[..], &named].concat());
    if counts(&all) != expected {
        differences.push(format!("{:?}, but tshark says {expected:?}", counts(&all)));
    }
    if !named.is_empty() && counts(&usual) == expected {
        differences.push(format!("ports {named:?} are named, but all SIP is on the usual ones"));
    }
    if let Some(ports) = capture.truth["sip_ports"].as_array() {
        let port = |port: &Value| port.as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
        let given = counts(&read(capture, &ports.iter().map(port).collect::<Vec<_>>()));
        if given != expected {
            differences.push(format!("{given:?} on {ports:?}, but tshark says {expected:?}"));
        }
    }
    differences
}

#[test]
fn as_many_messages_as_tshark_counts_of_each_kind() {
    let Some(captures) = corpus::captures("messages as tshark counts them") else { return };
    let found = captures.into_iter().map(|capture| (capture.name.clone(), differences(&capture)));
    let wrong = corpus::unexpected(&OTHERWISE.map(|(name, _)| name), found);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_byte_of_a_capture_counts_as_progress() {
    let Some(captures) = corpus::captures("progress through real captures") else { return };
    for capture in captures {
        let size = std::fs::metadata(&capture.path).expect("it is there").len();
        let replay = Replay::files(std::slice::from_ref(&capture.path)).expect("it is a capture");
        let progress = replay.report.progress();
        assert_eq!((progress.read, progress.total), (size, Some(size)), "{}", capture.name);
    }
}
