//! An OTLP exporter as a whole: rows and calls in, requests at a server out, whatever the server does.
//!
//! The server is hyper on the loopback; what is to come is awaited.

mod server;

use std::sync::Arc;
use std::time::Duration;

use exporter::otlp::{HttpConfig, Otlp, Settings, Temporality};
use metrics::{ExporterContext, F, Registry, ShardRows};
use pipeline::component::{Exporter, Telemetry};
use pipeline::settings::Problems;
use pipeline::{CallQueue, CaptureStatus, ComponentId, Health, LabelSet};
use server::Server;

/// Far more than anything here takes.
const LONG: Duration = Duration::from_secs(30);
const PACKETS: &str = "sip_exporter_packets_total";

struct Nobody;

impl Health for Nobody {
    fn capture(&self) -> CaptureStatus {
        CaptureStatus::default()
    }

    fn telemetry(&self, _: &mut Vec<Telemetry>) {}
}

struct Fixture {
    exporter: Otlp,
    rows: ShardRows,
}

impl Fixture {
    fn count(&mut self, packets: u64) {
        self.rows.add(LabelSet::OTHER, F::Packets, 0, packets);
    }

    fn told(&self, name: &str) -> f64 {
        let mut all = Vec::new();
        self.exporter.reports().expect("it tells about itself").telemetry(&mut all);
        all.iter().filter(|one| one.name == name).map(|one| one.value).sum()
    }
}

fn settings(address: &str, change: impl FnOnce(&mut HttpConfig)) -> Settings {
    let mut config = HttpConfig { endpoint: format!("http://{address}"), ..HttpConfig::default() };
    config.compression = exporter::otlp::Compression::None;
    config.retry_on_failure.initial_interval = Duration::from_millis(1);
    config.retry_on_failure.max_interval = Duration::from_millis(5);
    change(&mut config);
    let mut problems = Problems::default();
    Settings::http(config, &mut problems).unwrap_or_else(|| panic!("{problems}"))
}

fn start(settings: Settings, calls: Option<Arc<CallQueue>>) -> Fixture {
    let registry = Registry::new("sip_exporter");
    let context = ExporterContext {
        id: ComponentId::parse("otlp_http/test").expect("an id"),
        registry: Some(Arc::clone(&registry)),
        calls,
        frames: None,
        label_sets: Arc::clone(registry.label_sets()),
        resource: Arc::new([("service.name".to_owned(), "sbc".to_owned())].into()),
        health: Arc::new(Nobody),
        folders: Default::default(),
        pages: Default::default(),
    };
    let mut exporter = Otlp::new(settings, &context);
    exporter.start().expect("it needs nobody to start");
    Fixture { exporter, rows: registry.shard() }
}

fn often(config: &mut HttpConfig) {
    config.metric_export_interval = Duration::from_millis(20);
}

#[tokio::test]
async fn metrics_are_pushed_in_turn_and_once_more_at_the_end() {
    let server = Server::start().await;
    let mut fixture = start(settings(&server.address, often), None);
    fixture.count(3);
    server.until(|seen| seen.last(PACKETS) == Some(3)).await;
    assert_eq!(server.seen().resource.as_deref(), Some("sbc"));
    fixture.exporter.reconfigure(Box::new(settings(&server.address, |_| {})));
    let before = server.seen().requests;
    fixture.count(1);
    fixture.exporter.stop(LONG).await;
    assert_eq!(server.seen().last(PACKETS), Some(4), "though an interval is a minute now");
    assert!(server.seen().requests > before);
    assert!(fixture.told("otelcol_exporter_sent_metric_points") > 0.0);
    assert_eq!(fixture.told("otelcol_exporter_send_failed_metric_points"), 0.0);
}

#[tokio::test]
async fn deltas_add_up_to_what_was_counted_though_some_are_refused() {
    let server = Server::start().await;
    server.refuse_next(2);
    let delta = |config: &mut HttpConfig| {
        often(config);
        config.temporality = Temporality::Delta;
    };
    let mut fixture = start(settings(&server.address, delta), None);
    let mut counted = 0;
    for packets in 1..=20 {
        fixture.count(packets);
        counted += i64::try_from(packets).expect("small");
        let so_far = server.seen().requests;
        server.until(|seen| seen.requests > so_far).await;
    }
    fixture.exporter.stop(LONG).await;
    assert_eq!(server.seen().sum(PACKETS), counted);
    assert_eq!(server.seen().refused, 2);
    assert!(fixture.told("otelcol_exporter_send_failed_metric_points") > 0.0);
}

#[tokio::test]
async fn a_server_that_comes_later_gets_everything_there_is() {
    let reserved = server::Reserved::new();
    let mut fixture = start(settings(&reserved.address, often), None);
    fixture.count(5);
    let failed = async {
        while fixture.told("otelcol_exporter_retries") == 0.0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, failed).await.expect("nobody listens, which is noticed");
    let server = reserved.listen();
    server.until(|seen| seen.last(PACKETS) == Some(5)).await;
    fixture.exporter.stop(LONG).await;
}

#[tokio::test]
async fn the_end_takes_no_longer_than_it_may_when_the_server_does_not_answer() {
    let server = Server::start().await;
    server.hang();
    let mut fixture = start(settings(&server.address, |_| {}), None);
    fixture.count(1);
    let stopped = tokio::time::timeout(LONG, fixture.exporter.stop(Duration::from_millis(300))).await;
    stopped.expect("it gives up in time");
    assert!(fixture.told("otelcol_exporter_send_failed_metric_points") > 0.0, "what was lost is counted");
}

#[tokio::test]
async fn a_reload_moves_to_another_server_and_keeps_the_temporality() {
    let (first, second) = (Server::start().await, Server::start().await);
    let mut fixture = start(settings(&first.address, often), None);
    fixture.count(2);
    first.until(|seen| seen.last(PACKETS) == Some(2)).await;
    let moved = settings(&second.address, |config| {
        often(config);
        config.temporality = Temporality::Delta;
    });
    assert_eq!(fixture.exporter.reconfigure(Box::new(moved)), ["temporality"]);
    fixture.count(1);
    second.until(|seen| seen.last(PACKETS) == Some(3)).await;
    assert!(fixture.exporter.addresses()[0].contains(&second.address), "{:?}", fixture.exporter.addresses());
    fixture.exporter.stop(LONG).await;
}

#[tokio::test]
async fn settings_that_cannot_be_used_keep_the_old_ones() {
    let server = Server::start().await;
    let mut fixture = start(settings(&server.address, often), None);
    let without = settings("127.0.0.1:1", |config| {
        config.endpoint = "https://127.0.0.1:1".to_owned();
        config.tls.ca_file = Some("/there/is/none.pem".into());
    });
    assert_eq!(fixture.exporter.reconfigure(Box::new(without)), ["tls"]);
    fixture.count(7);
    server.until(|seen| seen.last(PACKETS) == Some(7)).await;
    fixture.exporter.stop(LONG).await;
}

#[tokio::test]
async fn calls_that_never_end_hold_nothing_up() {
    let server = Server::start().await;
    let queue = Arc::new(CallQueue::new(10));
    let mut fixture = start(settings(&server.address, |_| {}), Some(Arc::clone(&queue)));
    // As a shard that does not end when it is told to.
    let _entrance = queue.entrance().expect("nobody closed it");
    assert_eq!(fixture.exporter.addresses().len(), 2);
    let stopped = tokio::time::timeout(LONG, fixture.exporter.stop(Duration::from_secs(2))).await;
    stopped.expect("it ends in time");
    assert!(server.seen().last(PACKETS).is_some());
}
