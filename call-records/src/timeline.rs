//! What a message adds to a call: a transaction or an answer to one, ringing, a line of the ladder.
//!
//! Each message is listed once, at its first sighting on a hop, and belongs to its transaction, the ACK of a 2xx to
//! its session.

use std::hash::BuildHasher;
use std::net::SocketAddr;

use pipeline::call::ladder::{Endpoint, Owner, Rare, Ringing, SpanId};
use sip::{Message, Method, ReasonProtocol};
use wire::Timestamp;

use crate::call::{Above, Call, LadderLine, Leg, Ring, shown};
use crate::change::{Sighting, SightingKind, TransactionId};
use crate::config::Privacy;
use crate::config::{Ladder, Raw};
use crate::observed::Context;
use crate::observed::Observed;
use crate::privacy::Own;
use crate::{headers, identity, push_tight};

/// Where a message belongs.
enum Owned {
    Leg(usize),
    Session(usize),
    /// The call itself: its transaction left with an earlier piece, or was seen to begin by nobody.
    Call,
    /// A repeat of what left with an earlier piece.
    Late,
    /// Nowhere: a bound is met.
    Beyond,
}

impl Call {
    /// Takes a message under its Call-ID.
    pub fn take(&mut self, seen: &Observed<'_>, sighting: Option<&Sighting>, context: &Context<'_>) {
        self.record.messages += 1;
        self.last_until(seen.now());
        let Some(sighting) = sighting else {
            self.record.ladder_cut += u32::from(context.config.ladder != Ladder::Off);
            return;
        };
        match sighting.kind {
            SightingKind::First => self.take_first(seen, sighting, context),
            SightingKind::Retransmission => self.take_repeat(seen, sighting, context),
            SightingKind::Copy => self.take_copy(seen, sighting, context),
        }
        if seen.trunks.iter().any(Option::is_some)
            && let Some(leg) = self.leg_of(sighting.transaction)
        {
            let known = &mut self.legs[leg].entry.rare.get_or_insert_default().trunks;
            for (known, new) in known.iter_mut().zip(seen.trunks) {
                if new.is_some() {
                    known.clone_from(new);
                }
            }
        }
    }

    fn take_repeat(&mut self, seen: &Observed<'_>, sighting: &Sighting, context: &Context<'_>) {
        self.record.retransmissions += 1;
        let leg = self.legs.iter_mut().find(|leg| leg.transaction == sighting.transaction);
        let of = match leg {
            Some(leg) => {
                leg.entry.retransmissions += 1;
                leg.entry.span
            }
            None => SpanId(sighting.transaction.to_be_bytes()),
        };
        let mark = mark(of, sighting.item);
        if let Some(line) = self.ladder.iter_mut().find(|line| line.mark == mark) {
            line.entry.retransmissions = line.entry.retransmissions.saturating_add(1);
            if context.wanted.watched {
                let at = shown(seen.now(), self.wall_offset);
                self.kept.get_or_insert_default().again(mark, at, seen.message, context.raw());
            }
        }
    }

    /// Seen again between other addresses: a line of its own there, for the eye.
    fn take_copy(&mut self, seen: &Observed<'_>, sighting: &Sighting, context: &Context<'_>) {
        let is_for_traces = context.wanted.pieces && !context.wanted.watched;
        if context.config.ladder == Ladder::Off || is_for_traces {
            return;
        }
        let leg = self.leg_of(sighting.transaction);
        let (owner, of) = match (leg, self.session_of(seen.dialog)) {
            (Some(leg), _) => (Owner::Transaction(leg as u16), self.legs[leg].entry.span),
            (None, Some(session)) if seen.message.method() == Method::Ack => {
                (Owner::Session(session as u16), SpanId(sighting.transaction.to_be_bytes()))
            }
            _ => (Owner::Call, SpanId(sighting.transaction.to_be_bytes())),
        };
        let between = context.hashes.hash_one((seen.frame.source, seen.frame.destination));
        let mark = mark(of, sighting.item ^ between);
        if let Some(line) = self.ladder.iter_mut().find(|line| line.mark == mark) {
            line.entry.retransmissions = line.entry.retransmissions.saturating_add(1);
            if context.wanted.watched {
                let at = shown(seen.now(), self.wall_offset);
                self.kept.get_or_insert_default().again(mark, at, seen.message, context.raw());
            }
        } else if self.note(seen, owner, mark, context) {
            if let Some(line) = self.ladder.iter_mut().rfind(|line| line.mark == mark) {
                line.entry.copy = true;
            }
        } else {
            self.record.ladder_cut += 1;
        }
    }

    fn take_first(&mut self, seen: &Observed<'_>, sighting: &Sighting, context: &Context<'_>) {
        self.learn(seen, context);
        let place = self.place(seen, sighting, context);
        let of = match place {
            Owned::Leg(leg) => {
                let of = self.legs[leg].entry.span;
                // A transaction that was forgotten, and is repeated later than anybody should.
                if self.ladder.iter().any(|line| line.mark == mark(of, sighting.item)) {
                    return self.take_repeat(seen, sighting, context);
                }
                self.advance(leg, seen, sighting, context);
                of
            }
            Owned::Late => return self.record.retransmissions += 1,
            Owned::Session(_) | Owned::Call | Owned::Beyond => SpanId(sighting.transaction.to_be_bytes()),
        };
        let owner = match place {
            Owned::Leg(leg) => Owner::Transaction(leg as u16),
            Owned::Session(session) => Owner::Session(session as u16),
            _ => Owner::Call,
        };
        if context.config.ladder != Ladder::Off {
            let beyond = matches!(place, Owned::Beyond) || !self.note(seen, owner, mark(of, sighting.item), context);
            self.record.ladder_cut += u32::from(beyond);
        }
    }

    /// What is said of the call as a whole, wherever the message belongs.
    fn learn(&mut self, seen: &Observed<'_>, context: &Context<'_>) {
        let message = seen.message;
        let (method, status) = (message.method(), message.status());
        if method == Method::Invite && status.is_none() {
            self.learn_names(message, context);
            if message.to.tag.is_empty() {
                let from = tag_mark(seen.from);
                if !self.is_caller(from)
                    && let Some(free) = self.callers.iter_mut().find(|caller| **caller == 0)
                {
                    *free = from;
                }
                self.record.debug |= message.is_marked_for_logging();
                self.record.has_number |= context
                    .wanted
                    .number
                    .as_ref()
                    .is_some_and(|wanted| context.config.privacy.has_number(wanted, message));
            }
        }
        let tells_why = status.is_some_and(|status| status >= 200)
            || status.is_none() && matches!(method, Method::Bye | Method::Cancel);
        if tells_why {
            let Self { record, .. } = self;
            record.hangup_cause = record.hangup_cause.or_else(|| message.q850_cause());
            record.sip_cause = record.sip_cause.or_else(|| message.cause(ReasonProtocol::Sip));
        }
    }

    /// Who a message names. A Call-ID that turns out to hold one of them is not shown any more; ids made of it stay.
    fn learn_names(&mut self, message: &Message<'_>, context: &Context<'_>) {
        let privacy = &context.config.privacy;
        self.own.learn(message, privacy);
        if *self.record.call_id == *Privacy::as_text(message.call_id) && privacy.hides(message.call_id, &self.own) {
            self.record.call_id = privacy.call_id(message.call_id, &self.own);
        }
    }

    fn leg_of(&self, transaction: TransactionId) -> Option<usize> {
        self.legs.iter().position(|leg| leg.transaction == transaction)
    }

    fn place(&mut self, seen: &Observed<'_>, sighting: &Sighting, context: &Context<'_>) -> Owned {
        if let Some(leg) = self.leg_of(sighting.transaction) {
            return Owned::Leg(leg);
        }
        if seen.message.method() == Method::Ack {
            return self.session_of(seen.dialog).map_or(Owned::Call, Owned::Session);
        }
        self.open_leg(seen, sighting, context)
    }

    /// A transaction that the record does not have.
    fn open_leg(&mut self, seen: &Observed<'_>, sighting: &Sighting, context: &Context<'_>) -> Owned {
        let message = seen.message;
        let (cseq, branch) = (identity::cseq(message), message.via.branch);
        let mut span = seen.transaction_span(&self.identity, context.config.span_ids);
        if self.left().any(|left| left.span == span) {
            return Owned::Late;
        }
        if self.legs.iter().any(|leg| leg.entry.span == span) {
            // Senders that do not care for unique branches: told apart by their number.
            for number in 2..=MAX_LEGS {
                span = self.identity.span(&format!("txn.{number}"), cseq, branch);
                if !self.has_span(span) {
                    break;
                }
            }
        }
        if !message.is_request() && sighting.request_seen {
            // It was there before the record, or beyond its bound.
            return if self.legs.len() < MAX_LEGS { Owned::Call } else { Owned::Beyond };
        }
        let bound = if matters(message.method()) { MAX_LEGS } else { MAX_LEGS - LEGS_THAT_MATTER };
        let (from, to) = if message.is_request() {
            (seen.frame.source, seen.frame.destination)
        } else {
            (seen.frame.destination, seen.frame.source)
        };
        let (Some(source), Some(destination), true) = (self.endpoint(from), self.endpoint(to), self.legs.len() < bound)
        else {
            return Owned::Beyond;
        };
        let branch = context.config.privacy.branch(branch, &self.own);
        let start = self.shown(seen.frame.first).max(self.record.start);
        let above_here = seen.span_of_sender(context.fleet, &self.identity);
        let parent = above_here.unwrap_or_else(|| self.parent_of(seen));
        let mut entry = seen.transaction([span, parent], branch, [source, destination], start);
        entry.below_remote = above_here.is_some();
        entry.rare = method_original(seen, &self.own, context);
        let above: Box<[u64]> = message.vias().skip(1).take(MAX_ABOVE).map(|via| context.hop(&via)).collect();
        let above = (!above.is_empty()).then(|| Box::new(Above(above)));
        let (transaction, via) = (sighting.transaction, context.hop(&message.via));
        let leg = Leg { entry, transaction, via, above, heard: Timestamp::ZERO };
        push_tight(&mut self.legs, leg, USUAL_LEGS);
        Owned::Leg(self.legs.len() - 1)
    }

    /// What a transaction at the first hop is part of. What is below others of the same request, and what a CANCEL
    /// is about, is told when it leaves: only then all are there.
    fn parent_of(&self, seen: &Observed<'_>) -> SpanId {
        let message = seen.message;
        let call = self.record.span;
        if matches!(message.method(), Method::Bye | Method::Cancel) || message.to.tag.is_empty() {
            return call;
        }
        let session = self.session_of(seen.dialog).map(|index| &self.sessions[index]);
        if let Some(session) = session {
            // Responses name the tag of the dialog that the INVITE is only about to create.
            let creates_it = !message.is_request()
                && message.method() == Method::Invite
                && message.cseq.number == session.cseq
                && message.to.tag.starts_with(&session.tag);
            return if creates_it { call } else { session.entry.span };
        }
        if !message.is_request() || message.method() == Method::Invite {
            return call;
        }
        // Before the answer: part of what is to be answered.
        let invites = self.legs.iter().filter(|leg| leg.is_initial_invite() && leg.entry.end.is_none());
        invites.rev().max_by_key(|leg| leg.entry.cseq).map_or(call, |leg| leg.entry.span)
    }

    /// Takes a message of a transaction.
    fn advance(&mut self, index: usize, seen: &Observed<'_>, sighting: &Sighting, context: &Context<'_>) {
        let message = seen.message;
        let Some(status) = message.status() else {
            if message.method() != Method::Ack {
                self.take_request(index, seen);
            }
            return;
        };
        let at = self.shown(seen.now());
        let (root, tag) = (sighting.root, seen.to);
        let leg = &mut self.legs[index];
        let same = leg.entry.cseq == message.cseq.number;
        let rings = root && same && leg.is_initial_invite() && !message.to.tag.is_empty();
        if rings && (180..190).contains(&status) && leg.entry.end.is_none() {
            self.ring(index, tag, status, seen);
        }
        let leg = &mut self.legs[index];
        if status < 200 {
            if leg.entry.method == Method::Invite {
                leg.heard = at;
            }
            return;
        }
        let decides = leg.entry.end.is_none();
        if decides {
            leg.entry.end = Some(at);
            leg.entry.status = Some(status);
        }
        let span = leg.entry.span;
        if decides && status >= 300 {
            self.learn_names(message, context);
            self.legs[index].entry.reason = reason(seen, &self.own, context);
        }
        for ring in self.rings.iter_mut().filter(|ring| ring.entry.parent == span) {
            ring.entry.end.get_or_insert(at);
            ring.entry.winner |= status < 300 && ring.tag == tag;
        }
    }

    /// The request itself, perhaps after its responses.
    fn take_request(&mut self, index: usize, seen: &Observed<'_>) {
        let message = seen.message;
        self.legs[index].entry.in_dialog = !message.to.tag.is_empty();
        let parent = (!self.legs[index].entry.below_remote).then(|| self.parent_of(seen));
        let (start, at) = (self.shown(seen.frame.first), self.shown(seen.now()));
        let leg = &mut self.legs[index];
        leg.entry.parent = parent.unwrap_or(leg.entry.parent);
        leg.entry.start = leg.entry.start.min(start);
        leg.entry.tap = seen.frame.tap;
        if message.method() != Method::Cancel {
            return;
        }
        let (via, cseq) = (leg.via, leg.entry.cseq);
        let about = |leg: &&mut Leg| leg.entry.method == Method::Invite && leg.via == via && leg.entry.cseq == cseq;
        let Some(invite) = self.legs.iter_mut().find(about) else { return };
        invite.entry.cancelled = true;
        let span = invite.entry.span;
        for ring in self.rings.iter_mut().filter(|ring| ring.entry.parent == span) {
            ring.entry.end.get_or_insert(at);
        }
    }

    /// An 18x with a To tag.
    fn ring(&mut self, index: usize, tag: u32, status: u16, seen: &Observed<'_>) {
        let parent = self.legs[index].entry.span;
        let (start, to_tag, cseq) = (self.shown(seen.now()), seen.message.to.tag, identity::cseq(seen.message));
        let known = self.rings.iter().position(|ring| ring.entry.parent == parent && ring.tag == tag);
        let place = match known {
            Some(place) => place,
            None if self.rings.len() == MAX_RINGS => return,
            None => {
                let span = self.identity.span("ringing", cseq, to_tag);
                let early = || self.identity.span("early", cseq, to_tag);
                let known = |ring: SpanId| ring == span || ring == early();
                let left = self.earlier.iter().flat_map(|earlier| &earlier.rings);
                if self.rings.iter().map(|ring| ring.entry.span).chain(left.copied()).any(known) {
                    // One phone, reached by two branches.
                    return;
                }
                let entry = Ringing { span, parent, early_media: false, start, end: None, winner: false };
                push_tight(&mut self.rings, Ring { entry, tag }, 1);
                self.rings.len() - 1
            }
        };
        let ring = &mut self.rings[place].entry;
        if status == 183 && !ring.early_media && seen.message.has_sdp() {
            ring.early_media = true;
            ring.span = self.identity.span("early", cseq, to_tag);
        }
    }

    /// Lists a message; `false` when a bound is met.
    fn note(&mut self, seen: &Observed<'_>, owner: Owner, mark: u32, context: &Context<'_>) -> bool {
        let message = seen.message;
        let bound = if matters(message.method()) { MAX_MESSAGES } else { MAX_MESSAGES - MESSAGES_THAT_MATTER };
        if self.ladder.len() >= bound {
            return false;
        }
        let (Some(source), Some(destination)) =
            (self.endpoint(seen.frame.source), self.endpoint(seen.frame.destination))
        else {
            return false;
        };
        let forward = message.is_request() == self.is_caller(tag_mark(seen.from));
        let entry = seen.line(self.shown(seen.now()), [source, destination], owner, forward);
        // One that waited in vain for what caused it comes late.
        let place = self.ladder.iter().rposition(|line| line.entry.at <= entry.at).map_or(0, |before| before + 1);
        push_tight(&mut self.ladder, LadderLine { entry, mark }, USUAL_MESSAGES);
        self.ladder[place..].rotate_right(1);
        if let Some(room) = context.headers {
            let kept = room.then(|| headers::kept(message, &context.config.privacy)).flatten();
            push_tight(&mut self.headers, kept, USUAL_MESSAGES);
            self.headers[place..].rotate_right(1);
        }
        if context.raw() != Raw::Off {
            self.kept.get_or_insert_default().keep(mark, message, context.raw());
        }
        true
    }

    /// The index of an address; `None` when there are too many.
    fn endpoint(&mut self, address: SocketAddr) -> Option<u16> {
        let endpoints = &mut self.record.endpoints;
        let place = endpoints.iter().position(|endpoint| endpoint.address == address);
        let place = match place {
            None if endpoints.len() == MAX_ENDPOINTS => return None,
            None => {
                push_tight(endpoints, Endpoint { address }, 1);
                endpoints.len() - 1
            }
            Some(place) => place,
        };
        Some(place as u16)
    }
}

impl Leg {
    /// An INVITE without a To tag.
    pub fn is_initial_invite(&self) -> bool {
        self.entry.method == Method::Invite && !self.entry.in_dialog
    }
}

/// Methods that make and end calls have room when others have none any more.
fn matters(method: Method) -> bool {
    matches!(method, Method::Invite | Method::Ack | Method::Cancel | Method::Bye)
}

/// The reason phrase of a response, without what may not be shown.
pub fn reason(seen: &Observed<'_>, own: &Own, context: &Context<'_>) -> Option<Box<str>> {
    let sip::Start::Response { reason, .. } = seen.message.start else { return None };
    (!reason.is_empty()).then(|| context.config.privacy.cleared(reason, MAX_REASON, own))
}

/// A method that is not known by name as it was sent, without what may not be shown.
pub fn method_original(seen: &Observed<'_>, own: &Own, context: &Context<'_>) -> Option<Box<Rare>> {
    if seen.message.method() != Method::Other {
        return None;
    }
    let method = context.config.privacy.cleared(seen.message.cseq.name, MAX_METHOD, own);
    Some(Box::new(Rare { method_original: Some(method), ..Rare::default() }))
}

/// An item of the part with a span, to find it by among the messages of one call.
pub fn mark(span: SpanId, item: u64) -> u32 {
    let mixed = (u64::from_be_bytes(span.0) ^ item.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 32) as u32
}

/// Of a From tag, never 0: a caller may have none.
pub fn tag_mark(from: u32) -> u32 {
    from | 1
}

/// Messages of an ordinary answered call.
const USUAL_MESSAGES: usize = 7;
/// Transactions of an ordinary call: INVITE and BYE.
const USUAL_LEGS: usize = 2;
/// Most messages in the ladder of one record.
pub const MAX_MESSAGES: usize = 256;
/// How many of them only the methods that make and end calls may take.
const MESSAGES_THAT_MATTER: usize = 32;
/// Most transactions of one record.
const MAX_LEGS: usize = 64;
/// How many of them only the methods that make and end calls may take.
const LEGS_THAT_MATTER: usize = 8;
/// Most early dialogs of one record.
const MAX_RINGS: usize = 32;
/// Most addresses of one record.
const MAX_ENDPOINTS: usize = 32;
/// Most Vias of a transaction that others are looked for by.
const MAX_ABOVE: usize = 16;
/// Longest name of a method kept, in bytes.
const MAX_METHOD: usize = 32;
/// Longest reason phrase kept, in bytes.
const MAX_REASON: usize = 128;
