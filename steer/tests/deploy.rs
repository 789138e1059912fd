//! What `deploy/steer/` ships: its configurations are right, and it gives the rights that are needed and no other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use steer::config;

const RIGHTS: [&str; 3] = ["BPF", "NET_ADMIN", "PERFMON"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/steer")
}

fn read(file: &str) -> String {
    fs::read_to_string(folder().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// All values of a key of the unit.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

#[test]
fn the_configuration_for_kubernetes_is_right_and_reads_what_the_sidecar_writes() {
    let manifest = read("kubernetes.yaml");
    let (_, rest) = manifest.split_once("  steer.toml: |\n").expect("a configuration in it");
    let lines = rest.lines().take_while(|line| line.starts_with("    "));
    let text: String = lines.flat_map(|line| [line.trim_start(), "\n"]).collect();
    let scratch = tempfile::tempdir().expect("a folder");
    let path = scratch.path().join("steer.toml");
    fs::write(&path, text).expect("a file");
    let variable = |name: &str| (name == "STEER_CLUSTER_KEY").then(|| "00".repeat(16));
    let loaded = config::load(&[path], &variable).unwrap_or_else(|problems| panic!("{}", config::refused(&problems)));
    let settings = loaded.settings;
    assert!(settings.discovery[0].matches("/run/ringside-steer/found/slices.json"));
    assert!(manifest.contains("{ name: found, mountPath: /run/ringside-steer/found, readOnly: true }"));
    assert!(manifest.contains("mv /found/.slices /found/slices.json"));
    assert_eq!(settings.pin_dir, Path::new("/sys/fs/bpf/ringside-steer"));
    assert!(manifest.contains(&format!("{{ name: pins, mountPath: {} }}", settings.pin_dir.display())));
}

#[test]
fn the_daemon_gets_three_capabilities_and_the_sidecar_reads_and_nothing_else() {
    let manifest = read("kubernetes.yaml");
    let daemon = format!("drop: [ALL]\n              add: [{}]\n", RIGHTS.join(", "));
    assert!(manifest.contains(&daemon) && !manifest.contains("privileged: true"));
    assert!(manifest.contains("resources: [endpointslices]\n    verbs: [get, list]\n"));
    assert_eq!(manifest.matches("verbs:").count(), 1);
    assert_eq!(manifest.matches("mountPath: /var/run/secrets/").count(), 1, "only the sidecar has a token");
    let image = read("Containerfile");
    let rights = RIGHTS.map(|right| format!("cap_{}", right.to_lowercase())).join(",");
    // `make image` gives them to the program's file.
    let makefile = read("../../Makefile");
    assert!(makefile.contains(&format!(" ringside-steer 10213 {rights}\n")) && image.contains("\nUSER 10213:10213\n"));
    assert!(image.contains("\nFROM scratch\n") && manifest.contains("runAsUser: 10213"));
}

#[test]
fn the_unit_gives_three_capabilities_to_a_user_of_its_own() {
    let unit = read("ringside-steer.service");
    let rights = RIGHTS.map(|right| format!("CAP_{right}")).join(" ");
    for key in ["AmbientCapabilities", "CapabilityBoundingSet"] {
        assert_eq!(values(&unit, key), [rights.as_str()], "{key}");
    }
    for (key, value) in [("User", "ringside-steer"), ("NoNewPrivileges", "yes"), ("ProtectSystem", "strict")] {
        assert_eq!(values(&unit, key), [value], "{key}");
    }
    assert!(read("ringside-steer.sysusers").contains("\nu ringside-steer "));
    assert!(values(&unit, "ExecStart")[0].starts_with("/usr/bin/ringside-steer run "));
    let defaults = config::Steer::default();
    assert_eq!(defaults.state_dir, Path::new("/var/lib").join(values(&unit, "StateDirectory")[0]));
    assert_eq!(
        defaults.control.parent(),
        Some(Path::new("/run").join(values(&unit, "RuntimeDirectory")[0])).as_deref()
    );
}

#[test]
fn systemd_finds_little_to_expose() {
    let unit = folder().join("ringside-steer.service");
    let offline = ["security", "--offline=true", "--threshold=25", "--no-pager"];
    let output = match Command::new("systemd-analyze").args(offline).arg(unit).output() {
        Ok(output) => output,
        Err(error) => return testnet::skipped("systemd-analyze security of ringside-steer", &error.to_string()),
    };
    // The threshold is ten times the figure it shows.
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[track_caller]
fn promtool(arguments: &[&str]) {
    let output = match Command::new("promtool").args(arguments).current_dir(folder()).output() {
        Ok(output) => output,
        Err(error) => return testnet::skipped("promtool on the alerts of steering", &error.to_string()),
    };
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn each_alert_fires_on_what_it_is_for_and_is_silent_otherwise() {
    promtool(&["check", "rules", "--lint=all", "--lint-fatal", "rules.yml"]);
    promtool(&["test", "rules", "rules_test.yml"]);
}

#[test]
fn each_alert_has_cases_and_a_section_that_says_what_to_do() {
    let (rules, cases) = (read("rules.yml"), read("rules_test.yml"));
    let runbook = fs::read_to_string(folder().join("../../docs/steering.md")).expect("the page");
    let names: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(!names.is_empty(), "the alerts are found");
    for name in &names {
        assert!(cases.contains(&format!("alertname: {name}\n")), "{name} has no case in which it fires");
        assert!(runbook.contains(&format!("\n### {name}\n")), "{name} has no section in docs/steering.md");
        assert!(
            rules.contains(&format!(
                "runbook_url: file:///usr/share/doc/ringside/steering.md#{}\n",
                name.to_lowercase()
            )),
            "{name} does not name it"
        );
    }
    assert_eq!(runbook.matches("\n### SipSteer").count(), names.len(), "a section without an alert");
}

#[test]
fn alerts_and_the_dashboard_ask_for_what_is_exported() {
    let exported =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/exposition.rs")).expect("it is here");
    for file in ["rules.yml", "dashboard.json"] {
        let text = read(file);
        for (at, _) in text.match_indices("sip_steer_") {
            let rest = &text[at + "sip_steer_".len()..];
            let name = &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())];
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(exported.contains(&format!("\"{family}\"")), "{file} asks for sip_steer_{name}");
        }
    }
}
