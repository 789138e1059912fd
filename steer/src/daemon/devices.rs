//! Devices that are to have the programs: those there are now, and those that come later.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use affinity::steer::{Device, Hop, MAX_DEVICES};
use glob::Pattern;

use super::chain;
use crate::config::MATCHING;
use crate::kernel::{Kernel, KernelError};
use crate::node::{Link, Node};

/// What is known of devices.
pub(super) struct Devices {
    node: Node,
    /// Those that are wanted, by index.
    wanted: BTreeMap<u32, Wanted>,
    /// Patterns that name nothing that is there.
    missing: Vec<String>,
    /// The node could not be asked.
    blind: Option<String>,
}

#[derive(Clone, Debug)]
struct Wanted {
    link: Link,
    /// Why it does not have the programs.
    failed: Option<String>,
}

impl Devices {
    pub(super) fn new(node: Node) -> Self {
        Self { node, wanted: BTreeMap::new(), missing: Vec::new(), blind: None }
    }

    /// Looks which devices there are of these names. Where the node cannot be asked, it errs with how many
    /// failures are new: that is told once.
    pub(super) fn look(&mut self, names: &[Pattern]) -> Result<(), u64> {
        let links = self.node.links().map_err(|error| {
            let text = format!("devices cannot be listed: {error}");
            let is_new = self.blind.replace(text.clone()).is_none();
            if is_new {
                tracing::error!("{text}");
            }
            u64::from(is_new)
        })?;
        self.blind = None;
        let is_wanted = |link: &Link| names.iter().any(|name| name.matches_with(&link.name, MATCHING));
        let missing = |name: &&Pattern| !links.iter().any(|link| name.matches_with(&link.name, MATCHING));
        self.missing = names.iter().filter(missing).map(|name| name.as_str().to_owned()).collect();
        let mut before = std::mem::take(&mut self.wanted);
        for link in links.into_iter().filter(is_wanted).take(MAX_DEVICES) {
            let failed = before.remove(&link.index).and_then(|wanted| wanted.failed);
            self.wanted.insert(link.index, Wanted { link, failed });
        }
        Ok(())
    }

    /// Puts the programs on every device of these names that has none, and takes them off the others. Says how often that
    /// failed in a new way.
    pub(super) fn scan(&mut self, kernel: &mut impl Kernel, names: &[Pattern], beside: &[String]) -> u64 {
        if let Err(errors) = self.look(names) {
            return errors;
        }
        let attached = kernel.attached();
        let mut errors = 0;
        for Wanted { link, failed: was } in self.wanted.values_mut() {
            let failed = if attached.contains(&link.index) { Ok(()) } else { kernel.attach(link.index, beside) };
            if failed.is_ok() && !attached.contains(&link.index) {
                tracing::info!(device = link.name, "attached");
            }
            let named = names.iter().any(|name| name.as_str() == link.name);
            let failed = failed.err().and_then(|error| explain(link, named, &error));
            if let Some(text) = failed.as_ref().filter(|text| Some(*text) != was.as_ref()) {
                tracing::error!("{text}");
                errors += 1;
            }
            *was = failed;
        }
        for index in attached.into_iter().filter(|index| !self.wanted.contains_key(index)) {
            match kernel.detach(index) {
                Ok(()) => tracing::info!(index, "detached from a device that is not wanted any more, or is gone"),
                Err(error) => {
                    errors += 1;
                    tracing::error!("device {index} keeps the programs: {}", chain(&error));
                }
            }
        }
        errors
    }

    /// Devices that have the programs, or should.
    pub(super) fn attached(&self) -> BTreeMap<u32, Device> {
        self.wanted.iter().map(|(index, wanted)| (*index, wanted.link.device)).collect()
    }

    /// The name of a device.
    pub(super) fn name(&self, index: u32) -> Option<&str> {
        self.wanted.get(&index).map(|wanted| wanted.link.name.as_str())
    }

    /// Names of those that have the programs.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.wanted.values().filter(|wanted| wanted.failed.is_none()).map(|wanted| wanted.link.name.as_str())
    }

    /// Why the programs are not wherever they should be; nothing when they are.
    pub(super) fn problems(&self) -> Vec<String> {
        let failed = self.wanted.values().filter_map(|wanted| wanted.failed.clone());
        let mut problems: Vec<String> = self.blind.iter().cloned().chain(failed).collect();
        // A pattern may wait for devices; a name that is not there is one that is missed.
        for name in self.missing.iter().filter(|name| !name.contains(['*', '?'])) {
            problems.push(format!("device {name} is not there; it is waited for"));
        }
        if self.wanted.is_empty() && problems.is_empty() {
            problems.push(format!("no device is there of {}; they are waited for", self.missing.join(", ")));
        }
        problems
    }

    /// Whether [`Self::hops`] may answer otherwise than before, as far as the last look saw.
    pub(super) const fn have_moved(&self) -> bool {
        self.node.has_changed()
    }

    /// How packets get to addresses past the stack; what cannot be asked is left out.
    pub(super) fn hops(&mut self, addresses: &[IpAddr]) -> HashMap<IpAddr, Hop> {
        self.node.hops(addresses).unwrap_or_default()
    }

    /// Whether addresses are on this node; what cannot be asked is left out.
    pub(super) fn places(&mut self, addresses: Vec<IpAddr>) -> HashMap<IpAddr, bool> {
        let place = |address| Some((address, self.node.is_local(address).ok()?));
        addresses.into_iter().filter_map(place).collect()
    }
}

/// Why a device has no programs, with what to do; nothing for one without Ethernet that only a pattern named.
fn explain(link: &Link, named: bool, error: &KernelError) -> Option<String> {
    let name = &link.name;
    match error {
        KernelError::Foreign { programs, .. } => Some(format!(
            "device {name} has tc programs of others ({}): take them off, or name them in `beside` if they leave SIP alone",
            programs.join(", ")
        )),
        KernelError::NotEthernet { .. } if named => {
            Some(format!("device {name} has no Ethernet header: take it out of `interfaces`"))
        }
        KernelError::NotEthernet { .. } => None,
        error => Some(format!("device {name} cannot be attached to: {}", chain(error))),
    }
}
