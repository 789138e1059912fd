//! All records that are being made: what each is told, and how they leave.

use foldhash::quality::RandomState;
use hashlink::LinkedHashMap;
use pipeline::CallsWanted;
use pipeline::affinity::Steer;
use pipeline::settings::network::IpNet;
use pipeline::{CallRecord, Facts, Telemetry};
use wire::Timestamp;

use crate::call::Call;
use crate::challenged::ChallengedRequests;
use crate::change::{CallId, Change, RequestId, Sighting};
use crate::config::{Config, Raw};
use crate::kept::{Holder, Kept, Room, Why};
use crate::live::Newest;
use crate::observed::{Context, Observed, SlotHolder, Waits};
use crate::reused::ReusedCallIds;
use crate::single::Single;
use crate::timers::{Due, Timers};
use crate::{headers, push_tight};

/// The records that are being made; in order are those of calls and those of single requests by their last message.
pub struct Records {
    pub(crate) config: Config,
    pub(crate) wanted: CallsWanted,
    pub(crate) waits: Waits,
    pub(crate) hashes: RandomState,
    pub(crate) fleet: Vec<IpNet>,
    pub(crate) calls: LinkedHashMap<CallId, Box<Call>>,
    pub(crate) singles: LinkedHashMap<RequestId, Box<Single>>,
    pub(crate) challenged: ChallengedRequests,
    pub(crate) reused: ReusedCallIds,
    pub(crate) timers: Timers,
    /// Only where calls are watched.
    pub(crate) newest: Newest,
    /// Bytes of header fields kept of calls that are up.
    pub(crate) header_bytes: usize,
    /// What is kept of the messages themselves.
    pub(crate) room: Room,
    /// Bytes of all records, but for what has a bound of its own.
    pub(crate) bytes: usize,
    pub(crate) counts: Counts,
    pub(crate) capacity: usize,
}

/// What became of records.
#[derive(Default)]
pub(crate) struct Counts {
    pub calls: u64,
    pub pieces: u64,
    pub requests: u64,
    pub evicted: u64,
    pub cut: u64,
    /// Calls with a trace of their own, because their Call-ID has been used too often.
    pub reused: u64,
}

impl Records {
    /// No records yet, at most `capacity` of calls and as many of single requests.
    pub fn new(config: Config, wanted: CallsWanted, capacity: usize, waits: Waits) -> Self {
        Self {
            fleet: config.fleet(),
            config,
            wanted,
            waits,
            hashes: RandomState::default(),
            calls: LinkedHashMap::new(),
            singles: LinkedHashMap::new(),
            challenged: ChallengedRequests::default(),
            reused: ReusedCallIds::default(),
            timers: Timers::default(),
            newest: Newest::default(),
            header_bytes: 0,
            room: Room::default(),
            bytes: 0,
            counts: Counts::default(),
            capacity,
        }
    }

    /// Takes new settings.
    pub fn reconfigure(&mut self, config: Config, capacity: usize, waits: Waits) {
        self.fleet = config.fleet();
        (self.config, self.capacity, self.waits) = (config, capacity, waits);
        if self.config.raw == Raw::Off {
            // Whoever turns it off, or hides numbers, wants nothing of it left.
            self.let_go(0);
        }
    }

    /// A message went through the rules: `changes` is what they made of it, in order, `sighting` what it turned out to be;
    /// `None` where it belongs to nothing that is followed.
    pub fn on_message(
        &mut self,
        seen: &Observed<'_>,
        sighting: Option<Sighting>,
        changes: &[Change],
        slots: &mut impl SlotHolder,
        out: &mut Facts,
    ) {
        for change in changes {
            self.on_change(seen.call, change, Some(seen), slots, out);
        }
        if let Some(sighting) = &sighting
            && self.singles.contains_key(&sighting.request)
        {
            self.on_single(sighting, seen);
            self.weigh_single(sighting.request);
            return self.keep_within(slots, out);
        }
        let Some(call) = self.calls.get_mut(&seen.call) else {
            if let Some(sighting) = &sighting {
                self.on_first_of_single(sighting, seen, slots, out);
            }
            return;
        };
        // What it belongs to was there before the record: another one, that has left.
        if sighting.is_some_and(|sighting| sighting.began < call.began) {
            return;
        }
        let headers = self.wanted.watched.then_some(self.header_bytes < headers::MAX_IN_ALL);
        let context =
            Context { config: &self.config, wanted: &self.wanted, hashes: &self.hashes, fleet: &self.fleet, headers };
        let listed = call.headers.len();
        call.take(seen, sighting.as_ref(), &context);
        self.header_bytes += headers::bytes(&call.headers[listed..]);
        let piece_due = std::mem::take(&mut call.piece_due);
        let (before, now) = (call.weight, call.weigh());
        call.weight = now;
        if let Some(kept) = call.kept.as_deref_mut() {
            self.room.take_refused(kept);
            let bytes = kept.bytes();
            self.hold(Holder::Call(seen.call), bytes);
        }
        self.calls.to_back(&seen.call);
        self.weighed(before, now);
        if piece_due {
            self.send_piece(seen.call, None, out);
        }
        self.keep_within(slots, out);
    }

    /// A record keeps so many bytes of messages now; where all are too many, those that have been kept longest go.
    pub(crate) fn hold(&mut self, holder: Holder, bytes: usize) {
        self.room.set(holder, bytes);
        self.let_go(self.config.raw_room);
    }

    /// Lets messages go that have been kept longest, until all are at most so many bytes.
    fn let_go(&mut self, most: usize) {
        while let Some(oldest) = self.room.exceeds(most) {
            let kept: Option<&mut Kept> = match &oldest {
                Holder::Call(call) => self.calls.get_mut(call).and_then(|call| call.kept.as_deref_mut()),
                Holder::Single(request) => self.singles.get_mut(request).and_then(|single| single.kept.as_deref_mut()),
            };
            let messages = kept.map_or(0, Kept::let_go);
            self.room.refuse(Why::All, messages);
            self.room.set(oldest, 0);
        }
    }

    /// The message at hand shows where the call went.
    pub fn on_steered(&mut self, call: CallId, steer: &Steer) {
        if let Some(call) = self.calls.get_mut(&call) {
            call.record.steer = Some(Box::new(steer.clone()));
        }
    }

    /// Something changed without a message: time passed, or room was needed.
    pub fn on_changes(&mut self, call: CallId, changes: &[Change], slots: &mut impl SlotHolder, out: &mut Facts) {
        for change in changes {
            self.on_change(call, change, None, slots, out);
        }
    }

    fn on_change(
        &mut self,
        id: CallId,
        change: &Change,
        seen: Option<&Observed<'_>>,
        slots: &mut impl SlotHolder,
        out: &mut Facts,
    ) {
        match *change {
            Change::AttemptOpened { slot } => {
                if let Some(seen) = seen {
                    self.on_attempt_opened(seen, slot, slots, out);
                }
            }
            Change::RequestForgotten { request } => self.send_single(request, slots, out),
            Change::RequestTimedOut { request, at, .. } if self.singles.contains_key(&request) => {
                self.on_single_timed_out(request, at, slots, out);
            }
            Change::RequestTimedOut { method, cseq, at, .. } => {
                if let Some(call) = self.calls.get_mut(&id) {
                    call.time_out(at, |leg| (leg.entry.method, leg.entry.cseq) == (method, cseq));
                }
            }
            Change::Measured { request, measure, delay } => {
                let single =
                    request.and_then(|request| self.singles.get_mut(&request)).map(|single| &mut single.record);
                let record = single.or_else(|| self.calls.get_mut(&id).map(|call| &mut call.record));
                if let Some(record) = record.filter(|record| record.measured.len() < MAX_MEASURED) {
                    push_tight(&mut record.measured, (measure, delay), USUAL_MEASURED);
                }
            }
            Change::AttemptProgressed(setup) => {
                if let Some(call) = self.calls.get_mut(&id) {
                    call.record.setup.get_or_insert(setup);
                }
            }
            Change::Rang(ring) => {
                if let Some(call) = self.calls.get_mut(&id) {
                    call.record.ring = Some(ring);
                }
            }
            Change::AttemptEnded { outcome, status, at } => self.on_attempt_ended(id, outcome, status, at),
            Change::AttemptLost { at } => self.on_attempt_lost(id, at),
            Change::DialogConfirmed { dialog } => {
                if let Some(seen) = seen {
                    self.on_dialog_confirmed(dialog, seen);
                }
            }
            Change::HungUp { dialog } => {
                if let (Some(call), Some(seen)) = (self.calls.get_mut(&id), seen) {
                    call.on_bye(dialog, seen);
                }
            }
            Change::DialogEnded { dialog, end, duration, at, settled } => {
                let Some(call) = self.calls.get_mut(&id).filter(|call| call.has_up(dialog)) else { return };
                call.hung_up(dialog, end, duration, at);
                self.on_dialog_ended(id, settled);
            }
            Change::DialogLost { dialog, at } => self.on_dialog_lost(id, dialog, at),
        }
    }

    /// Sends what is due at or before `now`.
    pub fn on_time(&mut self, now: Timestamp, slots: &mut impl SlotHolder, out: &mut Facts) {
        while let Some((due, what)) = self.timers.pop(now) {
            match what {
                Due::Call(call) => self.on_call_due(call, due, slots, out),
                Due::Piece(call) => self.on_piece_due(call, due, out),
                Due::Single(request) => self.send_single(request, slots, out),
            }
        }
    }

    /// Sends every record: of what is decided and not up with its outcome, of the rest as in progress.
    pub fn drain(&mut self, slots: &mut impl SlotHolder, out: &mut Facts) {
        while let Some((&call, _)) = self.calls.front() {
            self.send_unfinished(call, slots, out);
        }
        while let Some((&request, _)) = self.singles.front() {
            self.send_single(request, slots, out);
        }
    }

    /// The record of a call is still to leave.
    pub fn holds(&self, call: CallId) -> bool {
        self.calls.contains_key(&call)
    }

    /// A record, or a piece of one, leaves.
    pub(crate) fn send(&mut self, record: CallRecord, out: &mut Facts) {
        self.counts.cut += u64::from(record.last && record.ladder_cut > 0);
        out.calls.push(pipeline::Call { record: record.into(), threshold: None });
    }

    /// Records held, by table.
    pub fn held(&self) -> [(&'static str, usize); 2] {
        [("calls", self.calls.len()), ("single_requests", self.singles.len())]
    }

    /// What became of records.
    pub fn telemetry(&self, out: &mut Vec<Telemetry>) {
        let counts = &self.counts;
        let mut counter = |name, labels, value: u64| {
            out.push(Telemetry { name, labels, counter: true, value: value as f64 });
        };
        for (kind, count) in [("call", counts.calls), ("piece", counts.pieces), ("request", counts.requests)] {
            counter("otelcol_processor_call_records", vec![("kind", kind.to_owned())], count);
        }
        for (why, reason) in [(Why::Call, "call_full"), (Why::All, "all_full")] {
            let labels = vec![("reason", reason.to_owned())];
            counter("otelcol_processor_refused_raw_messages", labels, self.room.refused(why));
        }
        counter("otelcol_processor_evicted_call_records", Vec::new(), counts.evicted);
        counter("otelcol_processor_cut_ladders", Vec::new(), counts.cut);
        counter("otelcol_processor_reused_call_ids", Vec::new(), counts.reused);
    }
}

/// Delays and durations of an ordinary answered call.
const USUAL_MEASURED: usize = 8;
/// Most delays and durations in one record.
const MAX_MEASURED: usize = 64;
