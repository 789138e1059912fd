//! What a console tells of calls: its JSON in, calls for the screen out.
//!
//! Hostile as everything from a network: what is not as expected is left out, numbers are checked, and lists are cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use call_screen::Known;
use pipeline::call::ladder::{Endpoint, Message, Owner, Ringing, Session, SpanId, Transaction};
use pipeline::call::sent::{Repeat, Sent};
use pipeline::call::{IN_PROGRESS, Subject};
use pipeline::event::{End, Outcome};
use pipeline::{CallRecord, Transport};
use serde::Deserialize;
use sip::Method;
use wire::Timestamp;

/// `GET /api/calls`.
#[derive(Deserialize)]
pub struct List {
    pub calls: Vec<Told>,
}

/// A call of a list, or by itself with its messages.
#[derive(Deserialize)]
pub struct Told {
    pub call_id: String,
    start: String,
    caller: Option<String>,
    callee: Option<String>,
    source: String,
    destination: String,
    transport: String,
    carrier: String,
    ua_type: String,
    outcome: String,
    status: Option<u16>,
    end: Option<String>,
    setup_seconds: Option<f64>,
    ring_seconds: Option<f64>,
    duration_seconds: Option<f64>,
    messages: u32,
    state: String,
    phase: Option<String>,
    #[serde(default)]
    retransmissions: u32,
    #[serde(default)]
    user_agent: Option<String>,
    #[serde(default)]
    endpoints: Vec<String>,
    #[serde(default)]
    ladder: Vec<Step>,
    #[serde(default)]
    ladder_cut: u32,
}

/// A message of a ladder.
#[derive(Deserialize)]
struct Step {
    time: String,
    offset_seconds: f64,
    source: u16,
    destination: u16,
    method: String,
    status: Option<u16>,
    cseq: u32,
    sdp: bool,
    bytes: u32,
    retransmissions: u16,
    #[serde(default)]
    copy: bool,
    #[serde(default)]
    headers: Vec<String>,
    #[serde(default)]
    again: Vec<f64>,
    raw: Option<String>,
}

impl Told {
    /// As the screen shows it; `None` where it cannot be read.
    pub fn known(self) -> Option<Known> {
        let start = call_filter::time(&self.start)?;
        let is_up = self.state == "live";
        let mut record = CallRecord::begun(Subject::Call, start);
        let mut ends: Vec<SocketAddr> = self.endpoints.iter().take(MOST).filter_map(|end| end.parse().ok()).collect();
        if ends.len() != self.endpoints.len() || ends.is_empty() {
            ends = vec![self.source.parse().ok()?, self.destination.parse().ok()?];
        }
        let place = |address: &str| ends.iter().position(|end| end.to_string() == address).unwrap_or(0) as u16;
        (record.source, record.destination) = (place(&self.source), place(&self.destination));
        record.endpoints = ends.iter().map(|address| Endpoint { address: *address }).collect();
        record.call_id = self.call_id.into();
        record.caller = self.caller.map(Into::into);
        record.callee = self.callee.map(Into::into);
        record.user_agent = self.user_agent.map(Into::into);
        record.transport = transport(&self.transport);
        record.outcome = outcome(&self.outcome);
        record.status = self.status;
        record.end = self.end.and_then(|end| End::ALL.iter().map(|known| known.as_str()).find(|known| *known == end));
        record.setup = self.setup_seconds.and_then(seconds);
        record.ring = self.ring_seconds.and_then(seconds);
        record.duration = self.duration_seconds.and_then(seconds);
        (record.messages, record.retransmissions) = (self.messages, self.retransmissions);
        record.ladder_cut = self.ladder_cut;
        record.last = !is_up;
        match self.phase.as_deref() {
            Some("talking") => record.sessions.push(session(start)),
            Some("ringing") => record.ringing.push(ringing(start)),
            _ => {}
        }
        put_ladder(&mut record, self.ladder);
        let (carrier, ua_type) = (self.carrier.into(), self.ua_type.into());
        Some(Known { record: Arc::new(record), carrier, ua_type, times: 1, is_up })
    }
}

/// The messages of a call, and the transactions that they show.
fn put_ladder(record: &mut CallRecord, steps: Vec<Step>) {
    let endpoints = record.endpoints.len();
    let mut sent = Sent::default();
    let mut headers: Vec<Box<str>> = Vec::new();
    let fits = |step: &Step| usize::from(step.source.max(step.destination)) < endpoints;
    for step in steps.into_iter().take(MOST).filter(fits) {
        let Some(at) = call_filter::time(&step.time) else { continue };
        let method = Method::named(step.method.as_bytes());
        let owner = owner(record, &step, method, at);
        let place = record.ladder.len() as u16;
        for again in step.again.iter().take(MOST_REPEATS).filter_map(|again| seconds(again - step.offset_seconds)) {
            sent.repeats.push(Repeat { message: place, at: at + again, other: None });
        }
        sent.messages.push(step.raw.map(|raw| raw.replace('\n', "\r\n").into_bytes().into()));
        headers.push(step.headers.join("\n").into());
        record.ladder.push(Message {
            at,
            method,
            status: step.status,
            cseq: step.cseq,
            source: step.source,
            destination: step.destination,
            owner,
            forward: true,
            sdp: step.sdp,
            bytes: step.bytes,
            retransmissions: step.retransmissions,
            copy: step.copy,
        });
    }
    if sent.messages.iter().all(Option::is_none) {
        sent.messages.clear();
    }
    record.sent = (!sent.is_empty()).then(|| Box::new(sent));
    record.headers = headers.into();
}

/// The transaction a message belongs to: a request begins one, but for an ACK.
fn owner(record: &mut CallRecord, step: &Step, method: Method, at: Timestamp) -> Owner {
    let ends = if step.status.is_none() { (step.source, step.destination) } else { (step.destination, step.source) };
    let is_it = |known: &Transaction| {
        (known.method, known.cseq, (known.source, known.destination)) == (method, step.cseq, ends)
    };
    let place = record.transactions.iter().rposition(is_it);
    match (place, step.status) {
        (Some(place), status) => {
            let known = &mut record.transactions[place];
            if let Some(status) = status.filter(|status| *status >= 200 && known.status.is_none()) {
                (known.status, known.end) = (Some(status), Some(at));
            }
            Owner::Transaction(place as u16)
        }
        (None, None) if method != Method::Ack => {
            let span = SpanId((record.transactions.len() as u64 + 1).to_be_bytes());
            record.transactions.push(Transaction {
                span,
                parent: record.span,
                method,
                cseq: step.cseq,
                branch: Box::default(),
                source: ends.0,
                destination: ends.1,
                transport: record.transport,
                tap: wire::Tap::Recipient,
                hop: false,
                in_dialog: false,
                start: at,
                end: None,
                status: None,
                reason: None,
                cancelled: false,
                timed_out: false,
                retransmissions: 0,
                hops: 0,
                below_remote: false,
                rare: None,
            });
            Owner::Transaction((record.transactions.len() - 1) as u16)
        }
        (None, _) => Owner::Call,
    }
}

fn session(start: Timestamp) -> Session {
    let span = SpanId([0; 8]);
    Session {
        span,
        parent: span,
        previous: None,
        segment: 1,
        dialog_id: [0; 16],
        start,
        end: None,
        ended: None,
        disconnected_by: None,
    }
}

fn ringing(start: Timestamp) -> Ringing {
    let span = SpanId([0; 8]);
    Ringing { span, parent: span, early_media: false, start, end: None, winner: false }
}

fn outcome(name: &str) -> &'static str {
    let known = Outcome::ALL.iter().map(|outcome| outcome.as_str()).chain([IN_PROGRESS]);
    known.into_iter().find(|known| *known == name).unwrap_or("unknown")
}

fn transport(name: &str) -> Transport {
    use Transport::{Tcp, Tls, Udp, Ws, Wss};
    [Udp, Tcp, Tls, Ws, Wss].into_iter().find(|known| known.as_str() == name).unwrap_or(Udp)
}

/// A number of seconds that can be one.
fn seconds(number: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(number).ok().filter(|duration| *duration <= LONGEST)
}

/// No delay and no call is longer: ten years. Sums of many still are durations.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Most times that a message was sent again.
const MOST_REPEATS: usize = 64;
/// Most messages, and most endpoints, of one call.
const MOST: usize = 1024;
