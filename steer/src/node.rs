//! The node: its devices and who sends through them, and whether an address lies on it. Asked by rtnetlink(7), which needs
//! no right and sees the network namespace of the thread, wherever sysfs is mounted.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::IpAddr;

use affinity::steer::{Clients, Device, Hop};
use netlink_packet_core::NLM_F_DUMP;
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkInfo, LinkMessage};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;

use crate::rtnetlink::Questions;

/// Groups of rtnetlink in which changes of routes are told (`enum rtnetlink_groups`).
const RTNLGRP_IPV4_ROUTE: u32 = 7;
const RTNLGRP_IPV6_ROUTE: u32 = 11;

/// A way to ask.
pub struct Node {
    questions: Questions,
    /// Hears of routes that change.
    changes: Socket,
    /// Devices with a route over a gateway; `None`: routes have to be read.
    uplinks: Option<BTreeSet<u32>>,
    /// Devices with a pod behind them, and bridges, as of the last look.
    pods: BTreeSet<u32>,
    bridges: BTreeSet<u32>,
    /// Routes, pods or bridges have changed since [`Self::hops`] was asked.
    changed: bool,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Who sends through it.
    pub device: Device,
    /// It is a bridge.
    pub is_bridge: bool,
    /// What its ports receive is received by it.
    is_input: bool,
    /// Its queueing discipline, `noqueue` for one that has none; empty where the kernel does not say.
    pub queueing: String,
}

impl Node {
    /// Asks in the network namespace of this thread, from now on.
    pub fn open() -> io::Result<Self> {
        let mut changes = Socket::new(NETLINK_ROUTE)?;
        changes.bind_auto()?;
        for group in [RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE] {
            changes.add_membership(group)?;
        }
        changes.set_non_blocking(true)?;
        Ok(Self {
            questions: Questions::open()?,
            changes,
            uplinks: None,
            pods: BTreeSet::new(),
            bridges: BTreeSet::new(),
            changed: true,
        })
    }

    /// All devices.
    ///
    /// Pods of this node send through the ends of pairs whose other end is in another namespace, and through bridges;
    /// a device with a route to a network over a gateway leads elsewhere, whatever it is.
    pub fn links(&mut self) -> io::Result<Vec<Link>> {
        if self.have_routes_changed() {
            self.uplinks = None;
            self.changed = true;
        }
        let uplinks = match self.uplinks.take() {
            Some(uplinks) => uplinks,
            None => self.read_uplinks()?,
        };
        let answers = self.questions.ask(RouteNetlinkMessage::GetLink(LinkMessage::default()), NLM_F_DUMP)?;
        let link = |answer| match answer {
            RouteNetlinkMessage::NewLink(link) => Link::read(&link, &uplinks),
            _ => None,
        };
        let mut links: Vec<Link> = answers.into_iter().filter_map(link).collect();
        find_inputs(&mut links);
        self.uplinks = Some(uplinks);
        let bridges = links.iter().filter(|link| link.is_bridge).map(|link| link.index).collect();
        let pods = links.iter().filter(|link| link.device.is_pod).map(|link| link.index).collect();
        self.changed |= (&self.pods, &self.bridges) != (&pods, &bridges);
        (self.pods, self.bridges) = (pods, bridges);
        Ok(links)
    }

    /// Whether [`Self::hops`] may answer otherwise than before: routes, pods or bridges have changed since, as far as
    /// [`Self::links`] saw.
    pub const fn has_changed(&self) -> bool {
        self.changed
    }

    /// Whether an address is on this node or in a pod of it: nothing leads there over a gateway, or the gateway is in the pod.
    /// Of pods those are known that [`Self::links`] saw.
    pub fn is_local(&mut self, address: IpAddr) -> io::Result<bool> {
        let route = self.route(address)?;
        let local = |route: &RouteMessage| match route.header.kind {
            RouteType::Local => true,
            RouteType::Unicast => {
                !is_over_gateway(route) || devices(route).iter().all(|device| self.pods.contains(device))
            }
            _ => false,
        };
        Ok(route.is_some_and(|route| local(&route)))
    }

    /// How packets get to addresses past the stack: into the pod behind the device that a route, or the bridge it leads to,
    /// has them by; else, where a route has a gateway, to that. An address that gets neither is left out, and so is one whose
    /// pod has not been heard on its bridge for a while.
    pub fn hops(&mut self, addresses: &[IpAddr]) -> io::Result<HashMap<IpAddr, Hop>> {
        self.changed = false;
        let mut hops = HashMap::new();
        let mut behind_bridges = Vec::new();
        for address in addresses {
            // An address that no route leads to, or that one refuses, has no hop; the others have theirs.
            let Some(route) = self.route(*address).ok().flatten() else { continue };
            if route.header.kind != RouteType::Unicast {
                continue;
            }
            let [device] = devices(&route)[..] else { continue };
            if self.pods.contains(&device) {
                hops.insert(*address, Hop::Pod(device));
            } else if is_over_gateway(&route) {
                hops.insert(*address, Hop::Neighbour(device));
            } else if self.bridges.contains(&device) {
                behind_bridges.push((device, *address));
            }
        }
        if !behind_bridges.is_empty() {
            let (neighbours, ports) = (self.neighbours()?, self.ports()?);
            for place in behind_bridges {
                let port = neighbours.get(&place).and_then(|mac| ports.get(&(place.0, mac.clone())));
                if let Some(port) = port.filter(|port| self.pods.contains(port)) {
                    hops.insert(place.1, Hop::Pod(*port));
                }
            }
        }
        Ok(hops)
    }

    fn route(&mut self, address: IpAddr) -> io::Result<Option<RouteMessage>> {
        let mut message = RouteMessage::default();
        message.header.address_family = family(address);
        message.header.destination_prefix_length = if address.is_ipv4() { 32 } else { 128 };
        message.attributes.push(RouteAttribute::Destination(RouteAddress::from(address)));
        let answers = self.questions.ask(RouteNetlinkMessage::GetRoute(message), 0)?;
        Ok(answers.into_iter().find_map(|answer| match answer {
            RouteNetlinkMessage::NewRoute(route) => Some(route),
            _ => None,
        }))
    }

    /// The MAC of each neighbour, by device and address.
    fn neighbours(&mut self) -> io::Result<HashMap<(u32, IpAddr), Vec<u8>>> {
        let mut neighbours = HashMap::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            for neighbour in self.neighbour_entries(family)? {
                let address = neighbour.attributes.iter().find_map(|attribute| match attribute {
                    NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => Some(IpAddr::from(*address)),
                    NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => Some(IpAddr::from(*address)),
                    _ => None,
                });
                if let (Some(address), Some(mac)) = (address, mac(&neighbour)) {
                    neighbours.insert((neighbour.header.ifindex, address), mac);
                }
            }
        }
        Ok(neighbours)
    }

    /// The port of each MAC, by bridge and MAC.
    fn ports(&mut self) -> io::Result<HashMap<(u32, Vec<u8>), u32>> {
        let entries = self.neighbour_entries(AddressFamily::Bridge)?;
        let port = |entry: NeighbourMessage| {
            let bridge = entry.attributes.iter().find_map(|attribute| match attribute {
                NeighbourAttribute::Controller(bridge) => Some(*bridge),
                _ => None,
            });
            Some(((bridge?, mac(&entry)?), entry.header.ifindex))
        };
        Ok(entries.into_iter().filter_map(port).collect())
    }

    fn neighbour_entries(&mut self, family: AddressFamily) -> io::Result<Vec<NeighbourMessage>> {
        let mut message = NeighbourMessage::default();
        message.header.family = family;
        let answers = self.questions.ask(RouteNetlinkMessage::GetNeighbour(message), NLM_F_DUMP)?;
        let entry = |answer| match answer {
            RouteNetlinkMessage::NewNeighbour(entry) => Some(entry),
            _ => None,
        };
        Ok(answers.into_iter().filter_map(entry).collect())
    }

    /// Takes all that was said of routes since the last time; whether that was anything. More than there was room for is
    /// something too.
    fn have_routes_changed(&mut self) -> bool {
        let mut changed = false;
        loop {
            match self.changes.recv_from_full() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return changed,
                // What was lost (ENOBUFS) is told once.
                Err(error) if error.raw_os_error() != Some(nix::libc::ENOBUFS) => return true,
                _ => changed = true,
            }
        }
    }

    /// Devices with a route over a gateway.
    fn read_uplinks(&mut self) -> io::Result<BTreeSet<u32>> {
        let mut uplinks = BTreeSet::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut message = RouteMessage::default();
            message.header.address_family = family;
            for answer in self.questions.ask(RouteNetlinkMessage::GetRoute(message), NLM_F_DUMP)? {
                let RouteNetlinkMessage::NewRoute(route) = answer else { continue };
                let one_host = if family == AddressFamily::Inet { 32 } else { 128 };
                if is_over_gateway(&route) && route.header.destination_prefix_length < one_host {
                    uplinks.extend(devices(&route));
                }
            }
        }
        Ok(uplinks)
    }
}

impl Link {
    fn read(message: &LinkMessage, uplinks: &BTreeSet<u32>) -> Option<Self> {
        let index = message.header.index;
        let (mut name, mut elsewhere, mut kind, mut queueing) = (None, false, None, String::new());
        let mut controller = None;
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(text) => name = Some(text.clone()),
                LinkAttribute::Qdisc(text) => queueing.clone_from(text),
                LinkAttribute::LinkNetNsId(_) => elsewhere = true,
                LinkAttribute::Controller(index) => controller = Some(*index).filter(|index| *index != 0),
                LinkAttribute::LinkInfo(infos) => {
                    kind = infos.iter().find_map(|info| match info {
                        LinkInfo::Kind(kind) => Some(kind),
                        _ => None,
                    });
                }
                _ => {}
            }
        }
        let is_pod = elsewhere && kind == Some(&InfoKind::Veth) && !uplinks.contains(&index);
        let is_bridge = kind == Some(&InfoKind::Bridge);
        let is_own = is_pod || (is_bridge && !uplinks.contains(&index));
        let clients = if is_own { Clients::Own } else { Clients::Elsewhere };
        // What the ports of others receive (VRF, Open vSwitch) is their own, or nothing that a route knows.
        let is_input = matches!(kind, Some(InfoKind::Bridge | InfoKind::Bond | InfoKind::Team));
        Some(Self { index, name: name?, device: Device { clients, is_pod, controller }, is_bridge, is_input, queueing })
    }
}

/// Makes the controller of each device the one by which the stack receives what enters by it: a bridge, a bond, or the bridge that
/// a bond is a port of.
fn find_inputs(links: &mut [Link]) {
    let inputs: HashMap<u32, Option<u32>> =
        links.iter().filter(|link| link.is_input).map(|link| (link.index, link.device.controller)).collect();
    for link in links {
        let above = |index: &u32| inputs[index].filter(|above| inputs.contains_key(above));
        let direct = link.device.controller.filter(|controller| inputs.contains_key(controller));
        // The kernel lets devices stand on one another eight deep, and none on itself.
        link.device.controller = std::iter::successors(direct, above).take(8).last();
    }
}

fn mac(entry: &NeighbourMessage) -> Option<Vec<u8>> {
    entry.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(mac) => Some(mac.clone()),
        _ => None,
    })
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

fn is_over_gateway(route: &RouteMessage) -> bool {
    route.attributes.iter().any(|attribute| match attribute {
        RouteAttribute::Gateway(_) | RouteAttribute::Via(_) => true,
        RouteAttribute::MultiPath(hops) => {
            let over =
                |attribute: &RouteAttribute| matches!(attribute, RouteAttribute::Gateway(_) | RouteAttribute::Via(_));
            hops.iter().any(|hop| hop.attributes.iter().any(over))
        }
        _ => false,
    })
}

/// The devices that a route leads out of.
fn devices(route: &RouteMessage) -> Vec<u32> {
    let mut devices = Vec::new();
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Oif(index) => devices.push(*index),
            RouteAttribute::MultiPath(hops) => devices.extend(hops.iter().map(|hop| hop.interface_index)),
            _ => {}
        }
    }
    devices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stack_receives_by_the_bridge_or_bond_on_top_of_a_device() {
        let link = |index, controller, is_input| Link {
            index,
            name: String::new(),
            device: Device { clients: Clients::Elsewhere, is_pod: false, controller },
            is_bridge: false,
            is_input,
            queueing: String::new(),
        };
        // 1 is a port of bond 2, which is a port of bridge 3, which is in VRF 4; 5 is in the VRF alone; 6 of what is not seen.
        let mut links = [
            link(1, Some(2), false),
            link(2, Some(3), true),
            link(3, Some(4), true),
            link(4, None, false),
            link(5, Some(4), false),
            link(6, Some(7), false),
        ];
        find_inputs(&mut links);
        assert_eq!(links.map(|link| link.device.controller), [Some(3), Some(3), None, None, None, None]);
    }

    #[test]
    fn the_loopback_device_is_there_and_its_address_is_local() {
        let mut node = Node::open().expect("anybody may ask");
        let links = node.links().expect("anybody may ask");
        let loopback = links.iter().find(|link| link.name == "lo").expect("there is one in every namespace");
        assert_eq!(loopback.device, Device { clients: Clients::Elsewhere, is_pod: false, controller: None });
        assert!(node.is_local("127.0.0.1".parse().expect("an address")).expect("there is a route"));
        assert!(node.links().expect("it can be asked again").len() >= links.len().min(1));
    }
}
