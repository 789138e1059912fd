mod build;
mod fragments;

use std::net::IpAddr;

use build::*;
use proptest::prelude::*;

use super::*;
use crate::packet::Link;

const TEXT: &[u8] = b"OPTIONS sip:bob@example.com SIP/2.0\r\n\r\n";

/// Decodes one packet with a decoder of its own and expects `TEXT` between `source` and `destination`.
#[track_caller]
fn carries_text(link: Link, bytes: &[u8], source: IpAddr, destination: IpAddr) {
    let mut decoder = Decoder::default();
    let decoded = decoder.decode(&packet(link, 7, bytes));
    let expected = Datagram {
        source: SocketAddr::new(source, 5060),
        destination: SocketAddr::new(destination, 5062),
        payload: TEXT,
        first: Timestamp::from_nanos(7_000_000),
        truncated: false,
    };
    assert_eq!(decoded, Decoded::Datagram(expected));
}

#[track_caller]
fn is_skipped(link: Link, bytes: &[u8], skip: Skip) {
    assert_eq!(Decoder::default().decode(&packet(link, 0, bytes)), Decoded::Skipped(skip));
}

fn plain4() -> Vec<u8> {
    ip(ALICE, BOB, UDP, &udp(TEXT))
}

fn plain6() -> Vec<u8> {
    ip(ALICE6, BOB6, UDP, &udp(TEXT))
}

/// Packets of every shape that carries `TEXT`, and whether it is IPv6 inside.
fn shapes() -> Vec<(&'static str, Link, Vec<u8>, bool)> {
    let (four, six) = (plain4(), plain6());
    let (IpAddr::V4(alice), IpAddr::V4(bob)) = (ALICE, BOB) else { panic!("IPv4") };
    let cooked = |protocol: u16, payload: &[u8]| {
        [&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0][..], &protocol.to_be_bytes(), payload].concat()
    };
    let cooked2 = |protocol: u16, payload: &[u8]| {
        [&protocol.to_be_bytes()[..], &[0, 0, 0, 0, 0, 7, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0], payload].concat()
    };
    let family = |family: u32, payload: &[u8]| [&family.to_be_bytes()[..], payload].concat();
    let family_le = |family: u32, payload: &[u8]| [&family.to_le_bytes()[..], payload].concat();
    let pppoe = |protocol: u16, payload: &[u8]| [&[0x11, 0, 0, 1, 0, 0][..], &protocol.to_be_bytes(), payload].concat();
    let options = v4(alice, bob, UDP, 1, 0, &[1; 40], &udp(TEXT));
    let dont_fragment = v4(alice, bob, UDP, 1, 0x4000, &[], &udp(TEXT));
    let mut offloaded = four.clone();
    offloaded[2..4].copy_from_slice(&[0, 0]);
    let chain = extension(43, &extension(51, &authentication(60, &extension(UDP, &udp(TEXT)))));
    let atomic = fragment_header(60, 0, false, 9, &extension(UDP, &udp(TEXT)));
    let (udp4, eth4, eth6) = (udp(TEXT), ethernet(0x0800, &four), ethernet(0x86dd, &six));
    let carried = |protocol: u8, payload: &[u8]| ip(ALICE6, BOB6, protocol, payload);
    let carried4 = |protocol: u8, payload: &[u8]| ip(BOB, ALICE, protocol, payload);
    assert_eq!(udp4.len(), TEXT.len() + 8);
    vec![
        ("ethernet", Link::Ethernet, eth4.clone(), false),
        ("ethernet, padded", Link::Ethernet, [&eth4[..], &[0; 30]].concat(), false),
        ("ethernet, IPv6", Link::Ethernet, eth6.clone(), true),
        ("802.1Q", Link::Ethernet, ethernet(0x8100, &tag(0x0800, &four)), false),
        ("802.1ad", Link::Ethernet, ethernet(0x88a8, &tag(0x8100, &tag(0x86dd, &six))), true),
        (
            "four tags",
            Link::Ethernet,
            ethernet(0x9100, &tag(0x9200, &tag(0x8100, &tag(0x8100, &tag(0x0800, &four))))),
            false,
        ),
        ("MPLS", Link::Ethernet, ethernet(0x8847, &[&[0, 1, 0, 64, 0, 1, 1, 64][..], &four].concat()), false),
        ("PPPoE", Link::Ethernet, ethernet(0x8864, &pppoe(0x0021, &four)), false),
        ("PPPoE, IPv6", Link::Ethernet, ethernet(0x8864, &pppoe(0x0057, &six)), true),
        ("raw IPv4", Link::RawIp, four.clone(), false),
        ("raw IPv6", Link::RawIp, six.clone(), true),
        ("IPv4", Link::Ipv4, four.clone(), false),
        ("IPv6", Link::Ipv6, six.clone(), true),
        ("cooked", Link::LinuxCooked, cooked(0x0800, &four), false),
        ("cooked, tagged", Link::LinuxCooked, cooked(0x8100, &tag(0x86dd, &six)), true),
        ("cooked 2", Link::LinuxCooked2, cooked2(0x86dd, &six), true),
        ("null, big-endian", Link::Null, family(2, &four), false),
        ("null, little-endian", Link::Null, family_le(30, &six), true),
        ("loop", Link::Loop, family(24, &six), true),
        ("network", Link::Network { ethertype: 0x0800 }, four.clone(), false),
        ("network, inner tag", Link::Network { ethertype: 0x8100 }, tag(0x0800, &four), false),
        ("IPv4 options", Link::RawIp, options, false),
        ("don't fragment", Link::RawIp, dont_fragment, false),
        ("no length: offloaded", Link::RawIp, offloaded, false),
        ("extension headers", Link::RawIp, carried(0, &chain), true),
        ("atomic fragment", Link::RawIp, carried(44, &atomic), true),
        ("IPv4 in IPv4", Link::RawIp, carried4(4, &four), false),
        ("IPv6 in IPv4", Link::RawIp, carried4(41, &six), true),
        ("IPv4 in IPv6", Link::RawIp, carried(4, &four), false),
        ("IPv6 in IPv6", Link::RawIp, carried(0, &extension(41, &six)), true),
        ("GRE", Link::RawIp, carried4(47, &gre(0, 0x0800, &four)), false),
        ("GRE, IPv6, key", Link::RawIp, carried4(47, &gre(0x2000, 0x86dd, &six)), true),
        ("GRE, all fields", Link::RawIp, carried(47, &gre(0xb000, 0x0800, &four)), false),
        (
            "GRE, Ethernet, tag",
            Link::RawIp,
            carried4(47, &gre(0x1000, 0x6558, &ethernet(0x8100, &tag(0x0800, &four)))),
            false,
        ),
        ("VXLAN", Link::RawIp, carried4(UDP, &vxlan(&eth4)), false),
        ("VXLAN, IPv6 in IPv6", Link::RawIp, carried(UDP, &vxlan(&eth6)), true),
    ]
}

#[test]
fn every_shape_yields_its_datagram() {
    for (name, link, bytes, is_v6) in shapes() {
        println!("{name}");
        let (source, destination) = if is_v6 { (ALICE6, BOB6) } else { (ALICE, BOB) };
        carries_text(link, &bytes, source, destination);
    }
}

/// Whole, a prefix is malformed; as what a capture kept, it is a cut packet or a truncated datagram.
#[test]
fn every_prefix_of_every_shape_is_told_from_the_whole() {
    for (name, link, bytes, _) in shapes() {
        let mut decoder = Decoder::default();
        for len in 0..bytes.len() {
            let mut prefix = packet(link, 0, &bytes[..len]);
            let whole = decoder.decode(&prefix);
            let offloaded = name == "no length: offloaded";
            let padding = name == "ethernet, padded" && len >= bytes.len() - 30;
            if !offloaded && !padding {
                assert!(matches!(whole, Decoded::Skipped(Skip::Malformed | Skip::NotIp)), "{name} {len}: {whole:?}");
            }
            prefix.original_len = u32::try_from(bytes.len()).expect("short");
            match decoder.decode(&prefix) {
                // Cut before the header that tells VXLAN: the datagram of the tunnel.
                Decoded::Datagram(datagram) if datagram.destination.port() == 4789 => assert!(datagram.truncated),
                Decoded::Datagram(datagram) => {
                    assert!(datagram.truncated || padding, "{name} {len}");
                    assert!(TEXT.starts_with(datagram.payload), "{name} {len}");
                }
                other => assert_eq!(other, Decoded::Skipped(Skip::Cut), "{name} {len}"),
            }
        }
    }
}

#[test]
fn hostile_lengths_are_malformed() {
    for (at, value) in [(0, 0x44), (0, 0x54), (2, 0xff), (3, 19)] {
        let mut bytes = plain4();
        bytes[at] = value;
        is_skipped(Link::Ipv4, &bytes, Skip::Malformed);
    }
    let mut bytes = plain6();
    bytes[4] = 0xff;
    is_skipped(Link::Ipv6, &bytes, Skip::Malformed);
    // The UDP length: beyond the packet, and shorter than its own header.
    for len in [[0xff, 0xff], [0, 7]] {
        let mut bytes = plain4();
        bytes[24..26].copy_from_slice(&len);
        is_skipped(Link::Ipv4, &bytes, Skip::Malformed);
    }
    let mut bytes = ip(ALICE, BOB, TCP, &tcp(1, TEXT));
    bytes[32] = 0x40;
    is_skipped(Link::Ipv4, &bytes, Skip::Malformed);
}

#[test]
fn a_udp_length_shorter_than_the_packet_ends_the_payload() {
    let surplus = [udp(TEXT), b"surplus".to_vec()].concat();
    carries_text(Link::RawIp, &ip(ALICE, BOB, UDP, &surplus), ALICE, BOB);
}

#[test]
fn a_capture_that_cut_only_the_padding_cut_nothing() {
    let bytes = ethernet(0x0800, &plain4());
    let mut padded = packet(Link::Ethernet, 0, &bytes);
    padded.original_len += 10;
    let mut decoder = Decoder::default();
    let Decoded::Datagram(datagram) = decoder.decode(&padded) else { panic!("a datagram") };
    assert!(!datagram.truncated);
}

#[test]
fn endless_extension_headers_are_malformed() {
    let mut payload = udp(TEXT);
    let mut next_header = UDP;
    for _ in 0..9 {
        payload = extension(next_header, &payload);
        next_header = 60;
    }
    is_skipped(Link::RawIp, &ip(ALICE6, BOB6, 60, &payload), Skip::Malformed);
}

#[test]
fn what_is_not_ip_udp_or_tcp_is_named() {
    is_skipped(Link::Ethernet, &ethernet(0x0806, &[0; 28]), Skip::NotIp);
    is_skipped(Link::Ethernet, &ethernet(38, &[0x42; 46]), Skip::NotIp);
    is_skipped(Link::RawIp, &[0x20; 40], Skip::NotIp);
    is_skipped(Link::Null, &[0, 0, 0, 7, 0, 0], Skip::NotIp);
    is_skipped(Link::RawIp, &ip(ALICE, BOB, 1, &[8; 20]), Skip::OtherProtocol);
    is_skipped(Link::RawIp, &ip(ALICE6, BOB6, 59, &[]), Skip::OtherProtocol);
    is_skipped(Link::RawIp, &ip(ALICE, BOB, 47, &gre(1, 0x880b, &plain4())), Skip::OtherProtocol);
    is_skipped(Link::RawIp, &ip(ALICE, BOB, 47, &gre(0x4000, 0x0800, &plain4())), Skip::OtherProtocol);
    is_skipped(Link::RawIp, &ip(ALICE, BOB, 47, &gre(0, 0x0806, &[0; 28])), Skip::NotIp);
}

#[test]
fn only_one_tunnel_is_followed() {
    let inner = ip(ALICE, BOB, 4, &plain4());
    is_skipped(Link::RawIp, &ip(BOB, ALICE, 4, &inner), Skip::OtherProtocol);
    let vxlan_inside = ip(ALICE, BOB, UDP, &vxlan(&ethernet(0x0800, &plain4())));
    let bytes = ip(BOB, ALICE, 4, &vxlan_inside);
    let mut decoder = Decoder::default();
    let Decoded::Datagram(datagram) = decoder.decode(&packet(Link::RawIp, 0, &bytes)) else { panic!("a datagram") };
    assert_eq!(datagram.destination, SocketAddr::new(BOB, 4789));
}

#[test]
fn sip_on_the_port_of_vxlan_is_no_tunnel() {
    let bytes = ip(ALICE, BOB, UDP, &udp_to(4789, TEXT));
    let mut decoder = Decoder::default();
    let Decoded::Datagram(datagram) = decoder.decode(&packet(Link::RawIp, 0, &bytes)) else { panic!("a datagram") };
    assert_eq!(datagram.payload, TEXT);
}

#[test]
fn ipv4_mapped_addresses_stay_as_they_are() {
    let (source, destination) = ("::ffff:192.0.2.1".parse().expect("IPv6"), "::ffff:192.0.2.2".parse().expect("IPv6"));
    carries_text(Link::RawIp, &ip(source, destination, UDP, &udp(TEXT)), source, destination);
}

#[test]
fn tcp_is_decoded_up_to_its_header() {
    for (source, destination) in [(ALICE, BOB), (ALICE6, BOB6)] {
        let bytes = ip(source, destination, TCP, &tcp(0xfeed_beef, TEXT));
        let expected = Segment {
            source: SocketAddr::new(source, 5060),
            destination: SocketAddr::new(destination, 5062),
            sequence: 0xfeed_beef,
            flags: 0x18,
            payload: TEXT,
            truncated: false,
        };
        let mut decoder = Decoder::default();
        assert_eq!(decoder.decode(&packet(Link::RawIp, 0, &bytes)), Decoded::Segment(expected));
        let mut cut = packet(Link::RawIp, 0, &bytes[..bytes.len() - 1]);
        cut.original_len += 1;
        let payload = &TEXT[..TEXT.len() - 1];
        assert_eq!(decoder.decode(&cut), Decoded::Segment(Segment { payload, truncated: true, ..expected }));
    }
}

#[test]
fn reasons_can_be_counted_by_position() {
    for (index, skip) in Skip::ALL.into_iter().enumerate() {
        assert_eq!(skip as usize, index);
    }
}

proptest! {
    #[test]
    fn a_usual_packet_is_decoded_as_any_packet_is(
        shape in prop::sample::select(shapes()),
        changes in prop::collection::vec((0usize..60, any::<u8>()), 0..3),
        cut in prop::option::of(0usize..80),
    ) {
        let (_, link, mut bytes, _) = shape;
        for (at, byte) in changes {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        let original = packet(link, 0, &bytes).original_len;
        let bytes = &bytes[..cut.unwrap_or(bytes.len()).min(bytes.len())];
        let packet = Packet { original_len: original, ..packet(link, 0, bytes) };
        if let Some(datagram) = usual(&packet) {
            let mut decoder = Decoder::default();
            prop_assert_eq!(decoder.decode_any(&packet), Decoded::Datagram(datagram));
        }
    }
}
