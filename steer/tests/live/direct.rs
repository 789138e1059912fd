//! Path `direct`: packets go past the node's stack, into the pod and back to the client.

use std::time::Duration;

use affinity::steer::{General, Mode, Path};
use integration::balanced::{Lab, Rules};

use testnet::Family;

use crate::calls::{Backends, Calls, Outcome};
use crate::node::{PODS, Steered, index, lab};
use crate::stack::{CALLS, a_bye_from_another_port, all_ended};

#[test]
fn a_bye_from_another_port_reaches_its_backend_past_the_stack_ipv4() {
    let test = "a_bye_from_another_port_reaches_its_backend_past_the_stack_ipv4";
    a_bye_from_another_port(test, Family::V4, 10, Path::Direct);
}

#[test]
fn a_bye_from_another_port_reaches_its_backend_past_the_stack_ipv6() {
    let test = "a_bye_from_another_port_reaches_its_backend_past_the_stack_ipv6";
    a_bye_from_another_port(test, Family::V6, 10, Path::Direct);
}

#[test]
fn calls_in_fragments_reach_their_backend_past_the_stack_ipv4() {
    let test = "calls_in_fragments_reach_their_backend_past_the_stack_ipv4";
    a_bye_from_another_port(test, Family::V4, 2200, Path::Direct);
}

#[test]
fn calls_in_fragments_reach_their_backend_past_the_stack_ipv6() {
    let test = "calls_in_fragments_reach_their_backend_past_the_stack_ipv6";
    a_bye_from_another_port(test, Family::V6, 2200, Path::Direct);
}

/// Has the node drop what it forwards from or to SIP ports, or no longer.
fn drop_forwarded(lab: &Lab, action: &str) {
    for port in ["--dport", "--sport"] {
        let arguments = [action, "FORWARD", "-p", "udp", port, "5060", "-j", "DROP"];
        let done = lab.node.command("iptables").args(arguments).status().expect("iptables is installed");
        assert!(done.success());
    }
}

/// Clients are behind a device that leads to many, or, as pods are, behind one that leads to them alone.
#[test]
fn neither_direction_meets_netfilter() {
    let test = "neither_direction_meets_netfilter";
    let Some((_pass, lab)) = lab(test, Family::V4, Rules::Iptables) else { return };
    let backends = Backends::start(&lab, PODS);
    let Some(mut steered) = Steered::new(test, &lab, Mode::Active, None) else { return };
    steered.go_direct();
    drop_forwarded(&lab, "-I");
    let mut calls = Calls::new(&lab, "neighbours", 2200);
    assert_eq!(calls.begin(0..50), Outcome { answered: 50, ..Outcome::default() });
    let clients = index(&lab.node, "c0");
    steered.apply(|tables| tables.devices.get_mut(&clients).expect("it is there").is_pod = true);
    calls.name = "pods";
    assert_eq!(calls.begin(0..50), Outcome { answered: 50, ..Outcome::default() });
    // A backend whose device is not known is served by the stack, which drops it.
    steered.apply(|tables| tables.backends.values_mut().for_each(|backend| backend.hop = None));
    (calls.name, calls.patience) = ("stopped", Duration::from_millis(20));
    assert_eq!(calls.begin(0..50), Outcome { silent: 50, ..Outcome::default() });
    // And so are all when a policy of the node turned them to it.
    steered.apply(|tables| tables.path = Path::Stack);
    assert_eq!(calls.begin(50..100), Outcome { silent: 50, ..Outcome::default() });
    drop(steered);
    backends.finish();
}

#[test]
fn calls_that_are_up_survive_turning_past_the_stack_and_back() {
    let test = "calls_that_are_up_survive_turning_past_the_stack_and_back";
    for family in [Family::V4, Family::V6] {
        let Some((_pass, lab)) = lab(test, family, Rules::Iptables) else { return };
        let backends = Backends::start(&lab, PODS);
        let Some(mut steered) = Steered::new(test, &lab, Mode::Observe, None) else { return };
        let calls = Calls::new(&lab, "up", 10);
        let up = |calls: &Calls<'_>, range: std::ops::Range<usize>| {
            let answered = range.len();
            assert_eq!(calls.begin(range), Outcome { answered, ..Outcome::default() });
        };
        up(&calls, 0..CALLS);
        steered.apply(|tables| (tables.mode, tables.path) = (Mode::Active, Path::Direct));
        up(&calls, CALLS..CALLS + 100);
        assert_eq!(calls.end(0..CALLS / 2, true), all_ended(CALLS / 2));
        steered.apply(|tables| tables.path = Path::Stack);
        assert_eq!(calls.end(CALLS / 2..CALLS + 50, true), all_ended(CALLS / 2 + 50));
        steered.go_direct();
        assert_eq!(calls.end(CALLS + 50..CALLS + 100, false), all_ended(50));
        assert_eq!(steered.counters().general(General::NotRewritten), 0);
        drop(steered);
        backends.finish();
    }
}

#[test]
fn calls_that_nobody_learned_survive_turning_past_the_stack_while_their_ports_stay() {
    let test = "calls_that_nobody_learned_survive_turning_past_the_stack_while_their_ports_stay";
    let Some((_pass, lab)) = lab(test, Family::V4, Rules::Iptables) else { return };
    let backends = Backends::start(&lab, PODS);
    let calls = Calls::new(&lab, "cold", 10);
    assert_eq!(calls.begin(0..CALLS), Outcome { answered: CALLS, ..Outcome::default() });
    let Some(mut steered) = Steered::new(test, &lab, Mode::Active, None) else { return };
    steered.go_direct();
    assert_eq!(calls.end(0..CALLS, false), all_ended(CALLS));
    drop(steered);
    backends.finish();
}

#[test]
fn a_packet_past_the_stack_has_one_hop_less_left() {
    let test = "a_packet_past_the_stack_has_one_hop_less_left";
    for family in [Family::V4, Family::V6] {
        let Some((_pass, lab)) = lab(test, family, Rules::Nobody) else { return };
        let Some(mut steered) = Steered::new(test, &lab, Mode::Active, None) else { return };
        steered.go_direct();
        let client = lab.client(20, 5070);
        let reaches = |hops: u32| {
            let set = match family {
                Family::V4 => client.set_ttl(hops),
                Family::V6 => socket2::SockRef::from(&client).set_unicast_hops_v6(hops),
            };
            set.expect("it can be set");
            let message = "OPTIONS sip:b@c SIP/2.0\r\nCall-ID: hops\r\nTo: <sip:b@c>\r\n\r\n";
            lab.try_send(&client, lab.service(), message, Duration::from_millis(200)).is_some()
        };
        assert!(reaches(64) && reaches(2) && !reaches(1), "{family:?}");
    }
}
