//! The whole media processor behind the dialog processor: any messages, packets and reports of a few calls, and in the midst of
//! them one stream that is recomputed from the list of its packets.
//!
//! Each byte does one thing: a call begins, is answered, held, hung up; a description is cut; a source is sprayed; RTCP lies; the
//! stream's next packet comes, is lost, comes twice or late.
#![no_main]

#[path = "../../rtp/tests/invariants/model.rs"]
mod model;

use std::net::SocketAddr;

use pipeline::media::{MediaPacket, RtcpPacket};
use pipeline::settings::Problems;
use pipeline::{CallsWanted, Facts, FrameBatch, Processor, SipFrame};
use processor_dialog::Dialogs;
use processor_media::{Config, Media};
use rtp::{Arrival, Codec};
use wire::Timestamp;

const MS: u64 = 1_000_000;
const ALICE: &str = "192.0.2.10:40010";
const BOB: &str = "198.51.100.20:50010";
/// The stream that is recomputed.
const SSRC: u32 = 0xFACE;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn sdp(at: &str, port: u16, direction: &str) -> String {
    let ip = address(at).ip();
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na={direction}\r\n"
    )
}

struct Scene {
    batch: FrameBatch,
    dialogs: Dialogs,
    media: Media,
    facts: Facts,
    now: u64,
}

impl Scene {
    fn at(&self) -> Timestamp {
        Timestamp::from_nanos(1_767_225_600_000_000_000 + self.now)
    }

    #[expect(clippy::too_many_arguments, reason = "a message spelt out")]
    fn sip(&mut self, call: u8, line: &str, cseq: &str, to_tag: &str, branch: usize, back: bool, body: &str) {
        let tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "{line}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{call}.{branch}\r\nFrom: <sip:a@h>;tag=a\r\nTo: <sip:b@h>{tag}\r\n\
             Call-ID: c{call}\r\nCSeq: {cseq}\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let (mut from, mut to) = (address("192.0.2.10:5060"), address("198.51.100.20:5060"));
        if back {
            std::mem::swap(&mut from, &mut to);
        }
        let at = self.at();
        self.batch.push(text.as_bytes(), SipFrame::datagram(from, to, at));
    }

    fn rtp(&mut self, at: Timestamp, ssrc: u32, number: u16, timestamp: u32, back: bool) {
        let mut header = [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        header[2..4].copy_from_slice(&number.to_be_bytes());
        header[4..8].copy_from_slice(&timestamp.to_be_bytes());
        header[8..].copy_from_slice(&ssrc.to_be_bytes());
        let (mut source, mut destination) = (address(ALICE), address(BOB));
        if back {
            std::mem::swap(&mut source, &mut destination);
        }
        let (source, destination) = (source.into(), destination.into());
        self.batch.media.push(MediaPacket { at, source, destination, header, len: 172, identification: 0, seen_at: 0 });
    }

    fn flush(&mut self, last: bool) {
        self.batch.now = self.at();
        self.batch.media.sort_by_key(|packet| packet.at);
        self.facts.clear();
        self.dialogs.process(&self.batch, &mut self.facts);
        if last {
            self.dialogs.drain(&mut self.facts);
        }
        self.media.process(&self.batch, &mut self.facts);
        self.batch.clear();
        for media in self.facts.calls.iter().filter_map(|call| call.record.media.as_deref()) {
            for stream in &media.streams {
                assert!(stream.summary.received <= stream.summary.expected && stream.summary.jitter_max <= 1e9);
                assert!((1.0..=4.5).contains(&stream.rating.mos_lq) && stream.rating.mos_cq <= stream.rating.mos_lq);
            }
            assert!(media.intervals.len() <= 2048 && media.faults.len() <= 64);
        }
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let settings = Config { max_streams: 64, max_endpoints: 64, ..Config::default() };
    let settings = settings.check(&mut Problems::default()).expect("sound");
    let wanted = CallsWanted { instance: "fuzz".into(), requests: false, pieces: false, number: None, watched: false };
    let mut scene = Scene {
        batch: FrameBatch::default(),
        dialogs: Dialogs::new(processor_dialog::Config::default(), Some(wanted)).telling_media(),
        media: Media::one_of(1, settings, true, None),
        facts: Facts::default(),
        now: 0,
    };
    // The call of the stream is up before and after.
    let (offer, answer) = (sdp(ALICE, 40010, "sendrecv"), sdp(BOB, 50010, "sendrecv"));
    scene.sip(0, "INVITE sip:b@h SIP/2.0", "1 INVITE", "", 1, false, &offer);
    scene.sip(0, "SIP/2.0 200 OK", "1 INVITE", "b", 1, true, &answer);
    let base = 20 * MS;
    let mut stream: Vec<Arrival> = Vec::new();
    let mut number = 0_u16;
    let send = |scene: &mut Scene, stream: &mut Vec<Arrival>, number: u16, late: u64| {
        let at = Timestamp::from_nanos(scene.at().as_nanos() + late);
        let timestamp = (scene.now / 125_000) as u32;
        scene.rtp(at, SSRC, number, timestamp, false);
        let (at, codec) = (at.as_nanos(), Codec::Pcmu);
        stream.push(Arrival { at, sequence: number, timestamp, payload_type: 0, codec, clock: 8000 });
    };
    for _ in 0..2 {
        scene.now += base;
        send(&mut scene, &mut stream, number, 0);
        number += 1;
        scene.flush(false);
    }
    for (nth, byte) in bytes.iter().take(2900).enumerate() {
        let call = 1 + byte % 5;
        let port = 41_000 + u16::from(call) * 2;
        match byte >> 4 {
            0 => scene.sip(call, "INVITE sip:b@h SIP/2.0", "1 INVITE", "", 1, false, &sdp(ALICE, port, "sendrecv")),
            1 => scene.sip(call, "SIP/2.0 200 OK", "1 INVITE", "b", 1, true, &sdp(BOB, port, "sendrecv")),
            2 => scene.sip(call, "BYE sip:b@h SIP/2.0", "9 BYE", "b", 9, false, ""),
            3 => scene.sip(call, "SIP/2.0 200 OK", "9 BYE", "b", 9, true, ""),
            4 => {
                let whole = sdp(ALICE, port, "sendonly");
                let end = usize::from(*byte) * whole.len() / 256;
                let cseq = format!("{} INVITE", 20 + nth);
                scene.sip(call, "INVITE sip:b@h SIP/2.0", &cseq, "b", 20 + nth, false, &whole[..end]);
            }
            5 => scene.rtp(scene.at(), u32::from(*byte) << 8 | nth as u32, nth as u16, 0, true),
            6 => scene.rtp(
                scene.at(),
                u32::from(call),
                (nth as u16).wrapping_mul(u16::from(byte % 7)),
                nth as u32 * 160,
                true,
            ),
            7 => {
                let datagram = [
                    0x81, 201, 0, 7, 0, 0, 0, 2, 0, 0, 0xFA, 0xCE, *byte, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 80, 0, 0, 0, 0,
                    0, 0, 0, 0,
                ];
                let end = 32 - usize::from(byte % 4);
                let (source, destination) = (address("198.51.100.20:50011").into(), address("192.0.2.10:40011").into());
                let packet =
                    RtcpPacket { range: 0..0, at: scene.at(), source, destination, identification: 0, seen_at: 0 };
                scene.batch.push_rtcp(&datagram[..end], packet);
            }
            _ => {}
        }
        scene.now += base;
        match byte & 15 {
            1 => {}
            2 => {
                send(&mut scene, &mut stream, number, 0);
                send(&mut scene, &mut stream, number, 0);
            }
            late @ 3..=5 => send(&mut scene, &mut stream, number, u64::from(late) * 40 * MS),
            _ => send(&mut scene, &mut stream, number, 0),
        }
        number = number.wrapping_add(1);
        // Late ones come in their own time.
        if nth % 50 == 49 {
            scene.now += 300 * MS;
            scene.flush(false);
        }
    }
    scene.now += 300 * MS;
    scene.flush(false);
    scene.sip(0, "BYE sip:b@h SIP/2.0", "2 BYE", "b", 2, false, "");
    scene.sip(0, "SIP/2.0 200 OK", "2 BYE", "b", 2, true, "");
    scene.flush(true);
    stream.sort_by_key(|packet| packet.at);
    model::check(&stream);
    let record = scene.facts.calls.iter().find(|call| &*call.record.call_id == "c0").expect("it was seen");
    let media = record.record.media.as_deref().expect("it was heard");
    let heard = media.streams.iter().find(|heard| heard.ssrc == SSRC).expect("the stream was heard");
    let mut model = rtp::Stream::begin(&stream[0], &stream[1], model::BUFFER).expect("in sequence");
    stream[2..].iter().for_each(|packet| _ = model.take(packet, model::BUFFER));
    assert_eq!(heard.summary, model.summary());
});
