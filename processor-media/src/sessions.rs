//! Sessions: what the two parties of a dialog say of their media, by offer and answer (5.1; RFC 3264), and how far the
//! dialog came. A session begins with the first offer, before there is a dialog, and becomes that of the first answer.

use pipeline::Slot;
use pipeline::call::Side;
use pipeline::media::{Address, MediaFact, MediaTable, MessageNote, Note, NoteKind, Toward};
use sip::{Method, Sdp};
use wire::Timestamp;

use crate::calls::MAX_SESSIONS;
use crate::describe::{Described, talk};
use crate::places::Advert;
use crate::state::{Out, State};
use crate::timers::Due;
use crate::unknown::Assumed;

/// A dialog as far as media are concerned.
pub struct Session {
    /// Tells it from an earlier one at the same index.
    pub serial: u64,
    pub call: u64,
    /// 0 until somebody answered.
    pub dialog: u64,
    pub slot: Slot,
    /// From tag of the initial request.
    pub caller: u32,
    /// CSeq number of its INVITE.
    pub invite: u32,
    /// By side: where it signals from.
    pub signals: [Option<Address>; 2],
    /// Nobody describes its media; what payload types are taken for.
    pub assumed: Option<Assumed>,
    pub life: Life,
    /// When its INVITE came.
    pub invited: Timestamp,
    /// It rang: a 180 came.
    pub rang: bool,
    /// The exchange of offer and answer under way, or the last one.
    round: Option<Round>,
    /// By side: the caller, the callee.
    pub parties: [Party; 2],
    pub streams: Vec<u32>,
    /// Both are to be heard, and since when.
    pub talks: Option<Timestamp>,
    /// By side: it was heard since the answer.
    pub heard: [bool; 2],
    /// Who sent a BYE, and when.
    pub bye: Option<(Side, Timestamp)>,
    /// Faults that were stated, a bit for each and each direction.
    pub stated: u32,
    pub reports: crate::reports::RoundTrips,
}

/// How far a dialog came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It is offered, or rings.
    Early,
    /// It was answered.
    Up { since: Timestamp },
    /// It ended.
    Over { since: Timestamp },
}

/// One exchange of offer and answer, with all its hops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Round {
    exchange: Exchange,
    /// Who offers.
    by: Side,
    answered: bool,
}

/// What offer and answer are told to belong together by: a request, and the ACK of an INVITE with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Exchange {
    method: u8,
    cseq: u32,
}

/// What one party says.
#[derive(Default)]
pub struct Party {
    /// As agreed.
    pub described: Described,
    exchange: Exchange,
    pub endpoints: Vec<Endpoint>,
    /// As offered, and not answered yet.
    offered: Option<(Exchange, Described, Vec<Endpoint>)>,
    /// Where it sends from, without having said so (RFC 4961, RFC 7362).
    pub latched: Option<Endpoint>,
    /// It sent comfort noise.
    pub sends_noise: bool,
}

/// Where a party receives.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    pub place: u32,
    /// Packets that had come there before they count for this session.
    pub base: u32,
}

impl Party {
    /// Wherever it receives.
    pub fn all(&self) -> impl Iterator<Item = &Endpoint> {
        let offered = self.offered.iter().flat_map(|(.., endpoints)| endpoints);
        self.endpoints.iter().chain(offered).chain(&self.latched)
    }

    /// What it says: as agreed, or before that as offered.
    pub fn says(&self) -> &Described {
        match &self.offered {
            Some((_, described, _)) if self.described.lines.is_empty() => described,
            _ => &self.described,
        }
    }
}

impl Session {
    /// One of which nothing is known yet.
    pub fn new(serial: u64, call: u64, slot: Slot, invited: Timestamp) -> Self {
        Self {
            serial,
            call,
            dialog: 0,
            slot,
            caller: 0,
            invite: 0,
            signals: [None; 2],
            assumed: None,
            life: Life::Early,
            invited,
            rang: false,
            round: None,
            parties: Default::default(),
            streams: Vec::new(),
            talks: None,
            heard: [false; 2],
            bye: None,
            stated: 0,
            reports: Default::default(),
        }
    }

    /// It is not over.
    pub fn is_live(&self) -> bool {
        !matches!(self.life, Life::Over { .. })
    }

    /// What a party says.
    pub fn party(&self, side: Side) -> &Party {
        &self.parties[side.index()]
    }
}

impl State {
    /// Something happened to a call.
    pub fn on_note(&mut self, note: &Note, out: &mut Out<'_>) {
        match &note.kind {
            NoteKind::Message(message) => self.on_message(note, message, out),
            NoteKind::Confirmed { dialog } => {
                if let Some(session) = self.find_dialog(note.call, *dialog) {
                    self.confirm(session, note.at, out);
                }
            }
            NoteKind::Ended { dialog } => {
                if let Some(session) = self.find_dialog(note.call, *dialog) {
                    self.end(session, note.at, out);
                }
            }
            NoteKind::Leaves { place } => self.attach(*place, out),
            NoteKind::Forgotten => self.forget_call(note.call, note.at, out),
            NoteKind::Report(report) => self.on_report(note, report, out),
        }
    }

    fn on_message(&mut self, note: &Note, message: &MessageNote, out: &mut Out<'_>) {
        let described = self.described(message, out);
        let Some(index) = self.session_of(note, message, described.is_some(), out) else { return };
        let Some(session) = self.sessions.get_mut(index) else { return };
        session.slot = note.slot;
        let side = session.sender(message);
        match (message.method, message.status) {
            (Method::Invite, Some(180)) => session.rang = true,
            (Method::Bye, None) => session.bye = Some((side, note.at)),
            _ => {}
        }
        let exchange = Exchange { method: exchange_of(message.method), cseq: message.cseq };
        match described {
            Some(described) => self.describe(index, side, exchange, message, described, note.at, out),
            // What was offered is refused (RFC 3261 §14.1).
            None if message.status.is_some_and(|status| status >= 300) && session.dialog != 0 => {
                self.refuse(index, exchange);
            }
            None => {}
        }
    }

    /// The description in a message; `None` where there is none, or it cannot be read.
    fn described(&mut self, message: &MessageNote, out: &mut Out<'_>) -> Option<Described> {
        let counts = message.status.is_none_or(|status| (101..300).contains(&status));
        if message.sdp.is_empty() || !counts || message.method == Method::Bye {
            return None;
        }
        match Sdp::read(&out.text[message.sdp.clone()], message.cut) {
            Ok(sdp) => Some(Described::new(&sdp)),
            Err(_) => {
                out.unreadable(pipeline::media::MediaError::Sdp);
                None
            }
        }
    }

    /// The session a message belongs to; a new one where it describes media.
    fn session_of(&mut self, note: &Note, message: &MessageNote, describes: bool, out: &mut Out<'_>) -> Option<u32> {
        let call = self.calls.get(&note.call);
        let sessions = call.map_or(&[][..], |call| &call.sessions);
        let of = |fits: &dyn Fn(&Session) -> bool| {
            sessions.iter().copied().find(|index| self.sessions.get(*index).is_some_and(fits))
        };
        let initial = message.method == Method::Invite && message.status.is_none() && message.to == 0;
        if initial {
            let same =
                of(&|session| (session.dialog, session.caller, session.invite) == (0, message.from, message.cseq));
            // The next try of the same caller, after a challenge: nothing comes of the one before.
            let before = of(&|session| (session.dialog, session.caller) == (0, message.from));
            if let (None, Some(before)) = (same, before) {
                self.remove_session(before, note.at, out);
            }
            return same.or_else(|| if describes { self.open(note, message, message.from, out) } else { None });
        }
        if message.to == 0 {
            return None;
        }
        if let Some(known) = of(&|session| session.dialog == message.dialog) {
            return Some(known);
        }
        if message.method == Method::Invite && message.status.is_some_and(|status| status > 100) {
            let offered = |session: &Session| (session.caller, session.invite) == (message.from, message.cseq);
            if let Some(unclaimed) = of(&|session| session.dialog == 0 && offered(session)) {
                if message.status.is_some_and(|status| status >= 300) {
                    return None;
                }
                self.sessions.get_mut(unclaimed)?.dialog = message.dialog;
                return Some(unclaimed);
            }
            if message.status.is_some_and(|status| status >= 300) {
                return None;
            }
            if let Some(first) = of(&|session| session.life == Life::Early && offered(session)) {
                return self.fork(first, note, message, out);
            }
        }
        // Who began it was not seen: whoever speaks first.
        if !describes {
            return None;
        }
        let index = self.open(note, message, message.from, out)?;
        self.sessions.get_mut(index)?.dialog = message.dialog;
        Some(index)
    }

    fn find_dialog(&self, call: u64, dialog: u64) -> Option<u32> {
        let call = self.calls.get(&call)?;
        call.sessions
            .iter()
            .copied()
            .find(|index| self.sessions.get(*index).is_some_and(|session| session.dialog == dialog))
    }

    /// A session begins.
    fn open(&mut self, note: &Note, message: &MessageNote, caller: u32, out: &mut Out<'_>) -> Option<u32> {
        let held = self.calls.get(&note.call).map_or(0, |call| call.sessions.len());
        if held >= MAX_SESSIONS || self.sessions.len() >= self.settings.config.max_endpoints {
            out.refused(MediaTable::Dialogs);
            return None;
        }
        self.serial += 1;
        let session = Session {
            caller,
            invite: message.cseq,
            // Whoever begins it: the first message that is seen may be an answer.
            signals: [message.status.is_none().then_some(message.source), None],
            ..Session::new(self.serial, note.call, note.slot, note.at)
        };
        let index = self.sessions.insert(session);
        let call = self.calls.entry(note.call).or_default();
        call.sessions.push(index);
        call.wall_offset = message.wall_offset;
        Some(index)
    }

    /// Another branch rings: the caller offers it the same.
    fn fork(&mut self, first: u32, note: &Note, message: &MessageNote, out: &mut Out<'_>) -> Option<u32> {
        let index = self.open(note, message, message.from, out)?;
        let from = self.sessions.get(first)?;
        let (round, invited) = (from.round, from.invited);
        let caller = from.party(Side::Caller);
        let (exchange, described) = match &caller.offered {
            Some((exchange, described, _)) => (*exchange, described.clone()),
            None => (caller.exchange, caller.described.clone()),
        };
        let places: Vec<u32> = caller.all().map(|endpoint| endpoint.place).collect();
        let endpoints = self.advertise(index, Side::Caller, &places);
        let session = self.sessions.get_mut(index)?;
        (session.dialog, session.invited) = (message.dialog, invited);
        session.round = round.map(|round| Round { answered: false, ..round });
        session.parties[Side::Caller.index()].offered = Some((exchange, described, endpoints));
        Some(index)
    }

    /// A party describes its media: an offer, or the answer to one.
    #[expect(clippy::too_many_arguments, reason = "each is of another thing, and none goes with another elsewhere")]
    fn describe(
        &mut self,
        index: u32,
        side: Side,
        exchange: Exchange,
        message: &MessageNote,
        described: Described,
        at: Timestamp,
        out: &mut Out<'_>,
    ) {
        if described.more_lines {
            out.refused(MediaTable::MediaLines);
        }
        if described.more_endpoints {
            out.refused(MediaTable::Endpoints);
        }
        let mut places = Vec::with_capacity(described.endpoints.len());
        for address in &described.endpoints {
            self.give_way(address, at, out);
            match self.places.find_or_add(*address) {
                Some(place) => places.push(place),
                None => out.refused(MediaTable::Endpoints),
            }
        }
        let endpoints = self.advertise(index, side, &places);
        let Some(session) = self.sessions.get_mut(index) else { return };
        let is_request = message.status.is_none();
        let waits = session.round.is_some_and(|round| round.by != side && !round.answered);
        let same = session.round.is_some_and(|round| round.exchange == exchange && round.by != side);
        let is_answer = match message.method {
            Method::Prack | Method::Ack if is_request => waits || same,
            _ if is_request => false,
            _ => same || waits && message.method != Method::Invite,
        };
        if is_answer {
            return self.answer(index, side, described, endpoints, at);
        }
        if message.method == Method::Ack {
            // It repeats what was agreed.
            return;
        }
        let party = &mut session.parties[side.index()];
        let mut gone = Vec::new();
        match &mut party.offered {
            // Further hops of the same offer.
            Some((of, _, known)) if *of == exchange => merge(known, endpoints),
            _ => {
                if let Some((.., before)) = party.offered.replace((exchange, described, endpoints)) {
                    gone = before;
                }
            }
        }
        if session.round.is_none_or(|round| (round.exchange, round.by) != (exchange, side)) {
            session.round = Some(Round { exchange, by: side, answered: false });
        } else if let Some(round) = session.round.filter(|round| round.answered) {
            // A hop of an offer that was answered on another one.
            self.agree(index, side, round.exchange);
        }
        self.withdraw(index, side, gone);
    }

    /// An answer completes the pair: it replaces the one before.
    fn answer(&mut self, index: u32, side: Side, described: Described, endpoints: Vec<Endpoint>, at: Timestamp) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        let Some(round) = &mut session.round else { return };
        round.answered = true;
        let exchange = round.exchange;
        let party = &mut session.parties[side.index()];
        let mut gone = Vec::new();
        if party.exchange == exchange && !party.endpoints.is_empty() {
            merge(&mut party.endpoints, endpoints);
        } else {
            gone = replace(&mut party.endpoints, endpoints);
        }
        (party.described, party.exchange) = (described, exchange);
        self.withdraw(index, side, gone);
        self.agree(index, side.other(), exchange);
        let Some(session) = self.sessions.get_mut(index) else { return };
        let [caller, callee] = &session.parties;
        session.talks = match (talk(&caller.described, &callee.described), session.talks) {
            (false, _) => None,
            (true, None) => Some(at),
            (true, since) => since,
        };
    }

    /// What a party offered is agreed.
    fn agree(&mut self, index: u32, side: Side, exchange: Exchange) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        let party = &mut session.parties[side.index()];
        let Some((_, described, endpoints)) = party.offered.take_if(|(of, ..)| *of == exchange) else { return };
        let mut gone = Vec::new();
        if party.exchange == exchange && !party.endpoints.is_empty() {
            merge(&mut party.endpoints, endpoints);
        } else {
            gone = replace(&mut party.endpoints, endpoints);
        }
        (party.described, party.exchange) = (described, exchange);
        self.withdraw(index, side, gone);
    }

    /// What was offered last is not agreed.
    fn refuse(&mut self, index: u32, exchange: Exchange) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        let Some(round) = session.round.filter(|round| round.exchange == exchange && !round.answered) else { return };
        session.round = None;
        let party = &mut session.parties[round.by.index()];
        if !party.described.lines.is_empty()
            && let Some((.., endpoints)) = party.offered.take()
        {
            self.withdraw(index, round.by, endpoints);
        }
    }

    /// A party of a session receives at these places.
    pub fn advertise(&mut self, session: u32, side: Side, places: &[u32]) -> Vec<Endpoint> {
        let mut endpoints = Vec::with_capacity(places.len());
        for place in places {
            self.places.advertise(*place, Advert { session, side });
            let base = self.places.get(*place).map_or(0, |place| place.packets);
            endpoints.push(Endpoint { place: *place, base });
        }
        endpoints
    }

    /// A party does not receive there any more, unless it says so elsewhere.
    pub fn withdraw(&mut self, session: u32, side: Side, gone: Vec<Endpoint>) {
        for endpoint in gone {
            let still = self
                .sessions
                .get(session)
                .is_some_and(|session| session.party(side).all().any(|other| other.place == endpoint.place));
            if !still {
                self.places.withdraw(endpoint.place, Advert { session, side });
            }
        }
    }

    /// A dialog was answered: its streams go on, those of its forks end (5.2).
    fn confirm(&mut self, index: u32, at: Timestamp, out: &mut Out<'_>) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        if session.life != Life::Early {
            return;
        }
        session.life = Life::Up { since: at };
        let (call, invite, serial) = (session.call, session.invite, session.serial);
        for party in &mut session.parties {
            let offered = party.offered.iter_mut().flat_map(|(.., endpoints)| endpoints);
            for endpoint in party.endpoints.iter_mut().chain(offered).chain(&mut party.latched) {
                endpoint.base = self.places.get(endpoint.place).map_or(0, |place| place.packets);
            }
        }
        let config = &self.settings.config;
        self.timers.set(at + config.no_media_after, Due::Judge { session: index, serial });
        self.timers.set(at + config.stopped_after, Due::Stopped { session: index, serial });
        let others = self.calls.get(&call).map_or(Vec::new(), |call| call.sessions.clone());
        for other in others.into_iter().filter(|other| *other != index) {
            let loses =
                self.sessions.get(other).is_some_and(|other| other.life == Life::Early && other.invite == invite);
            if loses {
                self.remove_session(other, at, out);
            }
        }
    }

    /// A dialog ended: its streams end, and its endpoints are released a little later (5.2).
    pub fn end(&mut self, index: u32, at: Timestamp, out: &mut Out<'_>) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        let Life::Up { since } = session.life else { return };
        session.life = Life::Over { since: at };
        let serial = session.serial;
        self.timers.set(at + RELEASE, Due::Release { session: index, serial });
        self.judge_answer(index, since, out);
        let streams = self.sessions.get(index).map_or(Vec::new(), |session| session.streams.clone());
        for stream in streams {
            self.end_stream(stream, at, out);
        }
    }

    /// A session that is over is not needed any more, but for records.
    pub fn release(&mut self, index: u32, at: Timestamp, out: &mut Out<'_>) {
        let Some(session) = self.sessions.get(index) else { return };
        let streams = session.streams.clone();
        for stream in streams {
            self.remove_stream(stream, at, out);
        }
        self.withdraw_all(index);
    }

    fn withdraw_all(&mut self, index: u32) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        let parties = std::mem::take(&mut session.parties);
        for (side, mut party) in [Side::Caller, Side::Callee].into_iter().zip(parties) {
            let endpoints: Vec<Endpoint> = party.all().copied().collect();
            (party.endpoints, party.offered, party.latched) = Default::default();
            if let Some(session) = self.sessions.get_mut(index) {
                session.parties[side.index()] = party;
            }
            self.withdraw(index, side, endpoints);
        }
    }

    /// Nothing comes of a session.
    pub fn remove_session(&mut self, index: u32, at: Timestamp, out: &mut Out<'_>) {
        self.release(index, at, out);
        let Some(session) = self.sessions.remove(index) else { return };
        if let Some(call) = self.calls.get_mut(&session.call) {
            call.sessions.retain(|other| *other != index);
        }
    }

    pub fn forget_call(&mut self, key: u64, at: Timestamp, out: &mut Out<'_>) {
        let sessions = self.calls.get(&key).map_or(Vec::new(), |call| call.sessions.clone());
        for session in sessions {
            self.remove_session(session, at, out);
        }
        self.calls.remove(&key);
    }

    /// States a fault of a session, once each way (5.7).
    pub fn fault(
        &mut self,
        index: u32,
        fault: pipeline::media::Fault,
        toward: Toward,
        at: Timestamp,
        out: &mut Out<'_>,
    ) {
        let Some(session) = self.sessions.get_mut(index) else { return };
        let bit = 1 << (fault.index() * Toward::ALL.len() + toward.index());
        if session.stated & bit != 0 {
            return;
        }
        session.stated |= bit;
        out.push(session.slot, MediaFact::Fault { fault, toward });
        self.keep_fault(index, fault, toward, at, out);
    }
}

/// Adds endpoints of another hop.
fn merge(known: &mut Vec<Endpoint>, more: Vec<Endpoint>) {
    for endpoint in more {
        if known.iter().all(|other| other.place != endpoint.place) {
            known.push(endpoint);
        }
    }
}

/// Puts endpoints in place of others, which are returned; those that stay go on counting.
fn replace(known: &mut Vec<Endpoint>, mut new: Vec<Endpoint>) -> Vec<Endpoint> {
    for endpoint in &mut new {
        if let Some(before) = known.iter().find(|before| before.place == endpoint.place) {
            endpoint.base = before.base;
        }
    }
    std::mem::replace(known, new)
}

/// An ACK belongs to the exchange of its INVITE.
fn exchange_of(method: Method) -> u8 {
    let method = if method == Method::Ack { Method::Invite } else { method };
    method.index() as u8
}

/// How long endpoints outlast their dialog (5.2).
const RELEASE: std::time::Duration = std::time::Duration::from_secs(10);

/// The sender is the party that does not receive there.
pub fn toward(side: Side) -> Toward {
    match side {
        Side::Caller => Toward::Caller,
        Side::Callee => Toward::Callee,
    }
}

const _: () = assert!(pipeline::media::Fault::ALL.len() * Toward::ALL.len() <= u32::BITS as usize);
