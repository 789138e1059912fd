//! `ringside migrate`: the configuration of sip-exporter becomes one that is valid.

use crate::program::{Folder, command, outcome, run};

const CARRIERS: &str = "# by hand\ncarriers:\n  - name: \"telecom-alpha\"\n    cidrs:\n      - 10.1.0.0/16\n      - \"2001:db8:a::/48\"\n  - name: beta\n    cidrs: [10.2.0.0/16]\n";
const AGENTS: &str = "user_agents:\n  - regex: '(?i)^Yealink'\n    label: yealink\n  - regex: \"^Asterisk PBX \\\\d+\"\n    label: asterisk\n";
const VARIABLES: &str = "# sip-exporter\nSIP_EXPORTER_INTERFACE=eth0\nexport SIP_EXPORTER_SIP_PORTS=\"5060,5080\"\nSIP_EXPORTER_SIPS_PORT='5061'\n\
                         SIP_EXPORTER_HTTP_PORT=2113\nSIP_EXPORTER_LOGGER_LEVEL=debug\nSIP_EXPORTER_OBJECT_FILE_PATH=/usr/local/bin/sip.o\n\
                         SIP_EXPORTER_GEOIP_COUNTRY_DB=/geo.mmdb\nSIP_EXPORTER_SESSIONS_LIMITS=\nOTHER=1\n";

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("carriers.yaml", CARRIERS);
    folder.write("user_agents.yaml", AGENTS);
    folder.write("exporter.env", VARIABLES);
    folder
}

#[test]
fn files_and_variables_become_a_configuration_that_is_valid() {
    let folder = folder();
    let files = ["--env-file", "exporter.env", "--carriers", "carriers.yaml", "--user-agents", "user_agents.yaml"];
    let outcome = run(folder.path(), &[&["migrate", "-o", "pipeline.toml"][..], &files].concat());
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ""), "{}", outcome.stderr);
    assert_eq!(outcome.stderr, "ringside: warning: SIP_EXPORTER_GEOIP_COUNTRY_DB has no counterpart\n");
    let shown = run(folder.path(), &["print-config", "--config", "pipeline.toml"]);
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""));
    let table: toml::Table = shown.stdout.parse().expect("it prints TOML");
    let receiver = &table["receivers"]["ebpf_sip"];
    assert_eq!(receiver["interfaces"].to_string(), "[\"eth0\"]");
    // In the order of the names of the variables.
    assert_eq!(receiver["ports"].to_string(), "[5061, 5060, 5080]");
    assert_eq!(table["exporters"]["prometheus"]["endpoint"].as_str(), Some("0.0.0.0:2113"));
    assert_eq!(table["service"]["telemetry"]["logs"]["level"].as_str(), Some("debug"));
    let enrich = &table["processors"]["enrich"];
    assert_eq!(enrich["carriers"][0]["name"].as_str(), Some("telecom-alpha"));
    assert_eq!(enrich["carriers"][0]["cidrs"].to_string(), "[\"10.1.0.0/16\", \"2001:db8:a::/48\"]");
    assert_eq!(enrich["carriers"][1]["cidrs"].to_string(), "[\"10.2.0.0/16\"]");
    assert_eq!(enrich["user_agents"][1]["regex"].as_str(), Some("^Asterisk PBX \\d+"));

    let again = run(folder.path(), &[&["migrate", "-o", "pipeline.toml"][..], &files].concat());
    assert_eq!(again.code, 1, "what is there is left as it is");
    assert!(again.stderr.contains("pipeline.toml: cannot be written: "), "{}", again.stderr);
}

#[test]
fn dollar_signs_are_taken_over_as_they_are_written() {
    let folder = Folder::new();
    folder.write("exporter.env", "SIP_EXPORTER_INTERFACE=eth$$0\n");
    folder.write("carriers.yaml", "carriers:\n  - name: 'a $$ b ${env:HOME} $'\n    cidrs: [10.1.0.0/16]\n");
    folder.write("user_agents.yaml", "user_agents:\n  - regex: '^\\${2}x$'\n    label: '${env:UNSET}'\n");
    let files = ["--env-file", "exporter.env", "--carriers", "carriers.yaml", "--user-agents", "user_agents.yaml"];
    let outcome = run(folder.path(), &[&["migrate", "-o", "pipeline.toml"][..], &files].concat());
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    let shown = run(folder.path(), &["print-config", "--config", "pipeline.toml"]);
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""));
    // It prints them as they are written, each `$` that might mean more twice.
    let table: toml::Table = shown.stdout.parse().expect("it prints TOML");
    assert_eq!(table["receivers"]["ebpf_sip"]["interfaces"][0].as_str(), Some("eth$$$$0"));
    let enrich = &table["processors"]["enrich"];
    assert_eq!(enrich["carriers"][0]["name"].as_str(), Some("a $$$$ b $${env:HOME} $$"));
    assert_eq!(enrich["user_agents"][0]["regex"].as_str(), Some(r"^\$${2}x$$"));
    assert_eq!(enrich["user_agents"][0]["label"].as_str(), Some("$${env:UNSET}"));
}

#[test]
fn the_environment_may_name_the_files() {
    let folder = folder();
    let mut migrate = command(folder.path(), &["migrate"]);
    migrate.env("SIP_EXPORTER_INTERFACE", "eth1").env("SIP_EXPORTER_CARRIERS_CONFIG", "carriers.yaml");
    let outcome = outcome(migrate);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    let table: toml::Table = outcome.stdout.parse().expect("it prints TOML");
    assert_eq!(table["processors"]["enrich"]["carriers"][1]["name"].as_str(), Some("beta"));
    assert_eq!(table["receivers"]["ebpf_sip"]["interfaces"].to_string(), "[\"eth1\"]");
}

#[test]
fn what_cannot_be_taken_over_is_told() {
    let folder = folder();
    assert_eq!(run(folder.path(), &["migrate"]).code, 2, "there is nothing");
    folder.write("carriers.yaml", "carriers:\n  - nome: x\n");
    let broken = run(folder.path(), &["migrate", "--carriers", "carriers.yaml"]);
    assert_eq!(broken.code, 2);
    assert!(broken.stderr.starts_with("ringside: carriers.yaml: not what sip-exporter reads: "), "{}", broken.stderr);
    folder.write("carriers.yaml", "carriers:\n  - name: x\n    cidrs: [10.0.0.1]\n");
    let mended = run(folder.path(), &["migrate", "--carriers", "carriers.yaml"]);
    assert_eq!(mended.code, 0);
    let expected =
        "ringside: to be mended by hand: processors.enrich.carriers[0].cidrs[0]: \"10.0.0.1\" is no network; write";
    assert!(mended.stderr.starts_with(expected), "{}", mended.stderr);
}
