//! What can be typed, what cannot, and the exit codes that say so.

use std::fs;

use crate::program::{Folder, command, run};

#[test]
fn what_does_not_exist_is_refused_as_unknown() {
    let folder = Folder::new();
    for arguments in [
        &["calls"][..],
        &["calls", "x.pcap", "--export"],
        &["calls", "x.pcap", "--format", "mermaid"],
        &["ladder", "x.pcap", "--format", "table"],
        &["replay"],
        &["replay", "x.pcap", "--format", "xml"],
        &["replay", "x.pcap", "--ports", "70000"],
        &["run", "extra"],
        &["probe"],
        &["hash"],
        &["probe", "http://x"],
        &["probe", "x", "--transport", "ws"],
        &["probe", "x", "--count", "0"],
        &["probe", "x", "--interval", "10ms"],
        &["--no-such-flag"],
    ] {
        let outcome = run(folder.path(), arguments);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(outcome.stderr.starts_with("error: "), "{arguments:?}: {}", outcome.stderr);
    }
}

#[test]
fn help_and_version_succeed() {
    let folder = Folder::new();
    let help = run(folder.path(), &["--help"]);
    assert_eq!(help.code, 0);
    for command in [
        "run",
        "validate",
        "print-config",
        "print-schema",
        "components",
        "doctor",
        "replay",
        "calls",
        "ladder",
        "probe",
        "hash",
    ] {
        assert!(help.stdout.contains(&format!("\n  {command} ")), "{command} not in\n{}", help.stdout);
    }
    let version = run(folder.path(), &["--version"]);
    let words: Vec<&str> = version.stdout.trim_end().split(' ').collect();
    let expected = ["ringside", env!("CARGO_PKG_VERSION"), "(commit", "rustc"];
    assert_eq!((version.code, [words[0], words[1], words[2], words[4]]), (0, expected), "{words:?}");
}

#[test]
fn components_lists_what_is_compiled_in() {
    let folder = Folder::new();
    let outcome = run(folder.path(), &["components"]);
    let names: Vec<&str> = outcome.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let expected = [
        "receivers:",
        "ebpf_sip",
        "pcap",
        "sip_probe",
        "processors:",
        "dialog",
        "affinity",
        "enrich",
        "media",
        "sampling",
        "exporters:",
        "prometheus",
        "otlp_grpc",
        "otlp_http",
        "pcap",
        "extensions:",
        "console",
        "probe_endpoint",
        "file_storage",
    ];
    assert_eq!((outcome.code, names), (0, expected.to_vec()));
}

#[test]
fn the_exit_code_does_not_depend_on_who_reads_the_errors() {
    let folder = Folder::new();
    let (read, write) = std::io::pipe().expect("a pipe can be made");
    drop(read);
    let mut command = command(folder.path(), &["validate", "--config", "gone.toml"]);
    assert_eq!(command.stderr(write).status().expect("the binary was built").code(), Some(2));
}

#[test]
fn shells_and_readers_are_told_what_can_be_typed() {
    let folder = Folder::new();
    for (shell, said) in
        [("bash", "complete -F _ringside"), ("zsh", "#compdef ringside"), ("fish", "complete -c ringside")]
    {
        let script = run(folder.path(), &["completions", shell]);
        assert_eq!((script.code, script.stderr.as_str()), (0, ""));
        assert!(script.stdout.contains(said) && script.stdout.contains("watch"), "{shell}");
    }
    let page = run(folder.path(), &["man"]);
    assert!(page.stdout.contains(".TH ringside 1") && page.stdout.contains("ringside\\-calls(1)"), "{}", page.stdout);
    let page = run(folder.path(), &["man", "ladder"]);
    assert!(
        page.stdout.contains(".TH ringside-ladder 1") && page.stdout.contains("\\-\\-call\\-id"),
        "{}",
        page.stdout
    );
    assert_eq!(run(folder.path(), &["man", "none"]).code, 2);
    fs::create_dir(folder.path().join("pages")).expect("it can be made");
    assert_eq!(run(folder.path(), &["man", "-o", "pages"]).code, 0);
    let pages = fs::read_dir(folder.path().join("pages")).expect("it is there").count();
    assert!(pages > 10 && folder.path().join("pages/ringside-watch.1").exists(), "{pages}");
}

#[test]
fn components_lists_every_metric_with_what_it_costs() {
    let folder = Folder::new();
    let outcome = run(folder.path(), &["components", "--metrics"]);
    assert_eq!(outcome.code, 0);
    let words = |name: &str| -> Vec<String> {
        let line = outcome.stdout.lines().find(|line| line.split(' ').next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("{name} not in\n{}", outcome.stdout));
        line.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(words("ttr"), ["ttr", "histogram", "ms", "18", "carrier,", "ua_type"]);
    assert_eq!(words("ser"), ["ser", "gauge", "%", "1", "carrier,", "ua_type"]);
    assert_eq!(words("trunk_attempts_total"), ["trunk_attempts_total", "counter", "1", "2", "carrier,", "direction"]);
    assert_eq!(words("build_info"), ["build_info", "gauge", "1", "1", "version,", "revision,", "rustversion"]);
    assert_eq!(outcome.stdout.lines().count(), 1 + metrics::schema::families().count());
}
