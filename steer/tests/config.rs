//! One file for each good and each wrong configuration. Beside a wrong one stands what the operator reads.
//!
//! `UPDATE_GOLDEN=1` writes these texts anew; read the difference.

use std::fs;
use std::path::{Path, PathBuf};

use steer::config::{Settings, load, refused};

/// The TOML files of a folder under `tests/config`.
fn files(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(kind);
    let entries = fs::read_dir(&folder).expect("the folder is checked in");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

fn variable(name: &str) -> Option<String> {
    (name == "STEER_CLUSTER_KEY").then(|| "000102030405060708090a0b0c0d0e0f".to_owned())
}

/// What the operator reads, with the name of the file alone.
fn told(paths: &[PathBuf]) -> String {
    let problems = load(paths, &variable).map(|loaded| loaded.files).expect_err("it is wrong");
    let folder = format!("{}/", paths[0].parent().expect("a folder").display());
    format!("{}\n", refused(&problems).replace(&folder, ""))
}

fn settings(text: &str) -> Settings {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("steer.toml");
    fs::write(&path, text).expect("a file");
    load(&[path], &variable).expect("it is right").settings
}

#[test]
fn every_good_configuration_is_right() {
    for path in files("good") {
        let loaded = load(std::slice::from_ref(&path), &variable);
        let loaded = loaded.unwrap_or_else(|problems| panic!("{}", refused(&problems)));
        assert_eq!(loaded.warnings.iter().count(), 0, "{}", path.display());
    }
}

#[test]
fn every_wrong_configuration_is_refused_with_the_message_beside_it() {
    for path in files("wrong") {
        let found = told(std::slice::from_ref(&path));
        let beside = path.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&beside, &found).expect("it can be written");
        }
        let expected = fs::read_to_string(&beside).expect("it stands beside it");
        assert_eq!(found, expected, "{}", path.display());
    }
}

/// The example with the lines that are commented out made part of it.
fn example(uncommented: impl Fn(&str) -> bool) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/steer/steer.toml");
    let text = fs::read_to_string(path).expect("the example");
    let lines = text.lines().map(|line| match line.strip_prefix("# ") {
        Some(rest) if (rest.contains(" = ") || rest.starts_with("[[")) && uncommented(rest) => rest,
        _ => line,
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn the_example_says_the_defaults() {
    let plain = settings(&example(|_| false));
    let other = ["cluster_key", "files", "listen", "emergency", "probe", "[[", "match", "action", "limit"];
    let defaults = settings(&example(|line| !other.iter().any(|word| line.starts_with(word))));
    assert_eq!(plain, defaults);
}

#[test]
fn every_line_of_the_example_is_right() {
    let all = settings(&example(|_| true));
    let service = &all.services[0];
    assert!(all.cluster_key.is_some() && all.hints.is_some() && all.discovery.len() == 1 && service.probe.is_some());
    assert_eq!((service.rules.len(), service.emergency.users.len()), (3, 2));
}

#[test]
fn later_files_are_merged_over_earlier_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let (base, over) = (folder.path().join("steer.toml"), folder.path().join("over.toml"));
    fs::write(&base, example(|_| false)).expect("a file");
    fs::write(&over, "[steer]\nmode = \"active\"\ninterfaces = [\"lo\"]\n").expect("a file");
    let settings = load(&[base.clone(), over.clone()], &variable).expect("they are right").settings;
    assert_eq!((settings.mode.as_str(), settings.interfaces.len(), settings.services.len()), ("active", 1, 1));
    fs::write(&over, "[steer]\nmode = \"passive\"\n").expect("a file");
    let text = told(&[base, over]);
    assert!(text.contains("over.toml:2:8: steer.mode: \"passive\" is not known"), "{text}");
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_with_a_cure() {
    let text = told(&[PathBuf::from("/nowhere/steer.toml")]);
    assert!(text.contains("steer.toml: cannot be read: No such file") && text.contains("; check the name"), "{text}");
    let text = told(&[PathBuf::from("/dev/zero")]);
    assert!(text.contains("zero: cannot be read: ") && text.contains("16 MiB is the most"), "{text}");
}

#[test]
fn more_than_the_bounds_of_the_kernel_are_refused() {
    let head = "[steer]\ninterfaces = [\"eth0\"]\nallowed_backends = [\"10.0.0.0/8\"]\n";
    let service = |number: usize, rest: &str| {
        let backend = format!("{{ name = \"b\", addresses = [\"10.1.{number}.1:5060\"] }}");
        format!(
            "[[service]]\nname = \"s{number}\"\naddresses = [\"10.96.{number}.1:5060\"]\nbackend = [{backend}]\n{rest}"
        )
    };
    let refuse = |text: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("steer.toml");
        fs::write(&path, format!("{head}{text}")).expect("a file");
        told(&[path])
    };
    let services: String = (0..65).map(|number| service(number, "")).collect();
    assert!(refuse(&services).contains("65 services, and 64 are the most"));
    let rules = |count: usize, from: usize| -> String {
        let rule =
            |number| format!("[[service.rule]]\nmatch = {{ cidr = [\"172.16.{number}.0/24\"] }}\naction = \"drop\"\n");
        (from..from + count).map(rule).collect()
    };
    assert!(refuse(&service(0, &rules(33, 0))).contains("33 rules, and 32 are the most"));
    let combinations = [service(0, &rules(32, 0)), service(1, &rules(32, 32))].concat();
    assert!(refuse(&combinations).contains("rules name 64 combinations of networks, and 63 are the most"));
    let list = |from: usize| {
        (from..from + 2049)
            .map(|number| format!("\"172.{}.{}.0/24\"", number / 256, number % 256))
            .collect::<Vec<_>>()
            .join(",")
    };
    let rule = |from| format!("[[service.rule]]\nmatch = {{ cidr = [{}] }}\naction = \"drop\"\n", list(from));
    let networks = [service(0, &rule(0)), service(1, &rule(3000))].concat();
    assert!(refuse(&networks).contains("4098 networks in rules, and 4096 are the most"));
    let backends: String = (0..1025)
        .map(|number| {
            format!(
                "[[service.backend]]\nname = \"b{number}\"\naddresses = [\"10.9.{}.{}:5060\"]\n",
                number / 256,
                number % 256
            )
        })
        .collect();
    let text = refuse(&format!("[[service]]\nname = \"s\"\naddresses = [\"10.96.0.1:5060\"]\n{backends}"));
    assert!(text.contains("1025 backends of all services, and 1024 are the most"), "{text}");
}
