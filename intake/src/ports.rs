//! Ports: which ones are looked at.

use std::net::SocketAddr;

use pipeline::settings::Problems;
use wire::Flow;

const WORDS: usize = 65_536 / 64;

/// Where SIP is spoken unless told otherwise (RFC 3261 §19.1.2).
pub const SIP_PORTS: [u16; 2] = [5060, 5061];

/// Where VXLAN goes unless told otherwise: its own port (RFC 7348 §5), and the one that Linux had before.
pub const VXLAN_PORTS: [u16; 2] = [4789, 8472];

/// Checks the lists of ports that receivers have in their settings, under the keys `ports`, `ws_ports` and `vxlan_ports`.
pub fn check_ports(ports: &[u16], ws_ports: &[u16], vxlan_ports: &[u16], wrong: &mut Problems) {
    if ports.is_empty() {
        wrong.error("ports", "no port is given", "SIP is spoken on 5060, over TLS on 5061");
    }
    for (key, ports) in [("ports", ports), ("ws_ports", ws_ports), ("vxlan_ports", vxlan_ports)] {
        check_list(key, ports, wrong);
    }
}

/// Checks a list of ports that stands under `key`.
pub fn check_list(key: &str, ports: &[u16], wrong: &mut Problems) {
    for (index, _) in ports.iter().enumerate().filter(|(_, port)| **port == 0) {
        wrong.error(format!("{key}[{index}]"), "0 is no port", "ports are 1 to 65535");
    }
    for (index, port) in ports.iter().enumerate().filter(|(index, port)| ports[..*index].contains(port)) {
        wrong.warning(format!("{key}[{index}]"), format!("{port} stands twice"), "name it once");
    }
}

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
pub(super) struct PortFilter {
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

impl PortFilter {
    #[inline]
    pub fn in_stream(&self, Flow { source, destination }: Flow, over_tls: bool) -> Expected {
        Expected {
            sip: (self.tcp || over_tls) && self.ports.holds_one_of(source, destination),
            websocket: self.ws_ports.holds_one_of(source, destination),
        }
    }
}
