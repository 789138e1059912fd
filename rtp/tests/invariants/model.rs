//! What a stream is, recomputed from the list of its packets as the definitions say it: shared by the property tests and
//! the fuzz target. It remembers everything and is slow.

use std::collections::{BTreeMap, HashSet};

use rtp::{Arrival, Stream, Taken};

/// The jitter buffer, in nanoseconds.
pub const BUFFER: u64 = 60_000_000;

/// Takes packets of one segment (numbers that never jump beyond what may be lost), the first two in sequence, and compares.
pub fn check(packets: &[Arrival]) {
    let mut stream = Stream::begin(&packets[0], &packets[1], BUFFER).expect("two in sequence");
    for packet in &packets[2..] {
        assert!(!matches!(stream.take(packet, BUFFER), Taken::Aside | Taken::Restarted { .. }), "{packet:?}");
    }
    let (summary, model) = (stream.summary(), Model::new(packets));
    let expected = model.highest - model.lowest + 1;
    assert_eq!(u64::from(summary.expected), expected);
    assert_eq!(summary.received as usize, model.fates.len());
    assert_eq!((summary.duplicates, summary.reordered), (model.duplicates, model.reordered));
    assert_eq!(summary.discarded as usize, model.fates.values().filter(|late| **late).count());
    assert!((summary.jitter - model.jitter).abs() <= 1.0 + model.jitter / 1e4, "{} {}", summary.jitter, model.jitter);
    let missing: Vec<u64> =
        (model.lowest..=model.highest).filter(|number| model.fates.get(number).is_none_or(|late| *late)).collect();
    compare(&summary, &missing, model.lowest, expected);
    let interval = stream.end_interval();
    assert_eq!((u64::from(interval.expected), interval.lost), (expected, summary.lost()));
    assert_eq!(interval.discarded, summary.discarded);
    assert!((interval.burst_ratio - summary.burst_ratio).abs() < 1e-9);
    assert_eq!((stream.end_interval().expected, stream.end_interval().discarded), (0, 0));
}

/// Runs, bursts and gaps by their definitions.
fn compare(summary: &rtp::Summary, missing: &[u64], lowest: u64, expected: u64) {
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
    let runs = missing.iter().enumerate().filter(|(at, number)| *at == 0 || missing[at - 1] + 1 != **number).count();
    let share = missing.len() as f64 / expected as f64;
    let ratio = if runs == 0 { 1.0 } else { (missing.len() as f64 / runs as f64 * (1.0 - share)).max(1.0) };
    assert!(near(summary.burst_ratio, ratio), "{} {ratio}", summary.burst_ratio);
    let mut groups: Vec<Vec<u64>> = Vec::new();
    for number in missing {
        match groups.last_mut() {
            Some(group) if number - group[group.len() - 1] - 1 < 16 => group.push(*number),
            _ => groups.push(vec![*number]),
        }
    }
    let bursts: Vec<_> = groups.iter().filter(|group| group.len() > 1).collect();
    let ends = |group: &[u64]| (group[0], group[group.len() - 1]);
    let in_bursts: u64 = bursts.iter().map(|group| ends(group).1 - ends(group).0 + 1).sum();
    let lost_in_bursts: usize = bursts.iter().map(|group| group.len()).sum();
    let in_burst = |number: u64| bursts.iter().any(|group| (ends(group).0..=ends(group).1).contains(&number));
    let (mut gaps, mut inside) = (0, true);
    for number in lowest..lowest + expected {
        gaps += u64::from(inside && !in_burst(number));
        inside = in_burst(number);
    }
    let share = |part: f64, whole: f64| if whole == 0.0 { 0.0 } else { part / whole };
    let in_gaps = (expected - in_bursts) as f64;
    assert!(near(summary.bursts.burst_packets, share(in_bursts as f64, bursts.len() as f64)));
    assert!(near(summary.bursts.burst_density, share(lost_in_bursts as f64, in_bursts as f64)));
    assert!(near(summary.bursts.gap_packets, share(in_gaps, gaps as f64)));
    assert!(near(summary.bursts.gap_density, share((missing.len() - lost_in_bursts) as f64, in_gaps)));
}

/// What the packets are by the definitions.
struct Model {
    lowest: u64,
    highest: u64,
    /// Numbers that came, and whether too late.
    fates: BTreeMap<u64, bool>,
    duplicates: u32,
    reordered: u32,
    jitter: f64,
}

impl Model {
    fn new(packets: &[Arrival]) -> Self {
        let mut seen = HashSet::new();
        let first = 1 << 20 | u64::from(packets[0].sequence);
        let mut model =
            Self { lowest: first, highest: first, fates: BTreeMap::new(), duplicates: 0, reordered: 0, jitter: 0.0 };
        // Transit of each packet of speech so far, and its second.
        let mut transits: Vec<(u64, i64)> = Vec::new();
        let mut before: Option<(Arrival, i64)> = None;
        for packet in packets {
            let step = i64::from(packet.sequence.wrapping_sub(model.highest as u16) as i16);
            let number = model.highest.checked_add_signed(step).expect("it began far up");
            if !seen.insert(number) {
                model.duplicates += 1;
                continue;
            }
            model.reordered += u32::from(number < model.highest);
            (model.lowest, model.highest) = (model.lowest.min(number), model.highest.max(number));
            model.fates.insert(number, false);
            if !packet.codec.is_speech() {
                continue;
            }
            let mut transit = 0;
            if let Some((last, last_transit)) = before {
                transit = last_transit;
                let stamped = i64::from(packet.timestamp.wrapping_sub(last.timestamp) as i32) * 1_000_000_000 / 8000;
                let deviation = (packet.at as i64 - last.at as i64) - stamped;
                if deviation.abs() <= 1_000_000_000 {
                    model.jitter += (deviation.abs() as f64 - model.jitter) / 16.0;
                    transit += deviation;
                }
            }
            before = Some((*packet, transit));
            let second = (packet.at - packets[0].at) / 1_000_000_000;
            transits.push((second, transit));
            let recent = transits.iter().filter(|(of, _)| *of == second || *of + 1 == second);
            let reference = recent.map(|(_, transit)| *transit).min().expect("it holds this one");
            model.fates.insert(number, transit - reference > BUFFER as i64);
        }
        model
    }
}
