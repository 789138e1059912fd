//! `[processors.by_network]`: where `enrich` knew no carrier, the network of the caller is the label `carrier`.
//!
//! It works on facts alone, so it stands behind `dialog`, and behind `enrich` where there is one. No clock, no log, no lock
//! once a network has been seen.

use std::any::Any;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use pipeline::labels::OTHER;
use pipeline::settings::Problems;
use pipeline::{Facts, FrameBatch, LabelSet, LabelSets, Processor, ProcessorContext, Telemetry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What can be set.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(default)]
pub struct Config {
    /// Bits of an IPv4 address that are its network, 0 to 32. Default 24.
    ipv4_prefix: u8,
    /// Bits of an IPv6 address that are its network, 0 to 128. Default 48.
    ipv6_prefix: u8,
    /// Most networks told apart; calls from others stay `other`. Default 100: each is a row of metrics.
    max_networks: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { ipv4_prefix: 24, ipv6_prefix: 48, max_networks: 100 }
    }
}

impl Config {
    /// Says all that is wrong at once.
    pub fn check(self, problems: &mut Problems) -> Option<Self> {
        let mut fits = true;
        for (key, prefix, most) in [("ipv4_prefix", self.ipv4_prefix, 32), ("ipv6_prefix", self.ipv6_prefix, 128)] {
            if prefix > most {
                problems.error(key, format!("{prefix} is more than an address has"), format!("write 0 to {most}"));
                fits = false;
            }
        }
        fits.then_some(self)
    }
}

/// Makes one.
pub fn build(config: Config, context: &ProcessorContext) -> Box<dyn Processor> {
    let label_sets = Arc::clone(&context.label_sets);
    Box::new(ByNetwork { config, label_sets, networks: HashMap::new(), refused: 0 })
}

struct ByNetwork {
    config: Config,
    label_sets: Arc<LabelSets>,
    /// Labels by network and by what a call had before, which tells the type of the phone.
    networks: HashMap<(IpNet, LabelSet), LabelSet>,
    /// Calls that stayed `other` because of `max_networks`.
    refused: u64,
}

impl Processor for ByNetwork {
    fn process(&mut self, _frames: &FrameBatch, facts: &mut Facts) {
        for index in 0..facts.origins.len() {
            let (slot, address) = (facts.origins[index].slot, facts.origins[index].address);
            if let Some(labels) = self.labels(address, facts.labels(slot)) {
                facts.label(slot, labels);
            }
        }
    }

    /// All keys apply to the calls that begin from now on.
    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str> {
        self.config = *settings.downcast().expect("settings come from the check of the same type");
        self.networks.clear();
        Vec::new()
    }

    fn telemetry(&self, out: &mut Vec<Telemetry>) {
        let mut number = |name, counter, value| out.push(Telemetry { name, labels: Vec::new(), counter, value });
        number("otelcol_processor_by_network_networks", false, self.networks.len() as f64);
        number("otelcol_processor_by_network_refused_calls", true, self.refused as f64);
    }
}

impl ByNetwork {
    /// The labels of a call from `address` that has `before`; `None` where these stay.
    fn labels(&mut self, address: IpAddr, before: LabelSet) -> Option<LabelSet> {
        let (carrier, ua_type) = self.label_sets.names(before);
        if carrier != OTHER {
            return None;
        }
        let prefix = if address.is_ipv4() { self.config.ipv4_prefix } else { self.config.ipv6_prefix };
        let network = IpNet::new(address, prefix).expect("the check has seen to it").trunc();
        if let Some(labels) = self.networks.get(&(network, before)) {
            return Some(*labels);
        }
        if self.networks.len() >= self.config.max_networks {
            self.refused += 1;
            return None;
        }
        let labels = self.label_sets.intern(&network.to_string(), ua_type);
        self.networks.insert((network, before), labels);
        Some(labels)
    }
}

#[cfg(test)]
mod tests {
    use pipeline::Slot;

    use super::*;

    fn by_network(max_networks: usize) -> ByNetwork {
        let config = Config { max_networks, ..Config::default() };
        ByNetwork { config, label_sets: Arc::default(), networks: HashMap::new(), refused: 0 }
    }

    /// `carrier` and `ua_type` of a call from an address that had `before`.
    fn named(processor: &mut ByNetwork, address: &str, before: LabelSet) -> (String, String) {
        let mut facts = Facts::default();
        facts.open(Slot(1), address.parse().expect("an address"), b"");
        facts.label(Slot(1), before);
        processor.process(&FrameBatch::default(), &mut facts);
        let (carrier, ua_type) = processor.label_sets.names(facts.labels(Slot(1)));
        (carrier.to_owned(), ua_type.to_owned())
    }

    fn pair(carrier: &str, ua_type: &str) -> (String, String) {
        (carrier.to_owned(), ua_type.to_owned())
    }

    #[test]
    fn a_call_without_a_carrier_gets_its_network_and_keeps_its_phone() {
        let mut processor = by_network(9);
        let phone = processor.label_sets.intern("other", "phone");
        assert_eq!(named(&mut processor, "192.0.2.77", phone), pair("192.0.2.0/24", "phone"));
        assert_eq!(named(&mut processor, "2001:db8:1:2::3", LabelSet::OTHER), pair("2001:db8:1::/48", "other"));
    }

    #[test]
    fn a_call_of_a_carrier_keeps_it() {
        let mut processor = by_network(9);
        let known = processor.label_sets.intern("acme", "phone");
        assert_eq!(named(&mut processor, "192.0.2.77", known), pair("acme", "phone"));
    }

    #[test]
    fn beyond_the_bound_calls_stay_other_and_are_counted() {
        let mut processor = by_network(1);
        named(&mut processor, "192.0.2.1", LabelSet::OTHER);
        assert_eq!(named(&mut processor, "198.51.100.1", LabelSet::OTHER), pair("other", "other"));
        assert_eq!(named(&mut processor, "192.0.2.2", LabelSet::OTHER), pair("192.0.2.0/24", "other"));
        assert_eq!(processor.refused, 1);
    }
}
