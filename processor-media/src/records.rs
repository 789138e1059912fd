//! The media of records of calls: what is kept while a call lasts, and how it is put together when its record leaves.

use std::sync::Arc;

use call_records::{Addresses, Privacy};
use pipeline::CallRecord;
use pipeline::call::Side;
use pipeline::call::media::{CallMedia, FaultRecord, IntervalRecord, RoundTrip, StreamRecord};
use pipeline::media::{Fault, MediaTable, Toward};
use wire::Timestamp;

use crate::calls::{Call, Kept};
use crate::state::{Out, State};

impl State {
    /// Gives a record that leaves its media.
    pub fn attach(&self, place: usize, out: &mut Out<'_>) {
        let Some(call) = out.calls.get_mut(place) else { return };
        if let Some(media) = self.media_of(&call.record) {
            Arc::make_mut(&mut call.record).media = Some(Box::new(media));
        }
    }

    /// The media of a call as they stand now; `None` where there is nothing to tell.
    pub fn media_of(&self, record: &CallRecord) -> Option<CallMedia> {
        let call = self.calls.get(&record.key)?;
        let Kept { streams, intervals, extended, reports, faults } = &call.kept;
        let mut media = CallMedia {
            streams: streams.clone(),
            intervals: intervals.clone(),
            round_trip: RoundTrip::default(),
            extended: extended.clone(),
            reports: reports.clone(),
            faults: faults.clone(),
        };
        for session in call.sessions.iter().filter_map(|index| self.sessions.get(*index)) {
            media.streams.extend(session.streams.iter().filter_map(|stream| self.stream_record(*stream, call)));
            let to = |side: Side| {
                session.reports.newest[side.index()].map(|(nanos, _)| std::time::Duration::from_nanos(nanos))
            };
            let RoundTrip { to_caller, to_callee, total } = &mut media.round_trip;
            *to_caller = to(Side::Caller).or(*to_caller);
            *to_callee = to(Side::Callee).or(*to_callee);
            *total = session.reports.total().map(std::time::Duration::from_nanos).or(*total);
        }
        media.streams.sort_by_key(|stream| stream.first);
        if record.hides_addresses {
            let privacy = Privacy { ip: Addresses::Prefix, ..Privacy::default() };
            for stream in &mut media.streams {
                stream.source = privacy.address(stream.source);
                stream.destination = privacy.address(stream.destination);
            }
        }
        (!media.is_empty()).then_some(media)
    }

    fn stream_record(&self, index: u32, call: &Call) -> Option<StreamRecord> {
        let entry = self.streams.get(index)?;
        let session = self.sessions.get(entry.session())?;
        let [source, destination] = [entry.source, entry.destination].map(|place| self.places.get(place));
        let summary = entry.stats.summary();
        let ptime = self.ptime(index);
        let missing = (summary.lost() + summary.discarded).min(summary.expected);
        let codec = entry.stats.codec();
        let rating = self.rate(session.reports.total(), ptime, codec, summary.expected, missing, summary.burst_ratio);
        let shown = |nanos: u64| Timestamp::from_nanos(nanos.saturating_add_signed(call.wall_offset));
        Some(StreamRecord {
            ssrc: entry.ssrc,
            side: entry.side(),
            source: source?.address.socket(),
            destination: destination?.address.socket(),
            codec,
            first: shown(entry.stats.first()),
            last: shown(entry.stats.last()),
            summary,
            ptime: std::time::Duration::from_nanos(ptime),
            rating,
            worst: call.kept.worst(entry.ssrc, entry.side()),
        })
    }

    /// A capture time as people see it.
    pub fn shown(&self, call: u64, at: Timestamp) -> Timestamp {
        let offset = self.calls.get(&call).map_or(0, |call| call.wall_offset);
        Timestamp::from_nanos(at.as_nanos().saturating_add_signed(offset))
    }

    /// Keeps something of a call, where somebody wants records; `keep` says whether there is room.
    pub fn keep(&mut self, call: u64, out: &mut Out<'_>, keep: impl FnOnce(&mut Kept) -> bool) {
        if self.records && !keep(&mut self.calls.entry(call).or_default().kept) {
            out.refused(MediaTable::Records);
        }
    }

    /// A stream is about to be forgotten.
    pub fn keep_stream(&mut self, index: u32, out: &mut Out<'_>) {
        let Some(call) =
            self.streams.get(index).and_then(|entry| self.sessions.get(entry.session())).map(|session| session.call)
        else {
            return;
        };
        if !self.records {
            return;
        }
        let record = self.calls.get(&call).and_then(|call| self.stream_record(index, call));
        if let Some(record) = record {
            self.keep(call, out, |kept| Kept::keep(&mut kept.streams, record));
        }
    }

    /// An interval gave a sample.
    pub fn keep_interval(&mut self, call: u64, interval: IntervalRecord, out: &mut Out<'_>) {
        self.keep(call, out, |kept| kept.keep_interval(interval));
    }

    /// A fault was stated.
    pub fn keep_fault(&mut self, session: u32, fault: Fault, toward: Toward, at: Timestamp, out: &mut Out<'_>) {
        let Some(call) = self.sessions.get(session).map(|session| session.call) else { return };
        let at = self.shown(call, at);
        self.keep(call, out, |kept| Kept::keep(&mut kept.faults, FaultRecord { fault, toward, at }));
    }
}
