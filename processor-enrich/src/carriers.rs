//! Networks in, the carrier of an address out: longest prefix match for IPv4 and IPv6.
//!
//! Prefixes nest or are apart, never half across each other, so they cut the address space into ranges that
//! have one answer each: a look-up is one binary search. An IPv4-mapped IPv6 address is the IPv4 address.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

/// A network of a carrier.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// Without bits behind its prefix.
    pub net: IpNet,
    /// Index of the carrier.
    pub carrier: usize,
    /// Where it is written, for messages.
    pub path: String,
}

/// Every carrier's networks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Carriers {
    v4: Vec<Range>,
    v6: Vec<Range>,
}

/// Addresses from `start` up to the next range, as numbers.
#[derive(Clone, Copy, Debug)]
struct Range {
    start: u128,
    carrier: Option<u16>,
}

impl Carriers {
    /// Takes networks of at most 65,536 carriers; of two equal ones the later wins. `overlap` is told of each
    /// network that lies within another or equals it, with the smallest such other.
    pub fn new(networks: Vec<Network>, mut overlap: impl FnMut(&Network, &Network)) -> Self {
        let (v4, v6) = networks.into_iter().map(unmapped).partition(|network| matches!(network.net, IpNet::V4(_)));
        Self { v4: ranges(v4, &mut overlap), v6: ranges(v6, &mut overlap) }
    }

    /// Index of the carrier with the longest prefix that holds `address`.
    pub fn find(&self, address: IpAddr) -> Option<u16> {
        let address = address.to_canonical();
        let ranges = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        let number = number(address);
        let after = ranges.partition_point(|range| range.start <= number);
        ranges[..after].last()?.carrier
    }
}

/// `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
fn unmapped(mut network: Network) -> Network {
    const MAPPED: u8 = 96;
    if let IpNet::V6(net) = network.net
        && net.prefix_len() >= MAPPED
        && let Some(address) = net.network().to_ipv4_mapped()
    {
        let net = Ipv4Net::new(address, net.prefix_len() - MAPPED);
        network.net = net.expect("what is left of a prefix of 128 bits is at most 32").into();
    }
    network
}

/// `networks` are all of one address family.
fn ranges(mut networks: Vec<Network>, overlap: &mut impl FnMut(&Network, &Network)) -> Vec<Range> {
    // A network stands before those within it.
    networks.sort_by_key(|network| (first(network), network.net.prefix_len()));
    let mut ranges = Vec::new();
    // The networks around the place reached so far, each within the one before.
    let mut around: Vec<&Network> = Vec::new();
    for network in &networks {
        leave(&mut around, &mut ranges, |outer| last(outer) < first(network));
        if let Some(outer) = around.last() {
            overlap(network, outer);
        }
        push(&mut ranges, first(network), Some(network.carrier));
        around.push(network);
    }
    leave(&mut around, &mut ranges, |_| true);
    ranges
}

/// Ends the networks that lie behind: after each goes on what is around it.
fn leave(around: &mut Vec<&Network>, ranges: &mut Vec<Range>, is_behind: impl Fn(&Network) -> bool) {
    while let Some(inner) = around.pop_if(|inner| is_behind(inner)) {
        // Nothing follows the last address there is.
        if let Some(next) = last(inner).checked_add(1) {
            push(ranges, next, around.last().map(|outer| outer.carrier));
        }
    }
}

/// Begins a range; an empty one before it goes.
fn push(ranges: &mut Vec<Range>, start: u128, carrier: Option<usize>) {
    let _ = ranges.pop_if(|range| range.start == start);
    ranges.push(Range { start, carrier: carrier.map(|carrier| carrier as u16) });
}

fn first(network: &Network) -> u128 {
    number(network.net.network())
}

fn last(network: &Network) -> u128 {
    number(network.net.broadcast())
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => Ipv6Addr::to_bits(address),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use proptest::prelude::*;

    fn carriers(networks: &[&str]) -> Carriers {
        let network = |(carrier, net): (usize, &&str)| Network {
            net: net.parse().expect("a network"),
            carrier,
            path: String::new(),
        };
        Carriers::new(networks.iter().enumerate().map(network).collect(), |_, _| {})
    }

    fn find(carriers: &Carriers, address: &str) -> Option<u16> {
        carriers.find(address.parse().expect("an address"))
    }

    #[test]
    fn the_longest_prefix_wins_whatever_the_order() {
        for order in [["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32"], ["10.1.2.3/32", "10.1.0.0/16", "10.0.0.0/8"]] {
            let carriers = carriers(&order);
            let expected = |net: &str| order.iter().position(|other| *other == net).map(|index| index as u16);
            for (address, net) in [
                ("9.255.255.255", "none"),
                ("10.0.0.0", "10.0.0.0/8"),
                ("10.1.0.0", "10.1.0.0/16"),
                ("10.1.2.2", "10.1.0.0/16"),
                ("10.1.2.3", "10.1.2.3/32"),
                ("10.1.2.4", "10.1.0.0/16"),
                ("10.1.255.255", "10.1.0.0/16"),
                ("10.2.0.0", "10.0.0.0/8"),
                ("10.255.255.255", "10.0.0.0/8"),
                ("11.0.0.0", "none"),
            ] {
                assert_eq!(find(&carriers, address), expected(net), "{address}");
            }
        }
    }

    #[test]
    fn ipv6_is_matched_by_its_own_networks() {
        let carriers = carriers(&["2001:db8::/32", "2001:db8:e::/48", "::/0", "0.0.0.0/0"]);
        assert_eq!(find(&carriers, "2001:db8:1::1"), Some(0));
        assert_eq!(find(&carriers, "2001:db8:e::1"), Some(1));
        assert_eq!(find(&carriers, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), Some(2));
        assert_eq!(find(&carriers, "255.255.255.255"), Some(3));
        assert_eq!(find(&carriers, "::ffff:192.0.2.1"), Some(3));
    }

    #[test]
    fn ipv4_is_not_matched_by_ipv6_networks() {
        assert_eq!(find(&carriers(&["::/0"]), "192.0.2.1"), None);
        assert_eq!(find(&carriers(&["0.0.0.0/0"]), "2001:db8::1"), None);
    }

    #[test]
    fn ipv4_mapped_addresses_and_networks_are_ipv4() {
        assert_eq!(find(&carriers(&["10.0.0.0/8"]), "::ffff:10.1.2.3"), Some(0));
        assert_eq!(find(&carriers(&["::ffff:10.0.0.0/104"]), "10.1.2.3"), Some(0));
    }

    #[test]
    fn nothing_matches_without_networks() {
        assert_eq!(find(&Carriers::default(), "10.1.2.3"), None);
    }

    proptest! {
        #[test]
        fn a_look_up_finds_what_trying_every_network_finds(
            networks in proptest::collection::vec((any::<u32>(), 0..=32_u8), 0..40),
            addresses in proptest::collection::vec(any::<u32>(), 20),
        ) {
            let networks: Vec<Ipv4Net> = networks
                .into_iter()
                // Few bits, so that networks nest.
                .map(|(address, len)| Ipv4Net::new((address & 0xe003_0003).into(), len).expect("a length").trunc())
                .collect();
            let listed = |(carrier, net): (usize, &Ipv4Net)| Network { net: (*net).into(), carrier, path: String::new() };
            let carriers = Carriers::new(networks.iter().enumerate().map(listed).collect(), |_, _| {});
            let edges = networks.iter().flat_map(|net| [net.network().into(), net.broadcast().into()]);
            for address in addresses.into_iter().chain(edges).map(Ipv4Addr::from) {
                let longest = (networks.iter().enumerate())
                    .filter(|(_, net)| net.contains(&address))
                    .max_by_key(|(index, net)| (net.prefix_len(), *index))
                    .map(|(index, _)| index as u16);
                prop_assert_eq!(carriers.find(address.into()), longest);
            }
        }
    }
}
