//! What a message costs from frame to fact: answered calls of seven messages, and transactions of two outside of calls, one
//! after another on a clock that runs, while as many are remembered as 32 s bring.
//!
//! One iteration is a thousand of them, so microseconds are nanoseconds for each, and milliseconds microseconds; the
//! throughput is in messages.

#[path = "support/processor_time.rs"]
mod processor_time;

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use metrics::Registry;
use metrics::recorder::Recorder;
use pipeline::{CallsWanted, Facts, FrameBatch, Processor, SipFrame};
use processor_dialog::{Config, Dialogs};
use processor_time::{ProcessorTime, by_processor_time};
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

/// Transactions of their own, with a final response.
const TRANSACTIONS: [(&str, &str); 3] = [
    (
        "OPTIONS",
        "
    0.000 alice -> bob OPTIONS call=@ branch=z9hG4bK@o ftag=f@ cseq=1
    0.001 alice <- bob 200 call=@ tag=t@",
    ),
    (
        "REGISTER",
        "
    0.000 alice -> bob REGISTER call=@ branch=z9hG4bK@r ftag=f@ cseq=1 to=sip:@.example.net ua=Phone
    0.001 alice <- bob 200 call=@ contact=\"<sip:@.example.net>;expires=60\"",
    ),
    (
        "REGISTER, challenged",
        "
    0.000 alice -> bob REGISTER call=@ branch=z9hG4bK@r ftag=f@ cseq=1 to=sip:@.example.net ua=Phone
    0.001 alice <- bob 401 call=@ tag=t@
    0.002 alice -> bob REGISTER call=@ branch=z9hG4bK@s ftag=f@ cseq=2 to=sip:@.example.net ua=Phone
    0.003 alice <- bob 200 call=@ tag=u@ contact=\"<sip:@.example.net>;expires=60\"",
    ),
];

/// Calls in the recording: each round plays them anew under other Call-IDs and branches of the same length.
const CALLS: usize = 1000;

struct Traffic {
    batch: FrameBatch,
    /// Where the round stands in the messages.
    places: Vec<usize>,
    round: u64,
}

impl Traffic {
    fn new(ladder: &str) -> Self {
        let mut batch = FrameBatch::default();
        let mut at = EPOCH;
        for call in 0..CALLS {
            for step in ladder::play(&ladder.replace('@', &format!("{call:06}x00000000"))) {
                at = at + Duration::from_micros(70);
                batch.push(&step.bytes, SipFrame::datagram(step.source, step.destination, at));
            }
        }
        batch.now = at;
        let places = memchr::memmem::find_iter(&batch.bytes, b"x00000000").collect();
        Self { batch, places, round: 0 }
    }

    /// Another thousand calls, half a second later.
    fn next(&mut self) -> &FrameBatch {
        self.round += 1;
        let length = self.batch.now.since(EPOCH);
        let name = format!("x{:08}", self.round % 100_000_000);
        for place in &self.places {
            self.batch.bytes[*place..place + name.len()].copy_from_slice(name.as_bytes());
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

/// A processor with a minute of traffic behind it: tables and timers are then as full as they get.
fn warm(traffic: &mut Traffic, wanted: Option<CallsWanted>) -> (Dialogs, Facts) {
    let (mut dialogs, mut facts) = (Dialogs::new(Config::default(), wanted), Facts::default());
    for _ in 0..120 {
        facts.clear();
        dialogs.process(traffic.next(), &mut facts);
    }
    (dialogs, facts)
}

fn calls(c: &mut Criterion<ProcessorTime>) {
    let mut traffic = Traffic::new(CALL);
    let messages = traffic.batch.frames.len() as u64;
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
    // Each is made once: what is measured is called anew for every sample.
    let mut warmed = None;
    group.bench_function("parse, follow", |b| {
        let (dialogs, facts) = warmed.get_or_insert_with(|| warm(&mut traffic, None));
        b.iter(|| {
            facts.clear();
            dialogs.process(traffic.next(), facts);
        });
    });
    let registry = Registry::new("sip_exporter");
    let mut recorder = Recorder::new(registry.shard());
    group.bench_function("parse, follow, record", |b| {
        let (dialogs, facts) = warmed.get_or_insert_with(|| warm(&mut traffic, None));
        b.iter(|| {
            facts.clear();
            let batch = traffic.next();
            dialogs.process(batch, facts);
            recorder.record(batch, facts);
        });
    });
    for (name, watched) in [("parse, follow, keep records", false), ("parse, follow, keep records, headers", true)] {
        let mut warmed = None;
        group.bench_function(name, |b| {
            let wanted = CallsWanted { instance: "bench".into(), requests: true, pieces: true, number: None, watched };
            let (dialogs, facts) = warmed.get_or_insert_with(|| warm(&mut traffic, Some(wanted)));
            b.iter(|| {
                facts.clear();
                dialogs.process(traffic.next(), facts);
            });
        });
    }
    group.finish();
}

fn transactions(c: &mut Criterion<ProcessorTime>) {
    let mut group = c.benchmark_group("transaction");
    for (name, ladder) in TRANSACTIONS {
        let mut traffic = Traffic::new(ladder);
        group.throughput(Throughput::Elements(traffic.batch.frames.len() as u64));
        let mut warmed = None;
        group.bench_function(name, |b| {
            let (dialogs, facts) = warmed.get_or_insert_with(|| warm(&mut traffic, None));
            b.iter(|| {
                facts.clear();
                dialogs.process(traffic.next(), facts);
            });
        });
    }
    group.finish();
}

const EPOCH: Timestamp = Timestamp::from_nanos(1_767_225_600_000_000_000);

criterion_group! { name = benches; config = by_processor_time(); targets = calls, transactions }
criterion_main!(benches);
