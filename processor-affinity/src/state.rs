//! Everything that is followed, and the way of a frame through it: requests in `requests`, responses in `responses`.

use std::sync::Arc;

use pipeline::affinity::{AffinityFact, Steer, Steered};
use pipeline::labels::{LabelSets, Name};
use pipeline::{Fact, Facts, FrameBatch, SipFrame, Slot, Transport};
use wire::Timestamp;

use crate::config::Settings;
use crate::dialogs::Dialogs;
use crate::flows::Flows;
use crate::hash::Hashes;
use crate::services::{Place, Services};
use crate::sightings::{PAIR, Sightings};
use crate::transactions::{KEPT, Part, Taken, Transaction, Transactions};

/// Everything that is followed.
pub struct State {
    pub settings: Settings,
    pub hashes: Hashes,
    pub services: Services,
    pub sightings: Sightings,
    pub dialogs: Dialogs,
    pub transactions: Transactions,
    pub flows: Flows,
    /// The time of the frame at hand.
    pub now: Timestamp,
    /// Nothing is due before.
    next: Timestamp,
    /// How far each of those that share this has come: what is due waits for the last of them.
    clocks: Vec<Timestamp>,
    /// Requests over UDP.
    pub requests: u64,
    /// Requests that were forgotten within their second.
    pub lost_sightings: u64,
    /// Records of calls get what is known of them.
    records: bool,
    /// Every service of the configuration has its series.
    told: bool,
}

/// Where facts go.
pub struct Out<'a> {
    pub facts: &'a mut Facts,
    /// The frame at hand.
    pub frame: usize,
}

impl State {
    /// Nothing followed yet. `records`: records of calls get what is known of them.
    pub fn new(settings: Settings, labels: &LabelSets, records: bool) -> Self {
        let hashes = Hashes::default();
        Self {
            services: Services::new(&settings, labels, &hashes),
            flows: Flows::new(settings.config.window),
            hashes,
            settings,
            sightings: Sightings::default(),
            dialogs: Dialogs::default(),
            transactions: Transactions::default(),
            now: Timestamp::ZERO,
            next: Timestamp::ZERO,
            clocks: Vec::new(),
            requests: 0,
            lost_sightings: 0,
            records,
            told: false,
        }
    }

    /// One more takes part. Gives its number.
    pub fn join(&mut self) -> usize {
        self.clocks.push(Timestamp::ZERO);
        self.clocks.len() - 1
    }

    /// Takes a batch of that member: each frame after what was due before it.
    pub fn take(&mut self, member: usize, batch: &FrameBatch, facts: &mut Facts) {
        if !std::mem::replace(&mut self.told, true) {
            let labels = self.services.services.iter().filter_map(|service| service.label);
            labels.for_each(|name| facts.push(Slot::OTHER, Fact::Affinity(AffinityFact::PinnedFlows(name, 0))));
        }
        if !self.settings.config.learn && self.services.is_empty() {
            return;
        }
        for (index, frame) in batch.frames.iter().enumerate() {
            if frame.transport != Transport::Udp {
                continue;
            }
            let mut out = Out { facts, frame: index };
            self.pass(member, frame.at, &mut out);
            let message = batch.message(frame);
            let source = self.services.at(frame.source);
            if let Some(Place::Backend(backend)) = source {
                self.services.backends[usize::from(backend)].on_sent(self.now);
            }
            if message.starts_with(b"SIP/2.0 ") {
                self.on_response(frame, message, source, &mut out);
            } else {
                self.requests += 1;
                self.on_request(frame, message, &mut out);
            }
        }
        let frame = batch.frames.len().saturating_sub(1);
        self.pass(member, batch.now, &mut Out { facts, frame });
    }

    /// Time passed: states what is due.
    #[inline]
    fn pass(&mut self, member: usize, now: Timestamp, out: &mut Out<'_>) {
        self.now = now;
        self.clocks[member] = self.clocks[member].max(now);
        let now = self.due();
        if now >= self.next {
            self.state_due(now, out);
        }
    }

    fn state_due(&mut self, now: Timestamp, out: &mut Out<'_>) {
        while let Some(transaction) = self.transactions.pop(now) {
            self.forget(&transaction, out);
        }
        self.decide_replies(now, out);
        self.dialogs.forget(now);
        let (services, window) = (&self.services, self.settings.config.window);
        let freed = self.flows.pass(now, &|service| services.is_spread(service, window, now));
        freed.into_iter().for_each(|service| self.tell(service, |name| AffinityFact::PinnedFlows(name, -1), out));
        // What begins from now on is due after `PAIR` at the earliest.
        let due = [self.transactions.due(), self.dialogs.due(), self.flows.due(), now + PAIR / 2];
        self.next = due.into_iter().min().unwrap_or(now);
    }

    /// Nothing can follow at `now`: what waits for it is decided.
    pub fn settle(&mut self, member: usize, now: Timestamp, facts: &mut Facts) {
        let mut out = Out { facts, frame: 0 };
        self.pass(member, now, &mut out);
        let end = self.due() + KEPT;
        self.decide_replies(end, &mut out);
        while let Some(transaction) = self.transactions.pop(end) {
            self.forget(&transaction, &mut out);
        }
    }

    /// All that take part have come so far.
    pub fn due(&self) -> Timestamp {
        self.clocks.iter().copied().min().unwrap_or(self.now)
    }

    /// Nobody will know any more who took a request.
    pub fn forget(&mut self, transaction: &Transaction, out: &mut Out<'_>) {
        // Its client has given it up (timer B, RFC 3261 §17.1.1.2).
        if !transaction.answered
            && let Part::Invite | Part::First = transaction.part
            && let Some(dialog) = transaction.dialog
        {
            self.dialogs.end(dialog, self.now);
        }
        if transaction.taken == Taken::Open {
            self.services.services[usize::from(transaction.service)].counts.unknown += 1;
            self.tell(transaction.service, AffinityFact::UnknownBackend, out);
        }
    }

    /// Responses that did not come from the service, too, within a second.
    fn decide_replies(&mut self, now: Timestamp, out: &mut Out<'_>) {
        while let Some(service) = self.transactions.untranslated(now) {
            let window = self.settings.config.window;
            let of = &mut self.services.services[usize::from(service)];
            // Where the service never is a source, the tap is behind the translation.
            if of.replied.is_some_and(|replied| replied + window >= self.now) {
                of.counts.untranslated += 1;
                self.tell(service, AffinityFact::UntranslatedReply, out);
            }
        }
    }

    /// States a fact about a service, if it is one of the configuration.
    pub fn tell(&self, service: u16, fact: impl FnOnce(Name) -> AffinityFact, out: &mut Out<'_>) {
        if let Some(name) = self.services.services[usize::from(service)].label {
            out.facts.push(Slot::OTHER, Fact::Affinity(fact(name)));
        }
    }

    /// Tells the record of a call where it went.
    pub fn steer(&self, service: u16, member: Option<u16>, moved: bool, out: &mut Out<'_>) {
        let service = &self.services.services[usize::from(service)];
        if self.records && service.label.is_some() {
            let backend = member.map(|member| Arc::clone(&service.members[usize::from(member)].name));
            let steer = Steer { service: Arc::clone(&service.name), backend, moved };
            out.facts.steered.push(Steered { frame: out.frame, steer });
        }
    }

    /// A frame's time as people see it.
    pub fn shown(frame: &SipFrame) -> Timestamp {
        Self::shown_at(frame.at, frame)
    }

    /// A time shortly before a frame as people see it.
    pub fn shown_at(at: Timestamp, frame: &SipFrame) -> Timestamp {
        Timestamp::from_nanos(at.as_nanos().saturating_add_signed(frame.wall_offset))
    }
}
