//! `advise` and the metrics of affinity, on captures of real translations with what the backends themselves saw
//! (`testdata/affinity`), and what it says of captures without any.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::program::{EPOCH, Folder, run};

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/affinity")
}

/// Each case by its name, with its capture.
fn each(mut check: impl FnMut(&str, &str, &Value)) {
    let text = fs::read_to_string(cases().join("expected.json")).expect("it is checked in");
    let cases: Map<String, Value> = serde_json::from_str(&text).expect("it is JSON");
    assert!(cases.len() >= 22, "{}", cases.len());
    for (name, truth) in &cases {
        let capture = self::cases().join(format!("{name}.pcap.gz"));
        check(name, capture.to_str().expect("a path of text"), truth);
    }
}

/// A configuration that looks at the service, listed or to be learned.
fn configuration(truth: &Value, listed: bool) -> String {
    let mut text = "[receivers.pcap]\n[processors.dialog]\n[exporters.prometheus]\n[processors.affinity]\n".to_owned();
    for (key, value) in truth["settings"].as_object().expect("an object") {
        text += &format!("{key} = {value}\n");
    }
    if listed {
        let pods: Vec<String> = (1..=3)
            .map(|pod| {
                format!(
                    "{{ name = \"pod{pod}\", addresses = [\"10.244.1.1{pod}:5060\", \"[2001:db8:244::1{pod}]:5060\"] }}"
                )
            })
            .collect();
        text += &format!(
            "services = [{{ name = \"sbc\", addresses = [\"10.96.0.60:5060\", \"[2001:db8:96::60]:5060\"], backends = [{}] }}]\n",
            pods.join(", ")
        );
    }
    text + "[service.pipelines.metrics]\nreceivers = [\"pcap\"]\nprocessors = [\"affinity\", \"dialog\"]\nexporters = [\"prometheus\"]\n"
}

/// Values of the series of affinity that are not zero, by name and label.
fn series(stdout: &str) -> BTreeMap<String, u64> {
    let series: Vec<Value> = serde_json::from_str(stdout).expect("an array");
    let affinity = series.iter().filter_map(|series| {
        let name = series["name"].as_str()?.strip_prefix("sip_exporter_affinity_")?;
        let labels = series["labels"].as_object().expect("labels");
        assert_eq!(labels["service"], "sbc");
        let further =
            labels.iter().filter(|(label, _)| *label != "service").map(|(_, value)| value.as_str().expect("text"));
        let name = [name].into_iter().chain(further).collect::<Vec<_>>().join(" ");
        Some((name, series["value"].as_u64().expect("a number")))
    });
    affinity.filter(|(_, value)| *value > 0).collect()
}

/// What the metrics have to be.
fn expected(truth: &Value) -> BTreeMap<String, u64> {
    let mut expected = BTreeMap::new();
    let mut add = |name: String, value: u64| _ = (value > 0).then(|| expected.insert(name, value));
    for (key, name) in [("dialogs", "dialogs_total"), ("moved", "moved_total")] {
        for (label, value) in truth[key].as_object().expect("an object") {
            add(format!("{name} {label}"), value.as_u64().expect("a number"));
        }
    }
    for (key, name) in [
        ("failed", "moved_failed_total"),
        ("off_port", "off_port_replies_total"),
        ("untranslated", "untranslated_replies_total"),
        ("bypass", "bypass_total"),
        ("unknown", "unknown_backend_total"),
    ] {
        add(name.to_owned(), truth[key].as_u64().expect("a number"));
    }
    add("pinned_flows".to_owned(), u64::from(!truth["pinned"].is_null()));
    expected
}

#[test]
fn metrics_of_a_listed_service_are_what_its_backends_saw() {
    let folder = Folder::new();
    each(|name, capture, truth| {
        folder.write("listed.toml", configuration(truth, true));
        let outcome = run(folder.path(), &["replay", capture, "--format", "json", "--config", "listed.toml"]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{name}");
        assert_eq!(series(&outcome.stdout), expected(truth), "{name}");
    });
}

#[test]
fn advice_on_a_service_that_was_learned_is_what_its_backends_saw() {
    let folder = Folder::new();
    each(|name, capture, truth| {
        folder.write("learned.toml", configuration(truth, false));
        let outcome = run(folder.path(), &["advise", capture, "--format", "json", "--config", "learned.toml"]);
        if truth["interface"] != "any" {
            assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{name}");
            assert!(outcome.stderr.contains("capture on both sides"), "{name}: {}", outcome.stderr);
            return;
        }
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{name}");
        let mut told: Value = serde_json::from_str(&outcome.stdout).expect("an object");
        let service = &mut told["services"][0];
        let pod = |address: &Value| {
            let address = address.as_str().expect("text").trim_end_matches(":5060").trim_end_matches(']');
            format!("pod{}", address.chars().last().expect("a digit"))
        };
        let backends = service["backends"].as_array().expect("a list").clone();
        let dialogs: Map<String, Value> =
            backends.iter().map(|backend| (pod(&backend["name"]), backend["dialogs"].clone())).collect();
        let pinned = service["pinned_trunks"].as_array().expect("a list").first().map_or(Value::Null, |trunk| {
            let backend = pod(&backends[trunk["backend"].as_u64().expect("a place") as usize]["name"]);
            assert_eq!(trunk["calls"], trunk["to_backend"]);
            json!({ "client": trunk["client"], "calls": trunk["calls"], "backend": backend })
        });
        let moved = service["moved"].as_object().expect("an object");
        let causes: Map<String, Value> = moved
            .iter()
            .filter(|(cause, dialogs)| !["dialogs", "failed"].contains(&cause.as_str()) && **dialogs != 0)
            .map(|(cause, dialogs)| (cause.clone(), dialogs.clone()))
            .collect();
        let found = json!({
            "family": truth["family"], "rules": truth["rules"], "interface": truth["interface"], "settings": truth["settings"],
            "dialogs": dialogs, "pinned": pinned, "moved": causes, "failed": moved["failed"],
            "off_port": service["off_port_replies"], "untranslated": service["untranslated_replies"],
            "bypass": service["bypass"], "unknown": service["unknown_backend"],
        });
        assert_eq!(&found, truth, "{name}");
        assert_eq!(service["learned"], true);
        assert_eq!(service["by_call_id"]["moved"], 0, "{name}");
        let spread = service["by_call_id"]["spread"].as_array().expect("a list").iter();
        assert_eq!(
            spread.map(|dialogs| dialogs.as_u64().expect("a number")).sum::<u64>(),
            service["dialogs"].as_u64().expect("one")
        );
        let healthy = name.starts_with("healthy");
        assert_eq!(service["cures"].as_array().expect("a list").is_empty(), healthy, "{name}");
    });
}

#[test]
fn advice_is_text_with_what_helps() {
    let capture = cases().join("pinned-trunk-iptables-ipv4.pcap.gz");
    let folder = Folder::new();
    let outcome = run(folder.path(), &["advise", capture.to_str().expect("a path of text")]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert!(
        lines[0].starts_with("service 10.96.0.60:5060, learned, ") && lines[0].ends_with(" to 00:00:00"),
        "{}",
        lines[0]
    );
    assert!(lines[2].starts_with("  pinned trunk  192.0.2.10:5060 sent 105 calls, all to 10.244.1.1"), "{}", lines[2]);
    assert_eq!(lines.last().copied(), Some("  cure          affinity by Call-ID"));
}

#[test]
fn a_capture_without_requests_says_so() {
    let folder = Folder::new();
    let step = ladder::play("0.0 alice -> bob crlf");
    folder.write("none.pcap", ladder::pcap::write(&step, EPOCH));
    let outcome = run(folder.path(), &["advise", "none.pcap"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""));
    assert_eq!(
        outcome.stderr,
        "ringside: no SIP is in these captures\nringside: no service was found: there is no SIP request over UDP in it\n"
    );
}

#[test]
fn a_call_object_says_which_backend_took_the_call() {
    let folder = Folder::new();
    each(|name, capture, truth| {
        if name != "moved-other-iptables-ipv4" {
            return;
        }
        folder.write("listed.toml", configuration(truth, true));
        let outcome = run(folder.path(), &["calls", capture, "--format", "json", "--config", "listed.toml"]);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        let last = outcome.stdout.lines().last().expect("a call");
        let call: Value = serde_json::from_str(last).expect("an object");
        let first =
            truth["dialogs"].as_object().expect("one").iter().find(|(_, dialogs)| **dialogs != 0).expect("it is there");
        assert_eq!(call["steer"]["service"], "sbc");
        assert!(
            call["steer"]["backend"].as_str().is_some_and(|backend| backend.starts_with("pod")),
            "{call} {first:?}"
        );
        assert_eq!(call["steer"]["moved"], true, "the last call is the one that moved");
    });
}
