//! All calls, and the way of a message to its own: parse, find the call, take a turn at it, see when it falls due.
//!
//! Messages are read sixteen at a time. Of the calls of half a minute little is in the processor's caches: the index and
//! the records that sixteen messages will ask for are prefetched together, and waited for once.

use call_records::Records;
use pipeline::event::{Evicted, Fact};
use pipeline::CallsWanted;
use pipeline::{Facts, FrameBatch, SipFrame, Slot, Transport};
use sip::{Framing, Message, ParseError};
use wire::Timestamp;

use crate::bindings::Bindings;
use crate::call::{Pools, Rank};
use crate::calls::Calls;
use crate::config::Config;
use crate::hash::{Hashes, Key};
use crate::observed::Observed;
use crate::request::Request;
use crate::slots::Slots;
use crate::turn::{Held, Told, Turn, dialog_id};
use crate::wheel::{Target, Timer, Wheel};

/// Everything that is followed.
pub struct State {
    pub config: Config,
    pub hashes: Hashes,
    pub calls: Calls,
    pub pools: Pools,
    pub bindings: Bindings,
    pub slots: Slots,
    pub held: Held,
    pub wheel: Wheel,
    /// Records of calls, where somebody asked for them, and what they are told.
    pub records: Option<(Records, Told)>,
}

/// A message that was read, and the hash of its Call-ID.
struct Parsed<'a> {
    frame: &'a SipFrame,
    message: Result<Message<'a>, ParseError>,
    call: Key,
}

impl State {
    /// Nothing followed yet. `wanted`: also keep records of calls.
    pub fn new(config: Config, wanted: Option<CallsWanted>) -> Self {
        let records = wanted.map(|wanted| {
            (Records::new(config.calls.clone(), wanted, config.max_calls, config.waits()), Told::default())
        });
        Self {
            hashes: Hashes::default(),
            calls: Calls::default(),
            pools: Pools::default(),
            bindings: Bindings::new(config.max_calls),
            slots: Slots::default(),
            held: Held::default(),
            wheel: Wheel::default(),
            records,
            config,
        }
    }

    /// Takes new timeouts and bounds; deadlines that were set keep their time.
    pub fn reconfigure(&mut self, config: Config) {
        self.bindings.set_max(config.max_calls);
        if let Some((records, _)) = &mut self.records {
            records.reconfigure(config.calls.clone(), config.max_calls, config.waits());
        }
        self.config = config;
    }

    /// Takes a batch: each frame after what was due before it, then what falls due by the batch's end.
    pub fn take(&mut self, batch: &FrameBatch, out: &mut Facts) {
        self.slots.next_batch();
        let mut ahead = [const { None }; AHEAD];
        for frames in batch.frames.chunks(AHEAD) {
            self.read_ahead(batch, frames, &mut ahead);
            for parsed in ahead.iter_mut().filter_map(Option::take) {
                self.fire_timers(parsed.frame.at, out);
                self.on_message(&parsed, out);
            }
        }
        self.fire_timers(batch.now, out);
    }

    /// Parses the next messages of a batch and prefetches the records of their calls.
    fn read_ahead<'a>(&self, batch: &'a FrameBatch, frames: &'a [SipFrame], ahead: &mut [Option<Parsed<'a>>; AHEAD]) {
        for (place, frame) in ahead.iter_mut().zip(frames) {
            let framing = match frame.transport {
                Transport::Udp => Framing::Datagram { truncated: frame.truncated },
                Transport::Tcp | Transport::Tls => Framing::Stream,
                Transport::Ws | Transport::Wss => Framing::WebSocket,
            };
            let message = sip::parse(batch.message(frame), framing);
            let call = message.as_ref().map_or(Key::default(), |message| self.hashes.call(message.call_id));
            self.calls.prefetch_index(call);
            *place = Some(Parsed { frame, message, call });
        }
        for parsed in ahead[..frames.len()].iter().flatten() {
            self.calls.prefetch(parsed.call);
        }
    }

    fn on_message(&mut self, parsed: &Parsed<'_>, out: &mut Facts) {
        let message = match &parsed.message {
            Ok(message) => message,
            Err(error) => return out.push(Slot::OTHER, Fact::ParseFailed(*error)),
        };
        for kind in message.anomalies.iter() {
            out.push(Slot::OTHER, Fact::Imperfect(kind));
        }
        let seen = Observed::new(&self.hashes, parsed.call, message, parsed.frame);
        let place = self.calls.find_or_open(seen.call, seen.now());
        let mut binds = None;
        self.turn(place, out, |turn| match message.status() {
            None => turn.on_request(&seen),
            Some(status) => binds = turn.on_response(status, &seen),
        });
        if let Some(slot) = binds {
            self.bindings.bind(slot, &seen, &self.hashes, &mut self.slots, &mut self.wheel, out);
        }
        if let Some((records, told)) = &mut self.records {
            let looked_on = call_records::Observed {
                message,
                frame: parsed.frame,
                call: seen.call.0,
                dialog: dialog_id(seen.tags()),
                from: seen.from.bits(),
                to: seen.to.bits(),
            };
            records.on_message(&looked_on, told.sighting.take(), &told.changes, &mut self.slots, out);
            told.changes.clear();
        }
        self.make_room(place, seen.now(), out);
    }

    /// Lets a rule take its turn at a call, and sees when the call falls due next.
    fn turn(&mut self, place: u32, out: &mut Facts, rule: impl FnOnce(&mut Turn<'_>)) {
        let call = self.calls.get_mut(place);
        let mut turn = Turn {
            config: &self.config,
            hashes: &self.hashes,
            call,
            pools: &mut self.pools,
            slots: &mut self.slots,
            held: &mut self.held,
            out,
            records: self.records.as_mut().map(|(_, told)| told),
            due: Timestamp::NEVER,
            settled: false,
        };
        rule(&mut turn);
        let (due, settled) = (turn.due, turn.settled);
        // A later deadline is found when the earlier one comes.
        if due < call.armed || call.armed == Timestamp::ZERO {
            call.armed = due;
            self.wheel.set(&mut call.timer, due, Target::Call(place));
        }
        if settled {
            let rank = call.rank(&self.pools);
            self.held.rank(&mut self.calls, place, rank);
        }
    }

    /// Fires what is due at or before `now`, in order of due time (0.2).
    fn fire_timers(&mut self, now: Timestamp, out: &mut Facts) {
        while let Some((due, target)) = self.wheel.pop(now) {
            match target {
                Target::Call(place) => self.on_call_due(place, due, out),
                Target::Bindings(place) => {
                    self.bindings.on_due(place, due, &mut self.slots, &mut self.wheel, out);
                }
            }
        }
        if let Some((records, _)) = &mut self.records {
            records.on_time(now, &mut self.slots, out);
        }
    }

    /// The timer of a call fired: something of it is due, or only was when the timer was set.
    fn on_call_due(&mut self, place: u32, due: Timestamp, out: &mut Facts) {
        let call = self.calls.get_mut(place);
        (call.timer, call.armed) = (Timer::default(), Timestamp::NEVER);
        if call.due(&self.pools, &self.config) <= due {
            self.turn(place, out, |turn| turn.on_due(due));
            self.tell_records(place, out);
        }
        let call = self.calls.get_mut(place);
        if call.is_empty() {
            return self.close(place);
        }
        let next = call.due(&self.pools, &self.config);
        call.armed = next;
        self.wheel.set(&mut call.timer, next, Target::Call(place));
    }

    fn tell_records(&mut self, place: u32, out: &mut Facts) {
        if let Some((records, told)) = &mut self.records {
            let key = self.calls.get_mut(place).key;
            records.on_changes(key.0, &told.changes, &mut self.slots, out);
            told.changes.clear();
        }
    }

    /// Forgets a call of which nothing is known any more.
    fn close(&mut self, place: u32) {
        let call = self.calls.get_mut(place);
        let (rank, mut timer) = (call.rank, std::mem::take(&mut call.timer));
        self.wheel.cancel(&mut timer);
        self.held.unobserved -= usize::from(rank == Rank::Unobserved);
        self.calls.close(place);
    }

    /// Where a bound is exceeded calls leave; never the one at hand, which may lose what of it is over (3.7).
    fn make_room(&mut self, at_hand: u32, now: Timestamp, out: &mut Facts) {
        while let Some((table, groups)) = self.held.exceeded(self.config.max_calls) {
            let Some(place) = self.calls.longest_idle(groups, at_hand) else { break };
            self.evict(place, table, now, out);
        }
        if self.calls.get_mut(at_hand).request_count > MAX_REQUESTS {
            self.shed(at_hand, now, out);
        }
    }

    /// A call makes room.
    fn evict(&mut self, place: u32, table: Evicted, now: Timestamp, out: &mut Facts) {
        let call = self.calls.get_mut(place);
        let lost = call.live(&self.pools, table);
        for _ in 0..lost.max(usize::from(call.rank != Rank::Over)) {
            out.push(Slot::OTHER, Fact::Evicted(table));
        }
        self.turn(place, out, |turn| turn.forget_all(now));
        self.tell_records(place, out);
        self.close(place);
    }

    /// A call with too many requests loses the oldest one, of those that are over if there are any.
    fn shed(&mut self, place: u32, now: Timestamp, out: &mut Facts) {
        self.turn(place, out, |turn| {
            let requests = || turn.call.requests.iter(&turn.pools.requests);
            let over = requests().filter(|(_, request)| request.progress.is_over()).last();
            let open = |request: &Request| !request.progress.is_over();
            let Some((at, request)) = over.or_else(|| requests().last()) else { return };
            if open(request) {
                turn.out.push(Slot::OTHER, Fact::Evicted(Evicted::LogicalRequests));
            }
            turn.forget_request(at, now);
        });
        self.tell_records(place, out);
    }

    /// Sends every record that is still being made.
    pub fn drain_records(&mut self, out: &mut Facts) {
        if let Some((records, _)) = &mut self.records {
            records.drain(&mut self.slots, out);
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
        } else if self.attempts > max || self.registrations > max {
            Some((Evicted::Attempts, &[&[Undecided], &[Up]]))
        } else {
            None
        }
    }

    /// A call has come to a rank.
    fn rank(&mut self, calls: &mut Calls, place: u32, rank: Rank) {
        let before = calls.set_rank(place, rank);
        self.unobserved -= usize::from(before == Rank::Unobserved);
        self.unobserved += usize::from(rank == Rank::Unobserved);
    }
}

/// Messages read together.
const AHEAD: usize = 16;
/// Most requests remembered of one call: each message is compared with all of them.
const MAX_REQUESTS: u32 = 256;
