//! Ports: which ones are looked at.

use std::net::SocketAddr;

use wire::Flow;

const WORDS: usize = 65_536 / 64;

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
