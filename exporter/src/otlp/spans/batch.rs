//! Calls in, requests out that are full enough to be worth sending and never too large.
//!
//! A span is encoded when it comes and never held as a structure: what waits is counted in bytes of the wire. Spans
//! of calls that failed go into requests of their own, for which others make room when the queue is full.

use hyper::body::Bytes;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::encoder::EncodedCall;
use crate::otlp::payload::{Payload, Signal};
use crate::otlp::resource::SCHEMA_URL;

/// How large requests may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A request leaves once it has as many items.
    pub min_items: usize,
    /// Most items of a request, unless one call alone has more.
    pub max_items: usize,
    /// Most bytes of a request.
    pub max_bytes: usize,
}

/// Puts the spans of calls together. Pure: when a request has waited long enough is for its owner to say.
#[derive(Debug)]
pub struct Batcher {
    envelope: Envelope,
    failed: Open,
    other: Open,
    logs: Open,
    ready: Vec<Payload>,
    too_large: [u64; 2],
}

impl Batcher {
    /// Requests on behalf of `resource` and `scope`.
    pub fn new(resource: &Resource, scope: &InstrumentationScope) -> Self {
        Self {
            envelope: Envelope::new(resource, scope),
            failed: Open::new(Signal::Traces, true),
            other: Open::new(Signal::Traces, false),
            logs: Open::new(Signal::Logs, false),
            ready: Vec::new(),
            too_large: [0; 2],
        }
    }

    /// Adds a call, which failed or not.
    pub fn add(&mut self, encoded: &EncodedCall, failed: bool, limits: Limits) {
        let open = if failed { &mut self.failed } else { &mut self.other };
        let mut packer = Packer { limits, envelope: &self.envelope, ready: &mut self.ready };
        self.too_large[0] += packer.add(&encoded.spans, open);
        self.too_large[1] += packer.add(&encoded.logs, &mut self.logs);
    }

    /// Closes what is open, full or not.
    pub fn flush(&mut self) {
        for open in [&mut self.failed, &mut self.other, &mut self.logs] {
            self.ready.extend(open.close(&self.envelope));
        }
    }

    /// Whether something waits to become a request.
    pub fn is_waiting(&self) -> bool {
        [&self.failed, &self.other, &self.logs].iter().any(|open| open.items > 0)
    }

    /// What can leave.
    pub fn take_ready(&mut self) -> Vec<Payload> {
        std::mem::take(&mut self.ready)
    }

    /// Spans and log records since the last time that no request can hold.
    pub fn take_too_large(&mut self) -> [(Signal, u64); 2] {
        let [spans, logs] = std::mem::take(&mut self.too_large);
        [(Signal::Traces, spans), (Signal::Logs, logs)]
    }
}

/// Adds items to an open request and closes full ones.
struct Packer<'a> {
    limits: Limits,
    envelope: &'a Envelope,
    ready: &'a mut Vec<Payload>,
}

impl Packer<'_> {
    /// Says how many items fit no request.
    fn add<M: Message>(&mut self, items: &[M], open: &mut Open) -> u64 {
        if items.is_empty() {
            return 0;
        }
        let most = self.limits.max_bytes.saturating_sub(self.envelope.most_around());
        let sizes: Vec<usize> = items.iter().map(field_len).collect();
        let total: usize = sizes.iter().sum();
        // A call stays together where it can.
        if open.items > 0 && (open.items + items.len() > self.limits.max_items || open.encoded.len() + total > most) {
            self.ready.extend(open.close(self.envelope));
        }
        let mut too_large = 0;
        for (item, size) in items.iter().zip(sizes) {
            if size > most {
                too_large += 1;
                continue;
            }
            if open.encoded.len() + size > most {
                self.ready.extend(open.close(self.envelope));
            }
            encode_field(ITEMS, item, &mut open.encoded);
            open.items += 1;
        }
        if open.items >= self.limits.min_items {
            self.ready.extend(open.close(self.envelope));
        }
        too_large
    }
}

/// A request that is being filled.
#[derive(Debug)]
struct Open {
    signal: Signal,
    important: bool,
    /// Field 2 of `ScopeSpans` or `ScopeLogs`, again and again.
    encoded: Vec<u8>,
    items: usize,
}

impl Open {
    fn new(signal: Signal, important: bool) -> Self {
        Self { signal, important, encoded: Vec::new(), items: 0 }
    }

    fn close(&mut self, envelope: &Envelope) -> Option<Payload> {
        if self.items == 0 {
            return None;
        }
        let body = envelope.around(&self.encoded);
        self.encoded.clear();
        let items = std::mem::take(&mut self.items) as u64;
        Some(Payload { signal: self.signal, body, items, important: self.important })
    }
}

/// Everything of a request but its items. Traces and logs have the same shape: `Export…ServiceRequest` (1) holds
/// `Resource…` (resource 1, scopes 2, schema 3), which holds `Scope…` (scope 1, items 2, schema 3).
#[derive(Debug)]
struct Envelope {
    resource: Vec<u8>,
    scope: Vec<u8>,
    /// Field 3 of both.
    schema_url: Vec<u8>,
}

impl Envelope {
    fn new(resource: &Resource, scope: &InstrumentationScope) -> Self {
        let field = |encode: &dyn Fn(&mut Vec<u8>)| {
            let mut field = Vec::new();
            encode(&mut field);
            field
        };
        Self {
            resource: field(&|out| encode_field(FIRST, resource, out)),
            scope: field(&|out| encode_field(FIRST, scope, out)),
            schema_url: field(&|out| {
                head(SCHEMA, SCHEMA_URL.len(), out);
                out.extend_from_slice(SCHEMA_URL.as_bytes());
            }),
        }
    }

    /// Most bytes it adds.
    fn most_around(&self) -> usize {
        self.resource.len() + self.scope.len() + 2 * (self.schema_url.len() + MOST_HEAD)
    }

    fn around(&self, items: &[u8]) -> Bytes {
        let schema_len = self.schema_url.len();
        let scope_len = self.scope.len() + items.len() + schema_len;
        let resource_len = self.resource.len() + head_len(scope_len) + scope_len + schema_len;
        let mut body = Vec::with_capacity(head_len(resource_len) + resource_len);
        head(FIRST, resource_len, &mut body);
        body.extend_from_slice(&self.resource);
        head(ITEMS, scope_len, &mut body);
        body.extend_from_slice(&self.scope);
        body.extend_from_slice(items);
        body.extend_from_slice(&self.schema_url);
        body.extend_from_slice(&self.schema_url);
        body.into()
    }
}

/// Key of field 1, length-delimited.
const FIRST: u8 = 1 << 3 | 2;
/// Key of field 2, length-delimited.
const ITEMS: u8 = 2 << 3 | 2;
/// Key of field 3, length-delimited.
const SCHEMA: u8 = 3 << 3 | 2;
/// A key of one byte and a length of at most ten.
const MOST_HEAD: usize = 11;

fn head(key: u8, len: usize, out: &mut Vec<u8>) {
    out.push(key);
    prost::encode_length_delimiter(len, out).expect("a vector grows");
}

fn head_len(len: usize) -> usize {
    1 + prost::length_delimiter_len(len)
}

fn field_len<M: Message>(message: &M) -> usize {
    let len = message.encoded_len();
    head_len(len) + len
}

fn encode_field<M: Message>(key: u8, message: &M, out: &mut Vec<u8>) {
    out.push(key);
    message.encode_length_delimited(out).expect("a vector grows");
}

#[cfg(test)]
mod tests;
