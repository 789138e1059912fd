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

mod chain;

use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use chain::{Engine, MESSAGES, Stage, Stages};

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
        for wanted in Stage::ALL {
            group.bench_function(BenchmarkId::new(name(wanted), &at), |b| {
                let stages = stages.get_or_insert_with(|| Stages::new(rate));
                b.iter_custom(|iterations| (0..iterations).map(|_| time_of(stages, wanted)).sum());
            });
        }
    }
    group.finish();
}

const fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Frame => "packet to frame",
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

/// What this thread had of a processor, whatever else the machine does meanwhile.
struct ProcessorTime;

impl Measurement for ProcessorTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the clock writes into `time`, which is there.
        unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }

    fn end(&self, start: Duration) -> Duration {
        self.start() - start
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

fn by_processor_time() -> Criterion<ProcessorTime> {
    Criterion::default().with_measurement(ProcessorTime)
}

criterion_group! { name = benches; config = by_processor_time(); targets = whole }
criterion_main!(benches);
