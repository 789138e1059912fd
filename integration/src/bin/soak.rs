//! `make soak`: half an hour at 1,000 calls a second; see [`integration::soak`]. Prints the figures as a table and what
//! should not be. Arguments: `SECONDS CALLS_PER_SECOND SHARDS`.

use std::process::ExitCode;
use std::time::Duration;

use integration::gate;
use integration::soak::Soak;

fn main() -> ExitCode {
    let arguments: Option<Vec<u32>> = std::env::args().skip(1).map(|argument| argument.parse().ok()).collect();
    let Some(arguments) = arguments.filter(|arguments| arguments.len() <= 3 && !arguments.contains(&0)) else {
        eprintln!("usage: soak [SECONDS [CALLS_PER_SECOND [SHARDS]]]");
        return ExitCode::from(2);
    };
    if let Err(obstacle) = gate::obstacle() {
        eprintln!("soak: {obstacle}; it needs root");
        return ExitCode::FAILURE;
    }
    let argument = |index: usize, default| arguments.get(index).copied().unwrap_or(default);
    let soak = Soak {
        seconds: argument(0, 1800),
        rate: argument(1, 1000),
        reload: Duration::from_secs(60),
        backend: Duration::from_secs(75),
        shards: argument(2, 1) as usize,
    };
    let outcome = soak.run();
    println!("| | |\n|---|---|");
    for (what, figure) in outcome.table() {
        println!("| {what} | {figure} |");
    }
    let problems = outcome.problems();
    problems.iter().for_each(|problem| eprintln!("soak: {problem}"));
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
