//! The program in the kernel, as a model: packets in, the same decisions, changes and counts out.
//!
//! Pure, and plain where the program has to be clever: tests hold the two against each other, packet by packet. What it
//! decides stands in [`Model::ingress`] and what that calls, in the order of the numbered rules of steering: what is no datagram of ours, later
//! fragments, what backends say, messages to services, rules, dialogs, Maglev.

mod hearing;
mod serving;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use sip::Method;

use super::counters::{Action, Counters, General, ServiceCounters, StandardPath};
use super::dialog::Dialog;
use super::packet::{Datagram, Frame, Piece};
use super::rewrite::{self, End};
use super::rules::Kind;
use super::scan::Scan;
use super::state::{Flow, Fragment, Side, State, elapsed};
use super::tables::{Clients, Hop, Mode, Path, Service, Tables};
use crate::glance::Start;
use crate::hash::CallHash;

/// The program and what it remembers. Times are nanoseconds of a clock that never goes back.
#[derive(Clone, Debug, Default)]
pub struct Model {
    tables: Tables,
    routes: BTreeMap<IpNet, Option<u32>>,
    places: HashMap<SocketAddr, Place>,
    state: State,
    beat: Option<u64>,
    settle_until: Option<u64>,
    counters: Counters,
}

/// What stands at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Service(u16),
    Backend(u16),
}

/// How a message came to a service.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    service: u16,
    device: u32,
    gso: u32,
    now: u64,
}

/// What is changed in a packet that is steered.
#[derive(Clone, Copy, Debug)]
struct Change {
    address: SocketAddr,
    /// It goes past the stack.
    direct: bool,
    dscp: Option<u8>,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// What was done.
    pub verdict: Verdict,
    /// The service it is for, or of the backend it comes from.
    pub service: Option<u16>,
    /// The backend it goes to, or comes from.
    pub backend: Option<u16>,
    /// What the message is; `None` where nothing of it was read.
    pub kind: Option<Kind>,
    /// The hash of its Call-ID.
    pub hash: Option<CallHash>,
    /// Number of the rule it fell under; 0 for none.
    pub rule: u8,
    /// Priority that the rule gave it.
    pub priority: Option<u8>,
    /// Where it goes past the stack; `None`: it does not.
    pub hop: Option<Hop>,
}

/// What was done with a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: it is none of ours, and unchanged.
    #[default]
    Untouched,
    /// Nothing, although it is for a service.
    Passed(StandardPath),
    /// Nothing in mode observe.
    Observed,
    /// It is gone.
    Dropped,
    /// It has the address of a backend now.
    Steered,
    /// A backend's message was read, and is unchanged.
    Heard,
    /// A backend's message has the address of the service now.
    Translated,
    /// A later fragment got the address that its first one got.
    Followed,
}

impl Model {
    /// A program that obeys these tables from the start.
    pub fn new(tables: &Tables, now: u64) -> Self {
        let mut model = Self::default();
        model.apply(tables, now);
        model
    }

    /// Obeys other tables. Switching on begins the time to settle, and so does the end of an anomaly: what began meanwhile
    /// went the standard way.
    pub fn apply(&mut self, tables: &Tables, now: u64) {
        let switched_on = self.tables.mode == Mode::Observe && tables.mode == Mode::Active;
        if switched_on || tables.ends_anomaly(&self.tables) {
            self.settle_until = Some(now + tables.times.settle.as_nanos() as u64);
        }
        self.tables = tables.clone();
        let services = tables
            .services
            .iter()
            .flat_map(|(number, service)| service.addresses.iter().map(|address| (*address, Place::Service(*number))));
        let backends = tables
            .backends
            .iter()
            .flat_map(|(number, backend)| backend.addresses.iter().map(|address| (*address, Place::Backend(*number))));
        // A service hides a backend of the same address, which tables should not have.
        self.places = backends.chain(services).collect();
    }

    /// The routing table of the node: by which device what is for a network leaves; `None`: by none. The longest prefix
    /// decides; what is for no network takes the stack.
    pub fn route(&mut self, routes: BTreeMap<IpNet, Option<u32>>) {
        self.routes = routes;
    }

    /// A heartbeat. One after a silence longer than `grace` begins the time to settle.
    pub fn beat(&mut self, now: u64) {
        let grace = self.tables.times.grace.as_nanos() as i64;
        if self.beat.is_some_and(|last| elapsed(last, now) > grace) {
            self.settle_until = Some(now + self.tables.times.settle.as_nanos() as u64);
        }
        self.beat = Some(now);
    }

    /// Until when messages of unknown older dialogs take the standard path; `None` if that never began.
    pub fn settles_until(&self) -> Option<u64> {
        self.settle_until
    }

    /// Everything counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The dialogs that are remembered: number of the service, hash, entry.
    pub fn dialogs(&self) -> impl Iterator<Item = (u16, u64, Dialog)> + '_ {
        self.state.dialogs()
    }

    /// Flows that are remembered: client, backend, and what lies between them.
    pub fn flows(&self) -> impl Iterator<Item = (SocketAddr, SocketAddr, Flow)> + '_ {
        self.state.flows()
    }

    /// Forgets dialogs that are over.
    pub fn sweep(&mut self, now: u64) {
        self.state.sweep(now, &self.tables.times);
    }

    /// A packet that entered by a device, with its Ethernet header. `gso` is the size of each datagram in a super-datagram,
    /// 0 of all others.
    pub fn ingress(&mut self, frame: &mut [u8], device: u32, gso: u32, now: u64) -> Decision {
        match Frame::read(frame) {
            Frame::Other => Decision::default(),
            Frame::Tcp(destination) => match self.places.get(&destination) {
                Some(Place::Service(number)) => {
                    let decision = Decision { service: Some(*number), ..Decision::default() };
                    self.pass(decision, StandardPath::Tcp)
                }
                _ => Decision::default(),
            },
            Frame::Later(_, ..2) => Decision::default(),
            Frame::Later(piece, _) => self.later(frame, piece, Side::Ingress, now),
            Frame::Udp(datagram) if datagram.hops < 2 => Decision::default(),
            Frame::Udp(datagram) => {
                let place = |address| self.places.get(&address).copied();
                match (place(datagram.destination), place(datagram.source)) {
                    (Some(Place::Service(service)), _) => {
                        let arrival = Arrival { service, device, gso, now };
                        let (decision, change) = self.serve(frame, &datagram, arrival);
                        if let Some(change) = change {
                            change.make(frame, &datagram);
                        }
                        decision
                    }
                    (_, Some(Place::Backend(number))) if self.is_spoofed(number, device) => {
                        self.count(General::Spoofed);
                        Decision::default()
                    }
                    (_, Some(Place::Backend(number))) => {
                        let heard = self.hear(frame, &datagram, number, gso, now);
                        self.give_back(frame, &datagram, heard, now)
                    }
                    (Some(Place::Backend(_)), _) => {
                        self.count(General::Seen);
                        if self.state.flow(datagram.source, datagram.destination, now).is_some() {
                            self.count(General::Bypass);
                        }
                        Decision::default()
                    }
                    _ => Decision::default(),
                }
            }
        }
    }

    /// A packet about to leave by a device: the address of a backend becomes that of the service the client knows.
    pub fn egress(&mut self, frame: &mut [u8], now: u64) -> Decision {
        match Frame::read(frame) {
            Frame::Other | Frame::Tcp(_) => Decision::default(),
            Frame::Later(piece, _) => self.later(frame, piece, Side::Egress, now),
            Frame::Udp(datagram) => {
                let Some(Place::Backend(number)) = self.places.get(&datagram.source).copied() else {
                    return Decision::default();
                };
                let Some(flow) = self.state.use_flow(datagram.destination, datagram.source, now) else {
                    return Decision::default();
                };
                let decision = Decision { backend: Some(number), ..Decision::default() };
                self.translate(frame, &datagram, Side::Egress, flow.service, decision, now)
            }
        }
    }

    /// Whether what has a backend's address enters elsewhere than from a pod of this node, where the backend is in one whose
    /// device is looked at: what a pod sends through another is seen where it enters next.
    fn is_spoofed(&self, backend: u16, device: u32) -> bool {
        let is_own =
            |device: u32| self.tables.devices.get(&device).is_some_and(|device| device.clients == Clients::Own);
        let hop = self.tables.backends.get(&backend).and_then(|backend| backend.hop);
        matches!(hop, Some(Hop::Pod(pod)) if is_own(pod)) && !is_own(device)
    }

    /// A backend's message that entered: past the stack it goes back to a client that came past it, by the way that the routing
    /// table knows. Once nothing is to go past it any more, that ends when the client speaks by the stack, or [`FLOW_IDLE`]
    /// after the flow was noted last.
    ///
    /// [`FLOW_IDLE`]: super::FLOW_IDLE
    fn give_back(&mut self, frame: &mut [u8], datagram: &Datagram, heard: Decision, now: u64) -> Decision {
        let (client, backend) = (datagram.destination, datagram.source);
        let flow = self.state.flow(client, backend, now);
        let Some(Flow { service, direct: Some(_) }) = flow else { return heard };
        let Some(device) = self.way(backend.ip(), client.ip()) else { return heard };
        if self.is_direct() {
            self.state.use_flow(client, backend, now);
        }
        let is_pod = self.tables.devices.get(&device).is_some_and(|known| known.is_pod);
        let hop = if is_pod { Hop::Pod(device) } else { Hop::Neighbour(device) };
        let decision = Decision { hop: Some(hop), ..heard };
        self.translate(frame, datagram, Side::Ingress, service, decision, now)
    }

    /// The source becomes the service.
    fn translate(
        &mut self,
        frame: &mut [u8],
        datagram: &Datagram,
        side: Side,
        service: SocketAddr,
        decision: Decision,
        now: u64,
    ) -> Decision {
        let hop = decision.hop;
        self.keep_fragment(side, datagram, Fragment { address: service.ip(), end: End::Source, hop }, now);
        rewrite::endpoint(frame, datagram.udp, End::Source, datagram.source, service);
        if hop.is_some() {
            rewrite::hop(frame, service.is_ipv4());
        }
        self.count(General::Translated);
        Decision { verdict: Verdict::Translated, ..decision }
    }

    /// By which device a packet leaves; `None`: the stack decides.
    fn way(&self, from: IpAddr, to: IpAddr) -> Option<u32> {
        if [from, to].into_iter().any(is_never_forwarded) {
            return None;
        }
        let holding = self.routes.iter().filter(|(network, _)| network.contains(&to));
        holding.max_by_key(|(network, _)| network.prefix_len()).and_then(|(_, device)| *device)
    }

    /// Packets go past the stack, where it is known where to.
    fn is_direct(&self) -> bool {
        self.tables.mode == Mode::Active && self.tables.path == Path::Direct
    }

    fn later(&mut self, frame: &mut [u8], piece: Piece, side: Side, now: u64) -> Decision {
        let Some(Fragment { address, end, hop }) = self.state.fragment(side, piece, now) else {
            if side == Side::Ingress && self.is_service(piece.destination) {
                self.count(General::FragmentsEarly);
            }
            return Decision::default();
        };
        let old = if end == End::Source { piece.source } else { piece.destination };
        rewrite::address(frame, end, old, address);
        if hop.is_some() {
            rewrite::hop(frame, address.is_ipv4());
        }
        self.count(General::FragmentsFollowed);
        Decision { verdict: Verdict::Followed, hop, ..Decision::default() }
    }

    fn keep_fragment(&mut self, side: Side, datagram: &Datagram, fragment: Fragment, now: u64) {
        if let Some(identification) = datagram.first_of {
            let (source, destination) = (datagram.source.ip(), datagram.destination.ip());
            self.state.keep_fragment(side, Piece { source, destination, identification }, fragment, now);
            self.count(General::FragmentsFirst);
        }
    }

    fn is_service(&self, address: IpAddr) -> bool {
        let of_service = |service: &Service| service.addresses.iter().any(|place| place.ip() == address);
        self.tables.services.values().any(of_service)
    }

    fn pass(&mut self, decision: Decision, why: StandardPath) -> Decision {
        if let Some(service) = decision.service {
            self.service(service).passed[why as usize] += 1;
        }
        Decision { verdict: Verdict::Passed(why), ..self.act(decision, Action::Pass) }
    }

    fn act(&mut self, decision: Decision, action: Action) -> Decision {
        if let (Some(service), Some(kind)) = (decision.service, decision.kind) {
            self.service(service).packets[kind.index()][action as usize] += 1;
        }
        let verdict = match action {
            Action::Steer => Verdict::Steered,
            Action::Drop => Verdict::Dropped,
            Action::Pass | Action::Observe => Verdict::Observed,
        };
        Decision { verdict, ..decision }
    }

    fn service(&mut self, number: u16) -> &mut ServiceCounters {
        self.counters.services.entry(number).or_default()
    }

    fn count(&mut self, which: General) {
        self.counters.general[which as usize] += 1;
    }

    fn count_datagram(&mut self, datagram: &Datagram, gso: u32) {
        self.count(General::Seen);
        if gso != 0 && datagram.payload > gso as usize {
            self.count(General::Super);
        }
    }
}

/// Addresses of IPv6 that no router forwards (RFC 4291 §2.5.3, §2.5.6), and groups. Of IPv4 the routes decide.
fn is_never_forwarded(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_loopback() || address.is_multicast() || address.is_unicast_link_local(),
    }
}

fn kind(scan: Option<&Scan<'_>>) -> Kind {
    match scan.map(|scan| scan.start) {
        Some(Start::Request(method)) => Kind::Request(method),
        Some(Start::Response(_)) => Kind::Response,
        None => Kind::Request(Method::Other),
    }
}

/// The message that decides: of a super-datagram the first.
fn payload<'a>(frame: &'a [u8], datagram: &Datagram, gso: u32) -> &'a [u8] {
    let length = if gso == 0 { datagram.payload } else { datagram.payload.min(gso as usize) };
    let at = datagram.udp + super::packet::UDP;
    &frame[at..at + length]
}

impl Change {
    fn make(self, frame: &mut [u8], datagram: &Datagram) {
        rewrite::endpoint(frame, datagram.udp, End::Destination, datagram.destination, self.address);
        if self.direct {
            rewrite::hop(frame, self.address.is_ipv4());
        }
        if let Some(dscp) = self.dscp {
            rewrite::dscp(frame, self.address.is_ipv4(), dscp);
        }
    }
}
