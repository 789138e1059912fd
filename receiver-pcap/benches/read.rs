//! What a packet costs on its way out of a file: to its bytes, and all the way to a SIP frame.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pipeline::{FrameBatch, Received, Receiver};
use receiver_pcap::stream::Capture;
use receiver_pcap::{Config, PcapReceiver, Report};

const PACKETS: u32 = 100_000;

/// A classic capture of requests of 500 bytes, a millisecond apart, no two alike.
fn capture() -> Vec<u8> {
    let mut file = [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 262_144, 1].map(u32::to_le_bytes).concat();
    for number in 0..PACKETS {
        let head = format!("INVITE sip:bob@example.com SIP/2.0\r\nCall-ID: {number:08}\r\n");
        let payload = format!("{head:-<498}\r\n");
        let len = |more: usize| u16::try_from(payload.len() + more).expect("one packet").to_be_bytes();
        let total = u32::try_from(payload.len() + 42).expect("one packet");
        let record = [1_767_225_600 + number / 1000, number % 1000 * 1_000_000, total, total];
        file.extend(record.map(u32::to_le_bytes).concat());
        file.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0]);
        file.extend(len(28));
        file.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, 0x13, 0xc4, 0x13, 0xc4]);
        file.extend(len(8));
        file.extend([0, 0]);
        file.extend(payload.as_bytes());
    }
    file
}

fn read(criterion: &mut Criterion) {
    let bytes: Arc<[u8]> = capture().into();
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), &bytes).expect("room for 54 MB");
    let mut group = criterion.benchmark_group("100,000 packets");
    group.throughput(Throughput::Elements(u64::from(PACKETS))).sample_size(20);
    group.bench_function("to their bytes", |bencher| {
        bencher.iter(|| {
            let mut capture = Capture::new(Cursor::new(Arc::clone(&bytes))).expect("a capture");
            let mut sum = 0;
            while capture.advance().expect("memory can be read") {
                sum += capture.packet().map_or(0, |packet| packet.bytes.len());
            }
            sum
        });
    });
    group.bench_function("to frames", |bencher| {
        let mut batch = FrameBatch::default();
        bencher.iter(|| {
            let config = Config { files: vec![file.path().into()], ..Config::default() };
            let mut receiver = PcapReceiver::new(config, Arc::new(Report::default()));
            receiver.start().expect("a capture");
            let mut frames = 0;
            while receiver.receive(&mut batch, Duration::ZERO).expect("it can be read") == Received::Batch {
                frames += batch.frames.len();
            }
            assert_eq!(frames + batch.frames.len(), PACKETS as usize);
        });
    });
    group.finish();
}

criterion_group!(benches, read);
criterion_main!(benches);
