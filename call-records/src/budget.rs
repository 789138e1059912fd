//! The memory of all records together: bounded in bytes, so that a flood of INVITEs takes no more than it is given.
//!
//! What a record takes is counted with each of its messages. Beyond the bound records leave before their end, those first that
//! nothing is known of but a request: of a flood nothing else is known, and calls that were answered stay.

use pipeline::{CallRecord, Facts};

use crate::call::{Call, LadderLine, Leg, Ring};
use crate::headers;
use crate::observed::SlotHolder;
use crate::records::Records;

impl Call {
    /// Bytes it takes, messages as they were sent aside, which have a bound of their own.
    pub fn weigh(&self) -> u32 {
        let lists = self.legs.capacity() * size_of::<Leg>()
            + self.rings.capacity() * size_of::<Ring>()
            + self.sessions.capacity() * size_of::<crate::call::Answered>()
            + self.ladder.capacity() * size_of::<LadderLine>()
            + headers::bytes(&self.headers);
        let branches: usize = self.legs.iter().map(|leg| leg.entry.branch.len() + 8 * leg.above().len()).sum();
        let bytes = size_of::<Self>() + lists + branches + self.own.len() + texts(&self.record) + OF_THE_TABLE;
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }

    /// More is known of it than a request: an answer, a failure, a mark of its caller.
    fn is_remarkable(&self) -> bool {
        self.record.debug || !self.sessions.is_empty() || self.legs.iter().any(|leg| leg.entry.status.is_some())
    }
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
        while self.bytes > self.config.max_record_memory {
            self.counts.evicted += 1;
            if let Some(call) = self.oldest_unremarkable() {
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

    /// The call idle longest that nothing is known of; of so many that are looked at, those of which something is go behind the
    /// others, so that each is looked at once while a flood passes.
    fn oldest_unremarkable(&mut self) -> Option<u64> {
        for _ in 0..LOOKED_AT {
            let (&oldest, call) = self.calls.front()?;
            if !call.is_remarkable() {
                return Some(oldest);
            }
            self.calls.to_back(&oldest);
        }
        None
    }
}

/// Bytes of a record's place in the table of calls, and of what the allocator adds to its parts.
pub const OF_THE_TABLE: usize = 192;
/// Most calls that are looked at for one that may leave.
const LOOKED_AT: usize = 1024;
