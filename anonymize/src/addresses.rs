//! Addresses: those that share a prefix go on sharing one of that length (as Crypto-PAn does), under the key.
//!
//! Private, shared, link-local, loopback and multicast addresses stay within their networks (RFC 6890), and nothing comes into one
//! from outside; loopback and unspecified addresses, and the broadcast address, stay themselves.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::keyed::Keyed;

/// Replaces addresses. Remembers those it has met.
#[derive(Debug)]
pub(crate) struct Addresses {
    keyed: Keyed,
    known: HashMap<IpAddr, IpAddr>,
}

impl Addresses {
    pub fn new(keyed: Keyed) -> Self {
        Self { keyed, known: HashMap::new() }
    }

    pub fn address(&mut self, address: IpAddr) -> IpAddr {
        if let Some(known) = self.known.get(&address) {
            return *known;
        }
        let made = match address {
            IpAddr::V4(address) => self.v4(address).into(),
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(address) => self.v4(address).to_ipv6_mapped().into(),
                None => self.v6(address).into(),
            },
        };
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(address, made);
        made
    }

    fn v4(&self, address: Ipv4Addr) -> Ipv4Addr {
        if address.is_loopback() || address.is_unspecified() || address.is_broadcast() {
            return address;
        }
        let bits = u128::from(address.to_bits()) << 96;
        let made = self.within(b"v4", bits, 32, &SPECIAL_V4);
        Ipv4Addr::from_bits((made >> 96) as u32)
    }

    fn v6(&self, address: Ipv6Addr) -> Ipv6Addr {
        if address.is_loopback() || address.is_unspecified() {
            return address;
        }
        Ipv6Addr::from_bits(self.within(b"v6", address.to_bits(), 128, &SPECIAL_V6))
    }

    /// An address whose first `len` bits count: within its special network, or outside of all of them.
    fn within(&self, version: &[u8], bits: u128, len: u32, special: &[(u128, u32)]) -> u128 {
        let of = |bits: u128| special.iter().find(|(network, prefix)| (bits ^ network) >> (128 - prefix) == 0);
        let fixed = of(bits).map_or(0, |(_, prefix)| *prefix);
        let mut bits = bits;
        loop {
            bits = self.mixed(version, bits, fixed..len);
            // A permutation of all, gone through until it is outside again, is one of those outside.
            if fixed > 0 || of(bits).is_none() {
                return bits;
            }
        }
    }

    /// Each of these bits is turned or not, by all bits before it.
    fn mixed(&self, version: &[u8], bits: u128, range: std::ops::Range<u32>) -> u128 {
        let mut turned = 0;
        for at in range {
            let before = if at == 0 { 0 } else { bits >> (128 - at) };
            let turn = self.keyed.number(&[b"address", version, &[at as u8], &before.to_le_bytes()]) & 1;
            turned |= u128::from(turn) << (127 - at);
        }
        bits ^ turned
    }
}

/// Networks of IPv4 that mean something, in the upper bits, with the lengths of their prefixes.
const SPECIAL_V4: [(u128, u32); 8] = [
    v4([10, 0, 0, 0], 8),
    v4([172, 16, 0, 0], 12),
    v4([192, 168, 0, 0], 16),
    v4([100, 64, 0, 0], 10),
    v4([169, 254, 0, 0], 16),
    v4([127, 0, 0, 0], 8),
    v4([0, 0, 0, 0], 8),
    v4([224, 0, 0, 0], 3),
];
/// The same of IPv6: global unicast, unique local, link-local, multicast; what is left was never given out.
const SPECIAL_V6: [(u128, u32); 4] = [(0x2 << 124, 3), (0xfc << 120, 7), (0xfe80 << 112, 10), (0xff << 120, 8)];

const fn v4(octets: [u8; 4], prefix: u32) -> (u128, u32) {
    ((u32::from_be_bytes(octets) as u128) << 96, prefix)
}

/// Most addresses that are remembered.
const MAX_KNOWN: usize = 65_536;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn of(address: &str) -> IpAddr {
        Addresses::new(Keyed::new(b"key")).address(address.parse().expect("an address"))
    }

    fn common(one: IpAddr, other: IpAddr) -> u32 {
        match (one, other) {
            (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
            (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
            _ => panic!("both have one version"),
        }
    }

    #[test]
    fn addresses_go_on_sharing_their_prefixes() {
        let addresses = ["203.0.113.5", "203.0.113.7", "203.0.112.7", "203.8.1.1", "2001:db8::1", "2001:db8:0:1::1"];
        for (one, other) in addresses.iter().flat_map(|one| addresses.iter().map(move |other| (*one, *other))) {
            if one.contains(':') == other.contains(':') {
                let was = common(one.parse().expect("one"), other.parse().expect("other"));
                assert_eq!(common(of(one), of(other)), was, "{one} {other}");
            }
        }
    }

    #[test]
    fn what_is_private_stays_private_and_what_is_not_does_not_become_it() {
        for (network, addresses) in [
            ("10.", ["10.0.0.1", "10.255.1.2"]),
            ("192.168.", ["192.168.0.1", "192.168.77.1"]),
            ("169.254.", ["169.254.1.1", "169.254.2.2"]),
            ("fe", ["fe80::1", "fe80::2"]),
        ] {
            for address in addresses {
                assert!(of(address).to_string().starts_with(network), "{address} became {}", of(address));
                assert_ne!(of(address).to_string(), address);
            }
        }
        let mut addresses = Addresses::new(Keyed::new(b"another"));
        for first in (1..=223_u8).filter(|first| ![10, 127].contains(first)) {
            let IpAddr::V4(made) = addresses.address(Ipv4Addr::new(first, 200, 3, 4).into()) else {
                panic!("IPv4 stays")
            };
            let is_special = made.is_private() || made.is_loopback() || made.is_multicast() || made.octets()[0] == 0;
            assert!(!is_special, "{first}.200.3.4 became {made}");
        }
    }

    #[test]
    fn some_stay_and_no_two_become_one() {
        for address in ["127.0.0.1", "0.0.0.0", "255.255.255.255", "::1", "::"] {
            assert_eq!(of(address).to_string(), address);
        }
        let mut addresses = Addresses::new(Keyed::new(b"key"));
        let made: BTreeSet<IpAddr> =
            (0..5000_u32).map(|at| addresses.address(Ipv4Addr::from_bits(0xcb00_7100 + at).into())).collect();
        assert_eq!(made.len(), 5000);
        assert_eq!(of("::ffff:203.0.113.5").to_string(), format!("::ffff:{}", of("203.0.113.5")));
    }
}
