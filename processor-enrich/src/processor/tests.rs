use pipeline::Slot;
use pipeline::settings::Problems;

use super::*;
use crate::config::{Carrier, Config, UserAgent};

fn settings(carriers: &[(&str, &[&str])], user_agents: &[(&str, &str)]) -> Settings {
    let carriers = carriers.iter().map(|(name, cidrs)| Carrier {
        name: (*name).to_owned(),
        cidrs: cidrs.iter().map(|cidr| (*cidr).to_owned()).collect(),
    });
    let user_agents =
        user_agents.iter().map(|(regex, label)| UserAgent { regex: (*regex).to_owned(), label: (*label).to_owned() });
    let config = Config { carriers: carriers.collect(), user_agents: user_agents.collect() };
    config.check(&mut Problems::default()).expect("settings")
}

/// A stage and what it works on.
struct Bench {
    enrich: Enrich,
    label_sets: Arc<LabelSets>,
    facts: Facts,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        let label_sets = Arc::new(LabelSets::new());
        let enrich = Enrich::new(settings, Arc::clone(&label_sets));
        Self { enrich, label_sets, facts: Facts::default() }
    }

    /// One batch in which each slot opens.
    fn open(&mut self, origins: &[(u32, &str, &str)]) {
        self.facts.clear();
        for (slot, address, user_agent) in origins {
            self.facts.open(Slot(*slot), address.parse().expect("an address"), user_agent.as_bytes());
        }
        self.enrich.process(&FrameBatch::default(), &mut self.facts);
    }

    fn labels(&self, slot: u32) -> (&str, &str) {
        self.label_sets.names(self.facts.labels(Slot(slot)))
    }
}

fn two_carriers() -> Settings {
    settings(
        &[("alpha", &["10.1.0.0/16", "2001:db8:a::/48"]), ("beta", &["10.2.0.0/16"])],
        &[("(?i)^Yealink", "yealink"), ("(?i)^Grandstream", "grandstream")],
    )
}

#[test]
fn every_slot_gets_the_labels_of_its_origin() {
    let mut bench = Bench::new(two_carriers());
    bench.open(&[
        (1, "10.1.0.7", "Yealink SIP-T46S"),
        (2, "10.2.0.7", "grandstream GXP"),
        (3, "2001:db8:a::7", ""),
        (4, "192.0.2.7", "Yealink"),
        (5, "::ffff:10.2.0.7", "Asterisk"),
        (6, "192.0.2.7", "Asterisk"),
    ]);
    assert_eq!(bench.labels(1), ("alpha", "yealink"));
    assert_eq!(bench.labels(2), ("beta", "grandstream"));
    assert_eq!(bench.labels(3), ("alpha", "other"));
    assert_eq!(bench.labels(4), ("other", "yealink"));
    assert_eq!(bench.labels(5), ("beta", "other"));
    assert_eq!(bench.labels(6), ("other", "other"));
    assert_eq!(bench.facts.labels(Slot(6)), LabelSet::OTHER);
}

#[test]
fn without_entries_everything_is_other() {
    let mut bench = Bench::new(Settings::default());
    bench.open(&[(1, "10.1.0.7", "Yealink"), (2, "::1", "")]);
    assert_eq!((bench.labels(1), bench.labels(2)), (("other", "other"), ("other", "other")));
    assert_eq!(bench.label_sets.len(), 1);
}

#[test]
fn a_pair_is_interned_once_and_only_when_it_is_seen() {
    let mut bench = Bench::new(two_carriers());
    assert_eq!(bench.label_sets.len(), 1);
    bench.open(&[(1, "10.1.0.7", "Yealink"), (2, "10.1.0.8", "Yealink")]);
    bench.open(&[(3, "10.1.0.9", "Yealink")]);
    assert_eq!(bench.label_sets.len(), 2);
    assert_eq!(bench.facts.labels(Slot(1)), bench.facts.labels(Slot(3)));
}

#[test]
fn labels_stay_on_a_slot_after_its_batch_and_after_a_reload() {
    let mut bench = Bench::new(two_carriers());
    bench.open(&[(1, "10.1.0.7", "Yealink")]);
    let reloaded = settings(&[("gamma", &["10.1.0.0/16"])], &[]);
    assert!(bench.enrich.reconfigure(Box::new(reloaded)).is_empty());
    bench.open(&[(2, "10.1.0.7", "Yealink")]);
    assert_eq!(bench.labels(1), ("alpha", "yealink"));
    assert_eq!(bench.labels(2), ("gamma", "other"));
}

#[test]
fn a_reused_slot_gets_the_labels_of_its_new_origin() {
    let mut bench = Bench::new(two_carriers());
    bench.open(&[(1, "10.1.0.7", "Yealink")]);
    bench.open(&[(1, "192.0.2.1", "")]);
    assert_eq!(bench.labels(1), ("other", "other"));
}

#[test]
fn hostile_user_agents_make_no_labels() {
    let mut bench = Bench::new(two_carriers());
    for n in 0..2000 {
        bench.open(&[(1, "10.1.0.7", &format!("\u{1}\"{n}\n{}", "x".repeat(n)))]);
        assert_eq!(bench.labels(1), ("alpha", "other"));
    }
    assert_eq!(bench.label_sets.len(), 2);
}

#[test]
fn values_that_were_cut_are_counted() {
    let mut bench = Bench::new(two_carriers());
    let long = "x".repeat(MAX_VALUE + 1);
    bench.open(&[(1, "10.1.0.7", &long), (2, "10.1.0.7", &long[1..])]);
    let mut telemetry = Vec::new();
    bench.enrich.telemetry(&mut telemetry);
    assert_eq!(telemetry[0].value, 1.0);
}

#[test]
fn an_address_is_in_the_network_of_the_carrier_with_the_longest_prefix() {
    let carriers: &[(&str, &[&str])] = &[("wide", &["10.0.0.0/8"]), ("alpha", &["10.1.0.0/16", "2001:db8:a::/48"])];
    let bench = Bench::new(settings(carriers, &[]));
    let networks = bench.enrich.networks().expect("there are carriers");
    let carrier = |address: &str| {
        let carrier = networks.carrier_of(address.parse().expect("an address"))?;
        let named = bench.label_sets.named(carrier.name);
        assert_eq!(*named.value, **carrier.text);
        Some(format!("{}={}", named.label, named.value))
    };
    assert_eq!(carrier("10.1.2.3").as_deref(), Some("carrier=alpha"));
    assert_eq!(carrier("2001:db8:a::3").as_deref(), Some("carrier=alpha"));
    assert_eq!(carrier("10.2.2.3").as_deref(), Some("carrier=wide"));
    assert_eq!(carrier("192.0.2.1"), None);
}

#[test]
fn without_carriers_no_network_is_known() {
    assert!(Bench::new(Settings::default()).enrich.networks().is_none());
}

#[test]
fn a_carrier_keeps_its_name_over_a_reload() {
    let mut bench = Bench::new(two_carriers());
    let beta = |bench: &Bench| {
        let networks = bench.enrich.networks()?;
        networks.carrier_of("10.2.0.7".parse().expect("an address")).map(|carrier| carrier.name)
    };
    let before = beta(&bench);
    let new = settings(&[("gamma", &["10.9.0.0/16"]), ("beta", &["10.2.0.0/16"])], &[]);
    bench.enrich.reconfigure(Box::new(new));
    assert!(before.is_some());
    assert_eq!(beta(&bench), before);
}
