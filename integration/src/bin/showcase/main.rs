//! `make pictures`, the dashboards: minutes of real SIPp calls with good and bad times, seen by ringside and kept by
//! Prometheus, then every dashboard drawn from it by `dashboards/picture`.
//!
//! All of it happens in a network namespace of its own.

mod weather;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use integration::gate;
use integration::ringside::{Config, Ringside};
use integration::stores::{Kind, Store};
use integration::wait::eventually;
use testnet::Namespace;

/// Seconds between two scrapes.
const SCRAPE: &str = "2s";

/// Calls that become traces are offered as exemplars; nobody need be there to take them.
const TRACES: &str = "[exporters.\"otlp_grpc/nobody\"]\nendpoint = \"http://127.0.0.1:4317\"\n\
    [service.pipelines.traces]\nreceivers = [\"ebpf_sip\"]\nprocessors = [\"dialog\", \"enrich\"]\n\
    exporters = [\"otlp_grpc/nobody\"]\n";

fn main() -> ExitCode {
    if let Err(obstacle) = gate::obstacle() {
        eprintln!("showcase: {obstacle}; real calls need root");
        return ExitCode::FAILURE;
    }
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: showcase FOLDER    (where the pictures go)");
        return ExitCode::FAILURE;
    };
    let folder = fs::canonicalize(folder).expect("a folder for the pictures");
    let namespace = Namespace::new().expect("a namespace");
    namespace.ip("link set lo up");
    let config = Config::on("lo").receiver(&format!("ports = {:?}", weather::ports())).enrich(weather::ENRICH);
    let ringside = Ringside::spawn(&namespace, &(config.toml() + TRACES), &[]);
    eventually("capture", || ringside.health().ok().filter(|(status, _)| *status == 200));
    let scraping = fs::read_to_string(repository().join("deploy/compose/prometheus.yml")).expect("a configuration");
    let scraping = scraping.replace("15s", SCRAPE);
    let prometheus =
        Store::start(&namespace, Kind::Prometheus, &scraping, Some(&repository().join("deploy/rules.yml")));

    let start = seconds();
    let calls = weather::play(&namespace);
    println!("{calls} calls placed; the dashboards are drawn");
    let end = seconds();
    eventually("the last scrape", || {
        (prometheus.query("timestamp(sip_exporter_build_info)")?.first()?.value > end as f64).then_some(())
    });

    let mut draw = namespace.command("node");
    draw.arg("draw.mjs").args([&start.to_string(), &end.to_string(), SCRAPE]).arg(folder);
    let drawn = draw.current_dir(repository().join("dashboards/picture")).status().expect("node starts");
    if drawn.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Since the Unix epoch.
fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}
