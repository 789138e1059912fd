//! Deltas: what is acknowledged adds up to what was counted, and nothing is lost on the way.

use super::*;

/// The points of a family, summed; with the earliest start.
fn delta(chunks: &[Chunk], name: &str) -> Option<(i64, u64)> {
    let metric = chunks.iter().flat_map(decode).find(|metric| metric.name == name)?;
    let Some(Data::Sum(sum)) = metric.data else { panic!("{name} is a sum") };
    assert_eq!(sum.aggregation_temporality, 1, "{name} is delta");
    let number = |point: &NumberDataPoint| match point.value {
        Some(number_data_point::Value::AsInt(number)) => number,
        _ => panic!("a counter is a whole number"),
    };
    let start = sum.data_points.iter().map(|point| point.start_time_unix_nano).min()?;
    Some((sum.data_points.iter().map(number).sum(), start))
}

fn acknowledge(baseline: &Baseline, chunks: Vec<Chunk>) {
    chunks.into_iter().for_each(|chunk| baseline.advance(chunk.marks));
}

const PACKETS: &str = "sip_exporter_packets_total";

#[test]
fn what_was_not_acknowledged_is_in_the_next_delta() {
    let registry = Registry::new("sip_exporter");
    let mut rows = registry.shard();
    let baseline = Baseline::default();
    let push = |now| chunks(&registry, envelope(), now, Some(baseline.clone()));
    rows.add(LabelSet::OTHER, F::Packets, 0, 5);
    let first = push(2000);
    assert_eq!(delta(&first, PACKETS), Some((5, START)));
    rows.add(LabelSet::OTHER, F::Packets, 0, 2);
    let second = push(3000);
    assert_eq!(delta(&second, PACKETS), Some((7, START)), "the first was lost");
    acknowledge(&baseline, second);
    assert_eq!(delta(&push(4000), PACKETS), None, "nothing has changed");
    rows.add(LabelSet::OTHER, F::Packets, 0, 1);
    assert_eq!(delta(&push(5000), PACKETS), Some((1, 3000)), "since what was acknowledged last");
}

#[test]
fn requests_are_acknowledged_one_by_one() {
    let registry = populated();
    let baseline = Baseline::default();
    let split = Envelope { max_points: 100, ..envelope() };
    let push = |now| chunks(&registry, split.clone(), now, Some(baseline.clone()));
    let mut first = push(2000);
    let counters = |chunks: &[Chunk]| -> usize { chunks.iter().map(|chunk| chunk.marks.len()).sum() };
    let all = counters(&first);
    let lost = first.split_off(first.len() / 2);
    let missing = counters(&lost);
    assert!(0 < missing && missing < all);
    acknowledge(&baseline, first);
    assert_eq!(counters(&push(3000)), missing);
}

#[test]
fn histograms_are_delta_too_with_an_exact_sum() {
    let registry = Registry::new("sip_exporter");
    let mut rows = registry.shard();
    let baseline = Baseline::default();
    rows.observe(LabelSet::OTHER, F::Spd, 0, Duration::from_secs(1));
    acknowledge(&baseline, chunks(&registry, envelope(), 2000, Some(baseline.clone())));
    rows.observe(LabelSet::OTHER, F::Spd, 0, Duration::from_millis(90_500));
    let second = chunks(&registry, envelope(), 3000, Some(baseline.clone()));
    let metric = second.iter().flat_map(decode).find(|metric| metric.name == "sip_exporter_spd").expect("it changed");
    let Some(Data::Histogram(histogram)) = metric.data else { panic!("it is a histogram") };
    let point = &histogram.data_points[0];
    assert_eq!((histogram.aggregation_temporality, point.count, point.sum), (1, 1, Some(90.5)));
    assert_eq!(point.bucket_counts.iter().sum::<u64>(), 1);
    assert_eq!(point.start_time_unix_nano, 2000);
}

#[test]
fn what_counts_what_is_there_stays_cumulative_and_ratios_are_gauges() {
    let registry = populated();
    let baseline = Baseline::default();
    acknowledge(&baseline, chunks(&registry, envelope(), 2000, Some(baseline.clone())));
    let second = chunks(&registry, envelope(), 3000, Some(baseline));
    let names: Vec<String> = second.iter().flat_map(decode).map(|metric| metric.name).collect();
    for metric in second.iter().flat_map(decode) {
        match metric.data.expect("it has data") {
            Data::Sum(sum) => {
                assert_eq!((sum.aggregation_temporality, sum.is_monotonic), (2, false), "{}", metric.name);
                assert!(sum.data_points.iter().all(|point| point.start_time_unix_nano == START));
            }
            Data::Gauge(_) => {}
            other => panic!("{}: nothing was counted since: {other:?}", metric.name),
        }
    }
    for name in ["sip_exporter_sessions", "sip_exporter_dialogs", "sip_exporter_registrations_active"] {
        assert!(names.iter().any(|known| known == name), "{name}");
    }
}

#[test]
fn exponential_histograms_have_the_same_samples_in_other_buckets() {
    let registry = Registry::new("sip_exporter");
    registry.keep_native();
    let mut rows = registry.shard();
    let baseline = Baseline::default();
    let aggregation = Aggregation::Base2ExponentialBucketHistogram;
    let push = |now| chunks(&registry, Envelope { aggregation, ..envelope() }, now, Some(baseline.clone()));
    let point = |chunks: &[Chunk]| {
        let metric = chunks.iter().flat_map(decode).find(|metric| metric.name == "sip_exporter_ttr")?;
        let Some(Data::ExponentialHistogram(histogram)) = metric.data else { panic!("it is exponential") };
        assert_eq!(histogram.aggregation_temporality, 1);
        let point = histogram.data_points.into_iter().next()?;
        let buckets = point.positive.map(|buckets| (buckets.offset, buckets.bucket_counts));
        Some((point.scale, point.count, point.zero_count, point.sum, buckets))
    };
    for micros in [10, 1000, 1050, 1050, 2000] {
        rows.observe(LabelSet::OTHER, F::Ttr, 0, Duration::from_micros(micros));
    }
    let first = push(2000);
    // OTLP's bucket -1 is what is above 2^(-1/8) ms and at most 1 ms.
    let counts = vec![1, 2, 0, 0, 0, 0, 0, 0, 1];
    assert_eq!(point(&first), Some((3, 5, 1, Some(5.11), Some((-1, counts)))));
    acknowledge(&baseline, first);
    assert_eq!(point(&push(3000)), None, "nothing has changed");
    rows.observe(LabelSet::OTHER, F::Ttr, 0, Duration::from_micros(1050));
    assert_eq!(point(&push(4000)), Some((3, 1, 0, Some(1.05), Some((0, vec![1])))));
}
