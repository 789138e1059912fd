//! What one message costs: `cargo bench -p sip`. Target: an INVITE of about 500 bytes in at most 250 ns.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sip::{Framing, Payload, parse, sort};

mod kinds;

use kinds::{BYE, INVITE, OK, REGISTER, many_vias};

/// What handing messages out to shards looks at.
fn groups(criterion: &mut Criterion) {
    let mut bench = criterion.benchmark_group("group");
    for (name, text) in [("invite", INVITE), ("200", OK), ("bye", BYE), ("register", REGISTER)] {
        bench.bench_function(name, |bencher| bencher.iter(|| sip::group(black_box(text.as_bytes()), false)));
    }
    bench.finish();
}

fn messages(criterion: &mut Criterion) {
    let many_vias = many_vias();
    let mut group = criterion.benchmark_group("parse");
    for (name, text) in kinds::all() {
        let framing = Framing::Datagram { truncated: false };
        let message = parse(text.as_bytes(), framing).expect("a message");
        assert!(message.anomalies.is_empty(), "{name}: the common path is measured");
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(parse(black_box(text.as_bytes()), framing)).is_ok());
        });
    }
    group.finish();

    assert_eq!(sort(INVITE.as_bytes()), Payload::Sip(INVITE.as_bytes()));
    criterion.bench_function("sort/invite", |bencher| bencher.iter(|| black_box(sort(black_box(INVITE.as_bytes())))));
    criterion.bench_function("vias/20_vias", |bencher| {
        let message = parse(many_vias.as_bytes(), Framing::Datagram { truncated: false }).expect("a message");
        bencher.iter(|| black_box(&message).vias().count());
    });
}

criterion_group!(benches, messages, groups);
criterion_main!(benches);
