//! Memory of calls that are up: the same capture file read with records and ladders, with records alone, with none.

use std::fs;
use std::time::Duration;

use integration::ringside::Ringside;
use integration::scratch::Folder;
use ladder::Step;
use testnet::Namespace;

use crate::pipeline::Traces;
use crate::sink::Sink;
use crate::traffic;

/// Calls that begin in a second.
const RATE: u32 = 2000;

/// Prints a line for each way.
pub fn print(calls: u32) {
    let folder = Folder::new("up");
    let path = folder.join("up.pcap");
    fs::write(&path, ladder::pcap::write(&up(calls), Duration::from_secs(1_700_000_000))).expect("a capture");
    let table = format!("[receivers.pcap]\nfiles = [{path:?}]\n");
    let mut without = None;
    for (name, traces) in [
        ("no record", Traces::Off),
        ("record without ladder", Traces::EveryWithoutLadder),
        ("record with its ladder", Traces::ByDefault),
    ] {
        let namespace = Namespace::new().expect("namespaces are allowed");
        let sink = Sink::start(&namespace);
        let mut ringside = Ringside::spawn(&namespace, &traces.toml("pcap", &table), &[]);
        ringside.await_health();
        ringside.settled(u64::from(calls) * traffic::UP as u64);
        let each = ringside.memory() as f64 / f64::from(calls);
        let more = each - *without.get_or_insert(each);
        println!("{name:34} {each:>10.0} {:>12}", if more == 0.0 { String::new() } else { format!("+{more:.0}") });
        sink.stop();
    }
}

/// Calls that are answered and stay up.
fn up(calls: u32) -> Vec<Step> {
    let steps = traffic::call(traffic::UP);
    let of = |call: u32| {
        let begin = Duration::from_secs(1) * call / RATE;
        steps.iter().map(move |step| Step { at: begin + step.at, bytes: traffic::bytes(step, call), ..step.clone() })
    };
    let mut steps: Vec<Step> = (0..calls).flat_map(of).collect();
    steps.sort_by_key(|step| step.at);
    steps
}
