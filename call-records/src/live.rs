//! Calls that are up, for whoever looks at them: records as they would be if they left now.
//!
//! Which calls began last is only noted where somebody looks; a question costs as much as the calls it is about.

use std::collections::VecDeque;

use pipeline::CallRecord;
use pipeline::call::IN_PROGRESS;
use pipeline::call::live::LiveAsk;
use wire::Timestamp;

use crate::call::Call;
use crate::change::CallId;
use crate::config::Privacy;
use crate::headers;
use crate::pieces::show_endpoints;
use crate::records::Records;

/// The calls that began last, of those that are up at least [`SHOWN`].
#[derive(Default)]
pub struct Newest(VecDeque<(CallId, Timestamp)>);

impl Newest {
    /// A call began; `is_up` knows whether an older one still is, by its id and its beginning.
    pub fn began(&mut self, call: CallId, began: Timestamp, is_up: impl Fn(CallId, Timestamp) -> bool) {
        if self.0.len() >= 2 * SHOWN {
            self.0.retain(|(call, began)| is_up(*call, *began));
            self.0.drain(..self.0.len().saturating_sub(SHOWN));
        }
        self.0.push_back((call, began));
    }
}

impl Records {
    /// Adds records of calls that are up. `of`: the id of the call with a Call-ID.
    pub fn live_calls(&mut self, ask: &LiveAsk, of: impl Fn(&[u8]) -> CallId, out: &mut Vec<CallRecord>) {
        let (calls, privacy) = (&self.calls, &self.config.privacy);
        let up = |&(id, began): &(CallId, Timestamp)| calls.get(&id).filter(|call| call.began == began);
        let found = match ask {
            LiveAsk::Newest(most) => {
                let up = self.newest.0.iter().rev().filter_map(up);
                return out.extend(up.take(*most).map(|call| call.outline(privacy)));
            }
            LiveAsk::One(call_id) => {
                let is_it = |id: &CallId| calls.get(id).is_some_and(|call| call.record.call_id == *call_id);
                // One that is shown as a hash can only be found among those that were told of.
                let by_id = Some(of(call_id.as_bytes())).filter(is_it);
                by_id.or_else(|| self.newest.0.iter().rev().map(|(id, _)| *id).find(is_it))
            }
        };
        out.extend(found.and_then(|id| self.calls.get_mut(&id)).map(|call| call.so_far(&self.config.privacy)));
    }
}

impl Call {
    /// What is said of it as a whole now, with its ringing and sessions.
    fn outline(&self, privacy: &Privacy) -> CallRecord {
        let record = &self.record;
        let mut outline = CallRecord {
            last: false,
            outcome: if self.life.is_over() { record.outcome } else { IN_PROGRESS },
            ringing: self.rings.iter().map(|ring| ring.entry.clone()).collect(),
            sessions: self.sessions.iter().map(|session| session.entry.clone()).collect(),
            ..record.clone()
        };
        show_endpoints(&mut outline.endpoints, privacy);
        outline
    }

    /// All that is known of it now, but for what left with earlier pieces.
    fn so_far(&mut self, privacy: &Privacy) -> CallRecord {
        self.relate();
        CallRecord {
            transactions: self.legs.iter().map(|leg| leg.entry.clone()).collect(),
            ladder: self.ladder.iter().map(|line| line.entry).collect(),
            headers: headers::shown(self.headers.clone(), &self.own, privacy),
            sent: self.kept.as_ref().and_then(|kept| kept.sent(self.ladder.iter())),
            ..self.outline(privacy)
        }
    }
}

/// So many calls that are up can be told of, where so many are.
const SHOWN: usize = 2048;
