//! Pushing beside capturing: whatever the backend does, no message is missed.

use std::net::TcpListener;
use std::time::Duration;

use integration::flows;
use integration::gate;
use integration::ringside::{Config, Ringside};
use integration::sipp::scenario::Scenario;
use integration::sipp::{Load, exchange};
use testnet::Family;

use crate::stage::{loopback, namespace};

#[test]
fn a_backend_that_takes_connections_and_says_nothing_costs_no_message() {
    const CALLS: u32 = 2_000;
    const MOST_MEMORY: u64 = 48 << 20;
    let Some(_pass) = gate::alone("silent backend") else { return };
    let namespace = namespace();
    let place = loopback(&namespace, Family::V4);
    // The kernel takes connections for it; nobody ever reads.
    let _silent = namespace.run(|| TcpListener::bind("127.0.0.1:4317")).expect("the port is free");
    let toml = format!(
        "{}\n[exporters.otlp_grpc]\nendpoint = \"http://127.0.0.1:4317\"\nmetric_export_interval = \"100ms\"\n\
         timeout = \"1s\"\nretry_on_failure.initial_interval = \"100ms\"\n\
         [service]\nshutdown_timeout = \"3s\"\n\
         [processors.sampling]\nmax_traces_per_second = 100000\n\
         [service.pipelines.traces]\nreceivers = [\"ebpf_sip\"]\nprocessors = [\"dialog\", \"enrich\", \"sampling\"]\n\
         exporters = [\"otlp_grpc\"]\n",
        Config::on("lo").toml().replace("exporters = [\"prometheus\"]", "exporters = [\"prometheus\", \"otlp_grpc\"]")
    );
    let mut ringside = Ringside::spawn(&namespace, &toml, &[]);
    ringside.await_health();
    let counts =
        exchange(&Scenario::new(flows::ANSWERED), place.caller, place.callee, Load { calls: CALLS, rate: 200 });
    let scrape = ringside.settled(counts.packets());
    scrape.assert(counts.expectations());
    scrape.assert([("sdc_total", f64::from(CALLS)), ("capture_drops_total", 0.0), ("dialogs", 0.0)]);
    assert!(ringside.internal("otelcol_exporter_queue_size").is_some_and(|bytes| bytes > 0.0), "calls wait to be sent");
    assert_eq!(ringside.internal("otelcol_exporter_sent_spans"), Some(0.0));
    assert_eq!(ringside.health().expect("it serves").0, 200);
    assert!(ringside.memory() < MOST_MEMORY, "{} bytes are held", ringside.memory());
    let warnings = ringside.log().lines().filter(|line| line.contains("does not arrive")).count();
    assert_eq!(warnings, 1, "{}", ringside.log());
    ringside.signal(libc::SIGTERM);
    // `service.shutdown_timeout`, and a moment for what is not waiting.
    assert_eq!(ringside.ended(Duration::from_secs(5)).code(), Some(0), "{}", ringside.log());
}
