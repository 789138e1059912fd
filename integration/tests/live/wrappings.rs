//! Live is file: every frame of the captures of our own making, put on a cable, counts there what it counts in its file,
//! by the same 150 files in every wrapping, tag and depth that is read, and in those that are not.
//!
//! And datagrams that the kernel merged on their way (GRO) are taken apart.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;

use integration::exposition::Exposition;
use integration::gate;
use integration::ringside::{Config, Ringside, binary};
use integration::wait::eventually;
use testnet::{Injector, Namespace, skipped};

use crate::stage::cable;

/// Ports that some of the captures need.
const PORTS: &str = "vxlan_ports = [4789, 8472, 5555]\nws_ports = [8080]";

/// What says of a capture how its packets were read.
const COUNTED: [&str; 8] = [
    "packets_total",
    "parse_errors_total",
    "non_sip_total",
    "not_read_total{why=\"esp\"}",
    "not_read_total{why=\"l2tp\"}",
    "not_read_total{why=\"sctp\"}",
    "not_read_total{why=\"nested\"}",
    "not_read_total{why=\"ethertype\"}",
];

fn counted(scrape: &Exposition) -> [u64; COUNTED.len()] {
    COUNTED.map(|series| scrape.count(series))
}

#[test]
fn every_frame_of_the_captures_counts_as_in_its_file() {
    let test = "every frame of the captures counts as in its file";
    let Some(_pass) = gate::shared(test) else { return };
    let captures = ethernet_captures();
    assert!(captures.len() > 100, "{} captures of Ethernet", captures.len());
    let cable = cable();
    // Some are longer than a frame usually is: tags do not count, and what was merged is no frame of a network.
    cable.left.ip("link set left mtu 9000");
    cable.right.ip("link set right mtu 9000");
    let ringside = Ringside::start(&cable.right, &Config::on("right").receiver(PORTS));
    let injector = cable.left.run(|| Injector::new("left")).expect("the gate has tried");
    let mut so_far = [0; COUNTED.len()];
    for (path, frames) in captures {
        let in_file = counted(&replay(&path));
        for (all, more) in so_far.iter_mut().zip(in_file) {
            *all += more;
        }
        frames.iter().for_each(|frame| injector.send(frame));
        let reached = |scrape: &Exposition| (0..so_far.len()).all(|index| counted(scrape)[index] >= so_far[index]);
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let scrape = eventually(&name, || Some(ringside.scrape()).filter(reached));
        // Too many are those of this capture or of the one before.
        assert_eq!(counted(&scrape), so_far, "{name}: {COUNTED:?}");
    }
    let scrape = ringside.settled(0);
    assert_eq!(counted(&scrape), so_far, "{COUNTED:?}");
    // Live a sample will do; of every kind that holds SIP the first packet is one.
    assert!(scrape.count("sip_elsewhere_total{why=\"wrapping\"}") >= 5);
    assert_eq!(scrape.count("capture_drops_total"), 0);
}

/// Captures whose packets are Ethernet frames, with their frames, in order of their names. Those that say how files are
/// written, or that packets were cut when they were captured, say nothing here; of streams one will do, since all begin
/// with the same numbers between the same ends.
fn ethernet_captures() -> Vec<(PathBuf, Vec<Vec<u8>>)> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/captures"));
    let entries = fs::read_dir(folder).expect("our own captures").map(|entry| entry.expect("readable").path());
    let mut paths: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|ending| ending == "pcap")).collect();
    paths.retain(|path| {
        let name = path.file_name().expect("a file").to_string_lossy();
        !["cut-", "damaged-", "form-", "tcp-", "websocket-"].iter().any(|form| name.starts_with(form))
            || name.starts_with("tcp-wrapping-")
    });
    paths.sort();
    let frames = |path: &PathBuf| ladder::pcap::read(&fs::read(path).expect("readable"));
    let with_frames = |path: PathBuf| {
        let frames = frames(&path)?.into_iter().map(|(_, frame)| frame).collect();
        Some((path, frames))
    };
    paths.into_iter().filter_map(with_frames).collect()
}

fn replay(path: &Path) -> Exposition {
    let output = Command::new(binary())
        .args([
            "replay",
            "--set",
            "receivers.pcap.vxlan_ports=[4789,8472,5555]",
            "--set",
            "receivers.pcap.ws_ports=[8080]",
        ])
        .arg(path)
        .output()
        .expect("ringside starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Exposition::parse(&String::from_utf8_lossy(&output.stdout))
}

/// Datagrams of one burst.
const BURST: usize = 20;

#[test]
fn datagrams_merged_by_the_sender_are_taken_apart() {
    merged("datagrams merged by the sender (GSO)", &[]);
}

#[test]
fn datagrams_merged_on_their_way_are_taken_apart() {
    merged("datagrams merged on their way (rx-udp-gro-forwarding)", &["rx-udp-gro-forwarding"]);
}

#[test]
fn datagrams_merged_in_a_list_are_taken_apart() {
    merged("datagrams merged in a list (rx-gro-list)", &["rx-gro-list"]);
}

/// A burst of pings in one buffer that the kernel cuts (`UDP_SEGMENT`), over a cable whose far end may put what it
/// receives together again: each counts.
#[track_caller]
fn merged(test: &str, features: &[&str]) {
    let Some(_pass) = gate::shared(test) else { return };
    let cable = cable();
    for feature in features {
        // Merging is what a device with a queue of its own (NAPI) does: a cable has one once GRO is on.
        for (key, value) in [("tx-udp-segmentation", "off"), ("gro", "on"), (feature, "on")] {
            let (namespace, device) = if value == "off" { (&cable.left, "left") } else { (&cable.right, "right") };
            if let Err(why) = set_feature(namespace, device, key, value) {
                return skipped(test, &why);
            }
        }
    }
    let ringside = Ringside::start(&cable.right, &Config::on("right"));
    let (from, to) = cable.addresses(testnet::Family::V4, 5060);
    let pings: Vec<Vec<u8>> = (0..BURST).map(ping).collect();
    let size = pings[0].len();
    assert!(pings.iter().all(|ping| ping.len() == size), "what is merged has one size");
    let _sink = cable.right.run(|| UdpSocket::bind(to).expect("the address is there"));
    cable.left.run(|| {
        let socket = UdpSocket::bind(from).expect("the address is there");
        testnet::send_in_segments(&socket, to, &pings.concat(), u16::try_from(size).expect("small"))
            .expect("the kernel knows UDP_SEGMENT");
    });
    let scrape = ringside.settled(BURST as u64);
    let captured = ringside.internal("otelcol_receiver_ring_packets").expect("the receiver counts them");
    assert!(captured < BURST as f64, "{captured} packets captured: nothing was merged");
    scrape.assert([("packets_total", BURST as f64), ("options_total", BURST as f64), ("anomalies_total", 0.0)]);
}

fn ping(number: usize) -> Vec<u8> {
    format!(
        "OPTIONS sip:ping@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.20.0.1;branch=z9hG4bK-ping-{number:02}\r\n\
         From: <sip:a@example.com>;tag=a\r\nTo: <sip:ping@example.com>\r\nCall-ID: ping-{number:02}@example.com\r\n\
         CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

fn set_feature(namespace: &Namespace, device: &str, feature: &str, value: &str) -> Result<(), String> {
    let output = namespace.command("ethtool").args(["--features", device, feature, value]).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("ethtool {feature} {value}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("ethtool: {error}")),
    }
}
