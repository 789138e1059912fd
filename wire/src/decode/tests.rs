mod build;
mod fragments;

use std::net::IpAddr;

use build::*;
use proptest::prelude::*;

use super::*;
use crate::packet::Link;

const TEXT: &[u8] = b"OPTIONS sip:bob@example.com SIP/2.0\r\n\r\n";

/// Ports that tunnels go to.
const TUNNELS: [u16; 6] = [4789, 8472, 4790, 6081, 2152, 37_008];

/// Decodes one packet with a decoder of its own and expects `TEXT` between `source` and `destination`.
#[track_caller]
fn carries_text(link: Link, bytes: &[u8], source: IpAddr, destination: IpAddr) {
    let mut decoder = Decoder::default();
    let Decoded::Datagram(decoded) = decoder.decode(&packet(link, 7, bytes)) else { panic!("no datagram") };
    let expected = Datagram {
        source: SocketAddr::new(source, 5060),
        destination: SocketAddr::new(destination, 5062),
        payload: TEXT,
        first: Timestamp::from_nanos(7_000_000),
        missing: 0,
        identification: decoded.identification,
    };
    assert_eq!(decoded, expected);
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
        ("cooked 2, IPv4", Link::LinuxCooked2, cooked2(0x0800, &four), false),
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
        ("VN-tag", Link::Ethernet, ethernet(0x8926, &vn_tag(0x8100, &tag(0x0800, &four))), false),
        ("E-tag", Link::Ethernet, ethernet(0x893f, &e_tag(0x86dd, &six)), true),
        ("MPLS multicast, IPv6", Link::Ethernet, ethernet(0x8848, &[&[0, 1, 1, 64][..], &six].concat()), true),
        ("PPPoE in a tag", Link::Ethernet, ethernet(0x8100, &tag(0x8864, &pppoe(0x0021, &four))), false),
        ("ERSPAN I", Link::RawIp, carried4(47, &gre(0, 0x88be, &eth4)), false),
        ("ERSPAN II", Link::RawIp, carried4(47, &erspan_2(&ethernet(0x8100, &tag(0x86dd, &six)))), true),
        ("ERSPAN III", Link::RawIp, carried(47, &erspan_3(0, false, &eth4)), false),
        ("ERSPAN III, subheader, IP", Link::RawIp, carried4(47, &erspan_3(2, true, &six)), true),
        ("VXLAN on 8472", Link::RawIp, carried(UDP, &vxlan_to(8472, &eth4)), false),
        ("VXLAN-GPE", Link::RawIp, carried4(UDP, &vxlan_gpe(3, &eth6)), true),
        ("VXLAN-GPE, IPv4", Link::RawIp, carried(UDP, &vxlan_gpe(1, &four)), false),
        ("VXLAN-GPE, IPv6", Link::RawIp, carried4(UDP, &vxlan_gpe(2, &six)), true),
        ("GENEVE", Link::RawIp, carried4(UDP, &geneve(0x6558, 0, &eth4)), false),
        ("GENEVE, options, IPv6", Link::RawIp, carried(UDP, &geneve(0x86dd, 63, &six)), true),
        ("GTP-U", Link::RawIp, carried4(UDP, &gtp_u(0, &[], &four)), false),
        ("GTP-U, sequence", Link::RawIp, carried(UDP, &gtp_u(2, &[0, 1, 0, 0x85], &six)), true),
        (
            "GTP-U, extensions",
            Link::RawIp,
            carried4(UDP, &gtp_u(7, &[0, 1, 0, 0x85, 1, 0, 9, 0x40, 2, 1, 2, 3, 4, 5, 6, 0], &four)),
            false,
        ),
        ("TZSP", Link::RawIp, carried4(UDP, &tzsp(&ethernet(0x8100, &tag(0x0800, &four)))), false),
        ("VXLAN in VXLAN", Link::RawIp, carried(UDP, &vxlan(&ethernet(0x0800, &carried4(UDP, &vxlan(&eth4))))), false),
        ("VXLAN in IPv4", Link::RawIp, carried4(4, &carried4(UDP, &vxlan(&eth6))), true),
        ("GRE in GTP-U", Link::RawIp, carried4(UDP, &gtp_u(0, &[], &carried(47, &gre(0x2000, 0x0800, &four)))), false),
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
                assert!(matches!(whole, Decoded::Skipped(Skip::Malformed)), "{name} {len}: {whole:?}");
            }
            prefix.original_len = u32::try_from(bytes.len()).expect("short");
            match decoder.decode(&prefix) {
                // Cut before the tunnel shows what it is: the datagram of the tunnel.
                Decoded::Datagram(datagram) if TUNNELS.contains(&datagram.destination.port()) => {
                    assert!(datagram.missing > 0);
                }
                Decoded::Datagram(datagram) => {
                    assert!(datagram.missing > 0 || padding, "{name} {len}");
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
    assert_eq!(datagram.missing, 0);
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
    for housekeeping in [0x0806, 0x88cc, 0x888e, 0x88f7, 0x8809, 0x9000] {
        is_skipped(Link::Ethernet, &ethernet(0x8100, &tag(housekeeping, &[0; 28])), Skip::NotIp);
    }
    // IEEE 802.3 with LLC, and provider backbone bridges.
    is_skipped(Link::Ethernet, &ethernet(38, &[0x42; 46]), Skip::Ethertype);
    is_skipped(
        Link::Ethernet,
        &ethernet(0x88e7, &[&[0; 4], &ethernet(0x0800, &plain4())[..]].concat()),
        Skip::Ethertype,
    );
    // A pseudowire with its control word.
    let pseudowire = [&[0, 1, 1, 64, 0, 0, 0, 0], &ethernet(0x0800, &plain4())[..]].concat();
    is_skipped(Link::Ethernet, &ethernet(0x8847, &pseudowire), Skip::Ethertype);
    is_skipped(Link::Ethernet, &ethernet(0x8864, &[0x11, 0, 0, 1, 0, 10, 0xc0, 0x21, 9, 1]), Skip::NotIp);
    is_skipped(Link::Ethernet, &ethernet(0x8864, &[0x11, 0, 0, 1, 0, 10, 0, 0xfd, 9, 1]), Skip::Ethertype);
    is_skipped(Link::RawIp, &[0x20; 40], Skip::Ethertype);
    is_skipped(Link::Null, &[0, 0, 0, 7, 0, 0], Skip::Ethertype);
    is_skipped(Link::RawIp, &ip(ALICE, BOB, 1, &[8; 20]), Skip::OtherProtocol);
    is_skipped(Link::RawIp, &ip(ALICE6, BOB6, 59, &[]), Skip::OtherProtocol);
    for (protocol, skip) in [(50, Skip::Esp), (115, Skip::L2tp), (132, Skip::Sctp)] {
        is_skipped(Link::RawIp, &ip(ALICE, BOB, protocol, &[8; 20]), skip);
        is_skipped(Link::RawIp, &ip(ALICE6, BOB6, 60, &extension(protocol, &[8; 20])), skip);
    }
    is_skipped(Link::RawIp, &ip(ALICE, BOB, 47, &gre(1, 0x880b, &plain4())), Skip::Ethertype);
    is_skipped(Link::RawIp, &ip(ALICE, BOB, 47, &gre(0x4000, 0x0800, &plain4())), Skip::Ethertype);
    is_skipped(Link::RawIp, &ip(ALICE, BOB, 47, &gre(0, 0x0806, &[0; 28])), Skip::NotIp);
    is_skipped(Link::RawIp, &ip(ALICE, BOB, 47, &erspan_3(1, false, &[0; 28])), Skip::Ethertype);
    is_skipped(Link::RawIp, &ip(ALICE, BOB, UDP, &vxlan(&ethernet(0x0806, &[0; 28]))), Skip::NotIp);
    is_skipped(Link::RawIp, &ip(ALICE, BOB, UDP, &vxlan_gpe(4, &[0; 28])), Skip::Ethertype);
}

#[test]
fn what_a_datagram_carries_that_is_not_read_is_told_by_its_port() {
    let unread = |port: u16, payload: &[u8]| {
        let bytes = ip(ALICE, BOB, UDP, &udp_to(port, payload));
        let mut decoder = Decoder::default();
        let Decoded::Datagram(datagram) = decoder.decode(&packet(Link::RawIp, 0, &bytes)) else { panic!("a datagram") };
        datagram.unread()
    };
    let (data, control) = ([0x02, 2, 0, 1, 0, 1, 0, 0], [0xc8, 2, 0, 12, 0, 1, 0, 0]);
    let (esp, exchange) = ([0, 0, 1, 1, 0, 0, 0, 1, 7, 7], [0, 0, 0, 0, 9, 9, 9, 9, 9, 9]);
    for (port, payload, skip) in [
        (1701, &data[..], Some(Skip::L2tp)),
        (1701, &control, None),
        (1701, TEXT, None),
        (1702, &data, None),
        (4500, &esp, Some(Skip::Esp)),
        (4500, &exchange, None),
        (4500, &[0xff], None),
        (4501, &esp, None),
    ] {
        assert_eq!(unread(port, payload), skip, "{port} {payload:?}");
    }
}

#[test]
fn a_tunnel_within_two_others_is_not_followed() {
    let carried = |protocol: u8, payload: &[u8]| ip(BOB, ALICE, protocol, payload);
    let frame = |packet: &[u8]| ethernet(0x0800, packet);
    for third in
        [carried(4, &plain4()), carried(47, &gre(0, 0x0800, &plain4())), carried(UDP, &vxlan(&frame(&plain4())))]
    {
        is_skipped(Link::RawIp, &carried(4, &carried(4, &third)), Skip::Nested);
        is_skipped(Link::RawIp, &carried(UDP, &vxlan(&frame(&carried(47, &gre(0, 0x0800, &third))))), Skip::Nested);
    }
    // A datagram on the port of a tunnel that is none.
    let bytes = carried(4, &carried(4, &ip(ALICE, BOB, UDP, &udp_to(4789, TEXT))));
    let mut decoder = Decoder::default();
    let Decoded::Datagram(datagram) = decoder.decode(&packet(Link::RawIp, 0, &bytes)) else { panic!("a datagram") };
    assert_eq!(datagram.payload, TEXT);
}

#[test]
fn what_is_no_tunnel_is_a_datagram_whatever_its_port() {
    let with = |port: u16, start: &[u8], inner: &[u8]| udp_to(port, &[start, inner].concat());
    let (four, frame) = (plain4(), ethernet(0x0800, &plain4()));
    let mut odd: Vec<Vec<u8>> = TUNNELS.iter().map(|&port| udp_to(port, TEXT)).collect();
    odd.extend([
        with(4789, &[0, 0, 0, 0, 0, 0, 42, 0], &frame),
        with(4789, &[8, 0, 0, 0, 0, 0, 42, 0], &TEXT[..13]),
        with(4789, &[8, 0, 0, 0, 0, 0, 42, 0], &frame[..40]),
        with(4790, &[0x1c, 0, 0, 1, 0, 0, 42, 0], &four),
        with(6081, &[0x40, 0, 8, 0, 0, 0, 42, 0], &four),
        with(6081, &[63, 0, 8, 0, 0, 0, 42, 0], &four),
        with(2152, &[0x30, 1, 0, 0, 0, 0, 0, 42], &four),
        with(2152, &[0x30, 0xff, 0, 0, 0, 0, 0, 42], &frame),
        with(2152, &[0x34, 0xff, 0, 0, 0, 0, 0, 42, 0, 1, 0, 0x85, 0], &four),
        with(2152, &[0x34, 0xff, 0, 0, 0, 0, 0, 42, 0, 1, 0, 0x85, 99], &four),
        with(37_008, &[1, 0, 0, 18, 1], &frame),
        with(37_008, &[1, 0, 0, 1, 10, 99], &frame),
        with(37_008, &[1, 0, 0, 1], b""),
    ]);
    for udp in odd {
        for bytes in [ip(ALICE, BOB, UDP, &udp), ip(ALICE6, BOB6, UDP, &udp)] {
            let mut decoder = Decoder::default();
            let decoded = decoder.decode(&packet(Link::RawIp, 0, &bytes));
            let Decoded::Datagram(datagram) = decoded else { panic!("{decoded:?} of {udp:?}") };
            assert_eq!(datagram.payload, &udp[8..]);
        }
    }
}

#[test]
fn the_ports_of_vxlan_may_change() {
    let on = |port: u16| ip(BOB, ALICE, UDP, &vxlan_to(port, &ethernet(0x0800, &plain4())));
    let mut decoder = Decoder::default();
    decoder.set_vxlan_ports(&[5555]);
    for (port, destination) in [(5555, 5062), (4789, 4789)] {
        let bytes = on(port);
        let Decoded::Datagram(datagram) = decoder.decode(&packet(Link::RawIp, 0, &bytes)) else { panic!("a datagram") };
        assert_eq!(datagram.destination.port(), destination);
    }
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

#[test]
fn whatever_captures_usually_begin_with_is_read_the_short_way() {
    let is_short = |(what, link, bytes, _): (&'static str, Link, Vec<u8>, bool)| {
        usual(&packet(link, 0, &bytes), &tunnel::Ports::default()).map(|_| what)
    };
    let short: Vec<_> = shapes().into_iter().filter_map(is_short).collect();
    for what in ["ethernet", "ethernet, padded", "raw IPv4", "IPv4", "cooked", "cooked 2, IPv4", "network"] {
        assert!(short.contains(&what), "{what} is not among {short:?}");
    }
}

proptest! {
    #[test]
    fn whatever_a_wrapping_says_is_decoded_or_skipped(
        shape in prop::sample::select(shapes()),
        around in prop::collection::vec(0usize..6, 0..4),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        is_told in any::<bool>(),
    ) {
        let (_, link, mut bytes, _) = shape;
        if link == Link::RawIp {
            for kind in around {
                let (protocol, ethertype) = if bytes[0] >> 4 == 4 { (4, 0x0800) } else { (41, 0x86dd) };
                let payload = match kind {
                    0 => vxlan(&ethernet(ethertype, &bytes)),
                    1 => geneve(ethertype, 2, &bytes),
                    2 => gtp_u(2, &[0, 1, 0, 0], &bytes),
                    3 => tzsp(&ethernet(ethertype, &bytes)),
                    4 => gre(0x2000, ethertype, &bytes),
                    _ => bytes.clone(),
                };
                bytes = ip(BOB, ALICE, [UDP, UDP, UDP, UDP, 47, protocol][kind], &payload);
            }
        }
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let original = packet(link, 0, &bytes).original_len;
        let kept = cut.map_or(bytes.len(), |cut| cut.index(bytes.len()));
        let whole = packet(link, 0, &bytes[..kept]);
        let packet = if is_told { Packet { original_len: original, ..whole } } else { whole };
        let mut decoder = Decoder::default();
        match decoder.decode(&packet) {
            Decoded::Datagram(datagram) => prop_assert!(datagram.payload.len() <= kept),
            Decoded::Segment(segment) => prop_assert!(segment.payload.len() <= kept),
            Decoded::Held => prop_assert_eq!(decoder.fragmented(), 1),
            Decoded::Skipped(skip) => prop_assert!(Skip::ALL.contains(&skip)),
        }
    }

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
        if let Some(datagram) = usual(&packet, &tunnel::Ports::default()) {
            let mut decoder = Decoder::default();
            prop_assert_eq!(decoder.decode_any(&packet), Decoded::Datagram(datagram));
        }
    }
}
