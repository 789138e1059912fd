//! Messages to services: rules, then the backend of the dialog, then Maglev.

use std::net::{IpAddr, SocketAddr};

use sip::Method;

use super::hearing::makes_dialog;
use super::{Arrival, Change, Model, kind, payload};
use crate::glance::Start;
use crate::hash::CallHash;
use crate::steer::counters::{Action, General, StandardPath};
use crate::steer::dialog::{Dialog, Entered, LINGER};
use crate::steer::model::Decision;
use crate::steer::packet::Datagram;
use crate::steer::rewrite::End;
use crate::steer::rules::{Kind, MAX_RULES, Marks, Over, Rule, Then};
use crate::steer::scan::{Called, Scan};
use crate::steer::state::{Flow, Fragment, Side, elapsed, note};
use crate::steer::tables::{Affinity, Backend, Clients, Mode, Service, Slots, State as Standing};

impl Model {
    /// Decides what becomes of a message to a service: steered, it gets that address.
    pub(super) fn serve(&mut self, frame: &[u8], datagram: &Datagram, arrival: Arrival) -> (Decision, Option<Change>) {
        let Arrival { service: number, gso, now, .. } = arrival;
        self.count_datagram(datagram, gso);
        let Some(service) = self.tables.services.get(&number).cloned() else { return (Decision::default(), None) };
        let message = payload(frame, datagram, gso);
        let scan = Scan::of(message);
        let source = datagram.source;
        let hash = scan.and_then(|scan| scan.call_id).map(|call_id| self.tables.key.hash(call_id));
        let marks = Marks {
            emergency: self.is_emergency(message, scan.as_ref(), &service, number, now),
            overload: service.overload,
            in_dialog: scan.is_some_and(|scan| scan.is_in_dialog()),
            no_call_id: hash.is_none(),
        };
        let kind = kind(scan.as_ref());
        let rule_number = service.table.of(kind, self.class_of(source.ip()), marks);
        let mut decision =
            Decision { service: Some(number), kind: Some(kind), hash, rule: rule_number, ..Decision::default() };
        let rule = rule_number.checked_sub(1).and_then(|index| service.rules.get(usize::from(index))).copied();
        match rule.and_then(|rule| self.limited(&rule, number, rule_number, source.ip(), now)) {
            Some(Action::Drop) => return (self.act(decision, Action::Drop), None),
            Some(_) => return (self.pass(decision, StandardPath::Rule), None),
            None => {}
        }
        // What is remembered, where Call-ID decides.
        let remembered = scan.zip(hash).filter(|_| service.affinity == Affinity::CallId);
        let entry = remembered.and_then(|(_, hash)| self.state.dialog(number, hash.0, now, &self.tables.times));
        let known = entry.map(|entry| entry.backend).filter(|backend| *backend != Slots::NONE);
        if marks.in_dialog && remembered.is_some() {
            let counters = self.service(number);
            counters.in_dialog_known += u64::from(known.is_some());
            counters.in_dialog_unknown += u64::from(known.is_none());
        }
        if self.tables.mode == Mode::Observe {
            if let Some((scan, hash)) = remembered {
                self.observe(&scan, number, hash, entry, now);
            }
            decision.backend = known;
            return (self.act(decision, Action::Observe), None);
        }

        let is_older = marks.in_dialog || kind == Kind::Response;
        let chosen = self.choose(datagram, arrival, &service, known, hash, is_older);
        let (backend, address) = match chosen {
            Ok(chosen) => chosen,
            Err(why) => return (self.pass(decision, why), None),
        };
        decision.backend = Some(backend);
        if address.ip() == source.ip() {
            return (self.pass(decision, StandardPath::Hairpin), None);
        }
        let before = self.state.flow(source, address, now);
        let hop = self.tables.backends[&backend].hop.filter(|_| self.is_direct());
        decision.hop = hop.filter(|_| self.comes_by_its_way(source.ip(), address.ip(), arrival.device, before));
        let is_doubtful = hop.is_some() && decision.hop.is_none() && before.is_some_and(|flow| flow.direct.is_some());
        let flow = Flow { service: datagram.destination, direct: decision.hop.map(|_| arrival.device) };
        if is_doubtful {
            // What may be forged changes nothing for the client.
        } else if before == Some(flow) {
            self.state.use_flow(source, address, now);
        } else {
            self.state.keep_flow(source, address, flow, now);
            self.count(General::Flows);
        }
        let fragment = Fragment { address: address.ip(), end: End::Destination, hop: decision.hop };
        self.keep_fragment(Side::Ingress, datagram, fragment, now);
        decision.priority = rule.and_then(|rule| rule.priority);
        if let Some((scan, hash)) = remembered {
            let entry = entry.filter(|entry| entry.backend == backend);
            self.keep(&scan, number, hash, entry, backend, now);
        }
        if let Some(scan) = scan
            && let Start::Request(method) = scan.start
        {
            let counters = self.counters.backends.entry(backend).or_default();
            counters.requests += 1;
            counters.invites += u64::from(scan.is_initial_invite());
            counters.acks += u64::from(method == Method::Ack);
        }
        let change = Change { address, direct: decision.hop.is_some(), dscp: rule.and_then(|rule| rule.dscp) };
        (self.act(decision, Action::Steer), Some(change))
    }

    /// The backend that takes a message, and its address: that of the dialog, or that of Maglev.
    fn choose(
        &self,
        datagram: &Datagram,
        arrival: Arrival,
        service: &Service,
        known: Option<u16>,
        hash: Option<CallHash>,
        is_older: bool,
    ) -> Result<(u16, SocketAddr), StandardPath> {
        let Arrival { service: number, device, now, .. } = arrival;
        let source = datagram.source;
        let is_own = self.tables.devices.get(&device).is_some_and(|device| device.clients == Clients::Own);
        // A dialog that is known stays, unless its backend is down.
        if let Some(backend) = known
            && let Some((address, is_local)) = self.usable(backend, number, source.ip())
        {
            return if is_own || is_local { Ok((backend, address)) } else { Err(StandardPath::Remote) };
        }
        if service.existing_only || self.is_beyond_grace(now) {
            return Err(StandardPath::ExistingOnly);
        }
        let settles = self.settle_until.is_some_and(|until| elapsed(until, now) < 0);
        if is_older && hash.is_some() && settles && known.is_none() {
            return Err(StandardPath::UnknownDialog);
        }
        let falls = match (service.affinity, hash) {
            (Affinity::Source, _) => self.tables.key.hash(&wide(source.ip())),
            (Affinity::CallId, Some(hash)) => hash,
            (Affinity::CallId, None) => {
                self.tables.key.hash(&[&wide(source.ip())[..], &source.port().to_be_bytes()].concat())
            }
        };
        let choice = if source.is_ipv4() { &service.ipv4 } else { &service.ipv6 };
        let slots = if is_own { &choice.all } else { &choice.local };
        let backend = slots.of(falls).ok_or(StandardPath::NoBackend)?;
        let (address, _) = self.usable(backend, number, source.ip()).ok_or(StandardPath::NoBackend)?;
        Ok((backend, address))
    }

    /// Whether what would go back to the sender of a packet leaves by the device that the packet came by, or by the bridge or bond
    /// of that. Where it does not, the
    /// packet may be forged, or comes by another way than it is answered: the stack decides. Asked when a flow begins or its
    /// packets come by another device.
    fn comes_by_its_way(&self, sender: IpAddr, backend: IpAddr, device: u32, flow: Option<Flow>) -> bool {
        if flow.is_some_and(|flow| flow.direct == Some(device)) {
            return true;
        }
        let controller = self.tables.devices.get(&device).and_then(|known| known.controller);
        self.way(backend, sender).is_some_and(|way| way == device || Some(way) == controller)
    }

    /// What a rule does with a message: drops or passes it; `None`: steers it.
    fn limited(&mut self, rule: &Rule, service: u16, number: u8, source: IpAddr, now: u64) -> Option<Action> {
        let observes = self.tables.mode == Mode::Observe;
        let over = match rule.then {
            Then::Steer => return None,
            Then::Pass => return (!observes).then_some(Action::Pass),
            Then::Drop => Over::Drop,
            Then::Limit { limit, per, .. } if self.state.take(service, number, per.whose(source), limit, now) => {
                return None;
            }
            Then::Limit { over, .. } => over,
        };
        let is_limit = matches!(rule.then, Then::Limit { .. });
        let counters = &mut self.service(service).rules[usize::from(number).min(MAX_RULES)];
        counters.limited += u64::from(is_limit || observes);
        if observes || over == Over::Count {
            return None;
        }
        counters.dropped += 1;
        Some(Action::Drop)
    }

    /// A message in mode observe: an INVITE waits for a backend to be heard of, a dialog that is known goes on.
    fn observe(&mut self, scan: &Scan<'_>, service: u16, hash: CallHash, entry: Option<Dialog>, now: u64) {
        let invites = scan.is_initial_invite();
        let dialog = match entry {
            Some(entry) => continued(entry, scan, now),
            None if invites => Dialog {
                backend: Slots::NONE,
                entered: Entered::Steered,
                answered: false,
                last: now,
                ends: now + LINGER.as_nanos() as u64,
                asked: now,
                life: 0,
            },
            None => return,
        };
        if !self.state.keep_dialog(service, hash.0, dialog, self.tables.capacity.dialogs) {
            self.count(General::DialogsFull);
        }
    }

    /// Remembers a dialog that was steered. `entry` is its own, with the same backend.
    fn keep(&mut self, scan: &Scan<'_>, service: u16, hash: CallHash, entry: Option<Dialog>, backend: u16, now: u64) {
        let begins = matches!(scan.start, Start::Request(method) if makes_dialog(method));
        let dialog = match entry {
            Some(entry) => continued(entry, scan, now),
            None if begins => Dialog {
                backend,
                entered: Entered::Steered,
                answered: scan.to_tag,
                last: now,
                ends: now + LINGER.as_nanos() as u64,
                asked: now,
                life: life(scan).unwrap_or(0),
            },
            None => return,
        };
        if !self.state.keep_dialog(service, hash.0, dialog, self.tables.capacity.dialogs) {
            return self.count(General::DialogsFull);
        }
        if entry.is_none() {
            self.counters.backends.entry(backend).or_default().new_dialogs += 1;
        }
    }

    /// Whether an INVITE is an emergency call within the limit of those.
    fn is_emergency(
        &mut self,
        message: &[u8],
        scan: Option<&Scan<'_>>,
        service: &Service,
        number: u16,
        now: u64,
    ) -> bool {
        if scan.is_none_or(|scan| scan.start != Start::Request(Method::Invite)) {
            return false;
        }
        let users = &service.emergency.users;
        let is_one = match Called::by(message) {
            Some(Called::Sos) => true,
            Some(Called::User(user)) => users.iter().any(|known| known.as_bytes() == user),
            None => false,
        };
        if !is_one {
            return false;
        }
        let within = service.emergency.limit.is_none_or(|limit| self.state.take_emergency(number, limit, now));
        let counters = self.service(number);
        counters.emergency += u64::from(within);
        counters.emergency_over += u64::from(!within);
        within
    }

    /// The class of a source: that of the longest prefix.
    fn class_of(&self, source: IpAddr) -> u8 {
        let holding = self.tables.classes.iter().filter(|(network, _)| network.contains(&source));
        holding.max_by_key(|(network, _)| network.prefix_len()).map_or(0, |(_, class)| *class)
    }

    /// The address of a backend of this service that takes messages, in the family of the client, and whether it is here.
    fn usable(&self, backend: u16, service: u16, client: IpAddr) -> Option<(SocketAddr, bool)> {
        let backend: &Backend = self.tables.backends.get(&backend)?;
        let takes = backend.service == service && backend.state != Standing::Down;
        Some((backend.address(client).filter(|_| takes)?, backend.local))
    }

    fn is_beyond_grace(&self, now: u64) -> bool {
        let grace = self.tables.times.grace.as_nanos() as i64;
        self.beat.is_none_or(|beat| elapsed(beat, now) > grace)
    }
}

/// A dialog after one more message to its backend.
fn continued(mut dialog: Dialog, scan: &Scan<'_>, now: u64) -> Dialog {
    note(&mut dialog.last, now);
    if scan.start == Start::Request(Method::Bye) {
        dialog.ends = now + LINGER.as_nanos() as u64;
    }
    let (waits, is_had) = (dialog.asked != 0, dialog.backend != Slots::NONE);
    if let Some(life) = life(scan).filter(|_| dialog.life != 0 && is_had) {
        dialog.life = life;
    }
    if scan.is_initial_invite() && dialog.ends != 0 && !waits && dialog.life == 0 && is_had {
        // A call that was refused is tried again, mostly after a challenge.
        dialog.ends = now + LINGER.as_nanos() as u64;
        dialog.answered = false;
        dialog.asked = now;
    } else if is_initial_other(scan) && dialog.ends != 0 && !waits && !dialog.answered && is_had {
        // So is a subscription or a transfer.
        dialog.ends = now + LINGER.as_nanos() as u64;
        dialog.life = life(scan).unwrap_or_default();
        dialog.asked = now;
    } else if scan.is_in_dialog() && waits && is_had {
        // It goes on waiting: that the client speaks of an answer is no answer.
        dialog.ends = now + LINGER.as_nanos() as u64;
    }
    dialog
}

/// Whether it is the first SUBSCRIBE or REFER of a dialog, or that again.
fn is_initial_other(scan: &Scan<'_>) -> bool {
    matches!(scan.start, Start::Request(Method::Subscribe | Method::Refer)) && !scan.is_in_dialog()
}

/// How many seconds a SUBSCRIBE with Expires asks a dialog to last, and then to be remembered.
fn life(scan: &Scan<'_>) -> Option<u32> {
    scan.expires.map(|expires| expires + LINGER.as_secs() as u32)
}

/// An address as the maps of the kernel have it: IPv4 as IPv6 (RFC 4291 §2.5.5.2).
fn wide(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}
