//! `traffic CALLS [FILE]`: a capture of made-up calls, to a file or to standard output; what it holds goes to standard
//! error. Options: `--rate CALLS_PER_SECOND`, `--talk SECONDS`, `--seed NUMBER`, `--answered` (no other kind of call).

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::time::Duration;

use integration::traffic::{Kind, Mix, Traffic};

fn main() -> ExitCode {
    let Some((traffic, file)) = arguments(std::env::args().skip(1)) else {
        eprintln!("usage: traffic CALLS [FILE] [--rate N] [--talk SECONDS] [--seed N] [--answered]");
        return ExitCode::from(2);
    };
    match write(&traffic, file.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("traffic: {}: {error}", file.as_deref().unwrap_or("standard output"));
            ExitCode::FAILURE
        }
    }
}

fn arguments(mut arguments: impl Iterator<Item = String>) -> Option<(Traffic, Option<String>)> {
    let (mut traffic, mut calls, mut file) = (Traffic::default(), None, None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--answered" => traffic.mix = Mix::Answered,
            "--rate" => traffic.rate = arguments.next()?.parse().ok().filter(|rate| *rate > 0)?,
            "--talk" => traffic.talk = Duration::from_secs(arguments.next()?.parse().ok()?),
            "--seed" => traffic.seed = arguments.next()?.parse().ok()?,
            _ if calls.is_none() => calls = Some(argument.parse().ok()?),
            _ if file.is_none() => file = Some(argument),
            _ => return None,
        }
    }
    traffic.calls = calls?;
    Some((traffic, file))
}

fn write(traffic: &Traffic, file: Option<&str>) -> io::Result<()> {
    let out: Box<dyn Write> = match file {
        Some(path) => Box::new(File::create(path)?),
        None => Box::new(io::stdout().lock()),
    };
    let mut out = BufWriter::with_capacity(1 << 20, out);
    let held = traffic.write(&mut out)?;
    out.flush()?;
    let kinds = Kind::ALL.map(|kind| format!("{} {kind:?}", held.of(kind)).to_lowercase());
    eprintln!("{} messages: {}", held.messages, kinds.join(", "));
    Ok(())
}
