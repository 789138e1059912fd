use super::*;

const BUFFER: u64 = 60_000_000;
const MS: u64 = 1_000_000;

/// The packet of a number in a clean stream of 20 ms PCMU that begins with number `base`.
fn clean(base: u16, number: u16) -> Arrival {
    let nth = u64::from(number.wrapping_sub(base));
    Arrival {
        at: 5_000_000_000 + nth * 20 * MS,
        sequence: number,
        timestamp: (nth as u32).wrapping_mul(160).wrapping_add(u32::MAX - 500),
        payload_type: 0,
        codec: Codec::Pcmu,
        clock: 8000,
    }
}

/// A stream of these packets, the first two in sequence, and what each further one was.
fn stream(packets: &[Arrival]) -> (Stream, Vec<Taken>) {
    let mut stream = Stream::begin(&packets[0], &packets[1], BUFFER).expect("two in sequence");
    let taken = packets[2..].iter().map(|packet| stream.take(packet, BUFFER)).collect();
    (stream, taken)
}

#[test]
fn a_stream_is_no_larger_than_it_may_be() {
    assert!(size_of::<Stream>() <= 232, "{}", size_of::<Stream>());
}

#[test]
fn two_packets_not_in_sequence_begin_nothing() {
    assert!(Stream::begin(&clean(1, 1), &clean(1, 3), BUFFER).is_none());
    assert!(Stream::begin(&clean(65_535, 65_535), &clean(65_535, 0), BUFFER).is_some());
}

#[test]
fn loss_repeats_and_order_are_told_apart_over_the_wrap_of_numbers() {
    let base = 65_500;
    let packets = [0, 1, 2, 3, 5, 4, 4, 6, 9, 40, 41, 42].map(|nth| clean(base, base.wrapping_add(nth)));
    let (stream, taken) = stream(&packets);
    let summary = stream.summary();
    assert_eq!((summary.expected, summary.received, summary.lost()), (43, 11, 32));
    assert_eq!((summary.duplicates, summary.reordered, summary.lost_rfc3550()), (1, 1, 31));
    assert_eq!(taken.iter().filter(|taken| **taken == Taken::Duplicate).count(), 1);
}

#[test]
fn what_was_sent_before_the_first_that_came_is_expected_too() {
    let packets = [5, 6, 4, 7, 2].map(|nth| clean(0, nth));
    let (mut stream, _) = stream(&packets);
    let summary = stream.summary();
    assert_eq!((summary.expected, summary.received, summary.lost()), (6, 5, 1));
    let interval = stream.end_interval();
    assert_eq!((interval.expected, interval.lost), (6, 1));
}

#[test]
fn a_jump_beyond_what_may_be_lost_begins_a_segment_once_it_goes_on() {
    let mut packets: Vec<_> = (0..100).map(|nth| clean(1000, 1000 + nth)).collect();
    let jumped = |nth: u16| Arrival { sequence: 31_100 + nth, ..clean(1000, 1100 + nth) };
    packets.extend((0..50).map(jumped));
    // Two strays that do not follow one another.
    packets.extend([31_000, 31_020].map(|sequence| Arrival { sequence, ..jumped(60) }));
    packets.push(Arrival { sequence: 31_150, ..jumped(50) });
    let (mut stream, taken) = stream(&packets);
    let summary = stream.summary();
    assert_eq!((summary.expected, summary.received, summary.duplicates, summary.reordered), (151, 151, 0, 0));
    assert_eq!(summary.jitter, 0.0);
    assert_eq!(taken.iter().filter(|taken| **taken == Taken::Aside).count(), 3);
    assert_eq!(taken.iter().filter(|taken| **taken == Taken::Restarted { jumps: 0 }).count(), 1);
    assert_eq!(summary.bursts.gap_packets, 151.0);
    let interval = stream.end_interval();
    assert_eq!((interval.expected, interval.lost, interval.burst_ratio), (151, 0, 1.0));
}

#[test]
fn three_thousand_may_be_lost_and_one_more_may_not() {
    let start = [0, 1].map(|nth| clean(0, nth));
    let far = |nth: u16| clean(0, 1 + nth);
    let (stream_, _) = stream(&[start[0], start[1], far(3000)]);
    assert_eq!((stream_.summary().lost(), stream_.summary().bursts.burst_packets), (2999, 2999.0));
    let (stream_, taken) = stream(&[start[0], start[1], far(3001)]);
    assert_eq!((stream_.summary().lost(), taken), (0, vec![Taken::Aside]));
    let back: Vec<_> = (0..150).map(|nth| clean(0, nth)).chain([clean(0, 49), clean(0, 48)]).collect();
    let (_, taken) = stream(&back);
    assert_eq!(taken[148..], [Taken::Duplicate, Taken::Aside]);
}

#[test]
fn jitter_is_that_of_the_rfc_and_a_jump_of_time_stamps_is_none() {
    let mut packets: Vec<_> = (0..200).map(|nth| clean(0, nth)).collect();
    packets.iter_mut().skip(1).step_by(2).for_each(|packet| packet.at += 3 * MS);
    let (stream_, _) = stream(&packets);
    assert!((stream_.summary().jitter - 3e6).abs() < 100.0, "{}", stream_.summary().jitter);
    let mut packets: Vec<_> = (0..200).map(|nth| clean(0, nth)).collect();
    packets.iter_mut().skip(100).for_each(|packet| packet.timestamp = packet.timestamp.wrapping_add(80_000));
    let (stream_, taken) = stream(&packets);
    assert_eq!(stream_.summary().jitter_max, 0.0);
    assert_eq!(taken.iter().filter(|taken| **taken == Taken::New { reordered: false, jumped: true }).count(), 1);
}

#[test]
fn digits_count_as_numbers_and_for_nothing_else() {
    let mut packets: Vec<_> = (0..150).map(|nth| clean(0, nth)).collect();
    let stands_still = packets[100].timestamp;
    for packet in &mut packets[100..110] {
        *packet = Arrival { timestamp: stands_still, payload_type: 101, codec: Codec::TelephoneEvent, ..*packet };
    }
    let (stream, _) = stream(&packets);
    let summary = stream.summary();
    assert_eq!((summary.received, summary.jitter_max, summary.discarded), (150, 0.0, 0));
    assert_eq!((stream.ptime(None), stream.codec()), (20 * MS, Codec::Pcmu));
}

#[test]
fn a_packet_later_than_the_buffer_is_discarded_until_the_reference_has_followed() {
    let mut packets: Vec<_> = (0..500).map(|nth| clean(0, nth)).collect();
    packets.iter_mut().skip(250).for_each(|packet| packet.at += 105 * MS);
    let (mut stream_, _) = stream(&packets);
    let summary = stream_.summary();
    assert_eq!((summary.discarded, summary.lost()), (45, 0));
    assert!((summary.burst_ratio - 40.95).abs() < 1e-9 && (summary.jitter_max - 6.5625e6).abs() < 1.0, "{summary:?}");
    assert_eq!((summary.bursts.burst_packets, summary.bursts.gap_packets), (45.0, 227.5));
    assert_eq!(stream_.end_interval().discarded, 45);
    // 60 ms exactly are in time.
    let mut packets: Vec<_> = (0..40).map(|nth| clean(0, nth)).collect();
    packets[20].at += 60 * MS;
    packets.swap(20, 22);
    assert_eq!(stream(&packets).0.summary().discarded, 0);
}

#[test]
fn clocks_that_drift_discard_nothing() {
    let packets: Vec<_> = (0..20_000_u16).map(|nth| clean(0, nth)).collect();
    for drift in [100, -100_i64] {
        let drifted = |packet: &Arrival| {
            let since = packet.at - packets[0].at;
            Arrival { at: packets[0].at + since.saturating_add_signed(since as i64 * drift / 1_000_000), ..*packet }
        };
        let packets: Vec<_> = packets.iter().map(drifted).collect();
        assert_eq!(stream(&packets).0.summary().discarded, 0);
    }
}

#[test]
fn an_interval_takes_what_became_expected_in_it() {
    let mut stream = Stream::begin(&clean(0, 0), &clean(0, 1), BUFFER).expect("in sequence");
    for nth in (2..500).filter(|nth| nth % 30 != 29) {
        stream.take(&clean(0, nth), BUFFER);
    }
    let first = stream.end_interval();
    assert_eq!((first.expected, first.lost, first.codec), (500, 16, Some(Codec::Pcmu)));
    assert_eq!(stream.end_interval().expected, 0);
    for nth in 500..600 {
        stream.take(&clean(0, nth), BUFFER);
    }
    // One of the interval before comes late.
    assert!(matches!(stream.take(&clean(0, 509), BUFFER), Taken::Duplicate));
    let second = stream.end_interval();
    assert_eq!((second.expected, second.lost, second.burst_ratio), (100, 0, 1.0));
    assert_eq!(stream.summary().lost(), 16);
}

#[test]
fn the_codec_of_an_interval_is_that_of_most_packets() {
    let mut stream = Stream::begin(&clean(0, 0), &clean(0, 1), BUFFER).expect("in sequence");
    for nth in 2..100 {
        let (payload_type, codec) = if nth < 40 { (0, Codec::Pcmu) } else { (8, Codec::Pcma) };
        stream.take(&Arrival { payload_type, codec, ..clean(0, nth) }, BUFFER);
    }
    assert_eq!(stream.end_interval().codec, Some(Codec::Pcma));
    assert_eq!(stream.end_interval().codec, None);
}
