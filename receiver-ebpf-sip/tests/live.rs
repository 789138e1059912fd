//! The receiver on real networks: what it keeps, what it refuses, and that nothing is counted twice.
//!
//! Each test has network namespaces of its own. Where the kernel refuses those, packet sockets or bpf(),
//! a test says `skipped` on stderr and proves nothing.

mod common;

use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use caps::Capability;
use common::capture::{Tap, live};
use common::frames::*;
use common::{Helper, Injector, Namespace, ip, joined_namespaces, veth};
use pipeline::{Receiver, ReceiverError};
use receiver_ebpf_sip::capabilities::drop_of_this_thread;
use receiver_ebpf_sip::probe::{self, Check, Severity};
use receiver_ebpf_sip::{Config, EbpfSipReceiver, RingShape};

/// Not 5060, so that a test that looks at the wrong namespace sees nothing.
const PORT: u16 = 15060;

fn on(interface: &str) -> Config {
    Config { interfaces: vec![interface.into()], ports: vec![PORT], ..Config::default() }
}

/// A SIP message that names itself, `length` bytes long at least.
fn message(name: &str, length: usize) -> Vec<u8> {
    let mut bytes = format!("OPTIONS sip:{name}@example.com SIP/2.0\r\nCall-ID: {name}\r\n\r\n").into_bytes();
    while bytes.len() < length {
        bytes.extend(format!("{} ", bytes.len()).bytes());
    }
    bytes
}

/// The same message in every wrapping that is understood: name and Ethernet frames.
fn wrapped(port: u16) -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let sip = |name: &str| udp(40_000, port, &message(name, 0));
    let one = |name: &'static str, ethertype: u16, make: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        (name, vec![ethernet(ethertype, &make(sip(name)))])
    };
    let v4 = |datagram: Vec<u8>| ipv4(UDP, &datagram);
    let v6 = |datagram: Vec<u8>| ipv6(UDP, &datagram);
    let large = |name: &str| udp(40_000, port, &message(name, 4000));
    let framed = |ethertype, packets: Vec<Vec<u8>>| packets.iter().map(|packet| ethernet(ethertype, packet)).collect();
    let reversed = |mut packets: Vec<Vec<u8>>| {
        packets.reverse();
        packets
    };
    vec![
        one("ipv4", IPV4, &v4),
        one("ipv6", IPV6, &v6),
        ("from-port", vec![ethernet(IPV4, &ipv4(UDP, &udp(port, 40_000, &message("from-port", 0))))]),
        one("vlan", VLAN, &|d| tag(7, IPV4, &v4(d))),
        one("vlan-v6", VLAN, &|d| tag(7, IPV6, &v6(d))),
        one("qinq", QINQ, &|d| tag(7, VLAN, &tag(8, IPV4, &v4(d)))),
        one("four-tags", QINQ, &|d| tag(1, QINQ, &tag(2, VLAN, &tag(3, VLAN, &tag(4, IPV6, &v6(d)))))),
        one("mpls", MPLS, &|d| label(16, false, &label(17, true, &v4(d)))),
        one("vlan-mpls", VLAN, &|d| tag(7, MPLS, &label(16, true, &v6(d)))),
        one("ipv4-options", IPV4, &|d| ipv4_with_options(&[1; 12], UDP, &d)),
        one("ipv4-most-options", IPV4, &|d| ipv4_with_options(&[1; 40], UDP, &d)),
        one("hop-by-hop", IPV6, &|d| ipv6(0, &extension(UDP, 0, &d))),
        one("three-extensions", IPV6, &|d| ipv6(0, &extension(60, 0, &extension(43, 2, &extension(UDP, 1, &d))))),
        one("authentication", IPV6, &|d| ipv6(51, &authentication(UDP, 4, &d))),
        one("six-extensions", IPV6, &|d| {
            let inner = extension(60, 0, &extension(60, 0, &extension(60, 0, &extension(UDP, 0, &d))));
            ipv6(0, &extension(60, 0, &extension(60, 0, &inner)))
        }),
        one("gre", IPV4, &|d| outer_ipv4(GRE, &gre(0, IPV4, &v4(d)))),
        one("gre-key-sequence-checksum", IPV4, &|d| outer_ipv4(GRE, &gre(0xb000, IPV6, &v6(d)))),
        one("gre-ethernet", IPV4, &|d| outer_ipv4(GRE, &gre(0x2000, ETHERNET_IN_GRE, &ethernet(IPV4, &v4(d))))),
        one("gre-ethernet-vlan", IPV6, &|d| {
            ipv6(GRE, &gre(0, ETHERNET_IN_GRE, &ethernet(VLAN, &tag(9, IPV4, &v4(d)))))
        }),
        one("ipip", IPV4, &|d| outer_ipv4(4, &v4(d))),
        one("6in4", IPV4, &|d| outer_ipv4(41, &v6(d))),
        one("4in6", IPV6, &|d| ipv6(4, &v4(d))),
        one("6in6", IPV6, &|d| ipv6(41, &v6(d))),
        one("vxlan", IPV4, &|d| outer_ipv4(UDP, &vxlan(42, &ethernet(IPV4, &v4(d))))),
        one("vxlan-vlan-v6", IPV4, &|d| outer_ipv4(UDP, &vxlan(42, &ethernet(VLAN, &tag(3, IPV6, &v6(d)))))),
        one("vlan-gre", VLAN, &|d| tag(5, IPV4, &outer_ipv4(GRE, &gre(0, IPV4, &v4(d))))),
        ("v4-fragments", framed(IPV4, ipv4_fragments(1, 1480, UDP, &large("v4-fragments")))),
        (
            "v4-fragments-reversed",
            framed(IPV4, reversed(ipv4_fragments(2, 1480, UDP, &large("v4-fragments-reversed")))),
        ),
        ("v6-fragments", framed(IPV6, ipv6_fragments(3, 1448, UDP, &large("v6-fragments")))),
        (
            "v6-fragments-reversed",
            framed(IPV6, reversed(ipv6_fragments(4, 1448, UDP, &large("v6-fragments-reversed")))),
        ),
        (
            "v6-fragments-of-options",
            framed(IPV6, ipv6_fragments(5, 1448, 60, &extension(UDP, 0, &large("v6-fragments-of-options")))),
        ),
        (
            "fragmented-gre-reversed",
            framed(IPV4, reversed(ipv4_fragments(6, 1480, GRE, &gre(0, IPV4, &v4(large("fragmented-gre-reversed")))))),
        ),
        (
            "fragmented-vxlan",
            framed(
                IPV4,
                ipv4_fragments(
                    7,
                    1480,
                    UDP,
                    &vxlan(1, &ethernet(IPV4, &v4(udp(40_000, port, &message("fragmented-vxlan", 1450))))),
                ),
            ),
        ),
        (
            "fragments-in-gre-reversed",
            reversed(ipv4_fragments(8, 1400, UDP, &large("fragments-in-gre-reversed")))
                .iter()
                .map(|piece| ethernet(IPV4, &outer_ipv4(GRE, &gre(0, IPV4, piece))))
                .collect(),
        ),
    ]
}

/// Sends every wrapping over a cable and asks for each message exactly once, in order.
fn every_wrapping_is_seen(tap: &mut Tap, sender: &Namespace, port: u16) {
    let all = wrapped(port);
    sender.run(|| {
        let injector = Injector::new("left").expect("the cable is there");
        all.iter().flat_map(|(_, frames)| frames).for_each(|frame| injector.send(frame));
    });
    let seen = tap.until(all.len());
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    assert_eq!(seen, names);
}

#[test]
fn every_wrapping_is_seen_by_the_ebpf_filter() {
    live("every_wrapping_is_seen_by_the_ebpf_filter", || {
        let (left, right) = joined_namespaces().expect("checked");
        right.enter();
        let mut tap = Tap::new(on("right"));
        assert_eq!(tap.kind(), "ebpf");
        every_wrapping_is_seen(&mut tap, &left, PORT);
    });
}

#[test]
fn every_wrapping_is_seen_by_the_classic_filter() {
    live("every_wrapping_is_seen_by_the_classic_filter", || {
        let (left, right) = joined_namespaces().expect("checked");
        let mut tap = right.run(|| {
            common::become_nobody_with(&[Capability::CAP_NET_RAW]);
            Tap::new(on("right"))
        });
        assert_eq!(tap.kind(), "classic");
        every_wrapping_is_seen(&mut tap, &left, PORT);
    });
}

#[test]
fn what_cannot_be_sip_never_reaches_user_space() {
    live("what_cannot_be_sip_never_reaches_user_space", || {
        let (left, right) = joined_namespaces().expect("checked");
        right.enter();
        let mut tap = Tap::new(on("right"));
        let other = wrapped(PORT + 1);
        left.run(|| {
            let injector = Injector::new("left").expect("the cable is there");
            for (_, frames) in &other {
                // In order, as fragments usually come: the first piece says that the others are not wanted.
                let mut frames = frames.clone();
                if other_order(&frames) {
                    frames.reverse();
                }
                frames.iter().for_each(|frame| injector.send(frame));
            }
            injector.send(&ethernet(IPV4, &ipv4(6, &[0; 40])));
            injector.send(&ethernet(0x0806, &[0; 28]));
            injector.send(&ethernet(IPV4, &ipv4(UDP, &udp(40_000, PORT, &message("marker", 0)))));
        });
        assert_eq!(tap.until(1), ["marker"]);
        assert_eq!(tap.kept(), 1, "{:?}", tap.verdicts());
    });
}

/// Whether a list of frames came out reversed: a later piece stands first.
fn other_order(frames: &[Vec<u8>]) -> bool {
    frames.len() > 1 && frames[0].len() < frames[frames.len() - 1].len()
}

#[test]
fn loopback_is_counted_once() {
    live("loopback_is_counted_once", || {
        Namespace::new().expect("checked").enter();
        let mut tap = Tap::new(Config { interfaces: vec!["any".into()], ..on("lo") });
        for address in ["127.0.0.1", "::1"] {
            let from = UdpSocket::bind((address, 0)).expect("lo is up");
            for name in ["one", "two"] {
                from.send_to(&message(name, 0), (address, PORT)).expect("lo takes everything");
            }
        }
        assert_eq!(tap.until(4), ["one", "two", "one", "two"]);
        assert_eq!((tap.kept(), tap.duplicates()), (4, 0));
    });
}

#[test]
fn a_large_message_between_hosts_is_put_together() {
    live("a_large_message_between_hosts_is_put_together", || {
        let (left, right) = joined_namespaces().expect("checked");
        let mut tap = left.run(|| Tap::new(on("left")));
        for (here, there) in [("10.99.0.1", "10.99.0.2"), ("fd99::1", "fd99::2")] {
            let at_right = right.run(|| UdpSocket::bind((there, PORT)).expect("the address is there"));
            let at_left = left.run(|| UdpSocket::bind((here, PORT)).expect("the address is there"));
            at_left.send_to(&message("asked", 4000), (there, PORT)).expect("sent");
            let mut room = vec![0; 8000];
            at_right.recv_from(&mut room).expect("arrived");
            at_right.send_to(&message("answered", 4000), (here, PORT)).expect("sent");
            at_left.recv_from(&mut room).expect("arrived");
        }
        assert_eq!(tap.until(4), ["asked", "answered", "asked", "answered"]);
        assert!(tap.messages().iter().all(|seen| seen.length >= 4000));
        assert_eq!(tap.kept(), 12, "three pieces each");
    });
}

#[test]
fn a_device_without_link_header_is_captured() {
    live("a_device_without_link_header_is_captured", || {
        Namespace::new().expect("checked").enter();
        let mut tap = Tap::new(Config { interfaces: vec!["any".into()], ..on("lo") });
        let Ok(_tunnel) = common::tun("tun0") else {
            return common::skipped("a_device_without_link_header_is_captured", "/dev/net/tun is refused");
        };
        ip("address add 10.98.0.1/24 dev tun0");
        ip("link set tun0 up");
        let socket = UdpSocket::bind("10.98.0.1:0").expect("the address is there");
        socket.send_to(&message("tun", 0), ("10.98.0.9", PORT)).expect("sent");
        assert_eq!(tap.until(1), ["tun"]);
    });
}

#[test]
fn any_sees_an_interface_made_after_the_start() {
    live("any_sees_an_interface_made_after_the_start", || {
        Namespace::new().expect("checked").enter();
        let mut tap = Tap::new(Config { interfaces: vec!["any".into()], ..on("lo") });
        veth("new");
        send_over("new-peer", "late");
        assert_eq!(tap.until(1), ["late"]);
    });
}

#[test]
fn a_named_interface_may_come_go_and_come_back() {
    live("a_named_interface_may_come_go_and_come_back", || {
        Namespace::new().expect("checked").enter();
        let mut tap = Tap::new(on("sip0"));
        assert!(tap.status().blocked.is_some_and(|why| why.contains("sip0")));
        for name in ["first", "second"] {
            veth("sip0");
            tap.wait_for(|tap| tap.status().blocked.is_none());
            send_over("sip0-peer", name);
            assert_eq!(tap.until(1), [name]);
            ip("link delete sip0");
            tap.wait_for(|tap| tap.status().blocked.is_some());
        }
    });
}

#[test]
fn only_named_interfaces_are_captured() {
    live("only_named_interfaces_are_captured", || {
        Namespace::new().expect("checked").enter();
        veth("wanted");
        veth("other");
        let mut tap = Tap::new(on("wanted"));
        send_over("other-peer", "unseen");
        send_over("wanted-peer", "seen");
        assert_eq!(tap.until(1), ["seen"]);
    });
}

#[test]
fn ports_and_interfaces_change_while_it_runs() {
    live("ports_and_interfaces_change_while_it_runs", || {
        Namespace::new().expect("checked").enter();
        veth("a");
        veth("b");
        let helper = Helper::new();
        let mut tap = Tap::new(on("a"));
        ports_and_interfaces_change(&mut tap, &helper);
    });
}

/// From `a` to another port and to `b`, then to every interface.
fn ports_and_interfaces_change(tap: &mut Tap, helper: &Helper) {
    assert!(tap.reconfigure(Config { ports: vec![PORT + 7], ..on("b") }).is_empty());
    helper.run(|| {
        send_to_port("a-peer", PORT + 7, "old-interface");
        send_to_port("b-peer", PORT, "old-port");
        send_to_port("b-peer", PORT + 7, "new");
    });
    assert_eq!(tap.until(1), ["new"]);
    assert!(tap.reconfigure(Config { interfaces: vec!["any".into()], ..on("b") }).is_empty());
    helper.run(|| send_to_port("a-peer", PORT, "any"));
    assert_eq!(tap.until(1), ["any"]);
}

#[test]
fn the_classic_filter_follows_ports_and_interfaces_too() {
    live("the_classic_filter_follows_ports_and_interfaces_too", || {
        Namespace::new().expect("checked").enter();
        veth("a");
        veth("b");
        let helper = Helper::new();
        common::become_nobody_with(&[Capability::CAP_NET_RAW]);
        let mut tap = Tap::new(on("a"));
        drop_of_this_thread().expect("dropping needs no permission");
        assert_eq!(tap.kind(), "classic");
        ports_and_interfaces_change(&mut tap, &helper);
    });
}

#[test]
fn two_capabilities_start_it_and_none_keep_it_going() {
    live("two_capabilities_start_it_and_none_keep_it_going", || {
        Namespace::new().expect("checked").enter();
        veth("a");
        veth("b");
        let helper = Helper::new();
        common::become_nobody_with(&[Capability::CAP_NET_RAW, Capability::CAP_BPF]);
        let mut tap = Tap::new(Config { promiscuous: true, ..on("a") });
        assert_eq!(tap.kind(), "ebpf");
        helper.run(|| send_over("a-peer", "with"));
        assert_eq!(tap.until(1), ["with"]);

        drop_of_this_thread().expect("dropping needs no permission");
        helper.run(|| send_over("a-peer", "without"));
        assert_eq!(tap.until(1), ["without"]);
        assert!(tap.kept() >= 2, "counters can be read");
        ports_and_interfaces_change_promiscuously(&mut tap, &helper);
    });
}

/// As [`ports_and_interfaces_change`], and an interface that comes is made promiscuous.
fn ports_and_interfaces_change_promiscuously(tap: &mut Tap, helper: &Helper) {
    let config = |interface| Config { promiscuous: true, ..on(interface) };
    assert!(tap.reconfigure(Config { ports: vec![PORT, PORT + 7], ..config("late") }).is_empty());
    helper.run(|| veth("late"));
    tap.wait_for(|tap| tap.status().blocked.is_none());
    assert!(common::is_promiscuous("late"));
    helper.run(|| {
        send_over("a-peer", "old-interface");
        send_to_port("late-peer", PORT + 7, "new");
    });
    assert_eq!(tap.until(1), ["new"]);
}

#[test]
fn without_cap_net_raw_the_error_names_it_and_the_command() {
    thread::spawn(|| {
        drop_of_this_thread().expect("dropping needs no permission");
        let error = EbpfSipReceiver::new(on("lo")).start().expect_err("no capability, no capture");
        assert!(matches!(error, ReceiverError::Privilege { .. }), "{error}");
        let text = error.to_string();
        for word in ["CAP_NET_RAW", "setcap cap_net_raw,cap_bpf+ep ", "ringside replay"] {
            assert!(text.contains(word), "{text}");
        }
    })
    .join()
    .expect("the thread asserts");
}

#[test]
fn a_key_that_needs_a_restart_is_named_and_the_rest_is_applied() {
    live("a_key_that_needs_a_restart_is_named_and_the_rest_is_applied", || {
        Namespace::new().expect("checked").enter();
        veth("a");
        let mut tap = Tap::new(on("a"));
        let changed = Config { ports: vec![PORT + 1], promiscuous: true, ..on("a") };
        assert_eq!(tap.reconfigure(changed), ["promiscuous"]);
        send_to_port("a-peer", PORT + 1, "new-port");
        assert_eq!(tap.until(1), ["new-port"]);
    });
}

#[test]
fn promiscuous_mode_follows_the_interfaces() {
    live("promiscuous_mode_follows_the_interfaces", || {
        Namespace::new().expect("checked").enter();
        let mut tap = Tap::new(Config { promiscuous: true, interfaces: vec!["any".into()], ..on("any") });
        veth("p");
        tap.wait_for(|_| common::is_promiscuous("p"));
    });
}

#[test]
fn a_full_ring_loses_packets_and_counts_each() {
    live("a_full_ring_loses_packets_and_counts_each", || {
        Namespace::new().expect("checked").enter();
        let shape = RingShape { block_size: 128 * 1024, blocks: 2, retire_ms: 20 };
        let mut tap = Tap::with_ring(on("lo"), shape);
        let sent = 5000;
        let socket = UdpSocket::bind("127.0.0.1:0").expect("lo is up");
        for number in 0..sent {
            socket.send_to(&message(&number.to_string(), 400), ("127.0.0.1", PORT)).expect("sent");
        }
        tap.wait_for(|tap| tap.messages().len() as u64 + tap.drops() == sent);
        assert!(tap.drops() > 0 && !tap.messages().is_empty());
        assert_eq!(tap.kept(), sent);
        assert!(tap.value("otelcol_receiver_ring_freezes") > 0.0);
        // And it goes on.
        socket.send_to(&message("after", 0), ("127.0.0.1", PORT)).expect("sent");
        tap.wait_for(|tap| tap.messages().last().is_some_and(|last| last.name == "after"));
    });
}

#[test]
fn a_stalled_reader_finds_everything_in_the_ring() {
    live("a_stalled_reader_finds_everything_in_the_ring", || {
        Namespace::new().expect("checked").enter();
        let mut tap = Tap::with_ring(on("lo"), RingShape::default());
        let from: SocketAddr = thread::spawn(|| {
            // Another thread of the same namespace, as real senders are.
            let socket = UdpSocket::bind("127.0.0.1:0").expect("lo is up");
            for number in 0..50_000 {
                socket.send_to(&message(&number.to_string(), 200), ("127.0.0.1", PORT)).expect("sent");
            }
            socket.local_addr().expect("bound")
        })
        .join()
        .expect("the sender ends");
        let seen = tap.until(50_000);
        assert!(seen.iter().enumerate().all(|(number, name)| *name == number.to_string()));
        assert!(tap.messages().iter().all(|seen| seen.source == from));
        assert_eq!(tap.drops(), 0);
    });
}

#[test]
fn probing_finds_nothing_wrong_where_everything_is_allowed() {
    live("probing_finds_nothing_wrong_where_everything_is_allowed", || {
        Namespace::new().expect("checked").enter();
        let findings = probe::probe(&on("lo"));
        assert!(findings.iter().all(|finding| finding.severity == Severity::Good), "{findings:?}");
    });
}

#[test]
fn probing_without_cap_bpf_names_it() {
    live("probing_without_cap_bpf_names_it", || {
        Namespace::new().expect("checked").enter();
        common::become_nobody_with(&[Capability::CAP_NET_RAW]);
        let findings = probe::probe(&on("lo"));
        let bad: Vec<_> = findings.iter().filter(|finding| finding.severity != Severity::Good).collect();
        assert_eq!(bad.len(), 1, "{bad:?}");
        assert_eq!((bad[0].check, bad[0].severity), (Check::Bpf, Severity::Degraded));
        assert!(bad[0].cure.contains("setcap cap_net_raw,cap_bpf+ep"));
    });
}

#[test]
fn listening_names_the_ports_sip_is_spoken_on() {
    live("listening_names_the_ports_sip_is_spoken_on", || {
        Namespace::new().expect("checked").enter();
        let socket = UdpSocket::bind("127.0.0.1:0").expect("lo is up");
        let traffic = probe::listen(&on("lo"), Duration::from_secs(20), |traffic| {
            // Spoken while it listens, until it was heard.
            for (name, port) in [("here", PORT), ("there", PORT + 20)] {
                socket.send_to(&message(name, 0), ("127.0.0.1", port)).expect("sent");
            }
            socket.send_to(&[0x80; 172], ("127.0.0.1", PORT + 40)).expect("sent");
            !traffic.on_ports.is_empty() && !traffic.elsewhere.is_empty()
        })
        .expect("capture can be started");
        assert_eq!(traffic.on_ports.keys().copied().collect::<Vec<_>>(), [PORT]);
        assert_eq!(traffic.elsewhere, [PORT + 20]);
    });
}

fn send_over(interface: &str, name: &str) {
    send_to_port(interface, PORT, name);
}

fn send_to_port(interface: &str, port: u16, name: &str) {
    let frame = ethernet(IPV4, &ipv4(UDP, &udp(40_000, port, &message(name, 0))));
    Injector::new(interface).expect("the cable is there").send(&frame);
}
