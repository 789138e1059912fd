//! The parts of `cargo bench -p steer --bench load`, small; and calls between two nodes.

mod calls;
mod nodes;
// What only the benchmark asks for is not needed here.
#[allow(dead_code)]
mod parts;
#[allow(dead_code)]
mod services;
#[path = "../daemon/stage.rs"]
#[allow(dead_code)]
mod stage;

use std::time::Duration;

use calls::{Pace, Plan};
use integration::balanced::Rules;
use parts::{Counted, Fault, PODS, Who};

#[test]
fn calls_that_go_on_from_another_port_or_after_a_silence_break_by_rules_and_not_steered() {
    let test = "calls_that_go_on_from_another_port_or_after_a_silence_break_by_rules_and_not_steered";
    let Some(mut stage) = parts::stage(test, Rules::Iptables, PODS) else { return };
    for part in [parts::other_port, parts::long_silence] {
        let outcome = part(&mut stage, Who::Rules, 200);
        assert!(outcome.lost >= 100 && outcome.silent == 0, "{outcome:?}");
        for who in Who::STEERED {
            let outcome = part(&mut stage, who, 200);
            assert_eq!((outcome.good, outcome.broken()), (200, 0), "{who:?}: {outcome:?}");
        }
    }
}

#[test]
fn a_trunk_gets_all_backends_when_it_is_steered() {
    let test = "a_trunk_gets_all_backends_when_it_is_steered";
    let Some(mut stage) = parts::stage(test, Rules::Iptables, PODS) else { return };
    let alone = parts::trunk(&mut stage, Who::Rules, 50.0, PODS, 3.0);
    let steered = parts::trunk(&mut stage, Who::Stack, 50.0, PODS, 3.0);
    assert!(steered.good > alone.good * 2, "{} and {}", alone.good, steered.good);
    assert_eq!((alone.shares.iter().filter(|share| **share > 0).count(), steered.lost), (1, 0));
}

#[test]
fn calls_survive_switching_on_and_faults() {
    let Some(mut stage) = parts::stage("calls_survive_switching_on_and_faults", Rules::Iptables, PODS) else { return };
    for who in Who::STEERED {
        let outcome = parts::switching_on(&mut stage, who, 100);
        assert_eq!((outcome.good, outcome.broken()), (100, 0), "{who:?}: {outcome:?}");
    }
    for fault in Fault::ALL {
        // Half of them before it: a busy machine may be some hundred milliseconds late with it.
        let outcome = parts::fault(&mut stage, Who::Direct, fault, 200, 50.0);
        assert_eq!(outcome.broken(), 0, "{fault:?}: {outcome:?}");
        // The fault was one: its backend's calls were lost, or it had fewer.
        let least = *outcome.shares[..PODS].iter().min().expect("four");
        match fault {
            Fault::BackendKilled => assert!(outcome.excused > 0, "{outcome:?}"),
            Fault::Drained | Fault::Scaled => assert!((1..40).contains(&least), "{outcome:?}"),
            _ => {}
        }
    }
}

/// The collector is another package's: where nobody built it, that is said.
fn has_collector(test: &str) -> bool {
    let here = std::env::current_exe().expect("a running program has a path");
    let beside = here.ancestors().any(|folder| folder.join("deps").is_dir() && folder.join("ringside").exists());
    let found = beside || std::env::var_os("RINGSIDE_BIN").is_some();
    if !found {
        testnet::skipped(test, "ringside is not built: cargo build --package ringside");
    }
    found
}

#[test]
fn a_collector_beside_it_counts_every_message_once() {
    let test = "a_collector_beside_it_counts_every_message_once";
    if !has_collector(test) {
        return;
    }
    let Some(mut stage) = parts::stage(test, Rules::Iptables, PODS) else { return };
    for who in [None, Some(Who::Stack), Some(Who::Direct)] {
        let (node, pod, share) = parts::captured(&mut stage, who, 100);
        assert_eq!((node, pod), (Counted::of(100), Counted::of(share)), "{who:?}");
    }
}

#[test]
fn calls_get_through_a_flood_that_is_limited() {
    let Some(mut stage) = parts::stage("calls_get_through_a_flood_that_is_limited", Rules::Iptables, PODS) else {
        return;
    };
    let rules = "[[service.rule]]\nmatch = { method = [\"REGISTER\"] }\n\
                 limit = { rate = 50, burst = 20, per = \"source\", over = \"drop\" }\n";
    let flood = Plan {
        name: "flood",
        calls: 5000,
        pace: Pace::Rate(2500.0),
        patience: Duration::from_millis(1),
        only: Some("REGISTER"),
        from: (15, 20_000),
        ..Plan::default()
    };
    let calls = Plan { calls: 20, pace: Pace::Rate(20.0), flows: 5, repeat: true, ..Plan::default() };
    let outcome = parts::flood(&mut stage, rules, &flood, &calls, 100.0);
    assert_eq!(outcome.good, 20, "{outcome:?}");
    let outcome = parts::random_call_ids(&mut stage, 50, 3000);
    assert_eq!((outcome.good, outcome.broken()), (50, 0), "{outcome:?}");
}
