//! `make cost`: what traces and the console cost. Calls on a loopback interface of their own, captured by ringside through eBPF: its
//! processor time for each with traces off, at the default rate and for every call, and with nobody or ten pages looking at
//! the console; then the memory of calls that are up.
//!
//! A run is only worth its figure when nothing was lost: every message counted, no drop in the kernel, in the queues or by
//! the sender. `cost CALLS_PER_SECOND SECONDS CALLS_UP` changes the programme.

mod console;
mod memory;
mod pipeline;
mod sink;
mod traffic;

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use integration::exposition::Exposition;
use integration::gate;
use integration::ringside::Ringside;
use integration::sipp::{Counts, Load};
use testnet::Namespace;

use console::Console;
use pipeline::Traces;
use sink::Sink;

/// A record leaves 5 s after its call, a request a second after the first call in it.
const UNTIL_ALL_HAS_LEFT: Duration = Duration::from_secs(8);

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse::<u32>().expect("a number"));
    let mut number = |default| numbers.next().unwrap_or(default);
    let (rate, seconds, up) = (number(2000), number(20), number(20_000));
    if let Err(obstacle) = gate::obstacle() {
        eprintln!("cost: {obstacle}; this needs root");
        return ExitCode::FAILURE;
    }
    println!("{rate} calls/s for {seconds} s, load average {}", load_average());
    println!(
        "{:34} {:>10} {:>12} {:>12} {:>10} {:>10}",
        "traces", "calls", "µs per call", "of a core", "traces", "spans"
    );
    let mut whole = true;
    let load = Load { calls: rate * seconds, rate };
    for traces in pipeline::ALL {
        whole &= placed(traces, load);
    }
    println!("\n{:34} {:>10} {:>12} {:>12} {:>12}", "console", "calls", "µs per call", "of a core", "shard alone");
    for console in console::ALL {
        whole &= watched(console, load);
    }
    println!("\n{up} calls up, bytes of memory for each (RssAnon)");
    memory::print(up);
    println!("\nload average {}", load_average());
    if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One run, and whether nothing was lost in it.
fn placed(traces: Traces, load: Load) -> bool {
    let namespace = Namespace::new().expect("namespaces are allowed");
    let sink = Sink::start(&namespace);
    let receiver = "[receivers.ebpf_sip]\ninterfaces = [\"lo\"]\n";
    let mut ringside = Ringside::spawn(&namespace, &traces.toml("ebpf_sip", receiver), &[]);
    ringside.await_health();
    let before = ringside.processor_time();
    let counts = traffic::place(&namespace, load);
    thread::sleep(UNTIL_ALL_HAS_LEFT);
    let used = ringside.processor_time() - before;

    let internal = Exposition::parse(&ringside.page("/internal/metrics"));
    let kept = told(&internal, "otelcol_processor_sampling_calls_kept");
    let sent = told(&internal, "otelcol_exporter_sent_spans");
    let calls = f64::from(load.calls);
    println!(
        "{:34} {:>10} {:>12.1} {:>11.2}% {:>10} {:>10}",
        traces.name(),
        load.calls,
        used.as_secs_f64() * 1e6 / calls,
        used.as_secs_f64() * 100.0 * f64::from(load.rate) / calls,
        kept,
        sent,
    );
    let wrong = wrong(&counts, &ringside.scrape(), &internal, traces.expected(load.calls));
    wrong.iter().for_each(|wrong| println!("  WRONG: {wrong}"));
    sink.stop();
    wrong.is_empty()
}

/// One run with the console, and whether nothing was lost in it.
fn watched(console: Console, load: Load) -> bool {
    let namespace = Namespace::new().expect("namespaces are allowed");
    let receiver = "[receivers.ebpf_sip]\ninterfaces = [\"lo\"]\n";
    let mut ringside = Ringside::spawn(&namespace, &console.toml("ebpf_sip", receiver), &[]);
    ringside.await_health();
    console.open(&namespace);
    let (before, shard) = (ringside.processor_time(), ringside.thread_time("shard-0"));
    let counts = traffic::place(&namespace, load);
    thread::sleep(UNTIL_ALL_HAS_LEFT);
    let (used, shard) = (ringside.processor_time() - before, ringside.thread_time("shard-0") - shard);
    let calls = f64::from(load.calls);
    let of_a_core = |time: Duration| time.as_secs_f64() * 100.0 * f64::from(load.rate) / calls;
    println!(
        "{:34} {:>10} {:>12.1} {:>11.2}% {:>11.2}%",
        console.name(),
        load.calls,
        used.as_secs_f64() * 1e6 / calls,
        of_a_core(used),
        of_a_core(shard),
    );
    let internal = Exposition::parse(&ringside.page("/internal/metrics"));
    let mut wrong = wrong(&counts, &ringside.scrape(), &internal, None);
    wrong.extend(console.wrong(&ringside));
    wrong.iter().for_each(|wrong| println!("  WRONG: {wrong}"));
    wrong.is_empty()
}

/// What was counted otherwise than it was sent, and what was lost.
fn wrong(counts: &Counts, scrape: &Exposition, internal: &Exposition, traces: Option<u32>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut equal = |what: &str, got: f64, expected: f64| {
        if got != expected {
            wrong.push(format!("{what} is {got}, not {expected}"));
        }
    };
    for (selector, expected) in counts.expectations() {
        equal(&selector, scrape.value(&selector).unwrap_or(0.0), expected);
    }
    equal("capture_drops_total", scrape.value("capture_drops_total").unwrap_or(f64::NAN), 0.0);
    for name in LOSSES {
        equal(name, told(internal, name), 0.0);
    }
    if let Some(traces) = traces {
        equal("traces", told(internal, "otelcol_processor_sampling_calls_kept"), f64::from(traces));
    }
    wrong
}

/// The sum over all series of a name; 0 without any.
fn told(internal: &Exposition, name: &str) -> f64 {
    internal.series().iter().filter(|one| one.name == name).fold(0.0, |sum, one| sum + one.value)
}

/// What the program tells of itself, and stands at 0 when nothing is lost.
const LOSSES: [&str; 4] = [
    "otelcol_exporter_enqueue_failed_spans",
    "otelcol_exporter_send_failed_spans",
    "otelcol_exporter_queue_size",
    "otelcol_processor_evicted_call_records",
];

fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("?").to_owned()
}
