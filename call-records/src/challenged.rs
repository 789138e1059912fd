//! Single requests that were challenged: the retry with credentials is in their trace.
//!
//! A retry keeps the Call-ID and counts CSeq up (RFC 3261 §22.2, §10.2). So does a refresh an hour later, which is another
//! matter: only what follows a challenge within the time a retry is waited for belongs to it.

use std::time::Duration;

use hashlink::LinkedHashMap;
use pipeline::call::ladder::SpanId;
use sip::Method;
use wire::Timestamp;

use crate::change::CallId;
use crate::observed::Observed;

/// Requests whose retry is waited for, in order of their challenges.
#[derive(Default)]
pub struct ChallengedRequests(LinkedHashMap<Sender, Challenged>);

/// Whose retry it is: Call-ID, From tag and method.
type Sender = (CallId, u32, Method);

/// A request that was challenged.
#[derive(Clone, Copy)]
pub struct Challenged {
    /// Its trace.
    pub trace_id: [u8; 16],
    /// Its span.
    pub span: SpanId,
    /// So many of its trace were challenged before it.
    retries: u8,
    cseq: u32,
    at: Timestamp,
}

impl ChallengedRequests {
    /// A request of which `seen` is the response was challenged; it has this trace and span.
    pub fn note(&mut self, seen: &Observed<'_>, trace_id: [u8; 16], span: SpanId) {
        let sender = sender(seen);
        let before = self.0.remove(&sender).filter(|before| before.trace_id == trace_id);
        let retries = before.map_or(0, |before| before.retries.saturating_add(1));
        while self.0.len() >= MAX_CHALLENGED {
            self.0.pop_front();
        }
        self.0.insert(sender, Challenged { trace_id, span, retries, cseq: seen.message.cseq.number, at: seen.now() });
    }

    /// The request that this one repeats with credentials, if it came within `wait` of the challenge.
    pub fn before(&self, seen: &Observed<'_>, wait: Duration) -> Option<Challenged> {
        let challenged = *self.0.get(&sender(seen))?;
        let follows = seen.message.is_request() && seen.message.cseq.number > challenged.cseq;
        let belongs = follows && challenged.retries < MAX_RETRIES && seen.frame.first <= challenged.at + wait;
        belongs.then_some(challenged)
    }
}

fn sender(seen: &Observed<'_>) -> Sender {
    (seen.call, seen.from, seen.message.method())
}

/// Most challenges in one trace: a phone with a wrong password asks for ever.
const MAX_RETRIES: u8 = 16;
/// Most requests whose retry is waited for: what two seconds of challenges come to at a registrar of a hundred thousand
/// phones.
const MAX_CHALLENGED: usize = 4096;
