//! What backends say: which dialogs they have, how far those are, that they end.

use sip::Method;

use super::{Model, kind, payload};
use crate::glance::Start;
use crate::hash::CallHash;
use crate::steer::counters::{General, first_response_bucket};
use crate::steer::dialog::{Dialog, Entered, LINGER};
use crate::steer::model::{Decision, Verdict};
use crate::steer::packet::Datagram;
use crate::steer::scan::Scan;
use crate::steer::state::{elapsed, note};
use crate::steer::tables::{Affinity, Slots};

impl Model {
    /// A datagram from a backend.
    pub(super) fn hear(&mut self, frame: &[u8], datagram: &Datagram, number: u16, gso: u32, now: u64) -> Decision {
        self.count_datagram(datagram, gso);
        let Some(backend) = self.tables.backends.get(&number) else { return Decision::default() };
        let service = backend.service;
        let heard =
            Decision { verdict: Verdict::Heard, service: Some(service), backend: Some(number), ..Decision::default() };
        let Some(scan) = Scan::of(payload(frame, datagram, gso)) else { return heard };
        let hash = scan.call_id.map(|call_id| self.tables.key.hash(call_id));
        let heard = Decision { kind: Some(kind(Some(&scan))), hash, ..heard };
        let counters = self.counters.backends.entry(number).or_default();
        match scan.start {
            Start::Request(_) => counters.sent += 1,
            Start::Response(status) => {
                counters.responses[usize::from(status / 100 - 1)] += 1;
                let is_invite = scan.cseq == Some(Method::Invite);
                counters.unavailable += u64::from(is_invite && status == 503);
                counters.timeouts += u64::from(is_invite && status == 408);
            }
        }
        let by_call_id = self.tables.services.get(&service).is_some_and(|service| service.affinity == Affinity::CallId);
        if let Some(hash) = hash.filter(|_| by_call_id) {
            self.learn(&scan, service, number, hash, now);
        }
        heard
    }

    /// What a backend says of a dialog: that it has it, how far it is, that it ends.
    fn learn(&mut self, scan: &Scan<'_>, service: u16, number: u16, hash: CallHash, now: u64) {
        let known = self.state.dialog(service, hash.0, now, &self.tables.times);
        let mut dialog = match known {
            Some(dialog) if dialog.backend == number => dialog,
            Some(dialog) if dialog.backend != Slots::NONE => return,
            // It says that the dialog is not its own.
            _ if scan.start == Start::Response(481) => return,
            Some(asked) => Dialog { backend: number, entered: Entered::Learned, ..asked },
            None => {
                // Refused: that it has such a dialog it has not said.
                let is_refused = matches!(scan.start, Start::Response(300..));
                let is_short = makes_no_dialog(scan.method());
                Dialog {
                    backend: number,
                    entered: Entered::Learned,
                    // Whether it was answered before is not known; what is refused within it must not end it.
                    answered: !scan.is_initial_invite(),
                    last: now,
                    ends: if is_short || is_refused { now + LINGER.as_nanos() as u64 } else { 0 },
                    asked: if is_refused && !is_short { now } else { 0 },
                    life: 0,
                }
            }
        };
        let is_learned = known.is_none_or(|known| known.backend != number);
        note(&mut dialog.last, now);
        let mut delay = None;
        match scan.start {
            Start::Request(Method::Bye) => dialog.ends = now + LINGER.as_nanos() as u64,
            Start::Request(_) if dialog.asked != 0 => dialog.take(now),
            Start::Response(status) => {
                if let Some(method) = scan.cseq.filter(|method| makes_dialog(*method)) {
                    if method == Method::Invite && dialog.asked != 0 && !dialog.answered {
                        delay = Some(elapsed(dialog.asked, now).max(0).cast_unsigned());
                    }
                    hear_answer(&mut dialog, method, status, now);
                } else if dialog.asked != 0 && (200..300).contains(&status) && scan.cseq.is_some_and(stays_within) {
                    // It has a dialog that it was not known to have.
                    dialog.take(now);
                }
            }
            Start::Request(_) => {}
        }
        if !self.state.keep_dialog(service, hash.0, dialog, self.tables.capacity.dialogs) {
            return self.count(General::DialogsFull);
        }
        let counters = self.counters.backends.entry(number).or_default();
        counters.learned += u64::from(is_learned);
        if let Some(delay) = delay {
            counters.first_response[first_response_bucket(delay)] += 1;
            counters.first_response_sum += delay;
        }
    }
}

/// A response to a request that makes a dialog.
fn hear_answer(dialog: &mut Dialog, method: Method, status: u16, now: u64) {
    let (is_invite, was_asked) = (method == Method::Invite, dialog.asked != 0);
    match status {
        // A provisional response takes what begins, but no request within a dialog that nobody knew.
        ..200 if was_asked && !dialog.answered => dialog.take(now),
        ..200 => {}
        200..300 => {
            let is_call_now = is_invite && dialog.life != 0;
            if is_call_now {
                dialog.life = 0;
            }
            dialog.answered = true;
            if was_asked || is_call_now || (dialog.life != 0 && method == Method::Subscribe) {
                dialog.take(now);
            }
        }
        // What is refused within a dialog does not end it.
        _ if !dialog.answered && (is_invite || was_asked) => {
            dialog.asked = 0;
            dialog.ends = now + LINGER.as_nanos() as u64;
        }
        _ => {}
    }
}

/// Whether a request of this method leaves something behind that later ones need.
pub(super) fn makes_dialog(method: Method) -> bool {
    matches!(method, Method::Invite | Method::Subscribe | Method::Refer)
}

/// Whether a request of this method belongs to a dialog and leaves it as it is.
fn stays_within(method: Method) -> bool {
    matches!(method, Method::Notify | Method::Info | Method::Prack | Method::Update)
}

/// Whether a request of this method leaves nothing behind that a later one would need.
fn makes_no_dialog(method: Method) -> bool {
    matches!(method, Method::Register | Method::Options | Method::Message | Method::Publish | Method::Other)
}
