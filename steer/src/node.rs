//! The node: its devices and who sends through them, and whether an address lies on it. Asked by rtnetlink(7), which needs
//! no right and sees the network namespace of the thread, wherever sysfs is mounted.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::IpAddr;

use affinity::steer::{Clients, Device, Hop};
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkInfo, LinkMessage};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

/// A way to ask.
pub struct Node {
    socket: Socket,
    sequence: u32,
    /// Devices with a pod behind them, and bridges, as of the last look.
    pods: BTreeSet<u32>,
    bridges: BTreeSet<u32>,
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
    /// Its queueing discipline, `noqueue` for one that has none; empty where the kernel does not say.
    pub queueing: String,
}

impl Node {
    /// Asks in the network namespace of this thread, from now on.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self { socket, sequence: 0, pods: BTreeSet::new(), bridges: BTreeSet::new() })
    }

    /// All devices.
    ///
    /// Pods of this node send through the ends of pairs whose other end is in another namespace, and through bridges;
    /// a device with a route to a network over a gateway leads elsewhere, whatever it is.
    pub fn links(&mut self) -> io::Result<Vec<Link>> {
        let uplinks = self.uplinks()?;
        let answers = self.ask(RouteNetlinkMessage::GetLink(LinkMessage::default()), NLM_F_DUMP)?;
        let link = |answer| match answer {
            RouteNetlinkMessage::NewLink(link) => Link::read(&link, &uplinks),
            _ => None,
        };
        let links: Vec<Link> = answers.into_iter().filter_map(link).collect();
        self.bridges = links.iter().filter(|link| link.is_bridge).map(|link| link.index).collect();
        self.pods = links.iter().filter(|link| link.device.is_pod).map(|link| link.index).collect();
        Ok(links)
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
        let mut hops = HashMap::new();
        let mut behind_bridges = Vec::new();
        for address in addresses {
            let Some(route) = self.route(*address)?.filter(|route| route.header.kind == RouteType::Unicast) else {
                continue;
            };
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
        let answers = self.ask(RouteNetlinkMessage::GetRoute(message), 0)?;
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
        let answers = self.ask(RouteNetlinkMessage::GetNeighbour(message), NLM_F_DUMP)?;
        let entry = |answer| match answer {
            RouteNetlinkMessage::NewNeighbour(entry) => Some(entry),
            _ => None,
        };
        Ok(answers.into_iter().filter_map(entry).collect())
    }

    /// Devices with a route over a gateway.
    fn uplinks(&mut self) -> io::Result<BTreeSet<u32>> {
        let mut uplinks = BTreeSet::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut message = RouteMessage::default();
            message.header.address_family = family;
            for answer in self.ask(RouteNetlinkMessage::GetRoute(message), NLM_F_DUMP)? {
                let RouteNetlinkMessage::NewRoute(route) = answer else { continue };
                let one_host = if family == AddressFamily::Inet { 32 } else { 128 };
                if is_over_gateway(&route) && route.header.destination_prefix_length < one_host {
                    uplinks.extend(devices(&route));
                }
            }
        }
        Ok(uplinks)
    }

    /// Asks, and takes every answer.
    fn ask(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(message));
        packet.header.flags = NLM_F_REQUEST | flags;
        packet.header.sequence_number = self.sequence;
        packet.finalize();
        let mut bytes = vec![0; packet.buffer_len()];
        packet.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        let mut answers = Vec::new();
        loop {
            let (bytes, _) = self.socket.recv_from_full()?;
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map_err(io::Error::other)?;
                // Messages are padded to four bytes.
                let length = (answer.header.length as usize).next_multiple_of(4).max(4);
                rest = rest.get(length..).unwrap_or_default();
                // What is left of a question that failed before.
                if answer.header.sequence_number != self.sequence {
                    continue;
                }
                match answer.payload {
                    NetlinkPayload::InnerMessage(message) => {
                        answers.push(message);
                        if flags & NLM_F_DUMP == 0 {
                            return Ok(answers);
                        }
                    }
                    NetlinkPayload::Done(_) => return Ok(answers),
                    NetlinkPayload::Error(error) => return Err(error.to_io()),
                    _ => {}
                }
            }
        }
    }
}

impl Link {
    fn read(message: &LinkMessage, uplinks: &BTreeSet<u32>) -> Option<Self> {
        let index = message.header.index;
        let (mut name, mut elsewhere, mut kind, mut queueing) = (None, false, None, String::new());
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(text) => name = Some(text.clone()),
                LinkAttribute::Qdisc(text) => queueing.clone_from(text),
                LinkAttribute::LinkNetNsId(_) => elsewhere = true,
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
        Some(Self { index, name: name?, device: Device { clients, is_pod }, is_bridge, queueing })
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
    fn the_loopback_device_is_there_and_its_address_is_local() {
        let mut node = Node::open().expect("anybody may ask");
        let links = node.links().expect("anybody may ask");
        let loopback = links.iter().find(|link| link.name == "lo").expect("there is one in every namespace");
        assert_eq!(loopback.device, Device { clients: Clients::Elsewhere, is_pod: false });
        assert!(node.is_local("127.0.0.1".parse().expect("an address")).expect("there is a route"));
        assert!(node.links().expect("it can be asked again").len() >= links.len().min(1));
    }
}
