//! How long the program may stand still: it is stopped, packets come at an even rate, it goes on and is asked what the ring
//! had no room for.

use integration::process::load_average;
use integration::ringside::{Config, Ringside};
use integration::wait::within;
use testnet::Cable;

use crate::sender::{Capture, Rate};
use crate::trial::SETTLES;

/// Packets a second.
const RATES: [u64; 2] = [1_000, 10_000];
/// Seconds of standing still.
const STALLS: [u64; 3] = [5, 10, 11];

/// A line for each capture, rate and length.
pub fn print(captures: &[&Capture]) {
    println!("\nThe program stopped while packets come\n");
    println!("| packets/s | bytes each | stopped for | packets | lost | load |\n|---|---|---|---|---|---|");
    for capture in captures {
        for rate in RATES {
            for seconds in STALLS {
                line(capture, rate, seconds);
            }
        }
    }
}

fn line(capture: &Capture, rate: u64, seconds: u64) {
    let cable = Cable::new().expect("namespaces are allowed, the gate has tried");
    let ringside = Ringside::start_with(&cable.right, &Config::on("right").toml(), &[]);
    ringside.signal(libc::SIGSTOP);
    let sent = capture.send_for(&cable.left, Rate::Each(rate), seconds);
    ringside.signal(libc::SIGCONT);
    let all = || {
        let scrape = ringside.scrape();
        let [seen, lost] = ["packets_total", "capture_drops_total"].map(|counter| scrape.count(counter));
        (seen + lost >= sent.packets).then_some(lost)
    };
    let lost = within(SETTLES, all).map_or("?".to_owned(), |lost| lost.to_string());
    println!(
        "| {rate} | {} | {:.2} s | {} | {lost} | {:.1} |",
        sent.bytes / sent.packets,
        sent.took.as_secs_f64(),
        sent.packets,
        load_average()
    );
}
