//! Path `stack`: calls whose BYE comes from another port, with kube-proxy's rules alone and with the programs beside them.

use affinity::steer::{General, Kind, Mode, Path};
use integration::balanced::Rules;
use sip::Method;
use testnet::Family;

use crate::calls::{Backends, Calls, Outcome};
use crate::node::{PODS, Steered, assert_no_programs, lab};

pub const CALLS: usize = 400;

const PATHS: [Path; 2] = [Path::Stack, Path::Direct];

pub fn all_ended(calls: usize) -> Outcome {
    Outcome { answered: 0, ended: calls, lost: 0, silent: 0, strange: 0 }
}

pub fn a_bye_from_another_port(test: &str, family: Family, padding: usize, path: Path) {
    let Some((_pass, lab)) = lab(test, family, Rules::Iptables) else { return };
    let backends = Backends::start(&lab, PODS);

    assert_no_programs(&lab);
    let mut calls = Calls::new(&lab, "alone", padding);
    assert_eq!(calls.begin(0..CALLS), Outcome { answered: CALLS, ..Outcome::default() });
    let outcome = calls.end(0..CALLS, true);
    println!("{test}: kube-proxy's rules alone: {outcome:?}");
    assert!(outcome.lost >= CALLS / 2 && outcome.silent == 0, "{outcome:?}");

    let Some(mut steered) = Steered::new(test, &lab, Mode::Active, None) else { return };
    steered.apply(|tables| tables.path = path);
    calls.name = "steered";
    assert_eq!(calls.begin(0..CALLS), Outcome { answered: CALLS, ..Outcome::default() });
    let outcome = calls.end(0..CALLS, true);
    println!("{test}: steered: {outcome:?}");
    assert_eq!(outcome, all_ended(CALLS));
    let counters = steered.counters();
    let service = &counters.services[&0];
    let steer = affinity::steer::Action::Steer;
    assert_eq!(service.packets(Kind::Request(Method::Invite), steer), CALLS as u64);
    assert_eq!(service.packets(Kind::Request(Method::Bye), steer), CALLS as u64);
    assert_eq!(counters.general(General::Translated), 2 * CALLS as u64);
    let fragments = counters.general(General::FragmentsFollowed);
    assert_eq!(fragments > 0, padding > 1500, "{fragments} fragments followed");
    assert_eq!(counters.general(General::FragmentsEarly), 0);
    drop(steered);
    assert_no_programs(&lab);
    // Every backend had its share of the calls that were steered, and of the others.
    let shares = backends.finish();
    assert!(shares.iter().all(|share| *share > CALLS / 4), "{shares:?}");
}

#[test]
fn a_bye_from_another_port_reaches_its_backend_ipv4() {
    a_bye_from_another_port("a_bye_from_another_port_reaches_its_backend_ipv4", Family::V4, 10, Path::Stack);
}

#[test]
fn a_bye_from_another_port_reaches_its_backend_ipv6() {
    a_bye_from_another_port("a_bye_from_another_port_reaches_its_backend_ipv6", Family::V6, 10, Path::Stack);
}

#[test]
fn calls_in_fragments_reach_their_backend_ipv4() {
    a_bye_from_another_port("calls_in_fragments_reach_their_backend_ipv4", Family::V4, 2200, Path::Stack);
}

#[test]
fn calls_in_fragments_reach_their_backend_ipv6() {
    a_bye_from_another_port("calls_in_fragments_reach_their_backend_ipv6", Family::V6, 2200, Path::Stack);
}

#[test]
fn calls_that_are_up_survive_switching_on_after_observing() {
    let test = "calls_that_are_up_survive_switching_on_after_observing";
    let Some((_pass, lab)) = lab(test, Family::V4, Rules::Iptables) else { return };
    let backends = Backends::start(&lab, PODS);
    let Some(mut steered) = Steered::new(test, &lab, Mode::Observe, None) else { return };
    let calls = Calls::new(&lab, "up", 10);
    assert_eq!(calls.begin(0..CALLS), Outcome { answered: CALLS, ..Outcome::default() });
    let learned: u64 = steered.counters().backends.values().map(|backend| backend.learned).sum();
    assert_eq!(learned, CALLS as u64);
    steered.apply(|tables| tables.mode = Mode::Active);
    assert_eq!(calls.end(0..CALLS, true), all_ended(CALLS));
    backends.finish();
}

#[test]
fn calls_that_nobody_learned_survive_switching_on_while_their_ports_stay() {
    let test = "calls_that_nobody_learned_survive_switching_on_while_their_ports_stay";
    let Some((_pass, lab)) = lab(test, Family::V4, Rules::Iptables) else { return };
    let backends = Backends::start(&lab, PODS);
    let calls = Calls::new(&lab, "cold", 10);
    assert_eq!(calls.begin(0..CALLS), Outcome { answered: CALLS, ..Outcome::default() });
    let Some(_steered) = Steered::new(test, &lab, Mode::Active, None) else { return };
    assert_eq!(calls.end(0..CALLS, false), all_ended(CALLS));
    backends.finish();
}

#[test]
fn a_rule_of_the_node_stops_calls_as_before() {
    let test = "a_rule_of_the_node_stops_calls_as_before";
    let Some((_pass, lab)) = lab(test, Family::V4, Rules::Iptables) else { return };
    let backends = Backends::start(&lab, PODS);
    let Some(steered) = Steered::new(test, &lab, Mode::Active, None) else { return };
    let rule = |action: &str| {
        let arguments = [action, "FORWARD", "-p", "udp", "--dport", "5060", "-j", "DROP"];
        let done = lab.node.command("iptables").args(arguments).status().expect("iptables is installed");
        assert!(done.success());
    };
    let mut calls = Calls::new(&lab, "stopped", 10);
    calls.patience = std::time::Duration::from_millis(20);
    rule("-I");
    let outcome = calls.begin(0..50);
    assert_eq!(outcome, Outcome { silent: 50, ..Outcome::default() });
    rule("-D");
    calls.patience = std::time::Duration::from_secs(10);
    assert_eq!(calls.begin(50..100), Outcome { answered: 50, ..Outcome::default() });
    drop(steered);
    backends.finish();
}

/// No netfilter, no kube-proxy: what an old kernel in an emulator needs for that is little.
#[test]
fn calls_reach_their_backend_where_nobody_else_translates() {
    let test = "calls_reach_their_backend_where_nobody_else_translates";
    for family in [Family::V4, Family::V6] {
        let Some((_pass, lab)) = lab(test, family, Rules::Nobody) else { return };
        let backends = Backends::start(&lab, PODS);
        let Some(steered) = Steered::new(test, &lab, Mode::Active, None) else { return };
        let mut calls = Calls::new(&lab, "whole", 10);
        for (name, padding) in [("whole", 10), ("pieces", 2200)] {
            (calls.name, calls.padding) = (name, padding);
            assert_eq!(calls.begin(0..50), Outcome { answered: 50, ..Outcome::default() });
            assert_eq!(calls.end(0..50, true), all_ended(50));
        }
        drop(steered);
        backends.finish();
    }
}

/// What a sender hands over as one and devices cut (UDP_SEGMENT, Linux 4.18).
#[test]
fn a_super_datagram_goes_where_its_first_message_goes() {
    let test = "a_super_datagram_goes_where_its_first_message_goes";
    for (family, path) in [Family::V4, Family::V6].into_iter().flat_map(|family| PATHS.map(|path| (family, path))) {
        let Some((_pass, lab)) = lab(test, family, Rules::Nobody) else { return };
        let backends = Backends::start(&lab, PODS);
        let Some(mut steered) = Steered::new(test, &lab, Mode::Active, None) else { return };
        steered.apply(|tables| tables.path = path);
        let message = |call: u8| {
            format!(
                "INVITE sip:b@c SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nTo: <sip:b@c>\r\nCall-ID: segment-{call}\r\n\
                 CSeq: 1 INVITE\r\n\r\n"
            )
        };
        let client = lab.client(20, 5060);
        client.set_read_timeout(Some(std::time::Duration::from_secs(2))).expect("not 0");
        let messages = [1, 2, 3, 4, 5, 6].map(message);
        let size = messages[0].len() as u16;
        testnet::send_in_segments(&client, lab.service(), messages.concat().as_bytes(), size).expect("the kernel cuts");
        let mut bytes = [0; 2048];
        for answer in 0..messages.len() {
            let (_, from) = client.recv_from(&mut bytes).unwrap_or_else(|error| panic!("answer {answer}: {error}"));
            assert_eq!(from, lab.service());
        }
        assert_eq!(steered.counters().general(General::Super), 1);
        drop(steered);
        let mut shares = backends.finish();
        shares.sort_unstable();
        assert_eq!(shares, [0, 0, 0, messages.len()], "all of them at one backend");
    }
}
