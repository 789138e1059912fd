//! Folders of recordings: what is put is found again, limits hold, and nothing of somebody else's is touched.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use pipeline::Transport;
use recordings::{Folder, Known, Limits, captures};
use wire::Timestamp;

use common::{ALWAYS, LIMITS, SECOND, batch, of, open, put, selected, time};

/// Files of recordings in a folder, with their sizes.
fn sizes(path: &Path) -> Vec<(String, u64)> {
    let entries = fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry"));
    let size = |entry: fs::DirEntry| {
        (entry.file_name().into_string().expect("text"), entry.metadata().map_or(0, |data| data.len()))
    };
    entries.map(size).filter(|(name, _)| name.starts_with("ringside-")).collect()
}

#[test]
fn what_is_put_is_found_again_call_by_call() {
    for (compress, transport) in [true, false]
        .into_iter()
        .flat_map(|compress| [Transport::Udp, Transport::Tcp, Transport::Ws].map(|transport| (compress, transport)))
    {
        let place = tempfile::tempdir().expect("a folder");
        let mut folder = open(place.path(), Limits { compress, ..LIMITS });
        (0..50).for_each(|at| folder.put(&batch(&["one", "two", "three"], at, transport), SECOND * at));
        folder.close(SECOND * 50);
        assert_eq!(folder.counts().written, 150);
        let (number, capture) = selected(place.path(), &ALWAYS, &of("two"));
        assert_eq!(number, 50);
        let text = String::from_utf8_lossy(&capture);
        assert_eq!(text.matches("Call-ID: two\r\n").count(), 50, "{transport:?}");
        assert!(!text.contains("Call-ID: one\r\n") && !text.contains("Call-ID: three\r\n"));
        let by_user =
            |known: &Known<'_>| known.parties.iter().any(|parties| parties.to.as_deref() == Some("three-callee"));
        assert_eq!(selected(place.path(), &ALWAYS, &by_user).0, 50);
    }
}

#[test]
fn what_the_capture_cut_is_written_and_selected_as_cut() {
    for compress in [true, false] {
        let place = tempfile::tempdir().expect("a folder");
        let mut folder = open(place.path(), Limits { compress, ..LIMITS });
        let mut some = batch(&["one", "two"], 1, Transport::Udp);
        some.frames[1].missing = 700;
        let len = some.frames[1].range.len() as u32;
        folder.put(&some, SECOND);
        folder.close(SECOND * 2);
        let (number, capture) = selected(place.path(), &ALWAYS, &of("two"));
        assert_eq!(number, 1);
        // In the block of the packet: what was kept of it, and how long it was (headers of IPv4 and UDP included).
        let lengths = [(28 + len).to_le_bytes(), (28 + len + 700).to_le_bytes()].concat();
        assert!(capture.windows(8).any(|bytes| bytes == lengths), "{compress}");
    }
}

#[test]
fn messages_of_a_call_are_found_whichever_of_its_files_tells_whose_it_is() {
    let place = tempfile::tempdir().expect("a folder");
    let mut folder = open(place.path(), LIMITS);
    // Of the first and the last file only the response of a call is in: the request in the second names who is asked for.
    for at in 0..3 {
        let mut some = batch(&["one"], at, Transport::Udp);
        if at != 1 {
            let text = String::from_utf8(some.bytes.clone()).expect("text");
            let (_, rest) = text.split_once("\r\n").expect("a first line");
            let (response, frame) = (format!("SIP/2.0 200 OK\r\n{rest}"), some.frames[0].clone());
            some.clear();
            some.push(response.as_bytes(), frame);
        }
        folder.put(&some, SECOND * at);
        folder.close(SECOND * at);
    }
    put(&mut folder, &["two"], 3..4);
    folder.close(SECOND * 4);
    let by_user = |known: &Known<'_>| known.parties.iter().any(|parties| parties.to.as_deref() == Some("one-callee"));
    assert_eq!(selected(place.path(), &ALWAYS, &by_user).0, 3);
}

#[test]
fn a_period_leaves_out_what_has_nothing_in_it() {
    let place = tempfile::tempdir().expect("a folder");
    let mut folder = open(place.path(), LIMITS);
    for (at, call) in [(0, "early"), (1000, "late")] {
        put(&mut folder, &[call], at..at + 1);
        folder.close(SECOND * at);
    }
    assert_eq!(selected(place.path(), &(time(500)..Timestamp::NEVER), &|_| true).0, 1);
    assert_eq!(selected(place.path(), &ALWAYS, &|_| true).0, 2);
}

#[test]
fn limits_hold_at_every_moment_and_the_oldest_go() {
    let place = tempfile::tempdir().expect("a folder");
    let small = Limits { rotate_size: 4000, max_total_size: 13_000, ..LIMITS };
    for limits in [small, Limits { max_files: 3, ..LIMITS }, Limits { compress: false, ..small }] {
        let mut folder = open(place.path(), limits);
        for at in 0..1000 {
            put(&mut folder, &["one", "two"], at..at + 1);
            let sizes = sizes(place.path());
            let total: u64 = sizes.iter().map(|(_, size)| size).sum();
            assert!(total <= limits.max_total_size, "{total} bytes");
            let files: BTreeSet<&str> = sizes.iter().filter_map(|(name, _)| name.split('.').next()).collect();
            assert!(files.len() <= limits.max_files, "{files:?}");
        }
        folder.close(SECOND * 1000);
        let counts = folder.counts();
        assert!(counts.deleted > 0 && counts.failed == 0, "{counts:?}");
        assert_eq!(counts.bytes, sizes(place.path()).iter().map(|(_, size)| size).sum::<u64>());
        // The newest are there.
        assert!(selected(place.path(), &(time(999)..Timestamp::NEVER), &|_| true).0 > 0);
    }
}

#[test]
fn files_of_others_stay() {
    let others = ["evidence.pcap", "ringside.pcapng", "ringside-20200101T000000Z-000001.pcapng.old", "notes.txt"];
    let place = tempfile::tempdir().expect("a folder");
    for name in others {
        fs::write(place.path().join(name), [0; 90_000]).expect("it can be written");
    }
    let mut folder = open(place.path(), Limits { max_files: 2, ..LIMITS });
    put(&mut folder, &["one"], 0..500);
    folder.close(SECOND * 500);
    for name in others {
        assert!(place.path().join(name).exists(), "{name} is gone");
    }
    let listed = captures(place.path()).expect("it can be read");
    assert!(listed.ends_with(&["evidence.pcap", "ringside.pcapng"].map(|name| place.path().join(name))), "{listed:?}");
}

/// The files as they are, as after a sudden end.
fn copied(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().expect("a folder");
    for (name, _) in sizes(from) {
        fs::copy(from.join(&name), to.path().join(name)).expect("it can be copied");
    }
    to
}

#[test]
fn a_sudden_end_loses_the_last_second_at_most_and_the_next_start_goes_on() {
    let place = tempfile::tempdir().expect("a folder");
    let mut folder = open(place.path(), LIMITS);
    put(&mut folder, &["one"], 0..20);
    let left = copied(place.path());
    // Half a block, as the last write may have left it.
    let mut names = sizes(left.path()).into_iter().map(|(name, _)| name);
    let name = names.find(|name| name.ends_with(".pcapng")).expect("one is open");
    let bytes = [fs::read(left.path().join(&name)).expect("it is there"), vec![6, 0, 0, 0, 99]].concat();
    fs::write(left.path().join(&name), bytes).expect("it can be written");
    let mut folder = open(left.path(), LIMITS);
    assert!(!left.path().join(&name).exists(), "it was compressed");
    assert!(selected(left.path(), &ALWAYS, &of("one")).0 >= 19);
    put(&mut folder, &["two"], 30..31);
    folder.close(SECOND * 31);
    assert_eq!(selected(left.path(), &ALWAYS, &of("two")).0, 1);
    assert!(sizes(left.path()).iter().any(|(name, _)| name.contains("-000002.")));
}

#[test]
fn what_is_written_now_is_found_too() {
    let place = tempfile::tempdir().expect("a folder");
    let mut folder = open(place.path(), LIMITS);
    put(&mut folder, &["one"], 0..1);
    folder.tick(SECOND);
    assert_eq!(selected(place.path(), &ALWAYS, &of("one")).0, 1);
}

#[test]
fn an_old_file_is_closed_although_nothing_comes() {
    let place = tempfile::tempdir().expect("a folder");
    let mut folder = open(place.path(), Limits { rotate_after: SECOND * 60, ..LIMITS });
    put(&mut folder, &["one"], 0..1);
    folder.tick(SECOND * 59);
    assert!(sizes(place.path()).iter().any(|(name, _)| name.ends_with(".pcapng")));
    folder.tick(SECOND * 60);
    assert!(sizes(place.path()).iter().all(|(name, _)| name.contains(".pcapng.zst")));
}

#[test]
fn a_folder_has_one_writer() {
    let place = tempfile::tempdir().expect("a folder");
    let first = open(place.path(), LIMITS);
    let refused = Folder::open(place.path(), LIMITS).expect_err("it is taken");
    assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
    drop(first);
    open(place.path(), LIMITS);
}

#[test]
fn a_batch_larger_than_a_file_makes_several() {
    let place = tempfile::tempdir().expect("a folder");
    let mut folder = open(place.path(), Limits { rotate_size: 4000, max_total_size: 40_000, ..LIMITS });
    put(&mut folder, &["one", "two"], 0..500);
    let total: u64 = sizes(place.path()).iter().map(|(_, size)| size).sum();
    assert!(total <= 40_000 && folder.counts().files > 3, "{total} bytes in {} files", folder.counts().files);
}

#[test]
fn a_recording_whose_index_was_lost_is_kept() {
    let place = tempfile::tempdir().expect("a folder");
    let mut folder = open(place.path(), LIMITS);
    put(&mut folder, &["one"], 0..5);
    folder.tick(SECOND * 60);
    drop(folder);
    let index = sizes(place.path()).into_iter().find(|(name, _)| name.ends_with(".index")).expect("it is open");
    std::fs::write(place.path().join(index.0), b"").expect("a power cut");
    let data = |sizes: Vec<(String, u64)>| sizes.into_iter().find(|(name, _)| name.ends_with(".pcapng"));
    let before = data(sizes(place.path())).expect("the recording");
    drop(open(place.path(), LIMITS));
    assert_eq!(data(sizes(place.path())), Some(before), "who looks for something reads it as a whole");
}
