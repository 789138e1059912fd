//! What `make install` leaves behind, without installing it: the files, the unit, the rights it gives. The package itself
//! is tried on a bare Debian by `make test-package`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use integration::ringside::{binary, command};
use integration::scratch::Folder;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Installs into a folder as `make install DESTDIR=folder PREFIX=prefix` does.
#[track_caller]
fn install(folder: &Folder, prefix: &str) {
    let script = repository().join("scripts/install.sh");
    let output = Command::new(script).arg(binary()).arg(folder.path()).arg(prefix).output().expect("bash runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty(), "below DESTDIR there is nothing to start");
}

fn unit() -> String {
    fs::read_to_string(repository().join("deploy/ringside.service")).expect("the unit")
}

/// All values of a key of the unit.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

#[test]
fn what_the_unit_names_is_installed() {
    let folder = Folder::new("install");
    install(&folder, "/opt/ringside");
    let installed = |path: &str| folder.path().join(path.trim_start_matches('/'));
    let unit = fs::read_to_string(installed("/opt/ringside/lib/systemd/system/ringside.service")).expect("the unit");
    for word in
        unit.split_whitespace().map(|word| word.trim_start_matches("ExecStart=").trim_start_matches("ExecReload="))
    {
        if word.starts_with("/opt/") || word.starts_with("/etc/ringside/") {
            assert!(installed(word).exists(), "{word} is not installed");
        }
    }
    assert!(values(&unit, "ExecStart")[0].starts_with("/opt/ringside/bin/ringside run "), "{unit}");
    let configuration = installed("/etc/ringside/pipeline.toml");
    let configuration = configuration.to_str().expect("a path");
    let validated = command(&["validate", "--config", configuration], folder.path());
    assert!(validated.status.success(), "{}", String::from_utf8_lossy(&validated.stderr));
    let user = fs::read_to_string(installed("/opt/ringside/lib/sysusers.d/ringside.conf")).expect("the user");
    for key in ["User", "Group"] {
        assert!(user.contains(&format!("\nu {} ", values(&unit, key)[0])), "{user}");
    }
}

#[test]
fn manual_pages_and_completions_are_installed() {
    let folder = Folder::new("install");
    install(&folder, "/usr");
    let text = |path: &str| {
        fs::read_to_string(folder.join("usr/share").join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    for page in ["ringside.1", "ringside-run.1", "ringside-watch.1", "ringside-ladder.1"] {
        assert!(text(&format!("man/man1/{page}")).contains(".TH ringside"), "{page}");
    }
    for completion in [
        "bash-completion/completions/ringside",
        "zsh/site-functions/_ringside",
        "fish/vendor_completions.d/ringside.fish",
    ] {
        assert!(text(completion).contains("watch"), "{completion}");
    }
}

#[test]
fn installing_again_keeps_what_the_operator_changed() {
    let folder = Folder::new("install");
    install(&folder, "/usr");
    let configuration = folder.join("etc/ringside/pipeline.toml");
    fs::write(&configuration, "# mine\n").expect("the file is there");
    install(&folder, "/usr");
    assert_eq!(fs::read_to_string(&configuration).expect("the file is there"), "# mine\n");
}

#[test]
fn the_service_gets_two_capabilities_and_nothing_else() {
    let unit = unit();
    for key in ["AmbientCapabilities", "CapabilityBoundingSet"] {
        assert_eq!(values(&unit, key), ["CAP_NET_RAW CAP_BPF"], "{key}");
    }
    for (key, value) in [("User", "ringside"), ("NoNewPrivileges", "yes"), ("ProtectSystem", "strict")] {
        assert_eq!(values(&unit, key), [value], "{key}");
    }
    assert!(!unit.contains("ExecStart=+") && !unit.contains("ExecStart=!"), "nothing runs with more");
}

#[test]
fn the_configurations_for_containers_are_valid() {
    let folder = Folder::new("containers");
    let kubernetes = fs::read_to_string(repository().join("deploy/kubernetes.yaml")).expect("the manifest");
    let (_, rest) = kubernetes.split_once("  pipeline.toml: |\n").expect("a configuration in it");
    let lines = rest.lines().take_while(|line| line.starts_with("    "));
    let pod: String = lines.flat_map(|line| [line.trim_start(), "\n"]).collect();
    fs::write(folder.join("pod.toml"), pod).expect("a file");
    let compose = fs::canonicalize(repository().join("deploy/compose/ringside.toml")).expect("a configuration");
    for file in [folder.join("pod.toml"), compose] {
        let validated = command(&["validate", "--config", file.to_str().expect("a path")], folder.path());
        assert!(validated.status.success(), "{}", String::from_utf8_lossy(&validated.stderr));
    }
}

#[test]
fn containers_get_two_capabilities_and_nothing_else() {
    let read = |path: &str| fs::read_to_string(repository().join("deploy").join(path)).expect("a file");
    let (compose, kubernetes, image) = (read("compose/compose.yaml"), read("kubernetes.yaml"), read("Containerfile"));
    assert!(compose.contains("    cap_drop: [ALL]\n    cap_add: [NET_RAW, BPF]\n") && !compose.contains("privileged:"));
    assert!(kubernetes.contains("drop: [ALL]\n              add: [NET_RAW, BPF]\n"));
    assert!(kubernetes.contains("runAsNonRoot: true") && !kubernetes.contains("privileged: true"));
    assert!(image.contains("\nFROM scratch\n") && image.contains("\nUSER 10212:10212\n"));
}

#[test]
fn systemd_finds_little_to_expose() {
    let offline = ["security", "--offline=true", "--threshold=20", "--no-pager"];
    let output = match Command::new("systemd-analyze")
        .args(offline)
        .arg(repository().join("deploy/ringside.service"))
        .output()
    {
        Ok(output) => output,
        Err(error) => return testnet::skipped("systemd-analyze security", &error.to_string()),
    };
    // The threshold is ten times the figure it shows.
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
