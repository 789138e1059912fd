//! Path `direct`: packets go past the node's stack, into the pod and back to the client.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use affinity::steer::{General, Mode, Path};
use integration::balanced::{Lab, Rules};
use ladder::frame;
use steer::kernel::Kernel;
use steer::policies::{self, Policies};
use testnet::{Family, Injector};

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

/// Clients are behind a device that leads to many, or, as pods are, behind one that leads to them alone.
#[test]
fn neither_direction_meets_netfilter() {
    let test = "neither_direction_meets_netfilter";
    let Some((_pass, lab)) = lab(test, Family::V4, Rules::Iptables) else { return };
    let backends = Backends::start(&lab, PODS);
    let Some(mut steered) = Steered::new(test, &lab, Mode::Active, None) else { return };
    steered.go_direct();
    lab.drop_forwarded("-I");
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

/// A message of a dialog.
fn message(first: &str, call_id: &str) -> String {
    format!("{first}\r\nCall-ID: {call_id}\r\nTo: <sip:b@c>;tag=t\r\nCSeq: 1 INVITE\r\n\r\n")
}

/// A client begins a call: which pod has it, and whom it is from there.
fn begin(lab: &Lab, client: &UdpSocket, call_id: &str) -> (usize, SocketAddr) {
    lab.send(client, lab.service(), &message("INVITE sip:b@c SIP/2.0", call_id).replace(";tag=t", ""))
}

const BOTH: [Family; 2] = [Family::V4, Family::V6];

/// A pod sends with the address and port of a client elsewhere, before and after the client does.
#[test]
fn who_forges_the_address_of_a_client_gets_nothing_that_is_for_it() {
    let test = "who_forges_the_address_of_a_client_gets_nothing_that_is_for_it";
    for family in BOTH {
        let Some((_pass, lab)) = lab(test, family, Rules::Iptables) else { return };
        let Some(mut steered) = Steered::new(test, &lab, Mode::Active, None) else { return };
        steered.go_direct();
        let client = lab.client(20, 5070);
        let address = client.local_addr().expect("it is bound");
        let forge = |pod: usize, call_id: &str| {
            let payload = message("INFO sip:b@c SIP/2.0", call_id);
            let datagram = frame::udp(address, lab.service(), payload.as_bytes());
            let packet = frame::ip(address.ip(), lab.service().ip(), frame::PROTOCOL_UDP, 1, &datagram);
            let mut frame = frame::ethernet(&packet);
            let number = pod as u8 + 1;
            frame[..12].copy_from_slice(&[2, 0, 0, 0, number, 1, 2, 0, 0, 0, number, 2]);
            lab.pod(pod).run(|| Injector::new("eth0").expect("root may").send(&frame));
        };
        let (pod, _) = begin(&lab, &client, "one");
        let forger = (pod + 1) % PODS;
        forge(forger, "one");
        // Without the check of sources the stack takes it along.
        lab.receive(pod, Duration::from_secs(2)).expect("it is forwarded");
        let answer = |call_id: &str| lab.answer(pod, address, &message("SIP/2.0 200 OK", call_id), &client);
        assert_eq!(answer("one"), lab.service(), "{family:?}");
        // The call goes on past the stack.
        lab.drop_forwarded("-I");
        assert_eq!(answer("one"), lab.service(), "{family:?}");
        lab.drop_forwarded("-D");
        // With it, what is forged reaches nobody, also where it would begin something.
        if family == Family::V4 {
            let done = lab.node.command("sysctl").args(["-qw", "net.ipv4.conf.all.rp_filter=1"]).status();
            assert!(done.expect("it is installed").success());
            let call_ids: Vec<String> = (0..8).map(|number| format!("forged-{number}")).collect();
            call_ids.iter().for_each(|call_id| forge(forger, call_id));
            // What the client itself sends after that arrives, and alone.
            let (again, _) = lab.send(&client, lab.service(), &message("INFO sip:b@c SIP/2.0", "one"));
            assert_eq!(again, pod);
            assert_eq!(answer("one"), lab.service());
            (0..PODS).for_each(|pod| assert_eq!(lab.receive(pod, Duration::from_millis(20)), None));
        }
    }
}

/// The route to a client leads by another line than the client sends by, from the beginning or from within a call.
#[test]
fn replies_go_the_way_that_the_routing_table_knows() {
    let test = "replies_go_the_way_that_the_routing_table_knows";
    for family in BOTH {
        let Some((_pass, lab)) = lab(test, family, Rules::Iptables) else { return };
        let Some(mut steered) = Steered::new(test, &lab, Mode::Active, None) else { return };
        steered.go_direct();
        let (early, late) = (lab.client(20, 5070), lab.client(20, 5071));
        let (pod, from) = begin(&lab, &early, "early");
        lab.answer_by_another_line(20);
        let line = index(&lab.node, "c1");
        lab.node.run(|| steered.ask(|steering| steering.attach(line, &[]))).expect("it can be attached to");
        lab.drop_forwarded("-I");
        let answer = message("SIP/2.0 200 OK", "early");
        assert_eq!(lab.answer(pod, from, &answer, &early), lab.service(), "past the stack, {family:?}");
        lab.drop_forwarded("-D");
        let (pod, from) = begin(&lab, &late, "late");
        let answer = message("SIP/2.0 200 OK", "late");
        assert_eq!(lab.answer(pod, from, &answer, &late), lab.service(), "by the stack, {family:?}");
    }
}

/// Netfilter sets marks, which packets past the stack do not meet.
#[test]
fn a_rule_of_routing_by_mark_is_found() {
    let Some((_pass, lab)) = lab("a_rule_of_routing_by_mark_is_found", Family::V4, Rules::Nobody) else { return };
    assert_eq!(lab.node.run(policies::look), Policies::None);
    lab.node.ip("rule add fwmark 0x200/0xf00 lookup 2004 priority 9");
    lab.node.ip("-6 rule add not fwmark 1 lookup 2004 priority 10");
    let found = ["ip -6 rule 10 goes by fwmark", "ip rule 9 goes by fwmark"].map(str::to_owned).to_vec();
    assert_eq!(lab.node.run(policies::look), Policies::Found(found));
}

/// Pods are on a bridge, and a rule sends what enters by it another way.
#[test]
fn rules_of_routing_that_name_a_bridge_hold_past_the_stack() {
    let test = "rules_of_routing_that_name_a_bridge_hold_past_the_stack";
    for family in BOTH {
        let Some((_pass, lab)) = lab(test, family, Rules::Iptables) else { return };
        let Some(mut steered) = Steered::new(test, &lab, Mode::Active, None) else { return };
        steered.go_direct();
        let client = lab.client(20, 5070);
        let (pod, from) = begin(&lab, &client, "one");
        lab.answer_by_another_line(20);
        for (of, address) in [("-4", "192.0.2.20"), ("-6", "2001:db8:1::20")] {
            lab.node.ip(&format!("{of} route del {address} dev c1"));
            lab.node.ip(&format!("{of} route add {address} dev c1 table 100"));
            lab.node.ip(&format!("{of} rule add iif pods to {address} lookup 100"));
        }
        let port = format!("p{}", pod + 1);
        lab.node.ip("link add pods type bridge");
        lab.node.ip("link set pods up");
        lab.node.ip(&format!("link set {port} master pods"));
        let (bridge, port) = (index(&lab.node, "pods"), index(&lab.node, &port));
        steered.apply(|tables| tables.devices.get_mut(&port).expect("it is there").controller = Some(bridge));
        lab.drop_forwarded("-I");
        let answer = message("SIP/2.0 200 OK", "one");
        assert_eq!(lab.answer(pod, from, &answer, &client), lab.service(), "{family:?}");
    }
}

/// The stack tells the pod, or takes the reply apart.
#[test]
fn a_reply_longer_than_its_route_takes_goes_by_the_stack() {
    let test = "a_reply_longer_than_its_route_takes_goes_by_the_stack";
    for family in BOTH {
        let Some((_pass, lab)) = lab(test, family, Rules::Iptables) else { return };
        let Some(mut steered) = Steered::new(test, &lab, Mode::Active, None) else { return };
        steered.go_direct();
        let client = lab.client(20, 5070);
        let (pod, from) = begin(&lab, &client, "one");
        let short = message("SIP/2.0 180 Ringing", "one");
        let long = format!("{}{}", message("SIP/2.0 200 OK", "one"), "x".repeat(1300));
        lab.node.ip("route add 192.0.2.20/32 dev c0 mtu lock 1300");
        lab.node.ip("route add 2001:db8:1::20/128 dev c0 mtu lock 1300");
        lab.drop_forwarded("-I");
        assert_eq!(lab.answer(pod, from, &short, &client), lab.service(), "past the stack, {family:?}");
        let translated = || steered.counters().general(General::Translated);
        let before = translated();
        lab.socket(pod).send_to(long.as_bytes(), from).expect("the pod's device takes it");
        assert_eq!(lab.answer(pod, from, &short, &client), lab.service(), "{family:?}");
        assert_eq!(translated(), before + 1, "the long one went past the stack, {family:?}");
    }
}

#[test]
fn calls_that_are_up_survive_turning_to_the_stack_where_pods_are_masqueraded() {
    let test = "calls_that_are_up_survive_turning_to_the_stack_where_pods_are_masqueraded";
    let Some((_pass, lab)) = lab(test, Family::V4, Rules::Iptables) else { return };
    let rule = ["-t", "nat", "-A", "POSTROUTING", "-s", "10.244.0.0/16", "-j", "MASQUERADE"];
    assert!(lab.node.command("iptables").args(rule).status().expect("it is installed").success());
    let Some(mut steered) = Steered::new(test, &lab, Mode::Active, None) else { return };
    steered.go_direct();
    let client = lab.client(20, 5070);
    let (pod, from) = begin(&lab, &client, "up");
    let say = |first: &str| lab.answer(pod, from, &message(first, "up"), &client);
    assert_eq!(say("SIP/2.0 200 OK"), lab.service());
    steered.apply(|tables| tables.path = Path::Stack);
    // The backend begins, before the client has said anything.
    assert_eq!(say("INFO sip:a@b SIP/2.0"), lab.service());
    let (again, _) = lab.send(&client, lab.service(), &message("INFO sip:b@c SIP/2.0", "up"));
    assert_eq!(again, pod);
    assert_eq!(say("SIP/2.0 200 OK"), lab.service());
    // By the stack now, with all that this node drops.
    lab.drop_forwarded("-I");
    assert_eq!(lab.try_send(&client, lab.service(), &message("INFO x SIP/2.0", "up"), Duration::from_millis(50)), None);
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
