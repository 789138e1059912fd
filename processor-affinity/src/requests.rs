//! What a request means: it goes to a service, is seen again behind it, or passes it by (`steering.md` 2).

use std::net::SocketAddr;

use affinity::{Glance, Key, Maglev, Start};
use pipeline::SipFrame;
use pipeline::affinity::{AffinityFact, Cause};
use sip::Method;
use wire::Timestamp;

use crate::dialogs::{Dialog, Fate};
use crate::services::Place;
use crate::sightings::Sighting;
use crate::state::{Out, State};
use crate::transactions::{Part, Port, Reply, Taken, Transaction};

/// Where and when a request was on its way to a service.
struct Sent {
    service: u16,
    client: SocketAddr,
    at: Timestamp,
}

impl State {
    /// A request was seen.
    pub fn on_request(&mut self, frame: &SipFrame, message: &[u8], out: &mut Out<'_>) {
        let now = self.now;
        let payload = self.hashes.payload(message);
        if let Some(first) = self.sightings.again(payload, now).copied() {
            if first.destination != frame.destination {
                return self.on_translated(first, payload, frame, message, out);
            }
            let flow = first.transaction.and_then(|key| self.transactions.get_mut(key)).map(|sent| sent.flow);
            return flow.into_iter().for_each(|flow| self.flows.reply(flow, now));
        }
        let transaction = match self.services.at(frame.destination) {
            Some(Place::Service(service)) => {
                self.services.services[usize::from(service)].seen(Self::shown(frame));
                let sent = Sent { service, client: frame.source, at: now };
                Glance::at(message).and_then(|glance| self.on_sent(&sent, &glance, out))
            }
            Some(Place::Backend(backend)) => {
                self.on_asked(backend, message);
                self.on_straight(backend, frame, message, out);
                None
            }
            None => None,
        };
        let (source, destination) = (frame.source, frame.destination);
        let sighting = Sighting { source, destination, at: now, last: now, transaction };
        let lost = self.sightings.first(payload, sighting, self.due(), self.settings.config.max_flows);
        self.lost_sightings += u64::from(lost);
    }

    /// The same request as `first`, to another address.
    fn on_translated(&mut self, first: Sighting, payload: u64, frame: &SipFrame, message: &[u8], out: &mut Out<'_>) {
        let learn = self.settings.config.learn;
        let Some((service, member)) = self.services.translated(first.destination, frame.destination, learn, self.now)
        else {
            return;
        };
        let of = &mut self.services.services[usize::from(service)];
        // It may only now be known for a service.
        of.seen(Self::shown_at(first.at, frame));
        of.seen(Self::shown(frame));
        let backend = of.members[usize::from(member)].backend;
        self.on_asked(backend, message);
        let key = first.transaction.or_else(|| {
            // The service was not known when the request was sent to it.
            let sent = Sent { service, client: first.source, at: first.at };
            let key = Glance::at(message).and_then(|glance| self.on_sent(&sent, &glance, out));
            if let Some(sighting) = self.sightings.again(payload, self.now) {
                sighting.transaction = key;
            }
            key
        });
        if let Some(key) = key {
            self.on_taken(key, member, Some(frame.source), out);
        }
    }

    /// A backend was sent a request; any but ACK asks for an answer.
    fn on_asked(&mut self, backend: u16, message: &[u8]) {
        if !message.starts_with(b"ACK ") {
            self.services.backends[usize::from(backend)].asked = Some(self.now);
        }
    }

    /// A request was sent to a service. Gives the transaction; `None` where nothing tells which it is.
    fn on_sent(&mut self, sent: &Sent, glance: &Glance<'_>, out: &mut Out<'_>) -> Option<u64> {
        let Start::Request(method) = glance.start else { return None };
        let max = self.settings.config.max_flows;
        let flow = self.hashes.flow(sent.client, sent.service);
        let (silent, lost) = self.flows.hear(flow, sent.service, sent.client, sent.at, max);
        self.on_flow_lost(lost, out);
        let (call_id, cseq) = (glance.call_id?, glance.cseq?);
        let dialog = self.hashes.dialog(call_id);
        let branch = glance.via.map_or(&b""[..], |via| via.branch);
        let key = self.hashes.transaction(dialog, branch, cseq);
        if self.transactions.contains(key) {
            return Some(key);
        }
        let idle = silent.is_some_and(|silent| silent >= self.settings.config.conntrack_timeout);
        let part = self.part_of(dialog, call_id, method, sent, glance, idle, out);
        let initial = method == Method::Invite && !glance.to_tag;
        if initial {
            let lost = self.flows.call(flow, sent.at, max);
            self.on_flow_lost(lost, out);
        }
        let port = if glance.via.is_some_and(|via| via.rport) { Port::Same } else { Port::Any };
        let transaction = Transaction {
            service: sent.service,
            at: sent.at,
            client: sent.client,
            flow,
            dialog: self.dialogs.get_mut(dialog).is_some().then_some(dialog),
            part,
            initial,
            taken: Taken::Open,
            answered: false,
            translated: None,
            port,
            reply: Reply::Fine,
        };
        if let Some(oldest) = self.transactions.begin(key, transaction, max) {
            self.forget(&oldest, out);
        }
        Some(key)
    }

    /// What a request is to its dialog, which it may begin.
    #[expect(clippy::too_many_arguments, reason = "what is known of one request")]
    fn part_of(
        &mut self,
        key: u64,
        call_id: &[u8],
        method: Method,
        sent: &Sent,
        glance: &Glance<'_>,
        idle: bool,
        out: &mut Out<'_>,
    ) -> Part {
        let slot = || Maglev::slot(Key::default().hash(call_id));
        let Some(dialog) = self.dialogs.get_mut(key) else {
            if !glance.begins_dialog() {
                return Part::Other;
            }
            let slot = slot();
            let of = &mut self.services.services[usize::from(sent.service)];
            of.spread(slot);
            of.counts.dialogs += 1;
            let dialog = Dialog {
                service: sent.service,
                member: None,
                slot,
                client: sent.client,
                last: sent.at,
                challenged: false,
                fate: Fate::Stayed,
                would_move: false,
                until: None,
            };
            self.dialogs.begin(key, dialog, self.settings.config.max_dialogs);
            if method == Method::Invite {
                self.steer(sent.service, None, false, out);
                return Part::Invite;
            }
            return Part::First;
        };
        if dialog.service != sent.service {
            return Part::Other;
        }
        let challenged = method == Method::Invite && std::mem::take(&mut dialog.challenged);
        let moved_port = dialog.client != sent.client;
        dialog.client = sent.client;
        dialog.last = dialog.last.max(sent.at);
        if !glance.to_tag {
            dialog.until = None;
        }
        let part = match (challenged, glance.to_tag) {
            (true, _) => Part::Retry,
            (false, false) => Part::Other,
            (false, true) => {
                let cause = match (moved_port, idle) {
                    (true, _) => Cause::SourcePort,
                    (false, true) => Cause::Idle,
                    (false, false) => Cause::Other,
                };
                if method == Method::Bye { Part::Bye(cause) } else { Part::Within(cause) }
            }
        };
        if part.moves().is_some() && !dialog.would_move {
            let of = &mut self.services.services[usize::from(sent.service)];
            let table = of.table(&self.services.backends);
            dialog.would_move = table.at(slot()) != table.at(dialog.slot);
            of.counts.would_move += u64::from(dialog.would_move);
        }
        self.dialogs.touch(key);
        part
    }

    /// The backend at a place of the service took a request, which `source` sent behind the translation.
    pub fn on_taken(&mut self, key: u64, member: u16, source: Option<SocketAddr>, out: &mut Out<'_>) {
        let now = self.now;
        let Some(sent) = self.transactions.get_mut(key) else { return };
        sent.translated = source.or(sent.translated);
        let again = match sent.taken {
            Taken::Open => false,
            Taken::By(before) if before != member => true,
            Taken::By(_) | Taken::Elsewhere(_) | Taken::Unknown => return,
        };
        sent.taken = Taken::By(member);
        let (service, part) = (sent.service, sent.part);
        if sent.initial && !again {
            let (services, window) = (&self.services, self.settings.config.window);
            let is_spread = |service| services.is_spread(service, window, now);
            let change = self.flows.taken(sent.flow, sent.at, member, &is_spread);
            if change != 0 {
                self.tell(service, |name| AffinityFact::PinnedFlows(name, change), out);
            }
        }
        let Some(sent) = self.transactions.get_mut(key) else { return };
        let Some(dialog) = sent.dialog.and_then(|key| self.dialogs.get_mut(key)) else { return };
        let of = &mut self.services.services[usize::from(service)];
        match (part.moves(), dialog.member) {
            (None, None) if matches!(part, Part::Invite | Part::First) => {
                dialog.member = Some(member);
                let moved = dialog.fate != Fate::Stayed;
                let placed = &mut of.members[usize::from(member)];
                placed.dialogs += 1;
                if let Some(label) = placed.label {
                    self.tell(service, |_| AffinityFact::DialogPlaced(label), out);
                }
                if part == Part::Invite {
                    self.steer(service, Some(member), moved, out);
                }
            }
            (Some(otherwise), Some(first)) if first != member => {
                sent.taken = Taken::Elsewhere(member);
                if dialog.fate != Fate::Stayed {
                    return;
                }
                dialog.fate = Fate::Moved;
                let gone = self.services.backends[usize::from(of.members[usize::from(first)].backend)].is_gone(now);
                let cause = if gone && part != Part::Retry { Cause::BackendGone } else { otherwise };
                of.counts.moved.dialogs += 1;
                *of.counts.moved.by(cause) += 1;
                self.tell(service, |name| AffinityFact::DialogMoved(name, cause), out);
                self.steer(service, Some(first), true, out);
            }
            _ => {}
        }
    }

    /// A request was sent to a backend, and to no service before.
    fn on_straight(&mut self, backend: u16, frame: &SipFrame, message: &[u8], out: &mut Out<'_>) {
        let Some(glance) = Glance::at(message).filter(|glance| glance.to_tag) else { return };
        let (Some(call_id), Some(cseq)) = (glance.call_id, glance.cseq) else { return };
        let key = self.hashes.dialog(call_id);
        let Some(dialog) = self.dialogs.get_mut(key) else { return };
        let service = dialog.service;
        let of = &mut self.services.services[usize::from(service)];
        let Some(member) = of.member(backend) else { return };
        let branch = glance.via.map_or(&b""[..], |via| via.branch);
        let transaction = self.hashes.transaction(key, branch, cseq);
        if self.transactions.contains(transaction) {
            return;
        }
        of.counts.bypass += 1;
        self.tell(service, AffinityFact::Bypassed, out);
        let sent = Transaction {
            service,
            at: self.now,
            client: frame.source,
            flow: self.hashes.flow(frame.source, service),
            dialog: Some(key),
            part: Part::Bypass,
            initial: false,
            taken: Taken::By(member),
            answered: false,
            translated: None,
            port: Port::Any,
            reply: Reply::Fine,
        };
        if let Some(oldest) = self.transactions.begin(transaction, sent, self.settings.config.max_flows) {
            self.forget(&oldest, out);
        }
    }

    /// A flow was forgotten that was pinned, of this service.
    fn on_flow_lost(&mut self, lost: Option<u16>, out: &mut Out<'_>) {
        if let Some(service) = lost {
            self.tell(service, |name| AffinityFact::PinnedFlows(name, -1), out);
        }
    }
}
