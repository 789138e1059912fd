//! What a packet that is not SIP costs the host, by who listens: the time in which bursts of voice packets go onto a cable
//! and are taken off it, all of which the sending thread pays for. What watches stands at the receiving end, then at the
//! sending one.

use std::fmt;
use std::net::SocketAddr;
use std::process::Child;
use std::time::{Duration, Instant};

use integration::process::load_average;
use integration::ringside::{Config, Ringside};
use ladder::{Step, frame};
use testnet::{Cable, Injector, Namespace};

use crate::trial::tcpdump;

/// Packets of a burst: a few dozen microseconds, so that most bursts are disturbed by nothing.
const BURST: u16 = 64;
/// Bursts of a round, of which the fifth percentile counts.
const BURSTS: usize = 3_000;
/// Rounds; each difference is to the bare cable of the same round, and the middle one counts.
const ROUNDS: usize = 11;

/// Who listens.
#[derive(Clone, Copy, Debug)]
enum Listener {
    Ringside,
    /// With the capabilities that the package gives it, without which the verifier makes programs slower.
    Service,
    Tcpdump,
}

const LISTENERS: [Listener; 3] = [Listener::Ringside, Listener::Service, Listener::Tcpdump];
const FILTER: &str = "port 5060 or port 5061";

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ringside => f.write_str("ringside as root"),
            Self::Service => f.write_str("ringside with CAP_NET_RAW and CAP_BPF, as the package runs it"),
            Self::Tcpdump => write!(f, "`tcpdump -w /dev/null '{FILTER}'`"),
        }
    }
}

/// One that listens until it is dropped.
enum Listening<'a> {
    Ringside(#[expect(dead_code, reason = "it listens")] Box<Ringside<'a>>),
    Tcpdump(Child),
}

impl Listener {
    fn start<'a>(self, namespace: &'a Namespace, interface: &str) -> Listening<'a> {
        let wrapper: &[&str] = match self {
            Self::Ringside => &[],
            Self::Service => &["setpriv", "--bounding-set=-all,+net_raw,+bpf"],
            Self::Tcpdump => return Listening::Tcpdump(tcpdump(namespace, interface, FILTER)),
        };
        let config = Config::on("any").toml();
        Listening::Ringside(Box::new(Ringside::start_with(namespace, &config, wrapper)))
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        if let Self::Tcpdump(child) = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A table of differences.
pub fn print() {
    let frames: Vec<Vec<u8>> = (0..BURST).map(voice).collect();
    println!("\nPackets that are not SIP, 172 bytes over UDP, {ROUNDS} rounds of {BURSTS} bursts of {BURST}\n");
    println!("| listening | where received | where sent |\n|---|---|---|");
    let mut bare = [Vec::new(), Vec::new()];
    let mut more = LISTENERS.map(|_| [Vec::new(), Vec::new()]);
    for _ in 0..ROUNDS {
        for (side, interface) in ["right", "left"].into_iter().enumerate() {
            let alone = time(&Cable::new().expect("namespaces are allowed, the gate has tried"), &frames);
            bare[side].push(alone);
            for (listener, more) in LISTENERS.iter().zip(&mut more) {
                let cable = Cable::new().expect("namespaces are allowed, the gate has tried");
                let namespace = if side == 0 { &cable.right } else { &cable.left };
                let listening = listener.start(namespace, interface);
                more[side].push(time(&cable, &frames) - alone);
                drop(listening);
            }
        }
    }
    println!("| nobody | {} ns | {} ns |", middle(&mut bare[0]), middle(&mut bare[1]));
    for (listener, [received, sent]) in LISTENERS.iter().zip(&mut more) {
        println!("| {listener} | + {} ns | + {} ns |", middle(received), middle(sent));
    }
    println!("\nload {:.1}", load_average());
}

/// Nanoseconds that a packet takes from one end of the cable to the other.
fn time(cable: &Cable, frames: &[Vec<u8>]) -> i64 {
    cable.left.run(|| {
        let injector = Injector::new("left").expect("the cable has two ends");
        let mut bursts: Vec<Duration> = (0..BURSTS)
            .map(|_| {
                let start = Instant::now();
                injector.send_all(frames.iter().map(Vec::as_slice));
                start.elapsed()
            })
            .collect();
        bursts.sort_unstable();
        bursts[BURSTS / 20].as_nanos() as i64 / i64::from(BURST)
    })
}

fn middle(values: &mut [i64]) -> i64 {
    values.sort_unstable();
    values[values.len() / 2]
}

/// RTP's version, then 20 ms of G.711, between addresses and ports that nobody has.
fn voice(number: u16) -> Vec<u8> {
    let end = |host, base| SocketAddr::from(([10, 9, 0, host], base + 2 * number));
    let bytes = [&[0x80, 0x08][..], &[0x55; 170]].concat();
    let step = Step { at: Duration::ZERO, source: end(1, 20_000), destination: end(2, 30_000), bytes };
    frame::ethernet(&frame::datagram(&step, number))
}
