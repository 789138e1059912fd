//! The memory of all records together: bounded in bytes, so that a flood of INVITEs takes no more than it is given.
//!
//! What a record takes is counted with each of its messages. Beyond the bound records leave before their end, those first that
//! nothing is known of but a request: of a flood nothing else is known, and calls that were answered stay.

use pipeline::call::ladder::{Rare, SpanId};
use pipeline::{CallRecord, Facts};

use crate::call::{Answered, Call, Closed, LadderLine, Left, Leg, Ring};
use crate::headers;
use crate::observed::SlotHolder;
use crate::records::Records;

impl Call {
    /// Bytes it takes, messages as they were sent aside, which have a bound of their own.
    pub fn weigh(&self) -> u32 {
        let lists = self.legs.capacity() * size_of::<Leg>()
            + self.rings.capacity() * size_of::<Ring>()
            + self.sessions.capacity() * size_of::<Answered>()
            + self.ladder.capacity() * size_of::<LadderLine>()
            + headers::bytes(&self.headers);
        let of_legs: usize = self.legs.iter().map(weigh_leg).sum();
        let earlier = self.earlier.as_ref().map_or(0, |earlier| {
            earlier.rings.capacity() * size_of::<SpanId>()
                + earlier.transactions.capacity() * size_of::<Left>()
                + earlier.sessions.capacity() * size_of::<Closed>()
        });
        let measured = size_of_val(&self.record.measured[..]);
        let texts = self.own.len() + texts(&self.record);
        let bytes = size_of::<Self>() + lists + of_legs + earlier + measured + texts + OF_THE_TABLE;
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }

    /// More is known of it than a request: an answer, a failure, a mark of its caller.
    fn is_remarkable(&self) -> bool {
        self.record.debug || !self.sessions.is_empty() || self.legs.iter().any(|leg| leg.entry.status.is_some())
    }
}

/// Bytes of what a transaction refers to.
fn weigh_leg(leg: &Leg) -> usize {
    let reason = leg.entry.reason.as_ref().map_or(0, |reason| reason.len());
    let rare = leg.entry.rare.as_ref().map_or(0, |_| size_of::<Rare>());
    leg.entry.branch.len() + 8 * leg.above().len() + reason + rare
}

/// Bytes of what a record says in text, and of its addresses.
pub fn texts(record: &CallRecord) -> usize {
    let texts = [&record.caller, &record.callee, &record.user_agent].into_iter().flatten();
    let server = record.server.as_ref().map_or(0, |(host, _)| host.len());
    record.call_id.len() + texts.map(|text| text.len()).sum::<usize>() + server + size_of_val(&record.endpoints[..])
}

impl Records {
    /// A record takes `now` bytes, and took `before`.
    pub(crate) fn weighed(&mut self, before: u32, now: u32) {
        self.bytes = self.bytes.saturating_sub(before as usize) + now as usize;
    }

    /// Has records leave until all are within their bound.
    pub(crate) fn keep_within(&mut self, slots: &mut impl SlotHolder, out: &mut Facts) {
        let most = self.config.max_record_memory;
        if self.bytes <= most {
            return;
        }
        // In steps, so that a table full of answered calls is not looked through for each message.
        let (goal, mut looks) = (most - most / STEP, LOOKED_AT);
        while self.bytes > goal {
            self.counts.evicted += 1;
            if let Some(call) = self.oldest_unremarkable(&mut looks) {
                self.send_whole(call, slots, out);
            } else if let Some((&request, _)) = self.singles.front() {
                self.send_single(request, slots, out);
            } else if let Some((&call, _)) = self.calls.front() {
                self.send_whole(call, slots, out);
            } else {
                return;
            }
        }
    }

    /// The call idle longest that nothing is known of; of those that are looked at, those of which something is go behind the
    /// others, so that each is looked at once while a flood passes.
    fn oldest_unremarkable(&mut self, looks: &mut usize) -> Option<u64> {
        while *looks > 0 {
            let (&oldest, call) = self.calls.front()?;
            if !call.is_remarkable() {
                return Some(oldest);
            }
            self.calls.to_back(&oldest);
            *looks -= 1;
        }
        None
    }
}

/// Bytes of a record's place in the table of calls, and of what the allocator adds to its parts.
pub const OF_THE_TABLE: usize = 192;
/// Most calls that are looked at in vain at a time.
const LOOKED_AT: usize = 1024;
/// The part of the bound that is made free at a time.
const STEP: usize = 16;
