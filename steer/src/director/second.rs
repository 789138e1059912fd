//! A second: what was counted in it, and what follows.

use std::collections::{BTreeMap, VecDeque};

use affinity::control::{Anomaly, Heard, Observed, Reason, Sample, Traffic};
use affinity::steer::{Action, BackendCounters, Counters, General, Kind, ServiceCounters, StandardPath};

use super::Director;
use super::hints::HintResult;
use super::members::Service;
use super::notices::Notice;
use crate::config::{Adaptive, Mode, State};
use crate::kernel::Census;

/// What the director itself counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// By service and kind.
    pub anomalies: BTreeMap<(String, Anomaly), u64>,
    /// Hints by what became of them.
    pub hints: BTreeMap<HintResult, u64>,
    /// Changes of weights by service, backend and reason.
    pub weight_changes: BTreeMap<(String, String, &'static str), u64>,
}

/// Flows that were remembered anew, over a minute.
#[derive(Debug, Default)]
pub(super) struct Flows {
    seconds: VecDeque<u64>,
}

/// Seconds in which a flow that is pushed out counts as young.
const YOUNG: usize = 60;

impl Flows {
    /// How many young flows must have been pushed out in this second.
    pub(super) fn evicted(&mut self, begun: u64, capacity: u64) -> u64 {
        let before = self.seconds.iter().sum::<u64>();
        self.seconds.push_back(begun);
        if self.seconds.len() > YOUNG {
            self.seconds.pop_front();
        }
        // More were begun within a minute than there is room for.
        (before + begun).saturating_sub(capacity.max(before))
    }
}

impl Director {
    /// Takes everything that was counted until now; to be called once a second. `census` where dialogs were counted anew.
    /// Tells what has changed by it.
    pub fn second(&mut self, counters: Counters, census: Option<Census>) -> Vec<Notice> {
        self.seconds += 1;
        let counted = census.is_some();
        self.census = census.unwrap_or_else(|| std::mem::take(&mut self.census));
        let earlier = std::mem::replace(&mut self.counters, counters);
        let mut notices = Vec::new();
        let begun = self.counters.general(General::Flows).saturating_sub(earlier.general(General::Flows));
        let node = Traffic {
            young_evictions: self.flows.evicted(begun, self.settings.capacity.flows.into()),
            fullest_map: self.fullest(&earlier),
            ..Traffic::default()
        };
        self.judge_hints();
        let names: Vec<String> = self.services.keys().cloned().collect();
        for name in &names {
            let mut service = self.services.remove(name).expect("it is there");
            self.judge(&mut service, &earlier, node, &mut notices);
            self.services.insert(name.clone(), service);
        }
        if counted {
            let forgotten = self.forget();
            notices.extend(forgotten.into_iter().map(|(service, backend)| Notice::Forgotten { service, backend }));
        }
        if self.waiting && self.services.values().all(|service| service.adoption.is_enough()) {
            (self.mode, self.waiting) = (Mode::Active, false);
            self.overrides.say_mode(Mode::Active, self.settings.mode);
            notices.push(Notice::Mode(Mode::Active));
        }
        notices
    }

    /// How full the fullest map is that pushes nothing out, in thousandths.
    fn fullest(&self, earlier: &Counters) -> u32 {
        let full = self.counters.general(General::DialogsFull) > earlier.general(General::DialogsFull);
        let dialogs: u64 = self.census.dialogs.values().sum();
        let fullness = dialogs * 1000 / u64::from(self.settings.capacity.dialogs);
        if full { 1000 } else { u32::try_from(fullness).unwrap_or(1000) }
    }

    fn judge(&mut self, service: &mut Service, earlier: &Counters, node: Traffic, notices: &mut Vec<Notice>) {
        let configured = self.configured(&service.name);
        let (target, adaptive, probed) = (configured.latency_target, configured.adaptive, configured.probe.is_some());
        let empty = BackendCounters::default();
        let of = |counters: &Counters, number: u16| counters.backends.get(&number).cloned().unwrap_or_default();
        let mut all = Sample::default();
        let mut samples = Vec::new();
        let mut traffic = node;
        for member in &service.members {
            let (before, now) = (of(earlier, member.number), of(&self.counters, member.number));
            // A number that was given to another began anew.
            let before = if now.requests < before.requests { &empty } else { &before };
            let sample = Sample::between(before, &now);
            let heard = heard(before, &now);
            service.health.second(&member.name, heard, probed);
            traffic.requests += heard.requests;
            traffic.replies += since(responses(before), responses(&now));
            all += &sample;
            samples.push(sample);
        }
        self.judge_health(service, notices);
        let was = service.overload.is_on() || service.hinted_overload;
        service.overload.tick(target, &all);
        let is = service.is_overloaded();
        if was != is {
            notices.push(Notice::Overload { service: service.name.clone(), on: is });
        }
        if adaptive != Adaptive::Off {
            self.judge_weights(service, target, adaptive == Adaptive::On, &samples, notices);
        }
        self.judge_traffic(service, earlier, traffic, notices);
    }

    fn judge_health(&self, service: &mut Service, notices: &mut Vec<Notice>) {
        let panic = service.judge_panic(&self.overrides);
        if panic != service.panic {
            service.panic = panic;
            notices.push(Notice::Panic { service: service.name.clone(), on: panic });
        }
        let health = &service.health;
        for member in &mut service.members {
            let down = health.is_down(&member.name);
            if down != member.told_down {
                member.told_down = down;
                let (service, backend) = (service.name.clone(), member.name.clone());
                notices.push(Notice::Backend { service, backend, down });
            }
        }
    }

    fn judge_weights(
        &mut self,
        service: &mut Service,
        target: std::time::Duration,
        applied: bool,
        samples: &[Sample],
        notices: &mut Vec<Notice>,
    ) {
        let observed: Vec<Observed<'_>> = service
            .members
            .iter()
            .zip(samples)
            .map(|(member, sample)| {
                let takes = service.state(member, &self.overrides) == State::Up;
                let weight = self.overrides.weight(&service.name, &member.name, member.weight);
                Observed { name: &member.name, weight: if takes { weight } else { 0 }, sample: *sample }
            })
            .collect();
        for change in service.weights.tick(target, &observed) {
            let key = (service.name.clone(), change.backend.clone(), Reason::as_str(change.reason));
            *self.tally.weight_changes.entry(key).or_default() += 1;
            notices.push(Notice::Weight { service: service.name.clone(), change, applied });
        }
    }

    fn judge_traffic(
        &mut self,
        service: &mut Service,
        earlier: &Counters,
        mut traffic: Traffic,
        notices: &mut Vec<Notice>,
    ) {
        let empty = ServiceCounters::default();
        let of = |counters: &'_ Counters| counters.services.get(&service.number).cloned();
        let (before, now) = (of(earlier).unwrap_or_else(|| empty.clone()), of(&self.counters).unwrap_or(empty));
        let steered =
            |counters: &ServiceCounters| Kind::all().map(|kind| counters.packets(kind, Action::Steer)).sum::<u64>();
        let failed = |counters: &ServiceCounters| counters.passed(StandardPath::Failed);
        traffic.failed = since(failed(&before), failed(&now));
        traffic.steered = since(steered(&before), steered(&now)) + traffic.failed;
        let known = since(before.in_dialog_known, now.in_dialog_known);
        service.adoption.second(known + since(before.in_dialog_unknown, now.in_dialog_unknown), known);
        let was = service.anomalies.any();
        for kind in service.anomalies.second(traffic) {
            *self.tally.anomalies.entry((service.name.clone(), kind)).or_default() += 1;
            notices.push(Notice::Anomaly { service: service.name.clone(), kind });
        }
        if was && !service.anomalies.any() {
            notices.push(Notice::Sound { service: service.name.clone() });
        }
    }
}

/// What grew since; a counter that began anew counts from 0.
fn since(earlier: u64, now: u64) -> u64 {
    now.checked_sub(earlier).unwrap_or(now)
}

fn responses(counters: &BackendCounters) -> u64 {
    counters.responses.iter().sum()
}

fn heard(earlier: &BackendCounters, now: &BackendCounters) -> Heard {
    // Nobody answers an ACK.
    let requests = since(earlier.requests, now.requests).saturating_sub(since(earlier.acks, now.acks));
    let replies = since(responses(earlier), responses(now)) + since(earlier.sent, now.sent);
    Heard { requests, replies }
}
