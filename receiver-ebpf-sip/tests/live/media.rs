//! Media through the kernel program: told of by records where it may go, and never at the cost of SIP.

use std::net::SocketAddr;
use std::sync::Arc;

use caps::Capability;
use pipeline::MediaPorts;
use pipeline::media::Address;
use receiver_ebpf_sip::Config;
use testnet::{Cable, Injector};

use crate::common;
use crate::common::capture::{Tap, live};
use crate::common::frames::*;
use crate::{PORT, message, on};

/// Where the frames of `frames.rs` go, and a port of media there.
const MEDIA: u16 = 30_000;

fn address(ip: &str, port: u16) -> Address {
    SocketAddr::new(ip.parse().expect("an address"), port).into()
}

/// The recipients of `frames.rs`.
fn endpoints() -> [Address; 2] {
    [address("10.99.0.2", MEDIA), address("fd99::2", MEDIA)]
}

fn known(endpoints: &[Address]) -> Arc<MediaPorts> {
    let ports = Arc::<MediaPorts>::default();
    endpoints.iter().for_each(|endpoint| ports.put(endpoint));
    ports
}

/// A packet of RTP of 20 ms of G.711; what it says behind its header must not be seen.
fn rtp(sequence: u16) -> Vec<u8> {
    let number = sequence.to_be_bytes();
    [&[0x80, 0, number[0], number[1], 0, 0, 0, 160, 1, 2, 3, 4][..], &[b'x'; 160]].concat()
}

fn rtp_to(port: u16, sequence: u16) -> Vec<u8> {
    udp(20_000, port, &rtp(sequence))
}

/// A receiver report, without blocks or with one.
fn rtcp(blocks: u8) -> Vec<u8> {
    let words = 1 + 6 * u16::from(blocks);
    [&[0x80 | blocks, 201][..], &words.to_be_bytes(), &[1, 2, 3, 4], &vec![7; 24 * usize::from(blocks)]].concat()
}

#[test]
fn media_is_told_of_where_it_may_go_whatever_it_is_wrapped_in() {
    live("media_is_told_of_where_it_may_go_whatever_it_is_wrapped_in", || {
        let Cable { left, right } = Cable::new().expect("checked");
        let ports = known(&endpoints());
        let mut tap = right.run(|| {
            // No more rights than without media.
            common::become_nobody_with(&[Capability::CAP_NET_RAW, Capability::CAP_BPF]);
            Tap::with_media(on("right"), &ports)
        });
        assert_eq!(tap.kind(), "ebpf");
        let frames = [
            ethernet(IPV4, &ipv4(UDP, &rtp_to(MEDIA, 1))),
            ethernet(IPV6, &ipv6(UDP, &rtp_to(MEDIA, 2))),
            ethernet(VLAN, &tag(7, IPV4, &ipv4(UDP, &rtp_to(MEDIA, 3)))),
            ethernet(IPV4, &outer_ipv4(GRE, &gre(0, IPV6, &ipv6(UDP, &rtp_to(MEDIA, 4))))),
            ethernet(IPV4, &outer_ipv4(UDP, &vxlan(1, &ethernet(IPV4, &ipv4(UDP, &rtp_to(MEDIA, 5)))))),
            ethernet(IPV6, &ipv6(0, &extension(UDP, 0, &rtp_to(MEDIA, 6)))),
            // None of it: another port, another address, no RTP, too short.
            ethernet(IPV4, &ipv4(UDP, &rtp_to(MEDIA + 1, 100))),
            ethernet(IPV4, &outer_ipv4(UDP, &rtp_to(MEDIA, 101))),
            ethernet(IPV4, &ipv4(UDP, &udp(20_000, MEDIA, &[0x40; 172]))),
            ethernet(IPV4, &ipv4(UDP, &udp(20_000, MEDIA, &[0x80, 0, 0, 1]))),
            // Reports, whole.
            ethernet(IPV4, &ipv4(UDP, &udp(20_001, MEDIA, &rtcp(0)))),
            ethernet(IPV6, &ipv6(UDP, &udp(20_001, MEDIA, &rtcp(1)))),
        ];
        left.run(|| {
            let injector = Injector::new("left").expect("the cable is there");
            frames.iter().for_each(|frame| injector.send(frame));
        });
        tap.wait_for(|tap| tap.reports().len() >= 2 && tap.media().len() >= 6);
        let sequences: Vec<u8> = tap.media().iter().map(|packet| packet.header[3]).collect();
        assert_eq!(sequences, [1, 2, 3, 4, 5, 6]);
        for packet in tap.media() {
            assert_eq!((packet.len, packet.destination.port, packet.source.port), (172, MEDIA, 20_000));
            assert!(endpoints().contains(&packet.destination), "{packet:?}");
        }
        assert_eq!(tap.reports(), [rtcp(0), rtcp(1)]);
        assert_eq!((tap.verdict("recorded_media"), tap.verdict("kept_rtcp"), tap.kept()), (6, 2, 2));
        let [first, second] = [0, 1].map(|index| tap.media()[index].at);
        assert!(first <= second, "in order of capture");
    });
}

#[test]
fn endpoints_come_and_go_and_a_listed_port_stays() {
    live("endpoints_come_and_go_and_a_listed_port_stays", || {
        let Cable { left, right } = Cable::new().expect("checked");
        right.enter();
        let ports = known(&[]);
        let mut tap = Tap::with_media(Config { media_ports: vec![MEDIA + 10], ..on("right") }, &ports);
        let send = |port: u16, sequence: u16| {
            let frame = ethernet(IPV4, &ipv4(UDP, &rtp_to(port, sequence)));
            left.run(|| Injector::new("left").expect("the cable is there").send(&frame));
        };
        send(MEDIA, 1);
        send(MEDIA + 10, 2);
        ports.put(&endpoints()[0]);
        send(MEDIA, 3);
        ports.take(&endpoints()[0]);
        send(MEDIA, 4);
        tap.reconfigure(Config { media_ports: vec![MEDIA + 12], ..on("right") });
        send(MEDIA + 10, 5);
        send(MEDIA + 12, 6);
        tap.wait_for(|tap| tap.media().len() >= 3);
        let sequences: Vec<u8> = tap.media().iter().map(|packet| packet.header[3]).collect();
        assert_eq!(sequences, [2, 3, 6]);
        assert_eq!(tap.verdict("recorded_media"), 3);
    });
}

#[test]
fn a_flood_of_media_loses_media_and_no_sip() {
    live("a_flood_of_media_loses_media_and_no_sip", || {
        let Cable { left, right } = Cable::new().expect("checked");
        right.enter();
        let mut tap = Tap::with_media(on("right"), &known(&endpoints()));
        // More than the buffer of records holds, and SIP among it; nobody reads meanwhile.
        let rtp = ethernet(IPV4, &ipv4(UDP, &rtp_to(MEDIA, 1)));
        left.run(|| {
            let injector = Injector::new("left").expect("the cable is there");
            for call in 0..CALLS {
                injector.send_all(std::iter::repeat_n(&rtp[..], BETWEEN));
                injector.send(&ethernet(IPV4, &ipv4(UDP, &udp(40_000, PORT, &message(&format!("c{call}"), 0)))));
            }
        });
        let expected: Vec<String> = (0..CALLS).map(|call| format!("c{call}")).collect();
        assert_eq!(tap.until(CALLS), expected);
        let sent = (CALLS * BETWEEN) as u64;
        tap.wait_for(|tap| tap.media().len() as u64 + tap.media_drops() >= sent);
        assert!(tap.media_drops() > 0, "the flood was no flood");
        assert_eq!((tap.media().len() as u64 + tap.media_drops(), tap.drops()), (sent, 0));
    });
}

/// Fewer than the ring of SIP has blocks: on a slow machine each message has one of its own.
const CALLS: usize = 30;
const BETWEEN: usize = 20_000;

#[test]
fn the_classic_filter_knows_no_media_and_captures_sip() {
    live("the_classic_filter_knows_no_media_and_captures_sip", || {
        let Cable { left, right } = Cable::new().expect("checked");
        let mut tap = right.run(|| {
            common::become_nobody_with(&[Capability::CAP_NET_RAW]);
            Tap::with_media(on("right"), &known(&endpoints()))
        });
        left.run(|| {
            let injector = Injector::new("left").expect("the cable is there");
            injector.send(&ethernet(IPV4, &ipv4(UDP, &rtp_to(MEDIA, 1))));
            injector.send(&ethernet(IPV4, &ipv4(UDP, &udp(40_000, PORT, &message("call", 0)))));
        });
        assert_eq!(tap.until(1), ["call"]);
        assert_eq!((tap.kind(), tap.media().len()), ("classic", 0));
        assert_eq!(tap.status().no_media, Some("the classic filter knows no media"));
    });
}
