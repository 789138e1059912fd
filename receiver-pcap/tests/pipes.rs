//! Pipes: read as they come, once, beside files.

mod common;

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use common::{Order, Replay, START, message};

const MICROS: u32 = 0xa1b2_c3d4;

#[test]
fn a_named_pipe_is_read_once_and_merged_with_a_file() {
    let order = Order::LITTLE;
    let record = |second: u64, number| order.record(START + second, 0, &message(number));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (pipe, file) = (folder.path().join("pipe"), folder.path().join("file"));
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo is there");
    assert!(made.success());
    std::fs::write(&file, [order.pcap(MICROS, 101), record(0, 0), record(2, 2)].concat()).expect("room");
    let pieces = [order.pcap(MICROS, 101), record(1, 1), record(3, 3)];
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || {
            let mut pipe = std::fs::OpenOptions::new().write(true).open(pipe).expect("the reader opens it too");
            pieces.iter().for_each(|piece| pipe.write_all(piece).expect("the reader reads it all"));
        }
    });
    let replay = Replay::files(&[file, pipe].map(PathBuf::from)).expect("both are captures");
    writer.join().expect("the writer is done");
    assert_eq!(replay.numbers, [0, 1, 2, 3]);
    assert_eq!(replay.report.progress().total, None);
}
