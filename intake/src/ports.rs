//! Ports: which ones are looked at, and on which others SIP was seen.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use sip::Payload;
use wire::Flow;

const WORDS: usize = 65_536 / 64;

/// Most other ports noted; an operator reads them.
const MAX_NOTED: usize = 64;

/// A set of UDP or TCP ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSet(Box<[u64; WORDS]>);

impl PortSet {
    /// Whether `port` is in the set.
    #[inline]
    pub fn contains(&self, port: u16) -> bool {
        self.0[usize::from(port) / 64] & (1 << (port % 64)) != 0
    }

    /// Whether the port of either address is in the set.
    #[inline]
    pub(super) fn holds_one_of(&self, source: SocketAddr, destination: SocketAddr) -> bool {
        self.contains(source.port()) || self.contains(destination.port())
    }

    /// The set as bits, lowest port in the lowest bit of the first word: how a BPF map wants it.
    pub fn words(&self) -> &[u64; WORDS] {
        &self.0
    }
}

impl From<&[u16]> for PortSet {
    fn from(ports: &[u16]) -> Self {
        ports.iter().copied().collect()
    }
}

impl FromIterator<u16> for PortSet {
    fn from_iter<I: IntoIterator<Item = u16>>(ports: I) -> Self {
        let mut words = Box::new([0; WORDS]);
        for port in ports {
            words[usize::from(port) / 64] |= 1 << (port % 64);
        }
        Self(words)
    }
}

/// Where SIP is looked for.
#[derive(Debug)]
pub(super) struct Lookout {
    pub ports: PortSet,
    pub ws_ports: PortSet,
    pub udp: bool,
    pub tcp: bool,
}

/// What a stream may carry. On a port that is in both lists its first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub sip: bool,
    pub websocket: bool,
}

impl Lookout {
    #[inline]
    pub fn in_stream(&self, Flow { source, destination }: Flow, over_tls: bool) -> Expected {
        Expected {
            sip: (self.tcp || over_tls) && self.ports.holds_one_of(source, destination),
            websocket: self.ws_ports.holds_one_of(source, destination),
        }
    }
}

/// Ports on which SIP was seen although nobody looks at them, with the messages on each.
#[derive(Debug, Default)]
pub(super) struct SipPorts(BTreeMap<u16, u64>);

impl SipPorts {
    /// Notes the server's port of a payload that begins with SIP: where a request goes to, where a response comes from.
    pub fn note(&mut self, source: SocketAddr, destination: SocketAddr, payload: &[u8]) {
        let Payload::Sip(message) = sip::sort(payload) else {
            return;
        };
        let is_response = message.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"));
        let server = if is_response { source } else { destination };
        if self.0.len() < MAX_NOTED || self.0.contains_key(&server.port()) {
            *self.0.entry(server.port()).or_default() += 1;
        }
    }

    pub fn busiest_first(&self) -> Vec<u16> {
        let mut ports: Vec<(u16, u64)> = self.0.iter().map(|(&port, &messages)| (port, messages)).collect();
        ports.sort_by_key(|&(port, messages)| (std::cmp::Reverse(messages), port));
        ports.into_iter().map(|(port, _)| port).collect()
    }
}
