//! What is told whoever asks: everything that was found, service by service.

use pipeline::affinity::{BackendReport, PinnedTrunk, Report, ServiceReport, WhatIf};
use wire::Timestamp;

use crate::flows::Flow;
use crate::services::Services;
use crate::state::State;

impl State {
    /// What was found until now.
    pub fn report(&mut self) -> Report {
        let numbers = 0..self.services.services.len();
        let services = numbers.filter_map(|service| self.service_report(service)).collect();
        Report { services, requests: self.requests }
    }

    /// `None` of a service that was listed and not seen.
    fn service_report(&mut self, number: usize) -> Option<ServiceReport> {
        let Services { services, backends, .. } = &mut self.services;
        let service = &mut services[number];
        let (from, until) = service.counts.span?;
        let mut spread = vec![0_u64; service.members.len()];
        service.table(backends);
        let slots = std::mem::take(&mut service.slots);
        let table = service.table(backends);
        for (slot, dialogs) in (0..).zip(&slots) {
            if let Some(place) = table.at(slot) {
                spread[usize::from(place)] += u64::from(*dialogs);
            }
        }
        service.slots = slots;
        let counts = service.counts;
        // By name, so that captures read in another order are told alike.
        let mut order: Vec<usize> = (0..service.members.len()).collect();
        let address = |place: &usize| {
            let backend = &backends[usize::from(service.members[*place].backend)];
            backend.addresses.first().copied()
        };
        order.sort_by_key(address);
        let told = order.iter().map(|place| {
            let member = &service.members[*place];
            BackendReport {
                name: (&*member.name).into(),
                addresses: backends[usize::from(member.backend)].addresses.clone(),
                dialogs: member.dialogs,
            }
        });
        let told = told.collect();
        let pinned = self.flows.iter().filter(|flow| usize::from(flow.service) == number && flow.was_pinned);
        let mut pinned_trunks: Vec<PinnedTrunk> = pinned.filter_map(|flow| trunk(flow, &order)).collect();
        pinned_trunks.sort_by_key(|trunk| trunk.client);
        Some(ServiceReport {
            name: (&*service.name).into(),
            addresses: service.addresses.clone(),
            learned: service.learned,
            from,
            until: Timestamp::max(from, until),
            dialogs: counts.dialogs,
            backends: told,
            unknown_backend: counts.unknown,
            pinned_trunks,
            moved: counts.moved,
            off_port_replies: counts.off_port,
            untranslated_replies: counts.untranslated,
            bypass: counts.bypass,
            by_call_id: WhatIf { moved: counts.would_move, spread: order.iter().map(|place| spread[*place]).collect() },
        })
    }
}

/// A flow that was pinned; `order`: places of backends in the order they are told.
fn trunk(flow: &Flow, order: &[usize]) -> Option<PinnedTrunk> {
    let (member, to_backend) = flow.most()?;
    let backend = order.iter().position(|place| *place == usize::from(member))?;
    Some(PinnedTrunk { client: flow.client, calls: flow.calls, to_backend, backend })
}
