//! What the program remembers from packet to packet, and how: dialogs, flows, fragments, buckets.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::dialog::Dialog;
use super::packet::Piece;
use super::rewrite::End;
use super::rules::{Limit, Per};
use super::tables::Times;

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
    flows: HashMap<(SocketAddr, SocketAddr), Flow>,
    fragments: HashMap<(End, IpAddr, IpAddr, u32), Fragment>,
    buckets: HashMap<(u16, u8, Ipv6Addr), Bucket>,
}

/// Under which address of a service a client speaks to a backend.
#[derive(Clone, Copy, Debug)]
struct Flow {
    service: SocketAddr,
    last: u64,
}

/// What the later fragments of a datagram get.
#[derive(Clone, Copy, Debug)]
struct Fragment {
    address: IpAddr,
    seen: u64,
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

    /// The address of the service under which a client knows a backend, noted as used.
    pub fn use_flow(&mut self, client: SocketAddr, backend: SocketAddr, now: u64) -> Option<SocketAddr> {
        let flow = self
            .flows
            .get_mut(&(client, backend))
            .filter(|flow| elapsed(flow.last, now) < FLOW_IDLE.as_nanos() as i64)?;
        note(&mut flow.last, now);
        Some(flow.service)
    }

    pub fn has_flow(&self, client: SocketAddr, backend: SocketAddr, now: u64) -> bool {
        let flow = self.flows.get(&(client, backend));
        flow.is_some_and(|flow| elapsed(flow.last, now) < FLOW_IDLE.as_nanos() as i64)
    }

    pub fn keep_flow(&mut self, client: SocketAddr, backend: SocketAddr, service: SocketAddr, now: u64) {
        self.flows.insert((client, backend), Flow { service, last: now });
    }

    pub fn keep_fragment(&mut self, end: End, ends: (IpAddr, IpAddr), identification: u32, address: IpAddr, now: u64) {
        self.fragments.insert((end, ends.0, ends.1, identification), Fragment { address, seen: now });
    }

    /// The address that a later fragment gets.
    pub fn fragment(&self, end: End, piece: &Piece, now: u64) -> Option<IpAddr> {
        let fragment = self.fragments.get(&(end, piece.source, piece.destination, piece.identification))?;
        (elapsed(fragment.seen, now) < FRAGMENT_LIFE.as_nanos() as i64).then_some(fragment.address)
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

/// From then till now; negative where another processor's clock was ahead.
pub(super) fn elapsed(then: u64, now: u64) -> i64 {
    now.wrapping_sub(then).cast_signed()
}
