//! `make load`: what live capture costs and where it ends. SIPp calls on loopback from 500 to 4,000 a second, then a
//! made-up capture sent onto a cable between two namespaces from 10,000 packets a second up to as fast as it goes: with
//! one core and two, with one shard and two, and beside 50,000 packets a second of something else. Every counter is held
//! against what was sent. Prints tables; `load calls`, `load packets`, `load beside` or `load reader` does one part.
//!
//! Other work on the machine makes every figure worse, so each line has the load average; compare lines of one run.

mod sender;
mod trial;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Instant;

use integration::flows;
use integration::gate;
use integration::sipp::scenario::Scenario;
use integration::sipp::{Load, Party, strain};
use testnet::{Cable, Namespace};

use sender::{Capture, Noise, Rate};
use trial::{Observer, Setup, Trial};

/// Calls a second.
const CALLS: [u32; 4] = [500, 1_000, 2_000, 4_000];
/// Seconds of them.
const SECONDS: u32 = 20;
/// Packets a second; the last is as fast as it goes.
const PACKETS: [Rate; 7] = [
    Rate::Each(10_000),
    Rate::Each(30_000),
    Rate::Each(60_000),
    Rate::Each(100_000),
    Rate::Each(300_000),
    Rate::Each(600_000),
    Rate::Top,
];
/// What ringside runs with.
const SETUPS: [Setup; 3] = [
    Setup { name: "one core, 1 shard", core: Some(1), shards: 1 },
    Setup { name: "two cores, 1 shard", core: None, shards: 1 },
    Setup { name: "two cores, 2 shards", core: None, shards: 2 },
];

fn main() -> ExitCode {
    let parts: Vec<String> = std::env::args().skip(1).collect();
    const PARTS: [&str; 4] = ["calls", "packets", "beside", "reader"];
    if parts.iter().any(|part| !PARTS.contains(&part.as_str())) {
        eprintln!("usage: load [{}]...", PARTS.join("|"));
        return ExitCode::from(2);
    }
    if let Err(obstacle) = gate::obstacle() {
        eprintln!("load: {obstacle}; it needs root");
        return ExitCode::FAILURE;
    }
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    if wanted("calls") {
        calls();
    }
    let capture = Capture::new();
    if wanted("packets") {
        for setup in &SETUPS {
            packets(&capture, Observer::Ringside(setup), None);
        }
    }
    if wanted("beside") {
        for setup in &SETUPS[1..] {
            packets(&capture, Observer::Ringside(setup), Some(&Noise::new()));
        }
    }
    if wanted("reader") {
        packets(&capture, Observer::Tcpdump, None);
    }
    ExitCode::SUCCESS
}

/// SIPp on loopback.
fn calls() {
    println!("\nSIPp on `lo`, {SECONDS} s at each rate, seven messages a call\n\n{}", trial::HEADER);
    for rate in CALLS {
        let namespace = Namespace::new().expect("namespaces are allowed, the gate has tried");
        let trial = Trial::start(&namespace, "lo", &Observer::Ringside(&SETUPS[1]));
        let party = |port| Party { namespace: &namespace, address: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port) };
        let load = Load { calls: rate * SECONDS, rate };
        let start = Instant::now();
        let (counts, kept_up) = strain(&Scenario::new(flows::ANSWERED), party(5070), party(5060), load);
        let offered = format!("{rate} calls/s{}", if kept_up { "" } else { " (SIPp itself failed calls)" });
        println!("{}", trial.end(&offered, counts.packets(), start.elapsed(), counts.expectations()));
    }
}

/// A capture on a cable.
fn packets(capture: &Capture, observer: Observer<'_>, noise: Option<&Noise>) {
    let beside = noise.map_or("", |_| ", beside 50,000 other packets/s");
    println!("\n{}{beside}\n\n{}", observer.name(), trial::HEADER);
    for rate in PACKETS {
        let cable = Cable::new().expect("namespaces are allowed, the gate has tried");
        let noise = noise.map(|noise| noise.start(&cable.left));
        let trial = Trial::start(&cable.right, "right", &observer);
        let sent = capture.send(&cable.left, rate);
        println!("{}", trial.end(&rate.to_string(), sent.packets, sent.took, capture.expectations(sent.packets)));
        drop(noise);
    }
}
