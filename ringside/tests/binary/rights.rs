//! Whom `run` becomes where it is started as root, and what it can still reach.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use crate::program::{EPOCH, Folder, Running, command, outcome};

/// Captures nothing, serves on a free port.
fn config(service: &str) -> String {
    format!(
        "[receivers.sip_probe]\ntargets = [{{ name = 'a', endpoint = 'udp://127.0.0.1:9' }}]\n[exporters.prometheus]\n\
         endpoint = '127.0.0.1:0'\n[service]\n{service}\n[service.pipelines.metrics]\nreceivers = ['sip_probe']\n\
         exporters = ['prometheus']\n"
    )
}

fn is_root(test: &str) -> bool {
    let root = fs::metadata("/proc/self").expect("procfs is mounted").uid() == 0;
    if !root {
        testnet::skipped(test, "only root can become another user");
    }
    root
}

/// The line of a process's status that begins so.
fn status(running: &Running, key: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", running.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("the kernel says so");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn end(running: Running) {
    running.signal(libc::SIGTERM);
    assert!(running.end().0.success());
}

#[test]
fn started_as_root_it_becomes_nobody_and_can_be_reloaded() {
    if !is_root("started_as_root_it_becomes_nobody_and_can_be_reloaded") {
        return;
    }
    let folder = Folder::new();
    folder.write("run.toml", config(""));
    let (mut running, _) = Running::start(folder.path(), &["run", "--config", "run.toml"]);
    let said = running.await_log("rights: ");
    assert!(said.contains("rights: user nobody, no capabilities, files "), "{said}");
    assert_eq!(
        (status(&running, "Uid:").as_str(), status(&running, "CapPrm:").as_str()),
        ("65534 65534 65534 65534", "0000000000000000")
    );
    folder.write("run.toml", config("user = 'root'"));
    running.signal(libc::SIGHUP);
    let said = running.await_log("configuration reloaded");
    assert!(said.contains("the old value stays") && said.contains("service.user"), "{said}");
    end(running);
}

#[test]
fn what_nobody_cannot_read_keeps_it_root_unless_a_user_is_named() {
    if !is_root("what_nobody_cannot_read_keeps_it_root_unless_a_user_is_named") {
        return;
    }
    let folder = Folder::new();
    let path = folder.write("run.toml", config(""));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is ours");
    let (mut running, _) = Running::start(folder.path(), &["run", "--config", "run.toml"]);
    let said = running.await_log("rights: ");
    let expected =
        "it stays root, without capabilities: run.toml cannot be read (Permission denied (os error 13)) as \"nobody\"";
    assert!(said.contains(expected), "{said}");
    assert_eq!(
        (status(&running, "Uid:").as_str(), status(&running, "CapPrm:").as_str()),
        ("0 0 0 0", "0000000000000000")
    );
    end(running);

    let named = outcome(command(folder.path(), &["run", "--config", "run.toml", "--set", "service.user=nobody"]));
    assert_eq!(named.code, 1);
    assert!(named.stderr.contains("ringside: service.user: run.toml cannot be read ("), "{}", named.stderr);
    let unknown =
        outcome(command(folder.path(), &["run", "--config", "run.toml", "--set", "service.user=no-such-user"]));
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("service.user: there is no user \"no-such-user\""), "{}", unknown.stderr);
}

#[test]
fn what_was_found_at_the_start_is_what_is_read_again() {
    let test = "what_was_found_at_the_start_is_what_is_read_again";
    if !is_root(test) {
        return;
    }
    let folder = Folder::new();
    let closed = folder.path().join("closed");
    let system = folder.path().join("system");
    for (path, mode) in [(&closed, 0o700), (&system, 0o755)] {
        fs::create_dir(path).expect("it is new");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    }
    folder.write("system/pipeline.toml", config(""));
    let mut command = Command::new("unshare");
    // /etc is laid over: what is made in it goes with the mount.
    let script = format!(
        "mount -t tmpfs none /mnt && mkdir /mnt/etc /mnt/work && \
         mount -t overlay -o lowerdir=/etc,upperdir=/mnt/etc,workdir=/mnt/work none /etc && mkdir -p /etc/ringside && \
         mount --bind system /etc/ringside && cd closed && exec {} run",
        env!("CARGO_BIN_EXE_ringside")
    );
    command.args(["--mount", "sh", "-c", &script]).current_dir(folder.path());
    let (mut running, _) = Running::begin(command);
    let said = running.await_log("rights: ");
    assert!(said.contains("rights: user nobody, "), "{said}");
    running.signal(libc::SIGHUP);
    let said = running.await_log("onfiguration ");
    assert!(said.contains("configuration reloaded files=\"/etc/ringside/pipeline.toml\""), "{said}");
    end(running);
}

#[test]
fn a_configuration_behind_a_link_that_is_turned_is_read_again() {
    let folder = Folder::new();
    for revision in ["one", "two"] {
        fs::create_dir(folder.path().join(revision)).expect("it is new");
        folder.write(&format!("{revision}/run.toml"), config(""));
    }
    let turn = |target: &Path| {
        symlink(target, folder.path().join("next")).expect("it is new");
        fs::rename(folder.path().join("next"), folder.path().join("current")).expect("it is ours");
    };
    turn(Path::new("one"));
    let (mut running, _) = Running::start(folder.path(), &["run", "--config", "current/run.toml"]);
    let said = running.await_log("rights: ");
    turn(Path::new("two"));
    running.signal(libc::SIGHUP);
    running.await_log("configuration reloaded");
    if said.contains("files closed off by Landlock") {
        // Nothing of the path that was given at the start lies there.
        let elsewhere = Folder::new();
        elsewhere.write("run.toml", config(""));
        turn(elsewhere.path());
        running.signal(libc::SIGHUP);
        let said = running.await_log("the old one runs on");
        assert!(said.contains("is closed off by Landlock; if its permissions are right, restart"), "{said}");
    }
    end(running);
}

/// Reads a capture and has the flight recorder in `kept`.
fn recorder(folder: &Folder, mode: u32) {
    let messages = ladder::play("0.000 alice -> bob OPTIONS call=there\n0.100 alice <- bob 200 call=there\n");
    folder.write("a.pcap", ladder::pcap::write(&messages, EPOCH));
    let path = folder.write(
        "run.toml",
        "[receivers.pcap]\nfiles = ['a.pcap']\n[processors.dialog]\n[exporters.prometheus]\nendpoint = '127.0.0.1:0'\n\
         [exporters.pcap]\ndirectory = 'kept'\n[service.pipelines.metrics]\nreceivers = ['pcap']\n\
         processors = ['dialog']\nexporters = ['pcap', 'prometheus']\n",
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

#[test]
fn a_folder_is_made_for_whoever_it_stays() {
    if !is_root("a_folder_is_made_for_whoever_it_stays") {
        return;
    }
    for (mode, owner) in [(0o600, 0), (0o644, 65_534)] {
        let folder = Folder::new();
        recorder(&folder, mode);
        let (mut running, _) = Running::start(folder.path(), &["run", "--config", "run.toml"]);
        running.await_log("rights: ");
        let kept = fs::metadata(folder.path().join("kept")).expect("it is made");
        assert_eq!((kept.uid(), kept.mode() & 0o777), (owner, 0o700), "{mode:o}");
        assert!(status(&running, "Uid:").starts_with(&format!("{owner} ")), "{mode:o}");
        end(running);
    }
}

#[test]
fn a_folder_that_root_cannot_write_without_capabilities_is_refused() {
    if !is_root("a_folder_that_root_cannot_write_without_capabilities_is_refused") {
        return;
    }
    let folder = Folder::new();
    recorder(&folder, 0o600);
    let kept = folder.path().join("kept");
    fs::create_dir(&kept).expect("it is new");
    chown(&kept, Some(65_534), Some(65_534)).expect("it is ours");
    let expected =
        "ringside: kept cannot be written to (Permission denied (os error 13)) as root, which has no capabilities";
    for arguments in [&["--set", "service.shards=1"], &["--set", "service.user=root"]] {
        let outcome = outcome(command(folder.path(), &[&["run", "--config", "run.toml"][..], arguments].concat()));
        assert_eq!(outcome.code, 1, "{}", outcome.stderr);
        assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
    }
}

#[test]
fn a_user_comes_with_all_of_its_groups() {
    let test = "a_user_comes_with_all_of_its_groups";
    if !is_root(test) {
        return;
    }
    let folder = Folder::new();
    let path = folder.write("run.toml", config("user = 'nobody'"));
    chown(&path, Some(0), Some(4242)).expect("it is ours");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("it is ours");
    folder.write("group", "root:x:0:\nnogroup:x:65534:\nkeys:x:4242:nobody\n");
    let inside = |script: &str| {
        let mut command = Command::new("unshare");
        let script = format!("mount --bind group /etc/group && {script}");
        command.args(["--mount", "sh", "-c", &script]).current_dir(folder.path());
        command
    };
    if !inside("true").status().is_ok_and(|status| status.success()) {
        return testnet::skipped(test, "no mount can be made here");
    }
    let script = format!("exec {} run --config run.toml", env!("CARGO_BIN_EXE_ringside"));
    let (mut running, _) = Running::begin(inside(&script));
    let said = running.await_log("rights: ");
    assert!(said.contains("rights: user nobody, "), "{said}");
    assert_eq!(status(&running, "Groups:"), "4242 65534");
    end(running);
}

#[test]
fn as_root_it_stays_where_that_is_asked_for() {
    if !is_root("as_root_it_stays_where_that_is_asked_for") {
        return;
    }
    let folder = Folder::new();
    folder.write("run.toml", config("user = 'root'\nlandlock = false"));
    let (mut running, _) = Running::start(folder.path(), &["run", "--config", "run.toml"]);
    let said = running.await_log("rights: ");
    let expected =
        "rights: user root, as service.user says, no capabilities, files not closed off, as service.landlock says";
    assert!(said.contains(expected), "{said}");
    end(running);
}

#[test]
fn too_few_open_files_are_named_as_such() {
    let folder = Folder::new();
    folder.write("run.toml", config(""));
    let mut shell = Command::new("sh");
    let script = format!("ulimit -n 12; exec {} run --config run.toml", env!("CARGO_BIN_EXE_ringside"));
    shell.args(["-c", &script]).current_dir(folder.path());
    let outcome = outcome(shell);
    assert_eq!(outcome.code, 1);
    let expected = "ringside: only 12 files may be open at a time (ulimit -n), 64 are needed to start; raise the limit";
    assert!(outcome.stderr.starts_with(expected), "{}", outcome.stderr);
}
