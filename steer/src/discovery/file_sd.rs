//! Prometheus' `file_sd`: a list of `{"targets": [...], "labels": {...}}`, with labels `service`, `backend`, `weight` and
//! `state`. Other labels mean nothing here.

use std::net::SocketAddr;

use serde::Deserialize;

use super::{Bounds, Found, add, allowed, named, no_json, weighed};
use crate::config::{Backend, State};

#[derive(Deserialize)]
struct Group {
    targets: Vec<String>,
    labels: Labels,
}

#[derive(Deserialize)]
struct Labels {
    service: String,
    backend: String,
    weight: Option<Weight>,
    state: Option<State>,
}

/// Labels are text; a number is understood too.
#[derive(Deserialize)]
#[serde(untagged)]
enum Weight {
    Number(u32),
    Text(String),
}

pub(super) fn parse(text: &str, bounds: &Bounds<'_>) -> Result<Vec<Found>, String> {
    let groups: Vec<Group> = serde_json::from_str(text).map_err(|error| no_json(&error))?;
    let mut found = Vec::new();
    for Group { targets, labels } in groups {
        if !bounds.services.contains(&labels.service) {
            let known = bounds.services.join(", ");
            return Err(format!("the label `service` names no [[service]]: those there are: {known}"));
        }
        let weight = match labels.weight {
            None => Ok(Backend::WEIGHT),
            Some(Weight::Number(weight)) => Ok(weight),
            Some(Weight::Text(text)) => {
                text.trim().parse().map_err(|_| "a `weight` is no number: write 0 to 1000".to_owned())
            }
        };
        let (name, weight) = (named(&labels.backend)?, weighed(weight?)?);
        for target in targets {
            let address: SocketAddr = target.parse().map_err(|_| {
                format!("a target of backend {name:?} is no address with a port: write \"10.244.1.11:5060\"")
            })?;
            let addresses = vec![allowed(address, bounds)?];
            let state = labels.state.unwrap_or_default();
            add(&mut found, &labels.service, Backend { name: name.clone(), addresses, weight, state, local: None })?;
        }
    }
    Ok(found)
}
