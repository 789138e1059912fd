//! What is answered on the control socket, and by `/health`.

use affinity::steer::{Entered, Kind};
use serde_json::{Value, json};

use super::Daemon;
use crate::config::Path;
use crate::control::{Reply, Request};
use crate::director::{BackendView, Quality, Refusal, ServiceView, Switched};
use crate::kernel::{Event, Kernel};
use crate::policies::Policies;

/// What is to be done behind an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It goes on.
    Continue,
    /// Nothing is left in the kernel: it ends.
    End,
}

impl<K: Kernel> Daemon<K> {
    /// Does what is asked. Requests to watch are not for here.
    pub fn answer(&mut self, request: &Request, now: u64) -> (Reply, Then) {
        if !request.only_shows() {
            // Call-IDs are in none of these.
            tracing::info!(?request, "commanded");
        }
        let done = match request {
            Request::Status {} | Request::Watch {} => Ok(self.status(now)),
            Request::Services {} => Ok(self.services()),
            Request::Dialog { call_id } => self.dialog(call_id.as_bytes(), now),
            Request::Mode { mode, force } => self.director.switch(*mode, *force).map(|switched| match switched {
                Switched::Now => json!({ "mode": mode.as_str(), "waits": false }),
                Switched::Waits => json!({ "mode": mode.as_str(), "waits": true }),
            }),
            Request::State { backend, state } => self
                .director
                .set_state(backend, *state)
                .map(|()| json!({ "backend": backend, "state": state.as_str() })),
            Request::Weight { backend, weight } => {
                self.director.set_weight(backend, *weight).map(|()| json!({ "backend": backend, "weight": weight }))
            }
            Request::Detach { force } => return self.detach(*force),
        };
        if !request.only_shows() {
            self.apply(now);
            self.keep();
        }
        (done.map_or_else(|Refusal(error)| Reply::error(error), Reply::Done), Then::Continue)
    }

    fn detach(&mut self, force: bool) -> (Reply, Then) {
        if let (false, Err(Refusal(error))) = (force, self.director.may_break()) {
            return (Reply::error(error), Then::Continue);
        }
        match self.kernel.detach_all() {
            Ok(()) => (Reply::Done(json!({ "detached": true })), Then::End),
            Err(error) => {
                let text =
                    format!("something is left: {}; `bpftool net` and `bpftool link` show what", super::chain(&error));
                (Reply::error(text), Then::Continue)
            }
        }
    }

    /// How the daemon and the steering are.
    fn status(&self, now: u64) -> Value {
        let view = self.director.view();
        let age = self.kernel.last_beat().ok().flatten().map(|last| now.saturating_sub(last) as f64 / 1e9);
        let state = |service: &ServiceView<'_>| (service.name.to_owned(), Value::from(service.quality.as_str()));
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "mode": view.mode.as_str(),
            "path": view.path.as_str(),
            "waits_for_dialogs": view.waiting,
            "services": view.services.iter().map(state).collect::<serde_json::Map<_, _>>(),
            "devices": self.devices.names().collect::<Vec<_>>(),
            "dialogs": view.census.dialogs.values().sum::<u64>(),
            "max_dialogs": self.extras.capacity.dialogs,
            "heartbeat_age_seconds": age,
            "problems": self.problems(),
            "restart_needed": self.restart_needed,
        })
    }

    fn services(&self) -> Value {
        let backend = |backend: &BackendView<'_>| {
            json!({
                "name": backend.name,
                "addresses": backend.addresses,
                "state": backend.state.as_str(),
                "answers": !backend.down,
                "weight": backend.weight,
                "effective_weight": backend.effective_weight,
                "dialogs": backend.dialogs,
                "local": backend.local,
                "direct": backend.direct,
                "gone": backend.gone,
            })
        };
        let service = |service: &ServiceView<'_>| {
            json!({
                "name": service.name,
                "addresses": service.addresses,
                "state": service.quality.as_str(),
                "overload": service.overload,
                "panic": service.panic,
                "adoption_ratio": service.adoption,
                "backends": service.backends.iter().map(backend).collect::<Vec<_>>(),
            })
        };
        Value::from(self.director.view().services.iter().map(service).collect::<Vec<_>>())
    }

    /// The entries of a Call-ID, one a service that knows it.
    fn dialog(&self, call_id: &[u8], now: u64) -> Result<Value, Refusal> {
        let call_id = &call_id[..call_id.len().min(affinity::CALL_ID)];
        let hash = self.director.key().hash(call_id);
        let mut found = Vec::new();
        for service in self.director.view().services {
            let dialog = self.kernel.dialog(service.number, hash).map_err(|error| Refusal(super::chain(&error)))?;
            let Some(dialog) = dialog else { continue };
            let backend = service.backends.iter().find(|backend| backend.number == dialog.backend);
            found.push(json!({
                "service": service.name,
                "backend": backend.map(|backend| backend.name),
                "entered": match dialog.entered {
                    Entered::Steered => "steered",
                    Entered::Learned => "learned",
                },
                "answered": dialog.answered,
                "silent_seconds": now.saturating_sub(dialog.last) / 1_000_000_000,
                "ends_in_seconds": (dialog.ends != 0).then(|| dialog.ends.saturating_sub(now) / 1_000_000_000),
            }));
        }
        match found.is_empty() {
            true => Err(Refusal("no dialog of that Call-ID is known".to_owned())),
            false => Ok(Value::from(found)),
        }
    }

    /// A decision as a line: names of this configuration, and no address, number or Call-ID.
    pub(super) fn event_line(&self, event: &Event) -> Vec<u8> {
        let view = self.director.view();
        let service = view.services.iter().find(|service| service.number == event.service);
        let backend = service.and_then(|service| {
            let mut backends = service.backends.iter();
            backends.find(|backend| Some(backend.number) == event.backend).map(|backend| backend.name)
        });
        let line = json!({
            "at_seconds": event.at as f64 / 1e9,
            "service": service.map(|service| service.name),
            "backend": backend,
            "message": match event.kind {
                Kind::Request(method) => method.as_str().to_owned(),
                Kind::Response => event.status.to_string(),
            },
            "action": event.action.map(|action| action.as_str()),
            "reason": event.why.map(|why| why.as_str()),
            "rule": (event.rule > 0).then_some(event.rule),
            "device": self.devices.name(event.device),
            "dialog": format!("{:016x}", event.hash.0),
        });
        let mut line = line.to_string().into_bytes();
        line.push(b'\n');
        line
    }

    /// What is wrong and keeps nothing from going on.
    fn problems(&self) -> Vec<String> {
        let discovery =
            self.discovery.wrong().map(|(path, wrong)| format!("discovery file {}: {wrong}", path.display()));
        let policies = self.policies.as_ref().and_then(Policies::told).map(|told| match self.director.path() {
            Path::Direct => format!("{told}: path direct goes past that"),
            Path::Stack => format!("{told}: packets take path stack until it ends"),
        });
        self.config_problem.iter().cloned().chain(policies).chain(discovery).collect()
    }

    /// `/health`: whether it is well, and a JSON object that says why not.
    pub fn health(&self) -> (bool, String) {
        let view = self.director.view();
        let mut reasons = self.devices.problems();
        if !self.failing.is_empty() {
            let what = self.failing.iter().copied().collect::<Vec<_>>().join(", ");
            reasons.push(format!("the kernel refuses something ({what}): the log says why"));
        }
        for service in view.services.iter().filter(|service| service.quality == Quality::ExistingOnly) {
            reasons.push(format!("steering of {} is not sound: only known dialogs are steered", service.name));
        }
        let health = json!({
            "status": if reasons.is_empty() { "ok" } else { "unavailable" },
            "mode": view.mode.as_str(),
            "reason": (!reasons.is_empty()).then(|| reasons.join("; ")),
            "problems": self.problems(),
            "version": env!("CARGO_PKG_VERSION"),
        });
        (reasons.is_empty(), format!("{health}\n"))
    }
}
