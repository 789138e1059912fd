//! What a processor of media is told of calls (`sip-metrics.md` 5.1, 5.6): messages that may describe media, how dialogs
//! begin and end, and reports of voice quality once they are accepted. Nothing of it is done unless there is one.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use call_records::{Change, Records, RequestId, Sighting, SightingKind};
use foldhash::fast::RandomState;
use pipeline::call::Subject;
use pipeline::media::{MessageNote, Note, NoteKind, ReportNote};
use pipeline::{Facts, Slot};
use sip::{AnomalyKind, Method};
use wire::Timestamp;

use crate::hash::{Hashes, Key};
use crate::observed::Observed;
use crate::slots::Slots;
use crate::turn::dialog_id;

const SDP: &[u8] = b"application/sdp";
const REPORT: &[u8] = b"application/vq-rtcpxr";
/// Most reports that wait for their final, and most bytes of them; a newer one is passed over then.
const MAX_REPORTS: usize = 1024;
const MAX_REPORT_BYTES: usize = 1 << 22;

/// What notes are made from.
#[derive(Default)]
pub struct Notes {
    /// Whose labels each call has, held until the call is forgotten.
    slots: HashMap<u64, Slot, RandomState>,
    /// Calls that are forgotten and whose records have not left: what was heard of them is told with these.
    waiting: HashSet<u64, RandomState>,
    /// Reports whose requests have no final yet.
    reports: HashMap<RequestId, Box<[u8]>, RandomState>,
    report_bytes: usize,
    /// Records of this batch that were told of.
    left: usize,
}

/// What notes are made with.
pub struct Surroundings<'a> {
    pub hashes: &'a Hashes,
    pub slots: &'a mut Slots,
    pub records: Option<&'a mut Records>,
}

impl Notes {
    /// A new batch begins.
    pub fn next_batch(&mut self) {
        self.left = 0;
    }

    /// Records may have left.
    pub fn on_records(&mut self, now: Timestamp, slots: &mut Slots, out: &mut Facts) {
        for place in self.left..out.calls.len() {
            let record = &out.calls[place].record;
            if record.subject == Subject::Report {
                continue;
            }
            let (key, is_last) = (record.key, record.last);
            self.note(key, now, NoteKind::Leaves { place }, out);
            if is_last && self.waiting.remove(&key) {
                self.forget(key, now, slots, out);
            }
        }
        self.left = out.calls.len();
    }

    /// A message went through the rules.
    pub fn on_message(
        &mut self,
        seen: &Observed<'_>,
        sighting: Option<&Sighting>,
        changes: &[Change],
        mut surroundings: Surroundings<'_>,
        out: &mut Facts,
    ) {
        let call = seen.call.0;
        for change in changes {
            if let Change::AttemptOpened { slot } = change {
                let held = self.slots.entry(call).or_insert(Slot::OTHER);
                if *held == Slot::OTHER {
                    *held = surroundings.slots.hold(*slot);
                }
            }
        }
        if let Some(sighting) = sighting.filter(|sighting| sighting.kind != SightingKind::Retransmission) {
            match seen.method() {
                Method::Invite | Method::Ack | Method::Prack | Method::Update | Method::Bye => {
                    // Who is told of a call is told that it is forgotten.
                    self.slots.entry(call).or_insert(Slot::OTHER);
                    self.waiting.remove(&call);
                    let kind = NoteKind::Message(message_note(seen, out));
                    self.note(call, seen.now(), kind, out);
                }
                Method::Publish | Method::Notify => self.on_report(seen, sighting, &mut surroundings, out),
                _ => {}
            }
        }
        self.on_changes(call, changes, seen.now(), out);
    }

    /// Something changed, by a message or without one.
    pub fn on_changes(&mut self, call: u64, changes: &[Change], now: Timestamp, out: &mut Facts) {
        for change in changes {
            match *change {
                Change::DialogConfirmed { dialog } => self.note(call, now, NoteKind::Confirmed { dialog }, out),
                Change::DialogEnded { dialog, .. } | Change::DialogLost { dialog, .. } => {
                    self.note(call, now, NoteKind::Ended { dialog }, out);
                }
                Change::RequestForgotten { request } if !self.reports.is_empty() => {
                    self.take_report(request);
                }
                _ => {}
            }
        }
    }

    /// Everything about a call is forgotten; `has_record`: but for its record, which is still to leave.
    pub fn on_forgotten(&mut self, call: Key, has_record: bool, now: Timestamp, slots: &mut Slots, out: &mut Facts) {
        if has_record && self.slots.contains_key(&call.0) {
            self.waiting.insert(call.0);
        } else {
            self.forget(call.0, now, slots, out);
        }
    }

    fn forget(&mut self, call: u64, now: Timestamp, slots: &mut Slots, out: &mut Facts) {
        if let Some(slot) = self.slots.remove(&call) {
            out.notes.push(Note { at: now, call, slot, kind: NoteKind::Forgotten });
            slots.release(slot);
        }
    }

    fn note(&self, call: u64, at: Timestamp, kind: NoteKind, out: &mut Facts) {
        let slot = self.slots.get(&call).copied().unwrap_or(Slot::OTHER);
        out.notes.push(Note { at, call, slot, kind });
    }

    /// A PUBLISH or NOTIFY, or its response: a report counts once that is 2xx.
    fn on_report(
        &mut self,
        seen: &Observed<'_>,
        sighting: &Sighting,
        surroundings: &mut Surroundings<'_>,
        out: &mut Facts,
    ) {
        let Some(status) = seen.message.status() else {
            let Some(body) = seen.message.body_part(REPORT) else { return };
            let has_room = self.reports.len() < MAX_REPORTS && self.report_bytes + body.len() <= MAX_REPORT_BYTES;
            if has_room && self.reports.insert(sighting.request, body.into()).is_none() {
                self.report_bytes += body.len();
            }
            return;
        };
        if status < 200 {
            return;
        }
        let Some(body) = self.take_report(sighting.request).filter(|_| status < 300) else { return };
        let call_id = sip::vq_report(&body).ok().and_then(|report| report.call_id);
        let named = call_id.map(|id| surroundings.hashes.call(id).0);
        let remembered = named.and_then(|call| Some((call, *self.slots.get(&call)?)));
        let (call, slot) = remembered.unwrap_or((seen.call.0, sighting.slot));
        let mut record = None;
        if let (Some(records), Some(call_id), Some(named)) = (surroundings.records.as_mut(), call_id, named)
            && !records.holds(named)
        {
            let about = call_records::Report { call_id, body: &body };
            record = records.report(&about, seen.message, seen.frame, slot, out);
        }
        let known = remembered.is_some();
        let body = out.add_text(&body);
        let kind = NoteKind::Report(ReportNote { body, known, record });
        out.notes.push(Note { at: seen.now(), call, slot, kind });
    }

    fn take_report(&mut self, request: RequestId) -> Option<Box<[u8]>> {
        let body = self.reports.remove(&request)?;
        self.report_bytes -= body.len();
        Some(body)
    }
}

fn message_note(seen: &Observed<'_>, out: &mut Facts) -> MessageNote {
    let message = seen.message;
    let sdp: Range<usize> = message.body_part(SDP).map_or(0..0, |body| out.add_text(body));
    let cut = message.anomalies.iter().any(|kind| matches!(kind, AnomalyKind::Snaplen | AnomalyKind::ContentLength));
    MessageNote {
        method: seen.method(),
        cseq: message.cseq.number,
        status: message.status(),
        from: seen.from.bits(),
        to: seen.to.bits(),
        dialog: dialog_id(seen.tags()),
        source: seen.frame.source.into(),
        sdp,
        cut,
        wall_offset: seen.frame.wall_offset,
    }
}
