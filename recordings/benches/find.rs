//! A call among many on disk: a folder is filled, then asked for one number of all calls. Prints what each took.
//!
//! `RECORDINGS_CALLS` says how many calls of six messages (default 20,000, which tell nothing but that it runs).

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use pipeline::{FrameBatch, SipFrame};
use recordings::{Folder, Known, Limits, select};
use wire::Timestamp;

/// What one message is padded to, bytes.
const LONG: usize = 700;

fn batch(call: u64, batch: &mut FrameBatch) {
    let [one, other] = ["192.0.2.1:5060", "192.0.2.2:5060"].map(|text| text.parse().expect("an address"));
    let at = Timestamp::from_nanos(1_796_065_288_000_000_000 + call * 1_000_000);
    let lines = ["INVITE", "100 Trying", "180 Ringing", "200 OK", "ACK", "BYE"];
    for (index, line) in lines.into_iter().enumerate() {
        let is_request = line.len() < 7 && !line.contains(' ');
        let number = call.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 10_000_000_000;
        let (start, cseq) = match is_request {
            true => (format!("{line} sip:+49{number}@b.example SIP/2.0"), line),
            false => (format!("SIP/2.0 {line}"), "INVITE"),
        };
        let mut message = format!(
            "{start}\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{call:x}.{index}\r\nFrom: <sip:{call}@a.example>;tag={call:x}\r\n\
             To: <sip:+49{number}@b.example>\r\nCall-ID: {number:x}-{call:x}@192.0.2.1\r\nCSeq: 1 {cseq}\r\nX-Padding: "
        );
        for step in 0.. {
            if message.len() >= LONG - 24 {
                break;
            }
            message +=
                &format!("{:x}", (call ^ index as u64).wrapping_add(step << 40).wrapping_mul(0xD6E8_FEB8_6659_FD93));
        }
        message += "\r\nContent-Length: 0\r\n\r\n";
        let (source, destination) = if is_request { (one, other) } else { (other, one) };
        batch.push(message.as_bytes(), SipFrame::datagram(source, destination, at));
    }
}

fn main() {
    let calls: u64 = std::env::var("RECORDINGS_CALLS").ok().and_then(|calls| calls.parse().ok()).unwrap_or(20_000);
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let limits = Limits {
        rotate_size: 64 << 20,
        rotate_after: Duration::from_secs(1 << 20),
        max_total_size: 1 << 40,
        max_files: 100_000,
        compress: true,
    };
    let mut folder = Folder::open(place.path(), limits).expect("a folder that can be written");
    let (mut writing, mut bytes) = (Duration::ZERO, 0);
    for first in (0..calls).step_by(100) {
        let mut some = FrameBatch::default();
        (first..(first + 100).min(calls)).for_each(|call| batch(call, &mut some));
        bytes += some.bytes.len();
        let began = Instant::now();
        folder.put(&some, Duration::from_millis(first));
        writing += began.elapsed();
    }
    folder.close(Duration::from_secs(1 << 20));
    let messages = calls * 6;
    let size = |path: &Path, end: &str| -> u64 {
        let entries = fs::read_dir(path).expect("a folder").flatten();
        let sized = entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(end));
        sized.map(|entry| entry.metadata().map_or(0, |data| data.len())).sum()
    };
    println!("messages   {messages} of {} MB", bytes >> 20);
    println!("written    {:.2} µs a message, packing included", writing.as_secs_f64() * 1e6 / messages as f64);
    println!("on disk    {} MB, indexes {} MB", size(place.path(), ".zst") >> 20, size(place.path(), ".index") >> 20);
    let number = format!("+49{}", (calls / 2).wrapping_mul(0x9E37_79B9_7F4A_7C15) % 10_000_000_000);
    let wanted = |known: &Known<'_>| known.parties.iter().any(|parties| parties.to.as_deref() == Some(number.as_str()));
    let began = Instant::now();
    let (found, _) =
        select(place.path(), &(Timestamp::ZERO..Timestamp::NEVER), &wanted, &mut Vec::new()).expect("it can be read");
    println!("found      {found} messages of one number in {:.2} s", began.elapsed().as_secs_f64());
    assert_eq!(found, 6);
}
