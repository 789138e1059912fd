//! A real Prometheus scrapes; its lint is content.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use integration::exposition::{Exposition, Series};
use integration::flows;
use integration::gate;
use integration::http;
use integration::ringside::{Config, HTTP, Ringside};
use integration::scratch::Folder;
use integration::sipp::scenario::Scenario;
use integration::sipp::{Load, exchange};
use integration::wait::eventually;
use testnet::{Family, Namespace};

use crate::stage::{CALLS, loopback, namespace};

const PROMETHEUS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9090);

/// A ringside that has seen calls of several kinds.
fn busy(namespace: &Namespace) -> Ringside<'_> {
    let config = Config::on("lo").enrich("carriers = [{ name = \"home\", cidrs = [\"127.0.0.0/8\"] }]");
    let ringside = Ringside::start(namespace, &config);
    let mut packets = 0;
    for family in [Family::V4, Family::V6] {
        let place = loopback(namespace, family);
        for scenario in [Scenario::new(flows::ANSWERED), flows::refused(486), Scenario::new(flows::REGISTERED)] {
            packets += exchange(&scenario, place.caller, place.callee, Load::of(CALLS)).packets();
        }
    }
    ringside.settled(packets);
    ringside
}

#[test]
fn promtool_is_content() {
    let Some(_pass) = gate::shared("promtool") else { return };
    let namespace = namespace();
    let ringside = busy(&namespace);
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    let mut input = promtool.stdin.take().expect("a pipe");
    input.write_all(ringside.page("/metrics").as_bytes()).expect("promtool reads");
    drop(input);
    let output = promtool.wait_with_output().expect("promtool ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn prometheus_holds_what_was_scraped() {
    let Some(_pass) = gate::shared("Prometheus") else { return };
    let namespace = namespace();
    let ringside = busy(&namespace);
    let _prometheus = start_prometheus(&namespace);
    // Nothing happens any more, so that whatever scrape Prometheus holds is this one.
    let scrape = ringside.scrape();
    let stored = eventually("a scrape in Prometheus", || {
        let stored = query(&namespace, "{job=\"ringside\"}")?;
        (stored.len() >= scrape.series().len()).then_some(stored)
    });
    for Series { name, labels, value } in scrape.series() {
        let same = |stored: &&Series| {
            stored.name == *name
                && labels.iter().all(|(label, value)| same_label(label, value, stored.labels.get(label)))
        };
        let stored = stored.iter().find(same).unwrap_or_else(|| panic!("{name}{labels:?} is not stored"));
        assert!(
            stored.value == *value || (stored.value.is_nan() && value.is_nan()),
            "{name}{labels:?}: {value}, {stored:?}"
        );
    }
    // And a ratio over a window, as the documentation writes it.
    let answered = query(&namespace, "sum(sip_exporter_ratio_input_total{input=\"N200\"})").expect("an answer");
    assert_eq!(answered[0].value, f64::from(2 * CALLS));
}

/// Equal, where a bucket's bound may be spelt otherwise: Prometheus asks for OpenMetrics, which writes `1.0`.
fn same_label(label: &str, value: &str, stored: Option<&String>) -> bool {
    let bound = |text: &str| text.parse::<f64>().ok();
    stored.is_some_and(|stored| stored == value || (label == "le" && bound(stored) == bound(value)))
}

/// Prometheus inside the namespace, ended when dropped.
struct Server {
    child: Child,
    _folder: Folder,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start_prometheus(namespace: &Namespace) -> Server {
    let folder = Folder::new("prometheus");
    let config = format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs:\n- job_name: ringside\n  static_configs: [{{ targets: ['{HTTP}'] }}]\n"
    );
    fs::write(folder.join("prometheus.yml"), config).expect("a configuration");
    let log = fs::File::create(folder.join("log")).expect("a log");
    let child = namespace
        .command("prometheus")
        .current_dir(folder.path())
        .args([
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            &format!("--web.listen-address={PROMETHEUS}"),
        ])
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("prometheus starts");
    Server { child, _folder: folder }
}

/// An instant query; `None` while Prometheus does not answer or has nothing.
fn query(namespace: &Namespace, expression: &str) -> Option<Vec<Series>> {
    let path = format!("/api/v1/query?query={}", percent_encoded(expression));
    let (status, body) = namespace.run(|| http::get(PROMETHEUS, &path)).ok()?;
    let answer: serde_json::Value = serde_json::from_str(&body).ok().filter(|_| status == 200)?;
    let result = answer["data"]["result"].as_array()?;
    let series = result.iter().map(|entry| {
        let metric = entry["metric"].as_object().expect("labels");
        let labels = metric.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
        Series {
            name: metric.get("__name__").and_then(|name| name.as_str()).unwrap_or_default().to_owned(),
            labels: labels.collect(),
            value: entry["value"][1].as_str().and_then(|text| text.parse().ok()).expect("a number"),
        }
    });
    Some(series.collect())
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn the_exposition_keeps_its_own_rules() {
    let Some(_pass) = gate::shared("exposition rules") else { return };
    let namespace = namespace();
    let ringside = busy(&namespace);
    let scrape: Exposition = ringside.scrape();
    let mut seen = std::collections::HashSet::new();
    for series in scrape.series() {
        assert!(series.name.starts_with("sip_exporter_"), "{}", series.name);
        assert!(seen.insert((series.name.clone(), series.labels.clone())), "{series:?} stands there twice");
    }
    // No address, number or Call-ID has become a label.
    let text = ringside.page("/metrics");
    for secret in ["127.0.0.1", "::1", "sip:", "@"] {
        assert!(!text.lines().any(|line| !line.starts_with('#') && line.contains(secret)), "{secret} is in /metrics");
    }
}
