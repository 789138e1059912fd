//! Calls out of flows: a text ladder in, the records that the dialog processor makes of it out.

use call_records::{Config as Calls, Numbers, Privacy};
use call_views::{Exchange, Exchanges, View};
use pipeline::call::Subject;
use pipeline::{CallRecord, CallsWanted, Facts, FrameBatch, Processor, SipFrame, Transport};
use processor_dialog::{Config, Dialogs};
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
    let wanted = CallsWanted { instance: "views".into(), requests, pieces: false, number: None, watched: false };
    let privacy = Privacy { numbers: Numbers::Plain, ..Privacy::default() };
    let config = Config { calls: Calls { privacy, ..Calls::default() }, ..Config::default() };
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
