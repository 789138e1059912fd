//! Messages for folders, and what is selected of them.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pipeline::{FrameBatch, SipFrame, Transport};
use recordings::{Folder, Known, Limits, select};
use wire::Timestamp;

const EPOCH: u64 = 1_796_065_288_000_000_000;
pub const ALWAYS: Range<Timestamp> = Timestamp::ZERO..Timestamp::NEVER;
pub const SECOND: Duration = Duration::from_secs(1);

pub const LIMITS: Limits = Limits {
    rotate_size: 20_000,
    rotate_after: Duration::from_secs(3600),
    max_total_size: 100_000,
    max_files: 100,
    compress: true,
};

/// A batch with a message of each of these calls, second `at`.
pub fn batch(calls: &[&str], at: u32, transport: Transport) -> FrameBatch {
    let [source, destination] = ["192.0.2.1:5060", "192.0.2.2:5060"].map(|text| text.parse().expect("an address"));
    let mut batch = FrameBatch::default();
    for call in calls {
        let message = format!(
            "INVITE sip:bob@b.example SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK{call}{at}\r\n\
             From: <sip:{call}-caller@a>;tag=1\r\nTo: <sip:{call}-callee@b>\r\nCall-ID: {call}\r\n\
             CSeq: {at} INVITE\r\nContent-Length: 0\r\n\r\n"
        );
        let frame = SipFrame { transport, ..SipFrame::datagram(source, destination, time(at)) };
        batch.push(message.as_bytes(), frame);
    }
    batch
}

pub fn time(second: u32) -> Timestamp {
    Timestamp::from_nanos(EPOCH + u64::from(second) * 1_000_000_000)
}

pub fn open(path: &Path, limits: Limits) -> Folder {
    let mut folder = Folder::open(path, limits).expect("a folder that can be written");
    folder.take_up().expect("it can be read");
    folder
}

/// A message of each of these calls in each of these seconds.
pub fn put(folder: &mut Folder, calls: &[&str], seconds: Range<u32>) {
    seconds.for_each(|at| folder.put(&batch(calls, at, Transport::Udp), SECOND * at));
}

/// The number of messages that are selected of a folder, and the capture itself.
pub fn selected(path: &Path, period: &Range<Timestamp>, wanted: &dyn Fn(&Known<'_>) -> bool) -> (u64, Vec<u8>) {
    let mut out = Vec::new();
    let (number, others) = select(path, period, wanted, &mut out).expect("it can be read");
    assert_eq!(others, Vec::<PathBuf>::new());
    (number, out)
}

pub fn of(call: &str) -> impl Fn(&Known<'_>) -> bool {
    move |known| known.call_id == call.as_bytes()
}
