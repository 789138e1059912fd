//! What the first message of a record says: who, from where, in which trace.

use std::sync::Arc;

use pipeline::call::ladder::{Endpoint, SpanId};
use pipeline::call::{Offered, Subject};
use pipeline::{CallRecord, CallsWanted, Slot};
use sip::{Message, Start};

use crate::call::shown;
use crate::config::{Addresses, Config, TraceSource};
use crate::identity::{self, Identity};
use crate::observed::Observed;
use crate::privacy::Own;

/// The beginning of a record: everything but its parts, its span, and for a request its trace. `ids` is the Call-ID, or what
/// stands for it in ids.
pub fn record(
    subject: Subject,
    seen: &Observed<'_>,
    slot: Slot,
    own: &Own,
    ids: &[u8],
    config: &Config,
    wanted: &CallsWanted,
) -> CallRecord {
    let (message, frame, privacy) = (seen.message, seen.frame, &config.privacy);
    let start = shown(frame.first, frame.wall_offset);
    let number = |uri| sip::uri::user(uri).and_then(|user| privacy.number(user));
    let user_agent = message.user_agent().map(|value| privacy.cleared(&value, MAX_USER_AGENT, own));
    let (trace_id, offered) = trace(message, ids, config);
    CallRecord {
        key: seen.call,
        slot,
        call_id: privacy.call_id(message.call_id, own),
        trace_id,
        offered: offered.map(Box::new),
        debug: message.is_marked_for_logging(),
        caller: number(message.from.uri),
        callee: number(message.to.uri),
        has_number: wanted.number.as_ref().is_some_and(|wanted| privacy.has_number(wanted, message)),
        user_agent,
        server: server(message, own, config),
        destination: u16::from(frame.source != frame.destination),
        transport: frame.transport,
        endpoints: endpoints(seen),
        ladder_form: config.ladder.form(),
        hides_addresses: privacy.ip == Addresses::Prefix,
        ..CallRecord::begun(subject, start)
    }
}

/// Sender and recipient, with their whole addresses.
fn endpoints(seen: &Observed<'_>) -> Vec<Endpoint> {
    let mut endpoints = vec![Endpoint { address: seen.frame.source }, Endpoint { address: seen.frame.destination }];
    endpoints.dedup();
    endpoints
}

/// The trace by the configured order, and what the caller offers where that comes first. Without anything else the
/// trace is that of the Call-ID.
fn trace(message: &Message<'_>, ids: &[u8], config: &Config) -> ([u8; 16], Option<Offered>) {
    let mut offered = None;
    for source in &config.trace_id.from {
        match source {
            TraceSource::CallId => break,
            TraceSource::SessionId => {
                if let Some(uuid) = identity::session_uuid(message) {
                    return (uuid, offered);
                }
            }
            // Whose it is only shows when the call has its labels; until then it is an offer.
            TraceSource::Traceparent if config.trace_id.trusted_carriers.is_empty() => {}
            TraceSource::Traceparent => {
                let trusted = || config.trace_id.trusted_carriers.iter().map(|name| name.as_str().into()).collect();
                offered = identity::offered(message).map(|(trace_id, parent)| Offered {
                    trace_id,
                    parent,
                    trusted: Arc::<[Box<str>]>::from_iter::<Vec<_>>(trusted()),
                });
            }
        }
    }
    (identity::trace_id(ids), offered)
}

/// Host and port of the Request-URI.
fn server(message: &Message<'_>, own: &Own, config: &Config) -> Option<(Box<str>, Option<u16>)> {
    let Start::Request { uri, .. } = message.start else { return None };
    let (host, port) = sip::uri::host_port(uri)?;
    Some((config.privacy.host(host, own)?, port))
}

/// The span of a call as a whole.
pub fn root_span(identity: &Identity, invite: &Message<'_>) -> SpanId {
    identity.span("call", identity::cseq(invite), invite.via.branch)
}

/// Longest User-Agent kept, in bytes.
const MAX_USER_AGENT: usize = 256;
