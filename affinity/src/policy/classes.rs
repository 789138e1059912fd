//! Classes of senders: which of the rules' lists of networks an address is in, as one small number.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use crate::steer::CLASSES;

/// The networks of all rules, each with the class of the addresses whose longest network it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classes {
    networks: BTreeMap<IpNet, u8>,
    /// By class, which lists it is in.
    lists: Vec<BTreeSet<Vec<IpNet>>>,
}

/// Rules name more combinations of networks than there are classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rules name {0} combinations of networks, and {most} are the most", most = CLASSES - 1)]
pub struct TooMany(pub usize);

impl Classes {
    /// Of these lists of networks; empty ones name nothing.
    pub fn of<'a>(lists: impl Iterator<Item = &'a [IpNet]>) -> Result<Self, TooMany> {
        let lists: BTreeSet<Vec<IpNet>> = lists.filter(|list| !list.is_empty()).map(sorted).collect();
        let all: BTreeSet<IpNet> = lists.iter().flatten().copied().collect();
        let mut combinations: Vec<BTreeSet<&Vec<IpNet>>> = Vec::new();
        let mut networks = BTreeMap::new();
        for network in all {
            // Of the networks that an address is in, all others contain the longest one.
            let within: BTreeSet<&Vec<IpNet>> =
                lists.iter().filter(|list| list.iter().any(|other| other.contains(&network))).collect();
            let class = combinations.iter().position(|known| *known == within).unwrap_or_else(|| {
                combinations.push(within);
                combinations.len() - 1
            });
            // Of more than there are the caller is told below.
            networks.insert(network, u8::try_from(class + 1).unwrap_or(0));
        }
        if combinations.len() >= usize::from(CLASSES) {
            return Err(TooMany(combinations.len()));
        }
        let lists = combinations.into_iter().map(|lists| lists.into_iter().cloned().collect()).collect();
        Ok(Self { networks, lists })
    }

    /// [`crate::steer::Tables::classes`].
    pub fn networks(&self) -> &BTreeMap<IpNet, u8> {
        &self.networks
    }

    /// Whether addresses of a class are in a list of networks, which is one of those the classes were made of.
    pub fn is_in(&self, class: u8, list: &[IpNet]) -> bool {
        let Some(lists) = usize::from(class).checked_sub(1).and_then(|place| self.lists.get(place)) else {
            return false;
        };
        lists.contains(&sorted(list))
    }
}

/// In an order of their own, hosts' bits cleared, none twice.
fn sorted(list: &[IpNet]) -> Vec<IpNet> {
    list.iter().map(IpNet::trunc).collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn list(text: &str) -> Vec<IpNet> {
        text.split_whitespace().map(|network| network.parse().expect("a network")).collect()
    }

    /// The class of an address, by the longest network, as the kernel looks it up.
    fn class(classes: &Classes, address: &str) -> u8 {
        let address: IpAddr = address.parse().expect("an address");
        let matching = classes.networks().iter().filter(|(network, _)| network.contains(&address));
        matching.max_by_key(|(network, _)| network.prefix_len()).map_or(0, |(_, class)| *class)
    }

    #[test]
    fn an_address_is_in_the_lists_its_class_says() {
        let lists = [
            list("10.0.0.0/8 2001:db8::/32"),
            list("10.1.0.0/16"),
            list("10.1.2.3/32 192.0.2.0/24"),
            list("10.1.0.0/16"),
            list("0.0.0.0/0"),
        ];
        let classes = Classes::of(lists.iter().map(Vec::as_slice)).expect("few");
        for address in ["10.9.9.9", "10.1.9.9", "10.1.2.3", "192.0.2.1", "198.51.100.1", "2001:db8::1", "2001:db9::1"] {
            let class = class(&classes, address);
            for list in &lists {
                let contains = list.iter().any(|network| network.contains(&address.parse::<IpAddr>().expect("one")));
                assert_eq!(classes.is_in(class, list), contains, "{address} in {list:?}");
            }
        }
        assert_eq!(class(&classes, "2001:db9::1"), 0);
    }

    #[test]
    fn sixty_three_combinations_fit_and_one_more_does_not() {
        let lists: Vec<Vec<IpNet>> = (0..64).map(|number| list(&format!("10.{number}.0.0/16"))).collect();
        assert!(Classes::of(lists[..63].iter().map(Vec::as_slice)).is_ok());
        assert_eq!(Classes::of(lists.iter().map(Vec::as_slice)), Err(TooMany(64)));
        // Networks of one list are one combination, however many there are.
        let one: Vec<IpNet> = lists.concat();
        assert!(Classes::of([one.as_slice()].into_iter()).is_ok());
    }

    #[test]
    fn host_bits_mean_nothing() {
        let classes = Classes::of([list("10.1.2.3/8").as_slice()].into_iter()).expect("few");
        assert_eq!(classes.networks().keys().copied().collect::<Vec<_>>(), list("10.0.0.0/8"));
        assert!(classes.is_in(class(&classes, "10.200.0.1"), &list("10.1.2.3/8")));
    }
}
