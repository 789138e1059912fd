//! What a message costs from parsed frame to counted fact: answered calls of seven messages, one after another on
//! a clock that runs, while `HELD` calls are up and as many repeats are remembered as 32 s bring.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pipeline::config::CallsWanted;
use pipeline::metrics::Registry;
use pipeline::recorder::Recorder;
use pipeline::{Facts, FrameBatch, Processor, SipFrame, Transport};
use processor_dialog::{Config, Dialogs};
use wire::Timestamp;

/// An answered call; `@` stands for its number.
const CALL: &str = "
    0.000 alice -> bob INVITE sdp ua=Phone call=@ branch=z9hG4bK@i cseq=1 ftag=f@
    0.001 alice <- bob 100 call=@
    0.100 alice <- bob 180 call=@ tag=t@
    2.000 alice <- bob 200 sdp call=@ tag=t@
    2.010 alice -> bob ACK call=@ branch=z9hG4bK@a
    9.000 alice -> bob BYE call=@ branch=z9hG4bK@b
    9.010 alice <- bob 200 call=@ of=BYE";

/// Calls in the recording: each round plays them anew under other Call-IDs and branches of the same length.
const CALLS: usize = 1000;

struct Traffic {
    batch: FrameBatch,
    round: u64,
}

impl Traffic {
    fn new() -> Self {
        let mut batch = FrameBatch::default();
        let mut at = EPOCH;
        for call in 0..CALLS {
            for step in ladder::play(&CALL.replace('@', &format!("{call:06}x00000000"))) {
                at = at + Duration::from_micros(70);
                let start = batch.bytes.len();
                batch.bytes.extend_from_slice(&step.bytes);
                batch.frames.push(SipFrame {
                    range: start..batch.bytes.len(),
                    first: at,
                    at,
                    wall_offset: 0,
                    source: step.source,
                    destination: step.destination,
                    transport: Transport::Udp,
                    outgoing: false,
                    truncated: false,
                });
            }
        }
        batch.now = at;
        Self { batch, round: 0 }
    }

    /// Another thousand calls, half a second later.
    fn next(&mut self) -> &FrameBatch {
        self.round += 1;
        let length = self.batch.now.since(EPOCH);
        let name = format!("x{:08}", self.round % 100_000_000);
        for place in memchr::memmem::find_iter(&self.batch.bytes.clone(), b"x0").collect::<Vec<_>>() {
            self.batch.bytes[place..place + 9].copy_from_slice(name.as_bytes());
        }
        let shift = Duration::from_millis(500).max(length / self.round as u32);
        for frame in &mut self.batch.frames {
            frame.at = frame.at + shift;
            frame.first = frame.first + shift;
        }
        self.batch.now = self.batch.now + shift;
        &self.batch
    }
}

fn calls(c: &mut Criterion) {
    let mut traffic = Traffic::new();
    let messages = traffic.batch.frames.len() as u64;
    let registry = Registry::new("sip_exporter");
    let mut recorder = Recorder::new(registry.shard());
    let mut dialogs = Dialogs::new(Config::default(), None);
    let mut facts = Facts::default();
    // A minute of traffic first: tables and timers are then as full as they get.
    for _ in 0..120 {
        facts.clear();
        dialogs.process(traffic.next(), &mut facts);
    }
    let mut group = c.benchmark_group("dialog");
    group.throughput(Throughput::Elements(messages));
    group.bench_function("parse", |b| {
        b.iter(|| {
            let batch = traffic.next();
            for frame in &batch.frames {
                let message = sip::parse(batch.message(frame), sip::Framing::Datagram { truncated: false });
                std::hint::black_box(message.is_ok());
            }
        });
    });
    group.bench_function("parse, follow", |b| {
        b.iter(|| {
            facts.clear();
            dialogs.process(traffic.next(), &mut facts);
        });
    });
    group.bench_function("parse, follow, record", |b| {
        b.iter(|| {
            facts.clear();
            let batch = traffic.next();
            dialogs.process(batch, &mut facts);
            recorder.record(batch, &facts);
        });
    });
    let wanted = CallsWanted { instance: "bench".into(), requests: true, pieces: true, number: None, watched: false };
    let mut dialogs = Dialogs::new(Config::default(), Some(wanted));
    for _ in 0..120 {
        facts.clear();
        dialogs.process(traffic.next(), &mut facts);
    }
    group.bench_function("parse, follow, keep records", |b| {
        b.iter(|| {
            facts.clear();
            dialogs.process(traffic.next(), &mut facts);
        });
    });
    group.finish();
}

const EPOCH: Timestamp = Timestamp::from_nanos(1_767_225_600_000_000_000);

criterion_group!(benches, calls);
criterion_main!(benches);
