//! Calls out of flows: a text ladder in, the records that the dialog processor makes of it out, and what was heard of them
//! as a file of lines says.

use std::time::Duration;

use call_records::{Config as Calls, Numbers, Privacy, Raw};
use call_views::{Exchange, Exchanges, View};
use pipeline::call::media::{CallMedia, FaultRecord, IntervalRecord, StreamRecord};
use pipeline::call::{Side, Subject};
use pipeline::media::{Fault, Toward};
use pipeline::{CallRecord, CallsWanted, Facts, FrameBatch, Processor, SipFrame, Transport};
use processor_dialog::{Config, Dialogs};
use rtp::emodel::Rating;
use rtp::{Bursts, Codec, Summary};
use wire::Timestamp;

/// 2026-01-01.
const EPOCH: Timestamp = Timestamp::from_nanos(1_767_225_600_000_000_000);

/// What goes there, or comes from there, goes over TLS.
const TLS_PORT: u16 = 15_061;

/// A call with its labels.
#[derive(Debug)]
pub struct Played {
    pub record: CallRecord,
}

impl Played {
    pub fn view(&self) -> View<'_> {
        View { record: &self.record, carrier: "telecom-alpha", ua_type: "yealink" }
    }
}

/// The calls of a flow, in the order they began.
pub fn play(flow: &str) -> Vec<Played> {
    let mut played = records(flow, false);
    played.sort_by_key(|call| call.record.start);
    played
}

/// The same with their messages.
pub fn play_messages(flow: &str) -> Vec<Played> {
    let mut played = kept(flow, false, Raw::Full);
    played.sort_by_key(|call| call.record.start);
    played
}

/// What was no call in a flow, in the order it began.
pub fn play_exchanges(flow: &str) -> Vec<Exchange> {
    let mut exchanges = Exchanges::new(true);
    for request in records(flow, true).iter().filter(|played| played.record.subject == Subject::Request) {
        exchanges.take(&request.view());
    }
    exchanges.into_list()
}

/// The records of a flow, in the order they left.
fn records(flow: &str, requests: bool) -> Vec<Played> {
    kept(flow, requests, Raw::Off)
}

fn kept(flow: &str, requests: bool, raw: Raw) -> Vec<Played> {
    let watched = raw != Raw::Off;
    let wanted = CallsWanted { instance: "views".into(), requests, pieces: false, number: None, watched };
    let privacy = Privacy { numbers: Numbers::Plain, ..Privacy::default() };
    let config = Config { calls: Calls { privacy, raw, ..Calls::default() }, ..Config::default() };
    let mut dialogs = Dialogs::new(config, Some(wanted));
    let mut facts = Facts::default();
    let mut calls = Vec::new();
    for step in ladder::play(flow) {
        let at = EPOCH + step.at;
        let mut batch = FrameBatch { now: at, ..FrameBatch::default() };
        // Keep-alives only move the clock.
        if step.bytes.iter().any(|byte| !b"\r\n".contains(byte)) {
            let mut frame = SipFrame::datagram(step.source, step.destination, at);
            if [step.source.port(), step.destination.port()].contains(&TLS_PORT) {
                frame.transport = Transport::Tls;
            }
            batch.push(&step.bytes, frame);
        }
        facts.clear();
        dialogs.process(&batch, &mut facts);
        calls.append(&mut facts.calls);
    }
    facts.clear();
    dialogs.drain(&mut facts);
    calls.append(&mut facts.calls);
    calls.into_iter().map(|call| Played { record: CallRecord::clone(&call.record) }).collect()
}

/// Gives calls what was heard of them, a stream in a line:
///
/// `call_id side codec from -> to first last received expected jitter_ms worst_mos mos [fault:direction ...]`
///
/// Times are seconds since the start; the faults are those of its call.
pub fn hear(calls: &mut [Played], streams: &str) {
    for line in streams.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [
            call_id,
            side,
            codec,
            source,
            "->",
            destination,
            first,
            last,
            received,
            expected,
            jitter,
            worst,
            mos,
            ref faults @ ..,
        ] = words[..]
        else {
            panic!("no stream: {line}")
        };
        let number = |text: &str| text.parse::<f64>().unwrap_or_else(|_| panic!("no number: {text}"));
        let address = |text: &str| text.parse().unwrap_or_else(|_| panic!("no address: {text}"));
        let time = |text: &str| EPOCH + Duration::from_secs_f64(number(text));
        let side = if side == "caller" { Side::Caller } else { Side::Callee };
        let summary = Summary {
            expected: number(expected) as u32,
            received: number(received) as u32,
            jitter: number(jitter) * 1e6,
            jitter_max: number(jitter) * 2e6,
            burst_ratio: 1.0,
            duplicates: 0,
            reordered: 0,
            discarded: 0,
            bursts: Bursts::default(),
        };
        let rating = Rating { mos_lq: number(mos) + 0.1, mos_cq: number(mos), ..Rating::default() };
        let call = calls.iter_mut().find(|call| &*call.record.call_id == call_id).expect("a call of the flow");
        let media = call.record.media.get_or_insert_with(Box::<CallMedia>::default);
        let ssrc = media.streams.len() as u32 + 1;
        media.streams.push(StreamRecord {
            ssrc,
            side,
            source: address(source),
            destination: address(destination),
            codec: Codec::named(codec.as_bytes()),
            first: time(first),
            last: time(last),
            summary,
            ptime: Duration::from_millis(20),
            rating,
            worst: Some(number(worst) as f32),
        });
        media.intervals.push(IntervalRecord {
            ssrc,
            side,
            at: time(last),
            expected: summary.expected,
            lost: summary.lost(),
            discarded: 0,
            jitter_ms: number(jitter) as f32,
            mos_lq: number(worst) as f32,
            mos_cq: number(worst) as f32,
        });
        for fault in faults {
            let (fault, toward) = fault.split_once(':').expect("fault:direction");
            let fault = Fault::ALL.into_iter().find(|known| known.as_str() == fault).expect("a fault");
            let toward = Toward::ALL.into_iter().find(|known| known.as_str() == toward).expect("a direction");
            media.faults.push(FaultRecord { fault, toward, at: time(last) });
        }
    }
}
