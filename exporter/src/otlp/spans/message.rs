//! The ladder of a call: its messages as events of their spans, as spans below them, or as log records.
//!
//! Each message is shown once. One whose part left with an earlier piece, or was never seen to begin, belongs to
//! the call as a whole and comes with the last piece; should it come before, it is a span below the root.

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use pipeline::call::ladder::{LadderForm, Message, Owner, SpanId};

use super::attribute::{self as a, Attributes};
use super::encoder::{EncodedCall, SpanEncoder};
use super::values::{cseq, ends, hash};

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
    let local = record.transactions.first().map_or(record.destination, |first| ends(first).0);
    for (index, message) in record.ladder.iter().enumerate() {
        let place = match message.owner {
            Owner::Transaction(index) => Some(places.transactions + usize::from(index)),
            Owner::Session(index) => Some(places.sessions + usize::from(index)),
            Owner::Call => places.root,
        };
        let local = match message.owner {
            Owner::Transaction(index) => ends(&record.transactions[usize::from(index)]).0,
            Owner::Session(_) | Owner::Call => local,
        };
        let attributes = attributes(encoder, message, local);
        let owner = place.map_or(record.span, |place| span_id(&encoded.spans[place]));
        match (record.ladder_form, place) {
            (LadderForm::Off, _) => {}
            (LadderForm::Logs, _) => {
                let log = encoder.log(message.at, attributes);
                encoded.logs.push(opentelemetry_proto::tonic::logs::v1::LogRecord { span_id: owner.0.to_vec(), ..log });
            }
            (LadderForm::Events, Some(place)) => encoded.spans[place].events.push(Event {
                time_unix_nano: message.at.as_nanos(),
                name: a::MESSAGE.to_owned(),
                attributes: attributes.into_inner(),
                dropped_attributes_count: 0,
            }),
            (LadderForm::Spans, _) | (LadderForm::Events, None) => {
                let span = encoder.span(&name(message), SpanKind::Internal, message.at, Some(message.at), attributes);
                let span_id = message_id(owner, record.piece, index);
                encoded.spans.push(Span { span_id: span_id.0.to_vec(), parent_span_id: owner.0.to_vec(), ..span });
            }
        }
    }
}

fn attributes(encoder: &SpanEncoder<'_>, message: &Message, local: u16) -> Attributes {
    let mut attributes = Attributes::with_room(9);
    attributes.text(a::REQUEST_METHOD, message.method.as_str());
    if let Some(status) = message.status {
        attributes.int(a::RESPONSE_STATUS_CODE, status);
    }
    attributes.text(a::CSEQ, cseq(message.cseq, message.method));
    attributes.text(a::MESSAGE_DIRECTION, if message.forward { "to_callee" } else { "to_caller" });
    let peer = if message.source == local { message.destination } else { message.source };
    encoder.endpoint(a::NETWORK_PEER_ADDRESS, a::NETWORK_PEER_PORT, peer, &mut attributes);
    attributes.int(a::MESSAGE_SIZE, message.bytes);
    if message.sdp {
        attributes.boolean(a::MESSAGE_SDP, true);
    }
    if message.retransmissions > 0 {
        attributes.int(a::RETRANSMISSION_COUNT, message.retransmissions);
    }
    attributes
}

/// `INVITE request`, `INVITE 180`.
fn name(message: &Message) -> String {
    let method = message.method.as_str();
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
