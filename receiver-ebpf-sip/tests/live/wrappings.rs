//! What is recognised as SIP: tags, options, extension headers, tunnels, fragments; and what is not.

use std::net::UdpSocket;

use caps::Capability;
use pipeline::event::NotRead;
use receiver_ebpf_sip::Config;
use testnet::{Cable, Injector, Namespace, ip, skipped};

use crate::common;
use crate::common::capture::{Tap, live};
use crate::common::frames::*;
use crate::{PORT, message, on};

/// A datagram's payload: what it says of itself, and its least length.
type Payload = fn(&str, usize) -> Vec<u8>;

/// The same message in every wrapping that is understood: name and Ethernet frames.
fn wrapped(port: u16, message: Payload) -> Vec<(&'static str, Vec<Vec<u8>>)> {
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
        one("vlan-9100", VLAN_9100, &|d| tag(7, 0x9200, &tag(8, IPV4, &v4(d)))),
        one("vn-tag", 0x8926, &|d| [&[0x80, 1, 0, 2], &IPV4.to_be_bytes()[..], &v4(d)].concat()),
        one("e-tag", 0x893f, &|d| [&[0, 1, 0, 2, 0, 0], &IPV6.to_be_bytes()[..], &v6(d)].concat()),
        one("pppoe", 0x8864, &|d| pppoe(0x21, &v4(d))),
        one("vlan-pppoe-v6", VLAN, &|d| tag(7, 0x8864, &pppoe(0x57, &v6(d)))),
        one("six-tags", VLAN, &|d| {
            tag(1, VLAN, &tag(2, QINQ, &tag(3, VLAN_9100, &tag(4, MPLS, &label(5, false, &label(6, true, &v4(d)))))))
        }),
        one("erspan-1", IPV4, &|d| outer_ipv4(GRE, &gre(0, 0x88be, &ethernet(IPV4, &v4(d))))),
        one("vxlan-linux", IPV4, &|d| {
            outer_ipv4(UDP, &udp(1, 8472, &[&[8, 0, 0, 0, 0, 0, 1, 0], &ethernet(IPV4, &v4(d))[..]].concat()))
        }),
        one("gtp-u-in-gre", IPV6, &|d| {
            let gtp = udp(2152, 2152, &[&[0x30, 0xff, 0, 0, 0, 0, 0, 1], &v6(d)[..]].concat());
            ipv6(GRE, &gre(0x2000, IPV4, &outer_ipv4(UDP, &gtp)))
        }),
        one("vxlan-in-vxlan", IPV4, &|d| {
            outer_ipv4(UDP, &vxlan(1, &ethernet(IPV6, &ipv6(UDP, &vxlan(2, &ethernet(VLAN, &tag(3, IPV4, &v4(d))))))))
        }),
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
    let all = wrapped(port, message);
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
        let Cable { left, right } = Cable::new().expect("checked");
        right.enter();
        let mut tap = Tap::new(on("right"));
        assert_eq!(tap.kind(), "ebpf");
        every_wrapping_is_seen(&mut tap, &left, PORT);
    });
}

#[test]
fn every_wrapping_is_seen_by_the_classic_filter() {
    live("every_wrapping_is_seen_by_the_classic_filter", || {
        let Cable { left, right } = Cable::new().expect("checked");
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
        let Cable { left, right } = Cable::new().expect("checked");
        right.enter();
        let mut tap = Tap::new(on("right"));
        let other = wrapped(PORT + 1, |name, length| [b"no ", &message(name, length)[..]].concat());
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

#[test]
fn sip_that_is_passed_over_is_sampled_and_named() {
    live("sip_that_is_passed_over_is_sampled_and_named", || {
        let Cable { left, right } = Cable::new().expect("checked");
        right.enter();
        let mut tap = Tap::new(on("right"));
        let elsewhere = wrapped(PORT + 1, message);
        let whole = elsewhere.iter().filter(|(_, frames)| frames.len() == 1);
        let frames: Vec<&[u8]> = whole.map(|(_, frames)| &frames[0][..]).collect();
        let segment = |sequence: u32| {
            let segment = [&tcp_header(40_000, PORT + 1, sequence), &message("segment", 0)[..]].concat();
            ethernet(IPV4, &ipv4(TCP, &segment))
        };
        let mut sent = frames.len() as u64;
        left.run(|| {
            let injector = Injector::new("left").expect("the cable is there");
            injector.send_all(frames);
        });
        // A segment is looked into where its number is a multiple of 64; of what is found one each 10 ms is a sample.
        left.run(|| {
            let injector = Injector::new("left").expect("the cable is there");
            (0..640).for_each(|sequence| injector.send(&segment(sequence)));
        });
        sent += 10;
        tap.wait_for(|tap| {
            tap.elsewhere() > 0 && tap.verdict("refused_elsewhere") + tap.verdict("kept_sample") == sent
        });
        assert_eq!(tap.kept(), tap.verdict("kept_sample"));
        assert_eq!(tap.messages().len(), 0, "what is passed over counts as no message");
    });
}

#[test]
fn what_is_not_read_is_counted_packet_by_packet_and_sampled() {
    live("what_is_not_read_is_counted_packet_by_packet_and_sampled", || {
        let Cable { left, right } = Cable::new().expect("checked");
        right.enter();
        let mut tap = Tap::new(on("right"));
        let inside = ipv4(UDP, &udp(40_000, PORT, &message("inside", 0)));
        let esp = [&[0, 0, 1, 1, 0, 0, 0, 7], &inside[..]].concat();
        let l2tp_data = [&[0, 2, 0, 1, 0, 1, 0xff, 3, 0, 0x21], &inside[..]].concat();
        let kinds = [
            ("esp", ethernet(IPV4, &outer_ipv4(50, &esp))),
            ("esp", ethernet(IPV6, &ipv6(50, &esp))),
            ("esp", ethernet(IPV4, &outer_ipv4(UDP, &udp(4500, 4500, &esp)))),
            ("l2tp", ethernet(IPV4, &outer_ipv4(115, &inside))),
            ("l2tp", ethernet(IPV4, &outer_ipv4(UDP, &udp(40_000, 1701, &l2tp_data)))),
            ("sctp", ethernet(IPV4, &ipv4(132, &message("sctp", 0)))),
            ("ethertype", ethernet(0x88e7, &inside)),
            ("ethertype", ethernet(IPV4, &outer_ipv4(GRE, &gre(1, IPV4, &inside)))),
            ("nested", ethernet(IPV4, &outer_ipv4(4, &outer_ipv4(4, &outer_ipv4(GRE, &gre(0, IPV4, &inside)))))),
        ];
        let carries_nothing = [
            ethernet(0x0806, &[0; 28]),
            ethernet(0x88cc, &[0; 28]),
            ethernet(IPV4, &outer_ipv4(UDP, &udp(4500, 4500, &[0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]))),
            ethernet(IPV4, &outer_ipv4(UDP, &udp(40_000, 1701, &[0xc8, 2, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0]))),
        ];
        left.run(|| {
            let injector = Injector::new("left").expect("the cable is there");
            let each = kinds.iter().map(|(_, frame)| &frame[..]).chain(carries_nothing.iter().map(Vec::as_slice));
            injector.send_all(each.cycle().take(MANY * (kinds.len() + carries_nothing.len())));
        });
        tap.wait_for(|tap| tap.not_read().iter().sum::<u64>() >= (MANY * kinds.len()) as u64);
        let number = |why: NotRead| MANY * kinds.iter().filter(|(kind, _)| *kind == why.as_str()).count();
        assert_eq!(tap.not_read(), NotRead::ALL.map(|why| number(why) as u64));
        assert!(tap.elsewhere() >= NotRead::ALL.len() as u64, "the first of each kind is a sample");
        assert_eq!(tap.kept(), tap.verdict("kept_sample"));
    });
}

/// Packets of each kind.
const MANY: usize = 300;

/// Whether a list of frames came out reversed: a later piece stands first.
fn other_order(frames: &[Vec<u8>]) -> bool {
    frames.len() > 1 && frames[0].len() < frames[frames.len() - 1].len()
}

#[test]
fn frames_cut_anywhere_do_no_harm() {
    live("frames_cut_anywhere_do_no_harm", || {
        let Cable { left, right } = Cable::new().expect("checked");
        right.enter();
        let mut tap = Tap::new(on("right"));
        left.run(|| {
            let injector = Injector::new("left").expect("the cable is there");
            for frame in wrapped(PORT, message).iter().flat_map(|(_, frames)| frames) {
                for length in ETHERNET_HEADER..frame.len().min(LONGEST_HEADERS) {
                    injector.send(&frame[..length]);
                }
            }
            injector.send(&ethernet(IPV4, &ipv4(UDP, &udp(40_000, PORT, &message("marker", 0)))));
        });
        assert_eq!(tap.until(1), ["marker"]);
        assert_eq!(tap.value("otelcol_receiver_ring_damaged_blocks"), 0.0);
    });
}

/// Less is no frame, and more than these are no headers.
const ETHERNET_HEADER: usize = 14;
const LONGEST_HEADERS: usize = 160;

#[test]
fn the_largest_datagram_comes_whole() {
    live("the_largest_datagram_comes_whole", || {
        Namespace::new().expect("checked").enter();
        let mut tap = Tap::new(on("lo"));
        let mut large = message("large", 0);
        large.resize(LARGEST_PAYLOAD, b'x');
        let socket = UdpSocket::bind("127.0.0.1:0").expect("lo is up");
        socket.send_to(&large, ("127.0.0.1", PORT)).expect("sent");
        assert_eq!(tap.until(1), ["large"]);
        assert_eq!(tap.messages()[0].length, LARGEST_PAYLOAD);
    });
}

/// 65,535 bytes less the headers of IPv4 and UDP.
const LARGEST_PAYLOAD: usize = 65_507;

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
        let Cable { left, right } = Cable::new().expect("checked");
        let mut tap = left.run(|| Tap::new(on("left")));
        for (here, there) in [("10.20.0.1", "10.20.0.2"), ("fd00:20::1", "fd00:20::2")] {
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
            return skipped("a_device_without_link_header_is_captured", "/dev/net/tun is refused");
        };
        ip("address add 10.98.0.1/24 dev tun0");
        ip("link set tun0 up");
        let socket = UdpSocket::bind("10.98.0.1:0").expect("the address is there");
        socket.send_to(&message("tun", 0), ("10.98.0.9", PORT)).expect("sent");
        assert_eq!(tap.until(1), ["tun"]);
    });
}
