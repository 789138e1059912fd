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

/// Pages of documentation in a folder and below.
fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            pages(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "md") {
            found.push(entry);
        }
    }
}

#[test]
fn installed_pages_have_no_dead_links() {
    let folder = Folder::new("install");
    install(&folder, "/usr");
    let mut found = Vec::new();
    pages(&folder.join("usr/share/doc/ringside"), &mut found);
    let mut checked = 0;
    for page in &found {
        let text = fs::read_to_string(page).expect("a page");
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split([')', '#', ' ', '\n']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") {
                assert!(page.parent().expect("a folder").join(target).exists(), "{}: {target}", page.display());
                checked += 1;
            }
        }
    }
    assert!(found.len() > 20 && checked > 100, "{} pages, {checked} links", found.len());
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
    // The chart has the same file, by a link.
    for file in ["deploy/helm/ringside/files/pipeline.toml", "deploy/compose/ringside.toml"] {
        let file = fs::canonicalize(repository().join(file)).expect("a configuration");
        let file = file.to_str().expect("a path");
        let validated = Command::new(binary())
            .args(["validate", "--config", file])
            .env("HOST_IP", "192.0.2.1")
            .env("CONSOLE_TOKEN", "a token of some length")
            .current_dir(folder.path())
            .output()
            .expect("it starts");
        assert!(validated.status.success(), "{file}: {}", String::from_utf8_lossy(&validated.stderr));
    }
}

#[test]
fn containers_get_two_capabilities_and_nothing_else() {
    let read = |path: &str| fs::read_to_string(repository().join("deploy").join(path)).expect("a file");
    let (compose, kubernetes, image) =
        (read("compose/compose.yaml"), read("kubernetes/daemonset.yaml"), read("Containerfile"));
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
