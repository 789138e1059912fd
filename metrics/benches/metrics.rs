//! What counting costs the shard and what a scrape costs the exporter, by number of series.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use metrics::label_values::Input;
use metrics::{Exposition, F, Format, Registry, Undefined};
use pipeline::LabelSet;

fn count(c: &mut Criterion) {
    let registry = Registry::new("sip_exporter");
    let mut rows = registry.shard();
    let sets: Vec<LabelSet> = (0..16).map(|n| registry.label_sets().intern("carrier", &n.to_string())).collect();
    let mut group = c.benchmark_group("count");
    // Sixteen label sets in turn, as messages of several carriers come.
    group.throughput(Throughput::Elements(sets.len() as u64));
    group.bench_function("add", |b| {
        b.iter(|| sets.iter().for_each(|set| rows.add(black_box(*set), F::Packets, 0, 1)));
    });
    group.bench_function("add_variant", |b| {
        b.iter(|| sets.iter().for_each(|set| rows.add(black_box(*set), F::Requests, black_box(3), 1)));
    });
    group.bench_function("add_status_code", |b| {
        b.iter(|| sets.iter().for_each(|set| rows.add(black_box(*set), F::Responses, black_box(386), 1)));
    });
    group.bench_function("observe", |b| {
        let value = Duration::from_millis(730);
        b.iter(|| sets.iter().for_each(|set| rows.observe(black_box(*set), F::Srd, 0, black_box(value))));
    });
    group.finish();
}

/// Rows of calls as a busy proxy shows them: about 100 series per label set.
fn busy(label_sets: u64) -> Arc<Registry> {
    let registry = Registry::new("sip_exporter");
    let mut rows = registry.shard();
    for n in 0..label_sets {
        let set = registry.label_sets().intern(&format!("carrier-{}", n / 20), &format!("phone-{}", n % 20));
        for f in [F::Packets, F::SdcEvents, F::ShortCalls] {
            rows.add(set, f, 0, 1_000_000 + n);
        }
        for input in Input::ALL {
            rows.add(set, F::RatioInputs, input.index(), 100_000 + n);
        }
        for code in [100, 180, 200, 486] {
            rows.add(set, F::Responses, code - 100, 100_000 + n);
        }
        rows.observe(set, F::Srd, 0, Duration::from_millis(n));
    }
    registry
}

fn scrape(c: &mut Criterion) {
    let mut group = c.benchmark_group("scrape");
    // None: what is there before the first call. The others come to about 1,000, 20,000 and 150,000 series.
    for label_sets in [0, 12, 270, 2_000] {
        let registry = busy(label_sets);
        let text = Exposition::new(registry.snapshot(), Format::Text, Undefined::Nan).into_text();
        let series = text.lines().filter(|line| !line.starts_with('#')).count() as u64;
        group.throughput(Throughput::Elements(series));
        group.bench_with_input(BenchmarkId::new("text", series), &registry, |b, registry| {
            b.iter(|| {
                let pieces = Exposition::new(registry.snapshot(), Format::Text, Undefined::Nan);
                pieces.map(|piece| piece.len()).sum::<usize>()
            });
        });
        group.bench_with_input(BenchmarkId::new("snapshot", series), &registry, |b, registry| {
            b.iter(|| black_box(registry.snapshot()));
        });
    }
    group.finish();
}

criterion_group!(benches, count, scrape);
criterion_main!(benches);
