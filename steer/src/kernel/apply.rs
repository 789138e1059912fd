//! Tables into maps, in an order in which no packet meets half of them: first what is pointed to, then what points.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use affinity::SLOTS;
use affinity::steer::{
    Affinity, Backend, CLASSES, Clients, Device, EMERGENCY_USER, MAX_BACKENDS, MAX_CIDRS, MAX_DEVICES,
    MAX_EMERGENCY_USERS, MAX_RULES, MAX_SERVICES, Mode, Over, Path, Per, Rule, Service, State, Tables, Then,
};
use aya::maps::lpm_trie::Key;

use super::KernelError;
use super::layout::{
    self, ClassKey, PLACE_ADDRESS, PLACE_BACKEND, PLACE_SERVICE, PLACES, Place, PlaceKey, RULES, UNSET, UserKey, wide,
};
use super::maps::{Maps, add, failed, replace, retain};

/// Writes tables. `before`: what the maps hold; `None` if that is not known.
pub fn apply(maps: &mut Maps, before: Option<&Tables>, tables: &Tables) -> Result<(), KernelError> {
    check(tables)?;
    let same = |differs: bool| before.is_some() && !differs;
    for number in 0..MAX_BACKENDS {
        let (old, new) = (before.and_then(|before| before.backends.get(&number)), tables.backends.get(&number));
        if !same(old != new) && (new.is_some() || old.is_some() || before.is_none()) {
            maps.backends
                .set(number.into(), new.map_or_else(Default::default, backend), 0)
                .map_err(failed("write a backend"))?;
        }
    }
    for (number, new) in &tables.services {
        let old = before.and_then(|before| before.services.get(number));
        if old != Some(new) {
            write_service(maps, *number, old, new)?;
        }
    }
    if !same(before.is_some_and(|before| before.classes != tables.classes)) {
        write_classes(maps, tables)?;
    }
    if !same(before.is_some_and(|before| before.devices != tables.devices)) {
        let flag = |set, flag| if set { flag } else { 0 };
        let flags = |device: &Device| {
            // The kernel counts them up from 1: none is so high that it has no room.
            let controller =
                device.controller.filter(|index| index.leading_zeros() >= layout::DEVICE_FLAGS).unwrap_or(0);
            controller << layout::DEVICE_FLAGS
                | flag(device.clients == Clients::Own, layout::DEVICE_OWN)
                | flag(device.is_pod, layout::DEVICE_POD)
        };
        let devices = tables.devices.iter().map(|(index, device)| (*index, flags(device))).collect();
        replace(&mut maps.devices, &devices)?;
    }
    // Behind the devices: whether a backend's address is forged goes by both.
    for number in 0..MAX_BACKENDS {
        let hop = |tables: &Tables| tables.backends.get(&number).and_then(|backend| backend.hop);
        if before.is_none_or(|before| hop(before) != hop(tables)) {
            maps.hops.set(number.into(), layout::Hop::from(hop(tables)), 0).map_err(failed("write a hop"))?;
        }
    }
    let users = users(tables);
    add(&mut maps.users, &users)?;
    let changes = |before: &Tables| {
        let addresses = |tables: &Tables| places(tables);
        addresses(before) != addresses(tables)
    };
    if !same(before.is_some_and(changes)) {
        write_places(maps, tables)?;
    }
    retain(&mut maps.users, |key| users.contains_key(key))?;
    for number in (0..MAX_SERVICES).filter(|number| !tables.services.contains_key(number)) {
        if before.is_none_or(|before| before.services.contains_key(&number)) {
            maps.services.set(number.into(), layout::Service::default(), 0).map_err(failed("write a service"))?;
        }
    }
    Ok(())
}

/// The settings for tables; `flags` that user space sets besides stay as they are in `now`.
pub fn settings(tables: &Tables, now: &layout::Settings) -> layout::Settings {
    let key = tables.key.bytes();
    let half = |at: usize| u64::from_le_bytes(key[at..at + 8].try_into().expect("eight bytes"));
    let mut flags = now.flags & layout::SETTING_WATCHED;
    if tables.mode == Mode::Active {
        flags |= layout::SETTING_ACTIVE;
        if tables.path == Path::Direct {
            flags |= layout::SETTING_DIRECT;
        }
    }
    if !tables.classes.is_empty() {
        flags |= layout::SETTING_CLASSES;
    }
    layout::Settings {
        key: [half(0), half(8)],
        grace: nanos(tables.times.grace),
        dialog_idle: nanos(tables.times.dialog_idle),
        settle_until: now.settle_until,
        flags,
    }
}

/// A time that the programs compare as a signed number.
pub fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).min(i64::MAX as u64)
}

fn check(tables: &Tables) -> Result<(), KernelError> {
    let places = places(tables);
    let wrong = |what| Err(KernelError::Tables { what });
    if tables.services.keys().any(|number| *number >= MAX_SERVICES) {
        return wrong("a service beyond the last number");
    }
    if tables.backends.keys().any(|number| *number >= MAX_BACKENDS) {
        return wrong("a backend beyond the last number");
    }
    if tables.backends.values().any(|backend| backend.service >= MAX_SERVICES) {
        return wrong("a backend of a service beyond the last number");
    }
    if tables.classes.len() > MAX_CIDRS || tables.classes.values().any(|class| *class == 0 || *class >= CLASSES) {
        return wrong("too many networks, or one of no class");
    }
    if tables.devices.len() > MAX_DEVICES || places.len() > PLACES {
        return wrong("too many devices or addresses");
    }
    for service in tables.services.values() {
        let users = &service.emergency.users;
        if users.len() > MAX_EMERGENCY_USERS || users.iter().any(|user| user.is_empty() || user.len() > EMERGENCY_USER)
        {
            return wrong("too many emergency users, or one that is too long");
        }
        if service.rules.len() > MAX_RULES
            || service.table.as_slice().iter().any(|number| usize::from(*number) > MAX_RULES)
        {
            return wrong("too many rules");
        }
        let limits = service.rules.iter().filter_map(|rule| match rule.then {
            Then::Limit { limit, .. } => Some(limit),
            _ => None,
        });
        if limits.chain(service.emergency.limit).any(|limit| limit.rate == 0 || limit.burst == 0) {
            return wrong("a limit of 0");
        }
    }
    Ok(())
}

fn backend(backend: &Backend) -> layout::Backend {
    let mut entry = layout::Backend { service: backend.service, flags: layout::BACKEND_KNOWN, ..Default::default() };
    for (family, flag, is_v6) in [(0, layout::BACKEND_V4, false), (1, layout::BACKEND_V6, true)] {
        if let Some(address) = backend.addresses.iter().find(|address| address.is_ipv6() == is_v6) {
            entry.address[family] = wide(address.ip());
            entry.port[family] = address.port().to_be_bytes();
            entry.flags |= flag;
        }
    }
    if backend.local {
        entry.flags |= layout::BACKEND_LOCAL;
    }
    if backend.state == State::Down {
        entry.flags |= layout::BACKEND_DOWN;
    }
    entry
}

/// Writes one service: its rules and slots, and then, in one write, what makes them count.
fn write_service(maps: &mut Maps, number: u16, old: Option<&Service>, new: &Service) -> Result<(), KernelError> {
    let now = maps.services.get(&number.into(), 0).map_err(failed("read a service"))?;
    let mut rules_generation = now.rules_generation & 1;
    if old.is_none_or(|old| (&old.rules, &old.table) != (&new.rules, &new.table)) {
        // Where they do not count yet.
        rules_generation ^= 1;
        for index in 0..RULES {
            let rule = index.checked_sub(1).and_then(|index| new.rules.get(index as usize));
            let entry = rule.map_or(layout::Rule { priority: UNSET, dscp: UNSET, ..Default::default() }, rule_entry);
            let at = layout::rule_of(number, rules_generation, index);
            maps.rules.set(at, entry, 0).map_err(failed("write a rule"))?;
        }
        let numbers: layout::RuleNumbers = new.table.as_slice().try_into().expect("a table has its length");
        let at = layout::rule_table_of(number, rules_generation);
        maps.rule_tables.set(at, numbers, 0).map_err(failed("write a table of rules"))?;
    }
    let mut generation = now.generation & 1;
    if old.is_none_or(|old| (&old.ipv4, &old.ipv6) != (&new.ipv4, &new.ipv6)) {
        // Into the tables that do not count yet.
        generation ^= 1;
        for (is_v6, choice) in [(false, &new.ipv4), (true, &new.ipv6)] {
            for (is_local, slots) in [(false, &choice.all), (true, &choice.local)] {
                let mut entry: layout::Slots = [affinity::steer::Slots::NONE; 4096];
                entry[..usize::from(SLOTS)].copy_from_slice(slots.as_slice());
                let at = layout::slot_table(number, generation, is_v6, is_local);
                maps.slots.set(at, entry, 0).map_err(failed("write slots"))?;
            }
        }
    }
    let flag = |set, flag| if set { flag } else { 0 };
    let limit = new.emergency.limit;
    let entry = layout::Service {
        flags: layout::SERVICE_KNOWN
            | flag(new.affinity == Affinity::Source, layout::SERVICE_BY_SOURCE)
            | flag(new.existing_only, layout::SERVICE_EXISTING_ONLY)
            | flag(new.overload, layout::SERVICE_OVERLOAD)
            | flag(limit.is_some(), layout::SERVICE_EMERGENCY_LIMIT)
            | flag(!new.emergency.users.is_empty(), layout::SERVICE_EMERGENCY_USERS),
        generation,
        rules_generation,
        emergency_cost: limit.map_or(0, |limit| limit.cost()),
        emergency_full: limit.map_or(0, |limit| limit.full()),
    };
    maps.services.set(number.into(), entry, 0).map_err(failed("write a service"))
}

fn rule_entry(rule: &Rule) -> layout::Rule {
    let mut entry = layout::Rule {
        priority: rule.priority.unwrap_or(UNSET),
        dscp: rule.dscp.unwrap_or(UNSET),
        ..Default::default()
    };
    match rule.then {
        Then::Steer => entry.then = layout::THEN_STEER,
        Then::Pass => entry.then = layout::THEN_PASS,
        Then::Drop => entry.then = layout::THEN_DROP,
        Then::Limit { limit, per, over } => {
            entry.then = layout::THEN_LIMIT;
            entry.cost = limit.cost();
            entry.full = limit.full();
            entry.per_source = u8::from(per == Per::Source);
            entry.only_counts = u8::from(over == Over::Count);
        }
    }
    entry
}

fn users(tables: &Tables) -> HashMap<UserKey, u32> {
    let users = tables.services.iter().flat_map(|(number, service)| {
        service.emergency.users.iter().map(|user| {
            let mut key = UserKey { service: (*number).into(), user: [0; 16] };
            key.user[..user.len()].copy_from_slice(user.as_bytes());
            (key, 1)
        })
    });
    users.collect()
}

fn write_classes(maps: &mut Maps, tables: &Tables) -> Result<(), KernelError> {
    let classes: HashMap<(u32, ClassKey), u32> = tables
        .classes
        .iter()
        .map(|(network, class)| {
            let (family, bits) = match network.network() {
                IpAddr::V4(_) => (4_u32, 96),
                IpAddr::V6(_) => (6, 0),
            };
            let key = ClassKey { family: family.to_be_bytes(), address: wide(network.network()) };
            ((32 + bits + u32::from(network.prefix_len()), key), u32::from(*class))
        })
        .collect();
    for ((bits, key), class) in &classes {
        maps.classes.insert(&Key::new(*bits, *key), class, 0).map_err(failed("write a network"))?;
    }
    let keys: Vec<Key<ClassKey>> = maps.classes.keys().collect::<Result<_, _>>().map_err(failed("read networks"))?;
    for key in keys {
        if !classes.contains_key(&(key.prefix_len(), key.data())) {
            maps.classes.remove(&key).map_err(failed("remove a network"))?;
        }
    }
    Ok(())
}

/// What stands where; addresses of services by themselves too, for fragments without ports.
fn places(tables: &Tables) -> HashMap<PlaceKey, Place> {
    let backends = tables.backends.iter().flat_map(|(number, backend)| {
        backend.addresses.iter().map(|address| (*address, Place { what: PLACE_BACKEND, number: *number }))
    });
    let services = tables.services.iter().flat_map(|(number, service)| {
        service.addresses.iter().map(|address| (*address, Place { what: PLACE_SERVICE, number: *number }))
    });
    let addresses = tables
        .services
        .values()
        .flat_map(|service| &service.addresses)
        .map(|address| (PlaceKey::of(SocketAddr::new(address.ip(), 0)), Place { what: PLACE_ADDRESS, number: 0 }));
    let all = backends.chain(services).map(|(address, place)| (PlaceKey::of(address), place));
    addresses.chain(all).collect()
}

fn write_places(maps: &mut Maps, tables: &Tables) -> Result<(), KernelError> {
    let places = places(tables);
    let mut ports: layout::Ports = [0; 1024];
    for key in places.keys() {
        let port = usize::from(u16::from_be_bytes(key.port));
        ports[port / 64] |= 1 << (port % 64);
    }
    let now = maps.ports.get(&0, 0).map_err(failed("read ports"))?;
    // A port is in the set for as long as anything is there.
    let both: layout::Ports = std::array::from_fn(|word| ports[word] | now[word]);
    maps.ports.set(0, both, 0).map_err(failed("write ports"))?;
    replace(&mut maps.places, &places)?;
    maps.ports.set(0, ports, 0).map_err(failed("write ports"))
}
