//! What a call costs from its packets to its counts, in memory and without the kernel's part: `cargo bench -p ringside
//! --bench whole`.
//!
//! One iteration is a thousand answered calls of seven messages, so milliseconds are microseconds for a call, and the
//! throughput is in messages. Others are up or remembered beside them, as many as the rate leaves: at 2,000 calls/s
//! those of 9 s of talk and 32 s after, 82,000. The engine is measured whole; the stages, called by hand, one by one.

#[path = "../src/allocator.rs"]
mod allocator;
#[path = "../src/components.rs"]
mod components;
#[path = "../../processor-dialog/benches/support/processor_time.rs"]
mod processor_time;

mod chain;

use std::time::Duration;

use criterion::measurement::Measurement;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use chain::{Engine, MESSAGES, Packets, Stage, Stages};
use processor_time::{ProcessorTime, by_processor_time};

/// As in the program.
#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::Allocator;

/// New calls a second.
const RATES: [u64; 2] = [200, 2_000];
/// Calls of an iteration.
const CALLS: usize = 1_000;

fn whole(c: &mut Criterion<ProcessorTime>) {
    let mut group = c.benchmark_group("a thousand calls");
    group.throughput(Throughput::Elements((CALLS * MESSAGES) as u64)).sample_size(20);
    for rate in RATES {
        let at = format!("at {rate} calls/s");
        let mut engine = None;
        group.bench_function(BenchmarkId::new("all, by the engine", &at), |b| {
            let engine = engine.get_or_insert_with(|| Engine::new(rate));
            b.iter_custom(|iterations| {
                let one = |_| {
                    engine.make(CALLS);
                    timed(|| engine.run())
                };
                (0..iterations).map(one).sum()
            });
        });
        drop(engine);
        let mut stages = None;
        for wanted in Stage::ALL.into_iter().filter(|stage| *stage != Stage::Look) {
            group.bench_function(BenchmarkId::new(name(wanted), &at), |b| {
                let stages = stages.get_or_insert_with(|| Stages::of(Packets::new(rate), false, None));
                b.iter_custom(|iterations| (0..iterations).map(|_| time_of(stages, wanted)).sum());
            });
        }
    }
    group.finish();
}

const fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Frame => "packet to frame",
        Stage::Look => "look who took it",
        Stage::Follow => "parse, follow",
        Stage::Label => "label",
        Stage::Count => "count",
    }
}

/// What one of the stages takes of a thousand calls that go through all of them.
fn time_of(stages: &mut Stages, wanted: Stage) -> Duration {
    let mut taken = Duration::ZERO;
    stages.packets.make(CALLS);
    while !stages.packets.all_are_taken() {
        for stage in Stage::ALL {
            if stage == wanted {
                taken += timed(|| stages.pass(stage));
            } else {
                stages.pass(stage);
            }
        }
    }
    taken
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = ProcessorTime.start();
    work();
    ProcessorTime.end(start)
}

criterion_group! { name = benches; config = by_processor_time(); targets = whole }
criterion_main!(benches);
