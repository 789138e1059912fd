//! `make load`: what live capture costs and where it ends. SIPp calls on loopback from 500 to 4,000 a second, then a
//! made-up capture sent onto a cable between two namespaces from 10,000 packets a second up to as fast as it goes: with
//! one core and two, with one shard and two, and beside 50,000 packets a second of something else. Every counter is held
//! against what was sent. Then the whole capture in one burst, several times, how long the program may stand still, what is
//! resident under calls for minutes, and what a packet that is not SIP costs, and one of voice. Prints tables. Names of [`PARTS`]
//! (`make load PART=burst`) do these parts alone; a number is how many seconds calls are placed at each rate.
//!
//! Other work on the machine makes every figure worse, so each line has the load average; compare lines of one run.

mod media;
mod others;
mod resident;
mod sender;
mod stall;
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
/// Seconds of them, unless told otherwise.
const SECONDS: u32 = 20;
/// Seconds of calls under which memory is looked at, unless told otherwise.
const MINUTES: u32 = 150;
/// How often the burst is sent to each setup.
const BURSTS: usize = 5;
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
/// Bytes that bring the packets of the capture's first ten seconds, which are calls being set up, to 550 on average.
const PADDING: usize = 46;
/// What ringside runs with.
const SETUPS: [Setup; 3] = [
    Setup { name: "one core, 1 shard", core: Some(1), shards: 1 },
    Setup { name: "two cores, 1 shard", core: None, shards: 1 },
    Setup { name: "two cores, 2 shards", core: None, shards: 2 },
];

/// What there is to do, in this order.
const PARTS: [&str; 9] = ["calls", "resident", "others", "media", "packets", "beside", "burst", "stall", "reader"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (numbers, parts): (Vec<_>, Vec<_>) = arguments.iter().partition(|argument| argument.parse::<u32>().is_ok());
    let seconds = numbers.first().and_then(|seconds| seconds.parse().ok());
    if numbers.len() > 1 || seconds == Some(0) || parts.iter().any(|part| !PARTS.contains(&part.as_str())) {
        eprintln!("usage: load [SECONDS] [{}]...", PARTS.join("|"));
        return ExitCode::from(2);
    }
    if let Err(obstacle) = gate::obstacle() {
        eprintln!("load: {obstacle}; it needs root");
        return ExitCode::FAILURE;
    }
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| *wanted == part);
    if wanted("calls") {
        calls(seconds.unwrap_or(SECONDS));
    }
    if wanted("resident") {
        resident::print(seconds.unwrap_or(MINUTES));
    }
    if wanted("others") {
        others::print();
    }
    if wanted("media") {
        media::print();
    }
    if !PARTS[4..].iter().any(|part| wanted(part)) {
        return ExitCode::SUCCESS;
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
    if wanted("burst") {
        for setup in &SETUPS {
            bursts(&capture, setup);
        }
    }
    if wanted("stall") {
        stall::print(&[&capture, &Capture::padded(PADDING)]);
    }
    if wanted("reader") {
        packets(&capture, Observer::Tcpdump, None);
    }
    ExitCode::SUCCESS
}

/// SIPp on loopback.
fn calls(seconds: u32) {
    println!("\nSIPp on `lo`, {seconds} s at each rate, seven messages a call\n\n{}", trial::HEADER);
    for rate in CALLS {
        let namespace = Namespace::new().expect("namespaces are allowed, the gate has tried");
        let trial = Trial::start(&namespace, "lo", &Observer::Ringside(&SETUPS[1]));
        let party = |port| Party { namespace: &namespace, address: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port) };
        let load = Load { calls: rate * seconds, rate };
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

/// The whole capture at once: the ring takes what the program has not got to.
fn bursts(capture: &Capture, setup: &Setup) {
    println!("\nBursts, {}\n\n{}", setup.name, trial::HEADER);
    for _ in 0..BURSTS {
        let cable = Cable::new().expect("namespaces are allowed, the gate has tried");
        let trial = Trial::start(&cable.right, "right", &Observer::Ringside(setup));
        let sent = capture.burst(&cable.left);
        println!("{}", trial.end("a burst", sent.packets, sent.took, capture.expectations(sent.packets)));
    }
}
