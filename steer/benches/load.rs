//! What steering does for calls, and what it costs, at full size: `make steer-bench PART=...`, as root.
//!
//! Prints tables for docs/benchmarks.md. Parts: affinity, trunk, switching, faults, cost, floods, and capture,
//! which takes the collector's binary by RINGSIDE_BIN; all of them without one.

#[path = "../tests/load/calls.rs"]
mod calls;
#[path = "../tests/load/parts.rs"]
mod parts;
#[path = "../tests/load/services.rs"]
mod services;
// What only tests ask for is not needed here.
#[path = "../tests/daemon/stage.rs"]
#[allow(dead_code)]
mod stage;

use std::time::Duration;

use calls::{Outcome, Pace, Plan};
use integration::balanced::Rules;
use parts::{Cost, Fault, PODS, Who};
use services::Proxy;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let number = |at: usize, default: usize| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let part = arguments.first().map_or("", String::as_str);
    // Hundredths of full size.
    let scale = number(1, 100);
    let parts: [(&str, Part); 7] = [
        ("affinity", affinity),
        ("trunk", trunk),
        ("switching", switching),
        ("faults", faults),
        ("cost", cost),
        ("floods", floods),
        ("capture", capture),
    ];
    for (name, run) in parts {
        if part.is_empty() || part == name {
            run(scale);
        }
    }
}

/// Runs at so many hundredths of full size.
type Part = fn(usize);

fn broken(outcome: &Outcome) -> String {
    let Outcome { good, lost, silent, strange, excused, .. } = outcome;
    let broken = outcome.broken();
    format!(
        "{broken} broken ({lost} answered 481, {silent} not answered, {strange} from a wrong address; {excused} of them with \
         their backend), {good} good"
    )
}

fn affinity(scale: usize) {
    let Some(mut stage) = parts::stage("affinity", Rules::Iptables, PODS) else { return };
    for who in [Who::Rules, Who::Stack, Who::Direct] {
        let outcome = parts::other_port(&mut stage, who, 20 * scale);
        println!("BYE from another port, {} calls, {}: {}", 20 * scale, who.as_str(), broken(&outcome));
    }
    for who in [Who::Rules, Who::Stack, Who::Direct] {
        let outcome = parts::long_silence(&mut stage, who, 10 * scale);
        println!(
            "silent for longer than conntrack remembers, {} calls, {}: {}",
            10 * scale,
            who.as_str(),
            broken(&outcome)
        );
    }
}

fn trunk(scale: usize) {
    let Some(mut stage) = parts::stage("trunk", Rules::Iptables, PODS) else { return };
    let (each, seconds) = (100.0, scale as f64 / 5.0);
    for (who, of) in [(Who::Rules, 1), (Who::Rules, PODS), (Who::Stack, PODS), (Who::Direct, PODS)] {
        let outcome = parts::trunk(&mut stage, who, each, of, seconds);
        let all: usize = outcome.shares.iter().sum();
        let shares: Vec<String> =
            outcome.shares[..PODS].iter().map(|share| format!("{:.1} %", 100.0 * *share as f64 / all as f64)).collect();
        println!(
            "trunk, {:.0} calls/s offered to four backends of {each:.0} calls/s, {}: {:.0} calls/s good, {} broken; shares {}",
            each * of as f64 * 0.85,
            who.as_str(),
            outcome.good as f64 / seconds,
            outcome.broken(),
            shares.join(", ")
        );
    }
}

fn switching(scale: usize) {
    let Some(mut stage) = parts::stage("switching", Rules::Iptables, PODS) else { return };
    for who in Who::STEERED {
        let outcome = parts::switching_on(&mut stage, who, 4 * scale);
        println!("switching on with {} calls up, {}: {}", 4 * scale, who.as_str(), broken(&outcome));
    }
}

fn faults(scale: usize) {
    let Some(mut stage) = parts::stage("faults", Rules::Iptables, PODS) else { return };
    for fault in Fault::ALL {
        for who in Who::STEERED {
            let outcome = parts::fault(&mut stage, who, fault, 24 * scale, 3.0 * scale as f64);
            println!("{}, {} calls, {}: {}", fault.as_str(), 24 * scale, who.as_str(), broken(&outcome));
        }
    }
}

/// Runs beside each other; each figure is the median of these.
const ROUNDS: usize = 5;

fn cost(scale: usize) {
    let Some(mut stage) = parts::stage("cost", Rules::Nobody, 1) else { return };
    let rules = [(Proxy::Iptables, 1000), (Proxy::Iptables, 10_000), (Proxy::Nftables, 10_000)];
    let all = [Who::Rules, Who::Stack, Who::Direct];
    let trunk = Plan { calls: 120 * scale, ..Plan::default() };
    let flows = Plan { calls: 80 * scale, flows: 80 * scale, ..Plan::default() };
    let steady = Plan { calls: 20 * scale, pace: Pace::Rate(1000.0), ..Plan::default() };
    let plans = [("trunk", trunk), ("new flow a call", flows), ("trunk at 1,000 calls/s", steady)];
    for (proxy, count) in rules {
        parts::with_services(&stage, proxy, count);
        let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); all.len() * plans.len()];
        for round in 0..ROUNDS {
            for turn in 0..all.len() {
                // Another one begins each round.
                let who = (round + turn) % all.len();
                // kube-proxy's own rule drops what is invalid, and no more.
                parts::take(&mut stage, all[who], "allow_policy_bypass = true", "");
                if all[who] == Who::Direct {
                    parts::wait_for_direct(&stage);
                }
                for (place, (_, plan)) in plans.iter().enumerate() {
                    costs[who * plans.len() + place].push(parts::cost(&stage.lab, plan));
                }
                if round == 0 && all[who] == Who::Stack {
                    println!("maps of the kernel: {} KiB", parts::memory(&stage) / 1024);
                }
            }
        }
        for (place, (name, _)) in plans.iter().enumerate() {
            let base = median(&costs[place], |cost| cost.cpu);
            for (who, name_of) in all.iter().enumerate() {
                let costs = &costs[who * plans.len() + place];
                let cpu = median(costs, |cost| cost.cpu);
                println!(
                    "{proxy:?} {count}, {name}, {}: {cpu:.1} µs a call (x {:.2}), {:.2} context switches, {:.0} calls/s, \
                     200 after {:.0} µs, p99 {:.0} µs, {} failed",
                    name_of.as_str(),
                    cpu / base,
                    median(costs, |cost| cost.switches),
                    median(costs, |cost| cost.rate),
                    median(costs, |cost| cost.delay[0].into()),
                    median(costs, |cost| cost.delay[1].into()),
                    costs.iter().map(|cost| cost.failed).sum::<usize>(),
                );
            }
        }
    }
}

fn median(costs: &[Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    let mut values: Vec<f64> = costs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn capture(scale: usize) {
    if std::env::var_os("RINGSIDE_BIN").is_none() {
        return println!("capture: left out, RINGSIDE_BIN names no collector");
    }
    let Some(mut stage) = parts::stage("capture", Rules::Iptables, PODS) else { return };
    for (what, who) in [("observing", None), ("stack", Some(Who::Stack)), ("direct", Some(Who::Direct))] {
        let (node, pod, share) = parts::captured(&mut stage, who, 10 * scale);
        println!("{} calls, {what}: on the node {node:?}, in a pod with {share} of them {pod:?}", 10 * scale);
    }
}

fn floods(scale: usize) {
    let Some(mut stage) = parts::stage("floods", Rules::Iptables, PODS) else { return };
    let limit = |method: &str| {
        format!(
            "[[service.rule]]\nmatch = {{ method = [\"{method}\"] }}\n\
             limit = {{ rate = 50, burst = 20, per = \"source\", over = \"drop\" }}\n"
        )
    };
    let flood = |method: &'static str| Plan {
        name: "flood",
        calls: 1200 * scale,
        pace: Pace::Rate(200.0 * scale as f64),
        patience: Duration::from_millis(1),
        only: Some(method),
        from: (15, 20_000),
        ..Plan::default()
    };
    let calls = |user: &'static str| Plan {
        calls: 8 * scale,
        pace: Pace::Rate(2.0 * scale as f64),
        flows: 40,
        repeat: true,
        patience: Duration::from_secs(3),
        user,
        ..Plan::default()
    };
    for (what, rules) in [("no limit", String::new()), ("a limit", limit("REGISTER"))] {
        let outcome = parts::flood(&mut stage, &rules, &flood("REGISTER"), &calls("bob"), 150.0);
        println!("{} REGISTER/s, {what}: {} of {} calls", 200 * scale, outcome.good, 8 * scale);
    }
    let rules = format!("emergency = {{ users = [\"112\"] }}\n{}", limit("INVITE"));
    for user in ["bob", "112"] {
        let mut calls = calls(user);
        // From the very host that floods: only the user tells them apart.
        calls.from = (15, 30_000);
        let outcome = parts::flood(&mut stage, &rules, &flood("INVITE"), &calls, 150.0);
        println!(
            "{} INVITE/s, limited, calls of the same host to {user}: {} of {}",
            200 * scale,
            outcome.good,
            8 * scale
        );
    }
    let outcome = parts::random_call_ids(&mut stage, 4 * scale, 10_000 * scale);
    println!("{} INVITEs with Call-IDs of their own beside {} calls: {}", 10_000 * scale, 4 * scale, broken(&outcome));
}
