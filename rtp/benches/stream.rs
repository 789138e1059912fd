//! What one packet of a stream costs: `cargo bench -p rtp`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rtp::{Arrival, Codec, Header, Stream};

const BUFFER: u64 = 60_000_000;

fn arrival(nth: u64) -> Arrival {
    Arrival {
        at: nth * 20_000_000,
        sequence: nth as u16,
        timestamp: (nth * 160) as u32,
        payload_type: 0,
        codec: Codec::Pcmu,
        clock: 8000,
    }
}

fn packets(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rtp");
    group.throughput(Throughput::Elements(1));
    let first = [0x80, 0, 3, 232, 0, 0, 0, 160, 0xC1, 0, 0, 1];
    group.bench_function("header", |bencher| bencher.iter(|| Header::read(black_box(&first), 172)));
    group.bench_function("clean stream", |bencher| {
        let mut stream = Stream::begin(&arrival(0), &arrival(1), BUFFER).expect("in sequence");
        let mut nth = 1;
        bencher.iter(|| {
            nth += 1;
            stream.take(black_box(&arrival(nth)), BUFFER)
        });
    });
    group.bench_function("every tenth lost", |bencher| {
        let mut stream = Stream::begin(&arrival(0), &arrival(1), BUFFER).expect("in sequence");
        let mut nth = 1;
        bencher.iter(|| {
            nth += 1 + u64::from(nth % 10 == 0);
            stream.take(black_box(&arrival(nth)), BUFFER)
        });
    });
    group.finish();
}

criterion_group!(benches, packets);
criterion_main!(benches);
