//! What the program remembers from packet to packet, and how: dialogs, flows, fragments, buckets.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::dialog::Dialog;
use super::packet::Piece;
use super::rewrite::End;
use super::rules::{Limit, Per};
use super::tables::{Hop, Times};

/// How long a flow is remembered after its last packet.
pub const FLOW_IDLE: Duration = Duration::from_secs(600);

/// How long the later fragments of a datagram may take.
pub const FRAGMENT_LIFE: Duration = Duration::from_secs(30);

/// How far apart the times are at which a packet is noted as the last one.
pub const NOTED: Duration = Duration::from_secs(1);

/// Number of the bucket of emergency calls among those of rules.
const EMERGENCY: u8 = u8::MAX;

/// All of it. Unlike the maps of the kernel it is not bounded, but for dialogs.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    dialogs: HashMap<(u16, u64), Dialog>,
    flows: HashMap<(SocketAddr, SocketAddr), (Flow, u64)>,
    fragments: HashMap<(Side, Piece), (Fragment, u64)>,
    buckets: HashMap<(u16, u8, Ipv6Addr), Bucket>,
}

/// Under which address of a service a client speaks to a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// That address.
    pub service: SocketAddr,
    /// The device by which the client's packets came that went past the stack; `None`: they take the stack.
    pub direct: Option<u32>,
}

/// Where the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Side {
    /// On what enters by a device.
    Ingress,
    /// On what leaves by it.
    Egress,
}

/// What the later fragments of a datagram get.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment {
    pub(super) address: IpAddr,
    /// For which end of them.
    pub(super) end: End,
    /// Where they go past the stack.
    pub(super) hop: Option<Hop>,
}

/// Tokens are nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: u64,
    last: u64,
}

impl State {
    pub fn dialog(&self, service: u16, hash: u64, now: u64, times: &Times) -> Option<Dialog> {
        self.dialogs.get(&(service, hash)).copied().filter(|dialog| !dialog.is_over(now, times.dialog_idle))
    }

    /// Writes the entry of a dialog; false if there is no room for one more.
    pub fn keep_dialog(&mut self, service: u16, hash: u64, dialog: Dialog, room: u32) -> bool {
        let fits = self.dialogs.len() < room as usize || self.dialogs.contains_key(&(service, hash));
        if fits {
            self.dialogs.insert((service, hash), dialog);
        }
        fits
    }

    pub fn dialogs(&self) -> impl Iterator<Item = (u16, u64, Dialog)> + '_ {
        self.dialogs.iter().map(|((service, hash), dialog)| (*service, *hash, *dialog))
    }

    /// Forgets dialogs that are over.
    pub fn sweep(&mut self, now: u64, times: &Times) {
        self.dialogs.retain(|_, dialog| !dialog.is_over(now, times.dialog_idle));
    }

    /// The flow of a client and a backend.
    pub fn flow(&self, client: SocketAddr, backend: SocketAddr, now: u64) -> Option<Flow> {
        let (flow, _) = self.flows.get(&(client, backend)).filter(|(_, last)| lasts(*last, now, FLOW_IDLE))?;
        Some(*flow)
    }

    /// The same, noted as used.
    pub fn use_flow(&mut self, client: SocketAddr, backend: SocketAddr, now: u64) -> Option<Flow> {
        let (flow, last) = self.flows.get_mut(&(client, backend)).filter(|(_, last)| lasts(*last, now, FLOW_IDLE))?;
        note(last, now);
        Some(*flow)
    }

    pub fn keep_flow(&mut self, client: SocketAddr, backend: SocketAddr, flow: Flow, now: u64) {
        self.flows.insert((client, backend), (flow, now));
    }

    /// Client, backend, and the flow between them.
    pub fn flows(&self) -> impl Iterator<Item = (SocketAddr, SocketAddr, Flow)> + '_ {
        self.flows.iter().map(|((client, backend), (flow, _))| (*client, *backend, *flow))
    }

    pub fn keep_fragment(&mut self, side: Side, datagram: Piece, fragment: Fragment, now: u64) {
        self.fragments.insert((side, datagram), (fragment, now));
    }

    /// What a later fragment gets.
    pub fn fragment(&self, side: Side, datagram: Piece, now: u64) -> Option<Fragment> {
        let (fragment, seen) = self.fragments.get(&(side, datagram))?;
        lasts(*seen, now, FRAGMENT_LIFE).then_some(*fragment)
    }

    /// Whether a message is within a limit, which it uses up.
    pub fn take(&mut self, service: u16, rule: u8, source: Option<IpAddr>, limit: Limit, now: u64) -> bool {
        let (cost, full) = (limit.cost(), limit.full());
        let whose = match source {
            None => Ipv6Addr::UNSPECIFIED,
            Some(IpAddr::V4(address)) => address.to_ipv6_mapped(),
            Some(IpAddr::V6(address)) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64),
        };
        let bucket = self.buckets.entry((service, rule, whose)).or_insert(Bucket { tokens: full, last: now });
        let passed = elapsed(bucket.last, now).max(0).cast_unsigned();
        bucket.tokens = bucket.tokens.saturating_add(passed).min(full);
        bucket.last = now;
        let within = bucket.tokens >= cost;
        if within {
            bucket.tokens -= cost;
        }
        within
    }

    pub fn take_emergency(&mut self, service: u16, limit: Limit, now: u64) -> bool {
        self.take(service, EMERGENCY, None, limit, now)
    }
}

impl Per {
    /// Whose bucket a packet of this source takes from.
    pub(super) fn whose(self, source: IpAddr) -> Option<IpAddr> {
        (self == Self::Source).then_some(source)
    }
}

/// Notes when the last packet came, if that is a second later.
pub(super) fn note(last: &mut u64, now: u64) {
    if elapsed(*last, now) >= NOTED.as_nanos() as i64 {
        *last = now;
    }
}

fn lasts(then: u64, now: u64, life: Duration) -> bool {
    elapsed(then, now) < life.as_nanos() as i64
}

/// From then till now; negative where another processor's clock was ahead.
pub(super) fn elapsed(then: u64, now: u64) -> i64 {
    now.wrapping_sub(then).cast_signed()
}
