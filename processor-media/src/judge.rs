//! Faults: what is wrong with the media of a call (5.7).

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;
use pipeline::call::Side;
use pipeline::media::{Fault, Toward};
use wire::Timestamp;

use crate::config::Visibility;
use crate::sessions::{Life, toward};
use crate::state::{Out, State};
use crate::timers::Due;

/// So many packets of one side, and none of the other, are one way.
const HEARD: u64 = 50;
/// Media of a host seen within this time say that its media pass here.
const VISIBLE: Duration = Duration::from_secs(600);
/// An answer after this time, without ringing, is no suspect; nor is a call that lasts longer than the second.
const AT_ONCE: Duration = Duration::from_secs(2);
const HUNG_UP: Duration = Duration::from_secs(15);

/// When media of a host were last seen. Bounded: what is older than it need be leaves when it is full.
pub struct Hosts {
    seen: HashMap<[u8; 16], Timestamp, RandomState>,
    max: usize,
}

impl Hosts {
    /// None yet, at most so many.
    pub fn new(max: usize) -> Self {
        Self { seen: HashMap::default(), max }
    }

    /// Media of a host were seen.
    pub fn see(&mut self, host: [u8; 16], at: Timestamp) {
        if let Some(seen) = self.seen.get_mut(&host) {
            *seen = at.max(*seen);
            return;
        }
        if self.seen.len() >= self.max {
            self.seen.retain(|_, seen| *seen + VISIBLE > at);
        }
        if self.seen.len() < self.max {
            self.seen.insert(host, at);
        }
    }

    fn is_visible(&self, host: &[u8; 16], now: Timestamp) -> bool {
        self.seen.get(host).is_some_and(|seen| *seen + VISIBLE > now)
    }

    /// Hosts held.
    pub fn len(&self) -> usize {
        self.seen.len()
    }
}

impl State {
    /// Whether media of both parties pass here.
    fn is_visible(&self, index: u32, now: Timestamp) -> bool {
        let Some(session) = self.sessions.get(index) else { return false };
        match self.settings.config.visibility {
            Visibility::On => true,
            Visibility::Off => false,
            Visibility::Auto => session.parties.iter().all(|party| {
                let mut hosts = party.all().filter_map(|endpoint| self.places.get(endpoint.place));
                hosts.any(|place| {
                    self.hosts.is_visible(&place.address.ip, now) || place.last + VISIBLE > now && place.packets > 0
                })
            }),
        }
    }

    /// Packets that a side sent since the answer, or since it was known where it would be received.
    fn sent(&self, index: u32, side: Side) -> u64 {
        let Some(session) = self.sessions.get(index) else { return 0 };
        let came = session
            .party(side.other())
            .all()
            .filter_map(|endpoint| Some(self.places.get(endpoint.place)?.packets.wrapping_sub(endpoint.base)));
        came.map(u64::from).sum()
    }

    /// Whether either side is heard after the answer.
    pub fn judge(&mut self, index: u32, at: Timestamp, out: &mut Out<'_>) {
        let Some(session) = self.sessions.get(index) else { return };
        if session.talks.is_none() || !matches!(session.life, Life::Up { .. }) || !self.is_visible(index, at) {
            return;
        }
        let (caller, callee) = (self.sent(index, Side::Caller), self.sent(index, Side::Callee));
        match (caller, callee) {
            (0, 0) => self.fault(index, Fault::NoMedia, Toward::Neither, at, out),
            (HEARD.., 0) => self.fault(index, Fault::OneWay, Toward::CallerOnly, at, out),
            (0, HEARD..) => self.fault(index, Fault::OneWay, Toward::CalleeOnly, at, out),
            _ => {}
        }
    }

    /// Whether a side that was heard fell silent; asks again when it may have.
    pub fn judge_silence(&mut self, index: u32, serial: u64, at: Timestamp, out: &mut Out<'_>) {
        let stopped_after = self.settings.config.stopped_after;
        let Some(session) = self.sessions.get(index) else { return };
        if !matches!(session.life, Life::Up { .. }) {
            return;
        }
        let mut next = at + stopped_after;
        for side in [Side::Caller, Side::Callee] {
            let Some(session) = self.sessions.get(index) else { return };
            let Some(talks) = session.talks else { continue };
            let receivers = session.party(side.other()).all().filter_map(|endpoint| self.places.get(endpoint.place));
            let last = receivers.map(|place| place.last).max().unwrap_or(Timestamp::ZERO);
            let sends = self.sent(index, side) > 0;
            let Some(session) = self.sessions.get_mut(index) else { return };
            session.heard[side.index()] |= sends;
            if !session.heard[side.index()] {
                continue;
            }
            let due = last.max(talks) + stopped_after;
            if due > at {
                next = next.min(due);
            } else if !self.may_be_silent(index, side) && self.is_visible(index, at) {
                self.fault(index, Fault::MediaStopped, toward(side), at, out);
            }
        }
        self.timers.set(next, Due::Stopped { session: index, serial });
    }

    /// A side may send nothing while nobody speaks: that was agreed, or seen.
    fn may_be_silent(&self, index: u32, side: Side) -> bool {
        let Some(session) = self.sessions.get(index) else { return true };
        let noise = session.parties.iter().all(|party| party.described.has_comfort_noise());
        let sends = |stream: &u32| {
            let entry = self.streams.get(*stream).filter(|entry| entry.side() == side)?;
            let (number, ..) = entry.stats.spoken_as()?;
            session.party(side.other()).says().payload_type(number).ok()?
        };
        let suppresses = session.streams.iter().rev().find_map(sends).is_some_and(|known| known.suppresses);
        noise || suppresses || session.party(side).sends_noise
    }

    /// A call that ended may have been answered by nobody.
    pub fn judge_answer(&mut self, index: u32, since: Timestamp, out: &mut Out<'_>) {
        let Some(session) = self.sessions.get(index) else { return };
        let Some((Side::Caller, hung_up)) = session.bye else { return };
        let at_once = !session.rang && since - session.invited <= AT_ONCE && hung_up - since <= HUNG_UP;
        if !self.settings.config.fas || !at_once || session.talks.is_none() || !self.is_visible(index, hung_up) {
            return;
        }
        // What was heard before the answer goes on, or there is nothing.
        let new = session
            .streams
            .iter()
            .filter_map(|stream| self.streams.get(*stream))
            .any(|entry| entry.side() == Side::Callee && entry.stats.first() >= since.as_nanos());
        if !new {
            self.fault(index, Fault::FasSuspect, Toward::Callee, hung_up, out);
        }
    }
}
