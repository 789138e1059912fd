//! `replay`: what it prints, what it writes, what it says about bad files.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::program::{EPOCH, Folder, Outcome, command, run};

/// An answered call of 60 s between two users, and one that goes on.
const TWO_CALLS: &str = "
     0.000  alice -> bob  INVITE from=sip:+4930123456@example.org to=sip:2002@example.org
     0.040  alice <- bob  100
     0.500  alice <- bob  180
     4.000  alice <- bob  200
     4.010  alice -> bob  ACK
    64.000  alice -> bob  BYE
    64.020  alice <- bob  200
    70.000  carol -> bob  INVITE call=second
    70.100  carol <- bob  200 call=second
    70.110  carol -> bob  ACK call=second
";

fn capture(folder: &Folder, ladder: &str) -> Vec<u8> {
    let bytes = ladder::pcap::write(&ladder::play(ladder), EPOCH);
    folder.write("calls.pcap", &bytes);
    bytes
}

fn replay(folder: &Folder, arguments: &[&str]) -> Outcome {
    run(folder.path(), &[&["replay", "calls.pcap"], arguments].concat())
}

fn value(outcome: &Outcome, series: &str) -> Option<String> {
    let line =
        outcome.stdout.lines().find(|line| line.starts_with(series) && line[series.len()..].starts_with([' ', '{']))?;
    line.rsplit(' ').next().map(str::to_owned)
}

#[test]
fn standard_output_holds_the_metrics_at_the_last_packet_and_nothing_else() {
    let folder = Folder::new();
    capture(&folder, TWO_CALLS);
    let outcome = replay(&folder, &[]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    assert_eq!(value(&outcome, "sip_exporter_session_attempts_total").as_deref(), Some("2"));
    assert_eq!(value(&outcome, "sip_exporter_sessions").as_deref(), Some("1"));
    assert!(outcome.stdout.lines().all(|line| line.starts_with("sip_exporter_") || line.starts_with("# ")));
}

#[test]
fn json_is_an_array_with_an_object_for_each_series() {
    let folder = Folder::new();
    capture(&folder, TWO_CALLS);
    let outcome = replay(&folder, &["--format", "json", "--set", "service.metrics.namespace=voice"]);
    let series: Vec<serde_json::Value> = serde_json::from_str(&outcome.stdout).expect("an array");
    let find = |name: &str| series.iter().find(|series| series["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    let labels = serde_json::json!({ "carrier": "other", "ua_type": "other" });
    let attempts =
        serde_json::json!({ "name": "voice_session_attempts_total", "type": "counter", "labels": labels, "value": 2 });
    assert_eq!(*find("voice_session_attempts_total"), attempts);
    let delay = find("voice_pdd");
    assert_eq!((&delay["type"], &delay["count"], &delay["sum"]), (&"histogram".into(), &2.into(), &600.0.into()));
    let buckets = delay["buckets"].as_array().expect("an array");
    assert!(buckets.contains(&serde_json::json!({ "le": 500.0, "count": 2 })), "{delay}");
}

#[test]
fn an_undefined_ratio_is_null_in_json_and_as_configured_in_text() {
    let folder = Folder::new();
    capture(&folder, "0 alice -> registrar REGISTER\n0.1 alice <- registrar 200");
    let json = replay(&folder, &["--format", "json"]);
    let series: Vec<serde_json::Value> = serde_json::from_str(&json.stdout).expect("an array");
    let ser = series.iter().find(|series| series["name"] == "sip_exporter_ser").expect("a ratio exists");
    assert!(ser["value"].is_null() && ser.get("value").is_some());
    assert_eq!(value(&replay(&folder, &[]), "sip_exporter_ser").as_deref(), Some("NaN"));
    let zero = replay(&folder, &["--set", "exporters.prometheus.undefined_ratio=zero"]);
    assert_eq!(value(&zero, "sip_exporter_ser").as_deref(), Some("0"));
}

fn calls(folder: &Folder, arguments: &[&str]) -> Vec<serde_json::Value> {
    let outcome = replay(folder, &[&["--calls", "calls.json"], arguments].concat());
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    let text = fs::read_to_string(folder.path().join("calls.json")).expect("it was written");
    text.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect()
}

#[test]
fn calls_are_written_with_every_field_and_those_still_up() {
    let folder = Folder::new();
    capture(&folder, TWO_CALLS);
    let calls = calls(&folder, &[]);
    let keys: Vec<&str> = calls[0].as_object().expect("an object").keys().map(String::as_str).collect();
    let mut expected = [
        "call_id",
        "start",
        "caller",
        "callee",
        "source",
        "destination",
        "transport",
        "carrier",
        "ua_type",
        "outcome",
        "status",
        "end",
        "setup_seconds",
        "ring_seconds",
        "duration_seconds",
        "trace_id",
        "messages",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0]["start"], "2026-01-01T00:00:00.000000Z");
    assert_eq!((&calls[0]["caller"], &calls[0]["callee"]), (&"+4930123456".into(), &"2002".into()));
    assert_eq!(
        (&calls[0]["outcome"], &calls[0]["end"], &calls[0]["status"]),
        (&"answered".into(), &"bye".into(), &200.into())
    );
    assert_eq!((&calls[0]["setup_seconds"], &calls[0]["ring_seconds"]), (&0.5.into(), &3.5.into()));
    assert_eq!((&calls[0]["duration_seconds"], &calls[0]["messages"]), (&60.0.into(), &7.into()));
    assert_eq!(calls[0]["trace_id"].as_str().map(str::len), Some(32));
    assert_eq!((&calls[1]["outcome"], &calls[1]["end"]), (&"in_progress".into(), &serde_json::Value::Null));
}

#[test]
fn a_configuration_that_hides_numbers_wins_over_the_default_of_replay() {
    let folder = Folder::new();
    capture(&folder, TWO_CALLS);
    let hidden = calls(&folder, &["--set", "processors.dialog.calls.privacy.numbers=mask"]);
    assert_eq!(hidden[0]["caller"], "+4930******");
    let dropped = calls(&folder, &["--set", "processors.dialog.calls.privacy.numbers=drop"]);
    assert!(dropped[0]["caller"].is_null());
}

#[test]
fn ports_come_from_the_command_line_then_pcap_then_the_live_receiver() {
    let folder = Folder::new();
    capture(&folder, "0 alice@192.0.2.1:5080 -> bob@192.0.2.2:5080 OPTIONS");
    let counted = |arguments: &[&str]| {
        value(&replay(&folder, arguments), "sip_exporter_packets_total").expect("it is always there")
    };
    assert_eq!(counted(&[]), "0");
    assert_eq!(counted(&["--ports", "5090,5080"]), "1");
    assert_eq!(counted(&["--set", "receivers.ebpf_sip.ports=[5080]"]), "1");
    assert_eq!(counted(&["--set", "receivers.ebpf_sip.ports=[5080]", "--set", "receivers.pcap.ports=[5060]"]), "0");
    assert_eq!(counted(&["--set", "receivers.pcap.ports=[5060]", "--ports", "5080"]), "1");
}

#[test]
fn sip_on_other_ports_alone_is_pointed_at() {
    let folder = Folder::new();
    capture(&folder, "0 alice@192.0.2.1:5080 -> bob@192.0.2.2:5080 OPTIONS");
    let outcome = replay(&folder, &[]);
    assert_eq!((outcome.code, outcome.stderr.lines().count()), (0, 1), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("try --ports 5080"), "{}", outcome.stderr);
}

#[test]
fn sip_on_other_ports_is_named_with_its_number_also_beside_listed_ones() {
    let folder = Folder::new();
    capture(
        &folder,
        "0 alice@192.0.2.1:5060 -> bob@192.0.2.2:5060 OPTIONS
         1 alice@192.0.2.1:5080 -> bob@192.0.2.2:5080 OPTIONS
         2 alice@192.0.2.1:5080 -> bob@192.0.2.2:5080 OPTIONS",
    );
    let outcome = replay(&folder, &[]);
    assert_eq!((outcome.code, outcome.stderr.lines().count()), (0, 1), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("also on"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("5080 (2 packets); try --ports 5060,5061,5080\n"), "{}", outcome.stderr);
    assert_eq!(value(&outcome, "sip_exporter_sip_elsewhere_total{why=\"port\"}").as_deref(), Some("2"));
}

#[test]
fn a_cut_file_is_used_as_far_as_it_goes() {
    let folder = Folder::new();
    let bytes = capture(&folder, TWO_CALLS);
    folder.write("calls.pcap", &bytes[..bytes.len() - 10]);
    let outcome = replay(&folder, &[]);
    assert_eq!((outcome.code, outcome.stderr.lines().count()), (0, 1), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("calls.pcap"), "{}", outcome.stderr);
    assert_eq!(value(&outcome, "sip_exporter_packets_total").as_deref(), Some("9"));
}

#[test]
fn what_is_no_capture_fails() {
    let folder = Folder::new();
    folder.write("calls.pcap", "this is no capture");
    for file in ["calls.pcap", "missing.pcap"] {
        let outcome = run(folder.path(), &["replay", file]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""), "{file}");
        assert!(outcome.stderr.contains(file), "{}", outcome.stderr);
    }
}

#[test]
fn standard_input_is_read_as_a_capture() {
    let folder = Folder::new();
    capture(&folder, TWO_CALLS);
    let input = fs::File::open(folder.path().join("calls.pcap")).expect("it was written");
    let output =
        command(folder.path(), &["replay", "-"]).stdin(Stdio::from(input)).output().expect("the binary was built");
    let printed = String::from_utf8(output.stdout).expect("it prints text");
    assert!(printed.contains("sip_exporter_packets_total{carrier=\"other\",ua_type=\"other\"} 10\n"), "{printed}");
}

#[test]
fn calls_that_cannot_be_written_fail_before_anything_is_read() {
    let folder = Folder::new();
    capture(&folder, TWO_CALLS);
    let outcome = replay(&folder, &["--calls", "no/such/folder.json"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""));
    assert!(outcome.stderr.contains("--calls no/such/folder.json: cannot be written"), "{}", outcome.stderr);
}

#[test]
fn the_pipelines_of_the_configuration_run_with_files_in_place_of_their_receivers() {
    let folder = Folder::new();
    capture(&folder, TWO_CALLS);
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/good/two_sets_of_receivers.toml");
    let outcome = replay(&folder, &["--config", config.to_str().expect("the path is text")]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    assert_eq!(value(&outcome, "sip_exporter_packets_total").as_deref(), Some("10"));
}

#[test]
fn a_call_is_written_once_however_many_pipelines_see_it() {
    let folder = Folder::new();
    capture(&folder, TWO_CALLS);
    let second = "service.pipelines.'metrics/b' = { receivers = ['ebpf_sip'], processors = ['dialog'], \
                  exporters = ['prometheus/b'] }\nexporters.'prometheus/b' = {}\n";
    folder.write("second.toml", second);
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pipeline.toml");
    let base = base.to_str().expect("the path is text");
    assert_eq!(calls(&folder, &["--config", base, "--config", "second.toml"]).len(), 2);
}

#[test]
fn calls_are_written_over_calls_and_nothing_else() {
    let folder = Folder::new();
    let bytes = capture(&folder, TWO_CALLS);
    for _ in 0..2 {
        assert_eq!(replay(&folder, &["--calls", "out.json"]).code, 0);
    }
    // Its own name was forgotten.
    let outcome = run(folder.path(), &["replay", "--calls", "calls.pcap", "other.pcap"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""));
    assert!(outcome.stderr.contains("--calls calls.pcap: the file holds something else"), "{}", outcome.stderr);
    assert_eq!(fs::read(folder.path().join("calls.pcap")).expect("it is still there"), bytes);
}

#[test]
fn the_name_of_a_capture_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt;
    let folder = Folder::new();
    let name = Path::new(std::ffi::OsStr::from_bytes(b"\xff.pcap"));
    let steps = ladder::play(TWO_CALLS);
    fs::write(folder.path().join(name), ladder::pcap::write(&steps, EPOCH)).expect("the folder can be written");
    let output = command(folder.path(), &["replay"]).arg(name).output().expect("the binary was built");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = Folder::new();
    capture(&folder, TWO_CALLS);
    let (read, write) = std::io::pipe().expect("a pipe can be made");
    drop(read);
    let mut command = command(folder.path(), &["replay", "calls.pcap", "--calls", "out.json"]);
    let output = command.stdout(write).output().expect("the binary was built");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    let written = fs::read_to_string(folder.path().join("out.json")).expect("the calls are written all the same");
    assert_eq!(written.lines().count(), 2);
}

/// A carrier refuses, the next one answers; beside it a call that another caller's Call-ID may bring to another shard.
const TWO_TRUNKS: &str = "
     0.000 alice -> proxy INVITE
     0.002 proxy -> bob INVITE fwd branch=z9hG4bK1
     0.102 proxy <- bob 503
     0.110 proxy -> dave INVITE fwd branch=z9hG4bK2
     1.110 proxy <- dave 180
     1.111 alice <- proxy 180 fwd
     4.110 proxy <- dave 200
     4.111 alice <- proxy 200 fwd
     5.000 alice -> bob INVITE call=second
     5.100 alice <- bob 486 call=second
    64.111 alice -> proxy BYE
    64.130 alice <- proxy 200 of=BYE
";

const CARRIERS: &str = "processors.enrich.carriers=[{name='office',cidrs=['192.0.2.0/24']},\
    {name='alpha',cidrs=['198.51.100.16/28']},{name='beta',cidrs=['198.51.100.32/28']}]";

#[test]
fn trunks_are_counted_in_both_directions_whatever_the_shards_and_named_in_calls() {
    let folder = Folder::new();
    capture(&folder, TWO_TRUNKS);
    let [one, two] = ["1", "2"].map(|shards| {
        let outcome = replay(&folder, &["--set", CARRIERS, "--set", &format!("service.shards={shards}")]);
        let mut trunks: Vec<String> =
            outcome.stdout.lines().filter(|line| line.contains("_trunk_")).map(str::to_owned).collect();
        trunks.sort();
        trunks
    });
    assert_eq!(one, two);
    for line in [
        r#"sip_exporter_trunk_outcomes_total{carrier="alpha",direction="out",outcome="ineffective"} 1"#,
        r#"sip_exporter_trunk_outcomes_total{carrier="alpha",direction="out",outcome="busy"} 1"#,
        r#"sip_exporter_trunk_outcomes_total{carrier="beta",direction="out",outcome="answered"} 1"#,
        r#"sip_exporter_trunk_attempts_total{carrier="office",direction="in"} 2"#,
        r#"sip_exporter_trunk_call_seconds_sum{carrier="beta",direction="out"} 60.001"#,
    ] {
        assert!(one.iter().any(|counted| counted == line), "{line}\n{one:#?}");
    }
    replay(&folder, &["--set", CARRIERS, "--calls", "calls.json"]);
    let calls = fs::read_to_string(folder.path().join("calls.json")).expect("it was written");
    let mut calls: Vec<serde_json::Value> =
        calls.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    calls.sort_by_key(|call| call["call_id"].to_string());
    let trunk = |carrier: &str, direction: &str, status: u16| serde_json::json!({ "carrier": carrier, "direction": direction, "status": status });
    let first = [trunk("office", "in", 200), trunk("alpha", "out", 503), trunk("beta", "out", 200)];
    assert_eq!(calls[0]["trunk"], serde_json::json!(first));
    assert_eq!(calls[1]["trunk"], serde_json::json!([trunk("office", "in", 486), trunk("alpha", "out", 486)]));
}
