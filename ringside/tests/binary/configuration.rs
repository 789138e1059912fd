//! One file for each good and each wrong configuration. Beside a wrong one stands what the operator reads.

use std::fs;
use std::path::{Path, PathBuf};

use crate::program::{Folder, command, run};

/// The TOML files of a folder under `tests/config`.
fn files(kind: &str) -> (PathBuf, Vec<String>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(kind);
    let entries = fs::read_dir(&folder).expect("the folder is checked in");
    let names =
        entries.map(|entry| entry.expect("it can be listed").file_name().into_string().expect("names are text"));
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".toml")).collect();
    names.sort();
    assert!(!names.is_empty());
    (folder, names)
}

#[test]
fn every_good_configuration_is_valid() {
    let (folder, names) = files("good");
    for name in names {
        let outcome = run(&folder, &["validate", "--config", &name]);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{name}");
        assert_eq!(outcome.stdout, format!("{name}: valid\n"));
    }
}

#[test]
fn every_wrong_configuration_is_refused_with_the_message_beside_it() {
    let (folder, names) = files("wrong");
    for name in names {
        let outcome = run(&folder, &["validate", "--config", &name]);
        let expected = fs::read_to_string(folder.join(name.replace(".toml", ".txt"))).expect("it stands beside it");
        assert_eq!(outcome.stderr, expected, "{name}");
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{name}");
    }
}

#[test]
fn what_is_wrong_for_one_command_is_wrong_for_all() {
    let (folder, _) = files("wrong");
    let expected = fs::read_to_string(folder.join("everything_at_once.txt")).expect("it is checked in");
    for arguments in [&["run"][..], &[], &["print-config"], &["doctor"], &["replay", "no.pcap"]] {
        let arguments = [arguments, &["--config", "everything_at_once.toml"]].concat();
        let outcome = run(&folder, &arguments);
        assert_eq!((outcome.code, outcome.stderr), (2, expected.clone()), "{arguments:?}");
    }
}

#[test]
fn what_is_probably_not_meant_is_told_and_valid() {
    let folder = Folder::new();
    let text = "[receivers.ebpf_sip]\nports = [5060, 5061, 5060]\n[exporters.otlp_grpc]\nendpoint = 'tempo.example.com'\n\
                [processors.dialog]\n[service.pipelines.metrics]\nreceivers = ['ebpf_sip']\nprocessors = ['dialog']\n\
                exporters = ['otlp_grpc']\n";
    folder.write("pipeline.toml", text);
    let outcome = run(folder.path(), &["validate"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, "./pipeline.toml: valid\n"));
    let expected = [
        "./pipeline.toml:2:22: warning: receivers.ebpf_sip.ports[2]: 5060 stands twice; name it once",
        "./pipeline.toml:4:12: warning: exporters.otlp_grpc.endpoint: no port is written, so it is 443; OTLP over gRPC \
         usually has 4317; write it as \"http://127.0.0.1:4317\" (no TLS), \"https://host:4317\" or \"host:4317\"",
    ];
    assert_eq!(outcome.stderr.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_set_on_the_command_line_is_checked_and_shown_too() {
    let folder = Folder::new();
    let set = ["--set", "exporters.prometheus.endpoint=127.0.0.1:2113"];
    let shown = run(folder.path(), &[&["print-config"][..], &set].concat());
    assert!(shown.stdout.contains("endpoint = \"127.0.0.1:2113\""), "{}", shown.stdout);
    for command in ["validate", "print-config", "doctor"] {
        let outcome = run(folder.path(), &[command, "--set", "exporters.prometheus.endpoint=nowhere"]);
        assert_eq!(outcome.code, 2, "{command}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains("--set exporters.prometheus.endpoint: exporters.prometheus.endpoint: "),
            "{command}: {}",
            outcome.stderr
        );
    }
}

#[test]
fn errors_of_several_files_stand_in_the_order_of_the_files() {
    let folder = Folder::new();
    let good = "[receivers.ebpf_sip]\n[exporters.prometheus]\n[processors.dialog]\n[service.pipelines.metrics]\n\
                receivers = ['ebpf_sip']\nprocessors = ['dialog']\nexporters = ['prometheus']\n";
    folder.write("b.toml", format!("{good}[receivers.x]\n"));
    folder.write("a.toml", "[receivers.ebpf_sip]\nport = 1\n[processors.y]\n");
    let outcome = run(folder.path(), &["validate", "--config", "b.toml", "--config", "a.toml"]);
    let places: Vec<&str> =
        outcome.stderr.lines().skip(1).map(|line| &line[..line.find(": ").expect("a place")]).collect();
    assert_eq!(places, ["b.toml:8:12", "a.toml:2:1", "a.toml:3:13"]);
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_with_a_cure() {
    let folder = Folder::new();
    folder.write("latin.toml", b"# \xe4\n");
    let outcome = run(folder.path(), &["validate", "--config", "none.toml", "--config", "latin.toml"]);
    assert_eq!(outcome.code, 2);
    assert!(outcome.stderr.contains("none.toml: cannot be read: No such file"), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("latin.toml: cannot be read:") && outcome.stderr.contains("; write it as UTF-8 text")
    );
    assert_eq!(outcome.stderr.lines().count(), 3, "nothing else is said: {}", outcome.stderr);
}

#[test]
fn nothing_follows_from_a_file_that_cannot_be_read_but_what_is_no_toml_is_told_too() {
    let folder = Folder::new();
    folder.write("over.toml", "[service.pipelines.metrics]\nreceivers = ['ebpf_sip']\n");
    folder.write("broken.toml", "[x\n");
    let names = ["none.toml", "over.toml", "broken.toml"];
    let arguments: Vec<&str> = std::iter::once("validate").chain(names.iter().flat_map(|n| ["--config", n])).collect();
    let outcome = run(folder.path(), &arguments);
    let places: Vec<&str> =
        outcome.stderr.lines().skip(1).map(|line| &line[..line.find(": ").expect("a place")]).collect();
    assert_eq!(places, ["broken.toml:1:3", "none.toml"], "{}", outcome.stderr);
}

#[test]
fn a_file_without_end_is_refused() {
    let folder = Folder::new();
    let outcome = run(folder.path(), &["validate", "--config", "/dev/zero"]);
    assert_eq!(outcome.code, 2);
    assert!(
        outcome.stderr.contains("/dev/zero: cannot be read: ") && outcome.stderr.contains("16 MiB"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn files_are_read_with_the_ports_of_the_live_receiver_unless_they_have_their_own() {
    let folder = Folder::new();
    let live = "receivers.ebpf_sip.ports = [5080]\nprocessors.dialog = {}\nexporters.prometheus = {}\n\
                service.pipelines.metrics = { receivers = ['ebpf_sip'], processors = ['dialog'], exporters = ['prometheus'] }\n";
    for (pcap, ports) in [("receivers.pcap = {}", "[5080]"), ("receivers.pcap.ports = [5090]", "[5090]")] {
        folder.write("pipeline.toml", format!("{live}{pcap}\n"));
        let shown = run(folder.path(), &["print-config"]).stdout;
        let table: toml::Table = shown.parse().expect("it prints TOML");
        assert_eq!(table["receivers"]["pcap"]["ports"].to_string(), ports);
    }
    folder.write("pipeline.toml", format!("{live}receivers.ebpf_sip.ws_ports = [80]\nreceivers.pcap.ports = [5090]\n"));
    let table: toml::Table = run(folder.path(), &["print-config"]).stdout.parse().expect("it prints TOML");
    assert_eq!(table["receivers"]["pcap"]["ws_ports"].to_string(), "[80]");
}

#[test]
fn a_pipeline_toml_in_the_folder_is_found() {
    let folder = Folder::new();
    assert_eq!(run(folder.path(), &["validate"]).stdout, "built-in default: valid\n");
    folder.write("pipeline.toml", "[receivers.ebpf_sip]\nport = 1\n");
    let outcome = run(folder.path(), &["validate"]);
    assert!(outcome.stderr.contains("./pipeline.toml:2:1: receivers.ebpf_sip.port: unknown key"), "{}", outcome.stderr);
}

#[test]
fn print_config_hides_secrets_and_shows_the_rest() {
    let folder = Folder::new();
    folder.write(
        "secret.toml",
        "[receivers.ebpf_sip]\n[exporters.prometheus]\nendpoint = '127.0.0.1:${env:PORT:-2112}'\n[processors.dialog]\n\
         calls.privacy = { numbers = 'hmac', key = '${env:RINGSIDE_TEST_SECRET}' }\n[service.pipelines.metrics]\n\
         receivers = ['ebpf_sip']\nprocessors = ['dialog']\nexporters = ['prometheus']\n",
    );
    let mut command = command(folder.path(), &["print-config", "--config", "secret.toml"]);
    let output = command.env("RINGSIDE_TEST_SECRET", "s3cret").env("PORT", "9").output().expect("the binary was built");
    let shown = String::from_utf8(output.stdout).expect("it prints text");
    assert!(!shown.contains("s3cret"), "{shown}");
    for line in [
        "key = \"[hidden]\"",
        "numbers = \"hmac\"",
        "endpoint = \"127.0.0.1:9\"",
        "t1 = \"500ms\"",
        "shutdown_timeout = \"10s\"",
    ] {
        assert!(shown.contains(line), "{line} not in\n{shown}");
    }
}

#[test]
fn a_later_file_replaces_what_it_names() {
    let folder = Folder::new();
    folder.write("over.toml", "[receivers.ebpf_sip]\nports = [5080]\n[service.telemetry.logs]\nlevel = 'debug'\n");
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/good/service.toml");
    let base = base.to_str().expect("the path is text");
    let shown = run(folder.path(), &["print-config", "--config", base, "--config", "over.toml"]).stdout;
    for line in ["ports = [5080]", "level = \"debug\"", "encoding = \"json\"", "namespace = \"voice\""] {
        assert!(shown.contains(line), "{line} not in\n{shown}");
    }
}

#[test]
fn an_endpoint_in_the_environment_adds_otlp_to_what_runs_without_a_configuration() {
    let folder = Folder::new();
    let shown = |variables: &[(&str, &str)]| {
        let mut command = command(folder.path(), &["print-config"]);
        let output = command.envs(variables.iter().copied()).output().expect("the binary was built");
        (String::from_utf8(output.stdout).expect("text"), String::from_utf8(output.stderr).expect("text"))
    };
    let (text, _) = shown(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20s3cret"),
        ("OTEL_SERVICE_NAME", "sbc-7"),
    ]);
    assert!(!text.contains("s3cret"), "{text}");
    for line in [
        "[exporters.otlp_grpc]",
        "endpoint = \"http://127.0.0.1:4317\"",
        "authorization = \"[hidden]\"",
        "\"service.name\" = \"sbc-7\"",
        "exporters = [\"prometheus\", \"otlp_grpc\"]",
        "processors = [\"dialog\", \"enrich\", \"sampling/default\"]",
    ] {
        assert!(text.contains(line), "{line} not in\n{text}");
    }
    let http = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")];
    let (_, error) = shown(&http);
    let expected =
        "OTEL_EXPORTER_OTLP_TIMEOUT: exporters.otlp_http.timeout: the value of ${env:OTEL_EXPORTER_OTLP_TIMEOUT}";
    assert!(error.contains(expected), "{error}");
    folder.write("pipeline.toml", include_str!("../config/good/shortest.toml"));
    assert!(!shown(&http).0.contains("otlp"), "a file says everything");
}
