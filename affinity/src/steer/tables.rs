//! The tables: everything that user space compiles and the program in the kernel obeys.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use super::rules::{Limit, Rule, RuleTable};
use crate::hash::{CallHash, Key};
use crate::maglev::{Maglev, SLOTS};

/// Most services; their numbers are below it.
pub const MAX_SERVICES: u16 = 64;

/// Most backends of all services; their numbers are below it.
pub const MAX_BACKENDS: u16 = 1024;

/// Most networks that rules name.
pub const MAX_CIDRS: usize = 4096;

/// Most devices.
pub const MAX_DEVICES: usize = 1024;

/// Most users of one service whose calls are emergency calls.
pub const MAX_EMERGENCY_USERS: usize = 16;

/// Most bytes of such a user.
pub const EMERGENCY_USER: usize = 15;

/// What the program in the kernel obeys. Applied as a whole; [`Default`] has no service and touches nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tables {
    /// Whether packets are changed at all.
    pub mode: Mode,
    /// How a steered packet goes on.
    pub path: Path,
    /// `cluster_key`, the same on all nodes.
    pub key: Key,
    /// When what lapses.
    pub times: Times,
    /// How much the maps hold: decided when they are made, unchanged by later tables.
    pub capacity: Capacity,
    /// Services by number, below [`MAX_SERVICES`].
    pub services: BTreeMap<u16, Service>,
    /// Backends by number, below [`MAX_BACKENDS`].
    pub backends: BTreeMap<u16, Backend>,
    /// Networks that rules name, and the class of the addresses in each: 1 to [`super::CLASSES`] − 1. The longest prefix
    /// decides; an address in none of them has class 0. At most [`MAX_CIDRS`].
    pub classes: BTreeMap<IpNet, u8>,
    /// Devices by index; one that is not here is like [`Clients::Elsewhere`]. At most [`MAX_DEVICES`].
    pub devices: BTreeMap<u32, Device>,
}

impl Tables {
    /// Some service had an anomaly under the tables of before, and has none any more.
    pub fn ends_anomaly(&self, before: &Self) -> bool {
        let had = before.services.iter().filter(|(_, service)| service.existing_only);
        had.into_iter().any(|(number, _)| self.services.get(number).is_some_and(|service| !service.existing_only))
    }
}

/// Whether packets are changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Every packet takes the standard path; backends are learned from, and what would be done is counted.
    #[default]
    Observe,
    /// Steered.
    Active,
}

/// How a steered packet goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Path {
    /// With another address, through the node's own stack.
    #[default]
    Stack,
    /// Past it: into the pod or towards its node, and back to the client. What has no [`Hop`] goes by [`Path::Stack`].
    Direct,
}

/// When what lapses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// How long the last tables hold for new dialogs once no heartbeat comes. Default 300 s.
    pub grace: Duration,
    /// How long after switching on, or after an outage, messages of dialogs nobody knows take the standard path. Default
    /// 30 min.
    pub settle: Duration,
    /// After how long without a packet a dialog is forgotten. Default 12 h.
    pub dialog_idle: Duration,
}

/// How much the maps hold. At least 1 each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// `max_dialogs`: beyond it new dialogs go by Maglev alone. Default 100,000.
    pub dialogs: u32,
    /// `max_flows`: beyond it the flow unused longest is forgotten. Default 100,000.
    pub flows: u32,
    /// `max_fragments`: likewise. Default 8,192.
    pub fragments: u32,
    /// `max_buckets`: likewise. Default 65,536.
    pub buckets: u32,
}

/// A service: addresses that clients send to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Service {
    /// Of both families. No address stands for two services, or for a service and a backend.
    pub addresses: Vec<SocketAddr>,
    /// What decides where a message goes.
    pub affinity: Affinity,
    /// An anomaly was found: only dialogs that are known are steered.
    pub existing_only: bool,
    /// Rules that ask for overload apply.
    pub overload: bool,
    /// What counts as an emergency call.
    pub emergency: Emergency,
    /// Backends of new IPv4 dialogs.
    pub ipv4: Choice,
    /// Backends of new IPv6 dialogs.
    pub ipv6: Choice,
    /// Rules by number: number 0 of [`Self::table`] is none of them, `n` is `rules[n - 1]`. At most [`super::MAX_RULES`].
    pub rules: Vec<Rule>,
    /// Which rule a message falls under.
    pub table: RuleTable,
}

/// What decides where a message goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Affinity {
    /// Its Call-ID; without one, its source address and port.
    #[default]
    CallId,
    /// Its source address.
    Source,
}

/// What counts as an emergency call: an INVITE to `urn:service:sos` (RFC 5031), its subservices, or one of these users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Emergency {
    /// Users of `sip`, `sips` and `tel` URIs, byte for byte, of 1 to [`EMERGENCY_USER`] bytes. At most
    /// [`MAX_EMERGENCY_USERS`].
    pub users: Vec<String>,
    /// Beyond it, over all senders, a call is treated as any other. `None`: no bound.
    pub limit: Option<Limit>,
}

/// The slots of one service and family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Among all backends: for clients whose replies come back through this node.
    pub all: Slots,
    /// Among backends on this node: for clients elsewhere.
    pub local: Slots,
}

/// Which backend each slot of a Maglev table has. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Slots(std::sync::Arc<[u16]>);

/// A backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// The number of its service.
    pub service: u16,
    /// At most one address for each family.
    pub addresses: Vec<SocketAddr>,
    /// Whether it takes messages.
    pub state: State,
    /// It is on this node.
    pub local: bool,
    /// Where [`Path::Direct`] sends packets; `None`: they go by [`Path::Stack`]. One in a pod is only heard where pods are.
    pub hop: Option<Hop>,
}

/// Whether a backend takes messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// New dialogs (as far as slots name it) and known ones.
    #[default]
    Up,
    /// Known dialogs.
    Drain,
    /// Nothing: its dialogs go to others.
    Down,
}

/// Where [`Path::Direct`] sends a packet, by the index of a device of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// Into the network namespace behind this device, a pair.
    Pod(u32),
    /// Out of this device, to the neighbour that its route names.
    Neighbour(u32),
}

/// A device by which packets enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// Who sends through it.
    pub clients: Clients,
    /// A pod is behind it: [`Path::Direct`] hands packets over to that namespace.
    pub is_pod: bool,
    /// The bridge or bond that it is a port of: routes lead there, and not to it.
    pub controller: Option<u32>,
}

/// Who sends through a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clients {
    /// This node's own pods: replies come back through it, so that any backend will do.
    Own,
    /// Others: only backends on this node will do.
    Elsewhere,
}

impl Default for Times {
    fn default() -> Self {
        let [grace, settle, dialog_idle] = [300, 30 * 60, 12 * 3600].map(Duration::from_secs);
        Self { grace, settle, dialog_idle }
    }
}

impl Default for Capacity {
    fn default() -> Self {
        Self { dialogs: 100_000, flows: 100_000, fragments: 8192, buckets: 65_536 }
    }
}

impl Slots {
    /// Stands at a slot without a backend.
    pub const NONE: u16 = u16::MAX;

    /// The slots of these backends, [`Self::NONE`] where there is none.
    pub fn new(slots: [u16; SLOTS as usize]) -> Self {
        Self(slots.into())
    }

    /// The backend that a hash falls to.
    pub fn of(&self, hash: CallHash) -> Option<u16> {
        Some(self.0[usize::from(Maglev::slot(hash))]).filter(|backend| *backend != Self::NONE)
    }

    /// All of them in order: [`SLOTS`] numbers.
    pub fn as_slice(&self) -> &[u16] {
        &self.0
    }
}

impl Default for Slots {
    /// Without backends.
    fn default() -> Self {
        Self::new([Self::NONE; SLOTS as usize])
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let taken = self.0.iter().filter(|backend| **backend != Self::NONE).count();
        write!(f, "Slots({taken} taken)")
    }
}

impl Backend {
    /// Its address of the same family as another.
    pub fn address(&self, family_of: IpAddr) -> Option<SocketAddr> {
        self.addresses.iter().copied().find(|address| address.is_ipv4() == family_of.is_ipv4())
    }
}
