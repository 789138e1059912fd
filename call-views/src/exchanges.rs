//! What happened outside calls: records of single requests in, rows for people out.
//!
//! A challenge and the request that answers it are one registration attempt (`sip-metrics.md` 4.5), and likewise of every
//! other method. What a device sends to say that it is there (OPTIONS, NOTIFY outside dialogs) is one row for all of it
//! that came to the same, with their number.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use pipeline::CallRecord;
use pipeline::call::IN_PROGRESS;
use pipeline::call::ladder::Owner;
use pipeline::event::RegistrationOutcome;
use sip::Method;

use crate::View;

/// What happened outside calls, as records come.
#[derive(Debug, Default)]
pub struct Exchanges {
    list: Vec<Exchange>,
    /// The last of each Call-ID and method, which may wait for an answer to its challenge.
    attempts: HashMap<(Box<str>, Method), usize>,
    beats: HashMap<Beat, usize>,
    with_ladders: bool,
    /// Each keep-alive is a row of its own.
    apart: bool,
}

/// An attempt outside calls, or the same over and over.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// What is known of it: its transactions in the order they began, and an outcome of registrations.
    pub record: CallRecord,
    /// The label `carrier`.
    pub carrier: Box<str>,
    /// The label `ua_type`.
    pub ua_type: Box<str>,
    /// How often it came to the same.
    pub times: u32,
}

/// What tells one device's keep-alives from others.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Beat {
    method: Method,
    source: SocketAddr,
    destination: SocketAddr,
    parties: [Option<Box<str>>; 2],
    status: Option<u16>,
}

impl Exchanges {
    /// None yet; without ladders it takes less memory.
    pub fn new(with_ladders: bool) -> Self {
        Self { with_ladders, ..Self::default() }
    }

    /// None yet; keep-alives of a device are not put together, so that the Call-ID of each is known.
    pub fn apart() -> Self {
        Self { apart: true, ..Self::default() }
    }

    /// Takes the record of a single request; in the order their requests ended. Gives what it belongs to now; `None` of one
    /// without a transaction.
    pub fn take(&mut self, view: &View<'_>) -> Option<&Exchange> {
        let method = view.record.transactions.first()?.method;
        let place = match method {
            Method::Options | Method::Notify if !self.apart => self.take_beat(method, view),
            _ => self.take_attempt(method, view),
        };
        self.list.get(place)
    }

    /// All there are, in the order of their first requests.
    pub fn list(&self) -> &[Exchange] {
        &self.list
    }

    /// All there were, in the order they began.
    pub fn into_list(mut self) -> Vec<Exchange> {
        self.list.sort_by_key(|exchange| exchange.record.start);
        self.list
    }

    fn take_beat(&mut self, method: Method, view: &View<'_>) -> usize {
        let record = view.record;
        let beat = Beat {
            method,
            source: record.endpoint(record.source).address,
            destination: record.endpoint(record.destination).address,
            parties: [record.caller.clone(), record.callee.clone()],
            status: record.status(),
        };
        match self.beats.get(&beat).copied() {
            Some(place) => {
                let Exchange { record: known, times, .. } = &mut self.list[place];
                *times += 1;
                known.until = known.until.max(record.until);
                known.messages += record.messages;
                known.retransmissions += record.retransmissions;
                place
            }
            None => {
                self.beats.insert(beat, self.list.len());
                self.begin(view)
            }
        }
    }

    fn take_attempt(&mut self, method: Method, view: &View<'_>) -> usize {
        let key = (view.record.call_id.clone(), method);
        if let Some(place) = self.attempts.get(&key).copied()
            && let Exchange { record: known, .. } = &mut self.list[place]
            && known.is_answered_by(view.record)
        {
            known.join(view.record, self.with_ladders);
            return place;
        }
        self.attempts.insert(key, self.list.len());
        self.begin(view)
    }

    fn begin(&mut self, view: &View<'_>) -> usize {
        let mut record = view.record.clone();
        if !self.with_ladders {
            (record.ladder, record.headers, record.sent) = (Vec::new(), Box::default(), None);
        }
        record.outcome = outcome(&record);
        record.status = record.status();
        let (carrier, ua_type) = (view.carrier.into(), view.ua_type.into());
        self.list.push(Exchange { record, carrier, ua_type, times: 1 });
        self.list.len() - 1
    }
}

impl Exchange {
    /// For people.
    pub fn view(&self) -> View<'_> {
        View { record: &self.record, carrier: &self.carrier, ua_type: &self.ua_type }
    }
}

/// How records of single requests go together.
trait Attempt {
    fn status(&self) -> Option<u16>;
    fn is_answered_by(&self, next: &CallRecord) -> bool;
    fn join(&mut self, next: &CallRecord, with_ladders: bool);
}

impl Attempt for CallRecord {
    /// The final of its last request.
    fn status(&self) -> Option<u16> {
        self.transactions.last().and_then(|transaction| transaction.status)
    }

    /// It was challenged, and `next` came in time to be the answer.
    fn is_answered_by(&self, next: &CallRecord) -> bool {
        let last = self.transactions.last().and_then(|transaction| transaction.end);
        // A phone with a wrong password asks for ever: what it asks then is another row.
        self.transactions.len() < MOST_REQUESTS
            && matches!(self.status(), Some(401 | 407 | 423))
            && last.is_some_and(|end| next.start.since(end) <= RETRY_WINDOW)
    }

    /// `next` goes on with it.
    fn join(&mut self, next: &CallRecord, with_ladders: bool) {
        let places: Vec<u16> = next
            .endpoints
            .iter()
            .map(|endpoint| {
                let known = self.endpoints.iter().position(|known| known.address == endpoint.address);
                known.unwrap_or_else(|| {
                    self.endpoints.push(*endpoint);
                    self.endpoints.len() - 1
                }) as u16
            })
            .collect();
        let place = |index: u16| places[usize::from(index)];
        let before = self.transactions.len() as u16;
        self.transactions.extend(next.transactions.iter().map(|transaction| {
            let (source, destination) = (place(transaction.source), place(transaction.destination));
            pipeline::call::ladder::Transaction { source, destination, ..transaction.clone() }
        }));
        if with_ladders {
            if let Some(sent) = &next.sent {
                self.sent.get_or_insert_default().append(self.ladder.len(), sent, next.ladder.len());
            }
            self.headers = std::mem::take(&mut self.headers).into_iter().chain(next.headers.iter().cloned()).collect();
            self.ladder.extend(next.ladder.iter().map(|message| {
                let owner = match message.owner {
                    Owner::Transaction(index) => Owner::Transaction(before + index),
                    other => other,
                };
                let (source, destination) = (place(message.source), place(message.destination));
                pipeline::call::ladder::Message { source, destination, owner, ..*message }
            }));
        }
        self.until = self.until.max(next.until);
        self.messages += next.messages;
        self.retransmissions += next.retransmissions;
        self.ladder_cut += next.ladder_cut;
        (self.outcome, self.status) = (outcome(next), next.status());
    }
}

/// What came of the last request of a record, in the words of registrations (`sip-metrics.md` 4.5).
fn outcome(record: &CallRecord) -> &'static str {
    let outcome = match record.status() {
        None if record.outcome == IN_PROGRESS => return IN_PROGRESS,
        None => RegistrationOutcome::Timeout,
        Some(..=299) => RegistrationOutcome::Success,
        Some(300..=399) => RegistrationOutcome::Redirected,
        Some(401 | 402 | 407 | 423) => RegistrationOutcome::AuthAbandoned,
        Some(_) => RegistrationOutcome::Failure,
    };
    outcome.as_str()
}

/// How long a challenge may wait for its answer (`sip-metrics.md` 4.5).
const RETRY_WINDOW: Duration = Duration::from_secs(60);
/// Most requests in one row.
const MOST_REQUESTS: usize = 64;
