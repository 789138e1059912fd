//! Packet by packet: verdict, bytes, priority; every few thousand packets everything that is counted and remembered.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use affinity::steer::{Capacity, Counters, Dialog, Hop, Model, Tables, Verdict};
use steer::kernel::Programs;

use super::frames::{self, Chance, Frame};
use super::load;
use super::scenario::{self, DEVICES};

/// Room for everything but dialogs, so that the kernel forgets nothing before its time.
const CAPACITY: Capacity = Capacity { dialogs: 700, flows: 400_000, fragments: 100_000, buckets: 100_000 };

/// About how many places captures give.
const PLACES: usize = 36;

/// How many packets share one scenario.
const SCENARIO: usize = 2000;

/// Changed packets, if RINGSIDE_STEER_PACKETS does not say how many.
const PACKETS: usize = 100_000;

/// Both sides.
struct Pair {
    programs: Programs,
    model: Model,
    tables: Tables,
    now: u64,
    seen: BTreeMap<&'static str, u64>,
}

impl Pair {
    /// On this thread from now on, in a namespace that has the devices; `None` where that cannot be, which is said.
    fn new(test: &str) -> Option<Self> {
        let (node, routes) = scenario::node().map_err(|error| testnet::skipped(test, &error.to_string())).ok()?;
        node.enter();
        let mut programs = load(test, &CAPACITY)?;
        let now = 1_000_000_000_000;
        programs.set_clock(now).expect("a map of our own");
        let tables = Tables { capacity: CAPACITY, ..Tables::default() };
        programs.apply(None, &tables, now).expect("maps of our own");
        let mut model = Model::new(&tables, now);
        model.route(routes);
        Some(Self { programs, model, tables, now, seen: BTreeMap::new() })
    }

    fn apply(&mut self, tables: Tables) {
        let tables = Tables { capacity: CAPACITY, ..tables };
        self.programs.apply(Some(&self.tables), &tables, self.now).expect("maps of our own");
        self.model.apply(&tables, self.now);
        self.tables = tables;
    }

    fn beat(&mut self) {
        self.programs.beat(self.now).expect("a map of our own");
        self.model.beat(self.now);
        // The model settles by itself after a silence; the daemon's part does that for the programs.
        self.programs.settle(self.model.settles_until().unwrap_or(0)).expect("a map of our own");
    }

    fn wait(&mut self, nanos: u64) {
        self.now += nanos;
        self.programs.set_clock(self.now).expect("a map of our own");
    }

    /// Runs one packet through both; whether the kernel takes it for a run.
    fn run(&mut self, frame: &[u8], egress: bool, device: u32, gso: u32) -> bool {
        let Ok(run) = self.programs.run(egress, frame, device, gso, 1) else { return false };
        let mut changed = frame.to_vec();
        let decision = if egress {
            self.model.egress(&mut changed, self.now)
        } else {
            self.model.ingress(&mut changed, device, gso, self.now)
        };
        let told = || format!("{decision:?} of {}", shown(frame));
        assert_eq!(run.dropped, decision.verdict == Verdict::Dropped, "dropped: {}", told());
        assert_eq!(run.redirected, decision.hop.is_some(), "redirected: {}", told());
        assert_eq!(run.priority, decision.priority.map_or(0, u32::from), "priority: {}", told());
        assert!(run.frame == changed, "bytes: {}\nmodel  {}\nkernel {}", told(), shown(&changed), shown(&run.frame));
        *self.seen.entry(name(decision.verdict)).or_default() += 1;
        if let Some(hop) = decision.hop {
            let kind = if matches!(hop, Hop::Pod(_)) { "into a pod" } else { "to a neighbour" };
            *self.seen.entry(kind).or_default() += 1;
        }
        true
    }

    /// Compares what both count and remember.
    fn compare(&self) {
        let (ours, theirs) =
            (counted(self.model.counters()), counted(&self.programs.counters().expect("maps of our own")));
        for (name, count) in &ours {
            let other = theirs.get(name).copied().unwrap_or_default();
            // Of services and backends that are gone the program's are not read.
            assert!(*count == other || !theirs.contains_key(name), "{name}: model {count}, program {other}");
        }
        for (name, count) in &theirs {
            assert_eq!(*count, ours.get(name).copied().unwrap_or_default(), "{name} of the program");
        }
        let mut ours: Vec<(u16, u64, Dialog)> = self.model.dialogs().collect();
        let mut theirs: Vec<(u16, u64, Dialog)> =
            self.programs.dialogs().into_iter().map(|(service, hash, dialog)| (service, hash.0, dialog)).collect();
        ours.sort_by_key(|(service, hash, _)| (*service, *hash));
        theirs.sort_by_key(|(service, hash, _)| (*service, *hash));
        assert_eq!(ours, theirs, "dialogs");
        let (mut ours, mut theirs): (Vec<_>, Vec<_>) = (self.model.flows().collect(), self.programs.flows());
        ours.sort_by_key(|(client, backend, _)| (*client, *backend));
        theirs.sort_by_key(|(client, backend, _)| (*client, *backend));
        assert!(ours == theirs, "flows: {} and {}", ours.len(), theirs.len());
    }
}

fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Untouched => "untouched",
        Verdict::Passed(why) => why.as_str(),
        Verdict::Observed => "observed",
        Verdict::Dropped => "dropped",
        Verdict::Steered => "steered",
        Verdict::Heard => "heard",
        Verdict::Translated => "translated",
        Verdict::Followed => "followed",
    }
}

/// Every number by a name.
fn counted(counters: &Counters) -> BTreeMap<String, u64> {
    let mut named = BTreeMap::new();
    for (index, count) in counters.general.iter().enumerate() {
        named.insert(format!("general {index}"), *count);
    }
    for (number, service) in &counters.services {
        for (what, count) in numbers(&format!("{service:?}")).into_iter().enumerate() {
            named.insert(format!("service {number} {what}"), count);
        }
    }
    for (number, backend) in &counters.backends {
        for (what, count) in numbers(&format!("{backend:?}")).into_iter().enumerate() {
            named.insert(format!("backend {number} {what}"), count);
        }
    }
    named
}

/// The numbers in a text, in order.
fn numbers(text: &str) -> Vec<u64> {
    text.split(|letter: char| !letter.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

fn shown(frame: &[u8]) -> String {
    let hex: String = frame.iter().take(80).map(|byte| format!("{byte:02x}")).collect();
    format!("{} bytes {hex} {:?}", frame.len(), String::from_utf8_lossy(&frame[frame.len().min(42)..]))
}

fn run_all(pair: &mut Pair, frames: &[Frame], places: &[SocketAddr], chance: &mut Chance) -> (usize, usize) {
    let (mut run, mut refused) = (0, 0);
    for (number, frame) in frames.iter().enumerate() {
        if number % SCENARIO == 0 {
            pair.apply(scenario::tables(places, chance));
        }
        pair.wait(1_000_000 * chance.below(400) as u64);
        pair.beat();
        for egress in [false, true] {
            *(if pair.run(&frame.bytes, egress, *chance.of(&DEVICES), 0) { &mut run } else { &mut refused }) += 1;
        }
    }
    pair.compare();
    (run, refused)
}

fn every_frame_of(test: &str, paths: &[std::path::PathBuf]) {
    let Some(mut pair) = Pair::new(test) else { return };
    let mut chance = Chance(1);
    let frames = frames::of(paths);
    let places = frames::ends(&frames);
    let (run, refused) = run_all(&mut pair, &frames, &places, &mut chance);
    println!("{} frames, {run} runs, {refused} not taken: {:?}", frames.len(), pair.seen);
    assert!(refused * 10 < run, "{run} runs, {refused} not taken");
}

#[test]
fn our_own_captured_datagrams_are_decided_alike() {
    every_frame_of("our_own_captured_datagrams_are_decided_alike", &frames::own());
}

#[test]
fn other_peoples_captured_datagrams_are_decided_alike() {
    let test = "other_peoples_captured_datagrams_are_decided_alike";
    let Some(captures) = corpus::captures(test) else { return };
    every_frame_of(test, &captures.into_iter().map(|capture| capture.path).collect::<Vec<_>>());
}

#[test]
fn damaged_packets_are_decided_alike() {
    let test = "damaged_packets_are_decided_alike";
    let Some(mut pair) = Pair::new(test) else { return };
    let packets = std::env::var("RINGSIDE_STEER_PACKETS").map_or(PACKETS, |number| number.parse().expect("a number"));
    let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
    let captured = frames::of(&frames::own());
    // Few enough that what is sent is mostly for somebody.
    let mut places = frames::ends(&captured);
    let found = places.len();
    places.retain(|_| chance.below(found) < PLACES);
    for (number, address) in
        [("192.0.2.1:5060"), ("10.96.0.60:5060"), ("[2001:db8::1]:5060"), ("[2001:db8::60]:5060")].iter().enumerate()
    {
        places.insert(number * 2, address.parse().expect("an address"));
    }
    let made = frames::made(&places);
    let (mut run, mut refused) = (0, 0);
    let mut next = 0;
    while run < packets {
        if run >= next {
            pair.compare();
            pair.apply(scenario::tables(&places, &mut chance));
            next = run + SCENARIO;
        }
        match chance.below(400) {
            // Longer than `grace`, and than a dialog lasts.
            0 => pair.wait(400_000_000_000),
            1 => pair.wait(70_000_000_000),
            2 => {
                pair.programs.sweep(pair.now, pair.tables.times.dialog_idle).expect("maps of our own");
                pair.model.sweep(pair.now);
            }
            _ => pair.wait(1_000_000 * chance.below(300) as u64),
        }
        if chance.below(10) != 0 {
            pair.beat();
        }
        // Some in a row: fragments of one datagram, messages of one call.
        let frames = if chance.below(8) == 0 { &captured } else { &made };
        let first = chance.below(frames.len());
        for frame in frames[first..].iter().take(1 + chance.below(6)) {
            let frame = frames::changed(frame, &places, &mut chance);
            let gso = if chance.below(20) == 0 { 1 + chance.below(600) as u32 } else { 0 };
            let egress = chance.below(5) == 0;
            let device = *chance.of(&DEVICES);
            *(if pair.run(&frame, egress, device, gso) { &mut run } else { &mut refused }) += 1;
        }
    }
    pair.compare();
    println!(
        "{} places, {} packets made, {run} packets, {refused} not taken: {:?}",
        places.len(),
        made.len(),
        pair.seen
    );
    assert!(refused * 4 < run, "{run} runs, {refused} not taken");
    for verdict in [
        "steered",
        "dropped",
        "translated",
        "followed",
        "heard",
        "observed",
        "remote",
        "hairpin",
        "unknown_dialog",
        "into a pod",
        "to a neighbour",
    ] {
        assert!(pair.seen.contains_key(verdict), "none was {verdict}: {:?}", pair.seen);
    }
}
