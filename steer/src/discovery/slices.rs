//! EndpointSlices as `kubectl get endpointslices -o json` prints them (discovery.k8s.io/v1), one or a list.
//!
//! The label `kubernetes.io/service-name` names the service; slices of others mean nothing here. A backend has the name of
//! its pod. Ready is up, terminating and serving is drain, all else is down; a condition that is unknown counts as the API
//! says it does. `nodeName` tells who is on this node.

use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

use super::{Bounds, Found, add, allowed, named, no_json};
use crate::config::{Backend, State};

#[derive(Deserialize)]
struct Printed {
    kind: String,
    #[serde(default)]
    items: Vec<Slice>,
    #[serde(flatten)]
    one: Slice,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Slice {
    metadata: Metadata,
    endpoints: Option<Vec<Endpoint>>,
    ports: Option<Vec<Port>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    labels: SliceLabels,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SliceLabels {
    #[serde(rename = "kubernetes.io/service-name")]
    service: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Endpoint {
    addresses: Vec<String>,
    conditions: Conditions,
    node_name: Option<String>,
    hostname: Option<String>,
    target_ref: Option<TargetRef>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Conditions {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
}

#[derive(Deserialize)]
struct TargetRef {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Port {
    name: Option<String>,
    port: Option<u16>,
    protocol: Option<String>,
}

pub(super) fn parse(text: &str, bounds: &Bounds<'_>) -> Result<Vec<Found>, String> {
    let printed: Printed = serde_json::from_str(text).map_err(|error| no_json(&error))?;
    let slices = match printed.kind.as_str() {
        "EndpointSlice" => vec![printed.one],
        "List" | "EndpointSliceList" => printed.items,
        _ => return Err("it is no list of EndpointSlices: print one by kubectl get endpointslices -o json".to_owned()),
    };
    let mut found = Vec::new();
    for slice in slices {
        let service = slice.metadata.labels.service.as_ref().filter(|service| bounds.services.contains(service));
        let Some(service) = service else { continue };
        // A slice without endpoints may be without ports as well.
        let Some(endpoints) = slice.endpoints.filter(|endpoints| !endpoints.is_empty()) else { continue };
        let port = sip_port(&slice.ports.unwrap_or_default(), service)?;
        for endpoint in endpoints {
            add(&mut found, service, backend(endpoint, port, bounds)?)?;
        }
    }
    Ok(found)
}

/// The port for SIP over UDP: the only one over UDP, or of several the one whose name begins with `sip`.
fn sip_port(ports: &[Port], service: &str) -> Result<u16, String> {
    let udp = || ports.iter().filter(|port| port.protocol.as_deref() == Some("UDP"));
    let sip = || udp().filter(|port| port.name.as_deref().is_some_and(|name| name.starts_with("sip")));
    let only = if udp().count() == 1 { udp().next() } else { sip().next().filter(|_| sip().count() == 1) };
    only.and_then(|port| port.port).ok_or_else(|| {
        format!("which port of service {service:?} is SIP over UDP does not show: give one port over UDP a name with `sip` in front")
    })
}

fn backend(endpoint: Endpoint, port: u16, bounds: &Bounds<'_>) -> Result<Backend, String> {
    let name = endpoint.target_ref.and_then(|target| target.name).or(endpoint.hostname);
    let name = named(&name.ok_or("an endpoint has neither `targetRef` nor `hostname`: it needs a name")?)?;
    // The API says that all addresses of an endpoint mean the same, and that clients take the first.
    let address = endpoint.addresses.first().and_then(|address| address.parse::<IpAddr>().ok());
    let address =
        address.ok_or_else(|| format!("endpoint {name:?} has no address: only IPv4 and IPv6 slices are read"))?;
    let address = allowed(SocketAddr::new(address, port), bounds)?;
    let local = endpoint.node_name.map(|node| node == bounds.node);
    Ok(Backend { name, addresses: vec![address], weight: Backend::WEIGHT, state: endpoint.conditions.state(), local })
}

impl Conditions {
    fn state(self) -> State {
        let ready = self.ready.unwrap_or(true);
        let serving = self.serving.unwrap_or(ready);
        match (ready, self.terminating.unwrap_or(false) && serving) {
            (true, _) => State::Up,
            (false, true) => State::Drain,
            (false, false) => State::Down,
        }
    }
}
