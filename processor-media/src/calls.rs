//! A call: its sessions, and what records keep of its media. Bounded for each call.

use pipeline::call::Side;
use pipeline::call::media::{ExtendedRecord, FaultRecord, IntervalRecord, ReportRecord, StreamRecord};

/// Most sessions of one call: forks, and dialogs that follow one another.
pub const MAX_SESSIONS: usize = 16;
/// Most intervals kept of one call: three hours of one with two streams.
const MAX_INTERVALS: usize = 2048;
/// Most streams that are over, reports of either kind, and faults kept of one call.
const MAX_KEPT: usize = 64;

/// What is known under one Call-ID.
#[derive(Default)]
pub struct Call {
    /// In the order they began.
    pub sessions: Vec<u32>,
    pub kept: Kept,
    /// Nanoseconds to add to capture times to get those people are shown.
    pub wall_offset: i64,
}

/// What records keep.
#[derive(Default)]
pub struct Kept {
    /// Streams that are over.
    pub streams: Vec<StreamRecord>,
    pub intervals: Vec<IntervalRecord>,
    pub extended: Vec<ExtendedRecord>,
    pub reports: Vec<ReportRecord>,
    pub faults: Vec<FaultRecord>,
}

impl Kept {
    /// Adds to a list; `false` when it is full.
    #[must_use]
    pub fn keep<T>(list: &mut Vec<T>, entry: T) -> bool {
        let has_room = list.len() < MAX_KEPT;
        if has_room {
            list.push(entry);
        }
        has_room
    }

    /// Adds an interval; beyond the bound in place of the one that sounded best, if it is worse.
    #[must_use]
    pub fn keep_interval(&mut self, interval: IntervalRecord) -> bool {
        if self.intervals.len() < MAX_INTERVALS {
            self.intervals.push(interval);
            return true;
        }
        let best =
            (0..self.intervals.len()).max_by(|a, b| self.intervals[*a].mos_cq.total_cmp(&self.intervals[*b].mos_cq));
        if let Some(best) = best.filter(|best| self.intervals[*best].mos_cq > interval.mos_cq) {
            self.intervals[best] = interval;
        }
        false
    }

    /// The worst MOS-CQ of a stream.
    pub fn worst(&self, ssrc: u32, side: Side) -> Option<f32> {
        let of_stream = self.intervals.iter().filter(|interval| (interval.ssrc, interval.side) == (ssrc, side));
        of_stream.map(|interval| interval.mos_cq).min_by(f32::total_cmp)
    }
}
