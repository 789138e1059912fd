//! What labels for an origin cost, by how many there are to choose from: `cargo bench -p processor-enrich`.
//!
//! Asked once for each call, registration or other request that begins something, not for each message.

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pipeline::settings::Problems;
use pipeline::{Facts, FrameBatch, LabelSets, Processor, Slot};
use processor_enrich::{Carrier, Config, Enrich, UserAgent};

/// Origins of a batch.
const ORIGINS: u32 = 256;

/// So many carriers, each with a network of both families, and so many kinds of phones.
fn enrich(entries: usize) -> Enrich {
    let carrier = |n| Carrier {
        name: format!("carrier-{n}"),
        cidrs: vec![format!("10.{n}.0.0/16"), format!("2001:db8:{n:x}::/48")],
    };
    let user_agent = |n| UserAgent { regex: format!("^Phone-{n:03}"), label: format!("phone-{n}") };
    let config =
        Config { carriers: (0..entries).map(carrier).collect(), user_agents: (0..entries).map(user_agent).collect() };
    let settings = config.check(&mut Problems::default()).expect("sound settings");
    Enrich::new(settings, Arc::new(LabelSets::new()))
}

fn labels(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("labels for an origin");
    group.throughput(Throughput::Elements(ORIGINS.into()));
    for entries in [5, 256] {
        let (mut enrich, batch, mut facts) = (enrich(entries), FrameBatch::default(), Facts::default());
        for n in 0..ORIGINS {
            let one = n as usize % entries;
            let user_agent = format!("Phone-{one:03} 66.85.0.5");
            facts.open(Slot(1 + n), [10, one as u8, 0, n as u8].into(), user_agent.as_bytes());
        }
        group.bench_function(BenchmarkId::new("entries of each kind", entries), |bencher| {
            bencher.iter(|| enrich.process(&batch, &mut facts));
        });
    }
    group.finish();
}

criterion_group!(benches, labels);
criterion_main!(benches);
