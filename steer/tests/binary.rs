//! The binary without a daemon and without rights: what is typed, what is printed, how it ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringside-steer")).args(arguments).output().expect("it is built")
}

fn repository(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path).display().to_string()
}

/// A configuration for the captures in `testdata/affinity`.
fn configuration(folder: &Path, mode: &str) -> PathBuf {
    let backend = |pod: u8| format!("{{ name = \"pod{pod}\", addresses = [\"10.244.1.1{pod}:5060\"] }}");
    let text = format!(
        "[steer]\nmode = \"{mode}\"\ninterfaces = [\"eth0\"]\nallowed_backends = [\"10.244.0.0/16\"]\n\
         cluster_key = \"{}\"\n[[service]]\nname = \"sbc\"\naddresses = [\"10.96.0.60:5060\"]\nbackend = [{}]\n\
         [[service.rule]]\nmatch = {{ method = [\"INVITE\"] }}\naction = \"steer\"\n",
        "0".repeat(32),
        [1, 2, 3].map(backend).join(", ")
    );
    let path = folder.join("steer.toml");
    std::fs::write(&path, text).expect("a file");
    path
}

fn explain(mode: &str, capture: &str) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = configuration(folder.path(), mode);
    let output = run(&["explain", &repository(capture), "--config", file.to_str().expect("a path")]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_capture_is_explained_packet_by_packet() {
    let (code, shown, said) = explain("active", "testdata/affinity/moved-source-port-nftables-ipv4.pcap.gz");
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let lines: Vec<&str> = shown.lines().map(str::trim_start).collect();
    // The first call of that capture: its BYE came from another port, and the balancer took it elsewhere.
    assert!(
        lines[0].starts_with("1  INVITE to sbc: to pod") && lines[0].ends_with("; it begins a dialog; rule 1"),
        "{shown}"
    );
    let pod = &lines[0][lines[0].find("to pod").expect("a backend")..][..7];
    let bye = lines.iter().find(|line| line.contains("BYE")).expect("it ends");
    assert!(bye.contains(pod) && bye.ends_with("; its dialog is there"), "{shown}");
    assert!(lines.iter().any(|line| line.contains("a response from sbc/pod")), "{shown}");
    assert!(!shown.contains("192.0.2."), "no address is shown");
}

#[test]
fn in_mode_observe_it_is_said_what_would_be() {
    let (code, shown, _) = explain("observe", "testdata/affinity/healthy-iptables-ipv4.pcap.gz");
    let learned = "INVITE to sbc: standard path, whose choice is learned from the answer; rule 1 (mode observe)";
    assert!(code == Some(0) && shown.contains(learned), "{shown}");
    assert!(shown.contains("BYE to sbc: would go to pod"), "{shown}");
}

#[test]
fn a_capture_without_the_service_and_a_file_that_is_none_are_failures() {
    let (code, shown, said) = explain("active", "testdata/affinity/healthy-nftables-ipv6.pcap.gz");
    assert_eq!((code, shown.as_str()), (Some(1), ""));
    assert!(said.contains("no packet is to or from a service or backend of the configuration"), "{said}");
    let (code, _, said) = explain("active", "Cargo.toml");
    assert!(code == Some(1) && said.contains("neither pcap nor pcapng"), "{said}");
}

#[test]
fn a_wrong_configuration_is_bad_usage_for_every_command_that_needs_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("steer.toml");
    std::fs::write(&file, "[steer]\nmode = \"passive\"\n").expect("a file");
    let file = file.to_str().expect("a path");
    for command in [&["run"][..], &["check"], &["explain", "no.pcap"]] {
        let output = run(&[command, &["--config", file]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code() == Some(2) && said.contains("steer.toml:2:8: steer.mode: "),
            "{command:?}: {said}"
        );
    }
    assert_eq!(run(&["steer"]).status.code(), Some(2));
    assert_eq!(run(&["weight", "a/b", "much"]).status.code(), Some(2));
}

#[test]
fn where_no_daemon_runs_that_is_said_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("control");
    let socket = socket.to_str().expect("a path");
    for command in
        [&["status"][..], &["services"], &["watch"], &["dialog", "x"], &["drain", "a/b"], &["mode", "active"]]
    {
        let output = run(&[command, &["--control", socket]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains("cannot be reached"), "{command:?}: {said}");
        assert!(said.contains("systemctl start ringside-steer"), "{said}");
    }
}
