//! `run` with a file as its receiver: start, signals, reload, and what stands in its way.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::program::{EPOCH, Folder, Running, run, run_without_privileges};

fn folder() -> Folder {
    let folder = Folder::new();
    let steps = ladder::play("0 alice -> bob OPTIONS\n0.1 alice <- bob 200");
    folder.write("a.pcap", ladder::pcap::write(&steps, EPOCH));
    folder.write("run.toml", config("", ""));
    folder
}

fn config(dialog: &str, service: &str) -> String {
    format!(
        "[receivers.pcap]\nfiles = ['a.pcap']\n[processors.dialog]\n{dialog}\n[exporters.prometheus]\n\
         endpoint = '127.0.0.1:0'\n[service]\n{service}\n[service.pipelines.metrics]\nreceivers = ['pcap']\n\
         processors = ['dialog']\nexporters = ['prometheus']\n"
    )
}

const RUN: [&str; 3] = ["run", "--config", "run.toml"];

/// What an HTTP GET of a path brings.
pub fn get(announced: &str, path: &str) -> String {
    let address =
        announced.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("a URL is announced");
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers with text");
    answer
}

#[test]
fn it_says_where_to_look_and_goes_on_serving_the_final_state() {
    let folder = folder();
    let (running, announced) = Running::start(folder.path(), &RUN);
    assert!(announced.contains("\ncapture  pcap (none): files a.pcap; ports 5060, 5061\n"), "{announced}");
    assert!(announced.ends_with("\nconfig   run.toml\n"), "{announced}");
    let health = get(&announced, "/health");
    assert!(health.starts_with("HTTP/1.1 200") && health.contains("\"capture\":\"none\""), "{health}");
    running.signal(libc::SIGTERM);
    let (status, log) = running.end();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn both_signals_of_the_end_are_graceful() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let folder = folder();
        let (running, _) = Running::start(folder.path(), &RUN);
        running.signal(signal);
        assert_eq!(running.end().0.code(), Some(0));
    }
}

#[test]
fn a_broken_file_keeps_the_old_configuration_running() {
    let folder = folder();
    let (mut running, announced) = Running::start(folder.path(), &RUN);
    folder.write("run.toml", config("t1 = 'soon'\nmax_call = 1", ""));
    running.signal(libc::SIGHUP);
    let log = running.await_log("the old one runs on");
    for line in [
        "run.toml:4:6: processors.dialog.t1: \"soon\" does not fit",
        "run.toml:5:1: processors.dialog.max_call: unknown key",
    ] {
        assert!(log.contains(line), "{line} not in\n{log}");
    }
    assert!(log.contains("ERROR"), "{log}");
    let numbers = get(&announced, "/internal/metrics");
    assert!(numbers.contains("\notelcol_config_reload_failures 1\n"), "{numbers}");
    let metrics = get(&announced, "/metrics");
    for line in ["otelcol_config_reload_failures_total 1", "otelcol_config_last_reload_successful 0"] {
        assert!(metrics.contains(&format!("\n{line}\n")), "{line} not in\n{metrics}");
    }
    for name in numbers.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(numbers.contains(&format!("# HELP {name} ")), "{name} is without help");
    }
    running.signal(libc::SIGTERM);
    assert_eq!(running.end().0.code(), Some(0));
}

#[test]
fn a_reload_applies_what_it_can_and_names_what_needs_a_restart() {
    let folder = folder();
    let (mut running, announced) = Running::start(folder.path(), &RUN);
    let service =
        "metrics.namespace = 'voice'\ntelemetry.logs = { level = 'debug', encoding = 'json' }\nshutdown_timeout = '3s'";
    folder.write("run.toml", config("short_call = '4s'", service).replace("'a.pcap'", "'b.pcap'"));
    running.signal(libc::SIGHUP);
    let log = running.await_log("configuration reloaded");
    for key in ["receivers.pcap.files", "service.metrics.namespace", "service.telemetry.logs.encoding"] {
        assert!(log.contains(&format!("key=\"{key}\"")), "{key} not in\n{log}");
        let series = format!("\notelcol_config_restart_needed{{key=\"{key}\"}} 1\n");
        assert!(get(&announced, "/internal/metrics").contains(&series), "{key}");
    }
    assert!(get(&announced, "/metrics").contains("\nsip_exporter_packets_total{"));
    folder.write("run.toml", config("", ""));
    running.signal(libc::SIGHUP);
    running.await_log("configuration reloaded");
    assert!(get(&announced, "/internal/metrics").contains("\notelcol_config_restart_needed 0\n"));
    running.signal(libc::SIGTERM);
    assert_eq!(running.end().0.code(), Some(0));
}

#[test]
fn a_changed_file_is_reloaded_without_a_signal() {
    let folder = folder();
    let (mut running, announced) = Running::start(folder.path(), &[&RUN[..], &["--watch-config"]].concat());
    folder.write("run.toml", config("short_call = '4s'", ""));
    let log = running.await_log("configuration reloaded");
    assert!(log.contains("a configuration file has changed"), "{log}");
    folder.write("run.toml", config("short_call = 4", ""));
    running.await_log("the old one runs on");
    assert!(get(&announced, "/metrics").contains("\notelcol_config_last_reload_successful 0\n"));
    running.signal(libc::SIGTERM);
    assert_eq!(running.end().0.code(), Some(0));
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let folder = folder();
    let taken = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let address = taken.local_addr().expect("it is bound");
    let outcome =
        run(folder.path(), &[&RUN[..], &["--set", &format!("exporters.prometheus.endpoint={address}")]].concat());
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""));
    assert!(
        outcome.stderr.contains("exporters.prometheus: ") && outcome.stderr.contains(&address.to_string()),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = folder();
    let outcome = run(folder.path(), &[&RUN[..], &["--set", "receivers.pcap.files=['gone.pcap']"]].concat());
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""));
    assert!(outcome.stderr.contains("gone.pcap"), "{}", outcome.stderr);
}

#[test]
fn a_log_in_json_is_one_object_a_line() {
    let folder = folder();
    let logs = "service.telemetry.logs={ encoding = 'json', level = 'debug' }";
    let (running, _) = Running::start(folder.path(), &[&RUN[..], &["--set", logs]].concat());
    running.signal(libc::SIGTERM);
    let (_, log) = running.end();
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["level"].is_string() && line["message"].is_string(), "{line}");
    }
    assert!(log.contains("SIGTERM"), "{log}");
}

#[test]
fn without_the_capability_it_ends_with_77_and_names_it() {
    let folder = Folder::new();
    for arguments in [&["run", "--set", "exporters.prometheus.endpoint=127.0.0.1:0"][..], &["doctor"]] {
        let outcome = run_without_privileges(folder.path(), arguments);
        assert_eq!(outcome.code, 77, "{arguments:?}: {}", outcome.stderr);
        for word in ["CAP_NET_RAW", "setcap cap_net_raw,cap_bpf+ep "] {
            assert!(outcome.stderr.contains(word), "{word} not in {}", outcome.stderr);
        }
    }
}
