//! What a packet of RTP of a stream that is followed costs behind the capture: `cargo bench -p processor-media`. With 20,000
//! streams each packet is about another one, which is in no cache.

use std::net::SocketAddr;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pipeline::media::{MediaPacket, MessageNote, Note, NoteKind, seen_at};
use pipeline::settings::Problems;
use pipeline::{Facts, FrameBatch, Processor, Slot};
use processor_media::{Config, Media};
use sip::Method;
use wire::Timestamp;

/// Packets of a batch.
const BATCH: usize = 1024;
/// 2026-01-01.
const EPOCH: u64 = 1_767_225_600_000_000_000;
const PACE: u64 = 20_000_000;

/// Where the party of a stream speaks from: the caller's are even.
fn end(stream: u32) -> SocketAddr {
    let (call, party) = (stream / 2, stream % 2);
    let [.., high, low] = call.to_be_bytes();
    SocketAddr::from(([10, 9 + party as u8, high >> 3, 1 + (high & 7)], 20_000 + 2 * u16::from(low)))
}

/// A processor that is told of so many calls.
fn listening(calls: u32) -> Media {
    let settings = Config::default().check(&mut Problems::default()).expect("the defaults are sound");
    let mut media = Media::one_of(1, settings, false, None);
    let mut facts = Facts::default();
    let at = Timestamp::from_nanos(EPOCH);
    for call in 0..calls {
        for (status, party) in [(None, 0), (Some(200), 1)] {
            let address = end(2 * call + party);
            let (ip, port) = (address.ip(), address.port());
            let sdp =
                format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n");
            let message = MessageNote {
                method: Method::Invite,
                cseq: 1,
                status,
                from: 1,
                to: if status.is_some() { 2 } else { 0 },
                dialog: 1 << 32 | 2,
                source: address.into(),
                sdp: facts.add_text(sdp.as_bytes()),
                cut: false,
                wall_offset: 0,
            };
            facts.notes.push(Note { at, call: call.into(), slot: Slot::OTHER, kind: NoteKind::Message(message) });
        }
        let kind = NoteKind::Confirmed { dialog: 1 << 32 | 2 };
        facts.notes.push(Note { at, call: call.into(), slot: Slot::OTHER, kind });
    }
    media.process(&FrameBatch { now: at, ..FrameBatch::default() }, &mut facts);
    media
}

/// The packet of so many of all streams, one after the other.
fn packet(nth: u64, streams: u32) -> MediaPacket {
    let stream = (nth % u64::from(streams)) as u32;
    let number = (nth / u64::from(streams)) as u16;
    let mut header = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    header[2..4].copy_from_slice(&number.to_be_bytes());
    header[4..8].copy_from_slice(&(u32::from(number) * 160).to_be_bytes());
    header[8..].copy_from_slice(&stream.to_be_bytes());
    MediaPacket {
        at: Timestamp::from_nanos(EPOCH + nth * PACE / u64::from(streams)),
        source: end(stream).into(),
        destination: end(stream ^ 1).into(),
        header,
        len: 172,
        identification: 0,
        seen_at: seen_at(1, 0, wire::Tap::Recipient),
    }
}

fn packets(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("media");
    group.throughput(Throughput::Elements(BATCH as u64));
    for streams in [2_000_u32, 20_000] {
        let mut media = listening(streams / 2);
        let (mut nth, mut batch, mut facts) = (0, FrameBatch::default(), Facts::default());
        let mut take = |media: &mut Media| {
            batch.clear();
            facts.clear();
            batch.media.extend((0..BATCH as u64).map(|more| packet(nth + more, streams)));
            nth += BATCH as u64;
            batch.now = batch.media[BATCH - 1].at;
            media.process(&batch, &mut facts);
            facts.heard.len()
        };
        // Not all that begin at once find room to wait for their second packet.
        (0..40 * streams as usize / BATCH).for_each(|_| _ = take(&mut media));
        let mut told = Vec::new();
        media.telemetry(&mut told);
        let held = told.iter().find(|one| one.labels == [("table", "media_streams".to_owned())]).map(|one| one.value);
        assert!(
            held.is_some_and(|held| held > 0.95 * f64::from(streams)),
            "{held:?} of {streams} streams are followed"
        );
        group.bench_function(format!("{BATCH} packets of {streams} streams"), |bencher| {
            bencher.iter(|| take(&mut media));
        });
    }
    group.finish();
}

criterion_group!(benches, packets);
criterion_main!(benches);
