//! A real Prometheus scrapes; its lint is content.

use std::io::Write;
use std::process::{Command, Stdio};

use integration::exposition::{Exposition, Series};
use integration::flows;
use integration::gate;
use integration::ringside::{Config, HTTP, Ringside};
use integration::sipp::scenario::Scenario;
use integration::sipp::{Load, exchange};
use integration::wait::eventually;
use testnet::{Family, Namespace};

use crate::stage::{CALLS, loopback, namespace};
use integration::stores::{Kind, Store};

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
    let config = format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs:\n- job_name: ringside\n  static_configs: [{{ targets: ['{HTTP}'] }}]\n"
    );
    let prometheus = Store::start(&namespace, Kind::Prometheus, &config, None);
    // Nothing happens any more, so that whatever scrape Prometheus holds is this one.
    let scrape = ringside.scrape();
    let stored = eventually("a scrape in Prometheus", || {
        let stored = prometheus.query("{job=\"ringside\"}")?;
        (stored.len() >= scrape.series().len()).then_some(stored)
    });
    // The program goes on.
    let of_sip = |series: &&Series| series.name.starts_with("sip_exporter_");
    for Series { name, labels, value } in scrape.series().iter().filter(of_sip) {
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
    let answered = prometheus.query("sum(sip_exporter_ratio_input_total{input=\"N200\"})").expect("an answer");
    assert_eq!(answered[0].value, f64::from(2 * CALLS));
}

#[test]
fn prometheus_takes_native_histograms() {
    let Some(_pass) = gate::shared("native histograms") else { return };
    let namespace = namespace();
    let config = Config::on("lo").prometheus("native_histograms = true");
    let ringside = Ringside::start(&namespace, &config);
    let place = loopback(&namespace, Family::V4);
    let packets = [Scenario::new(flows::ANSWERED), Scenario::new(flows::REGISTERED)]
        .map(|scenario| exchange(&scenario, place.caller, place.callee, Load::of(CALLS)).packets());
    let classic = ringside.settled(packets.iter().sum());
    let scrape = format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs:\n- job_name: ringside\n  static_configs: [{{ targets: ['{HTTP}'] }}]\n"
    );
    let prometheus = Store::start(&namespace, Kind::NativePrometheus, &scrape, None);
    let value = |expression: &str| prometheus.query(expression)?.first().map(|series| series.value);
    for name in ["sip_exporter_ttr", "sip_exporter_rrd", "sip_exporter_srd_seconds", "sip_exporter_spd"] {
        let count = eventually("a native histogram", || value(&format!("histogram_count(sum({name}))")));
        let buckets: Vec<(f64, f64)> = buckets(&classic, name);
        assert_eq!(Some(count), buckets.last().map(|(_, below)| *below), "{name}");
        for quantile in [0.5, 0.95] {
            let native = value(&format!("histogram_quantile({quantile}, sum({name}))")).expect("a quantile");
            // The classic bucket in which the quantile lies says no more than its bounds.
            let at = buckets.iter().position(|(_, below)| *below >= quantile * count).expect("a bucket holds it");
            let lower = if at == 0 { 0.0 } else { buckets[at - 1].0 };
            assert!((lower..=buckets[at].0 * 1.1).contains(&native), "{name} {quantile}: {native} of {buckets:?}");
        }
    }
    let pair = r#"carrier="other",ua_type="other",__name__=~"sip_exporter_.*""#;
    let native = value(&format!("count({{{pair}}})")).expect("series");
    let text = classic.series().iter().filter(|series| {
        let is = |label| series.labels.get(label).map(String::as_str) == Some("other");
        is("carrier") && is("ua_type")
    });
    let text = text.count() as f64;
    assert!(native < 0.6 * text, "{native} of {text} series are left");
}

/// Each bound of a classic histogram, ascending, and how many samples were at or below it, whoever called.
fn buckets(scrape: &Exposition, name: &str) -> Vec<(f64, f64)> {
    let mut buckets = std::collections::BTreeMap::new();
    for Series { labels, value, .. } in scrape.series().iter().filter(|series| series.name == format!("{name}_bucket"))
    {
        let bound: f64 = labels["le"].parse().expect("a bound");
        // Positive numbers have the order of their bits.
        *buckets.entry(bound.to_bits()).or_insert(0.0) += value;
    }
    buckets.into_iter().map(|(bound, below)| (f64::from_bits(bound), below)).collect()
}

/// Equal, where a bucket's bound may be spelt otherwise: Prometheus asks for OpenMetrics, which writes `1.0`.
fn same_label(label: &str, value: &str, stored: Option<&String>) -> bool {
    let bound = |text: &str| text.parse::<f64>().ok();
    stored.is_some_and(|stored| stored == value || (label == "le" && bound(stored) == bound(value)))
}

#[test]
fn the_exposition_keeps_its_own_rules() {
    let Some(_pass) = gate::shared("exposition rules") else { return };
    let namespace = namespace();
    let ringside = busy(&namespace);
    let scrape: Exposition = ringside.scrape();
    let mut seen = std::collections::HashSet::new();
    for series in scrape.series() {
        assert!(
            ["sip_exporter_", "process_", "otelcol_"].iter().any(|prefix| series.name.starts_with(prefix)),
            "{}",
            series.name
        );
        assert!(seen.insert((series.name.clone(), series.labels.clone())), "{series:?} stands there twice");
    }
    // No address, number or Call-ID has become a label.
    let text = ringside.page("/metrics");
    for secret in ["127.0.0.1", "::1", "sip:", "@"] {
        assert!(!text.lines().any(|line| !line.starts_with('#') && line.contains(secret)), "{secret} is in /metrics");
    }
}
