//! Tables of many kinds over the addresses that packets have.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use affinity::steer::{
    Affinity, Backend, Choice, Clients, Device, Emergency, Hop, Kind, Limit, Mode, Over, Path, Per, Rule, RuleTable,
    Service, Slots, State, Tables, Then, Times,
};
use affinity::{Key, SLOTS};
use ipnet::IpNet;
use sip::Method;
use testnet::Namespace;

use super::frames::Chance;

/// The devices that packets come by.
pub const DEVICES: [u32; 2] = [5, 6];

/// The devices of backends: behind the first is a pod, out of the second a neighbour.
const HOPS: [u32; 2] = [7, 8];

/// The routing table: what is for a network leaves by this device; `None`: by none.
const ROUTES: [(&str, Option<u32>); 8] = [
    ("0.0.0.0/0", Some(5)),
    ("10.0.0.0/9", Some(6)),
    ("192.0.2.0/29", Some(6)),
    ("192.0.2.1/32", Some(8)),
    ("127.0.0.0/8", None),
    ("::/0", Some(5)),
    ("2001:db8::/121", Some(6)),
    ("2001:db8::/126", None),
];

/// A namespace with the devices and routes, and the routes as the model takes them. Every
/// packet is short enough for every device.
pub fn node() -> std::io::Result<(Namespace, BTreeMap<IpNet, Option<u32>>)> {
    let node = Namespace::new()?;
    // It would have routes of its own.
    node.ip("link set lo down");
    for setting in ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"] {
        let done = node.command("sysctl").args(["-qw", setting]).status()?;
        assert!(done.success(), "{setting}");
    }
    for device in DEVICES.into_iter().chain(HOPS) {
        let peer = device + 100;
        node.ip(&format!("link add d{device} index {device} mtu 9000 type veth peer name e{device} index {peer}"));
        for end in ["d", "e"] {
            node.ip(&format!("link set {end}{device} addrgenmode none"));
            node.ip(&format!("link set {end}{device} up"));
        }
    }
    for (network, device) in ROUTES {
        match device {
            Some(device) => node.ip(&format!("route add {network} dev d{device}")),
            None => node.ip(&format!("route add blackhole {network}")),
        }
    }
    let routes = ROUTES.map(|(network, device)| (network.parse().expect("a network"), device));
    Ok((node, routes.into()))
}

/// Most of what there are in a scenario.
const SERVICES: usize = 12;
const BACKENDS: usize = 24;

/// Tables by chance: of the places some are services, some backends, the others clients.
pub fn tables(places: &[SocketAddr], chance: &mut Chance) -> Tables {
    let mut tables = Tables {
        mode: if chance.below(4) == 0 { Mode::Observe } else { Mode::Active },
        path: *chance.of(&[Path::Stack, Path::Direct, Path::Direct]),
        key: Key::new([7; 16]),
        times: Times {
            grace: Duration::from_secs(300),
            settle: Duration::from_secs(chance.below(4) as u64 * 200),
            dialog_idle: Duration::from_secs(3600),
        },
        ..Tables::default()
    };
    let classes =
        ["0.0.0.0/0", "10.0.0.0/8", "192.0.2.0/28", "192.0.2.1/32", "::/0", "2001:db8::/32", "2001:db8::1/128"];
    for (class, network) in (1..).zip(classes) {
        if chance.below(2) == 0 {
            tables.classes.insert(network.parse().expect("a network"), class);
        }
    }
    if chance.below(2) == 0 {
        let (device, controller) = (*chance.of(&DEVICES), *chance.of(&[None, Some(DEVICES[0]), Some(DEVICES[1])]));
        tables.devices.insert(device, Device { clients: Clients::Own, is_pod: chance.below(2) == 0, controller });
    }
    // The same numbers mean the same places in every scenario.
    for (number, address) in places.iter().enumerate() {
        let group = number / 6;
        match number % 3 {
            0 if group < SERVICES => {
                tables.services.entry(group as u16).or_default().addresses.push(*address);
            }
            1 if number / 3 < BACKENDS && chance.below(8) != 0 => {
                let state = *chance.of(&[State::Up, State::Up, State::Up, State::Drain, State::Down]);
                let backend = Backend {
                    service: ((number / 3) % SERVICES.min(places.len() / 6 + 1)) as u16,
                    addresses: vec![*address],
                    state,
                    local: chance.below(3) != 0,
                    hop: *chance.of(&[None, Some(Hop::Pod(HOPS[0])), Some(Hop::Neighbour(HOPS[1]))]),
                };
                tables.backends.insert((number / 3) as u16, backend);
            }
            _ => {}
        }
    }
    // A second family for some.
    let spare: Vec<SocketAddr> = places.iter().copied().skip(2).step_by(3).collect();
    for (backend, address) in tables.backends.values_mut().zip(spare.iter().rev()) {
        if backend.addresses[0].is_ipv4() != address.is_ipv4() {
            backend.addresses.push(*address);
        }
    }
    let backends: Vec<u16> = tables.backends.keys().copied().collect();
    for (number, service) in &mut tables.services {
        fill(service, *number, &backends, &tables.backends, chance);
    }
    tables
}

fn fill(service: &mut Service, number: u16, numbers: &[u16], backends: &BTreeMap<u16, Backend>, chance: &mut Chance) {
    service.affinity = if chance.below(5) == 0 { Affinity::Source } else { Affinity::CallId };
    service.existing_only = chance.below(8) == 0;
    service.overload = chance.below(3) == 0;
    service.emergency = Emergency {
        users: if chance.below(3) == 0 { vec![] } else { vec!["911".into(), "112".into(), "fifteen-letters".into()] },
        limit: (chance.below(2) == 0).then_some(Limit { rate: 1, burst: 3 }),
    };
    // Mostly backends of its own; some of others, and numbers of none, which must do no harm.
    let own: Vec<u16> = numbers.iter().copied().filter(|backend| backends[backend].service == number).collect();
    let mut choice = |v6: bool| {
        let fits = |backend: &u16| backends[backend].addresses.iter().any(|address| address.is_ipv6() == v6);
        let fitting: Vec<u16> = own.iter().copied().filter(fits).collect();
        let mut slots = || {
            let mut slots = [Slots::NONE; SLOTS as usize];
            for slot in &mut slots {
                *slot = match chance.below(60) {
                    0 => Slots::NONE,
                    1 => 1000,
                    2 if !numbers.is_empty() => *chance.of(numbers),
                    _ if !fitting.is_empty() => *chance.of(&fitting),
                    _ => Slots::NONE,
                };
            }
            Slots::new(slots)
        };
        Choice { all: slots(), local: slots() }
    };
    service.ipv4 = choice(false);
    service.ipv6 = choice(true);
    let limit = |rate, burst, per, over| Then::Limit { limit: Limit { rate, burst }, per, over };
    let rule = |then| Rule { then, priority: None, dscp: None };
    service.rules = vec![
        rule(Then::Drop),
        rule(Then::Pass),
        rule(Then::Steer),
        Rule { then: Then::Steer, priority: Some(5), dscp: Some(46) },
        rule(limit(2, 3, Per::Service, Over::Drop)),
        Rule { then: limit(1, 2, Per::Source, Over::Drop), priority: Some(1), dscp: Some(0) },
        Rule { then: limit(3, 1, Per::Source, Over::Count), priority: None, dscp: Some(10) },
    ];
    let (seed, odds) = (chance.below(1000), 2 + chance.below(12));
    service.table = RuleTable::new(|kind, class, marks| {
        let scatter = kind.index() * 31 + usize::from(class) * 7 + marks.bits() * 3 + seed;
        match kind {
            Kind::Request(Method::Ack | Method::Bye) | Kind::Response => 0,
            _ if scatter.is_multiple_of(odds) => (scatter / odds % 9) as u8,
            _ => 0,
        }
    });
}
