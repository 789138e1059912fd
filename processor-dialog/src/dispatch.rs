//! All calls, and the way of a message to its own: parse, find the call, take a turn at it, see when it falls due.
//!
//! Messages are read sixteen at a time. Of the calls of half a minute little is in the processor's caches: the index and
//! the records that sixteen messages will ask for are prefetched together, and waited for once.

use std::sync::Arc;

use call_records::Records;
use pipeline::CallsWanted;
use pipeline::call::ladder::Trunks;
use pipeline::event::{Evicted, Fact};
use pipeline::probes::is_probe;
use pipeline::{Facts, FrameBatch, LabelSets, Networks, Refused, SipFrame, Slot, Transport};
use sip::{Framing, Message, ParseError};
use wire::Timestamp;

use crate::bindings::{Bindings, Shared};
use crate::call::{Call, Pools, Rank};
use crate::calls::Calls;
use crate::config::Config;
use crate::hash::{Hashes, Key};
use crate::list::At;
use crate::notes::{Notes, Surroundings};
use crate::observed::Observed;
use crate::queues::Queues;
use crate::request::Request;
use crate::slots::Slots;
use crate::turn::{Held, Taken, Told, Turn, dialog_id};
use crate::waiting::{Queue, Waiting};
use crate::wheel::{Target, Timer, Wheel};

/// Everything that is followed.
pub struct State {
    pub config: Config,
    pub hashes: Hashes,
    /// Whose trunks are counted; `None` where no carrier is configured.
    pub networks: Option<Arc<dyn Networks>>,
    pub queues: Queues,
    /// Where queues have their names; `None` where nobody counts them.
    label_sets: Option<Arc<LabelSets>>,
    pub calls: Calls,
    pub pools: Pools,
    pub bindings: Bindings,
    pub slots: Slots,
    pub held: Held,
    pub wheel: Wheel,
    /// Messages that wait for what caused them.
    pub waiting: Queue,
    /// Records of calls, where somebody asked for them.
    pub records: Option<Records>,
    /// What media are told, where there is a processor of them.
    pub notes: Option<Notes>,
    /// What records and notes are told of a turn.
    told: Option<Told>,
    /// The time of the last batch.
    now: Timestamp,
}

/// A message that was read, and the hash of its Call-ID.
struct Parsed<'a> {
    message: Message<'a>,
    read: Result<(), ParseError>,
    call: Key,
    /// Where its call may be.
    near: Option<u32>,
}

impl State {
    /// Nothing followed yet. `wanted`: also keep records of calls.
    pub fn new(config: Config, wanted: Option<CallsWanted>) -> Self {
        let records = wanted.map(|wanted| Records::new(config.calls.clone(), wanted, config.max_calls, config.waits()));
        Self {
            hashes: Hashes::default(),
            networks: None,
            queues: Queues::default(),
            label_sets: None,
            calls: Calls::default(),
            pools: Pools::default(),
            bindings: Bindings::new(config.max_calls),
            slots: Slots::default(),
            held: Held::default(),
            wheel: Wheel::default(),
            waiting: Queue::default(),
            told: records.is_some().then(Told::default),
            notes: None,
            now: Timestamp::ZERO,
            records,
            config,
        }
    }

    /// Tells media of calls.
    pub fn tell_media(&mut self) {
        self.notes = Some(Notes::default());
        self.told.get_or_insert_default();
    }

    /// Takes new timeouts and bounds; deadlines that were set keep their time.
    pub fn reconfigure(&mut self, config: Config) {
        self.bindings.set_max(config.max_calls);
        if let Some(records) = &mut self.records {
            records.reconfigure(config.calls.clone(), config.max_calls, config.waits());
        }
        self.config = config;
        self.name_queues();
    }

    /// Counts the callers of queues, by names of `label_sets`.
    pub fn set_label_sets(&mut self, label_sets: Arc<LabelSets>) {
        self.label_sets = Some(label_sets);
        self.name_queues();
    }

    fn name_queues(&mut self) {
        if let Some(label_sets) = &self.label_sets {
            self.queues = Queues::new(&self.config.queues, label_sets);
        }
    }

    /// Takes a batch: each frame after what was due before it, then what falls due by the batch's end.
    pub fn take(&mut self, batch: &FrameBatch, out: &mut Facts) {
        self.slots.next_batch();
        for refused in batch.refused.iter() {
            out.refused.push(self.config.calls.privacy.refused(refused));
        }
        if let Some(notes) = &mut self.notes {
            notes.next_batch();
        }
        let unread = || Parsed { message: Message::default(), read: Ok(()), call: Key::default(), near: None };
        let mut ahead: [Parsed<'_>; AHEAD] = std::array::from_fn(|_| unread());
        let mut steered = 0;
        for (chunk, frames) in batch.frames.chunks(AHEAD).enumerate() {
            self.read_ahead(batch, frames, &mut ahead);
            // Looked at where they stand: a message is some 400 bytes.
            for (place, (parsed, frame)) in ahead.iter().zip(frames).enumerate() {
                self.fire_timers(frame.at, out);
                self.on_message(batch, frame, parsed, out);
                // What a stage before this one knows of the call, now that it is there.
                while let Some(told) = out.steered.get(steered).filter(|told| told.frame <= chunk * AHEAD + place) {
                    if let Some(records) = &mut self.records {
                        records.on_steered(parsed.call.0, &told.steer);
                    }
                    steered += 1;
                }
            }
        }
        self.fire_timers(batch.now, out);
        self.now = batch.now;
    }

    /// Parses the next messages of a batch and prefetches the records of their calls.
    fn read_ahead<'a>(&self, batch: &'a FrameBatch, frames: &[SipFrame], ahead: &mut [Parsed<'a>; AHEAD]) {
        for (parsed, frame) in ahead.iter_mut().zip(frames) {
            parsed.read = sip::parse_into(batch.message(frame), framing(frame), &mut parsed.message);
            parsed.call = parsed.read.map_or(Key::default(), |()| self.hashes.call(parsed.message.call_id));
            self.calls.prefetch_index(parsed.call);
        }
        for parsed in &mut ahead[..frames.len()] {
            parsed.near = self.calls.prefetch(parsed.call);
        }
    }

    fn on_message(&mut self, batch: &FrameBatch, frame: &SipFrame, parsed: &Parsed<'_>, out: &mut Facts) {
        let message = &parsed.message;
        if let Err(error) = parsed.read {
            let refused = Refused::new(batch.message(frame), frame, error);
            out.refused.push(self.config.calls.privacy.refused(&refused));
            return out.push(Slot::OTHER, Fact::ParseFailed(error));
        }
        if is_probe(message) {
            return out.push(Slot::OTHER, Fact::ProbeSeen);
        }
        let place = self.calls.find_or_open(parsed.call, parsed.near, frame.at);
        if self.take_message(place, message, frame, true, out) == Wait::Yes {
            self.wait(place, batch, frame, out);
        } else if !self.calls.get_mut(place).waiting.is_empty() {
            self.take_caused(place, frame, out);
        }
        self.make_room(place, frame.at, out);
    }

    /// Takes a message at its call, unless it waits.
    fn take_message(
        &mut self,
        place: u32,
        message: &Message<'_>,
        frame: &SipFrame,
        may_wait: bool,
        out: &mut Facts,
    ) -> Wait {
        let key = self.calls.get_mut(place).key;
        let seen = Observed::new(&self.hashes, key, message, frame);
        let mut taken = Taken::Done;
        self.turn(place, seen.now(), out, |turn| {
            taken = match message.status() {
                None => turn.on_request(may_wait, &seen),
                Some(status) => turn.on_response(status, may_wait, &seen),
            }
        });
        match taken {
            Taken::Waits => return Wait::Yes,
            Taken::Binds(slot, asked) => {
                let shared = Shared { hashes: &self.hashes, slots: &mut self.slots, wheel: &mut self.wheel };
                self.bindings.bind(slot, &seen, &asked, shared, out);
            }
            Taken::Done => {}
        }
        if !message.anomalies.is_empty() {
            message.anomalies.iter().for_each(|kind| out.push(Slot::OTHER, Fact::Imperfect(kind)));
        }
        let Some(told) = &mut self.told else { return Wait::No };
        let sighting = told.sighting.take();
        if let Some(records) = &mut self.records {
            let looked_on = call_records::Observed {
                message,
                frame,
                call: key.0,
                dialog: dialog_id(seen.tags()),
                from: seen.from.bits(),
                to: seen.to.bits(),
                trunks: &told.trunks,
            };
            records.on_message(&looked_on, sighting, &told.changes, &mut self.slots, out);
        }
        if let Some(notes) = &mut self.notes {
            let records = self.records.as_mut();
            let surroundings = Surroundings { hashes: &self.hashes, slots: &mut self.slots, records };
            notes.on_message(&seen, sighting.as_ref(), &told.changes, surroundings, out);
            notes.on_records(seen.now(), &mut self.slots, out);
        }
        told.changes.clear();
        told.trunks = Trunks::default();
        Wait::No
    }

    /// A message waits for what caused it (2.3).
    fn wait(&mut self, place: u32, batch: &FrameBatch, frame: &SipFrame, out: &mut Facts) {
        let call = self.calls.get_mut(place);
        let until = frame.at + self.config.reorder_window;
        let waiting = self.waiting.add(call.key, batch, frame, until);
        call.waiting.push(&mut self.pools.waiting, waiting);
        self.arm(place, until);
        while let Some((key, number)) = self.waiting.exceeds() {
            let Some(place) = self.calls.find(key) else { continue };
            let oldest = |waiting: &Waiting| waiting.number == number;
            if let Some(at) = self.calls.get_mut(place).waiting.find(&self.pools.waiting, oldest) {
                self.take_waiting(place, at, None, out);
            }
        }
    }

    /// Takes the messages of a call that need not wait any more, right after what caused them and with its time; the
    /// earliest first.
    fn take_caused(&mut self, place: u32, cause: &SipFrame, out: &mut Facts) {
        while let Some(at) = self.oldest_waiting(place, |call, waiting| !self.still_waits(call, waiting)) {
            self.take_waiting(place, at, Some(cause), out);
        }
    }

    /// The message that has waited longest of those that fit.
    fn oldest_waiting(&self, place: u32, fits: impl Fn(&Call, &Waiting) -> bool) -> Option<At> {
        let call = self.calls.get(place);
        call.waiting.iter(&self.pools.waiting).filter(|(_, waiting)| fits(call, waiting)).last().map(|(at, _)| at)
    }

    /// What caused a message has not come.
    fn still_waits(&self, call: &Call, waiting: &Waiting) -> bool {
        let Ok(message) = parse(&waiting.message, &waiting.frame) else { return false };
        let seen = Observed::new(&self.hashes, call.key, &message, &waiting.frame);
        if message.is_request() {
            call.must_wait(&self.pools, &seen)
        } else {
            call.find_transaction(&self.pools, seen.branch, seen.method()).is_none()
        }
    }

    /// Takes a message that waited: with the time of its cause, or as it stands.
    fn take_waiting(&mut self, place: u32, at: At, cause: Option<&SipFrame>, out: &mut Facts) {
        let waiting = self.calls.get_mut(place).waiting.remove(&mut self.pools.waiting, at);
        self.waiting.remove(&waiting);
        let mut frame = waiting.frame;
        if let Some(cause) = cause {
            (frame.first, frame.at) = (cause.at, cause.at);
        }
        if let Ok(message) = parse(&waiting.message, &frame) {
            self.take_message(place, &message, &frame, false, out);
        }
    }

    /// Nothing can follow any more: what waits for its cause is taken as it stands, and what waits for another try, another
    /// branch or more digits is decided as if that time had passed (0.2).
    pub fn settle(&mut self, now: Timestamp, out: &mut Facts) {
        for key in self.calls.unsettled() {
            // It may have made room.
            let Some(place) = self.calls.find(key) else { continue };
            while let Some(at) = self.oldest_waiting(place, |_, _| true) {
                self.take_waiting(place, at, None, out);
            }
            self.turn(place, now, out, |turn| turn.settle(now));
            self.tell(place, now, out);
            self.make_room(place, now, out);
        }
    }

    /// Lets a rule take its turn at a call, and sees when the call falls due next.
    fn turn(&mut self, place: u32, now: Timestamp, out: &mut Facts, rule: impl FnOnce(&mut Turn<'_>)) {
        let call = self.calls.get_mut(place);
        // A call that is new has no rank yet.
        let settled = call.rank.is_none();
        let mut turn = Turn {
            config: &self.config,
            hashes: &self.hashes,
            networks: self.networks.as_deref(),
            queues: &mut self.queues,
            call,
            pools: &mut self.pools,
            slots: &mut self.slots,
            held: &mut self.held,
            out,
            records: self.told.as_mut(),
            now,
            due: Timestamp::NEVER,
            settled,
        };
        rule(&mut turn);
        let (due, settled) = (turn.due, turn.settled);
        if settled {
            let rank = call.rank(&self.pools);
            self.calls.set_rank(place, rank);
        }
        self.arm(place, due);
    }

    /// Something of a call falls due then. A later deadline is found when the earlier one comes.
    fn arm(&mut self, place: u32, due: Timestamp) {
        let call = self.calls.get_mut(place);
        if due < call.armed || call.armed == Timestamp::ZERO {
            call.armed = due;
            self.wheel.set(&mut call.timer, due, Target::Call(place));
        }
    }

    /// Fires what is due at or before `now`, in order of due time (0.2).
    #[inline(always)]
    fn fire_timers(&mut self, now: Timestamp, out: &mut Facts) {
        if self.wheel.may_fire(now) {
            self.fire_due(now, out);
        }
        self.records_on_time(now, out);
    }

    fn fire_due(&mut self, now: Timestamp, out: &mut Facts) {
        while let Some((due, target)) = self.wheel.pop(now) {
            self.records_on_time(due, out);
            match target {
                Target::Call(place) => self.on_call_due(place, due, out),
                Target::Bindings(place) => {
                    self.bindings.on_due(place, due, &mut self.slots, &mut self.wheel, out);
                }
            }
        }
    }

    /// Records leave that are due.
    #[inline(always)]
    fn records_on_time(&mut self, now: Timestamp, out: &mut Facts) {
        if self.records.is_some() {
            self.let_records_leave(now, out);
        }
    }

    fn let_records_leave(&mut self, now: Timestamp, out: &mut Facts) {
        let Some(records) = &mut self.records else { return };
        records.on_time(now, &mut self.slots, out);
        if let Some(notes) = &mut self.notes {
            notes.on_records(now, &mut self.slots, out);
        }
    }

    /// The timer of a call fired: something of it is due, or only was when the timer was set.
    fn on_call_due(&mut self, place: u32, due: Timestamp, out: &mut Facts) {
        let call = self.calls.get_mut(place);
        (call.timer, call.armed) = (Timer::default(), Timestamp::NEVER);
        let waited = !call.waiting.is_empty();
        if call.due(&self.pools, &self.config) <= due {
            while let Some(at) = self.oldest_waiting(place, |_, waiting| waiting.until <= due) {
                self.take_waiting(place, at, None, out);
            }
            self.turn(place, due, out, |turn| turn.on_due(due));
            self.tell(place, due, out);
        }
        let call = self.calls.get_mut(place);
        if call.is_empty() {
            return self.close(place, due, out);
        }
        let next = call.due(&self.pools, &self.config);
        call.armed = next;
        self.wheel.set(&mut call.timer, next, Target::Call(place));
        if waited {
            self.make_room(place, due, out);
        }
    }

    fn tell(&mut self, place: u32, now: Timestamp, out: &mut Facts) {
        let Some(told) = &mut self.told else { return };
        let key = self.calls.get(place).key;
        if let Some(records) = &mut self.records {
            records.on_changes(key.0, &told.changes, &mut self.slots, out);
        }
        if let Some(notes) = &mut self.notes {
            notes.on_changes(key.0, &told.changes, now, out);
            notes.on_records(now, &mut self.slots, out);
        }
        told.changes.clear();
    }

    /// Forgets a call of which nothing is known any more.
    fn close(&mut self, place: u32, now: Timestamp, out: &mut Facts) {
        let call = self.calls.get_mut(place);
        if let Some(notes) = &mut self.notes {
            let has_record = self.records.as_ref().is_some_and(|records| records.holds(call.key.0));
            notes.on_forgotten(call.key, has_record, now, &mut self.slots, out);
        }
        let mut timer = std::mem::take(&mut call.timer);
        self.wheel.cancel(&mut timer);
        self.calls.close(place);
    }

    /// Where a bound is exceeded calls leave (3.7). The one at hand only if nobody saw it begin, and there is no other such;
    /// else it may lose what of it is over.
    #[inline]
    fn make_room(&mut self, at_hand: u32, now: Timestamp, out: &mut Facts) {
        let too_many = self.calls.get(at_hand).request_count > MAX_REQUESTS;
        if too_many || self.held.exceeded(self.config.max_calls).is_some() {
            self.evict_others(at_hand, now, out);
        }
    }

    #[cold]
    fn evict_others(&mut self, at_hand: u32, now: Timestamp, out: &mut Facts) {
        while let Some((table, groups)) = self.held.exceeded(self.config.max_calls) {
            let Some(place) = self.calls.longest_idle(groups, at_hand) else { break };
            self.evict(place, table, now, out);
            if place == at_hand {
                return;
            }
        }
        if self.calls.get_mut(at_hand).request_count > MAX_REQUESTS {
            self.shed(at_hand, now, out);
        }
    }

    /// A call makes room.
    fn evict(&mut self, place: u32, table: Evicted, now: Timestamp, out: &mut Facts) {
        let call = self.calls.get_mut(place);
        let lost = call.live(&self.pools, table);
        for _ in 0..lost.max(usize::from(call.rank != Some(Rank::Over))) {
            out.push(Slot::OTHER, Fact::Evicted(table));
        }
        while let Some(waiting) = self.calls.get_mut(place).waiting.pop(&mut self.pools.waiting) {
            self.waiting.remove(&waiting);
        }
        self.turn(place, now, out, |turn| turn.forget_all(now));
        self.tell(place, now, out);
        self.close(place, now, out);
    }

    /// A call with too many requests loses the oldest one, of those that are over if there are any.
    fn shed(&mut self, place: u32, now: Timestamp, out: &mut Facts) {
        self.turn(place, now, out, |turn| {
            let requests = || turn.call.requests.iter(&turn.pools.requests);
            let over = requests().filter(|(_, request)| request.progress.is_over()).last();
            let open = |request: &Request| !request.progress.is_over();
            let Some((at, request)) = over.or_else(|| requests().last()) else { return };
            if open(request) {
                turn.out.push(Slot::OTHER, Fact::Evicted(Evicted::LogicalRequests));
            }
            turn.forget_request(at, now);
        });
        self.tell(place, now, out);
    }

    /// Sends every record that is still being made.
    pub fn drain_records(&mut self, out: &mut Facts) {
        if let Some(records) = &mut self.records {
            records.drain(&mut self.slots, out);
            if let Some(notes) = &mut self.notes {
                notes.on_records(self.now, &mut self.slots, out);
            }
        }
    }
}

impl Held {
    /// The table that holds more than it may, and which calls make room: what is over and only remembered, then what
    /// nobody saw begin, then what has been idle longest and has entries there (3.7).
    fn exceeded(&self, max: usize) -> Option<(Evicted, &'static [&'static [Rank]])> {
        use Rank::{Over, Undecided, Unobserved, Up};
        if self.unobserved > (max / 10).max(1) {
            Some((Evicted::Dialogs, &[&[Unobserved]]))
        } else if self.live_dialogs > max {
            Some((Evicted::Dialogs, &[&[Unobserved], &[Undecided, Up]]))
        } else if self.dialogs > max.saturating_mul(2) {
            Some((Evicted::Dialogs, &[&[Over], &[Unobserved], &[Undecided, Up]]))
        } else if self.requests > max.saturating_mul(2) {
            Some((Evicted::LogicalRequests, &[&[Over], &[Unobserved], &[Undecided], &[Up]]))
        } else if self.attempts > max || self.registrations > max || self.trunks > max {
            Some((Evicted::Attempts, &[&[Undecided], &[Up]]))
        } else {
            None
        }
    }
}

/// Parses a message that waited.
#[inline(never)]
fn parse<'a>(bytes: &'a [u8], frame: &SipFrame) -> Result<Message<'a>, ParseError> {
    sip::parse(bytes, framing(frame))
}

fn framing(frame: &SipFrame) -> Framing {
    match frame.transport {
        Transport::Udp => Framing::Datagram { truncated: frame.is_cut() },
        Transport::Tcp | Transport::Tls => Framing::Stream,
        Transport::Ws | Transport::Wss => Framing::WebSocket,
    }
}

/// Whether a message waits for another one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    Yes,
    No,
}

/// Messages read together.
const AHEAD: usize = 16;
/// Most requests remembered of one call: each message is compared with all of them.
const MAX_REQUESTS: u16 = 256;
