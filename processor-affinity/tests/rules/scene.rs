//! A ladder on both sides of a translation in, what the processor states and reports out.
//!
//! A line may end in `=> pod`: the request is seen again, to that backend, 0.1 ms later. Or in `<= pod`: the response is seen
//! from that backend too, 0.1 ms before. Facts are told as words: `placed sbc/pod1`, `moved sbc source_port`.

use std::sync::Arc;
use std::time::Duration;

use ladder::Step;
use pipeline::affinity::{AffinityFact, Report, Steer};
use pipeline::labels::{LabelSets, Name};
use pipeline::settings::Problems;
use pipeline::{CallsWanted, Common, ComponentId, Fact, Facts, FrameBatch, Processor, ProcessorContext, SipFrame};
use processor_affinity::{Affinity, Config};
use wire::Timestamp;

/// A service `sbc` with three backends, on both families.
pub const LISTED: &str = r#"
learn = false
[[services]]
name = "sbc"
addresses = ["10.96.0.60:5060", "[2001:db8:96::60]:5060"]
backends = [
    { name = "pod1", addresses = ["10.244.1.11:5060", "[2001:db8:244::11]:5060"] },
    { name = "pod2", addresses = ["10.244.1.12:5060", "[2001:db8:244::12]:5060"] },
    { name = "pod3", addresses = ["10.244.1.13:5060", "[2001:db8:244::13]:5060"] },
]
"#;

/// Who stands where; named in each ladder that is played.
const PLACES: [(&str, &str); 8] = [
    ("vip", "10.96.0.60:5060"),
    ("pod1", "10.244.1.11:5060"),
    ("pod2", "10.244.1.12:5060"),
    ("pod3", "10.244.1.13:5060"),
    ("client", "192.0.2.10:5060"),
    ("moved", "192.0.2.10:40000"),
    ("other", "192.0.2.11:5060"),
    ("node", "10.0.0.1:31000"),
];

/// A processor and what it stated.
pub struct Scene {
    processor: Affinity,
    labels: Arc<LabelSets>,
    facts: Facts,
    pub stated: Vec<String>,
    pub steered: Vec<Steer>,
    now: Timestamp,
}

impl Scene {
    pub fn new(config: &str) -> Self {
        let config: Config = toml::from_str(config).expect("it is TOML");
        let settings = config.check(&mut Problems::default()).expect("sound settings");
        let labels = Arc::new(LabelSets::new());
        let wanted =
            CallsWanted { instance: "tests".into(), requests: false, pieces: true, number: None, watched: false };
        let context = ProcessorContext {
            label_sets: Arc::clone(&labels),
            calls: Some(wanted),
            shards: 1,
            media: None,
            id: ComponentId::parse("affinity").expect("an id"),
            common: Common::default(),
        };
        let processor = Affinity::new(settings, &context);
        let (facts, stated, steered) = Default::default();
        Self { processor, labels, facts, stated, steered, now: START }
    }

    /// Plays a ladder with its second sightings.
    pub fn play(&mut self, text: &str) {
        self.take(&steps(text));
    }

    /// Takes datagrams, each a batch of its own.
    pub fn take(&mut self, steps: &[Step]) {
        for step in steps {
            let at = START + step.at;
            let mut batch = FrameBatch { now: at, ..FrameBatch::default() };
            batch.push(&step.bytes, SipFrame::datagram(step.source, step.destination, at));
            self.batch(&batch);
        }
    }

    /// Takes a batch.
    pub fn batch(&mut self, batch: &FrameBatch) {
        self.now = self.now.max(batch.now);
        self.facts.clear();
        self.processor.process(batch, &mut self.facts);
        self.note();
    }

    /// So many seconds pass without a frame.
    pub fn pass(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        self.batch(&FrameBatch { now: self.now, ..FrameBatch::default() });
    }

    /// The capture is at its end.
    pub fn settle(&mut self) {
        self.facts.clear();
        self.processor.settle(self.now, &mut self.facts);
        self.note();
    }

    pub fn report(&mut self) -> Report {
        self.processor.affinity().expect("it looks")
    }

    /// A number about itself.
    pub fn number(&self, name: &str, table: &str) -> u64 {
        let mut numbers = Vec::new();
        self.processor.telemetry(&mut numbers);
        let found = numbers.iter().find(|number| number.name == name && number.labels == [("table", table.to_owned())]);
        found.expect("it tells that").value as u64
    }

    fn note(&mut self) {
        for event in &self.facts.events {
            let Fact::Affinity(fact) = event.fact else { panic!("{event:?} is none of its facts") };
            self.stated.extend(self.tell(fact));
        }
        self.steered.extend(self.facts.steered.iter().map(|steered| steered.steer.clone()));
    }

    fn tell(&self, fact: AffinityFact) -> Option<String> {
        let name = |name: Name| {
            let named = self.labels.named(name);
            named.within.as_ref().map_or(named.value.to_string(), |(_, service)| format!("{service}/{}", named.value))
        };
        Some(match fact {
            AffinityFact::DialogPlaced(backend) => format!("placed {}", name(backend)),
            AffinityFact::DialogMoved(service, cause) => format!("moved {} {}", name(service), cause.as_str()),
            AffinityFact::MovedFailed(service) => format!("failed {}", name(service)),
            // That a service has its series.
            AffinityFact::PinnedFlows(_, 0) => return None,
            AffinityFact::PinnedFlows(service, change) => format!("pinned {} {change:+}", name(service)),
            AffinityFact::OffPortReply(service) => format!("off_port {}", name(service)),
            AffinityFact::UntranslatedReply(service) => format!("untranslated {}", name(service)),
            AffinityFact::Bypassed(service) => format!("bypass {}", name(service)),
            AffinityFact::UnknownBackend(service) => format!("unknown {}", name(service)),
        })
    }
}

/// What a ladder makes a listed service state, the end of the capture included.
pub fn stated(text: &str) -> Vec<String> {
    let mut scene = Scene::new(LISTED);
    scene.play(text);
    scene.settle();
    scene.stated
}

/// The datagrams of a ladder, in order.
pub fn steps(text: &str) -> Vec<Step> {
    let places = PLACES.map(|(name, address)| format!("0 {name}@{address} -> {name} raw=\"x\"\n")).concat();
    let mut lines = places;
    for line in text.lines() {
        let (line, arrow, pod) = match (line.split_once("=>"), line.split_once("<=")) {
            (Some((line, pod)), _) => (line, "->", pod.trim()),
            (_, Some((line, pod))) => (line, "<-", pod.trim()),
            _ => (line, "", ""),
        };
        lines += &format!("{line}\n");
        if pod.is_empty() {
            continue;
        }
        let mut words = line.split_whitespace();
        let (time, left, _, _, what) = (words.next(), words.next(), words.next(), words.next(), words.next());
        let time: f64 = time.and_then(|time| time.parse().ok()).expect("a time");
        let (left, what) = (left.expect("an endpoint"), what.expect("a method or a status"));
        let keys = words.filter(|word| ["call=", "tag=", "of=", "cseq="].iter().any(|key| word.starts_with(key)));
        let keys: Vec<&str> = keys.collect();
        let time = if arrow == "->" { time + 0.0001 } else { time - 0.0001 };
        lines += &format!("{time:.6} {left} {arrow} {pod} {what} copy {}\n", keys.join(" "));
    }
    let mut steps = ladder::play(&lines).split_off(PLACES.len());
    steps.sort_by_key(|step| step.at);
    steps
}

const START: Timestamp = Timestamp::from_nanos(1_767_225_600_000_000_000);
