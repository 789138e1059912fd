//! How many instructions a message of an answered call takes from packet to count, whole and by stage: `cargo bench -p
//! ringside --bench instructions`.
//!
//! Counted by callgrind, so that what else a machine does hides nothing. This program calls itself, once with a number
//! of calls and once with twice as many; what the second run takes more is that of the calls alone. Stages are added one
//! at a time, which is how each gets its own number.

#[path = "../src/allocator.rs"]
mod allocator;
#[path = "../src/components.rs"]
mod components;

mod chain;

use std::hint::black_box;
use std::process::Command;

use pipeline::FrameBatch;
use sip::Framing;

use chain::{CALL, Engine, MESSAGES, Packets, Stage, Stages};

/// As in the program.
#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::Allocator;

/// Calls of the first of two runs; the second one has twice as many.
const CALLS: usize = 1_000;
/// New calls a second: enough to have some up and many remembered, few enough to fill the tables soon.
const RATE: u64 = 50;

/// [`CALL`] on both sides of a translation: to a service, and behind it to a backend.
const BALANCED: &str = "
    0.0000 alice -> bob INVITE sdp ua=\"Yealink SIP-T46S 66.85.0.5\" call=@ branch=z9hG4bK-i@ cseq=1 ftag=f@
    0.0001 alice -> carol INVITE copy call=@
    0.0010 alice <- bob 100 call=@
    0.0011 alice <- carol 100 copy call=@
    0.1000 alice <- bob 180 call=@ tag=t@
    0.1001 alice <- carol 180 copy call=@
    2.0000 alice <- bob 200 sdp call=@ tag=t@
    2.0001 alice <- carol 200 copy call=@
    2.0100 alice -> bob ACK call=@ branch=z9hG4bK-a@
    2.0101 alice -> carol ACK copy call=@
    9.0000 alice -> bob BYE call=@ branch=z9hG4bK-b@ cseq=2 ftag=f@ ttag=t@
    9.0001 alice -> carol BYE copy call=@
    9.0100 alice <- bob 200 call=@ of=BYE
    9.0101 alice <- carol 200 copy call=@ of=BYE";

/// A service that bob is the address of, and carol a backend.
const SERVICE: &str = r#"
    services = [{ name = "sbc", addresses = ["198.51.100.20:5060"], backends = [
        { name = "pod", addresses = ["198.51.100.30:5060"] }, { name = "other", addresses = ["198.51.100.40:5060"] } ] }]
"#;

/// How far the packets go, each farther than the one before.
const WAYS: [&str; 7] = ["made", "framed", "parsed", "followed", "labelled", "counted", "trunks"];

/// With affinity looked at: what there is to see, packets made, counted without it, and with it.
const LOOKED: [(&str, [&str; 3]); 3] = [
    ("no service", ["made", "counted", "looked"]),
    ("a listed service, one side", ["made", "counted", "listed"]),
    ("a listed service, both sides", ["balanced made", "balanced", "balanced listed"]),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, way, rate, calls] = &arguments[..]
        && mode == "--run"
    {
        let number = |text: &String| text.parse::<u32>().expect("a number");
        return run(way, number(rate).into(), number(calls) as usize);
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        return println!("instructions are counted by valgrind, which is not installed");
    }
    println!("instructions for each of the {MESSAGES} messages of an answered call");
    let so_far: Vec<u64> = WAYS.iter().map(|way| per_message(way)).collect();
    let [made, framed, parsed, followed, labelled, counted, trunks] = so_far[..] else {
        unreachable!("as many as there are")
    };
    for (what, instructions) in [
        ("packet to frame", framed - made),
        ("parse", parsed - framed),
        ("follow", followed - parsed),
        ("label", labelled - followed),
        ("count", counted - labelled),
        ("all of these", counted - made),
        ("trunks at both ends", trunks - counted),
        ("all, by the engine", per_message("engine") - made),
    ] {
        println!("{what:20} {instructions:6}");
    }
    for (what, ways) in LOOKED {
        let [made, without, with] = ways.map(per_message);
        let [without, with] = [without - made, with - made];
        let ratio = with as f64 / without as f64;
        println!("affinity, {what:28} {with:6}, without {without:6}: {ratio:.3}");
    }
}

/// Packets of so many calls, taken as far as `way` says.
fn run(way: &str, rate: u64, calls: usize) {
    if way == "engine" {
        let mut engine = Engine::new(rate);
        return in_parts(calls, |part| {
            engine.make(part);
            engine.run();
        });
    }
    let packets = || Packets::of(if way.starts_with("balanced") { BALANCED } else { CALL }, rate);
    if way.ends_with("made") {
        let mut packets = packets();
        // As many as go on beside each other must have begun.
        packets.make(packets.calls_until_full());
        return in_parts(calls, |part| packets.make(part));
    }
    let affinity = match way {
        "looked" => Some(""),
        "listed" | "balanced listed" => Some(SERVICE),
        _ => None,
    };
    let mut stages = Stages::of(packets(), way == "trunks", affinity);
    in_parts(calls, |part| {
        stages.packets.make(part);
        while !stages.packets.all_are_taken() {
            stages.pass(Stage::Frame);
            match way {
                "framed" => {}
                "parsed" => parse(&stages.batch),
                "followed" => {
                    stages.pass(Stage::Look);
                    stages.pass(Stage::Follow);
                }
                "labelled" => {
                    stages.pass(Stage::Look);
                    stages.pass(Stage::Follow);
                    stages.pass(Stage::Label);
                }
                _ => Stage::ALL[1..].iter().for_each(|stage| stages.pass(*stage)),
            }
        }
    });
}

fn parse(batch: &FrameBatch) {
    for frame in &batch.frames {
        let message = sip::parse(batch.message(frame), Framing::Datagram { truncated: false });
        assert!(black_box(message).is_ok());
    }
}

fn in_parts(calls: usize, mut take: impl FnMut(usize)) {
    const PART: usize = 100;
    (0..calls / PART).for_each(|_| take(PART));
}

/// Instructions of a message that goes this way, making its packet included.
fn per_message(way: &str) -> u64 {
    let messages = if way.starts_with("balanced") { 2 * MESSAGES } else { MESSAGES };
    (count(way, 2 * CALLS) - count(way, CALLS)) / (CALLS * messages) as u64
}

/// Instructions of this program when it takes so many calls.
fn count(way: &str, calls: usize) -> u64 {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["--run", way, &RATE.to_string(), &calls.to_string()])
        .output()
        .expect("valgrind runs");
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report.lines().find_map(|line| line.split_once("Collected : "));
    let (_, count) = collected.unwrap_or_else(|| panic!("callgrind tells what it counted:\n{report}"));
    count.trim().parse().expect("a count")
}
