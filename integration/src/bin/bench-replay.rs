//! `make bench-replay`: `ringside replay` over made-up captures of 10,000, 100,000 and 1,000,000 calls, so that one sees
//! how cost grows, then over an hour and a day of an even load, which must take the same memory, then over calls of which
//! 93 % of the packets are voice, with and without `media`. Prints tables; other sizes, `day` for the second table or `voice`
//! for the third as arguments (`make bench-replay PART=day`). The best of three runs counts: what slows a run down is not
//! its own.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::{Command, ExitCode, Stdio};

use integration::exposition::Exposition;
use integration::process::{self, Taken, load_average, megabytes};
use integration::ringside;
use integration::scratch::Folder;
use integration::traffic::{Held, Mix, Traffic};
use integration::voice;

const SIZES: [u64; 3] = [10_000, 100_000, 1_000_000];
const SHARDS: [usize; 2] = [1, 2];
const RUNS: usize = 3;

/// Calls that are talked.
const TALKED: u32 = 15_000;

/// Calls a second of the virtual day.
const DAILY_RATE: u32 = 5;

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() {
        arguments = SIZES.map(|size| size.to_string()).into();
        arguments.extend(["day", "voice"].map(str::to_owned));
    }
    let (voices, others): (Vec<_>, Vec<_>) = arguments.iter().partition(|argument| *argument == "voice");
    let (days, sizes): (Vec<_>, Vec<_>) = others.into_iter().partition(|argument| *argument == "day");
    let sizes: Option<Vec<u64>> = sizes.iter().map(|size| size.parse().ok()).collect();
    let Some(sizes) = sizes else {
        eprintln!("usage: bench-replay [CALLS|day|voice]...");
        return ExitCode::from(2);
    };
    if !sizes.is_empty() {
        println!("| calls | messages | capture | shards | time | processor | M messages/s | resident at most |");
        println!("|---|---|---|---|---|---|---|---|");
        sizes.into_iter().for_each(measure);
    }
    if !days.is_empty() {
        println!("\n| {DAILY_RATE} calls a second for | calls | messages | resident at most |\n|---|---|---|---|");
        spans();
    }
    if !voices.is_empty() {
        println!(
            "\n| `media` | packets | of them voice | time | processor | M packets/s of processor time | resident at most |"
        );
        println!("|---|---|---|---|---|---|---|");
        voice();
    }
    println!("\nload of the machine at the end: {:.1}", load_average());
    ExitCode::SUCCESS
}

fn measure(calls: u64) {
    let capture = Capture::new(&Traffic { calls, mix: Mix::Everyday, ..Traffic::default() });
    for shards in SHARDS {
        let best = (0..RUNS).map(|_| capture.replayed(shards)).min_by_key(|taken| taken.wall);
        let best = best.expect("more than no runs");
        println!(
            "| {calls} | {} | {:.0} MB | {shards} | {:.2} s | {:.2} s | {:.2} | {:.0} MB |",
            capture.held.messages,
            megabytes(capture.size),
            best.wall.as_secs_f64(),
            best.cpu.as_secs_f64(),
            capture.held.messages as f64 / best.wall.as_secs_f64() / 1e6,
            megabytes(best.peak),
        );
    }
}

/// An hour of a load and a day of it, by the clock of the capture.
fn spans() {
    for (name, hours) in [("an hour", 1), ("a day", 24)] {
        let calls = hours * 3600 * u64::from(DAILY_RATE);
        let capture = Capture::new(&Traffic { calls, rate: DAILY_RATE, ..Traffic::default() });
        let taken = capture.replayed(1);
        println!("| {name} | {calls} | {} | {:.1} MB |", capture.held.messages, megabytes(taken.peak));
    }
}

/// Calls that are talked, with a processor of media and without, in turn.
fn voice() {
    let folder = Folder::new("bench-voice");
    let path = folder.join("voice.pcap");
    let mut file = BufWriter::with_capacity(1 << 20, File::create(&path).expect("a capture"));
    let held = voice::write(TALKED, &mut file).and_then(|held| file.flush().map(|()| held)).expect("room for it");
    let configs = [("no", ""), ("yes", "'media', ")].map(|(name, stage)| {
        let config = folder.join(&format!("{name}.toml"));
        let text = format!(
            "[receivers.pcap]\nfiles = ['none']\n[processors.dialog]\n[processors.media]\n[processors.enrich]\n\
             [exporters.prometheus]\n[service.pipelines.metrics]\nreceivers = ['pcap']\n\
             processors = ['dialog', {stage}'enrich']\nexporters = ['prometheus']\n"
        );
        std::fs::write(&config, text).expect("a configuration");
        (name, config)
    });
    let mut runs: [Vec<Taken>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..RUNS {
        for ((name, config), runs) in configs.iter().zip(&mut runs) {
            let output = folder.join("metrics");
            let mut command = Command::new(ringside::binary());
            command.arg("replay").arg("--config").arg(config).arg(&path);
            command.stdout(File::create(&output).expect("a file")).stderr(Stdio::null());
            let taken = process::run(&mut command).expect("ringside starts");
            assert!(taken.status.success(), "ringside replay: {}", taken.status);
            let metrics = Exposition::parse(&std::fs::read_to_string(&output).expect("it has been written"));
            let heard = if *name == "yes" { held.rtp } else { 0 };
            assert_eq!(metrics.value("rtp_packets_total").unwrap_or(0.0), heard as f64);
            assert_eq!(metrics.value("rtp_lost_total").unwrap_or(0.0), 0.0);
            runs.push(taken);
        }
    }
    for ((name, _), runs) in configs.iter().zip(runs) {
        let best = runs.into_iter().min_by_key(|taken| taken.cpu).expect("more than no runs");
        println!(
            "| {name} | {} | {} | {:.2} s | {:.2} s | {:.2} | {:.0} MB |",
            held.packets,
            held.rtp,
            best.wall.as_secs_f64(),
            best.cpu.as_secs_f64(),
            held.packets as f64 / best.cpu.as_secs_f64() / 1e6,
            megabytes(best.peak),
        );
    }
}

/// A made-up capture in a file.
struct Capture {
    folder: Folder,
    held: Held,
    size: u64,
}

impl Capture {
    fn new(traffic: &Traffic) -> Self {
        let folder = Folder::new("bench");
        let path = folder.join("calls.pcap");
        let mut file = BufWriter::with_capacity(1 << 20, File::create(&path).expect("a capture"));
        let held = traffic.write(&mut file).and_then(|held| file.flush().map(|()| held));
        let held = held.expect("room for the capture");
        let size = path.metadata().expect("it is there").len();
        Self { folder, held, size }
    }

    /// What reading it takes; every counter must be as it should.
    fn replayed(&self, shards: usize) -> Taken {
        let output = self.folder.join("metrics");
        let mut command = Command::new(ringside::binary());
        command.arg("replay").arg(self.folder.join("calls.pcap")).args(["--set", &format!("service.shards={shards}")]);
        command.stdout(File::create(&output).expect("a file")).stderr(Stdio::null());
        let taken = process::run(&mut command).expect("ringside starts");
        assert!(taken.status.success(), "ringside replay: {}", taken.status);
        let metrics = std::fs::read_to_string(&output).expect("it has been written");
        Exposition::parse(&metrics).assert(self.held.expectations());
        taken
    }
}
