use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// A UDP datagram cut at `cuts` (multiples of 8) into IP fragments.
fn pieces(source: IpAddr, destination: IpAddr, id: u16, whole: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain([whole.len()]);
    starts
        .zip(ends)
        .map(|(start, end)| {
            let offset = u16::try_from(start).expect("within a packet");
            piece(source, destination, id, offset, end < whole.len(), &whole[start..end])
        })
        .collect()
}

/// Feeds raw IP packets one millisecond apart and returns every datagram with the time it began, and what was skipped.
fn feed(decoder: &mut Decoder, packets: &[Vec<u8>]) -> (Vec<(Vec<u8>, u64)>, Vec<Skip>) {
    let (mut datagrams, mut skipped) = (Vec::new(), Vec::new());
    for (millis, bytes) in (0..).zip(packets) {
        match decoder.decode(&packet(Link::RawIp, millis, bytes)) {
            Decoded::Datagram(datagram) => {
                assert_eq!(datagram.missing, 0);
                datagrams.push((datagram.payload.to_vec(), datagram.first.as_nanos() / 1_000_000));
            }
            Decoded::Held => {}
            Decoded::Skipped(skip) => skipped.push(skip),
            Decoded::Segment(segment) => panic!("no TCP here: {segment:?}"),
        }
    }
    (datagrams, skipped)
}

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|index| u8::try_from(index % 251).expect("below 251")).collect()
}

fn permutations(items: &[usize]) -> Vec<Vec<usize>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (index, &item) in items.iter().enumerate() {
        let rest: Vec<usize> = [&items[..index], &items[index + 1..]].concat();
        all.extend(permutations(&rest).into_iter().map(|tail| [vec![item], tail].concat()));
    }
    all
}

#[test]
fn four_pieces_in_any_order_make_the_datagram_that_began_with_the_first_to_arrive() {
    let text = text(100);
    for (source, destination) in [(ALICE, BOB), (ALICE6, BOB6)] {
        let pieces = pieces(source, destination, 7, &udp(&text), &[8, 40, 96]);
        let mut decoder = Decoder::default();
        for order in permutations(&[0, 1, 2, 3]) {
            let packets: Vec<Vec<u8>> = order.iter().map(|&index| pieces[index].clone()).collect();
            assert_eq!(feed(&mut decoder, &packets), (vec![(text.clone(), 0)], vec![]), "{order:?}");
        }
        assert_eq!((decoder.fragmented(), decoder.held_bytes()), (0, 0));
    }
}

#[test]
fn pieces_are_put_together_inside_a_tunnel_and_around_it() {
    let text = text(300);
    let inner = pieces(ALICE6, BOB6, 3, &udp(&text), &[64]);
    let in_tunnel: Vec<Vec<u8>> = inner.iter().map(|piece| ip(ALICE, BOB, 41, piece)).collect();
    assert_eq!(feed(&mut Decoder::default(), &in_tunnel), (vec![(text.clone(), 0)], vec![]));

    // Each piece of the inner packet travels in an outer packet that is in pieces too; the last comes first.
    let mut around = Vec::new();
    for (id, piece) in (1..).zip(inner.iter().rev()) {
        let tunnelled = vxlan(&ethernet(0x86dd, piece));
        around.extend(pieces(ALICE, BOB, id, &tunnelled, &[16, 48]).into_iter().rev());
    }
    assert_eq!(feed(&mut Decoder::default(), &around), (vec![(text, 0)], vec![]));
}

#[test]
fn headers_behind_the_fragment_header_are_followed_once_it_is_whole() {
    let text = text(64);
    let whole = extension(51, &authentication(UDP, &udp(&text)));
    let IpAddr::V6(alice) = ALICE6 else { panic!("IPv6") };
    let IpAddr::V6(bob) = BOB6 else { panic!("IPv6") };
    // Only the first piece's next header counts (RFC 8200 §4.5).
    let first = v6(alice, bob, 0, &extension(44, &fragment_header(60, 0, true, 5, &whole[..24])));
    let second = v6(alice, bob, 44, &fragment_header(UDP, 24, false, 5, &whole[24..]));
    for packets in [[first.clone(), second.clone()], [second, first]] {
        assert_eq!(feed(&mut Decoder::default(), &packets), (vec![(text.clone(), 0)], vec![]));
    }
}

#[test]
fn datagrams_differ_by_every_part_of_the_key() {
    let (one, other) = (text(40), vec![0x55; 40]);
    let a = pieces(ALICE, BOB, 7, &udp(&one), &[16]);
    for (source, destination, id) in [(ALICE, BOB, 8), (BOB, ALICE, 7), (ALICE, ALICE, 7)] {
        let b = pieces(source, destination, id, &udp(&other), &[16]);
        let mixed = [a[0].clone(), b[1].clone(), b[0].clone(), a[1].clone()];
        assert_eq!(feed(&mut Decoder::default(), &mixed).0, [(other.clone(), 1), (one.clone(), 0)]);
    }
    let mut icmp = a[1].clone();
    icmp[9] = 1;
    assert_eq!(feed(&mut Decoder::default(), &[a[0].clone(), icmp, a[1].clone()]).0, [(one, 0)]);
}

#[test]
fn the_same_piece_twice_does_no_harm() {
    let text = text(100);
    for (source, destination) in [(ALICE, BOB), (ALICE6, BOB6)] {
        let p = pieces(source, destination, 7, &udp(&text), &[16, 64]);
        let packets = [p[0].clone(), p[0].clone(), p[2].clone(), p[0].clone(), p[1].clone()];
        let mut decoder = Decoder::default();
        assert_eq!(feed(&mut decoder, &packets), (vec![(text.clone(), 0)], vec![]));
        decoder.expire(Timestamp::from_nanos(60_000_000_000));
        assert_eq!((decoder.fragmented(), decoder.counts()), (0, ReassemblyCounts::default()));
    }
}

/// What a bridge and its port show of one datagram; the copy is for the duplicate filter to count.
#[test]
fn a_datagram_seen_on_two_interfaces_arrives_twice_and_leaves_nothing_behind() {
    let text = text(100);
    for (source, destination) in [(ALICE, BOB), (ALICE6, BOB6)] {
        let p = pieces(source, destination, 7, &udp(&text), &[16, 64]);
        for order in [[0, 0, 1, 1, 2, 2], [0, 1, 2, 0, 1, 2], [2, 0, 2, 0, 1, 1]] {
            let mut decoder = Decoder::default();
            let packets: Vec<Vec<u8>> = order.iter().map(|&index: &usize| p[index].clone()).collect();
            let (datagrams, skipped) = feed(&mut decoder, &packets);
            assert_eq!((datagrams.len(), skipped, decoder.fragmented()), (2, vec![], 0), "{order:?}");
            assert!(datagrams.iter().all(|(bytes, _)| *bytes == text));
        }
    }
}

#[test]
fn an_overlap_keeps_the_first_copy_of_ipv4() {
    let text = text(56);
    let whole = udp(&text);
    let forged = [0xee; 24];
    let packets = [
        piece(ALICE, BOB, 7, 0, true, &whole[..16]),
        // Its first 8 bytes are held already, its last 8 are not wanted either once it has come.
        piece(ALICE, BOB, 7, 8, true, &[&forged[..8], &whole[16..32]].concat()),
        piece(ALICE, BOB, 7, 24, true, &forged[..8]),
        piece(ALICE, BOB, 7, 16, false, &whole[16..]),
    ];
    let (datagrams, skipped) = feed(&mut Decoder::default(), &packets);
    assert_eq!(datagrams, [(text, 0)]);
    assert_eq!(skipped, [Skip::Fragment]);
}

#[test]
fn an_overlap_drops_the_whole_ipv6_datagram() {
    let whole = udp(&text(56));
    let packets = [
        piece(ALICE6, BOB6, 7, 0, true, &whole[..24]),
        piece(ALICE6, BOB6, 7, 16, true, &whole[16..32]),
        // Those that arrive later go the same way (RFC 5722 §3).
        piece(ALICE6, BOB6, 7, 24, true, &whole[24..32]),
        piece(ALICE6, BOB6, 7, 32, false, &whole[32..]),
        piece(ALICE6, BOB6, 7, 0, true, &whole[..24]),
    ];
    let mut decoder = Decoder::default();
    let (datagrams, skipped) = feed(&mut decoder, &packets);
    assert_eq!((datagrams, skipped), (vec![], vec![Skip::Fragment; 4]));
    assert_eq!(decoder.counts(), ReassemblyCounts { contradictory: 1, ..ReassemblyCounts::default() });
    assert_eq!(decoder.held_bytes(), 0);
    decoder.expire(Timestamp::from_nanos(30_000_000_000));
    assert_eq!((decoder.fragmented(), decoder.counts().timed_out), (0, 0));
}

#[test]
fn nonsense_is_refused() {
    for (source, destination) in [(ALICE, BOB), (ALICE6, BOB6)] {
        let nonsense = [
            // Beyond 65,535 bytes, not a multiple of 8, empty.
            piece(source, destination, 1, 65_528, false, &[0; 8]),
            piece(source, destination, 2, 0, true, &[0; 9]),
            piece(source, destination, 3, 8, true, &[]),
        ];
        let mut decoder = Decoder::default();
        assert_eq!(feed(&mut decoder, &nonsense), (vec![], vec![Skip::Fragment; 3]));
        assert_eq!(decoder.fragmented(), 0);
        // A second end, and a piece behind the end.
        let two_ends = [
            piece(source, destination, 4, 16, false, &[0; 8]),
            piece(source, destination, 4, 8, false, &[0; 8]),
            piece(source, destination, 5, 16, false, &[0; 8]),
            piece(source, destination, 5, 24, true, &[0; 8]),
            piece(source, destination, 6, 24, true, &[0; 8]),
            piece(source, destination, 6, 16, false, &[0; 8]),
        ];
        assert_eq!(feed(&mut decoder, &two_ends), (vec![], vec![Skip::Fragment; 3]));
    }
}

#[test]
fn too_many_pieces_drop_the_datagram() {
    let whole = udp(&text(2000));
    let cuts: Vec<usize> = (1..251).map(|index| index * 8).collect();
    let mut decoder = Decoder::default();
    let (datagrams, skipped) = feed(&mut decoder, &pieces(ALICE, BOB, 7, &whole, &cuts));
    assert_eq!((datagrams.len(), skipped.len()), (0, 251 - 128));
    assert_eq!((decoder.counts().contradictory, decoder.held_bytes()), (1, 0));
}

#[test]
fn a_datagram_waits_thirty_seconds_for_its_pieces() {
    let text = text(100);
    let p = pieces(ALICE, BOB, 7, &udp(&text), &[16]);
    for (wait, whole) in [(29_999, true), (30_000, false)] {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.decode(&packet(Link::RawIp, 0, &p[0])), Decoded::Held);
        let last = decoder.decode(&packet(Link::RawIp, wait, &p[1]));
        assert_eq!(matches!(last, Decoded::Datagram(_)), whole);
        assert_eq!(decoder.counts().timed_out, u64::from(!whole));
    }
    let mut decoder = Decoder::default();
    decoder.decode(&packet(Link::RawIp, 0, &p[0]));
    decoder.expire(Timestamp::ZERO + Duration::from_secs(30));
    assert_eq!((decoder.fragmented(), decoder.counts().timed_out), (0, 1));
}

#[test]
fn a_full_table_gives_up_the_oldest_and_counts_it() {
    let text = text(100);
    let mut decoder = Decoder::new(3);
    let all: Vec<Vec<Vec<u8>>> = (0..4).map(|id| pieces(ALICE, BOB, id, &udp(&text), &[16])).collect();
    let firsts: Vec<Vec<u8>> = all.iter().map(|pieces| pieces[0].clone()).collect();
    assert_eq!(feed(&mut decoder, &firsts), (vec![], vec![]));
    assert_eq!((decoder.fragmented(), decoder.counts().evicted), (3, 1));
    let lasts: Vec<Vec<u8>> = all.iter().skip(1).map(|pieces| pieces[1].clone()).collect();
    assert_eq!(feed(&mut decoder, &lasts).0.len(), 3);
}

#[test]
fn the_bytes_held_are_bounded_too() {
    let mut decoder = Decoder::default();
    let piece_of = |id| piece(ALICE, BOB, id, 0, true, &[0; 60_000]);
    for id in 0..1000 {
        assert_eq!(decoder.decode(&packet(Link::RawIp, 0, &piece_of(id))), Decoded::Held);
        assert!(decoder.held_bytes() <= 8 * 1024 * 1024);
    }
    assert_eq!(decoder.counts().evicted + decoder.fragmented() as u64, 1000);
}

#[test]
fn a_first_piece_that_the_capture_cut_is_a_truncated_datagram() {
    let text = text(1000);
    for (source, destination) in [(ALICE, BOB), (ALICE6, BOB6)] {
        let p = pieces(source, destination, 7, &udp(&text), &[512]);
        let mut decoder = Decoder::default();
        let mut first = packet(Link::RawIp, 0, &p[0][..200]);
        first.original_len = 560;
        let Decoded::Datagram(datagram) = decoder.decode(&first) else { panic!("a datagram") };
        assert!(datagram.missing > 0 && text.starts_with(datagram.payload) && datagram.payload.len() > 100);
        let mut last = packet(Link::RawIp, 0, &p[1][..200]);
        last.original_len = 560;
        assert_eq!(decoder.decode(&last), Decoded::Skipped(Skip::Cut));
    }
}

proptest! {
    #[test]
    fn any_split_in_any_order_makes_the_same_datagram(
        bytes in proptest::collection::vec(any::<u8>(), 9..4000),
        cuts in proptest::collection::btree_set(1_usize..500, 0..40),
        order in any::<u64>(),
        is_v6: bool,
    ) {
        let whole = udp(&bytes);
        let cuts: Vec<usize> = cuts.into_iter().map(|cut| cut * 8).filter(|&cut| cut < whole.len()).collect();
        let (source, destination) = if is_v6 { (ALICE6, BOB6) } else { (ALICE, BOB) };
        let mut packets = pieces(source, destination, 7, &whole, &cuts);
        // A shuffle that only depends on `order`: sort by a multiplicative hash of the position.
        let mut positions: Vec<u64> = (0..packets.len() as u64).collect();
        positions.sort_by_key(|position| (position ^ order).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29));
        packets = positions.iter().map(|&position| packets[usize::try_from(position).unwrap()].clone()).collect();
        let mut decoder = Decoder::default();
        prop_assert_eq!(feed(&mut decoder, &packets), (vec![(bytes, 0)], vec![]));
        prop_assert_eq!((decoder.fragmented(), decoder.held_bytes()), (0, 0));
    }

    #[test]
    fn no_bytes_make_it_panic(packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..20)) {
        let mut decoder = Decoder::new(2);
        for bytes in &packets {
            for link in [Link::Ethernet, Link::RawIp, Link::Null, Link::LinuxCooked2, Link::Network { ethertype: 0x86dd }] {
                decoder.decode(&packet(link, 0, bytes));
                prop_assert!(decoder.fragmented() <= 2);
            }
        }
    }
}
