//! What the program has resident when it is idle, under calls for minutes, and when they are forgotten.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use integration::process::{load_average, megabytes};
use integration::ringside::{Config, HTTP, Ringside};
use integration::scraper::Scraper;
use integration::traffic::Traffic;
use testnet::{Cable, Injector};

/// Calls and registrations a second.
const RATES: [u32; 3] = [500, 2_000, 5_000];

/// After so long nothing is remembered of the last call (`sip-metrics.md` 2.3: 32 s), and what it took is given back.
const FORGOTTEN: Duration = Duration::from_secs(45);

/// A line for each rate, with calls for so many seconds; one scrape a second.
pub fn print(seconds: u32) {
    println!("\nResident of its own (`RssAnon`: without the ring), calls begun for {seconds} s\n");
    println!(
        "| offered | idle | after 30 s | half of the time | all of it | at most | forgotten | CPU | lost | counters | load |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for rate in RATES {
        line(rate, seconds);
    }
}

fn line(rate: u32, seconds: u32) {
    let cable = Cable::new().expect("namespaces are allowed, the gate has tried");
    let ringside = Ringside::start_with(&cable.right, &Config::on("right").toml(), &[]);
    let process = ringside.process();
    let scraper = Scraper::start(&cable.right, HTTP);
    // Whatever a start leaves over has gone, and the first scrapes were answered.
    thread::sleep(Duration::from_secs(3));
    let (idle, cpu) = (process.own(), process.cpu());
    let traffic = Traffic { calls: u64::from(rate * seconds), rate, ..Traffic::default() };
    let (over, is_over) = channel::<()>();
    let (held, samples) = thread::scope(|scope| {
        let watch = scope.spawn(move || {
            let mut samples = Vec::new();
            while is_over.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                samples.push((process.own(), process.cpu()));
            }
            samples
        });
        let held = cable.left.run(|| traffic.send(&Injector::new("left").expect("the cable has two ends")));
        drop(over);
        (held, watch.join().expect("the watch does not panic"))
    });
    let last = ringside.settled(held.messages);
    let differences = last.differences(held.expectations());
    differences.iter().for_each(|difference| eprintln!("load: {difference}"));
    let counters = if differences.is_empty() { "exact".to_owned() } else { format!("{} differ", differences.len()) };
    thread::sleep(FORGOTTEN);
    // The last calls end later than they begin: what comes after is none of the load that was asked for.
    let after = |seconds: u32| {
        let sample = samples.get(seconds.saturating_sub(1) as usize).or(samples.last());
        sample.copied().unwrap_or((idle, cpu))
    };
    let own = |seconds: u32| megabytes(after(seconds).0);
    let percent = 100.0 * (after(seconds).1 - cpu).as_secs_f64() / f64::from(seconds);
    println!(
        "| {rate} calls/s | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} MB | {percent:.1} % | {} | {counters} | {:.1} |",
        megabytes(idle),
        own(30),
        own(seconds / 2),
        own(seconds),
        megabytes(samples.iter().map(|(own, _)| *own).max().unwrap_or(idle)),
        megabytes(process.own()),
        last.count("capture_drops_total"),
        load_average(),
    );
    drop(scraper.stop());
}
