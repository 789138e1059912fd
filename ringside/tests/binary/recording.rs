//! The flight recorder, and folders of what it recorded.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use pipeline::{FrameBatch, SipFrame};
use recordings::{Folder as Recorder, Limits};

use crate::calls::{objects, printed};
use crate::program::{EPOCH, Folder, Running, command};
use crate::running::get;

const CALLS: &str = "
    0.000 alice -> bob INVITE sdp from=sip:+4930123456@example.org to=sip:2002@example.org
    0.500 alice <- bob 180
    4.000 alice <- bob 200 sdp
    4.010 alice -> bob ACK
    5.000 carol -> bob INVITE call=busy from=sip:1001@example.org to=sip:2003@example.org
    5.200 carol <- bob 486 call=busy
    5.210 carol -> bob ACK call=busy
    6.000 carol -> bob REGISTER call=there from=sip:1001@example.org to=sip:1001@example.org
    6.100 carol <- bob 200 call=there
    64.000 alice -> bob BYE
    64.020 alice <- bob 200
";

fn config(folder: &Folder) {
    folder.write("a.pcap", ladder::pcap::write(&ladder::play(CALLS), EPOCH));
    folder.write(
        "run.toml",
        "[receivers.pcap]\nfiles = ['a.pcap']\n[processors.dialog]\n[exporters.prometheus]\nendpoint = '127.0.0.1:0'\n\
         [exporters.pcap]\ndirectory = 'kept'\n[service.pipelines.metrics]\nreceivers = ['pcap']\n\
         processors = ['dialog']\nexporters = ['pcap', 'prometheus']\n",
    );
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .filter(|name| name.starts_with("ringside-"))
        .collect();
    names.sort();
    names
}

/// Records what is to be recorded, to its end.
fn recorded(folder: &Folder) {
    if !folder.path().join("run.toml").exists() {
        config(folder);
    }
    let (running, announced) = Running::start(folder.path(), &["run", "--config", "run.toml"]);
    while !get(&announced, "/internal/metrics").contains("otelcol_exporter_sent_messages{exporter=\"pcap\"} 11\n") {
        std::thread::yield_now();
    }
    running.signal(libc::SIGTERM);
    running.end();
}

/// A capture of which so many bytes of each packet were kept.
fn cut(capture: &[u8], most: usize) -> Vec<u8> {
    let (head, mut rest) = capture.split_at(24);
    let mut made = head.to_vec();
    while let Some((record, behind)) = rest.split_at_checked(16) {
        let len = u32::from_le_bytes(record[8..12].try_into().expect("four bytes")) as usize;
        let kept = len.min(most);
        made.extend_from_slice(&record[..8]);
        made.extend_from_slice(&(kept as u32).to_le_bytes());
        made.extend_from_slice(&record[12..]);
        made.extend_from_slice(&behind[..kept]);
        rest = &behind[len..];
    }
    made
}

/// The bodies are cut, not what makes calls of messages.
#[test]
fn what_the_capture_cut_is_recorded_and_made_anonymous_as_cut() {
    let folder = Folder::new();
    config(&folder);
    let whole = fs::read(folder.path().join("a.pcap")).expect("it was written");
    let some = cut(&whole, 400);
    assert!(some.len() < whole.len() - 100);
    folder.write("a.pcap", some);
    let all =
        |arguments: &[&str]| objects(&printed(&folder, &[&["calls", "--format", "json", "--all"], arguments].concat()));
    let seen = all(&["a.pcap"]);
    assert_eq!(seen.len(), 3, "{seen:?}");
    recorded(&folder);
    assert_eq!(all(&["kept"]), seen);
    let made = printed(&folder, &["extract", "a.pcap", "--all", "--anonymize", "-o", "b.pcapng"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert_eq!(all(&["b.pcapng"]).len(), 3);
}

#[test]
fn nothing_is_left_of_what_was_selected_by_a_program_that_is_ended() {
    let folder = Folder::new();
    recorded(&folder);
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary).expect("a folder");
    // Another capture in the folder: what is selected is there before it is opened, and the program waits for who writes it.
    let pipe = folder.path().join("kept/later.pcap");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("coreutils are installed").success());
    let mut command = command(folder.path(), &["calls", "kept", "--number", "2003"]);
    let mut child = command.env("TMPDIR", &temporary).stdout(Stdio::null()).spawn().expect("the binary was built");
    let writer = fs::File::options().write(true).open(&pipe).expect("somebody reads it");
    let left = fs::read_dir(&temporary).expect("a folder").count();
    child.kill().expect("it was not waited for");
    child.wait().expect("it was not waited for");
    drop(writer);
    assert_eq!(left, 0);
}

#[test]
fn what_was_recorded_is_listed_as_it_was_seen() {
    let folder = Folder::new();
    config(&folder);
    let (running, announced) = Running::start(folder.path(), &["run", "--config", "run.toml"]);
    assert!(announced.contains("\nrecordings  kept\n"), "{announced}");
    // Written within a second, whether it ends or not.
    while !get(&announced, "/internal/metrics").contains("otelcol_exporter_sent_messages{exporter=\"pcap\"} 11\n") {
        std::thread::yield_now();
    }
    let all =
        |arguments: &[&str]| objects(&printed(&folder, &[&["calls", "--format", "json", "--all"], arguments].concat()));
    assert_eq!(all(&["kept"]), all(&["a.pcap"]), "while it is written");
    running.signal(libc::SIGTERM);
    let (status, log) = running.end();
    assert_eq!(status.code(), Some(0), "{log}");
    let kept = names(&folder.path().join("kept"));
    assert_eq!(
        kept,
        ["ringside-20260101T000000Z-000001.pcapng.zst", "ringside-20260101T000000Z-000001.pcapng.zst.index"]
    );
    for more in [
        &[][..],
        &["--filter", "to ~ \".*2003\""],
        &["--filter", "from == 1001 and outcome != busy"],
        &["--number", "123456"],
        &["--since", "2026-01-01T00:00:05Z"],
        &["--until", "2026-01-01T00:00:05Z"],
    ] {
        assert_eq!(all(&[&["kept"], more].concat()), all(&[&["a.pcap"], more].concat()), "{more:?}");
    }
    let drawn = |what: &str| printed(&folder, &["ladder", what, "--call-id", "busy", "--raw"]);
    assert_eq!(drawn("kept").stdout, drawn("a.pcap").stdout);
    assert_eq!(printed(&folder, &["calls", "kept", "--filter", "to == nobody"]).code, 1);
    let metrics = |what: &str| {
        let text = printed(&folder, &["replay", what]).stdout;
        text.lines().filter(|line| line.contains("session_outcomes_total")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(metrics("kept"), metrics("a.pcap"));
}

#[test]
fn a_sudden_end_loses_nothing_that_was_there_for_a_second() {
    let folder = Folder::new();
    config(&folder);
    let (running, announced) = Running::start(folder.path(), &["run", "--config", "run.toml"]);
    while !get(&announced, "/internal/metrics").contains("otelcol_exporter_sent_messages{exporter=\"pcap\"} 11\n") {
        std::thread::yield_now();
    }
    running.signal(libc::SIGKILL);
    running.end();
    let listed = |what: &str| printed(&folder, &["calls", what, "--format", "json"]).stdout;
    assert_eq!(listed("kept"), listed("a.pcap"));
    // The next start closes it and begins another one.
    let (running, _) = Running::start(folder.path(), &["run", "--config", "run.toml"]);
    running.signal(libc::SIGTERM);
    running.end();
    let kept = names(&folder.path().join("kept"));
    assert!(kept.iter().all(|name| name.contains(".pcapng.zst")) && kept.len() == 4, "{kept:?}");
}

#[test]
fn a_second_recorder_is_refused() {
    let folder = Folder::new();
    config(&folder);
    let (running, _) = Running::start(folder.path(), &["run", "--config", "run.toml"]);
    let refused = printed(&folder, &["run", "--config", "run.toml"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("another program records into kept"), "{}", refused.stderr);
    running.signal(libc::SIGTERM);
    running.end();
}

/// Calls of which only the index tells which file they are in, beside a capture of somebody else.
#[test]
fn a_folder_may_hold_other_captures_too() {
    let folder = Folder::new();
    let kept = folder.path().join("kept");
    let limits = Limits {
        rotate_size: 1 << 20,
        rotate_after: Duration::from_secs(60),
        max_total_size: 1 << 30,
        max_files: 10,
        compress: true,
    };
    let mut recorder = Recorder::open(&kept, limits).expect("a folder that can be written");
    let mut batch = FrameBatch::default();
    for step in ladder::play("0 alice -> bob INVITE call=own to=sip:1234@b\n1 alice <- bob 404 call=own\n") {
        let at = wire::Timestamp::from_nanos((EPOCH + step.at).as_nanos() as u64);
        batch.push(&step.bytes, SipFrame::datagram(step.source, step.destination, at));
    }
    recorder.put(&batch, Duration::ZERO);
    recorder.close(Duration::ZERO);
    let others = ladder::play("0 alice -> bob INVITE call=other to=sip:1234@b\n1 alice <- bob 404 call=other\n");
    fs::write(kept.join("other.pcap"), ladder::pcap::write(&others, EPOCH)).expect("it can be written");
    let listed = printed(&folder, &["calls", "kept", "--filter", "to == 1234", "--format", "json"]);
    let ids: Vec<String> = objects(&listed).iter().map(|call| call["call_id"].to_string()).collect();
    assert_eq!(ids.len(), 2, "{ids:?}");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).expect("it can be made");
    let nothing = printed(&folder, &["calls", "empty"]);
    assert_eq!(nothing.code, 1);
    assert!(nothing.stderr.contains("no capture is in this folder"), "{}", nothing.stderr);
}
