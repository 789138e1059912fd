//! The alerts of `deploy/`: promtool runs the cases beside them, and each has a page that says what to do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use integration::scratch::Folder;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[track_caller]
fn promtool(arguments: &[&str]) {
    let output = Command::new("promtool").args(arguments).current_dir(repository().join("deploy")).output();
    let output = output.expect("promtool is installed");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn the_rules_are_well_formed() {
    promtool(&["check", "rules", "--lint=all", "--lint-fatal", "rules.yml"]);
}

#[test]
fn the_scrape_configuration_is_well_formed() {
    // In the container both lie in one folder.
    let folder = Folder::new("prometheus");
    for (from, to) in [("compose/prometheus.yml", "prometheus.yml"), ("rules.yml", "rules.yml")] {
        fs::copy(repository().join("deploy").join(from), folder.join(to)).expect("a copy");
    }
    promtool(&["check", "config", folder.join("prometheus.yml").to_str().expect("a path")]);
}

#[test]
fn each_alert_fires_on_what_it_is_for_and_is_silent_otherwise() {
    promtool(&["test", "rules", "rules_test.yml"]);
}

#[test]
fn each_alert_has_cases_and_a_section_of_the_runbook() {
    let read = |path: &str| fs::read_to_string(repository().join(path)).expect("a file of the repository");
    let (rules, cases, runbook) = (read("deploy/rules.yml"), read("deploy/rules_test.yml"), read("docs/alerts.md"));
    let mut alerts = 0;
    for name in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        alerts += 1;
        assert!(cases.contains(&format!("alertname: {name}\n")), "{name} has no case in which it fires");
        assert!(runbook.contains(&format!("\n## {name}\n")), "{name} has no section in docs/alerts.md");
        assert!(
            rules.contains(&format!("runbook_url: file:///usr/share/doc/ringside/alerts.md#{}\n", name.to_lowercase())),
            "{name} does not name its section"
        );
    }
    assert!(alerts > 0, "the alerts are found");
    assert_eq!(runbook.matches("\n## Sip").count(), alerts, "a section without an alert");
}
