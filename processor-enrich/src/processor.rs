//! The stage: origins of a batch in, labels on their slots out.

use std::any::Any;
use std::net::IpAddr;
use std::sync::Arc;

use pipeline::labels::Name;
use pipeline::settings::expressions::{MAX_VALUE, Searcher};
use pipeline::{Carrier, Facts, FrameBatch, LabelSet, LabelSets, Networks, Origin, Processor, Telemetry};

use crate::carriers::Carriers;
use crate::config::Settings;

/// Gives slots their labels.
#[derive(Debug)]
pub struct Enrich {
    settings: Settings,
    searcher: Searcher,
    sets: PairCache,
    /// For who counts trunks; `None` without carriers.
    networks: Option<Arc<Trunks>>,
    cut: u64,
}

impl Enrich {
    /// A stage that interns its pairs of labels in `label_sets`.
    pub fn new(settings: Settings, label_sets: Arc<LabelSets>) -> Self {
        let searcher = settings.user_agents.clone().searcher();
        let networks = Trunks::new(&settings, &label_sets);
        let sets = PairCache::new(&settings, label_sets);
        Self { settings, searcher, sets, networks, cut: 0 }
    }

    fn labels(&mut self, origin: &Origin, text: &[u8]) -> LabelSet {
        let user_agent = &text[origin.user_agent.clone()];
        self.cut += u64::from(user_agent.len() > MAX_VALUE);
        let carrier = self.settings.carriers.find(origin.address);
        let user_agent = self.searcher.find(user_agent);
        self.sets.get(carrier, user_agent, &self.settings)
    }
}

impl Processor for Enrich {
    fn process(&mut self, _frames: &FrameBatch, facts: &mut Facts) {
        for index in 0..facts.origins.len() {
            let labels = self.labels(&facts.origins[index], &facts.text);
            facts.label(facts.origins[index].slot, labels);
        }
    }

    /// Slots that have labels keep them.
    fn reconfigure(&mut self, settings: Box<dyn Any + Send>) -> Vec<&'static str> {
        let settings = settings.downcast().expect("settings come from the check of the same type");
        let cut = self.cut;
        *self = Self { cut, ..Self::new(*settings, Arc::clone(&self.sets.label_sets)) };
        Vec::new()
    }

    fn networks(&self) -> Option<Arc<dyn Networks>> {
        Some(Arc::clone(self.networks.as_ref()?) as _)
    }

    fn telemetry(&self, out: &mut Vec<Telemetry>) {
        out.push(Telemetry {
            name: "otelcol_processor_user_agents_cut",
            labels: Vec::new(),
            counter: true,
            value: self.cut as f64,
        });
    }
}

/// The carriers as trunks (`sip-metrics.md` 4.7).
#[derive(Debug)]
struct Trunks {
    carriers: Arc<Carriers>,
    /// By index of the carrier; `None` of one for which there was no room.
    names: Vec<Option<(Name, Arc<str>)>>,
}

impl Trunks {
    fn new(settings: &Settings, label_sets: &LabelSets) -> Option<Arc<Self>> {
        let name = |text: &String| Some((label_sets.intern_name("carrier", text)?, Arc::from(text.as_str())));
        let names = settings.carrier_names.iter().map(name).collect();
        let carriers = Arc::clone(&settings.carriers);
        (!settings.carrier_names.is_empty()).then(|| Arc::new(Self { carriers, names }))
    }
}

impl Networks for Trunks {
    fn carrier_of(&self, address: IpAddr) -> Option<Carrier<'_>> {
        let (name, text) = self.names[usize::from(self.carriers.find(address)?)].as_ref()?;
        Some(Carrier { name: *name, text })
    }
}

/// The label set of each pair of carrier and User-Agent seen so far: the lock of [`LabelSets`] is taken once a pair.
#[derive(Debug)]
struct PairCache {
    label_sets: Arc<LabelSets>,
    /// By carrier, then by User-Agent, "none" first.
    known: Vec<Option<LabelSet>>,
    /// User-Agents and "none".
    columns: usize,
}

impl PairCache {
    fn new(settings: &Settings, label_sets: Arc<LabelSets>) -> Self {
        let columns = settings.user_agent_labels.len() + 1;
        Self { label_sets, known: vec![None; columns * (settings.carrier_names.len() + 1)], columns }
    }

    fn get(&mut self, carrier: Option<u16>, user_agent: Option<u16>, settings: &Settings) -> LabelSet {
        let number = |index: Option<u16>| index.map_or(0, |index| usize::from(index) + 1);
        let known = &mut self.known[number(carrier) * self.columns + number(user_agent)];
        *known.get_or_insert_with(|| {
            let (no_carrier, no_user_agent) = self.label_sets.names(LabelSet::OTHER);
            let carrier = carrier.map_or(no_carrier, |index| &settings.carrier_names[usize::from(index)]);
            let user_agent = user_agent.map_or(no_user_agent, |index| &settings.user_agent_labels[usize::from(index)]);
            self.label_sets.intern(carrier, user_agent)
        })
    }
}

#[cfg(test)]
mod tests;
