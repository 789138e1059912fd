//! Clients of services: when each was heard last, and where its calls of the last while went.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use hashlink::LinkedHashMap;
use wire::Timestamp;

use crate::hash::Hashed;

/// What a client and a service say to each other.
#[derive(Debug)]
pub struct Flow {
    pub service: u16,
    pub client: SocketAddr,
    /// When either was heard last.
    pub last: Timestamp,
    /// Initial INVITEs.
    pub calls: u64,
    /// Of these, those each backend took, by its place.
    pub to: Vec<(u16, u64)>,
    /// Those within the window.
    runs: VecDeque<Run>,
    within: u32,
    /// The backend that gets all its calls now; `None` where they are spread, or are few.
    pub pinned: Option<u16>,
    /// There was one.
    pub was_pinned: bool,
}

/// Calls of one tick to one backend.
#[derive(Clone, Copy, Debug)]
struct Run {
    tick: u64,
    /// `None` while it is not known.
    member: Option<u16>,
    calls: u32,
}

/// A window moves on in this many steps.
const TICKS: u32 = 128;
/// So many initial INVITEs of a client say something.
const ENOUGH: u32 = 100;

/// All flows, in the order in which they were heard last.
pub struct Flows {
    held: LinkedHashMap<u64, Flow, Hashed>,
    /// Flows that are pinned now.
    pinned: Vec<u64>,
    /// Length of a tick in nanoseconds.
    tick: u64,
    /// The tick that was looked at last.
    looked: u64,
    /// Runs of all flows.
    runs: usize,
    pub evicted: u64,
}

/// Backends of a service that answered within the window: at least two of them make a choice.
pub type IsSpread<'a> = &'a dyn Fn(u16) -> bool;

impl Flows {
    pub fn new(window: Duration) -> Self {
        let (held, pinned) = Default::default();
        let mut flows = Self { held, pinned, tick: 1, looked: 0, runs: 0, evicted: 0 };
        flows.set_window(window);
        flows
    }

    /// Calls of the last `window` are looked at together; what is within it is counted anew.
    pub fn set_window(&mut self, window: Duration) {
        let tick = (u64::try_from(window.as_nanos()).unwrap_or(u64::MAX) / u64::from(TICKS)).max(1);
        if tick != self.tick {
            self.tick = tick;
            self.looked = 0;
            self.runs = 0;
            self.held.iter_mut().for_each(|(_, flow)| {
                flow.runs.clear();
                flow.within = 0;
            });
        }
    }

    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// A client or its service was heard. Gives how long both had been silent; `None` of a new flow. Of more than `max` the one
    /// silent longest goes and is counted; given with it, if it was pinned, its service.
    pub fn hear(
        &mut self,
        key: u64,
        service: u16,
        client: SocketAddr,
        now: Timestamp,
        max: usize,
    ) -> (Option<Duration>, Option<u16>) {
        if let Some(flow) = self.held.to_back(&key) {
            let silent = now.since(flow.last);
            flow.last = flow.last.max(now);
            return (Some(silent), None);
        }
        let lost = if self.held.len() >= max { self.evict() } else { None };
        let (to, runs) = Default::default();
        self.held.insert(
            key,
            Flow { service, client, last: now, calls: 0, to, runs, within: 0, pinned: None, was_pinned: false },
        );
        (None, lost)
    }

    /// A reply was heard on a flow.
    pub fn reply(&mut self, key: u64, now: Timestamp) {
        if let Some(flow) = self.held.to_back(&key) {
            flow.last = flow.last.max(now);
        }
    }

    /// The client sent an initial INVITE at `at`; who takes it will show. More than four runs for each flow there may be are not
    /// held: the flow silent longest goes.
    pub fn call(&mut self, key: u64, at: Timestamp, max: usize) -> Option<u16> {
        let lost = if self.runs >= max.saturating_mul(4) { self.evict() } else { None };
        if let Some(flow) = self.held.get_mut(&key) {
            flow.calls += 1;
            self.runs += flow.add(at.as_nanos() / self.tick, None, 1);
        }
        lost
    }

    /// A backend took the initial INVITE that was sent at `at`. Gives how many more flows of the service are pinned now.
    pub fn taken(&mut self, key: u64, at: Timestamp, member: u16, is_spread: IsSpread<'_>) -> i32 {
        let tick = at.as_nanos() / self.tick;
        let Some(flow) = self.held.get_mut(&key) else { return 0 };
        match flow.to.iter_mut().find(|(other, _)| *other == member) {
            Some((_, calls)) => *calls += 1,
            None => flow.to.push((member, 1)),
        }
        if let Some(open) =
            flow.runs.iter_mut().rev().find(|run| run.tick == tick && run.member.is_none() && run.calls > 0)
        {
            open.calls -= 1;
            flow.within -= 1;
            self.runs += flow.add(tick, Some(member), 1);
        }
        let change = self.judge(key, is_spread);
        if change > 0 {
            self.pinned.push(key);
        }
        change
    }

    /// The clock came to `now`: gives the services of flows that are not pinned any more.
    pub fn pass(&mut self, now: Timestamp, is_spread: IsSpread<'_>) -> Vec<u16> {
        let tick = now.as_nanos() / self.tick;
        if tick <= self.looked || self.pinned.is_empty() {
            self.looked = self.looked.max(tick);
            return Vec::new();
        }
        self.looked = tick;
        let mut freed = Vec::new();
        for key in std::mem::take(&mut self.pinned) {
            let service = self.held.get(&key).map(|flow| flow.service);
            match (service, self.judge(key, is_spread)) {
                (Some(service), -1) => freed.push(service),
                (Some(_), _) => self.pinned.push(key),
                // It went, which was told then.
                (None, _) => {}
            }
        }
        freed
    }

    /// When the next tick begins.
    pub fn due(&self) -> Timestamp {
        Timestamp::from_nanos((self.looked + 1).saturating_mul(self.tick))
    }

    /// All flows.
    pub fn iter(&self) -> impl Iterator<Item = &Flow> {
        self.held.values()
    }

    /// Looks at a flow: 1 if it became pinned, -1 if it is not any more.
    fn judge(&mut self, key: u64, is_spread: IsSpread<'_>) -> i32 {
        let looked = self.looked;
        let Some(flow) = self.held.get_mut(&key) else { return 0 };
        let newest = flow.runs.back().map_or(looked, |run| run.tick.max(looked));
        self.runs -= flow.forget(newest);
        let before = flow.pinned;
        flow.pinned = flow.favourite().filter(|_| is_spread(flow.service));
        flow.was_pinned |= flow.pinned.is_some();
        i32::from(flow.pinned.is_some()) - i32::from(before.is_some())
    }

    /// The flow silent longest goes. Gives its service if it was pinned.
    fn evict(&mut self) -> Option<u16> {
        let (key, flow) = self.held.pop_front()?;
        self.evicted += 1;
        self.runs -= flow.runs.len();
        flow.pinned?;
        self.pinned.retain(|other| *other != key);
        Some(flow.service)
    }
}

impl Flow {
    /// Adds calls; how many more runs there are for it.
    fn add(&mut self, tick: u64, member: Option<u16>, calls: u32) -> usize {
        self.within += calls;
        if let Some(run) = self.runs.iter_mut().rev().find(|run| (run.tick, run.member) == (tick, member)) {
            run.calls += calls;
            return 0;
        }
        // In the order of their ticks, but for what was taken late.
        let place = self.runs.iter().rposition(|run| run.tick <= tick).map_or(0, |place| place + 1);
        self.runs.insert(place, Run { tick, member, calls });
        1
    }

    /// Forgets what is not within the window that ends with `tick`; how many runs that was.
    fn forget(&mut self, tick: u64) -> usize {
        let mut gone = 0;
        while let Some(run) = self.runs.pop_front_if(|run| run.tick + u64::from(TICKS) <= tick) {
            self.within -= run.calls;
            gone += 1;
        }
        gone
    }

    /// The backend that took nine of ten calls within the window, where these are enough.
    fn favourite(&self) -> Option<u16> {
        if self.within < ENOUGH {
            return None;
        }
        let mut sums: Vec<(u16, u32)> = Vec::new();
        for run in &self.runs {
            let Some(member) = run.member else { continue };
            match sums.iter_mut().find(|(other, _)| *other == member) {
                Some((_, calls)) => *calls += run.calls,
                None => sums.push((member, run.calls)),
            }
        }
        let (member, calls) = sums.into_iter().max_by_key(|(_, calls)| *calls)?;
        (u64::from(calls) * 10 >= u64::from(self.within) * 9).then_some(member)
    }

    /// The backend that took most of all its calls, with how many.
    pub fn most(&self) -> Option<(u16, u64)> {
        self.to.iter().copied().max_by_key(|(_, calls)| *calls)
    }
}
