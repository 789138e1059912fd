//! Records of the kernel side in, pieces of streams with addresses out, in the order of time.
//!
//! Packets reach user space up to 80 ms after they were seen, records at once: a record waits in the kernel's buffer
//! until every packet before it has been read. One whose addresses are not known yet is kept [`PendingAddresses`] until a later one
//! of its connection tells them. What is given up is counted.

use std::time::Duration;

use aya::maps::{HashMap, MapData, PerCpuArray, RingBuf};
use intake::{End, Piece};
use pipeline::Telemetry;
use wire::Timestamp;

use crate::clocks::Clocks;

use super::pending::PendingAddresses;
use super::programs::COUNTS;
use super::record::{Certainty, Decision, Kind, Process, Record};

/// How long a decision about a process is waited for.
const DECISION_TIME: Duration = Duration::from_secs(1);

/// Reads the records.
pub struct Feed {
    records: RingBuf<MapData>,
    decisions: HashMap<MapData, Process, [u64; 2]>,
    counts: PerCpuArray<MapData, u64>,
    /// The record that is next, if one was taken out of the kernel's buffer; empty if not.
    next: Vec<u8>,
    pending: PendingAddresses,
    taken: Taken,
    /// Records the kernel had lost when it was last asked.
    lost: u64,
}

/// What became of records, since the start.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    /// Handed on, by certainty of their addresses.
    by_certainty: [u64; Certainty::ALL.len()],
    /// Given up because their addresses did not become known.
    without_address: u64,
    /// Of processes that are not meant, or that nobody decided about in time.
    unwanted: u64,
    undecided: u64,
    damaged: u64,
}

impl Feed {
    /// Nothing has been read yet.
    pub fn new(
        records: RingBuf<MapData>,
        decisions: HashMap<MapData, Process, [u64; 2]>,
        counts: PerCpuArray<MapData, u64>,
    ) -> Self {
        Self {
            records,
            decisions,
            counts,
            next: Vec::new(),
            pending: PendingAddresses::default(),
            taken: Taken::default(),
            lost: 0,
        }
    }

    /// Hands out what was read and written until `until`, `most` records at most. Returns how many there were; fewer
    /// says that no more are due.
    pub fn release(
        &mut self,
        until: Timestamp,
        clocks: Clocks,
        most: usize,
        mut take: impl FnMut(&Piece<'_>),
    ) -> usize {
        let mut released = 0;
        while released < most && self.fill() {
            let bytes = std::mem::take(&mut self.next);
            let Some(record) = Record::parse(&bytes) else {
                self.taken.damaged += 1;
                continue;
            };
            let due = clocks.wall_at(record.at) <= until;
            let decision = if due { self.decide(&record, clocks) } else { Decision::Undecided };
            match decision {
                Decision::Undecided => {
                    self.next = bytes;
                    break;
                }
                Decision::Unwanted => {}
                Decision::Wanted if record.certainty == Certainty::Unknown => {
                    let (connection, at) = (record.connection, record.at);
                    self.taken.without_address += self.pending.put(connection, at, bytes);
                }
                Decision::Wanted => {
                    self.bring_back(&record, clocks, &mut take);
                    self.hand_on(&record, &record, clocks, &mut take);
                    self.next = bytes;
                    self.next.clear();
                }
            }
            released += 1;
        }
        self.taken.without_address += self.pending.expire(clocks.monotonic);
        released
    }

    /// Whether a record is next.
    fn fill(&mut self) -> bool {
        if self.next.is_empty()
            && let Some(record) = self.records.next()
        {
            self.next.extend_from_slice(&record);
        }
        !self.next.is_empty()
    }

    /// Whether the process is meant. `Undecided`: ask again.
    fn decide(&mut self, record: &Record<'_>, clocks: Clocks) -> Decision {
        if record.decision != Decision::Undecided {
            return record.decision;
        }
        let told = self.decisions.get(&record.process, 0).ok().and_then(|[number, _]| Decision::from_number(number));
        match told {
            Some(Decision::Wanted) => Decision::Wanted,
            Some(Decision::Unwanted) => {
                self.taken.unwanted += 1;
                Decision::Unwanted
            }
            _ if older(record, clocks, DECISION_TIME) => {
                self.taken.undecided += 1;
                Decision::Unwanted
            }
            _ => Decision::Undecided,
        }
    }

    /// Hands on a record, with the addresses that another one of its connection tells.
    fn hand_on(&mut self, record: &Record<'_>, known: &Record<'_>, clocks: Clocks, take: &mut impl FnMut(&Piece<'_>)) {
        self.taken.by_certainty[known.certainty as usize] += 1;
        let (seen_at, source, destination) = match record.kind {
            Kind::Read => (End::Recipient, known.remote, known.local),
            Kind::Written => (End::Sender, known.local, known.remote),
        };
        take(&Piece {
            at: clocks.wall_at(record.at),
            seen_at,
            source,
            destination,
            sequence: record.sequence,
            opening: record.opening,
            ended: record.ended,
            bytes: record.bytes,
        });
    }

    /// Hands on what was put pending of the connection of `known`.
    fn bring_back(&mut self, known: &Record<'_>, clocks: Clocks, take: &mut impl FnMut(&Piece<'_>)) {
        for bytes in self.pending.take(known.connection) {
            if let Some(record) = Record::parse(&bytes) {
                self.hand_on(&record, known, clocks, take);
            }
        }
    }

    /// Records the kernel had no room for, since the last call.
    pub fn newly_lost(&mut self) -> u64 {
        let lost = self.count(0);
        let new = lost.saturating_sub(self.lost);
        self.lost = lost;
        new
    }

    /// A count of the kernel side; 0 where it cannot be read.
    fn count(&self, index: u32) -> u64 {
        self.counts.get(&index, 0).map_or(0, |values| values.iter().sum())
    }

    /// What became of records.
    pub fn telemetry(&self, out: &mut Vec<Telemetry>) {
        let mut counter = |name, label: &'static str, value: &str, count: u64| {
            out.push(Telemetry { name, labels: vec![(label, value.to_owned())], counter: true, value: count as f64 });
        };
        for (certainty, count) in Certainty::ALL.iter().zip(self.taken.by_certainty).skip(1) {
            counter("otelcol_receiver_tls_records", "address", certainty.as_str(), count);
        }
        let dropped = [
            ("unknown_address", self.taken.without_address),
            ("unwanted_process", self.taken.unwanted),
            ("undecided_process", self.taken.undecided),
            ("damaged", self.taken.damaged),
        ];
        for (reason, count) in dropped {
            counter("otelcol_receiver_tls_dropped_records", "reason", reason, count);
        }
        for (index, name) in (0..).zip(COUNTS) {
            counter("otelcol_receiver_tls_kernel_events", "event", name, self.count(index));
        }
    }
}

fn older(record: &Record<'_>, clocks: Clocks, time: Duration) -> bool {
    u128::from(clocks.monotonic.saturating_sub(record.at)) > time.as_nanos()
}
