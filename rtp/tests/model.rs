//! Streams with loss, repeats, delays and other orders: what is counted is what the definitions say.

use proptest::collection::vec;
use proptest::prelude::*;
use rtp::{Arrival, Codec};

#[path = "invariants/model.rs"]
mod model;
#[path = "invariants/reports.rs"]
mod reports;

const MS: u64 = 1_000_000;

/// What becomes of one packet.
#[derive(Clone, Copy, Debug)]
enum Way {
    Comes,
    /// So many milliseconds late.
    Late(u64),
    Lost,
    Twice,
    /// As a digit.
    Digit,
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![
        12 => Just(Way::Comes),
        3 => (0..400_u64).prop_map(Way::Late),
        2 => Just(Way::Lost),
        1 => Just(Way::Twice),
        1 => Just(Way::Digit),
    ]
}

/// The packets of a stream as they arrive, after two that do as they should.
fn arrivals(base: u16, ways: &[Way], silence: u64) -> Vec<Arrival> {
    let mut packets = Vec::new();
    let mut sent = 0;
    for (nth, way) in [Way::Comes; 2].iter().chain(ways).enumerate() {
        // Now and then nobody speaks.
        sent += if nth > 2 && nth % 97 == 0 { silence } else { 20 * MS };
        let mut packet = Arrival {
            at: 7_000_000_000 + sent,
            sequence: base.wrapping_add(nth as u16),
            timestamp: (sent / 125_000) as u32,
            payload_type: 0,
            codec: Codec::Pcmu,
            clock: 8000,
        };
        match way {
            Way::Comes | Way::Twice => {}
            Way::Late(late) => packet.at += late * MS,
            Way::Lost => continue,
            Way::Digit => (packet.codec, packet.payload_type) = (Codec::TelephoneEvent, 101),
        }
        packets.push(packet);
        packets.extend(matches!(way, Way::Twice).then_some(packet));
    }
    packets.sort_by_key(|packet| packet.at);
    packets
}

proptest! {
    #[test]
    fn what_is_counted_is_what_the_definitions_say(
        base in any::<u16>(),
        ways in vec(way(), 0..700),
        silence in prop_oneof![Just(20 * MS), 20 * MS..5_000 * MS],
    ) {
        model::check(&arrivals(base, &ways, silence));
    }

    #[test]
    fn long_losses_are_counted_too(base in any::<u16>(), runs in vec((1..40_usize, 0..2900_usize), 1..6)) {
        let ways: Vec<Way> =
            runs.iter().flat_map(|(comes, lost)| [vec![Way::Lost; *lost], vec![Way::Comes; *comes]].concat()).collect();
        model::check(&arrivals(base, &ways, 20 * MS));
    }

    #[test]
    fn any_datagram_is_read_or_refused(
        packets in vec((0..32_u8, 199..208_u8, 0..20_u16, vec(any::<u8>(), 0..80), any::<bool>()), 1..4),
    ) {
        let packet = |(count, kind, words, mut body, lies): (u8, u8, u16, Vec<u8>, bool)| {
            // Most lengths are right, or nothing is ever read.
            body.resize(body.len() / 4 * 4, 0);
            let words = if lies { words } else { (body.len() / 4) as u16 };
            [&[0x80 | count, kind][..], &words.to_be_bytes(), &body].concat()
        };
        reports::check(&packets.into_iter().flat_map(packet).collect::<Vec<u8>>());
    }

    #[test]
    fn any_packets_in_any_order_keep_every_promise(
        packets in vec((any::<u16>(), any::<u32>(), 0..3_u8, 0..3_000_u64), 2..200),
    ) {
        let mut at = 0;
        let mut arrivals: Vec<Arrival> = packets.into_iter().map(|(sequence, timestamp, kind, millis)| {
            at += millis * MS;
            let codec = [Codec::Pcmu, Codec::Cn, Codec::Opus][usize::from(kind)];
            let clock = if codec == Codec::Opus { 48_000 } else { 8000 };
            // Most go on from one another, or nothing is ever counted.
            Arrival { at, sequence: sequence % 300, timestamp, payload_type: kind, codec, clock }
        }).collect();
        arrivals[1].sequence = arrivals[0].sequence + 1;
        let mut stream = rtp::Stream::begin(&arrivals[0], &arrivals[1], model::BUFFER).expect("in sequence");
        let mut expected = 0;
        for (nth, packet) in arrivals[2..].iter().enumerate() {
            stream.take(packet, model::BUFFER);
            if nth % 7 == 0 {
                let interval = stream.end_interval();
                expected += interval.expected;
                prop_assert!(interval.lost <= interval.expected && interval.burst_ratio >= 1.0);
            }
            let summary = stream.summary();
            prop_assert!(summary.received <= summary.expected && summary.discarded <= summary.received);
            prop_assert!(summary.jitter >= 0.0 && summary.jitter <= 1e9 && summary.jitter_max <= 1e9);
            prop_assert!((0.0..=1.0).contains(&summary.bursts.burst_density));
            prop_assert!((0.0..=1.0).contains(&summary.bursts.gap_density));
        }
        expected += stream.end_interval().expected;
        prop_assert_eq!(expected, stream.summary().expected);
    }
}
