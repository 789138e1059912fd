//! What a push of metrics costs the exporter's thread, by number of series: from a snapshot of the rows to requests that
//! could be sent, and their compression.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use exporter::otlp::Aggregation;
use exporter::otlp::metrics::{Baseline, Chunks, Envelope, Times};
use exporter::otlp::resource::{resource, scope};
use flate2::Compression;
use flate2::write::GzEncoder;
use metrics::label_values::Input;
use metrics::{F, Registry};

/// Rows of calls as a busy proxy shows them: about 50 data points per label set, a histogram being one.
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

fn requests(registry: &Registry, baseline: Option<Baseline>) -> Chunks {
    let resource = resource(&BTreeMap::from([("service.instance.id".to_owned(), "bench".to_owned())]));
    let envelope = Envelope {
        resource,
        scope: scope(),
        aggregation: Aggregation::default(),
        max_bytes: 3_670_016,
        max_points: 8192,
    };
    let times = Times { start: 1_767_225_600_000_000_000, now: 1_767_225_660_000_000_000 };
    Chunks::new(registry.snapshot(), times, envelope, baseline)
}

fn push(c: &mut Criterion) {
    let mut group = c.benchmark_group("push");
    for label_sets in [0, 19, 406] {
        let registry = busy(label_sets);
        let points: usize = requests(&registry, None).map(|chunk| chunk.payload.items as usize).sum();
        group.throughput(Throughput::Elements(points as u64));
        group.bench_with_input(BenchmarkId::new("cumulative", points), &registry, |b, registry| {
            b.iter(|| requests(registry, None).map(|chunk| chunk.payload.body.len()).sum::<usize>());
        });
        group.bench_with_input(BenchmarkId::new("cumulative_gzip", points), &registry, |b, registry| {
            b.iter(|| requests(registry, None).map(|chunk| compressed(&chunk.payload.body)).sum::<usize>());
        });
    }
    group.finish();
}

fn compressed(body: &[u8]) -> usize {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).expect("memory takes everything");
    encoder.finish().expect("memory takes everything").len()
}

criterion_group!(benches, push);
criterion_main!(benches);
