use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use pipeline::{Call, LabelSet, Telemetry};
use prost::Message;
use tokio::sync::mpsc::{Sender, channel, unbounded_channel};

use super::super::batch::Limits;
use super::super::sample;
use super::*;

const LIMITS: Limits = Limits { min_items: 20, max_items: 100, max_bytes: 100_000 };
const FLUSH: Duration = Duration::from_secs(1);

/// The task with its two ends. Time passes only when nothing else can happen.
struct Bench {
    calls: Sender<KeptCall>,
    sent: tokio::sync::mpsc::UnboundedReceiver<(Instant, Payload)>,
    stats: Arc<Stats>,
    labels: LabelSet,
    pace: watch::Sender<Pace>,
}

impl Bench {
    fn start(limits: Limits) -> Self {
        let (calls, waiting) = channel(10);
        let (sender, sent) = unbounded_channel();
        let label_sets = Arc::new(LabelSets::new());
        let labels = label_sets.intern("telecom-alpha", "yealink");
        let batcher = Batcher::new(&Resource::default(), &InstrumentationScope::default());
        let (pace, paces) = watch::channel(Pace { flush_timeout: FLUSH, limits });
        let stats = Arc::new(Stats::default());
        tokio::spawn(push(waiting, label_sets, batcher, paces, Arc::clone(&stats), async move |payload| {
            sender.send((Instant::now(), payload)).expect("the test waits for it");
        }));
        Self { calls, sent, stats, labels, pace }
    }

    /// Hands it a call and waits until it is taken.
    async fn call(&self, call: Call) {
        self.calls.send(KeptCall { call, labels: self.labels }).await.expect("the task runs");
        while self.calls.capacity() < self.calls.max_capacity() {
            tokio::task::yield_now().await;
        }
    }

    /// No more calls come. Everything that is sent until the task is over.
    async fn end(mut self) -> Vec<(Instant, Payload)> {
        drop(self.calls);
        let mut sent = Vec::new();
        while let Some(payload) = self.sent.recv().await {
            sent.push(payload);
        }
        sent
    }
}

/// Runs on a clock of its own.
fn on_paused_time(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime can be made").block_on(test);
}

#[test]
fn a_call_leaves_after_the_flush_timeout_of_the_first_that_waits() {
    on_paused_time(async {
        let mut bench = Bench::start(LIMITS);
        let start = Instant::now();
        bench.call(sample::kept(sample::call())).await;
        tokio::time::advance(FLUSH / 2).await;
        bench.call(sample::kept(sample::call())).await;
        let (at, payload) = bench.sent.recv().await.expect("it is sent");
        assert_eq!((payload.items, at - start), (16, FLUSH));
        bench.call(sample::kept(sample::call())).await;
        let (again, payload) = bench.sent.recv().await.expect("it is sent");
        assert_eq!((payload.items, again - at), (8, FLUSH));
    });
}

#[test]
fn a_full_request_leaves_at_once() {
    on_paused_time(async {
        let mut bench = Bench::start(LIMITS);
        let start = Instant::now();
        for _ in 0..3 {
            bench.call(sample::kept(sample::call())).await;
        }
        let (at, payload) = bench.sent.recv().await.expect("it is sent");
        assert_eq!((payload.items, at), (24, start));
    });
}

#[test]
fn another_pace_holds_from_the_next_call_on() {
    on_paused_time(async {
        let mut bench = Bench::start(LIMITS);
        let start = Instant::now();
        bench.pace.send_replace(Pace { flush_timeout: FLUSH * 5, limits: Limits { min_items: 8, ..LIMITS } });
        bench.call(sample::kept(sample::request())).await;
        bench.call(sample::kept(sample::call())).await;
        let (at, full) = bench.sent.recv().await.expect("it is sent");
        let (later, rest) = bench.sent.recv().await.expect("it is sent");
        assert_eq!((full.items, at - start, rest.items, later - start), (8, Duration::ZERO, 1, FLUSH * 5));
    });
}

#[test]
fn what_waits_leaves_when_no_more_calls_can_come() {
    on_paused_time(async {
        let bench = Bench::start(LIMITS);
        let start = Instant::now();
        bench.call(sample::kept(sample::call())).await;
        bench.call(sample::kept(sample::request())).await;
        let sent = bench.end().await;
        assert!(sent.iter().all(|(at, _)| *at == start));
        let encoded: Vec<(u64, bool)> = sent.iter().map(|(_, payload)| (payload.items, payload.important)).collect();
        assert_eq!(encoded, [(1, true), (8, false)]);
    });
}

#[test]
fn labels_are_told_by_their_names() {
    on_paused_time(async {
        let mut bench = Bench::start(LIMITS);
        bench.call(sample::kept(sample::request())).await;
        let (_, payload) = bench.sent.recv().await.expect("it is sent");
        let request = ExportTraceServiceRequest::decode(payload.body).expect("a request");
        let span = &request.resource_spans[0].scope_spans[0].spans[0];
        let encoded = format!("{:?}", span.attributes);
        assert!(encoded.contains("telecom-alpha") && encoded.contains("yealink"), "{encoded}");
    });
}

#[test]
fn what_fits_no_request_is_counted() {
    on_paused_time(async {
        let bench = Bench::start(Limits { max_bytes: 800, ..LIMITS });
        bench.call(sample::kept(sample::call())).await;
        let stats = Arc::clone(&bench.stats);
        let sent: u64 = bench.end().await.iter().map(|(_, payload)| payload.items).sum();
        let mut numbers = Vec::new();
        stats.report(&mut numbers);
        let too_large = |one: &&Telemetry| one.labels.iter().any(|(_, value)| value == "too_large");
        let refused = numbers.iter().find(too_large).map_or(0, |one| one.value as u64);
        assert!(sent > 0 && refused > 0, "{sent} sent, {refused} refused");
        assert_eq!(sent + refused, 8);
    });
}
