//! Captures nobody here made, against what tshark says of them: the number of SIP messages
//! over UDP and over TCP.

mod common;

use std::path::PathBuf;
use std::time::Duration;

use common::Replay;
use pipeline::Transport;

/// Captures of which we see fewer messages on ports 5060 and 5061 than tshark does anywhere, and why.
const FEWER: [(&str, usize, &str); 6] = [
    ("nDPI--http_on_sip_port.pcap", 0, "HTTP, which tshark takes for SIP by its port"),
    ("sngrep--ipip.pcap", 0, "SIP on port 33093"),
    ("nDPI--gre.pcapng", 0, "SIP in PPP in GRE version 1 (PPTP); only GRE version 0 is followed"),
    ("sipnab--invite-opus-bye.pcap", 0, "SIP on port 5080"),
    ("sipnab--register-invite-reinvite-bye.pcap", 0, "SIP on port 5080"),
    ("sipnab--metasploit-sip-invite-spoof.pcap", 1, "the INVITE goes to port 10270"),
];

/// Other ports on which SIP has to be noticed.
const OTHER_PORTS: [(&str, u16); 4] = [
    ("sngrep--ipip.pcap", 33_093),
    ("sipnab--invite-opus-bye.pcap", 5080),
    ("sipnab--register-invite-reinvite-bye.pcap", 5080),
    ("sipnab--metasploit-sip-invite-spoof.pcap", 10_270),
];

/// `shared/data/captures`, beside the workspace or where `RINGSIDE_SHARED` says.
fn captures() -> PathBuf {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    std::env::var_os("RINGSIDE_SHARED").map_or_else(beside, PathBuf::from).join("data/captures")
}

fn truth() -> serde_json::Map<String, serde_json::Value> {
    let path = captures().join("truth.json");
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).expect("truth.json is an object")
}

fn replay(name: &str) -> Replay {
    // No duplicates are removed: tshark does not either.
    Replay::with(&[captures().join("pcap").join(name)], Duration::ZERO).expect("it is a capture")
}

#[test]
fn as_many_messages_as_tshark_counts_over_udp_and_tcp() {
    let truth = truth();
    assert_eq!(truth.len(), 37);
    for (name, truth) in truth {
        let replay = replay(&name);
        for transport in [Transport::Udp, Transport::Tcp] {
            let by_tshark = truth["sip"]["transport_frames"][transport.as_str()].as_u64().unwrap_or(0) as usize;
            let fewer = FEWER.iter().find(|fewer| fewer.0 == name && fewer.1 < by_tshark);
            let (expected, why) = fewer.map_or((by_tshark, ""), |&(_, expected, why)| (expected, why));
            let seen = replay.frames.iter().filter(|frame| frame.transport == transport).count();
            assert_eq!(seen, expected, "{name} {} {why}", transport.as_str());
        }
        assert_eq!(replay.problems, [""; 0], "{name}");
    }
}

#[test]
fn sip_on_other_ports_is_noticed_and_nothing_else_is_taken_for_it() {
    for name in truth().keys() {
        let expected: Vec<u16> = OTHER_PORTS.iter().filter(|port| port.0 == name).map(|port| port.1).collect();
        assert_eq!(replay(name).report.other_ports(), expected, "{name}");
    }
}

#[test]
fn every_byte_of_a_capture_counts_as_progress() {
    let progress = replay("sngrep--aaa.pcap").report.progress();
    assert_eq!((progress.read, progress.total), (111_077, Some(111_077)));
}
