//! The ladder of a call: its messages as events of their spans, as spans below them, or as log records.
//!
//! Each message is shown once. One whose part left with an earlier piece, or was never seen to begin, belongs to
//! the call as a whole and comes with the last piece; should it come before, it is a span below the root.

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use pipeline::CallRecord;
use pipeline::call::ladder::{LadderForm, Message, Owner, SpanId, Transaction};

use super::attribute::{self as a, Attributes};
use super::encoder::{EncodedCall, SpanEncoder};
use super::values::{Ends, cseq, hash, method};

/// Where the spans of owners are in [`EncodedCall::spans`].
pub(super) struct Places {
    /// The root, if it leaves now.
    pub root: Option<usize>,
    /// The first transaction.
    pub transactions: usize,
    /// The first session.
    pub sessions: usize,
}

/// Shows the ladder of the record.
pub(super) fn show(encoder: &SpanEncoder<'_>, places: Places, encoded: &mut EncodedCall) {
    let record = encoder.record;
    let first = record.transactions.first();
    // A copy behind a balancer is for the eye: a trace has told the message.
    let messages = record.ladder.iter().enumerate().filter(|(_, message)| !message.copy);
    for (index, message) in messages {
        let place = match message.owner {
            Owner::Transaction(index) => Some(places.transactions + usize::from(index)),
            Owner::Session(index) => Some(places.sessions + usize::from(index)),
            Owner::Call => places.root,
        };
        let within = match message.owner {
            Owner::Transaction(index) => Some(&record.transactions[usize::from(index)]),
            Owner::Session(_) | Owner::Call => None,
        };
        let shown = Shown { message, within, ends: within.or(first).map(Ends::of) };
        let owner = place.map_or(record.span, |place| span_id(&encoded.spans[place]));
        match (record.ladder_form, place) {
            (LadderForm::Off, _) => {}
            (LadderForm::Logs, _) => {
                let log = encoder.log(message.at, shown.line(record), shown.attributes(encoder, Form::Alone));
                encoded.logs.push(opentelemetry_proto::tonic::logs::v1::LogRecord { span_id: owner.0.to_vec(), ..log });
            }
            (LadderForm::Events, Some(place)) => encoded.spans[place].events.push(Event {
                time_unix_nano: message.at.as_nanos(),
                name: event_name(message),
                attributes: shown.attributes(encoder, Form::Event).into_inner(),
                dropped_attributes_count: 0,
            }),
            (LadderForm::Spans, _) | (LadderForm::Events, None) => {
                let attributes = shown.attributes(encoder, Form::Alone);
                let span =
                    encoder.span(&span_name(message), SpanKind::Internal, message.at, Some(message.at), attributes);
                let span_id = message_id(owner, record.piece, index);
                encoded.spans.push(Span { span_id: span_id.0.to_vec(), parent_span_id: owner.0.to_vec(), ..span });
            }
        }
    }
}

/// Whether a message has what its span has within sight.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// An event: what its span says is not said again.
    Event,
    /// A span or a log record.
    Alone,
}

/// A message and what it is part of.
struct Shown<'a> {
    message: &'a Message,
    /// Its transaction; `None` of one that belongs to a session, or to the call.
    within: Option<&'a Transaction>,
    /// The ends of its transaction, else of the first; `None` where the record has none.
    ends: Option<Ends>,
}

impl Shown<'_> {
    fn attributes(&self, encoder: &SpanEncoder<'_>, form: Form) -> Attributes {
        let message = self.message;
        let within = self.within.filter(|_| form == Form::Event);
        let mut attributes = Attributes::with_room(9);
        if within.is_none() {
            attributes.text(a::REQUEST_METHOD, method(message.method));
        }
        if let Some(status) = message.status {
            attributes.int(a::RESPONSE_STATUS_CODE, status);
        }
        // The ACK of a failure is shown with its INVITE.
        if within.is_none_or(|within| (within.cseq, within.method) != (message.cseq, message.method)) {
            attributes.text(a::CSEQ, cseq(message.cseq, message.method));
        }
        attributes.text(a::MESSAGE_DIRECTION, if message.forward { "to_callee" } else { "to_caller" });
        let Message { source, destination, .. } = *message;
        let is_between = |one: &Transaction| {
            [(one.source, one.destination), (one.destination, one.source)].contains(&(source, destination))
        };
        if !within.is_some_and(is_between) {
            match self.ends {
                Some(Ends::Ours { local, .. }) => {
                    let peer = if source == local { destination } else { source };
                    encoder.endpoint(a::NETWORK_PEER_ADDRESS, a::NETWORK_PEER_PORT, peer, &mut attributes);
                }
                Some(Ends::Others { .. }) | None => encoder.between(source, destination, &mut attributes),
            }
        }
        attributes.int(a::MESSAGE_SIZE, message.bytes);
        if message.sdp {
            attributes.boolean(a::MESSAGE_SDP, true);
        }
        if message.retransmissions > 0 {
            attributes.int(a::RETRANSMISSION_COUNT, message.retransmissions);
        }
        attributes
    }

    /// `180 Ringing  198.51.100.20:5060 > 192.0.2.10:5060`: what a log viewer shows of it.
    fn line(&self, record: &CallRecord) -> String {
        let message = self.message;
        let what = match message.status {
            None => method(message.method).to_owned(),
            Some(status) => {
                let sent =
                    self.within.filter(|within| within.status == Some(status)).and_then(|one| one.reason.as_deref());
                let phrase = sent.or_else(|| sip::registered_phrase(status)).unwrap_or_default();
                format!("{status} {phrase}").trim_end().to_owned()
            }
        };
        let [source, destination] = [message.source, message.destination].map(|end| record.endpoint(end).address);
        format!("{what}  {source} > {destination}")
    }
}

/// `INVITE`, `180`: what viewers list.
fn event_name(message: &Message) -> String {
    message.status.map_or_else(|| method(message.method).to_owned(), |status| status.to_string())
}

/// `INVITE request`, `INVITE 180`.
fn span_name(message: &Message) -> String {
    let method = method(message.method);
    message.status.map_or_else(|| format!("{method} request"), |status| format!("{method} {status}"))
}

fn span_id(span: &Span) -> SpanId {
    SpanId(span.span_id.as_slice().try_into().expect("spans made here have ids of 8 bytes"))
}

/// The span of a message: a hash of the span it belongs to, the piece of the record, and its place there.
fn message_id(owner: SpanId, piece: u32, index: usize) -> SpanId {
    let [id @ .., _, _, _, _, _, _, _, _] =
        hash(&[&owner.0, b"message", &piece.to_be_bytes(), &(index as u64).to_be_bytes()]);
    SpanId(if id == [0; 8] { [0, 0, 0, 0, 0, 0, 0, 1] } else { id })
}
