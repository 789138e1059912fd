//! `make bench-replay`: `ringside replay` over made-up captures of 10,000, 100,000 and 1,000,000 calls, so that one sees
//! how cost grows. Prints a table; other sizes as arguments. The best of three runs counts: what slows a run down is not
//! its own.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::{Command, ExitCode, Stdio};

use integration::exposition::Exposition;
use integration::process::{self, Taken, load_average, megabytes};
use integration::ringside;
use integration::scratch::Folder;
use integration::traffic::{Mix, Traffic};

const SIZES: [u64; 3] = [10_000, 100_000, 1_000_000];
const SHARDS: [usize; 2] = [1, 2];
const RUNS: usize = 3;

fn main() -> ExitCode {
    let sizes: Option<Vec<u64>> = std::env::args().skip(1).map(|size| size.parse().ok()).collect();
    let Some(mut sizes) = sizes else {
        eprintln!("usage: bench-replay [CALLS]...");
        return ExitCode::from(2);
    };
    if sizes.is_empty() {
        sizes = SIZES.to_vec();
    }
    println!("| calls | messages | capture | shards | time | processor | M messages/s | resident at most |");
    println!("|---|---|---|---|---|---|---|---|");
    for calls in sizes {
        measure(calls);
    }
    println!("\nload of the machine at the end: {:.1}", load_average());
    ExitCode::SUCCESS
}

fn measure(calls: u64) {
    let folder = Folder::new("bench");
    let path = folder.join("calls.pcap");
    let traffic = Traffic { calls, mix: Mix::Everyday, ..Traffic::default() };
    let mut file = BufWriter::with_capacity(1 << 20, File::create(&path).expect("a capture"));
    let held = traffic.write(&mut file).and_then(|held| file.flush().map(|()| held)).expect("room for the capture");
    drop(file);
    let size = path.metadata().expect("it is there").len();
    for shards in SHARDS {
        let run = || {
            let output = folder.join("metrics");
            let mut command = Command::new(ringside::binary());
            command.arg("replay").arg(&path).args(["--set", &format!("service.shards={shards}")]);
            command.stdout(File::create(&output).expect("a file")).stderr(Stdio::null());
            let taken = process::run(&mut command).expect("ringside starts");
            assert!(taken.status.success(), "ringside replay: {}", taken.status);
            let metrics = std::fs::read_to_string(&output).expect("it has been written");
            Exposition::parse(&metrics).assert(held.expectations());
            taken
        };
        let best: Taken = (0..RUNS).map(|_| run()).min_by_key(|taken| taken.wall).expect("more than no runs");
        println!(
            "| {calls} | {} | {:.0} MB | {shards} | {:.2} s | {:.2} s | {:.2} | {:.0} MB |",
            held.messages,
            megabytes(size),
            best.wall.as_secs_f64(),
            best.cpu.as_secs_f64(),
            held.messages as f64 / best.wall.as_secs_f64() / 1e6,
            megabytes(best.peak),
        );
    }
}
