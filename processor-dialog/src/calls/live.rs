//! Calls that are up, for whoever looks at them: records as they would be if they left now.
//!
//! Which calls began last is only noted where somebody looks; a question costs as much as the calls it is about.

use std::collections::VecDeque;

use pipeline::CallRecord;
use pipeline::call::IN_PROGRESS;
use pipeline::call::live::LiveAsk;

use super::call::Call;
use super::config::Privacy;
use super::headers;
use super::pieces::show_endpoints;
use crate::entries::Handle;
use crate::state::State;

/// The calls that began last, of those that are up at least [`SHOWN`].
#[derive(Default)]
pub struct Newest(VecDeque<Handle>);

impl Newest {
    /// A call began; `is_up` knows whether an older one still is.
    pub fn began(&mut self, call: Handle, is_up: impl Fn(Handle) -> bool) {
        if self.0.len() >= 2 * SHOWN {
            self.0.retain(|handle| is_up(*handle));
            self.0.drain(..self.0.len().saturating_sub(SHOWN));
        }
        self.0.push_back(call);
    }
}

impl State {
    /// Adds records of calls that are up.
    pub(crate) fn live_calls(&mut self, ask: &LiveAsk, out: &mut Vec<CallRecord>) {
        let privacy = &self.config.calls.privacy;
        let calls = &mut self.calls;
        match ask {
            LiveAsk::Newest(most) => {
                let up = calls.newest.0.iter().rev().filter_map(|handle| calls.table.get(*handle));
                out.extend(up.take(*most).map(|call| call.outline(privacy)));
            }
            LiveAsk::One(call_id) => {
                let is_it =
                    |handle: Handle| calls.table.get(handle).is_some_and(|call| call.record.call_id == *call_id);
                // One that is shown as a hash can only be found among those that were told of.
                let by_key = calls.table.find(self.keys.call(call_id.as_bytes())).filter(|handle| is_it(*handle));
                let found = by_key.or_else(|| calls.newest.0.iter().rev().copied().find(|handle| is_it(*handle)));
                out.extend(found.and_then(|handle| calls.table.get_mut(handle)).map(|call| call.so_far(privacy)));
            }
        }
    }
}

impl Call {
    /// What is said of it as a whole now, with its ringing and sessions.
    fn outline(&self, privacy: &Privacy) -> CallRecord {
        let record = &self.record;
        let mut outline = CallRecord {
            last: false,
            outcome: if self.life.is_over() { record.outcome } else { IN_PROGRESS },
            ringing: self.rings.iter().map(|ring| ring.told.clone()).collect(),
            sessions: self.sessions.iter().map(|session| session.told.clone()).collect(),
            ..record.clone()
        };
        show_endpoints(&mut outline.endpoints, privacy);
        outline
    }

    /// All that is known of it now, but for what left with earlier pieces.
    fn so_far(&mut self, privacy: &Privacy) -> CallRecord {
        self.relate();
        CallRecord {
            transactions: self.legs.iter().map(|leg| leg.told.clone()).collect(),
            ladder: self.ladder.iter().map(|noted| noted.told).collect(),
            headers: headers::shown(self.headers.clone(), &self.own, privacy),
            ..self.outline(privacy)
        }
    }
}

/// So many calls that are up can be told of, where so many are.
const SHOWN: usize = 2048;
