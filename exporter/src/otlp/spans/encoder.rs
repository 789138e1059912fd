//! The parts of a call as spans: the call itself, transactions, ringing, sessions, and what all of them share.

use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use pipeline::call::ladder::{Ringing, Session, SpanId, Transaction};
use pipeline::call::verdict::ErrorType;
use pipeline::call::{IN_PROGRESS, Subject, Trace};
use pipeline::event::Direction;
use pipeline::{Call, CallRecord, Transport};
use wire::{Tap, Timestamp};

use super::attribute::{self as a, Attributes};
use super::media;
use super::values::{Ends, cseq, method, network_transport, seconds, status, trace_state, transaction_id};

/// What a call is labelled with, spelled as on metrics.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    /// Value of `carrier`.
    pub carrier: &'a str,
    /// Value of `ua_type`.
    pub ua_type: &'a str,
}

/// A call as OTLP tells it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EncodedCall {
    /// Its spans.
    pub spans: Vec<Span>,
    /// Its messages, where those are log records.
    pub logs: Vec<LogRecord>,
}

/// What every span of a call shares.
pub(super) struct SpanEncoder<'a> {
    pub record: &'a CallRecord,
    labels: Labels<'a>,
    trace: Trace,
    /// `ot=th:…` when chance chose the call.
    state: String,
}

impl<'a> SpanEncoder<'a> {
    /// Tells `call`, which is labelled so.
    pub fn new(call: &'a Call, labels: Labels<'a>) -> Self {
        let record = &*call.record;
        let state = call.threshold.map(trace_state).unwrap_or_default();
        Self { record, labels, trace: record.trace(labels.carrier), state }
    }

    /// The root of a call.
    pub fn call(&self) -> Span {
        let record = self.record;
        let mut attributes = Attributes::with_room(24);
        attributes.text(a::CALL_OUTCOME, record.outcome);
        if let Some(end) = record.end {
            attributes.text(a::CALL_END, end_word(end));
        }
        if let Some(side) = record.disconnected_by {
            attributes.text(a::CALL_DISCONNECT_PARTY, side.as_str());
        }
        let reason = record.hangup_cause.map(|cause| ("Q.850", cause));
        if let Some((protocol, cause)) = reason.or(record.sip_cause.map(|cause| ("SIP", cause))) {
            attributes.text(a::REASON_PROTOCOL, protocol);
            attributes.int(a::REASON_CAUSE, cause);
        }
        if let Some(steer) = &record.steer {
            attributes.text(a::STEER_SERVICE, &*steer.service);
            if let Some(backend) = &steer.backend {
                attributes.text(a::STEER_BACKEND, &**backend);
            }
            attributes.boolean(a::STEER_MOVED, steer.moved);
        }
        for (attribute, delay) in [
            (a::CALL_SETUP_DELAY, record.setup),
            (a::CALL_RING_DELAY, record.ring),
            (a::CALL_DURATION, record.duration),
        ] {
            if let Some(delay) = delay {
                attributes.double(attribute, seconds(delay));
            }
        }
        attributes.text(a::REQUEST_METHOD, sip::Method::Invite.as_str());
        if let Some(status) = record.status {
            attributes.int(a::RESPONSE_STATUS_CODE, status);
        }
        let deciding = |one: &&Transaction| {
            one.method == sip::Method::Invite && !one.hop && !one.in_dialog && one.status == record.status
        };
        if let Some(reason) = record.transactions.iter().rfind(deciding).and_then(|one| one.reason.as_deref()) {
            attributes.text(a::RESPONSE_REASON, reason);
        }
        if let Some(session) = record.sessions.first() {
            attributes.text(a::DIALOG_ID, hex::encode(session.dialog_id));
        }
        if record.retransmissions > 0 {
            attributes.int(a::RETRANSMISSION_COUNT, record.retransmissions);
        }
        let error = record.error();
        self.shared(error, record.transport, &mut attributes);
        self.origin(&mut attributes);
        Span {
            span_id: record.span.0.to_vec(),
            parent_span_id: self.trace.parent.map(|parent| parent.0.to_vec()).unwrap_or_default(),
            flags: self.flags(self.trace.parent.is_some()),
            dropped_events_count: record.ladder_cut,
            status: status(error),
            ..self.span("SIP call", SpanKind::Internal, record.start, Some(record.until), attributes)
        }
    }

    /// A request with its responses, at one hop.
    pub fn transaction(&self, transaction: &Transaction) -> Span {
        let record = self.record;
        let mut attributes = Attributes::with_room(24);
        attributes.text(a::REQUEST_METHOD, method(transaction.method));
        if let Some(original) = transaction.method_original() {
            attributes.text(a::REQUEST_METHOD_ORIGINAL, original);
        }
        if let Some(status) = transaction.status {
            attributes.int(a::RESPONSE_STATUS_CODE, status);
        }
        if let Some(reason) = transaction.reason.as_deref() {
            attributes.text(a::RESPONSE_REASON, reason);
        }
        let cseq = cseq(transaction.cseq, transaction.method);
        attributes.text(a::TRANSACTION_ID, transaction_id(&record.call_id, &cseq, &transaction.branch));
        attributes.text(a::CSEQ, cseq);
        if !transaction.branch.is_empty() {
            attributes.text(a::BRANCH_ID, &*transaction.branch);
        }
        if transaction.in_dialog {
            attributes.boolean(a::IN_DIALOG, true);
        }
        for (key, direction) in [(a::TRUNK_IN, Direction::In), (a::TRUNK_OUT, Direction::Out)] {
            if let Some(carrier) = transaction.carrier(direction) {
                attributes.text(key, &**carrier);
            }
        }
        if transaction.retransmissions > 0 {
            attributes.int(a::RETRANSMISSION_COUNT, transaction.retransmissions);
        }
        let ends = Ends::of(transaction);
        if let Some(carrier) = self.carrier_at(ends.peer()) {
            attributes.text(a::PEER_SERVICE, carrier);
            attributes.text(a::SERVICE_PEER_NAME, carrier);
        }
        match ends {
            Ends::Ours { local, peer } => {
                self.endpoint(a::NETWORK_LOCAL_ADDRESS, a::NETWORK_LOCAL_PORT, local, &mut attributes);
                self.endpoint(a::NETWORK_PEER_ADDRESS, a::NETWORK_PEER_PORT, peer, &mut attributes);
            }
            Ends::Others { source, destination } => self.between(source, destination, &mut attributes),
        }
        let error = transaction.error();
        self.shared(error, transaction.transport, &mut attributes);
        self.open(transaction.end, &mut attributes);
        let single = record.subject == Subject::Request;
        if single {
            if transaction.hops > 0 {
                attributes.int(a::HOPS, transaction.hops);
            }
            self.origin(&mut attributes);
        }
        let kind = if transaction.tap == Tap::Sender { SpanKind::Client } else { SpanKind::Server };
        let parent = if single { self.trace.parent } else { Some(transaction.parent) };
        Span {
            span_id: transaction.span.0.to_vec(),
            parent_span_id: parent.map(|parent| parent.0.to_vec()).unwrap_or_default(),
            flags: self.flags(single && parent.is_some() || transaction.below_remote),
            links: self.links(record.follows().filter(|_| single)),
            dropped_events_count: if single { record.ladder_cut } else { 0 },
            status: status(error),
            ..self.span(method(transaction.method), kind, transaction.start, transaction.end, attributes)
        }
    }

    /// An early dialog.
    pub fn ringing(&self, ringing: &Ringing) -> Span {
        let mut attributes = Attributes::with_room(2);
        attributes.boolean(a::FORK_WINNER, ringing.winner);
        self.open(ringing.end, &mut attributes);
        let name = if ringing.early_media { "early media" } else { "ringing" };
        Span {
            span_id: ringing.span.0.to_vec(),
            parent_span_id: ringing.parent.0.to_vec(),
            ..self.span(name, SpanKind::Internal, ringing.start, ringing.end, attributes)
        }
    }

    /// An answered interval.
    pub fn session(&self, session: &Session) -> Span {
        let mut attributes = Attributes::with_room(5);
        attributes.text(a::DIALOG_ID, hex::encode(session.dialog_id));
        attributes.int(a::SESSION_SEGMENT, session.segment);
        if let Some(end) = session.ended {
            attributes.text(a::CALL_END, end_word(end));
        }
        if let Some(side) = session.disconnected_by {
            attributes.text(a::CALL_DISCONNECT_PARTY, side.as_str());
        }
        let mut events = Vec::new();
        if let Some(heard) = self.record.media.as_deref().filter(|_| self.record.last) {
            media::describe(heard, &mut attributes);
            events = media::events(heard, session.start, session.end);
        }
        self.open(session.end, &mut attributes);
        Span {
            span_id: session.span.0.to_vec(),
            parent_span_id: session.parent.0.to_vec(),
            links: self.links(session.previous),
            events,
            ..self.span("session", SpanKind::Internal, session.start, session.end, attributes)
        }
    }

    /// Reports of voice quality by telephones, each a moment below the call; those that came after its record stand alone.
    pub fn reports(&self) -> impl Iterator<Item = Span> {
        let record = self.record;
        let reports = record.media.iter().filter(|_| record.last).flat_map(|media| &media.reports);
        reports.zip(0..).map(|(report, number)| {
            let mut attributes = Attributes::with_room(20);
            media::describe_report(report, &mut attributes);
            self.shared(None, record.transport, &mut attributes);
            let (span_id, parent) = match record.subject {
                Subject::Report => (record.span, None),
                Subject::Call | Subject::Request => (media::report_span(record.span, number), Some(record.span)),
            };
            Span {
                span_id: span_id.0.to_vec(),
                parent_span_id: parent.map(|parent| parent.0.to_vec()).unwrap_or_default(),
                ..self.span(media::REPORT, SpanKind::Internal, report.at, Some(report.at), attributes)
            }
        })
    }

    /// A span of this trace, without identity and parent.
    pub fn span(
        &self,
        name: &str,
        kind: SpanKind,
        start: Timestamp,
        end: Option<Timestamp>,
        attributes: Attributes,
    ) -> Span {
        Span {
            trace_id: self.trace.id.to_vec(),
            trace_state: self.state.clone(),
            flags: self.flags(false),
            name: name.to_owned(),
            kind: kind.into(),
            start_time_unix_nano: start.as_nanos(),
            end_time_unix_nano: end.unwrap_or(self.record.until).max(start).as_nanos(),
            attributes: attributes.into_inner(),
            ..Span::default()
        }
    }

    /// The link to a span of this trace that came before.
    fn links(&self, before: Option<SpanId>) -> Vec<Link> {
        let link = |before: SpanId| Link {
            trace_id: self.trace.id.to_vec(),
            span_id: before.0.to_vec(),
            trace_state: self.state.clone(),
            flags: self.flags(false),
            ..Link::default()
        };
        before.map(link).into_iter().collect()
    }

    /// A log record of this trace, without the span it belongs to.
    pub fn log(&self, at: Timestamp, body: String, attributes: Attributes) -> LogRecord {
        LogRecord {
            time_unix_nano: at.as_nanos(),
            observed_time_unix_nano: at.as_nanos(),
            severity_number: SeverityNumber::Info.into(),
            severity_text: "INFO".to_owned(),
            body: Some(AnyValue { value: Some(Value::StringValue(body)) }),
            event_name: a::MESSAGE.to_owned(),
            trace_id: self.trace.id.to_vec(),
            flags: self.trace_flags(),
            attributes: attributes.into_inner(),
            ..LogRecord::default()
        }
    }

    /// What the call and each transaction say alike.
    fn shared(&self, error: Option<ErrorType>, transport: Transport, attributes: &mut Attributes) {
        if let Some(error) = error {
            attributes.text(a::ERROR_TYPE, error.to_string());
        }
        attributes.text(a::CARRIER, self.labels.carrier);
        attributes.text(a::UA_TYPE, self.labels.ua_type);
        attributes.text(a::CALL_ID, &*self.record.call_id);
        attributes.text(a::TRANSPORT, transport.as_str());
        attributes.text(a::NETWORK_TRANSPORT, network_transport(transport));
        attributes.text(a::NETWORK_PROTOCOL_NAME, "sip");
    }

    /// Who began it, and for whom it was.
    fn origin(&self, attributes: &mut Attributes) {
        let record = self.record;
        for (attribute, text) in
            [(a::FROM_USER, &record.caller), (a::TO_USER, &record.callee), (a::USER_AGENT_ORIGINAL, &record.user_agent)]
        {
            if let Some(text) = text {
                attributes.text(attribute, &**text);
            }
        }
        self.endpoint(a::CLIENT_ADDRESS, a::CLIENT_PORT, record.source, attributes);
        match &record.server {
            Some((host, port)) => {
                attributes.text(a::SERVER_ADDRESS, &**host);
                if let Some(port) = port {
                    attributes.int(a::SERVER_PORT, *port);
                }
            }
            None => self.endpoint(a::SERVER_ADDRESS, a::SERVER_PORT, record.destination, attributes),
        }
    }

    /// Address and port of an endpoint.
    pub fn endpoint(&self, address: a::Attribute, port: a::Attribute, index: u16, attributes: &mut Attributes) {
        let endpoint = self.record.endpoint(index).address;
        attributes.text(address, endpoint.ip().to_string());
        attributes.int(port, endpoint.port());
    }

    /// Who sent and who received, where neither is known to be this host.
    pub fn between(&self, source: u16, destination: u16, attributes: &mut Attributes) {
        self.endpoint(a::SOURCE_ADDRESS, a::SOURCE_PORT, source, attributes);
        self.endpoint(a::DESTINATION_ADDRESS, a::DESTINATION_PORT, destination, attributes);
    }

    /// The carrier whose network an endpoint belongs to, as the INVITEs of the record tell it.
    fn carrier_at(&self, endpoint: u16) -> Option<&str> {
        self.record.transactions.iter().find_map(|transaction| {
            let at = |end, direction| transaction.carrier(direction).filter(|_| end == endpoint);
            at(transaction.source, Direction::In)
                .or_else(|| at(transaction.destination, Direction::Out))
                .map(|name| &**name)
        })
    }

    /// Marks a part that is still open while nothing more of the call will follow.
    fn open(&self, end: Option<Timestamp>, attributes: &mut Attributes) {
        if end.is_none() {
            attributes.text(a::CALL_OUTCOME, IN_PROGRESS);
        }
    }

    /// Trace flags, and whether the parent is somebody else's span.
    fn flags(&self, remote_parent: bool) -> u32 {
        self.trace_flags() | PARENT_IS_KNOWN | if remote_parent { PARENT_IS_REMOTE } else { 0 }
    }

    /// W3C trace flags. A trace id of our own is a hash, which is as good as random; one that was offered may be not.
    fn trace_flags(&self) -> u32 {
        if self.trace.id == self.record.trace_id { SAMPLED | RANDOM } else { SAMPLED }
    }
}

/// How a call ended (`sip-metrics.md` 3.3): a word, also where others have a status.
fn end_word(end: &'static str) -> &'static str {
    if end == "481" { "dialog_gone" } else { end }
}

/// W3C Trace Context, `sampled`.
const SAMPLED: u32 = 1;
/// W3C Trace Context level 2, `random`.
const RANDOM: u32 = 2;
/// OTLP `SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK`.
const PARENT_IS_KNOWN: u32 = 0x100;
/// OTLP `SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`.
const PARENT_IS_REMOTE: u32 = 0x200;
