//! What the programs counted and remember.

use std::net::{IpAddr, SocketAddr};

use affinity::CallHash;
use affinity::steer::{
    Action, BackendCounters, Counters, Dialog, Entered, Flow, Kind, RuleCounters, ServiceCounters, Slots, StandardPath,
};
use aya::maps::{MapData, MapError, PerCpuArray};

use super::layout::{self, DialogKey};
use super::maps::{Maps, count, failed};
use super::{Census, Event, KernelError};

/// Everything counted of the services and backends that are in the maps.
pub fn counters(maps: &Maps) -> Result<Counters, KernelError> {
    let mut counters = Counters::default();
    for values in per_processor(&maps.general, 0)? {
        counters.general.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }
    for (number, service) in (0..).zip(maps.services.iter()) {
        if service.map_err(failed("read a service"))?.flags & layout::SERVICE_KNOWN != 0 {
            counters.services.insert(number, service_counters(maps, number)?);
        }
    }
    for (number, backend) in (0..).zip(maps.backends.iter()) {
        if backend.map_err(failed("read a backend"))?.flags & layout::BACKEND_KNOWN != 0 {
            counters.backends.insert(number, backend_counters(maps, number)?);
        }
    }
    Ok(counters)
}

fn service_counters(maps: &Maps, number: u16) -> Result<ServiceCounters, KernelError> {
    let mut sum = ServiceCounters::default();
    for values in per_processor(&maps.service_counts, number.into())? {
        for (sums, values) in sum.packets.iter_mut().zip(values.packets) {
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
        sum.passed.iter_mut().zip(values.passed).for_each(|(sum, value)| *sum += value);
        for (sum, [dropped, limited]) in sum.rules.iter_mut().zip(values.rules) {
            *sum = RuleCounters { dropped: sum.dropped + dropped, limited: sum.limited + limited };
        }
        sum.emergency += values.emergency;
        sum.emergency_over += values.emergency_over;
        sum.in_dialog_known += values.in_dialog_known;
        sum.in_dialog_unknown += values.in_dialog_unknown;
    }
    Ok(sum)
}

fn backend_counters(maps: &Maps, number: u16) -> Result<BackendCounters, KernelError> {
    let mut sum = BackendCounters::default();
    for values in per_processor(&maps.backend_counts, number.into())? {
        sum.requests += values.requests;
        sum.invites += values.invites;
        sum.acks += values.acks;
        sum.new_dialogs += values.new_dialogs;
        sum.learned += values.learned;
        sum.sent += values.sent;
        sum.responses.iter_mut().zip(values.responses).for_each(|(sum, value)| *sum += value);
        sum.unavailable += values.unavailable;
        sum.timeouts += values.timeouts;
        sum.first_response.iter_mut().zip(values.first_response).for_each(|(sum, value)| *sum += value);
        sum.first_response_sum += values.first_response_sum;
    }
    Ok(sum)
}

fn per_processor<V: aya::Pod>(map: &PerCpuArray<MapData, V>, index: u32) -> Result<Vec<V>, KernelError> {
    Ok(map.get(&index, 0).map_err(failed("read counters"))?.to_vec())
}

/// What is remembered of a dialog.
pub fn dialog(maps: &Maps, service: u16, hash: CallHash) -> Result<Option<Dialog>, KernelError> {
    match maps.dialogs.get(&DialogKey { hash: hash.0, service: service.into(), zero: 0 }, 0) {
        Ok(dialog) => Ok(Some(dialog.into())),
        Err(MapError::KeyNotFound) => Ok(None),
        Err(error) => Err(KernelError::of("read a dialog", error)),
    }
}

/// All dialogs: number of the service, hash, entry. One that comes or goes meanwhile may be left out.
pub fn dialogs(maps: &Maps) -> impl Iterator<Item = (u16, CallHash, Dialog)> + '_ {
    let entries = maps.dialogs.iter().filter_map(Result::ok);
    entries.map(|(key, dialog)| (key.service as u16, CallHash(key.hash), dialog.into()))
}

/// All flows: client, backend, what lies between them. One that comes or goes meanwhile may be left out.
pub fn flows(maps: &Maps) -> impl Iterator<Item = (SocketAddr, SocketAddr, Flow)> + '_ {
    let at = |address: [u8; 16], port: [u8; 2]| {
        SocketAddr::new(IpAddr::from(address).to_canonical(), u16::from_be_bytes(port))
    };
    maps.flows.iter().filter_map(Result::ok).map(move |(key, flow)| {
        let direct = (flow.is_direct != 0).then_some(flow.device);
        let service = at(flow.service, flow.port);
        (at(key.client, key.client_port), at(key.backend, key.backend_port), Flow { service, direct })
    })
}

/// Forgets dialogs that are over, and counts the others.
pub fn sweep(maps: &mut Maps, now: u64, idle: std::time::Duration) -> Result<Census, KernelError> {
    let mut census = Census::default();
    let mut over = Vec::new();
    for (service, hash, dialog) in dialogs(maps) {
        if dialog.is_over(now, idle) {
            over.push(DialogKey { hash: hash.0, service: service.into(), zero: 0 });
        } else if dialog.backend != Slots::NONE {
            *census.dialogs.entry(dialog.backend).or_default() += 1;
        }
    }
    for key in over {
        match maps.dialogs.remove(&key) {
            Ok(()) => census.forgotten += 1,
            Err(MapError::KeyNotFound) => {}
            Err(error) => return Err(KernelError::of("forget a dialog", error)),
        }
    }
    census.flows = count(&maps.flows);
    census.fragments = count(&maps.fragments);
    census.buckets = count(&maps.buckets);
    Ok(census)
}

/// The next record, if one is there and whole.
pub fn event(maps: &mut Maps) -> Option<Event> {
    let item = maps.events.next()?;
    let bytes: &[u8; size_of::<layout::Event>()] = (&*item).try_into().ok()?;
    let half = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
    let whole = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let backend = half(22);
    Some(Event {
        at: whole(0),
        hash: CallHash(whole(8)),
        device: u32::from_ne_bytes(bytes[16..20].try_into().expect("four bytes")),
        service: half(20),
        backend: (backend != Slots::NONE).then_some(backend),
        status: half(24),
        kind: Kind::all().nth(bytes[26].into())?,
        action: Action::ALL.get(usize::from(bytes[27])).copied(),
        why: StandardPath::ALL.get(usize::from(bytes[28])).copied(),
        rule: bytes[29],
    })
}

impl From<layout::Dialog> for Dialog {
    fn from(dialog: layout::Dialog) -> Self {
        Self {
            backend: dialog.backend,
            entered: if dialog.learned == 0 { Entered::Steered } else { Entered::Learned },
            answered: dialog.answered != 0,
            last: dialog.last,
            ends: dialog.ends,
            asked: dialog.asked,
            life: dialog.life,
        }
    }
}
