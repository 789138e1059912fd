use std::sync::Arc;
use std::time::Duration;

use pipeline::probes::{ProbeEnd, ProbeTarget, Probes, TlsSeen, Unexpected};

use super::*;

fn target(name: &str, transport: &'static str) -> ProbeTarget {
    ProbeTarget { name: name.to_owned(), transport }
}

fn shown(probes: &Arc<Probes>) -> String {
    let text = scrape(&registry().with_probes(Arc::clone(probes)));
    let lines = text.lines().filter_map(|line| line.strip_prefix("sip_exporter_probe_"));
    lines.filter(|line| !line.starts_with("messages_seen")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn counters_are_there_from_the_start_and_gauges_from_the_first_result_on() {
    let probes = Arc::<Probes>::default();
    assert!(!scrape(&registry().with_probes(Arc::clone(&probes))).contains("probe_sent_total"));
    let row = probes.row(&target("carrier-a", "udp"), "alpha \"1\"");
    let label = r#"{target="carrier-a",transport="udp""#;
    let at_start: String = [
        "sent_total{} 0",
        "received_total{} 0",
        "lost_total{} 0",
        "retransmissions_total{} 0",
        r#"unexpected_total{,reason="stray"} 0"#,
        r#"unexpected_total{,reason="late"} 0"#,
        r#"unexpected_total{,reason="doubled"} 0"#,
        r#"unexpected_total{,reason="unreadable"} 0"#,
        r#"status_total{,code="200"} 0"#,
        r#"status_total{,code="timeout"} 0"#,
        r#"status_total{,code="error"} 0"#,
        r#"rtt_seconds_bucket{,le="0.001"} 0"#,
        r#"rtt_seconds_bucket{,le="0.0025"} 0"#,
        r#"rtt_seconds_bucket{,le="0.005"} 0"#,
        r#"rtt_seconds_bucket{,le="0.01"} 0"#,
        r#"rtt_seconds_bucket{,le="0.025"} 0"#,
        r#"rtt_seconds_bucket{,le="0.05"} 0"#,
        r#"rtt_seconds_bucket{,le="0.1"} 0"#,
        r#"rtt_seconds_bucket{,le="0.25"} 0"#,
        r#"rtt_seconds_bucket{,le="0.5"} 0"#,
        r#"rtt_seconds_bucket{,le="1"} 0"#,
        r#"rtt_seconds_bucket{,le="2.5"} 0"#,
        r#"rtt_seconds_bucket{,le="5"} 0"#,
        r#"rtt_seconds_bucket{,le="+Inf"} 0"#,
        "rtt_seconds_sum{} 0",
        "rtt_seconds_count{} 0",
        r#"target_info{,carrier="alpha \"1\""} 1"#,
    ]
    .map(|line| format!("{}\n", line.replace('{', label)))
    .concat();
    assert_eq!(shown(&probes), at_start);

    row.sent();
    row.ended("", ProbeEnd::Answered { status: 404, rtt: Duration::from_micros(2600) }, Some(100));
    row.sent();
    row.ended("", ProbeEnd::Answered { status: 200, rtt: Duration::from_micros(2500) }, None);
    row.sent();
    row.ended("", ProbeEnd::Timeout, None);
    row.retransmitted();
    row.unexpected(Unexpected::Late);
    row.secured("", TlsSeen { handshake: Some(Duration::from_millis(40)), not_after: Some(1_800_000_000) });
    row.sent();
    row.ended("", ProbeEnd::Error, None);
    let text = shown(&probes);
    for line in [
        "sent_total{} 4",
        "received_total{} 2",
        "lost_total{} 2",
        "retransmissions_total{} 1",
        r#"unexpected_total{,reason="late"} 1"#,
        r#"status_total{,code="100"} 1"#,
        r#"status_total{,code="200"} 1"#,
        r#"status_total{,code="404"} 1"#,
        r#"status_total{,code="timeout"} 1"#,
        r#"status_total{,code="error"} 1"#,
        r#"rtt_seconds_bucket{,le="0.0025"} 1"#,
        r#"rtt_seconds_bucket{,le="0.005"} 2"#,
        "rtt_seconds_sum{} 0.0051",
        "rtt_seconds_count{} 2",
        "jitter_seconds{} 0.0001",
        "up{} 0",
        "last_status{} 0",
        "tls_not_after_seconds{} 1800000000",
        "tls_handshake_seconds{} 0.04",
    ] {
        let line = line.replace('{', label);
        assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
    }
}

#[test]
fn rows_are_shown_by_who_got_them_and_by_nobody_else() {
    let probes = Arc::<Probes>::default();
    probes.row(&target("a", "udp"), "").sent();
    probes.row(&target("a", "tls"), "").sent();
    let plain = registry();
    let mut rows = plain.shard();
    let with = plain.with_probes(Arc::clone(&probes));
    rows.add(LabelSet::OTHER, F::Packets, 0, 3);
    assert_eq!(value(&with, &format!("packets_total{OTHER}")).as_deref(), Some("3"));
    for transport in ["udp", "tls"] {
        let series = format!(r#"probe_sent_total{{target="a",transport="{transport}"}}"#);
        assert_eq!(value(&with, &series).as_deref(), Some("1"));
        assert_eq!(value(&plain, &series), None);
    }
    probes.retain(|target| target.transport == "udp");
    assert_eq!(value(&with, r#"probe_sent_total{target="a",transport="tls"}"#), None);
}

#[test]
fn a_target_of_two_receivers_is_shown_once() {
    let [first, second] = [(); 2].map(|()| Arc::<Probes>::default());
    first.row(&target("a", "udp"), "").sent();
    second.row(&target("a", "udp"), "");
    let registry = registry().with_probes(first).with_probes(second);
    let text = scrape(&registry);
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("sip_exporter_probe_sent_total{")).collect();
    assert_eq!(lines, [r#"sip_exporter_probe_sent_total{target="a",transport="udp"} 1"#]);
}

#[test]
fn more_targets_than_a_step_shows_are_all_shown() {
    let probes = Arc::<Probes>::default();
    for index in 0..300 {
        probes.row(&target(&format!("t{index}"), "udp"), "").sent();
    }
    let text = scrape(&registry().with_probes(probes));
    assert_eq!(text.lines().filter(|line| line.starts_with("sip_exporter_probe_sent_total{")).count(), 300);
    assert_eq!(text.lines().filter(|line| line.starts_with("# TYPE sip_exporter_probe_sent_total ")).count(), 1);
}
