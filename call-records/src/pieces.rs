//! What leaves of a call: the whole of it, or a piece while it goes on.
//!
//! A piece takes along what has ended, with its messages; what has not ended stays, and what follows it comes in a
//! later piece. Here hops are put under each other, and addresses are shown as privacy allows.

use pipeline::call::ladder::{Endpoint, Message, Owner, Ringing, Session, SpanId, Transaction};
use pipeline::call::sent::Sent;
use pipeline::{CallRecord, Facts};
use sip::Method;
use wire::Timestamp;

use crate::call::{Call, Closed, LadderLine, Left, Leg};
use crate::change::CallId;
use crate::config::Privacy;
use crate::headers::Kept;
use crate::kept::Holder;
use crate::records::Records;
use crate::{headers, push_tight};

/// The lists of a record.
#[derive(Default)]
struct Parts {
    transactions: Vec<Transaction>,
    ringing: Vec<Ringing>,
    sessions: Vec<Session>,
    ladder: Vec<Message>,
    headers: Vec<Kept>,
    sent: Option<Box<Sent>>,
}

impl Records {
    /// A call goes on, and what has ended of it leaves. `cut`: its sessions end a segment then.
    pub(crate) fn send_piece(&mut self, id: CallId, cut: Option<Timestamp>, out: &mut Facts) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let before = headers::bytes(&call.headers);
        let record = call.piece(cut, &self.config.privacy);
        self.header_bytes -= before - headers::bytes(&call.headers);
        let kept = call.kept.as_ref().map_or(0, |kept| kept.bytes());
        let (weighed, now) = (call.weight, call.weigh());
        call.weight = now;
        self.weighed(weighed, now);
        self.room.set(Holder::Call(id), kept);
        self.counts.pieces += 1;
        self.send(record, out);
    }
}

impl Call {
    /// All that is left of it.
    pub fn whole(mut self, privacy: &Privacy) -> CallRecord {
        self.relate();
        let root_rings = self.rings_at_roots();
        let mut record = self.record;
        record.last = true;
        record.transactions = self.legs.into_iter().map(|leg| leg.entry).collect();
        record.ringing =
            self.rings.into_iter().zip(root_rings).filter(|(_, root)| *root).map(|(ring, _)| ring.entry).collect();
        record.sessions = self.sessions.into_iter().map(|session| session.entry).collect();
        record.headers = headers::shown(self.headers, &self.own, privacy);
        record.sent = self.kept.and_then(|kept| kept.sent(self.ladder.iter()));
        record.ladder = self.ladder.into_iter().map(|line| line.entry).collect();
        show_endpoints(&mut record.endpoints, privacy);
        record
    }

    /// What has ended, and what of its sessions lies before a cut.
    fn piece(&mut self, cut: Option<Timestamp>, privacy: &Privacy) -> CallRecord {
        self.relate();
        let goes = self.legs_that_go();
        let parts = self.take_parts(&goes, cut.map(|at| self.shown(at)));
        let measured = std::mem::take(&mut self.record.measured);
        let mut record = CallRecord {
            last: false,
            measured,
            transactions: parts.transactions,
            ringing: parts.ringing,
            sessions: parts.sessions,
            ladder: parts.ladder,
            headers: headers::shown(parts.headers, &self.own, privacy),
            sent: parts.sent,
            ..self.record.clone()
        };
        show_endpoints(&mut record.endpoints, privacy);
        self.record.piece += 1;
        record
    }

    /// Puts each transaction under that of the hop above it (`sip-metrics.md` 2.4), and a CANCEL under its INVITE.
    pub fn relate(&mut self) {
        for index in 0..self.legs.len() {
            let leg = &self.legs[index];
            // Each Via is another hop: what is above has fewer, so nothing is below itself, whatever is sent.
            let nearest = |other: Left| {
                let fits = (other.cseq, other.method) == (leg.entry.cseq, leg.entry.method);
                let place = leg.above().iter().position(|above| *above == other.via).filter(|_| fits)?;
                Some((place, other.span))
            };
            let here = self.legs.iter().filter(|other| other.above().len() < leg.above().len()).map(Left::from);
            let above = here.chain(self.left()).filter_map(nearest);
            if let Some((_, span)) = above.min_by_key(|(place, _)| *place) {
                let entry = &mut self.legs[index].entry;
                (entry.parent, entry.below_remote, entry.hop) = (span, false, true);
            }
        }
        for index in 0..self.legs.len() {
            let leg = &self.legs[index];
            if leg.entry.method != Method::Cancel {
                continue;
            }
            let here = self.legs.iter().map(Left::from);
            let about =
                |other: &Left| (other.method, other.cseq, other.via) == (Method::Invite, leg.entry.cseq, leg.via);
            let invite = here.chain(self.left()).find(about);
            if let Some(invite) = invite {
                let entry = &mut self.legs[index].entry;
                (entry.parent, entry.below_remote, entry.hop) = (invite.span, false, invite.hop);
            }
        }
    }

    /// Which early dialogs are at roots: a hop above may have shown itself after they rang.
    fn rings_at_roots(&self) -> Vec<bool> {
        let is_hop = |parent: SpanId| self.legs.iter().any(|leg| leg.entry.span == parent && leg.entry.hop);
        self.rings.iter().map(|ring| !is_hop(ring.entry.parent)).collect()
    }

    /// Which transactions leave: those that ended and whose parent is not one that stays.
    fn legs_that_go(&self) -> Vec<bool> {
        let mut goes: Vec<bool> = self.legs.iter().map(|leg| leg.entry.end.is_some()).collect();
        loop {
            let stays =
                |parent: SpanId| self.legs.iter().zip(&goes).any(|(leg, goes)| leg.entry.span == parent && !goes);
            let held = self.legs.iter().zip(&goes).position(|(leg, goes)| *goes && stays(leg.entry.parent));
            let Some(held) = held else { return goes };
            goes[held] = false;
        }
    }

    /// Takes out what leaves, and leaves the rest with indices that fit.
    fn take_parts(&mut self, goes: &[bool], cut: Option<Timestamp>) -> Parts {
        let mut parts = Parts::default();
        let root_rings = self.rings_at_roots();
        let rings = std::mem::take(&mut self.rings);
        for (ring, root) in rings.into_iter().zip(root_rings) {
            let stays = self.legs.iter().zip(goes).any(|(leg, goes)| leg.entry.span == ring.entry.parent && !goes);
            if stays || ring.entry.end.is_none() {
                self.rings.push(ring);
            } else if root {
                remember(&mut self.earlier.get_or_insert_default().rings, ring.entry.span);
                parts.ringing.push(ring.entry);
            }
        }
        // Where each transaction is now: in the piece, or among those that stay.
        let (mut gone, mut stay) = (0, 0);
        let legs: Vec<u16> = goes.iter().map(|goes| next(if *goes { &mut gone } else { &mut stay })).collect();
        let earlier = self.earlier.get_or_insert_default();
        let mut goes_on = goes.iter();
        for leg in self.legs.extract_if(.., |_| goes_on.next() == Some(&true)) {
            remember(&mut earlier.transactions, Left::from(&leg));
            parts.transactions.push(leg.entry);
        }
        // A session that is over leaves; of one that goes on the segment before the cut does, with its messages.
        let (mut sessions, mut staying) = (Vec::new(), 0);
        for mut session in std::mem::take(&mut self.sessions) {
            let over = session.entry.ended.is_some() || session.forgotten;
            let entry = match cut {
                _ if over => Some(session.entry.clone()),
                Some(at) => session.cut(at, &self.identity),
                None => None,
            };
            let place = (entry.is_some().then_some(parts.sessions.len() as u16), staying);
            parts.sessions.extend(entry);
            if over {
                let Session { span, segment, .. } = session.entry;
                remember(&mut earlier.sessions, Closed { dialog: session.dialog, span, segment });
            } else {
                staying += 1;
                self.sessions.push(session);
            }
            sessions.push(place);
        }
        let mut said = std::mem::take(&mut self.headers).into_iter();
        let mut left: Vec<LadderLine> = Vec::new();
        for mut line in std::mem::take(&mut self.ladder) {
            let (leaves, owner) = match line.entry.owner {
                Owner::Transaction(leg) => (goes[usize::from(leg)], Owner::Transaction(legs[usize::from(leg)])),
                Owner::Session(session) => match sessions[usize::from(session)] {
                    (Some(gone), _) => (true, Owner::Session(gone)),
                    (None, stays) => (false, Owner::Session(stays)),
                },
                // Events of the call's own span, which leaves last.
                Owner::Call => (false, Owner::Call),
            };
            line.entry.owner = owner;
            let said = said.next();
            if leaves {
                parts.ladder.push(line.entry);
                parts.headers.extend(said);
                left.push(line);
            } else {
                self.ladder.push(line);
                self.headers.extend(said);
            }
        }
        if let Some(kept) = &mut self.kept {
            parts.sent = kept.sent(left.iter());
            kept.retain(|mark| self.ladder.iter().any(|line| line.mark == mark));
        }
        parts
    }
}

impl From<&Leg> for Left {
    fn from(leg: &Leg) -> Self {
        let Transaction { span, method, cseq, hop, .. } = leg.entry;
        Self { span, method, cseq, via: leg.via, hop }
    }
}

/// Counts on, and says where it was.
fn next(place: &mut u16) -> u16 {
    *place += 1;
    *place - 1
}

/// Remembers what left, the latest of it.
fn remember<T>(list: &mut Vec<T>, left: T) {
    if list.len() == MAX_LEFT {
        list.remove(0);
    }
    push_tight(list, left, 1);
}

/// Shows of addresses what may be shown.
pub fn show_endpoints(endpoints: &mut [Endpoint], privacy: &Privacy) {
    for endpoint in endpoints {
        endpoint.address = privacy.address(endpoint.address);
    }
}

/// Most transactions, and sessions, remembered that left with earlier pieces.
const MAX_LEFT: usize = 64;
